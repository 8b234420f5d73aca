// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the VMM wants to see of its guest: exceptions, single steps, breakpoints
 * (VHM_VCPU_SET_CONTROL); and the guest's debug registers, which its breakpoints displace.
 *
 * Under vcpu->mutex, with the VMCS current. While the VMM's breakpoints are in force, MOV DR exits
 * and the guest's registers are v->db, v->dr6 and v->dr7; else DR7 is in the VMCS. Loading the
 * registers is in vmx/switch.c, delivery of the guest's own #DB in vmx/inject.c.
 */
#include "vmx.h"

#include <asm/debugreg.h>

#define HOST_VECTORS	(BIT(X86_TRAP_NMI) | BIT(X86_TRAP_MC))

#define DR6_BD		BIT_ULL(13)
#define DR7_FIXED	BIT_ULL(10)
#define DR7_GD		BIT_ULL(13)
#define DR7_GUEST	0xffff2bffull
#define DR7_VMM		0xffff07ffull		/* not GD and RTM */
#define PENDING_ENABLED	BIT_ULL(12)		/* a hit of one that is enabled (25.4.2) */

/* SDM vol. 3, table 28-4, Exit Qualification for MOV DR */
#define DR_NUMBER(q)	((q) & 7)
#define DR_IS_READ(q)	((q) & BIT(4))
#define DR_REGISTER(q)	(((q) >> 8) & 15)

/* ---------------------------------------------- the guest's debug registers -- */

u64 vmx_read_dr7(struct vmx_vcpu *v)
{
	return vmx_has_breakpoints(v) ? v->dr7 : vmread(GUEST_DR7);
}

void vmx_write_dr7(struct vmx_vcpu *v, u64 dr7)
{
	dr7 = (dr7 & DR7_GUEST) | DR7_FIXED;
	if (vmx_has_breakpoints(v))
		v->dr7 = dr7;
	else
		vmwrite(GUEST_DR7, dr7);
}

/* DR0-DR3, DR6 and DR7, where they are displaced */
static u64 *displaced(struct vmx_vcpu *v, u32 number)
{
	return number < 4 ? &v->db[number] : number == 6 ? &v->dr6 : &v->dr7;
}

/*
 * MOV DR in the VMM's shadow. The exit comes before the processor's checks of CPL and CR4.DE
 * (SDM vol. 3, 26.1.3, Instructions That Cause VM Exits Conditionally).
 */
static enum vmx_exit_outcome move_displaced(struct vmx_vcpu *v)
{
	const struct vhm_event detected = vmx_debug_event(DR6_BD);
	u64 qualification = vmx_qualification(v), value;
	u32 number = DR_NUMBER(qualification);

	if (vmx_cpl())
		return vmx_queue_gp(v);
	if ((number & 6) == 4) {	/* DR4 and DR5 are DR6 and DR7, or nothing */
		if (vmx_read_cr4(v) & X86_CR4_DE)
			return vmx_queue_ud(v);
		number |= 2;
	}
	if (v->dr7 & DR7_GD) {
		vmx_inject_exception(&v->base, &detected);
		return VMX_RESUME;
	}
	if (DR_IS_READ(qualification)) {
		vmx_write_gpr(v, DR_REGISTER(qualification), *displaced(v, number));
		return vmx_skip_insn(v);
	}
	value = vmx_read_gpr(v, DR_REGISTER(qualification));
	if (!(vmread(GUEST_CS_AR_BYTES) & BIT(13)))
		value = (u32)value;
	if (number > 3 && value >> 32)
		return vmx_queue_gp(v);
	if (number == 6)
		value = (value & DR6_CAUSES) | DR6_RESERVED;
	if (number == 7)
		value = (value & DR7_GUEST) | DR7_FIXED;
	*displaced(v, number) = value;
	return vmx_skip_insn(v);
}

/*
 * First use of a debug register: from here on the guest has them, and they are switched at
 * each entry and exit.
 */
enum vmx_exit_outcome vmx_exit_dr(struct vmx_vcpu *v)
{
	if (vmx_has_breakpoints(v))
		return move_displaced(v);
	v->debug_live = true;
	vmx_set_primary(v, CPU_BASED_MOV_DR_EXITING, false);
	return VMX_RESUME;
}

/* --------------------------------------------------------------- reporting -- */

enum vmx_exit_outcome vmx_report_exception(struct vmx_vcpu *v, const struct vhm_event *event)
{
	v->base.run->exception = *event;
	return vmx_exit_to_user(v, VHM_EXIT_EXCEPTION);
}

/* One that is in control.exceptions, as vhm_run.inject takes it back. */
enum vmx_exit_outcome vmx_exit_wanted_exception(struct vmx_vcpu *v, u32 info)
{
	u32 type = info & INTR_INFO_INTR_TYPE_MASK;
	struct vhm_event event = vmx_exception_event(info, (u32)vmread(VM_EXIT_INTR_ERROR_CODE));

	if (event.vector == X86_TRAP_DB && type != INTR_TYPE_PRIV_SW_EXCEPTION)
		event = vmx_debug_event(vmx_qualification(v) & DR6_CAUSES);
	if (event.vector == X86_TRAP_PF) {
		event.flags |= VHM_EVENT_HAS_PAYLOAD;
		event.payload = vmx_qualification(v);
	}
	vmx_report_exception(v, &event);
	if (type == INTR_TYPE_SOFT_EXCEPTION || type == INTR_TYPE_PRIV_SW_EXCEPTION)
		v->base.run->insn_bytes = vmx_insn_bytes(v);
	return VMX_TO_USER;
}

/*
 * Moves the hits of the VMM's breakpoints out of @causes, bits of DR6. The processor sets bits of
 * breakpoints that are not enabled, too; and none of these four can be the guest's.
 */
u64 vmx_take_hits(struct vmx_vcpu *v, u64 *causes)
{
	u64 hits = 0;

	if (!vmx_has_breakpoints(v))
		return 0;
	for (u32 i = 0; i < 4; i++)
		if (*causes & BIT(i) && v->control.dr7 & (3u << (2 * i)))
			hits |= BIT(i);
	*causes &= ~(u64)DR_TRAP_BITS;
	return hits;
}

/* Pending debug exceptions of the guest's own (SDM vol. 3, 25.4.2, Guest Non-Register State) */
u64 vmx_pending_debug(struct vmx_vcpu *v)
{
	u64 pending = vmread(GUEST_PENDING_DBG_EXCEPTIONS);

	return vmx_has_breakpoints(v) ? pending & ~(DR_TRAP_BITS | PENDING_ENABLED) : pending;
}

/*
 * SDM vol. 3, 26.5.2, Monitor Trap Flag. A data breakpoint of the same instruction is still
 * pending: it is told with the step.
 */
enum vmx_exit_outcome vmx_exit_step(struct vmx_vcpu *v)
{
	u64 pending = vmread(GUEST_PENDING_DBG_EXCEPTIONS);
	const struct vhm_event event = vmx_debug_event(vmx_take_hits(v, &pending) | DR_STEP);

	if (vmx_has_breakpoints(v))
		vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, vmx_pending_debug(v));
	return vmx_report_exception(v, &event);
}

/*
 * Before an entry for a single step: blocking by STI keeps interrupts away from the one
 * instruction, so that a step does not end in a handler. What woke the guest from HLT or was
 * on its way before the step may come, and a guest that steps itself is left alone: its own
 * trap would have to be pending (27.3.1.5).
 */
void vmx_hold_interrupts(struct vmx_vcpu *v)
{
	u64 blocking = vmread(GUEST_INTERRUPTIBILITY_INFO);

	if (v->injected || v->parked || v->exception.flags & VHM_EVENT_VALID ||
	    (u16)v->facts.reason == EXIT_REASON_HLT)
		return;
	if (blocking & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS) ||
	    (vmx_rflags(v) & (X86_EFLAGS_IF | X86_EFLAGS_TF)) != X86_EFLAGS_IF)
		return;
	vmwrite(GUEST_INTERRUPTIBILITY_INFO, blocking | GUEST_INTR_STATE_STI);
}

/* ----------------------------------------------------------------- control -- */

static int check_control(const struct vhm_vcpu_control *control)
{
	if (control->flags & ~(VHM_CONTROL_SINGLE_STEP | VHM_CONTROL_BREAKPOINTS) ||
	    control->reserved || control->exceptions & HOST_VECTORS || control->dr7 & ~DR7_VMM ||
	    (!(control->flags & VHM_CONTROL_BREAKPOINTS) &&
	     (control->dr7 || memchr_inv(control->breakpoint, 0, sizeof(control->breakpoint)))))
		return -EINVAL;
	return control->flags & VHM_CONTROL_SINGLE_STEP && !vmx_caps.single_step ? -EOPNOTSUPP : 0;
}

int vmx_set_control(struct vhm_vcpu *vcpu, const struct vhm_vcpu_control *control)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	int ret = check_control(control);
	u64 dr7, pending;

	if (ret)
		return ret;
	dr7 = vmx_read_dr7(v);
	pending = vmx_pending_debug(v);
	v->control = *control;
	vmx_set_primary(v, CPU_BASED_MONITOR_TRAP_FLAG, control->flags & VHM_CONTROL_SINGLE_STEP);
	/* loaded at the next entry; a guest without breakpoints loses them again at its exit */
	v->debug_live = true;
	vmx_set_primary(v, CPU_BASED_MOV_DR_EXITING, true);
	vmx_write_dr7(v, dr7);
	if (vmx_has_breakpoints(v))
		vmwrite(GUEST_DR7, control->dr7 | DR7_FIXED);
	vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, pending);
	vmwrite(EXCEPTION_BITMAP, VMX_HOST_EXCEPTIONS | control->exceptions);
	clear_bit(VHM_REQ_STEP, &vcpu->requests);
	return 0;
}
