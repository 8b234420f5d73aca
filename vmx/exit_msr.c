// SPDX-License-Identifier: GPL-2.0-only
/* RDMSR and WRMSR exits. The model is vmx/msr.c's. */
#include "vmx.h"

#include <asm/apicdef.h>
#include <asm/msr-index.h>

static enum vmx_exit_outcome refuse(struct vmx_vcpu *v, u32 index, u32 flags, u64 value, int error)
{
	if (error != -ENOENT || !(v->base.vm->flags & VHM_VM_EXIT_UNKNOWN_MSR))
		return vmx_queue_gp(v);
	v->base.run->msr = (struct vhm_exit_msr) { .index = index, .flags = flags, .value = value };
	return vmx_insn_to_user(v, VHM_EXIT_MSR);
}

enum vmx_exit_outcome vmx_exit_rdmsr(struct vmx_vcpu *v)
{
	u32 index = (u32)v->base.regs.rcx;
	u64 value;
	int error = vmx_guest_rdmsr(v, index, &value);

	if (error)
		return refuse(v, index, 0, 0, error);
	v->base.regs.rax = (u32)value;
	v->base.regs.rdx = value >> 32;
	return vmx_skip_insn(v);
}

/*
 * May this write be carried out with interrupts off? Those of the local APIC that guests make
 * all the time: interprocessor interrupts and the timer. Without virtual-interrupt delivery
 * other writes change what the next entry has to inject.
 */
bool vmx_wrmsr_is_quick(struct vmx_vcpu *v)
{
	u32 index = (u32)v->base.regs.rcx;

	/* to a processor, or those of one cluster */
	if (index == VMX_X2APIC_MSR(APIC_ICR))
		return !(v->base.regs.rax & APIC_DEST_ALLINC) && (u32)v->base.regs.rdx != U32_MAX;
	/* the host's timer is set outside of the loop */
	return vmx_caps.preemption_timer &&
	       (index == MSR_IA32_TSC_DEADLINE || index == VMX_X2APIC_MSR(APIC_TMICT));
}

enum vmx_exit_outcome vmx_exit_wrmsr(struct vmx_vcpu *v)
{
	u32 index = (u32)v->base.regs.rcx;
	u64 value = (u32)v->base.regs.rax | v->base.regs.rdx << 32;
	int error = vmx_guest_wrmsr(v, index, value);

	/* not carried out: the guest executes it again */
	if (error == -EINTR)
		return VMX_SIGNAL;
	if (error)
		return refuse(v, index, VHM_MSR_WRITE, value, error);
	return vmx_skip_insn(v);
}
