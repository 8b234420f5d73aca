// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPT violation: from a guest-physical address to an installed entry, or to the reason
 * why there is none.
 *
 * Owns nothing and holds no reference to the host's page: the notifier alone tells
 * whether it may be installed, and keeps the entry true afterwards (notifier.h). The
 * leaf is as large as the host's mapping (host.h), the slot and the processor allow.
 * Locks: the host's while it resolves the page, then that of the vCPU's share of the tables or
 * ept_lock(), never both. Does not decode exits.
 */
#include <linux/memremap.h>
#include <linux/mm.h>

#include "ept/host.h"
#include "ept/notifier.h"
#include "ept/rights.h"
#include "ept/table.h"

/* Kinds of access, what is allowed and the bits of entries are the same. */
static_assert(VHM_MMIO_READ == EPT_ENTRY_READ && VHM_RIGHT_READ == EPT_ENTRY_READ);
static_assert(VHM_MMIO_WRITE == EPT_ENTRY_WRITE && VHM_RIGHT_WRITE == EPT_ENTRY_WRITE);
static_assert(VHM_MMIO_FETCH == EPT_ENTRY_EXECUTE && VHM_RIGHT_EXECUTE == EPT_ENTRY_EXECUTE);

/*
 * One attempt to resolve a fault.
 * @gfn: the guest's page
 * @access: as in struct ept_fault
 * @share: what it locks, NULL: the tables as a whole
 * @vcpu: whose fault it is, NULL: ept_populate()'s
 * @seq: process->seq before the host's page table was read
 * @hva: user address of the page
 * @slot_edits: vm->slot_edits when it began
 * @level: largest that slot and, once resolved, the host's mapping allow; then what is installed
 * @rights: EPT_ENTRY_RIGHTS that slot, VMM and, once resolved, the host let the guest have
 * @marks: EPT_ENTRY_SPLIT() of the levels that it would have but for the tracking of writes
 * @page: the host's
 */
struct attempt {
	gfn_t gfn;
	u32 access;
	struct ept_share *share;
	struct vhm_vcpu *vcpu;
	unsigned long seq, hva;
	s64 slot_edits;
	int level;
	u64 rights, marks;
	struct ept_host_page page;
};

/* The leaf becomes so small that it lies in pages @first to @last. */
static void fit(struct attempt *attempt, gfn_t first, gfn_t last)
{
	while (attempt->level > 1 && !ept_level_within(attempt->level, attempt->gfn, first, last))
		attempt->level--;
}

/* A fault needs no more than a share. */
static void lock_share(struct ept *ept, struct ept_share *share) __acquires(&ept->lock)
{
	if (share)
		spin_lock(&share->lock);
	else
		ept_lock(ept);
}

static void unlock_share(struct ept *ept, struct ept_share *share) __releases(&ept->lock)
{
	if (share)
		spin_unlock(&share->lock);
	else
		ept_unlock(ept);
}

/* What it needs of the slot is copied: the slot may be freed once RCU is released. */
static bool look_up_slot(struct ept *ept, struct attempt *attempt)
{
	const struct vhm_memory_slot *slot;

	rcu_read_lock();
	slot = vhm_slot_find(rcu_dereference(ept->vm->slots), attempt->gfn);
	if (slot) {
		attempt->hva = slot->user_address +
			       ((attempt->gfn - slot->first_gfn) << PAGE_SHIFT);
		attempt->rights = EPT_ENTRY_RIGHTS;
		if (slot->flags & VHM_SLOT_READONLY)
			attempt->rights &= ~EPT_ENTRY_WRITE;
		attempt->level = ept->caps.page_1g ? 3 : ept->caps.page_2m ? 2 : 1;
		/* on as large a piece of user memory */
		while ((attempt->gfn ^ attempt->hva >> PAGE_SHIFT) &
		       (ept_level_pages(attempt->level) - 1))
			attempt->level--;
		fit(attempt, slot->first_gfn, slot->first_gfn + slot->pages - 1);
	}
	rcu_read_unlock();
	return slot;
}

/* What the VMM allows, and the largest leaf for which it is the same. */
static void look_up_rights(struct ept *ept, struct attempt *attempt)
{
	struct ept_rights_range range;

	if (!READ_ONCE(ept->rights))
		return;
	lock_share(ept, attempt->share);
	range = ept_rights_find(ept->rights, attempt->gfn);
	unlock_share(ept, attempt->share);
	attempt->rights &= range.rights;
	/* a large leaf would have no right left at all: not present, and nothing would remove it */
	if (!(attempt->rights & EPT_ENTRY_READ) && !ept->caps.large_execute)
		attempt->level = 1;
	fit(attempt, range.first, range.last);
}

/*
 * Find the host's page, if it is mapped as the access needs it.
 *
 * A read maps for writing too where the host's page table allows it, but never causes the
 * host to copy or allocate what a read would not: a page of zeros or a page shared
 * copy-on-write stays shared.
 */
static bool resolve(struct ept *ept, struct attempt *attempt)
{
	struct ept_host_page *page = &attempt->page;

	attempt->seq = ept_process_read_begin(ept->process);
	if (!ept_host_look_up(attempt->hva, page) ||
	    (attempt->access & VHM_MMIO_WRITE && !page->writable))
		return false;
	if (!page->writable)
		attempt->rights &= ~EPT_ENTRY_WRITE;
	attempt->level = min(attempt->level, page->level);
	return true;
}

static u64 make_leaf(const struct ept *ept, const struct attempt *attempt)
{
	u64 pfn = attempt->page.pfn & ~(ept_level_pages(attempt->level) - 1);
	u64 rights = attempt->rights, marks = 0, leaf;

	if (attempt->level > 1 && !ept->caps.large_execute && rights & EPT_ENTRY_EXECUTE) {
		rights &= ~EPT_ENTRY_EXECUTE;
		marks = EPT_ENTRY_SMALL_EXECUTE;
	}
	leaf = ept_entry_make_leaf(PFN_PHYS(pfn), attempt->level, rights) | marks;
	leaf = ept_entry_set_memory_type(leaf, attempt->page.memory_type);
	if (ept->tracked && !(attempt->access & VHM_MMIO_WRITE))
		leaf = ept_entry_track(leaf, attempt->level, ept_logs_writes(ept));
	return leaf;
}

/* The leaf of @attempt, or a smaller one where something that must stay is in the way. */
static int map_locked(struct ept *ept, struct attempt *attempt, struct ept_page_cache *cache)
{
	u64 leaf;
	int ret;

	if (unlikely(ept->tracked) && attempt->access & VHM_MMIO_WRITE) {
		/* by the small page */
		for (; attempt->level > 1; attempt->level--)
			attempt->marks |= EPT_ENTRY_SPLIT(attempt->level);
		/* what the processor logs itself, it logs when the write is done */
		if (!ept_logs_writes(ept))
			ept_note_written(ept, attempt->gfn << PAGE_SHIFT, 1);
	}
	do {
		leaf = make_leaf(ept, attempt);
		ret = ept_map_locked(ept, attempt->share,
				     attempt->gfn & ~(ept_level_pages(attempt->level) - 1),
				     attempt->level, leaf | attempt->marks, cache);
		/* What is fetched from a leaf that is too large for it makes it small. */
		if (ret >= 0 && attempt->access & VHM_MMIO_FETCH && leaf & EPT_ENTRY_SMALL_EXECUTE)
			ret = -EEXIST;
	} while (ret == -EEXIST && --attempt->level);
	return ret;
}

/* Before the leaf is made, with the lock: the page cannot go. */
static void look_at_device(struct ept *ept, struct attempt *attempt)
{
	struct ept_host_page *page = &attempt->page;

	/* other devices' memory has struct pages and cached mappings, for DMA between them */
	if (page->has_page && is_pci_p2pdma_page(pfn_to_page(page->pfn)))
		page->memory_type = EPT_MEMORY_UNCACHED;
	if (page->memory_type != EPT_MEMORY_WRITE_BACK)
		WRITE_ONCE(ept->maps_devices, true);
}

/*
 * The guest uses and writes the page without the host's page table noticing, as soon as there is an
 * entry. While one is allowed to stand the page cannot go, and can be marked as the fault handler
 * would, under its lock.
 */
static void mark_page(const struct attempt *attempt)
{
	struct folio *folio;

	if (!attempt->page.has_page)
		return;
	folio = page_folio(pfn_to_page(attempt->page.pfn));
	if (!folio_test_referenced(folio))
		folio_set_referenced(folio);
	if (attempt->rights & EPT_ENTRY_WRITE && !folio_test_dirty(folio))
		folio_mark_dirty(folio);
}

/* Return: as ept_map_locked(), or -EBUSY if the host or a slot edit was quicker. */
static int install(struct ept *ept, struct attempt *attempt, struct ept_page_cache *cache)
{
	int ret = -EBUSY;

	lock_share(ept, attempt->share);
	/*
	 * An edit that zaps has raised slot_edits before it takes the lock, so after its
	 * zap the new value is seen here.
	 */
	if (!ept_process_read_retry(ept->process, attempt->hva, ept_level_bytes(attempt->level),
				    attempt->seq) &&
	    atomic64_read(&ept->vm->slot_edits) == attempt->slot_edits) {
		look_at_device(ept, attempt);
		mark_page(attempt);
		ret = map_locked(ept, attempt, cache);
	}
	unlock_share(ept, attempt->share);
	return ret;
}

/*
 * Return: 0 or 1 done; -ENXIO: no slot; -EROFS: not to be written; -EACCES: the VMM does not allow
 * it; -EEXIST: a fixed page is in front of the slot's; -EBUSY, -EAGAIN: again; else what the host
 * said: -EFAULT, -EHWPOISON, -ENOMEM, -EINTR the thread is wanted in user space.
 */
static int try_fault(struct ept *ept, struct attempt *attempt, struct ept_page_cache *cache)
{
	int ret;

	attempt->marks = 0;
	attempt->slot_edits = atomic64_read(&ept->vm->slot_edits);
	/* Before the slots; partner: vhm_slots raises it after it has published them. */
	smp_rmb();
	if (!look_up_slot(ept, attempt))
		return -ENXIO;
	if (attempt->access & VHM_MMIO_WRITE && !(attempt->rights & EPT_ENTRY_WRITE))
		return -EROFS;
	look_up_rights(ept, attempt);
	if (!ept_entry_allows(attempt->rights, attempt->access))
		return -EACCES;

	if (!resolve(ept, attempt)) {
		ret = vhm_host_fault(attempt->vcpu, attempt->hva, attempt->access & VHM_MMIO_WRITE);
		if (ret)
			return ret;
		/* gone again: the process itself would fault again */
		if (!resolve(ept, attempt))
			return -EAGAIN;
	}
	/* with tables allocated and more locked between tries as it turns out to be needed */
	while ((ret = install(ept, attempt, cache)) == -EAGAIN || ret == -EDEADLK) {
		if (ret == -EDEADLK)
			attempt->share = NULL;
		else if (ept_page_cache_fill(cache))
			return -ENOMEM;
	}
	/* a large leaf has replaced a table */
	if (!list_empty_careful(&ept->dead))
		ept_flush(ept);
	return ret;
}

/* Until the host has finished what is in the way, or the thread is wanted elsewhere (true). */
static bool wait_for_host(struct ept *ept, const struct attempt *attempt)
{
	const unsigned long bytes = ept_level_bytes(attempt->level);
	struct vhm_process *process = ept->process;
	bool wanted = attempt->vcpu && !vhm_vcpu_wait_begin(attempt->vcpu);

	if (!wanted)
		wanted = wait_event_interruptible(process->wait,
						  !ept_process_busy(process, attempt->hva, bytes));
	if (attempt->vcpu)
		vhm_vcpu_wait_end(attempt->vcpu);
	return wanted;
}

/* Return: as try_fault(), but for -EBUSY and -EAGAIN; -EINTR: the thread is wanted elsewhere. */
static int try_until_settled(struct ept *ept, struct attempt *attempt)
{
	struct ept_page_cache cache = { 0 };
	int ret;

	while ((ret = try_fault(ept, attempt, &cache)) == -EBUSY || ret == -EAGAIN) {
		/* The host needs time to finish: no lock is held, so it can. */
		if (signal_pending(current) || wait_for_host(ept, attempt)) {
			ret = -EINTR;
			break;
		}
		cond_resched();
	}
	ept_page_cache_drain(&cache);
	return ret;
}

enum ept_fault_result ept_fault_handle(struct ept *ept, struct ept_share *share,
				       struct vhm_vcpu *vcpu, const struct ept_fault *fault,
				       int *error)
{
	struct attempt attempt = {
		.gfn = fault->gpa >> PAGE_SHIFT, .access = fault->access, .share = share,
		.vcpu = vcpu,
	};
	int ret;

	if (fault->gpa >> EPT_GPA_BITS)
		return EPT_FAULT_MMIO;

	ret = try_until_settled(ept, &attempt);
	/* the walk of page tables that are read-only: not a write but for the flags */
	if ((ret == -EROFS || (ret == -EACCES && attempt.rights & EPT_ENTRY_READ)) &&
	    fault->access & VHM_MMIO_WALK && fault->flagged) {
		ept_forgo_accessed_dirty(ept);
		return EPT_FAULT_FIXED;
	}
	switch (ret) {
	case 1:
		vcpu->stats[VHM_STAT_PAGES_MAPPED]++;
		if (attempt.level > 1)
			vcpu->stats[VHM_STAT_PAGES_MAPPED_2M + attempt.level - 2]++;
		return EPT_FAULT_FIXED;
	case 0:
		return EPT_FAULT_FIXED;
	case -ENXIO:
	case -EROFS:
	case -EEXIST:
		return EPT_FAULT_MMIO;
	case -EACCES:
		return EPT_FAULT_DENIED;
	case -EINTR:
		return EPT_FAULT_INTERRUPTED;
	default:
		*error = -ret;
		return EPT_FAULT_ERROR;
	}
}

/* One leaf. Return: its level, or an error of ept_populate(). */
static int populate_leaf(struct ept *ept, gpa_t gpa, bool write)
{
	struct attempt attempt = {
		.gfn = gpa >> PAGE_SHIFT, .access = write ? VHM_MMIO_WRITE : VHM_MMIO_READ,
	};
	int ret = try_until_settled(ept, &attempt);

	if (ret == -EROFS || ret == -EACCES) {
		attempt.access = VHM_MMIO_READ;
		ret = try_until_settled(ept, &attempt);
	}
	if (ret >= 0)
		return attempt.level;
	/* a fixed page is there, or none is allowed: nothing to do */
	if (ret == -EEXIST || ret == -EACCES)
		return 1;
	return ret == -ENXIO ? -ENOENT : ret;
}

int ept_populate(struct ept *ept, gpa_t *gpa, gpa_t end, bool write)
{
	for (;;) {
		int level = READ_ONCE(ept->vm->dead) ? -EIO : populate_leaf(ept, *gpa, write);

		if (level < 0)
			return level;
		*gpa = min(end, (*gpa | (ept_level_bytes(level) - 1)) + 1);
		if (*gpa == end)
			return 0;
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

int ept_set_rights(struct ept *ept, gpa_t gpa, u64 bytes, u32 rights)
{
	/* where no page can be there is nothing to restrict */
	gfn_t start = gpa >> PAGE_SHIFT, end = min((gpa + bytes) >> PAGE_SHIFT, EPT_GFN_END);
	const struct ept_rights_range range = { .first = start, .last = end - 1, .rights = rights };
	struct ept_rights *old = ept->rights, *new;
	int ret;

	lockdep_assert_held(&ept->vm->lock);
	if (rights == VHM_RIGHT_EXECUTE && !ept->caps.execute_only)
		return -EOPNOTSUPP;
	if (start >= end)
		return 0;
	new = ept_rights_with_room(old);
	if (!new)
		return -ENOMEM;
	ept_lock(ept);
	WRITE_ONCE(ept->rights, new);
	ret = ept_rights_change(new, &range);
	ept_unlock(ept);
	if (new != old)
		kvfree(old);
	if (ret)
		return ret;
	/* as for an edit of slots: a fault that has looked before begins again */
	atomic64_inc_return(&ept->vm->slot_edits);
	/* large leaves with a part in the range: mapped anew, as large as they may be now */
	ept_zap(ept, round_down(start, ept_level_pages(2)), round_up(end, ept_level_pages(2)));
	ept_flush(ept);
	return 0;
}
