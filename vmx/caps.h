/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the processor's VMX can do, read once (SDM vol. 3, appendix A, VMX Capability
 * Reporting Facility), and the control values made of it.
 */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <linux/types.h>

/* which of them are on follows the mode of a vCPU's local APIC (vmx/apicv.c) */
#define VMX_APICV_CONTROLS	(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | \
				 SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | \
				 SECONDARY_EXEC_APIC_REGISTER_VIRT | \
				 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

/**
 * vmx_adjust_controls() - make a control field of a wish and a capability MSR
 * @required: controls that must be 1
 * @optional: those that should be 1 if the processor can
 * @forbidden: those that must be 0 (the processor can require otherwise)
 * @capability: the MSR
 * @out: the value for the VMCS
 *
 * SDM vol. 3, A.2, Reserved Controls and Default Settings: a control may be 0 if its bit
 * in the low half is 0, and 1 if its bit in the high half is 1.
 *
 * Return: 0, or the bits that cannot be had. Pure.
 */
static inline u32 vmx_adjust_controls(u32 required, u32 optional, u32 forbidden, u64 capability,
				      u32 *out)
{
	u32 must_be_1 = (u32)capability, may_be_1 = capability >> 32;

	*out = ((required | optional) & may_be_1) | must_be_1;
	return (required & ~may_be_1) | (forbidden & must_be_1);
}

/**
 * struct vmx_caps - capabilities
 * @revision: VMCS revision identifier
 * @pin: pin-based controls, as each VMCS starts with
 * @primary: primary processor-based controls, likewise
 * @secondary: secondary processor-based controls, likewise
 * @exit: VM-exit controls, likewise
 * @entry: VM-entry controls, likewise
 * @ept_features: low half of IA32_VMX_EPT_VPID_CAP (A.10): VMX_EPT_*
 * @vpid_features: its high half: VMX_VPID_*
 * @misc: IA32_VMX_MISC
 * @cr0_fixed0: CR0 bits that must be 1, without PE and PG (unrestricted guest)
 * @cr4_fixed0: CR4 bits that must be 1
 * @cr4_fixed1: CR4 bits that may be 1
 * @apicv: APIC-register virtualization, virtual-interrupt delivery, both modes
 * @single_step: monitor trap flag
 * @posted: posted interrupts
 * @vpid: translations tagged by VPID, INVVPID usable
 * @write_log: page-modification logging
 * @tsc_scaling: the guest's TSC can have a frequency of its own
 * @preemption_timer: the VMX-preemption timer can be trusted
 * @preemption_timer_shift: it counts down each time this bit of the TSC changes
 */
struct vmx_caps {
	u32 revision;
	u32 pin, primary, secondary, exit, entry;
	u32 ept_features, vpid_features;
	u64 misc;
	u64 cr0_fixed0, cr4_fixed0, cr4_fixed1;
	bool apicv, single_step, posted, vpid, write_log, tsc_scaling, preemption_timer;
	u8 preemption_timer_shift;
};

extern struct vmx_caps vmx_caps;

/* Read and check; -ENODEV after saying in the log what is missing. */
int vmx_caps_init(void);

#endif /* VMX_CAPS_H */
