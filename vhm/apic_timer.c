// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer (SDM vol. 3, 10.5.4, APIC Timer).
 *
 * Owns the timer's fields of struct vhm_apic, and the initial and current count registers. All
 * runs in the vCPU's thread, so no lock is needed, and all is reckoned in the host's TSC: the
 * three modes differ in where timer_target_tsc comes from. Nothing here waits for it. The
 * backend ends the guest's stay in time (VMX-preemption timer), a halted vCPU's thread sleeps
 * until then (vhm/halt.c), and both call lapic_timer_poll() by way of vhm_apic_sync(). So a
 * vCPU that does not run costs the host nothing.
 */
#include "apic_internal.h"

static bool counts(u32 mode)
{
	return mode == APIC_LVT_TIMER_ONESHOT || mode == APIC_LVT_TIMER_PERIODIC;
}

/* the guest's period: what the initial count and the divisor say */
static u64 period_tsc(const struct vhm_apic *apic)
{
	return lapic_ticks_to_tsc(lapic_get(apic, APIC_TMICT), apic->timer_divide_lg2, tsc_khz);
}

static u64 interval_tsc(u64 period)
{
	return lapic_periodic_interval(period, lapic_ns_to_tsc(LAPIC_TIMER_FLOOR_NS, tsc_khz));
}

static void refresh_interval(struct vhm_apic *apic)
{
	apic->timer_period_tsc = apic->timer_mode == APIC_LVT_TIMER_PERIODIC ?
				 interval_tsc(period_tsc(apic)) : 0;
}

static void arm(struct vhm_apic *apic, u64 delay_tsc)
{
	apic->timer_target_tsc = vhm_host_tsc() + delay_tsc;
}

/* The deadline on the host's scale; one that has passed is now. */
static void arm_deadline(struct vhm_apic *apic)
{
	u64 host = vhm_host_tsc(), guest = vhm_guest_tsc(apic->vcpu, host);
	u64 ahead = apic->timer_deadline_tsc > guest ?
		    vhm_host_ticks(apic->vcpu, apic->timer_deadline_tsc - guest) : 0;

	apic->timer_target_tsc = host + min(ahead, VHM_TSC_NEVER - 1 - host);
}

/*
 * No expiry any more. One that happens between the caller's lapic_timer_settle() and this
 * call counts as not happened: the guest's write came first.
 */
static void stop(struct vhm_apic *apic)
{
	apic->timer_target_tsc = VHM_TSC_NEVER;
}

/* After power-up, INIT or a load of the whole page: as the registers say, and stopped. */
void lapic_timer_reset(struct vhm_apic *apic)
{
	stop(apic);
	apic->timer_deadline_tsc = 0;
	apic->timer_mode = lapic_get(apic, APIC_LVTT) & LAPIC_TIMER_MODE;
	apic->timer_divide_lg2 = lapic_divide_lg2(lapic_get(apic, APIC_TDCR));
	refresh_interval(apic);
}

/**
 * lapic_timer_poll - carry out an expiry that is due
 * @apic: the APIC
 *
 * Raises no request on the way: a backend that is about to enter the guest would not see it.
 *
 * Return: whether the timer's vector has become pending.
 */
bool lapic_timer_poll(struct vhm_apic *apic)
{
	u64 now;

	if (likely(apic->timer_target_tsc == VHM_TSC_NEVER))
		return false;
	now = vhm_host_tsc();
	if (now < apic->timer_target_tsc)
		return false;
	if (apic->timer_period_tsc)
		apic->timer_target_tsc = lapic_periodic_next(apic->timer_target_tsc, now,
							     apic->timer_period_tsc);
	else
		stop(apic);
	if (apic->timer_mode == APIC_LVT_TIMER_TSCDEADLINE)
		apic->timer_deadline_tsc = 0;
	return lapic_local_interrupt(apic, APIC_LVTT);
}

/* As lapic_timer_poll(), outside of vhm_apic_sync(), which is asked to look. */
void lapic_timer_settle(struct vhm_apic *apic)
{
	if (lapic_timer_poll(apic))
		vhm_vcpu_request(apic->vcpu, VHM_REQ_APIC);
}

/* Current count register: time to the end of the current count, 0 if it has ended */
u32 lapic_timer_current(const struct vhm_apic *apic)
{
	s64 left;

	if (apic->timer_target_tsc == VHM_TSC_NEVER || !counts(apic->timer_mode))
		return 0;
	left = apic->timer_target_tsc - vhm_host_tsc();
	if (apic->timer_period_tsc)
		left = lapic_periodic_remaining(left, period_tsc(apic));
	return lapic_tsc_to_ticks(max_t(s64, left, 0), apic->timer_divide_lg2, tsc_khz);
}

/* Initial count register: starts the count, or stops it with 0. */
void lapic_timer_initial_written(struct vhm_apic *apic, u32 value)
{
	stop(apic);
	if (!counts(apic->timer_mode)) {
		/* ignored in TSC-deadline mode (10.5.4.1) */
		lapic_set(apic, APIC_TMICT, 0);
		return;
	}
	lapic_set(apic, APIC_TMICT, value);
	refresh_interval(apic);
	if (value)
		arm(apic, apic->timer_period_tsc ?: period_tsc(apic));
}

/* Divide configuration register: the count goes on at the new rate. */
void lapic_timer_divide_written(struct vhm_apic *apic)
{
	u32 divide_lg2 = lapic_divide_lg2(lapic_get(apic, APIC_TDCR));
	bool armed = apic->timer_target_tsc != VHM_TSC_NEVER && counts(apic->timer_mode);
	u32 count;

	if (divide_lg2 == apic->timer_divide_lg2)
		return;
	count = lapic_timer_current(apic);
	apic->timer_divide_lg2 = divide_lg2;
	refresh_interval(apic);
	if (armed)
		arm(apic, lapic_ticks_to_tsc(count, divide_lg2, tsc_khz));
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
		stop(apic);
		lapic_set(apic, APIC_TMICT, 0);
		apic->timer_deadline_tsc = 0;
	}
	apic->timer_mode = mode;
	refresh_interval(apic);
}

/* IA32_TSC_DEADLINE; ignored in the other modes, 0 disarms */
void lapic_timer_set_deadline(struct vhm_apic *apic, u64 tsc)
{
	if (apic->timer_mode != APIC_LVT_TIMER_TSCDEADLINE)
		return;
	lapic_timer_settle(apic);
	stop(apic);
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
	if (apic->timer_deadline_tsc)
		arm_deadline(apic);
}

/* ----------------------------------------------------------------- state -- */

/* An expiry that is due but not yet carried out counts as 1 ns away. */
u64 lapic_timer_remaining_ns(const struct vhm_apic *apic)
{
	if (apic->timer_target_tsc == VHM_TSC_NEVER || !counts(apic->timer_mode))
		return 0;
	return lapic_tsc_to_ns(max_t(s64, apic->timer_target_tsc - vhm_host_tsc(), 1), tsc_khz);
}

/* The longest that a timer with these registers can have left. */
static u64 most_tsc(u32 initial, u32 divide)
{
	/* the floor of periodic mode also holds a count that was switched to one-shot */
	return interval_tsc(lapic_ticks_to_tsc(initial, lapic_divide_lg2(divide), tsc_khz));
}

/* Could a timer with these registers have this much time left? On any host: TSCs differ. */
int lapic_timer_check(u32 lvtt, u32 initial, u32 divide, u64 deadline_tsc, u64 remaining_ns)
{
	u32 mode = lvtt & LAPIC_TIMER_MODE;

	if ((!counts(mode) && (initial || remaining_ns)) ||
	    (mode != APIC_LVT_TIMER_TSCDEADLINE && deadline_tsc) ||
	    (remaining_ns && (!initial || remaining_ns > NSEC_PER_USEC +
			      lapic_tsc_to_ns(most_tsc(initial, divide), tsc_khz))))
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
		arm(apic, min(lapic_ns_to_tsc(remaining_ns, tsc_khz),
			      most_tsc(lapic_get(apic, APIC_TMICT), lapic_get(apic, APIC_TDCR))));
}
