// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * String instructions with and without REP (SDM vol. 2, REP/REPE/REPZ/REPNE/REPNZ).
 *
 * Registers advance after each element, so that a fault or an interrupt finds them as the
 * processor would leave them. A portion is at most emulator.portion; then the guest
 * runs again and may be interrupted.
 */
#include "insn.h"

#include "alu.h"

#define NUMBER_RCX	1
#define NUMBER_RSI	6
#define NUMBER_RDI	7

/* What one element does; 0: done, registers advanced. */
typedef int (*element_fn)(struct insn *insn);

static uint64_t address_mask(const struct insn *insn)
{
	return mask_bytes(insn->decoded->address_bytes);
}

static void advance(struct insn *insn, unsigned int number, int64_t by)
{
	__u64 *gpr = emulate_gpr(insn->emulator, number);

	*gpr = merge_register(*gpr, *gpr + (uint64_t)by, insn->decoded->address_bytes);
}

/* Size of an element, negative with RFLAGS.DF. */
static int64_t step(const struct insn *insn)
{
	int64_t bytes = operand_bytes(insn, 0);

	return insn->emulator->regs->rflags & RFLAGS_DF ? -bytes : bytes;
}

static int run(struct insn *insn, element_fn element, bool compares)
{
	struct emulator *emulator = insn->emulator;
	unsigned int repeat = insn->decoded->repeat;
	unsigned int done;
	int ret;

	if (repeat == REPEAT_NEVER)
		return element(insn);
	for (done = 0; *emulate_gpr(emulator, NUMBER_RCX) & address_mask(insn); done++) {
		bool equal;

		if (done == emulator->portion || emulator->stop)
			return EMULATE_AGAIN;
		ret = element(insn);
		if (ret)
			return ret;
		advance(insn, NUMBER_RCX, -1);
		equal = emulator->regs->rflags & RFLAGS_ZF;
		if (compares && equal != (repeat == REPEAT_WHILE_EQUAL))
			break;
	}
	return 0;
}

/* The operand at RSI: its segment may be overridden. */
static int source_linear(struct insn *insn, unsigned int index, uint64_t *linear)
{
	uint64_t offset = insn->emulator->regs->rsi & address_mask(insn);

	return emulate_linear(insn->emulator, operand_segment(insn, index), offset,
			      operand_bytes(insn, 0), false, linear);
}

/* The operand at RDI: always in ES. */
static int destination_linear(struct insn *insn, bool write, uint64_t *linear)
{
	uint64_t offset = insn->emulator->regs->rdi & address_mask(insn);

	return emulate_linear(insn->emulator, VHM_SEGMENT_ES, offset, operand_bytes(insn, 0), write,
			      linear);
}

static int movs_element(struct insn *insn)
{
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t source, destination, value = 0;
	int ret = source_linear(insn, 1, &source);

	if (!ret)
		ret = destination_linear(insn, true, &destination);
	/* A device must not be read if its value then has nowhere to go. */
	if (!ret)
		ret = emulate_probe_write(insn->emulator, destination, bytes);
	if (!ret)
		ret = emulate_read(insn->emulator, source, &value, bytes, 0);
	if (!ret)
		ret = emulate_write(insn->emulator, destination, &value, bytes);
	if (ret)
		return ret;
	advance(insn, NUMBER_RSI, step(insn));
	advance(insn, NUMBER_RDI, step(insn));
	return 0;
}

int perform_movs(struct insn *insn, unsigned int unused)
{
	(void)unused;
	return run(insn, movs_element, false);
}

static int stos_element(struct insn *insn)
{
	uint64_t linear;
	int ret = destination_linear(insn, true, &linear);

	if (!ret)
		ret = emulate_write(insn->emulator, linear, &insn->emulator->regs->rax,
				    operand_bytes(insn, 0));
	if (!ret)
		advance(insn, NUMBER_RDI, step(insn));
	return ret;
}

int perform_stos(struct insn *insn, unsigned int unused)
{
	(void)unused;
	return run(insn, stos_element, false);
}

static int lods_element(struct insn *insn)
{
	struct vhm_registers *regs = insn->emulator->regs;
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t linear, value = 0;
	int ret = source_linear(insn, 1, &linear);

	if (!ret)
		ret = emulate_read(insn->emulator, linear, &value, bytes, 0);
	if (ret)
		return ret;
	regs->rax = merge_register(regs->rax, value, bytes);
	advance(insn, NUMBER_RSI, step(insn));
	return 0;
}

int perform_lods(struct insn *insn, unsigned int unused)
{
	(void)unused;
	return run(insn, lods_element, false);
}

static int cmps_element(struct insn *insn)
{
	struct emulator *emulator = insn->emulator;
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t rflags = emulator->regs->rflags;
	uint64_t source, destination, a = 0, b = 0;
	int ret = source_linear(insn, 0, &source);

	if (!ret)
		ret = destination_linear(insn, false, &destination);
	if (!ret)
		ret = emulate_read(emulator, source, &a, bytes, 0);
	if (!ret)
		ret = emulate_read(emulator, destination, &b, bytes, 0);
	if (ret)
		return ret;
	alu_compute(ALU_CMP, bytes, a, b, &rflags);
	emulator->regs->rflags = rflags;
	advance(insn, NUMBER_RSI, step(insn));
	advance(insn, NUMBER_RDI, step(insn));
	return 0;
}

int perform_cmps(struct insn *insn, unsigned int unused)
{
	(void)unused;
	return run(insn, cmps_element, true);
}

static int scas_element(struct insn *insn)
{
	struct emulator *emulator = insn->emulator;
	unsigned int bytes = operand_bytes(insn, 0);
	uint64_t rflags = emulator->regs->rflags;
	uint64_t linear, value = 0;
	int ret = destination_linear(insn, false, &linear);

	if (!ret)
		ret = emulate_read(emulator, linear, &value, bytes, 0);
	if (ret)
		return ret;
	alu_compute(ALU_CMP, bytes, emulator->regs->rax, value, &rflags);
	emulator->regs->rflags = rflags;
	advance(insn, NUMBER_RDI, step(insn));
	return 0;
}

int perform_scas(struct insn *insn, unsigned int unused)
{
	(void)unused;
	return run(insn, scas_element, true);
}

int perform_movsd(struct insn *insn, unsigned int unused)
{
	if (insn->decoded->two_explicit)
		return perform_vector_move(insn, 0);
	return perform_movs(insn, unused);
}
