// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: the table of a vCPU and its answers.
 *
 * Owns vcpu->cpuid, under vcpu->mutex: checked against what is supported, sorted,
 * with an index, so that an answer costs some dozens of instructions.
 *
 * Does not know what is supported: cpuid_supported.c does.
 */
#include "cpuid_internal.h"
#include "apic.h"

#include <linux/mm.h>
#include <linux/sort.h>

#define HYPERVISOR_LEAF	0x40000000u	/* to 0x400000ff: the VMM's to fill */
#define XSAVE_COMPACT	(EAX_D_1(XSAVEC) | EAX_D_1(XSAVES))
#define CR4_OSXSAVE	BIT(18)
#define CR4_PKE		BIT(22)

/* ----------------------------------------------------------------- check -- */

#define ALL	(BIT(EAX) | BIT(EBX) | BIT(ECX) | BIT(EDX))

/*
 * How a register of the VMM's table must relate to the supported one. Registers that
 * are not named here inform the guest and are free.
 */
static const struct rule {
	u32 leaf, first_subleaf, last_subleaf;
	u8 features;		/* registers whose bits must be supported */
	u8 fixed;		/* registers that must be the same */
	u32 dynamic_ecx;	/* bits that the answer computes, whatever the table says */
} rules[] = {
	{ 1, 0, 0, BIT(ECX) | BIT(EDX), 0, ECX_1(OSXSAVE) },
	{ 6, 0, 0, ALL, 0 },
	{ 7, 0, 0, BIT(EBX) | BIT(ECX) | BIT(EDX), 0, ECX_7(OSPKE) },
	{ 7, 1, U32_MAX, ALL, 0 },
	{ 0xd, 0, 0, BIT(EAX) | BIT(EDX), 0 },
	{ 0xd, 1, 1, BIT(EAX) | BIT(ECX) | BIT(EDX), 0 },
	{ 0xd, 2, U32_MAX, 0, ALL },
	{ 0x15, 0, 0, 0, ALL },
	{ 0x1d, 0, U32_MAX, 0, ALL },
	{ 0x1e, 0, U32_MAX, 0, ALL },
	{ EXTENDED + 1, 0, 0, BIT(ECX) | BIT(EDX), 0 },
	{ EXTENDED + 7, 0, 0, ALL, 0 },
	{ EXTENDED + 8, 0, 0, BIT(EBX) | BIT(ECX) | BIT(EDX), 0 },
};

static bool obeys(const struct rule *rule, const struct vhm_cpuid_entry *entry,
		  const struct vhm_cpuid_entry *supported)
{
	if (rule->leaf != supported->leaf || supported->subleaf < rule->first_subleaf ||
	    supported->subleaf > rule->last_subleaf)
		return true;
	for (u32 i = 0; i < 4; i++) {
		u32 given = (&entry->eax)[i] & ~(i == ECX ? rule->dynamic_ecx : 0);
		u32 able = (&supported->eax)[i];

		if ((rule->features & BIT(i) && given & ~able) ||
		    (rule->fixed & BIT(i) && given != able))
			return false;
	}
	return true;
}

static bool same_question(const struct vhm_cpuid_entry *a, const struct vhm_cpuid_entry *b)
{
	return a->leaf == b->leaf &&
	       (!(a->flags & b->flags & VHM_CPUID_SUBLEAF) || a->subleaf == b->subleaf);
}

static int check_registers(const struct vhm_cpuid_entry *entry,
			   const struct vhm_cpuid_entry *supported)
{
	/* widths of addresses may shrink */
	if (entry->leaf == EXTENDED + 8 &&
	    (entry->eax >> 16 || (entry->eax & 0xff) > (supported->eax & 0xff) ||
	     (entry->eax >> 8 & 0xff) > (supported->eax >> 8 & 0xff)))
		return -EINVAL;
	for (u32 i = 0; i < ARRAY_SIZE(rules); i++)
		if (!obeys(&rules[i], entry, supported))
			return -EINVAL;
	return 0;
}

static int check_entry(const struct vhm_cpuid_entry *entry, const struct vhm_cpuid_table *supported)
{
	const struct vhm_cpuid_entry *able;

	if (entry->flags & ~VHM_CPUID_SUBLEAF || entry->reserved)
		return -EINVAL;
	if (entry->leaf >> 8 == HYPERVISOR_LEAF >> 8 ||
	    !(entry->eax | entry->ebx | entry->ecx | entry->edx))
		return 0;
	for (able = supported->entries; able < supported->entries + supported->count; able++)
		if (able->flags == entry->flags && same_question(entry, able))
			return check_registers(entry, able);
	return -EINVAL;
}

/**
 * vhm_cpuid_check - may a guest have this table?
 * @entries: the table, in any order
 * @count: its entries
 * @supported: what is supported
 *
 * Return: 0; -EINVAL: too many, a duplicate, unknown flag, reserved field not zero, an
 * unsupported bit, or a leaf that is not supported and not zero.
 */
int vhm_cpuid_check(const struct vhm_cpuid_entry *entries, u32 count,
		    const struct vhm_cpuid_table *supported)
{
	if (count > VHM_MAX_CPUID_ENTRIES)
		return -EINVAL;
	for (u32 i = 0; i < count; i++) {
		if (check_entry(&entries[i], supported))
			return -EINVAL;
		for (u32 j = 0; j < i; j++)
			if (same_question(&entries[i], &entries[j]))
				return -EINVAL;
	}
	return 0;
}

/* ----------------------------------------------------------- a vCPU's table -- */

/*
 * Behind the entries of vcpu->cpuid, in the same allocation: where the entries of each of
 * the first 32 basic, hypervisor's and extended leaves begin, or the number of entries.
 */
#define GROUP_LEAVES	32u
#define INDEXED_LEAVES	(3 * GROUP_LEAVES)

static u32 index_slot(u32 leaf)
{
	return (leaf >> 30) * GROUP_LEAVES | (leaf & (GROUP_LEAVES - 1));
}

static bool is_indexed(u32 leaf)
{
	return !(leaf & ~(GENMASK(31, 30) | (GROUP_LEAVES - 1))) && leaf < 0xc0000000;
}

static int compare(const void *a, const void *b)
{
	const struct vhm_cpuid_entry *x = a, *y = b;

	if (x->leaf != y->leaf)
		return x->leaf < y->leaf ? -1 : 1;
	return x->subleaf < y->subleaf ? -1 : x->subleaf > y->subleaf;
}

static struct vhm_cpuid_entry *make_table(const struct vhm_cpuid_entry *entries, u32 count)
{
	struct vhm_cpuid_entry *table;
	u16 *index;

	table = kvmalloc(count * sizeof(*table) + INDEXED_LEAVES * sizeof(*index),
			 GFP_KERNEL_ACCOUNT);
	if (!table)
		return NULL;
	memcpy(table, entries, count * sizeof(*table));
	for (u32 i = 0; i < count; i++)
		if (!(table[i].flags & VHM_CPUID_SUBLEAF))
			table[i].subleaf = 0;	/* ignored */
	sort(table, count, sizeof(*table), compare, NULL);

	index = (u16 *)(table + count);
	for (u32 i = 0; i < INDEXED_LEAVES; i++)
		index[i] = count;
	for (u32 i = count; i-- > 0;)
		if (is_indexed(table[i].leaf))
			index[index_slot(table[i].leaf)] = i;
	return table;
}

/* the state components that a table offers */
static u64 xcr0_of(const struct vhm_cpuid_entry *entries, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if (entries[i].leaf == 0xd && !entries[i].subleaf)
			return entries[i].eax | (u64)entries[i].edx << 32;
	return 0;
}

/**
 * vhm_cpuid_set - give a vCPU its CPUID table
 * @vcpu: the vCPU, mutex held
 * @entries: the table, in any order
 * @count: its entries
 *
 * After the vCPU has run, only the table that it has is accepted.
 *
 * Return: 0; -EINVAL, see vhm_cpuid_check(); -EBUSY; -ENOMEM.
 */
int vhm_cpuid_set(struct vhm_vcpu *vcpu, const struct vhm_cpuid_entry *entries, u32 count)
{
	struct vhm_cpuid_entry *table;
	int ret;

	if (vhm_cpuid_check(entries, count, vhm_cpuid_supported()))
		return -EINVAL;
	table = make_table(entries, count);
	if (!table)
		return -ENOMEM;
	if (vcpu->has_run) {
		ret = vcpu->cpuid_count != count ||
		      memcmp(vcpu->cpuid, table, count * sizeof(*table)) ? -EBUSY : 0;
	} else {
		ret = vhm_backend->enable_xcr0(vcpu, xcr0_of(entries, count));
		if (!ret) {
			swap(vcpu->cpuid, table);
			vcpu->cpuid_count = count;
			vhm_pv_cpuid_changed(vcpu);
			vhm_backend->cpuid_changed(vcpu);
		}
	}
	kvfree(table);
	return ret;
}

/* ---------------------------------------------------------------- answers -- */

static __always_inline const struct vhm_cpuid_entry *
find(const struct vhm_vcpu *vcpu, u32 leaf, u32 subleaf)
{
	const struct vhm_cpuid_entry *entry = vcpu->cpuid;
	const struct vhm_cpuid_entry *end = entry + vcpu->cpuid_count;

	if (!entry)
		return NULL;
	if (likely(is_indexed(leaf)))
		entry += ((const u16 *)end)[index_slot(leaf)];
	else
		while (entry < end && entry->leaf < leaf)
			entry++;
	for (; entry < end && entry->leaf == leaf; entry++)
		if (!(entry->flags & VHM_CPUID_SUBLEAF) || entry->subleaf == subleaf)
			return entry;
	return NULL;
}

/**
 * vhm_cpuid_find - the entry for a question, in a vCPU's table
 * @vcpu: the vCPU
 * @leaf: EAX
 * @subleaf: ECX
 *
 * Return: the entry, with none of the fields that follow from guest state; NULL if
 * there is none.
 */
const struct vhm_cpuid_entry *vhm_cpuid_find(const struct vhm_vcpu *vcpu, u32 leaf, u32 subleaf)
{
	return find(vcpu, leaf, subleaf);
}

/**
 * vhm_cpuid_has - does a guest's CPUID say that it has a feature?
 * @vcpu: the vCPU
 * @feature: X86_FEATURE_*, of a word that is a register of the processor's and known here
 */
bool vhm_cpuid_has(const struct vhm_vcpu *vcpu, u32 feature)
{
	static const struct {
		u32 leaf, subleaf, reg;
	} words[] = {
		[X86_FEATURE_FPU / 32]		= { 1, 0, EDX },
		[X86_FEATURE_SYSCALL / 32]	= { EXTENDED + 1, 0, EDX },
		[X86_FEATURE_XMM3 / 32]		= { 1, 0, ECX },
		[X86_FEATURE_FSGSBASE / 32]	= { 7, 0, EBX },
		[X86_FEATURE_XSAVEOPT / 32]	= { 0xd, 1, EAX },
		[X86_FEATURE_UMIP / 32]		= { 7, 0, ECX },
		[X86_FEATURE_SPEC_CTRL / 32]	= { 7, 0, EDX },
	};
	const struct vhm_cpuid_entry *entry = find(vcpu, words[feature / 32].leaf,
						   words[feature / 32].subleaf);

	return entry && (&entry->eax)[words[feature / 32].reg] & BIT(feature % 32);
}

/* bytes of the XSAVE area for these components (SDM vol. 1, 13.4.2 and 13.4.3) */
static u32 xsave_bytes(const struct vhm_vcpu *vcpu, u64 components, bool compact)
{
	const struct vhm_cpuid_entry *entry;
	u32 end = XSAVE_LEGACY;

	for (u32 i = 2; i < 63; i++) {
		entry = components & BIT_ULL(i) ? vhm_cpuid_find(vcpu, 0xd, i) : NULL;
		if (!entry)
			continue;
		if (!compact)
			end = max(end, entry->ebx + entry->eax);
		else	/* ECX bit 1: aligned to 64 bytes */
			end = (entry->ecx & BIT(1) ? ALIGN(end, 64) : end) + entry->eax;
	}
	return end;
}

/* A TSC that is not the host's, where the rest is as VHM_GET_CPUID gives it. */
static void answer_frequency(const struct vhm_vcpu *vcpu, u32 leaf, struct vhm_registers *regs)
{
	u32 khz = vhm_vcpu_tsc_khz(vcpu), numerator, denominator;

	if (khz == tsc_khz)
		return;
	if (leaf == 0x15 && regs->rcx == VHM_APIC_TIMER_HZ) {
		vhm_cpuid_tsc_ratio(khz, &numerator, &denominator);
		regs->rax = denominator;
		regs->rbx = numerator;
	} else if (leaf == 0x16 && regs->rcx == VHM_CPUID_BUS_MHZ) {
		regs->rax = khz / 1000;
		regs->rbx = khz / 1000;
	}
}

static noinline void answer_dynamic(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0,
				    u32 leaf, u32 subleaf, struct vhm_registers *regs)
{
	switch (leaf) {
	case 1:
		regs->rbx = (regs->rbx & GENMASK(23, 0)) | vcpu->id << 24;
		regs->rcx &= ~ECX_1(OSXSAVE);
		if (regs->rcx & ECX_1(XSAVE) && cr4 & CR4_OSXSAVE)
			regs->rcx |= ECX_1(OSXSAVE);
		/* a disabled local APIC is not there (SDM vol. 3, 10.4.3) */
		if (vcpu->apic && vhm_apic_mode(vcpu->apic) == VHM_APIC_DISABLED)
			regs->rdx &= ~EDX_1(APIC);
		break;
	case 7:
		if (subleaf)
			break;
		regs->rcx &= ~ECX_7(OSPKE);
		if (regs->rcx & ECX_7(PKU) && cr4 & CR4_PKE)
			regs->rcx |= ECX_7(OSPKE);
		break;
	case 0xb:
		regs->rdx = vcpu->id;
		break;
	case 0x15:
	case 0x16:
		answer_frequency(vcpu, leaf, regs);
		break;
	case 0xd:
		if (subleaf == 0)
			regs->rbx = xsave_bytes(vcpu, xcr0, false);
		else if (subleaf == 1 && regs->rax & XSAVE_COMPACT)
			regs->rbx = xsave_bytes(vcpu, xcr0, true);
		break;
	}
}

/* The answer is this entry's, for the leaf that it stands for. */
static __always_inline void answer(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0,
				   const struct vhm_cpuid_entry *entry, u32 leaf, u32 subleaf,
				   struct vhm_registers *regs)
{
	const u32 dynamic_leaves = BIT(1) | BIT(7) | BIT(0xb) | BIT(0xd) | BIT(0x15) | BIT(0x16);

	regs->rax = entry->eax;
	regs->rbx = entry->ebx;
	regs->rcx = entry->ecx;
	regs->rdx = entry->edx;
	if (leaf < 32 && dynamic_leaves & BIT(leaf))
		answer_dynamic(vcpu, cr4, xcr0, leaf, subleaf, regs);
}

/*
 * No entry. A question beyond the last basic or extended leaf is answered with the data
 * of the last basic leaf (SDM vol. 2A, CPUID); zeros for what the VMM left out, for the
 * hypervisor's leaves and for the levels beyond the topology's last.
 */
static noinline void answer_without_entry(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0,
					  struct vhm_registers *regs)
{
	u32 leaf = (u32)regs->rax, subleaf = (u32)regs->rcx;
	const struct vhm_cpuid_entry *entry = vhm_cpuid_find(vcpu, leaf & EXTENDED, 0);

	regs->rax = 0;
	regs->rbx = 0;
	regs->rcx = 0;
	regs->rdx = 0;
	if (leaf == 0xb && vhm_cpuid_find(vcpu, leaf, 0)) {
		regs->rcx = subleaf & 0xff;
		regs->rdx = vcpu->id;
		return;
	}
	if (leaf >> 8 == HYPERVISOR_LEAF >> 8 || (entry && leaf <= entry->eax))
		return;
	entry = vhm_cpuid_find(vcpu, 0, 0);
	if (!entry)
		return;
	leaf = entry->eax;
	entry = vhm_cpuid_find(vcpu, leaf, subleaf);
	if (entry)
		answer(vcpu, cr4, xcr0, entry, leaf, subleaf, regs);
}

/**
 * vhm_cpuid_answer - execute CPUID for a guest
 * @vcpu: the vCPU
 * @cr4: CR4 as the guest sees it
 * @xcr0: the guest's XCR0
 * @regs: RAX, RBX, RCX, RDX: in: EAX leaf, ECX subleaf; out: the answer
 *
 * Context: the vCPU's thread.
 */
void vhm_cpuid_answer(const struct vhm_vcpu *vcpu, u64 cr4, u64 xcr0, struct vhm_registers *regs)
{
	u32 leaf = (u32)regs->rax, subleaf = (u32)regs->rcx;
	const struct vhm_cpuid_entry *entry = find(vcpu, leaf, subleaf);

	if (likely(entry))
		answer(vcpu, cr4, xcr0, entry, leaf, subleaf, regs);
	else
		answer_without_entry(vcpu, cr4, xcr0, regs);
}
