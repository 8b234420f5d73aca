/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libvhm: what a VMM needs besides the ioctls of <linux/vhm.h>.
 *
 * Owns the descriptors, the list of memory slots and the run page of each vCPU; decodes
 * and performs the instructions behind MMIO exits; loads kernels. It has no device models
 * (userlib/devices), no event loop, no threads and no global state.
 *
 * Rules that hold for every function:
 *
 * - int functions return 0, or a negative errno; errno itself is left alone. Functions that
 *   return something else say so. Nothing is printed, nothing aborts or exits.
 * - Handles are opaque. Functions of a struct vhm or a struct vhm_vm may be called from any
 *   number of threads at once. Functions of a struct vhm_vcpu belong to one thread at a time,
 *   except vhm_vcpu_kick(), vhm_vcpu_nmi() and vhm_vcpu_get_stats(); so do those of a
 *   struct vhm_tracker. Destroying an object while another thread uses it is an error of the
 *   caller.
 * - A VM belongs to the process that created it; a fork()ed child may only destroy its handles.
 * - Addresses are guest-physical ("gpa") or guest-linear ("linear"), in bytes.
 *
 * C11 and C++11; 64-bit little-endian hosts.
 */
#ifndef LIBVHM_H
#define LIBVHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <linux/vhm.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIBVHM_VERSION_MAJOR	0
#define LIBVHM_VERSION_MINOR	1

struct vhm;		/* an open /dev/vhm */
struct vhm_vm;		/* a virtual machine and its memory */
struct vhm_vcpu;	/* a virtual CPU and its run page */
struct vhm_tracker;	/* tells which guest memory was written */

/* ---------------------------------------------------------------- device -- */

/**
 * vhm_open - open the device and read what this host gives
 * @out: out: the handle
 * @path: the device, NULL for /dev/vhm
 *
 * Errors: ENOENT the module is not loaded; EACCES no permission; EPROTO the module speaks
 * another ABI version; ENODEV, ENXIO no usable VMX; ENOMEM; EMFILE.
 */
int vhm_open(struct vhm **out, const char *path);

/**
 * vhm_close - close the device
 * @vhm: the handle, or NULL
 *
 * VMs created through it live on.
 */
void vhm_close(struct vhm *vhm);

/**
 * vhm_get_info - version, features and limits of this host
 * @vhm: the handle
 *
 * Return: valid until vhm_close(); never NULL.
 */
const struct vhm_info *vhm_get_info(const struct vhm *vhm);

/**
 * enum vhm_step - what failed, for vhm_explain()
 * @VHM_STEP_OPEN: vhm_open()
 * @VHM_STEP_VM: vhm_vm_create()
 * @VHM_STEP_MEMORY: vhm_vm_add_memory(), vhm_vm_add_backed_memory() and the like
 * @VHM_STEP_VCPU: vhm_vcpu_create(), vhm_vcpu_set_cpuid() and other set-up of a vCPU
 * @VHM_STEP_LOAD: one of the loaders
 * @VHM_STEP_RUN: vhm_vcpu_run(), vhm_vcpu_dispatch()
 */
enum vhm_step {
	VHM_STEP_OPEN,
	VHM_STEP_VM,
	VHM_STEP_MEMORY,
	VHM_STEP_VCPU,
	VHM_STEP_LOAD,
	VHM_STEP_RUN,
};

/**
 * vhm_explain - say in one line what an error means and what to do
 * @step: what failed
 * @error: its result, negative
 *
 * Return: a constant string without a newline; never NULL.
 */
const char *vhm_explain(enum vhm_step step, int error);

/**
 * vhm_exit_name - name of an exit reason, such as "mmio"
 * @exit_reason: of enum vhm_exit_reason
 *
 * Return: a constant string; "unknown" for others.
 */
const char *vhm_exit_name(uint32_t exit_reason);

/* ----------------------------------------------------------------- CPUID -- */

/**
 * enum vhm_cpuid_register - register of a CPUID answer
 * @VHM_CPUID_EAX: EAX
 * @VHM_CPUID_EBX: EBX
 * @VHM_CPUID_ECX: ECX
 * @VHM_CPUID_EDX: EDX
 */
enum vhm_cpuid_register {
	VHM_CPUID_EAX,
	VHM_CPUID_EBX,
	VHM_CPUID_ECX,
	VHM_CPUID_EDX,
};

/**
 * vhm_get_cpuid - the CPUID table that a guest may be given on this host
 * @vhm: the handle
 * @entries: out: the table; vhm_info.max_cpuid_entries always suffice
 * @count: in: room at @entries; out: entries there are
 *
 * AMX is in it if the process has asked the host for it before its first vCPU:
 * arch_prctl(ARCH_REQ_XCOMP_GUEST_PERM, 18).
 *
 * Errors: ENOSPC, with @count set.
 */
int vhm_get_cpuid(struct vhm *vhm, struct vhm_cpuid_entry *entries, uint32_t *count);

/**
 * vhm_cpuid_find - entry that answers a question
 * @entries: a table
 * @count: its entries
 * @leaf: EAX
 * @subleaf: ECX; entries without VHM_CPUID_SUBLEAF answer any
 *
 * Return: the entry, or NULL.
 */
struct vhm_cpuid_entry *vhm_cpuid_find(struct vhm_cpuid_entry *entries, uint32_t count,
				       uint32_t leaf, uint32_t subleaf);

/**
 * vhm_cpuid_register - address of one register of an entry
 * @entry: the entry
 * @which: the register
 *
 * Return: NULL if there is no such register.
 */
uint32_t *vhm_cpuid_register(struct vhm_cpuid_entry *entry, enum vhm_cpuid_register which);

/**
 * vhm_cpuid_set_bit - set or clear one bit
 * @entries: a table
 * @count: its entries
 * @leaf: EAX
 * @subleaf: ECX
 * @which: the register
 * @bit: 0-31
 * @value: what the bit becomes
 *
 * Errors: ENOENT no such entry; EINVAL no such bit.
 */
int vhm_cpuid_set_bit(struct vhm_cpuid_entry *entries, uint32_t count, uint32_t leaf,
		      uint32_t subleaf, enum vhm_cpuid_register which, unsigned int bit,
		      bool value);

/**
 * vhm_cpuid_add - add an entry, or replace the one with the same leaf and subleaf
 * @entries: a table
 * @count: its entries; out: with the new one
 * @capacity: room at @entries
 * @entry: the entry
 *
 * Errors: ENOSPC.
 */
int vhm_cpuid_add(struct vhm_cpuid_entry *entries, uint32_t *count, uint32_t capacity,
		  const struct vhm_cpuid_entry *entry);

/* -------------------------------------------------------------------- VM -- */

/**
 * vhm_vm_create - create a VM without memory and vCPUs
 * @vhm: the host
 * @flags: bits of enum vhm_vm_flag
 * @out: out: the VM
 *
 * Errors: ENODEV, EBUSY as VHM_VM_CREATE; ENOMEM; EMFILE.
 */
int vhm_vm_create(struct vhm *vhm, uint32_t flags, struct vhm_vm **out);

/**
 * vhm_vm_destroy - destroy a VM and unmap the memory the library mapped for it
 * @vm: the VM, or NULL; its vCPUs and trackers were destroyed before
 */
void vhm_vm_destroy(struct vhm_vm *vm);

/**
 * vhm_vm_fd - the VM's descriptor, for poll sets, seccomp set-up and the like
 * @vm: the VM
 *
 * Return: the descriptor; it stays the library's.
 */
int vhm_vm_fd(const struct vhm_vm *vm);

/**
 * vhm_vm_msi - deliver a message-signalled interrupt
 * @vm: the VM
 * @address: address of the message, see struct vhm_msi
 * @data: data of the message
 *
 * Any thread. Return: number of local APICs that accepted it, or a negative errno.
 */
int vhm_vm_msi(struct vhm_vm *vm, uint64_t address, uint32_t data);

/* ---------------------------------------------------------------- memory -- */

/**
 * vhm_vm_add_memory - give the guest zeroed anonymous memory
 * @vm: the VM
 * @gpa: where, page aligned
 * @bytes: how much, whole pages
 * @flags: bits of enum vhm_slot_flag
 * @address: out: where the library mapped it, or NULL; aligned to 2 MiB as @gpa is, so that
 *	the host can use large pages
 *
 * Nothing is reserved: pages come when they are touched.
 * Errors: EINVAL alignment or size; EEXIST overlaps other memory, or the local APIC's page at
 * 0xfee00000; ENOMEM; ENOSPC no free slot.
 */
int vhm_vm_add_memory(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
		      void **address);

/**
 * enum vhm_backing_kind - what guest memory is made of
 * @VHM_BACKING_ANONYMOUS: zeroed memory of this process
 * @VHM_BACKING_MEMFD: zeroed memory that other processes can map, too, by its descriptor
 * @VHM_BACKING_FILE: what a file holds
 */
enum vhm_backing_kind {
	VHM_BACKING_ANONYMOUS,
	VHM_BACKING_MEMFD,
	VHM_BACKING_FILE,
};

/**
 * enum vhm_backing_flag - flags of struct vhm_backing
 * @VHM_BACKING_SHARED: a file: what is written to the memory is written to the file; without it
 *	the file stays as it is and pages are copied when they are written
 */
enum vhm_backing_flag {
	VHM_BACKING_SHARED	= 1 << 0,
};

/**
 * struct vhm_backing - memory for vhm_vm_add_backed_memory()
 * @kind: of enum vhm_backing_kind
 * @flags: bits of enum vhm_backing_flag; with VHM_BACKING_FILE only
 * @huge_page_bytes: take it from the host's pool of huge pages of this size, 2 MiB or 1 GiB; 0:
 *	ordinary memory. Of a file 0, or the page size of the hugetlbfs it is on
 * @offset: of a file: where the memory begins in it, page aligned
 * @fd: of a file: in: its descriptor, to be closed by the caller at any time; of a memfd: out: a
 *	descriptor of the memory, likewise
 * @reserved: zero
 */
struct vhm_backing {
	uint32_t kind;
	uint32_t flags;
	uint64_t huge_page_bytes;
	uint64_t offset;
	int fd;
	uint32_t reserved;
};

/**
 * vhm_vm_add_backed_memory - give the guest memory of a chosen kind
 * @vm: the VM
 * @gpa: where, page aligned
 * @bytes: how much, whole pages
 * @flags: bits of enum vhm_slot_flag
 * @backing: what it is made of
 * @address: out: where the library mapped it, or NULL; aligned as @gpa is to 2 MiB, or to larger
 *	pages where it is made of them
 *
 * Huge pages are set aside at once, so that the pool never runs dry under the guest; @gpa, @bytes
 * and @backing->offset are multiples of their size. Of other memory pages come when they are
 * touched. A file must reach as far as the memory does, and must not be cut short while it is
 * mapped: an access to what is gone is VHM_EXIT_MEMORY_FAULT to the guest and SIGBUS to the VMM. A
 * memfd cannot be cut short.
 *
 * Errors: EINVAL alignment, size, flag, or a file without huge pages of this size; EEXIST overlaps
 * other memory, or the local APIC's page at 0xfee00000; ENODATA the file ends before; EACCES the file is not open for reading, or to be
 * shared and not open for writing; ENODEV the file cannot be mapped, or the host has no huge pages
 * of this size; ENOMEM no memory, or not as many free huge pages; ENOSPC no free slot; EMFILE.
 */
int vhm_vm_add_backed_memory(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
			     struct vhm_backing *backing, void **address);

/**
 * vhm_vm_add_user_memory - give the guest memory of the caller
 * @vm: the VM
 * @gpa: where, page aligned
 * @bytes: how much, whole pages
 * @flags: bits of enum vhm_slot_flag
 * @address: the memory, page aligned; mapped readable, and writable without
 *	VHM_SLOT_READONLY, until it is removed
 *
 * Errors: as vhm_vm_add_memory().
 */
int vhm_vm_add_user_memory(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
			   void *address);

/**
 * vhm_vm_remove_memory - take memory away from the guest
 * @vm: the VM
 * @gpa: where it begins
 *
 * Waits for copies that other threads are making; memory the library mapped is unmapped,
 * so that pointers from vhm_vm_pointer() into it end here.
 * Errors: ENOENT.
 */
int vhm_vm_remove_memory(struct vhm_vm *vm, uint64_t gpa);

/**
 * struct vhm_memory_change - one change for vhm_vm_change_memory()
 * @gpa: where; page aligned
 * @bytes: how much memory comes there, whole pages; 0: what begins there goes
 * @address: the memory, page aligned: as for vhm_vm_add_user_memory(), or of what the library has
 *	mapped for this VM; NULL for what goes
 * @flags: bits of enum vhm_slot_flag; 0 for what goes
 * @reserved: zero
 */
struct vhm_memory_change {
	uint64_t gpa;
	uint64_t bytes;
	void *address;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * vhm_vm_change_memory - move, split, join or replace memory in one step
 * @vm: the VM
 * @changes: what goes and what comes; what goes makes room, in whatever order they stand
 * @count: how many, not zero, at most twice vhm_info.max_slots
 *
 * All is done or nothing. vCPUs run on meanwhile and find either all of the old or all of the new
 * memory. To move memory, let it go and come again at another place; to make a part of it read-only,
 * let it go and come in three pieces. Memory that the library mapped stays mapped as long as a
 * piece of it is the guest's.
 *
 * Errors: EINVAL alignment, size, or flag; ENOENT no memory begins there; EEXIST overlaps other
 * memory, or the local APIC's page; ENOSPC no free slot; ENOMEM; EPERM.
 */
int vhm_vm_change_memory(struct vhm_vm *vm, const struct vhm_memory_change *changes,
			 uint32_t count);

/**
 * vhm_vm_set_rights - what the guest may do with a range of its memory
 * @vm: the VM
 * @gpa: from where, page aligned
 * @bytes: how much, whole pages, not zero; need not be memory
 * @rights: bits of enum vhm_right; all of them: no restriction
 *
 * Holds for the pages whatever memory is there, now and later, and not for the VMM. An access that
 * is denied comes back from vhm_vcpu_run() with VHM_EXIT_DENIED, which vhm_vcpu_dispatch() leaves to
 * the caller, with the access in vhm_run.mmio: allow it, and the guest does it again; or complete it
 * with vhm_vcpu_redirect(); or answer it with vhm_vcpu_inject().
 *
 * Any thread. Errors: EINVAL the range, or writing without reading; EOPNOTSUPP executing without
 * reading on a processor that cannot; ENOSPC more than 65536 ranges; ENOMEM.
 */
int vhm_vm_set_rights(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t rights);

/**
 * vhm_vm_populate - map guest memory before the guest touches it
 * @vm: the VM
 * @gpa: from where, page aligned
 * @bytes: how much, whole pages, not zero; may cross slots
 * @flags: bits of enum vhm_populate_flag
 * @done: out, or NULL: how far it came, bytes; what could be done is done after an error, too
 *
 * Errors: EINTR a signal came: call again with what is left; ENOENT no memory at @gpa + @done;
 * EFAULT, EHWPOISON or ENOMEM the host has no page there; EPERM; EINVAL.
 */
int vhm_vm_populate(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
		    uint64_t *done);

/**
 * vhm_vm_get_mapped - what of guest memory is mapped now, at which size
 * @vm: the VM
 * @gpa: from where, page aligned
 * @bytes: how much, whole pages, not zero; need not be memory
 * @mapped: out: see struct vhm_mapped
 *
 * Any thread. Errors: EINVAL.
 */
int vhm_vm_get_mapped(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes,
		      struct vhm_mapped *mapped);

/**
 * vhm_vm_read - copy from guest memory
 * @vm: the VM
 * @gpa: from where
 * @buffer: to where
 * @bytes: how much; may cross slots
 *
 * Errors: EFAULT part of the range is not memory; the buffer's content is then undefined.
 */
int vhm_vm_read(struct vhm_vm *vm, uint64_t gpa, void *buffer, size_t bytes);

/**
 * vhm_vm_write - copy to guest memory
 * @vm: the VM
 * @gpa: to where
 * @buffer: from where
 * @bytes: how much; may cross slots
 *
 * Memory with VHM_SLOT_READONLY is read-only to the guest, not to the VMM; the caller's
 * memory that is not writable must not be written here.
 * Trackers tell of what was written (vhm_tracker_create()).
 * Errors: EFAULT part of the range is not memory; nothing was written then.
 */
int vhm_vm_write(struct vhm_vm *vm, uint64_t gpa, const void *buffer, size_t bytes);

/**
 * vhm_vm_fill - set guest memory to one value
 * @vm: the VM
 * @gpa: to where
 * @value: of each byte
 * @bytes: how much; may cross slots
 *
 * Errors: EFAULT, as vhm_vm_write().
 */
int vhm_vm_fill(struct vhm_vm *vm, uint64_t gpa, uint8_t value, uint64_t bytes);

/**
 * vhm_vm_pointer - address of a range of guest memory
 * @vm: the VM
 * @gpa: where it begins
 * @bytes: how long it is, not zero
 *
 * The guest may write the range at any time: read each value once and check the copy. What the
 * caller writes there is for vhm_vm_note_written().
 * Return: its address, or NULL unless the whole range lies inside one slot.
 */
void *vhm_vm_pointer(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes);

/**
 * enum vhm_iovec_flag - flags of vhm_vm_iovec()
 * @VHM_IOVEC_WRITE: the caller is going to write there what the guest shall find
 */
enum vhm_iovec_flag {
	VHM_IOVEC_WRITE		= 1 << 0,
};

/**
 * vhm_vm_iovec - a range of guest memory for readv(), writev() and the like
 * @vm: the VM
 * @gpa: where it begins
 * @bytes: how long it is; may cross slots
 * @flags: bits of enum vhm_iovec_flag
 * @iov: out: its pieces in order, none empty
 * @count: in: room at @iov; out: pieces there are; one for each slot always suffices
 *
 * Valid until memory of the range is removed. After writing call vhm_vm_note_written().
 * Errors: EFAULT part of the range is not memory; EACCES part of it has VHM_SLOT_READONLY and is
 * to be written; ENOSPC, with @count set.
 */
int vhm_vm_iovec(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
		 struct iovec *iov, uint32_t *count);

/**
 * struct vhm_memory_range - a range of guest memory
 * @gpa: its first byte
 * @bytes: its size
 * @type: of enum vhm_memory_type for loaders; from vhm_vm_next_memory(): VHM_MEMORY_RAM, or
 *	VHM_MEMORY_RESERVED for VHM_SLOT_READONLY; from vhm_tracker_for_each() 0, too, where there
 *	is no memory any more
 * @reserved: zero
 */
struct vhm_memory_range {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t type;
	uint32_t reserved;
};

/**
 * enum vhm_memory_type - what a range is, with the numbers of the BIOS call E820
 * @VHM_MEMORY_RAM: usable
 * @VHM_MEMORY_RESERVED: not usable
 * @VHM_MEMORY_ACPI: ACPI tables, usable once they are read
 * @VHM_MEMORY_NVS: ACPI non-volatile storage
 */
enum vhm_memory_type {
	VHM_MEMORY_RAM		= 1,
	VHM_MEMORY_RESERVED	= 2,
	VHM_MEMORY_ACPI		= 3,
	VHM_MEMORY_NVS		= 4,
};

/**
 * vhm_vm_next_memory - the first slot at or above an address
 * @vm: the VM
 * @gpa: slots that begin below it are left out
 * @range: out: the slot
 *
 * Errors: ENOENT there is none.
 */
int vhm_vm_next_memory(struct vhm_vm *vm, uint64_t gpa, struct vhm_memory_range *range);

/* -------------------------------------------------------------- trackers -- */

/**
 * vhm_tracker_create - track what is written to guest memory
 * @vm: the VM
 * @out: out: the tracker
 *
 * It tells which pages were written since it was created or last asked: by the guest, by the kernel
 * for the guest, and by this library, which notes what it writes (vhm_vm_write(), vhm_vm_fill(),
 * loaders, instructions it performs) as long as there is a tracker made here. Writes through
 * vhm_vm_pointer() and vhm_vm_iovec() are for the caller to note: vhm_vm_note_written(). A page may
 * be told of that was merely about to be written.
 *
 * Copy all memory after this, then what the tracker tells of, as often as need be; vCPUs run on
 * meanwhile. Any number of trackers; none takes another's pages away.
 * Errors: ENOMEM; EMFILE; ENOTTY the module has no trackers.
 */
int vhm_tracker_create(struct vhm_vm *vm, struct vhm_tracker **out);

/**
 * vhm_tracker_destroy - stop tracking
 * @tracker: the tracker, or NULL
 */
void vhm_tracker_destroy(struct vhm_tracker *tracker);

/**
 * vhm_tracker_fd - the tracker's descriptor
 * @tracker: the tracker
 *
 * Return: the descriptor; it stays the library's.
 */
int vhm_tracker_fd(const struct vhm_tracker *tracker);

/**
 * vhm_tracker_for_each - call a function for each run of written pages
 * @tracker: the tracker
 * @gpa: from where, a multiple of 256 KiB
 * @bytes: how much, whole pages; 0 with @gpa 0: all guest memory
 * @written: called in address order with a run of pages that lies inside one slot, or where there
 *	is no slot any more. Not 0: stop
 * @context: handed to @written
 *
 * What it tells of is forgotten: read the memory in @written. If @written stops it, all trackers
 * of the VM tell of that run, and of what was known of those behind it, again.
 *
 * Return: 0, what @written stopped it with, or a negative errno: -EINVAL the range.
 */
int vhm_tracker_for_each(struct vhm_tracker *tracker, uint64_t gpa, uint64_t bytes,
			 int (*written)(void *context, const struct vhm_memory_range *run),
			 void *context);

/**
 * vhm_tracker_harvest - the written pages as a bitmap
 * @tracker: the tracker
 * @gpa: from where, a multiple of 256 KiB
 * @bytes: how much, whole pages, not zero
 * @bitmap: in and out: bit n % 64 of element n / 64 is set for page n after @gpa if it was written;
 *	others stay as they are
 * @pages: out, or NULL: how many were written
 *
 * What it tells of is forgotten: read the memory afterwards.
 * Errors: EINVAL the range; EFAULT @bitmap cannot be written.
 */
int vhm_tracker_harvest(struct vhm_tracker *tracker, uint64_t gpa, uint64_t bytes,
			uint64_t *bitmap, uint64_t *pages);

/**
 * vhm_tracker_harvest_list - the written pages as a list
 * @tracker: the tracker
 * @gpa: from where, a multiple of 256 KiB
 * @bytes: how much, whole pages, not zero
 * @list: out: page numbers (gpa / 4096), ascending
 * @count: in: room at @list, 64 or more; out: pages in it
 * @done: out: how far it came, bytes: less than @bytes if the list is full; go on from there
 *
 * What it tells of is forgotten: read the memory afterwards.
 * Errors: EINVAL the range or @count; EFAULT @list cannot be written.
 */
int vhm_tracker_harvest_list(struct vhm_tracker *tracker, uint64_t gpa, uint64_t bytes,
			     uint64_t *list, uint64_t *count, uint64_t *done);

/**
 * vhm_vm_note_written - let trackers know of writes of the VMM's own
 * @vm: the VM
 * @gpa: from where
 * @bytes: how much
 *
 * To be called after the write. Costs next to nothing while there are no trackers made by
 * vhm_tracker_create().
 * Errors: EINVAL the range wraps around.
 */
int vhm_vm_note_written(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes);

/* ------------------------------------------------------------------ vCPU -- */

/**
 * vhm_vcpu_create - add a vCPU
 * @vm: the VM
 * @id: its number and local APIC id; 0 is the bootstrap processor
 * @out: out: the vCPU
 *
 * Its CPUID table is empty: see vhm_vcpu_set_cpuid().
 * Errors: EEXIST; EINVAL @id too large; ENOMEM; EMFILE.
 */
int vhm_vcpu_create(struct vhm_vm *vm, uint32_t id, struct vhm_vcpu **out);

/**
 * vhm_vcpu_destroy - destroy a vCPU that no thread runs
 * @vcpu: the vCPU, or NULL
 */
void vhm_vcpu_destroy(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_fd - the vCPU's descriptor
 * @vcpu: the vCPU
 *
 * Return: the descriptor; it stays the library's.
 */
int vhm_vcpu_fd(const struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_id - the vCPU's number
 * @vcpu: the vCPU
 *
 * Return: the number and local APIC id.
 */
uint32_t vhm_vcpu_id(const struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_vm - the vCPU's VM
 * @vcpu: the vCPU
 *
 * Return: the VM; never NULL.
 */
struct vhm_vm *vhm_vcpu_vm(const struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_run_page - the page shared with the kernel
 * @vcpu: the vCPU
 *
 * Return: valid until vhm_vcpu_destroy(); never NULL.
 */
struct vhm_run *vhm_vcpu_run_page(const struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_run - run the guest until something is for the VMM
 * @vcpu: the vCPU
 *
 * Return: 0 with vhm_run.exit_reason set; -EINTR a signal is pending; -EPERM another
 * process' VM; -EIO the VM is dead; a thread that runs the vCPU already is waited for.
 */
int vhm_vcpu_run(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_kick - make the vCPU come back from vhm_vcpu_run() with VHM_EXIT_KICKED
 * @vcpu: the vCPU
 *
 * Any thread and any signal handler. A kick is never lost: if the vCPU is not running, its next
 * vhm_vcpu_run() comes back at once.
 */
int vhm_vcpu_kick(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_nmi - make a non-maskable interrupt pending
 * @vcpu: the vCPU
 *
 * Any thread.
 */
int vhm_vcpu_nmi(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_apic_access - read or write one register of the local APIC
 * @vcpu: the vCPU
 * @offset: offset in the APIC's page, multiple of 16
 * @write: write @value, else read into it
 * @value: in or out
 */
int vhm_vcpu_apic_access(struct vhm_vcpu *vcpu, uint32_t offset, bool write, uint32_t *value);

/**
 * vhm_vcpu_set_control - choose which exceptions, steps and breakpoints come to the VMM
 * @vcpu: the vCPU
 * @control: see struct vhm_vcpu_control of linux/vhm.h; @control->size need not be set
 *
 * What is chosen makes vhm_vcpu_run() come back with VHM_EXIT_EXCEPTION. It replaces what was
 * chosen before; all zeros give everything to the guest.
 *
 * Errors: EINVAL an exception or a bit of DR7 that cannot be had; EOPNOTSUPP single steps on a
 * processor without monitor trap flag; EBUSY the vCPU is running.
 */
int vhm_vcpu_set_control(struct vhm_vcpu *vcpu, const struct vhm_vcpu_control *control);

/**
 * vhm_vcpu_get_stats - counters since the vCPU's creation
 * @vcpu: the vCPU
 * @stats: out: see enum vhm_stat; @stats->size need not be set
 *
 * Any thread.
 */
int vhm_vcpu_get_stats(struct vhm_vcpu *vcpu, struct vhm_stats *stats);

/**
 * vhm_vcpu_set_cpuid - set the CPUID table, before the vCPU first runs
 * @vcpu: the vCPU
 * @entries: the table; NULL with @count 0: all that this host supports
 * @count: its entries
 *
 * Errors: EINVAL a feature this host does not have; EBUSY the vCPU has run.
 */
int vhm_vcpu_set_cpuid(struct vhm_vcpu *vcpu, const struct vhm_cpuid_entry *entries,
		       uint32_t count);

/**
 * vhm_vcpu_inject - let the guest receive an exception before its next instruction
 * @vcpu: the vCPU, after an exit
 * @vector: 0-31, not 2
 * @error_code: pushed for the vectors that have one
 * @payload: CR2 of a #PF (14), or the bits a #DB (1) sets in DR6
 *
 * Takes effect with the next vhm_vcpu_run(); the last one injected wins, and the instruction
 * that caused the exit is not retired.
 * Errors: EINVAL no such exception.
 */
int vhm_vcpu_inject(struct vhm_vcpu *vcpu, uint32_t vector, uint32_t error_code,
		    uint64_t payload);

/* ----------------------------------------------------------------- state -- */

/*
 * The kernel's own copy of the state is read and written here. Between an exit and the next
 * vhm_vcpu_run() requests that stand in the run page (VHM_RUN_SET_REGISTERS) are not part of
 * it yet, and win over it later.
 */

/**
 * vhm_vcpu_get_state - read state as sections
 * @vcpu: the vCPU
 * @sections: bit n asks for the section of type n, 0 for all
 * @buffer: out: the sections, 8-byte aligned; vhm_info.state_bytes always suffice
 * @bytes: in: size of @buffer; out: bytes written, or needed
 *
 * Errors: ENOSPC, with @bytes set.
 */
int vhm_vcpu_get_state(struct vhm_vcpu *vcpu, uint64_t sections, void *buffer, size_t *bytes);

/**
 * vhm_vcpu_set_state - write state as sections
 * @vcpu: the vCPU
 * @buffer: the sections, 8-byte aligned
 * @bytes: their size
 *
 * Errors: EINVAL, EOPNOTSUPP as VHM_VCPU_SET_STATE; nothing was loaded then.
 */
int vhm_vcpu_set_state(struct vhm_vcpu *vcpu, const void *buffer, size_t bytes);

/**
 * vhm_vcpu_get_section - read one section of fixed size
 * @vcpu: the vCPU
 * @type: of enum vhm_section_type
 * @payload: out: its payload
 * @bytes: size of @payload, which the section's must equal
 *
 * Errors: EPROTO the section has another size; ENOENT; ENOMEM.
 */
int vhm_vcpu_get_section(struct vhm_vcpu *vcpu, uint32_t type, void *payload, size_t bytes);

/**
 * vhm_vcpu_set_section - write one section
 * @vcpu: the vCPU
 * @type: of enum vhm_section_type
 * @payload: its payload
 * @bytes: size of @payload
 *
 * Errors: as vhm_vcpu_set_state(); ENOMEM.
 */
int vhm_vcpu_set_section(struct vhm_vcpu *vcpu, uint32_t type, const void *payload,
			 size_t bytes);

/**
 * vhm_vcpu_get_registers - read the general registers
 * @vcpu: the vCPU
 * @regs: out: see struct vhm_registers
 *
 * Errors: as vhm_vcpu_get_section().
 */
int vhm_vcpu_get_registers(struct vhm_vcpu *vcpu, struct vhm_registers *regs);

/**
 * vhm_vcpu_set_registers - write the general registers
 * @vcpu: the vCPU
 * @regs: see struct vhm_registers
 *
 * Errors: as vhm_vcpu_set_section().
 */
int vhm_vcpu_set_registers(struct vhm_vcpu *vcpu, const struct vhm_registers *regs);

/**
 * vhm_vcpu_get_sregisters - read segments, tables and control registers
 * @vcpu: the vCPU
 * @sregs: out: see struct vhm_sregisters
 *
 * Errors: as vhm_vcpu_get_section().
 */
int vhm_vcpu_get_sregisters(struct vhm_vcpu *vcpu, struct vhm_sregisters *sregs);

/**
 * vhm_vcpu_set_sregisters - write segments, tables and control registers
 * @vcpu: the vCPU
 * @sregs: see struct vhm_sregisters
 *
 * Errors: as vhm_vcpu_set_section().
 */
int vhm_vcpu_set_sregisters(struct vhm_vcpu *vcpu, const struct vhm_sregisters *sregs);

/**
 * vhm_sections_check - check that a buffer holds well-formed sections
 * @buffer: the buffer, 8-byte aligned
 * @bytes: its size
 *
 * Errors: EINVAL a section that does not fit, non-zero reserved field, bad alignment.
 */
int vhm_sections_check(const void *buffer, size_t bytes);

/**
 * vhm_section_first - the first section of a buffer
 * @buffer: the buffer, 8-byte aligned; may hold anything
 * @bytes: its size
 *
 * Return: a section that lies inside the buffer with its payload, or NULL.
 */
const struct vhm_section *vhm_section_first(const void *buffer, size_t bytes);

/**
 * vhm_section_next - the section behind another one
 * @buffer: the buffer
 * @bytes: its size
 * @section: from vhm_section_first() or vhm_section_next() of the same buffer
 *
 * Return: as vhm_section_first().
 */
const struct vhm_section *vhm_section_next(const void *buffer, size_t bytes,
					   const struct vhm_section *section);

/**
 * vhm_section_find - the first section of a type
 * @buffer: the buffer
 * @bytes: its size
 * @type: of enum vhm_section_type
 *
 * Return: as vhm_section_first().
 */
const struct vhm_section *vhm_section_find(const void *buffer, size_t bytes, uint32_t type);

/**
 * vhm_section_payload - what a section holds
 * @section: the section
 *
 * Return: the first of vhm_section.bytes bytes.
 */
static inline const void *vhm_section_payload(const struct vhm_section *section)
{
	return section + 1;
}

/**
 * vhm_section_append - add a section to a buffer
 * @buffer: the buffer, 8-byte aligned
 * @capacity: its size
 * @used: bytes in use, multiple of 8; out: with the new section
 * @type: of enum vhm_section_type
 * @payload: its payload
 * @bytes: size of @payload
 *
 * Errors: ENOSPC; EINVAL @used is not a multiple of 8.
 */
int vhm_section_append(void *buffer, size_t capacity, size_t *used, uint32_t type,
		       const void *payload, size_t bytes);

/* ----------------------------------------------------------------- exits -- */

/**
 * struct vhm_callbacks - the VMM's devices, for vhm_vcpu_dispatch()
 * @io_read: IN: fill in @data; @bytes is 1, 2 or 4
 * @io_write: OUT: @bytes is 1, 2 or 4
 * @mmio_read: fill in @bytes bytes at @data; 1, 2, 4 or 8 for ordinary instructions, other
 *	numbers up to 64 where an access crosses a page or a vector register is loaded. Not
 *	called for accesses to the local APIC, which the library completes itself
 * @mmio_write: as @mmio_read
 * @msr_read: RDMSR of an MSR the kernel does not model; -ENOENT: the guest gets #GP(0)
 * @msr_write: WRMSR, likewise
 * @eoi: end of interrupt for a level-triggered vector
 *
 * Called by vhm_vcpu_dispatch() in its thread. A callback returns
 *
 * - 0: done;
 * - a positive number below VHM_DISPATCH_UNHANDLED: done, and vhm_vcpu_dispatch() returns this
 *   number once the instruction is complete (power-off, reset, ...);
 * - a negative errno: not done; vhm_vcpu_dispatch() returns it and the guest stays at the
 *   instruction. Elements of a string instruction that were already done stay done.
 *
 * A missing io_read or mmio_read reads all ones, a missing io_write, mmio_write or eoi ignores, as
 * a bus without devices does; a missing msr_read or msr_write gives #GP(0).
 */
struct vhm_callbacks {
	int (*io_read)(void *context, uint16_t port, unsigned int bytes, uint32_t *data);
	int (*io_write)(void *context, uint16_t port, unsigned int bytes, uint32_t data);
	int (*mmio_read)(void *context, uint64_t gpa, unsigned int bytes, void *data);
	int (*mmio_write)(void *context, uint64_t gpa, unsigned int bytes, const void *data);
	int (*msr_read)(void *context, uint32_t index, uint64_t *value);
	int (*msr_write)(void *context, uint32_t index, uint64_t value);
	int (*eoi)(void *context, uint32_t vector);
};

/* The exit is none that vhm_vcpu_dispatch() completes: it is the caller's. */
#define VHM_DISPATCH_UNHANDLED	0x10000

/**
 * vhm_vcpu_dispatch - complete the exit that vhm_vcpu_run() returned with
 * @vcpu: the vCPU
 * @callbacks: the VMM's devices
 * @context: handed to each callback
 *
 * Completes VHM_EXIT_IO, VHM_EXIT_MMIO, VHM_EXIT_MSR, VHM_EXIT_EOI; VHM_EXIT_NONE,
 * VHM_EXIT_INTERRUPTED and VHM_EXIT_KICKED need nothing. VHM_EXIT_DENIED is the caller's:
 * see vhm_vm_set_rights(). Decodes the instruction of an MMIO
 * exit; a fault it finds on the way (page not present, ...) is injected into the guest. String
 * instructions are performed in portions, so that the guest can be interrupted between them.
 *
 * Return: 0: go on with vhm_vcpu_run(); VHM_DISPATCH_UNHANDLED: the caller's exit; another
 * positive number or a negative errno: from a callback; -EOPNOTSUPP: an instruction the library
 * does not perform, the guest stays at it; -EFAULT: code or a page table lies where there is no
 * guest memory; -ELIBACC: as vhm_vcpu_load_decoder(); or an error of an ioctl.
 */
int vhm_vcpu_dispatch(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
		      void *context);

/**
 * vhm_vcpu_redirect - complete VHM_EXIT_DENIED on the VMM's devices
 * @vcpu: the vCPU
 * @callbacks: what the guest finds there instead of its memory
 * @context: handed to each callback
 *
 * Performs the instruction as vhm_vcpu_dispatch() does after VHM_EXIT_MMIO: what it does to the page of
 * the exit comes to @callbacks, which may do it to the memory, after a look, with vhm_vm_read() and
 * vhm_vm_write(); a LOCK prefix has no effect then. Pages other than that one are accessed
 * as memory, whatever their rights. Of a string instruction one element is done.
 *
 * Return: as vhm_vcpu_dispatch(). -EINVAL: the last exit is another one; -EOPNOTSUPP: also for a
 * fetch and a walk of the guest's page tables, which are no accesses of an instruction.
 */
int vhm_vcpu_redirect(struct vhm_vcpu *vcpu, const struct vhm_callbacks *callbacks,
		      void *context);

/**
 * vhm_vcpu_load_decoder - have the instruction decoder ready before the first MMIO exit
 * @vcpu: the vCPU
 *
 * vhm_vcpu_dispatch() needs Zydis from a vCPU's first MMIO exit on and loads the shared library
 * then, where it is not linked statically. For VMMs that confine themselves before the guest
 * runs (seccomp, chroot, no file access any more), or would rather know at once.
 * Errors: ELIBACC the dynamic loader does not find Zydis; ENOMEM.
 */
int vhm_vcpu_load_decoder(struct vhm_vcpu *vcpu);

/**
 * vhm_vcpu_retire - finish the instruction behind VHM_EXIT_HLT, VHM_EXIT_HYPERCALL, ...
 * @vcpu: the vCPU, after an exit with vhm_run.insn_bytes
 *
 * The next vhm_vcpu_run() goes on behind the instruction. VHM_EXIT_IO and the others that
 * vhm_vcpu_dispatch() completes do not need it.
 */
void vhm_vcpu_retire(struct vhm_vcpu *vcpu);

/* ------------------------------------------------------------ page tables -- */

/**
 * struct vhm_paging - what decides how a linear address is translated
 * @cr0: CR0
 * @cr3: CR3
 * @cr4: CR4
 * @efer: IA32_EFER
 * @rflags: RFLAGS, for AC
 * @pkru: PKRU, looked at with CR4.PKE
 * @reserved: zero
 */
struct vhm_paging {
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	uint64_t rflags;
	uint32_t pkru;
	uint32_t reserved;
};

/**
 * enum vhm_access - kinds of an access, for vhm_translate()
 * @VHM_ACCESS_WRITE: a write, else a read
 * @VHM_ACCESS_USER: at CPL 3
 * @VHM_ACCESS_FETCH: an instruction fetch
 * @VHM_ACCESS_IMPLICIT: supervisor access whatever CPL is (descriptor tables)
 * @VHM_ACCESS_DEBUG: look only: check no permission and set no accessed or dirty flag
 */
enum vhm_access {
	VHM_ACCESS_WRITE	= 1 << 0,
	VHM_ACCESS_USER		= 1 << 1,
	VHM_ACCESS_FETCH	= 1 << 2,
	VHM_ACCESS_IMPLICIT	= 1 << 3,
	VHM_ACCESS_DEBUG	= 1 << 4,
};

/**
 * struct vhm_translation - result of vhm_translate()
 * @gpa: guest-physical address
 * @page_bytes: size of the page that maps it; 4 KiB without paging
 * @error_code: of the #PF, if the result is EFAULT
 * @reserved: zero
 */
struct vhm_translation {
	uint64_t gpa;
	uint64_t page_bytes;
	uint32_t error_code;
	uint32_t reserved;
};

/**
 * vhm_translate - walk the guest's page tables
 * @vm: the VM
 * @paging: control registers
 * @linear: address
 * @access: bits of enum vhm_access
 * @out: out: result
 *
 * All modes: none, 32-bit, PAE, 4-level, 5-level, with large pages, NX, WP, SMEP, SMAP and
 * protection keys of user pages. Sets accessed and dirty flags as the processor does.
 *
 * Errors: EFAULT: page fault, see @out->error_code; EINVAL the address is not canonical;
 * ENXIO a page table lies where there is no guest memory.
 */
int vhm_translate(struct vhm_vm *vm, const struct vhm_paging *paging, uint64_t linear,
		  uint32_t access, struct vhm_translation *out);

/**
 * vhm_vcpu_get_paging - read what vhm_translate() needs
 * @vcpu: the vCPU
 * @paging: out
 */
int vhm_vcpu_get_paging(struct vhm_vcpu *vcpu, struct vhm_paging *paging);

/* --------------------------------------------------------------- loaders -- */

/* Guest memory a loader may use besides the image: tables, start info and command line. */
#define VHM_BOOT_AREA_GPA	0x10000u
#define VHM_BOOT_AREA_BYTES	0x20000u

/**
 * enum vhm_entry_mode - state of a processor that enters an image
 * @VHM_ENTRY_REAL: real mode
 * @VHM_ENTRY_PROTECTED: 32-bit protected mode, flat segments, paging off
 * @VHM_ENTRY_LONG: 64-bit mode, the first 4 GiB identity-mapped
 */
enum vhm_entry_mode {
	VHM_ENTRY_REAL,
	VHM_ENTRY_PROTECTED,
	VHM_ENTRY_LONG,
};

/**
 * struct vhm_entry - how to enter an image; from a loader, or filled in by the caller
 * @mode: of enum vhm_entry_mode
 * @cs: real mode: selector of CS
 * @rip: instruction pointer
 * @rsp: stack pointer
 * @rbx: PVH: address of the start info
 * @rsi: Linux: address of boot_params
 * @cr3: long mode: page tables, see vhm_write_boot_tables()
 * @gdt_gpa: protected and long mode: GDT, see vhm_write_boot_tables()
 */
struct vhm_entry {
	uint32_t mode;
	uint32_t cs;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rbx;
	uint64_t rsi;
	uint64_t cr3;
	uint64_t gdt_gpa;
};

/**
 * struct vhm_boot - what vhm_load_linux() loads
 * @kernel_fd: vmlinux or bzImage, a regular file
 * @initrd_fd: initial RAM disk, -1 without
 * @command_line: NULL for an empty one
 * @rsdp_gpa: address of the ACPI RSDP, 0: the kernel searches
 * @ranges: memory map for the kernel; NULL: RAM at all slots but 0xa0000-0xfffff
 * @range_count: entries of @ranges
 * @boot_area_gpa: VHM_BOOT_AREA_BYTES of memory below 1 MiB, page aligned; 0 for
 *	VHM_BOOT_AREA_GPA
 */
struct vhm_boot {
	int kernel_fd;
	int initrd_fd;
	const char *command_line;
	uint64_t rsdp_gpa;
	const struct vhm_memory_range *ranges;
	uint32_t range_count;
	uint32_t boot_area_gpa;
};

/**
 * vhm_load_linux - load a Linux kernel, whatever its format
 * @vm: the VM, with its memory
 * @boot: what to load
 * @entry: out: for vhm_vcpu_set_entry()
 *
 * bzImage of boot protocol 2.12 or later with a 64-bit entry point; ELF64 vmlinux, with the PVH
 * entry point where it has one, else with the 64-bit one.
 *
 * Errors: ENOEXEC not a kernel, or a damaged one; EOPNOTSUPP a kernel of another kind (32-bit,
 * too old); E2BIG the command line is too long; ENOMEM not enough guest memory for kernel and
 * initrd; EINVAL; or an error of reading.
 */
int vhm_load_linux(struct vhm_vm *vm, const struct vhm_boot *boot, struct vhm_entry *entry);

/**
 * vhm_load_bzimage - load a Linux kernel that is a bzImage
 * @vm: the VM, with its memory
 * @boot: what to load
 * @entry: out: for vhm_vcpu_set_entry()
 *
 * Errors: as vhm_load_linux().
 */
int vhm_load_bzimage(struct vhm_vm *vm, const struct vhm_boot *boot, struct vhm_entry *entry);

/**
 * vhm_load_elf - load a Linux kernel that is an ELF64 file
 * @vm: the VM, with its memory
 * @boot: what to load
 * @entry: out: for vhm_vcpu_set_entry()
 *
 * Errors: as vhm_load_linux().
 */
int vhm_load_elf(struct vhm_vm *vm, const struct vhm_boot *boot, struct vhm_entry *entry);

/**
 * vhm_load_flat - load a file as it is
 * @vm: the VM
 * @fd: a regular file
 * @gpa: to where
 * @bytes: out: its size, or NULL
 *
 * Errors: ENOEXEC the file is empty; ENOMEM it does not fit; or an error of reading.
 */
int vhm_load_flat(struct vhm_vm *vm, int fd, uint64_t gpa, uint64_t *bytes);

/**
 * vhm_write_boot_tables - GDT and identity page tables of the first 4 GiB
 * @vm: the VM
 * @boot_area_gpa: VHM_BOOT_AREA_BYTES of memory, page aligned
 * @entry: @cr3 and @gdt_gpa are filled in
 *
 * For callers that fill in a struct vhm_entry themselves; the loaders have done it.
 * Errors: EFAULT no memory there; EINVAL.
 */
int vhm_write_boot_tables(struct vhm_vm *vm, uint64_t boot_area_gpa, struct vhm_entry *entry);

/**
 * vhm_vcpu_set_entry - bring a vCPU to an image's entry point
 * @vcpu: the vCPU
 * @entry: the entry point
 *
 * Sets general registers (zero where @entry names none), segments, control registers and
 * IA32_EFER; makes the vCPU runnable.
 */
int vhm_vcpu_set_entry(struct vhm_vcpu *vcpu, const struct vhm_entry *entry);

#ifdef __cplusplus
}
#endif

#endif /* LIBVHM_H */
