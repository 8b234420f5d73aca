# file: ept/track.c
# caught: VM entry without INVEPT after a change of the guest page
# by: track
# Dirty flags are cleared, and a processor that holds them as set never sets them again.
/^void ept_track_locked/,/^}/ s/\bept_mark_stale(ept);/MUTANT_UNLESS &/
