// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPU: creation, VHM_VCPU_RUN, requests. Sleeping in HLT is vhm/halt.c's.
 *
 * A vCPU is an ordinary thread inside VHM_VCPU_RUN; the host schedules it. A preempt
 * notifier takes its hardware state off a CPU and onto the next.
 */
#include "vhm.h"

#include "apic.h"
#include "compat.h"
#include "cpuid.h"

static void vcpu_sched_in(struct preempt_notifier *notifier, int cpu)
{
	struct vhm_vcpu *vcpu = container_of(notifier, struct vhm_vcpu, preempt_notifier);

	WRITE_ONCE(vcpu->preempted, false);
	vhm_pv_sched_in(vcpu);
	vhm_backend->vcpu_load(vcpu, cpu);
}

static void vcpu_sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct vhm_vcpu *vcpu = container_of(notifier, struct vhm_vcpu, preempt_notifier);

	/* not because it sleeps */
	if (vhm_task_is_runnable(current))
		WRITE_ONCE(vcpu->preempted, true);
	vhm_pv_sched_out(vcpu);
	vhm_backend->vcpu_unload(vcpu);
}

static struct preempt_ops vcpu_preempt_ops = {
	.sched_in = vcpu_sched_in, .sched_out = vcpu_sched_out,
};

/**
 * vhm_vcpu_load() - bind a vCPU's hardware state to the calling thread
 * @vcpu: the vCPU, mutex held
 *
 * Until vhm_vcpu_unload() it is current on whatever CPU the thread runs.
 */
void vhm_vcpu_load(struct vhm_vcpu *vcpu)
{
	vcpu->run_page_current = false;
	preempt_disable();
	preempt_notifier_register(&vcpu->preempt_notifier);
	vhm_backend->vcpu_load(vcpu, smp_processor_id());
	preempt_enable();
}

void vhm_vcpu_unload(struct vhm_vcpu *vcpu)
{
	preempt_disable();
	vhm_backend->vcpu_unload(vcpu);
	preempt_notifier_unregister(&vcpu->preempt_notifier);
	preempt_enable();
}

/**
 * vhm_vcpu_create() - add a vCPU
 * @vm: the VM, vm->lock held
 * @id: below VHM_MAX_VCPUS
 * @out: the vCPU, without a reference of its own: it lives as long as @vm
 *
 * Errors: EEXIST, ENOMEM, EIO VMX is off on this CPU.
 */
int vhm_vcpu_create(struct vhm_vm *vm, u32 id, struct vhm_vcpu **out)
{
	struct vhm_vcpu *vcpu;
	int ret;

	lockdep_assert_held(&vm->lock);
	if (xa_load(&vm->vcpus, id))
		return -EEXIST;
	vcpu = vhm_backend->vcpu_alloc(vm);
	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = id;
	mutex_init(&vcpu->mutex);
	spin_lock_init(&vcpu->pid_lock);
	spin_lock_init(&vcpu->wait_lock);
	vhm_halt_init(vcpu);
	preempt_notifier_init(&vcpu->preempt_notifier, &vcpu_preempt_ops);
	vcpu->run_state = id ? VHM_RUN_STATE_WAIT_INIT : VHM_RUN_STATE_RUNNABLE;
	ret = -ENOMEM;
	vcpu->run = (struct vhm_run *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		goto err;
	ret = vhm_apic_create(vcpu) ?: vhm_backend->vcpu_init(vcpu);
	if (ret)
		goto err;
	vhm_pv_init(vcpu, xa_load(&vm->vcpus, 0));
	/* from here on interrupts find it */
	ret = xa_err(xa_store(&vm->vcpus, id, vcpu, GFP_KERNEL_ACCOUNT));
	if (ret)
		goto err;
	llist_add(&vcpu->in_vm, &vm->all_vcpus);
	*out = vcpu;
	return 0;
err:
	vhm_vcpu_free(vcpu);
	return ret;
}

/* Nobody can reach it any more; a creation that failed halfway is fine. */
void vhm_vcpu_free(struct vhm_vcpu *vcpu)
{
	hrtimer_cancel(&vcpu->wake_timer);
	put_pid(vcpu->pid);
	vhm_apic_free(vcpu);
	kvfree(vcpu->cpuid);
	free_page((unsigned long)vcpu->run);
	vhm_backend->vcpu_free(vcpu);
}

/* What is not for the guest, and need not wait for an instruction of its that waits. */
static bool wanted_outside(const struct vhm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->vm->dead) ||
	       READ_ONCE(vcpu->requests) & (BIT(VHM_REQ_KICK) | BIT(VHM_REQ_INIT));
}

bool vhm_vcpu_wait_begin(struct vhm_vcpu *vcpu)
{
	/* pairs with smp_mb() in vhm_vcpu_kick() */
	smp_store_mb(vcpu->waiter, current);
	return !wanted_outside(vcpu);
}

void vhm_vcpu_wait_end(struct vhm_vcpu *vcpu)
{
	spin_lock_irq(&vcpu->wait_lock);
	vcpu->waiter = NULL;
	spin_unlock_irq(&vcpu->wait_lock);
}

/*
 * As set_notify_signal(), whose wake_up_state() is not exported. Under the lock, so that the flag
 * reaches no system call but VHM_VCPU_RUN, on whose way out it is cleared.
 */
static noinline void interrupt_wait(struct vhm_vcpu *vcpu)
{
	unsigned long flags;

	spin_lock_irqsave(&vcpu->wait_lock, flags);
	if (vcpu->waiter && wanted_outside(vcpu)) {
		set_tsk_thread_flag(vcpu->waiter, TIF_NOTIFY_SIGNAL);
		wake_up_process(vcpu->waiter);
	}
	spin_unlock_irqrestore(&vcpu->wait_lock, flags);
}

void vhm_vcpu_kick(struct vhm_vcpu *vcpu)
{
	int cpu;

	/*
	 * pairs with smp_store_mb() of vcpu->mode in the backend's entry, and of vcpu->waiter in
	 * vhm_vcpu_wait_begin()
	 */
	smp_mb();
	if (unlikely(READ_ONCE(vcpu->waiter)))
		interrupt_wait(vcpu);
	rcuwait_wake_up(&vcpu->wait);
	if (READ_ONCE(vcpu->mode) != VHM_IN_GUEST)
		return;
	/* with preemption off a CPU that is online stays so */
	preempt_disable();
	cpu = READ_ONCE(vcpu->cpu);
	/* else it is not there, or this interrupt has brought it out already */
	if (cpu >= 0 && cpu != smp_processor_id() && cpu_online(cpu))
		smp_send_reschedule(cpu);
	preempt_enable();
}

void vhm_vcpu_request(struct vhm_vcpu *vcpu, enum vhm_request request)
{
	set_bit(request, &vcpu->requests);
	vhm_vcpu_kick(vcpu);
}

void vhm_vcpu_nmi(struct vhm_vcpu *vcpu)
{
	atomic_add_unless(&vcpu->nmi_pending, 1, 2);
	vhm_vcpu_request(vcpu, VHM_REQ_NMI);
}

/* ------------------------------------------------------------ what wakes it -- */

bool vhm_should_wake(struct vhm_vcpu *vcpu)
{
	unsigned long requests = READ_ONCE(vcpu->requests);
	u64 next = vcpu->deadline_tsc;

	if (READ_ONCE(vcpu->vm->dead) ||
	    requests & (BIT(VHM_REQ_KICK) | BIT(VHM_REQ_INIT) | BIT(VHM_REQ_SIPI) |
			BIT(VHM_REQ_NMI)))
		return true;
	if (vcpu->run_state == VHM_RUN_STATE_HALTED) {
		/* a notification that came too late for the guest has been for us */
		if (requests & BIT(VHM_REQ_APIC) || vhm_apic_notified(vcpu->apic) ||
		    READ_ONCE(vcpu->pv.unhalted))
			return true;
		next = vhm_vcpu_next_event_tsc(vcpu);
	}
	return vhm_tsc_passed(next);
}

/* Take in what arrived; true if the guest is to go on. */
static bool woken_by_event(struct vhm_vcpu *vcpu)
{
	if (vcpu->run_state != VHM_RUN_STATE_HALTED)
		return false;
	clear_bit(VHM_REQ_NMI, &vcpu->requests);
	smp_mb__after_atomic();		/* before nmi_pending is read */
	vhm_apic_sync(vcpu->apic);
	/* a full barrier: who is to be seen by the guest has kicked before, or kicks again */
	if (!(READ_ONCE(vcpu->pv.unhalted) && xchg(&vcpu->pv.unhalted, false)) &&
	    !vhm_backend->has_deliverable_event(vcpu))
		return false;
	set_bit(VHM_REQ_APIC, &vcpu->requests);	/* the backend looks, too */
	vcpu->run_state = VHM_RUN_STATE_RUNNABLE;
	return true;
}

/*
 * The host wants this thread on its way to user mode: a signal is the VMM's business. All
 * else (task work, rseq) is the kernel's own, done by sending the thread to the edge of
 * user mode, where it finds the call to be restarted: the VMM never notices.
 */
static int vhm_host_work_result(void)
{
	if (task_sigpending(current))
		return -EINTR;
	/* restarted, unless a signal's handler comes first: then the caller gets EINTR */
	set_thread_flag(TIF_NOTIFY_SIGNAL);
	return -ERESTARTNOHAND;
}

/* True: the bootstrap processor restarts, which is for user space to know. */
static bool take_init(struct vhm_vcpu *vcpu)
{
	if (!vhm_request_test_clear(vcpu, VHM_REQ_INIT))
		return false;
	vhm_apic_reset(vcpu);
	vhm_pv_reset(vcpu);
	vhm_backend->vcpu_reset(vcpu);
	vcpu->run_state = vcpu->id ? VHM_RUN_STATE_WAIT_SIPI : VHM_RUN_STATE_RUNNABLE;
	return vcpu->id == 0;
}

/* A SIPI counts only for a vCPU that waits for one (SDM vol. 3, 9.4.2). */
static void take_sipi(struct vhm_vcpu *vcpu)
{
	if (!vhm_request_test_clear(vcpu, VHM_REQ_SIPI) ||
	    vcpu->run_state != VHM_RUN_STATE_WAIT_SIPI)
		return;
	vhm_backend->vcpu_sipi(vcpu, (u8)READ_ONCE(vcpu->sipi_vector));
	vcpu->run_state = VHM_RUN_STATE_RUNNABLE;
}

/* ----------------------------------------------------------------- running -- */

/* What user space asked for in the run page, each field read once. */
struct run_request {
	u32 request, retire_bytes, interrupt_vector;
	u64 deadline_tsc;
	bool inject;
};

#define KNOWN_REQUESTS	(VHM_RUN_SET_REGISTERS | VHM_RUN_RETURN | VHM_RUN_IRQ_WINDOW | \
			 VHM_RUN_INTERRUPT)
#define INSN_BYTES_MAX	15

static int read_request(struct vhm_run *run, struct run_request *out)
{
	*out = (struct run_request) {
		.request = READ_ONCE(run->request),
		.retire_bytes = READ_ONCE(run->retire_bytes),
		.interrupt_vector = READ_ONCE(run->interrupt_vector),
		.deadline_tsc = READ_ONCE(run->deadline_tsc),
		.inject = READ_ONCE(run->inject.flags),
	};
	if (out->request & ~KNOWN_REQUESTS || out->retire_bytes > INSN_BYTES_MAX ||
	    (out->request & VHM_RUN_INTERRUPT && out->interrupt_vector > 255))
		return -EINVAL;
	WRITE_ONCE(run->request, 0);
	WRITE_ONCE(run->retire_bytes, 0);
	return 0;
}

/* Nothing is asked for but to come back, and what the run page says of the guest still holds. */
static bool only_return(const struct vhm_vcpu *vcpu)
{
	const struct vhm_run *run = vcpu->run;

	return READ_ONCE(run->request) == VHM_RUN_RETURN && !READ_ONCE(run->retire_bytes) &&
	       !READ_ONCE(run->inject.flags) && vcpu->run_page_current;
}

static void read_registers(struct vhm_vcpu *vcpu, bool known)
{
	u64 rip = vcpu->regs.rip, rsp = vcpu->regs.rsp, rflags = vcpu->regs.rflags;

	memcpy(&vcpu->regs, &vcpu->run->regs, sizeof(vcpu->regs));
	barrier();		/* the copy is the truth; user space may write on */
	if (!known || rip != vcpu->regs.rip || rsp != vcpu->regs.rsp || rflags != vcpu->regs.rflags)
		vhm_backend->registers_changed(vcpu);
}

static noinline int inject_requested(struct vhm_vcpu *vcpu)
{
	struct vhm_run *run = vcpu->run;
	struct vhm_event event;

	memcpy(&event, &run->inject, sizeof(event));
	barrier();		/* from here on the copy alone counts */
	WRITE_ONCE(run->inject.flags, 0);
	return vhm_backend->inject_exception(vcpu, &event);
}

/*
 * The pending requests of user space, before the guest runs. @known: vcpu->regs is what the
 * hardware has.
 */
static int apply_request(struct vhm_vcpu *vcpu, const struct run_request *r, bool known)
{
	int ret = 0;

	if (r->request & VHM_RUN_SET_REGISTERS)
		read_registers(vcpu, known);
	if (r->retire_bytes)
		vhm_backend->retire(vcpu, r->retire_bytes);
	if (unlikely(r->inject))
		ret = inject_requested(vcpu);
	if (!ret && r->request & VHM_RUN_INTERRUPT)
		ret = vhm_backend->inject_extint(vcpu, r->interrupt_vector);
	if (!ret && r->request & VHM_RUN_IRQ_WINDOW)
		vcpu->irq_window_requested = true;
	return ret;
}

static int to_user(struct vhm_vcpu *vcpu, enum vhm_exit_reason reason)
{
	vcpu->run->exit_reason = reason;
	vcpu->run->insn_bytes = 0;
	return 1;
}

/*
 * Between inner loops: INIT, SIPI, kick, sleep. 0: run_state is RUNNABLE, enter the
 * guest. 1: back to user space, exit_reason is set. -EINTR, -ERESTARTNOHAND, -EIO.
 */
static int become_runnable(struct vhm_vcpu *vcpu)
{
	for (;;) {
		/* senders of INIT, SIPI and NMI can have this go round without a sleep */
		cond_resched();
		if (READ_ONCE(vcpu->vm->dead))
			return -EIO;
		if (vhm_tsc_passed(vcpu->deadline_tsc))
			return to_user(vcpu, VHM_EXIT_DEADLINE);
		if (vhm_request_test_clear(vcpu, VHM_REQ_STEP)) {
			vcpu->run->exception = (struct vhm_event) {
				.flags = VHM_EVENT_VALID | VHM_EVENT_HAS_PAYLOAD, .vector = 1,
				.payload = BIT(14),	/* BS */
			};
			return to_user(vcpu, VHM_EXIT_EXCEPTION);
		}
		if (vhm_request_test_clear(vcpu, VHM_REQ_KICK))
			return to_user(vcpu, VHM_EXIT_KICKED);
		if (take_init(vcpu))
			return to_user(vcpu, VHM_EXIT_RESET);
		take_sipi(vcpu);
		if (vcpu->run_state == VHM_RUN_STATE_RUNNABLE)
			return 0;
		if (vcpu->run_state == VHM_RUN_STATE_SHUTDOWN)
			return to_user(vcpu, VHM_EXIT_SHUTDOWN);
		if (woken_by_event(vcpu))
			return 0;
		/* a halted guest can take an interrupt, and stays halted if none comes */
		if (vcpu->run_state == VHM_RUN_STATE_HALTED && vcpu->irq_window_requested &&
		    vhm_backend->irq_window_open(vcpu)) {
			vcpu->irq_window_requested = false;
			return to_user(vcpu, VHM_EXIT_IRQ_WINDOW);
		}
		/* HALTED has looked already, and an NMI that came since must wake it */
		if (vcpu->run_state != VHM_RUN_STATE_HALTED)
			clear_bit(VHM_REQ_NMI, &vcpu->requests);
		if (vhm_halt(vcpu))
			return vhm_host_work_result();
	}
}

static int run_loop(struct vhm_vcpu *vcpu)
{
	for (;;) {
		int ret;

		switch (vhm_backend->run(vcpu)) {
		case VHM_RUN_TO_USER:
			return 0;
		case VHM_RUN_INTERRUPTED:
			return vhm_host_work_result();
		case VHM_RUN_STOPPED:
			return -EIO;
		case VHM_RUN_NOT_RUNNABLE:
			break;
		}
		ret = become_runnable(vcpu);
		if (ret)
			return min(ret, 0);
		/* it has slept; the backend would prepare an entry before it finds out */
		if (vhm_request_test_clear(vcpu, VHM_REQ_PV))
			vhm_pv_update(vcpu);
	}
}

static void report(struct vhm_vcpu *vcpu, int ret)
{
	struct vhm_run *run = vcpu->run;

	if (ret == -EINTR || ret == -ERESTARTNOHAND)
		to_user(vcpu, VHM_EXIT_INTERRUPTED);
	/* not where VMX has gone off under us: what would be read is nothing of the guest's */
	if (READ_ONCE(vcpu->cpu) >= 0) {
		vhm_backend->registers_complete(vcpu);
		run->regs = vcpu->regs;
		run->irq_window = vhm_backend->irq_window_open(vcpu);
		vcpu->run_page_current = true;
	}
	vcpu->stats[VHM_STAT_USER_EXITS]++;
}

/* As the VMM reads the TSC; 0: none */
static u64 deadline_to_host(u64 tsc)
{
	return tsc && tsc < VHM_TSC_NEVER - vhm_tsc_lost ? tsc + vhm_tsc_lost : VHM_TSC_NEVER;
}

static noinline int run_as_requested(struct vhm_vcpu *vcpu)
{
	bool known = vcpu->run_page_current;
	struct run_request request;
	int ret = read_request(vcpu->run, &request);

	if (ret)
		return ret;
	vcpu->deadline_tsc = deadline_to_host(request.deadline_tsc);
	vhm_vcpu_load(vcpu);
	ret = apply_request(vcpu, &request, known);
	if (!ret && request.request & VHM_RUN_RETURN) {
		to_user(vcpu, VHM_EXIT_KICKED);
	} else if (!ret) {
		vhm_vcpu_note_thread(vcpu);
		vhm_backend->swap_fpu(vcpu, true);
		ret = run_loop(vcpu);
		vhm_backend->swap_fpu(vcpu, false);
	}
	report(vcpu, ret);
	vhm_vcpu_unload(vcpu);
	return ret;
}

/**
 * vhm_vcpu_run() - VHM_VCPU_RUN
 * @vcpu: the vCPU, mutex held, current->mm is the VM's
 *
 * Errors: EINTR, EINVAL, EBUSY, EIO.
 */
int vhm_vcpu_run(struct vhm_vcpu *vcpu)
{
	if (!only_return(vcpu))
		return run_as_requested(vcpu);
	WRITE_ONCE(vcpu->run->request, 0);
	to_user(vcpu, VHM_EXIT_KICKED);
	return 0;
}
