// SPDX-License-Identifier: GPL-2.0-only
/*
 * Iterator over EPT entries, see iter.h. Owns nothing and takes no lock.
 */
#include "ept/iter.h"

/* Make the entry for iter->gfn at iter->level the current one. */
static void settle(struct ept_iter *iter)
{
	iter->entry = iter->table[iter->level] + ept_level_index(iter->gfn, iter->level);
	iter->value = READ_ONCE(*iter->entry);
}

struct ept_iter *ept_iter_start(struct ept_iter *iter, u64 *root, gfn_t start, gfn_t end)
{
	iter->gfn = start;
	iter->end = min_t(gfn_t, end, EPT_GFN_END);
	iter->work = 0;
	iter->level = EPT_LEVELS;
	iter->table[EPT_LEVELS] = root;
	if (iter->gfn < iter->end)
		settle(iter);
	return iter;
}

void ept_iter_next(struct ept_iter *iter)
{
	u64 value = READ_ONCE(*iter->entry);

	if (ept_entry_is_table(value, iter->level)) {
		iter->table[--iter->level] = ept_entry_table(value);
		settle(iter);
		return;
	}

	iter->gfn = (iter->gfn | (ept_level_pages(iter->level) - 1)) + 1;
	if (iter->gfn >= iter->end)
		return;
	/* Behind the last entry of a table: go on with the one that references the next. */
	while (iter->level < EPT_LEVELS && !ept_level_index(iter->gfn, iter->level))
		iter->level++;
	settle(iter);
}
