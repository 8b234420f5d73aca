// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of a vCPU as self-describing sections: one table row a section.
 *
 * Loading is in two passes over the caller's copy: first every head and payload is checked,
 * then all are loaded, so that a malformed buffer changes nothing.
 */
#include "apic.h"
#include "cpuid.h"

/* --------------------------------------------------------------- registers -- */

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

/* ------------------------------------------------------------------- CPUID -- */

static u32 cpuid_bytes(struct vhm_vcpu *vcpu)
{
	return (vcpu ? vcpu->cpuid_count : VHM_MAX_CPUID_ENTRIES) * sizeof(struct vhm_cpuid_entry);
}

static void cpuid_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	memcpy(out, vcpu->cpuid, bytes);
}

static int cpuid_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	u32 count = bytes / sizeof(struct vhm_cpuid_entry);

	/* what it already has may be loaded again at any time */
	if (count == vcpu->cpuid_count && !memcmp(in, vcpu->cpuid, bytes))
		return 0;
	return vhm_cpuid_set(vcpu, in, count);
}

/* -------------------------------------------------------------------- time -- */

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

/* Those that are not here are the backend's. */
static const struct vhm_section_ops core_sections[VHM_SECTION_COUNT] = {
	[VHM_SECTION_REGISTERS] = { 1, sizeof(struct vhm_registers), .get = registers_get,
				    .set = registers_set },
	[VHM_SECTION_APIC] = { 1, sizeof(struct vhm_apic_state), .get = vhm_apic_get_state,
			       .check = vhm_apic_check_state, .set = vhm_apic_set_state },
	[VHM_SECTION_CPUID] = { 1, 0, sizeof(struct vhm_cpuid_entry), cpuid_bytes,
				.get = cpuid_get, .set = cpuid_set },
	[VHM_SECTION_TIME] = { 1, sizeof(struct vhm_time), .get = time_get,
			       .check = time_check, .set = time_set },
	[VHM_SECTION_PARAVIRT] = { 1, sizeof(struct vhm_paravirt), .get = vhm_pv_get_state,
				   .check = vhm_pv_check_state, .set = vhm_pv_set_state },
};

/* @type may have been chosen by user space. */
static const struct vhm_section_ops *ops_of(u32 type)
{
	type = array_index_nospec(type, VHM_SECTION_COUNT);
	return core_sections[type].get ? &core_sections[type] : &vhm_backend->sections[type];
}

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

static u32 section_bytes(struct vhm_vcpu *vcpu, u32 type)
{
	const struct vhm_section_ops *ops = ops_of(type);

	return ops->fixed_bytes ?: ops->bytes(vcpu);
}

/**
 * vhm_state_bytes() - size of the asked sections
 * @vcpu: the vCPU, mutex held; NULL: the largest they can have
 * @mask: as vhm_state.sections
 */
u32 vhm_state_bytes(struct vhm_vcpu *vcpu, u64 mask)
{
	u32 total = 0;

	for (u32 type = 1; type < VHM_SECTION_COUNT; type++)
		if (!mask || mask & BIT_ULL(type))
			total += sizeof(struct vhm_section) + padded(section_bytes(vcpu, type));
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
	for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
		struct vhm_section *head = buffer;
		u32 type = order[i];

		if (mask && !(mask & BIT_ULL(type)))
			continue;
		head->type = type;
		head->version = ops_of(type)->version;
		head->bytes = section_bytes(vcpu, type);
		ops_of(type)->get(vcpu, head + 1, head->bytes);
		buffer += sizeof(*head) + padded(head->bytes);
	}
}

/* The head at @buffer; an error pointer if it or its payload does not fit. */
static const struct vhm_section *section_at(const void *buffer, u64 room)
{
	const struct vhm_section *head = buffer;

	if (room < sizeof(*head) || head->reserved ||
	    padded(head->bytes) < head->bytes || padded(head->bytes) > room - sizeof(*head))
		return ERR_PTR(-EINVAL);
	if (!head->type || head->type >= VHM_SECTION_COUNT ||
	    head->version != ops_of(head->type)->version)
		return ERR_PTR(-EOPNOTSUPP);
	return head;
}

static int check_section(struct vhm_vcpu *vcpu, const struct vhm_section *head)
{
	const struct vhm_section_ops *ops = ops_of(head->type);

	if (ops->item_bytes ? head->bytes % ops->item_bytes :
			      head->bytes != section_bytes(vcpu, head->type))
		return -EINVAL;
	return ops->check ? ops->check(vcpu, head + 1, head->bytes) : 0;
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
	int ret = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (u64 at = 0; at < bytes; at += sizeof(*head) + padded(head->bytes)) {
			head = section_at(buffer + at, bytes - at);
			if (IS_ERR(head))
				return PTR_ERR(head);
			if (pass == 0)
				ret = check_section(vcpu, head);
			/* CPUID decides about others: it is loaded before they are checked */
			if (!ret && (pass == 1 || head->type == VHM_SECTION_CPUID))
				ret = ops_of(head->type)->set(vcpu, head + 1, head->bytes);
			if (ret)
				return ret;
		}
	}
	return 0;
}
