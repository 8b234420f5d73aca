// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits of APIC virtualization (SDM vol. 3, 30.4) and TPR below threshold.
 */
#include "vmx.h"

#include <asm/apicdef.h>

/* table 28-6, Exit Qualification for APIC-Access VM Exits */
#define ACCESS_OFFSET(q)	((q) & 0xfff)
#define ACCESS_TYPE(q)		(((q) >> 12) & 0xf)

/* of linear accesses: the number of the bit that says so to user space */
#define ACCESS_READ		0
#define ACCESS_FETCH		2
static_assert(BIT(ACCESS_READ) == VHM_MMIO_READ && BIT(ACCESS_FETCH) == VHM_MMIO_FETCH);

/*
 * An access the processor does not virtualize (unaligned, wide, read-modify-write, not a
 * known register): decoded by user space as any MMIO, applied by VHM_VCPU_APIC_ACCESS.
 */
enum vmx_exit_outcome vmx_exit_apic_access(struct vmx_vcpu *v)
{
	u64 qualification = vmx_qualification(v);
	u32 type = ACCESS_TYPE(qualification);

	/* delivery of an event, and guest-physical ones */
	if (type > ACCESS_FETCH)
		return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
	return vmx_mmio_to_user(v, VHM_EXIT_MMIO,
				APIC_DEFAULT_PHYS_BASE | ACCESS_OFFSET(qualification),
				VHM_MMIO_APIC | BIT(type), 0);
}

/* Trap-like: the register holds the new value and the instruction is done (30.4.3.3). */
enum vmx_exit_outcome vmx_exit_apic_write(struct vmx_vcpu *v)
{
	vhm_apic_written(v->base.apic, vmx_qualification(v) & 0xff0);
	return VMX_RESUME;
}

/* Trap-like: a level-triggered vector of the EOI-exit bitmap was ended (30.1.4). */
enum vmx_exit_outcome vmx_exit_eoi(struct vmx_vcpu *v)
{
	v->base.run->eoi = (struct vhm_exit_eoi) { .vector = vmx_qualification(v) & 0xff };
	return vmx_exit_to_user(v, VHM_EXIT_EOI);
}
