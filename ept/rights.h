/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VMM lets the guest do with ranges of guest-physical pages. Inside ept/ only.
 *
 * A sorted array that is made anew for each change: changes are few and lookups are many, one for
 * each EPT violation.
 */
#ifndef VHM_EPT_RIGHTS_H
#define VHM_EPT_RIGHTS_H

#include "vhm/vhm.h"

#define EPT_RIGHTS_RANGES_MAX	65536

/**
 * struct ept_rights_range - pages with the same rights
 * @first, @last: pages, both included
 * @rights: bits of enum vhm_right
 */
struct ept_rights_range {
	gfn_t first, last;
	u32 rights;
};

/**
 * struct ept_rights - ranges that are restricted; NULL: there are none
 * @count: how many, at least one
 * @range: in order, each ends before the next
 */
struct ept_rights {
	u32 count;
	struct ept_rights_range range[];
};

/**
 * ept_rights_find - the rights to a page
 * @rights: where to look, or NULL
 * @gfn: the page
 *
 * Return: all the pages around @gfn that have the same rights, and those.
 */
struct ept_rights_range ept_rights_find(const struct ept_rights *rights, gfn_t gfn);

/**
 * ept_rights_change - the same ranges but for one
 * @old: as they are, or NULL
 * @new: the one: others give way
 *
 * Free both by kvfree(). Charged to the caller's cgroup; may sleep.
 * Return: as they become; NULL: all pages have all rights; -ENOMEM; -ENOSPC: too many ranges.
 */
struct ept_rights *ept_rights_change(const struct ept_rights *old,
				     const struct ept_rights_range *new);

#endif /* VHM_EPT_RIGHTS_H */
