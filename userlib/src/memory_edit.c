// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Several changes of guest memory at once: the next slot table is made beside the present one,
 * and takes its place once the kernel has made the same step.
 *
 * vhm_vm.memory_lock is held for writing meanwhile. Memory that the library mapped can be named by
 * several slots afterwards; it goes with the last of them.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/**
 * struct edit - an edit in the making
 * @vm: the VM
 * @changes: what the caller wants
 * @count: how many
 * @arg: the same for the kernel, as many
 * @slots: the table that comes, with room for all
 * @slot_count: entries of @slots
 */
struct edit {
	struct vhm_vm *vm;
	const struct vhm_memory_change *changes;
	uint32_t count;
	struct vhm_slot *arg;
	struct memory_slot *slots;
	uint32_t slot_count;
};

static int check_change(const struct vhm_vm *vm, const struct vhm_memory_change *change)
{
	uintptr_t address = (uintptr_t)change->address;

	if (change->reserved)
		return -EINVAL;
	if (!change->bytes)
		return address || change->flags ? -EINVAL : 0;
	if (!address || address & PAGE_OFFSET_MASK || range_wraps(address, change->bytes))
		return -EINVAL;
	return vhm_memory_check_range(vm, change->gpa, change->bytes);
}

static int check_changes(const struct vhm_vm *vm, const struct vhm_memory_change *changes,
			 uint32_t count)
{
	uint32_t i;
	int ret = 0;

	if (!count || count > 2 * vm->vhm->info.max_slots)
		return -EINVAL;
	for (i = 0; i < count && !ret; i++)
		ret = check_change(vm, &changes[i]);
	return ret;
}

/* ---------------------------------------------------------- the next table -- */

static uint32_t find_gpa(const struct edit *edit, uint64_t gpa)
{
	uint32_t i;

	for (i = 0; i < edit->slot_count && edit->slots[i].gpa != gpa; i++)
		;
	return i;
}

static int take_away(struct edit *edit, uint64_t gpa, struct vhm_slot *arg)
{
	uint32_t index = find_gpa(edit, gpa);
	struct memory_slot *slot = &edit->slots[index];

	if (index == edit->slot_count)
		return -ENOENT;
	*arg = (struct vhm_slot){ .size = sizeof(*arg), .id = slot->id };
	edit->slot_count--;
	memmove(slot, slot + 1, (edit->slot_count - index) * sizeof(*slot));
	return 0;
}

/* Memory that the library mapped for a slot of before, if it is that. */
static void find_mapping(const struct vhm_vm *vm, struct memory_slot *slot)
{
	uint32_t i;

	for (i = 0; i < vm->slot_count; i++) {
		const struct memory_slot *other = &vm->slots[i];
		uint64_t offset = (uintptr_t)slot->address - (uintptr_t)other->mapping;

		if (other->mapping && offset < other->mapping_bytes &&
		    slot->bytes <= other->mapping_bytes - offset) {
			slot->mapping = other->mapping;
			slot->mapping_bytes = other->mapping_bytes;
			return;
		}
	}
}

static int put_in(struct edit *edit, const struct vhm_memory_change *change, struct vhm_slot *arg)
{
	struct memory_slot slot = {
		.gpa = change->gpa, .bytes = change->bytes, .address = change->address,
		.flags = change->flags,
	};
	uint32_t index = 0, i;

	for (i = 0; i < edit->slot_count; i++) {
		const struct memory_slot *other = &edit->slots[i];

		if (ranges_overlap(slot.gpa, slot.bytes, other->gpa, other->bytes))
			return -EEXIST;
		index += other->gpa < slot.gpa;
	}
	slot.id = vhm_memory_free_id(edit->vm, edit->slots, edit->slot_count);
	if (slot.id == edit->vm->vhm->info.max_slots)
		return -ENOSPC;
	find_mapping(edit->vm, &slot);
	*arg = (struct vhm_slot){
		.size = sizeof(*arg), .flags = slot.flags, .id = slot.id, .gpa = slot.gpa,
		.bytes = slot.bytes, .user_address = (uintptr_t)slot.address,
	};
	memmove(&edit->slots[index + 1], &edit->slots[index],
		(edit->slot_count - index) * sizeof(slot));
	edit->slots[index] = slot;
	edit->slot_count++;
	return 0;
}

/* What goes makes room for what comes, wherever it stands. */
static int make_table(struct edit *edit)
{
	const struct vhm_vm *vm = edit->vm;
	int ret = 0;
	uint32_t i;

	if (vm->slot_count)
		memcpy(edit->slots, vm->slots, vm->slot_count * sizeof(*edit->slots));
	edit->slot_count = vm->slot_count;
	for (i = 0; i < edit->count && !ret; i++)
		if (!edit->changes[i].bytes)
			ret = take_away(edit, edit->changes[i].gpa, &edit->arg[i]);
	for (i = 0; i < edit->count && !ret; i++)
		if (edit->changes[i].bytes)
			ret = put_in(edit, &edit->changes[i], &edit->arg[i]);
	return ret;
}

/* ---------------------------------------------------------------- the step -- */

/* The two tables change places. */
static void exchange(struct edit *edit, uint32_t capacity)
{
	struct vhm_vm *vm = edit->vm;
	struct memory_slot *slots = vm->slots;
	uint32_t slot_count = vm->slot_count;

	vm->slots = edit->slots;
	vm->slot_count = edit->slot_count;
	vm->slot_capacity = capacity;
	edit->slots = slots;
	edit->slot_count = slot_count;
}

/* In the table of before, each mapping that no slot has any more stays at one slot. */
static void keep_orphans(struct edit *edit)
{
	const struct vhm_vm *vm = edit->vm;
	uint32_t i;

	for (i = 0; i < edit->slot_count; i++) {
		struct memory_slot *slot = &edit->slots[i];

		if (vhm_memory_has_mapping(vm->slots, vm->slot_count, slot->mapping) ||
		    vhm_memory_has_mapping(edit->slots, i, slot->mapping))
			slot->mapping = NULL;
	}
}

static int change_locked(struct edit *edit)
{
	struct vhm_vm *vm = edit->vm;
	uint32_t capacity = vm->slot_count + edit->count;
	struct vhm_slot_edits arg = {
		.size = sizeof(arg), .count = edit->count, .slots = (uintptr_t)edit->arg,
	};
	int ret;

	edit->slots = vhm_sys_alloc(capacity, sizeof(*edit->slots));
	if (!edit->slots)
		return -ENOMEM;
	ret = make_table(edit);
	if (!ret)
		ret = vhm_sys_ioctl(vm->fd, VHM_SLOT_EDIT, &arg);
	if (ret < 0) {
		edit->slot_count = 0;
		return ret;
	}
	exchange(edit, capacity);
	keep_orphans(edit);
	return 0;
}

EXPORT int vhm_vm_change_memory(struct vhm_vm *vm, const struct vhm_memory_change *changes,
				uint32_t count)
{
	struct edit edit = { .vm = vm, .changes = changes, .count = count };
	int ret = check_changes(vm, changes, count);
	uint32_t i;

	if (ret)
		return ret;
	edit.arg = vhm_sys_alloc(count, sizeof(*edit.arg));
	if (!edit.arg)
		return -ENOMEM;
	pthread_rwlock_wrlock(&vm->memory_lock);
	ret = change_locked(&edit);
	pthread_rwlock_unlock(&vm->memory_lock);
	for (i = 0; i < edit.slot_count; i++)
		vhm_sys_unmap(edit.slots[i].mapping, edit.slots[i].mapping_bytes);
	free(edit.slots);
	free(edit.arg);
	return ret;
}
