# file: vmx/cr.c
# caught: VM entry without INVVPID or INVEPT where CR0.PG was changed under VPID [0-9]*
# by: state
# Paging goes on or off by a hand other than the guest's, and what was walked before stays.
/^static void set_cr0/,/^}/ s/\bv->vpid_stale = true;/MUTANT_UNLESS &/
/^void vmx_write_cr4/,/^}/ s/\bv->vpid_stale = true;/MUTANT_UNLESS &/
