// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Guest memory: the slot table of a VM and copies to and from it. What is mapped for a slot is
 * backing.c's, several changes at once are memory_edit.c's; what is written here is told to trackers
 * (tracker.c).
 *
 * vhm_vm.memory_lock: writers edit the table together with the kernel's, readers keep the
 * memory mapped while they touch it. The guest changes memory at any time; nothing here
 * reads a value twice.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* Index of the first slot that ends above gpa: the one that holds it, or the next. */
static uint32_t slot_index(const struct vhm_vm *vm, uint64_t gpa)
{
	uint32_t low = 0, high = vm->slot_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct memory_slot *slot = &vm->slots[middle];

		if (slot->gpa + (slot->bytes - 1) < gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct memory_slot *vhm_memory_find_locked(const struct vhm_vm *vm, uint64_t gpa)
{
	uint32_t index = slot_index(vm, gpa);

	if (index == vm->slot_count || vm->slots[index].gpa > gpa)
		return NULL;
	return &vm->slots[index];
}

const struct memory_slot *vhm_memory_next_locked(const struct vhm_vm *vm, uint64_t gpa)
{
	uint32_t index = slot_index(vm, gpa);

	return index < vm->slot_count ? &vm->slots[index] : NULL;
}

void *vhm_memory_pointer_locked(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	const struct memory_slot *slot = vhm_memory_find_locked(vm, gpa);

	if (!slot || !bytes || bytes > slot->bytes - (gpa - slot->gpa))
		return NULL;
	return slot->address + (gpa - slot->gpa);
}

/* ----------------------------------------------------------------- slots -- */

uint32_t vhm_memory_free_id(const struct vhm_vm *vm, const struct memory_slot *slots,
			    uint32_t count)
{
	uint32_t id, i;

	for (id = 0; id < vm->vhm->info.max_slots; id++) {
		for (i = 0; i < count && slots[i].id != id; i++)
			;
		if (i == count)
			break;
	}
	return id;
}

bool vhm_memory_has_mapping(const struct memory_slot *slots, uint32_t count, const void *mapping)
{
	uint32_t i;

	for (i = 0; i < count && slots[i].mapping != mapping; i++)
		;
	return i < count;
}

static int grow_table(struct vhm_vm *vm)
{
	uint32_t capacity = vm->slot_capacity ? 2 * vm->slot_capacity : 8;
	struct memory_slot *slots;

	if (vm->slot_count < vm->slot_capacity)
		return 0;
	slots = vhm_sys_alloc(capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (vm->slot_count)
		memcpy(slots, vm->slots, vm->slot_count * sizeof(*slots));
	free(vm->slots);
	vm->slots = slots;
	vm->slot_capacity = capacity;
	return 0;
}

/* Adds @slot, whose id is chosen here, to the kernel's table and to ours. */
static int add_slot_locked(struct vhm_vm *vm, struct memory_slot *slot)
{
	uint32_t index = slot_index(vm, slot->gpa);
	struct vhm_slot arg = {
		.size = sizeof(arg),
		.flags = slot->flags,
		.gpa = slot->gpa,
		.bytes = slot->bytes,
		.user_address = (uintptr_t)slot->address,
	};
	int ret;

	if (index < vm->slot_count && ranges_overlap(slot->gpa, slot->bytes, vm->slots[index].gpa,
						     vm->slots[index].bytes))
		return -EEXIST;
	arg.id = vhm_memory_free_id(vm, vm->slots, vm->slot_count);
	if (arg.id == vm->vhm->info.max_slots)
		return -ENOSPC;
	ret = grow_table(vm);
	if (ret)
		return ret;
	ret = vhm_sys_ioctl(vm->fd, VHM_SLOT_ADD, &arg);
	if (ret < 0)
		return ret;
	slot->id = arg.id;
	memmove(&vm->slots[index + 1], &vm->slots[index],
		(vm->slot_count - index) * sizeof(*slot));
	vm->slots[index] = *slot;
	vm->slot_count++;
	return 0;
}

static int add_slot(struct vhm_vm *vm, struct memory_slot *slot)
{
	int ret;

	pthread_rwlock_wrlock(&vm->memory_lock);
	ret = add_slot_locked(vm, slot);
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}

int vhm_memory_check_range(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	if (!bytes || (gpa | bytes) & PAGE_OFFSET_MASK || range_wraps(gpa, bytes))
		return -EINVAL;
	if ((gpa + bytes - 1) >> vm->vhm->info.gpa_bits)
		return -EINVAL;
	return 0;
}

EXPORT int vhm_vm_add_user_memory(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes,
				  uint32_t flags, void *address)
{
	struct memory_slot slot = {
		.gpa = gpa, .bytes = bytes, .address = address, .flags = flags,
	};
	int ret = vhm_memory_check_range(vm, gpa, bytes);

	if (ret)
		return ret;
	if (!address || (uintptr_t)address & PAGE_OFFSET_MASK ||
	    range_wraps((uintptr_t)address, bytes))
		return -EINVAL;
	return add_slot(vm, &slot);
}

EXPORT int vhm_vm_add_backed_memory(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes,
				    uint32_t flags, struct vhm_backing *backing, void **address)
{
	struct memory_slot slot = { .gpa = gpa, .bytes = bytes, .flags = flags };
	int memfd = -1, ret = vhm_memory_check_range(vm, gpa, bytes);

	if (!ret)
		ret = vhm_backing_map(backing, &slot, &memfd);
	if (ret)
		return ret;
	ret = add_slot(vm, &slot);
	if (ret) {
		vhm_sys_unmap(slot.mapping, slot.mapping_bytes);
		vhm_sys_close(memfd);
		return ret;
	}
	if (memfd >= 0)
		backing->fd = memfd;
	if (address)
		*address = slot.address;
	return 0;
}

EXPORT int vhm_vm_add_memory(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
			     void **address)
{
	struct vhm_backing anonymous = { .kind = VHM_BACKING_ANONYMOUS };

	return vhm_vm_add_backed_memory(vm, gpa, bytes, flags, &anonymous, address);
}

EXPORT int vhm_vm_remove_memory(struct vhm_vm *vm, uint64_t gpa)
{
	struct vhm_slot arg = { .size = sizeof(arg) };
	struct memory_slot slot = { 0 };
	uint32_t index;
	int ret = -ENOENT;

	pthread_rwlock_wrlock(&vm->memory_lock);
	index = slot_index(vm, gpa);
	if (index < vm->slot_count && vm->slots[index].gpa == gpa) {
		slot = vm->slots[index];
		arg.id = slot.id;
		ret = vhm_sys_ioctl(vm->fd, VHM_SLOT_REMOVE, &arg);
	}
	if (ret >= 0) {
		vm->slot_count--;
		memmove(&vm->slots[index], &vm->slots[index + 1],
			(vm->slot_count - index) * sizeof(slot));
		if (vhm_memory_has_mapping(vm->slots, vm->slot_count, slot.mapping))
			slot.mapping = NULL;
	}
	pthread_rwlock_unlock(&vm->memory_lock);
	if (ret < 0)
		return ret;
	vhm_sys_unmap(slot.mapping, slot.mapping_bytes);
	return 0;
}

EXPORT int vhm_vm_next_memory(struct vhm_vm *vm, uint64_t gpa, struct vhm_memory_range *range)
{
	uint32_t index;
	int ret = -ENOENT;

	pthread_rwlock_rdlock(&vm->memory_lock);
	index = slot_index(vm, gpa);
	if (index < vm->slot_count && vm->slots[index].gpa < gpa)
		index++;
	if (index < vm->slot_count) {
		const struct memory_slot *slot = &vm->slots[index];
		bool readonly = slot->flags & VHM_SLOT_READONLY;

		*range = (struct vhm_memory_range){
			.gpa = slot->gpa, .bytes = slot->bytes,
			.type = readonly ? VHM_MEMORY_RESERVED : VHM_MEMORY_RAM,
		};
		ret = 0;
	}
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}

EXPORT int vhm_vm_set_rights(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t rights)
{
	struct vhm_rights arg = {
		.size = sizeof(arg), .rights = rights, .gpa = gpa, .bytes = bytes,
	};

	return vhm_sys_ioctl(vm->fd, VHM_VM_SET_RIGHTS, &arg);
}

EXPORT int vhm_vm_populate(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
			   uint64_t *done)
{
	struct vhm_populate arg = {
		.size = sizeof(arg), .flags = flags, .gpa = gpa, .bytes = bytes,
	};
	int ret = vhm_sys_ioctl(vm->fd, VHM_VM_POPULATE, &arg);

	if (done)
		*done = arg.gpa - gpa;
	return ret;
}

EXPORT int vhm_vm_get_mapped(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes,
			     struct vhm_mapped *mapped)
{
	*mapped = (struct vhm_mapped){ .size = sizeof(*mapped), .gpa = gpa, .bytes = bytes };
	return vhm_sys_ioctl(vm->fd, VHM_VM_GET_MAPPED, mapped);
}

/* ---------------------------------------------------------------- copies -- */

static bool range_is_memory(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	if (range_wraps(gpa, bytes))
		return false;
	while (bytes) {
		const struct memory_slot *slot = vhm_memory_find_locked(vm, gpa);
		uint64_t part;

		if (!slot)
			return false;
		part = min_u64(bytes, slot->bytes - (gpa - slot->gpa));
		gpa += part;
		bytes -= part;
	}
	return true;
}

/* What for_each_part() does with one part of a range, which lies inside one slot. */
typedef int (*part_fn)(void *context, uint8_t *address, uint64_t offset, uint64_t bytes);

/* The range is all memory. */
static int for_each_part_locked(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, part_fn fn,
				void *context)
{
	uint64_t offset = 0;
	int ret = 0;

	while (!ret && offset < bytes) {
		const struct memory_slot *slot = vhm_memory_find_locked(vm, gpa + offset);
		uint64_t skip = gpa + offset - slot->gpa;
		uint64_t part = min_u64(bytes - offset, slot->bytes - skip);

		ret = fn(context, slot->address + skip, offset, part);
		offset += part;
	}
	return ret;
}

/* All of the range is checked to be memory before the first part is touched. */
static int for_each_part(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, part_fn fn,
			 void *context)
{
	int ret = -EFAULT;

	pthread_rwlock_rdlock(&vm->memory_lock);
	if (range_is_memory(vm, gpa, bytes))
		ret = for_each_part_locked(vm, gpa, bytes, fn, context);
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}

/* Trackers tell of all of the range, even if an error came on the way. */
static int write_each_part(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, part_fn fn,
			   void *context)
{
	int ret = -EFAULT;

	pthread_rwlock_rdlock(&vm->memory_lock);
	if (range_is_memory(vm, gpa, bytes)) {
		int noted;

		ret = for_each_part_locked(vm, gpa, bytes, fn, context);
		noted = vhm_note_written_locked(vm, gpa, bytes);
		ret = ret ? ret : noted;
	}
	pthread_rwlock_unlock(&vm->memory_lock);
	return ret;
}

static int read_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	memcpy((uint8_t *)context + offset, address, bytes);
	return 0;
}

EXPORT int vhm_vm_read(struct vhm_vm *vm, uint64_t gpa, void *buffer, size_t bytes)
{
	return for_each_part(vm, gpa, bytes, read_part, buffer);
}

static int write_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	memcpy(address, *(const uint8_t **)context + offset, bytes);
	return 0;
}

EXPORT int vhm_vm_write(struct vhm_vm *vm, uint64_t gpa, const void *buffer, size_t bytes)
{
	const uint8_t *from = buffer;

	return write_each_part(vm, gpa, bytes, write_part, &from);
}

static int fill_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	(void)offset;
	memset(address, *(uint8_t *)context, bytes);
	return 0;
}

EXPORT int vhm_vm_fill(struct vhm_vm *vm, uint64_t gpa, uint8_t value, uint64_t bytes)
{
	return write_each_part(vm, gpa, bytes, fill_part, &value);
}

EXPORT void *vhm_vm_pointer(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	void *address;

	pthread_rwlock_rdlock(&vm->memory_lock);
	address = vhm_memory_pointer_locked(vm, gpa, bytes);
	pthread_rwlock_unlock(&vm->memory_lock);
	return address;
}

/**
 * struct iovec_list - a list that is being made
 * @iov: the list
 * @room: entries it has room for
 * @used: entries there are, those without room included
 * @end: where the last one ends
 */
struct iovec_list {
	struct iovec *iov;
	uint32_t room;
	uint32_t used;
	uint8_t *end;
};

/* Slots may lie side by side here, too. */
static int list_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	struct iovec_list *list = context;
	bool continues = offset && address == list->end;

	if (!continues && list->used == UINT32_MAX)
		return -ENOSPC;
	list->used += !continues;
	list->end = address + bytes;
	if (list->used > list->room)
		return 0;
	if (continues)
		list->iov[list->used - 1].iov_len += bytes;
	else
		list->iov[list->used - 1] = (struct iovec){ .iov_base = address, .iov_len = bytes };
	return 0;
}

static bool has_readonly_part(const struct vhm_vm *vm, uint64_t gpa, uint64_t bytes)
{
	uint32_t i;

	for (i = slot_index(vm, gpa); i < vm->slot_count; i++) {
		if (!ranges_overlap(gpa, bytes, vm->slots[i].gpa, vm->slots[i].bytes))
			break;
		if (vm->slots[i].flags & VHM_SLOT_READONLY)
			return true;
	}
	return false;
}

EXPORT int vhm_vm_iovec(struct vhm_vm *vm, uint64_t gpa, uint64_t bytes, uint32_t flags,
			struct iovec *iov, uint32_t *count)
{
	struct iovec_list list = { .iov = iov, .room = *count };
	int ret = 0;

	if (flags & ~(uint32_t)VHM_IOVEC_WRITE)
		return -EINVAL;
	pthread_rwlock_rdlock(&vm->memory_lock);
	if (!range_is_memory(vm, gpa, bytes))
		ret = -EFAULT;
	else if (flags & VHM_IOVEC_WRITE && has_readonly_part(vm, gpa, bytes))
		ret = -EACCES;
	else
		ret = for_each_part_locked(vm, gpa, bytes, list_part, &list);
	pthread_rwlock_unlock(&vm->memory_lock);
	if (ret)
		return ret;
	*count = list.used;
	return list.used > list.room ? -ENOSPC : 0;
}

struct file_part {
	int fd;
	uint64_t offset;
};

static int load_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	const struct file_part *file = context;

	return vhm_sys_read_at(file->fd, address, bytes, file->offset + offset);
}

int vhm_memory_load(struct vhm_vm *vm, int fd, uint64_t offset, uint64_t gpa, uint64_t bytes)
{
	struct file_part file = { .fd = fd, .offset = offset };

	return write_each_part(vm, gpa, bytes, load_part, &file);
}

/* ---------------------------------------------------- the guest's accesses -- */

enum memory_kind vhm_memory_kind_locked(const struct vhm_vm *vm, uint64_t gpa)
{
	const struct memory_slot *slot = vhm_memory_find_locked(vm, gpa);

	if (!slot)
		return MEMORY_NONE;
	return slot->flags & VHM_SLOT_READONLY ? MEMORY_ROM : MEMORY_RAM;
}

enum memory_kind vhm_memory_kind(struct vhm_vm *vm, uint64_t gpa)
{
	enum memory_kind kind;

	pthread_rwlock_rdlock(&vm->memory_lock);
	kind = vhm_memory_kind_locked(vm, gpa);
	pthread_rwlock_unlock(&vm->memory_lock);
	return kind;
}

/* Other vCPUs must never see half of what the guest's instruction moves at once. */
static int atomic_read_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	uint8_t *to = (uint8_t *)context + offset;
	bool aligned = bytes <= 8 && !((uintptr_t)address & (bytes - 1));
	uint64_t value;

	switch (aligned ? bytes : 0) {
	case 1:
		value = __atomic_load_n(address, __ATOMIC_RELAXED);
		break;
	case 2:
		value = __atomic_load_n((uint16_t *)(void *)address, __ATOMIC_RELAXED);
		break;
	case 4:
		value = __atomic_load_n((uint32_t *)(void *)address, __ATOMIC_RELAXED);
		break;
	case 8:
		value = __atomic_load_n((uint64_t *)(void *)address, __ATOMIC_RELAXED);
		break;
	default:
		memcpy(to, address, bytes);
		return 0;
	}
	memcpy(to, &value, bytes);
	return 0;
}

int vhm_memory_read(struct vhm_vm *vm, uint64_t gpa, void *buffer, unsigned int bytes)
{
	return for_each_part(vm, gpa, bytes, atomic_read_part, buffer);
}

static int atomic_write_part(void *context, uint8_t *address, uint64_t offset, uint64_t bytes)
{
	const uint8_t *from = *(const uint8_t **)context + offset;
	bool aligned = bytes <= 8 && !((uintptr_t)address & (bytes - 1));
	uint64_t value = 0;

	if (aligned)
		memcpy(&value, from, bytes);
	switch (aligned ? bytes : 0) {
	case 1:
		__atomic_store_n(address, (uint8_t)value, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)address, (uint16_t)value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)address, (uint32_t)value, __ATOMIC_RELAXED);
		break;
	case 8:
		__atomic_store_n((uint64_t *)(void *)address, value, __ATOMIC_RELAXED);
		break;
	default:
		memcpy(address, from, bytes);
		break;
	}
	return 0;
}

int vhm_memory_write(struct vhm_vm *vm, uint64_t gpa, const void *buffer, unsigned int bytes)
{
	const uint8_t *from = buffer;

	return write_each_part(vm, gpa, bytes, atomic_write_part, &from);
}
