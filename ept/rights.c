// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rights by range of guest-physical pages, see rights.h. Owns nothing and takes no lock.
 */
#include "ept/rights.h"

#include <linux/mm.h>

#include "ept/ept.h"
#include "ept/format.h"

struct ept_rights_range ept_rights_find(const struct ept_rights *rights, gfn_t gfn)
{
	struct ept_rights_range found = { .last = EPT_GFN_END - 1, .rights = EPT_ENTRY_RIGHTS };
	u32 low = 0, high = rights ? rights->count : 0;

	while (low < high) {
		const u32 middle = (low + high) / 2;
		const struct ept_rights_range *range = &rights->range[middle];

		if (gfn < range->first) {
			high = middle;
			found.last = range->first - 1;
		} else if (gfn > range->last) {
			low = middle + 1;
			found.first = range->last + 1;
		} else {
			return *range;
		}
	}
	return found;
}

static void append(struct ept_rights *rights, gfn_t first, gfn_t last, u32 allowed)
{
	struct ept_rights_range *end = &rights->range[rights->count];

	if (first > last || allowed == EPT_ENTRY_RIGHTS)
		return;
	if (rights->count && end[-1].last + 1 == first && end[-1].rights == allowed) {
		end[-1].last = last;
		return;
	}
	*end = (struct ept_rights_range) { .first = first, .last = last, .rights = allowed };
	rights->count++;
}

struct ept_rights *ept_rights_change(const struct ept_rights *old,
				     const struct ept_rights_range *new)
{
	const u32 count = old ? old->count : 0;
	struct ept_rights *rights;
	u32 i;

	/* one may be cut in two */
	rights = kvmalloc(struct_size(rights, range, count + 2), GFP_KERNEL_ACCOUNT);
	if (!rights)
		return ERR_PTR(-ENOMEM);
	rights->count = 0;
	for (i = 0; i < count && old->range[i].first < new->first; i++)
		append(rights, old->range[i].first, min(old->range[i].last, new->first - 1),
		       old->range[i].rights);
	append(rights, new->first, new->last, new->rights);
	for (i = i ? i - 1 : 0; i < count; i++)
		append(rights, max(old->range[i].first, new->last + 1), old->range[i].last,
		       old->range[i].rights);
	if (rights->count && rights->count <= EPT_RIGHTS_RANGES_MAX)
		return rights;
	i = rights->count;
	kvfree(rights);
	return i ? ERR_PTR(-ENOSPC) : NULL;
}
