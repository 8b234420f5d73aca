// SPDX-License-Identifier: GPL-2.0-only
/*
 * A halted vCPU's thread: watches for a moment, then sleeps until something may have changed.
 *
 * Sleeping and waking cost the host several microseconds, which the guest sees as latency. So
 * the thread first polls, for a time that adapts to whether events come soon; and for an event
 * whose time is known (APIC timer, deadline) it wakes up as much early as waking usually takes
 * and polls the rest. Both are bounded by the parameter halt_poll_ns, and stop as soon as
 * another thread wants the CPU.
 *
 * All of it runs in the vCPU's thread but the timer's callback; no lock.
 */
#include "vhm.h"

#include <linux/module.h>

#include "apic.h"

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "Longest time a halted vCPU polls before it sleeps, ns (0: never)");

#define FIRST_POLL_NS	10000u

static u64 ns_to_tsc(u64 ns)
{
	return mul_u64_u32_div(ns, tsc_khz, NSEC_PER_MSEC);
}

/* None where the guest polls itself and said so. */
static u64 longest_poll_tsc(const struct vhm_vcpu *vcpu)
{
	return vcpu->pv.msr[VHM_PV_POLL_CONTROL] ? ns_to_tsc(READ_ONCE(halt_poll_ns)) : 0;
}

static enum hrtimer_restart wake_timer_expired(struct hrtimer *timer)
{
	struct vhm_vcpu *vcpu = container_of(timer, struct vhm_vcpu, wake_timer);

	WRITE_ONCE(vcpu->wake_timer_fired, true);
	vhm_vcpu_kick(vcpu);
	return HRTIMER_NORESTART;
}

void vhm_halt_init(struct vhm_vcpu *vcpu)
{
	rcuwait_init(&vcpu->wait);
	hrtimer_init(&vcpu->wake_timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	vcpu->wake_timer.function = wake_timer_expired;
	vcpu->deadline_tsc = VHM_TSC_NEVER;
}

/* Early by as much as the host's clock is fast against the TSC, or by what is beyond 2^40 ms. */
void vhm_vcpu_arm_wake_timer(struct vhm_vcpu *vcpu, u64 tsc)
{
	u64 now = vhm_host_tsc(), ticks = tsc > now ? tsc - now : 0;

	if (tsc == VHM_TSC_NEVER)
		hrtimer_cancel(&vcpu->wake_timer);
	WRITE_ONCE(vcpu->wake_timer_fired, false);
	if (tsc == VHM_TSC_NEVER)
		return;
	ticks = min(ticks, BIT_ULL(40) * tsc_khz);
	hrtimer_start(&vcpu->wake_timer,
		      ktime_add_ns(ktime_get(), mul_u64_u32_div(ticks, NSEC_PER_MSEC, tsc_khz)),
		      HRTIMER_MODE_ABS);
}

/* True: there is a reason to go on. */
static bool poll(struct vhm_vcpu *vcpu, u64 until_tsc)
{
	do {
		if (vhm_should_wake(vcpu))
			return true;
		cpu_relax();
	} while (vhm_host_tsc() < until_tsc && !need_resched() && !signal_pending(current));
	return vhm_should_wake(vcpu);
}

/* As long as events come within the limit polling pays; one that came late says it does not. */
static void adapt_poll(struct vhm_vcpu *vcpu, u64 halted_tsc)
{
	u64 longest = longest_poll_tsc(vcpu);

	vcpu->poll_tsc = halted_tsc > longest ? 0 :
			 clamp(vcpu->poll_tsc * 2, min(ns_to_tsc(FIRST_POLL_NS), longest), longest);
}

/* When to begin to poll for an event whose time is known: a wake-up's latency before it. */
static u64 wake_tsc(struct vhm_vcpu *vcpu, u64 event_tsc)
{
	u64 early = min(vcpu->wake_latency_tsc, longest_poll_tsc(vcpu));

	return event_tsc == VHM_TSC_NEVER ? VHM_TSC_NEVER : event_tsc - min(early, event_tsc);
}

static void learn_wake_latency(struct vhm_vcpu *vcpu, u64 asked_tsc, u64 now)
{
	/* woken by something else */
	if (asked_tsc == VHM_TSC_NEVER || now < asked_tsc)
		return;
	vcpu->wake_latency_tsc += ((s64)(now - asked_tsc) - (s64)vcpu->wake_latency_tsc) / 4;
}

/**
 * vhm_halt() - wait until something may have changed
 * @vcpu: the vCPU, not runnable
 *
 * Return: 0, or -EINTR if the host wants the thread.
 */
int vhm_halt(struct vhm_vcpu *vcpu)
{
	bool halted = vcpu->run_state == VHM_RUN_STATE_HALTED;
	u64 event = halted ? vhm_vcpu_next_event_tsc(vcpu) : vcpu->deadline_tsc;
	u64 start = vhm_host_tsc(), wake = wake_tsc(vcpu, event), asleep;
	int ret = 0;

	/* an event that is due before a sleep would be over is polled for */
	if (poll(vcpu, wake <= start ? event : halted ? start + vcpu->poll_tsc : start))
		goto out;
	asleep = vhm_host_tsc();
	if (wake != VHM_TSC_NEVER)
		vhm_vcpu_arm_wake_timer(vcpu, wake);
	/* a timer that was early is set again by the next call, for what is left */
	ret = rcuwait_wait_event(&vcpu->wait, vhm_should_wake(vcpu) || signal_pending(current) ||
				 READ_ONCE(vcpu->wake_timer_fired), TASK_INTERRUPTIBLE);
	learn_wake_latency(vcpu, wake, vhm_host_tsc());
	if (wake != VHM_TSC_NEVER)
		vhm_vcpu_arm_wake_timer(vcpu, VHM_TSC_NEVER);
	/* the TSC of another CPU may be behind, and a quotient too large traps */
	vcpu->stats[VHM_STAT_HALT_NS] +=
		mul_u64_u32_div(max_t(s64, vhm_host_tsc() - asleep, 0), NSEC_PER_MSEC, tsc_khz);
out:
	if (halted)
		adapt_poll(vcpu, vhm_host_tsc() - start);
	return ret || signal_pending(current) ? -EINTR : 0;
}
