/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of the library share: the objects behind the handles, and system calls that
 * leave errno alone.
 *
 * Lock: vhm_vm.memory_lock guards the slot table and the mappings behind it. It is held while
 * guest memory is touched and never while a callback of the VMM runs.
 */
#ifndef VHM_INTERNAL_H
#define VHM_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <libvhm.h>

#define EXPORT			__attribute__((visibility("default")))

#define PAGE_BYTES		4096u
#define PAGE_OFFSET_MASK	(PAGE_BYTES - 1ull)
#define HUGE_PAGE_BYTES		(2ull << 20)

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

/**
 * struct vhm - an open device
 * @references: one for the handle, one for each VM
 * @fd: descriptor
 * @info: limits, constant
 */
struct vhm {
	atomic_uint references;
	int fd;
	struct vhm_info info;
};

/**
 * struct memory_slot - one range of guest memory
 * @gpa: first byte
 * @bytes: size
 * @address: where it is in this process
 * @mapping: what the library mapped for it, NULL for the caller's memory; several slots may have
 *	the same
 * @mapping_bytes: size of @mapping
 * @id: number in the kernel
 * @flags: bits of enum vhm_slot_flag
 */
struct memory_slot {
	uint64_t gpa;
	uint64_t bytes;
	uint8_t *address;
	void *mapping;
	uint64_t mapping_bytes;
	uint32_t id;
	uint32_t flags;
};

/**
 * struct vhm_vm - a virtual machine
 * @vhm: its host, referenced
 * @fd: descriptor
 * @memory_lock: guards the fields below and the memory they name
 * @trackers: trackers made by vhm_tracker_create(). Raised with the lock held for writing, so that
 *	who has written before that is seen by the tracker's owner, and who writes later sees the
 *	tracker; lowered without it
 * @slots: sorted by gpa, not overlapping
 * @slot_count: entries of @slots
 * @slot_capacity: room at @slots
 */
struct vhm_vm {
	struct vhm *vhm;
	int fd;
	pthread_rwlock_t memory_lock;
	atomic_uint trackers;
	struct memory_slot *slots;
	uint32_t slot_count;
	uint32_t slot_capacity;
};

/**
 * struct vhm_vcpu - a virtual CPU
 * @vm: its VM
 * @fd: descriptor
 * @id: number
 * @run: run page
 * @run_bytes: size of the mapping
 * @decoded: instructions the vCPU has exited with, NULL before the first (decode.c)
 */
struct vhm_vcpu {
	struct vhm_vm *vm;
	int fd;
	uint32_t id;
	struct vhm_run *run;
	size_t run_bytes;
	struct insn_cache *decoded;
};

/* System calls: the result, or a negative errno. */
int vhm_sys_open(const char *path, int flags);
void vhm_sys_close(int fd);
int vhm_sys_ioctl(int fd, unsigned long command, void *argument);
int vhm_sys_map(size_t bytes, int protection, int flags, int fd, void **out);
/* In place of what is mapped at @address */
int vhm_sys_map_over(void *address, size_t bytes, int protection, int flags, int fd,
		     uint64_t offset);
void vhm_sys_unmap(void *address, size_t bytes);
/* A memfd that neither grows nor shrinks; @flags: MFD_HUGETLB and a size, or 0 */
int vhm_sys_memfd(uint64_t bytes, unsigned int flags);
int vhm_sys_file_bytes(int fd, uint64_t *bytes);
/* Of a file to be mapped: UINT64_MAX bytes if it is no regular one, 0 unless of huge pages */
int vhm_sys_mappable(int fd, uint64_t *bytes, uint64_t *huge_page_bytes);
/* All of it or an error; -ENODATA: the file ends before. */
int vhm_sys_read_at(int fd, void *buffer, size_t bytes, uint64_t offset);
void *vhm_sys_alloc(size_t count, size_t bytes);
/* Has the processor pages of 1 GiB? A guest's paging is the processor's. */
bool vhm_sys_has_gigabyte_pages(void);
/* A shared library by its soname; NULL: the dynamic loader does not find it. */
void *vhm_sys_load(const char *soname);
void vhm_sys_unload(void *library);
/* NULL: no such symbol */
void *vhm_sys_symbol(void *library, const char *name);

void vhm_put(struct vhm *vhm);
void vhm_vcpu_forget_decoded(struct vhm_vcpu *vcpu);

/* Memory, with vhm_vm.memory_lock held for reading. */
const struct memory_slot *vhm_memory_find_locked(const struct vhm_vm *vm, uint64_t gpa);
/* The slot that holds @gpa, or the first one above it. */
const struct memory_slot *vhm_memory_next_locked(const struct vhm_vm *vm, uint64_t gpa);
void *vhm_memory_pointer_locked(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes);

/* The table @slots, with the lock held: the lowest number no slot has, max_slots if all are in use. */
uint32_t vhm_memory_free_id(const struct vhm_vm *vm, const struct memory_slot *slots,
			    uint32_t count);
bool vhm_memory_has_mapping(const struct memory_slot *slots, uint32_t count, const void *mapping);
/* Can memory be there? 0 or -EINVAL */
int vhm_memory_check_range(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes);

/* After a write, with the lock held as during it. A range that is no memory does no harm. */
int vhm_note_written_locked(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes);

/* Maps @slot->bytes where @slot->gpa would like them. @memfd: out: for VHM_BACKING_MEMFD */
int vhm_backing_map(const struct vhm_backing *backing, struct memory_slot *slot, int *memfd);

/* vhm_translate() with the lock held for reading */
int vhm_translate_locked(const struct vhm_vm *vm, const struct vhm_paging *paging, uint64_t linear,
			 uint32_t access, struct vhm_translation *out);

/* What a guest's own access finds at an address. */
enum memory_kind {
	MEMORY_NONE,		/* no slot: a device */
	MEMORY_RAM,
	MEMORY_ROM,		/* readable; writes go to a device */
};

enum memory_kind vhm_memory_kind(struct vhm_vm *vm, uint64_t gpa);
enum memory_kind vhm_memory_kind_locked(const struct vhm_vm *vm, uint64_t gpa);
/* Like vhm_vm_read() and vhm_vm_write(); aligned accesses of 1, 2, 4 and 8 bytes are atomic. */
int vhm_memory_read(struct vhm_vm *vm, uint64_t gpa, void *buffer, unsigned int bytes);
int vhm_memory_write(struct vhm_vm *vm, uint64_t gpa, const void *buffer, unsigned int bytes);
/* Read a part of a file to guest memory, straight into the slots. */
int vhm_memory_load(struct vhm_vm *vm, int fd, uint64_t offset, uint64_t gpa, uint64_t bytes);

/* True if [gpa, gpa + bytes) wraps around; an empty range never does. */
static inline bool range_wraps(uint64_t start, uint64_t bytes)
{
	return bytes && start + bytes - 1 < start;
}

static inline bool ranges_overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a_bytes && b_bytes && a <= b + (b_bytes - 1) && b <= a + (a_bytes - 1);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif /* VHM_INTERNAL_H */
