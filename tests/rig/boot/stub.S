/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot block of the emulated host: loads a kernel that is already decompressed.
 *
 * A distribution's own path (BIOS, boot loader, decompressor) takes a minute in an emulator.
 * This takes a second: the BIOS reads 16 sectors, these read kernel and initramfs with plain
 * ATA PIO to their final place and enter the kernel's 64-bit entry point ("64-bit boot" of
 * the Linux/x86 boot protocol).
 *
 * Owns the machine until the jump. Knows nothing of file systems, and needs every payload
 * below 4 GiB. boot/disk.py fills in what lies behind the code:
 *
 *	0x7c00	code
 *	0x7f9c	u32 entry point, physical
 *	0x7fa0	payloads {u32 first sector, u32 sectors, u32 physical address}, ended by sectors = 0
 *	0x8000	struct boot_params, but for the memory map, which only the BIOS knows
 *	0x9000	command line, 2 KiB
 *
 * On the first serial port "B" says that this code runs, "K" that the payloads are loaded, "!"
 * that the BIOS could not read the disk, "?" that the disk reported an error.
 */
	.set	ENTRY, 0x7f9c
	.set	PAYLOADS, 0x7fa0
	.set	BOOT_PARAMS, 0x8000
	.set	E820_COUNT, BOOT_PARAMS + 0x1e8
	.set	E820_TABLE, BOOT_PARAMS + 0x2d0
	.set	E820_TABLE_END, E820_TABLE + 128 * 20
	.set	PAGE_TABLES, 0x10000	/* PML4, PDPT, four page directories */
	.set	COM1, 0x3f8
	.set	ATA, 0x1f0

	.text
	.code16
	.globl _start
_start:
	cli
	ljmp	$0, $real_mode
real_mode:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld

	/* The rest of the boot block; DL is the drive, as the BIOS handed it over. */
	movw	$disk_packet, %si
	movb	$0x42, %ah
	int	$0x13
	jc	bios_error

	/* INT 15h, E820h: the memory map, one entry a call. */
	xorl	%ebx, %ebx
	movw	$E820_TABLE, %di
next_e820:
	movl	$0xe820, %eax
	movl	$0x534d4150, %edx	/* "SMAP" */
	movl	$20, %ecx
	int	$0x15
	jc	e820_done
	incb	E820_COUNT
	addw	$20, %di
	cmpw	$E820_TABLE_END, %di
	jae	e820_done
	testl	%ebx, %ebx
	jnz	next_e820
e820_done:
	cli
	inb	$0x92, %al		/* A20 on */
	orb	$2, %al
	outb	%al, $0x92
	lgdt	gdt_pointer
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmp	$0x08, $protected_mode

bios_error:
	movb	$'!', %al
	movw	$COM1, %dx
	outb	%al, %dx
halt16:
	hlt
	jmp	halt16

	.balign 4
disk_packet:
	.byte	16, 0
	.word	15, 0x7e00, 0
	.quad	1
	.balign 8
gdt:
	.quad	0
	.quad	0x00cf9a000000ffff	/* 0x08: 32-bit code */
	.quad	0x00af9a000000ffff	/* 0x10: 64-bit code, the kernel's __BOOT_CS */
	.quad	0x00cf92000000ffff	/* 0x18: data, the kernel's __BOOT_DS */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.long	gdt
	.org	0x1fe
	.word	0xaa55

	.code32
protected_mode:
	movw	$0x18, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x7c00, %esp
	movw	$COM1 + 3, %dx		/* 8N1: out of reset it is 5 data bits */
	movb	$3, %al
	outb	%al, %dx
	movw	$0x0a42, %ax		/* "B\n" */
	call	print_two
	movw	$ATA + 0x206, %dx	/* nIEN: the disk is polled */
	movb	$2, %al
	outb	%al, %dx
	movl	$PAYLOADS, %esi

next_payload:
	movl	0(%esi), %ebx		/* next sector */
	movl	4(%esi), %ebp		/* sectors left */
	movl	8(%esi), %edi		/* where to */
	addl	$12, %esi
	testl	%ebp, %ebp
	jz	loaded
next_command:
	movl	$256, %ecx		/* one command reads up to 256 sectors */
	cmpl	%ecx, %ebp
	cmovbl	%ebp, %ecx
	call	wait_not_busy
	movw	$ATA + 2, %dx
	movb	%cl, %al		/* the device takes 0 for 256 */
	outb	%al, %dx
	incl	%edx
	movb	%bl, %al		/* LBA, bits 7:0 */
	outb	%al, %dx
	incl	%edx
	movb	%bh, %al
	outb	%al, %dx
	incl	%edx
	movl	%ebx, %eax
	shrl	$16, %eax
	outb	%al, %dx
	incl	%edx
	movb	%ah, %al
	orb	$0xe0, %al		/* LBA mode, drive 0, bits 27:24 */
	outb	%al, %dx
	incl	%edx
	movb	$0x20, %al		/* READ SECTORS */
	outb	%al, %dx
	addl	%ecx, %ebx
	subl	%ecx, %ebp
next_sector:
	pushl	%ecx
wait_data:
	call	wait_not_busy
	testb	$0x01, %al		/* ERR */
	jnz	disk_error
	testb	$0x08, %al		/* DRQ */
	jz	wait_data
	movw	$ATA, %dx
	movl	$256, %ecx
	rep insw			/* the emulator moves it in bulk */
	popl	%ecx
	loop	next_sector
	testl	%ebp, %ebp
	jnz	next_command
	jmp	next_payload

/* AL, then AH, to the serial port; the pause lets the first one leave. */
print_two:
	movw	$COM1, %dx
	outb	%al, %dx
	movl	$60000, %ecx
print_pause:
	loop	print_pause
	movb	%ah, %al
	outb	%al, %dx
	ret

wait_not_busy:
	movw	$ATA + 7, %dx
still_busy:
	inb	%dx, %al
	testb	$0x80, %al
	jnz	still_busy
	ret

disk_error:
	movw	$COM1, %dx
	movb	$'?', %al
	outb	%al, %dx
halt32:
	hlt
	jmp	halt32

loaded:
	movw	$0x0a4b, %ax		/* "K\n" */
	call	print_two
	/* Identity map of 4 GiB in 2 MiB pages, as the boot protocol asks. */
	movl	$PAGE_TABLES, %edi
	movl	$6 * 1024, %ecx
	xorl	%eax, %eax
	rep stosl
	movl	$PAGE_TABLES + 0x1003, PAGE_TABLES
	movl	$PAGE_TABLES + 0x2003, PAGE_TABLES + 0x1000
	movl	$PAGE_TABLES + 0x3003, PAGE_TABLES + 0x1008
	movl	$PAGE_TABLES + 0x4003, PAGE_TABLES + 0x1010
	movl	$PAGE_TABLES + 0x5003, PAGE_TABLES + 0x1018
	movl	$PAGE_TABLES + 0x2000, %edi
	movl	$0x83, %eax		/* present, writable, large */
	movl	$2048, %ecx
next_page:
	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	next_page
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$PAGE_TABLES, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax	/* PG */
	movl	%eax, %cr0
	ljmp	$0x10, $long_mode

	.code64
long_mode:
	movl	$BOOT_PARAMS, %esi
	movl	ENTRY, %eax
	prefetchnta 0x56480010		/* COUNT_MARK_BEGIN (bochs/count/counters.h): a kernel starts */
	jmp	*%rax
	.org	ENTRY - 0x7c00
