// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: registers, priorities and modes (SDM vol. 3, chapter 10,
 * Advanced Programmable Interrupt Controller).
 *
 * Owns the register page. All of it belongs to the vCPU's thread (vcpu->mutex); what
 * other contexts leave in vhm_apic.posted is taken in by vhm_apic_sync(). A processor
 * with virtual-interrupt delivery edits IRR, ISR, TPR and PPR in the same page while the
 * guest runs, so the page is the truth and nothing derived from it is kept elsewhere.
 *
 * Not modelled: SMM, the CMCI register, suppression of EOI broadcasts, and writes to the
 * APIC ID, which is the vCPU's number for ever. Thermal, performance and LINT entries
 * hold what the guest writes; nothing in the kernel fires them.
 */
#include "apic_internal.h"
#include "cpuid.h"

#include <linux/log2.h>
#include <linux/slab.h>

/* -------------------------------------------------------------- registers -- */

/* status bits that a write may carry to no effect */
#define LVT_STATUS	APIC_SEND_PENDING
#define LINT_STATUS	(APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR)

#define LVT_BITS	(APIC_LVT_MASKED | APIC_VECTOR_MASK)
#define LINT_BITS	(LVT_BITS | APIC_MODE_MASK | APIC_INPUT_POLARITY | APIC_LVT_LEVEL_TRIGGER)
#define ICR_BITS	(APIC_DEST_ALLBUT | APIC_INT_LEVELTRIG | APIC_INT_ASSERT | \
			 APIC_DEST_LOGICAL | APIC_DM_FIXED_MASK | APIC_VECTOR_MASK)

/*
 * SDM vol. 3, table 10-1, Local APIC Register Address Map, and table 10-6, Local APIC
 * Register Address Map Supported by x2APIC.
 */
static const struct lapic_register registers[LAPIC_REGISTERS] = {
	[APIC_ID >> 4]		= { 0, 0, READ_ONLY | XAPIC_WRITE },
	[APIC_LVR >> 4]		= { 0, 0, READ_ONLY },
	[APIC_TASKPRI >> 4]	= { 0xff, 0, READ_WRITE },
	[APIC_ARBPRI >> 4]	= { 0, 0, XAPIC_READ },
	[APIC_PROCPRI >> 4]	= { 0xff, 0, XAPIC_READ | MSR_READ },
	[APIC_EOI >> 4]		= { 0, 0, XAPIC_RW | MSR_WRITE },
	[APIC_RRR >> 4]		= { 0, 0, XAPIC_READ },
	[APIC_LDR >> 4]		= { APIC_LDR_MASK, 0, READ_ONLY | XAPIC_WRITE },
	[APIC_DFR >> 4]		= { 0xf0000000, 0, XAPIC_RW },
	[APIC_SPIV >> 4]	= { 0x3ff, 0, READ_WRITE },
	[APIC_ISR >> 4 ... (APIC_IRR >> 4) + 7] = { U32_MAX, 0, READ_ONLY },
	[APIC_ESR >> 4]		= { 0, 0, READ_WRITE },
	[APIC_ICR >> 4]		= { ICR_BITS, APIC_ICR_BUSY, READ_WRITE },
	[APIC_ICR2 >> 4]	= { 0xff000000, 0, XAPIC_RW },
	[APIC_LVTT >> 4]	= { LVT_BITS | LAPIC_TIMER_MODE, LVT_STATUS, READ_WRITE },
	[APIC_LVTTHMR >> 4]	= { LVT_BITS | APIC_MODE_MASK, LVT_STATUS, READ_WRITE },
	[APIC_LVTPC >> 4]	= { LVT_BITS | APIC_MODE_MASK, LVT_STATUS, READ_WRITE },
	[APIC_LVT0 >> 4 ... APIC_LVT1 >> 4] = { LINT_BITS, LINT_STATUS, READ_WRITE },
	[APIC_LVTERR >> 4]	= { LVT_BITS, LVT_STATUS, READ_WRITE },
	[APIC_TMICT >> 4]	= { U32_MAX, 0, READ_WRITE },
	[APIC_TMCCT >> 4]	= { U32_MAX, 0, XAPIC_READ | MSR_READ },
	[APIC_TDCR >> 4]	= { 0xb, 0, READ_WRITE },
	[APIC_SELF_IPI >> 4]	= { APIC_VECTOR_MASK, 0, MSR_WRITE },
};

/* The rules of the register at this offset that allow any of @access, or NULL */
const struct lapic_register *lapic_find_register(u32 offset, u32 access)
{
	const struct lapic_register *reg;

	if (offset & 0xf || offset >= LAPIC_BYTES)
		return NULL;
	reg = &registers[array_index_nospec(offset >> 4, LAPIC_REGISTERS)];
	return reg->access & access ? reg : NULL;
}

static bool guest_has_deadline(const struct vhm_apic *apic)
{
	return vhm_cpuid_has(apic->vcpu, X86_FEATURE_TSC_DEADLINE_TIMER);
}

/* Bits of the LVT timer register that are reserved for this guest (10.5.1, figure 10-8) */
static u32 reserved_timer_mode(const struct vhm_apic *apic, u32 value)
{
	if (!guest_has_deadline(apic))
		return value & APIC_LVT_TIMER_TSCDEADLINE;
	return (value & LAPIC_TIMER_MODE) == LAPIC_TIMER_MODE ? APIC_LVT_TIMER_PERIODIC : 0;
}

static void mask_all_lvts(struct vhm_apic *apic)
{
	for (u32 offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 16)
		lapic_set(apic, offset, lapic_get(apic, offset) | APIC_LVT_MASKED);
}

/* The APIC ID register, and in x2APIC mode the logical one: functions of id and mode */
static void refresh_ids(struct vhm_apic *apic)
{
	u32 id = apic->vcpu->id;

	if (vhm_apic_mode(apic) == VHM_APIC_X2APIC) {
		lapic_set(apic, APIC_ID, id);
		lapic_set(apic, APIC_LDR, lapic_x2apic_ldr(id));
	} else {
		lapic_set(apic, APIC_ID, id << 24);
		lapic_set(apic, APIC_LDR, lapic_get(apic, APIC_LDR) & APIC_LDR_MASK);
	}
}

/* software-enabled or not: a disabled APIC masks its LVTs and keeps them so (10.4.7.2) */
static void store_lvt(struct vhm_apic *apic, u32 offset, u32 value)
{
	if (!lapic_software_enabled(apic))
		value |= APIC_LVT_MASKED;
	if (offset == APIC_LVTT) {
		value &= ~reserved_timer_mode(apic, value);
		lapic_timer_settle(apic);	/* what has expired had the old vector */
	}
	lapic_set(apic, offset, value);
	if (offset == APIC_LVTT)
		lapic_timer_mode_written(apic);
}

/* A write, reduced to the bits that the register takes. The page may already hold it. */
static void store(struct vhm_apic *apic, u32 offset, u32 value)
{
	int ended;

	if (lapic_is_lvt(offset)) {
		store_lvt(apic, offset, value);
		return;
	}
	lapic_set(apic, offset, value);
	switch (offset) {
	case APIC_ID:
		refresh_ids(apic);
		break;
	case APIC_DFR:
		lapic_set(apic, offset, value | ~0xf0000000);
		break;
	case APIC_SPIV:
		if (!lapic_software_enabled(apic))
			mask_all_lvts(apic);
		break;
	case APIC_EOI:
		lapic_set(apic, offset, 0);
		ended = vhm_apic_eoi(apic);
		if (ended >= 0)
			apic->level_eoi = ended;
		break;
	case APIC_ESR:	/* shows what happened since the last write (10.5.3) */
		lapic_set(apic, offset, atomic_xchg(&apic->errors, 0));
		break;
	case APIC_ICR:
		lapic_send(apic, value);
		break;
	case APIC_TMICT:
		lapic_timer_settle(apic);
		lapic_timer_initial_written(apic, value);
		break;
	case APIC_TDCR:
		lapic_timer_settle(apic);
		lapic_timer_divide_written(apic);
		break;
	case APIC_SELF_IPI:	/* 10.12.11 */
		lapic_set(apic, offset, 0);
		lapic_send(apic, APIC_DEST_SELF | value);
		break;
	case APIC_TASKPRI:
		lapic_set(apic, APIC_PROCPRI, vhm_apic_ppr(apic));
		break;
	}
}

u32 lapic_load(struct vhm_apic *apic, u32 offset)
{
	if (offset == APIC_PROCPRI)
		return vhm_apic_ppr(apic);
	return offset == APIC_TMCCT ? lapic_timer_current(apic) : lapic_get(apic, offset);
}

static const struct lapic_register *find_in_page(struct vhm_apic *apic, u32 offset)
{
	const struct lapic_register *reg = lapic_find_register(offset, XAPIC_READ);

	if (vhm_apic_mode(apic) != VHM_APIC_XAPIC)
		return NULL;
	if (!reg)
		lapic_error(apic, APIC_ESR_ILLREGA);
	return reg;
}

/**
 * vhm_apic_read - read a register as the page of xAPIC mode gives it
 * @apic: the APIC
 * @offset: offset of the register, bytes
 * @value: out: its value, 0 if there is none
 *
 * Context: the vCPU's thread.
 * Return: whether there is such a register; without, ESR notes an illegal address.
 */
bool vhm_apic_read(struct vhm_apic *apic, u32 offset, u32 *value)
{
	bool found = find_in_page(apic, offset);

	*value = found ? lapic_load(apic, offset) : 0;
	return found;
}

/**
 * vhm_apic_write - write a register in the page of xAPIC mode
 * @apic: the APIC
 * @offset: offset of the register, bytes
 * @value: value; reserved bits are dropped, read-only registers ignore it
 *
 * Context: the vCPU's thread.
 * Return: whether there is such a register; without, ESR notes an illegal address.
 */
bool vhm_apic_write(struct vhm_apic *apic, u32 offset, u32 value)
{
	const struct lapic_register *reg = find_in_page(apic, offset);

	if (!reg)
		return false;
	if (reg->access & XAPIC_WRITE)
		store(apic, offset, value & reg->stored);
	/* the processor may keep a copy of what is in service */
	if (offset == APIC_EOI)
		vhm_backend->apic_state_changed(apic->vcpu);
	return true;
}

/**
 * vhm_apic_written - act on a register that the processor has already changed
 * @apic: the APIC
 * @offset: offset of the register, bytes
 *
 * For APIC-write VM exits (SDM vol. 3, 30.4.3.3, APIC-Write VM Exits). In x2APIC mode
 * the processor has checked the reserved bits.
 */
void vhm_apic_written(struct vhm_apic *apic, u32 offset)
{
	u32 access = vhm_apic_mode(apic) == VHM_APIC_X2APIC ? MSR_WRITE : XAPIC_WRITE;
	const struct lapic_register *reg = lapic_find_register(offset, access);

	if (reg)
		store(apic, offset, lapic_get(apic, offset) & reg->stored);
}

/* ------------------------------------------------------------------ mode -- */

static enum vhm_apic_mode mode_of(u64 base)
{
	if (!(base & MSR_IA32_APICBASE_ENABLE))
		return VHM_APIC_DISABLED;
	return base & X2APIC_ENABLE ? VHM_APIC_X2APIC : VHM_APIC_XAPIC;
}

enum vhm_apic_mode vhm_apic_mode(const struct vhm_apic *apic)
{
	return mode_of(READ_ONCE(apic->base_msr));
}

static u64 bsp_bit(const struct vhm_apic *apic)
{
	return apic->vcpu->id ? 0 : MSR_IA32_APICBASE_BSP;
}

/**
 * vhm_apic_reset - what INIT does; mode and id stay (SDM vol. 3, 10.4.7.3 and 10.12.5.1)
 * @vcpu: its vCPU, whose backend is told by the caller
 *
 * Context: the vCPU's thread.
 */
void vhm_apic_reset(struct vhm_vcpu *vcpu)
{
	struct vhm_apic *apic = vcpu->apic;

	memset(apic->regs, 0, PAGE_SIZE);
	lapic_set(apic, APIC_LVR, LAPIC_VERSION);
	lapic_set(apic, APIC_DFR, U32_MAX);
	lapic_set(apic, APIC_SPIV, 0xff);
	mask_all_lvts(apic);
	refresh_ids(apic);
	lapic_timer_reset(apic);

	vhm_request_test_clear(vcpu, VHM_REQ_APIC);
	bitmap_zero(apic->posted.pending, LAPIC_VECTORS);
	bitmap_zero(apic->pending_level, LAPIC_VECTORS);
	atomic_set(&apic->errors, 0);
	apic->level_eoi = -1;
}

/**
 * vhm_apic_check_base - could the VMM load this IA32_APIC_BASE?
 * @apic: the APIC
 * @base: the value
 *
 * The page cannot move. Does not ask for the guest's CPUID, which may be loaded later.
 *
 * Return: 0, -EINVAL.
 */
int vhm_apic_check_base(const struct vhm_apic *apic, u64 base)
{
	u64 mode = base & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);

	if ((base & ~mode) != (APIC_DEFAULT_PHYS_BASE | bsp_bit(apic)) || mode == X2APIC_ENABLE)
		return -EINVAL;
	return 0;
}

/**
 * vhm_apic_set_base - load IA32_APIC_BASE for the VMM
 * @apic: the APIC
 * @base: a value that vhm_apic_check_base() accepted
 *
 * Registers stay as they are, so that this and vhm_apic_set_state() may be called in
 * either order.
 */
void vhm_apic_set_base(struct vhm_apic *apic, u64 base)
{
	enum vhm_apic_mode old = vhm_apic_mode(apic);
	u32 icr_high = lapic_get(apic, lapic_icr_high(apic));

	WRITE_ONCE(apic->base_msr, base);
	if (vhm_apic_mode(apic) == old)
		return;
	refresh_ids(apic);
	lapic_set(apic, APIC_ICR2, 0);
	lapic_set(apic, LAPIC_ICR_HIGH_X2APIC, 0);
	lapic_set(apic, lapic_icr_high(apic), icr_high);
	vhm_backend->apic_mode_changed(apic->vcpu);
}

/*
 * WRMSR to IA32_APIC_BASE. SDM vol. 3, 10.12.5, x2APIC State Transitions: disabled to
 * x2APIC and x2APIC to xAPIC are no transitions. Disabling loses all state (10.4.3).
 */
static int write_base(struct vhm_apic *apic, u64 base)
{
	enum vhm_apic_mode from = vhm_apic_mode(apic), to;

	base = (base & ~(u64)MSR_IA32_APICBASE_BSP) | bsp_bit(apic);	/* read-only here */
	to = mode_of(base);
	if (vhm_apic_check_base(apic, base) ||
	    (from == VHM_APIC_DISABLED && to == VHM_APIC_X2APIC) ||
	    (from == VHM_APIC_X2APIC && to == VHM_APIC_XAPIC))
		return -EINVAL;
	if (to == from)
		return 0;
	if (to == VHM_APIC_X2APIC && !vhm_cpuid_has(apic->vcpu, X86_FEATURE_X2APIC))
		return -EINVAL;
	lapic_set(apic, lapic_icr_high(apic), 0);
	vhm_apic_set_base(apic, base);
	if (to == VHM_APIC_DISABLED)
		vhm_apic_reset(apic->vcpu);
	return 0;
}

/* ------------------------------------------------------------------ MSRs -- */

static const struct lapic_register *find_msr(const struct vhm_apic *apic, u32 index, u32 access)
{
	if (vhm_apic_mode(apic) != VHM_APIC_X2APIC || index - APIC_BASE_MSR >= LAPIC_REGISTERS)
		return NULL;
	return lapic_find_register((index - APIC_BASE_MSR) << 4, access);
}

u64 vhm_apic_plain_registers(void)
{
	u64 plain = 0;

	for (u32 n = 0; n < LAPIC_REGISTERS; n++)
		if (registers[n].access & PLAIN)
			plain |= BIT_ULL(n);
	return plain;
}

/**
 * vhm_apic_msr_read - RDMSR of IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register
 * @apic: the APIC
 * @index: MSR
 * @value: out: its value
 *
 * Context: the vCPU's thread.
 * Return: 0; -EINVAL: the guest gets #GP(0).
 */
int vhm_apic_msr_read(struct vhm_apic *apic, u32 index, u64 *value)
{
	u32 offset = (index - APIC_BASE_MSR) << 4;

	if (index == MSR_IA32_APICBASE) {
		*value = apic->base_msr;
		return 0;
	}
	if (index == MSR_IA32_TSC_DEADLINE && guest_has_deadline(apic)) {
		lapic_timer_settle(apic);	/* reads as 0 once it has fired */
		*value = apic->timer_deadline_tsc;
		return 0;
	}
	if (!find_msr(apic, index, MSR_READ))
		return -EINVAL;
	*value = lapic_load(apic, offset);
	if (offset == APIC_ICR)
		*value |= (u64)lapic_get(apic, LAPIC_ICR_HIGH_X2APIC) << 32;
	return 0;
}

/**
 * vhm_apic_msr_write - WRMSR to IA32_APIC_BASE, IA32_TSC_DEADLINE or an x2APIC register
 * @apic: the APIC
 * @index: MSR
 * @value: written value
 *
 * Context: the vCPU's thread.
 * Return: 0; -EINVAL: the guest gets #GP(0).
 */
int vhm_apic_msr_write(struct vhm_apic *apic, u32 index, u64 value)
{
	u32 offset = (index - APIC_BASE_MSR) << 4;
	const struct lapic_register *reg;

	if (index == MSR_IA32_APICBASE)
		return write_base(apic, value);
	if (index == MSR_IA32_TSC_DEADLINE && guest_has_deadline(apic)) {
		lapic_timer_set_deadline(apic, value);
		return 0;
	}
	/* reserved bits fault (10.12.2, figure and table notes; 10.12.9 for ICR) */
	reg = find_msr(apic, index, MSR_WRITE);
	if (!reg || (u32)value & ~(reg->stored | reg->status))
		return -EINVAL;
	if (offset == APIC_ICR)
		lapic_set(apic, LAPIC_ICR_HIGH_X2APIC, value >> 32);
	else if (value >> 32)
		return -EINVAL;
	if (offset == APIC_LVTT && reserved_timer_mode(apic, value))
		return -EINVAL;
	store(apic, offset, value & reg->stored);
	return 0;
}

/* ------------------------------------------------------------ priorities -- */

int vhm_apic_highest(const struct vhm_apic *apic, u32 base)
{
	for (int i = 7; i >= 0; i--) {
		u32 word = lapic_get(apic, base + i * 16);

		if (word)
			return i * 32 + __fls(word);
	}
	return -1;
}

/**
 * vhm_apic_ppr - processor priority (SDM vol. 3, 10.8.3.1, Task and Processor Priorities)
 * @apic: the APIC
 */
u8 vhm_apic_ppr(const struct vhm_apic *apic)
{
	u32 tpr = lapic_get(apic, APIC_TASKPRI) & 0xff;
	int isr = vhm_apic_highest(apic, APIC_ISR);

	if (isr < 0 || tpr >> 4 >= isr >> 4)
		return tpr;
	return isr & 0xf0;
}

static void refresh_ppr(struct vhm_apic *apic)
{
	lapic_set(apic, APIC_PROCPRI, vhm_apic_ppr(apic));
}

int vhm_apic_deliverable(struct vhm_apic *apic)
{
	int irr = vhm_apic_highest(apic, APIC_IRR);

	refresh_ppr(apic);
	if (irr < 0 || vhm_apic_mode(apic) == VHM_APIC_DISABLED)
		return -1;
	return irr >> 4 > (int)lapic_get(apic, APIC_PROCPRI) >> 4 ? irr : -1;
}

void vhm_apic_acknowledge(struct vhm_apic *apic, u8 vector)
{
	lapic_assign_vector(apic, APIC_IRR, vector, false);
	lapic_assign_vector(apic, APIC_ISR, vector, true);
	refresh_ppr(apic);
}

int vhm_apic_eoi(struct vhm_apic *apic)
{
	int vector = vhm_apic_highest(apic, APIC_ISR);

	if (vector < 0)
		return -1;
	lapic_assign_vector(apic, APIC_ISR, vector, false);
	refresh_ppr(apic);
	return lapic_test_vector(apic, APIC_TMR, vector) ? vector : -1;
}

bool vhm_apic_eoi_is_silent(struct vhm_apic *apic)
{
	int isr = vhm_apic_highest(apic, APIC_ISR);

	return isr >= 0 && !lapic_test_vector(apic, APIC_TMR, isr) &&
	       vhm_apic_highest(apic, APIC_IRR) < 0;
}

u8 vhm_apic_get_cr8(const struct vhm_apic *apic)
{
	return (lapic_get(apic, APIC_TASKPRI) & 0xff) >> 4;
}

void vhm_apic_set_cr8(struct vhm_apic *apic, u8 cr8)
{
	lapic_set(apic, APIC_TASKPRI, (cr8 & 0xf) << 4);
	refresh_ppr(apic);
}

void vhm_apic_level_vectors(struct vhm_apic *apic, unsigned long *bitmap)
{
	u32 words[LAPIC_VECTORS / 32];

	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = lapic_get(apic, APIC_TMR + i * 16);
	bitmap_from_arr32(bitmap, words, LAPIC_VECTORS);
}

/* 64 vectors of each kind into IRR and TMR; those already in IRR keep waiting as one */
static void take_in(struct vhm_apic *apic, u32 first_vector, u64 edge, u64 level)
{
	for (u32 i = 0; i < 2; i++, edge >>= 32, level >>= 32) {
		u32 irr = lapic_vector_offset(APIC_IRR, first_vector + i * 32);
		u32 tmr = lapic_vector_offset(APIC_TMR, first_vector + i * 32);

		lapic_set(apic, irr, lapic_get(apic, irr) | (u32)edge | (u32)level);
		lapic_set(apic, tmr, (lapic_get(apic, tmr) & ~(u32)edge) | (u32)level);
	}
}

static u64 take(unsigned long *word)
{
	return READ_ONCE(*word) ? xchg(word, 0) : 0;
}

void vhm_apic_sync(struct vhm_apic *apic)
{
	BUILD_BUG_ON(BITS_PER_LONG != 64);
	lapic_timer_poll(apic);
	/* Before the vectors are looked at: one that comes later raises it again. */
	vhm_request_test_clear(apic->vcpu, VHM_REQ_APIC);
	if (test_bit(VHM_POSTED_NOTIFIED, &apic->posted.control)) {
		clear_bit(VHM_POSTED_NOTIFIED, &apic->posted.control);
		smp_mb__after_atomic();		/* before the vectors, as above */
	}
	for (u32 i = 0; i < LAPIC_VECTORS / 64; i++) {
		u64 edge = take(&apic->posted.pending[i]), level = take(&apic->pending_level[i]);

		if (!(edge | level) || vhm_apic_mode(apic) == VHM_APIC_DISABLED)
			continue;	/* none, or lost on the way */
		take_in(apic, i * 64, edge, level);
	}
}

/* ------------------------------------------------------------ life cycle -- */

int vhm_apic_create(struct vhm_vcpu *vcpu)
{
	/* a size that is a power of two is the alignment, too */
	struct vhm_apic *apic = kzalloc(roundup_pow_of_two(sizeof(*apic)), GFP_KERNEL_ACCOUNT);

	vcpu->apic = apic;
	if (!apic)
		return -ENOMEM;
	apic->regs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!apic->regs)
		return -ENOMEM;
	apic->vcpu = vcpu;
	apic->base_msr = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE | bsp_bit(apic);
	vhm_apic_reset(vcpu);
	return 0;
}

void vhm_apic_free(struct vhm_vcpu *vcpu)
{
	if (vcpu->apic)
		free_page((unsigned long)vcpu->apic->regs);
	kfree(vcpu->apic);
}
