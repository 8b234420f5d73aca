/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vmx/enter.S shares with C: flags, offsets of struct vmx_entry_args, and which of
 * the host's mitigation switches exist in this kernel.
 */
#ifndef VMX_ENTER_H
#define VMX_ENTER_H

#include <asm/cpufeatures.h>

#define VMX_ENTER_RESUME_BIT		0
#define VMX_ENTER_RESUME		(1 << VMX_ENTER_RESUME_BIT)
#define VMX_ENTER_SPEC_CTRL		(1 << 1)
#define VMX_ENTER_SWAP_SPEC_CTRL	(1 << 2)
#define VMX_ENTER_FORCE_SPEC_CTRL	(1 << 3)

#define ARGS_REGS			0
#define ARGS_HOST_RSP			8
#define ARGS_GUEST_SPEC_CTRL		16
#define ARGS_HOST_SPEC_CTRL		24

#define VMX_L1D_BUFFER_BYTES		(64 * 1024)

/* VERW on entry although the host itself does not need it */
#ifdef X86_FEATURE_CLEAR_CPU_BUF_VM
#define VMX_FEATURE_VERW_FOR_GUESTS	X86_FEATURE_CLEAR_CPU_BUF_VM
#else
#define VMX_FEATURE_VERW_FOR_GUESTS	X86_FEATURE_CLEAR_CPU_BUF
#endif

#ifdef X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT
#define CLEAR_BHB_AFTER_EXIT		CLEAR_BRANCH_HISTORY_VMEXIT
#else
#define CLEAR_BHB_AFTER_EXIT		CLEAR_BRANCH_HISTORY
#endif

#ifndef __ASSEMBLY__
struct vmx_entry_args;

/**
 * vmx_enter() - run the guest until it exits
 * @args: struct vmx_entry_args
 * @flags: VMX_ENTER_RESUME: the VMCS is launched; VMX_ENTER_SPEC_CTRL: the guest
 *	may have written IA32_SPEC_CTRL: read it back; VMX_ENTER_SWAP_SPEC_CTRL: its
 *	value differs from the host's: load it; VMX_ENTER_FORCE_SPEC_CTRL: write the
 *	host's after the exit even if it did not change (IBRS guards returns that way)
 *
 * Interrupts off, the VMCS current. RSP, RIP and RFLAGS are in the VMCS, all other general
 * registers in @args->regs. Returns 0 after an exit, 1 if VMLAUNCH or VMRESUME failed or
 * faulted (SDM vol. 3, 27.2, Checks on VMX Controls and Host-State Area).
 */
int vmx_enter(struct vmx_entry_args *args, unsigned int flags);

/* where the processor comes back: HOST_RIP; not to be called */
void vmx_exit_point(void);

/**
 * vmx_call_interrupt() - run the host's handler of an interrupt
 * @entry: where its gate in the IDT leads
 *
 * Interrupts off, before and after. The handler finds what the processor would have pushed.
 */
void vmx_call_interrupt(unsigned long entry);

/**
 * vmx_flush_l1d() - displace the L1 data cache
 * @buffer: VMX_L1D_BUFFER_BYTES, page aligned
 *
 * For CPUs without IA32_FLUSH_CMD: touch each page for the TLB, serialize, then read each
 * line (host documentation: admin-guide/hw-vuln/l1tf.rst).
 */
void vmx_flush_l1d(void *buffer);
#endif

#endif /* VMX_ENTER_H */
