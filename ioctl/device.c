// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/vhm: information and creation of VMs.
 */
#include "ioctl.h"

#include <linux/module.h>
#include <asm/tsc.h>

#include "vhm/cpuid.h"

static long get_info(struct file *file, void *arg, void __user *user)
{
	struct vhm_info *info = arg;

	*info = (struct vhm_info) {
		.size = info->size, .abi_version = VHM_ABI_VERSION,
		.max_vcpus = VHM_MAX_VCPUS, .max_slots = VHM_MAX_SLOTS,
		.max_cpuid_entries = VHM_MAX_CPUID_ENTRIES, .run_page_bytes = PAGE_SIZE,
		.tsc_khz = tsc_khz, .apic_timer_hz = VHM_APIC_TIMER_HZ,
		.state_bytes = PAGE_ALIGN(vhm_state_bytes(NULL, 0)),
	};
	vhm_backend->describe(info);
	return vhm_copy_back(user, info, sizeof(*info));
}

static long get_cpuid(struct file *file, void *arg, void __user *user)
{
	struct vhm_cpuid *cpuid = arg;
	const struct vhm_cpuid_table *table = vhm_cpuid_supported();
	u32 room = cpuid->entry_count;

	cpuid->entry_count = table->count;
	if (room >= table->count && copy_to_user(u64_to_user_ptr(cpuid->entries), table->entries,
						 table->count * sizeof(*table->entries)))
		return -EFAULT;
	return vhm_copy_back(user, cpuid, sizeof(*cpuid)) ?: room < table->count ? -ENOSPC : 0;
}

/*
 * Who has created a VM through this descriptor is likely to create another: what is costly to
 * bring about and to end stays until the descriptor is closed. file->private_data has it, and until
 * then &vhm_device, by misc_open().
 */
static void keep_for_next(struct file *file, struct vhm_vm *vm)
{
	void *kept;

	if (READ_ONCE(file->private_data) != &vhm_device)
		return;
	kept = vhm_backend->keep(vm);
	if (kept && cmpxchg(&file->private_data, (void *)&vhm_device, kept) != &vhm_device)
		vhm_backend->unkeep(kept);	/* another thread was quicker */
}

static int device_release(struct inode *inode, struct file *file)
{
	if (file->private_data != &vhm_device)
		vhm_backend->unkeep(file->private_data);
	return 0;
}

#define VM_FLAGS (VHM_VM_EXIT_UNKNOWN_MSR | VHM_VM_EXIT_HLT | VHM_VM_EXIT_HYPERCALL)

static long vm_create(struct file *file, void *arg, void __user *user)
{
	struct vhm_vm_create *create = arg;
	struct vhm_vm *vm;
	long fd;

	if (create->flags & ~VM_FLAGS)
		return -EINVAL;
	vm = vhm_vm_create(create->flags);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	keep_for_next(file, vm);
	fd = vhm_vm_open(vm);
	if (fd < 0)
		vhm_vm_put(vm);
	return fd;
}

static const struct vhm_command device_commands[] = {
	VHM_COMMAND(VHM_GET_INFO, struct vhm_info, get_info),
	VHM_COMMAND(VHM_GET_CPUID, struct vhm_cpuid, get_cpuid),
	VHM_COMMAND(VHM_VM_CREATE, struct vhm_vm_create, vm_create),
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vhm_dispatch(file, cmd, arg, device_commands, ARRAY_SIZE(device_commands));
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE, .release = device_release,
	.unlocked_ioctl = device_ioctl, .compat_ioctl = compat_ptr_ioctl,
};

struct miscdevice vhm_device = {
	.minor = MISC_DYNAMIC_MINOR, .name = "vhm", .fops = &device_fops, .mode = 0660,
};
