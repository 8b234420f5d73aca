// SPDX-License-Identifier: GPL-2.0-only
/*
 * End of interrupt without an exit, for processors without virtual-interrupt delivery: a bit in the
 * guest's memory says that it may clear that bit instead of writing the EOI register.
 *
 * The bit is set while the guest runs, and never outside of it: it is offered on the way into the
 * guest and settled on the way out, before anybody looks at the local APIC.
 */

#include "apic.h"
#include "pv_internal.h"

static gpa_t eoi_gpa(const struct vhm_vcpu *vcpu)
{
	return vcpu->pv.msr[VHM_PV_EOI] & ~(u64)KVM_MSR_ENABLED;
}

/**
 * vhm_pv_eoi_offer() - let the guest end its interrupt by memory
 * @vcpu: the vCPU, about to enter the guest; interrupts off
 *
 * Not if another interrupt waits for the end of this one, nor if the VMM is to be told of it:
 * both need the exit.
 */
void vhm_pv_eoi_offer(struct vhm_vcpu *vcpu)
{
	const u8 offered = KVM_PV_EOI_ENABLED;

	if (!vhm_pv_enabled(vcpu, VHM_PV_EOI) || !vhm_apic_eoi_is_silent(vcpu->apic))
		return;
	vcpu->pv.eoi_offered = !vhm_guest_write_nofault(vcpu->vm, eoi_gpa(vcpu), &offered,
							sizeof(offered));
}

/* What the guest did must be known: only a signal that kills ends a wait for the page. */
static bool interrupted(struct vhm_vcpu *vcpu, int ret)
{
	return ret == -EINTR && vhm_guest_wait(vcpu->vm, eoi_gpa(vcpu), sizeof(u8));
}

/**
 * vhm_pv_eoi_settle() - take the offer back, and carry out what the guest made of it
 * @vcpu: the vCPU, after an exit; may sleep
 *
 * Where the memory has gone meanwhile the interrupt counts as ended.
 */
void vhm_pv_eoi_settle(struct vhm_vcpu *vcpu)
{
	u8 offered = 0;

	vcpu->pv.eoi_offered = false;
	while (interrupted(vcpu, vhm_guest_read(vcpu, eoi_gpa(vcpu), &offered, sizeof(offered))))
		;
	if (!(offered & KVM_PV_EOI_MASK)) {
		vhm_apic_eoi(vcpu->apic);
		return;
	}
	offered = KVM_PV_EOI_DISABLED;
	while (interrupted(vcpu, vhm_guest_write(vcpu, eoi_gpa(vcpu), &offered, sizeof(offered))))
		;
}
