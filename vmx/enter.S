/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * World switch: from the host's kernel into the guest and back.
 *
 * Between the processor's exit and the end of this file the guest controls branch
 * predictors and data buffers: no RET and no indirect branch before IA32_SPEC_CTRL is the
 * host's and the return-stack buffer is the host's.
 */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/segment.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>
#include "enter.h"

#define VMCS_HOST_RSP	0x6c14

/* offsets in struct vhm_registers; R8-R15 have their number times 8 */
.set .Lr_rax, 0 * 8
.set .Lr_rcx, 1 * 8
.set .Lr_rdx, 2 * 8
.set .Lr_rbx, 3 * 8
.set .Lr_rbp, 5 * 8
.set .Lr_rsi, 6 * 8
.set .Lr_rdi, 7 * 8

.section .noinstr.text, "ax"

SYM_FUNC_START(vmx_enter)
	push	%rbp
	mov	%rsp, %rbp
	.irp r, r15, r14, r13, r12, rbx
	push	%\r
	.endr
	push	%rdi			/* args */
	push	%rsi			/* flags */

	cmp	%rsp, ARGS_HOST_RSP(%rdi)
	je	1f
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	mov	%rsp, ARGS_HOST_RSP(%rdi)
1:
	test	$VMX_ENTER_SWAP_SPEC_CTRL, %esi
	jz	2f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	ARGS_GUEST_SPEC_CTRL(%rdi), %eax
	mov	ARGS_GUEST_SPEC_CTRL + 4(%rdi), %edx
	wrmsr
2:
	mov	ARGS_REGS(%rdi), %rax
	/* CF says VMRESUME from here on: MOV keeps it, VERW changes ZF alone */
	bt	$VMX_ENTER_RESUME_BIT, %esi
	.irp r, rcx, rdx, rbx, rbp, rsi, rdi
	mov	.Lr_\r(%rax), %\r
	.endr
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	\n * 8(%rax), %r\n
	.endr
	mov	.Lr_rax(%rax), %rax

	/* after the last load of host data: MDS, TAA, RFDS, MMIO stale data */
	ALTERNATIVE_2 "jmp .Lverw_done", "", X86_FEATURE_CLEAR_CPU_BUF, \
		      "", VMX_FEATURE_VERW_FOR_GUESTS
	verw	x86_verw_sel(%rip)
.Lverw_done:
	jnc	.Llaunch

	UNWIND_HINT_SAVE
.Lresume:
	vmresume
	jmp	.Lfailed
.Llaunch:
	vmlaunch
	jmp	.Lfailed

	_ASM_EXTABLE(.Lresume, .Lfaulted)
	_ASM_EXTABLE(.Llaunch, .Lfaulted)

SYM_INNER_LABEL(vmx_exit_point, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	/* the stack is as at HOST_RSP: flags, args */
	push	%rax
	mov	2 * 8(%rsp), %rax
	mov	ARGS_REGS(%rax), %rax
	mov	%rcx, .Lr_rcx(%rax)
	pop	.Lr_rax(%rax)
	.irp r, rdx, rbx, rbp, rsi, rdi
	mov	%\r, .Lr_\r(%rax)
	.endr
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	%r\n, \n * 8(%rax)
	.endr

	xor	%ebx, %ebx
.Lleave:
	/* no value of the guest's may be used speculatively */
	.irp r, eax, ecx, edx, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
	xor	%\r, %\r
	.endr

	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE

	pop	%rsi			/* flags */
	pop	%rdi			/* args */
	test	$VMX_ENTER_SPEC_CTRL, %esi
	jz	3f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	rdmsr
	mov	%eax, ARGS_GUEST_SPEC_CTRL(%rdi)
	mov	%edx, ARGS_GUEST_SPEC_CTRL + 4(%rdi)
3:
	test	$(VMX_ENTER_SPEC_CTRL | VMX_ENTER_SWAP_SPEC_CTRL | VMX_ENTER_FORCE_SPEC_CTRL), %esi
	jz	4f
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	ARGS_HOST_SPEC_CTRL(%rdi), %eax
	mov	ARGS_HOST_SPEC_CTRL + 4(%rdi), %edx
	wrmsr
4:
	/* nobody may run ahead of the writes above */
	lfence
	CLEAR_BHB_AFTER_EXIT

	mov	%ebx, %eax
	.irp r, rbx, r12, r13, r14, r15, rbp
	pop	%\r
	.endr
	RET

.Lfaulted:
.Lfailed:
	mov	$1, %ebx
	jmp	.Lleave
SYM_FUNC_END(vmx_enter)

SYM_FUNC_START(vmx_call_interrupt)
	push	%rbp
	mov	%rsp, %rbp
	and	$-16, %rsp		/* as interrupt delivery does (SDM vol. 3, 6.14.2) */
	push	$__KERNEL_DS
	push	%rbp
	pushf
	push	$__KERNEL_CS
	CALL_NOSPEC rdi
	/* its IRET has taken the frame and RSP is as pushed; for objtool, which does not know: */
	leave
	RET
SYM_FUNC_END(vmx_call_interrupt)

SYM_FUNC_START(vmx_flush_l1d)
	push	%rbx			/* CPUID clobbers it */
	xor	%eax, %eax
5:	movzbl	(%rdi, %rax), %ecx
	add	$4096, %eax
	cmp	$VMX_L1D_BUFFER_BYTES, %eax
	jne	5b
	xor	%eax, %eax
	cpuid
	xor	%eax, %eax
6:	movzbl	(%rdi, %rax), %ecx
	add	$64, %eax
	cmp	$VMX_L1D_BUFFER_BYTES, %eax
	jne	6b
	lfence
	pop	%rbx
	RET
SYM_FUNC_END(vmx_flush_l1d)
