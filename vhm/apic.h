/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Local APIC model (SDM vol. 3, chapter 10, Advanced Programmable Interrupt Controller).
 *
 * Owns the register page, the timer and the delivery of interrupts between vCPUs and
 * from MSIs. The register page has the architecture's layout, so that a backend with
 * APIC virtualization can hand it to the processor as the virtual-APIC page.
 *
 * Who may touch what: the registers belong to the vCPU's thread (vcpu->mutex). Senders,
 * on any CPU and in any context, only set bits in @pending and @pending_level and raise
 * VHM_REQ_APIC; the vCPU's thread moves them into IRR and TMR with vhm_apic_sync().
 */
#ifndef VHM_APIC_H
#define VHM_APIC_H

#include <asm/tsc.h>
#include "vhm.h"

enum vhm_apic_mode { VHM_APIC_DISABLED, VHM_APIC_XAPIC, VHM_APIC_X2APIC };

/**
 * struct vhm_posted - vectors sent and not yet in IRR
 * @pending: edge-triggered vectors, any context, atomic bit operations
 * @control: bit VHM_POSTED_NOTIFIED: a processor was told to look
 * @reserved: zero
 *
 * The layout of a posted-interrupt descriptor (SDM vol. 3, 30.6), so that a processor can
 * take @pending in without leaving the guest.
 */
struct vhm_posted {
	DECLARE_BITMAP(pending, 256);
	unsigned long control;
	u64 reserved[3];
} __aligned(64);

#define VHM_POSTED_NOTIFIED	0

/**
 * struct vhm_apic - local APIC of one vCPU
 * @vcpu: its vCPU
 * @regs: register page, page aligned
 * @base_msr: IA32_APIC_BASE
 * @posted: edge-triggered vectors that were sent
 * @pending_level: level-triggered ones, likewise
 * @timer_deadline_tsc: IA32_TSC_DEADLINE, guest TSC
 * @timer_period_tsc: periodic mode: between two expiries
 * @timer_target_tsc: the next expiry, host TSC; VHM_TSC_NEVER if not armed
 * @timer_mode: mode bits of the LVT timer register that the timer runs in
 * @timer_divide_lg2: binary logarithm of the divisor it runs with
 * @errors: error bits found since the last write to ESR, any context
 * @level_eoi: the level-triggered vector that a write to the EOI register through
 *	vhm_apic_write(), _written() or _msr_write() has ended, until the VMM is told, or -1
 */
struct vhm_apic {
	struct vhm_posted posted;
	struct vhm_vcpu *vcpu;
	void *regs;
	u64 base_msr;
	DECLARE_BITMAP(pending_level, 256);
	u64 timer_deadline_tsc, timer_period_tsc, timer_target_tsc;
	u32 timer_mode, timer_divide_lg2;
	atomic_t errors;
	int level_eoi;
};

/* Was a processor told of posted vectors, and has not taken them in? */
static inline bool vhm_apic_notified(const struct vhm_apic *apic)
{
	return test_bit(VHM_POSTED_NOTIFIED, &apic->posted.control);
}

/* Host TSC at which time alone makes the vCPU's thread act: APIC timer, deadline. */
static inline u64 vhm_vcpu_next_event_tsc(const struct vhm_vcpu *vcpu)
{
	return min(vcpu->apic->timer_target_tsc, vcpu->deadline_tsc);
}

static inline bool vhm_vcpu_has_next_event(const struct vhm_vcpu *vcpu)
{
	return (vcpu->apic->timer_target_tsc & vcpu->deadline_tsc) != VHM_TSC_NEVER;
}

int vhm_apic_create(struct vhm_vcpu *vcpu);	/* as after power-up; vhm_apic_free() if it fails */
void vhm_apic_free(struct vhm_vcpu *vcpu);	/* apic may be NULL */
void vhm_apic_reset(struct vhm_vcpu *vcpu);	/* INIT: keeps id and base */
enum vhm_apic_mode vhm_apic_mode(const struct vhm_apic *apic);

/* Register access by page offset; xAPIC rules. False: no such register (reads give 0). */
bool vhm_apic_read(struct vhm_apic *apic, u32 offset, u32 *value);
bool vhm_apic_write(struct vhm_apic *apic, u32 offset, u32 value);
/* The processor has already stored the value (APIC-write VM exit): act on it. */
void vhm_apic_written(struct vhm_apic *apic, u32 offset);
/* x2APIC MSRs 0x800-0x8ff and IA32_TSC_DEADLINE, IA32_APIC_BASE; -EINVAL: the guest gets #GP(0) */
int vhm_apic_msr_read(struct vhm_apic *apic, u32 index, u64 *value);
int vhm_apic_msr_write(struct vhm_apic *apic, u32 index, u64 value);
/* Bit n: the processor may answer RDMSR of x2APIC register n from the register page. */
u64 vhm_apic_plain_registers(void);
/*
 * IA32_APIC_BASE from the VMM: any mode to any mode, registers stay. The guest's own
 * writes go through vhm_apic_msr_write() and obey the architecture's transitions.
 */
int vhm_apic_check_base(const struct vhm_apic *apic, u64 base);
void vhm_apic_set_base(struct vhm_apic *apic, u64 base);
/* The offset between guest's and host's TSC has changed: the deadline moves with it. */
void vhm_apic_tsc_changed(struct vhm_apic *apic);

/* vCPU thread: move what senders left and an expired timer into IRR. */
void vhm_apic_sync(struct vhm_apic *apic);
/* vCPU thread: vector to deliver now (priority above PPR), or -1. */
int vhm_apic_deliverable(struct vhm_apic *apic);
/* vCPU thread: highest bit of APIC_IRR or APIC_ISR regardless of priority, or -1. */
int vhm_apic_highest(const struct vhm_apic *apic, u32 base);
/* vCPU thread: the processor takes this vector: IRR to ISR. */
void vhm_apic_acknowledge(struct vhm_apic *apic, u8 vector);
/* vCPU thread: end of interrupt. The vector if it was level triggered (the VMM is told), or -1. */
int vhm_apic_eoi(struct vhm_apic *apic);
/* vCPU thread: one in service, edge triggered, and none requested: its end changes nothing else. */
bool vhm_apic_eoi_is_silent(struct vhm_apic *apic);

/* TPR as CR8 (bits 7-4), PPR refresh */
u8 vhm_apic_get_cr8(const struct vhm_apic *apic);
void vhm_apic_set_cr8(struct vhm_apic *apic, u8 cr8);
u8 vhm_apic_ppr(const struct vhm_apic *apic);
/* vectors in TMR (level triggered), for the backend's EOI-exit bitmap: 256 bits */
void vhm_apic_level_vectors(struct vhm_apic *apic, unsigned long *bitmap);

/**
 * struct vhm_interrupt - one interrupt message
 * @destination: APIC id or logical destination, 32 bits
 * @vector: vector
 * @delivery_mode: APIC_DM_FIXED, APIC_DM_LOWEST, _SMI, _NMI, _INIT, _STARTUP, _EXTINT
 * @logical: logical destination mode
 * @level: level triggered
 * @asserted: level of the message (INIT de-assert is ignored)
 * @shorthand: APIC_DEST_SELF, _ALLINC, _ALLBUT or 0
 */
struct vhm_interrupt {
	u32 destination, vector, delivery_mode;
	bool logical, level, asserted;
	u32 shorthand;
};

/* Deliver to all matching vCPUs; @source NULL for an MSI. How many accepted. Any context. */
int vhm_apic_deliver(struct vhm_vm *vm, struct vhm_apic *source, const struct vhm_interrupt *irq);
int vhm_apic_deliver_msi(struct vhm_vm *vm, u64 address, u32 data);

/* section VHM_SECTION_APIC (base_msr is in VHM_SECTION_SREGISTERS), see struct vhm_section_ops */
void vhm_apic_get_state(struct vhm_vcpu *vcpu, void *out, u32 bytes);
int vhm_apic_check_state(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
int vhm_apic_set_state(struct vhm_vcpu *vcpu, const void *in, u32 bytes);

#endif /* VHM_APIC_H */
