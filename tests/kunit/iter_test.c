// SPDX-License-Identifier: GPL-2.0-only
/*
 * Iterator against a recursive visitor over random sparse tables.
 */
#include "test.h"

#include <linux/vmalloc.h>

#include "ept/format.h"
#include "ept/iter.h"

#define GFN_END		BIT_ULL(36)
#define MAX_VISITS	BIT(17)
#define TABLE_FANOUT	3	/* entries of a table that are set on purpose */

struct visit {
	int level;
	gfn_t gfn;
	u64 value;
};

struct context {
	struct kunit *test;
	struct rnd_state random;
	gfn_t landmark[256];		/* pages at which something is mapped */
	u32 landmark_count;
	struct visit *visits;
	u32 visit_count;
};

static u64 *new_table(struct kunit *test)
{
	u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	return table;
}

static u64 *random_tables(struct context *context, int level, gfn_t base)
{
	u64 *table = new_table(context->test);
	int i;

	for (i = 0; i < TABLE_FANOUT; i++) {
		/* Often the first or last entry: that is where iterators go wrong. */
		u64 kind = test_random(&context->random, 4);
		u64 index = kind == 0 ? 0 : kind == 1 ? 511 : test_random(&context->random, 512);
		gfn_t gfn = base + index * (1ULL << (9 * (level - 1)));

		if (table[index])
			continue;
		if (level == 1 || (level < 4 && test_random(&context->random, 3) == 0)) {
			table[index] = (gfn << 12 & 0xffffffffff000) | (level > 1 ? 0x87 : 7);
			if (context->landmark_count < ARRAY_SIZE(context->landmark))
				context->landmark[context->landmark_count++] = gfn;
		} else {
			table[index] = __pa(random_tables(context, level - 1, gfn)) | 7;
		}
	}
	return table;
}

static void free_tables(u64 *table, int level)
{
	int i;

	for (i = 0; i < 512; i++)
		if (level > 1 && table[i] && !(table[i] & 0x80))
			free_tables(__va(table[i] & ~0xfffULL), level - 1);
	free_page((unsigned long)table);
}

/* The reference: every entry of every table is looked at. */
static void visit_all(struct context *context, u64 *table, int level, gfn_t base, gfn_t start,
		      gfn_t end)
{
	gfn_t pages = 1ULL << (9 * (level - 1));
	int i;

	for (i = 0; i < 512; i++, base += pages) {
		if (base + pages <= start || base >= end)
			continue;
		if (WARN_ON(context->visit_count >= MAX_VISITS))
			return;
		context->visits[context->visit_count++] = (struct visit) {
			.level = level, .gfn = base, .value = table[i],
		};
		if (level > 1 && table[i] && !(table[i] & 0x80))
			visit_all(context, __va(table[i] & ~0xfffULL), level - 1, base, start, end);
	}
}

static bool compare(struct context *context, u64 *root, gfn_t start, gfn_t end)
{
	struct ept_iter iter;
	u32 n = 0;

	context->visit_count = 0;
	if (start < end)
		visit_all(context, root, 4, 0, start, end);
	for_each_ept_entry(&iter, root, start, end) {
		const struct visit *want = &context->visits[n];
		gfn_t pages = 1ULL << (9 * (iter.level - 1));

		if (n++ >= context->visit_count || iter.level != want->level ||
		    iter.value != want->value || iter.gfn != max(want->gfn, start) ||
		    ept_level_within(iter.level, iter.gfn, start, iter.end - 1) !=
			    (want->gfn >= start && want->gfn + pages <= end)) {
			KUNIT_FAIL(context->test, "visit %u of [%llx, %llx): level %d gfn %llx",
				   n - 1, start, end, iter.level, iter.gfn);
			return false;
		}
	}
	KUNIT_EXPECT_EQ(context->test, n, context->visit_count);
	return n == context->visit_count;
}

static gfn_t random_bound(struct context *context)
{
	gfn_t gfn = context->landmark[test_random(&context->random, context->landmark_count)];
	u64 level = test_random(&context->random, 4);

	switch (test_random(&context->random, 4)) {
	case 0:
		return gfn;
	case 1:
		return gfn + 1;
	case 2:		/* the boundary of an entry above */
		return (gfn >> (9 * level)) << (9 * level);
	default:
		return gfn + test_random(&context->random, 1 << 20) - (1 << 19);
	}
}

static struct context *new_context(struct kunit *test)
{
	struct context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context);
	context->test = test;
	context->visits = vmalloc(array_size(MAX_VISITS, sizeof(*context->visits)));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context->visits);
	test_seed(test, &context->random);
	return context;
}

static void random_ranges(struct kunit *test)
{
	struct context *context = new_context(test);
	bool ok = true;
	int tree, i;

	for (tree = 0; tree < 8 && ok; tree++) {
		u64 *root;

		context->landmark_count = 0;
		root = random_tables(context, 4, 0);
		ok = compare(context, root, 0, GFN_END);
		for (i = 0; i < 150 && ok; i++) {
			gfn_t a = min(random_bound(context), GFN_END);
			gfn_t b = min(random_bound(context), GFN_END);

			ok = compare(context, root, min(a, b), max(a, b));
		}
		free_tables(root, 4);
	}
	vfree(context->visits);
}

static void bounds(struct kunit *test)
{
	u64 *root = new_table(test);
	struct ept_iter iter;
	int n = 0;

	for_each_ept_entry(&iter, root, 5, 5)
		n++;
	KUNIT_EXPECT_EQ(test, n, 0);
	for_each_ept_entry(&iter, root, 6, 5)
		n++;
	KUNIT_EXPECT_EQ(test, n, 0);
	/* A range beyond what the tables span ends with them. */
	for_each_ept_entry(&iter, root, GFN_END - 1, ~0ULL) {
		n++;
		KUNIT_EXPECT_PTR_EQ(test, iter.entry, root + 511);
	}
	KUNIT_EXPECT_EQ(test, n, 1);
	for_each_ept_entry(&iter, root, GFN_END, ~0ULL)
		n++;
	KUNIT_EXPECT_EQ(test, n, 1);
	free_tables(root, 4);
}

/* The body unlinks and links tables; the iterator goes where the entry leads afterwards. */
static void body_replaces_entries(struct kunit *test)
{
	u64 *root = new_table(test), *unlinked = new_table(test), *linked = new_table(test);
	int seen_unlinked = 0, seen_linked = 0, top = 0;
	struct ept_iter iter;

	root[1] = __pa(unlinked) | 7;
	for_each_ept_entry(&iter, root, 0, GFN_END) {
		if (iter.level == 4) {
			top++;
			if (iter.entry == root + 1)
				root[1] = 0;
			if (iter.entry == root + 2)
				root[2] = __pa(linked) | 7;
		}
		seen_unlinked += iter.table[iter.level] == unlinked;
		seen_linked += iter.table[iter.level] == linked;
	}
	KUNIT_EXPECT_EQ(test, top, 512);
	KUNIT_EXPECT_EQ(test, seen_unlinked, 0);
	KUNIT_EXPECT_EQ(test, seen_linked, 512);
	free_page((unsigned long)unlinked);
	free_tables(root, 4);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(random_ranges),
	KUNIT_CASE(bounds),
	KUNIT_CASE(body_replaces_entries),
	{}
};

static struct kunit_suite suite = {
	.name = "ept_iterator",
	.test_cases = cases,
};

kunit_test_suite(suite);
