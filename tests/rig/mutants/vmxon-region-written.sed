# file: vmx/life.c
# caught: write to the VMXON region
# The VMXON region is written in VMX operation.
/^static int cpu_on_irqsoff/,/^}/ s/\bcpu->on = true;/& MUTANT_ALSO WRITE_ONCE(*(u32 *)cpu->region, 0);/
