/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arithmetic of a scaled TSC: pure, no state. A guest reads
 *
 *	(host TSC * multiplier >> VHM_TSC_FRACTION_BITS) + offset
 *
 * (SDM vol. 3, 26.3, Changes to Instruction Behavior in VMX Non-Root Operation, RDTSC).
 */
#ifndef VHM_TSC_H
#define VHM_TSC_H

#include <linux/bits.h>
#include <linux/limits.h>
#include <linux/math64.h>

#define VHM_TSC_FRACTION_BITS	48
#define VHM_TSC_UNSCALED	BIT_ULL(VHM_TSC_FRACTION_BITS)

#define VHM_TSC_RATIO_LG2	4	/* a guest's TSC is at most 16 times as fast or slow */
#define VHM_TSC_KHZ_MAX		BIT(25)

static inline bool vhm_tsc_khz_valid(u32 guest_khz, u32 host_khz)
{
	return guest_khz && guest_khz < VHM_TSC_KHZ_MAX &&
	       guest_khz < (u64)host_khz << VHM_TSC_RATIO_LG2 &&
	       (u64)guest_khz << VHM_TSC_RATIO_LG2 > host_khz;
}

/**
 * vhm_tsc_multiplier - multiplier that makes one frequency of another
 * @guest_khz: what is wanted; vhm_tsc_khz_valid()
 * @host_khz: what the processor counts
 *
 * Rounded down. Return: above 2^44, below 2^52.
 */
static inline u64 vhm_tsc_multiplier(u32 guest_khz, u32 host_khz)
{
	return mul_u64_u32_div(VHM_TSC_UNSCALED, guest_khz, host_khz);
}

/* As the processor does it: the low 64 bits. */
static inline u64 vhm_tsc_scale(u64 host, u64 multiplier)
{
	if (multiplier == VHM_TSC_UNSCALED)
		return host;
	return mul_u64_u64_shr(host, multiplier, VHM_TSC_FRACTION_BITS);
}

/**
 * vhm_tsc_unscale - how many ticks of the host a number of ticks of the guest takes
 * @guest: ticks
 * @multiplier: as vhm_tsc_multiplier() gives it
 *
 * Rounded up: that much later the guest's TSC is further by @guest at least. Saturates.
 */
static inline u64 vhm_tsc_unscale(u64 guest, u64 multiplier)
{
	const u32 digit_bits = 12;	/* 2^52 shifted by so much fits */
	u64 rest, host, digit;

	if (multiplier == VHM_TSC_UNSCALED)
		return guest;
	host = div64_u64_rem(guest, multiplier, &rest);
	if (host >> (63 - VHM_TSC_FRACTION_BITS))
		return U64_MAX;
	for (u32 bits = 0; bits < VHM_TSC_FRACTION_BITS; bits += digit_bits) {
		digit = div64_u64_rem(rest << digit_bits, multiplier, &rest);
		host = host << digit_bits | digit;
	}
	return host + !!rest;
}

#endif /* VHM_TSC_H */
