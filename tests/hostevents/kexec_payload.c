// SPDX-License-Identifier: GPL-2.0-only
/*
 * A "new kernel" of a few instructions for kexec: it says on the first serial port that it runs, and
 * resets the machine. The way there writes CR4 without VMXE, which faults in VMX operation (Intel SDM
 * volume 3, 24.8): who arrives, has left it.
 *
 *	kexec_payload load	for "kexec_payload go"
 *	kexec_payload crash	into the memory of crashkernel=, for the next panic
 *	kexec_payload go	the host goes down in order and starts what was loaded
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/kexec.h>
#include <linux/reboot.h>

#define PAGE_BYTES	4096u
#define LOAD_ADDRESS	0x9000000ul	/* memory that any host of the rig has */

extern const uint8_t payload[], payload_end[];
asm(".pushsection .rodata\n"
    "payload:\n"
    "	lea	3f(%rip), %rsi\n"
    "1:	mov	$0x3fd, %edx\n"			/* line status: room for a character */
    "	in	%dx, %al\n"
    "	test	$0x20, %al\n"
    "	jz	1b\n"
    "	lodsb\n"
    "	mov	$0x3f8, %edx\n"
    "	out	%al, %dx\n"
    "	cmpb	$0, (%rsi)\n"
    "	jne	1b\n"
    "	mov	$0xcf9, %edx\n"			/* hard reset */
    "	mov	$2, %al\n"
    "	out	%al, %dx\n"
    "	mov	$6, %al\n"
    "	out	%al, %dx\n"
    "2:	hlt\n"
    "	jmp	2b\n"
    "3:	.asciz	\"\\r\\nkexec: the new kernel runs\\r\\n\"\n"
    "payload_end:\n"
    ".popsection\n");

/* Where /proc/iomem says that crashkernel= has its memory; 0 if nowhere. */
static unsigned long crash_memory(void)
{
	char line[128];
	unsigned long start = 0;
	FILE *file = fopen("/proc/iomem", "re");

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "Crash kernel") && sscanf(line, " %lx-", &start) == 1)
			break;
	if (file)
		fclose(file);
	return start;
}

static int load(unsigned long address, unsigned long flags)
{
	const struct kexec_segment segment = {
		.buf = payload,
		.bufsz = (size_t)(payload_end - payload),
		.mem = (void *)address,
		.memsz = PAGE_BYTES,
	};

	if (!address) {
		fprintf(stderr, "no memory of crashkernel=\n");
		return 1;
	}
	if (syscall(SYS_kexec_load, address, 1ul, &segment, flags | KEXEC_ARCH_X86_64)) {
		fprintf(stderr, "kexec_load: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "load"))
		return load(LOAD_ADDRESS, 0);
	if (!strcmp(what, "crash"))
		return load(crash_memory(), KEXEC_ON_CRASH);
	if (strcmp(what, "go")) {
		fprintf(stderr, "usage: kexec_payload load|crash|go\n");
		return 2;
	}
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	fprintf(stderr, "reboot: %s\n", strerror(errno));
	return 1;
}
