/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracking of the guest's writes, as other files of ept/ need it.
 */
#ifndef VHM_EPT_TRACK_H
#define VHM_EPT_TRACK_H

#include "ept/ept.h"

/**
 * ept_track_slot - have room to remember a slot's pages
 * @ept: the tables, started
 * @slot: not yet published
 *
 * Context: vm->lock held; may sleep. Return: 0, -ENOMEM, -EINTR a signal kills the thread
 */
int ept_track_slot(struct ept *ept, const struct vhm_memory_slot *slot);

/**
 * ept_track_locked - have the next write to some pages noticed
 * @ept: the tables, locked as a whole
 * @first: the first of 64 pages, a multiple of 64
 * @pages: bit n is page @first + n
 *
 * Raises the generation if any write would have gone unnoticed: until the flush some may.
 */
void ept_track_locked(struct ept *ept, gfn_t first, u64 pages);

/* The same for all pages, with the lock given away now and then. May sleep. */
void ept_track_all(struct ept *ept);

#endif /* VHM_EPT_TRACK_H */
