/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Local APIC: what its three files share.
 *
 * Owns access to the register page, names for register bits and the arithmetic of the
 * timer. The arithmetic is pure. Registers are accessed with READ_ONCE/WRITE_ONCE
 * because senders on other CPUs look at SVR, LDR, DFR and LVTs of their target.
 * Nothing outside vhm/apic*.c and its tests includes this.
 */
#ifndef VHM_APIC_INTERNAL_H
#define VHM_APIC_INTERNAL_H

#include <asm/apicdef.h>	/* register offsets and bits; no functions */
#include <asm/msr-index.h>
#include "apic.h"

/* version 14H, six LVT entries (SDM vol. 3, 10.4.8, Local APIC Version Register) */
#define LAPIC_VERSION		(0x14 | 5 << 16)
#define LAPIC_BYTES		0x400		/* registers end here */
#define LAPIC_REGISTERS		(LAPIC_BYTES / 16)
#define LAPIC_VECTORS		256
#define LAPIC_FIRST_VECTOR	16		/* 0-15 are illegal (10.5.2) */

/* In x2APIC mode the page holds the 64-bit ICR at its offset, like the processor's. */
#define LAPIC_ICR_HIGH_X2APIC	(APIC_ICR + 4)
/* In struct vhm_apic_state: error bits not yet shown in ESR, in ESR's reserved bytes. */
#define LAPIC_STATE_ERRORS	(APIC_ESR + 4)

#define LAPIC_ESR_BITS		(APIC_ESR_SENDILL | APIC_ESR_RECVILL | APIC_ESR_ILLREGA)
#define LAPIC_TIMER_MODE	(3u << 17)
#define LAPIC_BROADCAST		U32_MAX		/* destination: all, in any mode */

/* A guest cannot make the host take timer interrupts more often than this. */
#define LAPIC_TIMER_FLOOR_NS	(200 * NSEC_PER_USEC)

enum lapic_access {
	XAPIC_READ	= 1 << 0,	/* exists in the page of xAPIC mode */
	XAPIC_WRITE	= 1 << 1,	/* takes writes there, else ignores them */
	MSR_READ	= 1 << 2,	/* x2APIC: RDMSR */
	MSR_WRITE	= 1 << 3,	/* x2APIC: WRMSR */
	PLAIN		= 1 << 4,	/* RDMSR gives what is in the page */
	XAPIC_RW	= XAPIC_READ | XAPIC_WRITE,
	READ_ONLY	= XAPIC_READ | MSR_READ | PLAIN,
	READ_WRITE	= XAPIC_RW | MSR_READ | MSR_WRITE | PLAIN,
};

/**
 * struct lapic_register - rules of a register
 * @stored: bits that a write changes; of a register that takes none, bits that it can have
 * @status: bits that a write may carry to no effect; the others are reserved
 * @access: bits of enum lapic_access
 */
struct lapic_register {
	u32 stored, status, access;
};

/* an entry of the local vector table, given that the offset is a register's */
static inline bool lapic_is_lvt(u32 offset)
{
	return offset >= APIC_LVTT && offset <= APIC_LVTERR;
}

static inline u32 lapic_get(const struct vhm_apic *apic, u32 offset)
{
	return READ_ONCE(*(const u32 *)(apic->regs + offset));
}

static inline void lapic_set(struct vhm_apic *apic, u32 offset, u32 value)
{
	WRITE_ONCE(*(u32 *)(apic->regs + offset), value);
}

/* offset of the 32 vectors of ISR, TMR or IRR (at @base) that @vector is among */
static inline u32 lapic_vector_offset(u32 base, u32 vector)
{
	return base + (vector / 32) * 16;
}

static inline bool lapic_test_vector(const struct vhm_apic *apic, u32 base, u32 vector)
{
	return lapic_get(apic, lapic_vector_offset(base, vector)) & BIT(vector % 32);
}

static inline void lapic_assign_vector(struct vhm_apic *apic, u32 base, u32 vector, bool set)
{
	u32 offset = lapic_vector_offset(base, vector);
	u32 bit = BIT(vector % 32), word = lapic_get(apic, offset);

	lapic_set(apic, offset, set ? word | bit : word & ~bit);
}

static inline bool lapic_software_enabled(const struct vhm_apic *apic)
{
	return lapic_get(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

/* where the page holds the high half of ICR */
static inline u32 lapic_icr_high(const struct vhm_apic *apic)
{
	return vhm_apic_mode(apic) == VHM_APIC_X2APIC ? LAPIC_ICR_HIGH_X2APIC : APIC_ICR2;
}

/* logical x2APIC ID (10.12.10.2, Deriving Logical x2APIC ID from the Local x2APIC ID) */
static inline u32 lapic_x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | BIT(id & 0xf);
}

/* ------------------------------------------------------ timer arithmetic -- */

#define LAPIC_TICKS_PER_MS	(VHM_APIC_TIMER_HZ / 1000)

/* bits 3, 1, 0 of the divide configuration register (10.5.4, figure 10-10) */
static inline u32 lapic_divide_lg2(u32 divide)
{
	return (((divide >> 1 & 4) | (divide & 3)) + 1) & 7;
}

/* TSC ticks of a count, rounded up. @khz below 2^25 */
static inline u64 lapic_ticks_to_tsc(u32 ticks, u32 divide_lg2, u32 khz)
{
	return DIV64_U64_ROUND_UP(((u64)ticks << divide_lg2) * khz, LAPIC_TICKS_PER_MS);
}

/* Back, to the smallest count that takes this long: it reads zero at expiry, not before. */
static inline u32 lapic_tsc_to_ticks(u64 tsc, u32 divide_lg2, u32 khz)
{
	u64 ticks;

	if (!tsc)
		return 0;
	tsc = min(tsc, div_u64(U64_MAX, LAPIC_TICKS_PER_MS));
	ticks = div64_u64((tsc - 1) * LAPIC_TICKS_PER_MS, (u64)khz << divide_lg2) + 1;
	return min_t(u64, ticks, U32_MAX);
}

static inline u64 lapic_ns_to_tsc(u64 ns, u32 khz)
{
	u64 ms = ns / NSEC_PER_MSEC;

	if (ms >= BIT_ULL(62) / khz)
		return BIT_ULL(62);
	return ms * khz + ns % NSEC_PER_MSEC * khz / NSEC_PER_MSEC;
}

/* Rounded up: the timer never fires early. Saturates at 2^62, which no host lives to see. */
static inline u64 lapic_tsc_to_ns(u64 tsc, u32 khz)
{
	u64 ms = tsc / khz;

	if (ms >= BIT_ULL(62) / NSEC_PER_MSEC)
		return BIT_ULL(62);
	return ms * NSEC_PER_MSEC + DIV64_U64_ROUND_UP(tsc % khz * NSEC_PER_MSEC, khz);
}

/* What a periodic timer is really set to: whole periods, not below the floor. */
static inline u64 lapic_periodic_interval(u64 period, u64 floor)
{
	if (!period || period >= floor)
		return period;
	return period * DIV64_U64_ROUND_UP(floor, period);
}

/* The first expiry after @now of a series that had one at @target; without drift. */
static inline u64 lapic_periodic_next(u64 target, u64 now, u64 interval)
{
	if (target > now)
		return target;
	return target + interval * (div64_u64(now - target, interval) + 1);
}

/* Time to the end of the current period, 1 to @period, from that to any expiry. */
static inline u64 lapic_periodic_remaining(s64 to_expiry, u64 period)
{
	if (to_expiry > 0)
		return (to_expiry - 1) % period + 1;
	return period - -to_expiry % period;
}

/* ------------------------------------------------- between the files here -- */

/* apic.c */
const struct lapic_register *lapic_find_register(u32 offset, u32 access);
u32 lapic_load(struct vhm_apic *apic, u32 offset);

/* apic_timer.c; all in the vCPU's thread */
void lapic_timer_reset(struct vhm_apic *apic);
bool lapic_timer_poll(struct vhm_apic *apic);
void lapic_timer_settle(struct vhm_apic *apic);
void lapic_timer_mode_written(struct vhm_apic *apic);
void lapic_timer_initial_written(struct vhm_apic *apic, u32 value);
void lapic_timer_divide_written(struct vhm_apic *apic);
u32 lapic_timer_current(const struct vhm_apic *apic);
void lapic_timer_set_deadline(struct vhm_apic *apic, u64 tsc);
u64 lapic_timer_remaining_ns(const struct vhm_apic *apic);
int lapic_timer_check(u32 lvtt, u32 initial, u32 divide, u64 deadline_tsc, u64 remaining_ns);
void lapic_timer_load(struct vhm_apic *apic, u64 deadline_tsc, u64 remaining_ns);

/* apic_delivery.c; any context */
void lapic_error(struct vhm_apic *apic, u32 error);
bool lapic_local_interrupt(struct vhm_apic *apic, u32 lvt);
/* vCPU thread: send what ICR says */
void lapic_send(struct vhm_apic *apic, u32 icr);

#endif /* VHM_APIC_INTERNAL_H */
