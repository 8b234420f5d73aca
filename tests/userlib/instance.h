/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random instances of the instructions libvhm performs: encoding, registers, addresses.
 *
 * The memory operand lies in native->data, so that the instance can be executed on this
 * processor and in a guest that maps the same linear addresses.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include "native.h"

#define CF		(1u << 0)
#define PF		(1u << 2)
#define AF		(1u << 4)
#define ZF		(1u << 6)
#define SF		(1u << 7)
#define DF		(1u << 10)
#define OF		(1u << 11)
#define ALL_FLAGS	(CF | PF | AF | ZF | SF | OF)

#define DATA_BYTES	(NATIVE_DATA_PAGES * NATIVE_PAGE)

enum access { R = 1, W = 2, RW = 3 };

/* What a template's operands are. */
enum kind {
	K_MODRM,	/* memory operand by ModRM */
	K_MOFFS,	/* absolute address behind the opcode */
	K_STRING,	/* RSI, RDI, RCX */
};

#define F_BYTE		(1u << 0)	/* 8-bit operand; else 16, 32 or 64 */
#define F_LOCKABLE	(1u << 1)	/* LOCK is allowed */
#define F_ONLY64	(1u << 2)	/* only in 64-bit mode */
#define F_VECTOR	(1u << 3)	/* a vector register; no operand-size prefixes */
#define F_ALIGNED	(1u << 4)
#define F_BIT		(1u << 5)	/* reg is a bit offset */
#define F_COUNT_CL	(1u << 6)	/* shift by CL */
#define F_COUNT_IMM	(1u << 7)
#define F_STACK		(1u << 8)	/* PUSH, POP: never 32-bit operands in 64-bit mode */
#define F_NO16		(1u << 9)
#define F_VEX		(1u << 10)	/* 2-byte VEX */
#define F_WIDE		(1u << 11)	/* VEX.L */
#define F_PAIR		(1u << 12)	/* CMPXCHG8B/16B */
#define F_SOURCE	(1u << 13)	/* string: RSI */
#define F_DESTINATION	(1u << 14)	/* string: RDI */
#define F_REPNE		(1u << 15)	/* string: compares */
#define F_W		(1u << 16)	/* REX.W always */
#define F_ACCUMULATOR	(1u << 17)	/* equal to memory half of the time */
#define F_NO66		(1u << 18)	/* 32-bit operands in 16-bit mode too */

struct template {
	const char *name;
	uint8_t prefix;		/* mandatory: 0, 66, F2, F3 */
	uint8_t map;		/* 0: one byte, 1: 0F, 2: 0F 38 */
	uint8_t opcode;
	int8_t reg;		/* opcode extension, -1: a register */
	uint8_t imm;		/* 0, 1, or 4: by operand size, at most 4 */
	uint8_t bytes;		/* size of the memory operand, 0: the operand size */
	uint8_t access;
	uint8_t kind;
	uint32_t flags;
	uint32_t undefined;
};

extern const struct template templates[];
extern const unsigned int template_count;

/* One instruction with all it starts from. */
struct instance {
	const struct template *template;
	unsigned int code_bits;
	uint8_t code[16];
	unsigned int code_bytes;
	uint64_t at;			/* its linear address */
	uint64_t code_base, data_base, stack_base;	/* of CS; of DS and ES; of SS */
	unsigned int operand_bytes;	/* operand size */
	unsigned int memory_bytes;	/* size of the memory operand */
	uint64_t linear;		/* of the access that exits */
	uint64_t gpr[16];
	uint64_t rflags;
	uint32_t undefined;
	bool rex_needed;
	uint8_t rex;
	bool address_32;		/* prefix 67 */
};

/* Chooses everything; false if this mode or this processor has no such instruction. */
bool instance_generate(struct instance *in, const struct native *native, const struct template *t,
		       unsigned int code_bits);
/* Makes a comparison come out equal, half of the time where there is one. */
void instance_make_equal(const struct instance *in, const struct native *native);
void instance_describe(const struct instance *in);

#endif /* INSTANCE_H */
