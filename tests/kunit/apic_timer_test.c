// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer: its arithmetic against long division, and its modes on a real
 * hrtimer. Cases on the clock ask only for what holds on a host that is late.
 */
#include "apic_fixture.h"

#include <linux/delay.h>
#include <linux/math64.h>

#define LVT_VECTOR	0xec
#define ONE_SHOT	LVT_VECTOR
#define PERIODIC	(LVT_VECTOR | BIT(17))
#define DEADLINE	(LVT_VECTOR | BIT(18))
#define MASKED		BIT(16)

#define DIVIDE_BY_1	0xb
#define TICK_NS		(NSEC_PER_SEC / VHM_APIC_TIMER_HZ)
#define PATIENCE_MS	5000

/* ------------------------------------------------------------ arithmetic -- */

/* SDM vol. 3, figure 10-10 */
static void divisors(struct kunit *test)
{
	static const u32 divisor[] = { [0] = 2, [1] = 4, [2] = 8, [3] = 16, [8] = 32, [9] = 64,
				       [10] = 128, [11] = 1 };
	u32 i;

	for (i = 0; i < 12; i++)
		if (i < 4 || i > 7)
			KUNIT_EXPECT_EQ(test, 1u << lapic_divide_lg2(i), divisor[i]);
}

static void counts_and_times(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u32 i, lg2, ticks, back;
	u64 ns, later;

	for (i = 0; i < 20000; i++) {
		lg2 = test_random(&f->random, 8);
		ticks = test_random(&f->random, 1ull << 32) >> test_random(&f->random, 32);
		ns = lapic_ticks_to_ns(ticks, lg2);
		KUNIT_ASSERT_EQ(test, ns, (u64)ticks * TICK_NS * (1 << lg2));
		KUNIT_ASSERT_EQ(test, lapic_ns_to_ticks(ns, lg2), ticks);
		/* the count is 0 at expiry and not before, and never above the start */
		if (!ns)
			continue;
		later = 1 + test_random(&f->random, ns);
		back = lapic_ns_to_ticks(later, lg2);
		KUNIT_ASSERT_GE(test, back, 1u);
		KUNIT_ASSERT_LE(test, back, ticks);
		KUNIT_ASSERT_GE(test, (u64)back * TICK_NS << lg2, later);
		KUNIT_ASSERT_LT(test, ((u64)back - 1) * TICK_NS << lg2, later);
	}
}

/* Enough time passes for the TSC to get there, and not a nanosecond more. */
static void tsc_to_time(struct kunit *test)
{
	static const u32 khz[] = { 1, 1000, 20000, 1999999, 2100000, 3500123, U32_MAX };
	struct apic_fixture *f = test->priv;
	u64 tsc, ns;
	u32 i, k;

	for (i = 0; i < 20000; i++) {
		k = khz[test_random(&f->random, ARRAY_SIZE(khz))];
		tsc = test_random(&f->random, 1ull << 42) >> test_random(&f->random, 42);
		ns = lapic_tsc_to_ns(tsc, k);
		KUNIT_ASSERT_TRUE(test, mul_u64_u32_shr(ns, k, 0) / 1000000 >= tsc);
		KUNIT_ASSERT_TRUE(test, !ns || div64_u64(tsc * 1000000 + k - 1, k) == ns);
	}
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ns(U64_MAX, 1), 1ull << 62);
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ns(U64_MAX, 20000), 1ull << 62);
	KUNIT_EXPECT_LT(test, lapic_tsc_to_ns(U64_MAX, U32_MAX), 1ull << 62);
}

static void periods(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u64 period, interval, remaining;
	s64 target, now, next;
	u32 i;

	KUNIT_EXPECT_EQ(test, lapic_periodic_interval_ns(0), 0ull);
	for (i = 0; i < 20000; i++) {
		period = 1 + (test_random(&f->random, 1ull << 39) >> test_random(&f->random, 39));
		interval = lapic_periodic_interval_ns(period);
		/* whole periods, not below the floor, and no more of them than needed */
		KUNIT_ASSERT_EQ(test, interval % period, 0ull);
		KUNIT_ASSERT_GE(test, interval, (u64)LAPIC_TIMER_FLOOR_NS);
		KUNIT_ASSERT_TRUE(test, interval == period ||
				  interval - period < LAPIC_TIMER_FLOOR_NS);

		target = test_random(&f->random, 1ull << 50);
		now = test_random(&f->random, 1ull << 50);
		next = lapic_periodic_next(target, now, interval);
		/* ahead, in phase, and the first such */
		KUNIT_ASSERT_GT(test, next, now);
		KUNIT_ASSERT_EQ(test, (next - target) % (s64)interval, 0);
		KUNIT_ASSERT_TRUE(test, next == target || next - (s64)interval <= now);

		remaining = lapic_periodic_remaining(target - now, period);
		KUNIT_ASSERT_GE(test, remaining, 1ull);
		KUNIT_ASSERT_LE(test, remaining, period);
		KUNIT_ASSERT_EQ(test, (target - now - (s64)remaining) % (s64)period, 0);
	}
}

/* ----------------------------------------------------------------- clock -- */

static void set_up(struct kunit *test, u32 lvtt)
{
	struct vhm_apic *apic = apic_enabled(test);

	vhm_apic_write(apic, APIC_TDCR, DIVIDE_BY_1);
	vhm_apic_write(apic, APIC_LVTT, lvtt);
}

/* Waits for the callback; carries the expiry out and takes the vector away. */
static bool fires(struct vhm_apic *apic)
{
	ktime_t end = ktime_add_ms(ktime_get(), PATIENCE_MS);

	while (!vhm_apic_has_pending(apic) && ktime_before(ktime_get(), end))
		usleep_range(1000, 1500);
	vhm_apic_sync(apic);
	if (!lapic_test_vector(apic, APIC_IRR, LVT_VECTOR))
		return false;
	lapic_assign_vector(apic, APIC_IRR, LVT_VECTOR, false);
	return true;
}

/* nothing is armed and nothing on its way */
static bool is_quiet(struct vhm_apic *apic)
{
	return !apic->timer_target && !hrtimer_active(&apic->timer) &&
	       !test_bit(VHM_REQ_TIMER, &apic->vcpu->requests);
}

static void one_shot(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u32 first, second;
	ktime_t start;

	set_up(test, ONE_SHOT);
	vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
	first = apic_read(test, f->apic, APIC_TMCCT);
	usleep_range(100, 200);
	second = apic_read(test, f->apic, APIC_TMCCT);
	KUNIT_EXPECT_LE(test, first, 4000000000u);
	KUNIT_EXPECT_LT(test, second, first);
	KUNIT_EXPECT_TRUE(test, hrtimer_active(&f->apic->timer));

	start = ktime_get();
	vhm_apic_write(f->apic, APIC_TMICT, 20 * NSEC_PER_MSEC / TICK_NS);
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	/* taking it in asks for nothing more: whoever enters the guest now would miss it */
	KUNIT_EXPECT_EQ(test, f->apic->vcpu->requests, 0ul);
	KUNIT_EXPECT_GE(test, ktime_to_ns(ktime_sub(ktime_get(), start)), 20 * NSEC_PER_MSEC);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 0u);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMICT),
			(u32)(20 * NSEC_PER_MSEC / TICK_NS));
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));

	vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
	vhm_apic_write(f->apic, APIC_TMICT, 0);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 0u);
}

/* A masked timer counts but says nothing. */
static void masked(struct kunit *test)
{
	struct apic_fixture *f = test->priv;

	set_up(test, ONE_SHOT | MASKED);
	vhm_apic_write(f->apic, APIC_TMICT, 1000);
	KUNIT_EXPECT_FALSE(test, fires(f->apic));
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, vhm_apic_highest_irr(f->apic), -1);
}

static void periodic(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	const u64 period = 3 * NSEC_PER_MSEC;
	ktime_t first;
	u32 i;

	set_up(test, PERIODIC);
	vhm_apic_write(f->apic, APIC_TMICT, period / TICK_NS);
	first = f->apic->timer_target;
	for (i = 0; i < 5; i++) {
		KUNIT_EXPECT_TRUE(test, fires(f->apic));
		KUNIT_EXPECT_GT(test, f->apic->timer_target, first);
		KUNIT_EXPECT_EQ(test, (f->apic->timer_target - first) % (s64)period, 0);
		KUNIT_EXPECT_GE(test, apic_read(test, f->apic, APIC_TMCCT), 1u);
		KUNIT_EXPECT_LE(test, apic_read(test, f->apic, APIC_TMCCT),
				(u32)(period / TICK_NS));
	}
	/* a vCPU that does not look costs no more timer interrupts */
	usleep_range(10000, 11000);
	KUNIT_EXPECT_FALSE(test, hrtimer_active(&f->apic->timer));
	/* to one-shot: the running count is the last */
	vhm_apic_sync(f->apic);
	lapic_assign_vector(f->apic, APIC_IRR, LVT_VECTOR, false);
	vhm_apic_write(f->apic, APIC_LVTT, ONE_SHOT);
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
}

/* The host is asked for no more than one timer interrupt in 200 us. */
static void periodic_floor(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u32 i;

	set_up(test, PERIODIC);
	for (i = 1; i < 1000; i += 7) {
		vhm_apic_write(f->apic, APIC_TMICT, i);
		KUNIT_ASSERT_GE(test, f->apic->timer_period_ns, 200000ull);
		KUNIT_ASSERT_LE(test, apic_read(test, f->apic, APIC_TMCCT), i);
		KUNIT_ASSERT_GE(test, apic_read(test, f->apic, APIC_TMCCT), 1u);
	}
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_GE(test, f->apic->timer_target + 200000, ktime_get());
}

/* Another divisor changes the rate of the running count, not the count. */
static void divide_while_running(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u32 before, after;

	set_up(test, ONE_SHOT);
	vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
	before = apic_read(test, f->apic, APIC_TMCCT);
	vhm_apic_write(f->apic, APIC_TDCR, 0xa);	/* by 128 */
	after = apic_read(test, f->apic, APIC_TMCCT);
	KUNIT_EXPECT_LE(test, after, before);
	KUNIT_EXPECT_GT(test, after, before / 2);
	KUNIT_EXPECT_GT(test, ktime_sub(f->apic->timer_target, ktime_get()),
			(s64)(before / 2) * 128 * TICK_NS);
	vhm_apic_write(f->apic, APIC_TDCR, DIVIDE_BY_1);
	KUNIT_EXPECT_LE(test, ktime_sub(f->apic->timer_target, ktime_get()),
			(s64)before * TICK_NS);
	KUNIT_EXPECT_TRUE(test, hrtimer_active(&f->apic->timer));
}

static void deadline(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	const u32 msr = MSR_IA32_TSC_DEADLINE;
	ktime_t start;

	set_up(test, ONE_SHOT);
	vhm_apic_msr_write(f->apic, msr, apic_guest_tsc + 1);	/* wrong mode: ignored */
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), 0ull);

	vhm_apic_write(f->apic, APIC_LVTT, DEADLINE);
	vhm_apic_write(f->apic, APIC_TMICT, 1000);		/* ignored likewise */
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMICT), 0u);

	/* now or past: at once, without a timer */
	vhm_apic_msr_write(f->apic, msr, apic_guest_tsc);
	KUNIT_EXPECT_FALSE(test, hrtimer_active(&f->apic->timer));
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), 0ull);
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));

	/* ahead: when the guest's TSC is there, no matter what the clock says */
	start = ktime_get();
	vhm_apic_msr_write(f->apic, msr, apic_guest_tsc + tsc_khz * 10);
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), apic_guest_tsc + tsc_khz * 10);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 0u);
	KUNIT_EXPECT_FALSE(test, fires(f->apic));		/* 10 ms later, TSC as before */
	KUNIT_EXPECT_GE(test, ktime_to_ns(ktime_sub(ktime_get(), start)), 10 * NSEC_PER_MSEC);
	KUNIT_EXPECT_NE(test, f->apic->timer_target, 0ll);
	apic_guest_tsc += tsc_khz * 10;
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), 0ull);

	/* disarmed by 0, and by another mode */
	vhm_apic_msr_write(f->apic, msr, U64_MAX);
	KUNIT_EXPECT_FALSE(test, is_quiet(f->apic));
	vhm_apic_msr_write(f->apic, msr, 0);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	vhm_apic_msr_write(f->apic, msr, U64_MAX);
	vhm_apic_write(f->apic, APIC_LVTT, ONE_SHOT);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), 0ull);
}

/* Counting and deadline modes disarm each other; the counting ones do not. */
static void mode_switches(struct kunit *test)
{
	static const u32 modes[] = { ONE_SHOT, PERIODIC, DEADLINE };
	struct apic_fixture *f = test->priv;
	u32 from, to;

	for (from = 0; from < 3; from++)
		for (to = 0; to < 3; to++) {
			set_up(test, modes[from]);
			vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
			vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, U64_MAX);
			KUNIT_EXPECT_FALSE(test, is_quiet(f->apic));
			vhm_apic_write(f->apic, APIC_LVTT, modes[to]);
			KUNIT_EXPECT_EQ_MSG(test, is_quiet(f->apic), (from == 2) != (to == 2),
					    "%u to %u", from, to);
			KUNIT_EXPECT_EQ(test, !!f->apic->timer_period_ns, from < 2 && to == 1);
		}
}

/* What expired before a write had the vector of that time, and is not lost. */
static void expiry_before_write(struct kunit *test)
{
	struct apic_fixture *f = test->priv;

	set_up(test, DEADLINE);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, 1);
	vhm_apic_write(f->apic, APIC_LVTT, 0x55);
	KUNIT_EXPECT_TRUE(test, test_bit(VHM_REQ_APIC, &f->apic->vcpu->requests));
	vhm_apic_sync(f->apic);
	KUNIT_EXPECT_EQ(test, vhm_apic_highest_irr(f->apic), LVT_VECTOR);

	set_up(test, DEADLINE);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, 1);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, U64_MAX);
	vhm_apic_sync(f->apic);
	KUNIT_EXPECT_EQ(test, vhm_apic_highest_irr(f->apic), LVT_VECTOR);
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, MSR_IA32_TSC_DEADLINE), U64_MAX);
}

/* INIT stops the timer and forgets what it had to say. */
static void reset_stops(struct kunit *test)
{
	struct apic_fixture *f = test->priv;

	set_up(test, DEADLINE);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, 1);
	KUNIT_EXPECT_TRUE(test, test_bit(VHM_REQ_TIMER, &f->apic->vcpu->requests));
	vhm_apic_reset(f->apic->vcpu, true);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_FALSE(test, vhm_apic_has_pending(f->apic));
	set_up(test, PERIODIC);
	vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
	vhm_apic_reset(f->apic->vcpu, true);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
}

/* The VMM sets the TSC: the deadline stays where it is on the guest's scale. */
static void tsc_set(struct kunit *test)
{
	struct apic_fixture *f = test->priv;

	set_up(test, DEADLINE);
	vhm_apic_tsc_changed(f->apic);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, apic_guest_tsc + tsc_khz * 3600000ull);
	KUNIT_EXPECT_GT(test, ktime_sub(f->apic->timer_target, ktime_get()),
			(s64)(3599 * NSEC_PER_SEC));
	apic_guest_tsc += tsc_khz * 1800000ull;
	vhm_apic_tsc_changed(f->apic);
	KUNIT_EXPECT_LE(test, ktime_sub(f->apic->timer_target, ktime_get()),
			(s64)(1801 * NSEC_PER_SEC));
	apic_guest_tsc += tsc_khz * 1800000ull;
	vhm_apic_tsc_changed(f->apic);
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(divisors),
	KUNIT_CASE(counts_and_times),
	KUNIT_CASE(tsc_to_time),
	KUNIT_CASE(periods),
	KUNIT_CASE(one_shot),
	KUNIT_CASE(masked),
	KUNIT_CASE(periodic),
	KUNIT_CASE(periodic_floor),
	KUNIT_CASE(divide_while_running),
	KUNIT_CASE(deadline),
	KUNIT_CASE(mode_switches),
	KUNIT_CASE(expiry_before_write),
	KUNIT_CASE(reset_stops),
	KUNIT_CASE(tsc_set),
	{}
};

static struct kunit_suite suite = {
	.name = "apic_timer",
	.init = apic_fixture_init,
	.exit = apic_fixture_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
