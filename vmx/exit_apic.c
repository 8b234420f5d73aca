// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits of APIC virtualization (SDM vol. 3, 30.4) and TPR below threshold.
 */
#include "vmx.h"

#include <asm/processor-flags.h>

#include "instruction.h"
#include "registers.h"

/* table 28-6, Exit Qualification for APIC-Access VM Exits */
#define ACCESS_OFFSET(q)	((q) & 0xfff)
#define ACCESS_TYPE(q)		(((q) >> 12) & 0xf)

enum access_type {
	ACCESS_LINEAR_READ	= 0,
	ACCESS_LINEAR_WRITE	= 1,
	ACCESS_LINEAR_FETCH	= 2,
	ACCESS_EVENT_DELIVERY	= 3,
};

/*
 * An access the processor does not virtualize (unaligned, wide, read-modify-write, not a
 * known register): decoded by user space as any MMIO, applied by VHM_VCPU_APIC_ACCESS.
 */
enum vmx_exit_outcome vmx_exit_apic_access(struct vmx_vcpu *v)
{
	u64 qualification = vmx_qualification(v);
	u32 type = ACCESS_TYPE(qualification);
	struct vhm_exit_mmio mmio = {
		.gpa = 0xfee00000 | ACCESS_OFFSET(qualification),
		.flags = VHM_MMIO_APIC,
		.cs_base = vmread(GUEST_CS_BASE),
		.cs_access_rights = (u32)vmread(GUEST_CS_AR_BYTES),
		.cpl = (vmread(GUEST_SS_AR_BYTES) >> 5) & 3,
		.cr0 = vmx_read_cr0(v),
		.cr3 = vmread(GUEST_CR3),
		.cr4 = vmx_read_cr4(v),
		.efer = vmread(GUEST_IA32_EFER),
	};

	if (type > ACCESS_LINEAR_FETCH)
		return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
	mmio.flags |= type == ACCESS_LINEAR_READ ? VHM_MMIO_READ :
		      type == ACCESS_LINEAR_WRITE ? VHM_MMIO_WRITE : VHM_MMIO_FETCH;
	vmx_exit_to_user(v, VHM_EXIT_MMIO);
	v->base.run->mmio = mmio;
	return VMX_TO_USER;
}

/* Trap-like: the register holds the new value and the instruction is done (30.4.3.3). */
enum vmx_exit_outcome vmx_exit_apic_write(struct vmx_vcpu *v)
{
	vhm_apic_written(v->base.apic, vmx_qualification(v) & 0xff0);
	return VMX_RESUME;
}

static enum vmx_exit_outcome tell_eoi(struct vmx_vcpu *v, u32 vector)
{
	vmx_exit_to_user(v, VHM_EXIT_EOI);
	v->base.run->eoi = (struct vhm_exit_eoi) { .vector = vector };
	return VMX_TO_USER;
}

/* Trap-like: a level-triggered vector of the EOI-exit bitmap was ended (30.1.4). */
enum vmx_exit_outcome vmx_exit_eoi(struct vmx_vcpu *v)
{
	return tell_eoi(v, vmx_qualification(v) & 0xff);
}

/* The next entry finds the interrupt deliverable. */
enum vmx_exit_outcome vmx_exit_tpr(struct vmx_vcpu *v)
{
	return VMX_RESUME;
}
