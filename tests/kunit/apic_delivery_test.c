// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delivery between local APICs and from messages against the manual's rules spelt out
 * for one APIC at a time.
 */
#include "apic_fixture.h"

/* Would the manual's words, read aloud, make this APIC a target? */
static bool target_by_the_book(const struct vhm_apic *apic, u32 destination, bool logical)
{
	u32 ldr = lapic_get(apic, APIC_LDR), model = lapic_get(apic, APIC_DFR) >> 28;
	u32 id = apic->vcpu->id, cluster, member;

	if (destination == 0xffffffff)
		return true;
	if (!logical)
		return destination == id;
	if (vhm_apic_mode(apic) == VHM_APIC_X2APIC) {
		cluster = destination / 65536;
		return cluster == id / 16 && (destination % 65536) >> id % 16 & 1;
	}
	if (destination >= 256)
		return false;
	if (model == 15)
		return (destination & ldr / 0x1000000) != 0;
	if (model)
		return false;
	cluster = destination / 16;
	member = destination % 16;
	return (cluster == 15 || cluster == ldr >> 28) && (member & (ldr >> 24) % 16) != 0;
}

/* A VM of APICs in all modes and states */
static void motley_vm(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	struct vhm_apic *apic;
	u32 i, id;

	for (i = 0; i < APIC_MOST_VCPUS; i++) {
		do
			id = test_random(&f->random, i % 2 ? 40 : VHM_MAX_VCPUS);
		while (xa_load(&f->vm.vcpus, id));
		apic = apic_add_vcpu(test, id)->apic;
		if (i % 5)
			vhm_apic_write(apic, APIC_SPIV, 0x1ff);
		vhm_apic_write(apic, APIC_LDR, test_random(&f->random, 256) << 24);
		vhm_apic_write(apic, APIC_DFR,
			       (u32)test_random(&f->random, 3) * 0x78000000 | 0x0fffffff);
		if (i % 3 == 0)
			apic_enter_x2apic(test, apic);
		if (i == 7)
			vhm_apic_msr_write(apic, MSR_IA32_APICBASE, 0xfee00000);
	}
}

static u32 random_destination(struct apic_fixture *f)
{
	switch (test_random(&f->random, 5)) {
	case 0:
		return f->vcpu[test_random(&f->random, f->count)].id;
	case 1:
		return test_random(&f->random, 16) << 16 | test_random(&f->random, 65536);
	case 2:
		return 0xffffffff - test_random(&f->random, 2);
	default:
		return test_random(&f->random, 256);
	}
}

/* Did this vCPU receive it? Takes it away. */
static bool received(struct vhm_vcpu *vcpu, const struct vhm_interrupt *irq)
{
	bool got;

	switch (irq->delivery_mode) {
	case APIC_DM_NMI:
		return atomic_xchg(&vcpu->nmi_pending, 0);
	case APIC_DM_INIT:
		return vhm_request_test_clear(vcpu, VHM_REQ_INIT);
	case APIC_DM_STARTUP:
		return vhm_request_test_clear(vcpu, VHM_REQ_SIPI) &&
		       vcpu->sipi_vector == irq->vector;
	default:
		got = test_and_clear_bit(irq->vector, irq->level ? vcpu->apic->pending_level :
					 vcpu->apic->posted.pending);
		return vhm_request_test_clear(vcpu, VHM_REQ_APIC) && got;
	}
}

static void check_delivery(struct kunit *test, struct vhm_apic *source,
			   const struct vhm_interrupt *irq)
{
	bool vectored = irq->delivery_mode == APIC_DM_FIXED ||
			irq->delivery_mode == APIC_DM_LOWEST;
	bool nobody = irq->delivery_mode == APIC_DM_SMI || irq->delivery_mode == APIC_DM_EXTINT;
	struct apic_fixture *f = test->priv;
	u32 i, candidates = 0, got = 0, strangers = 0;
	struct vhm_apic *apic;
	int accepted = vhm_apic_deliver(&f->vm, source, irq);
	bool wanted;

	for (i = 0; i < f->count; i++) {
		apic = f->vcpu[i].apic;
		wanted = irq->shorthand == APIC_DEST_SELF ? apic == source :
			 irq->shorthand == APIC_DEST_ALLINC ? true :
			 irq->shorthand == APIC_DEST_ALLBUT ? apic != source :
			 target_by_the_book(apic, irq->destination, irq->logical);
		wanted &= vhm_apic_mode(apic) != VHM_APIC_DISABLED && !nobody;
		if (vectored)
			wanted &= !!(lapic_get(apic, APIC_SPIV) & 0x100);
		candidates += wanted;
		if (received(&f->vcpu[i], irq)) {
			got++;
			strangers += !wanted;
		}
	}
	KUNIT_ASSERT_EQ(test, strangers, 0u);
	KUNIT_ASSERT_EQ(test, (int)got, accepted);
	KUNIT_ASSERT_EQ_MSG(test, got,
			    irq->delivery_mode == APIC_DM_LOWEST ? min(candidates, 1u) : candidates,
			    "destination %#x mode %#x logical %d shorthand %#x", irq->destination,
			    irq->delivery_mode, irq->logical, irq->shorthand);
}

static void delivery(struct kunit *test)
{
	static const u32 modes[] = {
		APIC_DM_FIXED, APIC_DM_FIXED, APIC_DM_LOWEST, APIC_DM_LOWEST, APIC_DM_SMI,
		APIC_DM_NMI, APIC_DM_INIT, APIC_DM_STARTUP, APIC_DM_EXTINT,
	};
	static const u32 shorthands[] = { 0, 0, 0, 0, APIC_DEST_SELF, APIC_DEST_ALLINC,
					  APIC_DEST_ALLBUT };
	struct apic_fixture *f = test->priv;
	struct vhm_interrupt irq;
	struct vhm_apic *source;
	u32 i;

	motley_vm(test);
	for (i = 0; i < 30000; i++) {
		source = f->vcpu[test_random(&f->random, f->count)].apic;
		irq = (struct vhm_interrupt) {
			.destination = random_destination(f),
			.vector = 16 + test_random(&f->random, 240),
			.delivery_mode = modes[test_random(&f->random, ARRAY_SIZE(modes))],
			.logical = test_random(&f->random, 2),
			.level = test_random(&f->random, 2),
			.asserted = true,
			.shorthand = shorthands[test_random(&f->random, ARRAY_SIZE(shorthands))],
		};
		check_delivery(test, source, &irq);
	}
}

/* Different vectors of lowest priority spread evenly; the same one stays. */
static void lowest_priority_is_fair(struct kunit *test)
{
	struct vhm_interrupt irq = {
		.destination = LAPIC_BROADCAST, .delivery_mode = APIC_DM_LOWEST, .asserted = true,
	};
	struct apic_fixture *f = test->priv;
	u32 i, round, hits[5] = {};
	u8 chosen[256];

	for (i = 0; i < 5; i++)
		vhm_apic_write(apic_add_vcpu(test, i)->apic, APIC_SPIV, 0x1ff);
	for (round = 0; round < 2; round++)
		for (irq.vector = 16; irq.vector < 256; irq.vector++) {
			KUNIT_ASSERT_EQ(test, vhm_apic_deliver(&f->vm, NULL, &irq), 1);
			for (i = 0; i < 5; i++)
				if (received(&f->vcpu[i], &irq))
					break;
			KUNIT_ASSERT_LT(test, i, 5u);
			hits[i]++;
			if (round)
				KUNIT_ASSERT_EQ(test, (u32)chosen[irq.vector], i);
			chosen[irq.vector] = i;
		}
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, hits[i], 2 * 240 / 5u);
}

/* ICR of both modes, by a pair of APICs */
static void interprocessor(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	struct vhm_vcpu *other = apic_add_vcpu(test, 200);
	struct apic_fixture *f = test->priv;

	vhm_apic_write(other->apic, APIC_SPIV, 0x1ff);
	vhm_apic_write(apic, APIC_ICR2, 200u << 24);
	vhm_apic_write(apic, APIC_ICR, 0x80fd);			/* "level" is ignored */
	KUNIT_EXPECT_TRUE(test, test_bit(0xfd, other->apic->posted.pending));
	KUNIT_EXPECT_FALSE(test, test_bit(0xfd, other->apic->pending_level));
	KUNIT_EXPECT_TRUE(test, bitmap_empty(apic->posted.pending, 256));
	vhm_apic_write(apic, APIC_ICR, 0x8500);			/* INIT level de-assert */
	KUNIT_EXPECT_FALSE(test, vhm_request_test_clear(other, VHM_REQ_INIT));
	vhm_apic_write(apic, APIC_ICR, 0x4500);
	KUNIT_EXPECT_TRUE(test, vhm_request_test_clear(other, VHM_REQ_INIT));
	vhm_apic_write(apic, APIC_ICR, 0x4699);
	KUNIT_EXPECT_TRUE(test, vhm_request_test_clear(other, VHM_REQ_SIPI));
	KUNIT_EXPECT_EQ(test, other->sipi_vector, 0x99u);
	vhm_apic_write(apic, APIC_ICR2, 0xff000000);		/* broadcast */
	vhm_apic_write(apic, APIC_ICR, 0x400);
	KUNIT_EXPECT_EQ(test, atomic_read(&other->nmi_pending), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&apic->vcpu->nmi_pending), 1);

	apic_enter_x2apic(test, apic);
	vhm_apic_msr_write(apic, 0x830, 0xffull << 32 | 0x400);	/* id 255: nobody */
	KUNIT_EXPECT_EQ(test, atomic_read(&other->nmi_pending), 1);
	vhm_apic_msr_write(apic, 0x830, 0xffffffffull << 32 | 0x400);
	KUNIT_EXPECT_EQ(test, atomic_read(&other->nmi_pending), 2);
	apic_enter_x2apic(test, other->apic);
	vhm_apic_msr_write(apic, 0x830, 0xc0100ull << 32 | 0x8ef);	/* cluster 12, member 8 */
	KUNIT_EXPECT_TRUE(test, test_bit(0xef, other->apic->posted.pending));
	KUNIT_EXPECT_EQ(test, f->count, 2u);
}

static void messages(struct kunit *test)
{
	struct apic_fixture *f = test->priv;
	struct vhm_apic *apic = apic_enabled(test);
	u32 bit;

	for (bit = 0; bit < 64; bit++) {
		/* bits 0, 1, 4-11 say nothing; 2: logical, of nobody; 3: hint; others: to whom */
		if (bit >= 20 && bit < 40)
			KUNIT_EXPECT_EQ_MSG(test, vhm_apic_deliver_msi(&f->vm, 0xfee00000 ^
								       BIT_ULL(bit), 0x40),
					    -EINVAL, "address bit %u", bit);
		else
			KUNIT_EXPECT_EQ_MSG(test, vhm_apic_deliver_msi(&f->vm, 0xfee00000 |
								       BIT_ULL(bit), 0x40),
					    bit < 12 && bit != 2, "address bit %u", bit);
	}
	for (bit = 8; bit < 32; bit++)
		if ((bit > 10 && bit < 14) || bit > 15)
			KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfee00000,
								   0x40 | BIT(bit)), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfeeff000, 0x40), 1);
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xffffff00feeff000, 0x40), 1);
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfee00000, 0x8040), 0);
	vhm_apic_sync(apic);
	KUNIT_EXPECT_FALSE(test, lapic_test_vector(apic, APIC_TMR, 0x40));
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfee00000, 0xc040), 1);
	vhm_apic_sync(apic);
	KUNIT_EXPECT_TRUE(test, lapic_test_vector(apic, APIC_TMR, 0x40));

	/* logical, of both; with the redirection hint of one of them */
	vhm_apic_write(apic, APIC_LDR, 0x01000000);
	apic = apic_add_vcpu(test, 1)->apic;
	vhm_apic_write(apic, APIC_SPIV, 0x1ff);
	vhm_apic_write(apic, APIC_LDR, 0x02000000);
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfee03004, 0x50), 2);
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfee0300c, 0x50), 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(delivery),
	KUNIT_CASE(lowest_priority_is_fair),
	KUNIT_CASE(interprocessor),
	KUNIT_CASE(messages),
	{}
};

static struct kunit_suite suite = {
	.name = "apic_delivery",
	.init = apic_fixture_init,
	.exit = apic_fixture_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
