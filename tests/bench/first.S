/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of what boot measurements measure, twice: the first instruction of /init (init.c), and a
 * kernel that is nothing else, for what a VMM needs to enter one.
 */
#include "counters.h"

	.section .note.GNU-stack, "", @progbits

#ifdef TINY_KERNEL
	.text
	.globl	_start
_start:
	prefetchnta COUNT_MARK_END
	lidt	nothing(%rip)		/* without an IDT any exception shuts the processor down */
	ud2
	.balign	16
nothing:
	.word	0
	.quad	0
#else
	.text
	.globl	first_act
first_act:
	prefetchnta COUNT_MARK_END
	jmp	_start
#endif
