// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of a vCPU as self-describing sections: one table row a section.
 *
 * Loading is in two passes over the caller's copy: first every head and payload is checked,
 * then all are loaded, so that a malformed buffer changes nothing.
 */
#include "state.h"

#include <linux/nospec.h>
#include <linux/slab.h>
#include <asm/msr.h>

#include "apic.h"
#include "cpuid.h"

/**
 * struct section_ops - one type of section
 * @version: version written, and the only one read
 * @bytes: size of the payload written
 * @item_bytes: 0: a payload read must be @bytes long; else a multiple of this
 * @get: write the payload; @out is zeroed
 * @check: may this payload be loaded?
 * @set: load it; it has passed @check. May still fail where only the hardware knows.
 */
struct section_ops {
	u32 version;
	u32 (*bytes)(struct vhm_vcpu *vcpu);
	u32 item_bytes;
	void (*get)(struct vhm_vcpu *vcpu, void *out, u32 bytes);
	int (*check)(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
	int (*set)(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
};

#define FIXED_BYTES(name, type)						\
static u32 name##_bytes(struct vhm_vcpu *vcpu) { return sizeof(type); }

/* --------------------------------------------------------------- registers -- */

FIXED_BYTES(registers, struct vhm_registers)

static void registers_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_backend->registers_complete(vcpu);
	memcpy(out, &vcpu->regs, bytes);
}

static int registers_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	memcpy(&vcpu->regs, in, bytes);
	vhm_backend->registers_changed(vcpu);
	return 0;
}

FIXED_BYTES(sregisters, struct vhm_sregisters)

static void sregisters_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_backend->get_sregisters(vcpu, out);
}

static int sregisters_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_backend->check_sregisters(vcpu, in);
}

static int sregisters_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	vhm_backend->set_sregisters(vcpu, in);
	return 0;
}

/* --------------------------------------------------------------------- FPU -- */

static u32 xsave_bytes(struct vhm_vcpu *vcpu)
{
	return vhm_backend->xsave_bytes(vcpu);
}

static void xsave_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_backend->get_xsave(vcpu, out, bytes);
}

static int xsave_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_backend->check_xsave(in);
}

static int xsave_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_backend->set_xsave(vcpu, in);
}

FIXED_BYTES(xcr, struct vhm_xcr)

static void xcr_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	((struct vhm_xcr *)out)->xcr0 = vhm_backend->get_xcr0(vcpu);
}

static int xcr_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_backend->check_xcr0(((const struct vhm_xcr *)in)->xcr0);
}

static int xcr_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	vhm_backend->set_xcr0(vcpu, ((const struct vhm_xcr *)in)->xcr0);
	return 0;
}

/* ------------------------------------------------------------ debug, MSRs -- */

FIXED_BYTES(debug, struct vhm_debug_registers)

static void debug_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_backend->get_debug(vcpu, out);
}

static int debug_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_backend->check_debug(in);
}

static int debug_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	vhm_backend->set_debug(vcpu, in);
	return 0;
}

static u32 msrs_bytes(struct vhm_vcpu *vcpu)
{
	return vhm_backend->msr_count(vcpu) * sizeof(struct vhm_msr_value);
}

static void msrs_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	struct vhm_msr_value *msr = out;
	u32 i;

	for (i = 0; i < bytes / sizeof(*msr); i++) {
		msr[i].index = vhm_backend->msr_index(vcpu, i);
		vhm_backend->get_msr(vcpu, msr[i].index, &msr[i].value);
	}
}

static int msrs_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	const struct vhm_msr_value *msr = in;
	u64 unused;
	u32 i;

	for (i = 0; i < bytes / sizeof(*msr); i++)
		if (msr[i].reserved || vhm_backend->get_msr(vcpu, msr[i].index, &unused))
			return -EINVAL;
	return 0;
}

static int msrs_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	const struct vhm_msr_value *msr = in;
	u32 i;

	for (i = 0; i < bytes / sizeof(*msr); i++)
		if (vhm_backend->set_msr(vcpu, msr[i].index, msr[i].value))
			return -EINVAL;
	return 0;
}

/* ------------------------------------------------------ events, APIC, CPUID -- */

FIXED_BYTES(events, struct vhm_events)

static void events_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_backend->get_events(vcpu, out);
}

static int events_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_backend->check_events(in);
}

static int events_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	vhm_backend->set_events(vcpu, in);
	return 0;
}

FIXED_BYTES(apic, struct vhm_apic_state)

static void apic_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_apic_get_state(vcpu->apic, out);
}

static int apic_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_apic_check_state(vcpu->apic, in);
}

static int apic_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	vhm_apic_set_state(vcpu->apic, in);
	return 0;
}

static u32 cpuid_bytes(struct vhm_vcpu *vcpu)
{
	return vcpu->cpuid_count * sizeof(struct vhm_cpuid_entry);
}

static void cpuid_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	if (bytes)
		memcpy(out, vcpu->cpuid, bytes);
}

static int cpuid_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	u32 count = bytes / sizeof(struct vhm_cpuid_entry);

	/* what it already has may be loaded again at any time */
	if (count == vcpu->cpuid_count && (!count || !memcmp(in, vcpu->cpuid, bytes)))
		return 0;
	return vhm_cpuid_set(vcpu, in, count);
}

/* -------------------------------------------------------------------- time -- */

FIXED_BYTES(time, struct vhm_time)

static void time_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	struct vhm_time *time = out;

	/* the host's as the VMM sees it */
	time->host_tsc = rdtsc_ordered();
	time->tsc = vhm_guest_tsc(vcpu, time->host_tsc + vhm_tsc_lost);
	time->tsc_khz = vhm_vcpu_tsc_khz(vcpu);
}

static int time_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	const struct vhm_time *time = in;

	if (time->reserved)
		return -EINVAL;
	return time->tsc_khz ? vhm_backend->check_tsc_khz(time->tsc_khz) : 0;
}

static int time_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	const struct vhm_time *time = in;
	u64 host_tsc = (time->host_tsc ?: rdtsc_ordered()) + vhm_tsc_lost;
	u32 old_khz = vhm_vcpu_tsc_khz(vcpu);

	vhm_backend->set_tsc(vcpu, time->tsc_khz ?: old_khz, host_tsc, time->tsc);
	if (vhm_vcpu_tsc_khz(vcpu) != old_khz)
		/* at the section's moment, not at this one: the same line for all vCPUs */
		vhm_pv_clock_load(vcpu, vcpu->pv.clock_tsc, vcpu->pv.clock_ns, old_khz, time->tsc);
	return 0;
}

/* ------------------------------------------------------------ paravirtual -- */

FIXED_BYTES(paravirt, struct vhm_paravirt)

static void paravirt_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	vhm_pv_get_state(vcpu, out);
}

static int paravirt_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	return vhm_pv_check_state(in);
}

static int paravirt_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	vhm_pv_set_state(vcpu, in);
	return 0;
}

#define ROW(name)	.version = 1, .bytes = name##_bytes, .get = name##_get, .set = name##_set

static const struct section_ops sections[VHM_SECTION_COUNT] = {
	[VHM_SECTION_REGISTERS]	 = { ROW(registers) },
	[VHM_SECTION_SREGISTERS] = { ROW(sregisters), .check = sregisters_check },
	[VHM_SECTION_XSAVE]	 = { ROW(xsave), .check = xsave_check },
	[VHM_SECTION_XCR]	 = { ROW(xcr), .check = xcr_check },
	[VHM_SECTION_DEBUG]	 = { ROW(debug), .check = debug_check },
	[VHM_SECTION_MSRS]	 = { ROW(msrs), .check = msrs_check,
				     .item_bytes = sizeof(struct vhm_msr_value) },
	[VHM_SECTION_EVENTS]	 = { ROW(events), .check = events_check },
	[VHM_SECTION_APIC]	 = { ROW(apic), .check = apic_check },
	[VHM_SECTION_CPUID]	 = { ROW(cpuid), .item_bytes = sizeof(struct vhm_cpuid_entry) },
	[VHM_SECTION_TIME]	 = { ROW(time), .check = time_check },
	[VHM_SECTION_PARAVIRT]	 = { ROW(paravirt), .check = paravirt_check },
};

/*
 * The order in which sections are written, and so usually read: CPUID decides which bits
 * of the control registers exist, the time where the APIC's timer and the guest's clock stand.
 */
static const u8 order[] = {
	VHM_SECTION_CPUID, VHM_SECTION_TIME, VHM_SECTION_REGISTERS, VHM_SECTION_SREGISTERS,
	VHM_SECTION_XCR, VHM_SECTION_XSAVE, VHM_SECTION_DEBUG, VHM_SECTION_MSRS,
	VHM_SECTION_APIC, VHM_SECTION_EVENTS, VHM_SECTION_PARAVIRT,
};

static_assert(ARRAY_SIZE(order) == VHM_SECTION_COUNT - 1);

/* ------------------------------------------------------------------ buffer -- */

static u32 padded(u32 bytes)
{
	return ALIGN(bytes, 8);
}

static bool wanted(u64 mask, u32 type)
{
	return !mask || mask & BIT_ULL(type);
}

/**
 * vhm_state_bytes() - size of the asked sections
 * @vcpu: the vCPU, mutex held
 * @mask: as vhm_state.sections
 */
u32 vhm_state_bytes(struct vhm_vcpu *vcpu, u64 mask)
{
	u32 type, total = 0;

	for (type = 1; type < VHM_SECTION_COUNT; type++)
		if (wanted(mask, type))
			total += sizeof(struct vhm_section) + padded(sections[type].bytes(vcpu));
	return total;
}

/**
 * vhm_state_get() - write the asked sections
 * @vcpu: the vCPU, mutex held and loaded
 * @mask: as vhm_state.sections
 * @buffer: zeroed, vhm_state_bytes() long
 */
void vhm_state_get(struct vhm_vcpu *vcpu, u64 mask, void *buffer)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		struct vhm_section *head = buffer;
		u32 type = order[i];

		if (!wanted(mask, type))
			continue;
		head->type = type;
		head->version = sections[type].version;
		head->bytes = sections[type].bytes(vcpu);
		sections[type].get(vcpu, head + 1, head->bytes);
		buffer += sizeof(*head) + padded(head->bytes);
	}
}

/* The type was chosen by user space. */
static const struct section_ops *ops_of(const struct vhm_section *head)
{
	return &sections[array_index_nospec(head->type, VHM_SECTION_COUNT)];
}

/* The head at @buffer; an error pointer if it or its payload does not fit. */
static const struct vhm_section *section_at(const void *buffer, u64 room)
{
	const struct vhm_section *head = buffer;

	if (room < sizeof(*head) || head->reserved ||
	    padded(head->bytes) < head->bytes || padded(head->bytes) > room - sizeof(*head))
		return ERR_PTR(-EINVAL);
	if (!head->type || head->type >= VHM_SECTION_COUNT ||
	    head->version != ops_of(head)->version)
		return ERR_PTR(-EOPNOTSUPP);
	return head;
}

static int check_section(struct vhm_vcpu *vcpu, const struct vhm_section *head)
{
	const struct section_ops *ops = ops_of(head);

	if (ops->item_bytes ? head->bytes % ops->item_bytes : head->bytes != ops->bytes(vcpu))
		return -EINVAL;
	return ops->check ? ops->check(vcpu, head + 1, head->bytes) : 0;
}

/* CPUID in the same buffer decides about others: it is loaded before they are checked. */
static int load_cpuid_first(struct vhm_vcpu *vcpu, const struct vhm_section *head)
{
	if (head->type != VHM_SECTION_CPUID)
		return 0;
	return cpuid_set(vcpu, head + 1, head->bytes);
}

/**
 * vhm_state_set() - load sections
 * @vcpu: the vCPU, mutex held and loaded
 * @buffer: a copy that user space cannot change
 * @bytes: its size
 *
 * Errors: EINVAL, EOPNOTSUPP as VHM_VCPU_SET_STATE; EBUSY: another CPUID table after it ran.
 */
int vhm_state_set(struct vhm_vcpu *vcpu, const void *buffer, u64 bytes)
{
	const struct vhm_section *head;
	int pass, ret = 0;
	u64 at;

	for (pass = 0; pass < 2; pass++) {
		for (at = 0; at < bytes; at += sizeof(*head) + padded(head->bytes)) {
			head = section_at(buffer + at, bytes - at);
			if (IS_ERR(head))
				return PTR_ERR(head);
			if (pass == 0)
				ret = check_section(vcpu, head) ?: load_cpuid_first(vcpu, head);
			else
				ret = ops_of(head)->set(vcpu, head + 1, head->bytes);
			if (ret)
				return ret;
		}
	}
	return 0;
}
