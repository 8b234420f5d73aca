/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the loaders share: the boot area, the memory map, initrd and command line.
 *
 * A loader reads files that may be damaged or hostile: every offset and size is checked
 * against the file and against guest memory before it is used.
 */
#ifndef VHM_LOAD_H
#define VHM_LOAD_H

#include <asm/bootparam.h>

#include "internal.h"

/* Offsets in the boot area */
#define BOOT_GDT		0x00000
#define BOOT_SHORT_COMMAND_LINE	0x00100		/* to the end of the page */
#define BOOT_PARAMS		0x01000
#define BOOT_START_INFO		0x02000
#define BOOT_MEMORY_MAP		0x02100		/* to the end of the page */
#define BOOT_PAGE_TABLES	0x04000		/* PML4, PDPT, 4 page directories */
#define BOOT_STACK_TOP		0x10000
#define BOOT_COMMAND_LINE	0x10000

#define MOST_COMMAND_LINE_BYTES	0x10000		/* with the 0 */
#define MOST_RANGES		E820_MAX_ENTRIES_ZEROPAGE

#define FOUR_GIB		(1ull << 32)
#define ONE_MIB			(1ull << 20)

/**
 * struct load - one kernel being loaded
 * @vm: the VM
 * @boot: what the caller wants
 * @area: address of the boot area
 * @kernel_bytes: size of the kernel's file
 * @range: memory map, sorted by the caller's order
 * @range_count: entries of @range
 * @command_line_gpa: where the command line went
 * @command_line_bytes: with its 0
 * @initrd_gpa: where the initrd went
 * @initrd_bytes: its size, 0 without
 */
struct load {
	struct vhm_vm *vm;
	const struct vhm_boot *boot;
	uint64_t area;
	uint64_t kernel_bytes;
	struct vhm_memory_range range[MOST_RANGES];
	uint32_t range_count;
	uint64_t command_line_gpa;
	uint64_t command_line_bytes;
	uint64_t initrd_gpa;
	uint64_t initrd_bytes;
};

/* Checks the arguments, finds the memory map and the file's size. */
int load_begin(struct load *load, struct vhm_vm *vm, const struct vhm_boot *boot);
/* @most_bytes: what the kernel takes, without the 0 */
int load_command_line(struct load *load, uint64_t most_bytes);
/* As high as possible below @end, outside of [@kernel_gpa, + @kernel_bytes). */
int load_initrd(struct load *load, uint64_t end, uint64_t kernel_gpa, uint64_t kernel_bytes);
/* Is the whole range usable memory outside of the boot area? */
bool load_fits(const struct load *load, uint64_t gpa, uint64_t bytes);
/* Lowest aligned place of @bytes at or above @from, or -ENOMEM. */
int load_find_low(const struct load *load, uint64_t from, uint64_t bytes, uint64_t alignment,
		  uint64_t *gpa);
/* Read a part of the kernel's file; a part beyond its end is -ENOEXEC. */
int load_read(const struct load *load, void *buffer, size_t bytes, uint64_t offset);
/* The fields of boot_params that do not come from the image, and the struct to its place. */
int load_boot_params(struct load *load, struct boot_params *params);
/* The GDT alone, for an entry point without paging */
int load_gdt(struct vhm_vm *vm, uint64_t boot_area_gpa, struct vhm_entry *entry);
/* Registers and tables for the 64-bit entry point of Linux. */
int load_enter_linux64(const struct load *load, uint64_t rip, struct vhm_entry *entry);

int load_elf(struct load *load, struct vhm_entry *entry);
int load_bzimage(struct load *load, struct vhm_entry *entry);

#endif /* VHM_LOAD_H */
