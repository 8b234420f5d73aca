// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * From bytes at RIP to a performed instruction: fetch, decode, find the row, perform.
 *
 * Owns the table of instructions and the reading and writing of operands. What an
 * instruction computes is insn_integer.c's, insn_string.c's and insn_vector.c's.
 */
#include "insn.h"

#include "alu.h"

/* -------------------------------------------------------------- operands -- */

/*
 * Number, size and first byte of a general register: AH, CH, DH and BH are the second bytes
 * of the first four. False: not a general register.
 */
static bool find_gpr(ZydisRegister reg, unsigned int *number, unsigned int *bytes,
		     unsigned int *shift)
{
	*shift = 0;
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
		*number = reg - ZYDIS_REGISTER_AL;
		*bytes = 1;
	} else if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		*number = reg - ZYDIS_REGISTER_AH;
		*bytes = 1;
		*shift = 8;
	} else if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
		*number = reg - ZYDIS_REGISTER_SPL + 4;
		*bytes = 1;
	} else if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
		*number = reg - ZYDIS_REGISTER_AX;
		*bytes = 2;
	} else if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
		*number = reg - ZYDIS_REGISTER_EAX;
		*bytes = 4;
	} else if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
		*number = reg - ZYDIS_REGISTER_RAX;
		*bytes = 8;
	} else {
		return false;
	}
	return true;
}

static int read_register(const struct insn *insn, ZydisRegister reg, uint64_t *value)
{
	unsigned int number, bytes, shift;

	if (reg >= ZYDIS_REGISTER_ES && reg <= ZYDIS_REGISTER_GS) {
		int ret = emulate_need_sregs(insn->emulator);

		*value = insn->emulator->sregs.segment[reg - ZYDIS_REGISTER_ES].selector & 0xffff;
		return ret;
	}
	if (!find_gpr(reg, &number, &bytes, &shift))
		return -EOPNOTSUPP;
	*value = *emulate_gpr(insn->emulator, number) >> shift & mask_bytes(bytes);
	return 0;
}

static int write_register(const struct insn *insn, ZydisRegister reg, uint64_t value)
{
	unsigned int number, bytes, shift;
	__u64 *gpr;

	if (!find_gpr(reg, &number, &bytes, &shift))
		return -EOPNOTSUPP;
	gpr = emulate_gpr(insn->emulator, number);
	if (shift)
		*gpr = (*gpr & ~0xff00ull) | (value & 0xff) << 8;
	else
		*gpr = merge_register(*gpr, value, bytes);
	return 0;
}

unsigned int operand_segment(const struct insn *insn, unsigned int index)
{
	return insn->operand[index].mem.segment - ZYDIS_REGISTER_ES;
}

int operand_offset(const struct insn *insn, unsigned int index, uint64_t *offset)
{
	const ZydisDecodedOperandMem *mem = &insn->operand[index].mem;
	uint64_t sum = mem->disp.has_displacement ? (uint64_t)mem->disp.value : 0;
	uint64_t value;
	int ret;

	if (mem->type != ZYDIS_MEMOP_TYPE_MEM)
		return -EOPNOTSUPP;
	if (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP) {
		sum += insn->emulator->regs.rip + insn->decoded.length;
	} else if (mem->base != ZYDIS_REGISTER_NONE) {
		ret = read_register(insn, mem->base, &value);
		if (ret)
			return ret;
		sum += value;
	}
	if (mem->index != ZYDIS_REGISTER_NONE) {
		ret = read_register(insn, mem->index, &value);
		if (ret)
			return ret;
		sum += value * mem->scale;
	}
	*offset = sum & mask_bytes(insn->decoded.address_width / 8);
	return 0;
}

static bool operand_is_written(const struct insn *insn, unsigned int index)
{
	return insn->operand[index].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
}

int operand_linear(const struct insn *insn, unsigned int index, uint64_t *linear)
{
	uint64_t offset;
	int ret = operand_offset(insn, index, &offset);

	if (ret)
		return ret;
	return emulate_linear(insn->emulator, operand_segment(insn, index), offset,
			      operand_bytes(insn, index), operand_is_written(insn, index), linear);
}

int operand_read(const struct insn *insn, unsigned int index, uint64_t *value)
{
	const ZydisDecodedOperand *operand = &insn->operand[index];
	uint64_t linear;
	int ret;

	*value = 0;
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return read_register(insn, operand->reg.value, value);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		*value = operand->imm.value.u;
		return 0;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (operand->size > 64)
			return -EOPNOTSUPP;
		ret = operand_linear(insn, index, &linear);
		if (ret)
			return ret;
		return emulate_read(insn->emulator, linear, value, operand_bytes(insn, index),
				    operand_is_written(insn, index) ? VHM_ACCESS_WRITE : 0);
	default:
		return -EOPNOTSUPP;
	}
}

int operand_write(const struct insn *insn, unsigned int index, uint64_t value)
{
	const ZydisDecodedOperand *operand = &insn->operand[index];
	uint64_t linear;
	int ret;

	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return write_register(insn, operand->reg.value, value);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (operand->size > 64)
			return -EOPNOTSUPP;
		ret = operand_linear(insn, index, &linear);
		if (ret)
			return ret;
		return emulate_write(insn->emulator, linear, &value, operand_bytes(insn, index));
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

static const struct row *find_row(ZydisMnemonic mnemonic)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].mnemonic == mnemonic)
			return &rows[i];
	}
	return NULL;
}

/* ---------------------------------------------------------------- decode -- */

static void init_decoder(ZydisDecoder *decoder, unsigned int code_bits)
{
	switch (code_bits) {
	case 64:
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		break;
	case 32:
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
		break;
	default:
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
		break;
	}
}

/* Fetches as far as the instruction reaches: a page it does not touch must not fault. */
static int fetch_and_decode(struct insn *insn)
{
	uint8_t code[MAX_INSN_BYTES];
	unsigned int have = 0, more;
	ZydisDecoder decoder;
	ZyanStatus status;

	init_decoder(&decoder, insn->emulator->code_bits);
	do {
		int ret = emulate_fetch(insn->emulator, have, code + have, sizeof(code) - have,
					&more);

		if (ret)
			return ret;
		have += more;
		status = ZydisDecoderDecodeFull(&decoder, code, have, &insn->decoded,
						insn->operand);
	} while (status == ZYDIS_STATUS_NO_MORE_DATA && have < sizeof(code));
	/*
	 * Bytes that were an instruction when the processor executed them and are none now:
	 * another vCPU rewrote them. The guest executes whatever is there.
	 */
	return ZYAN_SUCCESS(status) ? 0 : -EOPNOTSUPP;
}

int emulate_instruction(struct emulator *emulator, unsigned int *insn_bytes)
{
	struct insn insn = { .emulator = emulator };
	const struct row *row;
	int ret = fetch_and_decode(&insn);

	if (ret)
		return ret;
	row = find_row(insn.decoded.mnemonic);
	if (!row)
		return -EOPNOTSUPP;
	*insn_bytes = insn.decoded.length;
	return row->perform(&insn, row->operation);
}
