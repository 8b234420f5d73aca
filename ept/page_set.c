// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set of guest-physical page numbers, see page_set.h.
 *
 * Who adds sets the bit of the page, then that of the word, then the mark of the chunk; who
 * takes clears them in the other order. All are atomic operations that return what was there, so
 * whoever comes second sees what the first has left. Nobody who adds relies on another to have set
 * the mark, nor waits for the lock that it needs.
 */
#include "ept/page_set.h"

#include <linux/slab.h>

#define CHUNK_SHIFT	12
#define WORD_SHIFT	6
#define MAY_HAVE	XA_MARK_0

/*
 * @index: in the set; immutable
 * @marked: it has the mark; changes with it
 * @words: bit n: @word[n] may not be 0
 * @word: one bit a page
 */
struct ept_page_chunk {
	unsigned long index;
	bool marked;
	atomic64_t words, word[BIT(CHUNK_SHIFT - WORD_SHIFT)];
};

void ept_page_set_init(struct ept_page_set *set)
{
	xa_init_flags(&set->chunks, XA_FLAGS_LOCK_IRQ);
}

void ept_page_set_free(struct ept_page_set *set)
{
	struct ept_page_chunk *chunk;
	unsigned long index;

	xa_for_each(&set->chunks, index, chunk)
		kfree(chunk);
	xa_destroy(&set->chunks);
}

static int reserve_chunk(struct ept_page_set *set, unsigned long index)
{
	struct ept_page_chunk *chunk;
	int ret;

	if (xa_load(&set->chunks, index))
		return 0;
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	chunk->index = index;
	ret = xa_insert_irq(&set->chunks, index, chunk, GFP_KERNEL_ACCOUNT);
	if (ret)
		kfree(chunk);
	return ret;
}

int ept_page_set_reserve(struct ept_page_set *set, gfn_t first, u64 pages)
{
	const gfn_t last = first + pages - 1;
	int ret = 0;

	for (gfn_t index = first >> CHUNK_SHIFT; index <= last >> CHUNK_SHIFT && !ret; index++) {
		ret = fatal_signal_pending(current) ? -EINTR : reserve_chunk(set, index);
		cond_resched();
	}
	return ret;
}

static unsigned int word_of(gfn_t gfn)
{
	return (gfn >> WORD_SHIFT) & (BIT(CHUNK_SHIFT - WORD_SHIFT) - 1);
}

static void mark_locked(struct ept_page_set *set, struct ept_page_chunk *chunk)
{
	__xa_set_mark(&set->chunks, chunk->index, MAY_HAVE);
	WRITE_ONCE(chunk->marked, true);
}

/*
 * The scheduler adds, too, with a run queue locked, and who holds this lock to make room may wake
 * kswapd. No interrupt may wait for it either.
 */
static void set_mark(struct ept_page_set *set, struct ept_page_chunk *chunk)
{
	unsigned long flags;

	local_irq_save(flags);
	if (xa_trylock(&set->chunks)) {
		mark_locked(set, chunk);
		xa_unlock(&set->chunks);
	} else {
		WRITE_ONCE(set->unmarked, true);
	}
	local_irq_restore(flags);
}

/* What could not be marked: for those who take. */
static void mark_all(struct ept_page_set *set)
{
	struct ept_page_chunk *chunk;
	unsigned long index;

	WRITE_ONCE(set->unmarked, false);
	smp_mb();	/* whoever sets it now does so for what may be missed here */
	xa_for_each(&set->chunks, index, chunk) {
		if (!atomic64_read(&chunk->words))
			continue;
		xa_lock_irq(&set->chunks);
		mark_locked(set, chunk);
		xa_unlock_irq(&set->chunks);
	}
}

void ept_page_set_add(struct ept_page_set *set, gfn_t first, u64 pages)
{
	struct ept_page_chunk *chunk = xa_load(&set->chunks, first >> CHUNK_SHIFT);
	unsigned int word = word_of(first);

	if (!chunk)
		return;
	atomic64_fetch_or(pages, &chunk->word[word]);
	if (!(atomic64_read(&chunk->words) & BIT_ULL(word)))
		atomic64_fetch_or(BIT_ULL(word), &chunk->words);
	/* whoever has set the bit may not have come to this yet */
	if (!READ_ONCE(chunk->marked))
		set_mark(set, chunk);
}

/* Empty one word; with the last of the chunk goes the mark. */
static u64 take_word(struct ept_page_set *set, struct ept_page_chunk *chunk, unsigned int word)
{
	if (atomic64_fetch_andnot(BIT_ULL(word), &chunk->words) == (s64)BIT_ULL(word)) {
		xa_lock_irq(&set->chunks);
		__xa_clear_mark(&set->chunks, chunk->index, MAY_HAVE);
		WRITE_ONCE(chunk->marked, false);
		smp_mb();	/* who adds and saw it marked has set its bit before */
		if (atomic64_read(&chunk->words))
			mark_locked(set, chunk);
		xa_unlock_irq(&set->chunks);
	}
	return atomic64_xchg(&chunk->word[word], 0);
}

/* The words of the chunk with @gfn, from that of @gfn on, that may have any; 0: not known. */
static u64 words_from(struct ept_page_chunk *chunk, gfn_t gfn)
{
	if (!chunk || chunk->index != gfn >> CHUNK_SHIFT)
		return 0;
	return (u64)atomic64_read(&chunk->words) >> word_of(gfn);
}

/*
 * The next chunk that may have any from @gfn on; @gfn becomes that of its word. NULL: there is none
 * before @end.
 */
static struct ept_page_chunk *next_chunk(struct ept_page_set *set, gfn_t *gfn, gfn_t end)
{
	struct ept_page_chunk *chunk = set->recent;
	u64 words = words_from(chunk, *gfn);
	unsigned long index;

	while (!words) {
		if (unlikely(READ_ONCE(set->unmarked)))
			mark_all(set);
		/* nothing anywhere, as a rule: the xarray takes long to say so */
		if (!xa_marked(&set->chunks, MAY_HAVE))
			return NULL;
		index = *gfn >> CHUNK_SHIFT;
		chunk = xa_find(&set->chunks, &index, (end - 1) >> CHUNK_SHIFT, MAY_HAVE);
		if (!chunk)
			return NULL;
		set->recent = chunk;
		*gfn = max_t(gfn_t, *gfn, (gfn_t)index << CHUNK_SHIFT);
		words = words_from(chunk, *gfn);
		if (!words)
			*gfn = (gfn_t)(index + 1) << CHUNK_SHIFT;
	}
	*gfn += __ffs64(words) << WORD_SHIFT;
	return *gfn < end ? chunk : NULL;
}

u64 ept_page_set_take(struct ept_page_set *set, gfn_t *gfn, gfn_t end)
{
	struct ept_page_chunk *chunk;
	u64 pages, rest = 0;

	while (*gfn < end && (chunk = next_chunk(set, gfn, end))) {
		pages = take_word(set, chunk, word_of(*gfn));
		if (end - *gfn < EPT_SET_WORD_PAGES)
			rest = pages & GENMASK_ULL(63, end - *gfn);
		if (rest)
			ept_page_set_add(set, *gfn, rest);
		if (pages & ~rest)
			return pages & ~rest;
		*gfn += EPT_SET_WORD_PAGES;
	}
	return 0;
}
