/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Character device, descriptors and command tables. This folder parses, makes one core
 * call and responds; it holds no state of its own.
 */
#ifndef IOCTL_IOCTL_H
#define IOCTL_IOCTL_H

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include "vhm/vhm.h"

/**
 * struct vhm_command - one row of a command table
 * @number: _IOC_NR of the command
 * @min_bytes: size of its struct in the first version; 0: the argument must be 0
 * @bytes: size of its struct today
 * @execute: called with a copy of the struct (or NULL), zero-extended to @bytes;
 *	returns the result of ioctl(). @user is where changes are copied back to.
 */
struct vhm_command {
	u8 number;
	u16 min_bytes, bytes;
	long (*execute)(struct file *file, void *arg, void __user *user);
};

#define VHM_COMMAND_MAX_BYTES	512

#define VHM_COMMAND(cmd, type, function)				\
	{ .number = _IOC_NR(cmd), .min_bytes = sizeof(type),		\
	  .bytes = sizeof(type) + BUILD_BUG_ON_ZERO(sizeof(type) > VHM_COMMAND_MAX_BYTES),	\
	  .execute = (function) }

#define VHM_COMMAND_NO_ARGUMENT(cmd, function)				\
	{ .number = _IOC_NR(cmd), .execute = (function) }

long vhm_dispatch(struct file *file, unsigned int cmd, unsigned long arg,
		  const struct vhm_command *table, unsigned int rows);
long vhm_copy_back(void __user *user, const void *arg, u32 bytes);

extern struct miscdevice vhm_device;
long vhm_vm_open(struct vhm_vm *vm);
long vhm_vcpu_open(struct vhm_vm *vm, u32 id);
long vhm_tracker_open(struct vhm_vm *vm);

#define VHM_HARVEST_ALIGN	64	/* pages; room of a list, too */

/* Whole pages, at least one, and no wrap. */
static inline bool vhm_is_range(u64 gpa, u64 bytes)
{
	return bytes && PAGE_ALIGNED(gpa | bytes) && gpa + bytes > gpa;
}

#endif /* IOCTL_IOCTL_H */
