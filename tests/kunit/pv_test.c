// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual interface, the pure parts: nanoseconds of TSC ticks against exact arithmetic
 * and against what a guest makes of mult and shift, which bits an MSR takes, whom a hypercall
 * addresses.
 */
#include "test.h"

#include "vhm/pv_internal.h"

/* As a guest gets the frequency back (kernel's document of MSR_KVM_SYSTEM_TIME_NEW, inverted) */
static u64 khz_of(struct pv_scale scale)
{
	return div_u64((u64)NSEC_PER_MSEC << 32, scale.mult) >> scale.shift;
}

static void check_scale(struct kunit *test, u32 khz, u64 ticks)
{
	struct pv_scale scale = pv_scale(khz);
	u64 ns = pv_scale_ns(scale, ticks), quotient, rest;
	s64 behind;

	/* ticks * 10^6 / khz without more than 64 bits: neither part overflows here */
	quotient = div64_u64_rem(ticks, khz, &rest) * NSEC_PER_MSEC;
	quotient += div64_u64(rest * NSEC_PER_MSEC, khz);
	behind = quotient - ns;
	KUNIT_EXPECT_GE_MSG(test, scale.mult, khz < 8000000 ? 1u << 29 : 1000000, "%u kHz", khz);
	/* never ahead, and behind by no more than the last bit of mult and a tick's part */
	KUNIT_EXPECT_GE_MSG(test, behind, 0ll, "%u kHz, %llu ticks", khz, ticks);
	KUNIT_EXPECT_LE_MSG(test, (u64)behind, quotient / scale.mult + 2, "%u kHz, %llu ticks", khz,
			    ticks);
}

static void scale(struct kunit *test)
{
	static const u32 edges[] = {
		1, 2, 999, 999999, 1000000, 1000001, 1999999, 2000000, 2000001, 2100000, 3000000,
		4000000, U32_MAX / 2, U32_MAX - 1, U32_MAX,
	};
	struct rnd_state random;
	u32 i, khz;

	test_seed(test, &random);
	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		check_scale(test, edges[i], 0);
		check_scale(test, edges[i], 1);
		check_scale(test, edges[i], edges[i]);
		check_scale(test, edges[i], 10000ull * edges[i] + 1);
	}
	for (i = 0; i < 20000; i++) {
		khz = test_random(&random, 10000000) + 1;
		/* up to a month; a year at one second's rate is as far off */
		check_scale(test, khz, test_random(&random, min(2678400000ull * khz, 1ull << 63)));
	}
}

static void scale_tells_the_frequency(struct kunit *test)
{
	u32 khz;

	for (khz = 100000; khz < 8000000; khz += 997)
		KUNIT_EXPECT_EQ(test, khz_of(pv_scale(khz)), (u64)khz);
}

/* The clock never goes back, from tick to tick. */
static void scale_is_monotonic(struct kunit *test)
{
	struct rnd_state random;
	struct pv_scale scale;
	u64 start, ticks, now, last;
	int i;

	test_seed(test, &random);
	for (i = 0; i < 100; i++) {
		scale = pv_scale(test_random(&random, 8000000) + 1);
		start = test_random(&random, 1ull << 50);
		last = pv_scale_ns(scale, start);
		for (ticks = start; ticks < start + 1000; ticks++) {
			now = pv_scale_ns(scale, ticks);
			KUNIT_ASSERT_GE(test, now, last);
			last = now;
		}
	}
}

static void msr_values(struct kunit *test)
{
	static const struct {
		u32 index;
		u64 reserved;
	} rows[VHM_PV_MSRS] = {
		{ 0x4b564d00, 3 }, { 0x4b564d01, 2 }, { 0x4b564d03, 0x3e }, { 0x4b564d04, 2 },
		{ 0x4b564d05, ~1ull },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		KUNIT_EXPECT_EQ(test, pv_msrs[i].index, rows[i].index);
		KUNIT_EXPECT_EQ_MSG(test, pv_msrs[i].reserved, rows[i].reserved, "%#x",
				    rows[i].index);
	}
}

static void signature(struct kunit *test)
{
	static const char text[13] = "KVMKVMKVM\0\0\0";
	u32 words[3];

	memcpy(words, text, sizeof(words));
	KUNIT_EXPECT_TRUE(test, pv_is_signature(words[0], words[1], words[2]));
	KUNIT_EXPECT_FALSE(test, pv_is_signature(words[0], words[1], words[2] | 1 << 8));
	KUNIT_EXPECT_FALSE(test, pv_is_signature(words[0] ^ 1, words[1], words[2]));
	KUNIT_EXPECT_FALSE(test, pv_is_signature(words[0], words[1] ^ 1, words[2]));
}

/* Each id by itself: is it the bit that the document says? */
static bool is_target(u64 low, u64 high, u32 first, bool bits64, u32 id)
{
	u32 half = bits64 ? 64 : 32;

	if (id < first || id - first >= 2 * half)
		return false;
	if (id - first < half)
		return low >> (id - first) & 1;
	return high >> (id - first - half) & 1;
}

static void ipi_targets(struct kunit *test)
{
	static const u32 firsts[] = {
		0, 1, 63, 64, 127, 128, 200, 254, 255, 256, U32_MAX - 3, U32_MAX,
	};
	DECLARE_BITMAP(targets, PV_IPI_IDS + 64);
	struct rnd_state random;
	u64 words[2];
	u32 i, id, first;
	bool bits64;

	test_seed(test, &random);
	for (i = 0; i < 4000; i++) {
		words[0] = i % 5 ? test_random(&random, U64_MAX) : U64_MAX;
		words[1] = i % 7 ? test_random(&random, U64_MAX) : U64_MAX;
		first = i % 3 ? firsts[i % ARRAY_SIZE(firsts)] : test_random(&random, 260);
		bits64 = i % 2;
		bitmap_fill(targets, PV_IPI_IDS + 64);
		pv_ipi_targets(targets, words[0], words[1], first, bits64);
		for (id = 0; id < PV_IPI_IDS; id++)
			KUNIT_ASSERT_EQ_MSG(test, test_bit(id, targets),
					    is_target(words[0], words[1], first, bits64, id),
					    "%#llx %#llx first %u id %u", words[0], words[1],
					    first, id);
		/* and nothing beyond */
		KUNIT_ASSERT_EQ(test, targets[PV_IPI_IDS / BITS_PER_LONG], ~0ul);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(scale),
	KUNIT_CASE(scale_tells_the_frequency),
	KUNIT_CASE(scale_is_monotonic),
	KUNIT_CASE(msr_values),
	KUNIT_CASE(signature),
	KUNIT_CASE(ipi_targets),
	{}
};

static struct kunit_suite suite = {
	.name = "vhm_pv",
	.test_cases = cases,
};

kunit_test_suites(&suite);
