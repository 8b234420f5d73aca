// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer (SDM vol. 3, 10.5.4, APIC Timer).
 *
 * Owns the hrtimer of a vCPU, the timer's fields of struct vhm_apic, and the initial
 * and current count registers. One hrtimer serves the three modes. Its callback only
 * raises VHM_REQ_TIMER; the expiry itself is carried out by the vCPU's thread
 * (lapic_timer_poll()), which also sets a periodic timer again. So a vCPU that does
 * not run costs the host nothing, and no lock is needed: everything here but the
 * callback runs in the vCPU's thread.
 *
 * Invariant: while timer_target is not 0, either the hrtimer is queued for it or
 * VHM_REQ_TIMER is (about to be) raised.
 *
 * Does not move the hrtimer after its vCPU to another CPU: the callback's kick crosses.
 */
#include "apic_internal.h"

#include <linux/ktime.h>
#include <asm/tsc.h>

static enum hrtimer_restart timer_callback(struct hrtimer *timer)
{
	struct vhm_apic *apic = container_of(timer, struct vhm_apic, timer);

	vhm_vcpu_request(apic->vcpu, VHM_REQ_TIMER);
	return HRTIMER_NORESTART;
}

void lapic_timer_init(struct vhm_apic *apic)
{
	hrtimer_init(&apic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	apic->timer.function = timer_callback;
}

static bool counts(u32 mode)
{
	return mode == APIC_LVT_TIMER_ONESHOT || mode == APIC_LVT_TIMER_PERIODIC;
}

/* the guest's period: what the initial count and the divisor say */
static u64 period_ns(const struct vhm_apic *apic)
{
	return lapic_ticks_to_ns(lapic_get(apic, APIC_TMICT), apic->timer_divide_lg2);
}

static void refresh_interval(struct vhm_apic *apic)
{
	apic->timer_period_ns = apic->timer_mode == APIC_LVT_TIMER_PERIODIC ?
				lapic_periodic_interval_ns(period_ns(apic)) : 0;
}

static void arm(struct vhm_apic *apic, ktime_t now, u64 delay_ns)
{
	apic->timer_target = ktime_add_ns(now, delay_ns);
	if (delay_ns)
		hrtimer_start(&apic->timer, apic->timer_target, HRTIMER_MODE_ABS);
	else
		vhm_vcpu_request(apic->vcpu, VHM_REQ_TIMER);
}

/* guest TSC ticks to the deadline, 0 if it has passed */
static u64 tsc_to_deadline(const struct vhm_apic *apic)
{
	u64 tsc = vhm_guest_tsc(apic->vcpu, rdtsc());

	return apic->timer_deadline_tsc > tsc ? apic->timer_deadline_tsc - tsc : 0;
}

static void arm_deadline(struct vhm_apic *apic)
{
	arm(apic, ktime_get(), lapic_tsc_to_ns(tsc_to_deadline(apic), tsc_khz));
}

/**
 * lapic_timer_stop - no expiry any more
 * @apic: the APIC
 *
 * An expiry that happens between the caller's lapic_timer_settle() and this call counts
 * as not happened: the guest's write came first.
 */
void lapic_timer_stop(struct vhm_apic *apic)
{
	hrtimer_cancel(&apic->timer);
	vhm_request_test_clear(apic->vcpu, VHM_REQ_TIMER);
	apic->timer_target = 0;
}

/* After power-up, INIT or a load of the whole page: as the registers say, and stopped. */
void lapic_timer_reset(struct vhm_apic *apic)
{
	lapic_timer_stop(apic);
	apic->timer_deadline_tsc = 0;
	apic->timer_mode = lapic_get(apic, APIC_LVTT) & LAPIC_TIMER_MODE;
	apic->timer_divide_lg2 = lapic_divide_lg2(lapic_get(apic, APIC_TDCR));
	refresh_interval(apic);
}

/**
 * lapic_timer_poll - carry out an expiry that the callback announced
 * @apic: the APIC
 *
 * A deadline is compared with the guest's TSC once more: the host's clock may run
 * faster than the TSC by some parts in a million, and the TSC may have been set. Raises
 * no request on the way: a backend that is about to enter the guest would not see it.
 *
 * Return: whether the timer's vector has become pending.
 */
bool lapic_timer_poll(struct vhm_apic *apic)
{
	u64 early_tsc;
	ktime_t now;

	if (!vhm_request_test_clear(apic->vcpu, VHM_REQ_TIMER) || !apic->timer_target)
		return false;

	if (apic->timer_mode == APIC_LVT_TIMER_TSCDEADLINE) {
		early_tsc = tsc_to_deadline(apic);
		if (early_tsc) {
			arm(apic, ktime_get(), lapic_tsc_to_ns(early_tsc, tsc_khz));
			return false;
		}
		apic->timer_deadline_tsc = 0;
		apic->timer_target = 0;
	} else if (apic->timer_period_ns) {
		now = ktime_get();
		apic->timer_target = lapic_periodic_next(apic->timer_target, now,
							 apic->timer_period_ns);
		hrtimer_start(&apic->timer, apic->timer_target, HRTIMER_MODE_ABS);
	} else {
		apic->timer_target = 0;
	}
	return lapic_local_interrupt(apic, APIC_LVTT);
}

/* As lapic_timer_poll(), outside of lapic_sync(), which is asked to look. */
void lapic_timer_settle(struct vhm_apic *apic)
{
	if (lapic_timer_poll(apic))
		vhm_vcpu_request(apic->vcpu, VHM_REQ_APIC);
}

/* time to the end of the current count, 0 if it has ended */
static u64 count_ns(const struct vhm_apic *apic)
{
	s64 to_expiry;

	if (!apic->timer_target || !counts(apic->timer_mode))
		return 0;
	to_expiry = ktime_sub(apic->timer_target, ktime_get());
	if (apic->timer_period_ns)
		return lapic_periodic_remaining(to_expiry, period_ns(apic));
	return max_t(s64, to_expiry, 0);
}

/* Current count register */
u32 lapic_timer_current(const struct vhm_apic *apic)
{
	return lapic_ns_to_ticks(count_ns(apic), apic->timer_divide_lg2);
}

/* Initial count register: starts the count, or stops it with 0. */
void lapic_timer_initial_written(struct vhm_apic *apic, u32 value)
{
	lapic_timer_stop(apic);
	if (!counts(apic->timer_mode)) {
		/* ignored in TSC-deadline mode (10.5.4.1) */
		lapic_set(apic, APIC_TMICT, 0);
		return;
	}
	lapic_set(apic, APIC_TMICT, value);
	refresh_interval(apic);
	if (value)
		arm(apic, ktime_get(), apic->timer_period_ns ?: period_ns(apic));
}

/* Divide configuration register: the count goes on at the new rate. */
void lapic_timer_divide_written(struct vhm_apic *apic)
{
	u32 divide_lg2 = lapic_divide_lg2(lapic_get(apic, APIC_TDCR));
	bool armed = apic->timer_target && counts(apic->timer_mode);
	u32 count;

	if (divide_lg2 == apic->timer_divide_lg2)
		return;
	count = lapic_timer_current(apic);
	if (armed)
		lapic_timer_stop(apic);
	apic->timer_divide_lg2 = divide_lg2;
	refresh_interval(apic);
	if (armed)
		arm(apic, ktime_get(), lapic_ticks_to_ns(count, divide_lg2));
}

/*
 * LVT timer register. A change to or from TSC-deadline mode disarms the timer (SDM
 * vol. 3, 10.5.4.1, TSC-Deadline Mode); between the two counting modes the count goes on.
 */
void lapic_timer_mode_written(struct vhm_apic *apic)
{
	u32 mode = lapic_get(apic, APIC_LVTT) & LAPIC_TIMER_MODE;

	if (mode == apic->timer_mode)
		return;
	if (!counts(mode) || !counts(apic->timer_mode)) {
		lapic_timer_stop(apic);
		lapic_set(apic, APIC_TMICT, 0);
		apic->timer_deadline_tsc = 0;
	}
	apic->timer_mode = mode;
	refresh_interval(apic);
}

/* IA32_TSC_DEADLINE; reads as 0 once it has fired */
u64 lapic_timer_get_deadline(struct vhm_apic *apic)
{
	lapic_timer_settle(apic);
	return apic->timer_deadline_tsc;
}

/* IA32_TSC_DEADLINE; ignored in the other modes, 0 disarms */
void lapic_timer_set_deadline(struct vhm_apic *apic, u64 tsc)
{
	if (apic->timer_mode != APIC_LVT_TIMER_TSCDEADLINE)
		return;
	lapic_timer_settle(apic);
	lapic_timer_stop(apic);
	apic->timer_deadline_tsc = tsc;
	if (tsc)
		arm_deadline(apic);
}

/**
 * vhm_apic_tsc_changed - the offset between guest's and host's TSC has changed
 * @apic: the APIC
 *
 * Context: the vCPU's thread.
 */
void vhm_apic_tsc_changed(struct vhm_apic *apic)
{
	u64 deadline = apic->timer_deadline_tsc;

	if (!deadline)
		return;
	lapic_timer_stop(apic);
	arm_deadline(apic);
}

/* ----------------------------------------------------------------- state -- */

/* An expiry that is due but not yet carried out counts as 1 ns away. */
u64 lapic_timer_remaining_ns(const struct vhm_apic *apic)
{
	if (!apic->timer_target || !counts(apic->timer_mode))
		return 0;
	return max_t(s64, ktime_sub(apic->timer_target, ktime_get()), 1);
}

/* Could a timer with these registers have this much time left? */
int lapic_timer_check(u32 lvtt, u32 initial, u32 divide, u64 deadline_tsc, u64 remaining_ns)
{
	u32 mode = lvtt & LAPIC_TIMER_MODE;
	u64 most = lapic_ticks_to_ns(initial, lapic_divide_lg2(divide));

	if (!counts(mode) && (initial || remaining_ns))
		return -EINVAL;
	if (mode != APIC_LVT_TIMER_TSCDEADLINE && deadline_tsc)
		return -EINVAL;
	/* The floor of periodic mode also holds a count that was switched to one-shot. */
	if (remaining_ns > lapic_periodic_interval_ns(most))
		return -EINVAL;
	return 0;
}

/* The registers are loaded and lapic_timer_reset() has been called. */
void lapic_timer_load(struct vhm_apic *apic, u64 deadline_tsc, u64 remaining_ns)
{
	apic->timer_deadline_tsc = deadline_tsc;
	if (deadline_tsc)
		arm_deadline(apic);
	else if (remaining_ns)
		arm(apic, ktime_get(), remaining_ns);
}
