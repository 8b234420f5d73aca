// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host's reclaim is told of the guest's accesses, in random order against an array with
 * one element a page: first as by a processor that sets accessed flags, then by one that sets none.
 */
#include "test.h"

#include "ept/format.h"
#include "ept/table.h"

#define WINDOW_PAGES	(6 * 512ULL)
#define WINDOW_START	(BIT_ULL(18) - WINDOW_PAGES / 2)	/* over a border of 1 GiB */
#define FIXED_GFN	(WINDOW_START + 700)
#define STEPS		20000
#define LARGE_PAGES	512ULL

struct context {
	struct kunit *test;
	struct rnd_state random;
	struct ept *ept;
	bool young[WINDOW_PAGES];	/* by page: since its leaf was last made old */
	u64 answers[2];			/* questions answered by no and yes */
};

/* First page and number of pages of the leaf over @gfn; 0 pages: none that counts. */
static u64 leaf_over(struct context *context, gfn_t gfn, gfn_t *first)
{
	int level;
	u64 leaf = test_translate(context->ept->root, gfn, &level);
	u64 pages = leaf && gfn != FIXED_GFN ? 1ULL << (9 * (level - 1)) : 0;

	*first = pages ? gfn & ~(pages - 1) : gfn;
	return pages;
}

static void set_young(struct context *context, gfn_t first, u64 pages, bool young)
{
	memset(&context->young[first - WINDOW_START], young, pages);
}

static void map(struct context *context, gfn_t gfn, int level, u64 hpa)
{
	struct ept_page_cache cache = { 0 };
	int ret;

	do {
		ept_lock(context->ept);
		ret = ept_map_locked(context->ept, NULL, gfn, level,
				     ept_entry_make_leaf(hpa, level, 7), &cache);
		ept_unlock(context->ept);
	} while (ret == -EAGAIN && !ept_page_cache_fill(&cache));
	ept_page_cache_drain(&cache);
}

/* Only where there is nothing, or a page that the large leaf there does not have: it is split. */
static void step_map(struct context *context, gfn_t gfn)
{
	bool large = !test_random(&context->random, 20);
	gfn_t first, at;
	u64 pages;

	if (large) {
		gfn &= ~(LARGE_PAGES - 1);
		for (at = gfn; at < gfn + LARGE_PAGES; at++)
			if (at == FIXED_GFN || leaf_over(context, at, &first))
				return;
		map(context, gfn, 2, 5ULL << 30);
		set_young(context, gfn, LARGE_PAGES, false);
		return;
	}
	pages = leaf_over(context, gfn, &first);
	if (gfn == FIXED_GFN || pages == 1)
		return;
	map(context, gfn, 1, 7ULL << 30);
	set_young(context, gfn, 1, false);
}

/* As the processor does, in every entry of the walk. */
static void step_access(struct context *context, gfn_t gfn)
{
	u64 *table = context->ept->root, pages;
	gfn_t first;
	int level;

	for (level = 4; level; level--) {
		u64 *entry = &table[gfn >> (9 * (level - 1)) & 511];

		if (!(*entry & 7))
			return;
		if (context->ept->caps.accessed_dirty)
			*entry |= 0x100;
		if (level == 1 || (level < 4 && *entry & 0x80))
			break;
		table = __va(*entry & 0xffffffffff000ULL);
	}
	pages = leaf_over(context, gfn, &first);
	set_young(context, first, pages, true);
}

static void step_zap(struct context *context, gfn_t start, gfn_t end)
{
	ept_zap_at_once(context->ept, start, end);
}

static bool expected(struct context *context, gfn_t start, gfn_t end)
{
	gfn_t gfn, first;

	for (gfn = start; gfn < end; gfn++)
		if (leaf_over(context, gfn, &first) &&
		    (!context->ept->caps.accessed_dirty || context->young[gfn - WINDOW_START]))
			return true;
	return false;
}

static void step_test(struct context *context, gfn_t start, gfn_t end)
{
	bool young = expected(context, start, end);
	u64 generation = context->ept->generation;

	KUNIT_EXPECT_EQ(context->test, ept_test_young(context->ept, start, end), young);
	/* it asks and changes nothing */
	KUNIT_EXPECT_EQ(context->test, ept_test_young(context->ept, start, end), young);
	KUNIT_EXPECT_EQ(context->test, context->ept->generation, generation);
	context->answers[young]++;
}

static void step_make_old(struct context *context, gfn_t start, gfn_t end)
{
	bool young = expected(context, start, end), flags = context->ept->caps.accessed_dirty;
	u64 generation = context->ept->generation;
	gfn_t gfn, first;

	for (gfn = start; gfn < end; gfn++) {
		u64 pages = leaf_over(context, gfn, &first);

		set_young(context, first, pages, false);
	}
	KUNIT_EXPECT_EQ(context->test, ept_make_old(context->ept, start, end), young);
	KUNIT_EXPECT_FALSE(context->test, ept_test_young(context->ept, start, end));
	if (flags || !young)
		KUNIT_EXPECT_EQ(context->test, context->ept->generation, generation);
	else
		KUNIT_EXPECT_GT(context->test, context->ept->generation, generation);
	context->answers[young]++;
}

/* Whatever is asked about others, a page keeps its answer. */
static void check_all(struct context *context)
{
	gfn_t gfn;

	for (gfn = WINDOW_START; gfn < WINDOW_START + WINDOW_PAGES; gfn++)
		if (ept_test_young(context->ept, gfn, gfn + 1) !=
		    expected(context, gfn, gfn + 1))
			KUNIT_FAIL(context->test, "gfn %llx", gfn);
}

static void run_steps(struct context *context)
{
	int i;

	memset(context->answers, 0, sizeof(context->answers));
	for (i = 0; i < STEPS && !READ_ONCE(context->test->status); i++) {
		gfn_t start = WINDOW_START + test_random(&context->random, WINDOW_PAGES);
		u64 most = test_random(&context->random, 10) ? 3 : 1024;
		gfn_t end = min(start + 1 + test_random(&context->random, most),
				WINDOW_START + WINDOW_PAGES);
		u64 kind = test_random(&context->random, 100);

		if (kind < 40)
			step_map(context, start);
		else if (kind < 60)
			step_access(context, start);
		else if (kind < 62)
			step_zap(context, start, end);
		else if (kind < 85)
			step_test(context, start, end);
		else
			step_make_old(context, start, end);
		if (i % 2000 == 0)
			check_all(context);
	}
	check_all(context);
	KUNIT_EXPECT_GT(context->test, context->answers[0], 1000ULL);
	KUNIT_EXPECT_GT(context->test, context->answers[1], 100ULL);
}

static void random_sequence(struct kunit *test)
{
	static const struct ept_caps caps = { .page_2m = true, .accessed_dirty = true };
	struct context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);
	struct test_vm *tvm = test_vm_create(test);
	gfn_t first;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context);
	context->test = test;
	context->ept = &tvm->ept;
	KUNIT_ASSERT_EQ(test, ept_init(&tvm->ept, &tvm->vm, &caps), 0);
	test_seed(test, &context->random);
	KUNIT_EXPECT_EQ(test, ept_map_fixed(&tvm->ept, FIXED_GFN << PAGE_SHIFT, 0x5000), 0);
	step_access(context, FIXED_GFN);
	run_steps(context);

	ept_forgo_accessed_dirty(&tvm->ept);
	run_steps(context);
	/* not the host's page, and none of its business */
	KUNIT_EXPECT_EQ(test, leaf_over(context, FIXED_GFN, &first), 0ULL);
	KUNIT_EXPECT_NE(test, test_translate(tvm->ept.root, FIXED_GFN, &(int) { 0 }), 0ULL);
	ept_flush(&tvm->ept);
	ept_free_tables(&tvm->ept);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(random_sequence),
	{}
};

static struct kunit_suite suite = {
	.name = "ept_age",
	.test_cases = cases,
};

kunit_test_suite(suite);
