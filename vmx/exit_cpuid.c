// SPDX-License-Identifier: GPL-2.0-only
/* CPUID exits. The table and its dynamic fields are vhm/cpuid.c's. */
#include "vmx.h"

#include "vhm/cpuid.h"

enum vmx_exit_outcome vmx_exit_cpuid(struct vmx_vcpu *v)
{
	struct vhm_registers *regs = &v->base.regs;
	u32 out[4] = { (u32)regs->rax, 0, (u32)regs->rcx, 0 };

	/* the bits it may depend on are host-owned: the shadow has them */
	vhm_cpuid_answer(&v->base, v->cr4_shadow, v->xcr0, out);
	regs->rax = out[0];
	regs->rbx = out[1];
	regs->rcx = out[2];
	regs->rdx = out[3];
	vmx_skip_insn(v);
	return VMX_RESUME;
}
