/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Iterator over the entries that a range of guest-physical pages passes through.
 *
 * Visits entries in address order, an entry before those of the table it references,
 * every level down to the first one without a table. The body may replace the
 * current entry: the iterator reads it again and goes down only if it references a
 * table then. Reads tables and nothing else; the caller holds what keeps them
 * alive (ept->lock).
 */
#ifndef VHM_EPT_ITER_H
#define VHM_EPT_ITER_H

#include "ept/ept.h"
#include "ept/format.h"

/**
 * struct ept_iter - position of a walk
 * @table: the tables on the way, by level
 * @entry: the current entry, in @table[@level]
 * @value: what it was when the iterator reached it
 * @level: its level, EPT_LEVELS to 1
 * @gfn: first page of the range that lies in its span
 * @end: first page after the range
 * @work: entries dealt with since the tables were locked, see ept_give_way()
 */
struct ept_iter {
	u64 *table[EPT_LEVELS + 1];
	u64 *entry;
	u64 value;
	int level;
	gfn_t gfn, end;
	unsigned int work;
};

/* Table that a table entry references. */
static inline u64 *ept_entry_table(u64 entry)
{
	return __va(entry & EPT_ENTRY_ADDRESS);
}

/* @start and @end: pages, half-open; the walk ends at EPT_GPA_BITS. Returns @iter. */
struct ept_iter *ept_iter_start(struct ept_iter *iter, u64 *root, gfn_t start, gfn_t end);
void ept_iter_next(struct ept_iter *iter);

/* Leave out what is below the current entry, but for its last page. */
static inline void ept_iter_skip(struct ept_iter *iter)
{
	iter->gfn |= ept_level_pages(iter->level) - 1;
}

#define for_each_ept_entry(iter, root, from, to)			\
	for (struct ept_iter *__iter = ept_iter_start(iter, root, from, to); \
	     __iter->gfn < __iter->end; ept_iter_next(__iter))

#endif /* VHM_EPT_ITER_H */
