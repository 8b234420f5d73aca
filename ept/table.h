/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables of one VM: map, zap, age, track, flush, free. Inside ept/ only.
 */
#ifndef VHM_EPT_TABLE_H
#define VHM_EPT_TABLE_H

#include "ept/iter.h"

/**
 * struct ept_page_cache - zeroed table pages, allocated before any lock is taken
 * @count: entries of @page
 * @page: pages; one less than there are levels suffices for any leaf
 */
struct ept_page_cache {
	int count;
	u64 *page[EPT_LEVELS - 1];
};

/*
 * Lock and unlock the tables as a whole: no fault installs anything meanwhile. Spins.
 */
void ept_lock(struct ept *ept) __acquires(&ept->lock);
void ept_unlock(struct ept *ept) __releases(&ept->lock);

/*
 * In a walk of any length with ept_lock() held: now and then let others have the lock, and take the
 * walk up again from the root. May sleep. What costs more than an entry is added to @work.
 */
void ept_give_way(struct ept *ept, struct ept_iter *iter) __must_hold(&ept->lock);

/* Fill up; 0 or -ENOMEM. May sleep. */
int ept_page_cache_fill(struct ept_page_cache *cache);
void ept_page_cache_drain(struct ept_page_cache *cache);

/**
 * ept_map_locked - install a leaf
 * @ept: the tables
 * @share: its lock is held; NULL: ept_lock()
 * @gfn: first page, aligned to @level
 * @level: 1, 2 or 3
 * @leaf: the entry, of ept_entry_make_leaf()
 * @cache: pages for missing tables
 *
 * An entry for the same page keeps the rights it has, and a larger leaf is split, its
 * other pieces stay. Whatever else is in the way is replaced, and the generation
 * raised: another flush is due before those pages are given up, but not for the new
 * one's sake.
 *
 * Return: 1 installed or changed; 0 there already; -EAGAIN @cache is empty and one more
 * table is needed; -EEXIST a fixed page is in the way, or @leaf may not be executed
 * and a table is there, whose pages may; -EDEADLK something must be replaced, which only
 * ept_lock() allows.
 */
int ept_map_locked(struct ept *ept, struct ept_share *share, gfn_t gfn, int level, u64 leaf,
		   struct ept_page_cache *cache);

/**
 * ept_zap_at_once - remove all leaves but the fixed ones
 * @ept: the tables
 * @start: first page
 * @end: first page after the range
 *
 * A large leaf that lies in the range with a part goes as a whole. Raises the
 * generation if anything went; ept_flush() must follow before anything the entries led
 * to is given up.
 *
 * Context: spins. Return: whether anything went
 */
bool ept_zap_at_once(struct ept *ept, gfn_t start, gfn_t end);

/* The same, with the lock given away now and then. May sleep. */
void ept_zap(struct ept *ept, gfn_t start, gfn_t end);

/*
 * Remove the tables that are there because writes were tracked; the next faults map large pages
 * again. A flush must follow. May sleep.
 */
void ept_collapse_all(struct ept *ept);

/**
 * ept_test_young - has the guest accessed a page of a range since it was made old?
 * @ept: the tables
 * @start: first page
 * @end: first page after the range
 *
 * A large leaf that lies in the range with a part counts as a whole.
 *
 * Context: any in which a spin lock may be taken; interrupts enabled.
 */
bool ept_test_young(struct ept *ept, gfn_t start, gfn_t end);

/**
 * ept_make_old - the same, and from now on it has not
 * @ept: the tables
 * @start: first page
 * @end: first page after the range
 *
 * Where the processor sets no accessed flags the leaves are removed, so that the next
 * access faults: if it is to do so even where a CPU has the translation cached, ept_flush().
 *
 * Context: as ept_test_young().
 */
bool ept_make_old(struct ept *ept, gfn_t start, gfn_t end);

/**
 * ept_shrink - remove tables that the guest has not used lately
 * @ept: the tables, in use; process->lock held
 * @scan: how many to look at, then how many less than asked for; may become negative
 *
 * Goes round, 1 GiB after another: each call goes on where the last one ended, up to the end. What
 * has been used since the hand came by last gets another round (SDM vol. 3, 29.3.5: the processor
 * sets accessed flags in entries that reference tables, too). Without accessed flags nothing is
 * known to be in use. Tables on the way to fixed pages stay. ept_flush() must follow.
 *
 * Context: spins. Return: how many were removed
 */
unsigned long ept_shrink(struct ept *ept, long *scan);

/*
 * With ept_lock() held, whose end raises the generation: each vCPU looks at what has changed before
 * it enters the guest again.
 */
void ept_mark_stale(struct ept *ept);

/* Leaves at a level, or EPT_TABLES, the root included. A sum of parts, exact under ept_lock(). */
u64 ept_count(const struct ept *ept, int level);

/**
 * ept_flush - wait until no CPU uses what was zapped before
 * @ept: the tables, ept->lock not held
 *
 * Also covers what others have zapped and not yet flushed: a caller that found an
 * entry gone already may rely on it. Frees unlinked tables. Does nothing when
 * nothing was zapped since the last flush. Context: interrupts enabled.
 */
void ept_flush(struct ept *ept);

/* Free all tables, the root included; no CPU can walk them any more. */
void ept_free_tables(struct ept *ept);

/* ept/track.c: writes of the guest */

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

#endif /* VHM_EPT_TABLE_H */
