// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: what guests may be given.
 *
 * Owns the tables of what is supported, one of them for processes that may give tiles to
 * their guests, written once by vhm_cpuid_init() and constant from then on. They are a
 * whitelist: a feature bit is there only if this module virtualizes the feature.
 *
 * Topology: packages of 64 cores with one thread each, by APIC id. A VMM that wants
 * another one changes leaves 1, 4 and 0BH, which are free.
 *
 * Does not know which features the backend has: struct vhm_cpuid_limits tells.
 */
#include "cpuid_internal.h"
#include "pv_internal.h"

#include <linux/rational.h>
#include <asm/fpu/types.h>

#define MAX_BASIC	0x16u
#define MAX_BASIC_TILES	0x1eu
#define MAX_EXTENDED	0x80000008u

#define PACKAGE_LG2	6
#define PACKAGE_CORES	BIT(PACKAGE_LG2)

/* XCR0 bits whose state this module can virtualize */
#define XCR0_AVX	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)
#define XCR0_AVX512	(XCR0_AVX | XFEATURE_MASK_AVX512)
#define XCR0_TILES	XFEATURE_MASK_XTILE
#define XCR0_KNOWN	(XCR0_AVX512 | XFEATURE_MASK_PKRU | XCR0_TILES)

/* ------------------------------------------------------------- whitelist -- */

/* What a guest may see beside enum vhm_cpuid_feature: what XCR0 lets it have */
enum { TILES = BIT(28), XSAVE = BIT(29), AVX = BIT(30), AVX512 = BIT(31) };

/* Bits that are given to the guest if the host has them, and @needs is given. */
static const struct {
	u32 leaf, subleaf, reg;
	u32 needs, bits;
} whitelist[] = {
	{ 1, 0, EAX, 0, U32_MAX },
	{ 1, 0, EBX, 0, GENMASK(15, 0) },
	{ 1, 0, ECX, 0, ECX_1(XMM3) | ECX_1(PCLMULQDQ) | ECX_1(SSSE3) | ECX_1(CX16) |
			ECX_1(XMM4_1) | ECX_1(XMM4_2) | ECX_1(MOVBE) | ECX_1(POPCNT) |
			ECX_1(AES) | ECX_1(RDRAND) },
	{ 1, 0, ECX, VHM_CPUID_PCID, ECX_1(PCID) },
	{ 1, 0, ECX, XSAVE, ECX_1(XSAVE) },
	{ 1, 0, ECX, AVX, ECX_1(FMA) | ECX_1(AVX) | ECX_1(F16C) },
	{ 1, 0, EDX, 0, EDX_1(FPU) | EDX_1(VME) | EDX_1(DE) | EDX_1(PSE) | EDX_1(TSC) |
			EDX_1(MSR) | EDX_1(PAE) | EDX_1(MCE) | EDX_1(CX8) | EDX_1(SEP) |
			EDX_1(MTRR) | EDX_1(PGE) | EDX_1(MCA) | EDX_1(CMOV) | EDX_1(PAT) |
			EDX_1(PSE36) | EDX_1(CLFLUSH) | EDX_1(MMX) | EDX_1(FXSR) | EDX_1(XMM) |
			EDX_1(XMM2) | EDX_1(SELFSNOOP) },
	{ 7, 0, EAX, 0, U32_MAX },
	{ 7, 0, EBX, 0, EBX_7(FSGSBASE) | EBX_7(TSC_ADJUST) | EBX_7(BMI1) | EBX_7(HLE) |
			EBX_7(FDP_EXCPTN_ONLY) | EBX_7(SMEP) | EBX_7(BMI2) | EBX_7(ERMS) |
			EBX_7(RTM) | EBX_7(ZERO_FCS_FDS) | EBX_7(RDSEED) | EBX_7(ADX) |
			EBX_7(SMAP) | EBX_7(CLFLUSHOPT) | EBX_7(CLWB) | EBX_7(SHA_NI) },
	{ 7, 0, EBX, VHM_CPUID_INVPCID, EBX_7(INVPCID) },
	{ 7, 0, EBX, AVX, EBX_7(AVX2) },
	{ 7, 0, EBX, AVX512, EBX_7(AVX512F) | EBX_7(AVX512DQ) | EBX_7(AVX512IFMA) |
			     EBX_7(AVX512CD) | EBX_7(AVX512BW) | EBX_7(AVX512VL) },
	{ 7, 0, ECX, 0, BIT(0) /* PREFETCHWT1 */ | ECX_7(UMIP) | ECX_7(GFNI) |
			ECX_7(CLDEMOTE) | ECX_7(MOVDIRI) | ECX_7(MOVDIR64B) },
	{ 7, 0, ECX, VHM_CPUID_RDTSCP, ECX_7(RDPID) },
	{ 7, 0, ECX, VHM_CPUID_PKU, ECX_7(PKU) },
	{ 7, 0, ECX, AVX, ECX_7(VAES) | ECX_7(VPCLMULQDQ) },
	{ 7, 0, ECX, AVX512, ECX_7(AVX512VBMI) | ECX_7(AVX512_VBMI2) | ECX_7(AVX512_VNNI) |
			     ECX_7(AVX512_BITALG) | ECX_7(AVX512_VPOPCNTDQ) },
	{ 7, 0, EDX, 0, EDX_7(FSRM) | EDX_7(MD_CLEAR) | EDX_7(RTM_ALWAYS_ABORT) |
			EDX_7(SERIALIZE) | EDX_7(TSXLDTRK) | EDX_7(FLUSH_L1D) |
			EDX_7(ARCH_CAPABILITIES) },
	{ 7, 0, EDX, VHM_CPUID_SPEC_CTRL,
	  EDX_7(SPEC_CTRL) | EDX_7(INTEL_STIBP) | EDX_7(SPEC_CTRL_SSBD) },
	{ 7, 0, EDX, AVX512, EDX_7(AVX512_VP2INTERSECT) | EDX_7(AVX512_FP16) },
	{ 7, 0, EDX, TILES, EDX_7(AMX_BF16) | EDX_7(AMX_TILE) | EDX_7(AMX_INT8) },
	/* fast zero-length and short REP MOVSB, STOSB, CMPSB */
	{ 7, 1, EAX, 0, GENMASK(12, 10) },
	{ 7, 1, EAX, AVX, EAX_7_1(AVX_VNNI) },
	{ 7, 1, EAX, AVX512, EAX_7_1(AVX512_BF16) },
	{ 7, 1, EAX, TILES, BIT(21) /* AMX-FP16 */ },
	{ 7, 1, EDX, TILES, BIT(8) /* AMX-COMPLEX */ },
	{ 7, 2, EDX, 0, BIT(5) /* MCDT_NO */ },
	/* more bits of IA32_SPEC_CTRL */
	{ 7, 2, EDX, VHM_CPUID_SPEC_CTRL, GENMASK(4, 0) },
	/* no supervisor states */
	{ 0xd, 1, EAX, 0, EAX_D_1(XSAVEOPT) | EAX_D_1(XSAVEC) | EAX_D_1(XGETBV1) },
	{ 0xd, 1, EAX, VHM_CPUID_XSAVES, EAX_D_1(XSAVES) },
	{ 0xd, 1, EAX, TILES, EAX_D_1(XFD) },
	{ 0x1e, 0, EBX, TILES, U32_MAX },
	{ EXTENDED + 1, 0, ECX, 0, ECX_8_1(LAHF_LM) | ECX_8_1(ABM) | ECX_8_1(3DNOWPREFETCH) },
	{ EXTENDED + 1, 0, EDX, 0, EDX_8_1(SYSCALL) | EDX_8_1(NX) | EDX_8_1(GBPAGES) |
				   EDX_8_1(LM) },
	{ EXTENDED + 1, 0, EDX, VHM_CPUID_RDTSCP, EDX_8_1(RDTSCP) },
	{ EXTENDED + 6, 0, ECX, 0, U32_MAX },
	{ EXTENDED + 7, 0, EDX, 0, BIT(8) /* invariant TSC */ },
};

/* --------------------------------------------------------- what is supported -- */

struct builder {
	struct vhm_cpuid_table *table;
	const struct vhm_cpuid_limits *limits;
	vhm_cpuid_fn host;
	u64 xcr0;			/* limits->xcr0 without what is not known here */
	u32 given;			/* limits->features, and what follows from xcr0 */
};

/* The host's answer; zeros for a leaf beyond its last, where it would answer another. */
static void ask(const struct builder *b, u32 leaf, u32 subleaf, u32 regs[4])
{
	b->host(leaf & EXTENDED, 0, regs);
	if (regs[0] < leaf)
		memset(regs, 0, 4 * sizeof(*regs));
	else
		b->host(leaf, subleaf, regs);
}

/* There is room: 8 caches and the components of XCR0_KNOWN make the most of it. */
static struct vhm_cpuid_entry *add(struct builder *b, u32 leaf, u32 subleaf)
{
	struct vhm_cpuid_entry *entry = &b->table->entries[b->table->count++];
	bool has_subleaves = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd ||
			     leaf == 0x1d || leaf == 0x1e;

	*entry = (struct vhm_cpuid_entry) {
		.leaf = leaf, .subleaf = subleaf, .flags = has_subleaves ? VHM_CPUID_SUBLEAF : 0,
	};
	return entry;
}

/* with the host's answer, to be masked by the caller */
static struct vhm_cpuid_entry *add_host(struct builder *b, u32 leaf, u32 subleaf)
{
	struct vhm_cpuid_entry *entry = add(b, leaf, subleaf);

	ask(b, leaf, subleaf, &entry->eax);
	return entry;
}

/* with what the whitelist leaves of the host's answer */
static struct vhm_cpuid_entry *add_listed(struct builder *b, u32 leaf, u32 subleaf)
{
	struct vhm_cpuid_entry *entry = add(b, leaf, subleaf);
	u32 host[4];

	ask(b, leaf, subleaf, host);
	for (u32 i = 0; i < ARRAY_SIZE(whitelist); i++)
		if (whitelist[i].leaf == leaf && whitelist[i].subleaf == subleaf &&
		    !(whitelist[i].needs & ~b->given))
			(&entry->eax)[whitelist[i].reg] |=
				host[whitelist[i].reg] & whitelist[i].bits;
	return entry;
}

static void add_identity(struct builder *b)
{
	struct vhm_cpuid_entry *entry;

	add_host(b, 0, 0)->eax = b->given & TILES ? MAX_BASIC_TILES : MAX_BASIC;
	entry = add_listed(b, 1, 0);
	entry->ebx |= PACKAGE_CORES << 16;
	entry->ecx |= ECX_1(HYPERVISOR) | ECX_1(X2APIC) | ECX_1(TSC_DEADLINE_TIMER);
	entry->edx |= EDX_1(APIC) | EDX_1(HT);
	add_host(b, 2, 0);
}

/* Leaf 4: caches of the first two levels belong to a core, others to the package. */
static void add_caches(struct builder *b)
{
	struct vhm_cpuid_entry *entry;
	u32 regs[4], sharing;

	for (u32 i = 0; i < 8; i++) {
		ask(b, 4, i, regs);
		if (!(regs[0] & 0x1f))
			break;
		entry = add_host(b, 4, i);
		sharing = (entry->eax >> 5 & 7) > 2 ? PACKAGE_CORES - 1 : 0;
		entry->eax = (entry->eax & GENMASK(13, 0)) | sharing << 14 |
			     (PACKAGE_CORES - 1) << 26;
	}
}

static void add_extended_features(struct builder *b)
{
	struct vhm_cpuid_entry *entry = add_listed(b, 7, 0);

	entry->eax = min(entry->eax, 2u);
	for (u32 i = 1; i <= entry->eax; i++)
		add_listed(b, 7, i);
}

static void add_topology(struct builder *b)
{
	struct vhm_cpuid_entry *entry;

	entry = add(b, 0xb, 0);
	entry->ebx = 1;
	entry->ecx = 1 << 8;			/* level 0: threads of a core */
	entry = add(b, 0xb, 1);
	entry->eax = PACKAGE_LG2;
	entry->ebx = PACKAGE_CORES;
	entry->ecx = 2 << 8 | 1;		/* level 1: cores of a package */
}

/* Leaf 0DH: state components; sizes that depend on XCR0 are computed when asked for. */
static void add_xsave(struct builder *b)
{
	struct vhm_cpuid_entry *all, *entry;
	u32 end = XSAVE_LEGACY;

	if (!b->xcr0)
		return;
	all = add(b, 0xd, 0);
	all->eax = b->xcr0;
	all->ebx = XSAVE_LEGACY;
	add_listed(b, 0xd, 1);
	for (u32 i = 2; i < 32; i++) {
		if (!(b->xcr0 & BIT(i)))
			continue;
		entry = add_host(b, 0xd, i);
		entry->edx = 0;
		end = max(end, entry->ebx + entry->eax);
	}
	all->ecx = end;
}

/**
 * vhm_cpuid_tsc_ratio - TSC frequency as a multiple of the core crystal clock
 * @tsc_khz: frequency of the TSC, not 0
 * @numerator: out: leaf 15H EBX
 * @denominator: out: leaf 15H EAX
 *
 * The crystal clock is what the APIC timer counts: VHM_APIC_TIMER_HZ. Linux multiplies
 * its kHz by the numerator in 32 bits, so the numerator is kept below the overflow, and
 * with it the denominator at some 1400. The finer the crystal's grid, the closer the best
 * such ratio comes: 25 MHz, as in real processors, is within six parts in a million.
 */
void vhm_cpuid_tsc_ratio(u32 tsc_khz, u32 *numerator, u32 *denominator)
{
	const u32 crystal_khz = VHM_APIC_TIMER_HZ / 1000;
	unsigned long n, d;

	rational_best_approximation(tsc_khz, crystal_khz, U32_MAX / crystal_khz, crystal_khz,
				    &n, &d);
	*numerator = n;
	*denominator = d;
}

/* Leaves 15H and 16H tell a guest the frequency of TSC and APIC timer without a PIT. */
static void add_frequencies(struct builder *b)
{
	struct vhm_cpuid_entry *entry;
	u32 mhz = b->limits->tsc_khz / 1000;

	if (!b->limits->tsc_khz)
		return;
	entry = add(b, 0x15, 0);
	vhm_cpuid_tsc_ratio(b->limits->tsc_khz, &entry->ebx, &entry->eax);
	entry->ecx = VHM_APIC_TIMER_HZ;
	entry = add(b, 0x16, 0);
	entry->eax = mhz;
	entry->ebx = mhz;
	entry->ecx = VHM_CPUID_BUS_MHZ;
}

/* Leaves 1DH and 1EH: the shape of tiles and of what multiplies them. */
static void add_tiles(struct builder *b)
{
	if (!(b->given & TILES))
		return;
	add(b, 0x1d, 0)->eax = 1;	/* the last palette */
	add_host(b, 0x1d, 1);
	add_listed(b, 0x1e, 0);
}

/* The hypervisor's name and features, as guests of KVM know them. */
static void add_paravirtual(struct builder *b)
{
	struct vhm_cpuid_entry *entry = add(b, KVM_CPUID_SIGNATURE, 0);

	entry->eax = KVM_CPUID_FEATURES;
	entry->ebx = PV_SIGNATURE_EBX;
	entry->ecx = PV_SIGNATURE_ECX;
	entry->edx = PV_SIGNATURE_EDX;
	add(b, KVM_CPUID_FEATURES, 0)->eax = PV_FEATURES;
}

static void add_extended(struct builder *b)
{
	add(b, EXTENDED, 0)->eax = MAX_EXTENDED;
	add_listed(b, EXTENDED + 1, 0);
	for (u32 leaf = EXTENDED + 2; leaf <= EXTENDED + 4; leaf++)
		add_host(b, leaf, 0);	/* brand string */
	add_listed(b, EXTENDED + 6, 0);
	add_listed(b, EXTENDED + 7, 0);
	add(b, EXTENDED + 8, 0)->eax = 48 << 8 | b->limits->gpa_bits;
}

/**
 * vhm_cpuid_build - what a guest may be given by a host with this CPUID
 * @table: out: the table, sorted by leaf and subleaf
 * @limits: what the backend can give
 * @host: the host's CPUID
 */
void vhm_cpuid_build(struct vhm_cpuid_table *table, const struct vhm_cpuid_limits *limits,
		     vhm_cpuid_fn host)
{
	struct builder b = {
		.table = table, .limits = limits, .host = host,
		.xcr0 = limits->xcr0 & XCR0_KNOWN, .given = limits->features & ~VHM_CPUID_PKU,
	};

	if (!(limits->features & VHM_CPUID_PKU))
		b.xcr0 &= ~(u64)XFEATURE_MASK_PKRU;
	if ((b.xcr0 & XCR0_TILES) != XCR0_TILES)
		b.xcr0 &= ~(u64)XCR0_TILES;
	if ((b.xcr0 & XFEATURE_MASK_FPSSE) != XFEATURE_MASK_FPSSE)
		b.xcr0 = 0;
	if (b.xcr0)
		b.given |= XSAVE;
	if (b.xcr0 & XFEATURE_MASK_PKRU)
		b.given |= VHM_CPUID_PKU;
	if ((b.xcr0 & XCR0_AVX) == XCR0_AVX)
		b.given |= AVX;
	if ((b.xcr0 & XCR0_AVX512) == XCR0_AVX512)
		b.given |= AVX512;
	if (b.xcr0 & XCR0_TILES)
		b.given |= TILES;

	table->count = 0;
	add_identity(&b);
	add_caches(&b);
	add(&b, 6, 0)->eax = BIT(2);	/* the APIC timer keeps running in deep sleep (ARAT) */
	add_extended_features(&b);
	add_topology(&b);
	add_xsave(&b);
	add_frequencies(&b);
	add_tiles(&b);
	add_paravirtual(&b);
	add_extended(&b);
}

static void host_cpuid(u32 leaf, u32 subleaf, u32 regs[4])
{
	asm volatile("cpuid" : "=a" (regs[0]), "=b" (regs[1]), "=c" (regs[2]), "=d" (regs[3])
		     : "0" (leaf), "2" (subleaf));
}

static struct vhm_cpuid_table supported[2];	/* without tiles, with them */

void vhm_cpuid_init(const struct vhm_cpuid_limits *limits)
{
	struct vhm_cpuid_limits without_tiles = *limits;

	without_tiles.xcr0 &= ~(u64)XCR0_TILES;
	vhm_cpuid_build(&supported[0], &without_tiles, host_cpuid);
	vhm_cpuid_build(&supported[1], limits, host_cpuid);
}

const struct vhm_cpuid_table *vhm_cpuid_supported(void)
{
	return &supported[!!(vhm_backend->process_xcr0() & XCR0_TILES)];
}
