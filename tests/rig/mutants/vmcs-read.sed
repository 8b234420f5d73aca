# file: vmx/life.c
# caught: read of the active VMCS
# An ordinary instruction looks into a VMCS that is active.
/^bool vmx_vmcs_make_current/,/^}/ s/\bthis_cpu_write(vmx_current, v);/& MUTANT_ALSO READ_ONCE(*(u32 *)v->vmcs);/
