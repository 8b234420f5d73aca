// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Errors and exits in words: constant strings, one line each, that say what to do.
 *
 * Nothing here prints, translates or allocates.
 */
#include "internal.h"
#include "zydis_soname.h"

#ifndef ZYDIS_SONAME
#define ZYDIS_SONAME	"Zydis"
#endif

struct explanation {
	enum vhm_step step;
	int error;
	const char *text;
};

static const struct explanation explanations[] = {
	{ VHM_STEP_OPEN, ENOENT, "no /dev/vhm: load the module (modprobe vhm); the kernel log tells if it refuses" },
	{ VHM_STEP_OPEN, EACCES, "no permission to open /dev/vhm: run as root or ask for access to the device" },
	{ VHM_STEP_OPEN, EPERM, "no permission to open /dev/vhm: run as root or ask for access to the device" },
	{ VHM_STEP_OPEN, ENODEV, "this processor has no usable VMX: turn VT-x on in the firmware; the kernel log says what is missing" },
	{ VHM_STEP_OPEN, ENXIO, "this processor has no usable VMX: turn VT-x on in the firmware; the kernel log says what is missing" },
	{ VHM_STEP_OPEN, EPROTO, "the vhm module speaks another ABI version: install module and library of one release" },
	{ VHM_STEP_OPEN, ENOTTY, "this file is not the VHM device" },
	{ VHM_STEP_VM, ENODEV, "this processor has no usable VMX: turn VT-x on in the firmware; the kernel log says what is missing" },
	{ VHM_STEP_VM, EBUSY, "another hypervisor holds VMX: stop its VMs and unload it (rmmod kvm_intel)" },
	{ VHM_STEP_VM, EINVAL, "the vhm module does not know one of the VM's flags: install a newer module" },
	{ VHM_STEP_MEMORY, EINVAL, "guest memory must be whole pages, page aligned, and within the processor's physical address width" },
	{ VHM_STEP_MEMORY, EEXIST, "this range of guest memory overlaps another one, or the local APIC at 0xfee00000" },
	{ VHM_STEP_MEMORY, ENOMEM, "the host cannot give this much guest memory: ask for less" },
	{ VHM_STEP_MEMORY, ENOSPC, "the VM has as many memory slots, or ranges with rights of their own, as the module allows" },
	{ VHM_STEP_MEMORY, ENOENT, "no guest memory is there, or none begins there" },
	{ VHM_STEP_MEMORY, EOPNOTSUPP, "this processor cannot let a guest execute what it may not read" },
	{ VHM_STEP_MEMORY, ENODATA, "the file is shorter than the guest memory it is for" },
	{ VHM_STEP_MEMORY, EACCES, "no permission to map the file as guest memory: sharing it takes the right to write it" },
	{ VHM_STEP_MEMORY, ENODEV, "this file cannot be mapped, or the host has no huge pages of this size" },
	{ VHM_STEP_MEMORY, EPERM, "the VM belongs to another process" },
	{ VHM_STEP_VCPU, EEXIST, "a vCPU with this number exists already" },
	{ VHM_STEP_VCPU, EINVAL, "the vCPU's number or its set-up is not one the module accepts" },
	{ VHM_STEP_VCPU, EBUSY, "the vCPU is running, or has run already" },
	{ VHM_STEP_VCPU, EOPNOTSUPP, "this host does not support a part of the vCPU's set-up" },
	{ VHM_STEP_LOAD, ENOENT, "the image file does not exist" },
	{ VHM_STEP_LOAD, EACCES, "no permission to read the image file" },
	{ VHM_STEP_LOAD, EISDIR, "the image is a directory" },
	{ VHM_STEP_LOAD, EINVAL, "the image is not a regular file, or the memory map or boot area is malformed" },
	{ VHM_STEP_LOAD, ENOEXEC, "the image is no bootable kernel, or it is damaged or cut short" },
	{ VHM_STEP_LOAD, EOPNOTSUPP, "the image is a kernel of a kind that cannot be loaded: 64-bit x86 Linux with boot protocol 2.12 or later, or an ELF64 vmlinux is needed" },
	{ VHM_STEP_LOAD, E2BIG, "the command line is longer than this kernel accepts" },
	{ VHM_STEP_LOAD, ENOMEM, "kernel and initrd do not fit into guest memory: give the guest more memory" },
	{ VHM_STEP_LOAD, EFAULT, "guest memory is missing where the image or its boot area must be" },
	{ VHM_STEP_LOAD, ENODATA, "an image file became shorter while it was read" },
	{ VHM_STEP_RUN, EOPNOTSUPP, "the guest accessed a device with an instruction that is not emulated" },
	{ VHM_STEP_RUN, EFAULT, "the guest runs or keeps its page tables where it has no memory" },
	{ VHM_STEP_RUN, ELIBACC, "the guest accessed a device in memory, and the decoder for its instructions, " ZYDIS_SONAME ", is not there: install Zydis (Debian: libzydis4.0)" },
	{ VHM_STEP_RUN, EIO, "the VM is dead; the kernel log says why" },
	{ VHM_STEP_RUN, EPERM, "the VM belongs to another process" },
	{ VHM_STEP_RUN, EBUSY, "the guest cannot take an external interrupt now" },
	{ VHM_STEP_RUN, EINTR, "a signal is pending" },
	{ VHM_STEP_RUN, EPROTO, "the module returned an exit that contradicts itself" },
};

static const struct explanation common[] = {
	{ VHM_STEP_OPEN, ENOMEM, "not enough memory on the host" },
	{ VHM_STEP_OPEN, EMFILE, "the process has too many open files: raise its limit (ulimit -n)" },
	{ VHM_STEP_OPEN, ENFILE, "the system has too many open files" },
	{ VHM_STEP_OPEN, EIO, "input/output error, or the VM is dead; the kernel log says which" },
	{ VHM_STEP_OPEN, ENOTTY, "the vhm module does not know this command: install module and library of one release" },
	{ VHM_STEP_OPEN, E2BIG, "the vhm module is older than this library: install module and library of one release" },
	{ VHM_STEP_OPEN, EOPNOTSUPP, "not supported on this machine" },
	{ VHM_STEP_OPEN, EINVAL, "invalid argument" },
	{ VHM_STEP_OPEN, EFAULT, "bad address" },
	{ VHM_STEP_OPEN, EBADF, "bad file descriptor" },
	{ VHM_STEP_OPEN, EINTR, "interrupted by a signal" },
	{ VHM_STEP_OPEN, EPERM, "operation not permitted" },
	{ VHM_STEP_OPEN, EACCES, "permission denied" },
	{ VHM_STEP_OPEN, EBUSY, "device or resource busy" },
	{ VHM_STEP_OPEN, ENOENT, "no such object" },
	{ VHM_STEP_OPEN, ENOSPC, "no room left" },
};

EXPORT const char *vhm_explain(enum vhm_step step, int error)
{
	size_t i;

	if (error >= 0)
		return "no error";
	for (i = 0; i < ARRAY_SIZE(explanations); i++) {
		if (explanations[i].step == step && explanations[i].error == -error)
			return explanations[i].text;
	}
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		if (common[i].error == -error)
			return common[i].text;
	}
	return "unexpected error";
}

static const char *const exit_names[] = {
	[VHM_EXIT_NONE] = "none",
	[VHM_EXIT_INTERRUPTED] = "interrupted",
	[VHM_EXIT_KICKED] = "kicked",
	[VHM_EXIT_IO] = "io",
	[VHM_EXIT_MMIO] = "mmio",
	[VHM_EXIT_MSR] = "msr",
	[VHM_EXIT_HLT] = "hlt",
	[VHM_EXIT_HYPERCALL] = "hypercall",
	[VHM_EXIT_SHUTDOWN] = "shutdown",
	[VHM_EXIT_TASK_SWITCH] = "task switch",
	[VHM_EXIT_EXCEPTION] = "exception",
	[VHM_EXIT_IRQ_WINDOW] = "interrupt window",
	[VHM_EXIT_EOI] = "end of interrupt",
	[VHM_EXIT_MEMORY_FAULT] = "memory fault",
	[VHM_EXIT_ENTRY_FAILED] = "entry failed",
	[VHM_EXIT_UNHANDLED] = "unhandled",
	[VHM_EXIT_RESET] = "reset",
	[VHM_EXIT_DEADLINE] = "deadline",
	[VHM_EXIT_DENIED] = "denied",
};

EXPORT const char *vhm_exit_name(uint32_t exit_reason)
{
	if (exit_reason >= ARRAY_SIZE(exit_names) || !exit_names[exit_reason])
		return "unknown";
	return exit_names[exit_reason];
}
