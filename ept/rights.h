/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VMM lets the guest do with ranges of guest-physical pages. Inside ept/ only.
 *
 * A sorted array: changes are few and lookups are many, one for each EPT violation.
 */
#ifndef VHM_EPT_RIGHTS_H
#define VHM_EPT_RIGHTS_H

#include "vhm/vhm.h"

#define EPT_RIGHTS_RANGES_MAX	65536

/**
 * struct ept_rights_range - pages with the same rights
 * @first: a page
 * @last: a page, included
 * @rights: bits of enum vhm_right
 */
struct ept_rights_range {
	gfn_t first, last;
	u32 rights;
};

/**
 * struct ept_rights - ranges that are restricted
 * @count: how many
 * @room: for how many there is room
 * @range: in order, each ends before the next
 */
struct ept_rights {
	u32 count, room;
	struct ept_rights_range range[];
};

/**
 * ept_rights_find - the rights to a page
 * @rights: where to look
 * @gfn: the page
 *
 * Return: all the pages around @gfn that have the same rights, and those.
 */
struct ept_rights_range ept_rights_find(const struct ept_rights *rights, gfn_t gfn);

/**
 * ept_rights_with_room - the same ranges with room for the next change
 * @old: as they are, NULL: there are none
 *
 * Charged to the caller's cgroup; may sleep.
 * Return: @old if it has room; another, to be freed by kvfree() as well; NULL: no memory.
 */
struct ept_rights *ept_rights_with_room(struct ept_rights *old);

/**
 * ept_rights_change - have a range say what others say now
 * @rights: to change; they have room
 * @new: the range
 *
 * Return: 0; -ENOSPC: too many ranges, nothing is changed.
 */
int ept_rights_change(struct ept_rights *rights, const struct ept_rights_range *new);

#endif /* VHM_EPT_RIGHTS_H */
