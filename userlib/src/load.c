// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Loading a kernel: memory map, placement, command line, initrd, boot_params.
 *
 * The formats are load_bzimage.c's and load_elf.c's, processor state is boot.c's. Files are
 * read straight into guest memory. No locks beyond those of memory.c; the guest does not
 * run yet.
 */
#include "load.h"

#include <string.h>

#define VIDEO_START		0xa0000ull
#define ELF_MAGIC		"\177ELF"
#define BOOT_LOADER_UNDEFINED	0xff		/* no number of ours is registered */
#define VIDEO_MODE_NORMAL	0xffff

/* ------------------------------------------------------------ memory map -- */

static int add_range(struct load *load, uint64_t start, uint64_t end, uint32_t type)
{
	struct vhm_memory_range *last = NULL;

	if (start >= end)
		return 0;
	if (load->range_count)
		last = &load->range[load->range_count - 1];
	/* Neighbouring slots are one range: a kernel may lie across them. */
	if (last && last->gpa + last->bytes == start && last->type == type) {
		last->bytes += end - start;
		return 0;
	}
	if (load->range_count == MOST_RANGES)
		return -EINVAL;
	load->range[load->range_count++] = (struct vhm_memory_range){
		.gpa = start, .bytes = end - start, .type = type,
	};
	return 0;
}

/* RAM at every slot, without the PC's hole for video memory and firmware. */
static int ranges_from_slots(struct load *load)
{
	struct vhm_memory_range slot;
	uint64_t next = 0;
	int ret;

	while (!vhm_vm_next_memory(load->vm, next, &slot)) {
		uint64_t end = slot.gpa + slot.bytes;

		ret = 0;
		if (slot.type == VHM_MEMORY_RAM)
			ret = add_range(load, slot.gpa, min_u64(end, VIDEO_START), slot.type);
		if (!ret && slot.type == VHM_MEMORY_RAM)
			ret = add_range(load, slot.gpa > ONE_MIB ? slot.gpa : ONE_MIB, end,
					slot.type);
		if (ret)
			return ret;
		if (!end)
			break;
		next = end;
	}
	return 0;
}

static int ranges_from_caller(struct load *load)
{
	uint32_t i;

	if (load->boot->range_count > MOST_RANGES)
		return -EINVAL;
	for (i = 0; i < load->boot->range_count; i++) {
		const struct vhm_memory_range *range = &load->boot->ranges[i];

		if (!range->bytes || range_wraps(range->gpa, range->bytes) || range->reserved)
			return -EINVAL;
		load->range[i] = *range;
	}
	load->range_count = load->boot->range_count;
	return 0;
}

static bool inside(uint64_t gpa, uint64_t bytes, const struct vhm_memory_range *range)
{
	return gpa >= range->gpa && bytes <= range->bytes &&
	       gpa - range->gpa <= range->bytes - bytes;
}

/* Ranges of another type take precedence over RAM that they overlap. */
static bool is_usable(const struct load *load, uint64_t gpa, uint64_t bytes)
{
	bool usable = false;
	uint32_t i;

	for (i = 0; i < load->range_count; i++) {
		const struct vhm_memory_range *range = &load->range[i];

		if (range->type == VHM_MEMORY_RAM)
			usable |= inside(gpa, bytes, range);
		else if (ranges_overlap(gpa, bytes, range->gpa, range->bytes))
			return false;
	}
	return usable;
}

bool load_fits(const struct load *load, uint64_t gpa, uint64_t bytes)
{
	return !range_wraps(gpa, bytes) && is_usable(load, gpa, bytes) &&
	       !ranges_overlap(gpa, bytes, load->area, VHM_BOOT_AREA_BYTES);
}

/* alignment is a power of two; the result may wrap to 0, which no caller takes for a place */
static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

int load_find_low(const struct load *load, uint64_t from, uint64_t bytes, uint64_t alignment,
		  uint64_t *gpa)
{
	uint64_t best = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < load->range_count; i++) {
		uint64_t start = load->range[i].gpa > from ? load->range[i].gpa : from;
		uint64_t place = align_up(start, alignment);

		if (place >= start && place < best && load_fits(load, place, bytes))
			best = place;
	}
	if (best == UINT64_MAX)
		return -ENOMEM;
	*gpa = best;
	return 0;
}

/* Highest page-aligned place that ends at or below the start or end of something. */
static int find_high(const struct load *load, uint64_t end, uint64_t bytes,
		     const struct vhm_memory_range *taken, uint64_t *gpa)
{
	uint64_t best = 0;
	uint32_t i;

	for (i = 0; i <= 2 * load->range_count + 1; i++) {
		const struct vhm_memory_range *range = &load->range[i / 2];
		uint64_t top = end, place;

		if (i == 2 * load->range_count)
			top = taken->gpa;
		else if (i < 2 * load->range_count)
			top = i & 1 ? range->gpa : range->gpa + range->bytes;
		top = min_u64(top, end);
		if (top < bytes)
			continue;
		place = (top - bytes) & ~PAGE_OFFSET_MASK;
		if (place > best && load_fits(load, place, bytes) &&
		    !ranges_overlap(place, bytes, taken->gpa, taken->bytes))
			best = place;
	}
	*gpa = best;
	return best ? 0 : -ENOMEM;
}

/* ----------------------------------------------------------------- parts -- */

int load_begin(struct load *load, struct vhm_vm *vm, const struct vhm_boot *boot)
{
	int ret;

	memset(load, 0, sizeof(*load));
	load->vm = vm;
	load->boot = boot;
	load->area = boot->boot_area_gpa ? boot->boot_area_gpa : VHM_BOOT_AREA_GPA;
	if (load->area & PAGE_OFFSET_MASK || load->area + VHM_BOOT_AREA_BYTES > ONE_MIB)
		return -EINVAL;
	ret = vhm_sys_file_bytes(boot->kernel_fd, &load->kernel_bytes);
	if (ret)
		return ret;
	ret = boot->ranges ? ranges_from_caller(load) : ranges_from_slots(load);
	if (ret)
		return ret;
	/* What is used of it is written; the rest is not touched, so that the host need not give it. */
	return is_usable(load, load->area, VHM_BOOT_AREA_BYTES) ? 0 : -ENOMEM;
}

int load_read(const struct load *load, void *buffer, size_t bytes, uint64_t offset)
{
	if (offset > load->kernel_bytes || bytes > load->kernel_bytes - offset)
		return -ENOEXEC;
	return vhm_sys_read_at(load->boot->kernel_fd, buffer, bytes, offset);
}

int load_command_line(struct load *load, uint64_t most_bytes)
{
	const char *text = load->boot->command_line ? load->boot->command_line : "";
	uint64_t bytes = strnlen(text, MOST_COMMAND_LINE_BYTES);

	if (bytes >= MOST_COMMAND_LINE_BYTES || bytes > most_bytes)
		return -E2BIG;
	load->command_line_gpa = load->area + BOOT_COMMAND_LINE;
	if (bytes < PAGE_BYTES - BOOT_SHORT_COMMAND_LINE)
		load->command_line_gpa = load->area + BOOT_SHORT_COMMAND_LINE;
	load->command_line_bytes = bytes + 1;
	return vhm_vm_write(load->vm, load->command_line_gpa, text, bytes + 1);
}

int load_initrd(struct load *load, uint64_t end, uint64_t kernel_gpa, uint64_t kernel_bytes)
{
	struct vhm_memory_range kernel = { .gpa = kernel_gpa, .bytes = kernel_bytes };
	int fd = load->boot->initrd_fd;
	uint64_t bytes;
	int ret;

	if (fd < 0)
		return 0;
	ret = vhm_sys_file_bytes(fd, &bytes);
	if (ret || !bytes)
		return ret;
	if (bytes > FOUR_GIB)
		return -ENOMEM;
	ret = find_high(load, min_u64(end, FOUR_GIB), bytes, &kernel, &load->initrd_gpa);
	if (ret)
		return ret;
	load->initrd_bytes = bytes;
	return vhm_memory_load(load->vm, fd, 0, load->initrd_gpa, bytes);
}

int load_boot_params(struct load *load, struct boot_params *params)
{
	uint32_t i;

	params->acpi_rsdp_addr = load->boot->rsdp_gpa;
	params->hdr.type_of_loader = BOOT_LOADER_UNDEFINED;
	params->hdr.vid_mode = VIDEO_MODE_NORMAL;
	params->hdr.cmd_line_ptr = (uint32_t)load->command_line_gpa;
	params->hdr.ramdisk_image = (uint32_t)load->initrd_gpa;
	params->hdr.ramdisk_size = (uint32_t)load->initrd_bytes;
	params->ext_ramdisk_image = load->initrd_gpa >> 32;
	params->ext_ramdisk_size = load->initrd_bytes >> 32;
	params->e820_entries = (uint8_t)load->range_count;
	for (i = 0; i < load->range_count; i++) {
		params->e820_table[i].addr = load->range[i].gpa;
		params->e820_table[i].size = load->range[i].bytes;
		params->e820_table[i].type = load->range[i].type;
	}
	return vhm_vm_write(load->vm, load->area + BOOT_PARAMS, params, sizeof(*params));
}

int load_enter_linux64(const struct load *load, uint64_t rip, struct vhm_entry *entry)
{
	*entry = (struct vhm_entry){
		.mode = VHM_ENTRY_LONG,
		.rip = rip,
		.rsp = load->area + BOOT_STACK_TOP,
		.rsi = load->area + BOOT_PARAMS,
	};
	return vhm_write_boot_tables(load->vm, load->area, entry);
}

/* ----------------------------------------------------------- entry points -- */

EXPORT int vhm_load_elf(struct vhm_vm *vm, const struct vhm_boot *boot, struct vhm_entry *entry)
{
	struct load load;
	int ret = load_begin(&load, vm, boot);

	return ret ? ret : load_elf(&load, entry);
}

EXPORT int vhm_load_bzimage(struct vhm_vm *vm, const struct vhm_boot *boot,
			    struct vhm_entry *entry)
{
	struct load load;
	int ret = load_begin(&load, vm, boot);

	return ret ? ret : load_bzimage(&load, entry);
}

EXPORT int vhm_load_linux(struct vhm_vm *vm, const struct vhm_boot *boot,
			  struct vhm_entry *entry)
{
	struct load load;
	char magic[4];
	int ret = load_begin(&load, vm, boot);

	if (!ret)
		ret = load_read(&load, magic, sizeof(magic), 0);
	if (ret)
		return ret;
	if (!memcmp(magic, ELF_MAGIC, sizeof(magic)))
		return load_elf(&load, entry);
	return load_bzimage(&load, entry);
}

EXPORT int vhm_load_flat(struct vhm_vm *vm, int fd, uint64_t gpa, uint64_t *bytes)
{
	uint64_t file_bytes;
	int ret = vhm_sys_file_bytes(fd, &file_bytes);

	if (ret)
		return ret;
	if (!file_bytes)
		return -ENOEXEC;
	ret = vhm_memory_load(vm, fd, 0, gpa, file_bytes);
	if (ret == -EFAULT)
		return -ENOMEM;
	if (!ret && bytes)
		*bytes = file_bytes;
	return ret;
}
