/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second-level page tables of one VM (EPT): what other folders may use.
 *
 * A VM's table is filled on faults from the page tables of the process that created
 * the VM, and an mmu notifier of that process keeps it equal to them. No page is
 * pinned: an entry may stay only as long as the host's own page-table entry does.
 *
 * Locks, in this order: tracker->lock (ept/track.c), ept->track_lock, process->lock
 * (ept/notifier.h), ept->lock, those of ept->share. All but the first two are taken inside the
 * host's mmap lock and reclaim, so nothing is allocated under them.
 *
 * Who removes or changes entries locks the tables as a whole: ept_lock(). A fault only adds
 * entries and rights, by atomic exchanges, and holds just the lock of its vCPU's share, so that
 * vCPUs that fault in different places do not wait for each other. ept->lock alone suffices to
 * look at what nobody may remove meanwhile (ept/age.c).
 *
 * Flushing. Whoever removes rights from an entry raises @generation under
 * ept->lock. A CPU about to enter the guest does
 *
 *	WRITE_ONCE(vcpu->mode, VHM_IN_GUEST); smp_mb();
 *	if (READ_ONCE(ept->generation) differs from what the vCPU last flushed at here)
 *		INVEPT, single context, ept_pointer();
 *
 * with interrupts off, and ept_flush() does
 *
 *	generation raised; smp_mb() in vhm_vm_flush_guest_cpus(); mode read, CPU kicked
 *
 * so either the CPU sees the new generation or the flush sees the CPU in the guest
 * and makes it leave; the next entry of that CPU then compares again. Pages and
 * table pages that the entry led to are given up only after ept_flush().
 *
 * This folder executes no VMX instruction and does not know VPIDs, exits or the
 * guest's own page tables.
 */
#ifndef VHM_EPT_H
#define VHM_EPT_H

#include "ept/page_set.h"

#define EPT_LEVELS	4	/* of page tables; leaves are at levels 1 to 3 */
#define EPT_GPA_BITS	48	/* width of a guest-physical address with 4 levels */
#define EPT_GFN_END	BIT_ULL(EPT_GPA_BITS - PAGE_SHIFT)

struct vhm_process;

/**
 * struct ept_caps - what the processor can (SDM vol. 3, A.10, VPID and EPT Capabilities)
 * @execute_only: entries that allow execution but not reading
 * @page_2m: 2 MiB leaves
 * @page_1g: 1 GiB leaves
 * @large_execute: leaves of more than 4 KiB may allow execution
 * @accessed_dirty: accessed and dirty flags
 * @write_log: page-modification logging (29.3.6)
 */
struct ept_caps {
	bool execute_only, page_2m, page_1g, large_execute, accessed_dirty, write_log;
};

#define EPT_SHARES	16	/* more would nest too many locks */
#define EPT_TABLES	0	/* where leaves are counted by level: table pages */

/**
 * struct ept_share - part of the lock of the tables, and what was counted under it
 * @lock: held by a fault; all of them: by ept_lock()
 * @count: leaves, by level, and tables (EPT_TABLES); negative where others removed them. Who locks
 *	the tables as a whole uses the first share's
 */
struct ept_share {
	spinlock_t lock;	/* against those who lock the tables as a whole */
	s64 count[EPT_LEVELS];
} ____cacheline_aligned_in_smp;

/**
 * struct ept - the second-level page tables of one VM
 * @vm: its VM, immutable
 * @lock: the tables as a whole, with those of each @share in use; raising of @generation; see
 *	ept_lock()
 * @share: parts of the lock, see ept_add_share(); in use: one for each vCPU, or all
 * @vcpus: how many ept_add_share() was called for; raised under @lock
 * @root: level-4 table, immutable between ept_init() and ept_uninit()
 * @generation: starts at 1; raised as @lock is dropped if an entry lost rights;
 *	read without the lock when a CPU enters the guest
 * @stale: an entry lost rights since @lock was taken
 * @flushed_generation: no CPU in the guest uses translations older than this one
 * @caps: what the processor can; accessed_dirty is cleared once under @lock
 *	(ept_forgo_accessed_dirty())
 * @process: notifier of the process, set by ept_start()
 * @process_node: in process->epts, under process->lock
 * @slots: that are followed, under process->lock. As long as there are any, so are the vCPUs
 * @hand: where ept_shrink() goes on, under process->lock
 * @dead: table pages unlinked and not yet flushed, under @lock
 * @rights: what the VMM lets the guest do with ranges of pages, NULL: everything (ept/rights.h).
 *	Written under vm->lock and ept_lock(), read under either or the lock of a share
 * @maps_devices: set once, before there may be a leaf that is not write-back
 * @tracked: writes of the guest are noticed; changes under @lock
 * @track_lock: @trackers, taking from @written, room in it
 * @trackers: struct ept_tracker (ept/track.c)
 * @written: pages written since the trackers were told
 */
struct ept {
	struct vhm_vm *vm;
	spinlock_t lock;	/* second-level tables of one VM */
	struct ept_share share[EPT_SHARES];
	unsigned int vcpus;
	u64 *root;
	u64 generation;
	bool stale;
	atomic64_t flushed_generation;
	struct ept_caps caps;
	struct vhm_process *process;
	struct list_head process_node;
	unsigned int slots;
	gfn_t hand;
	struct list_head dead;
	struct ept_rights *rights;
	bool maps_devices, tracked;
	struct mutex track_lock;	/* trackers of one VM */
	struct list_head trackers;
	struct ept_page_set written;
};

/* Does the processor write down what the guest writes to? */
static inline bool ept_logs_writes(const struct ept *ept)
{
	return ept->caps.accessed_dirty && ept->caps.write_log;
}

/**
 * ept_init - set up empty tables
 * @ept: zeroed or not
 * @vm: its VM
 * @caps: what the processor can
 *
 * Context: may sleep; memory is charged to the caller's cgroup.
 * Return: 0 or -ENOMEM; after an error nothing needs ept_uninit().
 */
int ept_init(struct ept *ept, struct vhm_vm *vm, const struct ept_caps *caps);

/**
 * ept_start - follow the page tables of the VM's process from now on
 * @ept: the tables; vm->mm is set
 *
 * Context: a thread whose current->mm is vm->mm; mmap lock not held; may sleep.
 * Return: 0, -ENOMEM, or -EINTR.
 */
int ept_start(struct ept *ept);

/**
 * ept_process_keep - keep the notifier of the VM's process beyond the end of the VM
 * @ept: the tables, started
 *
 * To register a notifier costs a lock for each mapping of the process.
 *
 * Context: as ept_start().
 * Return: what ept_process_unkeep() takes, or NULL.
 */
struct vhm_process *ept_process_keep(struct ept *ept);
void ept_process_unkeep(struct vhm_process *process);

/**
 * ept_add_share - the tables get another vCPU
 * @ept: the tables
 *
 * Return: the part of the lock that its faults take
 */
struct ept_share *ept_add_share(struct ept *ept);

/**
 * ept_uninit - free everything
 * @ept: the tables; ept_start() may have failed or never been called
 *
 * Context: no vCPU of the VM can run any more; may sleep.
 */
void ept_uninit(struct ept *ept);

/**
 * ept_pointer - value for the EPT pointer of the VMCS
 * @ept: the tables
 *
 * SDM vol. 3, 25.6.11, Extended-Page-Table Pointer (EPTP): write-back, 4 levels,
 * accessed and dirty flags if the processor has them. What it depends on changes only before
 * @generation is raised.
 */
u64 ept_pointer(const struct ept *ept);

/**
 * struct ept_fault - an EPT violation without the architecture's bits
 * @gpa: guest-physical address, bytes
 * @access: what it was: VHM_MMIO_READ, _WRITE, _FETCH; _WALK: by the guest's page-table walk
 * @flagged: the processor was to set accessed and dirty flags (ept_pointer())
 */
struct ept_fault {
	gpa_t gpa;
	u32 access;
	bool flagged;
};

/**
 * enum ept_fault_result - outcome of ept_fault_handle()
 * @EPT_FAULT_FIXED: an entry was installed, or another vCPU had done so already:
 *	run the instruction again
 * @EPT_FAULT_MMIO: no slot is there, or it is read-only and this is a write, or
 *	the page is one of ept_map_fixed()
 * @EPT_FAULT_ERROR: the host cannot give the page; *error tells (a positive errno)
 * @EPT_FAULT_DENIED: ept_set_rights() does not allow it
 * @EPT_FAULT_INTERRUPTED: nothing was done because the thread is wanted in user space: a signal
 *	or a kick has ended its wait for the host
 */
enum ept_fault_result {
	EPT_FAULT_FIXED, EPT_FAULT_MMIO, EPT_FAULT_ERROR, EPT_FAULT_DENIED, EPT_FAULT_INTERRUPTED,
};

/**
 * ept_fault_handle - give the guest the page it asked for
 * @ept: the tables, started
 * @share: the vCPU's, of ept_add_share()
 * @vcpu: the vCPU, for its counters
 * @fault: what it did
 * @error: set with EPT_FAULT_ERROR: EFAULT nothing mapped or not permitted, EHWPOISON
 *	broken memory, ENOMEM
 *
 * Context: a thread whose current->mm is vm->mm; no locks but vcpu->mutex; may sleep.
 */
enum ept_fault_result ept_fault_handle(struct ept *ept, struct ept_share *share,
				       struct vhm_vcpu *vcpu, const struct ept_fault *fault,
				       int *error);

/**
 * ept_populate - map a range as the guest's accesses would
 * @ept: the tables, started
 * @gpa: where to begin, page aligned; then where it stopped
 * @end: where to end, page aligned
 * @write: the accesses are writes where the slot allows them
 *
 * Context: a thread whose current->mm is vm->mm; no locks; may sleep.
 * Return: 0, -ENOENT no slot at @gpa, -EINTR a signal is pending, -EIO the VM is dead, or as
 * *error of ept_fault_handle().
 */
int ept_populate(struct ept *ept, gpa_t *gpa, gpa_t end, bool write);

/**
 * ept_set_rights - restrict what the guest may do with a range, whatever slots and host allow
 * @ept: the tables
 * @gpa: where the range begins, page aligned
 * @bytes: its size, whole pages
 * @rights: bits of enum vhm_right; all of them: no restriction
 *
 * When it returns no CPU uses rights that were taken away. Context: vm->lock held; may sleep.
 * Return: 0, -EOPNOTSUPP executable and not readable on a processor that cannot do that, -ENOMEM,
 * -ENOSPC too many ranges
 */
int ept_set_rights(struct ept *ept, gpa_t gpa, u64 bytes, u32 rights);

/**
 * ept_get_mapped - count the leaves in a range, without fixed pages, and all tables
 * @ept: the tables
 * @mapped: gpa and bytes are valid, the rest is filled in
 *
 * Context: may sleep.
 */
void ept_get_mapped(struct ept *ept, struct vhm_mapped *mapped);

/**
 * ept_slot_track - follow the user addresses of a slot
 * @ept: the tables, started
 * @slot: not yet published
 *
 * Context: vm->lock held; may sleep.
 * Return: 0, -ENOMEM, -EINTR a signal kills the thread
 */
int ept_slot_track(struct ept *ept, struct vhm_memory_slot *slot);

/**
 * ept_slot_untrack - forget a slot
 * @ept: the tables, started
 * @slot: no longer in vm->slots, and vm->slot_edits was raised since
 *
 * When it returns no CPU can reach the slot's pages through the guest, and none
 * will be installed any more; readers of the old slot table may still hold @slot.
 * Context: vm->lock held, or no vCPU can run; may sleep.
 */
void ept_slot_untrack(struct ept *ept, struct vhm_memory_slot *slot);

/**
 * ept_map_fixed - map a page of the kernel that no notifier and no slot edit removes
 * @ept: the tables
 * @gpa: guest-physical address, page aligned, below EPT_GPA_BITS
 * @hpa: host-physical address, page aligned
 *
 * Readable and writable, not executable. For the APIC-access page. The caller owns
 * the page and keeps it until after ept_uninit(). A slot may cover @gpa: the fixed
 * page is in front of it.
 * Context: may sleep.
 * Return: 0, -ENOMEM, -EEXIST @gpa has a fixed page.
 */
int ept_map_fixed(struct ept *ept, gpa_t gpa, hpa_t hpa);

/**
 * ept_forgo_accessed_dirty - let the processor set no flags in the tables any more
 * @ept: the tables, started
 *
 * With accessed and dirty flags the processor takes each access to the guest's own page tables for
 * a write (SDM vol. 3, 29.3.3.2, EPT Violations). Page tables in memory that the guest may only
 * read need it to stop that. Context: may sleep.
 */
void ept_forgo_accessed_dirty(struct ept *ept);

/**
 * ept_note_written - tell the trackers that a range was written
 * @ept: the tables
 * @gpa: first byte
 * @bytes: how many
 *
 * After the fact. Any context but NMI.
 */
void ept_note_written(struct ept *ept, gpa_t gpa, u64 bytes);

/**
 * ept_tracker_create - begin to track writes
 * @ept: the tables, started
 *
 * The tracker tells of what is written from now on, and holds a reference to the VM.
 * Context: vm->lock held; may sleep.
 * Return: the tracker, -ENOMEM or -EINTR a signal kills the thread
 */
struct ept_tracker *ept_tracker_create(struct ept *ept);
void ept_tracker_free(struct ept_tracker *tracker);

/**
 * ept_tracker_harvest - tell what was written since the last time, and forget it
 * @tracker: the tracker
 * @arg: as in VHM_TRACKER_HARVEST, checked; gpa, bytes and pages are changed
 *
 * Context: may sleep. Return: 0, -EFAULT @arg->data cannot be written, -EINTR a signal kills the
 * thread
 */
int ept_tracker_harvest(struct ept_tracker *tracker, struct vhm_harvest *arg);

/**
 * ept_module_init - have what all VMs share, and offer tables to the host's reclaim
 *
 * Context: module load; may sleep. Return: 0 or -ENOMEM
 */
int ept_module_init(void);

/**
 * ept_module_exit - wait until no callback of this module's notifiers and shrinker can run
 *
 * Before module unload, when all VMs are gone. May sleep.
 */
void ept_module_exit(void);

#endif /* VHM_EPT_H */
