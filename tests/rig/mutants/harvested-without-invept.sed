# file: ept/track.c
# caught: VM entry without INVEPT after a change of the guest page
# by: track
# with: write_log=0
# The right to write is taken from pages that were told of, and the processor keeps it.
/^void ept_track_locked/,/^}/ s/\bept_mark_stale(ept);/MUTANT_UNLESS &/
