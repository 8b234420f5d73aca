// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory as the host itself reads and writes it: the few words of the paravirtual
 * interface (vhm/pv.h). It is ordinary memory of the VMM, found through the slots for each
 * access and never pinned. Where no slot has it, or the VMM has unmapped it, nothing happens.
 *
 * An access looks up the slot and copies within one RCU read-side section, with page faults off;
 * forget_gone() waits for those. So the host does not write into memory that the VMM has
 * taken back.
 */
#include "vhm.h"

#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

/* Memory may be on its way out again by the time it has come in. */
#define TRIES	4

/**
 * vhm_guest_pointer - where guest memory is in the VMM, to be written
 * @vm: the VM
 * @gpa: first byte
 * @bytes: how many
 *
 * Context: RCU read side; a thread of the VM's address space, or there is none.
 * Return: NULL: not in one slot, in a read-only one, or not of this address space.
 */
void __user *vhm_guest_pointer(struct vhm_vm *vm, gpa_t gpa, u32 bytes)
{
	const struct vhm_memory_slot *slot;
	u64 offset;

	if (!READ_ONCE(vm->host_writes)) {
		WRITE_ONCE(vm->host_writes, true);
		smp_mb();	/* before the table is read; partner: forget_gone() */
	}
	if (current->mm != vm->mm)
		return NULL;
	slot = vhm_slot_find(rcu_dereference(vm->slots), gpa >> PAGE_SHIFT);
	if (!slot || slot->flags & VHM_SLOT_READONLY)
		return NULL;
	offset = gpa - (slot->first_gfn << PAGE_SHIFT);
	if (bytes > (slot->pages << PAGE_SHIFT) - offset)
		return NULL;
	return (void __user *)(slot->user_address + offset);
}

static int access_nofault(struct vhm_vm *vm, gpa_t gpa, void *data, u32 bytes, bool write)
{
	void __user *user;
	int ret = -ENOENT;

	rcu_read_lock();
	user = vhm_guest_pointer(vm, gpa, bytes);
	if (user)
		ret = write ? copy_to_user_nofault(user, data, bytes) :
			      copy_from_user_nofault(data, user, bytes);
	rcu_read_unlock();
	if (write && user)
		vhm_backend->note_written(vm->ept, gpa, bytes);
	return ret;
}

/**
 * vhm_guest_write_nofault - write guest memory that is mapped
 * @vm: the VM
 * @gpa: first byte
 * @data: what to write
 * @bytes: how many
 *
 * Context: a thread of the VM's; any.
 * Return: 0; -ENOENT: there is none; -EFAULT: not mapped now.
 */
int vhm_guest_write_nofault(struct vhm_vm *vm, gpa_t gpa, const void *data, u32 bytes)
{
	return access_nofault(vm, gpa, (void *)data, bytes, true);
}

/**
 * vhm_guest_fault_in - have guest memory mapped for writing
 * @vm: the VM
 * @gpa: first byte
 * @bytes: how many
 *
 * Changes nothing in it, so it does not matter whose it has become meanwhile. Context: may sleep.
 * Return: whether it is worth another try.
 */
bool vhm_guest_fault_in(struct vhm_vm *vm, gpa_t gpa, u32 bytes)
{
	void __user *user;

	rcu_read_lock();
	user = vhm_guest_pointer(vm, gpa, bytes);
	rcu_read_unlock();
	return user && !fault_in_safe_writeable(user, bytes);
}

static int access(struct vhm_vm *vm, gpa_t gpa, void *data, u32 bytes, bool write)
{
	int i, ret;

	for (i = 0; i < TRIES; i++) {
		ret = access_nofault(vm, gpa, data, bytes, write);
		if (ret != -EFAULT || !vhm_guest_fault_in(vm, gpa, bytes))
			break;
	}
	return ret;
}

/**
 * vhm_guest_write - write guest memory
 * @vm: the VM
 * @gpa: first byte
 * @data: what to write
 * @bytes: how many
 *
 * Context: a thread of the VM's; may sleep.
 * Return: 0 or an error; then some of it may have been written.
 */
int vhm_guest_write(struct vhm_vm *vm, gpa_t gpa, const void *data, u32 bytes)
{
	return access(vm, gpa, (void *)data, bytes, true);
}

/* As vhm_guest_write(). Memory that cannot be written is not read either. */
int vhm_guest_read(struct vhm_vm *vm, gpa_t gpa, void *data, u32 bytes)
{
	return access(vm, gpa, data, bytes, false);
}
