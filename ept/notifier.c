// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the EPT of all VMs of a process equal to the process's page tables.
 *
 * One struct vhm_process per address space that has VMs, however many, so that a
 * VM more costs a reference. Locks: process->lock, then ept->lock of one VM after
 * another. The callbacks run in whatever context changes the address space, the OOM
 * reaper included: they do not allocate, and sleep only where they are told that they may.
 * Those about ageing come with a page-table lock of the host held. Does not resolve pages
 * (fault.c) and does not know entries (table.c, age.c).
 */
#include "ept/notifier.h"

#include "ept/table.h"

static struct vhm_process *to_process(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct vhm_process, notifier);
}

/*
 * For each slot that shows user addresses @start to @last, @visit those pages, half-open.
 * Return: whether any of the calls returned true.
 */
static bool visit_slots(struct vhm_process *process, unsigned long start, unsigned long last,
			bool (*visit)(struct ept *ept, gfn_t start, gfn_t end))
{
	struct interval_tree_node *node;
	bool any = false;

	lockdep_assert_held(&process->lock);
	for (node = interval_tree_iter_first(&process->slots, start, last); node;
	     node = interval_tree_iter_next(node, start, last)) {
		struct vhm_memory_slot *slot = container_of(node, struct vhm_memory_slot, hva_node);
		gfn_t first_page = (max(start, node->start) - node->start) >> PAGE_SHIFT;
		gfn_t last_page = (min(last, node->last) - node->start) >> PAGE_SHIFT;

		any |= visit(slot->vm->ept, slot->first_gfn + first_page,
			     slot->first_gfn + last_page + 1);
	}
	return any;
}

static bool flush(struct ept *ept, gfn_t start, gfn_t end)
{
	ept_flush(ept);
	return true;
}

/* How much is zapped in one go: bounds how long the locks are held. */
#define PIECE_BYTES	BIT(30)

/*
 * Zap user addresses @start to @last in all VMs, which nobody maps meanwhile; @may_sleep between
 * pieces. Each VM is flushed once a piece: the second ept_flush() of a VM finds nothing to do.
 */
static void zap_range(struct vhm_process *process, unsigned long start, unsigned long last,
		      bool may_sleep)
{
	struct interval_tree_node *node;
	unsigned long piece_last;

	/* the lowest */
	while ((node = interval_tree_iter_first(&process->slots, start, last))) {
		start = max(start, node->start);
		piece_last = start + min(last - start, PIECE_BYTES - 1);
		visit_slots(process, start, piece_last, ept_zap_at_once);
		visit_slots(process, start, piece_last, flush);
		if (piece_last == last)
			break;
		start = piece_last + 1;
		if (may_sleep)
			cond_resched_lock(&process->lock);
	}
}

static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	struct vhm_process *process = to_process(notifier);

	spin_lock(&process->lock);
	ept_process_begin(process, range->start, range->end);
	if (range->end > range->start)
		zap_range(process, range->start, range->end - 1,
			  mmu_notifier_range_blockable(range));
	spin_unlock(&process->lock);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct vhm_process *process = to_process(notifier);

	spin_lock(&process->lock);
	WARN_ON_ONCE(!process->in_progress);
	ept_process_end(process, range->start, range->end);
	spin_unlock(&process->lock);

	if (wq_has_sleeper(&process->wait))
		wake_up_all(&process->wait);
}

/* Ask all VMs about user addresses @start to @last; @flushes, where leaves went for it. */
static bool age_range(struct vhm_process *process, unsigned long start, unsigned long last,
		      bool (*age)(struct ept *ept, gfn_t start, gfn_t end), bool flushes)
{
	bool young;

	spin_lock(&process->lock);
	young = visit_slots(process, start, last, age);
	if (flushes)
		visit_slots(process, start, last, flush);
	spin_unlock(&process->lock);
	return young;
}

/* Where there are accessed flags there is nothing to flush. */
static int clear_flush_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			     unsigned long start, unsigned long end)
{
	return age_range(to_process(notifier), start, end - 1, ept_make_old, true);
}

static int clear_young(struct mmu_notifier *notifier, struct mm_struct *mm,
		       unsigned long start, unsigned long end)
{
	return age_range(to_process(notifier), start, end - 1, ept_make_old, false);
}

static int test_young(struct mmu_notifier *notifier, struct mm_struct *mm, unsigned long address)
{
	return age_range(to_process(notifier), address, address, ept_test_young, false);
}

/*
 * The address space goes. The pages are freed afterwards without another call of
 * invalidate_range_start(), so nothing may be left, and no thread that could run
 * a vCPU exists any more.
 */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct vhm_process *process = to_process(notifier);
	struct ept *ept;

	spin_lock(&process->lock);
	/* No vhm_vm_kill(): there is nobody to kick, and the vCPUs may be on their way out. */
	list_for_each_entry(ept, &process->epts, process_node)
		WRITE_ONCE(ept->vm->dead, true);
	ept_process_begin(process, 0, ULONG_MAX);
	zap_range(process, 0, ULONG_MAX, true);
	ept_process_end(process, 0, ULONG_MAX);
	spin_unlock(&process->lock);
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = release,
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.alloc_notifier = ept_process_alloc,
	.free_notifier = ept_process_free,
};

int ept_start(struct ept *ept)
{
	struct mmu_notifier *notifier = mmu_notifier_get(&notifier_ops, ept->vm->mm);

	if (IS_ERR(notifier))
		return PTR_ERR(notifier);
	ept->process = to_process(notifier);
	spin_lock(&ept->process->lock);
	list_add(&ept->process_node, &ept->process->epts);
	spin_unlock(&ept->process->lock);
	return 0;
}

struct vhm_process *ept_process_keep(struct ept *ept)
{
	struct mmu_notifier *notifier = mmu_notifier_get(&notifier_ops, ept->vm->mm);

	return IS_ERR(notifier) ? NULL : to_process(notifier);
}

void ept_process_unkeep(struct vhm_process *process)
{
	mmu_notifier_put(&process->notifier);
}

void ept_uninit(struct ept *ept)
{
	struct vhm_process *process = ept->process;

	if (process) {
		spin_lock(&process->lock);
		list_del(&ept->process_node);
		spin_unlock(&process->lock);
	}
	ept_free_tables(ept);
	if (process)
		mmu_notifier_put(&process->notifier);
}

int ept_slot_track(struct ept *ept, struct vhm_memory_slot *slot)
{
	struct vhm_process *process = ept->process;
	int ret = ept_track_slot(ept, slot);

	if (ret)
		return ret;
	slot->hva_node.start = slot->user_address;
	slot->hva_node.last = slot->user_address + (slot->pages << PAGE_SHIFT) - 1;
	spin_lock(&process->lock);
	interval_tree_insert(&slot->hva_node, &process->slots);
	/* what is in progress has not zapped it, and its range may not say so */
	if (process->in_progress) {
		WRITE_ONCE(process->start, 0);
		WRITE_ONCE(process->end, ULONG_MAX);
	}
	ept->slots++;
	spin_unlock(&process->lock);
	return 0;
}

void ept_slot_untrack(struct ept *ept, struct vhm_memory_slot *slot)
{
	struct vhm_process *process = ept->process;

	/*
	 * Faults that looked the slot up before it was unpublished see slot_edits changed
	 * once they have ept->lock, so what is zapped here stays zapped. Until then
	 * the slot must stay in the tree: the host may take pages away meanwhile.
	 */
	ept_zap(ept, slot->first_gfn, slot->first_gfn + slot->pages);
	ept_flush(ept);

	spin_lock(&process->lock);
	interval_tree_remove(&slot->hva_node, &process->slots);
	ept->slots--;
	spin_unlock(&process->lock);
}
