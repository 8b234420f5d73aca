/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests for vhmrun_test.c: real-mode programs of a few instructions, entered at 0000:7c00.
 * They only jump relatively; data is addressed from there with ORIGIN.
 */
	.section .rodata
	.code16
	.set	ORIGIN, 0x7c00
	.set	COM1, 0x3f8
	.set	COM1_LSR, 0x3fd

.macro guest name
	.globl	guest_\name, guest_\name\()_end
guest_\name:
.endm

.macro end name
guest_\name\()_end:
.endm

/* AL to the serial port; changes DX and AH. Reading LSR clears error bits: they collect in BH. */
.macro put
	mov	%al, %ah
	mov	$COM1_LSR, %dx
90:	in	%dx, %al
	or	%al, %bh
	test	$0x20, %al
	jz	90b
	mov	%ah, %al
	mov	$COM1, %dx
	out	%al, %dx
.endm

.macro power_off
	mov	$0x600, %dx
	mov	$0x34, %al		/* S5, sleep enable */
	out	%al, %dx
	hlt
.endm

guest power_off
	power_off
end power_off

guest reset
	mov	$0xcf9, %dx
	mov	$0x06, %al
	out	%al, %dx
	hlt
end reset

guest keyboard_reset
	mov	$0xfe, %al
	out	%al, $0x64
	hlt
end keyboard_reset

guest triple_fault
	lidt	ORIGIN + 1f - guest_triple_fault
	ud2
1:	.word	0
	.long	0
end triple_fault

/* Says "hello" and switches itself off. */
guest hello
	mov	$(ORIGIN + 3f - guest_hello), %si
1:	lodsb
	test	%al, %al
	jz	2f
	put
	jmp	1b
2:	power_off
3:	.asciz	"hello\r\n"
end hello

/* Says "ready", then sends back what it receives, up to a zero byte, which switches it off. */
guest echo
	mov	$0x3fa, %dx
	mov	$1, %al			/* FIFOs on */
	out	%al, %dx
	mov	$(ORIGIN + 3f - guest_echo), %si
1:	lodsb
	test	%al, %al
	jz	6f
	put
	jmp	1b
6:	xor	%bh, %bh
2:	mov	$COM1_LSR, %dx
	in	%dx, %al
	or	%al, %bh
	test	$1, %al
	jz	2b
	mov	$COM1, %dx
	in	%dx, %al
	mov	%bh, %bl
	xor	%bh, %bh
	test	$0x10, %bl		/* a break: send 'B' for it */
	jz	4f
	mov	$'B', %al
4:	test	%al, %al
	jz	5f
	put
	jmp	2b
5:	power_off
3:	.asciz	"ready\r\n"
end echo

/* Counts up in its memory, says the number, one digit, and switches itself off. */
guest count
	incb	0x9000
	mov	0x9000, %al
	add	$'0', %al
	put
	power_off
end count

/* Prints for ever. */
guest flood
1:	mov	$'x', %al
	put
	jmp	1b
end flood

/* Runs for ever with interrupts off. */
guest spin
	cli
1:	jmp	1b
end spin

/* Halts for ever with interrupts off. */
guest halt
	cli
1:	hlt
	jmp	1b
end halt

/*
 * The clock's update interrupt through the I/O APIC: unmasks pin 8 as vector 0x28 for local
 * APIC 0, turns on the local APIC, counts two interrupts, halted in between, and switches
 * itself off. Any other end is a hang. The APICs' pages are reached from real mode with a 4 GiB
 * segment, loaded in protected mode ("unreal mode").
 */
guest clock
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7000, %sp
	/* The vector of the interrupt table. */
	movw	$(ORIGIN + 5f - guest_clock), 0x28 * 4
	movw	%ax, 0x28 * 4 + 2
	lgdtl	ORIGIN + 7f - guest_clock
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	mov	$8, %bx
	mov	%bx, %es
	and	$0xfe, %al
	mov	%eax, %cr0
	/* Spurious-interrupt vector register: enable. */
	mov	$0xfee000f0, %edi
	movl	$0x1ff, %es:(%edi)
	mov	$0xfec00000, %edi
	movl	$0x21, %es:(%edi)
	movl	$0, %es:0x10(%edi)
	movl	$0x20, %es:(%edi)
	movl	$0x28, %es:0x10(%edi)
	mov	$0x0b, %al
	out	%al, $0x70
	mov	$0x12, %al
	out	%al, $0x71
	xor	%cx, %cx
1:	sti
	hlt
	cli
	cmp	$2, %cx
	jb	1b
	power_off
5:	push	%ax
	inc	%cx
	mov	$0x0c, %al
	out	%al, $0x70
	in	$0x71, %al
	mov	$0xfee000b0, %edi
	movl	$0, %es:(%edi)
	pop	%ax
	iret
	.balign	8
6:	.quad	0
	.quad	0x00cf93000000ffff
7:	.word	15
	.long	ORIGIN + 6b - guest_clock
end clock

	.code64
	.section .note.GNU-stack, "", @progbits
