# file: vmx/vcpu.c
# caught: VM entry without INVEPT after a change of the guest page
# by: memory
# A vCPU comes back to a CPU that does not know what changed meanwhile.
/^static noinline void come_to_cpu/,/^}/ s/\bv->ept_generation = 0;/MUTANT_UNLESS &/
