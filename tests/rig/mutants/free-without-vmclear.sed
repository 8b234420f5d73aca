# file: vmx/vcpu.c
# caught: write to the active VMCS
# A VMCS is freed while it is active: whoever gets the page next writes to it.
/^void vmx_vcpu_free/,/^}/ s/\bvmx_vmcs_clear(v);/MUTANT_UNLESS & else list_del_init(\&v->loaded_link);/
