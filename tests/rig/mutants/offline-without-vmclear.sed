# file: vmx/life.c
# caught: VMXOFF without VMCLEAR of the active VMCS
# A CPU leaves VMX operation with VMCSs active.
/^static void cpu_off_irqsoff/,/^}/ s/\bclear_here(v);/MUTANT_UNLESS clear_here(v);/
