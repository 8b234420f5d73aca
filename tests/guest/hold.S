/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C cannot say: registers that keep their values, and one instruction that may fault. See hold.h.
 */
#include "hold.h"

	.text

/* Before the last GPR loads flags say whether there is a system call; MOV leaves them alone. */
	.globl	hold
	.type	hold, @function
hold:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx			/* 24(%rsp): initial */
	push	%rsi			/* 16(%rsp): out */
	push	%rdi			/*  8(%rsp): in */
	push	HOLD_ROUNDS(%rdi)	/*   (%rsp): rounds left */
	mov	HOLD_FEATURES(%rdi), %eax
	mov	HOLD_FEATURES + 4(%rdi), %edx
	xrstor64 HOLD_XSAVE(%rdi)
	cmpq	$HOLD_NO_CALL, HOLD_CALL(%rdi)
	mov	HOLD_GENERAL + 8 * 0(%rdi), %rax
	mov	HOLD_GENERAL + 8 * 1(%rdi), %rbx
	mov	HOLD_GENERAL + 8 * 2(%rdi), %rcx
	mov	HOLD_GENERAL + 8 * 3(%rdi), %rdx
	mov	HOLD_GENERAL + 8 * 4(%rdi), %rsi
	mov	HOLD_GENERAL + 8 * 6(%rdi), %rbp
	mov	HOLD_GENERAL + 8 * 7(%rdi), %r8
	mov	HOLD_GENERAL + 8 * 8(%rdi), %r9
	mov	HOLD_GENERAL + 8 * 9(%rdi), %r10
	mov	HOLD_GENERAL + 8 * 10(%rdi), %r11
	mov	HOLD_GENERAL + 8 * 11(%rdi), %r12
	mov	HOLD_GENERAL + 8 * 12(%rdi), %r13
	mov	HOLD_GENERAL + 8 * 13(%rdi), %r14
	mov	HOLD_GENERAL + 8 * 14(%rdi), %r15
	mov	HOLD_GENERAL + 8 * 5(%rdi), %rdi
	je	.Lspin
.Lcall:
	mov	8(%rsp), %rdi
	mov	HOLD_CALL(%rdi), %rax
	mov	HOLD_CALL + 16(%rdi), %rsi
	mov	HOLD_CALL + 24(%rdi), %rdx
	mov	HOLD_CALL + 8(%rdi), %rdi
	syscall
	decq	(%rsp)
	jnz	.Lcall
	jmp	.Lstore
.Lspin:
	decq	(%rsp)
	jnz	.Lspin
.Lstore:
	push	%rdi
	mov	24(%rsp), %rdi
	mov	%rax, HOLD_GENERAL + 8 * 0(%rdi)
	mov	%rbx, HOLD_GENERAL + 8 * 1(%rdi)
	mov	%rcx, HOLD_GENERAL + 8 * 2(%rdi)
	mov	%rdx, HOLD_GENERAL + 8 * 3(%rdi)
	mov	%rsi, HOLD_GENERAL + 8 * 4(%rdi)
	mov	%rbp, HOLD_GENERAL + 8 * 6(%rdi)
	mov	%r8, HOLD_GENERAL + 8 * 7(%rdi)
	mov	%r9, HOLD_GENERAL + 8 * 8(%rdi)
	mov	%r10, HOLD_GENERAL + 8 * 9(%rdi)
	mov	%r11, HOLD_GENERAL + 8 * 10(%rdi)
	mov	%r12, HOLD_GENERAL + 8 * 11(%rdi)
	mov	%r13, HOLD_GENERAL + 8 * 12(%rdi)
	mov	%r14, HOLD_GENERAL + 8 * 13(%rdi)
	mov	%r15, HOLD_GENERAL + 8 * 14(%rdi)
	pop	HOLD_GENERAL + 8 * 5(%rdi)
	mov	8(%rsp), %rsi
	mov	HOLD_FEATURES(%rsi), %eax
	mov	HOLD_FEATURES + 4(%rsi), %edx
	xsave64	HOLD_XSAVE(%rdi)
	/* The caller expects an empty x87 stack and the usual control words. */
	mov	24(%rsp), %rsi
	xrstor64 HOLD_XSAVE(%rsi)
	add	$32, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	hold, . - hold

	.globl	scribble
	.type	scribble, @function
scribble:
	mov	HOLD_FEATURES(%rdi), %eax
	mov	HOLD_FEATURES + 4(%rdi), %edx
	xrstor64 HOLD_XSAVE(%rdi)
	ret
	.size	scribble, . - scribble

	.globl	probe_load, probe_load_at
	.type	probe_load, @function
probe_load:
	mov	%rsi, %rdx
probe_load_at:
	mov	(%rdi), %rax
	movq	$0, (%rdx)
	ret
	.size	probe_load, . - probe_load

	.globl	probe_store, probe_store_at
	.type	probe_store, @function
probe_store:
probe_store_at:
	mov	%rsi, (%rdi)
	movq	$0, (%rdx)
	ret
	.size	probe_store, . - probe_store

/* The handler comes back here, with what it knows in rax. */
	.globl	probe_faulted
probe_faulted:
	movq	$1, (%rdx)
	ret

	.section .note.GNU-stack, "", @progbits
