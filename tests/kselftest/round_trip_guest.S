/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that notices if a vCPU comes back from a save and load with anything changed: it fills
 * everything a vCPU has, makes every kind of event happen to itself, and checks after each that it
 * came once, in time and at the right instruction. A check that fails is told to the VMM by its line.
 *
 * In 64-bit mode as tests/kselftest/guest.h sets it up, with this file's handler for all vectors.
 * R8-R15 hold a pattern throughout; everything else is scratch. Variables: round_trip.h.
 */
#include "round_trip.h"

#define EXPECT(condition) j##condition 77f; movl $__LINE__, RT_FAILED; jmp failed; 77:

#define ICR		0x300
#define ICR_SELF	0x40000
#define ICR_NMI		0x4400		/* physical destination 0, asserted */
#define LVT_TIMER	0x320
#define INITIAL		0x380
#define CURRENT		0x390
#define IRR		0x200
#define ISR		0x100
#define EOI		0xb0
#define SVR		0xf0
#define DIVIDE		0x3e0

#define DR6_NONE	0xffff0ff0
#define DR7_ON		0xf0405		/* 0: accesses to 4 bytes; 1: execution */
#define DR7_OFF		0x400

	.section .rodata
	.code64

	.globl	round_trip_guest, round_trip_guest_end, round_trip_handler, round_trip_handler_end
	.globl	round_trip_rare, round_trip_rare_end, round_trip_nmi, round_trip_nmi_end

round_trip_guest:
	call	init
turn:
	call	check_registers
	call	check_time
	call	check_debug_registers
	call	check_exceptions
	call	check_user_mode
	call	check_interrupts
	call	check_nmi
	call	check_devices
	call	check_timers
	incq	RT_TURN
	movl	RT_TURN, %eax
	outl	%eax, $RT_PORT_TURN
	jmp	turn

failed:
	cli
	movl	RT_FAILED, %eax
	outl	%eax, $RT_PORT_FAILED
	jmp	failed

/* The guest's code and its handler lie in different places: each has its own. */
.macro apic_write_body
	xorl	%edx, %edx
	cmpl	$0, RT_X2APIC
	je	1f
	shrl	$4, %ecx
	orl	$0x800, %ecx
	wrmsr
	ret
1:	leal	-0x1200000(%rcx), %ebx
	movl	%eax, (%rbx)
	ret
.endm

/* ECX: offset of the register, EAX: value. Clobbers RBX, RCX, RDX. */
apic_write:
	apic_write_body

/* ECX: offset. EAX: value. Clobbers RBX, RCX, RDX. */
apic_read:
	cmpl	$0, RT_X2APIC
	je	1f
	shrl	$4, %ecx
	orl	$0x800, %ecx
	rdmsr
	ret
1:	leal	-0x1200000(%rcx), %ebx
	movl	(%rbx), %eax
	ret

#define APIC_WRITE(offset, value) movl $(offset), %ecx; movl $(value), %eax; call apic_write

/* ----------------------------------------------------------------------- set-up -- */

init:
	cmpq	$0, RT_XCR0
	je	1f
	movq	%cr4, %rax
	orl	$0x40000, %eax				/* OSXSAVE */
	movq	%rax, %cr4
	xorl	%ecx, %ecx
	movl	RT_XCR0, %eax
	movl	RT_XCR0 + 4, %edx
	xsetbv
1:	cmpl	$0, RT_PKRU
	je	1f
	movq	%cr4, %rax
	orl	$0x400000, %eax				/* PKE */
	movq	%rax, %cr4
	movl	RT_PKRU, %eax
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	wrpkru
1:	call	init_vectors
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	movq	RT_GENERAL + 8 * (\n - 8), %r\n
	.endr

	/* APIC on, in its mode */
	movl	$0x1b, %ecx
	movl	$0xfee00900, %eax
	xorl	%edx, %edx
	cmpl	$0, RT_X2APIC
	je	1f
	orl	$0x400, %eax
1:	wrmsr
	APIC_WRITE(SVR, 0x1ff)
	APIC_WRITE(DIVIDE, 0xb)

	leaq	RT_MSRS, %rsi
1:	movl	(%rsi), %ecx
	jecxz	2f
	movl	8(%rsi), %eax
	movl	12(%rsi), %edx
	wrmsr
	addq	$16, %rsi
	jmp	1b
2:	leaq	syscall_entry(%rip), %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	$0xc0000082, %ecx			/* LSTAR */
	wrmsr

	movl	$RT_WATCHED, %eax
	movq	%rax, %dr0
	leaq	watched_instruction(%rip), %rax
	movq	%rax, %dr1
	movq	%r9, %rax
	movq	%rax, %dr2
	movq	%r10, %rax
	movq	%rax, %dr3
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ebx, RT_VENDOR
	call	clear_fault_page
	sti
	ret

init_vectors:
	fninit
	fldpi
	fldl2e
	fldln2
	fldcw	fpu_control(%rip)
	ldmxcsr	mxcsr(%rip)
	testl	$0xe0, RT_XCR0
	jnz	1f
	testl	$4, RT_XCR0
	jnz	2f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	RT_VECTORS + 64 * \n, %xmm\n
	.endr
	jmp	3f
2:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	RT_VECTORS + 64 * \n, %ymm\n
	.endr
	jmp	3f
1:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	RT_VECTORS + 64 * \n, %zmm\n
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovups	RT_VECTORS + 64 * \n, %zmm\n
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovw	RT_OPMASKS + 8 * \n, %k\n
	.endr
3:	fxsave64 RT_FX
	ret

clear_fault_page:
	andl	$~1, RT_FAULTING_PTE
	invlpg	RT_FAULTING
	ret

	.balign	8
fpu_control: .word 0x027f, 0, 0, 0
mxcsr:	.long	0x3fc0					/* rounds down, denormals are zeros */

/* -------------------------------------------------------------- what stays as it is -- */

check_registers:
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	cmpq	RT_GENERAL + 8 * (\n - 8), %r\n
	EXPECT(e)
	.endr
	call	check_vectors

	/* CR0 to CR4 as guest.c and init have set them */
	movq	%cr0, %rax
	cmpl	$0x80010033, %eax
	EXPECT(e)
	movq	%cr3, %rax
	cmpq	$0x8000, %rax
	EXPECT(e)
	movq	%cr4, %rax
	andl	$~0x440000, %eax
	cmpl	$0x620, %eax
	EXPECT(e)
	movq	%cr8, %rax
	testl	%eax, %eax
	EXPECT(z)

	leaq	RT_MSRS, %rsi
1:	movl	(%rsi), %ecx
	jecxz	2f
	rdmsr
	cmpl	8(%rsi), %eax
	EXPECT(e)
	cmpl	12(%rsi), %edx
	EXPECT(e)
	addq	$16, %rsi
	jmp	1b

2:	movq	%dr0, %rax
	cmpq	$RT_WATCHED, %rax
	EXPECT(e)
	movq	%dr2, %rax
	cmpq	%r9, %rax
	EXPECT(e)
	movq	%dr3, %rax
	cmpq	%r10, %rax
	EXPECT(e)
	xorl	%eax, %eax
	xorl	%ecx, %ecx
	cpuid
	cmpl	RT_VENDOR, %ebx
	EXPECT(e)
	movl	$0x4711, %eax
	vmcall
	cmpq	$-1000, %rax
	EXPECT(e)
	cmpl	$0, RT_PKRU
	je	3f
	xorl	%ecx, %ecx
	rdpkru
	cmpl	RT_PKRU, %eax
	EXPECT(e)
3:	cmpq	$0, RT_XCR0
	je	4f
	xorl	%ecx, %ecx
	xgetbv
	cmpl	RT_XCR0, %eax
	EXPECT(e)
4:	ret

/* Compares ECX quadwords at RSI and RDI. */
compare:
	cld
	repe cmpsq
	EXPECT(e)
	ret

check_vectors:
	fxsave64 RT_SCRATCH
	leaq	RT_SCRATCH, %rsi
	leaq	RT_FX, %rdi
	movl	$416 / 8, %ecx
	call	compare
	leaq	RT_SCRATCH, %rsi
	leaq	RT_VECTORS, %rdi
	testl	$0xe0, RT_XCR0
	jnz	1f
	testl	$4, RT_XCR0
	jnz	2f
	ret
2:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	%ymm\n, RT_SCRATCH + 64 * \n
	movq	RT_VECTORS + 64 * \n + 32, %rax
	movq	%rax, RT_SCRATCH + 64 * \n + 32
	movq	RT_VECTORS + 64 * \n + 40, %rax
	movq	%rax, RT_SCRATCH + 64 * \n + 40
	movq	RT_VECTORS + 64 * \n + 48, %rax
	movq	%rax, RT_SCRATCH + 64 * \n + 48
	movq	RT_VECTORS + 64 * \n + 56, %rax
	movq	%rax, RT_SCRATCH + 64 * \n + 56
	.endr
	movl	$16 * 8, %ecx
	jmp	compare
1:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	%zmm\n, RT_SCRATCH + 64 * \n
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovups	%zmm\n, RT_SCRATCH + 64 * \n
	.endr
	movl	$32 * 8, %ecx
	call	compare
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovw	%k\n, %eax
	cmpw	%ax, RT_OPMASKS + 8 * \n
	EXPECT(e)
	.endr
	ret

/* RAX: the TSC. Clobbers RDX. */
read_tsc:
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	ret

check_time:
	call	read_tsc
	cmpq	RT_LAST_TSC, %rax
	EXPECT(a)
	movq	%rax, RT_LAST_TSC
	cmpl	$0, RT_HAS_RDTSCP
	je	1f
	rdtscp
	cmpl	%r12d, %ecx				/* TSC_AUX */
	EXPECT(e)
1:	movl	$0x10, %ecx				/* IA32_TIME_STAMP_COUNTER */
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	cmpq	RT_LAST_TSC, %rax
	EXPECT(a)
	movq	%rax, RT_LAST_TSC
	ret

/* ----------------------------------------------------------------- debug exceptions -- */

/* The event of this vector came once since EBX was its count, at the label. */
#define EXPECT_ONCE_AT(vector, label)		\
	incl	%ebx;				\
	cmpl	%ebx, RT_COUNT + 4 * (vector);	\
	EXPECT(e)				\
	leaq	label(%rip), %rax;		\
	cmpq	%rax, RT_RIP + 8 * (vector);	\
	EXPECT(e)

#define EXPECT_DR6(bits)			\
	movl	RT_DR6, %eax;			\
	andl	$0xe00f, %eax;			\
	cmpl	$(bits), %eax;			\
	EXPECT(e)

round_trip_rare:
check_debug_registers:
	outb	%al, $RT_PORT_MARK
	movl	$DR7_ON, %eax
	movq	%rax, %dr7
	movl	RT_COUNT + 4, %ebx

	movl	$0x10, RT_WATCHED			/* the selector of SS, used below */
1:	EXPECT_ONCE_AT(1, 1b)
	EXPECT_DR6(1)

watched_instruction:
	nop
	EXPECT_ONCE_AT(1, watched_instruction)
	EXPECT_DR6(2)

	pushfq
	orl	$0x100, (%rsp)				/* TF */
	popfq
	nop
1:	EXPECT_ONCE_AT(1, 1b)
	EXPECT_DR6(0x4000)

	/* the breakpoint's trap waits in the shadow of MOV SS, and comes behind the next one */
	mov	RT_WATCHED, %ss
	nop
1:	EXPECT_ONCE_AT(1, 1b)
	EXPECT_DR6(1)

	.byte	0xf1					/* INT1 */
1:	EXPECT_ONCE_AT(1, 1b)

	movq	%dr7, %rax
	cmpl	$DR7_ON, %eax
	EXPECT(e)
	movq	%dr6, %rax
	movl	$DR6_NONE, %ecx
	cmpq	%rcx, %rax
	EXPECT(e)
	/* every other turn without, when MOV DR exits */
	testl	$1, RT_TURN
	jz	1f
	movl	$DR7_OFF, %eax
	movq	%rax, %dr7
1:	ret

/* ------------------------------------------------------------------------ exceptions -- */

check_exceptions:
	movl	RT_COUNT + 4 * 3, %ebx
	int3
1:	EXPECT_ONCE_AT(3, 1b)
	movl	RT_COUNT + 4 * 0x50, %ebx
	int	$0x50
1:	EXPECT_ONCE_AT(0x50, 1b)

	movl	RT_COUNT + 4 * 14, %ebx
1:	movl	$0x1234, RT_FAULTING + 8
	EXPECT_ONCE_AT(14, 1b)
	cmpl	$RT_FAULTING + 8, RT_CR2
	EXPECT(e)
	cmpq	$2, RT_ERROR + 8 * 14			/* a write to a page that is not there */
	EXPECT(e)
	call	clear_fault_page
	movq	%cr2, %rax
	cmpl	$RT_FAULTING + 8, %eax
	EXPECT(e)

	movl	RT_COUNT + 4 * 13, %ebx
	leaq	2f(%rip), %rax
	movq	%rax, RT_RESUME
	movabsq	$0x8000000000000000, %rax
1:	movl	(%rax), %ecx
2:	EXPECT_ONCE_AT(13, 1b)
	leaq	2f(%rip), %rax
	movq	%rax, RT_RESUME
	movl	$0x12345, %ecx
1:	rdmsr
2:	EXPECT_ONCE_AT(13, 1b)
	cmpq	$0, RT_ERROR + 8 * 13
	EXPECT(e)

	movl	RT_COUNT + 4 * 6, %ebx
	leaq	2f(%rip), %rax
	movq	%rax, RT_RESUME
1:	ud2
2:	EXPECT_ONCE_AT(6, 1b)

	movl	RT_COUNT, %ebx
	leaq	2f(%rip), %rax
	movq	%rax, RT_RESUME
	xorl	%ecx, %ecx
1:	divl	%ecx
2:	EXPECT_ONCE_AT(0, 1b)

	movl	RT_COUNT + 4 * 7, %ebx
	leaq	2f(%rip), %rax
	movq	%rax, RT_RESUME
	movq	%cr0, %rax
	orl	$8, %eax				/* TS */
	movq	%rax, %cr0
1:	fnop
2:	clts
	EXPECT_ONCE_AT(7, 1b)
	ret

/* User code, a system call from there, and an interrupt back. */
check_user_mode:
	outb	%al, $RT_PORT_MARK
	movl	RT_COUNT + 4 * RT_USER_VECTOR, %ebx
	movq	%rsp, RT_STACK
	leaq	3f(%rip), %rax
	movq	%rax, RT_RESUME
	pushq	$0x2b
	pushq	$RT_USER_STACK
	pushq	$0x202
	pushq	$0x33
	leaq	1f(%rip), %rax
	pushq	%rax
	iretq
1:	xorl	%eax, %eax
	syscall
	cmpl	$0x600d, %eax
	EXPECT(e)
	int	$RT_USER_VECTOR
2:
3:	cli
	movq	RT_GENERAL + 8 * 3, %r11		/* SYSCALL has used it */
	EXPECT_ONCE_AT(RT_USER_VECTOR, 2b)
	movl	%cs, %eax
	cmpl	$8, %eax
	EXPECT(e)
	sti
	ret

syscall_entry:
	movl	$0x600d, %eax
	swapgs
	swapgs
	sysretq

round_trip_rare_end:

/* ------------------------------------------------------------------------- interrupts -- */

/* Interrupts of these vectors came once; at the label, unless the VMM holds them back. */
#define EXPECT_INTERRUPT(vector, label)			\
	incl	%ebp;					\
	cmpl	%ebp, RT_COUNT + 4 * (vector);		\
	EXPECT(e)					\
	decl	%ebp;					\
	cmpl	$0, RT_STEPPED;				\
	jne	78f;					\
	leaq	label(%rip), %rax;			\
	cmpq	%rax, RT_RIP + 8 * (vector);		\
	EXPECT(e)					\
78:

/* While single steps hold interrupts back, the VMM needs not to step for them to come. */
#define WAIT_FOR(vector)				\
	leal	1(%rbp), %eax;				\
79:	cmpl	%eax, RT_COUNT + 4 * (vector);		\
	jb	79b

check_interrupts:
	/* both counts are the same, as each comes once a turn */
	movl	RT_COUNT + 4 * 0x71, %ebp
	cli
	APIC_WRITE(ICR, ICR_SELF | 0x71)
	APIC_WRITE(ICR, ICR_SELF | 0x91)
	movl	$IRR + 0x30, %ecx			/* vectors 60H to 7FH */
	call	apic_read
	testl	$1 << 17, %eax
	EXPECT(nz)
	movl	$IRR + 0x40, %ecx
	call	apic_read
	testl	$1 << 17, %eax
	EXPECT(nz)
	cmpl	%ebp, RT_COUNT + 4 * 0x71
	EXPECT(e)
	sti
	nop						/* in the shadow of STI */
1:	WAIT_FOR(0x91)
	WAIT_FOR(0x71)
	EXPECT_INTERRUPT(0x91, 1b)
	EXPECT_INTERRUPT(0x71, 1b)
	movl	RT_IN_SERVICE, %eax			/* of 71H, which came last */
	cmpl	$1 << 17, %eax
	EXPECT(e)

	/* TPR lets the one through, and then the other */
	movl	RT_COUNT + 4 * 0x72, %ebp
	movl	$8, %eax
	movq	%rax, %cr8
	APIC_WRITE(ICR, ICR_SELF | 0x72)
	APIC_WRITE(ICR, ICR_SELF | 0x92)
	WAIT_FOR(0x92)
	cmpl	%ebp, RT_COUNT + 4 * 0x72
	EXPECT(e)
	movq	%cr8, %rax
	cmpl	$8, %eax
	EXPECT(e)
	xorl	%eax, %eax
	movq	%rax, %cr8
2:	WAIT_FOR(0x72)
	EXPECT_INTERRUPT(0x72, 2b)
	ret

check_nmi:
	movl	RT_COUNT + 4 * 2, %ebp
	incl	%ebp
	movl	$1, RT_NMI_AGAIN
	APIC_WRITE(ICR, ICR_NMI)
	/* the second came in the handler of the first and waited for its IRET */
	WAIT_FOR(2)
	incl	%ebp
	cmpl	%ebp, RT_COUNT + 4 * 2
	EXPECT(e)
	cmpl	$0, RT_NMI_DEPTH
	EXPECT(e)
	ret

/* --------------------------------------------------------------------------- devices -- */

/* ECX: what the next read must give. */
next_read:
	incq	RT_SEQUENCE
	imull	$RT_FACTOR, RT_SEQUENCE, %ecx
	ret

check_devices:
	movq	$-1, %rax
	inb	$RT_PORT_IN, %al
	call	next_read
	cmpb	%cl, %al
	EXPECT(e)
	orq	$0xff, %rax
	cmpq	$-1, %rax
	EXPECT(e)
	inw	$RT_PORT_IN, %ax
	call	next_read
	cmpw	%cx, %ax
	EXPECT(e)
	orq	$0xffff, %rax
	cmpq	$-1, %rax
	EXPECT(e)
	inl	$RT_PORT_IN, %eax
	call	next_read
	cmpq	%rcx, %rax				/* the upper half is zero */
	EXPECT(e)

	incq	RT_SENT
	movl	RT_SENT, %eax
	outl	%eax, $RT_PORT_OUT
	movl	$0x80000000, %ebx
	movl	(%rbx), %eax
	call	next_read
	cmpl	%ecx, %eax
	EXPECT(e)
	incq	RT_SENT
	movl	RT_SENT, %eax
	movl	%eax, (%rbx)

	cld
	leaq	RT_STRING_OUT, %rsi
	movl	$RT_STRING_OUTS, %ecx
	movl	$RT_PORT_STRING_OUT, %edx
	rep outsb
	cmpq	$RT_STRING_OUT + RT_STRING_OUTS, %rsi
	EXPECT(e)
	testq	%rcx, %rcx
	EXPECT(z)
	leaq	RT_STRING_IN, %rdi
	movl	$RT_STRING_INS, %ecx
	movl	$RT_PORT_STRING_IN, %edx
	rep insw
	cmpq	$RT_STRING_IN + 2 * RT_STRING_INS, %rdi
	EXPECT(e)
	leaq	RT_STRING_IN, %rsi
	movl	$RT_STRING_INS, %edi
1:	call	next_read
	cmpw	%cx, (%rsi)
	EXPECT(e)
	addq	$2, %rsi
	decl	%edi
	jnz	1b
	ret

/* ---------------------------------------------------------------------------- timers -- */

/* HLT until vector RT_TIMER_VECTOR has come EBP times in all. */
sleep:
	cli
	cmpl	%ebp, RT_COUNT + 4 * RT_TIMER_VECTOR
	jae	1f
	sti
	hlt
	jmp	sleep
1:	sti
	EXPECT(e)
	ret

check_timers:
	cmpl	$0, RT_HAS_DEADLINE
	je	one_shot
	movl	RT_COUNT + 4 * RT_TIMER_VECTOR, %ebp
	incl	%ebp
	APIC_WRITE(LVT_TIMER, 0x40000 | RT_TIMER_VECTOR)
	mfence
	call	read_tsc
	leaq	RT_DEADLINE_TSC(%rax), %rsi
	movq	%rsi, %rax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	movl	$0x6e0, %ecx
	wrmsr
	call	sleep
	cmpq	%rsi, RT_TSC + 8 * RT_TIMER_VECTOR
	EXPECT(ae)
	movl	$0x6e0, %ecx
	rdmsr
	orl	%edx, %eax
	EXPECT(z)

one_shot:
	movl	RT_COUNT + 4 * RT_TIMER_VECTOR, %ebp
	incl	%ebp
	APIC_WRITE(LVT_TIMER, RT_TIMER_VECTOR)
	call	read_tsc
	movq	%rax, %rsi
	addq	RT_ONE_SHOT_TSC, %rsi
	APIC_WRITE(INITIAL, RT_TIMER_COUNT)
	movl	$RT_TIMER_COUNT, %edi
	movl	$5, %r11d
1:	movl	$CURRENT, %ecx				/* counts down */
	call	apic_read
	cmpl	%edi, %eax
	EXPECT(be)
	movl	%eax, %edi
	decl	%r11d
	jnz	1b
	movq	RT_GENERAL + 8 * 3, %r11
	call	sleep
	cmpq	%rsi, RT_TSC + 8 * RT_TIMER_VECTOR
	EXPECT(ae)
	movl	$CURRENT, %ecx
	call	apic_read
	testl	%eax, %eax
	EXPECT(z)

	/* periodic: the n-th tick is not before n periods are over */
	movl	RT_COUNT + 4 * RT_TIMER_VECTOR, %ebp
	APIC_WRITE(LVT_TIMER, 0x20000 | RT_TIMER_VECTOR)
	call	read_tsc
	movq	%rax, %rsi
	APIC_WRITE(INITIAL, RT_PERIOD_COUNT)
	movl	$3, %edi
1:	addq	RT_PERIOD_TSC, %rsi
	cli
	leal	1(%rbp), %eax
	cmpl	%eax, RT_COUNT + 4 * RT_TIMER_VECTOR
	jae	2f
	sti
	hlt
	cli
2:	sti
	movl	RT_COUNT + 4 * RT_TIMER_VECTOR, %eax
	cmpl	%ebp, %eax
	je	3f					/* another interrupt has ended HLT */
	incl	%ebp
	cmpq	%rsi, RT_TSC + 8 * RT_TIMER_VECTOR
	EXPECT(ae)
	decl	%edi
	jnz	1b
	jmp	4f
3:	subq	RT_PERIOD_TSC, %rsi
	jmp	1b
4:	APIC_WRITE(INITIAL, 0)
	/* one that is pending comes yet, late if single steps hold it back */
5:	movl	$IRR + 0x10 * (RT_TIMER_VECTOR / 32), %ecx
	call	apic_read
	testl	$1 << (RT_TIMER_VECTOR % 32), %eax
	jnz	5b
	movl	RT_COUNT + 4 * RT_TIMER_VECTOR, %ebp
	movl	$CURRENT, %ecx
	call	apic_read
	testl	%eax, %eax
	EXPECT(z)
	cmpl	%ebp, RT_COUNT + 4 * RT_TIMER_VECTOR
	EXPECT(e)
	ret
round_trip_guest_end:

/* ---------------------------------------------------------------------------- handler -- */

/* Under five saved registers: vector, error code, RIP, CS, RFLAGS, RSP, SS. */
#define FRAME(n)	40 + 8 * (n)(%rsp)

round_trip_handler:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rsi
	movl	FRAME(0), %esi
	lock incl RT_COUNT(,%rsi,4)
	movq	FRAME(2), %rax
	movq	%rax, RT_RIP(,%rsi,8)
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, RT_TSC(,%rsi,8)
	cmpl	$32, %esi
	jae	interrupt
	movq	FRAME(1), %rax
	movq	%rax, RT_ERROR(,%rsi,8)
	cmpl	$1, %esi
	je	debug
	cmpl	$2, %esi
	je	nmi
	cmpl	$3, %esi
	je	done
	cmpl	$14, %esi
	je	page_fault
	movq	RT_RESUME, %rax
	movq	%rax, FRAME(2)
done:
	popq	%rsi
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

debug:	movq	%dr6, %rax
	movq	%rax, RT_DR6
	testl	$0x4000, %eax
	jz	1f
	andl	$~0x100, FRAME(4)			/* TF */
1:	testl	$2, %eax
	jz	1f
	orl	$0x10000, FRAME(4)			/* RF */
1:	movl	$DR6_NONE, %eax
	movq	%rax, %dr6
	jmp	done

page_fault:
	movq	%cr2, %rax
	movq	%rax, RT_CR2
	orl	$1, RT_FAULTING_PTE
	jmp	done

round_trip_nmi:
nmi:	incl	RT_NMI_DEPTH
	cmpl	$1, RT_NMI_DEPTH
	jne	2f
	cmpl	$0, RT_NMI_AGAIN
	je	1f
	movl	$0, RT_NMI_AGAIN
	movl	$ICR, %ecx
	movl	$ICR_NMI, %eax
	call	handler_write
	cpuid						/* exits while NMIs are blocked */
	outb	%al, $RT_PORT_MARK
1:	decl	RT_NMI_DEPTH
2:	jmp	done
round_trip_nmi_end:

/* Those of the VMM and the guest's own are ended at the APIC; INT n has nothing to end. */
interrupt:
	cmpl	$0x50, %esi
	je	done
	cmpl	$RT_USER_VECTOR, %esi
	je	user_done
	movl	$ISR + 0x30, %ecx
	cmpl	$0, RT_X2APIC
	je	1f
	shrl	$4, %ecx
	orl	$0x800, %ecx
	rdmsr
	jmp	2f
1:	leal	-0x1200000(%rcx), %ebx
	movl	(%rbx), %eax
2:	movl	%eax, RT_IN_SERVICE
	movl	$EOI, %ecx
	xorl	%eax, %eax
	call	handler_write
	jmp	done

handler_write:
	apic_write_body

user_done:
	popq	%rsi
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	movq	RT_STACK, %rsp
	pushq	RT_RESUME
	/* RBX holds the count again; the stack is the kernel's */
	ret
round_trip_handler_end:

	.section .note.GNU-stack, "", @progbits
