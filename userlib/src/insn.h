/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A decoded instruction and its operands.
 *
 * Registers change only after the last access to memory of an instruction (or of an element
 * of a string), so that one that faults or that a callback refuses can be executed again.
 */
#ifndef VHM_INSN_H
#define VHM_INSN_H

#include "emulate.h"

#define MAX_OPERANDS	2	/* that any instruction we perform looks at */

enum operand_kind {
	OPERAND_OTHER,		/* nothing we know */
	OPERAND_GPR,
	OPERAND_SEGMENT,
	OPERAND_VECTOR,		/* XMM, YMM */
	OPERAND_IMMEDIATE,
	OPERAND_MEMORY,
};

enum repeat {
	REPEAT_NEVER,
	REPEAT_WHILE_EQUAL,	/* F3 */
	REPEAT_WHILE_UNEQUAL,	/* F2 */
};

/**
 * struct operand - an operand; what has to be added up at run time and no more
 * @kind: of enum operand_kind
 * @bytes: its size
 * @number: of the register
 * @shift: of a general register: 8 for AH, CH, DH, BH, else 0
 * @written: the instruction writes it
 * @addressable: memory: the fields below say where
 * @segment: memory: number of its segment register
 * @base: memory: its base register; NUMBER_RIP for RIP
 * @index: memory: its index register
 * @scale: memory: factor of @index
 * @base_mask: memory: bits of @base that count, 0: no base
 * @index_mask: memory: likewise
 * @value: immediate; or displacement of memory, the instruction's length included where the
 *	base is RIP
 */
struct operand {
	uint8_t kind;
	uint8_t bytes;
	uint8_t number;
	uint8_t shift;
	bool written;
	bool addressable;
	uint8_t segment;
	uint8_t base;
	uint8_t index;
	uint8_t scale;
	uint64_t base_mask;
	uint64_t index_mask;
	uint64_t value;
};

#define NUMBER_RIP	16	/* follows R15 in struct vhm_registers */

struct insn;

/* One kind of instruction; @operation is the row's argument (see insn.c). */
typedef int (*perform_fn)(struct insn *insn, unsigned int operation);

/**
 * struct decoded - what some bytes mean in a mode: nothing else goes into it
 * @code: the bytes, zero behind the last
 * @code_mask: which bits of @code count
 * @perform: performs it
 * @operation: argument of @perform
 * @code_bits: 16, 32 or 64; 0: holds nothing
 * @length: bytes
 * @address_bytes: address size
 * @repeat: of enum repeat; the last of F2 and F3 wins
 * @two_explicit: it has two operands in its text, not fewer and not more
 * @vex: VEX-encoded
 * @evex: EVEX-encoded
 * @operand: its operands, explicit ones first
 */
struct decoded {
	uint64_t code[2];
	uint64_t code_mask[2];
	perform_fn perform;
	unsigned int operation;
	uint8_t code_bits;
	uint8_t length;
	uint8_t address_bytes;
	uint8_t repeat;
	bool two_explicit;
	bool vex;
	bool evex;
	struct operand operand[MAX_OPERANDS];
};

/**
 * struct insn - an instruction
 * @emulator: who performs it
 * @decoded: the instruction
 */
struct insn {
	struct emulator *emulator;
	const struct decoded *decoded;
};

static inline const struct operand *operand_of(const struct insn *insn, unsigned int index)
{
	return &insn->decoded->operand[index];
}

static inline unsigned int operand_bytes(const struct insn *insn, unsigned int index)
{
	return operand_of(insn, index)->bytes;
}

static inline bool operand_is_memory(const struct insn *insn, unsigned int index)
{
	return operand_of(insn, index)->kind == OPERAND_MEMORY;
}

/* Fetch and decode the instruction at RIP, or find what its bytes meant last time. */
int insn_fetch(struct insn *insn);

/* Who performs instructions of this ZydisMnemonic; NULL: nobody. */
perform_fn insn_find(unsigned int mnemonic, unsigned int *operation);

/* Segment number of a memory operand. */
unsigned int operand_segment(const struct insn *insn, unsigned int index);
/* Offset of a memory operand in its segment. */
int operand_offset(const struct insn *insn, unsigned int index, uint64_t *offset);
/* Linear address of a memory operand, checked for what the instruction does with it. */
int operand_linear(const struct insn *insn, unsigned int index, uint64_t *linear);
/* Register, memory or immediate of up to 8 bytes, zero-extended. */
int operand_read(const struct insn *insn, unsigned int index, uint64_t *value);
int operand_write(const struct insn *insn, unsigned int index, uint64_t value);

int perform_move(struct insn *insn, unsigned int unused);
int perform_move_signed(struct insn *insn, unsigned int unused);
int perform_move_swapped(struct insn *insn, unsigned int unused);
int perform_two_operands(struct insn *insn, unsigned int operation);
int perform_compare(struct insn *insn, unsigned int operation);
int perform_one_operand(struct insn *insn, unsigned int operation);
int perform_bit(struct insn *insn, unsigned int operation);
int perform_exchange(struct insn *insn, unsigned int unused);
int perform_exchange_add(struct insn *insn, unsigned int unused);
int perform_compare_exchange(struct insn *insn, unsigned int unused);
int perform_compare_exchange_pair(struct insn *insn, unsigned int half_bytes);
int perform_set_condition(struct insn *insn, unsigned int code);
int perform_move_condition(struct insn *insn, unsigned int code);
int perform_push(struct insn *insn, unsigned int unused);
int perform_pop(struct insn *insn, unsigned int unused);
int perform_nothing(struct insn *insn, unsigned int unused);

int perform_movs(struct insn *insn, unsigned int unused);
int perform_stos(struct insn *insn, unsigned int unused);
int perform_lods(struct insn *insn, unsigned int unused);
int perform_cmps(struct insn *insn, unsigned int unused);
int perform_scas(struct insn *insn, unsigned int unused);

/* @aligned: the memory operand must be aligned to its size */
int perform_vector_move(struct insn *insn, unsigned int aligned);
/* The memory operand is half a register: @half 0 the low one, 1 the high one */
int perform_vector_half(struct insn *insn, unsigned int half);
/* MOVSD is two instructions with one name. */
int perform_movsd(struct insn *insn, unsigned int unused);

#endif /* VHM_INSN_H */
