# file: vmx/life.c
# caught: VMPTRLD of the active VMCS
# A vCPU is loaded on another CPU without VMCLEAR on the one it comes from.
/^bool vmx_vmcs_make_current/,/^}/ s/\bvmx_vmcs_clear(v);/MUTANT_UNLESS vmx_vmcs_clear(v);/
