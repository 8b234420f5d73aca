// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC timer: its arithmetic against long division, and its modes on a TSC that moves
 * when a case says so.
 */
#include "apic_fixture.h"

#include "vhm/tsc.h"

#include <linux/math64.h>

#define LVT_VECTOR	0xec
#define ONE_SHOT	LVT_VECTOR
#define PERIODIC	(LVT_VECTOR | BIT(17))
#define DEADLINE	(LVT_VECTOR | BIT(18))
#define MASKED		BIT(16)

#define DIVIDE_BY_1	0xb
#define KHZ_MAX		((1u << 25) - 1)
#define TICKS_PER_MS	(VHM_APIC_TIMER_HZ / 1000)
#define MS_TSC		((u64)tsc_khz)

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
	static const u32 khz[] = { 1000, 20000, 1999999, 2100000, 3500123, KHZ_MAX };
	struct apic_fixture *f = test->priv;
	u32 i, k, lg2, ticks, back;
	u64 tsc, left;

	for (i = 0; i < 20000; i++) {
		k = khz[test_random(&f->random, ARRAY_SIZE(khz))];
		lg2 = test_random(&f->random, 8);
		ticks = test_random(&f->random, 1ull << 32) >> test_random(&f->random, 32);
		tsc = lapic_ticks_to_tsc(ticks, lg2, k);
		/* no less than the count takes, and no whole TSC tick more */
		KUNIT_ASSERT_TRUE(test, mul_u64_u32_shr(tsc, TICKS_PER_MS, 0) >=
				  ((u64)ticks << lg2) * k);
		KUNIT_ASSERT_TRUE(test, !tsc || (tsc - 1) * TICKS_PER_MS < ((u64)ticks << lg2) * k);
		/* where a tick is a tick of the TSC or longer, the way back is exact */
		if ((u64)k << lg2 >= TICKS_PER_MS)
			KUNIT_ASSERT_EQ(test, lapic_tsc_to_ticks(tsc, lg2, k), ticks);
		/* the count is 0 at expiry and not before, and never above the start */
		if (!tsc)
			continue;
		left = 1 + test_random(&f->random, tsc);
		back = lapic_tsc_to_ticks(left, lg2, k);
		KUNIT_ASSERT_GE(test, back, 1u);
		KUNIT_ASSERT_LE(test, back, ticks);
		KUNIT_ASSERT_GE(test, lapic_ticks_to_tsc(back, lg2, k), left);
	}
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ticks(U64_MAX, 0, 1000), U32_MAX);
}

/* The way back loses less than the TSC ticks of a nanosecond. */
static void time_to_tsc(struct kunit *test)
{
	static const u32 khz[] = { 1000, 20000, 1999999, 2100000, 3500123, KHZ_MAX };
	struct apic_fixture *f = test->priv;
	u64 tsc, back;
	u32 i, k;

	for (i = 0; i < 20000; i++) {
		k = khz[test_random(&f->random, ARRAY_SIZE(khz))];
		tsc = test_random(&f->random, 1ull << 50) >> test_random(&f->random, 50);
		back = lapic_ns_to_tsc(lapic_tsc_to_ns(tsc, k), k);
		KUNIT_ASSERT_GE(test, back, tsc);
		KUNIT_ASSERT_LE(test, back, tsc + k / 1000000 + 1);
	}
	KUNIT_EXPECT_EQ(test, lapic_ns_to_tsc(U64_MAX, KHZ_MAX), 1ull << 62);
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
	u64 period, interval, remaining, floor, target, now, next;
	u32 i;

	KUNIT_EXPECT_EQ(test, lapic_periodic_interval(0, 1000), 0ull);
	for (i = 0; i < 20000; i++) {
		floor = 1 + test_random(&f->random, 1000000);
		period = 1 + (test_random(&f->random, 1ull << 39) >> test_random(&f->random, 39));
		interval = lapic_periodic_interval(period, floor);
		/* whole periods, not below the floor, and no more of them than needed */
		KUNIT_ASSERT_EQ(test, interval % period, 0ull);
		KUNIT_ASSERT_GE(test, interval, floor);
		KUNIT_ASSERT_TRUE(test, interval == period || interval - period < floor);

		target = test_random(&f->random, 1ull << 50);
		now = test_random(&f->random, 1ull << 50);
		next = lapic_periodic_next(target, now, interval);
		/* ahead, in phase, and the first such */
		KUNIT_ASSERT_GT(test, next, now);
		KUNIT_ASSERT_EQ(test, (next - target) % interval, 0ull);
		KUNIT_ASSERT_TRUE(test, next == target || next - interval <= now);

		remaining = lapic_periodic_remaining(target - now, period);
		KUNIT_ASSERT_GE(test, remaining, 1ull);
		KUNIT_ASSERT_LE(test, remaining, period);
		KUNIT_ASSERT_EQ(test, (s64)(target - now - remaining) % (s64)period, 0);
	}
}

/* ----------------------------------------------------------------- clock -- */

static void set_up(struct kunit *test, u32 lvtt)
{
	struct vhm_apic *apic = apic_enabled(test);

	vhm_apic_write(apic, APIC_TDCR, DIVIDE_BY_1);
	vhm_apic_write(apic, APIC_LVTT, lvtt);
}

/* Takes in what is due; true if it was the timer's vector, which is taken away. */
static bool fires(struct vhm_apic *apic)
{
	vhm_apic_sync(apic);
	if (!lapic_test_vector(apic, APIC_IRR, LVT_VECTOR))
		return false;
	lapic_assign_vector(apic, APIC_IRR, LVT_VECTOR, false);
	return true;
}

/* Does it fire at this moment, and not a TSC tick before? */
static bool fires_at(struct vhm_apic *apic, u64 host_tsc)
{
	apic_host_tsc = host_tsc - 1;
	if (fires(apic))
		return false;
	apic_host_tsc = host_tsc;
	return fires(apic);
}

static bool is_quiet(struct vhm_apic *apic)
{
	return apic->timer_target_tsc == VHM_TSC_NEVER;
}

static void one_shot(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u64 start;
	u32 count;

	set_up(test, ONE_SHOT);
	vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 4000000000u);
	apic_host_tsc += MS_TSC;
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 4000000000u - TICKS_PER_MS);

	start = apic_host_tsc;
	vhm_apic_write(f->apic, APIC_TMICT, 20 * TICKS_PER_MS);
	for (count = 20 * TICKS_PER_MS; count > 1; count -= TICKS_PER_MS / 5) {
		KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), count);
		apic_host_tsc += MS_TSC / 5;
	}
	KUNIT_EXPECT_EQ(test, apic_host_tsc, start + 20 * MS_TSC);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 0u);
	KUNIT_EXPECT_TRUE(test, fires_at(f->apic, start + 20 * MS_TSC));
	/* taking it in asks for nothing more: whoever enters the guest now would miss it */
	KUNIT_EXPECT_EQ(test, f->apic->vcpu->requests, 0ul);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 0u);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMICT), 20 * TICKS_PER_MS);
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
	apic_host_tsc += MS_TSC;
	KUNIT_EXPECT_FALSE(test, fires(f->apic));
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, vhm_apic_highest(f->apic, APIC_IRR), -1);
}

static void periodic(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u64 start = apic_host_tsc;
	u32 i;

	set_up(test, PERIODIC);
	vhm_apic_write(f->apic, APIC_TMICT, 3 * TICKS_PER_MS);
	for (i = 1; i < 6; i++) {
		KUNIT_EXPECT_TRUE(test, fires_at(f->apic, start + i * 3 * MS_TSC));
		KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 3 * TICKS_PER_MS);
	}
	/* a vCPU that did not look for ten periods gets one interrupt, and stays in phase */
	apic_host_tsc = start + 15 * 3 * MS_TSC + MS_TSC;
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_FALSE(test, fires(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 2 * TICKS_PER_MS);
	KUNIT_EXPECT_TRUE(test, fires_at(f->apic, start + 16 * 3 * MS_TSC));
	/* to one-shot: the running count is the last */
	vhm_apic_write(f->apic, APIC_LVTT, ONE_SHOT);
	KUNIT_EXPECT_TRUE(test, fires_at(f->apic, start + 17 * 3 * MS_TSC));
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
		KUNIT_ASSERT_GE(test, f->apic->timer_period_tsc, MS_TSC / 5);
		apic_host_tsc += test_random(&f->random, MS_TSC / 5);
		KUNIT_ASSERT_LE(test, apic_read(test, f->apic, APIC_TMCCT), i);
		KUNIT_ASSERT_GE(test, apic_read(test, f->apic, APIC_TMCCT), 1u);
	}
	apic_host_tsc += MS_TSC;
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_GT(test, f->apic->timer_target_tsc, apic_host_tsc);
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
	KUNIT_EXPECT_EQ(test, after, before);
	KUNIT_EXPECT_EQ(test, f->apic->timer_target_tsc - apic_host_tsc,
			lapic_ticks_to_tsc(before, 7, tsc_khz));
	apic_host_tsc += 128 * MS_TSC;
	vhm_apic_write(f->apic, APIC_TDCR, DIVIDE_BY_1);
	KUNIT_EXPECT_EQ(test, f->apic->timer_target_tsc - apic_host_tsc,
			lapic_ticks_to_tsc(before - TICKS_PER_MS, 0, tsc_khz));
}

static u64 guest_tsc(void)
{
	return apic_host_tsc + apic_tsc_offset;
}

static void deadline(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	const u32 msr = MSR_IA32_TSC_DEADLINE;
	u64 start, target;

	set_up(test, ONE_SHOT);
	vhm_apic_msr_write(f->apic, msr, guest_tsc() + 1);	/* wrong mode: ignored */
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), 0ull);

	vhm_apic_write(f->apic, APIC_LVTT, DEADLINE);
	vhm_apic_write(f->apic, APIC_TMICT, 1000);		/* ignored likewise */
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMICT), 0u);

	/* now or past: at once */
	vhm_apic_msr_write(f->apic, msr, guest_tsc());
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), 0ull);
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));

	/* ahead: when the guest's TSC is there */
	start = apic_host_tsc;
	target = guest_tsc() + 10 * MS_TSC;
	vhm_apic_msr_write(f->apic, msr, target);
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, msr), target);
	KUNIT_EXPECT_EQ(test, apic_read(test, f->apic, APIC_TMCCT), 0u);
	KUNIT_EXPECT_TRUE(test, fires_at(f->apic, start + 10 * MS_TSC));
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

/* A guest's TSC that is faster or slower than the host's: when it is there, not a tick before. */
static void deadline_of_scaled_tsc(struct kunit *test)
{
	static const u32 khz[] = { 3150000, 1400001, 150000, 2099999 };
	struct apic_fixture *f = test->priv;
	u32 i;

	set_up(test, DEADLINE);
	for (i = 0; i < ARRAY_SIZE(khz); i++) {
		u64 now, target, least;

		if (!vhm_tsc_khz_valid(khz[i], tsc_khz))
			continue;
		apic_tsc_multiplier = vhm_tsc_multiplier(khz[i], tsc_khz);
		now = vhm_guest_tsc(f->apic->vcpu, apic_host_tsc);
		target = now + 1000000007;
		vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, target);
		least = f->apic->timer_target_tsc;
		KUNIT_EXPECT_GE(test, vhm_guest_tsc(f->apic->vcpu, least), target);
		/* a tick of the one is no whole number of the other's */
		KUNIT_EXPECT_LE(test, vhm_guest_tsc(f->apic->vcpu, least),
				target + 1 + (apic_tsc_multiplier >> 48));
		KUNIT_EXPECT_TRUE(test, fires_at(f->apic, least));
	}
	/* further than any host lives */
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, U64_MAX);
	KUNIT_EXPECT_FALSE(test, is_quiet(f->apic));
	KUNIT_EXPECT_FALSE(test, fires(f->apic));
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
			KUNIT_EXPECT_EQ(test, !!f->apic->timer_period_tsc, from < 2 && to == 1);
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
	KUNIT_EXPECT_EQ(test, vhm_apic_highest(f->apic, APIC_IRR), LVT_VECTOR);

	set_up(test, DEADLINE);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, 1);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, U64_MAX);
	vhm_apic_sync(f->apic);
	KUNIT_EXPECT_EQ(test, vhm_apic_highest(f->apic, APIC_IRR), LVT_VECTOR);
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, f->apic, MSR_IA32_TSC_DEADLINE), U64_MAX);
}

/* INIT stops the timer and forgets what it had to say. */
static void reset_stops(struct kunit *test)
{
	struct apic_fixture *f = test->priv;

	set_up(test, DEADLINE);
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, 1);
	vhm_apic_reset(f->apic->vcpu);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	KUNIT_EXPECT_FALSE(test, fires(f->apic));
	set_up(test, PERIODIC);
	vhm_apic_write(f->apic, APIC_TMICT, 4000000000u);
	vhm_apic_reset(f->apic->vcpu);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
}

/* The VMM sets the TSC: the deadline stays where it is on the guest's scale. */
static void tsc_set(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u64 start;

	set_up(test, DEADLINE);
	vhm_apic_tsc_changed(f->apic);
	KUNIT_EXPECT_TRUE(test, is_quiet(f->apic));
	start = apic_host_tsc;
	vhm_apic_msr_write(f->apic, MSR_IA32_TSC_DEADLINE, guest_tsc() + 3600 * MS_TSC);
	KUNIT_EXPECT_EQ(test, f->apic->timer_target_tsc, start + 3600 * MS_TSC);
	apic_tsc_offset += 1800 * MS_TSC;
	vhm_apic_tsc_changed(f->apic);
	KUNIT_EXPECT_EQ(test, f->apic->timer_target_tsc, start + 1800 * MS_TSC);
	apic_tsc_offset += 1800 * MS_TSC;
	vhm_apic_tsc_changed(f->apic);
	KUNIT_EXPECT_TRUE(test, fires(f->apic));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(divisors),
	KUNIT_CASE(counts_and_times),
	KUNIT_CASE(tsc_to_time),
	KUNIT_CASE(time_to_tsc),
	KUNIT_CASE(periods),
	KUNIT_CASE(one_shot),
	KUNIT_CASE(masked),
	KUNIT_CASE(periodic),
	KUNIT_CASE(periodic_floor),
	KUNIT_CASE(divide_while_running),
	KUNIT_CASE(deadline),
	KUNIT_CASE(deadline_of_scaled_tsc),
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
