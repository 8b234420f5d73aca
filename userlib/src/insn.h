/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A decoded instruction and its operands: the only files that know Zydis include this.
 *
 * Registers change only after the last access to memory of an instruction (or of an element
 * of a string), so that one that faults or that a callback refuses can be executed again.
 */
#ifndef VHM_INSN_H
#define VHM_INSN_H

#include <Zydis/Zydis.h>

#include "emulate.h"

#define MAX_INSN_BYTES	15

/**
 * struct insn - an instruction
 * @emulator: who performs it
 * @decoded: the instruction
 * @operand: its operands, explicit ones first
 */
struct insn {
	struct emulator *emulator;
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static inline unsigned int operand_bytes(const struct insn *insn, unsigned int index)
{
	return insn->operand[index].size / 8;
}

static inline bool operand_is_memory(const struct insn *insn, unsigned int index)
{
	return insn->operand[index].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

/* Segment number of a memory operand. */
unsigned int operand_segment(const struct insn *insn, unsigned int index);
/* Offset of a memory operand in its segment. */
int operand_offset(const struct insn *insn, unsigned int index, uint64_t *offset);
/* Linear address of a memory operand, checked for what the instruction does with it. */
int operand_linear(const struct insn *insn, unsigned int index, uint64_t *linear);
/* Register, memory or immediate of up to 8 bytes, zero-extended. */
int operand_read(const struct insn *insn, unsigned int index, uint64_t *value);
int operand_write(const struct insn *insn, unsigned int index, uint64_t value);

/* One kind of instruction; @operation is the row's argument (see insn.c). */
typedef int (*perform_fn)(struct insn *insn, unsigned int operation);

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
