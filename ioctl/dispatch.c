// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command dispatch: size, copy-in, table row, execute. The rules of argument structs are
 * copy_struct_from_user()'s.
 */
#include "ioctl.h"

/* Apart, since running a vCPU must not pay for the stack that the copy takes. */
static noinline long execute_with_copy(const struct vhm_command *command, struct file *file,
				       void __user *user)
{
	/* filled as far as the command may look at it: clearing all first costs as much again */
	u64 copy[VHM_COMMAND_MAX_BYTES / sizeof(u64)] __attribute__((__uninitialized__));
	u32 bytes;
	int ret;

	if (get_user(bytes, (u32 __user *)user))
		return -EFAULT;
	if (bytes < command->min_bytes)
		return -EINVAL;
	if (bytes > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(copy, command->bytes, user, bytes);
	*(u32 *)copy = bytes;	/* the one that was checked */
	return ret ?: command->execute(file, copy, user);
}

/**
 * vhm_dispatch() - run one command
 * @file: the descriptor
 * @cmd: as passed to ioctl()
 * @arg: as passed to ioctl()
 * @table: commands of this kind of descriptor
 * @rows: rows of @table
 *
 * Errors: ENOTTY, EINVAL, E2BIG, EFAULT, and those of the command.
 */
long vhm_dispatch(struct file *file, unsigned int cmd, unsigned long arg,
		  const struct vhm_command *table, unsigned int rows)
{
	const struct vhm_command *command;
	unsigned int row = 0;

	while (row < rows && table[row].number != _IOC_NR(cmd))
		row++;
	if (row == rows || _IOC_TYPE(cmd) != VHM_IOCTL_TYPE || _IOC_DIR(cmd) != _IOC_NONE ||
	    _IOC_SIZE(cmd))
		return -ENOTTY;
	command = &table[array_index_nospec(row, rows)];
	if (!command->bytes)
		return arg ? -EINVAL : command->execute(file, NULL, NULL);
	return execute_with_copy(command, file, (void __user *)arg);
}

/**
 * vhm_copy_back() - respond: give the caller its struct back
 * @user: the caller's struct
 * @arg: the copy, whose first field is still the caller's size
 * @bytes: size of the copy
 *
 * A caller with a shorter struct gets the part it knows.
 */
long vhm_copy_back(void __user *user, const void *arg, u32 bytes)
{
	u32 callers = *(const u32 *)arg;

	return copy_to_user(user, arg, min(callers, bytes)) ? -EFAULT : 0;
}
