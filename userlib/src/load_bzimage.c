// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * bzImage with a 64-bit entry point (Linux: Documentation/x86/boot.rst, "64-bit Boot
 * Protocol").
 *
 * Everything in the setup header comes from the file and is checked here. What all formats
 * share is load.c's.
 */
#include "load.h"

#include <stddef.h>
#include <string.h>

#define SECTOR_BYTES		512u
#define HEADER_OFFSET		0x1f1u
#define HEADER_END_LIMIT	0x290u		/* what boot_params has room for */
#define HEADER_END_BYTE		0x201u		/* header ends this value behind 0x202 */
#define BOOT_FLAG		0xaa55
#define HEADER_MAGIC		0x53726448u	/* "HdrS" */
#define PROTOCOL_2_12		0x020c
#define DEFAULT_SETUP_SECTORS	4
#define ENTRY_64_OFFSET		0x200u

_Static_assert(offsetof(struct boot_params, hdr) == HEADER_OFFSET, "boot_params");
_Static_assert(sizeof(struct boot_params) == PAGE_BYTES, "boot_params");

/* The header as far as this kernel has one; the rest of @params stays zero. */
static int read_header(const struct load *load, struct boot_params *params)
{
	uint8_t start[HEADER_END_LIMIT];
	uint32_t end;
	int ret = load_read(load, start, sizeof(start), 0);

	if (ret)
		return ret;
	memset(params, 0, sizeof(*params));
	end = 0x202u + start[HEADER_END_BYTE];
	if (end > HEADER_END_LIMIT)
		return -ENOEXEC;
	if (end > HEADER_OFFSET + sizeof(params->hdr))
		end = HEADER_OFFSET + sizeof(params->hdr);
	memcpy(&params->hdr, start + HEADER_OFFSET, end - HEADER_OFFSET);
	return 0;
}

static int check_header(const struct setup_header *header)
{
	if (header->boot_flag != BOOT_FLAG || header->header != HEADER_MAGIC)
		return -ENOEXEC;
	if (header->version < PROTOCOL_2_12 || !(header->loadflags & LOADED_HIGH) ||
	    !(header->xloadflags & XLF_KERNEL_64))
		return -EOPNOTSUPP;
	if (!header->syssize || !header->init_size)
		return -ENOEXEC;
	if (header->relocatable_kernel &&
	    (header->kernel_alignment < PAGE_BYTES ||
	     header->kernel_alignment & (header->kernel_alignment - 1)))
		return -ENOEXEC;
	return 0;
}

/* Where the kernel goes: where it likes to be, else where there is room for a relocatable one. */
static int place(const struct load *load, const struct setup_header *header, uint64_t bytes,
		 uint64_t *gpa)
{
	*gpa = header->pref_address;
	if (header->pref_address >= ONE_MIB && load_fits(load, *gpa, bytes) &&
	    *gpa + bytes <= FOUR_GIB)
		return 0;
	if (!header->relocatable_kernel)
		return -ENOMEM;
	if (load_find_low(load, ONE_MIB, bytes, header->kernel_alignment, gpa) ||
	    *gpa + bytes > FOUR_GIB)
		return -ENOMEM;
	return 0;
}

int load_bzimage(struct load *load, struct vhm_entry *entry)
{
	struct boot_params params;
	struct setup_header *header = &params.hdr;
	uint64_t offset, file_bytes, room_bytes, gpa;
	int ret = read_header(load, &params);

	if (!ret)
		ret = check_header(header);
	if (ret)
		return ret;
	offset = (header->setup_sects ? header->setup_sects : DEFAULT_SETUP_SECTORS) + 1u;
	offset *= SECTOR_BYTES;
	file_bytes = 16ull * header->syssize;
	if (offset > load->kernel_bytes || file_bytes > load->kernel_bytes - offset ||
	    file_bytes <= ENTRY_64_OFFSET)
		return -ENOEXEC;
	room_bytes = header->init_size > file_bytes ? header->init_size : file_bytes;
	ret = place(load, header, room_bytes, &gpa);
	if (!ret)
		ret = vhm_memory_load(load->vm, load->boot->kernel_fd, offset, gpa, file_bytes);
	if (!ret)
		ret = load_command_line(load, header->cmdline_size);
	if (!ret)
		ret = load_initrd(load, header->initrd_addr_max + 1ull, gpa, room_bytes);
	if (ret)
		return ret;
	header->code32_start = (uint32_t)gpa;
	ret = load_boot_params(load, &params);
	return ret ? ret : load_enter_linux64(load, gpa + ENTRY_64_OFFSET, entry);
}
