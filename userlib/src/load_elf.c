// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ELF64 vmlinux: by its PVH entry point (Xen: docs/misc/pvh.pandoc, "x86/HVM direct boot
 * ABI") where a note names one, else by the 64-bit one.
 *
 * Segments go to their physical addresses. Everything in the file is checked here; what
 * all formats share is load.c's.
 */
#include "load.h"

#include <elf.h>
#include <string.h>

#define MOST_SEGMENTS		64
#define MOST_NOTE_BYTES		4096u
#define NOTE_PHYS32_ENTRY	18		/* XEN_ELFNOTE_PHYS32_ENTRY */
#define COMMAND_LINE_SIZE	2047		/* of x86 Linux, without the 0 */
#define START_INFO_MAGIC	0x336ec578u
#define PROTOCOL_2_15		0x020f
#define INITRD_ADDRESS_MAX	0x7fffffffull

/* struct hvm_start_info and what it points to, version 1 */
struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules_gpa;
	uint64_t command_line_gpa;
	uint64_t rsdp_gpa;
	uint64_t memory_map_gpa;
	uint32_t memory_map_entries;
	uint32_t reserved;
};

struct start_info_module {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t command_line_gpa;
	uint64_t reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info");
_Static_assert(sizeof(struct vhm_memory_range) == 24, "hvm_memmap_table_entry");
_Static_assert(MOST_RANGES * sizeof(struct vhm_memory_range) <= BOOT_PAGE_TABLES - BOOT_MEMORY_MAP,
	       "boot area");

/**
 * struct elf - an ELF file being loaded
 * @header: its header
 * @segment: its program headers
 * @start: lowest address loaded
 * @end: end of the highest
 * @pvh_entry: PVH entry point, 0 without
 */
struct elf {
	Elf64_Ehdr header;
	Elf64_Phdr segment[MOST_SEGMENTS];
	uint64_t start;
	uint64_t end;
	uint64_t pvh_entry;
};

static int read_headers(const struct load *load, struct elf *elf)
{
	Elf64_Ehdr *header = &elf->header;
	int ret = load_read(load, header, sizeof(*header), 0);

	if (ret)
		return ret;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_version != EV_CURRENT)
		return -ENOEXEC;
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64)
		return -EOPNOTSUPP;
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return -ENOEXEC;
	if (header->e_phentsize != sizeof(Elf64_Phdr) || !header->e_phnum ||
	    header->e_phnum > MOST_SEGMENTS)
		return -ENOEXEC;
	return load_read(load, elf->segment, header->e_phnum * sizeof(Elf64_Phdr),
			 header->e_phoff);
}

/* ----------------------------------------------------------------- notes -- */

static uint64_t align4(uint64_t value)
{
	return (value + 3) & ~3ull;
}

/* One note, if it is the one: its description is a 32-bit or 64-bit address. */
static void look_at_note(struct elf *elf, const Elf64_Nhdr *note, const uint8_t *name,
			 const uint8_t *description)
{
	uint64_t value = 0;

	if (note->n_type != NOTE_PHYS32_ENTRY || note->n_namesz != sizeof("Xen") ||
	    memcmp(name, "Xen", sizeof("Xen")))
		return;
	if (note->n_descsz != sizeof(uint32_t) && note->n_descsz != sizeof(uint64_t))
		return;
	memcpy(&value, description, note->n_descsz);
	elf->pvh_entry = value;
}

static void walk_notes(struct elf *elf, const uint8_t *notes, uint64_t bytes)
{
	while (bytes >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint64_t name_bytes, span;

		memcpy(&note, notes, sizeof(note));
		name_bytes = align4(note.n_namesz);
		span = sizeof(note) + name_bytes + align4(note.n_descsz);
		if (span > bytes)
			return;
		look_at_note(elf, &note, notes + sizeof(note), notes + sizeof(note) + name_bytes);
		notes += span;
		bytes -= span;
	}
}

static int read_notes(const struct load *load, struct elf *elf, const Elf64_Phdr *segment)
{
	/* A kernel's notes are a few hundred bytes; none of interest lies far behind. */
	uint8_t notes[MOST_NOTE_BYTES];
	uint64_t bytes = min_u64(segment->p_filesz, sizeof(notes));
	int ret = load_read(load, notes, bytes, segment->p_offset);

	if (!ret)
		walk_notes(elf, notes, bytes);
	return ret;
}

/* -------------------------------------------------------------- segments -- */

static int load_segment(const struct load *load, struct elf *elf, const Elf64_Phdr *segment)
{
	uint64_t gpa = segment->p_paddr;
	int ret;

	if (!segment->p_memsz)
		return 0;
	if (segment->p_filesz > segment->p_memsz || range_wraps(gpa, segment->p_memsz) ||
	    segment->p_offset > load->kernel_bytes ||
	    segment->p_filesz > load->kernel_bytes - segment->p_offset)
		return -ENOEXEC;
	if (!load_fits(load, gpa, segment->p_memsz))
		return -ENOMEM;
	ret = vhm_memory_load(load->vm, load->boot->kernel_fd, segment->p_offset, gpa,
			      segment->p_filesz);
	if (!ret)
		ret = vhm_vm_fill(load->vm, gpa + segment->p_filesz, 0,
				  segment->p_memsz - segment->p_filesz);
	if (gpa < elf->start)
		elf->start = gpa;
	if (gpa + segment->p_memsz > elf->end)
		elf->end = gpa + segment->p_memsz;
	return ret;
}

static int load_segments(const struct load *load, struct elf *elf)
{
	unsigned int i;
	int ret = 0;

	elf->start = UINT64_MAX;
	for (i = 0; !ret && i < elf->header.e_phnum; i++) {
		if (elf->segment[i].p_type == PT_LOAD)
			ret = load_segment(load, elf, &elf->segment[i]);
		else if (elf->segment[i].p_type == PT_NOTE)
			ret = read_notes(load, elf, &elf->segment[i]);
	}
	if (!ret && elf->start >= elf->end)
		ret = -ENOEXEC;
	return ret;
}

/* Is an entry point in one of the loaded segments? */
static bool is_loaded(const struct elf *elf, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < elf->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &elf->segment[i];

		if (segment->p_type == PT_LOAD && gpa >= segment->p_paddr &&
		    gpa - segment->p_paddr < segment->p_memsz)
			return true;
	}
	return false;
}

/* ----------------------------------------------------------- entry points -- */

static int enter_pvh(struct load *load, const struct elf *elf, struct vhm_entry *entry)
{
	uint64_t info_gpa = load->area + BOOT_START_INFO;
	struct start_info_module module = {
		.gpa = load->initrd_gpa, .bytes = load->initrd_bytes,
	};
	struct start_info info = {
		.magic = START_INFO_MAGIC,
		.version = 1,
		.module_count = load->initrd_bytes ? 1 : 0,
		.modules_gpa = load->initrd_bytes ? info_gpa + sizeof(info) : 0,
		.command_line_gpa = load->command_line_gpa,
		.rsdp_gpa = load->boot->rsdp_gpa,
		.memory_map_gpa = load->area + BOOT_MEMORY_MAP,
		.memory_map_entries = load->range_count,
	};
	int ret = vhm_vm_write(load->vm, info_gpa, &info, sizeof(info));

	if (!ret)
		ret = vhm_vm_write(load->vm, info_gpa + sizeof(info), &module, sizeof(module));
	/* struct vhm_memory_range has the layout and the types of an entry of the map. */
	if (!ret)
		ret = vhm_vm_write(load->vm, info.memory_map_gpa, load->range,
				   load->range_count * sizeof(load->range[0]));
	if (ret)
		return ret;
	*entry = (struct vhm_entry){
		.mode = VHM_ENTRY_PROTECTED,
		.rip = elf->pvh_entry,
		.rsp = load->area + BOOT_STACK_TOP,
		.rbx = info_gpa,
	};
	return load_gdt(load->vm, load->area, entry);
}

/* The kernel has no setup header here: what it would say about itself is filled in. */
static int enter_64(struct load *load, const struct elf *elf, struct vhm_entry *entry)
{
	struct boot_params params;
	int ret;

	memset(&params, 0, sizeof(params));
	params.hdr.boot_flag = 0xaa55;
	params.hdr.header = 0x53726448;
	params.hdr.version = PROTOCOL_2_15;
	params.hdr.loadflags = LOADED_HIGH;
	params.hdr.xloadflags = XLF_KERNEL_64;
	params.hdr.initrd_addr_max = (uint32_t)INITRD_ADDRESS_MAX;
	params.hdr.cmdline_size = COMMAND_LINE_SIZE;
	ret = load_boot_params(load, &params);
	return ret ? ret : load_enter_linux64(load, elf->header.e_entry, entry);
}

int load_elf(struct load *load, struct vhm_entry *entry)
{
	struct elf elf = { .pvh_entry = 0 };
	uint64_t rip;
	int ret = read_headers(load, &elf);

	if (!ret)
		ret = load_segments(load, &elf);
	if (ret)
		return ret;
	rip = elf.pvh_entry ? elf.pvh_entry : elf.header.e_entry;
	if (!is_loaded(&elf, rip) || rip >= FOUR_GIB)
		return -ENOEXEC;
	ret = load_command_line(load, COMMAND_LINE_SIZE);
	if (!ret)
		ret = load_initrd(load, INITRD_ADDRESS_MAX + 1, elf.start, elf.end - elf.start);
	if (ret)
		return ret;
	if (elf.pvh_entry)
		return enter_pvh(load, &elf, entry);
	return enter_64(load, &elf, entry);
}
