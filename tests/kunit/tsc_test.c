// SPDX-License-Identifier: GPL-2.0-only
/* Arithmetic of a scaled TSC (vhm/tsc.h) against products of 128 bits. */
#include "test.h"

#include "vhm/tsc.h"

#define STEPS	20000

static void frequencies(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, vhm_tsc_khz_valid(0, 2000000));
	KUNIT_EXPECT_TRUE(test, vhm_tsc_khz_valid(2000000, 2000000));
	KUNIT_EXPECT_TRUE(test, vhm_tsc_khz_valid(16 * 2000000 - 1, 2000000));
	KUNIT_EXPECT_FALSE(test, vhm_tsc_khz_valid(16 * 2000000, 2000000));
	KUNIT_EXPECT_TRUE(test, vhm_tsc_khz_valid(2000000 / 16 + 1, 2000000));
	KUNIT_EXPECT_FALSE(test, vhm_tsc_khz_valid(2000000 / 16, 2000000));
	KUNIT_EXPECT_FALSE(test, vhm_tsc_khz_valid(VHM_TSC_KHZ_MAX, VHM_TSC_KHZ_MAX - 1));
	KUNIT_EXPECT_TRUE(test, vhm_tsc_khz_valid(VHM_TSC_KHZ_MAX - 1, VHM_TSC_KHZ_MAX - 1));
	KUNIT_EXPECT_FALSE(test, vhm_tsc_khz_valid(U32_MAX, U32_MAX));
}

/* A number of up to 64 bits, all lengths alike. */
static u64 any_number(struct rnd_state *random)
{
	u64 value = (u64)prandom_u32_state(random) << 32 | prandom_u32_state(random);

	return value >> test_random(random, 64);
}

static u64 any_multiplier(struct kunit *test, struct rnd_state *random)
{
	u32 host, guest;
	u64 multiplier;

	do {
		host = 1000 + test_random(random, VHM_TSC_KHZ_MAX - 1000);
		guest = 1 + test_random(random, VHM_TSC_KHZ_MAX - 1);
	} while (!vhm_tsc_khz_valid(guest, host));
	multiplier = vhm_tsc_multiplier(guest, host);
	/* the largest whose product with the host's frequency is not above the guest's */
	KUNIT_EXPECT_TRUE(test, (__uint128_t)multiplier * host <= (__uint128_t)guest << 48);
	KUNIT_EXPECT_TRUE(test, (__uint128_t)(multiplier + 1) * host >
				(__uint128_t)guest << 48);
	return multiplier;
}

static void scaling(struct kunit *test)
{
	struct rnd_state random;
	u32 i;

	test_seed(test, &random);
	for (i = 0; i < STEPS; i++) {
		u64 multiplier = any_multiplier(test, &random), host = any_number(&random);

		KUNIT_ASSERT_EQ(test, vhm_tsc_scale(host, multiplier),
				(u64)((__uint128_t)host * multiplier >> 48));
		KUNIT_ASSERT_EQ(test, vhm_tsc_scale(host, VHM_TSC_UNSCALED), host);
	}
}

/* The least number of host ticks that are so many of the guest; or all there are. */
static void unscaling(struct kunit *test)
{
	struct rnd_state random;
	u32 i;

	test_seed(test, &random);
	for (i = 0; i < STEPS; i++) {
		u64 multiplier = any_multiplier(test, &random), guest = any_number(&random);
		u64 host = vhm_tsc_unscale(guest, multiplier);

		if (host == U64_MAX) {
			KUNIT_ASSERT_TRUE(test, (__uint128_t)BIT_ULL(62) * multiplier <
						(__uint128_t)guest << 48);
			continue;
		}
		KUNIT_ASSERT_TRUE(test, (__uint128_t)host * multiplier >= (__uint128_t)guest << 48);
		if (host)
			KUNIT_ASSERT_TRUE(test, (__uint128_t)(host - 1) * multiplier <
						(__uint128_t)guest << 48);
		KUNIT_ASSERT_EQ(test, vhm_tsc_unscale(guest, VHM_TSC_UNSCALED), guest);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(frequencies),
	KUNIT_CASE(scaling),
	KUNIT_CASE(unscaling),
	{}
};

static struct kunit_suite suite = {
	.name = "tsc",
	.test_cases = cases,
};

kunit_test_suite(suite);
