// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracking of the guest's writes.
 *
 * While there are trackers a leaf is either such that the next write to it is noticed, or its page
 * is in @written of the tables or in the log of a vCPU on its way there. Noticed by the processor's
 * log, where it has one: it writes down the pages whose dirty flag it sets. Else, and with large
 * leaves always, by an EPT violation (fault.c), which makes the leaf small.
 *
 * A harvest moves all of @written to the sets of all trackers, and has the next write to those
 * pages noticed again; then it takes its own tracker's set. So trackers cost the guest nothing by
 * their number, and none takes another's pages away. Pages stay remembered when their entries or
 * slots go.
 *
 * Owns the trackers, under ept->track_lock; tracker->lock comes before it. Allocates only when a
 * tracker or a slot is added.
 */
#include "ept/table.h"

#include <linux/slab.h>
#include <linux/uaccess.h>

/**
 * struct ept_tracker - somebody who wants to know what was written
 * @ept: the tables; holds a reference to their VM
 * @node: in ept->trackers
 * @pages: written since the last harvest
 * @lock: one harvest at a time. Held while user memory is written, so by nobody else
 */
struct ept_tracker {
	struct ept *ept;
	struct list_head node;
	struct ept_page_set pages;
	struct mutex lock;	/* harvests */
};

/* --------------------------------------------------------------- entries -- */

/* Return: the entry was changed so that the next write is noticed; the processor may cache it. */
static __always_inline bool track_leaf(u64 *entry, int level, bool logs)
{
	u64 old = READ_ONCE(*entry), new;

	/* most are noticed already, or not there */
	if (!(old & (logs && level == 1 ? EPT_ENTRY_DIRTY : EPT_ENTRY_WRITE)))
		return false;
	do {
		new = ept_entry_track(old, level, logs);
		if (new == old || !ept_entry_present(old) || old & EPT_ENTRY_FIXED)
			return false;
	} while (!try_cmpxchg(entry, &old, new));
	return true;
}

/* The small entry of @gfn; NULL: there is no table for it. */
static u64 *small_entry(struct ept *ept, gfn_t gfn)
{
	u64 *table = ept->root;

	for (int level = EPT_LEVELS; level > 1; level--) {
		u64 entry = READ_ONCE(table[ept_level_index(gfn, level)]);

		if (!ept_entry_is_table(entry, level))
			return NULL;
		table = ept_entry_table(entry);
	}
	return table + ept_level_index(gfn, 1);
}

void ept_track_locked(struct ept *ept, gfn_t first, u64 pages)
{
	bool logs = ept_logs_writes(ept), changed = false;
	u64 *entry = small_entry(ept, first);

	/* larger leaves are not writable as long as there are trackers */
	for (; entry && pages; pages &= pages - 1)
		changed |= track_leaf(entry + __ffs64(pages), 1, logs);
	if (changed)
		ept_mark_stale(ept);
}

void ept_track_all(struct ept *ept)
{
	bool logs = ept_logs_writes(ept);
	struct ept_iter iter;

	ept_lock(ept);
	for_each_ept_entry(&iter, ept->root, 0, EPT_GFN_END) {
		bool changed = false;

		ept_give_way(ept, &iter);
		if (iter.level == 2 && ept_entry_is_table(iter.value, 2)) {
			u64 *table = ept_entry_table(iter.value);

			for (int i = 0; i < EPT_TABLE_ENTRIES; i++)
				changed |= track_leaf(table + i, 1, logs);
			iter.work += EPT_TABLE_ENTRIES;
			ept_iter_skip(&iter);	/* on to the next */
		} else if (ept_entry_is_leaf(iter.value, iter.level)) {
			changed = track_leaf(iter.entry, iter.level, logs);
		}
		if (changed)
			ept_mark_stale(ept);
	}
	ept_unlock(ept);
}

/* -------------------------------------------------------------- trackers -- */

void ept_note_written(struct ept *ept, gpa_t gpa, u64 bytes)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	const gfn_t end = ((gpa + bytes - 1) >> PAGE_SHIFT) + 1;

	if (!READ_ONCE(ept->tracked))
		return;
	while (gfn < end) {
		gfn_t first = gfn & ~(gfn_t)(EPT_SET_WORD_PAGES - 1);
		gfn_t next = min(end, first + EPT_SET_WORD_PAGES);

		ept_page_set_add(&ept->written, first, GENMASK_ULL(next - first - 1, gfn - first));
		gfn = next;
	}
}

/*
 * All that was written until now is in the sets of the trackers when this returns, and what is
 * written afterwards will be in @written.
 */
static void collect(struct ept *ept)
{
	struct ept_tracker *tracker;
	gfn_t gfn = 0;
	u64 pages;

	lockdep_assert_held(&ept->track_lock);
	/* a CPU that leaves the guest hands its log over */
	if (ept_logs_writes(ept))
		vhm_vm_flush_guest_cpus(ept->vm);
	while ((pages = ept_page_set_take(&ept->written, &gfn, EPT_GFN_END))) {
		list_for_each_entry(tracker, &ept->trackers, node)
			ept_page_set_add(&tracker->pages, gfn, pages);
		ept_lock(ept);
		ept_track_locked(ept, gfn, pages);
		ept_unlock(ept);
		gfn += EPT_SET_WORD_PAGES;
		cond_resched();
	}
	ept_flush(ept);
}

static void set_tracked(struct ept *ept, bool tracked)
{
	ept_lock(ept);
	WRITE_ONCE(ept->tracked, tracked);
	/* vCPUs turn their logs on or off */
	ept_mark_stale(ept);
	ept_unlock(ept);
}

static void start_tracking(struct ept *ept)
{
	gfn_t gfn = 0;

	/* what came too late for the trackers before */
	while (ept_page_set_take(&ept->written, &gfn, EPT_GFN_END))
		cond_resched();
	set_tracked(ept, true);
	/* first every log is on: a dirty flag set without one would hide all later writes */
	ept_flush(ept);
	ept_track_all(ept);
	ept_flush(ept);
}

static void stop_tracking(struct ept *ept)
{
	set_tracked(ept, false);
	ept_collapse_all(ept);
	ept_flush(ept);
}

/* Room in the set for all slots. */
static int reserve_slots(struct ept *ept, struct ept_page_set *set)
{
	struct vhm_slot_table *slots;
	int ret = 0;

	slots = rcu_dereference_protected(ept->vm->slots, lockdep_is_held(&ept->vm->lock));
	for (u32 i = 0; slots && i < slots->count && !ret; i++)
		ret = ept_page_set_reserve(set, slots->slot[i]->first_gfn, slots->slot[i]->pages);
	return ret;
}

struct ept_tracker *ept_tracker_create(struct ept *ept)
{
	struct ept_tracker *tracker = kzalloc(sizeof(*tracker), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!tracker)
		return ERR_PTR(-ENOMEM);
	ept_page_set_init(&tracker->pages);
	mutex_init(&tracker->lock);
	mutex_lock(&ept->track_lock);
	ret = reserve_slots(ept, &tracker->pages) ?: reserve_slots(ept, &ept->written);
	if (ret) {
		ept_page_set_free(&tracker->pages);
		kfree(tracker);
		tracker = ERR_PTR(ret);
	} else {
		if (list_empty(&ept->trackers))
			start_tracking(ept);
		else
			collect(ept);
		list_add(&tracker->node, &ept->trackers);
		tracker->ept = ept;
		vhm_vm_get(ept->vm);
	}
	mutex_unlock(&ept->track_lock);
	return tracker;
}

void ept_tracker_free(struct ept_tracker *tracker)
{
	struct ept *ept = tracker->ept;

	mutex_lock(&ept->track_lock);
	list_del(&tracker->node);
	if (list_empty(&ept->trackers))
		stop_tracking(ept);
	mutex_unlock(&ept->track_lock);
	ept_page_set_free(&tracker->pages);
	kfree(tracker);
	vhm_vm_put(ept->vm);
}

int ept_track_slot(struct ept *ept, const struct vhm_memory_slot *slot)
{
	struct ept_tracker *tracker;
	int ret = 0;

	mutex_lock(&ept->track_lock);
	if (!list_empty(&ept->trackers))
		ret = ept_page_set_reserve(&ept->written, slot->first_gfn, slot->pages);
	list_for_each_entry(tracker, &ept->trackers, node)
		ret = ret ?: ept_page_set_reserve(&tracker->pages, slot->first_gfn, slot->pages);
	mutex_unlock(&ept->track_lock);
	return ret;
}

/* --------------------------------------------------------------- harvest -- */

/*
 * OR @pages, which begin at @gfn, into the caller's bitmap, or append their numbers to its list.
 * Return: 0; what stopped it before these pages; -ENOSPC: the list is full.
 */
static int give(const struct vhm_harvest *arg, gfn_t gfn, u64 pages)
{
	u64 __user *data = u64_to_user_ptr(arg->data);
	u64 number[EPT_SET_WORD_PAGES], old;
	unsigned int count = 0;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (!(arg->flags & VHM_HARVEST_LIST)) {
		data += (gfn - (arg->gpa >> PAGE_SHIFT)) / EPT_SET_WORD_PAGES;
		return get_user(old, data) || put_user(old | pages, data) ? -EFAULT : 0;
	}
	if (arg->room - arg->pages < hweight64(pages))
		return -ENOSPC;
	for (; pages; pages &= pages - 1)
		number[count++] = gfn + __ffs64(pages);
	return copy_to_user(data + arg->pages, number, count * sizeof(*number)) ? -EFAULT : 0;
}

int ept_tracker_harvest(struct ept_tracker *tracker, struct vhm_harvest *arg)
{
	gfn_t gfn = arg->gpa >> PAGE_SHIFT, end = gfn + (arg->bytes >> PAGE_SHIFT);
	struct ept *ept = tracker->ept;
	u64 pages;
	int ret = 0;

	arg->pages = 0;
	if (mutex_lock_killable(&tracker->lock))
		return -EINTR;
	mutex_lock(&ept->track_lock);
	collect(ept);
	/* not in the middle of another's collect(): the next write to the pages must be noticed */
	while (!ret && (pages = ept_page_set_take(&tracker->pages, &gfn, end))) {
		mutex_unlock(&ept->track_lock);
		ret = give(arg, gfn, pages);
		if (ret) {
			ept_page_set_add(&tracker->pages, gfn, pages);
		} else {
			arg->pages += hweight64(pages);
			gfn += EPT_SET_WORD_PAGES;
		}
		cond_resched();
		mutex_lock(&ept->track_lock);
	}
	mutex_unlock(&ept->track_lock);
	mutex_unlock(&tracker->lock);
	if (!ret)
		gfn = end;
	arg->gpa = gfn << PAGE_SHIFT;
	arg->bytes = (end - gfn) << PAGE_SHIFT;
	return ret == -ENOSPC ? 0 : ret;
}

/* -------------------------------------------------------------- the rest -- */

void ept_forgo_accessed_dirty(struct ept *ept)
{
	mutex_lock(&ept->track_lock);
	if (ept->caps.accessed_dirty) {
		/* no new leaf relies on a dirty flag, and while the old ones go the logs stay on */
		ept_lock(ept);
		ept->caps.write_log = false;
		ept_unlock(ept);
		ept_zap(ept, 0, EPT_GFN_END);
		ept_flush(ept);
		ept_lock(ept);
		ept->caps.accessed_dirty = false;
		ept_mark_stale(ept);
		ept_unlock(ept);
		ept_flush(ept);
	}
	mutex_unlock(&ept->track_lock);
}
