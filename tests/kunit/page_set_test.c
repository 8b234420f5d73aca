// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets of page numbers against a plain array, with one thread and with several that add while one
 * takes.
 */
#include "test.h"

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/vmalloc.h>

#include "ept/page_set.h"

#define PAGES	(5ULL << 12)		/* five chunks */
#define START	((1ULL << 30) - 8192)	/* they lie at the border of a node of the xarray */
#define STEPS	(VHM_TEST_STEPS / 2)

struct context {
	struct kunit *test;
	struct rnd_state random;
	struct ept_page_set set;
	bool *member;			/* by page */
};

static struct context *begin(struct kunit *test)
{
	struct context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context);
	context->test = test;
	test_seed(test, &context->random);
	context->member = vzalloc(PAGES);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context->member);
	ept_page_set_init(&context->set);
	KUNIT_EXPECT_EQ(test, ept_page_set_reserve(&context->set, START, PAGES), 0);
	/* there already */
	KUNIT_EXPECT_EQ(test, ept_page_set_reserve(&context->set, START + 5, 1), 0);
	return context;
}

static void end(struct context *context)
{
	ept_page_set_free(&context->set);
	vfree(context->member);
}

static void step_add(struct context *context)
{
	u64 word = test_random(&context->random, PAGES / 64) * 64, i;
	u64 pages = BIT_ULL(test_random(&context->random, 64));

	if (!test_random(&context->random, 4))
		pages = test_random(&context->random, U64_MAX);
	ept_page_set_add(&context->set, START + word, pages);
	for (i = 0; i < 64; i++)
		context->member[word + i] |= pages >> i & 1;
	/* no room was made for these */
	ept_page_set_add(&context->set, START - 64 - word, pages);
	ept_page_set_add(&context->set, START + PAGES + word, pages);
}

/* All in a range, in order, and nothing else. */
static void step_take(struct context *context)
{
	u64 first = test_random(&context->random, PAGES / 64) * 64;
	u64 last = first + 1 + test_random(&context->random, min(PAGES - first, 6000ULL)), at, i;
	gfn_t gfn = START + first;
	u64 pages;

	/* now and then all there is, and what lies before and behind */
	if (!test_random(&context->random, 50)) {
		first = 0;
		last = PAGES;
		gfn = 0;
	}
	at = first;
	while ((pages = ept_page_set_take(&context->set, &gfn,
					  last == PAGES ? ~0ULL : START + last))) {
		if (gfn % 64 || gfn < START + at || gfn >= START + last) {
			KUNIT_FAIL(context->test, "%llx is not in %llx-%llx", gfn, START + at,
				   START + last);
			return;
		}
		for (; at < gfn - START; at++)
			if (context->member[at])
				KUNIT_FAIL(context->test, "%llx was passed over", START + at);
		for (i = 0; i < 64; i++) {
			bool want = at + i < last && context->member[at + i];

			if ((pages >> i & 1) != want)
				KUNIT_FAIL(context->test, "%llx: %d", START + at + i, !want);
			if (want)
				context->member[at + i] = false;
		}
		at += 64;
		gfn += 64;
	}
	for (; at < last; at++)
		if (context->member[at])
			KUNIT_FAIL(context->test, "%llx was left", START + at);
}

static void random_sequence(struct kunit *test)
{
	struct context *context = begin(test);
	int i;

	for (i = 0; i < STEPS && !READ_ONCE(test->status); i++)
		if (test_random(&context->random, 40))
			step_add(context);
		else
			step_take(context);
	end(context);
}

#ifdef CONFIG_SMP
/* The lock is somebody's who may be waiting for the one who adds. */
static void added_while_locked(struct kunit *test)
{
	struct context *context = begin(test);
	gfn_t gfn = 0;

	xa_lock_irq(&context->set.chunks);
	ept_page_set_add(&context->set, START, 1);
	ept_page_set_add(&context->set, START + PAGES - 64, 2);
	xa_unlock_irq(&context->set.chunks);
	/* this one could be marked */
	ept_page_set_add(&context->set, START, 4);
	KUNIT_EXPECT_EQ(test, ept_page_set_take(&context->set, &gfn, ~0ULL), 5ULL);
	KUNIT_EXPECT_EQ(test, ept_page_set_take(&context->set, &gfn, ~0ULL), 2ULL);
	KUNIT_EXPECT_EQ(test, ept_page_set_take(&context->set, &gfn, ~0ULL), 0ULL);
	end(context);
}
#endif

/* -------------------------------------------------------------- several -- */

#define ADDERS		3
#define ADDED		20000

struct adder {
	struct context *context;
	struct rnd_state random;
	struct completion done;
};

/* A page is a member from before it is added until after it was taken. */
static int add(void *data)
{
	struct adder *adder = data;
	struct context *context = adder->context;
	int i;

	for (i = 0; i < ADDED; i++) {
		/* few, so that they meet */
		u64 page = test_random(&adder->random, 256) * (PAGES / 256);

		WRITE_ONCE(context->member[page], true);
		ept_page_set_add(&context->set, START + (page & ~63ULL), BIT_ULL(page & 63));
		if (!(i & 127))
			cond_resched();
	}
	complete(&adder->done);
	return 0;
}

static u64 take_all(struct context *context)
{
	u64 pages, taken = 0;
	gfn_t gfn = 0;

	while ((pages = ept_page_set_take(&context->set, &gfn, ~0ULL))) {
		taken += hweight64(pages);
		for (; pages; pages &= pages - 1)
			WRITE_ONCE(context->member[gfn - START + __ffs64(pages)], false);
		gfn += 64;
	}
	return taken;
}

/* While some add, another takes: whatever their order, nothing that was added is lost. */
static void several(struct kunit *test)
{
	struct context *context = begin(test);
	struct adder *adders = kunit_kzalloc(test, ADDERS * sizeof(*adders), GFP_KERNEL);
	u64 page, taken = 0;
	int i, started;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, adders);
	for (started = 0; started < ADDERS; started++) {
		adders[started].context = context;
		prandom_seed_state(&adders[started].random, prandom_u32_state(&context->random));
		init_completion(&adders[started].done);
		if (IS_ERR(kthread_run(add, &adders[started], "vhm_add_%d", started)))
			break;
	}
	KUNIT_EXPECT_EQ(test, started, ADDERS);
	for (i = 0; i < started; i++)
		while (!wait_for_completion_timeout(&adders[i].done, 1))
			taken += take_all(context);
	taken += take_all(context);
	KUNIT_EXPECT_GT(test, taken, 255ULL);
	for (page = 0; page < PAGES; page++)
		KUNIT_EXPECT_FALSE(test, context->member[page]);
	end(context);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(random_sequence),
#ifdef CONFIG_SMP
	KUNIT_CASE(added_while_locked),
#endif
	KUNIT_CASE(several),
	{}
};

static struct kunit_suite suite = {
	.name = "ept_page_set",
	.test_cases = cases,
};

kunit_test_suite(suite);
