// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saved state of the local APIC: exact round trips, what is on its way, and every bit
 * that no guest can have.
 */
#include "apic_fixture.h"

#include <linux/slab.h>

static void random_state(struct kunit *test, struct vhm_apic *apic)
{
	struct apic_fixture *f = test->priv;
	u32 i, offset;

	apic_power_up(apic);
	if (test_random(&f->random, 4))
		vhm_apic_write(apic, APIC_SPIV, 0x1ff);
	vhm_apic_write(apic, APIC_LVTT, test_random(&f->random, 3) << 17 | 0xec);
	for (i = 0; i < 30; i++) {
		offset = test_random(&f->random, LAPIC_REGISTERS) << 4;
		if (offset != APIC_LVTT && offset != APIC_SPIV)
			vhm_apic_write(apic, offset, test_random(&f->random, 1ull << 32));
		vhm_apic_deliver_msi(&f->vm, 0xfee00000,
				     test_random(&f->random, 256) |
				     (u32)test_random(&f->random, 2) * 0xc000);
	}
	vhm_apic_write(apic, APIC_TMICT, test_random(&f->random, 2) * 0xf0000000);
	vhm_apic_msr_write(apic, MSR_IA32_TSC_DEADLINE, 1ull << 40);
	vhm_apic_sync(apic);
	for (i = 0; i < 5 && vhm_apic_deliverable(apic) >= 0; i++)
		vhm_apic_acknowledge(apic, vhm_apic_deliverable(apic));
	vhm_apic_deliver_msi(&f->vm, 0xfee00000, 0x87);
	if (test_random(&f->random, 2))
		return;
	apic_enter_x2apic(test, apic);
	/* an NMI to an id that nobody has */
	vhm_apic_msr_write(apic, 0x830, (test_random(&f->random, 1000) + 1000) << 32 | 0x400);
}

static u32 word_at(const struct vhm_apic_state *state, u32 offset)
{
	return *(const u32 *)(state->registers + offset);
}

/* Saved, loaded elsewhere and saved again: the same, but for the time that passed. */
static void state_round_trip(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test), *twin = apic_add_vcpu(test, 0)->apic;
	struct vhm_apic_state *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	struct vhm_apic_state *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct apic_fixture *f = test->priv;
	u32 i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, a);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, b);
	xa_store(&f->vm.vcpus, 0, apic->vcpu, GFP_KERNEL);
	for (i = 0; i < 500; i++) {
		random_state(test, apic);
		vhm_apic_get_state(apic->vcpu, a, sizeof(*a));
		KUNIT_ASSERT_EQ(test, vhm_apic_check_state(twin->vcpu, a, sizeof(*a)), 0);
		if (i % 2)
			vhm_apic_set_base(twin, apic->base_msr);
		vhm_apic_set_state(twin->vcpu, a, sizeof(*a));
		vhm_apic_set_base(twin, apic->base_msr);
		vhm_apic_get_state(twin->vcpu, b, sizeof(*b));
		KUNIT_ASSERT_LE(test, b->timer_remaining_ns, a->timer_remaining_ns);
		KUNIT_ASSERT_EQ(test, !b->timer_remaining_ns, !a->timer_remaining_ns);
		b->timer_remaining_ns = a->timer_remaining_ns;
		*(u32 *)(b->registers + APIC_TMCCT) = word_at(a, APIC_TMCCT);
		KUNIT_ASSERT_EQ(test, memcmp(a, b, sizeof(*a)), 0);
		KUNIT_ASSERT_EQ(test, memcmp(apic->regs, twin->regs, PAGE_SIZE), 0);
	}
}

/* What is on its way is part of the state. */
static void state_takes_in_pending(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	struct vhm_apic_state *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	struct apic_fixture *f = test->priv;
	u32 changes = apic_state_changes;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, state);
	vhm_apic_write(apic, APIC_LVTT, 0x400ec);
	vhm_apic_msr_write(apic, MSR_IA32_TSC_DEADLINE, 1);	/* past */
	vhm_apic_deliver_msi(&f->vm, 0xfee00000, 0xc044);
	vhm_apic_get_state(apic->vcpu, state, sizeof(*state));
	KUNIT_EXPECT_EQ(test, word_at(state, APIC_IRR + 0x70), BIT(0xec % 32));
	KUNIT_EXPECT_EQ(test, word_at(state, APIC_IRR + 0x20), BIT(0x44 % 32));
	KUNIT_EXPECT_EQ(test, word_at(state, APIC_TMR + 0x20), BIT(0x44 % 32));
	KUNIT_EXPECT_EQ(test, state->timer_deadline_tsc, 0ull);
	KUNIT_EXPECT_EQ(test, apic_state_changes, changes + 1);
	/* and a load drops what was on its way to the old one */
	vhm_apic_deliver_msi(&f->vm, 0xfee00000, 0x77);
	vhm_apic_set_state(apic->vcpu, state, sizeof(*state));
	KUNIT_EXPECT_TRUE(test, bitmap_empty(apic->posted.pending, 256));
	KUNIT_EXPECT_EQ(test, vhm_apic_highest(apic, APIC_IRR), 0xec);
}

/* Every bit of a saved state flipped alone: refused if no guest can have it. */
static void state_checks_every_bit(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	struct vhm_apic_state *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	const struct apic_expected *reg;
	u32 offset, bit, bits;
	u32 *word;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, state);
	vhm_apic_get_state(apic->vcpu, state, sizeof(*state));
	KUNIT_ASSERT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), 0);
	for (offset = 0; offset < LAPIC_BYTES; offset += 4) {
		reg = apic_expect(offset);
		bits = reg && reg->xapic ? reg->xapic_bits : 0;
		if (offset == APIC_PROCPRI)
			bits = 0xff;
		if (offset == APIC_ESR || offset == APIC_ESR + 4)
			bits = 0xe0;
		if (offset == APIC_ICR2 || offset == APIC_TMCCT ||
		    (offset >= 0x100 && offset < 0x280 && !(offset & 0xf)))
			bits = U32_MAX;
		if (offset == 0x100 || offset == 0x180 || offset == 0x200)
			bits = 0xffff0000;
		/* id 0: the logical id of x2APIC mode is 1; deadline and counting modes exclude */
		if (offset == APIC_LDR)
			bits |= 1;
		word = (u32 *)(state->registers + offset);
		for (bit = 0; bit < 32; bit++) {
			/* disabling asks for masked LVTs, which they are after reset */
			*word ^= BIT(bit);
			KUNIT_EXPECT_EQ_MSG(test, vhm_apic_check_state(apic->vcpu, state,
								       sizeof(*state)),
					    bits & BIT(bit) ? 0 : -EINVAL,
					    "offset %#x bit %u", offset, bit);
			*word ^= BIT(bit);
		}
	}
	state->timer_remaining_ns = 1;
	KUNIT_EXPECT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), -EINVAL);
	state->timer_remaining_ns = 0;
	state->timer_deadline_tsc = 1;
	KUNIT_EXPECT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), -EINVAL);
	*(u32 *)(state->registers + APIC_LVTT) = 0x500ec;
	KUNIT_EXPECT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), 0);
	*(u32 *)(state->registers + APIC_TMICT) = 1;
	KUNIT_EXPECT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), -EINVAL);
	*(u32 *)(state->registers + APIC_TMICT) = 0;
	*(u32 *)(state->registers + APIC_LVTT) = 0x700ec;
	KUNIT_EXPECT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), -EINVAL);
	*(u32 *)(state->registers + APIC_LVTT) = 0x400ec;
	*(u32 *)(state->registers + APIC_SPIV) = 0xff;
	KUNIT_EXPECT_EQ(test, vhm_apic_check_state(apic->vcpu, state, sizeof(*state)), -EINVAL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(state_round_trip),
	KUNIT_CASE(state_takes_in_pending),
	KUNIT_CASE(state_checks_every_bit),
	{}
};

static struct kunit_suite suite = {
	.name = "apic_state",
	.init = apic_fixture_init,
	.exit = apic_fixture_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
