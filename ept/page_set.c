// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set of guest-physical page numbers, see page_set.h.
 *
 * Who adds sets the bit of the page, then that of the word, then the mark of the chunk; who
 * takes clears them in the other order. All are atomic operations that return what was there, so
 * whoever comes second sees what the first has left.
 */
#include "ept/page_set.h"

#include <linux/sched/signal.h>
#include <linux/slab.h>

#define CHUNK_SHIFT	12
#define WORD_SHIFT	6
#define MAY_HAVE	XA_MARK_0

/*
 * @words: bit n: @word[n] may not be 0
 * @word: one bit a page
 */
struct chunk {
	atomic64_t words;
	atomic64_t word[BIT(CHUNK_SHIFT - WORD_SHIFT)];
};

void ept_page_set_init(struct ept_page_set *set)
{
	xa_init(&set->chunks);
}

void ept_page_set_free(struct ept_page_set *set)
{
	struct chunk *chunk;
	unsigned long index;

	xa_for_each(&set->chunks, index, chunk)
		kfree(chunk);
	xa_destroy(&set->chunks);
}

static int reserve_chunk(struct ept_page_set *set, unsigned long index)
{
	struct chunk *chunk;
	int ret;

	if (xa_load(&set->chunks, index))
		return 0;
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	ret = xa_insert(&set->chunks, index, chunk, GFP_KERNEL_ACCOUNT);
	if (ret)
		kfree(chunk);
	return ret;
}

int ept_page_set_reserve(struct ept_page_set *set, gfn_t start, gfn_t end)
{
	unsigned long index;
	int ret = 0;

	for (index = start >> CHUNK_SHIFT; index <= (end - 1) >> CHUNK_SHIFT && !ret; index++) {
		ret = fatal_signal_pending(current) ? -EINTR : reserve_chunk(set, index);
		cond_resched();
	}
	return ret;
}

static unsigned int word_of(gfn_t gfn)
{
	return (gfn >> WORD_SHIFT) & (BIT(CHUNK_SHIFT - WORD_SHIFT) - 1);
}

void ept_page_set_add(struct ept_page_set *set, gfn_t first, u64 pages)
{
	unsigned long index = first >> CHUNK_SHIFT;
	unsigned int word = word_of(first);
	struct chunk *chunk;

	rcu_read_lock();
	chunk = xa_load(&set->chunks, index);
	if (chunk) {
		atomic64_fetch_or(pages, &chunk->word[word]);
		if (!(atomic64_read(&chunk->words) & BIT_ULL(word)) &&
		    !atomic64_fetch_or(BIT_ULL(word), &chunk->words))
			xa_set_mark(&set->chunks, index, MAY_HAVE);
	}
	rcu_read_unlock();
}

/* Empty one word; with the last of the chunk goes the mark. */
static u64 take_word(struct ept_page_set *set, unsigned long index, struct chunk *chunk,
		     unsigned int word)
{
	if (atomic64_fetch_andnot(BIT_ULL(word), &chunk->words) == (s64)BIT_ULL(word)) {
		xa_clear_mark(&set->chunks, index, MAY_HAVE);
		/* somebody may have set it just before */
		if (atomic64_read(&chunk->words))
			xa_set_mark(&set->chunks, index, MAY_HAVE);
	}
	return atomic64_xchg(&chunk->word[word], 0);
}

u64 ept_page_set_take(struct ept_page_set *set, gfn_t *gfn, gfn_t end)
{
	while (*gfn < end) {
		unsigned long index = *gfn >> CHUNK_SHIFT;
		struct chunk *chunk;
		u64 words, pages, rest = 0;

		chunk = xa_find(&set->chunks, &index, (end - 1) >> CHUNK_SHIFT, MAY_HAVE);
		if (!chunk)
			break;
		*gfn = max_t(gfn_t, *gfn, (gfn_t)index << CHUNK_SHIFT);
		words = atomic64_read(&chunk->words) >> word_of(*gfn);
		if (!words) {
			*gfn = (gfn_t)(index + 1) << CHUNK_SHIFT;
			continue;
		}
		*gfn += __ffs64(words) << WORD_SHIFT;
		if (*gfn >= end)
			break;
		pages = take_word(set, index, chunk, word_of(*gfn));
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
