// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: saved state, section VHM_SECTION_APIC.
 *
 * Owns the mapping between the section and the model; all of it runs with vcpu->mutex
 * held. Everything the model holds is in the section or follows from it, except the
 * mode, which is in IA32_APIC_BASE (VHM_SECTION_SREGISTERS).
 */
#include "apic_internal.h"

/* A section's payload is aligned to 8 bytes. */
static u32 state_get(const struct vhm_apic_state *state, u32 offset)
{
	return *(const u32 *)(state->registers + offset);
}

static void state_put(struct vhm_apic_state *state, u32 offset, u32 value)
{
	*(u32 *)(state->registers + offset) = value;
}

/**
 * vhm_apic_get_state - section VHM_SECTION_APIC
 * @vcpu: whose
 * @state: out: struct vhm_apic_state, zeroed
 * @bytes: its size
 *
 * What is on its way (pending vectors, an expired timer) is taken in first. In x2APIC
 * mode the high half of ICR stands where xAPIC mode has it.
 *
 * Context: vcpu->mutex held.
 */
void vhm_apic_get_state(struct vhm_vcpu *vcpu, void *state, u32 bytes)
{
	struct vhm_apic *apic = vcpu->apic;
	struct vhm_apic_state *out = state;

	/* takes the request with it, which what was loaded may need at the next entry */
	vhm_apic_sync(apic);
	vhm_backend->apic_state_changed(apic->vcpu);
	set_bit(VHM_REQ_APIC, &apic->vcpu->requests);
	for (u32 offset = 0; offset < LAPIC_BYTES; offset += 16)
		if (lapic_find_register(offset, XAPIC_READ))
			state_put(out, offset, lapic_load(apic, offset));
	state_put(out, APIC_ICR2, lapic_get(apic, lapic_icr_high(apic)));
	state_put(out, LAPIC_STATE_ERRORS, atomic_read(&apic->errors));
	out->timer_deadline_tsc = apic->timer_deadline_tsc;
	out->timer_remaining_ns = lapic_timer_remaining_ns(apic);
}

/* Is there a guest whose register at this offset (multiple of 4) reads so? */
static bool possible(u32 id, u32 offset, u32 value)
{
	const struct lapic_register *reg = lapic_find_register(offset & ~0xf, XAPIC_READ);

	if (offset & 0xf || !reg)
		return !(value & ~(offset == LAPIC_STATE_ERRORS ? LAPIC_ESR_BITS : 0));

	switch (offset) {
	case APIC_ID:
		return value == id || value == id << 24;
	case APIC_LVR:
		return value == LAPIC_VERSION;
	case APIC_LDR:
		return !(value & ~APIC_LDR_MASK) || value == lapic_x2apic_ldr(id);
	case APIC_DFR:
		return (value | 0xf0000000) == U32_MAX;
	case APIC_ISR:
	case APIC_TMR:
	case APIC_IRR:
		return !(value & GENMASK(LAPIC_FIRST_VECTOR - 1, 0));
	case APIC_ICR2:
		return true;
	case APIC_ESR:
		return !(value & ~LAPIC_ESR_BITS);
	default:
		return !(value & ~reg->stored);
	}
}

/**
 * vhm_apic_check_state - could this be loaded?
 * @vcpu: whose; the APIC's mode does not matter, which another section may change
 * @state: struct vhm_apic_state
 * @bytes: its size
 *
 * Return: 0; -EINVAL if no guest of this vCPU can have it.
 */
int vhm_apic_check_state(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	const struct vhm_apic_state *in = state;
	bool enabled = state_get(in, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
	u32 lvtt = state_get(in, APIC_LVTT);

	for (u32 offset = 0; offset < LAPIC_BYTES; offset += 4) {
		if (!possible(vcpu->id, offset, state_get(in, offset)))
			return -EINVAL;
		if (lapic_is_lvt(offset) && !(offset & 0xf) && !enabled &&
		    !(state_get(in, offset) & APIC_LVT_MASKED))
			return -EINVAL;
	}
	if ((lvtt & LAPIC_TIMER_MODE) == LAPIC_TIMER_MODE)
		return -EINVAL;
	return lapic_timer_check(lvtt, state_get(in, APIC_TMICT), state_get(in, APIC_TDCR),
				 in->timer_deadline_tsc, in->timer_remaining_ns);
}

/**
 * vhm_apic_set_state - load section VHM_SECTION_APIC
 * @vcpu: whose
 * @state: struct vhm_apic_state that vhm_apic_check_state() accepted
 * @bytes: its size
 *
 * Replaces everything, vectors that are on their way included. PPR and the current
 * count follow from the rest.
 *
 * Context: vcpu->mutex held.
 */
int vhm_apic_set_state(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	struct vhm_apic *apic = vcpu->apic;
	const struct vhm_apic_state *in = state;

	vhm_apic_reset(vcpu);
	for (u32 offset = 0; offset < LAPIC_BYTES; offset += 16)
		if (lapic_find_register(offset, XAPIC_READ) && offset != APIC_TMCCT)
			lapic_set(apic, offset, state_get(in, offset));
	lapic_set(apic, APIC_ICR2, 0);
	lapic_set(apic, lapic_icr_high(apic), state_get(in, APIC_ICR2));
	lapic_set(apic, APIC_ID, vhm_apic_mode(apic) == VHM_APIC_X2APIC ?
				 apic->vcpu->id : apic->vcpu->id << 24);
	lapic_set(apic, APIC_PROCPRI, vhm_apic_ppr(apic));
	atomic_set(&apic->errors, state_get(in, LAPIC_STATE_ERRORS));
	lapic_timer_reset(apic);
	lapic_timer_load(apic, in->timer_deadline_tsc, in->timer_remaining_ns);
	vhm_backend->apic_mode_changed(vcpu);
	return 0;
}
