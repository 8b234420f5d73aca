// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory slots: which guest-physical pages a VM has, and where in its creator's address
 * space they are.
 *
 * Owns vm->slots: a sorted table that is replaced as a whole. Readers look into it
 * under RCU alone; edits hold vm->lock. Knows nothing of what the host has mapped there:
 * the backend follows that, between slot_track and slot_untrack.
 */
#include "vhm/vhm.h"

#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* The architecture's page tables hold addresses up to bit 51. */
#define MAX_GPA_BITS	52

/* Entries whose slot starts at or below @gfn. */
static u32 count_up_to(const struct vhm_slot_table *table, gfn_t gfn)
{
	u32 low = 0, high = table ? table->count : 0;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (table->slot[middle]->first_gfn <= gfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/**
 * vhm_slot_find - the slot that holds a page
 * @table: sorted, or NULL: there is none
 * @gfn: the page
 *
 * Context: RCU read side, or vm->lock.
 * Return: the slot or NULL
 */
const struct vhm_memory_slot *vhm_slot_find(const struct vhm_slot_table *table, gfn_t gfn)
{
	u32 index = count_up_to(table, gfn);
	const struct vhm_memory_slot *slot;

	if (!index)
		return NULL;
	slot = table->slot[index - 1];
	return gfn - slot->first_gfn < slot->pages ? slot : NULL;
}

static struct vhm_slot_table *slots_locked(struct vhm_vm *vm)
{
	return rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->lock));
}

static struct vhm_slot_table *alloc_table(u32 count)
{
	struct vhm_slot_table *table;

	table = kvmalloc(struct_size(table, slot, count), GFP_KERNEL_ACCOUNT);
	if (table)
		table->count = count;
	return table;
}

/* Context: vm->lock held. */
static void publish(struct vhm_vm *vm, struct vhm_slot_table *new)
{
	struct vhm_slot_table *old = slots_locked(vm);

	rcu_assign_pointer(vm->slots, new);
	/*
	 * Full barrier: after the table, before what the backend zaps. Partner: the read
	 * barrier between slot_edits and slots in ept/fault.c.
	 */
	atomic64_inc_return(&vm->slot_edits);
	if (old)
		kvfree_rcu(old, rcu);
}

static int check_range(const struct vhm_slot *arg)
{
	struct vhm_info info = { .size = sizeof(info) };
	u64 gpa_end, user_end;

	if (arg->reserved || arg->flags & ~VHM_SLOT_READONLY || arg->id >= VHM_MAX_SLOTS)
		return -EINVAL;
	if (!arg->bytes || !PAGE_ALIGNED(arg->gpa) || !PAGE_ALIGNED(arg->bytes) ||
	    !PAGE_ALIGNED(arg->user_address))
		return -EINVAL;
	if (check_add_overflow(arg->gpa, arg->bytes, &gpa_end) ||
	    check_add_overflow(arg->user_address, arg->bytes, &user_end))
		return -EINVAL;

	vhm_backend->describe(&info);
	if (gpa_end > 1ULL << min_t(u32, info.gpa_bits, MAX_GPA_BITS))
		return -EINVAL;
	return access_ok(u64_to_user_ptr(arg->user_address), arg->bytes) ? 0 : -EINVAL;
}

static u32 find_id(const struct vhm_slot_table *table, u32 id)
{
	u32 i, count = table ? table->count : 0;

	for (i = 0; i < count && table->slot[i]->id != id; i++)
		;
	return i;
}

static struct vhm_memory_slot *alloc_slot(struct vhm_vm *vm, const struct vhm_slot *arg)
{
	struct vhm_memory_slot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (slot) {
		slot->vm = vm;
		slot->first_gfn = arg->gpa >> PAGE_SHIFT;
		slot->pages = arg->bytes >> PAGE_SHIFT;
		slot->user_address = arg->user_address;
		slot->id = arg->id;
		slot->flags = arg->flags;
	}
	return slot;
}

static int add_locked(struct vhm_vm *vm, struct vhm_memory_slot *slot)
{
	struct vhm_slot_table *old = slots_locked(vm), *new;
	u32 count = old ? old->count : 0;
	u32 index = count_up_to(old, slot->first_gfn + slot->pages - 1);
	int ret;

	if (find_id(old, slot->id) < count)
		return -EEXIST;
	/* The last slot that starts before this one's end must end before its start. */
	if (index && old->slot[index - 1]->first_gfn + old->slot[index - 1]->pages >
		     slot->first_gfn)
		return -EEXIST;

	new = alloc_table(count + 1);
	if (!new)
		return -ENOMEM;
	if (index)
		memcpy(new->slot, old->slot, index * sizeof(*new->slot));
	new->slot[index] = slot;
	if (index < count)
		memcpy(new->slot + index + 1, old->slot + index,
		       (count - index) * sizeof(*new->slot));

	/* Followed before it can be used. */
	ret = vhm_backend->slot_track(vm, slot);
	if (ret) {
		kvfree(new);
		return ret;
	}
	publish(vm, new);
	return 0;
}

/**
 * vhm_slots_add - give a VM memory
 * @vm: the VM
 * @arg: as in VHM_SLOT_ADD; all fields are checked
 *
 * Return: 0, -EINVAL, -EEXIST, -EPERM, -EIO, -ENOMEM
 */
int vhm_slots_add(struct vhm_vm *vm, const struct vhm_slot *arg)
{
	struct vhm_memory_slot *slot;
	int err;

	if (current->mm != vm->mm)
		return -EPERM;
	err = check_range(arg);
	if (err)
		return err;
	slot = alloc_slot(vm, arg);
	if (!slot)
		return -ENOMEM;

	mutex_lock(&vm->lock);
	err = READ_ONCE(vm->dead) ? -EIO : add_locked(vm, slot);
	mutex_unlock(&vm->lock);
	if (err)
		kfree(slot);
	return err;
}

static int remove_locked(struct vhm_vm *vm, u32 id)
{
	struct vhm_slot_table *old = slots_locked(vm), *new;
	u32 count = old ? old->count : 0;
	u32 index = find_id(old, id);
	struct vhm_memory_slot *slot;

	if (index == count)
		return -ENOENT;
	new = alloc_table(count - 1);
	if (!new)
		return -ENOMEM;
	slot = old->slot[index];
	memcpy(new->slot, old->slot, index * sizeof(*new->slot));
	memcpy(new->slot + index, old->slot + index + 1,
	       (count - 1 - index) * sizeof(*new->slot));

	publish(vm, new);
	/* partner of the barriers in publish() and behind the store: vhm_guest_pointer() */
	if (READ_ONCE(vm->host_writes))
		synchronize_rcu_expedited();
	vhm_backend->slot_untrack(vm, slot);
	kfree_rcu(slot, rcu);
	return 0;
}

/**
 * vhm_slots_remove - take memory from a VM
 * @vm: the VM
 * @id: of the slot
 *
 * When it returns the guest cannot reach that memory any more.
 * Return: 0, -EINVAL, -ENOENT, -EPERM, -EIO, -ENOMEM
 */
int vhm_slots_remove(struct vhm_vm *vm, u32 id)
{
	int err;

	if (current->mm != vm->mm)
		return -EPERM;
	if (id >= VHM_MAX_SLOTS)
		return -EINVAL;
	mutex_lock(&vm->lock);
	err = READ_ONCE(vm->dead) ? -EIO : remove_locked(vm, id);
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * vhm_slots_free - take all memory from a VM that is going
 * @vm: the VM; no vCPU can run and nobody looks slots up; the backend's vm_free comes later
 */
void vhm_slots_free(struct vhm_vm *vm)
{
	struct vhm_slot_table *table = rcu_dereference_protected(vm->slots, true);
	u32 i;

	if (!table)
		return;
	RCU_INIT_POINTER(vm->slots, NULL);
	atomic64_inc_return(&vm->slot_edits);
	for (i = 0; i < table->count; i++) {
		vhm_backend->slot_untrack(vm, table->slot[i]);
		kfree(table->slot[i]);
	}
	kvfree(table);
}
