/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RIP, RFLAGS and the exit qualification: read from the VMCS when somebody asks, written back
 * before the next entry. The VMCS is current wherever these are used.
 */
#ifndef VMX_REGISTERS_H
#define VMX_REGISTERS_H

#include <asm/processor-flags.h>

#include "instruction.h"
#include "vmx.h"

static inline u64 vmx_qualification(struct vmx_vcpu *v)
{
	if (!v->facts.qualification_read) {
		v->facts.qualification = vmread(EXIT_QUALIFICATION);
		v->facts.qualification_read = true;
	}
	return v->facts.qualification;
}

static inline u64 vmx_rip(struct vmx_vcpu *v)
{
	if (!v->rip_read) {
		v->base.regs.rip = vmread(GUEST_RIP);
		v->rip_read = true;
	}
	return v->base.regs.rip;
}

static inline u64 vmx_rflags(struct vmx_vcpu *v)
{
	if (!v->rflags_read) {
		v->base.regs.rflags = vmread(GUEST_RFLAGS);
		v->rflags_read = true;
	}
	return v->base.regs.rflags;
}

static inline void vmx_set_rip(struct vmx_vcpu *v, u64 rip)
{
	v->base.regs.rip = rip;
	v->rip_read = true;
	v->rip_dirty = true;
}

/* Bits that the processor reserves would fail the entry (SDM vol. 3, 27.3.1.4). */
#define RFLAGS_GUEST	0x3f7fd5ull

static inline void vmx_set_rflags(struct vmx_vcpu *v, u64 rflags)
{
	v->base.regs.rflags = (rflags & RFLAGS_GUEST) | X86_EFLAGS_FIXED;
	v->rflags_read = true;
	v->rflags_dirty = true;
}

#define RSP_NUMBER	4

/* struct vhm_registers is in encoding order; RSP is in the VMCS. */
static inline u64 vmx_read_gpr(struct vmx_vcpu *v, u32 number)
{
	return number == RSP_NUMBER ? vmread(GUEST_RSP) : (&v->base.regs.rax)[number];
}

static inline void vmx_write_gpr(struct vmx_vcpu *v, u32 number, u64 value)
{
	if (number == RSP_NUMBER)
		vmwrite(GUEST_RSP, value);
	else
		(&v->base.regs.rax)[number] = value;
}

static inline void vmx_set_primary(struct vmx_vcpu *v, u32 control, bool on)
{
	u32 primary = on ? v->primary | control : v->primary & ~control;

	if (primary == v->primary)
		return;
	v->primary = primary;
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, primary);
}

/* An exit that says so came out of an IRET that had unblocked NMIs: block them again (28.2.3). */
static inline void vmx_block_nmi_again(struct vmx_vcpu *v)
{
	if (!(v->facts.idt_vectoring & VECTORING_INFO_VALID_MASK))
		vmwrite(GUEST_INTERRUPTIBILITY_INFO,
			vmread(GUEST_INTERRUPTIBILITY_INFO) | GUEST_INTR_STATE_NMI);
}

static inline u32 vmx_cpl(void)
{
	return (vmread(GUEST_SS_AR_BYTES) >> 5) & 3;
}

static inline u32 vmx_insn_bytes(struct vmx_vcpu *v)
{
	return (u32)vmread(VM_EXIT_INSTRUCTION_LEN);
}

/* The exit is user space's: what all exits say in the run page. */
static inline enum vmx_exit_outcome
vmx_exit_to_user(struct vmx_vcpu *v, enum vhm_exit_reason reason)
{
	struct vhm_run *run = v->base.run;

	run->exit_reason = reason;
	run->hardware_reason = v->facts.reason;
	run->hardware_qualification = vmx_qualification(v);
	run->insn_bytes = 0;
	return VMX_TO_USER;
}

/* Likewise, of an instruction that user space carries out and retires. */
static inline enum vmx_exit_outcome
vmx_insn_to_user(struct vmx_vcpu *v, enum vhm_exit_reason reason)
{
	vmx_exit_to_user(v, reason);
	v->base.run->insn_bytes = vmx_insn_bytes(v);
	return VMX_TO_USER;
}

#endif /* VMX_REGISTERS_H */
