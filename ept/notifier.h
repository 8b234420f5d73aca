/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VMs of one process share: the notifier of its address space and the slots by
 * user address. Inside ept/ only.
 *
 * A fault resolves a host page without a lock and must not install one that the host
 * has begun to take away:
 *
 *	seq = ept_process_read_begin();
 *	page = page of the host at hva;
 *	lock ept->lock;
 *	if (ept_process_read_retry(hva, bytes, seq)) start again;
 *	install;
 *
 * An invalidation raises @in_progress, zaps under ept->lock, flushes; then the host
 * changes its page tables; then it raises @seq and drops @in_progress. A fault that
 * takes ept->lock before the zap is zapped by it; one that takes it afterwards sees
 * @in_progress and the range, because the zapper wrote them before it took
 * ept->lock; one that takes it after the end sees another @seq, unless it read @seq
 * after the end, and then it has looked at the new page tables. A slot that enters the
 * tree while an invalidation is in progress misses the zap, but process->lock and the
 * publication of the slot carry @in_progress to everyone who can see it.
 */
#ifndef VHM_EPT_NOTIFIER_H
#define VHM_EPT_NOTIFIER_H

#include <linux/mmu_notifier.h>

#include "ept/ept.h"

/**
 * struct vhm_process - an address space with VMs
 * @notifier: counts the references too (mmu_notifier_get)
 * @node: among all (ept/processes.c)
 * @lru: among all, by memory cgroup and node
 * @pid: of the process that created the first VM, in the host's first namespace; immutable
 * @tables: of all VMs, those that may go at any time (ept_shrink())
 * @lock: all below; read without it where ept_process_read_retry() says so
 * @slots: interval tree of the VMs' slots by user address
 * @epts: the VMs, by ept->process_node
 * @in_progress: invalidations begun and not ended
 * @start: first user address of all that are in progress and concern a slot; only ever lowered
 *	while there are any
 * @end: first user address behind them; only ever raised likewise
 * @seq: such invalidations ended
 * @wait: faults that wait for the end of an invalidation
 */
struct vhm_process {
	struct mmu_notifier notifier;
	struct list_head node, lru;
	pid_t pid;
	atomic_long_t tables;
	spinlock_t lock;	/* host-mm notifier of a process */
	struct rb_root_cached slots;
	struct list_head epts;
	unsigned long in_progress, start, end, seq;
	wait_queue_head_t wait;
};

/* For mmu_notifier_ops: zeroed but for what is below @notifier, and known to the host's reclaim. */
struct mmu_notifier *ept_process_alloc(struct mm_struct *mm);
void ept_process_free(struct mmu_notifier *notifier);

static inline unsigned long ept_process_read_begin(const struct vhm_process *process)
{
	unsigned long seq = READ_ONCE(process->seq);

	/* Before the host's page tables; partner: their change is before seq's, see end. */
	smp_rmb();
	return seq;
}

/* An invalidation that may concern the leaf of @bytes over @hva is in progress. */
static inline bool ept_process_busy(const struct vhm_process *process, unsigned long hva,
				    unsigned long bytes)
{
	const unsigned long start = hva & ~(bytes - 1);

	return READ_ONCE(process->in_progress) &&
	       start + bytes > READ_ONCE(process->start) && start < READ_ONCE(process->end);
}

/*
 * Under the ept->lock of a VM that has a slot there. The range may be torn by an
 * invalidation that starts now: if that one concerns this VM it has yet to zap; if
 * the one before it did, @seq tells.
 */
static inline bool ept_process_read_retry(const struct vhm_process *process, unsigned long hva,
					  unsigned long bytes, unsigned long seq)
{
	if (ept_process_busy(process, hva, bytes))
		return true;
	/* Partner: in ept_process_end(), between seq and in_progress. */
	smp_rmb();
	return READ_ONCE(process->seq) != seq;
}

/* process->lock held: does a slot show any of the user addresses from @start to before @end? */
static inline bool ept_process_shows(struct vhm_process *process, unsigned long start,
				     unsigned long end)
{
	return end > start && interval_tree_iter_first(&process->slots, start, end - 1);
}

/* process->lock held. Nobody waits for an invalidation of memory that no slot shows. */
static inline void ept_process_begin(struct vhm_process *process, unsigned long start,
				     unsigned long end)
{
	if (!process->in_progress) {
		WRITE_ONCE(process->start, ULONG_MAX);
		WRITE_ONCE(process->end, 0);
	}
	if (ept_process_shows(process, start, end)) {
		WRITE_ONCE(process->start, min(process->start, start));
		WRITE_ONCE(process->end, max(process->end, end));
	}
	WRITE_ONCE(process->in_progress, process->in_progress + 1);
}

/*
 * process->lock held. A slot that came meanwhile has its faults wait for all that are in progress;
 * one that went had its own way of telling them (vhm_vm.slot_edits).
 */
static inline void ept_process_end(struct vhm_process *process, unsigned long start,
				   unsigned long end)
{
	if (ept_process_shows(process, start, end))
		WRITE_ONCE(process->seq, process->seq + 1);
	/* Partners: in ept_process_read_retry() and ept_process_read_begin(). */
	smp_wmb();
	WRITE_ONCE(process->in_progress, process->in_progress - 1);
}

#endif /* VHM_EPT_NOTIFIER_H */
