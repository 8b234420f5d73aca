/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the emulator counts, and how a program in it asks: the contract between the emulator's
 * counting flavour (instrument.cc) and the benchmark (tests/bench/count.c).
 *
 * Counting is switched by prefetches of addresses that mean nothing to anyone else: they cause no
 * fault and no VM exit, so that a guest can mark what is measured as well as the host. Between
 * COUNT_MARK_BEGIN and COUNT_MARK_END lies a round; all CPUs' events in it count. What each round
 * had is read through a port, by the host:
 *
 *	OUT (32 bits)	a question; COUNT_ASK_* or COUNT_ASK(round, counter, half)
 *	IN (32 bits)	the answer
 *
 * An emulator without counting, or a real machine, does not answer COUNT_MAGIC.
 */
#ifndef VHM_COUNTERS_H
#define VHM_COUNTERS_H

#define COUNT_MARK_RESET	0x56480000	/* forget all rounds */
#define COUNT_MARK_BEGIN	0x56480010
#define COUNT_MARK_END		0x56480020
#define COUNT_MARK_ARM		0x56480030

#define COUNT_PORT		0x5648
#define COUNT_ASK_MAGIC		0xffff0000
#define COUNT_ASK_ROUNDS	0xffff0001	/* number of rounds */
#define COUNT_ASK_COUNTERS	0xffff0002	/* COUNTERS of the emulator */
#define COUNT_ASK(round, counter, half)	((round) << 16 | (counter) << 1 | (half))
#define COUNT_MAGIC		0x434d4856
#define COUNT_ROUNDS_MAX	1024

#ifndef __ASSEMBLER__

/* X(identifier, name): host unless the name says guest. */
#define COUNTERS_LIST(X)						\
	X(TICKS, "ticks")	/* of the emulator's clock */		\
	X(INSTRUCTIONS, "instructions")					\
	X(GUEST_INSTRUCTIONS, "guest-instructions")			\
	X(REPEATS, "repeats")	/* iterations of REP instructions */	\
	X(EXITS, "exits")						\
	X(ENTRIES, "entries")	/* VMLAUNCH, VMRESUME */		\
	X(VMREAD, "vmread")						\
	X(VMWRITE, "vmwrite")						\
	X(VMPTRLD, "vmptrld")						\
	X(VMCLEAR, "vmclear")						\
	X(RDMSR, "rdmsr")						\
	X(WRMSR, "wrmsr")						\
	X(INVEPT, "invept")						\
	X(INVVPID, "invvpid")						\
	X(INVPCID, "invpcid")						\
	X(INVLPG, "invlpg")						\
	X(LOCKED, "locked")	/* LOCK prefix, XCHG with memory */	\
	X(CR_WRITE, "cr-write")						\
	X(CR_READ, "cr-read")						\
	X(DR_MOVE, "dr-move")						\
	X(IPI, "ipi")							\
	X(XSAVE, "xsave")						\
	X(XRSTOR, "xrstor")						\
	X(XCR_WRITE, "xcr-write")					\
	X(PKRU, "pkru")		/* RDPKRU, WRPKRU */			\
	X(DESCRIPTOR, "descriptor") /* LGDT, LIDT, LLDT, LTR and their stores */ \
	X(SEGMENT_LOAD, "segment-load")					\
	X(FS_GS_BASE, "fs-gs-base")					\
	X(SWAPGS, "swapgs")						\
	X(IRET, "iret")							\
	X(SYSCALL, "syscall")						\
	X(SYSRET, "sysret")						\
	X(INTERRUPT_FLAG, "interrupt-flag") /* CLI, STI, POPF */	\
	X(RDTSC, "rdtsc")						\
	X(CPUID, "cpuid")						\
	X(FENCE, "fence")						\
	X(CLFLUSH, "clflush")						\
	X(VERW, "verw")							\
	X(PAUSE, "pause")						\
	X(HALT, "halt")							\
	X(PORT_IO, "port-io")	/* IN, OUT */				\
	X(RANDOM, "random")	/* RDRAND, RDSEED */			\
	X(EXCEPTION, "exception")					\
	X(INTERRUPT, "interrupt")

enum counter {
#define X(identifier, name) COUNT_##identifier,
	COUNTERS_LIST(X)
#undef X
	COUNT_EXIT_REASON,	/* and so on: exits by basic reason (SDM vol. 3, appendix C) */
	COUNT_EXIT_REASONS = 80,
	COUNTERS = COUNT_EXIT_REASON + COUNT_EXIT_REASONS,
};

#endif

#endif /* VHM_COUNTERS_H */
