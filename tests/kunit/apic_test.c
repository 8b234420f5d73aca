// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: registers of both modes with their reserved bits, modes, and priorities
 * against a naive model of arrays of bool.
 */
#include "apic_fixture.h"

/* ------------------------------------------------------------- registers -- */

static bool is_counting_register(u32 offset)
{
	return offset == APIC_TMICT || offset == APIC_TMCCT || offset == APIC_TDCR;
}

/* Registers with effects on others are read back in cases of their own. */
static void xapic_registers(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	static const u32 patterns[] = { U32_MAX, 0, 0x55555555, 0xaaaaaaaa };
	const struct apic_expected *reg;
	u32 offset, i, value, want;

	for (offset = 0; offset < 2 * PAGE_SIZE; offset++) {
		reg = apic_expect(offset);
		atomic_set(&apic->errors, 0);
		KUNIT_ASSERT_EQ_MSG(test, vhm_apic_read(apic, offset, &value),
				    reg && reg->xapic, "offset %#x", offset);
		KUNIT_ASSERT_EQ_MSG(test, atomic_read(&apic->errors),
				    reg && reg->xapic ? 0 : APIC_ESR_ILLREGA, "offset %#x", offset);
		for (i = 0; i < ARRAY_SIZE(patterns); i++) {
			KUNIT_ASSERT_EQ_MSG(test, vhm_apic_write(apic, offset, patterns[i]),
					    reg && reg->xapic, "offset %#x", offset);
			if (!reg || !reg->xapic || is_counting_register(offset) ||
			    offset == APIC_ESR)
				continue;
			want = (patterns[i] & reg->xapic_bits) | reg->sticky;
			/* both mode bits make none: the upper one stays */
			if (offset == APIC_LVTT && (want & 0x60000) == 0x60000)
				want &= ~0x20000;
			if (offset == APIC_LVTT || (offset >= 0x330 && offset <= 0x370))
				vhm_apic_write(apic, APIC_SPIV, 0x1ff);
			KUNIT_ASSERT_EQ_MSG(test, apic_read(test, apic, offset), want,
					    "offset %#x pattern %#x", offset, patterns[i]);
		}
		apic_power_up(apic);
		vhm_apic_write(apic, APIC_SPIV, 0x1ff);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&apic->errors), 0);
}

/* Each bit of each MSR alone: #GP or taken */
static void x2apic_registers(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	const struct apic_expected *reg;
	u64 plain = vhm_apic_plain_registers(), value;
	u32 index, bit;
	bool ok;

	for (index = 0x7f0; index < 0x910; index++) {
		apic_power_up(apic);
		apic_enter_x2apic(test, apic);
		reg = index >= 0x800 ? apic_expect((index - 0x800) << 4) : NULL;
		if (index >= 0x840)
			reg = NULL;
		KUNIT_EXPECT_EQ_MSG(test, vhm_apic_msr_read(apic, index, &value),
				    reg && reg->read ? 0 : -EINVAL, "rdmsr %#x", index);
		KUNIT_EXPECT_EQ_MSG(test, vhm_apic_msr_write(apic, index, 0),
				    reg && reg->write ? 0 : -EINVAL, "wrmsr %#x", index);
		for (bit = 0; bit < 64; bit++) {
			ok = reg && reg->write && bit < 32 && reg->x2apic_bits & BIT(bit);
			ok |= index == 0x830 && bit >= 32;
			KUNIT_EXPECT_EQ_MSG(test, vhm_apic_msr_write(apic, index, BIT_ULL(bit)),
					    ok ? 0 : -EINVAL, "wrmsr %#x bit %u", index, bit);
			if (!ok || !reg->read || bit >= 32)
				continue;
			value = apic_read_msr(test, apic, index);
			KUNIT_EXPECT_EQ_MSG(test, value & BIT(bit), reg->xapic_bits & BIT(bit),
					    "msr %#x bit %u", index, bit);
		}
		if (index >= 0x800 && index < 0x840 && plain & BIT_ULL(index - 0x800))
			KUNIT_EXPECT_TRUE(test, reg && reg->read);
	}
	KUNIT_EXPECT_EQ(test, plain & (BIT_ULL(0x39) | BIT_ULL(0x0b)), 0ull);
	KUNIT_EXPECT_EQ(test, plain & BIT_ULL(0x08), BIT_ULL(0x08));
}

/* MSRs only in x2APIC mode, the page only in xAPIC mode */
static void interfaces(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	u64 value;
	u32 word;

	KUNIT_EXPECT_EQ(test, vhm_apic_msr_read(apic, 0x802, &value), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x808, 0), -EINVAL);
	apic_enter_x2apic(test, apic);
	KUNIT_EXPECT_FALSE(test, vhm_apic_read(apic, APIC_TASKPRI, &word));
	KUNIT_EXPECT_FALSE(test, vhm_apic_write(apic, APIC_TASKPRI, 0x20));
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, 0x808), 0ull);
	/* ICR is one register of 64 bits */
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x830, 0x12345678000000fdull), 0);
	KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, 0x830), 0x12345678000000fdull);
	/* both timer mode bits */
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x832, 0x600fd), -EINVAL);
	KUNIT_ASSERT_EQ(test, vhm_apic_msr_write(apic, MSR_IA32_APICBASE, 0xfee00000), 0);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_read(apic, 0x802, &value), -EINVAL);
	KUNIT_EXPECT_FALSE(test, vhm_apic_read(apic, APIC_TASKPRI, &word));
}

static void identifiers(struct kunit *test)
{
	static const u32 ids[] = { 0, 1, 15, 16, 17, 100, 254 };
	struct vhm_apic *apic;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		apic = apic_add_vcpu(test, ids[i])->apic;
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ID), ids[i] << 24);
		KUNIT_EXPECT_TRUE(test, vhm_apic_write(apic, APIC_ID, 0x55000000));
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ID), ids[i] << 24);
		vhm_apic_write(apic, APIC_LDR, 0x0a000000);
		KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, MSR_IA32_APICBASE),
				BASE_XAPIC | (ids[i] ? 0 : BSP));
		apic_enter_x2apic(test, apic);
		KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, 0x802), (u64)ids[i]);
		KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, 0x80d),
				(u64)(ids[i] / 16 * 0x10000 + (1 << ids[i] % 16)));
		/* INIT keeps the mode and what follows from id */
		vhm_apic_reset(apic->vcpu);
		KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, 0x802), (u64)ids[i]);
		KUNIT_EXPECT_EQ(test, apic_read_msr(test, apic, 0x80f), 0xffull);
		apic_power_up(apic);
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ID), ids[i] << 24);
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_LDR), 0u);
	}
}

/* Software-disabled: LVTs masked and stay so; enabled again they stay masked. */
static void software_disable(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	u32 offset;

	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 16)
		vhm_apic_write(apic, offset, 0x40);
	vhm_apic_write(apic, APIC_SPIV, 0xff);
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 16) {
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, offset), 0x10040u);
		vhm_apic_write(apic, offset, 0x41);
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, offset), 0x10041u);
	}
	vhm_apic_write(apic, APIC_SPIV, 0x1ff);
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 16) {
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, offset), 0x10041u);
		vhm_apic_write(apic, offset, 0x42);
		KUNIT_EXPECT_EQ(test, apic_read(test, apic, offset), 0x42u);
	}
}

/* ESR shows, after a write, what happened before it; LVT error tells. */
static void errors(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	struct apic_fixture *f = test->priv;
	u32 value;

	vhm_apic_write(apic, APIC_LVTERR, 0xe5);
	vhm_apic_write(apic, APIC_ICR, 0x4000a);	/* self, vector 10 */
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0u);
	vhm_apic_sync(apic);
	KUNIT_EXPECT_EQ(test, vhm_apic_highest(apic, APIC_IRR), 0xe5);
	KUNIT_EXPECT_EQ(test, vhm_apic_deliver_msi(&f->vm, 0xfee00000, 5), 0);
	vhm_apic_write(apic, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0x60u);
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0x60u);
	KUNIT_EXPECT_FALSE(test, vhm_apic_read(apic, 0x400, &value));
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0x60u);
	vhm_apic_write(apic, APIC_ESR, 0x1234);
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0x80u);
	vhm_apic_write(apic, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0u);
	/* an illegal vector in LVT error itself must not recurse */
	vhm_apic_write(apic, APIC_LVTERR, 0x3);
	vhm_apic_write(apic, APIC_ICR, 0x4000a);
	vhm_apic_write(apic, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_ESR), 0x60u);
	/* self-IPI register */
	apic_enter_x2apic(test, apic);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x83f, 0x0f), 0);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x828, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x828, 0), 0);
	KUNIT_EXPECT_TRUE(test, apic_read_msr(test, apic, 0x828) & APIC_ESR_SENDILL);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x83f, 0xf1), 0);
	vhm_apic_sync(apic);
	KUNIT_EXPECT_EQ(test, vhm_apic_highest(apic, APIC_IRR), 0xf1);
}

/* A write that the processor has stored already ends as one that we store. */
static void written_like_write(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	struct vhm_apic *twin = apic_add_vcpu(test, 0)->apic;
	struct apic_fixture *f = test->priv;
	u32 i, offset, value;

	vhm_apic_write(twin, APIC_SPIV, 0x1ff);
	for (i = 0; i < 20000; i++) {
		offset = test_random(&f->random, LAPIC_REGISTERS) << 4;
		value = test_random(&f->random, 1ull << 32);
		if (test_random(&f->random, 2))
			value &= 0x707ff;
		/* nothing to store ahead, or messages that would reach both */
		if (!apic_expect(offset) || !apic_expect(offset)->xapic || offset == APIC_ICR ||
		    (!apic_expect(offset)->xapic_bits && offset != APIC_ID &&
		     offset != APIC_EOI && offset != APIC_ESR))
			continue;
		if (offset == APIC_TMICT)
			value |= BIT(31);	/* does not expire while the case runs */
		vhm_apic_write(apic, offset, value);
		lapic_set(twin, offset, value);
		vhm_apic_written(twin, offset);
		KUNIT_ASSERT_EQ_MSG(test, memcmp(apic->regs, twin->regs, PAGE_SIZE), 0,
				    "offset %#x value %#x", offset, value);
		KUNIT_ASSERT_EQ(test, apic->timer_mode, twin->timer_mode);
		KUNIT_ASSERT_EQ(test, apic->timer_divide_lg2, twin->timer_divide_lg2);
		KUNIT_ASSERT_EQ(test, apic->timer_period_tsc, twin->timer_period_tsc);
		KUNIT_ASSERT_EQ(test, apic->timer_target_tsc, twin->timer_target_tsc);
	}
}

/* ----------------------------------------------------------------- modes -- */

/* SDM vol. 3, figure 10-27: states, and where each may go */
static void mode_transitions(struct kunit *test)
{
	enum { OFF, XAPIC, X2APIC, INVALID };
	static const u64 base[] = { 0xfee00000, BASE_XAPIC, BASE_X2APIC, 0xfee00400 };
	static const u64 path[][3] = {		/* from reset to each state */
		[OFF] = { BASE_XAPIC, 0xfee00000 },
		[XAPIC] = { BASE_XAPIC, BASE_XAPIC },
		[X2APIC] = { BASE_XAPIC, BASE_X2APIC },
	};
	static const bool legal[3][4] = {
		[OFF] = { true, true, false, false },
		[XAPIC] = { true, true, true, false },
		[X2APIC] = { true, false, true, false },
	};
	struct vhm_apic *apic = apic_enabled(test);
	u32 from, to, changes;

	for (from = 0; from < 3; from++)
		for (to = 0; to < 4; to++) {
			apic_power_up(apic);
			vhm_apic_msr_write(apic, MSR_IA32_APICBASE, path[from][0]);
			vhm_apic_msr_write(apic, MSR_IA32_APICBASE, path[from][1]);
			KUNIT_ASSERT_EQ(test, apic->base_msr, base[from] | BSP);
			changes = apic_mode_changes;
			KUNIT_EXPECT_EQ_MSG(test,
					    vhm_apic_msr_write(apic, MSR_IA32_APICBASE, base[to]),
					    legal[from][to] ? 0 : -EINVAL, "%u to %u", from, to);
			KUNIT_EXPECT_EQ(test, apic->base_msr,
					base[legal[from][to] ? to : from] | BSP);
			KUNIT_EXPECT_EQ(test, apic_mode_changes - changes,
					(u32)(legal[from][to] && from != to));
		}
}

static void base_bits(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	u64 base;
	u32 bit;
	int want;

	for (bit = 0; bit < 64; bit++) {
		/* BSP is read-only here; EXTD and EN are the mode */
		want = bit == 8 || bit == 10 || bit == 11 ? 0 : -EINVAL;
		apic_power_up(apic);
		KUNIT_EXPECT_EQ_MSG(test, vhm_apic_msr_write(apic, MSR_IA32_APICBASE,
							     BASE_XAPIC ^ BIT_ULL(bit)),
				    want, "bit %u", bit);
		want = bit == 10 || bit == 11 ? 0 : -EINVAL;
		base = (BASE_XAPIC | BSP) ^ BIT_ULL(bit);
		KUNIT_EXPECT_EQ_MSG(test, vhm_apic_check_base(apic, base), want, "bit %u", bit);
	}
	KUNIT_EXPECT_EQ(test, vhm_apic_check_base(apic, 0xfee00400 | BSP), -EINVAL);
}

/* Without the CPUID bits neither x2APIC mode nor the TSC deadline is there. */
static void features_follow_cpuid(struct kunit *test)
{
	static const struct vhm_cpuid_entry none = { .leaf = 1 };
	struct vhm_apic *apic = apic_enabled(test);
	u64 value;

	KUNIT_ASSERT_EQ(test, vhm_cpuid_set(apic->vcpu, &none, 1), 0);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, MSR_IA32_APICBASE, BASE_X2APIC), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_read(apic, MSR_IA32_TSC_DEADLINE, &value), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, MSR_IA32_TSC_DEADLINE, 1), -EINVAL);
	vhm_apic_write(apic, APIC_LVTT, 0x400fd);
	KUNIT_EXPECT_EQ(test, apic_read(test, apic, APIC_LVTT), 0xfdu);
	/* the VMM may load a mode before it loads CPUID */
	vhm_apic_set_base(apic, BASE_X2APIC | BSP);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x832, 0x400fd), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_apic_msr_write(apic, 0x832, 0x200fd), 0);
}

/* ------------------------------------------------------------ priorities -- */

struct model {
	bool irr[256], isr[256], tmr[256], pending[256], pending_level[256];
	u32 tpr;
};

static int top(const bool *vectors)
{
	int i;

	for (i = 255; i >= 0 && !vectors[i]; i--)
		;
	return i;
}

static u32 model_ppr(const struct model *m)
{
	u32 isr_class = top(m->isr) < 0 ? 0 : top(m->isr) & 0xf0;

	return (m->tpr & 0xf0) >= isr_class ? m->tpr : isr_class;
}

static int model_deliverable(const struct model *m)
{
	return top(m->irr) >= 0 && (top(m->irr) & 0xf0) > (int)(model_ppr(m) & 0xf0) ?
	       top(m->irr) : -1;
}

static void model_sync(struct model *m)
{
	u32 i;

	for (i = 0; i < 256; i++) {
		if (!m->pending[i])
			continue;
		m->pending[i] = false;
		m->irr[i] = true;
		m->tmr[i] = m->pending_level[i];
	}
}

static void compare(struct kunit *test, struct vhm_apic *apic, const struct model *m)
{
	DECLARE_BITMAP(level, 256);
	u32 i, wrong = 0;

	KUNIT_ASSERT_EQ(test, vhm_apic_highest(apic, APIC_IRR), top(m->irr));
	KUNIT_ASSERT_EQ(test, vhm_apic_highest(apic, APIC_ISR), top(m->isr));
	KUNIT_ASSERT_EQ(test, (u32)vhm_apic_ppr(apic), model_ppr(m));
	KUNIT_ASSERT_EQ(test, vhm_apic_deliverable(apic), model_deliverable(m));
	KUNIT_ASSERT_EQ(test, apic_read(test, apic, APIC_PROCPRI), model_ppr(m));
	KUNIT_ASSERT_EQ(test, (u32)vhm_apic_get_cr8(apic), m->tpr >> 4);
	vhm_apic_level_vectors(apic, level);
	for (i = 0; i < 256; i++) {
		wrong += m->irr[i] != !!(apic_read(test, apic, 0x200 + i / 32 * 16) >> i % 32 & 1);
		wrong += m->isr[i] != !!(apic_read(test, apic, 0x100 + i / 32 * 16) >> i % 32 & 1);
		wrong += m->tmr[i] != test_bit(i, level);
	}
	KUNIT_ASSERT_EQ(test, wrong, 0u);
}

static void step(struct kunit *test, struct vhm_apic *apic, struct model *m)
{
	struct apic_fixture *f = test->priv;
	u32 vector = 16 + test_random(&f->random, 240);
	bool level = test_random(&f->random, 2);
	int taken;

	switch (test_random(&f->random, 7)) {
	case 0:
	case 1:
		KUNIT_ASSERT_EQ(test, 1,
				vhm_apic_deliver_msi(&f->vm, 0xfee00000,
						     vector | (level ? 0xc000 : 0)));
		/* of two messages that wait, one of them level triggered, level is kept */
		m->pending_level[vector] &= m->pending[vector];
		m->pending_level[vector] |= level;
		m->pending[vector] = true;
		break;
	case 2:
		vhm_apic_sync(apic);
		model_sync(m);
		break;
	case 3:
		taken = model_deliverable(m);
		if (taken < 0)
			break;
		vhm_apic_acknowledge(apic, taken);
		m->irr[taken] = false;
		m->isr[taken] = true;
		break;
	case 4:
		taken = top(m->isr);
		if (test_random(&f->random, 2)) {
			KUNIT_ASSERT_EQ(test, vhm_apic_eoi(apic),
					taken >= 0 && m->tmr[taken] ? taken : -1);
		} else {
			vhm_apic_write(apic, APIC_EOI, 0);
			KUNIT_ASSERT_EQ(test, apic_take_level_eoi(apic),
					taken >= 0 && m->tmr[taken] ? taken : -1);
			KUNIT_ASSERT_EQ(test, apic_take_level_eoi(apic), -1);
		}
		if (taken >= 0)
			m->isr[taken] = false;
		break;
	case 5:
		m->tpr = test_random(&f->random, 256);
		vhm_apic_write(apic, APIC_TASKPRI, m->tpr);
		break;
	default:
		m->tpr = test_random(&f->random, 16) << 4;
		vhm_apic_set_cr8(apic, m->tpr >> 4);
	}
}

static void priorities(struct kunit *test)
{
	struct vhm_apic *apic = apic_enabled(test);
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, m);
	for (i = 0; i < 5000; i++) {
		step(test, apic, m);
		compare(test, apic, m);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(xapic_registers),
	KUNIT_CASE(x2apic_registers),
	KUNIT_CASE(interfaces),
	KUNIT_CASE(identifiers),
	KUNIT_CASE(software_disable),
	KUNIT_CASE(errors),
	KUNIT_CASE(written_like_write),
	KUNIT_CASE(mode_transitions),
	KUNIT_CASE(base_bits),
	KUNIT_CASE(features_follow_cpuid),
	KUNIT_CASE(priorities),
	{}
};

static struct kunit_suite suite = {
	.name = "apic",
	.init = apic_fixture_init,
	.exit = apic_fixture_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
