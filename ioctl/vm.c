// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM descriptor: vCPUs, slots, messages, what of the memory is mapped and written.
 */
#include "ioctl.h"

#include <linux/anon_inodes.h>
#include <linux/module.h>

#include "vhm/apic.h"

static long vcpu_create(struct file *file, void *arg, void __user *user)
{
	struct vhm_vcpu_create *create = arg;

	if (create->flags || create->reserved || create->id >= VHM_MAX_VCPUS)
		return -EINVAL;
	return vhm_vcpu_open(file->private_data, create->id);
}

static long slot_add(struct file *file, void *arg, void __user *user)
{
	struct vhm_slot *slot = arg;

	return slot->bytes ? vhm_slots_edit(file->private_data, slot, 1) : -EINVAL;
}

static long slot_remove(struct file *file, void *arg, void __user *user)
{
	struct vhm_slot *slot = arg;

	return slot->bytes ? -EINVAL : vhm_slots_edit(file->private_data, slot, 1);
}

static long slot_edit(struct file *file, void *arg, void __user *user)
{
	struct vhm_slot_edits *edits = arg;
	struct vhm_slot *slots;
	long ret = 0;

	if (edits->flags || edits->reserved || !edits->count || edits->count > 2 * VHM_MAX_SLOTS)
		return -EINVAL;
	slots = vmemdup_user(u64_to_user_ptr(edits->slots),
			     array_size(edits->count, sizeof(*slots)));
	if (IS_ERR(slots))
		return PTR_ERR(slots);
	for (u32 i = 0; i < edits->count && !ret; i++)
		ret = slots[i].size == sizeof(*slots) ? 0 : -EINVAL;
	ret = ret ?: vhm_slots_edit(file->private_data, slots, edits->count);
	kvfree(slots);
	return ret;
}

static long vm_msi(struct file *file, void *arg, void __user *user)
{
	struct vhm_msi *msi = arg;

	return vhm_apic_deliver_msi(file->private_data, msi->address, msi->data);
}

/* What is left is told in any case: who was interrupted calls again. */
static long vm_populate(struct file *file, void *arg, void __user *user)
{
	struct vhm_vm *vm = file->private_data;
	struct vhm_populate *range = arg;
	u64 end = range->gpa + range->bytes;
	long ret;

	if (current->mm != vm->mm)
		return -EPERM;
	if (range->flags & ~VHM_POPULATE_WRITE || !vhm_is_range(range->gpa, range->bytes))
		return -EINVAL;
	ret = vhm_backend->populate(vm->ept, &range->gpa, end, range->flags & VHM_POPULATE_WRITE);
	range->bytes = end - range->gpa;
	return vhm_copy_back(user, range, sizeof(*range)) ?: ret;
}

static long vm_get_mapped(struct file *file, void *arg, void __user *user)
{
	struct vhm_vm *vm = file->private_data;
	struct vhm_mapped *mapped = arg;

	if (mapped->flags || !vhm_is_range(mapped->gpa, mapped->bytes))
		return -EINVAL;
	vhm_backend->get_mapped(vm->ept, mapped);
	return vhm_copy_back(user, mapped, sizeof(*mapped));
}

static long tracker_create(struct file *file, void *arg, void __user *user)
{
	struct vhm_tracker_create *create = arg;

	return create->flags ? -EINVAL : vhm_tracker_open(file->private_data);
}

static long vm_note_written(struct file *file, void *arg, void __user *user)
{
	struct vhm_vm *vm = file->private_data;
	struct vhm_written *written = arg;

	if (written->flags || !written->bytes || written->bytes > VHM_MAX_WRITTEN_BYTES ||
	    written->gpa + written->bytes - 1 < written->gpa)
		return -EINVAL;
	vhm_backend->note_written(vm->ept, written->gpa, written->bytes);
	return 0;
}

static long vm_set_rights(struct file *file, void *arg, void __user *user)
{
	const u32 all = VHM_RIGHT_READ | VHM_RIGHT_WRITE | VHM_RIGHT_EXECUTE;
	struct vhm_vm *vm = file->private_data;
	struct vhm_rights *rights = arg;
	long ret;

	if (rights->flags || rights->reserved || rights->rights & ~all ||
	    !vhm_is_range(rights->gpa, rights->bytes) ||
	    (rights->rights & VHM_RIGHT_WRITE && !(rights->rights & VHM_RIGHT_READ)))
		return -EINVAL;
	mutex_lock(&vm->lock);
	ret = vhm_backend->set_rights(vm->ept, rights->gpa, rights->bytes, rights->rights);
	mutex_unlock(&vm->lock);
	return ret;
}

static const struct vhm_command vm_commands[] = {
	VHM_COMMAND(VHM_VM_MSI, struct vhm_msi, vm_msi),
	VHM_COMMAND(VHM_VCPU_CREATE, struct vhm_vcpu_create, vcpu_create),
	VHM_COMMAND(VHM_SLOT_ADD, struct vhm_slot, slot_add),
	VHM_COMMAND(VHM_SLOT_REMOVE, struct vhm_slot, slot_remove),
	VHM_COMMAND(VHM_SLOT_EDIT, struct vhm_slot_edits, slot_edit),
	VHM_COMMAND(VHM_VM_POPULATE, struct vhm_populate, vm_populate),
	VHM_COMMAND(VHM_VM_GET_MAPPED, struct vhm_mapped, vm_get_mapped),
	VHM_COMMAND(VHM_VM_SET_RIGHTS, struct vhm_rights, vm_set_rights),
	VHM_COMMAND(VHM_TRACKER_CREATE, struct vhm_tracker_create, tracker_create),
	VHM_COMMAND(VHM_VM_NOTE_WRITTEN, struct vhm_written, vm_note_written),
};

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vhm_dispatch(file, cmd, arg, vm_commands, ARRAY_SIZE(vm_commands));
}

static int vm_release(struct inode *inode, struct file *file)
{
	vhm_vm_put(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE, .release = vm_release,
	.unlocked_ioctl = vm_ioctl, .compat_ioctl = compat_ptr_ioctl,
};

/**
 * vhm_vm_open() - descriptor of a new VM
 * @vm: the VM; the descriptor takes over the caller's reference unless it fails
 */
long vhm_vm_open(struct vhm_vm *vm)
{
	return anon_inode_getfd("vhm-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
}
