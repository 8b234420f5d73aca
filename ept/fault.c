// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPT violation: from a guest-physical address to an installed entry, or to the reason
 * why there is none.
 *
 * Owns nothing. Holds a reference to the host's page only while it installs the
 * entry; afterwards the notifier alone keeps the entry true (notifier.h). Locks:
 * the host's while it resolves the page, then ept->lock, never both. Does not
 * decide about page sizes beyond 4 KiB and does not decode exits.
 */
#include "ept/ept.h"

#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "ept/format.h"
#include "ept/notifier.h"
#include "ept/table.h"

/*
 * One attempt to resolve a fault.
 * @gfn: the guest's page
 * @seq: process->seq when it began
 * @slot_edits: vm->slot_edits when it began
 * @hva: user address of the page
 * @readonly: the slot is
 * @page: the host's page, with a reference
 * @writable: the host lets the process write to it
 */
struct attempt {
	gfn_t gfn;
	unsigned long seq;
	s64 slot_edits;
	unsigned long hva;
	bool readonly;
	struct page *page;
	bool writable;
};

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
	}
	rcu_read_unlock();
	return slot;
}

static bool resolve_page_fast(struct attempt *attempt, unsigned int flags)
{
	return get_user_pages_fast_only(attempt->hva, 1, flags, &attempt->page) == 1;
}

/*
 * Let the host give the process the page as if the process had written to it. Looks at no
 * page: whether it worked the next look tells.
 */
static void fault_in_for_writing(struct attempt *attempt)
{
	bool unlocked = false;

	mmap_read_lock(current->mm);
	fixup_user_fault(current->mm, attempt->hva, FAULT_FLAG_WRITE, &unlocked);
	mmap_read_unlock(current->mm);
}

/*
 * Find the host's page, faulting it in where needed. A read maps for writing too where
 * the host's page table already allows it, but never causes the host to copy or allocate
 * what a read would not: a page of zeros or a page shared copy-on-write stays shared.
 * Return: 0, -EFAULT, -EHWPOISON, -ENOMEM, -EINTR a signal kills the thread, -EAGAIN.
 */
static int resolve_page(struct attempt *attempt, bool write)
{
	struct page *page;
	long got;

	attempt->writable = !attempt->readonly;
	if (resolve_page_fast(attempt, attempt->readonly ? 0 : FOLL_WRITE))
		return 0;
	/* mostly a page that is not there yet: quicker than what looks it up and can say why not */
	if (write) {
		fault_in_for_writing(attempt);
		if (resolve_page_fast(attempt, FOLL_WRITE))
			return 0;
	}

	got = get_user_pages_unlocked(attempt->hva, 1, &page,
				      FOLL_HWPOISON | (write ? FOLL_WRITE : 0));
	if (got == -EHWPOISON || got == -ENOMEM || got == -EINTR || got == -EAGAIN)
		return got;
	if (got != 1)
		return -EFAULT;

	if (!write && !attempt->readonly) {
		if (resolve_page_fast(attempt, FOLL_WRITE)) {
			put_page(page);
			return 0;
		}
		attempt->writable = false;
	}
	attempt->page = page;
	return 0;
}

/*
 * Return: as ept_map_locked(), or -EBUSY if the host or a slot edit was quicker.
 */
static int install(struct ept *ept, const struct attempt *attempt,
		   struct ept_page_cache *cache)
{
	u64 rights = EPT_ENTRY_READ | EPT_ENTRY_EXECUTE;
	int ret;

	if (attempt->writable)
		rights |= EPT_ENTRY_WRITE;

	spin_lock(&ept->lock);
	/*
	 * An edit that zaps has raised slot_edits before it takes ept->lock, so after its
	 * zap the new value is seen here.
	 */
	if (ept_process_read_retry(ept->process, attempt->hva, attempt->seq) ||
	    atomic64_read(&ept->vm->slot_edits) != attempt->slot_edits) {
		ret = -EBUSY;
	} else {
		u64 leaf = ept_entry_make_leaf(PFN_PHYS(page_to_pfn(attempt->page)), 1,
					       rights);

		ret = ept_map_locked(ept, attempt->gfn, 1, leaf, cache);
		/*
		 * The guest writes without the host's page table noticing. While the entry
		 * is allowed to stand the page can be marked as the fault handler would,
		 * under its lock.
		 */
		if (ret > 0 && attempt->writable && !PageDirty(attempt->page))
			set_page_dirty(attempt->page);
	}
	spin_unlock(&ept->lock);
	return ret;
}

/* Install, allocating tables between tries as long as some are missing. */
static int install_with_tables(struct ept *ept, const struct attempt *attempt,
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

/* Return: 0 or 1 done; -ENXIO: not memory; -EBUSY: again; else what the host said. */
static int try_fault(struct ept *ept, const struct ept_fault *fault,
		     struct attempt *attempt, struct ept_page_cache *cache)
{
	int ret;

	attempt->seq = ept_process_read_begin(ept->process);
	attempt->slot_edits = atomic64_read(&ept->vm->slot_edits);
	/* Before the slots; partner: vhm_slots raises it after it has published them. */
	smp_rmb();
	if (!look_up_slot(ept, attempt) || (fault->write && attempt->readonly))
		return -ENXIO;

	ret = resolve_page(attempt, fault->write);
	if (ret)
		return ret;
	ret = install_with_tables(ept, attempt, cache);
	put_page(attempt->page);
	return ret == -EEXIST ? -ENXIO : ret;
}

enum ept_fault_result ept_fault_handle(struct ept *ept, struct vhm_vcpu *vcpu,
				       const struct ept_fault *fault, int *error)
{
	struct attempt attempt = { .gfn = fault->gpa >> PAGE_SHIFT };
	struct ept_page_cache cache = { 0 };
	int ret;

	if (fault->gpa >> EPT_GPA_BITS)
		return EPT_FAULT_MMIO;

	for (;;) {
		ret = try_fault(ept, fault, &attempt, &cache);
		if (ret != -EBUSY && ret != -EAGAIN)
			break;
		/* The host needs time to finish: no lock is held, so it can. */
		if (signal_pending(current) ||
		    wait_event_interruptible(ept->process->wait,
					     !ept_process_busy(ept->process, attempt.hva)))
			break;
		cond_resched();
	}
	ept_page_cache_drain(&cache);

	switch (ret) {
	case 1:
		vcpu->stats[VHM_STAT_PAGES_MAPPED]++;
		return EPT_FAULT_FIXED;
	case 0:
		return EPT_FAULT_FIXED;
	case -ENXIO:
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
