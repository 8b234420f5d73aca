// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rights by range of guest-physical pages, see rights.h. Owns nothing and takes no lock.
 */
#include "ept/rights.h"

#include <linux/mm.h>

#include "ept/ept.h"
#include "ept/format.h"

/* The first range that does not end before @gfn; rights->count: there is none. */
static u32 search(const struct ept_rights *rights, gfn_t gfn)
{
	u32 low = 0, high = rights->count;

	while (low < high) {
		const u32 middle = (low + high) / 2;

		if (rights->range[middle].last < gfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct ept_rights_range ept_rights_find(const struct ept_rights *rights, gfn_t gfn)
{
	struct ept_rights_range gap = { .last = EPT_GFN_END - 1, .rights = EPT_ENTRY_RIGHTS };
	const u32 i = search(rights, gfn);

	if (i < rights->count && rights->range[i].first <= gfn)
		return rights->range[i];
	if (i > 0)
		gap.first = rights->range[i - 1].last + 1;
	if (i < rights->count)
		gap.last = rights->range[i].first - 1;
	return gap;
}

/* To the @count ranges at @piece, if there is any such page, and there are rights that it lacks. */
static void append(struct ept_rights_range *piece, u32 *count, gfn_t first, gfn_t last, u32 rights)
{
	struct ept_rights_range *end = piece + *count;

	if (first > last || rights == EPT_ENTRY_RIGHTS)
		return;
	if (*count && end[-1].last + 1 == first && end[-1].rights == rights) {
		end[-1].last = last;
		return;
	}
	*end = (struct ept_rights_range) { .first = first, .last = last, .rights = rights };
	++*count;
}

int ept_rights_change(struct ept_rights *rights, const struct ept_rights_range *new)
{
	struct ept_rights_range *range = rights->range;
	/* from the neighbour on the left to the one on the right, which may become one with it */
	const u32 start = max(search(rights, new->first), 1u) - 1;
	const u32 end = min(search(rights, new->last + 1) + 1, rights->count);
	struct ept_rights_range piece[5];
	u32 count = 0, i;

	for (i = start; i < end && range[i].first < new->first; i++)
		append(piece, &count, range[i].first, min(range[i].last, new->first - 1),
		       range[i].rights);
	append(piece, &count, new->first, new->last, new->rights);
	for (i = max(start + 2, end) - 2; i < end; i++)
		append(piece, &count, max(range[i].first, new->last + 1), range[i].last,
		       range[i].rights);

	if (rights->count - (end - start) + count > EPT_RIGHTS_RANGES_MAX)
		return -ENOSPC;
	memmove(range + start + count, range + end, (rights->count - end) * sizeof(*range));
	memcpy(range + start, piece, count * sizeof(*range));
	rights->count += count - (end - start);
	return 0;
}

struct ept_rights *ept_rights_with_room(struct ept_rights *old)
{
	const u32 count = old ? old->count : 0, room = 2 * count + 32;
	struct ept_rights *rights;

	/* one may be cut in two, and there is a new one */
	if (old && count + 2 <= old->room)
		return old;
	rights = kvmalloc(struct_size(rights, range, room), GFP_KERNEL_ACCOUNT);
	if (!rights)
		return NULL;
	rights->room = room;
	rights->count = count;
	if (count)
		memcpy(rights->range, old->range, count * sizeof(*rights->range));
	return rights;
}
