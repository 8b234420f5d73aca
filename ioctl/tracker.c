// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracker descriptor: what the guest has written.
 */
#include "ioctl.h"

#include <linux/anon_inodes.h>
#include <linux/module.h>

static long harvest(struct file *file, void *arg, void __user *user)
{
	struct vhm_harvest *harvest = arg;
	bool list = harvest->flags & VHM_HARVEST_LIST;
	long ret;

	if (harvest->flags & ~VHM_HARVEST_LIST || harvest->data % sizeof(u64) ||
	    !vhm_is_range(harvest->gpa, harvest->bytes) ||
	    harvest->gpa % (VHM_HARVEST_ALIGN * PAGE_SIZE) ||
	    (list ? harvest->room < VHM_HARVEST_ALIGN : harvest->room))
		return -EINVAL;
	ret = vhm_backend->harvest(file->private_data, harvest);
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
	vhm_backend->tracker_free(file->private_data);
	return 0;
}

static const struct file_operations tracker_fops = {
	.owner = THIS_MODULE, .release = tracker_release,
	.unlocked_ioctl = tracker_ioctl, .compat_ioctl = compat_ptr_ioctl,
};

/**
 * vhm_tracker_open() - create a tracker and its descriptor
 * @vm: the VM
 */
long vhm_tracker_open(struct vhm_vm *vm)
{
	struct ept_tracker *tracker;
	long fd;

	mutex_lock(&vm->lock);
	tracker = vhm_backend->tracker_create(vm->ept);
	mutex_unlock(&vm->lock);
	if (IS_ERR(tracker))
		return PTR_ERR(tracker);
	fd = anon_inode_getfd("vhm-tracker", &tracker_fops, tracker, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		vhm_backend->tracker_free(tracker);
	return fd;
}
