/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Core objects: VM, vCPU, the backend they reach hardware through.
 *
 * Locks, in this order:
 *   vcpu->mutex     one thread at a time uses a vCPU (run, state, set-up)
 *   vm->lock        set-up of the VM: vCPU table, slot edits
 *   process->lock   host-mm notifier of a process (ept/notifier.c)
 *   ept->lock       second-level tables of one VM (ept/ept.h)
 * Innermost, alone:
 *   vcpu->pid_lock  whose thread runs a vCPU (vhm/yield.c)
 *
 * This folder knows the x86 architecture (CPUID, local APIC), but no bit of VMX or
 * EPT: those are behind struct vhm_backend_ops.
 */
#ifndef VHM_VHM_H
#define VHM_VHM_H

#include <linux/hrtimer.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/xarray.h>
#include <linux/vhm.h>

#include "pv.h"

#define VHM_MAX_VCPUS		255	/* local APIC ids 0-254; 255 is broadcast */
#define VHM_MAX_SLOTS		4096
#define VHM_MAX_CPUID_ENTRIES	256
#define VHM_TSC_NEVER		(~0ull)	/* a host TSC that no host reaches */
#define VHM_APIC_TIMER_HZ	25000000u	/* see vhm_cpuid_tsc_ratio() */

typedef u64 gpa_t;		/* guest-physical address, bytes */
typedef u64 gva_t;		/* guest-linear address, bytes */
typedef u64 gfn_t;		/* guest-physical page number */
typedef u64 hpa_t;		/* host-physical address, bytes */

struct ept;
struct ept_tracker;
struct vhm_vm;
struct vhm_vcpu;
struct vhm_apic;

/* ----------------------------------------------------------------- slots -- */

/**
 * struct vhm_memory_slot - one range of guest memory
 * @hva_node: in the owning process's interval tree, by user address, inclusive;
 *	under process->lock (ept/notifier.c)
 * @vm: VM it belongs to
 * @rcu: readers of vm->slots may still hold it
 * @first_gfn: first page
 * @pages: number of pages, not zero
 * @user_address: address of the first byte in vm->mm
 * @id: chosen by the VMM
 * @flags: bits of enum vhm_slot_flag
 *
 * Immutable once published.
 */
struct vhm_memory_slot {
	struct interval_tree_node hva_node;
	struct vhm_vm *vm;
	struct rcu_head rcu;
	gfn_t first_gfn;
	u64 pages;
	unsigned long user_address;
	u32 id, flags;
};

/**
 * struct vhm_slot_table - the slots of a VM, sorted by first_gfn
 * @rcu: for freeing
 * @count: entries of @slot
 * @slot: sorted, not overlapping
 *
 * Replaced as a whole: an edit builds a new table and publishes it under vm->lock.
 */
struct vhm_slot_table {
	struct rcu_head rcu;
	u32 count;
	struct vhm_memory_slot *slot[];
};

int vhm_slots_edit(struct vhm_vm *vm, const struct vhm_slot *args, u32 count);
void vhm_slots_free(struct vhm_vm *vm);
const struct vhm_memory_slot *vhm_slot_find(const struct vhm_slot_table *table, gfn_t gfn);

/* vhm/guest_memory.c */
void __user *vhm_guest_pointer(struct vhm_vm *vm, gpa_t gpa, u32 bytes);
int vhm_guest_write_nofault(struct vhm_vm *vm, gpa_t gpa, const void *data, u32 bytes);
int vhm_host_fault(struct vhm_vcpu *vcpu, unsigned long address, bool write);
int vhm_guest_fault_in(struct vhm_vcpu *vcpu, gpa_t gpa, u32 bytes);
bool vhm_guest_wait(struct vhm_vm *vm, gpa_t gpa, u32 bytes);
int vhm_guest_write(struct vhm_vcpu *vcpu, gpa_t gpa, const void *data, u32 bytes);
int vhm_guest_read(struct vhm_vcpu *vcpu, gpa_t gpa, void *data, u32 bytes);

/* -------------------------------------------------------------------- VM -- */

/**
 * struct vhm_vm - a virtual machine
 * @ref: one for the VM's descriptor, one for each vCPU's and each tracker's
 * @ept: its second-level tables, the backend's; immutable
 * @mm: address space of the creator (mmgrab), immutable
 * @flags: bits of enum vhm_vm_flag, immutable
 * @dead: set once, never cleared; no vCPU enters the guest any more
 * @lock: set-up: @vcpus, @slots
 * @slots: RCU-protected, written under @lock; NULL as long as there was none
 * @slot_edits: raised after each publication of @slots (see ept/fault.c)
 * @host_writes: set once, by the first access of vhm/guest_memory.c
 * @vcpus: by id; entries stay until the VM is freed; read under RCU
 * @all_vcpus: the same, for who must look at each, and quickly; they never leave it
 * @last_yielded_to: id of the vCPU that was given time last, a hint
 */
struct vhm_vm {
	struct kref ref;
	struct ept *ept;
	struct mm_struct *mm;
	u32 flags;
	bool dead;
	struct mutex lock;	/* set-up of the VM */
	struct vhm_slot_table __rcu *slots;
	atomic64_t slot_edits;
	bool host_writes;
	struct xarray vcpus;
	struct llist_head all_vcpus;
	unsigned long last_yielded_to;
};

struct vhm_vm *vhm_vm_create(u32 flags);
void vhm_vm_get(struct vhm_vm *vm);
void vhm_vm_put(struct vhm_vm *vm);

/**
 * vhm_vm_kill - stop a VM for good
 * @vm: the VM
 *
 * Marks it dead and kicks its vCPUs. Any context that may send IPIs.
 */
void vhm_vm_kill(struct vhm_vm *vm);

/**
 * vhm_vm_flush_guest_cpus - make CPUs that execute this VM's guest leave it
 * @vm: the VM
 *
 * Returns when every CPU that was inside the guest at the time of the call has left it.
 * A CPU that enters later sees everything written before the call (full barrier).
 * Context: interrupts enabled; may hold spinlocks.
 */
void vhm_vm_flush_guest_cpus(struct vhm_vm *vm);

/* ------------------------------------------------------------------ vCPU -- */

/* vcpu->mode: where its thread is, read by those who kick it */
enum vhm_vcpu_mode { VHM_OUTSIDE_GUEST, VHM_IN_GUEST };

/* bits of vcpu->requests, each set by anyone and cleared by the vCPU's thread */
enum vhm_request {
	VHM_REQ_KICK,		/* back to user space with VHM_EXIT_KICKED */
	VHM_REQ_APIC,		/* local APIC: something new in vhm_apic.pending */
	VHM_REQ_NMI,		/* vcpu->nmi_pending was raised */
	VHM_REQ_INIT,		/* an INIT arrived */
	VHM_REQ_SIPI,		/* a SIPI arrived, vector in vcpu->sipi_vector */
	VHM_REQ_STEP,		/* a single step is done: the VMM is to know */
	VHM_REQ_PV,		/* the guest's paravirtual pages are due (vhm/pv.h) */
};

/**
 * struct vhm_vcpu - a virtual CPU
 * @vm: its VM
 * @id: its number and local APIC id
 * @in_vm: in vm->all_vcpus
 * @mutex: held while it runs or its state is read or written
 * @cpu: CPU its hardware state is loaded on, -1 if on none
 * @mode: enum vhm_vcpu_mode
 * @requests: bits of enum vhm_request
 * @wait: the vCPU's thread while it sleeps in HLT
 * @waiter: the vCPU's thread while it may wait for memory, or NULL
 * @wait_lock: it stays one of ours as long as this is held
 * @wake_timer: ends the sleep (vhm/halt.c); without a VMX-preemption timer the stay in the
 *	guest, too
 * @wake_timer_fired: since it was set; it may be early
 * @poll_tsc: how long the next sleep is put off; host TSC ticks
 * @wake_latency_tsc: by how much a sleep lasts longer than asked for, smoothed
 * @deadline_tsc: vhm_host_tsc() at which VHM_VCPU_RUN comes back, VHM_TSC_NEVER for none
 * @preempt_notifier: follows the thread across CPUs during VHM_VCPU_RUN
 * @pid_lock: of @pid, which its own thread reads without
 * @pid: of the thread that ran it last
 * @preempted: that thread wants to run the guest and is not on a CPU
 * @run: the run page, shared with user space and hostile
 * @run_state: enum vhm_run_state, under @mutex
 * @irq_window_requested: VHM_EXIT_IRQ_WINDOW is due as soon as the guest can take an
 *	interrupt; under @mutex
 * @run_page_current: the run page tells of the guest's present state; under @mutex
 * @nmi_pending: NMIs to inject, 0-2
 * @sipi_vector: of the last SIPI
 * @regs: general registers, RIP and RFLAGS between exits
 * @apic: local APIC model
 * @cpuid: sorted table, NULL: all zeros; under @mutex
 * @cpuid_count: entries of @cpuid
 * @pv: paravirtual interface
 * @has_run: it has entered the guest once
 * @stats: counters, by enum vhm_stat, written by the vCPU's thread alone
 */
struct vhm_vcpu {
	struct vhm_vm *vm;
	u32 id;
	struct llist_node in_vm;
	struct mutex mutex;	/* one thread at a time uses the vCPU */
	int cpu, mode;
	unsigned long requests;
	struct rcuwait wait;
	struct task_struct *waiter;
	spinlock_t wait_lock;	/* against the end of the wait */
	struct hrtimer wake_timer;
	bool wake_timer_fired;
	u64 poll_tsc, wake_latency_tsc;
	u64 deadline_tsc;
	struct preempt_notifier preempt_notifier;
	spinlock_t pid_lock;	/* of pid, against other vCPUs' threads */
	struct pid *pid;
	bool preempted;
	struct vhm_run *run;
	u32 run_state;
	bool irq_window_requested, run_page_current;
	atomic_t nmi_pending;
	u32 sipi_vector;
	struct vhm_registers regs;
	struct vhm_apic *apic;
	struct vhm_cpuid_entry *cpuid;
	u32 cpuid_count;
	struct vhm_pv pv;
	bool has_run;
	u64 stats[VHM_STAT_COUNT];
};

int vhm_vcpu_create(struct vhm_vm *vm, u32 id, struct vhm_vcpu **out);
void vhm_vcpu_free(struct vhm_vcpu *vcpu);
int vhm_vcpu_run(struct vhm_vcpu *vcpu);
void vhm_vcpu_load(struct vhm_vcpu *vcpu);
void vhm_vcpu_unload(struct vhm_vcpu *vcpu);

/* The vCPU of an id that a guest has chosen, or NULL. It stays until the VM is freed. */
static inline struct vhm_vcpu *vhm_vcpu_find(struct vhm_vm *vm, u32 id)
{
	if (id >= VHM_MAX_VCPUS)
		return NULL;
	return xa_load(&vm->vcpus, array_index_nospec(id, VHM_MAX_VCPUS));
}

/**
 * vhm_vcpu_request - ask a vCPU's thread for something and make it look
 * @vcpu: the vCPU
 * @request: what
 *
 * Wakes it from HLT or makes its CPU leave the guest. Any context.
 */
void vhm_vcpu_request(struct vhm_vcpu *vcpu, enum vhm_request request);

/**
 * vhm_vcpu_kick - make a vCPU's thread look at its requests
 * @vcpu: the vCPU
 */
void vhm_vcpu_kick(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_wait_begin - the vCPU's thread may come to wait for something that is not ours
 * @vcpu: the vCPU, its thread
 *
 * Until vhm_vcpu_wait_end() what takes the thread to user space (a kick, the end of the VM) ends
 * interruptible waits, as a signal does.
 * Return: false: there is such a thing already; vhm_vcpu_wait_end() is due in any case
 */
bool vhm_vcpu_wait_begin(struct vhm_vcpu *vcpu);
void vhm_vcpu_wait_end(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_nmi - make an NMI pending
 * @vcpu: the vCPU
 *
 * At most one is held back while another is in service (SDM vol. 3, 6.7.1, Handling
 * Multiple NMIs). Any context.
 */
void vhm_vcpu_nmi(struct vhm_vcpu *vcpu);

/* vhm/yield.c */
void vhm_vcpu_note_thread(struct vhm_vcpu *vcpu);
void vhm_vcpu_yield(struct vhm_vcpu *me);
int vhm_vcpu_yield_to(struct vhm_vcpu *vcpu);

/* vhm/halt.c */
void vhm_halt_init(struct vhm_vcpu *vcpu);
int vhm_halt(struct vhm_vcpu *vcpu);
bool vhm_should_wake(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_arm_wake_timer - have a vCPU's thread wake up or leave the guest
 * @vcpu: the vCPU, its thread
 * @tsc: when, host TSC; VHM_TSC_NEVER: not
 *
 * It may be early, by the difference of the host's clocks: who finds @wake_timer_fired and
 * nothing due sets it again.
 */
void vhm_vcpu_arm_wake_timer(struct vhm_vcpu *vcpu, u64 tsc);

/*
 * By how much the host's TSC has fallen back over suspends, ticks.
 *
 * Changes only while no user thread is in the kernel. What the VMM gives or gets (deadline, time
 * section) is the TSC as it reads it; all else counts by vhm_host_tsc().
 */
extern u64 vhm_tsc_lost;

/* The host's TSC, which goes on over a suspend. */
static inline u64 vhm_host_tsc(void)
{
	return rdtsc() + vhm_tsc_lost;
}

static inline bool vhm_tsc_passed(u64 host_tsc)
{
	return host_tsc != VHM_TSC_NEVER && vhm_host_tsc() >= host_tsc;
}

/* The guest's TSC at a moment of the host's, and back (vmx applies the offset). */
u64 vhm_guest_tsc(struct vhm_vcpu *vcpu, u64 host_tsc);
/* How long a number of ticks of the guest's TSC takes, in ticks of the host's; rounded up. */
u64 vhm_host_ticks(const struct vhm_vcpu *vcpu, u64 guest_ticks);
/* Frequency of the guest's TSC, kHz. */
u32 vhm_vcpu_tsc_khz(const struct vhm_vcpu *vcpu);

/* What the host may want of a thread before it enters a guest, without rescheduling. */
#define VHM_HOST_WORK	(_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

static inline bool vhm_request_test_clear(struct vhm_vcpu *vcpu, enum vhm_request request)
{
	return test_bit(request, &vcpu->requests) && test_and_clear_bit(request, &vcpu->requests);
}

/* ----------------------------------------------------------------- state -- */

/**
 * struct vhm_section_ops - one type of section
 * @version: version written, and the only one read
 * @fixed_bytes: size of the payload, 0: it varies
 * @item_bytes: it is a multiple of this, and any multiple may be loaded
 * @bytes: size of the payload written; without a vCPU the largest there can be
 * @get: write the payload; @out is zeroed
 * @check: may this payload be loaded?
 * @set: load it; it has passed @check. May still fail where only the hardware knows.
 */
struct vhm_section_ops {
	u32 version, fixed_bytes, item_bytes;
	u32 (*bytes)(struct vhm_vcpu *vcpu);
	void (*get)(struct vhm_vcpu *vcpu, void *out, u32 bytes);
	int (*check)(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
	int (*set)(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
};

/* vhm/state.c */
u32 vhm_state_bytes(struct vhm_vcpu *vcpu, u64 mask);
void vhm_state_get(struct vhm_vcpu *vcpu, u64 mask, void *buffer);
int vhm_state_set(struct vhm_vcpu *vcpu, const void *buffer, u64 bytes);

/* --------------------------------------------------------------- backend -- */

/**
 * enum vhm_run_outcome - what ended the inner loop
 * @VHM_RUN_TO_USER: exit_reason is filled in: return to user space
 * @VHM_RUN_INTERRUPTED: the host wants the thread on its way to user mode
 * @VHM_RUN_STOPPED: the VM is dead
 * @VHM_RUN_NOT_RUNNABLE: the core decides: HLT, INIT, SIPI
 */
enum vhm_run_outcome {
	VHM_RUN_TO_USER, VHM_RUN_INTERRUPTED, VHM_RUN_STOPPED, VHM_RUN_NOT_RUNNABLE,
};

/*
 * What the core needs of the hardware.
 * There is one backend in the module, which main.c names. Crossed once per VHM_VCPU_RUN, not
 * once per exit.
 */
struct vhm_backend_ops {
	/* limits and features for VHM_GET_INFO */
	void (*describe)(struct vhm_info *info);
	/* XCR0 bits that guests of the calling process may set */
	u64 (*process_xcr0)(void);

	/*
	 * allocate a VM of the caller's address space, with mm and ept, whose changes are
	 * followed from now on; turns VMX on for the first
	 */
	struct vhm_vm *(*vm_alloc)(void);
	void (*vm_free)(struct vhm_vm *vm);
	/* let what the next VM of this process would need again outlive @vm; NULL: it does not */
	void *(*keep)(struct vhm_vm *vm);
	void (*unkeep)(void *kept);
	/* a slot appears, before it is published: follow its user addresses; 0 or an error */
	int (*slot_track)(struct ept *ept, struct vhm_memory_slot *slot);
	/* a slot is gone from vm->slots: forget its addresses and zap its pages */
	void (*slot_untrack)(struct ept *ept, struct vhm_memory_slot *slot);

	/* map [*gpa, end) ahead of the guest, *gpa advances; 0 or the errors of VHM_VM_POPULATE */
	int (*populate)(struct ept *ept, gpa_t *gpa, gpa_t end, bool write);
	/* VHM_VM_GET_MAPPED; gpa and bytes are checked */
	void (*get_mapped)(struct ept *ept, struct vhm_mapped *mapped);
	/* VHM_VM_SET_RIGHTS of [gpa, gpa + bytes), checked; vm->lock held */
	int (*set_rights)(struct ept *ept, gpa_t gpa, u64 bytes, u32 rights);
	/* a tracker, which holds a reference to the VM, or an error; vm->lock held */
	struct ept_tracker *(*tracker_create)(struct ept *ept);
	void (*tracker_free)(struct ept_tracker *tracker);
	/* VHM_TRACKER_HARVEST, checked */
	int (*harvest)(struct ept_tracker *tracker, struct vhm_harvest *harvest);
	/* [gpa, gpa + bytes) was written, not by the guest; any context but NMI */
	void (*note_written)(struct ept *ept, gpa_t gpa, u64 bytes);

	struct vhm_vcpu *(*vcpu_alloc)(struct vhm_vm *vm);
	int (*vcpu_init)(struct vhm_vcpu *vcpu);	/* vcpu->apic and id are set */
	void (*vcpu_free)(struct vhm_vcpu *vcpu);
	/* registers after INIT */
	void (*vcpu_reset)(struct vhm_vcpu *vcpu);
	void (*vcpu_sipi)(struct vhm_vcpu *vcpu, u8 vector);

	/* make the vCPU's hardware state current on this CPU; preemption off */
	void (*vcpu_load)(struct vhm_vcpu *vcpu, int cpu);
	void (*vcpu_unload)(struct vhm_vcpu *vcpu);

	/* the guest's FPU state into the registers, for all of VHM_VCPU_RUN, or the thread's */
	void (*swap_fpu)(struct vhm_vcpu *vcpu, bool guest);
	/* the inner loop: enter, exit, handle, enter again */
	enum vhm_run_outcome (*run)(struct vhm_vcpu *vcpu);

	/* vcpu->regs was replaced; complete vcpu->regs from the hardware */
	void (*registers_changed)(struct vhm_vcpu *vcpu);
	void (*registers_complete)(struct vhm_vcpu *vcpu);
	/* queue an exception for the next entry; -EINVAL if there is no such */
	int (*inject_exception)(struct vhm_vcpu *vcpu, const struct vhm_event *event);
	/* queue an ExtINT; -EBUSY if the guest cannot take it now */
	int (*inject_extint)(struct vhm_vcpu *vcpu, u8 vector);
	/* the guest goes on behind an instruction of this many bytes */
	void (*retire)(struct vhm_vcpu *vcpu, u32 insn_bytes);
	bool (*irq_window_open)(struct vhm_vcpu *vcpu);
	/* something may be delivered at once: a halted vCPU must run */
	bool (*has_deliverable_event)(struct vhm_vcpu *vcpu);

	/* the APIC's mode (disabled, xAPIC, x2APIC) or its whole state changed */
	void (*apic_mode_changed)(struct vhm_vcpu *vcpu);
	/* the APIC's in-service or pending vectors were written from outside */
	void (*apic_state_changed)(struct vhm_vcpu *vcpu);
	/* no translation of the guest's is used from the next entry on */
	void (*flush_guest_translations)(struct vhm_vcpu *vcpu);
	/* vcpu->apic->posted has something new; any context */
	void (*interrupt_posted)(struct vhm_vcpu *vcpu);
	/* a CPUID table with these is about to be set: 0, or -ENOMEM */
	int (*enable_xcr0)(struct vhm_vcpu *vcpu, u64 xcr0);
	/* it was set */
	void (*cpuid_changed)(struct vhm_vcpu *vcpu);

	/* by type, for those that are the backend's (vhm/state.c); the vCPU is loaded */
	const struct vhm_section_ops *sections;
	/* VHM_VCPU_SET_CONTROL; the vCPU is loaded, vcpu->mutex held */
	int (*set_control)(struct vhm_vcpu *vcpu, const struct vhm_vcpu_control *control);
	/* can the guest's TSC have this frequency, kHz? */
	int (*check_tsc_khz)(u32 khz);
	/* the guest's TSC has this frequency, and this value at a vhm_host_tsc() */
	void (*set_tsc)(struct vhm_vcpu *vcpu, u32 khz, u64 host_tsc, u64 tsc);
};

extern const struct vhm_backend_ops *vhm_backend;

/* the only names of vmx/ that the composition root knows */
extern const struct vhm_backend_ops vmx_backend_ops;
int vmx_init(void);
void vmx_exit(void);

#endif /* VHM_VHM_H */
