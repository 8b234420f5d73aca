// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits about events: exceptions we intercept, windows, triple fault, task switch.
 */
#include "vmx.h"

#include <asm/cpu.h>

/*
 * #DB: what delivery would have done to DR6 and DR7.GD is in the qualification
 * (SDM vol. 3, table 28-1), then the exception goes to the guest.
 */
static enum vmx_exit_outcome debug_exception(struct vmx_vcpu *v, u32 info)
{
	struct vhm_event event = vmx_debug_event(vmx_qualification(v) & DR6_CAUSES);
	u64 hits;

	/* INT1 is a trap and still ahead of RIP; it leaves DR6 alone */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION) {
		v->injected = INTR_INFO_VALID_MASK | INTR_TYPE_PRIV_SW_EXCEPTION | X86_TRAP_DB;
		v->injected_length = vmx_insn_bytes(v);
		return VMX_RESUME;
	}
	hits = vmx_take_hits(v, &event.payload);
	if (event.payload || !hits) {
		vmx_inject_exception(&v->base, &event);
		vmx_settle_shadow(v);
	}
	if (!hits)
		return VMX_RESUME;
	event.payload = hits;
	return vmx_report_exception(v, &event);
}

/*
 * #AC that the guest did not ask for is the host's split-lock detection. The host warns and
 * lets this thread go on, or its policy is fatal: then user space hears of it.
 */
static enum vmx_exit_outcome alignment_check(struct vmx_vcpu *v, u32 info)
{
	u32 error_code = (u32)vmread(VM_EXIT_INTR_ERROR_CODE);
	const struct vhm_event event = vmx_exception_event(info, error_code);

	if (!boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) ||
	    (vmx_read_cr0(v) & X86_CR0_AM && vmx_rflags(v) & X86_EFLAGS_AC && vmx_cpl() == 3)) {
		vmx_inject_exception(&v->base, &event);
		return VMX_RESUME;
	}
	if (handle_guest_split_lock(vmx_rip(v)))
		return VMX_RESUME;
	return vmx_report_exception(v, &event);
}

enum vmx_exit_outcome vmx_exit_exception(struct vmx_vcpu *v)
{
	u32 info = (u32)vmread(VM_EXIT_INTR_INFO);
	u32 vector = info & INTR_INFO_VECTOR_MASK;

	/* served in vmx/run.c */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		return VMX_RESUME;
	vmx_block_nmi_again(v, info);
	if (v->control.exceptions & BIT(vector & 31))
		return vmx_exit_wanted_exception(v, info);
	switch (vector) {
	case X86_TRAP_DB:
		return debug_exception(v, info);
	case X86_TRAP_AC:
		return alignment_check(v, info);
	case X86_TRAP_MC:
		return VMX_RESUME;	/* the host's, served in vmx/run.c */
	default:
		return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
	}
}

enum vmx_exit_outcome vmx_exit_irq_window(struct vmx_vcpu *v)
{
	vmx_set_primary(v, CPU_BASED_INTR_WINDOW_EXITING, false);
	if (!v->base.irq_window_requested)
		return VMX_RESUME;
	v->base.irq_window_requested = false;
	return vmx_exit_to_user(v, VHM_EXIT_IRQ_WINDOW);
}

enum vmx_exit_outcome vmx_exit_nmi_window(struct vmx_vcpu *v)
{
	vmx_set_primary(v, CPU_BASED_NMI_WINDOW_EXITING, false);
	return VMX_RESUME;
}

enum vmx_exit_outcome vmx_exit_triple_fault(struct vmx_vcpu *v)
{
	v->base.run_state = VHM_RUN_STATE_SHUTDOWN;
	return vmx_exit_to_user(v, VHM_EXIT_SHUTDOWN);
}

enum vmx_exit_outcome vmx_exit_task_switch(struct vmx_vcpu *v)
{
	return vmx_exit_to_user(v, VHM_EXIT_TASK_SWITCH);
}
