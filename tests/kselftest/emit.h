/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 64-bit guest code made by the test itself, for what differs by a parameter: accesses to the
 * local APIC in its two modes. In xAPIC mode the guest uses only the two instructions that
 * guest_exit() can complete.
 */
#ifndef KSELFTEST_EMIT_H
#define KSELFTEST_EMIT_H

#include "guest.h"

/* APIC registers by offset in the page (SDM vol. 3, table 10-1) */
#define APIC_ID		0x20
#define APIC_VERSION	0x30
#define APIC_TPR	0x80
#define APIC_PPR	0xa0
#define APIC_EOI	0xb0
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_ERROR	0x370
#define APIC_INITIAL	0x380
#define APIC_CURRENT	0x390
#define APIC_DIVIDE	0x3e0
#define APIC_SELF_IPI	0x3f0

#define LVT_MASKED	(1u << 16)
#define LVT_PERIODIC	(1u << 17)
#define LVT_DEADLINE	(2u << 17)
#define DIVIDE_BY_1	0xbu

#define MSR_APIC_BASE	0x1b
#define MSR_DEADLINE	0x6e0

#define ICR_SELF	(1u << 18)
#define ICR_ALL		(2u << 18)
#define ICR_OTHERS	(3u << 18)
#define ICR_ASSERT	(1u << 14)
#define ICR_NMI		(4u << 8)
#define ICR_INIT	(5u << 8)
#define ICR_STARTUP	(6u << 8)

/**
 * struct code - code that is being written
 * @vm: where to
 * @gpa: of the next byte
 * @x2apic: mode of the APIC that it will meet
 */
struct code {
	struct vm *vm;
	uint32_t gpa;
	bool x2apic;
};

void emit_bytes(struct code *code, const void *bytes, size_t count);
#define emit(code, string)	emit_bytes(code, string, sizeof(string) - 1)

void emit_mov_eax(struct code *code, uint32_t value);
void emit_out(struct code *code, uint8_t port);		/* of EAX */
void emit_wrmsr(struct code *code, uint32_t index, uint64_t value);
/* EDX:EAX */
void emit_rdmsr(struct code *code, uint32_t index);
/* x2APIC: the high half of ICR is the destination; xAPIC: emit_icr() writes ICR2 first */
void emit_apic_write(struct code *code, uint32_t offset, uint64_t value);
void emit_apic_read(struct code *code, uint32_t offset);
void emit_icr(struct code *code, uint32_t destination, uint32_t low);
/* APIC on, in the mode of @code, which needs the CPUID table. */
void emit_apic_enable(struct code *code);
void emit_jump(struct code *code, uint32_t gpa);
/* INC of guest_mail.flag[n], atomic */
void emit_count(struct code *code, unsigned int n);

#define emit_sti(code)	emit(code, "\xfb")
#define emit_cli(code)	emit(code, "\xfa")
#define emit_hlt(code)	emit(code, "\xf4")

#endif /* KSELFTEST_EMIT_H */
