// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command dispatch: size, copy-in, table row, execute. The rules of argument structs are
 * copy_struct_from_user()'s.
 */
#include "ioctl.h"

static const struct vhm_command *find(const struct vhm_command *table, unsigned int rows,
				      unsigned int number)
{
	unsigned int i;

	for (i = 0; i < rows; i++)
		if (table[i].number == number)
			return &table[array_index_nospec(i, rows)];
	return NULL;
}

static int copy_in(const struct vhm_command *command, void *copy, void __user *user)
{
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
	return ret;
}

/* Apart, since running a vCPU must not pay for the stack that the copy takes. */
static noinline long execute_with_copy(const struct vhm_command *command, struct file *file,
				       void __user *user)
{
	/* copy_in() fills what the command may look at: clearing all first costs as much again */
	u64 copy[VHM_COMMAND_MAX_BYTES / sizeof(u64)] __attribute__((__uninitialized__));
	int ret;

	if (WARN_ON_ONCE(command->bytes > sizeof(copy)))
		return -EINVAL;
	ret = copy_in(command, copy, user);
	if (ret)
		return ret;
	return command->execute(file, copy, user);
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

	if (_IOC_TYPE(cmd) != VHM_IOCTL_TYPE || _IOC_DIR(cmd) != _IOC_NONE || _IOC_SIZE(cmd))
		return -ENOTTY;
	command = find(table, rows, _IOC_NR(cmd));
	if (!command)
		return -ENOTTY;
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
