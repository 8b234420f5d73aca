// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Trackers: which guest memory was written, and telling the kernel what this library writes.
 *
 * A tracker belongs to one thread at a time. vhm_vm.trackers says whether there is any: raised
 * with vhm_vm.memory_lock held for writing before the kernel's tracker begins. Who writes guest
 * memory holds it for reading; so either the write is finished by then and part of what the
 * tracker's owner goes on to copy, or it sees the number and is noted.
 */
#include "internal.h"

#include <stdlib.h>

#define LIST_ROOM	8192u		/* page numbers; 64 KiB */

/**
 * struct vhm_tracker - a tracker
 * @vm: its VM
 * @fd: descriptor
 * @list: of vhm_tracker_for_each()
 */
struct vhm_tracker {
	struct vhm_vm *vm;
	int fd;
	uint64_t list[LIST_ROOM];
};

EXPORT int vhm_tracker_create(struct vhm_vm *vm, struct vhm_tracker **out)
{
	struct vhm_tracker_create create = { .size = sizeof(create) };
	struct vhm_tracker *tracker = vhm_sys_alloc(1, sizeof(*tracker));
	int ret;

	if (!tracker)
		return -ENOMEM;
	pthread_rwlock_wrlock(&vm->memory_lock);
	atomic_fetch_add(&vm->trackers, 1);
	pthread_rwlock_unlock(&vm->memory_lock);
	ret = vhm_sys_ioctl(vm->fd, VHM_TRACKER_CREATE, &create);
	if (ret < 0) {
		atomic_fetch_sub(&vm->trackers, 1);
		free(tracker);
		return ret;
	}
	tracker->vm = vm;
	tracker->fd = ret;
	*out = tracker;
	return 0;
}

EXPORT void vhm_tracker_destroy(struct vhm_tracker *tracker)
{
	if (!tracker)
		return;
	vhm_sys_close(tracker->fd);
	/* No lock: a note too many does no harm, and in a child of fork() the lock may be held. */
	atomic_fetch_sub(&tracker->vm->trackers, 1);
	free(tracker);
}

EXPORT int vhm_tracker_fd(const struct vhm_tracker *tracker)
{
	return tracker->fd;
}

/* --------------------------------------------------------------- writing -- */

int vhm_note_written_locked(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	int ret = 0;

	if (!atomic_load_explicit(&vm->trackers, memory_order_relaxed))
		return 0;
	while (!ret && bytes) {
		struct vhm_written written = {
			.size = sizeof(written), .gpa = gpa,
			.bytes = min_u64(bytes, VHM_MAX_WRITTEN_BYTES),
		};

		ret = vhm_sys_ioctl(vm->fd, VHM_VM_NOTE_WRITTEN, &written);
		gpa += written.bytes;
		bytes -= written.bytes;
	}
	return ret;
}

EXPORT int vhm_vm_note_written(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	int ret;

	if (range_wraps(gpa, bytes))
		return -EINVAL;
	pthread_rwlock_rdlock(&vm->memory_lock);
	ret = vhm_note_written_locked(vm, gpa, bytes);
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}

/* --------------------------------------------------------------- telling -- */

EXPORT int vhm_tracker_harvest(struct vhm_tracker *tracker, uint64_t gpa, uint64_t bytes,
			       uint64_t *bitmap, uint64_t *pages)
{
	struct vhm_harvest arg = {
		.size = sizeof(arg), .gpa = gpa, .bytes = bytes, .data = (uintptr_t)bitmap,
	};
	int ret = vhm_sys_ioctl(tracker->fd, VHM_TRACKER_HARVEST, &arg);

	if (pages)
		*pages = arg.pages;
	return ret;
}

EXPORT int vhm_tracker_harvest_list(struct vhm_tracker *tracker, uint64_t gpa, uint64_t bytes,
				    uint64_t *list, uint64_t *count, uint64_t *done)
{
	struct vhm_harvest arg = {
		.size = sizeof(arg), .flags = VHM_HARVEST_LIST, .gpa = gpa, .bytes = bytes,
		.data = (uintptr_t)list, .room = *count,
	};
	int ret = vhm_sys_ioctl(tracker->fd, VHM_TRACKER_HARVEST, &arg);

	*count = arg.pages;
	*done = arg.gpa - gpa;
	return ret;
}

/* The run that begins at the first of @count pages. Return: how many of them it has. */
static uint64_t find_run(struct vhm_vm *vm, const uint64_t *pages, uint64_t count,
			 struct vhm_memory_range *run)
{
	uint64_t limit = UINT64_MAX, length = 1;
	const struct memory_slot *slot;

	*run = (struct vhm_memory_range){ .gpa = pages[0] * PAGE_BYTES };
	pthread_rwlock_rdlock(&vm->memory_lock);
	slot = vhm_memory_next_locked(vm, run->gpa);
	if (slot && slot->gpa <= run->gpa) {
		run->type = slot->flags & VHM_SLOT_READONLY ? VHM_MEMORY_RESERVED : VHM_MEMORY_RAM;
		limit = (slot->gpa + slot->bytes - run->gpa) / PAGE_BYTES;
	} else if (slot) {
		limit = (slot->gpa - run->gpa) / PAGE_BYTES;
	}
	pthread_rwlock_unlock(&vm->memory_lock);
	limit = min_u64(limit, count);
	while (length < limit && pages[length] == pages[0] + length)
		length++;
	run->bytes = length * PAGE_BYTES;
	return length;
}

/* The owner did not take these: they are to be told of again. */
static void put_back(struct vhm_vm *vm, const uint64_t *pages, uint64_t count)
{
	while (count) {
		struct vhm_memory_range run;
		uint64_t length = find_run(vm, pages, count, &run);

		vhm_vm_note_written(vm, run.gpa, run.bytes);
		pages += length;
		count -= length;
	}
}

EXPORT int vhm_tracker_for_each(struct vhm_tracker *tracker, uint64_t gpa, uint64_t bytes,
				int (*written)(void *context, const struct vhm_memory_range *run),
				void *context)
{
	struct vhm_vm *vm = tracker->vm;
	uint64_t count, done, first;
	int ret = 0;

	if (!gpa && !bytes)
		bytes = 1ull << vm->vhm->info.gpa_bits;
	do {
		struct vhm_memory_range run;

		count = LIST_ROOM;
		ret = vhm_tracker_harvest_list(tracker, gpa, bytes, tracker->list, &count, &done);
		if (ret)
			return ret;
		for (first = 0; first < count; first += run.bytes / PAGE_BYTES) {
			find_run(vm, tracker->list + first, count - first, &run);
			ret = written(context, &run);
			if (ret) {
				put_back(vm, tracker->list + first, count - first);
				return ret;
			}
		}
		gpa += done;
		bytes -= done;
	} while (bytes);
	return 0;
}
