// SPDX-License-Identifier: GPL-2.0-only
/* Port accesses. All go to user space; nothing about them is kept here. */
#include "vmx.h"

#include "instruction.h"
#include "registers.h"

/* SDM vol. 3, table 28-5, Exit Qualification for I/O Instructions */
#define IO_SIZE(q)	(((q) & 7) + 1)
#define IO_IN		BIT(3)
#define IO_STRING	BIT(4)
#define IO_REP		BIT(5)
#define IO_PORT(q)	(((q) >> 16) & 0xffff)

/* Table 28-14, VM-Exit Instruction-Information Field for INS and OUTS */
#define INFO_ADDRESS_SIZE(i)	(((i) >> 7) & 7)
#define INFO_SEGMENT(i)		(((i) >> 15) & 7)

static void describe_string(struct vmx_vcpu *v, struct vhm_exit_io *io)
{
	u32 info = (u32)vmread(VMX_INSTRUCTION_INFO);

	io->flags |= VHM_IO_STRING;
	if (INFO_ADDRESS_SIZE(info) == 0)
		io->flags |= VHM_IO_ADDRESS_16;
	else if (INFO_ADDRESS_SIZE(info) == 1)
		io->flags |= VHM_IO_ADDRESS_32;
	/* INS writes to ES always; the field is undefined for it */
	io->segment = io->flags & VHM_IO_IN ? VHM_SEGMENT_ES : INFO_SEGMENT(info);
	io->linear_address = vmread(GUEST_LINEAR_ADDRESS);
}

enum vmx_exit_outcome vmx_exit_io(struct vmx_vcpu *v)
{
	u64 qualification = vmx_qualification(v);
	struct vhm_exit_io io = {
		.port = IO_PORT(qualification),
		.bytes = IO_SIZE(qualification),
	};

	if (qualification & IO_IN)
		io.flags |= VHM_IO_IN;
	if (qualification & IO_REP)
		io.flags |= VHM_IO_REP;
	if (qualification & IO_STRING)
		describe_string(v, &io);
	else if (!(qualification & IO_IN))
		io.data = (u32)v->base.regs.rax & (u32)GENMASK_ULL(io.bytes * 8 - 1, 0);

	vmx_exit_to_user(v, VHM_EXIT_IO);
	v->base.run->io = io;
	v->base.run->insn_bytes = vmx_insn_bytes(v);
	return VMX_TO_USER;
}
