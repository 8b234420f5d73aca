/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID of guests: what one may be given, the table of a vCPU, answers.
 */
#ifndef VHM_CPUID_H
#define VHM_CPUID_H

#include <asm/cpufeatures.h>
#include "vhm.h"

/* most entries of the supported table */
#define VHM_CPUID_MAX_SUPPORTED		64

/**
 * struct vhm_cpuid_limits - what the backend can give to guests
 * @xcr0: XCR0 bits a guest may set; 0: no XSAVE
 * @tsc_khz: frequency of the guest's TSC
 * @pv_features: EAX of leaf 40000001H
 * @gpa_bits: width of a guest-physical address
 * @invariant_tsc: the host's TSC runs at one rate in all power states
 * @rdtscp: RDTSCP and RDPID execute in guests
 * @invpcid: INVPCID executes in guests
 * @pcid: a guest may set CR4.PCIDE
 * @xsaves: XSAVES and XRSTORS execute in guests
 * @pku: the host switches PKRU and a guest may set CR4.PKE
 * @spec_ctrl: guests reach IA32_SPEC_CTRL and IA32_PRED_CMD
 * @flush_cmd: guests reach IA32_FLUSH_CMD
 * @arch_capabilities: IA32_ARCH_CAPABILITIES is modelled
 *
 * What a flag allows is still given only if the host's processor has it. What is modelled is given
 * always: x2APIC and the TSC deadline.
 */
struct vhm_cpuid_limits {
	u64 xcr0;
	u32 tsc_khz;
	u32 pv_features;
	u32 gpa_bits;
	bool invariant_tsc;
	bool rdtscp;
	bool invpcid;
	bool pcid;
	bool xsaves;
	bool pku;
	bool spec_ctrl;
	bool flush_cmd;
	bool arch_capabilities;
};

/* fills @regs, EAX EBX ECX EDX, with what a processor answers */
typedef void (*vhm_cpuid_fn)(u32 leaf, u32 subleaf, u32 regs[4]);

/* Once, when the backend knows its limits and before the first vCPU is created. */
int vhm_cpuid_init(const struct vhm_cpuid_limits *limits);
/* What vhm_cpuid_init() has computed: VHM_GET_CPUID gives it to user space. */
const struct vhm_cpuid_entry *vhm_cpuid_table(u32 *count);

int vhm_cpuid_build(struct vhm_cpuid_entry *entries, u32 room, u32 *count,
		    const struct vhm_cpuid_limits *limits, vhm_cpuid_fn host);
int vhm_cpuid_check(const struct vhm_cpuid_entry *entries, u32 count,
		    const struct vhm_cpuid_entry *supported, u32 supported_count);
void vhm_cpuid_tsc_ratio(u32 tsc_khz, u32 *numerator, u32 *denominator);

/* vcpu->mutex held */
int vhm_cpuid_set(struct vhm_vcpu *vcpu, const struct vhm_cpuid_entry *entries, u32 count);
void vhm_cpuid_free(struct vhm_vcpu *vcpu);
const struct vhm_cpuid_entry *vhm_cpuid_find(const struct vhm_vcpu *vcpu, u32 leaf, u32 subleaf);
bool vhm_cpuid_has(const struct vhm_vcpu *vcpu, u32 feature);
void vhm_cpuid_answer(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0, struct vhm_registers *regs);

#endif /* VHM_CPUID_H */
