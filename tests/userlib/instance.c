// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random instances of instructions: see instance.h. One row of the table is one opcode with
 * what its operands may be; the generator picks sizes, prefixes, registers and addresses.
 */
#include "instance.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

#define PAGE		NATIVE_PAGE

#define ALU(name, base, digit, access, undefined)						\
	{ name " m8,r8", 0, 0, base, -1, 0, 0, access, K_MODRM, F_BYTE | (access == RW ? F_LOCKABLE : 0), undefined },	\
	{ name " m,r", 0, 0, base + 1, -1, 0, 0, access, K_MODRM, access == RW ? F_LOCKABLE : 0, undefined },		\
	{ name " r8,m8", 0, 0, base + 2, -1, 0, 0, R, K_MODRM, F_BYTE, undefined },		\
	{ name " r,m", 0, 0, base + 3, -1, 0, 0, R, K_MODRM, 0, undefined },			\
	{ name " m8,i8", 0, 0, 0x80, digit, 1, 0, access, K_MODRM, F_BYTE, undefined },		\
	{ name " m,i", 0, 0, 0x81, digit, 4, 0, access, K_MODRM, 0, undefined },		\
	{ name " m,i8", 0, 0, 0x83, digit, 1, 0, access, K_MODRM, 0, undefined }

#define SHIFT(name, digit, undefined)								\
	{ name " m8,i", 0, 0, 0xc0, digit, 1, 0, RW, K_MODRM, F_BYTE | F_COUNT_IMM, undefined },	\
	{ name " m,i", 0, 0, 0xc1, digit, 1, 0, RW, K_MODRM, F_COUNT_IMM, undefined },		\
	{ name " m8,1", 0, 0, 0xd0, digit, 0, 0, RW, K_MODRM, F_BYTE, (undefined) & ~OF },	\
	{ name " m,1", 0, 0, 0xd1, digit, 0, 0, RW, K_MODRM, 0, (undefined) & ~OF },		\
	{ name " m8,cl", 0, 0, 0xd2, digit, 0, 0, RW, K_MODRM, F_BYTE | F_COUNT_CL, undefined },	\
	{ name " m,cl", 0, 0, 0xd3, digit, 0, 0, RW, K_MODRM, F_COUNT_CL, undefined }

#define BIT(name, opcode, digit, access)							\
	{ name " m,r", 0, 1, opcode, -1, 0, 0, access, K_MODRM,				\
	  F_BIT | (access == RW ? F_LOCKABLE : 0), OF | SF | AF | PF },				\
	{ name " m,i", 0, 1, 0xba, digit, 1, 0, access, K_MODRM, 0, OF | SF | AF | PF }

#define STRING(name, opcode, access, flags)							\
	{ name "b", 0, 0, opcode, 0, 0, 0, access, K_STRING, F_BYTE | flags, 0 },		\
	{ name "v", 0, 0, opcode + 1, 0, 0, 0, access, K_STRING, flags, 0 }

#define VECTOR(name, prefix, opcode, bytes, access, flags)					\
	{ name, prefix, 1, opcode, -1, 0, bytes, access, K_MODRM, F_VECTOR | flags, 0 }

#define VEX(name, prefix, opcode, access, flags)						\
	{ name " xmm", prefix, 1, opcode, -1, 0, 16, access, K_MODRM, F_VECTOR | F_VEX | flags, 0 },	\
	{ name " ymm", prefix, 1, opcode, -1, 0, 32, access, K_MODRM,				\
	  F_VECTOR | F_VEX | F_WIDE | flags, 0 }

const struct template templates[] = {
	{ "mov m8,r8", 0, 0, 0x88, -1, 0, 0, W, K_MODRM, F_BYTE, 0 },
	{ "mov m,r", 0, 0, 0x89, -1, 0, 0, W, K_MODRM, 0, 0 },
	{ "mov r8,m8", 0, 0, 0x8a, -1, 0, 0, R, K_MODRM, F_BYTE, 0 },
	{ "mov r,m", 0, 0, 0x8b, -1, 0, 0, R, K_MODRM, 0, 0 },
	{ "mov m8,i8", 0, 0, 0xc6, 0, 1, 0, W, K_MODRM, F_BYTE, 0 },
	{ "mov m,i", 0, 0, 0xc7, 0, 4, 0, W, K_MODRM, 0, 0 },
	{ "mov al,moffs", 0, 0, 0xa0, 0, 0, 0, R, K_MOFFS, F_BYTE, 0 },
	{ "mov ax,moffs", 0, 0, 0xa1, 0, 0, 0, R, K_MOFFS, 0, 0 },
	{ "mov moffs,al", 0, 0, 0xa2, 0, 0, 0, W, K_MOFFS, F_BYTE, 0 },
	{ "mov moffs,ax", 0, 0, 0xa3, 0, 0, 0, W, K_MOFFS, 0, 0 },
	{ "movzx r,m8", 0, 1, 0xb6, -1, 0, 1, R, K_MODRM, 0, 0 },
	{ "movzx r,m16", 0, 1, 0xb7, -1, 0, 2, R, K_MODRM, F_NO16, 0 },
	{ "movsx r,m8", 0, 1, 0xbe, -1, 0, 1, R, K_MODRM, 0, 0 },
	{ "movsx r,m16", 0, 1, 0xbf, -1, 0, 2, R, K_MODRM, F_NO16, 0 },
	{ "movsxd r,m32", 0, 0, 0x63, -1, 0, 4, R, K_MODRM, F_ONLY64 | F_NO16, 0 },
	{ "movnti", 0, 1, 0xc3, -1, 0, 0, W, K_MODRM, F_NO16 | F_NO66, 0 },
	{ "movbe r,m", 0, 2, 0xf0, -1, 0, 0, R, K_MODRM, 0, 0 },
	{ "movbe m,r", 0, 2, 0xf1, -1, 0, 0, W, K_MODRM, 0, 0 },
	ALU("add", 0x00, 0, RW, 0),
	ALU("or", 0x08, 1, RW, AF),
	ALU("adc", 0x10, 2, RW, 0),
	ALU("sbb", 0x18, 3, RW, 0),
	ALU("and", 0x20, 4, RW, AF),
	ALU("sub", 0x28, 5, RW, 0),
	ALU("xor", 0x30, 6, RW, AF),
	ALU("cmp", 0x38, 7, R, 0),
	{ "test m8,r8", 0, 0, 0x84, -1, 0, 0, R, K_MODRM, F_BYTE, AF },
	{ "test m,r", 0, 0, 0x85, -1, 0, 0, R, K_MODRM, 0, AF },
	{ "test m8,i8", 0, 0, 0xf6, 0, 1, 0, R, K_MODRM, F_BYTE, AF },
	{ "test m,i", 0, 0, 0xf7, 0, 4, 0, R, K_MODRM, 0, AF },
	{ "inc m8", 0, 0, 0xfe, 0, 0, 0, RW, K_MODRM, F_BYTE | F_LOCKABLE, 0 },
	{ "inc m", 0, 0, 0xff, 0, 0, 0, RW, K_MODRM, F_LOCKABLE, 0 },
	{ "dec m8", 0, 0, 0xfe, 1, 0, 0, RW, K_MODRM, F_BYTE | F_LOCKABLE, 0 },
	{ "dec m", 0, 0, 0xff, 1, 0, 0, RW, K_MODRM, F_LOCKABLE, 0 },
	{ "not m8", 0, 0, 0xf6, 2, 0, 0, RW, K_MODRM, F_BYTE | F_LOCKABLE, 0 },
	{ "not m", 0, 0, 0xf7, 2, 0, 0, RW, K_MODRM, F_LOCKABLE, 0 },
	{ "neg m8", 0, 0, 0xf6, 3, 0, 0, RW, K_MODRM, F_BYTE | F_LOCKABLE, 0 },
	{ "neg m", 0, 0, 0xf7, 3, 0, 0, RW, K_MODRM, F_LOCKABLE, 0 },
	SHIFT("rol", 0, OF),
	SHIFT("ror", 1, OF),
	SHIFT("rcl", 2, OF),
	SHIFT("rcr", 3, OF),
	SHIFT("shl", 4, OF | AF),
	SHIFT("shr", 5, OF | AF),
	SHIFT("sar", 7, OF | AF),
	BIT("bt", 0xa3, 4, R),
	BIT("bts", 0xab, 5, RW),
	BIT("btr", 0xb3, 6, RW),
	BIT("btc", 0xbb, 7, RW),
	{ "xchg m8,r8", 0, 0, 0x86, -1, 0, 0, RW, K_MODRM, F_BYTE, 0 },
	{ "xchg m,r", 0, 0, 0x87, -1, 0, 0, RW, K_MODRM, 0, 0 },
	{ "xadd m8,r8", 0, 1, 0xc0, -1, 0, 0, RW, K_MODRM, F_BYTE | F_LOCKABLE, 0 },
	{ "xadd m,r", 0, 1, 0xc1, -1, 0, 0, RW, K_MODRM, F_LOCKABLE, 0 },
	{ "cmpxchg m8,r8", 0, 1, 0xb0, -1, 0, 0, RW, K_MODRM, F_BYTE | F_LOCKABLE | F_ACCUMULATOR, 0 },
	{ "cmpxchg m,r", 0, 1, 0xb1, -1, 0, 0, RW, K_MODRM, F_LOCKABLE | F_ACCUMULATOR, 0 },
	{ "cmpxchg8b", 0, 1, 0xc7, 1, 0, 8, RW, K_MODRM, F_PAIR | F_NO16 | F_NO66, 0 },
	{ "cmpxchg16b", 0, 1, 0xc7, 1, 0, 16, RW, K_MODRM,
	  F_PAIR | F_NO16 | F_W | F_ONLY64 | F_ALIGNED, 0 },
	{ "setcc m8", 0, 1, 0x90, 0, 0, 1, W, K_MODRM, F_BYTE, 0 },
	{ "cmovcc r,m", 0, 1, 0x40, -1, 0, 0, R, K_MODRM, 0, 0 },
	{ "push m", 0, 0, 0xff, 6, 0, 0, R, K_MODRM, F_STACK, 0 },
	{ "pop m", 0, 0, 0x8f, 0, 0, 0, W, K_MODRM, F_STACK, 0 },
	STRING("movs", 0xa4, RW, F_SOURCE | F_DESTINATION),
	STRING("cmps", 0xa6, R, F_SOURCE | F_DESTINATION | F_REPNE),
	STRING("stos", 0xaa, W, F_DESTINATION),
	STRING("lods", 0xac, R, F_SOURCE),
	STRING("scas", 0xae, R, F_DESTINATION | F_REPNE),
	VECTOR("movups r,m", 0, 0x10, 16, R, 0),
	VECTOR("movups m,r", 0, 0x11, 16, W, 0),
	VECTOR("movupd r,m", 0x66, 0x10, 16, R, 0),
	VECTOR("movupd m,r", 0x66, 0x11, 16, W, 0),
	VECTOR("movss r,m", 0xf3, 0x10, 4, R, 0),
	VECTOR("movss m,r", 0xf3, 0x11, 4, W, 0),
	VECTOR("movsd r,m", 0xf2, 0x10, 8, R, 0),
	VECTOR("movsd m,r", 0xf2, 0x11, 8, W, 0),
	VECTOR("movlps r,m", 0, 0x12, 8, R, 0),
	VECTOR("movlps m,r", 0, 0x13, 8, W, 0),
	VECTOR("movlpd r,m", 0x66, 0x12, 8, R, 0),
	VECTOR("movlpd m,r", 0x66, 0x13, 8, W, 0),
	VECTOR("movhps r,m", 0, 0x16, 8, R, 0),
	VECTOR("movhps m,r", 0, 0x17, 8, W, 0),
	VECTOR("movhpd r,m", 0x66, 0x16, 8, R, 0),
	VECTOR("movhpd m,r", 0x66, 0x17, 8, W, 0),
	VECTOR("movaps r,m", 0, 0x28, 16, R, F_ALIGNED),
	VECTOR("movaps m,r", 0, 0x29, 16, W, F_ALIGNED),
	VECTOR("movapd r,m", 0x66, 0x28, 16, R, F_ALIGNED),
	VECTOR("movapd m,r", 0x66, 0x29, 16, W, F_ALIGNED),
	VECTOR("movntps", 0, 0x2b, 16, W, F_ALIGNED),
	VECTOR("movntpd", 0x66, 0x2b, 16, W, F_ALIGNED),
	VECTOR("movntdq", 0x66, 0xe7, 16, W, F_ALIGNED),
	VECTOR("movdqa r,m", 0x66, 0x6f, 16, R, F_ALIGNED),
	VECTOR("movdqa m,r", 0x66, 0x7f, 16, W, F_ALIGNED),
	VECTOR("movdqu r,m", 0xf3, 0x6f, 16, R, 0),
	VECTOR("movdqu m,r", 0xf3, 0x7f, 16, W, 0),
	VECTOR("lddqu", 0xf2, 0xf0, 16, R, 0),
	VECTOR("movd r,m", 0x66, 0x6e, 4, R, 0),
	VECTOR("movd m,r", 0x66, 0x7e, 4, W, 0),
	VECTOR("movq r,m W", 0x66, 0x6e, 8, R, F_W | F_ONLY64),
	VECTOR("movq m,r W", 0x66, 0x7e, 8, W, F_W | F_ONLY64),
	VECTOR("movq r,m", 0xf3, 0x7e, 8, R, 0),
	VECTOR("movq m,r", 0x66, 0xd6, 8, W, 0),
	{ "movntdqa", 0x66, 2, 0x2a, -1, 0, 16, R, K_MODRM, F_VECTOR | F_ALIGNED, 0 },
	VEX("vmovups r,m", 0, 0x10, R, 0),
	VEX("vmovups m,r", 0, 0x11, W, 0),
	VEX("vmovapd r,m", 1, 0x28, R, F_ALIGNED),
	VEX("vmovapd m,r", 1, 0x29, W, F_ALIGNED),
	VEX("vmovdqu r,m", 2, 0x6f, R, 0),
	VEX("vmovdqu m,r", 2, 0x7f, W, 0),
	VEX("vmovdqa r,m", 1, 0x6f, R, F_ALIGNED),
	VEX("vmovdqa m,r", 1, 0x7f, W, F_ALIGNED),
	{ "vmovss r,m", 2, 1, 0x10, -1, 0, 4, R, K_MODRM, F_VECTOR | F_VEX, 0 },
	{ "vmovsd m,r", 3, 1, 0x11, -1, 0, 8, W, K_MODRM, F_VECTOR | F_VEX, 0 },
	{ "vmovd r,m", 1, 1, 0x6e, -1, 0, 4, R, K_MODRM, F_VECTOR | F_VEX, 0 },
};

const unsigned int template_count = sizeof(templates) / sizeof(templates[0]);

/* -------------------------------------------------------------- generator -- */

static bool coin(void)
{
	return random64() & 1;
}

static uint64_t interesting(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX,
	};

	return random_below(4) ? random64() : edges[random_below(15)];
}

static void put(struct instance *in, uint8_t byte)
{
	in->code[in->code_bytes++] = byte;
}

static void put_number(struct instance *in, uint64_t value, unsigned int bytes)
{
	while (bytes--) {
		put(in, (uint8_t)value);
		value >>= 8;
	}
}

/* An address of a memory operand in the middle pages, so that nothing leaves the data. */
static uint64_t choose_target(const struct instance *in, const struct native *native,
			      unsigned int align)
{
	uint64_t offset = PAGE + random_below(2 * PAGE - 64);

	/* often across the pages' border */
	if (!random_below(4))
		offset = 2 * PAGE - random_below(in->memory_bytes + 1);
	return ((uintptr_t)native->data + offset) & ~(uint64_t)(align - 1);
}

static void choose_operand_size(struct instance *in)
{
	const struct template *t = in->template;
	static const unsigned int sizes[] = { 2, 4, 8 };

	if (t->flags & F_BYTE)
		in->operand_bytes = 1;
	else if (t->flags & F_VECTOR)
		in->operand_bytes = 4;
	else if (t->flags & F_STACK)
		in->operand_bytes = coin() ? 2 : in->code_bits == 64 ? 8 : 4;
	else
		in->operand_bytes = sizes[random_below(in->code_bits == 64 ? 3 : 2)];
	if (t->flags & F_NO16 && in->operand_bytes == 2)
		in->operand_bytes = 4;
	if (t->flags & F_PAIR)
		in->operand_bytes = t->bytes / 2;
	in->memory_bytes = t->bytes ? t->bytes : in->operand_bytes;
}

static void put_prefixes(struct instance *in)
{
	const struct template *t = in->template;

	if (t->flags & F_LOCKABLE && coin())
		put(in, 0xf0);
	if (!random_below(8))
		put(in, coin() ? 0x3e : 0x26);
	if (in->address_32)
		put(in, 0x67);
	if (in->operand_bytes == (in->code_bits == 16 ? 4 : 2) && !(t->flags & (F_VECTOR | F_NO66)))
		put(in, 0x66);
	if (t->prefix && !(t->flags & F_VEX))
		put(in, t->prefix);
	if ((in->operand_bytes == 8 && !(t->flags & (F_STACK | F_PAIR))) || t->flags & F_W)
		in->rex |= 8;
	if (in->rex || in->rex_needed)
		put(in, 0x40 | in->rex);
}

static void put_opcode(struct instance *in, unsigned int reg)
{
	const struct template *t = in->template;

	if (t->flags & F_VEX) {
		put(in, 0xc5);
		put(in, (uint8_t)((reg > 7 ? 0 : 0x80) | 0x78 | (t->flags & F_WIDE ? 4 : 0) |
				  t->prefix));
	} else {
		if (t->map)
			put(in, 0x0f);
		if (t->map == 2)
			put(in, 0x38);
	}
	put(in, t->opcode);
}

/* How an address is made of registers; -1: without. */
struct address {
	int base, index;
	unsigned int scale_lg2;
	int32_t disp;
	unsigned int disp_bytes;
	bool rip_relative;
	int rm16;		/* the form of a 16-bit address, -1: another size */
};

static unsigned int address_bits(const struct instance *in)
{
	if (in->code_bits == 32 || in->address_32)
		return 32;
	return in->code_bits;
}

static bool is_taken(const struct instance *in, int number, unsigned int reg)
{
	/* a bit offset and a shift count must stay small */
	if (in->template->flags & F_BIT && number == (int)reg)
		return true;
	/* addresses in SS lie elsewhere */
	if (in->template->flags & F_STACK && in->code_bits == 16 && number == 5)
		return true;
	return in->template->flags & F_STACK && number == 4;
}

/* The eight forms of a 16-bit address: registers of the sum */
static const int8_t forms_16[8][2] = {
	{ 3, 6 }, { 3, 7 }, { 5, 6 }, { 5, 7 }, { 6, -1 }, { 7, -1 }, { 5, -1 }, { 3, -1 },
};

static void choose_address_16(struct instance *in, struct address *a, unsigned int reg)
{
	uint64_t rest = in->linear - in->data_base;

	*a = (struct address){ .base = -1, .index = -1 };
	do
		a->rm16 = (int)random_below(8);
	while (is_taken(in, forms_16[a->rm16][0], reg) || is_taken(in, forms_16[a->rm16][1], reg));
	a->disp_bytes = random_below(3);
	if (a->rm16 == 6 && !a->disp_bytes) {
		a->base = -2;	/* no register, a displacement of 16 bits */
		a->disp_bytes = 2;
		a->disp = (int32_t)rest;
		return;
	}
	if (a->disp_bytes)
		a->disp = a->disp_bytes == 1 ? (int8_t)random64() : (int16_t)random64();
	rest -= (uint64_t)(int64_t)a->disp;
	if (forms_16[a->rm16][1] >= 0)
		rest -= in->gpr[forms_16[a->rm16][1]];
	in->gpr[forms_16[a->rm16][0]] = (random64() << 16 & UINT32_MAX) | (rest & 0xffff);
}

static void put_modrm_16(struct instance *in, const struct address *a, unsigned int reg)
{
	unsigned int mod = a->base == -2 ? 0 : a->disp_bytes;

	put(in, (uint8_t)(mod << 6 | (reg & 7) << 3 | (unsigned int)a->rm16));
	put_number(in, (uint64_t)(int64_t)a->disp, a->disp_bytes);
}

static void choose_address(struct instance *in, struct address *a, unsigned int reg)
{
	int most = in->code_bits == 64 && !(in->template->flags & F_VEX) ? 16 : 8;
	uint64_t rest = in->linear - in->data_base, value;

	*a = (struct address){ .base = -1, .index = -1, .rm16 = -1 };
	if (!random_below(8))
		a->disp_bytes = 4;
	else
		do
			a->base = (int)random_below(most);
		while (is_taken(in, a->base, reg));
	if (coin() && a->base >= 0) {
		a->index = (int)random_below(most);
		a->scale_lg2 = random_below(4);
		if (a->index == 4 || a->index == a->base || is_taken(in, a->index, reg))
			a->index = -1;
	}
	if (a->base >= 0) {
		a->disp_bytes = coin() ? 4 : coin();
		if (a->disp_bytes == 0 && (a->base & 7) == 5)
			a->disp_bytes = 1;
		a->disp = a->disp_bytes == 4 ? (int32_t)random64() >> 2 : (int8_t)random64();
		if (!a->disp_bytes)
			a->disp = 0;
		rest -= (uint64_t)(int64_t)a->disp;
		if (a->index >= 0) {
			value = interesting();
			in->gpr[a->index] = value;
			rest -= value << a->scale_lg2;
		}
		in->gpr[a->base] = rest;
		if (address_bits(in) == 32)
			in->gpr[a->base] = (rest & UINT32_MAX) |
					   (in->code_bits == 64 ? random64() << 32 : 0);
	} else {
		a->disp = (int32_t)rest;
		a->rip_relative = in->code_bits == 64 && coin();
	}
}

/* ModRM, SIB and displacement; the address of a RIP-relative one is patched later. */
static void put_modrm(struct instance *in, const struct address *a, unsigned int reg,
		      unsigned int *disp_at)
{
	unsigned int mod = a->disp_bytes == 4 ? 2 : a->disp_bytes;
	bool sib = a->index >= 0 || (a->base >= 0 && (a->base & 7) == 4) ||
		   (a->base < 0 && in->code_bits == 64 && !a->rip_relative);

	reg = (reg & 7) << 3;
	if (a->base < 0)
		mod = 0;
	put(in, (uint8_t)(mod << 6 | reg | (sib ? 4 : a->base < 0 ? 5 : (unsigned int)a->base & 7)));
	if (sib)
		put(in, (uint8_t)(a->scale_lg2 << 6 |
				  (a->index < 0 ? 4u : (unsigned int)a->index & 7) << 3 |
				  (a->base < 0 ? 5u : (unsigned int)a->base & 7)));
	*disp_at = in->code_bytes;
	put_number(in, (uint64_t)(int64_t)a->disp, a->disp_bytes);
}

static void set_rex(struct instance *in, const struct address *a, unsigned int reg)
{
	if (in->template->flags & F_VEX)
		return;
	in->rex = (reg > 7 ? 4 : 0) | (a->index > 7 ? 2 : 0) | (a->base > 7 ? 1 : 0);
	/* SPL, BPL, SIL, DIL instead of AH, CH, DH, BH */
	in->rex_needed = in->code_bits == 64 && !random_below(4);
}

/* A shift's flags depend on its count. */
static void choose_count(struct instance *in, unsigned int count)
{
	unsigned int bits = 8 * in->operand_bytes;

	count &= in->operand_bytes == 8 ? 63 : 31;
	if (count <= 1)
		in->undefined &= count ? ~OF : 0u;
	if (count >= bits && in->template->reg >= 4)
		in->undefined |= CF;
}

static void generate_modrm(struct instance *in, const struct native *native)
{
	const struct template *t = in->template;
	unsigned int reg = t->reg < 0 ? random_below(in->code_bits == 64 ? 16 : 8)
				      : (unsigned int)t->reg;
	unsigned int disp_at = 0, align = t->flags & F_ALIGNED ? in->memory_bytes : 1, imm;
	struct address a;
	uint64_t immediate = interesting();

	in->linear = choose_target(in, native, align);
	if (address_bits(in) == 16)
		choose_address_16(in, &a, reg);
	else
		choose_address(in, &a, reg);
	set_rex(in, &a, reg);
	put_prefixes(in);
	put_opcode(in, reg);
	/* conditions are part of the opcode */
	if (t->map == 1 && !(t->flags & F_VECTOR) && (t->opcode == 0x90 || t->opcode == 0x40))
		in->code[in->code_bytes - 1] |= random_below(16);
	if (address_bits(in) == 16)
		put_modrm_16(in, &a, reg);
	else
		put_modrm(in, &a, reg, &disp_at);
	imm = t->imm == 4 && in->operand_bytes < 4 ? in->operand_bytes : t->imm;
	put_number(in, immediate, imm);
	if (t->flags & F_COUNT_IMM)
		choose_count(in, (unsigned int)immediate & 0xff);
	if (t->flags & F_COUNT_CL)
		choose_count(in, in->gpr[1] & 0xff);
	if (a.rip_relative) {
		uint32_t disp = (uint32_t)(in->linear - in->at - in->code_bytes);

		memcpy(&in->code[disp_at], &disp, sizeof(disp));
	}
	if (t->flags & F_BIT && t->reg < 0) {
		int64_t bit = (int64_t)random_below(16000) - 8000;
		int64_t step = bit >> (in->operand_bytes == 8 ? 6 : in->operand_bytes == 4 ? 5 : 4);

		in->gpr[reg] = (random64() << 16 << 8 * (in->operand_bytes - 2)) |
			       ((uint64_t)bit & (UINT64_MAX >> (64 - 8 * in->operand_bytes)));
		in->linear += (uint64_t)(step * (int64_t)in->operand_bytes);
	}
}

static void generate_moffs(struct instance *in, const struct native *native)
{
	in->linear = choose_target(in, native, 1);
	put_prefixes(in);
	put(in, in->template->opcode);
	put_number(in, in->linear - in->data_base, address_bits(in) / 8);
}

static void generate_string(struct instance *in, const struct native *native)
{
	const struct template *t = in->template;
	uint64_t high = 0;
	unsigned int repeat = random_below(3);
	uint64_t source = choose_target(in, native, 1), destination = choose_target(in, native, 1);

	if (coin())
		in->rflags |= DF;
	/* what the address size does not reach */
	if (address_bits(in) < 64)
		high = random64() << address_bits(in);
	in->gpr[1] = random_below(40);
	/* without a single element processors differ in what they do to the upper halves */
	if (!in->gpr[1])
		high = 0;
	in->gpr[1] |= high;
	in->gpr[6] = (source - in->data_base) | high;
	in->gpr[7] = (destination - in->data_base) | high;
	if (repeat)
		put(in, repeat == 1 ? 0xf3 : 0xf2);
	put_prefixes(in);
	put(in, t->opcode);
	in->linear = t->flags & F_DESTINATION && (coin() || !(t->flags & F_SOURCE)) ? destination
										    : source;
}

bool instance_generate(struct instance *in, const struct native *native, const struct template *t,
		       unsigned int code_bits)
{
	unsigned int i;

	if ((t->flags & F_ONLY64 && code_bits != 64) || (t->flags & F_VEX && !native->has_avx))
		return false;
	*in = (struct instance){ .template = t, .code_bits = code_bits,
				 .undefined = t->undefined };
	in->at = (uintptr_t)native->code + (random_below(3) ? 1024 : PAGE - random_below(15));
	in->address_32 = code_bits != 32 && !random_below(6);
	if (code_bits == 16) {
		in->code_base = (uintptr_t)native->code;
		in->data_base = (uintptr_t)native->data;
		in->stack_base = (uintptr_t)(t->flags & F_STACK ? native->stack : native->data);
	}
	in->rflags = 0x202 | (random64() & ALL_FLAGS);
	for (i = 0; i < 16; i++)
		in->gpr[i] = code_bits == 64 ? interesting() : (uint32_t)interesting();
	if (t->flags & F_STACK)
		in->gpr[4] = (uintptr_t)native->stack - in->stack_base + 2048 + random_below(64);
	/* a 16-bit stack does not look at the rest of ESP */
	if (t->flags & F_STACK && code_bits == 16)
		in->gpr[4] |= random64() << 16;
	choose_operand_size(in);
	if (t->kind == K_MODRM)
		generate_modrm(in, native);
	else if (t->kind == K_MOFFS)
		generate_moffs(in, native);
	else
		generate_string(in, native);
	for (i = 0; i < 8 && code_bits != 64; i++)
		in->gpr[i] &= UINT32_MAX;
	return true;
}

/* Makes a comparison come out equal, where the registers are free for that. */
void instance_make_equal(const struct instance *in, const struct native *native)
{
	uint8_t *at = (uint8_t *)(uintptr_t)in->linear;

	if (in->template->flags & F_ACCUMULATOR && coin())
		memcpy(at, &in->gpr[0], in->memory_bytes);
	if (in->template->flags & F_PAIR && coin()) {
		memcpy(at, &in->gpr[0], in->operand_bytes);
		memcpy(at + in->operand_bytes, &in->gpr[2], in->operand_bytes);
	}
	/* long runs of equal elements for the repeated comparisons */
	if (in->template->flags & F_REPNE && coin())
		memset(native->data, (int)in->gpr[0] & 0xff, DATA_BYTES);
}

void instance_describe(const struct instance *in)
{
	unsigned int i;

	printf("    %s, %u-bit, linear %#llx:", in->template->name, in->code_bits,
	       (unsigned long long)in->linear);
	for (i = 0; i < in->code_bytes; i++)
		printf(" %02x", in->code[i]);
	printf("\n");
}
