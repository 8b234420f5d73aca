// SPDX-License-Identifier: GPL-2.0-only
/*
 * Map, zap and flush in random order against an array with one element a page, and
 * against a processor that caches as much as it may.
 *
 * The processor keeps translations and table pages until it enters the guest with another
 * generation; it reads the tables it keeps, so that KASAN finds one freed too early.
 */
#include "test.h"

#include <linux/vmalloc.h>

#include "ept/format.h"
#include "ept/notifier.h"
#include "ept/table.h"

/* 2 GiB of guest memory, the border between two level-4 entries in the middle */
#define WINDOW_PAGES	BIT_ULL(19)
#define WINDOW_START	(BIT_ULL(27) - WINDOW_PAGES / 2)
#define STEPS		VHM_TEST_STEPS
#define FULL_CHECK	5000
#define TABLE_CHECK	200
#define CACHED		64

/* Marks of ours in an entry */
#define TRACKED		BIT_ULL(53)
#define SMALL_EXECUTE	BIT_ULL(59)
#define DIRTY		BIT_ULL(9)

/* The processor's */
#define ACCESSED	BIT_ULL(8)

struct reference {
	u64 leaf;	/* the entry, 0: none */
	u8 level;
};

struct cached {
	gfn_t gfn;
	u64 leaf;
	int level;
	u64 *table;	/* the last table of the walk */
};

struct context {
	struct kunit *test;
	struct rnd_state random;
	struct test_vm *tvm;
	struct vhm_process process;
	bool logs;				/* what is written; accessed flags */
	struct reference *reference;		/* by page of the window */
	u64 mapped[4];				/* leaves by level */
	u64 generation;				/* before the step */
	u64 entered_generation;			/* of the processor */
	struct cached cached[CACHED];
	u64 hits;				/* steps that found something */
};

static struct reference *reference_of(struct context *context, gfn_t gfn)
{
	return &context->reference[gfn - WINDOW_START];
}

/* Remove the leaf over @gfn, all of it, from the reference. */
static void forget(struct context *context, gfn_t gfn)
{
	struct reference *reference = reference_of(context, gfn);
	u64 pages;

	if (!reference->leaf)
		return;
	pages = 1ULL << (9 * (reference->level - 1));
	context->mapped[reference->level]--;
	memset(reference_of(context, gfn & ~(pages - 1)), 0, pages * sizeof(*reference));
}

/* A leaf of 4 KiB that was part of a larger one. */
static u64 small(struct context *context, u64 leaf)
{
	if (leaf & SMALL_EXECUTE)
		leaf = (leaf & ~SMALL_EXECUTE) | 4;
	if (context->logs && leaf & TRACKED)
		leaf = (leaf & ~TRACKED) | 2;
	return leaf;
}

static u64 pages_of(int level)
{
	return 1ULL << (9 * (level - 1));
}

/* The leaf over @gfn becomes the same in smaller pieces, until they are of @level. */
static void split(struct context *context, gfn_t gfn, int level)
{
	struct reference whole = *reference_of(context, gfn), *piece;
	u64 pages, i;

	if (!whole.leaf || whole.level <= level)
		return;
	pages = pages_of(whole.level);
	piece = reference_of(context, gfn & ~(pages - 1));
	for (i = 0; i < pages; i++) {
		u64 first = i & ~(pages_of(whole.level - 1) - 1);

		piece[i].level = whole.level - 1;
		piece[i].leaf = whole.leaf + (first << 12);
		/* 4 KiB: no mark of a large page, and the rights it lacked for its size */
		if (piece[i].level == 1)
			piece[i].leaf = small(context, piece[i].leaf & ~0x80ULL);
	}
	context->mapped[whole.level]--;
	context->mapped[whole.level - 1] += 512;
	split(context, gfn, level);
}

/* The entry of @level over @gfn, if it references a table. */
static u64 *table_entry(u64 *table, gfn_t gfn, int level)
{
	int at;

	for (at = 4; ; at--) {
		u64 *entry = &table[gfn >> (9 * (at - 1)) & 511];

		if (!(*entry & 7) || (at < 4 && *entry & 0x80))
			return NULL;
		if (at == level)
			return entry;
		table = __va(*entry & 0xffffffffff000ULL);
	}
}

/* ------------------------------------------------------------ processor -- */

static void cpu_enter(struct context *context)
{
	u64 generation = READ_ONCE(context->tvm->ept.generation);

	if (generation != context->entered_generation)
		memset(context->cached, 0, sizeof(context->cached));
	context->entered_generation = generation;
}

static void cpu_leave_and_enter(struct test_vm *tvm)
{
	cpu_enter(tvm->data);
}

/* A guest access: the processor walks and caches, or uses what it has cached. */
static void cpu_access(struct context *context, gfn_t gfn)
{
	struct cached *cached = &context->cached[test_random(&context->random, CACHED)];
	u64 *table = context->tvm->ept.root;
	int level;

	if (cached->table) {
		u64 sum = 0;
		int i;

		for (i = 0; i < 512; i += 64)
			sum += READ_ONCE(cached->table[i]);
		OPTIMIZER_HIDE_VAR(sum);
	}
	cached->gfn = gfn;
	cached->leaf = test_translate(table, gfn, &cached->level);
	for (level = 4; level > 1; level--) {
		u64 *entry = &table[gfn >> (9 * (level - 1)) & 511];

		if (!(*entry & 7) || (level < 4 && *entry & 0x80))
			break;
		*entry |= context->logs ? ACCESSED : 0;
		table = __va(*entry & 0xffffffffff000ULL);
	}
	cached->table = table;
}

/* Address and flags that a leaf gives page @gfn, whatever its size. */
static u64 translation(gfn_t gfn, u64 leaf, int level)
{
	return leaf ? (leaf & ~0x80ULL) + ((gfn & (pages_of(level) - 1)) << 12) : 0;
}

/* After a flush the processor may translate to nothing that is not mapped now. */
static void check_cached(struct context *context)
{
	int i;

	for (i = 0; i < CACHED; i++) {
		struct cached *cached = &context->cached[i];
		const struct reference *reference;
		u64 then, now;

		if (!cached->leaf)
			continue;
		reference = reference_of(context, cached->gfn);
		then = translation(cached->gfn, cached->leaf, cached->level);
		now = translation(cached->gfn, reference->leaf, reference->level);
		if ((then ^ now) & 0xffffffffff000ULL || then & ~now & 7)
			KUNIT_FAIL(context->test, "gfn %llx: cached %llx, mapped %llx", cached->gfn,
				   then, now);
	}
}

/* ----------------------------------------------------------------- steps -- */

static gfn_t random_gfn(struct context *context)
{
	/* Mostly a few crowded places, at the borders of tables. */
	static const u64 crowd[] = { 0, 512, WINDOW_PAGES / 2 - 256, WINDOW_PAGES / 2, 300000,
				     WINDOW_PAGES - 2048 };
	u64 where = test_random(&context->random, ARRAY_SIZE(crowd) + 1);

	if (where == ARRAY_SIZE(crowd))
		return WINDOW_START + test_random(&context->random, WINDOW_PAGES);
	return WINDOW_START + crowd[where] + test_random(&context->random, 1024);
}

static void expect_raised(struct context *context, bool raised, const char *what, gfn_t gfn)
{
	u64 generation = context->tvm->ept.generation;
	bool did = generation > context->generation;

	if (did != raised)
		KUNIT_FAIL(context->test, "%s at %llx: generation %llu to %llu", what, gfn,
			   context->generation, generation);
	context->generation = generation;
}

static int map(struct context *context, gfn_t gfn, int level, u64 leaf)
{
	struct ept *ept = &context->tvm->ept;
	struct ept_page_cache cache = { 0 };
	int ret;

	do {
		ept_lock(ept);
		ret = ept_map_locked(ept, NULL, gfn, level, leaf, &cache);
		ept_unlock(ept);
	} while (ret == -EAGAIN && !ept_page_cache_fill(&cache));
	ept_page_cache_drain(&cache);
	return ret;
}

static void step_map(struct context *context)
{
	static const u8 rights[] = { 1, 3, 5, 7 };
	u64 kind = test_random(&context->random, 4000);
	int level = kind == 0 ? 3 : kind < 200 ? 2 : 1;
	u64 pages = pages_of(level), i;
	gfn_t gfn = random_gfn(context) & ~(pages - 1);
	struct reference *reference = reference_of(context, gfn);
	/* Few pages, so that the same one is often mapped again. */
	u64 leaf = ept_entry_make_leaf((test_random(&context->random, 3) + 1) << 30, level,
				       rights[test_random(&context->random, 4)]);
	bool refused;
	int ret;
	bool same, adds, lost = false;

	if (level > 1 && !(leaf & 4) && test_random(&context->random, 2))
		leaf |= SMALL_EXECUTE;
	if (test_random(&context->random, 2))
		leaf |= DIRTY;
	refused = level > 1 && !(leaf & 4) &&
		       table_entry(context->tvm->ept.root, gfn, level);
	ret = map(context, gfn, level, leaf);
	if (refused) {
		KUNIT_EXPECT_EQ(context->test, ret, -EEXIST);
		expect_raised(context, false, "refused map", gfn);
		return;
	}
	context->hits += reference->leaf && reference->level > level;
	split(context, gfn, level);
	same = reference->leaf && reference->level == level &&
	       !((reference->leaf ^ leaf) & 0xffffffffff000ULL);
	adds = leaf & ~reference->leaf & 7;
	if (same) {
		leaf = reference->leaf | (leaf & 7);
		if (adds && leaf & 2)
			leaf &= ~TRACKED;
		KUNIT_EXPECT_EQ(context->test, ret, adds ? 1 : 0);
	} else {
		KUNIT_EXPECT_EQ(context->test, ret, 1);
		for (i = 0; i < pages; i++)
			if (reference[i].leaf) {
				lost = true;
				forget(context, gfn + i);
			}
		context->mapped[level]++;
	}
	/* A table without leaves in the way of a large leaf may raise it for nothing. */
	if (level == 1 || lost)
		expect_raised(context, lost, "map", gfn);
	context->generation = context->tvm->ept.generation;
	for (i = 0; i < pages; i++)
		reference[i] = (struct reference) { .leaf = leaf, .level = level };
	context->hits += same || lost;
}

static void step_zap(struct context *context)
{
	u64 kind = test_random(&context->random, 1000);
	u64 pages = kind == 0 ? WINDOW_PAGES : kind < 20 ? 1 << 12 : kind < 100 ? 1024 : 16;
	gfn_t start = random_gfn(context);
	gfn_t end = start + 1 + test_random(&context->random, pages), gfn;
	struct ept *ept = &context->tvm->ept;
	u64 tables = ept_count(ept, EPT_TABLES);
	bool lost = false;

	end = min(end, WINDOW_START + WINDOW_PAGES);
	ept_zap_at_once(ept, start, end);

	for (gfn = start; gfn < end; gfn++)
		if (reference_of(context, gfn)->leaf) {
			lost = true;
			forget(context, gfn);
		}
	/* Unlinking a table without leaves counts as losing: the processor may hold it. */
	expect_raised(context, lost || ept_count(ept, EPT_TABLES) != tables, "zap", start);
	context->hits += lost;
}

/* What the next write to @page shall be noticed by. Return: the processor may have missed that. */
static bool track_reference(struct context *context, struct reference *page)
{
	u64 old = page->leaf;

	if (page->level == 1 && context->logs)
		page->leaf &= ~DIRTY;
	else if (old & 2)
		page->leaf = (old & ~(2 | DIRTY)) | TRACKED;
	return page->leaf != old;
}

static void step_track_some(struct context *context)
{
	struct ept *ept = &context->tvm->ept;
	gfn_t first = random_gfn(context) & ~63ULL;
	u64 pages = test_random(&context->random, ~0ULL), i;
	bool changed = false;

	ept_lock(ept);
	ept_track_locked(ept, first, pages);
	ept_unlock(ept);
	/* large leaves are left as they are: those of a tracked VM are so already */
	for (i = 0; i < 64; i++)
		if (pages >> i & 1 && reference_of(context, first + i)->level == 1)
			changed |= track_reference(context, reference_of(context, first + i));
	expect_raised(context, changed, "track", first);
	context->hits += changed;
}

static void step_track_all(struct context *context)
{
	bool changed = false;
	u64 i;

	ept_track_all(&context->tvm->ept);
	for (i = 0; i < WINDOW_PAGES; i++)
		if (context->reference[i].leaf)
			changed |= track_reference(context, &context->reference[i]);
	KUNIT_EXPECT_EQ(context->test, context->tvm->ept.generation > context->generation, changed);
	context->generation = context->tvm->ept.generation;
	context->hits += changed;
}

/* Forget all pages of an entry of @level, tables included. Return: how many tables. */
static u64 forget_table(struct context *context, gfn_t gfn, int level)
{
	u64 tables = 1, i;

	for (i = 0; i < pages_of(level); i += 512)
		tables += level == 3 && table_entry(context->tvm->ept.root, gfn + i, 2);
	for (i = 0; i < pages_of(level); i++)
		forget(context, gfn + i);
	return tables;
}

/* What of 1 GiB goes, by the accessed flags before. Return: how many tables. */
static u64 forget_unused(struct context *context, gfn_t gfn, long *scan)
{
	u64 *root = context->tvm->ept.root, *entry = table_entry(root, gfn, 3);
	u64 tables = 0, i;

	if (!entry)
		return 0;
	if (!(*entry & ACCESSED)) {
		tables = forget_table(context, gfn, 3);
		*scan -= tables;
		return tables;
	}
	*scan -= 1;
	for (i = 0; i < pages_of(3); i += 512) {
		entry = table_entry(root, gfn + i, 2);
		if (entry && !(*entry & ACCESSED))
			tables += forget_table(context, gfn + i, 2);
		*scan -= !!entry;
	}
	return tables;
}

static void step_shrink(struct context *context)
{
	struct ept *ept = &context->tvm->ept;
	long scan = 1 + test_random(&context->random, 300), left = scan;
	const gfn_t end = WINDOW_START + WINDOW_PAGES;
	gfn_t hand = max(ept->hand, WINDOW_START), gfn;
	u64 tables = ept_count(ept, EPT_TABLES), gone = 0;

	for (gfn = hand; gfn < end && left > 0; gfn += pages_of(3))
		gone += forget_unused(context, gfn, &left);
	spin_lock(&context->process.lock);
	KUNIT_EXPECT_EQ(context->test, (u64)ept_shrink(ept, &scan), gone);
	spin_unlock(&context->process.lock);
	KUNIT_EXPECT_EQ(context->test, scan, left);
	KUNIT_EXPECT_EQ(context->test, tables - ept_count(ept, EPT_TABLES), gone);
	/* all of it is looked at next time, or what has not been yet */
	KUNIT_EXPECT_EQ(context->test, ept->hand, left > 0 ? 0ULL : gfn & ~(pages_of(3) - 1));
	for (gfn = hand; gfn < end && (ept->hand ? gfn < ept->hand : 1); gfn += 512) {
		u64 *entry = table_entry(ept->root, gfn, 2);

		if (entry && *entry & ACCESSED)
			KUNIT_FAIL(context->test, "gfn %llx: no second chance", gfn);
	}
	expect_raised(context, gone, "shrink", hand);
	context->hits += !!gone;
}

static void step_flush(struct context *context)
{
	struct ept *ept = &context->tvm->ept;
	bool due = ept->generation != (u64)atomic64_read(&ept->flushed_generation);
	unsigned int flushes = context->tvm->flushes;

	ept_flush(ept);
	KUNIT_EXPECT_EQ(context->test, context->tvm->flushes - flushes, due ? 1U : 0U);
	KUNIT_EXPECT_EQ(context->test, (u64)atomic64_read(&ept->flushed_generation),
			ept->generation);
	KUNIT_EXPECT_TRUE(context->test, list_empty(&ept->dead));
	check_cached(context);
}

/* ---------------------------------------------------------------- checks -- */

static u64 count_tables(u64 *table, int level)
{
	u64 count = 1;
	int i;

	for (i = 0; i < 512; i++)
		if (level > 1 && table[i] & 7 && !(level < 4 && table[i] & 0x80))
			count += count_tables(__va(table[i] & 0xffffffffff000ULL), level - 1);
	return count;
}

/* All but the root and those of level 3 may go. */
static void check_tables(struct context *context)
{
	struct ept *ept = &context->tvm->ept;
	u64 tables = count_tables(ept->root, 4), stay = 1;
	int i;

	KUNIT_EXPECT_EQ(context->test, tables, ept_count(ept, EPT_TABLES));
	for (i = 0; i < 512; i++)
		stay += !!(ept->root[i] & 7);
	KUNIT_EXPECT_EQ(context->test, (u64)atomic_long_read(&context->process.tables),
			tables - stay);
}

static void check_counts(struct context *context)
{
	int level;

	for (level = 1; level <= 3; level++)
		if (ept_count(&context->tvm->ept, level) != context->mapped[level])
			KUNIT_FAIL(context->test, "level %d: %llu counted, %llu mapped", level,
				   ept_count(&context->tvm->ept, level), context->mapped[level]);
}

static void check_page(struct context *context, gfn_t gfn)
{
	const struct reference *want = reference_of(context, gfn);
	int level;
	u64 leaf = test_translate(context->tvm->ept.root, gfn, &level);

	if (leaf != want->leaf || (leaf && level != want->level))
		KUNIT_FAIL(context->test, "gfn %llx: %llx at level %d, not %llx at %d", gfn, leaf,
			   level, want->leaf, want->level);
}

/* The report of a range: each leaf once, also one that lies in it with a part. */
static void check_report(struct context *context, gfn_t start, gfn_t end)
{
	struct vhm_mapped mapped = {
		.gpa = start << PAGE_SHIFT, .bytes = (end - start) << PAGE_SHIFT,
	};
	u64 count[3] = { 0 };
	gfn_t gfn;

	for (gfn = start; gfn < end; gfn++) {
		const struct reference *here = reference_of(context, gfn);

		if (here->leaf && (gfn == start || !(gfn & (ept_level_pages(here->level) - 1))))
			count[here->level - 1]++;
	}
	ept_get_mapped(&context->tvm->ept, &mapped);
	KUNIT_EXPECT_EQ(context->test, memcmp(mapped.entries, count, sizeof(count)), 0);
	KUNIT_EXPECT_EQ(context->test, mapped.tables, ept_count(&context->tvm->ept, EPT_TABLES));
}

static void check_all(struct context *context)
{
	const gfn_t window_end = WINDOW_START + WINDOW_PAGES;
	gfn_t gfn;

	for (gfn = WINDOW_START; gfn < WINDOW_START + WINDOW_PAGES; gfn++)
		check_page(context, gfn);
	check_tables(context);
	check_report(context, WINDOW_START, window_end);
	gfn = random_gfn(context);
	check_report(context, gfn, gfn + 1 + test_random(&context->random, window_end - gfn));
}

/* ----------------------------------------------------------------- cases -- */

static struct context *new_context(struct kunit *test, bool logs)
{
	struct ept_caps caps = { .page_2m = true, .page_1g = true };
	struct context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context);
	test_seed(test, &context->random);
	context->logs = logs;
	caps.accessed_dirty = logs;
	caps.write_log = logs;
	context->test = test;
	context->tvm = test_vm_create(test);
	context->tvm->data = context;
	KUNIT_ASSERT_EQ(test, ept_init(&context->tvm->ept, &context->tvm->vm, &caps), 0);
	context->generation = context->tvm->ept.generation;
	spin_lock_init(&context->process.lock);
	context->tvm->ept.process = &context->process;
	return context;
}

static void random_sequence(struct kunit *test, bool logs)
{
	struct context *context = new_context(test, logs);
	int step;

	context->reference = vzalloc(array_size(WINDOW_PAGES, sizeof(*context->reference)));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context->reference);
	context->tvm->on_flush = cpu_leave_and_enter;
	KUNIT_EXPECT_EQ(test, context->generation, 1ULL);
	cpu_enter(context);

	for (step = 1; step <= STEPS && !READ_ONCE(test->status); step++) {
		u64 kind = test_random(&context->random, 100);

		if (kind < 60)
			step_map(context);
		else if (kind < 85)
			step_zap(context);
		else if (kind < 88)
			step_track_some(context);
		else if (kind < 92)
			step_flush(context);
		else if (kind == 92 && !test_random(&context->random, 100))
			step_track_all(context);
		else if (kind == 93 && !test_random(&context->random, 5))
			step_shrink(context);
		else
			cpu_access(context, random_gfn(context));
		check_counts(context);
		check_page(context, random_gfn(context));
		if (step % TABLE_CHECK == 0)
			check_tables(context);
		if (step % FULL_CHECK == 0)
			check_all(context);
	}
	/* The sequence was not one of misses. */
	KUNIT_EXPECT_GT(test, context->hits, (u64)STEPS / 20);
	ept_free_tables(&context->tvm->ept);
	KUNIT_EXPECT_EQ(test, ept_count(&context->tvm->ept, EPT_TABLES), 0ULL);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&context->process.tables), 0L);
	vfree(context->reference);
}

static void random_with_log(struct kunit *test)
{
	random_sequence(test, true);
}

static void random_without_log(struct kunit *test)
{
	random_sequence(test, false);
}

static void fixed_pages(struct kunit *test)
{
	const gpa_t gpa = 0xfee00000, hpa = 0x123456000;
	const gfn_t gfn = gpa >> PAGE_SHIFT;
	const u64 want = hpa | 0x73 | 1ULL << 52;
	struct context *context = new_context(test, true);
	struct ept *ept = &context->tvm->ept;
	long scan = 100;
	int level;

	/* In front of what is mapped already, which counts as a loss */
	KUNIT_EXPECT_EQ(test, map(context, gfn, 1, ept_entry_make_leaf(0x1000, 1, 7)), 1);
	KUNIT_EXPECT_EQ(test, map(context, gfn + 1, 1, ept_entry_make_leaf(0x2000, 1, 7)), 1);
	KUNIT_EXPECT_EQ(test, ept_map_fixed(ept, gpa, hpa), 0);
	KUNIT_EXPECT_EQ(test, ept->generation, 2ULL);
	KUNIT_EXPECT_EQ(test, ept_map_fixed(ept, gpa, hpa), -EEXIST);

	/* Neither a leaf of any size nor a zap removes it; its neighbour goes. */
	KUNIT_EXPECT_EQ(test, map(context, gfn, 1, ept_entry_make_leaf(hpa, 1, 7)), -EEXIST);
	KUNIT_EXPECT_EQ(test, map(context, gfn, 2, ept_entry_make_leaf(0, 2, 7)), -EEXIST);
	KUNIT_EXPECT_EQ(test, map(context, 0xc0000, 3, ept_entry_make_leaf(0, 3, 7)), -EEXIST);
	ept_zap_at_once(ept, 0, ~0ULL);
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn, &level), want);
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn + 1, &level), 0ULL);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 1ULL);
	KUNIT_EXPECT_EQ(test, ept_count(ept, EPT_TABLES), 4ULL);

	/* Nor does memory pressure, which takes what is beside it. */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&context->process.tables), 0L);
	KUNIT_EXPECT_EQ(test, map(context, gfn ^ 512, 1, ept_entry_make_leaf(0x1000, 1, 7)), 1);
	KUNIT_EXPECT_EQ(test, map(context, gfn ^ 1, 1, ept_entry_make_leaf(0x2000, 1, 7)), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&context->process.tables), 1L);
	spin_lock(&context->process.lock);
	KUNIT_EXPECT_EQ(test, ept_shrink(ept, &scan), 1UL);
	spin_unlock(&context->process.lock);
	KUNIT_EXPECT_EQ(test, scan, 97L);
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn, &level), want);
	KUNIT_EXPECT_NE(test, test_translate(ept->root, gfn ^ 1, &level), 0ULL);
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn ^ 512, &level), 0ULL);
	ept_free_tables(ept);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&context->process.tables), 0L);
}

/* A fixed page in the middle of a large one: all other pieces stay, nothing is flushed for them. */
static void fixed_page_splits(struct kunit *test)
{
	const gfn_t gfn = 0xfee00;
	struct context *context = new_context(test, true);
	struct ept *ept = &context->tvm->ept;
	int level;

	KUNIT_EXPECT_EQ(test, map(context, gfn & ~0x3ffffULL, 3,
				  ept_entry_make_leaf(0x40000000, 3, 3) | SMALL_EXECUTE), 1);
	KUNIT_EXPECT_EQ(test, ept_map_fixed(ept, gfn << 12, 0x5000), 0);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 3), 0ULL);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 2), 511ULL);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 512ULL);
	KUNIT_EXPECT_EQ(test, ept->generation, 2ULL);
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn, &level), 0x5073ULL | 1ULL << 52);
	/* Small pieces may be executed though the large page could not, larger ones not. */
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn + 1, &level), 0x7ee01077ULL);
	KUNIT_EXPECT_EQ(test, level, 1);
	KUNIT_EXPECT_EQ(test, test_translate(ept->root, gfn + 0x200, &level),
			0x7f0000f3ULL | SMALL_EXECUTE);
	KUNIT_EXPECT_EQ(test, level, 2);
	ept_free_tables(ept);
}

/* However many entries go, on their CPUs guests are in no need of more than one INVEPT. */
static void one_zap_one_generation(struct kunit *test)
{
	struct context *context = new_context(test, true);
	struct ept *ept = &context->tvm->ept;
	gfn_t gfn;

	for (gfn = 511; gfn < 4096; gfn += 511)
		KUNIT_EXPECT_EQ(test, map(context, gfn, 1, ept_entry_make_leaf(0x1000, 1, 7)), 1);
	ept_zap_at_once(ept, 0, 4096);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 0ULL);
	KUNIT_EXPECT_EQ(test, ept->generation, 2ULL);
	ept_zap_at_once(ept, 0, 4096);
	KUNIT_EXPECT_EQ(test, ept->generation, 2ULL);
	ept_free_tables(ept);
}

static void two_flushers(struct test_vm *tvm)
{
	/* While one flush runs another thread finds the entry gone: it must flush as well. */
	tvm->on_flush = NULL;
	ept_flush(&tvm->ept);
}

static void concurrent_flush(struct kunit *test)
{
	struct context *context = new_context(test, true);
	struct test_vm *tvm = context->tvm;
	struct ept *ept = &tvm->ept;

	ept_flush(ept);
	KUNIT_EXPECT_EQ(test, tvm->flushes, 0U);
	map(context, 0, 1, ept_entry_make_leaf(0x1000, 1, 7));
	ept_flush(ept);
	KUNIT_EXPECT_EQ(test, tvm->flushes, 0U);
	ept_zap_at_once(ept, 0, 1);
	tvm->on_flush = two_flushers;
	ept_flush(ept);
	KUNIT_EXPECT_EQ(test, tvm->flushes, 2U);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&ept->flushed_generation), 2ULL);
	ept_flush(ept);
	KUNIT_EXPECT_EQ(test, tvm->flushes, 2U);
	ept_free_tables(ept);
}

static void pointer_of_tables(struct kunit *test)
{
	struct test_vm *tvm = test_vm_create(test);
	struct ept_caps caps = { .accessed_dirty = true };

	KUNIT_ASSERT_EQ(test, ept_init(&tvm->ept, &tvm->vm, &caps), 0);
	KUNIT_EXPECT_EQ(test, ept_pointer(&tvm->ept), (u64)__pa(tvm->ept.root) + 0x5e);
	ept_free_tables(&tvm->ept);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(random_with_log),
	KUNIT_CASE(random_without_log),
	KUNIT_CASE(fixed_pages),
	KUNIT_CASE(fixed_page_splits),
	KUNIT_CASE(one_zap_one_generation),
	KUNIT_CASE(concurrent_flush),
	KUNIT_CASE(pointer_of_tables),
	{}
};

static struct kunit_suite suite = {
	.name = "ept_table",
	.test_cases = cases,
};

kunit_test_suite(suite);
