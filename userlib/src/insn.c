// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Performing a decoded instruction: its operands, and the table of those we know.
 *
 * What an instruction computes is insn_integer.c's, insn_string.c's and insn_vector.c's; what its
 * bytes mean is decode.c's.
 */
#include "insn.h"

#include <Zydis/Zydis.h>

#include "alu.h"

/* -------------------------------------------------------------- operands -- */

static uint64_t read_gpr(const struct insn *insn, const struct operand *operand)
{
	return *emulate_gpr(insn->emulator, operand->number) >> operand->shift &
	       mask_bytes(operand->bytes);
}

static void write_gpr(const struct insn *insn, const struct operand *operand, uint64_t value)
{
	__u64 *gpr = emulate_gpr(insn->emulator, operand->number);

	if (operand->shift)
		*gpr = (*gpr & ~0xff00ull) | (value & 0xff) << 8;
	else
		*gpr = merge_register(*gpr, value, operand->bytes);
}

static int read_selector(const struct insn *insn, unsigned int segment, uint64_t *value)
{
	int ret = emulate_need_sregs(insn->emulator);

	if (!ret)
		*value = insn->emulator->sregs.segment[segment].selector & 0xffff;
	return ret;
}

unsigned int operand_segment(const struct insn *insn, unsigned int index)
{
	return operand_of(insn, index)->segment;
}

int operand_offset(const struct insn *insn, unsigned int index, uint64_t *offset)
{
	const struct operand *operand = operand_of(insn, index);
	const __u64 *registers = (const void *)insn->emulator->regs;

	if (!operand->addressable)
		return -EOPNOTSUPP;
	*offset = (operand->value + (registers[operand->base] & operand->base_mask) +
		   (registers[operand->index] & operand->index_mask) * operand->scale) &
		  mask_bytes(insn->decoded->address_bytes);
	return 0;
}

/* Linear address of an operand at a known offset */
static int offset_linear(const struct insn *insn, const struct operand *operand, uint64_t offset,
			 uint64_t *linear)
{
	return emulate_linear(insn->emulator, operand->segment, offset, operand->bytes,
			      operand->written, linear);
}

int operand_linear(const struct insn *insn, unsigned int index, uint64_t *linear)
{
	uint64_t offset;
	int ret = operand_offset(insn, index, &offset);

	return ret ? ret : offset_linear(insn, operand_of(insn, index), offset, linear);
}

static int read_memory(const struct insn *insn, unsigned int index, uint64_t *value)
{
	const struct operand *operand = operand_of(insn, index);
	struct emulator *emulator = insn->emulator;
	uint64_t offset, linear;
	int ret = operand_offset(insn, index, &offset);

	if (ret)
		return ret;
	if (operand->bytes > sizeof(*value))
		return -EOPNOTSUPP;
	if (emulate_is_exit(emulator, operand->segment, offset, operand->bytes, operand->written))
		return emulate_exit_read(emulator, value, operand->bytes);
	ret = offset_linear(insn, operand, offset, &linear);
	if (ret)
		return ret;
	return emulate_read(emulator, linear, value, operand->bytes,
			    operand->written ? VHM_ACCESS_WRITE : 0);
}

static int write_memory(const struct insn *insn, unsigned int index, uint64_t value)
{
	const struct operand *operand = operand_of(insn, index);
	struct emulator *emulator = insn->emulator;
	uint64_t offset, linear;
	int ret = operand_offset(insn, index, &offset);

	if (ret)
		return ret;
	if (operand->bytes > sizeof(value))
		return -EOPNOTSUPP;
	if (emulate_is_exit(emulator, operand->segment, offset, operand->bytes, true))
		return emulate_exit_write(emulator, value, operand->bytes);
	ret = offset_linear(insn, operand, offset, &linear);
	return ret ? ret : emulate_write(emulator, linear, &value, operand->bytes);
}

int operand_read(const struct insn *insn, unsigned int index, uint64_t *value)
{
	const struct operand *operand = operand_of(insn, index);

	*value = 0;
	switch (operand->kind) {
	case OPERAND_GPR:
		*value = read_gpr(insn, operand);
		return 0;
	case OPERAND_IMMEDIATE:
		*value = operand->value;
		return 0;
	case OPERAND_MEMORY:
		return read_memory(insn, index, value);
	case OPERAND_SEGMENT:
		return read_selector(insn, operand->number, value);
	default:
		return -EOPNOTSUPP;
	}
}

int operand_write(const struct insn *insn, unsigned int index, uint64_t value)
{
	const struct operand *operand = operand_of(insn, index);

	switch (operand->kind) {
	case OPERAND_GPR:
		write_gpr(insn, operand, value);
		return 0;
	case OPERAND_MEMORY:
		return write_memory(insn, index, value);
	default:
		return -EOPNOTSUPP;
	}
}

/* ----------------------------------------------------------------- table -- */

struct row {
	ZydisMnemonic mnemonic;
	perform_fn perform;
	unsigned int operation;
};

#define ROW(name, fn, argument)	{ ZYDIS_MNEMONIC_##name, fn, argument }

static const struct row rows[] = {
	ROW(MOV, perform_move, 0),
	ROW(MOVZX, perform_move, 0),
	ROW(MOVNTI, perform_move, 0),
	ROW(MOVSX, perform_move_signed, 0),
	ROW(MOVSXD, perform_move_signed, 0),
	ROW(MOVBE, perform_move_swapped, 0),
	ROW(ADD, perform_two_operands, ALU_ADD),
	ROW(ADC, perform_two_operands, ALU_ADC),
	ROW(SUB, perform_two_operands, ALU_SUB),
	ROW(SBB, perform_two_operands, ALU_SBB),
	ROW(AND, perform_two_operands, ALU_AND),
	ROW(OR, perform_two_operands, ALU_OR),
	ROW(XOR, perform_two_operands, ALU_XOR),
	ROW(SHL, perform_two_operands, ALU_SHL),
	ROW(SHR, perform_two_operands, ALU_SHR),
	ROW(SAR, perform_two_operands, ALU_SAR),
	ROW(ROL, perform_two_operands, ALU_ROL),
	ROW(ROR, perform_two_operands, ALU_ROR),
	ROW(RCL, perform_two_operands, ALU_RCL),
	ROW(RCR, perform_two_operands, ALU_RCR),
	ROW(CMP, perform_compare, ALU_CMP),
	ROW(TEST, perform_compare, ALU_TEST),
	ROW(INC, perform_one_operand, ALU_INC),
	ROW(DEC, perform_one_operand, ALU_DEC),
	ROW(NEG, perform_one_operand, ALU_NEG),
	ROW(NOT, perform_one_operand, ALU_NOT),
	ROW(BT, perform_bit, ALU_BT),
	ROW(BTS, perform_bit, ALU_BTS),
	ROW(BTR, perform_bit, ALU_BTR),
	ROW(BTC, perform_bit, ALU_BTC),
	ROW(XCHG, perform_exchange, 0),
	ROW(XADD, perform_exchange_add, 0),
	ROW(CMPXCHG, perform_compare_exchange, 0),
	ROW(CMPXCHG8B, perform_compare_exchange_pair, 4),
	ROW(CMPXCHG16B, perform_compare_exchange_pair, 8),
	ROW(PUSH, perform_push, 0),
	ROW(POP, perform_pop, 0),
	ROW(CLFLUSH, perform_nothing, 0),
	ROW(CLFLUSHOPT, perform_nothing, 0),
	ROW(CLWB, perform_nothing, 0),

	/* condition codes in the order of their encoding */
	ROW(SETO, perform_set_condition, 0),
	ROW(SETNO, perform_set_condition, 1),
	ROW(SETB, perform_set_condition, 2),
	ROW(SETNB, perform_set_condition, 3),
	ROW(SETZ, perform_set_condition, 4),
	ROW(SETNZ, perform_set_condition, 5),
	ROW(SETBE, perform_set_condition, 6),
	ROW(SETNBE, perform_set_condition, 7),
	ROW(SETS, perform_set_condition, 8),
	ROW(SETNS, perform_set_condition, 9),
	ROW(SETP, perform_set_condition, 10),
	ROW(SETNP, perform_set_condition, 11),
	ROW(SETL, perform_set_condition, 12),
	ROW(SETNL, perform_set_condition, 13),
	ROW(SETLE, perform_set_condition, 14),
	ROW(SETNLE, perform_set_condition, 15),
	ROW(CMOVO, perform_move_condition, 0),
	ROW(CMOVNO, perform_move_condition, 1),
	ROW(CMOVB, perform_move_condition, 2),
	ROW(CMOVNB, perform_move_condition, 3),
	ROW(CMOVZ, perform_move_condition, 4),
	ROW(CMOVNZ, perform_move_condition, 5),
	ROW(CMOVBE, perform_move_condition, 6),
	ROW(CMOVNBE, perform_move_condition, 7),
	ROW(CMOVS, perform_move_condition, 8),
	ROW(CMOVNS, perform_move_condition, 9),
	ROW(CMOVP, perform_move_condition, 10),
	ROW(CMOVNP, perform_move_condition, 11),
	ROW(CMOVL, perform_move_condition, 12),
	ROW(CMOVNL, perform_move_condition, 13),
	ROW(CMOVLE, perform_move_condition, 14),
	ROW(CMOVNLE, perform_move_condition, 15),

	ROW(MOVSB, perform_movs, 0),
	ROW(MOVSW, perform_movs, 0),
	ROW(MOVSD, perform_movsd, 0),
	ROW(MOVSQ, perform_movs, 0),
	ROW(STOSB, perform_stos, 0),
	ROW(STOSW, perform_stos, 0),
	ROW(STOSD, perform_stos, 0),
	ROW(STOSQ, perform_stos, 0),
	ROW(LODSB, perform_lods, 0),
	ROW(LODSW, perform_lods, 0),
	ROW(LODSD, perform_lods, 0),
	ROW(LODSQ, perform_lods, 0),
	ROW(CMPSB, perform_cmps, 0),
	ROW(CMPSW, perform_cmps, 0),
	ROW(CMPSD, perform_cmps, 0),
	ROW(CMPSQ, perform_cmps, 0),
	ROW(SCASB, perform_scas, 0),
	ROW(SCASW, perform_scas, 0),
	ROW(SCASD, perform_scas, 0),
	ROW(SCASQ, perform_scas, 0),

	ROW(MOVD, perform_vector_move, 0),
	ROW(MOVQ, perform_vector_move, 0),
	ROW(MOVSS, perform_vector_move, 0),
	ROW(MOVDQU, perform_vector_move, 0),
	ROW(MOVUPS, perform_vector_move, 0),
	ROW(MOVUPD, perform_vector_move, 0),
	ROW(LDDQU, perform_vector_move, 0),
	ROW(MOVDQA, perform_vector_move, 1),
	ROW(MOVAPS, perform_vector_move, 1),
	ROW(MOVAPD, perform_vector_move, 1),
	ROW(MOVNTDQ, perform_vector_move, 1),
	ROW(MOVNTDQA, perform_vector_move, 1),
	ROW(MOVNTPS, perform_vector_move, 1),
	ROW(MOVNTPD, perform_vector_move, 1),
	ROW(MOVLPS, perform_vector_half, 0),
	ROW(MOVLPD, perform_vector_half, 0),
	ROW(MOVHPS, perform_vector_half, 1),
	ROW(MOVHPD, perform_vector_half, 1),
	ROW(VMOVD, perform_vector_move, 0),
	ROW(VMOVQ, perform_vector_move, 0),
	ROW(VMOVSS, perform_vector_move, 0),
	ROW(VMOVSD, perform_vector_move, 0),
	ROW(VMOVDQU, perform_vector_move, 0),
	ROW(VMOVUPS, perform_vector_move, 0),
	ROW(VMOVUPD, perform_vector_move, 0),
	ROW(VLDDQU, perform_vector_move, 0),
	ROW(VMOVDQA, perform_vector_move, 1),
	ROW(VMOVAPS, perform_vector_move, 1),
	ROW(VMOVAPD, perform_vector_move, 1),
	ROW(VMOVNTDQ, perform_vector_move, 1),
	ROW(VMOVNTDQA, perform_vector_move, 1),
	ROW(VMOVNTPS, perform_vector_move, 1),
	ROW(VMOVNTPD, perform_vector_move, 1),
};

perform_fn insn_find(unsigned int mnemonic, unsigned int *operation)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].mnemonic == mnemonic) {
			*operation = rows[i].operation;
			return rows[i].perform;
		}
	}
	return NULL;
}

int emulate_instruction(struct emulator *emulator, unsigned int *insn_bytes)
{
	struct insn insn = { .emulator = emulator };
	int ret = insn_fetch(&insn);

	if (ret)
		return ret;
	*insn_bytes = insn.decoded->length;
	return insn.decoded->perform(&insn, insn.decoded->operation);
}
