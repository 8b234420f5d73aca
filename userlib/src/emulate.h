/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Performing one guest instruction: the state it works on and its accesses to memory.
 *
 * A struct emulator lives on the stack of one vhm_vcpu_dispatch() and belongs to its thread.
 * Registers are those of the run page, which nobody else touches meanwhile. Bits and rules are those of the SDM, vol. 1
 * and 2; faults are reported as the processor orders them: segment, then page.
 */
#ifndef VHM_EMULATE_H
#define VHM_EMULATE_H

#include "internal.h"

/* Result of a step: 0, a negative errno, or this one: emulator.fault is for the guest. */
#define EMULATE_FAULT		1
/* The guest executes the instruction again: a string did its portion and has more to do. */
#define EMULATE_AGAIN		2

#define RFLAGS_CF		(1ull << 0)
#define RFLAGS_PF		(1ull << 2)
#define RFLAGS_AF		(1ull << 4)
#define RFLAGS_ZF		(1ull << 6)
#define RFLAGS_SF		(1ull << 7)
#define RFLAGS_DF		(1ull << 10)
#define RFLAGS_OF		(1ull << 11)
#define RFLAGS_VM		(1ull << 17)
#define RFLAGS_ARITHMETIC	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | \
				 RFLAGS_OF)

#define VECTOR_UD		6
#define VECTOR_SS		12
#define VECTOR_GP		13
#define VECTOR_PF		14

#define MAX_INSN_BYTES		15
#define MAX_ACCESS_BYTES	64
#define MAX_STRING_ELEMENTS	4096	/* of one portion */

/**
 * struct emulator - one instruction being performed
 * @vcpu: the vCPU
 * @callbacks: the VMM's devices
 * @context: for @callbacks
 * @mmio: the exit in the run page, NULL if it is another one
 * @exit_kind: what the page of @mmio is, once emulate_fetch() has looked; the local APIC hides
 *	memory
 * @exit_is_plain: @mmio says where an access to a device begins, linear address and physical one
 * @redirects: the page of @mmio is memory, and accesses to it go to the devices all the same
 * @regs: the general registers, in the run page
 * @portion: most elements of a string at a time
 * @keeps_registers: nothing in @regs has changed: the kernel need not load them
 * @paging: control registers, and RFLAGS before the instruction
 * @pkru_valid: @paging.pkru was read
 * @code_bits: 16, 32 or 64
 * @cpl: privilege level
 * @sregs_valid: @sregs was read
 * @stop: first positive number a callback returned
 * @fault: for the guest, with EMULATE_FAULT
 * @sregs: segments, where they are needed; undefined before
 */
struct emulator {
	struct vhm_vcpu *vcpu;
	const struct vhm_callbacks *callbacks;
	void *context;
	const struct vhm_exit_mmio *mmio;
	enum memory_kind exit_kind;
	bool exit_is_plain;
	bool redirects;
	struct vhm_registers *regs;
	unsigned int portion;
	bool keeps_registers;
	struct vhm_paging paging;
	bool pkru_valid;
	unsigned int code_bits;
	unsigned int cpl;
	bool sregs_valid;
	int stop;
	struct vhm_event fault;
	struct vhm_sregisters sregs;
};

/* A result of a callback: remembers a positive one. */
static inline int emulate_callback(struct emulator *emulator, int result)
{
	if (result > 0 && !emulator->stop)
		emulator->stop = result;
	return result < 0 ? result : 0;
}

static inline uint64_t mask_bytes(unsigned int bytes)
{
	return bytes >= 8 ? UINT64_MAX : (1ull << (8 * bytes)) - 1;
}

/* A slot that another thread added meanwhile: the guest simply does it again. */
static inline bool emulate_is_memory(const struct vhm_exit_mmio *mmio, enum memory_kind kind)
{
	if (kind == MEMORY_NONE || mmio->flags & VHM_MMIO_APIC)
		return false;
	return kind == MEMORY_RAM || !(mmio->flags & VHM_MMIO_WRITE);
}

/*
 * Is an operand what exited, in a segment that starts at 0? Then the processor has made all checks
 * and found the page: neither segments nor page tables need be read.
 */
static inline bool emulate_is_exit(const struct emulator *emulator, unsigned int segment,
				   uint64_t offset, unsigned int bytes, bool write)
{
	const struct vhm_exit_mmio *mmio = emulator->mmio;

	return emulator->exit_is_plain && offset == mmio->linear_address &&
	       (segment < VHM_SEGMENT_FS || emulator->code_bits != 64) &&
	       (!write || mmio->flags & VHM_MMIO_WRITE) &&
	       (offset & PAGE_OFFSET_MASK) + bytes <= PAGE_BYTES;
}

/* General register by its number in the encoding. */
static inline __u64 *emulate_gpr(struct emulator *emulator, unsigned int number)
{
	uint8_t *first = (uint8_t *)emulator->regs;

	return (__u64 *)(void *)(first + (number & 15) * sizeof(__u64));
}

/* Merges a value as an instruction of this operand size does: 4 bytes clear the upper half. */
static inline uint64_t merge_register(uint64_t old, uint64_t value, unsigned int bytes)
{
	if (bytes >= 4)
		return value & mask_bytes(bytes);
	return (old & ~mask_bytes(bytes)) | (value & mask_bytes(bytes));
}

int emulate_raise(struct emulator *emulator, uint32_t vector, uint32_t error_code,
		  uint64_t payload);
int emulate_need_sregs(struct emulator *emulator);
/* Linear address of an operand of @bytes bytes, with all checks of the segment. */
int emulate_linear(struct emulator *emulator, unsigned int segment, uint64_t offset,
		   unsigned int bytes, bool write, uint64_t *linear);
/* The device where emulate_is_exit() is true, at most 8 bytes */
int emulate_exit_read(struct emulator *emulator, uint64_t *value, unsigned int bytes);
int emulate_exit_write(struct emulator *emulator, uint64_t value, unsigned int bytes);
/* @access: bits of enum vhm_access; VHM_ACCESS_WRITE: of an operand that will be written. */
int emulate_read(struct emulator *emulator, uint64_t linear, void *data, unsigned int bytes,
		 uint32_t access);
int emulate_write(struct emulator *emulator, uint64_t linear, const void *data,
		  unsigned int bytes);
/* Would emulate_write() fault? */
int emulate_probe_write(struct emulator *emulator, uint64_t linear, unsigned int bytes);
/*
 * Code at RIP, up to the end of the page that holds its byte number @skip. EMULATE_AGAIN: by now
 * the access that exited finds memory.
 */
int emulate_fetch(struct emulator *emulator, unsigned int skip, uint8_t *data,
		  unsigned int room, unsigned int *bytes);

/* Fetch, decode and perform the instruction at RIP; its length on success. */
int emulate_instruction(struct emulator *emulator, unsigned int *insn_bytes);

/* PKRU out of an XSAVE area (state.c has no business knowing its layout). */
int vhm_vector_pkru(struct vhm_vcpu *vcpu, uint32_t *pkru);

#endif /* VHM_EMULATE_H */
