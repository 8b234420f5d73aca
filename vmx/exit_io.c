// SPDX-License-Identifier: GPL-2.0-only
/* Port accesses. All go to user space; nothing about them is kept here. */
#include "vmx.h"

/* SDM vol. 3, table 28-5, Exit Qualification for I/O Instructions */
#define IO_SIZE(q)	(((q) & 7) + 1)
#define IO_IN		BIT(3)
#define IO_STRING	BIT(4)
#define IO_REP		BIT(5)
#define IO_PORT(q)	(((q) >> 16) & 0xffff)

/* Table 28-14, VM-Exit Instruction-Information Field for INS and OUTS */
#define INFO_ADDRESS_SIZE(i)	(((i) >> 7) & 7)
#define INFO_SEGMENT(i)		(((i) >> 15) & 7)

/* INS and OUTS: further flags; segment and address go straight to the run page. */
static noinline u32 describe_string(struct vmx_vcpu *v, bool in)
{
	u32 info = (u32)vmread(VMX_INSTRUCTION_INFO);
	struct vhm_exit_io *io = &v->base.run->io;

	/* INS writes to ES always; the field is undefined for it */
	io->segment = in ? VHM_SEGMENT_ES : INFO_SEGMENT(info);
	io->linear_address = vmread(GUEST_LINEAR_ADDRESS);
	if (INFO_ADDRESS_SIZE(info) == 0)
		return VHM_IO_STRING | VHM_IO_ADDRESS_16;
	if (INFO_ADDRESS_SIZE(info) == 1)
		return VHM_IO_STRING | VHM_IO_ADDRESS_32;
	return VHM_IO_STRING;
}

/* The run page is written only: what user space writes at the same time harms nobody else. */
enum vmx_exit_outcome vmx_exit_io(struct vmx_vcpu *v)
{
	u64 qualification = vmx_qualification(v);
	struct vhm_exit_io *io = &v->base.run->io;
	u32 bytes = IO_SIZE(qualification), flags = 0, data = 0;

	io->segment = 0;
	io->reserved = 0;
	io->linear_address = 0;
	if (qualification & IO_IN)
		flags |= VHM_IO_IN;
	if (qualification & IO_REP)
		flags |= VHM_IO_REP;
	if (unlikely(qualification & IO_STRING))
		flags |= describe_string(v, qualification & IO_IN);
	else if (!(qualification & IO_IN))
		data = (u32)v->base.regs.rax & (U32_MAX >> ((32 - 8 * bytes) & 31));
	io->port = IO_PORT(qualification);
	io->bytes = bytes;
	io->flags = flags;
	io->data = data;
	return vmx_insn_to_user(v, VHM_EXIT_IO);
}
