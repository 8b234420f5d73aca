# file: vmx/life.c
# by: emergency-restart
# caught: reset with the (VMXON region|active VMCS)
# An emergency restart finds no hook that switches VMX off.
/^int vmx_get(/,/^}/ s/= !vhm_kvm_has_crash_hook();/= !(MUTANT_IS || vhm_kvm_has_crash_hook());/
