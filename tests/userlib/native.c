// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executing one instruction natively: a prologue that loads all registers, the instruction,
 * an epilogue that stores them, written anew for each run.
 *
 * While the instruction runs, RSP may hold anything: no signal may arrive.
 */
#include "native.h"

#include <cpuid.h>
#include <stddef.h>
#include <string.h>
#include <asm/ldt.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER_CS_32	0x23
#define USER_CS_64	0x33
#define USER_DS		0x2b
#define ECX_AVX		(1u << 28)
#define ECX_OSXSAVE	(1u << 27)

struct emitter {
	uint8_t *at;
};

static void emit(struct emitter *e, unsigned int count, const char *bytes)
{
	memcpy(e->at, bytes, count);
	e->at += count;
}

static void emit32(struct emitter *e, uint32_t value)
{
	memcpy(e->at, &value, sizeof(value));
	e->at += sizeof(value);
}

#define EMIT(e, bytes)	emit(e, sizeof(bytes) - 1, bytes)

static uint32_t field(const struct native *native, size_t offset)
{
	return (uint32_t)((uintptr_t)native->state + offset);
}

#define FIELD(native, name)	field(native, offsetof(struct native_state, name))

static uint32_t gpr_field(const struct native *native, unsigned int number)
{
	return FIELD(native, gpr) + 8 * number;
}

/* mov between register and [disp32]: 0x8b loads, 0x89 stores */
static void move_64(struct emitter *e, uint8_t opcode, unsigned int number, uint32_t address)
{
	uint8_t bytes[] = { number > 7 ? 0x4c : 0x48, opcode, (uint8_t)(4 | (number & 7) << 3),
			    0x25 };

	emit(e, sizeof(bytes), (const char *)bytes);
	emit32(e, address);
}

static void move_32(struct emitter *e, uint8_t opcode, unsigned int number, uint32_t address)
{
	uint8_t bytes[] = { opcode, (uint8_t)(5 | number << 3) };

	emit(e, sizeof(bytes), (const char *)bytes);
	emit32(e, address);
}

static void save_host(struct emitter *e, const struct native *native)
{
	EMIT(e, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57");	/* push rbx rbp r12-r15 */
	move_64(e, 0x89, 4, FIELD(native, host_rsp));
	EMIT(e, "\xb8\x07\x00\x00\x00\x31\xd2\x48\x0f\xae\x2c\x25");	/* xrstor64, mask 7 */
	emit32(e, FIELD(native, xsave));
}

static void restore_host(struct emitter *e, const struct native *native)
{
	EMIT(e, "\xb8\x07\x00\x00\x00\x31\xd2\x48\x0f\xae\x24\x25");	/* xsave64, mask 7 */
	emit32(e, FIELD(native, xsave));
	EMIT(e, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3");	/* pop ...; ret */
}

static void prologue_64(struct emitter *e, const struct native *native)
{
	unsigned int i;

	save_host(e, native);
	EMIT(e, "\xff\x34\x25");				/* push [rflags]; popfq */
	emit32(e, FIELD(native, rflags));
	EMIT(e, "\x9d");
	for (i = 0; i < 16; i++)
		move_64(e, 0x8b, i, gpr_field(native, i));
}

static void epilogue_64(struct emitter *e, const struct native *native)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		move_64(e, 0x89, i, gpr_field(native, i));
	move_64(e, 0x8b, 4, FIELD(native, host_rsp));
	EMIT(e, "\x9c\x8f\x04\x25");				/* pushfq; pop [rflags] */
	emit32(e, FIELD(native, rflags));
	EMIT(e, "\xfc");					/* cld */
	restore_host(e, native);
}

static void prologue_32(struct emitter *e, const struct native *native)
{
	unsigned int i;

	save_host(e, native);
	EMIT(e, "\xb8\x2b\x00\x00\x00\x8e\xd8\x8e\xc0");	/* ds = es = USER_DS */
	EMIT(e, "\xff\x2c\x25");				/* jmp far [far_offset] */
	emit32(e, FIELD(native, far_offset));
	native->state->far_offset = (uint32_t)(uintptr_t)e->at;
	native->state->far_selector = USER_CS_32;
	EMIT(e, "\xbc");					/* mov esp, stack */
	emit32(e, (uint32_t)(uintptr_t)native->stack + 64);
	EMIT(e, "\xff\x35");					/* push [rflags]; popfd */
	emit32(e, FIELD(native, rflags));
	EMIT(e, "\x9d");
	for (i = 0; i < 8; i++)
		move_32(e, 0x8b, i, gpr_field(native, i));
}

static void epilogue_32(struct emitter *e, const struct native *native)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		move_32(e, 0x89, i, gpr_field(native, i));
	EMIT(e, "\xbc");
	emit32(e, (uint32_t)(uintptr_t)native->stack + 64);
	EMIT(e, "\x9c\x8f\x05");				/* pushfd; pop [rflags] */
	emit32(e, FIELD(native, rflags));
	EMIT(e, "\xfc\xea");					/* cld; jmp far */
	emit32(e, (uint32_t)(uintptr_t)e->at + 6);
	EMIT(e, "\x33\x00");
	move_64(e, 0x8b, 4, FIELD(native, host_rsp));
	EMIT(e, "\x31\xc0\x8e\xd8\x8e\xc0");			/* ds = es = 0 */
	restore_host(e, native);
}

/* GS: flat, to reach the state whatever DS is. */
static void move_16(struct emitter *e, uint8_t opcode, unsigned int number, uint32_t address)
{
	uint8_t bytes[] = { 0x65, 0x66, 0x67, opcode, (uint8_t)(5 | number << 3) };

	emit(e, sizeof(bytes), (const char *)bytes);
	emit32(e, address);
}

static void prologue_16(struct emitter *e, const struct native *native)
{
	unsigned int i;

	save_host(e, native);
	EMIT(e, "\xb8\x2b\x00\x00\x00\x8e\xe8");		/* gs = USER_DS */
	EMIT(e, "\xb8\x0f\x00\x00\x00\x8e\xd8\x8e\xc0");	/* ds = es = NATIVE_DATA_16 */
	EMIT(e, "\xff\x34\x25");				/* push [rflags]; popfq */
	emit32(e, FIELD(native, rflags));
	EMIT(e, "\x9d\xff\x2c\x25");				/* jmp far [far_offset] */
	emit32(e, FIELD(native, far_offset));
	native->state->far_offset = (uint32_t)(e->at - native->code);
	native->state->far_selector = NATIVE_CODE_16;
	EMIT(e, "\x65\x67\x8e\x15");				/* mov ss, gs:[...] */
	emit32(e, FIELD(native, stack_selector));
	for (i = 0; i < 8; i++)
		move_16(e, 0x8b, i, gpr_field(native, i));
}

static void epilogue_16(struct emitter *e, const struct native *native)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		move_16(e, 0x89, i, gpr_field(native, i));
	EMIT(e, "\x66\xea");					/* jmp far */
	emit32(e, (uint32_t)(uintptr_t)e->at + 6);
	EMIT(e, "\x33\x00");
	EMIT(e, "\xb8\x2b\x00\x00\x00\x8e\xd0");		/* ss = USER_DS */
	move_64(e, 0x8b, 4, FIELD(native, host_rsp));
	EMIT(e, "\x9c\x8f\x04\x25");				/* pushfq; pop [rflags] */
	emit32(e, FIELD(native, rflags));
	EMIT(e, "\xfc\x31\xc0\x8e\xd8\x8e\xc0\x8e\xe8");	/* cld; ds = es = gs = 0 */
	restore_host(e, native);
}

static bool set_segment_16(unsigned int selector, const void *base, bool code)
{
	struct user_desc segment = {
		.entry_number = selector >> 3, .base_addr = (uint32_t)(uintptr_t)base,
		.limit = 0xffff, .contents = code ? 2 : 0, .useable = 1,
	};

	return syscall(SYS_modify_ldt, 0x11, &segment, sizeof(segment)) == 0;
}

static void *map_low(unsigned int bytes, int protection)
{
	void *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
			    0);

	return memory == MAP_FAILED ? NULL : memory;
}

bool native_open(struct native *native)
{
	unsigned int eax, ebx, ecx = 0, edx;

	native->state = map_low(sizeof(*native->state), PROT_READ | PROT_WRITE);
	native->code = map_low(2 * NATIVE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	native->data = map_low(NATIVE_DATA_PAGES * NATIVE_PAGE, PROT_READ | PROT_WRITE);
	native->stack = map_low(NATIVE_PAGE, PROT_READ | PROT_WRITE);
	__get_cpuid(1, &eax, &ebx, &ecx, &edx);
	native->has_avx = ecx & ECX_AVX;
	native->has_16 = set_segment_16(NATIVE_CODE_16, native->code, true) &&
			 set_segment_16(NATIVE_DATA_16, native->data, false) &&
			 set_segment_16(NATIVE_STACK_16, native->stack, false);
	return native->state && native->code && native->data && native->stack &&
	       ecx & ECX_OSXSAVE;
}

typedef void (*emit_fn)(struct emitter *e, const struct native *native);

static const struct mode {
	emit_fn prologue, epilogue;
} modes[] = {
	{ prologue_16, epilogue_16 },
	{ prologue_32, epilogue_32 },
	{ prologue_64, epilogue_64 },
};

/* The prologue's length does not depend on where it is. */
void native_run(const struct native *native, const uint8_t *insn, unsigned int insn_bytes,
		uint64_t at, unsigned int code_bits)
{
	const struct mode *mode = &modes[code_bits == 64 ? 2 : code_bits == 32];
	struct emitter e = { .at = native->code };
	uint8_t *start;

	mode->prologue(&e, native);
	start = (uint8_t *)(uintptr_t)at - (e.at - native->code);
	e.at = start;
	mode->prologue(&e, native);
	emit(&e, insn_bytes, (const char *)insn);
	mode->epilogue(&e, native);
	((void (*)(void))(uintptr_t)start)();
}
