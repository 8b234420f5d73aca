/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Integer arithmetic with the flags of the processor: pure functions.
 *
 * Flags the manual leaves undefined get what current processors give, where that is known.
 */
#ifndef VHM_ALU_H
#define VHM_ALU_H

#include <stdbool.h>
#include <stdint.h>

enum alu_operation {
	ALU_ADD,
	ALU_ADC,
	ALU_SUB,
	ALU_SBB,
	ALU_CMP,	/* ALU_SUB without a result */
	ALU_AND,
	ALU_OR,
	ALU_XOR,
	ALU_TEST,	/* ALU_AND without a result */
	ALU_INC,
	ALU_DEC,
	ALU_NEG,
	ALU_NOT,
	ALU_BT,
	ALU_BTS,
	ALU_BTR,
	ALU_BTC,
	ALU_SHL,
	ALU_SHR,
	ALU_SAR,
	ALU_ROL,
	ALU_ROR,
	ALU_RCL,
	ALU_RCR,
};

/**
 * alu_compute - one operation
 * @operation: which
 * @bytes: operand size, 1, 2, 4 or 8
 * @a: destination operand
 * @b: source operand; bit number; shift count; ignored for operations with one operand
 * @rflags: in: RFLAGS; out: with the new flags
 *
 * Return: what the destination becomes.
 */
uint64_t alu_compute(enum alu_operation operation, unsigned int bytes, uint64_t a, uint64_t b,
		     uint64_t *rflags);

/**
 * alu_condition - a condition code, 0-15 as in the encoding of Jcc (SDM vol. 1, appendix B)
 * @code: the code
 * @rflags: RFLAGS
 */
bool alu_condition(unsigned int code, uint64_t rflags);

#endif /* VHM_ALU_H */
