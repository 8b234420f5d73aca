// SPDX-License-Identifier: GPL-2.0-only
/* CPUID exits. The table and its dynamic fields are vhm/cpuid.c's. */
#include "vmx.h"

#include "vhm/cpuid.h"

enum vmx_exit_outcome vmx_exit_cpuid(struct vmx_vcpu *v)
{
	/* the bits it may depend on are host-owned: the shadow has them */
	vhm_cpuid_answer(&v->base, v->cr4_shadow, v->xcr0, &v->base.regs);
	vmx_skip_insn(v);
	return VMX_RESUME;
}
