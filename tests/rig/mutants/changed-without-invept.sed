# file: vmx/run.c
# caught: VM entry without INVEPT after a change of the guest page
# by: memory
# The tables changed, and the processor is not told.
/^static noinline void flush_translations/,/^}/ s/\binvept(VMX_EPT_EXTENT_CONTEXT, [^;]*;/MUTANT_UNLESS &/
