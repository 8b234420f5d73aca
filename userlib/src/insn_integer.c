// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Instructions on general registers: moves, arithmetic, bits, exchanges, stack.
 *
 * Each function is one kind of instruction (SDM vol. 2); memory comes before registers,
 * so that nothing has changed when an access fails.
 */
#include "insn.h"

#include "alu.h"

static int64_t sign_extend(uint64_t value, unsigned int bytes)
{
	unsigned int unused_bits = 64 - 8 * bytes;

	return (int64_t)(value << unused_bits) >> unused_bits;
}

/* ----------------------------------------------------------------- moves -- */

int perform_move(struct insn *insn, unsigned int unused)
{
	uint64_t value;
	int ret = operand_read(insn, 1, &value);

	(void)unused;
	if (ret)
		return ret;
	insn->emulator->keeps_registers = operand_is_memory(insn, 0);
	return operand_write(insn, 0, value);
}

int perform_move_signed(struct insn *insn, unsigned int unused)
{
	uint64_t value;
	int ret = operand_read(insn, 1, &value);

	(void)unused;
	if (ret)
		return ret;
	return operand_write(insn, 0, (uint64_t)sign_extend(value, operand_bytes(insn, 1)));
}

int perform_move_swapped(struct insn *insn, unsigned int unused)
{
	unsigned int unused_bits = 64 - 8 * operand_bytes(insn, 1);
	uint64_t value;
	int ret = operand_read(insn, 1, &value);

	(void)unused;
	return ret ? ret : operand_write(insn, 0, __builtin_bswap64(value) >> unused_bits);
}

int perform_set_condition(struct insn *insn, unsigned int code)
{
	return operand_write(insn, 0, alu_condition(code, insn->emulator->regs->rflags));
}

/* The source is read and the upper half cleared whether the condition holds or not. */
int perform_move_condition(struct insn *insn, unsigned int code)
{
	uint64_t source, destination;
	int ret = operand_read(insn, 1, &source);

	if (!ret)
		ret = operand_read(insn, 0, &destination);
	if (ret)
		return ret;
	if (alu_condition(code, insn->emulator->regs->rflags))
		destination = source;
	return operand_write(insn, 0, destination);
}

/* Cache control: the address is checked, a device has no cache. */
int perform_nothing(struct insn *insn, unsigned int unused)
{
	uint64_t linear;

	(void)unused;
	if (!operand_is_memory(insn, 0))
		return -EOPNOTSUPP;
	return operand_linear(insn, 0, &linear);
}

/* ------------------------------------------------------------ arithmetic -- */

int perform_two_operands(struct insn *insn, unsigned int operation)
{
	struct emulator *emulator = insn->emulator;
	uint64_t rflags = emulator->regs->rflags;
	uint64_t a, b, result;
	int ret = operand_read(insn, 1, &b);

	if (!ret)
		ret = operand_read(insn, 0, &a);
	if (ret)
		return ret;
	result = alu_compute(operation, operand_bytes(insn, 0), a, b, &rflags);
	ret = operand_write(insn, 0, result);
	if (!ret)
		emulator->regs->rflags = rflags;
	return ret;
}

int perform_compare(struct insn *insn, unsigned int operation)
{
	uint64_t rflags = insn->emulator->regs->rflags;
	uint64_t a, b;
	int ret = operand_read(insn, 1, &b);

	if (!ret)
		ret = operand_read(insn, 0, &a);
	if (ret)
		return ret;
	alu_compute(operation, operand_bytes(insn, 0), a, b, &rflags);
	insn->emulator->regs->rflags = rflags;
	return 0;
}

int perform_one_operand(struct insn *insn, unsigned int operation)
{
	uint64_t rflags = insn->emulator->regs->rflags;
	uint64_t value;
	int ret = operand_read(insn, 0, &value);

	if (ret)
		return ret;
	value = alu_compute(operation, operand_bytes(insn, 0), value, 0, &rflags);
	ret = operand_write(insn, 0, value);
	if (!ret)
		insn->emulator->regs->rflags = rflags;
	return ret;
}

/* A bit number in a register reaches beyond the operand: it is a signed bit offset. */
static int bit_linear(struct insn *insn, uint64_t number, bool write, uint64_t *linear)
{
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t offset;
	int ret = operand_offset(insn, 0, &offset);

	if (ret)
		return ret;
	if (operand_of(insn, 1)->kind == OPERAND_GPR) {
		int64_t bit = sign_extend(number, bytes);

		/* whole operands, rounded towards minus infinity */
		offset += (uint64_t)((bit >> (bytes == 8 ? 6 : bytes == 4 ? 5 : 4)) * bytes);
		offset &= mask_bytes(insn->decoded->address_bytes);
	}
	return emulate_linear(insn->emulator, operand_segment(insn, 0), offset, bytes, write,
			      linear);
}

int perform_bit(struct insn *insn, unsigned int operation)
{
	struct emulator *emulator = insn->emulator;
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t rflags = emulator->regs->rflags;
	bool write = operation != ALU_BT;
	uint64_t number, linear, value = 0;
	int ret;

	if (!operand_is_memory(insn, 0))
		return -EOPNOTSUPP;
	ret = operand_read(insn, 1, &number);
	if (!ret)
		ret = bit_linear(insn, number, write, &linear);
	if (!ret)
		ret = emulate_read(emulator, linear, &value, bytes, write ? VHM_ACCESS_WRITE : 0);
	if (ret)
		return ret;
	value = alu_compute(operation, bytes, value, number, &rflags);
	if (write)
		ret = emulate_write(emulator, linear, &value, bytes);
	if (!ret)
		emulator->regs->rflags = rflags;
	return ret;
}

/* ------------------------------------------------------------- exchanges -- */

/* Which of two operands is the memory; the other one is a register. */
static int memory_operand(const struct insn *insn, unsigned int *memory)
{
	*memory = operand_is_memory(insn, 0) ? 0 : 1;
	return operand_is_memory(insn, *memory) ? 0 : -EOPNOTSUPP;
}

int perform_exchange(struct insn *insn, unsigned int unused)
{
	unsigned int memory;
	uint64_t in_memory, in_register;
	int ret = memory_operand(insn, &memory);

	(void)unused;
	if (!ret)
		ret = operand_read(insn, memory, &in_memory);
	if (!ret)
		ret = operand_read(insn, !memory, &in_register);
	if (!ret)
		ret = operand_write(insn, memory, in_register);
	return ret ? ret : operand_write(insn, !memory, in_memory);
}

int perform_exchange_add(struct insn *insn, unsigned int unused)
{
	uint64_t rflags = insn->emulator->regs->rflags;
	uint64_t old, addend, sum;
	int ret = operand_read(insn, 0, &old);

	(void)unused;
	if (!ret)
		ret = operand_read(insn, 1, &addend);
	if (ret)
		return ret;
	sum = alu_compute(ALU_ADD, operand_bytes(insn, 0), old, addend, &rflags);
	ret = operand_write(insn, 0, sum);
	if (!ret)
		ret = operand_write(insn, 1, old);
	if (!ret)
		insn->emulator->regs->rflags = rflags;
	return ret;
}

int perform_compare_exchange(struct insn *insn, unsigned int unused)
{
	struct emulator *emulator = insn->emulator;
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t rflags = emulator->regs->rflags;
	uint64_t old, source;
	bool equal;
	int ret = operand_read(insn, 0, &old);

	(void)unused;
	if (!ret)
		ret = operand_read(insn, 1, &source);
	if (ret)
		return ret;
	alu_compute(ALU_CMP, bytes, emulator->regs->rax, old, &rflags);
	equal = rflags & RFLAGS_ZF;
	/* The processor writes in either case. */
	ret = operand_write(insn, 0, equal ? source : old);
	if (ret)
		return ret;
	if (!equal)
		emulator->regs->rax = merge_register(emulator->regs->rax, old, bytes);
	emulator->regs->rflags = rflags;
	return 0;
}

/* CMPXCHG8B, CMPXCHG16B: EDX:EAX against memory, ECX:EBX into it */
int perform_compare_exchange_pair(struct insn *insn, unsigned int half_bytes)
{
	struct vhm_registers *regs = insn->emulator->regs;
	uint8_t data[16];
	uint64_t low = 0, high = 0, linear;
	bool equal;
	int ret = operand_linear(insn, 0, &linear);

	if (!ret && half_bytes == 8 && linear & 15)
		return emulate_raise(insn->emulator, VECTOR_GP, 0, 0);
	if (!ret)
		ret = emulate_read(insn->emulator, linear, data, 2 * half_bytes, VHM_ACCESS_WRITE);
	if (ret)
		return ret;
	__builtin_memcpy(&low, data, half_bytes);
	__builtin_memcpy(&high, data + half_bytes, half_bytes);
	equal = low == (regs->rax & mask_bytes(half_bytes)) &&
		high == (regs->rdx & mask_bytes(half_bytes));
	if (equal) {
		__builtin_memcpy(data, &regs->rbx, half_bytes);
		__builtin_memcpy(data + half_bytes, &regs->rcx, half_bytes);
	}
	ret = emulate_write(insn->emulator, linear, data, 2 * half_bytes);
	if (ret)
		return ret;
	regs->rflags &= ~RFLAGS_ZF;
	if (equal) {
		regs->rflags |= RFLAGS_ZF;
	} else {
		regs->rax = low;
		regs->rdx = high;
	}
	return 0;
}

/* ----------------------------------------------------------------- stack -- */

#define RIGHTS_BIG	(1u << 14)

/* Size of a stack pointer: 2, 4 or 8 bytes (SDM vol. 1, 6.2.3) */
static int stack_pointer_bytes(struct emulator *emulator, unsigned int *bytes)
{
	int ret;

	*bytes = 8;
	if (emulator->code_bits == 64)
		return 0;
	ret = emulate_need_sregs(emulator);
	if (!ret)
		*bytes = emulator->sregs.segment[VHM_SEGMENT_SS].access_rights & RIGHTS_BIG ? 4 : 2;
	return ret;
}

static uint64_t moved_stack_pointer(uint64_t rsp, int64_t by, unsigned int pointer_bytes)
{
	uint64_t mask = mask_bytes(pointer_bytes);

	return (rsp & ~mask) | ((rsp + (uint64_t)by) & mask);
}

int perform_push(struct insn *insn, unsigned int unused)
{
	struct emulator *emulator = insn->emulator;
	unsigned int bytes = operand_bytes(insn, 0), pointer_bytes;
	uint64_t value, linear, rsp;
	int ret = stack_pointer_bytes(emulator, &pointer_bytes);

	(void)unused;
	if (!operand_is_memory(insn, 0))
		return -EOPNOTSUPP;
	if (!ret)
		ret = operand_read(insn, 0, &value);
	if (ret)
		return ret;
	rsp = moved_stack_pointer(emulator->regs->rsp, -(int64_t)bytes, pointer_bytes);
	ret = emulate_linear(emulator, VHM_SEGMENT_SS, rsp & mask_bytes(pointer_bytes), bytes, true,
			     &linear);
	if (!ret)
		ret = emulate_write(emulator, linear, &value, bytes);
	if (!ret)
		emulator->regs->rsp = rsp;
	return ret;
}

/* An address with RSP as its base uses the value after the pop. */
int perform_pop(struct insn *insn, unsigned int unused)
{
	struct emulator *emulator = insn->emulator;
	unsigned int bytes = operand_bytes(insn, 0), pointer_bytes;
	uint64_t old_rsp = emulator->regs->rsp;
	uint64_t value = 0, linear;
	int ret = stack_pointer_bytes(emulator, &pointer_bytes);

	(void)unused;
	if (!operand_is_memory(insn, 0) || bytes > sizeof(value))
		return -EOPNOTSUPP;
	if (!ret)
		ret = emulate_linear(emulator, VHM_SEGMENT_SS, old_rsp & mask_bytes(pointer_bytes),
				     bytes, false, &linear);
	if (!ret)
		ret = emulate_read(emulator, linear, &value, bytes, 0);
	if (ret)
		return ret;
	emulator->regs->rsp = moved_stack_pointer(old_rsp, bytes, pointer_bytes);
	ret = operand_write(insn, 0, value);
	if (ret)
		emulator->regs->rsp = old_rsp;
	return ret;
}
