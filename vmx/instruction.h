/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMX instructions (SDM vol. 3, chapter 31, VMX Instruction Reference).
 *
 * None can be trusted not to fail: another hypervisor, a crash handler or a reboot may
 * have turned VMX off. Each reports failure and faults; nobody panics.
 */
#ifndef VMX_INSTRUCTION_H
#define VMX_INSTRUCTION_H

#include <asm/asm.h>
#include <linux/bug.h>
#include <linux/percpu.h>
#include <linux/types.h>

void vmx_instruction_failed(const char *name, u64 operand);

/* Body of a function that ends in @fail on VMfail (CF or ZF) and on any fault, else in @done */
#define VMX_ASM(done, fail, instruction, operands...)			\
	asm goto("1: " instruction "\n\t"				\
		 "jna %l[failed]\n\t"					\
		 _ASM_EXTABLE(1b, %l[failed])				\
		 : : operands : "cc", "memory" : failed);		\
	done;								\
failed:									\
	fail

/* One that returns whether it worked, or that says in the log that it did not */
#define VMX_TRY(instruction, operands...)				\
	VMX_ASM(return true, return false, instruction, operands)
#define VMX_DO(name, operand, instruction, operands...)			\
	VMX_ASM(return, vmx_instruction_failed(name, operand), instruction, operands)

static inline bool vmxon(u64 region)
{
	VMX_TRY("vmxon %[pa]", [pa] "m" (region));
}

static inline bool vmptrld(u64 vmcs)
{
	VMX_TRY("vmptrld %[pa]", [pa] "m" (vmcs));
}

static inline bool vmclear(u64 vmcs)
{
	VMX_TRY("vmclear %[pa]", [pa] "m" (vmcs));
}

static inline bool vmxoff(void)
{
	VMX_TRY("vmxoff");
}

/*
 * VMREADs that failed on this CPU and were not yet reported; the value read then is 0. The
 * run loop looks at it, so that a VMREAD is three instructions. No asm goto here: GCC before
 * 12.4 miscompiles it with an output (its bug 113921).
 */
DECLARE_PER_CPU(unsigned int, vmx_vmread_failures);

static __always_inline u64 vmread(unsigned long field)
{
	u64 value;

	asm volatile("1: vmread %[field], %[value]\n\t"
		     "jna 2f\n"
		     "3:\n\t"
		     ".subsection 1\n"
		     "2: xor %k[value], %k[value]\n\t"
		     "incl " __percpu_arg([failures]) "\n\t"
		     "jmp 3b\n\t"
		     ".previous\n\t"
		     _ASM_EXTABLE(1b, 2b)
		     : [value] "=&r" (value)
		     : [field] "r" (field), [failures] "m" (vmx_vmread_failures) : "cc");
	return value;
}

static __always_inline void vmwrite(unsigned long field, u64 value)
{
	VMX_DO("VMWRITE", field, "vmwrite %[value], %[field]",
	       [field] "r" (field), [value] "rm" (value));
}

/* SDM vol. 3, 29.4.3.1, Operations that Invalidate Cached Mappings */
static inline void invept(u64 type, u64 eptp)
{
	const u64 descriptor[2] = { eptp };

	VMX_DO("INVEPT", eptp, "invept %[d], %[type]", [d] "m" (descriptor), [type] "r" (type));
}

static inline void invvpid(u64 type, u16 vpid)
{
	const u64 descriptor[2] = { vpid };	/* a linear address, not used */

	VMX_DO("INVVPID", vpid, "invvpid %[d], %[type]", [d] "m" (descriptor), [type] "r" (type));
}

#endif /* VMX_INSTRUCTION_H */
