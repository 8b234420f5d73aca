/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites of the local APIC share: a VM of bare APICs, whose backend, requests
 * and TSC the tests play, and the manual's list of registers.
 */
#ifndef VHM_TEST_APIC_FIXTURE_H
#define VHM_TEST_APIC_FIXTURE_H

#include "test.h"

#include "vhm/apic_internal.h"
#include "vhm/cpuid.h"

#define APIC_MOST_VCPUS	20

#define BASE_XAPIC	0xfee00800ull
#define BASE_X2APIC	0xfee00c00ull
#define BSP		0x100ull

/**
 * struct apic_fixture - a case's VM, in test->priv
 * @vm: the VM
 * @vcpu: its vCPUs, with nothing but id, APIC and CPUID
 * @apic: of the first
 * @count: how many there are
 * @random: random numbers
 */
struct apic_fixture {
	struct vhm_vm vm;
	struct vhm_vcpu vcpu[APIC_MOST_VCPUS];
	struct vhm_apic *apic;
	u32 count;
	struct rnd_state random;
};

/* init and exit of a suite */
int apic_fixture_init(struct kunit *test);
void apic_fixture_exit(struct kunit *test);

/* the host's TSC, which only cases move, and the guest's minus it */
extern u64 apic_host_tsc, apic_tsc_offset, apic_tsc_multiplier;
extern u32 apic_guest_khz;
/* calls of the backend */
extern u32 apic_mode_changes, apic_state_changes;

struct vhm_vcpu *apic_add_vcpu(struct kunit *test, u32 id);
/* as after vhm_apic_create() */
void apic_power_up(struct vhm_apic *apic);
/* the level-triggered vector that was ended since the last call, or -1 */
int apic_take_level_eoi(struct vhm_apic *apic);
/* vCPU 0 as after power-up, software-enabled, in xAPIC mode */
struct vhm_apic *apic_enabled(struct kunit *test);
void apic_enter_x2apic(struct kunit *test, struct vhm_apic *apic);
/* registers that must be there */
u32 apic_read(struct kunit *test, struct vhm_apic *apic, u32 offset);
u64 apic_read_msr(struct kunit *test, struct vhm_apic *apic, u32 index);

/**
 * struct apic_expected - a register as the manual's tables 10-1 and 10-6 list it
 * @offset: in the page
 * @xapic: exists in xAPIC mode
 * @read: x2APIC: RDMSR
 * @write: x2APIC: WRMSR
 * @xapic_bits: bits that a write changes in xAPIC mode
 * @x2apic_bits: bits that a write may set without #GP in x2APIC mode
 * @sticky: bits that read as 1 whatever is written
 */
struct apic_expected {
	u16 offset;
	bool xapic;
	bool read, write;
	u32 xapic_bits;
	u32 x2apic_bits;
	u32 sticky;
};

/* NULL: no such register */
const struct apic_expected *apic_expect(u32 offset);

#endif /* VHM_TEST_APIC_FIXTURE_H */
