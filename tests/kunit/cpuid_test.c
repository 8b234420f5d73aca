// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: the whitelist on invented hosts, the check of a VMM's table bit by bit, lookup
 * against a linear search, and the fields that follow from guest state.
 *
 * Needs the doubles of apic_fixture.c.
 */
#include "apic_fixture.h"

#include <linux/slab.h>

/* User-Mode Linux has none of those who select it. */
#ifndef CONFIG_RATIONAL
#include "lib/math/rational.c"
#endif

/* The bits the manual gives these features; which leaf and register: see there. */
#define LEAF1_ECX_XSAVE		BIT(26)
#define LEAF1_ECX_OSXSAVE	BIT(27)
#define LEAF7_ECX_PKU		BIT(3)
#define LEAF7_ECX_OSPKE		BIT(4)

static const struct vhm_cpuid_limits generous = {
	.xcr0 = U64_MAX, .tsc_khz = 2100000, .gpa_bits = 46, .features = GENMASK(5, 0),
};

/* A processor with every feature there is or will be, and three caches */
static void everything(u32 leaf, u32 subleaf, u32 regs[4])
{
	memset(regs, 0xff, 4 * sizeof(*regs));
	if (leaf == 4)
		regs[0] = subleaf < 3 ? (subleaf + 1) << 5 | 1 : 0;
	if (leaf == 0xd && subleaf > 1) {
		regs[0] = 40 * subleaf;
		regs[1] = 1024 * subleaf;
		regs[2] = subleaf % 2 ? 2 : 0;
		regs[3] = 0;
	}
}

/* A processor of 1999: answers leaves beyond 2 with those of leaf 2 */
static void nothing(u32 leaf, u32 subleaf, u32 regs[4])
{
	if (leaf & 0x80000000) {
		regs[0] = 0x80000000;
		regs[1] = 0;
		regs[2] = 0;
		regs[3] = 0;
		return;
	}
	memset(regs, leaf >= 2 ? 0xa5 : 0, 4 * sizeof(*regs));
	if (leaf == 0)
		regs[0] = 2;
}

static struct vhm_cpuid_table *build(struct kunit *test, const struct vhm_cpuid_limits *limits,
				     vhm_cpuid_fn host)
{
	struct vhm_cpuid_table *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t);
	vhm_cpuid_build(t, limits, host);
	return t;
}

static struct vhm_cpuid_entry *entry_of(struct vhm_cpuid_table *t, u32 leaf, u32 subleaf)
{
	u32 i;

	for (i = 0; i < t->count; i++)
		if (t->entries[i].leaf == leaf && t->entries[i].subleaf == subleaf)
			return &t->entries[i];
	return NULL;
}

static u32 *reg_of(struct vhm_cpuid_entry *entry, u32 i)
{
	u32 *regs[] = { &entry->eax, &entry->ebx, &entry->ecx, &entry->edx };

	return regs[i];
}

static int check(const struct vhm_cpuid_table *given, const struct vhm_cpuid_table *supported)
{
	return vhm_cpuid_check(given->entries, given->count, supported);
}

/* ------------------------------------------------------------- whitelist -- */

/* What no guest may see, even of a processor that has it: leaf, subleaf, register, bits */
static const struct {
	u32 leaf, subleaf, reg, bits;
} forbidden[] = {
	/* DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA, OSXSAVE */
	{ 1, 0, 2, BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(10) |
		   BIT(11) | BIT(14) | BIT(15) | BIT(16) | BIT(18) | BIT(27) },
	/* PSN, DS, ACPI, TM, IA-64, PBE */
	{ 1, 0, 3, BIT(10) | BIT(18) | BIT(20) | BIT(21) | BIT(22) | BIT(29) | BIT(30) | BIT(31) },
	/* SGX, PQM, MPX, PQE, PT */
	{ 7, 0, 1, BIT(2) | BIT(12) | BIT(14) | BIT(15) | BIT(25) },
	/*
	 * OSPKE, WAITPKG, CET_SS, TME, LA57, MPX.MAWAU, KL, bus-lock detection, ENQCMD, SGX_LC,
	 * PKS
	 */
	{ 7, 0, 2, BIT(4) | BIT(5) | BIT(7) | BIT(13) | BIT(16) | GENMASK(21, 17) | BIT(23) |
		   BIT(24) | BIT(29) | BIT(30) | BIT(31) },
	/* UINTR, SRBDS_CTRL, TSX_FORCE_ABORT, hybrid, PCONFIG, LBR, CET_IBT, CORE_CAPS */
	{ 7, 0, 3, BIT(5) | BIT(9) | BIT(13) | BIT(15) | BIT(18) | BIT(19) | BIT(20) | BIT(30) },
	/* HRESET, LAM, and what has no name yet */
	{ 7, 1, 0, BIT(22) | BIT(26) | BIT(17) },
	{ 7, 1, 1, U32_MAX }, { 7, 1, 2, U32_MAX }, { 7, 1, 3, ~(u32)BIT(8) },
	/* MPX states, and what is not AMX's above them */
	{ 0xd, 0, 0, BIT(3) | BIT(4) | BIT(8) | GENMASK(16, 10) | GENMASK(31, 19) },
	{ 0xd, 0, 3, U32_MAX },
	/* supervisor states */
	{ 0xd, 1, 0, GENMASK(31, 5) }, { 0xd, 1, 2, U32_MAX }, { 0xd, 1, 3, U32_MAX },
	{ 0x80000007, 0, 3, ~(u32)BIT(8) },
	{ 0x80000008, 0, 1, U32_MAX },
};

static void whitelist(struct kunit *test)
{
	struct vhm_cpuid_table *t = build(test, &generous, everything);
	struct vhm_cpuid_entry *entry;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(forbidden); i++) {
		entry = entry_of(t, forbidden[i].leaf, forbidden[i].subleaf);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, entry);
		KUNIT_EXPECT_EQ_MSG(test, *reg_of(entry, forbidden[i].reg) & forbidden[i].bits, 0u,
				    "leaf %#x(%u) register %u", forbidden[i].leaf,
				    forbidden[i].subleaf, forbidden[i].reg);
	}
	KUNIT_EXPECT_LE(test, t->count, (u32)VHM_CPUID_MAX_SUPPORTED);
	for (i = 1; i < t->count; i++)
		KUNIT_EXPECT_TRUE(test, t->entries[i - 1].leaf < t->entries[i].leaf ||
				  (t->entries[i - 1].leaf == t->entries[i].leaf &&
				   t->entries[i - 1].subleaf < t->entries[i].subleaf));
	KUNIT_EXPECT_EQ(test, entry_of(t, 0, 0)->eax, 0x1eu);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x80000008, 0)->eax, 48u << 8 | 46);
	KUNIT_EXPECT_TRUE(test, entry_of(t, 1, 0)->ecx & BIT(31));
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x15, 0)->ecx, VHM_APIC_TIMER_HZ);
	/* the size that the components need: number 18 is last */
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xd, 0)->ecx, 18 * 1024 + 18 * 40u);
}

/* What is modelled is there on any host; of the rest nothing is invented. */
static void poor_host(struct kunit *test)
{
	struct vhm_cpuid_table *t = build(test, &generous, nothing);

	KUNIT_EXPECT_EQ(test, entry_of(t, 1, 0)->ecx,
			(u32)(BIT(31) | BIT(21) | BIT(24) | LEAF1_ECX_XSAVE) &
			~(u32)LEAF1_ECX_XSAVE);
	KUNIT_EXPECT_EQ(test, entry_of(t, 1, 0)->edx, (u32)(BIT(9) | BIT(28)));
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->ebx, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->ecx, 0u);
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->edx, 0u);
	KUNIT_EXPECT_NULL(test, entry_of(t, 4, 0));
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x80000001, 0)->edx, 0u);
}

/* Each limit taken away takes its bits away, and no others. */
static void limits(struct kunit *test)
{
	static const struct {
		u32 feature, leaf, subleaf, reg, bits;
	} effects[] = {
		{ VHM_CPUID_PCID, 1, 0, 2, BIT(17) },
		{ VHM_CPUID_INVPCID, 7, 0, 1, BIT(10) },
		{ VHM_CPUID_RDTSCP, 7, 0, 2, BIT(22) },
		{ VHM_CPUID_RDTSCP, 0x80000001, 0, 3, BIT(27) },
		{ VHM_CPUID_PKU, 7, 0, 2, BIT(3) },
		{ VHM_CPUID_PKU, 0xd, 0, 0, BIT(9) },
		{ VHM_CPUID_SPEC_CTRL, 7, 0, 3, BIT(26) | BIT(27) | BIT(31) },
		{ VHM_CPUID_SPEC_CTRL, 7, 2, 3, GENMASK(4, 0) },
		{ VHM_CPUID_XSAVES, 0xd, 1, 0, BIT(3) },
	};
	struct vhm_cpuid_table *full = build(test, &generous, everything), *less;
	struct vhm_cpuid_limits l;
	u32 i, j, reg, gone, want;
	struct vhm_cpuid_entry *entry;

	for (i = 0; i < ARRAY_SIZE(effects); i++) {
		l = generous;
		l.features &= ~effects[i].feature;
		less = build(test, &l, everything);
		for (j = 0; j < full->count * 4; j++) {
			reg = j % 4;
			entry = entry_of(less, full->entries[j / 4].leaf,
					 full->entries[j / 4].subleaf);
			gone = *reg_of(&full->entries[j / 4], reg);
			if (entry)
				gone &= ~*reg_of(entry, reg);
			want = full->entries[j / 4].leaf == effects[i].leaf &&
			       full->entries[j / 4].subleaf == effects[i].subleaf &&
			       reg == effects[i].reg ? effects[i].bits : 0;
			KUNIT_EXPECT_EQ(test, gone & want, want);
			if (effects[i].feature != VHM_CPUID_PKU &&
			    effects[i].feature != VHM_CPUID_RDTSCP &&
			    effects[i].feature != VHM_CPUID_SPEC_CTRL)
				KUNIT_EXPECT_EQ_MSG(test, gone, want, "effect %u", i);
		}
	}
}

/* AVX-512 goes without its states, AVX with them, XSAVE with all. */
static void xsave_states(struct kunit *test)
{
	struct vhm_cpuid_limits l = generous;
	struct vhm_cpuid_table *t;

	l.xcr0 = 7;
	t = build(test, &l, everything);
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->ebx & (BIT(5) | BIT(16) | BIT(31)), BIT(5));
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->ecx & (BIT(1) | BIT(9) | BIT(3)), BIT(9));
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xd, 0)->eax, 7u);
	KUNIT_EXPECT_NULL(test, entry_of(t, 0xd, 5));
	l.xcr0 = 3;
	t = build(test, &l, everything);
	KUNIT_EXPECT_EQ(test, entry_of(t, 1, 0)->ecx & (BIT(12) | BIT(26) | BIT(28) | BIT(29)),
			LEAF1_ECX_XSAVE);
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->ebx & BIT(5), 0ul);
	l.xcr0 = 0;
	t = build(test, &l, everything);
	KUNIT_EXPECT_EQ(test, entry_of(t, 1, 0)->ecx & LEAF1_ECX_XSAVE, 0ul);
	KUNIT_EXPECT_NULL(test, entry_of(t, 0xd, 0));
}

/* Tiles come with both of their states, and all that there is about them, or not at all. */
static void tiles(struct kunit *test)
{
	static const u64 some[] = { 7, 7 | BIT(17), 7 | BIT(18), BIT(17) | BIT(18) };
	const u32 features = BIT(22) | BIT(24) | BIT(25);
	struct vhm_cpuid_limits l = generous;
	struct vhm_cpuid_table *t;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(some); i++) {
		l.xcr0 = some[i];
		t = build(test, &l, everything);
		KUNIT_EXPECT_EQ(test, entry_of(t, 0, 0)->eax, 0x16u);
		KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->edx & features, 0u);
		KUNIT_EXPECT_EQ(test, entry_of(t, 7, 1)->eax & BIT(21), 0ul);
		KUNIT_EXPECT_EQ(test, entry_of(t, 7, 1)->edx, 0u);
		KUNIT_EXPECT_NULL(test, entry_of(t, 0xd, 18));
		KUNIT_EXPECT_NULL(test, entry_of(t, 0x1d, 0));
		KUNIT_EXPECT_NULL(test, entry_of(t, 0x1e, 0));
	}
	l.xcr0 = 7 | BIT(17) | BIT(18);
	t = build(test, &l, everything);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xd, 0)->eax, (u32)l.xcr0);
	KUNIT_EXPECT_EQ(test, entry_of(t, 7, 0)->edx & features, features);
	KUNIT_EXPECT_EQ(test, entry_of(t, 0xd, 1)->eax & BIT(4), BIT(4));
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x1d, 0)->eax, 1u);
	KUNIT_EXPECT_NOT_NULL(test, entry_of(t, 0x1d, 1));
	KUNIT_EXPECT_EQ(test, entry_of(t, 0x1e, 0)->eax, 0u);
}

/* What Linux computes from leaf 15H, in its 32 bits, is the TSC's frequency. */
static void tsc_ratio(struct kunit *test)
{
	static const u32 exact[] = { 1000, 20000, 200000, 1000000, 2100000, 3600000,
				     2893200 };
	struct apic_fixture *f = test->priv;
	u32 i, khz, n, d, crystal_khz = VHM_APIC_TIMER_HZ / 1000;
	u32 off;

	for (i = 0; i < ARRAY_SIZE(exact); i++) {
		vhm_cpuid_tsc_ratio(exact[i], &n, &d);
		KUNIT_EXPECT_EQ_MSG(test, (u64)crystal_khz * n, (u64)exact[i] * d, "%u kHz",
				    exact[i]);
		KUNIT_EXPECT_EQ(test, crystal_khz * n / d, exact[i]);
	}
	for (i = 0; i < 300; i++) {
		khz = 500000 + test_random(&f->random, 5500000);
		vhm_cpuid_tsc_ratio(khz, &n, &d);
		KUNIT_ASSERT_EQ(test, (u64)crystal_khz * n, (u64)(crystal_khz * n));
		/*
		 * The product fits 32 bits, so no denominator is above most = 2^32 / khz; one
		 * of them is off by less than crystal / most (Dirichlet). And a kHz is
		 * rounded off.
		 */
		off = abs((s64)(crystal_khz * n / d) - khz);
		KUNIT_ASSERT_LE_MSG(test, off, crystal_khz / (U32_MAX / khz) + 1,
				    "%u kHz: %u/%u", khz, n, d);
	}
}

/* ----------------------------------------------------------------- check -- */

/* Registers that must be a subset of what is supported; bits the answer computes apart. */
static const struct {
	u32 leaf, subleaf, reg, dynamic;
} features[] = {
	{ 1, 0, 2, LEAF1_ECX_OSXSAVE }, { 1, 0, 3, 0 },
	{ 6, 0, 0, 0 }, { 6, 0, 1, 0 }, { 6, 0, 2, 0 }, { 6, 0, 3, 0 },
	{ 7, 0, 1, 0 }, { 7, 0, 2, LEAF7_ECX_OSPKE }, { 7, 0, 3, 0 },
	{ 7, 1, 0, 0 }, { 7, 1, 1, 0 }, { 7, 1, 2, 0 }, { 7, 1, 3, 0 },
	{ 7, 2, 0, 0 }, { 7, 2, 1, 0 }, { 7, 2, 2, 0 }, { 7, 2, 3, 0 },
	{ 0xd, 0, 0, 0 }, { 0xd, 0, 3, 0 },
	{ 0xd, 1, 0, 0 }, { 0xd, 1, 2, 0 }, { 0xd, 1, 3, 0 },
	{ 0x80000001, 0, 2, 0 }, { 0x80000001, 0, 3, 0 },
	{ 0x80000007, 0, 0, 0 }, { 0x80000007, 0, 1, 0 }, { 0x80000007, 0, 2, 0 },
	{ 0x80000007, 0, 3, 0 },
	{ 0x80000008, 0, 1, 0 }, { 0x80000008, 0, 2, 0 }, { 0x80000008, 0, 3, 0 },
};

static void every_feature_bit(struct kunit *test)
{
	struct vhm_cpuid_table *supported = build(test, &generous, everything);
	struct vhm_cpuid_table *given = build(test, &generous, everything);
	u32 i, bit, able, *reg;

	KUNIT_ASSERT_EQ(test, check(given, supported), 0);
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		reg = reg_of(entry_of(given, features[i].leaf, features[i].subleaf),
			     features[i].reg);
		able = *reg | features[i].dynamic;
		for (bit = 0; bit < 32; bit++) {
			*reg ^= BIT(bit);
			KUNIT_EXPECT_EQ_MSG(test, check(given, supported),
					    able & BIT(bit) ? 0 : -EINVAL,
					    "leaf %#x(%u) register %u bit %u", features[i].leaf,
					    features[i].subleaf, features[i].reg, bit);
			*reg ^= BIT(bit);
		}
	}
}

/* Layout of the XSAVE area and the timer's frequency are what they are. */
static void fixed_registers(struct kunit *test)
{
	static const u32 leaves[][2] = { { 0xd, 2 }, { 0xd, 7 }, { 0xd, 9 }, { 0x15, 0 } };
	struct vhm_cpuid_table *supported = build(test, &generous, everything);
	struct vhm_cpuid_table *given = build(test, &generous, everything);
	u32 i, reg;

	for (i = 0; i < ARRAY_SIZE(leaves); i++)
		for (reg = 0; reg < 4; reg++) {
			++*reg_of(entry_of(given, leaves[i][0], leaves[i][1]), reg);
			KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
			--*reg_of(entry_of(given, leaves[i][0], leaves[i][1]), reg);
		}
	KUNIT_EXPECT_EQ(test, check(given, supported), 0);
	/* but the VMM may leave them out */
	memset(&entry_of(given, 0x15, 0)->eax, 0, 16);
	KUNIT_EXPECT_EQ(test, check(given, supported), 0);
}

static void address_widths(struct kunit *test)
{
	static const struct { u32 eax; int want; } cases[] = {
		{ 48 << 8 | 46, 0 }, { 48 << 8 | 36, 0 }, { 48 << 8 | 47, -EINVAL },
		{ 57 << 8 | 46, -EINVAL }, { 1 << 16 | 48 << 8 | 46, -EINVAL },
	};
	struct vhm_cpuid_table *supported = build(test, &generous, everything);
	struct vhm_cpuid_table *given = build(test, &generous, everything);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		entry_of(given, 0x80000008, 0)->eax = cases[i].eax;
		KUNIT_EXPECT_EQ_MSG(test, check(given, supported), cases[i].want, "%#x",
				    cases[i].eax);
	}
}

static void malformed(struct kunit *test)
{
	struct vhm_cpuid_table *supported = build(test, &generous, everything);
	struct vhm_cpuid_entry *e;
	struct vhm_cpuid_table *given;
	u32 bit;

	given = build(test, &generous, everything);
	e = entry_of(given, 7, 0);
	for (bit = 0; bit < 32; bit++) {
		e->flags ^= BIT(bit);	/* without bit 0 it answers for all subleaves */
		KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
		e->flags ^= BIT(bit);
		e->reserved ^= BIT(bit);
		KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
		e->reserved ^= BIT(bit);
	}
	KUNIT_EXPECT_EQ(test, check(given, supported), 0);

	/* twice the same question: whole leaf, same subleaf, whole leaf over a subleaf */
	e = &given->entries[given->count++];
	*e = *entry_of(supported, 1, 0);
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
	e->subleaf = 5;			/* ignored without the flag */
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
	*e = *entry_of(supported, 7, 1);
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
	*e = (struct vhm_cpuid_entry) { .leaf = 7 };
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);

	/* unsupported leaves: zeros only, but the hypervisor's are free */
	*e = (struct vhm_cpuid_entry) { .leaf = 0x14, .eax = 1 };
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
	e->eax = 0;
	KUNIT_EXPECT_EQ(test, check(given, supported), 0);
	*e = (struct vhm_cpuid_entry) { .leaf = 0x40000010, .ebx = U32_MAX };
	KUNIT_EXPECT_EQ(test, check(given, supported), 0);
	e->leaf = 0x400000ff;
	KUNIT_EXPECT_EQ(test, check(given, supported), 0);
	e->leaf = 0x40000100;
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
	e->leaf = 0x3fffffff;
	KUNIT_EXPECT_EQ(test, check(given, supported), -EINVAL);
	KUNIT_EXPECT_EQ(test, vhm_cpuid_check(given->entries, VHM_MAX_CPUID_ENTRIES + 1,
					      supported), -EINVAL);
}

/* --------------------------------------------------------------- answers -- */

/* Random tables of what needs no support, shuffled; every question */
static void find_like_linear_search(struct kunit *test)
{
	static const u32 ranges[] = { 0x40000000, 0, 0x80000000, 0x40000040 };
	struct vhm_cpuid_entry *entries, *e;
	struct apic_fixture *f = test->priv;
	struct vhm_vcpu *vcpu = &f->vcpu[0];
	u32 round, i, j, count, leaf, subleaf;
	const struct vhm_cpuid_entry *want, *got;

	entries = kunit_kcalloc(test, VHM_MAX_CPUID_ENTRIES, sizeof(*entries), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, entries);
	apic_add_vcpu(test, 0);
	for (round = 0; round < 100; round++) {
		count = test_random(&f->random, VHM_MAX_CPUID_ENTRIES);
		for (i = 0; i < count; i++) {
			e = &entries[i];
			e->leaf = ranges[test_random(&f->random, 4)] + test_random(&f->random, 40);
			e->subleaf = test_random(&f->random, 5);
			e->flags = test_random(&f->random, 2);
			/* zeros are allowed anywhere; the hypervisor's leaves tell entries apart */
			e->eax = e->leaf >> 8 == 0x400000 ? i + 1 : 0;
			for (j = 0; j < i; j++)
				if (entries[j].leaf == e->leaf &&
				    (!(entries[j].flags & e->flags) ||
				     entries[j].subleaf == e->subleaf))
					break;
			if (j < i) {
				i--;
				count--;
			}
		}
		KUNIT_ASSERT_EQ(test, vhm_cpuid_set(vcpu, entries, count), 0);
		for (i = 0; i < 4 * 42 * 6; i++) {
			leaf = ranges[i % 4] + i / 4 % 42 - (i % 4 == 3);
			subleaf = i / (4 * 42);
			got = vhm_cpuid_find(vcpu, leaf, subleaf);
			for (want = NULL, j = 0; j < count && !want; j++)
				if (entries[j].leaf == leaf &&
				    (!entries[j].flags || entries[j].subleaf == subleaf))
					want = &entries[j];
			KUNIT_ASSERT_EQ_MSG(test, !got, !want, "leaf %#x(%u)", leaf, subleaf);
			if (got) {
				KUNIT_ASSERT_EQ(test, got->leaf, leaf);
				KUNIT_ASSERT_EQ(test, got->flags, want->flags);
				KUNIT_ASSERT_EQ(test, got->eax, want->eax);
				KUNIT_ASSERT_TRUE(test, !got->flags || got->subleaf == subleaf);
			}
		}
	}
}

struct answer {
	u32 eax, ebx, ecx, edx;
};

static struct answer ask(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0, u32 leaf, u32 subleaf)
{
	/* the upper halves do not count, and are cleared (SDM vol. 2A, CPUID) */
	struct vhm_registers regs = {
		.rax = leaf | 1ULL << 32,
		.rbx = 0x1111111111111111,
		.rcx = subleaf | 1ULL << 32,
		.rdx = 0x2222222222222222,
	};

	vhm_cpuid_answer(vcpu, cr4, xcr0, &regs);
	WARN_ON((regs.rax | regs.rbx | regs.rcx | regs.rdx) >> 32);
	return (struct answer) { regs.rax, regs.rbx, regs.rcx, regs.rdx };
}

/* A vCPU with a table that the check would compare with the real host's: set directly. */
static struct vhm_vcpu *vcpu_with(struct kunit *test, u32 id, const struct vhm_cpuid_table *t)
{
	struct vhm_cpuid_entry *entries = kunit_kzalloc(test, sizeof(t->entries), GFP_KERNEL);
	struct vhm_vcpu *vcpu = apic_add_vcpu(test, id);
	u32 i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, entries);
	/* Same questions in hypervisor leaves, then turned into what they stand for */
	for (i = 0; i < t->count; i++) {
		entries[i] = t->entries[i];
		entries[i].eax = 0;
		entries[i].ebx = 0;
		entries[i].ecx = 0;
		entries[i].edx = 0;
	}
	KUNIT_ASSERT_EQ(test, vhm_cpuid_set(vcpu, entries, t->count), 0);
	memcpy(vcpu->cpuid, t->entries, t->count * sizeof(*entries));
	return vcpu;
}

#define CR4_OSXSAVE	BIT(18)
#define CR4_PKE		BIT(22)

static void dynamic_fields(struct kunit *test)
{
	struct vhm_cpuid_table *t = build(test, &generous, everything);
	struct vhm_vcpu *vcpu = vcpu_with(test, 0xa5, t);
	struct answer a;

	a = ask(vcpu, 0, 1, 1, 0);
	KUNIT_EXPECT_EQ(test, a.ebx >> 24, 0xa5u);
	KUNIT_EXPECT_EQ(test, a.ebx & 0xff0000, 64u << 16);
	KUNIT_EXPECT_EQ(test, a.ecx & (LEAF1_ECX_XSAVE | LEAF1_ECX_OSXSAVE), LEAF1_ECX_XSAVE);
	KUNIT_EXPECT_TRUE(test, a.edx & BIT(9));
	a = ask(vcpu, CR4_OSXSAVE, 1, 1, 7);
	KUNIT_EXPECT_TRUE(test, a.ecx & LEAF1_ECX_OSXSAVE);
	vhm_apic_msr_write(vcpu->apic, MSR_IA32_APICBASE, 0xfee00000);
	KUNIT_EXPECT_FALSE(test, ask(vcpu, 0, 1, 1, 0).edx & BIT(9));

	a = ask(vcpu, 0, 1, 7, 0);
	KUNIT_EXPECT_EQ(test, a.ecx & (LEAF7_ECX_PKU | LEAF7_ECX_OSPKE), LEAF7_ECX_PKU);
	a = ask(vcpu, CR4_PKE, 1, 7, 0);
	KUNIT_EXPECT_TRUE(test, a.ecx & LEAF7_ECX_OSPKE);

	/* topology: any level tells the id, a level beyond the last is of type 0 */
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 1, 0xb, 0).edx, 0xa5u);
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 1, 0xb, 1).edx, 0xa5u);
	a = ask(vcpu, 0, 1, 0xb, 0x105);
	KUNIT_EXPECT_EQ(test, a.edx, 0xa5u);
	KUNIT_EXPECT_EQ(test, a.ecx, 5u);
	KUNIT_EXPECT_EQ(test, a.eax | a.ebx, 0u);

	/* XSAVE area: component n of 2, 5, 6, 7, 9 has 40 n bytes at 1024 n; odd ones align */
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 1, 0xd, 0).ebx, 576u);
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 7, 0xd, 0).ebx, 2 * 1024 + 2 * 40u);
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 0xe7, 0xd, 0).ebx, 7 * 1024 + 7 * 40u);
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 0x2e7, 0xd, 0).ebx, 9 * 1024 + 9 * 40u);
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 1, 0xd, 1).ebx, 576u);
	/* 576, 656 (2), aligned 704, 904 (5), 1144 (6), aligned 1152, 1432 (7) */
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 0xe7, 0xd, 1).ebx, 1432u);
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 0xe7, 0xd, 5).ebx, 5 * 1024u);
}

static void expect_answer(struct kunit *test, struct answer got, const struct vhm_cpuid_entry *e)
{
	static const struct vhm_cpuid_entry zeros;

	if (!e)
		e = &zeros;
	KUNIT_EXPECT_EQ(test, got.eax, e->eax);
	KUNIT_EXPECT_EQ(test, got.ebx, e->ebx);
	KUNIT_EXPECT_EQ(test, got.ecx, e->ecx);
	KUNIT_EXPECT_EQ(test, got.edx, e->edx);
}

/* Beyond the last leaf the processor answers with its last basic one, here 16H. */
static void out_of_range(struct kunit *test)
{
	static const u32 beyond[] = { 0x17, 0x1f, 0x1000, 0x3fffffff, 0x40000100, 0x7fffffff,
				      0x80000009, 0x8000001f, 0x80000020, 0xc0000000, U32_MAX };
	static const struct vhm_cpuid_limits no_tiles = { .xcr0 = 7, .tsc_khz = 1000 };
	static const u32 zero[] = { 3, 5, 8, 0xa, 0x14, 0x40000002, 0x400000ff, 0x80000005 };
	struct vhm_cpuid_table *t = build(test, &no_tiles, everything);
	struct vhm_vcpu *vcpu = vcpu_with(test, 3, t);
	struct vhm_vcpu bare = {};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(beyond); i++)
		expect_answer(test, ask(vcpu, 0, 1, beyond[i], 1), entry_of(t, 0x16, 0));
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		expect_answer(test, ask(vcpu, 0, 1, zero[i], 0), NULL);
	expect_answer(test, ask(vcpu, 0, 1, 4, 2), entry_of(t, 4, 2));
	expect_answer(test, ask(vcpu, 0, 1, 4, 3), NULL);
	expect_answer(test, ask(vcpu, 0, 1, 0x80000002, 99), entry_of(t, 0x80000002, 0));
	/* a last leaf with subleaves and fields of its own */
	entry_of(t, 0, 0)->eax = 0xd;
	vcpu->cpuid[0].eax = 0xd;
	KUNIT_EXPECT_EQ(test, ask(vcpu, 0, 7, 0x99, 0).ebx, 2 * 1024 + 2 * 40u);
	expect_answer(test, ask(vcpu, 0, 7, 0x99, 5), entry_of(t, 0xd, 5));
	/* no table at all */
	expect_answer(test, ask(&bare, 0, 1, 0, 0), NULL);
	expect_answer(test, ask(&bare, 0, 1, 0xb, 0), NULL);
}

/* ------------------------------------------------------------------- set -- */

static void set_and_run(struct kunit *test)
{
	struct vhm_vcpu *vcpu = apic_add_vcpu(test, 0);
	struct vhm_cpuid_entry *mine;
	const struct vhm_cpuid_entry *supported = vhm_cpuid_supported()->entries;
	u32 count = vhm_cpuid_supported()->count, i;

	KUNIT_ASSERT_GT(test, count, 10u);
	mine = kunit_kzalloc(test, (count + 1) * sizeof(*mine), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mine);
	for (i = 0; i < count; i++)
		mine[count - 1 - i] = supported[i];
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, mine, count), 0);
	KUNIT_EXPECT_EQ(test, vcpu->cpuid_count, count);
	KUNIT_EXPECT_EQ(test, memcmp(vcpu->cpuid, supported, count * sizeof(*mine)), 0);
	mine[count] = mine[0];
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, mine, count + 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, vcpu->cpuid_count, count);

	vcpu->has_run = true;
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, mine, count), 0);
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, mine, count - 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, NULL, 0), -EBUSY);
	vcpu->has_run = false;
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, NULL, 0), 0);
	expect_answer(test, ask(vcpu, 0, 1, 0, 0), NULL);
	vcpu->has_run = true;
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, NULL, 0), 0);
	KUNIT_EXPECT_EQ(test, vhm_cpuid_set(vcpu, mine, count), -EBUSY);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(whitelist),
	KUNIT_CASE(poor_host),
	KUNIT_CASE(limits),
	KUNIT_CASE(xsave_states),
	KUNIT_CASE(tiles),
	KUNIT_CASE(tsc_ratio),
	KUNIT_CASE(every_feature_bit),
	KUNIT_CASE(fixed_registers),
	KUNIT_CASE(address_widths),
	KUNIT_CASE(malformed),
	KUNIT_CASE(find_like_linear_search),
	KUNIT_CASE(dynamic_fields),
	KUNIT_CASE(out_of_range),
	KUNIT_CASE(set_and_run),
	{}
};

static struct kunit_suite suite = {
	.name = "cpuid",
	.init = apic_fixture_init,
	.exit = apic_fixture_exit,
	.test_cases = cases,
};

kunit_test_suite(suite);
