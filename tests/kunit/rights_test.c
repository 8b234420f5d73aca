// SPDX-License-Identifier: GPL-2.0-only
/* Ranges of rights against an array with those of each page. */
#include "test.h"

#include <linux/mm.h>

#include "ept/ept.h"
#include "ept/format.h"
#include "ept/rights.h"

#define PAGES	300u
#define STEPS	(VHM_TEST_STEPS / 10)

static void check(struct kunit *test, const struct ept_rights *rights, const u32 *want)
{
	u32 gfn, first, last;

	for (gfn = 0; gfn < PAGES; gfn++) {
		struct ept_rights_range found = ept_rights_find(rights, gfn);

		for (first = gfn; first && want[first - 1] == want[gfn]; first--)
			;
		for (last = gfn; last < PAGES - 1 && want[last + 1] == want[gfn]; last++)
			;
		/* what is behind them all has all rights, up to the end of the address space */
		if (found.rights != want[gfn] || found.first != first ||
		    found.last != (last == PAGES - 1 && want[gfn] == EPT_ENTRY_RIGHTS ?
				   EPT_GFN_END - 1 : last)) {
			KUNIT_FAIL(test, "%u: %x from %llx to %llx", gfn, found.rights, found.first,
				   found.last);
			return;
		}
	}
	KUNIT_EXPECT_TRUE(test, !rights || rights->count);
}

static void random_changes(struct kunit *test)
{
	struct ept_rights *rights = NULL, *old;
	struct ept_rights_range range;
	u32 want[PAGES], i, gfn;
	struct rnd_state random;

	test_seed(test, &random);
	for (gfn = 0; gfn < PAGES; gfn++)
		want[gfn] = EPT_ENTRY_RIGHTS;
	for (i = 0; i < STEPS && !READ_ONCE(test->status); i++) {
		range.first = test_random(&random, PAGES);
		range.last = range.first + test_random(&random, 20);
		if (!test_random(&random, 100))
			range.last = PAGES - 1;
		range.last = min_t(gfn_t, range.last, PAGES - 1);
		range.rights = test_random(&random, 3) ? test_random(&random, 8) : EPT_ENTRY_RIGHTS;
		for (gfn = range.first; gfn <= range.last; gfn++)
			want[gfn] = range.rights;
		old = rights;
		rights = ept_rights_change(old, &range);
		KUNIT_ASSERT_FALSE(test, IS_ERR(rights));
		kvfree(old);
		check(test, rights, want);
	}
	kvfree(rights);
}

/* Giving back what is in the middle of a range makes two of it: these count as well. */
static void bounded(struct kunit *test)
{
	struct ept_rights *rights, *old;
	struct ept_rights_range range;

	/* as many as there may be */
	old = kvzalloc(struct_size(old, range, EPT_RIGHTS_RANGES_MAX), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, old);
	for (old->count = 0; old->count < EPT_RIGHTS_RANGES_MAX; old->count++)
		old->range[old->count] = (struct ept_rights_range) {
			.first = old->count * 4, .last = old->count * 4 + 2,
		};

	range = (struct ept_rights_range) { .first = 5, .last = 5, .rights = EPT_ENTRY_RIGHTS };
	KUNIT_EXPECT_PTR_EQ(test, ept_rights_change(old, &range), ERR_PTR(-ENOSPC));
	range = (struct ept_rights_range) { .first = 3, .last = 3, .rights = EPT_ENTRY_READ };
	KUNIT_EXPECT_PTR_EQ(test, ept_rights_change(old, &range), ERR_PTR(-ENOSPC));
	/* the end of one, one more that fills a gap, and all of them */
	range = (struct ept_rights_range) { .first = 6, .last = 6, .rights = EPT_ENTRY_RIGHTS };
	rights = ept_rights_change(old, &range);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, rights);
	KUNIT_EXPECT_EQ(test, rights->count, EPT_RIGHTS_RANGES_MAX);
	kvfree(rights);
	range = (struct ept_rights_range) { .first = 3, .last = 3 };
	rights = ept_rights_change(old, &range);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, rights);
	KUNIT_EXPECT_EQ(test, rights->count, EPT_RIGHTS_RANGES_MAX - 1);
	kvfree(rights);
	range = (struct ept_rights_range) { .last = EPT_GFN_END - 1, .rights = EPT_ENTRY_RIGHTS };
	KUNIT_EXPECT_PTR_EQ(test, ept_rights_change(old, &range), NULL);
	kvfree(old);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(random_changes),
	KUNIT_CASE(bounded),
	{}
};

static struct kunit_suite suite = {
	.name = "ept_rights",
	.test_cases = cases,
};

kunit_test_suite(suite);
