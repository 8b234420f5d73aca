// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracker descriptor: what the guest has written.
 */
#include "ioctl.h"

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

/* What the descriptor stands for: a reference to the VM, and its tracker. */
struct tracker_file {
	struct vhm_vm *vm;
	void *tracker;
};

static long harvest(struct file *file, void *arg, void __user *user)
{
	const struct tracker_file *tracker = file->private_data;
	struct vhm_harvest *harvest = arg;
	bool list = harvest->flags & VHM_HARVEST_LIST;
	long ret;

	if (harvest->flags & ~VHM_HARVEST_LIST || harvest->data % sizeof(u64) ||
	    !vhm_is_range(harvest->gpa, harvest->bytes) ||
	    harvest->gpa % (VHM_HARVEST_ALIGN * PAGE_SIZE))
		return -EINVAL;
	if (list ? harvest->room < VHM_HARVEST_ALIGN : harvest->room)
		return -EINVAL;
	ret = vhm_backend->harvest(tracker->vm, tracker->tracker, harvest);
	return vhm_copy_back(user, harvest, sizeof(*harvest)) ?: ret;
}

static const struct vhm_command tracker_commands[] = {
	VHM_COMMAND(VHM_TRACKER_HARVEST, struct vhm_harvest, harvest),
};

static long tracker_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return vhm_dispatch(file, cmd, arg, tracker_commands, ARRAY_SIZE(tracker_commands));
}

static int tracker_release(struct inode *inode, struct file *file)
{
	struct tracker_file *tracker = file->private_data;

	vhm_backend->tracker_free(tracker->vm, tracker->tracker);
	vhm_vm_put(tracker->vm);
	kfree(tracker);
	return 0;
}

static const struct file_operations tracker_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = tracker_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = tracker_release,
	.llseek = noop_llseek,
};

/**
 * vhm_tracker_open() - create a tracker and its descriptor
 * @vm: the VM
 */
long vhm_tracker_open(struct vhm_vm *vm)
{
	struct tracker_file *tracker = kzalloc(sizeof(*tracker), GFP_KERNEL_ACCOUNT);
	long fd;

	if (!tracker)
		return -ENOMEM;
	mutex_lock(&vm->lock);
	tracker->tracker = vhm_backend->tracker_create(vm);
	mutex_unlock(&vm->lock);
	if (IS_ERR(tracker->tracker)) {
		fd = PTR_ERR(tracker->tracker);
		goto err;
	}
	vhm_vm_get(vm);
	tracker->vm = vm;
	fd = anon_inode_getfd("vhm-tracker", &tracker_fops, tracker, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	vhm_backend->tracker_free(vm, tracker->tracker);
	vhm_vm_put(vm);
err:
	kfree(tracker);
	return fd;
}
