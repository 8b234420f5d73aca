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
		rights = ept_rights_with_room(old);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, rights);
		if (rights != old)
			kvfree(old);
		KUNIT_EXPECT_EQ(test, ept_rights_change(rights, &range), 0);
		check(test, rights, want);
	}
	kvfree(rights);
}

/* Giving back what is in the middle of a range makes two of it: these count as well. */
static void bounded(struct kunit *test)
{
	struct ept_rights *rights;
	u32 i;

#define CHANGE(first_page, last_page, with_rights)					\
	ept_rights_change(rights, &(struct ept_rights_range) {			\
		.first = first_page, .last = last_page, .rights = with_rights })

	rights = kvzalloc(struct_size(rights, range, EPT_RIGHTS_RANGES_MAX + 2), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, rights);
	rights->room = EPT_RIGHTS_RANGES_MAX + 2;
	for (i = 0; i < EPT_RIGHTS_RANGES_MAX; i++)
		KUNIT_ASSERT_EQ(test, CHANGE(4ULL * i, 4ULL * i + 2, 0), 0);
	KUNIT_EXPECT_EQ(test, CHANGE(5, 5, EPT_ENTRY_RIGHTS), -ENOSPC);
	KUNIT_EXPECT_EQ(test, CHANGE(3, 3, EPT_ENTRY_READ), -ENOSPC);
	KUNIT_EXPECT_EQ(test, CHANGE(0, 0, EPT_ENTRY_READ), -ENOSPC);
	KUNIT_EXPECT_EQ(test, rights->count, EPT_RIGHTS_RANGES_MAX);
	/* the end of one, what makes two one, and all of them */
	KUNIT_EXPECT_EQ(test, CHANGE(6, 6, EPT_ENTRY_RIGHTS), 0);
	KUNIT_EXPECT_EQ(test, rights->count, EPT_RIGHTS_RANGES_MAX);
	KUNIT_EXPECT_EQ(test, CHANGE(3, 3, 0), 0);
	KUNIT_EXPECT_EQ(test, rights->count, EPT_RIGHTS_RANGES_MAX - 1);
	KUNIT_EXPECT_EQ(test, CHANGE(0, EPT_GFN_END - 1, EPT_ENTRY_RIGHTS), 0);
	KUNIT_EXPECT_EQ(test, rights->count, 0U);
#undef CHANGE
	kvfree(rights);
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
