/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the processor's VMX can do, read once (SDM vol. 3, appendix A, VMX Capability
 * Reporting Facility), and the control values made of it.
 *
 * The first half is pure: it compiles without hardware headers and is tested by KUnit.
 */
#ifndef VMX_CAPS_H
#define VMX_CAPS_H

#include <linux/types.h>

/**
 * struct vmx_control_request - controls wanted in one 32-bit field
 * @required: must be 1
 * @optional: should be 1 if the processor can
 * @forbidden: must be 0 (the processor can require otherwise)
 */
struct vmx_control_request {
	u32 required;
	u32 optional;
	u32 forbidden;
};

/**
 * vmx_adjust_controls() - make a control field of a wish and a capability MSR
 * @request: the wish
 * @capability: low half: bits that must be 1; high half: bits that may be 1
 * @out: the value for the VMCS
 *
 * Returns 0, or the bits of @request that cannot be had.
 */
u32 vmx_adjust_controls(const struct vmx_control_request *request, u64 capability, u32 *out);

/**
 * struct vmx_caps - capabilities
 * @revision: VMCS revision identifier
 * @vmcs_bytes: size of a VMCS region, at most 4096
 * @pin: pin-based controls, as each VMCS starts with
 * @primary: primary processor-based controls, likewise
 * @secondary: secondary processor-based controls, likewise
 * @exit: VM-exit controls, likewise
 * @entry: VM-entry controls, likewise
 * @ept_features: low half of IA32_VMX_EPT_VPID_CAP (A.10): VMX_EPT_*
 * @vpid_features: its high half: VMX_VPID_*
 * @misc: IA32_VMX_MISC
 * @cr0_fixed0: CR0 bits that must be 1, without PE and PG (unrestricted guest)
 * @cr0_fixed1: CR0 bits that may be 1
 * @cr4_fixed0: CR4 bits that must be 1
 * @cr4_fixed1: CR4 bits that may be 1
 * @tpr_shadow: CR8 needs no exits
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
	u32 vmcs_bytes;
	u32 pin;
	u32 primary;
	u32 secondary;
	u32 exit;
	u32 entry;
	u32 ept_features;
	u32 vpid_features;
	u64 misc;
	u64 cr0_fixed0, cr0_fixed1;
	u64 cr4_fixed0, cr4_fixed1;
	bool tpr_shadow;
	bool apicv;
	bool single_step;
	bool posted;
	bool vpid;
	bool write_log;
	bool tsc_scaling;
	bool preemption_timer;
	u8 preemption_timer_shift;
};

extern struct vmx_caps vmx_caps;

/* Read and check; -ENODEV after saying in the log what is missing. */
int vmx_caps_init(void);

#endif /* VMX_CAPS_H */
