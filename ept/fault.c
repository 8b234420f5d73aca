// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPT violation: from a guest-physical address to an installed entry, or to the reason
 * why there is none.
 *
 * Owns nothing and holds no reference to the host's page: the notifier alone tells
 * whether it may be installed, and keeps the entry true afterwards (notifier.h). The
 * leaf is as large as the host's mapping (host.h), the slot and the processor allow.
 * Locks: the host's while it resolves the page, then ept->lock, never both. Does not
 * decode exits.
 */
#include "ept/ept.h"

#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "ept/format.h"
#include "ept/host.h"
#include "ept/notifier.h"
#include "ept/table.h"

/*
 * One attempt to resolve a fault.
 * @gfn: the guest's page
 * @fetch: the guest wants to execute it
 * @seq: process->seq before the host's page table was read
 * @slot_edits: vm->slot_edits when it began
 * @hva: user address of the page
 * @readonly: the slot is
 * @level: largest that slot and, once resolved, the host's mapping allow; then what is installed
 * @pfn: the host's page
 * @writable: the host lets the process write to it
 */
struct attempt {
	gfn_t gfn;
	bool fetch;
	unsigned long seq;
	s64 slot_edits;
	unsigned long hva;
	bool readonly;
	int level;
	u64 pfn;
	bool writable;
};

/* Largest leaf over @gfn that lies in the slot and on as large a piece of user memory. */
static int slot_level(const struct ept *ept, const struct vhm_memory_slot *slot, gfn_t gfn)
{
	int level = ept->caps.page_1g ? 3 : ept->caps.page_2m ? 2 : 1;

	for (; level > 1; level--) {
		gfn_t offset_mask = ept_level_pages(level) - 1;
		gfn_t first = gfn & ~offset_mask;

		if (!((slot->first_gfn ^ slot->user_address >> PAGE_SHIFT) & offset_mask) &&
		    first >= slot->first_gfn &&
		    first + offset_mask - slot->first_gfn < slot->pages)
			break;
	}
	return level;
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
		attempt->readonly = slot->flags & VHM_SLOT_READONLY;
		attempt->level = slot_level(ept, slot, attempt->gfn);
	}
	rcu_read_unlock();
	return slot;
}

/* User addresses that the leaf would show: [start, start + bytes). */
static unsigned long leaf_bytes(const struct attempt *attempt)
{
	return ept_level_pages(attempt->level) << PAGE_SHIFT;
}

static unsigned long leaf_start(const struct attempt *attempt)
{
	return attempt->hva & ~(leaf_bytes(attempt) - 1);
}

/*
 * A read maps for writing too where the host's page table allows it, but never causes the
 * host to copy or allocate what a read would not: a page of zeros or a page shared
 * copy-on-write stays shared.
 */
static bool resolve_mapped(struct ept *ept, struct attempt *attempt, bool write)
{
	struct ept_host_page page;

	attempt->seq = ept_process_read_begin(ept->process);
	if (!ept_host_look_up(attempt->hva, &page) || (write && !page.writable))
		return false;
	attempt->pfn = page.pfn;
	attempt->writable = page.writable && !attempt->readonly;
	attempt->level = min(attempt->level, page.level);
	return true;
}

/* Let the host give the process the page as if the process had touched it. */
static void fault_in(struct attempt *attempt, bool write)
{
	bool unlocked = false;

	mmap_read_lock(current->mm);
	fixup_user_fault(current->mm, attempt->hva, write ? FAULT_FLAG_WRITE : 0, &unlocked);
	mmap_read_unlock(current->mm);
}

/*
 * Find the host's page, faulting it in where needed.
 * Return: 0, -EFAULT, -EHWPOISON, -ENOMEM, -EINTR a signal kills the thread, -EBUSY the
 * host was quicker, -EAGAIN.
 */
static int resolve(struct ept *ept, struct attempt *attempt, bool write)
{
	unsigned long seq;
	struct page *page;
	long got;

	if (resolve_mapped(ept, attempt, write))
		return 0;
	/* mostly it is not there yet: quicker than what can say why not */
	fault_in(attempt, write);
	if (resolve_mapped(ept, attempt, write))
		return 0;

	seq = attempt->seq;
	got = get_user_pages_unlocked(attempt->hva, 1, &page,
				      FOLL_HWPOISON | (write ? FOLL_WRITE : 0));
	if (got == 1)
		put_page(page);
	if (got == -EHWPOISON || got == -ENOMEM || got == -EINTR || got == -EAGAIN)
		return got;
	if (got != 1)
		return -EFAULT;
	if (resolve_mapped(ept, attempt, write))
		return 0;
	/* There is a page and it is not mapped: gone again, or none that a guest may have. */
	if (ept_process_read_retry(ept->process, attempt->hva, PAGE_SIZE, seq))
		return -EBUSY;
	return -EFAULT;
}

/* The leaf of @attempt, or a smaller one where something that must stay is in the way. */
static int map_locked(struct ept *ept, struct attempt *attempt, struct ept_page_cache *cache)
{
	int ret;

	do {
		int level = attempt->level;
		gfn_t offset_mask = ept_level_pages(level) - 1;
		u64 rights = EPT_ENTRY_READ | EPT_ENTRY_EXECUTE;

		if (level > 1 && !ept->caps.large_execute)
			rights = EPT_ENTRY_READ;
		if (attempt->writable)
			rights |= EPT_ENTRY_WRITE;
		ret = ept_map_locked(ept, attempt->gfn & ~offset_mask, level,
				     ept_entry_make_leaf(PFN_PHYS(attempt->pfn & ~offset_mask),
							 level, rights), cache);
		/* What is fetched from a leaf that is too large for it makes it small. */
		if (ret >= 0 && attempt->fetch && !(rights & EPT_ENTRY_EXECUTE))
			ret = -EEXIST;
	} while (ret == -EEXIST && --attempt->level);
	return ret;
}

/*
 * Return: as ept_map_locked(), or -EBUSY if the host or a slot edit was quicker.
 */
static int install(struct ept *ept, struct attempt *attempt, struct ept_page_cache *cache)
{
	int ret = -EBUSY;

	spin_lock(&ept->lock);
	/*
	 * An edit that zaps has raised slot_edits before it takes ept->lock, so after its
	 * zap the new value is seen here.
	 */
	if (!ept_process_read_retry(ept->process, leaf_start(attempt), leaf_bytes(attempt),
				    attempt->seq) &&
	    atomic64_read(&ept->vm->slot_edits) == attempt->slot_edits) {
		struct folio *folio = page_folio(pfn_to_page(attempt->pfn));

		ret = map_locked(ept, attempt, cache);
		/*
		 * The guest uses and writes the page without the host's page table noticing.
		 * While the entry is allowed to stand the page cannot go, and can be marked
		 * as the fault handler would, under its lock.
		 */
		if (ret >= 0 && !folio_test_referenced(folio))
			folio_set_referenced(folio);
		if (ret >= 0 && attempt->writable && !folio_test_dirty(folio))
			folio_mark_dirty(folio);
	}
	spin_unlock(&ept->lock);
	return ret;
}

/* Install, allocating tables between tries as long as some are missing. */
static int install_with_tables(struct ept *ept, struct attempt *attempt,
			       struct ept_page_cache *cache)
{
	for (;;) {
		int ret = install(ept, attempt, cache);

		if (ret != -EAGAIN)
			return ret;
		ret = ept_page_cache_fill(cache);
		if (ret)
			return ret;
	}
}

/*
 * Return: 0 or 1 done; -ENXIO: no slot; -EROFS: not to be written; -EEXIST: a fixed page is in
 * front of the slot's; -EBUSY: again; else what the host said.
 */
static int try_fault(struct ept *ept, const struct ept_fault *fault,
		     struct attempt *attempt, struct ept_page_cache *cache)
{
	int ret;

	attempt->slot_edits = atomic64_read(&ept->vm->slot_edits);
	/* Before the slots; partner: vhm_slots raises it after it has published them. */
	smp_rmb();
	if (!look_up_slot(ept, attempt))
		return -ENXIO;
	if (fault->write && attempt->readonly)
		return -EROFS;

	ret = resolve(ept, attempt, fault->write);
	if (ret)
		return ret;
	ret = install_with_tables(ept, attempt, cache);
	/* a large leaf has replaced a table */
	if (!list_empty_careful(&ept->dead))
		ept_flush(ept);
	return ret;
}

/* Return: as try_fault(); -EBUSY and -EAGAIN: a signal is pending. */
static int try_until_settled(struct ept *ept, const struct ept_fault *fault,
			     struct attempt *attempt)
{
	struct ept_page_cache cache = { 0 };
	int ret;

	for (;;) {
		ret = try_fault(ept, fault, attempt, &cache);
		if (ret != -EBUSY && ret != -EAGAIN)
			break;
		/* The host needs time to finish: no lock is held, so it can. */
		if (signal_pending(current) ||
		    wait_event_interruptible(ept->process->wait,
					     !ept_process_busy(ept->process, leaf_start(attempt),
							       leaf_bytes(attempt))))
			break;
		cond_resched();
	}
	ept_page_cache_drain(&cache);
	return ret;
}

enum ept_fault_result ept_fault_handle(struct ept *ept, struct vhm_vcpu *vcpu,
				       const struct ept_fault *fault, int *error)
{
	struct attempt attempt = { .gfn = fault->gpa >> PAGE_SHIFT, .fetch = fault->fetch };
	int ret;

	if (fault->gpa >> EPT_GPA_BITS)
		return EPT_FAULT_MMIO;

	ret = try_until_settled(ept, fault, &attempt);
	switch (ret) {
	case 1:
		vcpu->stats[VHM_STAT_PAGES_MAPPED]++;
		if (attempt.level > 1)
			vcpu->stats[attempt.level == 2 ? VHM_STAT_PAGES_MAPPED_2M :
							 VHM_STAT_PAGES_MAPPED_1G]++;
		return EPT_FAULT_FIXED;
	case 0:
		return EPT_FAULT_FIXED;
	case -ENXIO:
	case -EROFS:
	case -EEXIST:
		return EPT_FAULT_MMIO;
	case -EBUSY:
	case -EAGAIN:
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
	struct ept_fault fault = { .gpa = gpa, .read = !write, .write = write };
	struct attempt attempt = { .gfn = gpa >> PAGE_SHIFT };
	int ret = try_until_settled(ept, &fault, &attempt);

	if (ret == -EROFS) {
		fault.write = false;
		ret = try_until_settled(ept, &fault, &attempt);
	}
	switch (ret) {
	case 0:
	case 1:
		return attempt.level;
	case -EEXIST:
		return 1;	/* the guest has a fixed page there: nothing to do */
	case -ENXIO:
		return -ENOENT;
	case -EBUSY:
	case -EAGAIN:
		return -EINTR;
	default:
		return ret;
	}
}

int ept_populate(struct ept *ept, gpa_t *gpa, gpa_t end, bool write)
{
	for (;;) {
		int level = READ_ONCE(ept->vm->dead) ? -EIO : populate_leaf(ept, *gpa, write);

		if (level < 0)
			return level;
		*gpa = min(end, (*gpa | ((ept_level_pages(level) << PAGE_SHIFT) - 1)) + 1);
		if (*gpa == end)
			return 0;
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}
