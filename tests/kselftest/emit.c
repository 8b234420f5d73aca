// SPDX-License-Identifier: GPL-2.0-only
/* Guest code made by tests. See emit.h. */
#include "emit.h"

#include <string.h>

#define APIC_PAGE	0xfee00000u
#define APIC_MSR(offset) (0x800u + ((offset) >> 4))

void emit_bytes(struct code *code, const void *bytes, size_t count)
{
	if (code->gpa + count > code->vm->memory_bytes)
		give_up("guest code does not fit");
	memcpy(code->vm->memory + code->gpa, bytes, count);
	code->gpa += (uint32_t)count;
}

static void emit_u32(struct code *code, uint32_t value)
{
	emit_bytes(code, &value, sizeof(value));
}

void emit_mov_eax(struct code *code, uint32_t value)
{
	emit(code, "\xb8");
	emit_u32(code, value);
}

void emit_out(struct code *code, uint8_t port)
{
	emit(code, "\xe7");
	emit_bytes(code, &port, 1);
}

static void emit_mov_ecx(struct code *code, uint32_t value)
{
	emit(code, "\xb9");
	emit_u32(code, value);
}

void emit_wrmsr(struct code *code, uint32_t index, uint64_t value)
{
	emit_mov_ecx(code, index);
	emit_mov_eax(code, (uint32_t)value);
	emit(code, "\xba");			/* mov edx */
	emit_u32(code, (uint32_t)(value >> 32));
	emit(code, "\x0f\x30");
}

void emit_rdmsr(struct code *code, uint32_t index)
{
	emit_mov_ecx(code, index);
	emit(code, "\x0f\x32");
}

static void emit_mov_ebx(struct code *code, uint32_t value)
{
	emit(code, "\xbb");
	emit_u32(code, value);
}

void emit_apic_write(struct code *code, uint32_t offset, uint64_t value)
{
	if (code->x2apic) {
		emit_wrmsr(code, APIC_MSR(offset), value);
		return;
	}
	emit_mov_ebx(code, APIC_PAGE + offset);
	emit_mov_eax(code, (uint32_t)value);
	emit(code, "\x89\x03");			/* mov [rbx], eax */
}

void emit_apic_read(struct code *code, uint32_t offset)
{
	if (code->x2apic) {
		emit_rdmsr(code, APIC_MSR(offset));
		return;
	}
	emit_mov_ebx(code, APIC_PAGE + offset);
	emit(code, "\x8b\x03");			/* mov eax, [rbx] */
}

void emit_icr(struct code *code, uint32_t destination, uint32_t low)
{
	if (code->x2apic) {
		emit_apic_write(code, APIC_ICR, (uint64_t)destination << 32 | low);
		return;
	}
	emit_apic_write(code, APIC_ICR2, destination << 24);
	emit_apic_write(code, APIC_ICR, low);
}

void emit_apic_enable(struct code *code)
{
	if (code->x2apic) {
		emit_rdmsr(code, MSR_APIC_BASE);
		emit(code, "\x80\xcc\x0c");	/* or ah, 0xc: enabled, x2APIC */
		emit(code, "\x0f\x30");
	}
	emit_apic_write(code, APIC_SVR, 0x1ff);
}

void emit_jump(struct code *code, uint32_t gpa)
{
	emit(code, "\xe9");
	emit_u32(code, gpa - (code->gpa + 4));
}

void emit_count(struct code *code, unsigned int n)
{
	emit(code, "\xf0\x48\xff\x04\x25");	/* lock incq disp32 */
	emit_u32(code, LONG_MAIL + (uint32_t)offsetof(struct guest_mail, flag) + 8 * n);
}
