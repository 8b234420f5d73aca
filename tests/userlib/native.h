/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Executes one instruction on this processor with chosen registers, in 64-bit, 32-bit or
 * 16-bit mode, and gives back the registers after it.
 *
 * All memory lies below 2 GiB, so that 32-bit code reaches it. 16-bit code runs in segments
 * of a local descriptor table: CS begins at native->code, DS and ES at native->data, SS at
 * either native->data or native->stack.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#define NATIVE_PAGE		4096u
#define NATIVE_DATA_PAGES	4u
#define NATIVE_XSAVE_BYTES	4096u

/* Selectors of the local descriptor table */
#define NATIVE_CODE_16		0x07u
#define NATIVE_DATA_16		0x0fu
#define NATIVE_STACK_16		0x17u

/* gpr in the order of their encoding */
struct native_state {
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t host_rsp;
	uint32_t far_offset;
	uint16_t far_selector;
	uint16_t stack_selector;	/* of 16-bit code */
	_Alignas(64) uint8_t xsave[NATIVE_XSAVE_BYTES];
};

struct native {
	struct native_state *state;
	uint8_t *code;		/* two pages; the instruction lies somewhere in them */
	uint8_t *data;		/* NATIVE_DATA_PAGES pages for memory operands */
	uint8_t *stack;		/* one page */
	bool has_avx;
	bool has_16;		/* the kernel has local descriptor tables */
};

/* One per process; false if the memory is not to be had. */
bool native_open(struct native *native);
/* @at: address of the instruction in native->code, at least 512 bytes behind its start */
void native_run(const struct native *native, const uint8_t *insn, unsigned int insn_bytes,
		uint64_t at, unsigned int code_bits);

#endif /* NATIVE_H */
