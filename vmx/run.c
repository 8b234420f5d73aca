// SPDX-License-Identifier: GPL-2.0-only
/*
 * The inner loop: enter, exit, handle, enter again, until something is the core's or
 * user space's business.
 *
 * The kick race is closed here: vcpu->mode says IN_GUEST before the requests and the
 * host's pending work are checked for the last time, and who raises a request looks at
 * the mode afterwards (vhm_vcpu_kick()).
 */
#include "vmx.h"

#include <linux/context_tracking.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/tick.h>
#include <linux/vtime.h>
#include <asm/mce.h>
#include <asm/ptrace.h>

#include "enter.h"
#include "work.h"
#include "vhm/trace.h"

static_assert(offsetof(struct vmx_entry_args, regs) == ARGS_REGS);
static_assert(offsetof(struct vmx_entry_args, host_rsp) == ARGS_HOST_RSP);
static_assert(offsetof(struct vmx_entry_args, guest_spec_ctrl) == ARGS_GUEST_SPEC_CTRL);
static_assert(offsetof(struct vmx_entry_args, host_spec_ctrl) == ARGS_HOST_SPEC_CTRL);
static_assert(offsetof(struct vhm_registers, r15) == 15 * 8);

void vmx_registers_changed(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	vmx_set_rip(v, vcpu->regs.rip);
	vmx_set_rflags(v, vcpu->regs.rflags);
	vmwrite(GUEST_RSP, vcpu->regs.rsp);
	vmx_settle_shadow(v);
}

void vmx_registers_complete(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	vmx_rip(v);
	vmx_rflags(v);
	vcpu->regs.rsp = vmread(GUEST_RSP);
}

/* ------------------------------------------------------------ entering -- */

static noinline void flush_translations(struct vmx_vcpu *v, u64 generation)
{
	if (v->ept_generation != generation) {
		vmx_follow_tables(v);
		invept(VMX_EPT_EXTENT_CONTEXT, v->ept_pointer);
		v->ept_generation = generation;
		v->base.stats[VHM_STAT_TLB_FLUSHES]++;
	}
	if (v->vpid_stale) {
		v->vpid_stale = false;
		if (v->vpid) {
			invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, v->vpid);
			v->base.stats[VHM_STAT_TLB_FLUSHES]++;
		}
	}
}

/* INVEPT if the tables shrank since this vCPU last did it on this CPU (ept/ept.h). */
static void flush_stale_translations(struct vmx_vcpu *v)
{
	u64 generation = READ_ONCE(to_vmx_vm(v->base.vm)->ept.generation);

	if (unlikely(v->ept_generation != generation || v->vpid_stale))
		flush_translations(v, generation);
}

static void write_dirty_registers(struct vmx_vcpu *v)
{
	if (v->rip_dirty)
		vmwrite(GUEST_RIP, v->base.regs.rip);
	if (v->rflags_dirty)
		vmwrite(GUEST_RFLAGS, v->base.regs.rflags);
	v->rip_dirty = false;
	v->rflags_dirty = false;
	v->rip_read = false;
	v->rflags_read = false;
}

static void read_exit_facts(struct vmx_vcpu *v, int failed)
{
	u32 reason;

	v->facts.qualification_read = false;
	if (unlikely(failed)) {
		v->facts.reason = ~0u;
		return;
	}
	/* bits 16-30 say more of the exit, from an enclave for one: nothing asks (25.9.1) */
	reason = vmread(VM_EXIT_REASON) & (VMX_EXIT_REASONS_FAILED_VMENTRY | U16_MAX);
	v->facts.reason = reason;
	/* a launch that failed on the guest's state leaves the VMCS clear (27.8) */
	if (unlikely(reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return;
	v->launched = true;
	v->injected = 0;
}

/*
 * To the host a guest is user code, whatever it ran: an error it has consumed is the
 * VMM's, not a reason to panic.
 */
static noinline void serve_machine_check(void)
{
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
}

/*
 * An NMI that arrived in the guest is blocked until the next IRET (SDM vol. 3, 28.3):
 * INT 2 runs the host's handler as if it had arrived here, and its IRET unblocks. Before
 * anything else, since the IRET of any exception would unblock too early.
 */
static void serve_nmi(struct vmx_vcpu *v)
{
	if (v->facts.reason == EXIT_REASON_EXCEPTION_NMI &&
	    (vmread(VM_EXIT_INTR_INFO) & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		asm volatile("int $2" : : : "memory");
}

static void serve_host_events(struct vmx_vcpu *v)
{
	u32 info;

	if (v->facts.reason == EXIT_REASON_EXTERNAL_INTERRUPT) {
		/*
		 * To RCU the guest is what user mode is. Its tick finds this thread in the kernel
		 * and learns of the stay in the guest here.
		 */
		if (!context_tracking_enabled_this_cpu())
			rcu_note_context_switch(false);
		/* acknowledged by the exit: its handler is ours to call (28.5.3, 33.2) */
		info = (u32)vmread(VM_EXIT_INTR_INFO);
		if (info & INTR_INFO_VALID_MASK)
			vmx_call_interrupt(vmx_host_interrupt(info & INTR_INFO_VECTOR_MASK));
	} else if (v->facts.reason == EXIT_REASON_EXCEPTION_NMI) {
		info = (u32)vmread(VM_EXIT_INTR_INFO);
		if ((info & (INTR_INFO_INTR_TYPE_MASK | INTR_INFO_VECTOR_MASK)) ==
		    (INTR_TYPE_HARD_EXCEPTION | X86_TRAP_MC))
			serve_machine_check();
	} else if (v->facts.reason ==
		   (EXIT_REASON_MCE_DURING_VMENTRY | VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		serve_machine_check();
	}
}

static unsigned int entry_flags(struct vmx_vcpu *v)
{
	unsigned int flags = v->launched ? VMX_ENTER_RESUME : 0;

	if (!cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		return flags;
	v->args.host_spec_ctrl = this_cpu_read(x86_spec_ctrl_current);
	if (v->args.guest_spec_ctrl != v->args.host_spec_ctrl)
		flags |= VMX_ENTER_SWAP_SPEC_CTRL;
	if (v->spec_ctrl_passthrough)
		flags |= VMX_ENTER_SPEC_CTRL;
	if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS))
		flags |= VMX_ENTER_FORCE_SPEC_CTRL;
	return flags;
}

/* Requests that must be looked at before an entry, beyond those of the APIC. */
#define CORE_REQUESTS	(BIT(VHM_REQ_KICK) | BIT(VHM_REQ_INIT) | BIT(VHM_REQ_SIPI) | \
			 BIT(VHM_REQ_STEP))

/* Nobody wants this thread, and the next entry has nothing to deliver. */
static bool nothing_wanted(struct vmx_vcpu *v)
{
	return !READ_ONCE(v->base.requests) &&
	       !(read_thread_flags() & (VHM_HOST_WORK | _TIF_NEED_RESCHED)) &&
	       !READ_ONCE(v->base.vm->dead);
}

/*
 * The stay in the guest ends when the APIC's timer expires or the VMM's deadline comes. The
 * timer counts down each time the TSC's bit preemption_timer_shift changes (SDM vol. 3, 26.5.1),
 * so it may be early by a part of that; and a longer time is had in pieces.
 */
static noinline void set_preemption_timer(struct vmx_vcpu *v)
{
	u64 next = vhm_vcpu_next_event_tsc(&v->base), count = U32_MAX, now;

	if (!vmx_caps.preemption_timer)
		return;
	if (next != VHM_TSC_NEVER) {
		now = vhm_host_tsc();
		count = next <= now ? 0 : ((next - now) >> vmx_caps.preemption_timer_shift) + 1;
		count = min_t(u64, count, U32_MAX);
	}
	v->preemption_timer = count;
	vmwrite(VMX_PREEMPTION_TIMER_VALUE, count);
}

/* A processor without it: the host's timer interrupts the guest. */
static void set_host_timer(struct vmx_vcpu *v)
{
	u64 next = vhm_vcpu_next_event_tsc(&v->base);

	if (next == v->armed_tsc && !READ_ONCE(v->base.wake_timer_fired))
		return;
	v->armed_tsc = next;
	vhm_vcpu_arm_wake_timer(&v->base, next);
}

/* Into the guest and back, the state of both as the rest of this file leaves it. */
static void switch_worlds(struct vmx_vcpu *v)
{
	unsigned int flags = entry_flags(v);
	int failed;

	write_dirty_registers(v);
	flush_stale_translations(v);
	if (v->preemption_timer != U32_MAX || vhm_vcpu_has_next_event(&v->base))
		set_preemption_timer(v);
	trace_vhm_entry(&v->base);
	vmx_speculation_before_entry(v);
	context_tracking_guest_enter();
	if (unlikely(native_read_cr2() != v->cr2))
		native_write_cr2(v->cr2);

	failed = vmx_enter(&v->args, flags);

	v->cr2 = native_read_cr2();
	vmx_speculation_after_exit();
	context_tracking_guest_exit();
	read_exit_facts(v, failed);
	serve_nmi(v);
	v->base.stats[VHM_STAT_EXITS]++;
}

/*
 * Enters until there is an exit that vmx_exit_at_once() leaves to others, or somebody wants
 * this thread. Interrupts off, mode IN_GUEST. An interrupt of the host's that comes
 * meanwhile ends the next stay in the guest before its first instruction.
 */
static enum vmx_exit_outcome enter_guest(struct vmx_vcpu *v)
{
	enum vmx_exit_outcome outcome;

	vmx_entry_state_load(v);
	vtime_account_guest_enter();
	do {
		switch_worlds(v);
		/* an offer is settled before the local APIC may be looked at */
		outcome = unlikely(v->base.pv.eoi_offered) ? VMX_LATER : vmx_exit_at_once(v);
	} while (outcome == VMX_RESUME && nothing_wanted(v) &&
		 !(v->exception.flags & VHM_EVENT_VALID));
	vmx_entry_state_restore(v);
	/* before an interrupt's handler may tell others that this CPU has left the guest */
	if (unlikely(v->secondary & SECONDARY_EXEC_ENABLE_PML))
		vmx_empty_log(v);
	if (outcome == VMX_LATER)
		serve_host_events(v);
	vtime_account_guest_exit();
	return outcome;
}

/* Interrupts off: what the entry delivers, and what the processor is to tell us of. */
static void prepare_events(struct vmx_vcpu *v)
{
	if (likely(v->secondary & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY &&
		   !READ_ONCE(v->base.requests) && !vmx_has_events(v) &&
		   !vhm_apic_notified(v->base.apic) &&
		   !vhm_tsc_passed(v->base.apic->timer_target_tsc)))
		return;
	vmx_apic_before_entry(v);
	vmx_inject_pending(v);
}

/* VMX_NOT_ENTERED: something wants this thread first. */
static enum vmx_exit_outcome try_enter(struct vmx_vcpu *v)
{
	enum vmx_exit_outcome outcome = VMX_NOT_ENTERED;

	if (!vmx_caps.preemption_timer)
		set_host_timer(v);
	preempt_disable();
	local_irq_disable();
	/* VMX is off, or went off since the vCPU was loaded */
	if (unlikely(READ_ONCE(v->base.cpu) != smp_processor_id()))
		goto out;
	if (!v->host.loaded)
		vmx_guest_state_load(v);
	/* pairs with smp_mb() in vhm_vcpu_kick() and in vhm_vm_flush_guest_cpus() */
	smp_store_mb(v->base.mode, VHM_IN_GUEST);

	prepare_events(v);
	tick_nohz_user_enter_prepare();
	/* a host's timer that fired since set_host_timer() is due, or was early and is set again */
	if (likely(nothing_wanted(v) &&
		   (vmx_caps.preemption_timer || !READ_ONCE(v->base.wake_timer_fired)))) {
		v->base.has_run = true;
		outcome = enter_guest(v);
	} else {
		vmx_cancel_injection(v);
	}

	/* whoever waits for us to leave the guest sees what was done in it */
	smp_store_release(&v->base.mode, VHM_OUTSIDE_GUEST);
out:
	local_irq_enable();
	preempt_enable();
	return outcome;
}

/* VMX is off on this CPU: it did not come back from suspend, or the host goes down. */
static void wait_for_vmx(struct vhm_vcpu *vcpu)
{
	schedule_timeout_killable(1);
	preempt_disable();
	vmx_vcpu_load(vcpu, smp_processor_id());
	preempt_enable();
}

#define GO_ON	(-1)

/* GO_ON, or the enum vhm_run_outcome that ends the inner loop. */
static noinline int serve_wants(struct vmx_vcpu *v)
{
	struct vhm_vcpu *vcpu = &v->base;

	if (READ_ONCE(vcpu->vm->dead))
		return VHM_RUN_STOPPED;
	if (need_resched())
		schedule();
	if (read_thread_flags() & VHM_HOST_WORK && vmx_do_host_work())
		return VHM_RUN_INTERRUPTED;
	if (READ_ONCE(vcpu->requests) & CORE_REQUESTS)
		return VHM_RUN_NOT_RUNNABLE;
	if (vhm_request_test_clear(vcpu, VHM_REQ_PV))
		vhm_pv_update(vcpu);
	if (READ_ONCE(vcpu->cpu) < 0)
		wait_for_vmx(vcpu);
	return GO_ON;
}

static enum vhm_run_outcome report_level_eoi(struct vmx_vcpu *v)
{
	vmx_exit_to_user(v, VHM_EXIT_EOI);
	v->base.run->eoi = (struct vhm_exit_eoi) { .vector = v->base.apic->level_eoi };
	v->base.apic->level_eoi = -1;
	return VHM_RUN_TO_USER;
}

static enum vhm_run_outcome run_loop(struct vmx_vcpu *v)
{
	struct vhm_vcpu *vcpu = &v->base;

	for (;;) {
		enum vmx_exit_outcome outcome;
		int why;

		/* what this thread alone changes; try_enter() looks at all else */
		if (unlikely(vcpu->run_state != VHM_RUN_STATE_RUNNABLE ||
			     vhm_tsc_passed(vcpu->deadline_tsc)))
			return VHM_RUN_NOT_RUNNABLE;
		if (unlikely(vcpu->apic->level_eoi >= 0))
			return report_level_eoi(v);
		outcome = try_enter(v);
		if (unlikely(vcpu->pv.eoi_offered))
			vhm_pv_eoi_settle(vcpu);
		if (outcome == VMX_LATER)
			outcome = vmx_handle_exit(v);
		if (unlikely(this_cpu_read(vmx_vmread_failures)))
			vmx_report_vmread_failures(v);
		switch (outcome) {
		case VMX_NOT_ENTERED:
			why = serve_wants(v);
			if (why != GO_ON)
				return why;
			break;
		case VMX_RESUME:
			break;
		case VMX_NOT_RUNNABLE:
			return VHM_RUN_NOT_RUNNABLE;
		case VMX_SIGNAL:
			return VHM_RUN_INTERRUPTED;
		default:
			return VHM_RUN_TO_USER;
		}
	}
}

enum vhm_run_outcome vmx_run(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	enum vhm_run_outcome outcome;

	v->armed_tsc = VHM_TSC_NEVER;
	outcome = run_loop(v);
	if (v->armed_tsc != VHM_TSC_NEVER)
		vhm_vcpu_arm_wake_timer(vcpu, VHM_TSC_NEVER);
	return outcome;
}
