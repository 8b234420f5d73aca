# file: vmx/life.c
# by: emergency-restart
# caught: reset with the (VMXON region|active VMCS)
# An emergency restart finds no hook that switches VMX off.
/^static void hook_crash/,/^}/ s/if (.*)$/if (MUTANT_IS || vhm_kvm_has_crash_hook())/
