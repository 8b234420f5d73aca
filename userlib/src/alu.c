// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Integer arithmetic with the flags of the processor (SDM vol. 1, 3.4.3.1, Status Flags).
 *
 * No state, no locks, no memory.
 */
#include "alu.h"
#include "emulate.h"

static uint64_t top_bit(unsigned int bytes)
{
	return 1ull << (8 * bytes - 1);
}

static uint64_t flag_if(bool condition, uint64_t flag)
{
	return condition ? flag : 0;
}

static void replace_flags(uint64_t *rflags, uint64_t mask, uint64_t flags)
{
	*rflags = (*rflags & ~mask) | (flags & mask);
}

/* SF, ZF and PF of a result */
static uint64_t result_flags(uint64_t result, unsigned int bytes)
{
	return flag_if(result & top_bit(bytes), RFLAGS_SF) | flag_if(!result, RFLAGS_ZF) |
	       flag_if(!(__builtin_popcount(result & 0xff) & 1), RFLAGS_PF);
}

static uint64_t add(unsigned int bytes, uint64_t a, uint64_t b, uint64_t carry, uint64_t mask,
		    uint64_t *rflags)
{
	uint64_t result = (a + b + carry) & mask_bytes(bytes);
	uint64_t carries = (a & b) | ((a | b) & ~result);
	uint64_t overflows = ~(a ^ b) & (a ^ result);

	replace_flags(rflags, mask, result_flags(result, bytes) |
		      flag_if(carries & top_bit(bytes), RFLAGS_CF) |
		      flag_if(carries & 8, RFLAGS_AF) |
		      flag_if(overflows & top_bit(bytes), RFLAGS_OF));
	return result;
}

static uint64_t subtract(unsigned int bytes, uint64_t a, uint64_t b, uint64_t borrow,
			 uint64_t mask, uint64_t *rflags)
{
	uint64_t result = (a - b - borrow) & mask_bytes(bytes);
	uint64_t borrows = (~a & b) | ((~a | b) & result);
	uint64_t overflows = (a ^ b) & (a ^ result);

	replace_flags(rflags, mask, result_flags(result, bytes) |
		      flag_if(borrows & top_bit(bytes), RFLAGS_CF) |
		      flag_if(borrows & 8, RFLAGS_AF) |
		      flag_if(overflows & top_bit(bytes), RFLAGS_OF));
	return result;
}

static uint64_t logic(unsigned int bytes, uint64_t result, uint64_t *rflags)
{
	replace_flags(rflags, RFLAGS_ARITHMETIC, result_flags(result, bytes));
	return result;
}

static uint64_t bit_test(enum alu_operation operation, unsigned int bytes, uint64_t a,
			 uint64_t number, uint64_t *rflags)
{
	uint64_t bit = 1ull << (number & (8 * bytes - 1));

	replace_flags(rflags, RFLAGS_CF, flag_if(a & bit, RFLAGS_CF));
	switch (operation) {
	case ALU_BTS:
		return a | bit;
	case ALU_BTR:
		return a & ~bit;
	case ALU_BTC:
		return a ^ bit;
	default:
		return a;
	}
}

/* @count is not zero and below 8 * @bytes, or for SHL and SHR up to 63. */
static uint64_t shift(enum alu_operation operation, unsigned int bytes, uint64_t a,
		      unsigned int count, uint64_t *rflags)
{
	unsigned int bits = 8 * bytes;
	int64_t extended = (int64_t)(a << (64 - bits)) >> (64 - bits);
	bool carry, overflow;
	uint64_t result;

	switch (operation) {
	case ALU_SHL:
		carry = count <= bits && a >> (bits - count) & 1;
		result = a << count & mask_bytes(bytes);
		overflow = !!(result & top_bit(bytes)) != carry;
		break;
	case ALU_SHR:
		carry = a >> (count - 1) & 1;
		result = a >> count;
		overflow = count == 1 && a & top_bit(bytes);
		break;
	default:
		carry = extended >> (count - 1) & 1;
		result = (uint64_t)(extended >> count) & mask_bytes(bytes);
		overflow = false;
		break;
	}
	replace_flags(rflags, RFLAGS_ARITHMETIC, result_flags(result, bytes) |
		      flag_if(carry, RFLAGS_CF) | flag_if(overflow, RFLAGS_OF));
	return result;
}

static uint64_t rotate_once(enum alu_operation operation, unsigned int bytes, uint64_t a,
			    bool *carry)
{
	bool high = a & top_bit(bytes), low = a & 1;
	uint64_t left = a << 1 & mask_bytes(bytes);

	switch (operation) {
	case ALU_ROL:
		*carry = high;
		return left | high;
	case ALU_RCL:
		a = left | *carry;
		*carry = high;
		return a;
	case ALU_ROR:
		*carry = low;
		return a >> 1 | flag_if(low, top_bit(bytes));
	default:
		a = a >> 1 | flag_if(*carry, top_bit(bytes));
		*carry = low;
		return a;
	}
}

static uint64_t rotate(enum alu_operation operation, unsigned int bytes, uint64_t a,
		       unsigned int count, uint64_t *rflags)
{
	bool carry = *rflags & RFLAGS_CF;
	bool high, next, overflow;

	while (count--)
		a = rotate_once(operation, bytes, a, &carry);
	high = a & top_bit(bytes);
	next = a & (top_bit(bytes) >> 1);
	/* Rotates to the left compare with the carry, those to the right the two top bits. */
	overflow = operation == ALU_ROL || operation == ALU_RCL ? high != carry : high != next;
	replace_flags(rflags, RFLAGS_CF | RFLAGS_OF,
		      flag_if(carry, RFLAGS_CF) | flag_if(overflow, RFLAGS_OF));
	return a;
}

static uint64_t shift_or_rotate(enum alu_operation operation, unsigned int bytes, uint64_t a,
				uint64_t b, uint64_t *rflags)
{
	unsigned int count = b & (bytes == 8 ? 63 : 31);

	if (!count)
		return a;
	switch (operation) {
	case ALU_SHL:
	case ALU_SHR:
	case ALU_SAR:
		return shift(operation, bytes, a, count, rflags);
	default:
		return rotate(operation, bytes, a, count, rflags);
	}
}

uint64_t alu_compute(enum alu_operation operation, unsigned int bytes, uint64_t a, uint64_t b,
		     uint64_t *rflags)
{
	uint64_t carry = !!(*rflags & RFLAGS_CF);

	a &= mask_bytes(bytes);
	switch (operation) {
	case ALU_ADD:
		return add(bytes, a, b & mask_bytes(bytes), 0, RFLAGS_ARITHMETIC, rflags);
	case ALU_ADC:
		return add(bytes, a, b & mask_bytes(bytes), carry, RFLAGS_ARITHMETIC, rflags);
	case ALU_INC:
		return add(bytes, a, 1, 0, RFLAGS_ARITHMETIC & ~RFLAGS_CF, rflags);
	case ALU_SUB:
	case ALU_CMP:
		return subtract(bytes, a, b & mask_bytes(bytes), 0, RFLAGS_ARITHMETIC, rflags);
	case ALU_SBB:
		return subtract(bytes, a, b & mask_bytes(bytes), carry, RFLAGS_ARITHMETIC, rflags);
	case ALU_DEC:
		return subtract(bytes, a, 1, 0, RFLAGS_ARITHMETIC & ~RFLAGS_CF, rflags);
	case ALU_NEG:
		return subtract(bytes, 0, a, 0, RFLAGS_ARITHMETIC, rflags);
	case ALU_NOT:
		return ~a & mask_bytes(bytes);
	case ALU_AND:
	case ALU_TEST:
		return logic(bytes, a & b, rflags);
	case ALU_OR:
		return logic(bytes, a | (b & mask_bytes(bytes)), rflags);
	case ALU_XOR:
		return logic(bytes, a ^ (b & mask_bytes(bytes)), rflags);
	case ALU_BT:
	case ALU_BTS:
	case ALU_BTR:
	case ALU_BTC:
		return bit_test(operation, bytes, a, b, rflags);
	default:
		return shift_or_rotate(operation, bytes, a, b, rflags);
	}
}

/* SDM vol. 1, appendix B, EFLAGS Condition Codes */
bool alu_condition(unsigned int code, uint64_t rflags)
{
	bool sign_differs = !(rflags & RFLAGS_SF) != !(rflags & RFLAGS_OF);
	bool value;

	switch (code >> 1 & 7) {
	case 0:
		value = rflags & RFLAGS_OF;
		break;
	case 1:
		value = rflags & RFLAGS_CF;
		break;
	case 2:
		value = rflags & RFLAGS_ZF;
		break;
	case 3:
		value = rflags & (RFLAGS_CF | RFLAGS_ZF);
		break;
	case 4:
		value = rflags & RFLAGS_SF;
		break;
	case 5:
		value = rflags & RFLAGS_PF;
		break;
	case 6:
		value = sign_differs;
		break;
	default:
		value = sign_differs || rflags & RFLAGS_ZF;
		break;
	}
	return value != (code & 1);
}
