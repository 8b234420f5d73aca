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
 * enum vhm_cpuid_feature - what the backend may be able to give to guests
 * @VHM_CPUID_RDTSCP: RDTSCP and RDPID execute in guests
 * @VHM_CPUID_INVPCID: INVPCID executes in guests
 * @VHM_CPUID_PCID: a guest may set CR4.PCIDE
 * @VHM_CPUID_XSAVES: XSAVES and XRSTORS execute in guests
 * @VHM_CPUID_PKU: the host switches PKRU and a guest may set CR4.PKE
 * @VHM_CPUID_SPEC_CTRL: guests reach IA32_SPEC_CTRL and IA32_PRED_CMD
 *
 * It is still given only if the host's processor has it. What is modelled is given always: x2APIC
 * and the TSC deadline.
 */
enum vhm_cpuid_feature {
	VHM_CPUID_RDTSCP	= BIT(0),
	VHM_CPUID_INVPCID	= BIT(1),
	VHM_CPUID_PCID		= BIT(2),
	VHM_CPUID_XSAVES	= BIT(3),
	VHM_CPUID_PKU		= BIT(4),
	VHM_CPUID_SPEC_CTRL	= BIT(5),
};

/**
 * struct vhm_cpuid_limits - what the backend can give to guests
 * @xcr0: XCR0 bits a guest may set; 0: no XSAVE
 * @tsc_khz: frequency of the guest's TSC
 * @gpa_bits: width of a guest-physical address
 * @features: bits of enum vhm_cpuid_feature
 */
struct vhm_cpuid_limits {
	u64 xcr0;
	u32 tsc_khz, gpa_bits, features;
};

/**
 * struct vhm_cpuid_table - what guests may be given
 * @count: entries there are
 * @entries: sorted by leaf and subleaf
 */
struct vhm_cpuid_table {
	u32 count;
	struct vhm_cpuid_entry entries[VHM_CPUID_MAX_SUPPORTED];
};

/* fills @regs, EAX EBX ECX EDX, with what a processor answers */
typedef void (*vhm_cpuid_fn)(u32 leaf, u32 subleaf, u32 regs[4]);

/* Once, when the backend knows its limits and before the first vCPU is created. */
void vhm_cpuid_init(const struct vhm_cpuid_limits *limits);
/* What the calling process may give its guests: VHM_GET_CPUID gives it to user space. */
const struct vhm_cpuid_table *vhm_cpuid_supported(void);

void vhm_cpuid_build(struct vhm_cpuid_table *table, const struct vhm_cpuid_limits *limits,
		     vhm_cpuid_fn host);
int vhm_cpuid_check(const struct vhm_cpuid_entry *entries, u32 count,
		    const struct vhm_cpuid_table *supported);
void vhm_cpuid_tsc_ratio(u32 tsc_khz, u32 *numerator, u32 *denominator);

/* vcpu->mutex held */
int vhm_cpuid_set(struct vhm_vcpu *vcpu, const struct vhm_cpuid_entry *entries, u32 count);
const struct vhm_cpuid_entry *vhm_cpuid_find(const struct vhm_vcpu *vcpu, u32 leaf, u32 subleaf);
bool vhm_cpuid_has(const struct vhm_vcpu *vcpu, u32 feature);
void vhm_cpuid_answer(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0, struct vhm_registers *regs);

#endif /* VHM_CPUID_H */
