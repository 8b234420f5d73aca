// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: what guests may be given.
 *
 * Owns the table of what is supported, written once by vhm_cpuid_init() and constant
 * from then on. It is a whitelist: a feature bit is in it only if this module
 * virtualizes the feature.
 *
 * Topology: packages of 64 cores with one thread each, by APIC id. A VMM that wants
 * another one changes leaves 1, 4 and 0BH, which are free.
 *
 * Does not know which features the backend has: struct vhm_cpuid_limits tells.
 */
#include "cpuid_internal.h"
#include "pv_internal.h"

#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <asm/fpu/types.h>

#define MAX_BASIC	0x16u
#define MAX_EXTENDED	0x80000008u

#define PACKAGE_LG2	6
#define PACKAGE_CORES	BIT(PACKAGE_LG2)

/* XCR0 bits whose state this module can virtualize */
#define XCR0_AVX	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM)
#define XCR0_AVX512	(XCR0_AVX | XFEATURE_MASK_AVX512)
#define XCR0_KNOWN	(XCR0_AVX512 | XFEATURE_MASK_PKRU)

/* ------------------------------------------------------------- whitelist -- */

/* given to the guest if the host has them, no matter what the limits say */
enum {
	ECX_1_HOST = ECX_1(XMM3) | ECX_1(PCLMULQDQ) | ECX_1(SSSE3) | ECX_1(CX16) |
		ECX_1(XMM4_1) | ECX_1(XMM4_2) | ECX_1(MOVBE) | ECX_1(POPCNT) | ECX_1(AES) |
		ECX_1(RDRAND),
	EDX_1_HOST = EDX_1(FPU) | EDX_1(VME) | EDX_1(DE) | EDX_1(PSE) | EDX_1(TSC) |
		EDX_1(MSR) | EDX_1(PAE) | EDX_1(MCE) | EDX_1(CX8) | EDX_1(SEP) |
		EDX_1(MTRR) | EDX_1(PGE) | EDX_1(MCA) | EDX_1(CMOV) | EDX_1(PAT) |
		EDX_1(PSE36) | EDX_1(CLFLUSH) | EDX_1(MMX) | EDX_1(FXSR) | EDX_1(XMM) |
		EDX_1(XMM2) | EDX_1(SELFSNOOP),
	EBX_7_HOST = EBX_7(FSGSBASE) | EBX_7(TSC_ADJUST) | EBX_7(BMI1) | EBX_7(HLE) |
		EBX_7(FDP_EXCPTN_ONLY) | EBX_7(SMEP) | EBX_7(BMI2) | EBX_7(ERMS) | EBX_7(RTM) |
		EBX_7(ZERO_FCS_FDS) | EBX_7(RDSEED) | EBX_7(ADX) | EBX_7(SMAP) |
		EBX_7(CLFLUSHOPT) | EBX_7(CLWB) | EBX_7(SHA_NI),
	ECX_7_HOST = BIT(0) /* PREFETCHWT1 */ | ECX_7(UMIP) | ECX_7(GFNI) |
		ECX_7(CLDEMOTE) | ECX_7(MOVDIRI) | ECX_7(MOVDIR64B),
	EDX_7_HOST = EDX_7(FSRM) | EDX_7(MD_CLEAR) | EDX_7(RTM_ALWAYS_ABORT) |
		EDX_7(SERIALIZE) | EDX_7(TSXLDTRK),
	EAX_7_1_HOST = GENMASK(12, 10),	/* fast zero-length and short REP MOVSB, STOSB, CMPSB */
	ECX_8_1_HOST = ECX_8_1(LAHF_LM) | ECX_8_1(ABM) | ECX_8_1(3DNOWPREFETCH),
	EDX_8_1_HOST = EDX_8_1(SYSCALL) | EDX_8_1(NX) | EDX_8_1(GBPAGES) | EDX_8_1(LM),
};

/* given if the host has them and the guest may enable AVX, or AVX-512 */
enum {
	ECX_1_AVX = ECX_1(FMA) | ECX_1(AVX) | ECX_1(F16C),
	EBX_7_AVX = EBX_7(AVX2),
	ECX_7_AVX = ECX_7(VAES) | ECX_7(VPCLMULQDQ),
	EAX_7_1_AVX = EAX_7_1(AVX_VNNI),
	EBX_7_AVX512 = EBX_7(AVX512F) | EBX_7(AVX512DQ) | EBX_7(AVX512IFMA) |
		EBX_7(AVX512CD) | EBX_7(AVX512BW) | EBX_7(AVX512VL),
	ECX_7_AVX512 = ECX_7(AVX512VBMI) | ECX_7(AVX512_VBMI2) | ECX_7(AVX512_VNNI) |
		ECX_7(AVX512_BITALG) | ECX_7(AVX512_VPOPCNTDQ),
	EDX_7_AVX512 = EDX_7(AVX512_VP2INTERSECT) | EDX_7(AVX512_FP16),
	EAX_7_1_AVX512 = EAX_7_1(AVX512_BF16),
};

#define EDX_7_SPEC_CTRL		(EDX_7(SPEC_CTRL) | EDX_7(INTEL_STIBP) | EDX_7(SPEC_CTRL_SSBD))
#define EDX_7_2_SPEC_CTRL	GENMASK(4, 0)	/* more bits of IA32_SPEC_CTRL */
#define EDX_7_2_HOST		BIT(5)		/* MCDT_NO */

/* --------------------------------------------------------- what is supported -- */

struct builder {
	struct vhm_cpuid_entry *entries;
	u32 room;
	u32 count;
	const struct vhm_cpuid_limits *limits;
	vhm_cpuid_fn host;
	u64 xcr0;			/* limits->xcr0 without what is not known here */
	struct vhm_cpuid_entry overflow;
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

static u32 mask_if(bool condition, u32 mask)
{
	return condition ? mask : 0;
}

static struct vhm_cpuid_entry *add(struct builder *b, u32 leaf, u32 subleaf, u32 flags)
{
	struct vhm_cpuid_entry *entry = &b->overflow;

	if (b->count < b->room)
		entry = &b->entries[b->count];
	b->count++;
	memset(entry, 0, sizeof(*entry));
	entry->leaf = leaf;
	entry->subleaf = subleaf;
	entry->flags = flags;
	return entry;
}

/* with the host's answer, to be masked by the caller */
static struct vhm_cpuid_entry *add_host(struct builder *b, u32 leaf, u32 subleaf, u32 flags)
{
	struct vhm_cpuid_entry *entry = add(b, leaf, subleaf, flags);

	ask(b, leaf, subleaf, &entry->eax);
	return entry;
}

/* with what @masks, of EAX EBX ECX EDX, leaves of the host's answer */
static void add_masked(struct builder *b, u32 leaf, u32 subleaf, u32 flags, const u32 masks[4])
{
	struct vhm_cpuid_entry *entry = add_host(b, leaf, subleaf, flags);

	entry->eax &= masks[0];
	entry->ebx &= masks[1];
	entry->ecx &= masks[2];
	entry->edx &= masks[3];
}

static void add_identity(struct builder *b)
{
	const struct vhm_cpuid_limits *limits = b->limits;
	struct vhm_cpuid_entry *entry;

	add_host(b, 0, 0, 0)->eax = MAX_BASIC;
	entry = add_host(b, 1, 0, 0);
	entry->ebx = (entry->ebx & 0xffff) | PACKAGE_CORES << 16;
	entry->ecx &= ECX_1_HOST | mask_if((b->xcr0 & XCR0_AVX) == XCR0_AVX, ECX_1_AVX) |
		      mask_if(limits->pcid, ECX_1(PCID)) | mask_if(b->xcr0, ECX_1(XSAVE));
	entry->ecx |= ECX_1(HYPERVISOR) | ECX_1(X2APIC) | ECX_1(TSC_DEADLINE_TIMER);
	entry->edx &= EDX_1_HOST;
	entry->edx |= EDX_1(APIC) | EDX_1(HT);

	add_host(b, 2, 0, 0);
}

/* Leaf 4: caches of the first two levels belong to a core, others to the package. */
static void add_caches(struct builder *b)
{
	struct vhm_cpuid_entry *entry;
	u32 i, regs[4], sharing;

	for (i = 0; i < 8; i++) {
		ask(b, 4, i, regs);
		if (!(regs[0] & 0x1f))
			break;
		entry = add_host(b, 4, i, VHM_CPUID_SUBLEAF);
		sharing = (entry->eax >> 5 & 7) > 2 ? PACKAGE_CORES - 1 : 0;
		entry->eax = (entry->eax & GENMASK(13, 0)) | sharing << 14 |
			     (PACKAGE_CORES - 1) << 26;
	}
}

static void add_extended_features(struct builder *b)
{
	const struct vhm_cpuid_limits *limits = b->limits;
	bool avx = (b->xcr0 & XCR0_AVX) == XCR0_AVX;
	bool avx512 = (b->xcr0 & XCR0_AVX512) == XCR0_AVX512;
	struct vhm_cpuid_entry *entry;

	entry = add_host(b, 7, 0, VHM_CPUID_SUBLEAF);
	entry->eax = min(entry->eax, 2u);
	entry->ebx &= EBX_7_HOST | mask_if(avx, EBX_7_AVX) | mask_if(avx512, EBX_7_AVX512) |
		      mask_if(limits->invpcid, EBX_7(INVPCID));
	entry->ecx &= ECX_7_HOST | mask_if(avx, ECX_7_AVX) | mask_if(avx512, ECX_7_AVX512) |
		      mask_if(limits->rdtscp, ECX_7(RDPID)) |
		      mask_if(b->xcr0 & XFEATURE_MASK_PKRU, ECX_7(PKU));
	entry->edx &= EDX_7_HOST | mask_if(avx512, EDX_7_AVX512) |
		      mask_if(limits->spec_ctrl, EDX_7_SPEC_CTRL) |
		      mask_if(limits->flush_cmd, EDX_7(FLUSH_L1D)) |
		      mask_if(limits->arch_capabilities, EDX_7(ARCH_CAPABILITIES));

	if (entry->eax >= 1)
		add_masked(b, 7, 1, VHM_CPUID_SUBLEAF, (u32[4]) {
			EAX_7_1_HOST | mask_if(avx, EAX_7_1_AVX) | mask_if(avx512, EAX_7_1_AVX512)
		});
	if (entry->eax >= 2)
		add_masked(b, 7, 2, VHM_CPUID_SUBLEAF, (u32[4]) {
			[3] = EDX_7_2_HOST | mask_if(limits->spec_ctrl, EDX_7_2_SPEC_CTRL)
		});
}

static void add_topology(struct builder *b)
{
	struct vhm_cpuid_entry *entry;

	entry = add(b, 0xb, 0, VHM_CPUID_SUBLEAF);
	entry->ebx = 1;
	entry->ecx = 1 << 8;			/* level 0: threads of a core */
	entry = add(b, 0xb, 1, VHM_CPUID_SUBLEAF);
	entry->eax = PACKAGE_LG2;
	entry->ebx = PACKAGE_CORES;
	entry->ecx = 2 << 8 | 1;		/* level 1: cores of a package */
}

/* Leaf 0DH: state components; sizes that depend on XCR0 are computed when asked for. */
static void add_xsave(struct builder *b)
{
	struct vhm_cpuid_entry *all, *entry;
	u32 i, end = XSAVE_LEGACY;

	if (!b->xcr0)
		return;
	all = add(b, 0xd, 0, VHM_CPUID_SUBLEAF);
	all->eax = b->xcr0;
	all->ebx = XSAVE_LEGACY;
	/* no supervisor states */
	add_masked(b, 0xd, 1, VHM_CPUID_SUBLEAF, (u32[4]) {
		EAX_D_1(XSAVEOPT) | EAX_D_1(XSAVEC) | EAX_D_1(XGETBV1) |
		mask_if(b->limits->xsaves, EAX_D_1(XSAVES))
	});
	for (i = 2; i < 32; i++) {
		if (!(b->xcr0 & BIT(i)))
			continue;
		entry = add_host(b, 0xd, i, VHM_CPUID_SUBLEAF);
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
	const u64 crystal_khz = VHM_APIC_TIMER_HZ / 1000;
	const u64 most = div64_u64(U32_MAX, crystal_khz);
	u64 n, d, error, best_error = 0;

	*numerator = 1;
	*denominator = 0;		/* none yet */
	for (d = 1; d <= crystal_khz; d++) {
		n = div64_u64(tsc_khz * d + crystal_khz / 2, crystal_khz);
		if (!n)
			continue;
		if (n > most)
			break;
		error = abs((s64)(n * crystal_khz - tsc_khz * d));
		if (*denominator && error * *denominator >= best_error * d)
			continue;
		*numerator = n;
		*denominator = d;
		best_error = error;
		if (!error)
			break;
	}
}

/* Leaves 15H and 16H tell a guest the frequency of TSC and APIC timer without a PIT. */
static void add_frequencies(struct builder *b)
{
	struct vhm_cpuid_entry *entry;
	u32 mhz = b->limits->tsc_khz / 1000;

	if (!b->limits->tsc_khz)
		return;
	entry = add(b, 0x15, 0, 0);
	vhm_cpuid_tsc_ratio(b->limits->tsc_khz, &entry->ebx, &entry->eax);
	entry->ecx = VHM_APIC_TIMER_HZ;
	entry = add(b, 0x16, 0, 0);
	entry->eax = mhz;
	entry->ebx = mhz;
	entry->ecx = VHM_CPUID_BUS_MHZ;
}

/* The hypervisor's name and features, as guests of KVM know them. */
static void add_paravirtual(struct builder *b)
{
	struct vhm_cpuid_entry *entry = add(b, KVM_CPUID_SIGNATURE, 0, 0);

	entry->eax = KVM_CPUID_FEATURES;
	entry->ebx = PV_SIGNATURE_EBX;
	entry->ecx = PV_SIGNATURE_ECX;
	entry->edx = PV_SIGNATURE_EDX;
	add(b, KVM_CPUID_FEATURES, 0, 0)->eax = b->limits->pv_features;
}

static void add_extended(struct builder *b)
{
	const struct vhm_cpuid_limits *limits = b->limits;
	u32 leaf;

	add(b, EXTENDED, 0, 0)->eax = MAX_EXTENDED;
	add_masked(b, EXTENDED + 1, 0, 0, (u32[4]) {
		0, 0, ECX_8_1_HOST, EDX_8_1_HOST | mask_if(limits->rdtscp, EDX_8_1(RDTSCP))
	});
	for (leaf = EXTENDED + 2; leaf <= EXTENDED + 4; leaf++)
		add_host(b, leaf, 0, 0);	/* brand string */
	add_masked(b, EXTENDED + 6, 0, 0, (u32[4]) { [2] = U32_MAX });
	add_masked(b, EXTENDED + 7, 0, 0, (u32[4]) {
		[3] = mask_if(limits->invariant_tsc, BIT(8))
	});
	add(b, EXTENDED + 8, 0, 0)->eax = 48 << 8 | limits->gpa_bits;
}

/**
 * vhm_cpuid_build - what a guest may be given by a host with this CPUID
 * @entries: out: the table, sorted by leaf and subleaf
 * @room: entries that fit
 * @count: out: entries there are
 * @limits: what the backend can give
 * @host: the host's CPUID
 *
 * Return: 0; -ENOSPC if @count is above @room.
 */
int vhm_cpuid_build(struct vhm_cpuid_entry *entries, u32 room, u32 *count,
		    const struct vhm_cpuid_limits *limits, vhm_cpuid_fn host)
{
	struct builder b = {
		.entries = entries,
		.room = room,
		.limits = limits,
		.host = host,
		.xcr0 = limits->xcr0 & XCR0_KNOWN,
	};

	if (!limits->pku)
		b.xcr0 &= ~(u64)XFEATURE_MASK_PKRU;
	if ((b.xcr0 & XFEATURE_MASK_FPSSE) != XFEATURE_MASK_FPSSE)
		b.xcr0 = 0;

	add_identity(&b);
	add_caches(&b);
	add(&b, 6, 0, 0)->eax = BIT(2);	/* the APIC timer keeps running in deep sleep (ARAT) */
	add_extended_features(&b);
	add_topology(&b);
	add_xsave(&b);
	add_frequencies(&b);
	add_paravirtual(&b);
	add_extended(&b);
	*count = b.count;
	return b.count > room ? -ENOSPC : 0;
}

static void host_cpuid(u32 leaf, u32 subleaf, u32 regs[4])
{
	asm volatile("cpuid"
		     : "=a" (regs[0]), "=b" (regs[1]), "=c" (regs[2]), "=d" (regs[3])
		     : "0" (leaf), "2" (subleaf));
}

static struct {
	struct vhm_cpuid_entry entries[VHM_CPUID_MAX_SUPPORTED];
	u32 count;
} supported_table;

int vhm_cpuid_init(const struct vhm_cpuid_limits *limits)
{
	return vhm_cpuid_build(supported_table.entries, ARRAY_SIZE(supported_table.entries),
			       &supported_table.count, limits, host_cpuid);
}

const struct vhm_cpuid_entry *vhm_cpuid_table(u32 *count)
{
	*count = supported_table.count;
	return supported_table.entries;
}

