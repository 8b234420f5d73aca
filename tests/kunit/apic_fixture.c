// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the suites of the local APIC share: see apic_fixture.h. The list of registers was
 * written from the manual and shares nothing with the model's.
 */
#include "apic_fixture.h"

#include <linux/slab.h>

#include "vhm/tsc.h"

/* --------------------------------------------------------------- doubles -- */

u64 apic_host_tsc, apic_tsc_offset, apic_tsc_multiplier;
u32 apic_guest_khz;
u64 vhm_tsc_lost;
u32 apic_mode_changes, apic_state_changes;
static const struct vhm_backend_ops *saved_backend;

#ifdef CONFIG_UML
unsigned int tsc_khz = 2100000;

unsigned long long rdtsc(void)
{
	return apic_host_tsc;
}
#endif

u64 vhm_guest_tsc(struct vhm_vcpu *vcpu, u64 host_tsc)
{
	return vhm_tsc_scale(host_tsc, apic_tsc_multiplier) + apic_tsc_offset;
}

u64 vhm_host_ticks(const struct vhm_vcpu *vcpu, u64 guest_ticks)
{
	return vhm_tsc_unscale(guest_ticks, apic_tsc_multiplier);
}

u32 vhm_vcpu_tsc_khz(const struct vhm_vcpu *vcpu)
{
	return apic_guest_khz;
}

void vhm_vcpu_request(struct vhm_vcpu *vcpu, enum vhm_request request)
{
	set_bit(request, &vcpu->requests);
}

void vhm_pv_cpuid_changed(struct vhm_vcpu *vcpu)
{
}

void vhm_vcpu_nmi(struct vhm_vcpu *vcpu)
{
	atomic_inc(&vcpu->nmi_pending);
}

static void count_mode_change(struct vhm_vcpu *vcpu)
{
	apic_mode_changes++;
}

static void count_state_change(struct vhm_vcpu *vcpu)
{
	apic_state_changes++;
}

static void ignore_cpuid_change(struct vhm_vcpu *vcpu)
{
}

static void ask_for_apic(struct vhm_vcpu *vcpu)
{
	vhm_vcpu_request(vcpu, VHM_REQ_APIC);
}

static u64 no_xcr0(void)
{
	return 0;
}

static int no_room_needed(struct vhm_vcpu *vcpu, u64 xcr0)
{
	return 0;
}

static const struct vhm_backend_ops backend = {
	.interrupt_posted = ask_for_apic,
	.apic_mode_changed = count_mode_change,
	.apic_state_changed = count_state_change,
	.process_xcr0 = no_xcr0,
	.enable_xcr0 = no_room_needed,
	.cpuid_changed = ignore_cpuid_change,
};

/* --------------------------------------------------------------- fixture -- */

static const struct vhm_cpuid_entry guest_cpuid = {
	.leaf = 1,
	.ecx = BIT(21) | BIT(24),	/* x2APIC, TSC deadline */
};

struct vhm_vcpu *apic_add_vcpu(struct kunit *test, u32 id)
{
	struct apic_fixture *f = test->priv;
	struct vhm_vcpu *vcpu = &f->vcpu[f->count];

	vcpu->vm = &f->vm;
	vcpu->id = id;
	f->count++;
	KUNIT_ASSERT_EQ(test, vhm_apic_create(vcpu), 0);
	KUNIT_ASSERT_EQ(test, vhm_cpuid_set(vcpu, &guest_cpuid, 1), 0);
	KUNIT_ASSERT_EQ(test, xa_err(xa_store(&f->vm.vcpus, id, vcpu, GFP_KERNEL)), 0);
	return vcpu;
}

void apic_power_up(struct vhm_apic *apic)
{
	apic->base_msr = BASE_XAPIC | (apic->vcpu->id ? 0 : BSP);
	vhm_apic_reset(apic->vcpu);
}

int apic_take_level_eoi(struct vhm_apic *apic)
{
	int vector = apic->level_eoi;

	apic->level_eoi = -1;
	return vector;
}

struct vhm_apic *apic_enabled(struct kunit *test)
{
	struct apic_fixture *f = test->priv;

	if (!f->count)
		f->apic = apic_add_vcpu(test, 0)->apic;
	apic_power_up(f->apic);
	KUNIT_ASSERT_TRUE(test, vhm_apic_write(f->apic, APIC_SPIV, 0x1ff));
	return f->apic;
}

void apic_enter_x2apic(struct kunit *test, struct vhm_apic *apic)
{
	KUNIT_ASSERT_EQ(test, vhm_apic_msr_write(apic, MSR_IA32_APICBASE, BASE_X2APIC), 0);
}

u32 apic_read(struct kunit *test, struct vhm_apic *apic, u32 offset)
{
	u32 value;

	KUNIT_EXPECT_TRUE_MSG(test, vhm_apic_read(apic, offset, &value), "offset %#x", offset);
	return value;
}

u64 apic_read_msr(struct kunit *test, struct vhm_apic *apic, u32 index)
{
	u64 value = 0;

	KUNIT_EXPECT_EQ_MSG(test, vhm_apic_msr_read(apic, index, &value), 0, "msr %#x", index);
	return value;
}

int apic_fixture_init(struct kunit *test)
{
	const struct vhm_cpuid_limits limits = {
		.tsc_khz = tsc_khz, .gpa_bits = 40,
	};
	struct apic_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	test->priv = f;
	xa_init(&f->vm.vcpus);
	test_seed(test, &f->random);
	apic_host_tsc = 1ull << 40;
	apic_guest_khz = tsc_khz;
	apic_tsc_multiplier = VHM_TSC_UNSCALED;
	apic_tsc_offset = 1000000 - apic_host_tsc;
	apic_mode_changes = 0;
	apic_state_changes = 0;
	saved_backend = vhm_backend;
	vhm_backend = &backend;
	vhm_cpuid_init(&limits);
	return 0;
}

void apic_fixture_exit(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	u32 i;

	for (i = 0; f && i < f->count; i++) {
		vhm_apic_free(&f->vcpu[i]);
		kvfree(f->vcpu[i].cpuid);
	}
	if (f)
		xa_destroy(&f->vm.vcpus);
	vhm_backend = saved_backend;
}

/* ------------------------------------------------------------- registers -- */

static const struct apic_expected manual[] = {
	{ 0x020, true, true, false, 0, 0, 0 },
	{ 0x030, true, true, false, 0, 0, 0x50014 },
	{ 0x080, true, true, true, 0xff, 0xff, 0 },
	{ 0x090, true, false, false, 0, 0, 0 },
	{ 0x0a0, true, true, false, 0, 0, 0 },
	{ 0x0b0, true, false, true, 0, 0, 0 },
	{ 0x0c0, true, false, false, 0, 0, 0 },
	{ 0x0d0, true, true, false, 0xff000000, 0, 0 },
	{ 0x0e0, true, false, false, 0xf0000000, 0, 0x0fffffff },
	{ 0x0f0, true, true, true, 0x3ff, 0x3ff, 0 },
	{ 0x280, true, true, true, 0, 0, 0 },
	{ 0x300, true, true, true, 0xccfff & ~0x1000, 0xccfff | 0x1000, 0 },
	{ 0x310, true, false, false, 0xff000000, 0, 0 },
	{ 0x320, true, true, true, 0x700ff, 0x710ff, 0 },
	{ 0x330, true, true, true, 0x107ff, 0x117ff, 0 },
	{ 0x340, true, true, true, 0x107ff, 0x117ff, 0 },
	{ 0x350, true, true, true, 0x1a7ff, 0x1f7ff, 0 },
	{ 0x360, true, true, true, 0x1a7ff, 0x1f7ff, 0 },
	{ 0x370, true, true, true, 0x100ff, 0x110ff, 0 },
	{ 0x380, true, true, true, 0xffffffff, 0xffffffff, 0 },
	{ 0x390, true, true, false, 0, 0, 0 },
	{ 0x3e0, true, true, true, 0xb, 0xb, 0 },
	{ 0x3f0, false, false, true, 0, 0xff, 0 },
};

const struct apic_expected *apic_expect(u32 offset)
{
	static const struct apic_expected vectors = { 0, true, true, false, 0, 0, 0 };
	u32 i;

	if (offset >= 0x100 && offset < 0x280 && !(offset & 0xf))
		return &vectors;
	for (i = 0; i < ARRAY_SIZE(manual); i++)
		if (manual[i].offset == offset)
			return &manual[i];
	return NULL;
}
