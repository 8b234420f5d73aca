# file: vmx/life.c
# by: reboot
# caught: reset with the (VMXON region|active VMCS)
# A reboot in order does not switch VMX off.
/^static int life_reboot/,/^}/ s/\bon_each_cpu(/MUTANT_UNLESS &/
