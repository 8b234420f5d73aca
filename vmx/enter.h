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
int vmx_enter(struct vmx_entry_args *args, unsigned int flags);
void vmx_exit_point(void);
void vmx_flush_l1d(void *buffer);
#endif

#endif /* VMX_ENTER_H */
