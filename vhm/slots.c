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
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>

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

/* @arg: with bytes. */
static int check_range(const struct vhm_slot *arg)
{
	struct vhm_info info = { .size = sizeof(info) };
	u64 gpa_end;

	if (arg->reserved || arg->flags & ~VHM_SLOT_READONLY || arg->id >= VHM_MAX_SLOTS ||
	    !PAGE_ALIGNED(arg->gpa | arg->bytes | arg->user_address) ||
	    check_add_overflow(arg->gpa, arg->bytes, &gpa_end) ||
	    !access_ok(u64_to_user_ptr(arg->user_address), arg->bytes))
		return -EINVAL;
	vhm_backend->describe(&info);
	if (gpa_end > 1ULL << min_t(u32, info.gpa_bits, MAX_GPA_BITS))
		return -EINVAL;
	/* memory there would hide the page of a local APIC in xAPIC mode from the guest */
	if (arg->gpa <= APIC_DEFAULT_PHYS_BASE && gpa_end > APIC_DEFAULT_PHYS_BASE)
		return -EEXIST;
	return 0;
}

static struct vhm_memory_slot *alloc_slot(struct vhm_vm *vm, const struct vhm_slot *arg)
{
	struct vhm_memory_slot *slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (slot)
		*slot = (struct vhm_memory_slot) {
			.vm = vm, .first_gfn = arg->gpa >> PAGE_SHIFT,
			.pages = arg->bytes >> PAGE_SHIFT, .user_address = arg->user_address,
			.id = arg->id, .flags = arg->flags,
		};
	return slot;
}

/*
 * struct edit - changes on their way
 * @goes: by id: the slot goes
 * @used: by id: the slot is in @new
 * @old: the table before
 * @new: the table afterwards
 * @come: slots that come
 * @comes: how many there are of them
 */
struct edit {
	DECLARE_BITMAP(goes, VHM_MAX_SLOTS);
	DECLARE_BITMAP(used, VHM_MAX_SLOTS);
	struct vhm_slot_table *old, *new;
	struct vhm_memory_slot **come;
	u32 comes;
};

static bool goes(const struct edit *edit, u32 index)
{
	return test_bit(edit->old->slot[index]->id, edit->goes);
}

/* Take in one element of the caller's. Context: may sleep. */
static int take_in(struct vhm_vm *vm, struct edit *edit, const struct vhm_slot *arg)
{
	int ret;

	if (arg->bytes) {
		ret = check_range(arg);
		if (ret)
			return ret;
		edit->come[edit->comes] = alloc_slot(vm, arg);
		return edit->come[edit->comes++] ? 0 : -ENOMEM;
	}
	if (arg->flags || arg->reserved || arg->gpa || arg->user_address ||
	    arg->id >= VHM_MAX_SLOTS)
		return -EINVAL;
	return __test_and_set_bit(arg->id, edit->goes) ? -ENOENT : 0;
}

/* Put a slot in its place among those of @new. */
static int insert(struct edit *edit, struct vhm_memory_slot *slot)
{
	struct vhm_slot_table *new = edit->new;
	u32 index = count_up_to(new, slot->first_gfn);
	struct vhm_memory_slot **place = new->slot + index;

	if (__test_and_set_bit(slot->id, edit->used))
		return -EEXIST;
	if ((index && place[-1]->first_gfn + place[-1]->pages > slot->first_gfn) ||
	    (index < new->count && slot->first_gfn + slot->pages > place[0]->first_gfn))
		return -EEXIST;
	memmove(place + 1, place, (new->count++ - index) * sizeof(*place));
	*place = slot;
	return 0;
}

/* The new table, and whether there can be such a one. Context: vm->lock held. */
static int make_table(struct edit *edit)
{
	u32 there = edit->old ? edit->old->count : 0;
	struct vhm_slot_table *new;
	int ret = 0;

	new = kvmalloc(struct_size(new, slot, there + edit->comes), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	edit->new = new;
	new->count = 0;
	for (u32 i = 0; i < there; i++)
		if (!goes(edit, i)) {
			__set_bit(edit->old->slot[i]->id, edit->used);
			new->slot[new->count++] = edit->old->slot[i];
		}
	if (there - new->count != bitmap_weight(edit->goes, VHM_MAX_SLOTS))
		return -ENOENT;
	for (u32 i = 0; i < edit->comes && !ret; i++)
		ret = insert(edit, edit->come[i]);
	return ret;
}

/* Slots that are not in the published table any more. Context: vm->lock held. */
static void forget_gone(struct vhm_vm *vm, struct edit *edit)
{
	if (bitmap_empty(edit->goes, VHM_MAX_SLOTS))
		return;
	/* partner of the barriers in edit_locked() and behind the store: vhm_guest_pointer() */
	if (READ_ONCE(vm->host_writes))
		synchronize_rcu_expedited();
	for (u32 i = 0; i < edit->old->count; i++)
		if (goes(edit, i)) {
			vhm_backend->slot_untrack(vm->ept, edit->old->slot[i]);
			kfree_rcu(edit->old->slot[i], rcu);
		}
}

static int edit_locked(struct vhm_vm *vm, struct edit *edit)
{
	int ret;
	u32 i;

	if (READ_ONCE(vm->dead))
		return -EIO;
	edit->old = rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->lock));
	ret = make_table(edit);
	if (ret)
		return ret;
	/* Followed before they can be used. */
	for (i = 0; i < edit->comes && !ret; i++)
		ret = vhm_backend->slot_track(vm->ept, edit->come[i]);
	if (ret) {
		for (i--; i--;)
			vhm_backend->slot_untrack(vm->ept, edit->come[i]);
		return ret;
	}

	rcu_assign_pointer(vm->slots, edit->new);
	/*
	 * Full barrier: after the table, before what the backend zaps. Partner: the read
	 * barrier between slot_edits and slots in ept/fault.c.
	 */
	atomic64_inc_return(&vm->slot_edits);
	edit->new = NULL;
	edit->comes = 0;
	if (edit->old) {
		forget_gone(vm, edit);
		kvfree_rcu(edit->old, rcu);
	}
	return 0;
}

/**
 * vhm_slots_edit - change which memory a VM has, all at once
 * @vm: the VM
 * @args: as in VHM_SLOT_EDIT; all fields are checked, but for the size
 * @count: elements of @args
 *
 * When it returns the guest cannot reach what is gone any more.
 * Return: 0, -EINVAL, -EEXIST, -ENOENT, -EPERM, -EIO, -ENOMEM, -EINTR
 */
int vhm_slots_edit(struct vhm_vm *vm, const struct vhm_slot *args, u32 count)
{
	struct edit *edit;
	int ret = 0;

	if (current->mm != vm->mm)
		return -EPERM;
	edit = kzalloc(sizeof(*edit), GFP_KERNEL_ACCOUNT);
	if (!edit)
		return -ENOMEM;
	edit->come = kvcalloc(count, sizeof(*edit->come), GFP_KERNEL_ACCOUNT);
	if (!edit->come)
		ret = -ENOMEM;
	for (u32 i = 0; i < count && !ret; i++)
		ret = take_in(vm, edit, &args[i]);
	if (!ret) {
		mutex_lock(&vm->lock);
		ret = edit_locked(vm, edit);
		mutex_unlock(&vm->lock);
	}
	/* what was not used */
	for (u32 i = 0; i < edit->comes; i++)
		kfree(edit->come[i]);
	kvfree(edit->new);
	kvfree(edit->come);
	kfree(edit);
	return ret;
}

/**
 * vhm_slots_free - take all memory from a VM that is going
 * @vm: the VM; no vCPU can run and nobody looks slots up; the backend's vm_free comes later
 */
void vhm_slots_free(struct vhm_vm *vm)
{
	struct vhm_slot_table *table = rcu_dereference_protected(vm->slots, true);

	if (!table)
		return;
	RCU_INIT_POINTER(vm->slots, NULL);
	atomic64_inc_return(&vm->slot_edits);
	for (u32 i = 0; i < table->count; i++) {
		vhm_backend->slot_untrack(vm->ept, table->slot[i]);
		kfree(table->slot[i]);
	}
	kvfree(table);
}
