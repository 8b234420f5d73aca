/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Paravirtual interface: arithmetic, checks and its signature in CPUID, pure. Nothing outside
 * vhm/ and its tests includes this.
 */
#ifndef VHM_PV_INTERNAL_H
#define VHM_PV_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/math64.h>
#include <linux/time64.h>
#include <uapi/linux/kvm_para.h>
#include <uapi/asm/kvm_para.h>

#include "pv.h"

/**
 * struct pv_scale - nanoseconds of a TSC tick, as the guest reckons
 * @mult: in 2^-32 ns
 * @shift: binary logarithm of what ticks are multiplied by before
 */
struct pv_scale {
	u32 mult;
	s8 shift;
};

/*
 * @khz is not 0. No shift to the right, which would make @mult finer by a bit or two: guests take
 * the frequency from here, too, and would lose its last bits.
 */
static inline struct pv_scale pv_scale(u32 khz)
{
	u64 ticks = khz;
	s8 shift = 0;

	for (; ticks <= NSEC_PER_MSEC; ticks <<= 1)
		shift++;
	return (struct pv_scale) { .mult = ((u64)NSEC_PER_MSEC << 32) / ticks, .shift = shift };
}

static inline u64 pv_scale_ns(struct pv_scale scale, u64 ticks)
{
	return mul_u64_u32_shr(ticks << scale.shift, scale.mult, 32);
}

/* "KVMKVMKVM", padded with zeros; EBX, ECX and EDX of leaf 40000000H */
#define PV_SIGNATURE_EBX	0x4b4d564bu
#define PV_SIGNATURE_ECX	0x564b4d56u
#define PV_SIGNATURE_EDX	0x4du

static inline bool pv_is_signature(u32 ebx, u32 ecx, u32 edx)
{
	return ebx == PV_SIGNATURE_EBX && ecx == PV_SIGNATURE_ECX && edx == PV_SIGNATURE_EDX;
}

/*
 * What a guest may be given; EAX of leaf 40000001H. Steal time needs SCHED_INFO, which every host
 * has whose kernel can have preempt notifiers: KVM selects both.
 */
#define PV_FEATURES	(BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) | \
			 BIT(KVM_FEATURE_NOP_IO_DELAY) | BIT(KVM_FEATURE_STEAL_TIME) | \
			 BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_UNHALT) | \
			 BIT(KVM_FEATURE_PV_TLB_FLUSH) | BIT(KVM_FEATURE_PV_SEND_IPI) | \
			 BIT(KVM_FEATURE_POLL_CONTROL) | BIT(KVM_FEATURE_PV_SCHED_YIELD))

/**
 * struct pv_msr - an MSR of the interface
 * @index: its number
 * @feature: KVM_FEATURE_* that it comes with
 * @reserved: bits that must be 0: below the alignment of the address, and what is not defined
 */
struct pv_msr {
	u32 index, feature;
	u64 reserved;
};

static const struct pv_msr pv_msrs[VHM_PV_MSRS] __maybe_unused = {
	[VHM_PV_WALL_CLOCK]	= { MSR_KVM_WALL_CLOCK_NEW, KVM_FEATURE_CLOCKSOURCE2, 3 },
	[VHM_PV_SYSTEM_TIME]	= { MSR_KVM_SYSTEM_TIME_NEW, KVM_FEATURE_CLOCKSOURCE2, 2 },
	[VHM_PV_STEAL_TIME]	= { MSR_KVM_STEAL_TIME, KVM_FEATURE_STEAL_TIME,
				    KVM_STEAL_RESERVED_MASK },
	[VHM_PV_EOI]		= { MSR_KVM_PV_EOI_EN, KVM_FEATURE_PV_EOI, 2 },
	[VHM_PV_POLL_CONTROL]	= { MSR_KVM_POLL_CONTROL, KVM_FEATURE_POLL_CONTROL, ~1ull },
};

#define PV_IPI_IDS	256	/* APIC ids that there can be */

/*
 * Destinations of KVM_HC_SEND_IPI: bit n of @low and then @high is APIC id @first + n; 64 of
 * each in 64-bit mode, else 32. Ids that no vCPU has are left out.
 */
static inline void pv_ipi_targets(unsigned long *targets, u64 low, u64 high, u32 first, bool bits64)
{
	u32 half = bits64 ? 64 : 32;

	bitmap_zero(targets, PV_IPI_IDS);
	for (u32 n = 0; n < 2 * half && (u64)first + n < PV_IPI_IDS; n++)
		if ((n < half ? low >> n : high >> (n - half)) & 1)
			__set_bit(first + n, targets);
}

#endif /* VHM_PV_INTERNAL_H */
