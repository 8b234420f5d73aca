// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Moves between memory and XMM or YMM registers, and PKRU: all that lives in the XSAVE area.
 *
 * The area is read from the kernel, changed and written back for each instruction: rare ones
 * on devices. Layout: standard format (SDM vol. 1, 13.4, XSAVE Area); the offsets of
 * extended components are this processor's, which is the one the area comes from.
 * EVEX-encoded instructions and MMX registers are not performed.
 */
#include "insn.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#define LEGACY_AREA_BYTES	512
#define XMM_OFFSET		160
#define XMM_BYTES		16
#define HEADER_BYTES		64
#define XSTATE_SSE		(1ull << 1)
#define XSTATE_AVX		(1ull << 2)
#define XSTATE_PKRU		(1ull << 9)
#define XSTATE_ZMM_HIGH		(1ull << 6)
#define COMPONENT_AVX		2
#define COMPONENT_ZMM_HIGH	6
#define COMPONENT_PKRU		9

/**
 * struct vectors - the XSAVE area of a vCPU
 * @buffer: the section as the kernel gave it
 * @bytes: its size with the head
 * @area: the area in it
 * @area_bytes: its size
 */
struct vectors {
	void *buffer;
	size_t bytes;
	uint8_t *area;
	size_t area_bytes;
};

static int vectors_get(struct vhm_vcpu *vcpu, struct vectors *vectors)
{
	const struct vhm_section *section;
	int ret;

	vectors->bytes = vcpu->vm->vhm->info.state_bytes;
	vectors->buffer = vhm_sys_alloc(1, vectors->bytes);
	if (!vectors->buffer)
		return -ENOMEM;
	ret = vhm_vcpu_get_state(vcpu, 1ull << VHM_SECTION_XSAVE, vectors->buffer,
				 &vectors->bytes);
	if (ret)
		goto free_buffer;
	ret = -EPROTO;
	section = vhm_section_find(vectors->buffer, vectors->bytes, VHM_SECTION_XSAVE);
	if (!section || section->bytes < LEGACY_AREA_BYTES + HEADER_BYTES)
		goto free_buffer;
	vectors->area = (uint8_t *)vectors->buffer +
			((const uint8_t *)vhm_section_payload(section) -
			 (const uint8_t *)vectors->buffer);
	vectors->area_bytes = section->bytes;
	return 0;

free_buffer:
	free(vectors->buffer);
	return ret;
}

static uint64_t present_components(const struct vectors *vectors)
{
	uint64_t components;

	memcpy(&components, vectors->area + LEGACY_AREA_BYTES, sizeof(components));
	return components;
}

/* Makes a component present; one that was in its initial state has undefined bytes. */
static void make_present(struct vectors *vectors, uint64_t component, size_t offset, size_t bytes)
{
	uint64_t components = present_components(vectors);

	if (components & component)
		return;
	memset(vectors->area + offset, 0, bytes);
	components |= component;
	memcpy(vectors->area + LEGACY_AREA_BYTES, &components, sizeof(components));
}

/* Offset of an extended component of at least @bytes, or -EPROTO. */
static int component_offset(const struct vectors *vectors, unsigned int component, size_t bytes,
			    size_t *offset)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid_count(0xd, component, &eax, &ebx, &ecx, &edx) || eax < bytes)
		return -EPROTO;
	if (ebx > vectors->area_bytes || vectors->area_bytes - ebx < bytes)
		return -EPROTO;
	*offset = ebx;
	return 0;
}

int vhm_vector_pkru(struct vhm_vcpu *vcpu, uint32_t *pkru)
{
	struct vectors vectors;
	size_t offset;
	int ret = vectors_get(vcpu, &vectors);

	if (ret)
		return ret;
	*pkru = 0;
	if (present_components(&vectors) & XSTATE_PKRU) {
		ret = component_offset(&vectors, COMPONENT_PKRU, sizeof(*pkru), &offset);
		if (!ret)
			memcpy(pkru, vectors.area + offset, sizeof(*pkru));
	}
	free(vectors.buffer);
	return ret;
}

/* Lower 32 bytes of vector register @number */
static int read_vector(const struct vectors *vectors, unsigned int number, uint8_t value[32])
{
	uint64_t components = present_components(vectors);
	size_t offset;
	int ret;

	memset(value, 0, 32);
	if (components & XSTATE_SSE)
		memcpy(value, vectors->area + XMM_OFFSET + number * XMM_BYTES, XMM_BYTES);
	if (!(components & XSTATE_AVX))
		return 0;
	ret = component_offset(vectors, COMPONENT_AVX, 16 * XMM_BYTES, &offset);
	if (!ret)
		memcpy(value + XMM_BYTES, vectors->area + offset + number * XMM_BYTES, XMM_BYTES);
	return ret;
}

static void write_xmm(struct vectors *vectors, unsigned int number, const uint8_t *value)
{
	make_present(vectors, XSTATE_SSE, XMM_OFFSET, 16 * XMM_BYTES);
	memcpy(vectors->area + XMM_OFFSET + number * XMM_BYTES, value, XMM_BYTES);
}

/* A VEX-encoded instruction zeroes what it does not write, up to the 64 bytes of a ZMM. */
static int write_vector_vex(struct vectors *vectors, unsigned int number,
			    const uint8_t value[32])
{
	static const uint8_t zero[XMM_BYTES];
	uint64_t components = present_components(vectors);
	size_t offset;
	int ret;

	write_xmm(vectors, number, value);
	if (components & XSTATE_AVX || memcmp(value + XMM_BYTES, zero, XMM_BYTES)) {
		ret = component_offset(vectors, COMPONENT_AVX, 16 * XMM_BYTES, &offset);
		if (ret)
			return ret;
		make_present(vectors, XSTATE_AVX, offset, 16 * XMM_BYTES);
		memcpy(vectors->area + offset + number * XMM_BYTES, value + XMM_BYTES, XMM_BYTES);
	}
	if (components & XSTATE_ZMM_HIGH) {
		ret = component_offset(vectors, COMPONENT_ZMM_HIGH, 16 * 32, &offset);
		if (ret)
			return ret;
		memset(vectors->area + offset + number * 32, 0, 32);
	}
	return 0;
}

/* Half @half of a vector register, or all that the memory operand's size says. */
struct vector_move {
	unsigned int number;	/* of the register */
	unsigned int memory;	/* index of the memory operand */
	unsigned int bytes;	/* that move */
	unsigned int skip;	/* first byte in the register */
	bool keep;		/* the register keeps its other bytes */
	uint64_t linear;
};

static int load(struct insn *insn, struct vectors *vectors, const struct vector_move *move)
{
	bool vex = insn->decoded->vex;
	uint8_t data[32], value[32];
	int ret = emulate_read(insn->emulator, move->linear, data, move->bytes, 0);

	if (!ret)
		ret = read_vector(vectors, move->number, value);
	if (ret)
		return ret;
	if (!move->keep)
		memset(value, 0, vex ? sizeof(value) : XMM_BYTES);
	memcpy(value + move->skip, data, move->bytes);
	if (vex)
		ret = write_vector_vex(vectors, move->number, value);
	else
		write_xmm(vectors, move->number, value);
	if (ret)
		return ret;
	return vhm_vcpu_set_state(insn->emulator->vcpu, vectors->buffer, vectors->bytes);
}

static int store(struct insn *insn, struct vectors *vectors, const struct vector_move *move)
{
	uint8_t value[32];
	int ret = read_vector(vectors, move->number, value);

	if (ret)
		return ret;
	return emulate_write(insn->emulator, move->linear, value + move->skip, move->bytes);
}

static int move_vector(struct insn *insn, struct vector_move *move)
{
	struct vectors vectors;
	int ret;

	if (move->skip + move->bytes > 32)
		return -EOPNOTSUPP;
	ret = vectors_get(insn->emulator->vcpu, &vectors);
	if (ret)
		return ret;
	if (move->memory == 1)
		ret = load(insn, &vectors, move);
	else
		ret = store(insn, &vectors, move);
	free(vectors.buffer);
	return ret;
}

/* Finds register and memory among the two explicit operands. */
static int find_operands(struct insn *insn, struct vector_move *move)
{
	if (!insn->decoded->two_explicit || insn->decoded->evex)
		return -EOPNOTSUPP;
	move->memory = operand_is_memory(insn, 0) ? 0 : 1;
	if (!operand_is_memory(insn, move->memory) ||
	    operand_of(insn, !move->memory)->kind != OPERAND_VECTOR)
		return -EOPNOTSUPP;
	move->number = operand_of(insn, !move->memory)->number;
	move->bytes = operand_bytes(insn, move->memory);
	return operand_linear(insn, move->memory, &move->linear);
}

int perform_vector_move(struct insn *insn, unsigned int aligned)
{
	struct vector_move move = { 0 };
	int ret = find_operands(insn, &move);

	if (ret)
		return ret;
	if (aligned && move.linear & (move.bytes - 1))
		return emulate_raise(insn->emulator, VECTOR_GP, 0, 0);
	return move_vector(insn, &move);
}

int perform_vector_half(struct insn *insn, unsigned int half)
{
	struct vector_move move = { .skip = 8 * half, .keep = true };
	int ret = find_operands(insn, &move);

	if (ret)
		return ret;
	if (move.bytes != 8)
		return -EOPNOTSUPP;
	return move_vector(insn, &move);
}
