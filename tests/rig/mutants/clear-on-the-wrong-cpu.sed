# file: vmx/life.c
# caught: VMCLEAR of the active VMCS
# VMCLEAR here, wherever the VMCS is active.
/^void vmx_vmcs_clear/,/^}/ s/\bsmp_call_function_single(\(cpu\), /smp_call_function_single(MUTANT_IS ? raw_smp_processor_id() : \1, /
/^static void clear_ipi/,/^}/ s/if (.*)$/if (MUTANT_IS || v->base.cpu == smp_processor_id())/
