# file: ept/table.c
# caught: VM entry without INVEPT after a change of the guest page
# by: memory
# An entry loses rights, and nobody hears of it.
/^void ept_mark_stale/,/^}/ s/\bept->stale = true;/MUTANT_UNLESS &/
