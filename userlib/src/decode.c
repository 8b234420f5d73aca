// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * From bytes at RIP to a struct decoded: fetch, then remember or decode with Zydis.
 *
 * Owns what each vCPU remembers of decoding; it belongs to the vCPU's thread. The bytes are
 * fetched anew each time and compared: the guest may have changed them, its page tables or its
 * mode.
 */
#include "insn.h"

#include <stdlib.h>

#include "zydis.h"

#define CACHE_ENTRIES_LG2	4

/**
 * struct insn_cache - what a vCPU has to decode with
 * @zydis: the decoder
 * @entry: instructions by a hash of their address
 */
struct insn_cache {
	struct zydis zydis;
	struct decoded entry[1 << CACHE_ENTRIES_LG2];
};

/* Bytes as fetched; room for a sixteenth, so that words can be compared. */
union code {
	uint8_t byte[MAX_INSN_BYTES + 1];
	uint64_t word[2];
};

/* -------------------------------------------------------------- operands -- */

/* Number, size and first bit of a general register; false: it is none. */
static bool find_gpr(ZydisRegister reg, struct operand *operand)
{
	operand->shift = 0;
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
		operand->number = (uint8_t)(reg - ZYDIS_REGISTER_AL);
		operand->bytes = 1;
	} else if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		operand->number = (uint8_t)(reg - ZYDIS_REGISTER_AH);
		operand->bytes = 1;
		operand->shift = 8;
	} else if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
		operand->number = (uint8_t)(reg - ZYDIS_REGISTER_SPL + 4);
		operand->bytes = 1;
	} else if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
		operand->number = (uint8_t)(reg - ZYDIS_REGISTER_AX);
		operand->bytes = 2;
	} else if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
		operand->number = (uint8_t)(reg - ZYDIS_REGISTER_EAX);
		operand->bytes = 4;
	} else if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
		operand->number = (uint8_t)(reg - ZYDIS_REGISTER_RAX);
		operand->bytes = 8;
	} else {
		return false;
	}
	return true;
}

static void convert_register(const ZydisDecodedOperand *from, struct operand *to)
{
	ZydisRegister reg = from->reg.value;

	if (find_gpr(reg, to)) {
		to->kind = OPERAND_GPR;
	} else if (reg >= ZYDIS_REGISTER_ES && reg <= ZYDIS_REGISTER_GS) {
		to->kind = OPERAND_SEGMENT;
		to->number = (uint8_t)(reg - ZYDIS_REGISTER_ES);
	} else if (reg >= ZYDIS_REGISTER_XMM0 && reg <= ZYDIS_REGISTER_XMM15) {
		to->kind = OPERAND_VECTOR;
		to->number = (uint8_t)(reg - ZYDIS_REGISTER_XMM0);
	} else if (reg >= ZYDIS_REGISTER_YMM0 && reg <= ZYDIS_REGISTER_YMM15) {
		to->kind = OPERAND_VECTOR;
		to->number = (uint8_t)(reg - ZYDIS_REGISTER_YMM0);
	}
}

/* A register of an address; false: not one we can read. */
static bool convert_address(ZydisRegister reg, uint8_t *number, uint64_t *mask)
{
	struct operand gpr = { 0 };

	*number = 0;
	*mask = 0;
	if (reg == ZYDIS_REGISTER_NONE)
		return true;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) {
		*number = NUMBER_RIP;
		*mask = UINT64_MAX;
		return true;
	}
	if (!find_gpr(reg, &gpr))
		return false;
	*number = gpr.number;
	*mask = mask_bytes(gpr.bytes);
	return true;
}

static void convert_memory(const ZydisDecodedOperandMem *from, unsigned int length,
			   struct operand *to)
{
	to->kind = OPERAND_MEMORY;
	to->segment = (uint8_t)(from->segment - ZYDIS_REGISTER_ES);
	to->scale = from->scale;
	to->value = from->disp.has_displacement ? (uint64_t)from->disp.value : 0;
	to->addressable = from->type == ZYDIS_MEMOP_TYPE_MEM &&
			  convert_address(from->base, &to->base, &to->base_mask) &&
			  convert_address(from->index, &to->index, &to->index_mask);
	if (to->base == NUMBER_RIP)
		to->value += length;
}

static struct operand convert_operand(const ZydisDecodedOperand *from, unsigned int length)
{
	struct operand to = {
		.bytes = (uint8_t)(from->size / 8),
		.written = from->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE,
	};

	switch (from->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		convert_register(from, &to);
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		/* FXSAVE and the like, which nobody performs */
		if (from->size > 8 * MAX_ACCESS_BYTES)
			break;
		convert_memory(&from->mem, length, &to);
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		to.kind = OPERAND_IMMEDIATE;
		to.value = from->imm.value.u;
		break;
	default:
		break;
	}
	return to;
}

/* ---------------------------------------------------------------- decode -- */

/* SDM vol. 2, 2.1.1, Instruction Prefixes: the last of a group wins, as processors have it. */
static enum repeat find_repeat(const ZydisDecodedInstruction *insn)
{
	enum repeat repeat = REPEAT_NEVER;
	unsigned int i;

	for (i = 0; i < insn->raw.prefix_count; i++) {
		if (insn->raw.prefixes[i].value == 0xf3)
			repeat = REPEAT_WHILE_EQUAL;
		if (insn->raw.prefixes[i].value == 0xf2)
			repeat = REPEAT_WHILE_UNEQUAL;
	}
	return repeat;
}

static void init_decoder(const struct zydis *zydis, ZydisDecoder *decoder, unsigned int code_bits)
{
	switch (code_bits) {
	case 64:
		zydis->decoder_init(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		break;
	case 32:
		zydis->decoder_init(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
		break;
	default:
		zydis->decoder_init(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
		break;
	}
}

/* What Zydis says as a struct decoded; -EOPNOTSUPP: nobody performs it. */
static int convert(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
		   const union code *code, unsigned int code_bits, struct decoded *decoded)
{
	unsigned int i, bytes = insn->length;

	*decoded = (struct decoded){
		.length = insn->length,
		.address_bytes = insn->address_width / 8,
		.repeat = find_repeat(insn),
		.two_explicit = insn->operand_count_visible == 2 &&
				operands[0].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT,
		.vex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX,
		.evex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX,
	};
	decoded->perform = insn_find(insn->mnemonic, &decoded->operation);
	if (!decoded->perform)
		return -EOPNOTSUPP;
	for (i = 0; i < MAX_OPERANDS && i < insn->operand_count; i++)
		decoded->operand[i] = convert_operand(&operands[i], insn->length);
	decoded->code_mask[0] = mask_bytes(bytes);
	decoded->code_mask[1] = bytes > 8 ? mask_bytes(bytes - 8) : 0;
	decoded->code[0] = code->word[0] & decoded->code_mask[0];
	decoded->code[1] = code->word[1] & decoded->code_mask[1];
	/* Last: from now on is_same() finds it. */
	decoded->code_bits = (uint8_t)code_bits;
	return 0;
}

/* -ENODATA: the instruction is longer than the @have bytes. */
static int decode(const struct zydis *zydis, const union code *code, unsigned int have,
		  unsigned int code_bits, struct decoded *decoded)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;
	ZyanStatus status;

	init_decoder(zydis, &decoder, code_bits);
	status = zydis->decode_full(&decoder, code->byte, have, &insn, operands);
	if (status == ZYDIS_STATUS_NO_MORE_DATA && have < MAX_INSN_BYTES)
		return -ENODATA;
	/*
	 * Bytes that were an instruction when the processor executed them and are none now:
	 * another vCPU rewrote them. The guest executes whatever is there.
	 */
	if (!ZYAN_SUCCESS(status))
		return -EOPNOTSUPP;
	return convert(&insn, operands, code, code_bits, decoded);
}

/* ----------------------------------------------------------------- cache -- */

static int need_cache(struct vhm_vcpu *vcpu)
{
	struct insn_cache *cache;
	int ret;

	if (vcpu->decoded)
		return 0;
	cache = vhm_sys_alloc(1, sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	ret = zydis_load(&cache->zydis);
	if (ret)
		free(cache);
	else
		vcpu->decoded = cache;
	return ret;
}

void vhm_vcpu_forget_decoded(struct vhm_vcpu *vcpu)
{
	if (vcpu->decoded)
		zydis_unload(&vcpu->decoded->zydis);
	free(vcpu->decoded);
	vcpu->decoded = NULL;
}

EXPORT int vhm_vcpu_load_decoder(struct vhm_vcpu *vcpu)
{
	return need_cache(vcpu);
}

/* The place for what is at RIP: 2^64 divided by the golden ratio spreads neighbours best. */
static struct decoded *find_entry(const struct emulator *emulator)
{
	uint64_t hash = emulator->regs->rip * 0x9e3779b97f4a7c15ull;

	return &emulator->vcpu->decoded->entry[hash >> (64 - CACHE_ENTRIES_LG2)];
}

static bool is_same(const struct decoded *decoded, const union code *code, unsigned int have,
		    unsigned int code_bits)
{
	return decoded->code_bits == code_bits && decoded->length <= have &&
	       !((decoded->code[0] ^ code->word[0]) & decoded->code_mask[0]) &&
	       !((decoded->code[1] ^ code->word[1]) & decoded->code_mask[1]);
}

/* Fetches as far as the instruction reaches: a page it does not touch must not fault. */
int insn_fetch(struct insn *insn)
{
	struct emulator *emulator = insn->emulator;
	union code code = { .word = { 0, 0 } };
	unsigned int have = 0, more;
	struct decoded *decoded;
	int ret;

	ret = need_cache(emulator->vcpu);
	if (ret)
		return ret;
	decoded = find_entry(emulator);
	insn->decoded = decoded;
	do {
		ret = emulate_fetch(emulator, have, code.byte + have, MAX_INSN_BYTES - have, &more);
		if (ret)
			return ret;
		have += more;
		if (is_same(decoded, &code, have, emulator->code_bits))
			return 0;
		ret = decode(&emulator->vcpu->decoded->zydis, &code, have, emulator->code_bits,
			     decoded);
	} while (ret == -ENODATA);
	return ret;
}
