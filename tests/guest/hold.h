/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layout of struct hold, for C and assembler: all that a thread keeps in registers.
 */
#ifndef HOLD_H
#define HOLD_H

#define HOLD_GENERAL	0	/* rax rbx rcx rdx rsi rdi rbp r8 ... r15 */
#define HOLD_REGISTERS	15
#define HOLD_CALL	128	/* system call, 3 arguments; HOLD_NO_CALL: compute only */
#define HOLD_ROUNDS	160
#define HOLD_FEATURES	168	/* components of the XSAVE area */
#define HOLD_XSAVE	192
#define HOLD_XSAVE_BYTES 4096
#define HOLD_NO_CALL	-1

#ifndef __ASSEMBLER__
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct hold {
	uint64_t general[HOLD_REGISTERS];
	uint64_t reserved;
	uint64_t call[4];
	uint64_t rounds;
	uint64_t features;
	uint64_t padding[2];
	uint8_t xsave[HOLD_XSAVE_BYTES];
} __attribute__((aligned(64)));

static_assert(offsetof(struct hold, call) == HOLD_CALL, "hold.S");
static_assert(offsetof(struct hold, rounds) == HOLD_ROUNDS, "hold.S");
static_assert(offsetof(struct hold, features) == HOLD_FEATURES, "hold.S");
static_assert(offsetof(struct hold, xsave) == HOLD_XSAVE, "hold.S");

/*
 * Loads every register from @in, spends @in->rounds rounds, stores every register in @out. In @out
 * rax, rcx and r11 are the system call's, if there is one. @initial: what the
 * x87 and vector registers are set to before the return.
 */
void hold(const struct hold *in, struct hold *out, const struct hold *initial);

/* Loads the x87 and vector registers only, and leaves them so: for a signal handler. */
void scribble(const struct hold *in);

/* One load or store that may fault: the handler goes on at the _end with the flag set. */
uint64_t probe_load(const volatile void *address, uint64_t *faulted);
uint64_t probe_store(volatile void *address, uint64_t value, uint64_t *faulted);
extern const char probe_load_at[], probe_store_at[], probe_faulted[];
#endif

#endif
