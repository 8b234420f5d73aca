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

static int handle_host_fault(unsigned long address, bool write)
{
	unsigned int flags = FAULT_FLAG_DEFAULT | (write ? FAULT_FLAG_WRITE : 0);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	vm_fault_t fault;

	do {
		if (mmap_read_lock_killable(mm))
			return -EINTR;
		fault = VM_FAULT_SIGSEGV;
		vma = vma_lookup(mm, address);
		if (vma && vma->vm_flags & (write ? VM_WRITE : VM_READ))
			fault = handle_mm_fault(vma, address, flags, NULL);
		/* else it has been unlocked */
		if (!(fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
			mmap_read_unlock(mm);
		if (fault & VM_FAULT_RETRY && signal_pending(current))
			return -EINTR;
		flags |= FAULT_FLAG_TRIED;
	} while (fault & VM_FAULT_RETRY);
	return vm_fault_to_errno(fault, FOLL_HWPOISON);
}

/**
 * vhm_host_fault - have the host give the process a page as if the process had touched it
 * @vcpu: whose thread this is, or NULL
 * @address: of the page, user space
 * @write: to be written
 *
 * Where the host waits, for a userfaultfd perhaps for ever, a signal ends that, and a kick of the
 * vCPU.
 *
 * Context: may sleep.
 * Return: 0: it was there; -EINTR, -EFAULT, -EHWPOISON, -ENOMEM.
 */
int vhm_host_fault(struct vhm_vcpu *vcpu, unsigned long address, bool write)
{
	int ret = -EINTR;

	if (!vcpu)
		return handle_host_fault(address, write);
	if (vhm_vcpu_wait_begin(vcpu))
		ret = handle_host_fault(address, write);
	vhm_vcpu_wait_end(vcpu);
	return ret;
}

/**
 * vhm_guest_fault_in - have guest memory mapped for writing
 * @vcpu: the vCPU, its thread
 * @gpa: first byte
 * @bytes: how many, a page at most
 *
 * Changes nothing in it, so it does not matter whose it has become meanwhile. Context: may sleep.
 * Return: 0: it is worth another try; as vhm_host_fault(); -ENOENT: there is none.
 */
int vhm_guest_fault_in(struct vhm_vcpu *vcpu, gpa_t gpa, u32 bytes)
{
	unsigned long first;

	rcu_read_lock();
	first = (unsigned long)vhm_guest_pointer(vcpu->vm, gpa, bytes);
	rcu_read_unlock();
	if (!first)
		return -ENOENT;
	return vhm_host_fault(vcpu, first, true) ?: vhm_host_fault(vcpu, first + bytes - 1, true);
}

/* True: it is worth another try. As vhm_guest_fault_in(), and only a signal that kills ends it. */
bool vhm_guest_wait(struct vhm_vm *vm, gpa_t gpa, u32 bytes)
{
	void __user *user;

	rcu_read_lock();
	user = vhm_guest_pointer(vm, gpa, bytes);
	rcu_read_unlock();
	return user && !fault_in_safe_writeable(user, bytes);
}

static int access(struct vhm_vcpu *vcpu, gpa_t gpa, void *data, u32 bytes, bool write)
{
	int ret = -EAGAIN;

	for (int i = 0; i < TRIES && ret == -EAGAIN; i++) {
		ret = access_nofault(vcpu->vm, gpa, data, bytes, write);
		if (ret == -EFAULT)
			ret = vhm_guest_fault_in(vcpu, gpa, bytes) ?: -EAGAIN;
	}
	return ret;
}

/**
 * vhm_guest_write - write guest memory
 * @vcpu: the vCPU, its thread
 * @gpa: first byte
 * @data: what to write
 * @bytes: how many, a page at most
 *
 * Context: may sleep.
 * Return: 0; -EINTR: the thread is wanted elsewhere; another error. Then some of it may have been
 * written.
 */
int vhm_guest_write(struct vhm_vcpu *vcpu, gpa_t gpa, const void *data, u32 bytes)
{
	return access(vcpu, gpa, (void *)data, bytes, true);
}

/* As vhm_guest_write(). Memory that cannot be written is not read either. */
int vhm_guest_read(struct vhm_vcpu *vcpu, gpa_t gpa, void *data, u32 bytes)
{
	return access(vcpu, gpa, data, bytes, false);
}
