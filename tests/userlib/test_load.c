// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaders: small images built here, then every byte of their headers changed, and every
 * length cut. A loader may refuse or load, but never touch what it must not.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "test.h"

#define PAGE		4096u
#define MIB		(1u << 20)
#define MEMORY_BYTES	(32 * MIB)
#define AREA		VHM_BOOT_AREA_GPA
#define PARAMS_GPA	(AREA + 0x1000)
#define START_INFO_GPA	(AREA + 0x2000)
#define COMMAND_LINE	"console=ttyS0 quiet"

static int file_of(const void *data, size_t bytes)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes) {
		printf("cannot make a file\n");
		exit(2);
	}
	return fd;
}

/* --------------------------------------------------------------- bzImage -- */

#define SETUP_SECTORS	2
#define CODE_OFFSET	((SETUP_SECTORS + 1) * 512)
#define CODE_BYTES	0x800
#define BZIMAGE_BYTES	(CODE_OFFSET + CODE_BYTES)
#define HEADER_OFFSET	0x1f1

static void build_bzimage(uint8_t image[BZIMAGE_BYTES])
{
	struct setup_header header = {
		.setup_sects = SETUP_SECTORS,
		.syssize = CODE_BYTES / 16,
		.boot_flag = 0xaa55,
		.jump = 0xeb | (0x26c - 0x202) << 8,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = 0x1000000,
		.init_size = 0x400000,
	};
	unsigned int i;

	memset(image, 0, BZIMAGE_BYTES);
	memcpy(image + HEADER_OFFSET, &header, sizeof(header));
	for (i = 0; i < CODE_BYTES; i++)
		image[CODE_OFFSET + i] = (uint8_t)(i * 7 + 1);
}

static int load(struct vhm_vm *vm, const void *image, size_t bytes, struct vhm_boot *boot,
		struct vhm_entry *entry)
{
	int ret;

	boot->kernel_fd = file_of(image, bytes);
	ret = vhm_load_linux(vm, boot, entry);
	close(boot->kernel_fd);
	return ret;
}

static struct vhm_boot default_boot(void)
{
	return (struct vhm_boot){ .initrd_fd = -1, .command_line = COMMAND_LINE };
}

static void create(struct test_vm *test)
{
	test_vm_create(test);
	vhm_vm_add_memory(test->vm, 0, MEMORY_BYTES, 0, NULL);
}

static void check_e820(const struct boot_params *params)
{
	CHECK_EQ(params->e820_entries, 2);
	CHECK_EQ(params->e820_table[0].addr, 0);
	CHECK_EQ(params->e820_table[0].size, 0xa0000);
	CHECK_EQ(params->e820_table[0].type, 1);
	CHECK_EQ(params->e820_table[1].addr, MIB);
	CHECK_EQ(params->e820_table[1].size, MEMORY_BYTES - MIB);
}

static void bzimage(void)
{
	static const char initrd[] = "I am an initrd of no particular size";
	struct vhm_boot boot = default_boot();
	uint8_t image[BZIMAGE_BYTES];
	const struct boot_params *params;
	struct vhm_entry entry;
	struct test_vm test;

	create(&test);
	build_bzimage(image);
	boot.initrd_fd = file_of(initrd, sizeof(initrd));
	boot.rsdp_gpa = 0xe0000;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(entry.mode, VHM_ENTRY_LONG);
	CHECK_EQ(entry.rip, 0x1000200);
	CHECK_EQ(entry.rsi, PARAMS_GPA);
	CHECK(!memcmp(vhm_vm_pointer(test.vm, 0x1000000, CODE_BYTES), image + CODE_OFFSET,
		      CODE_BYTES));
	params = vhm_vm_pointer(test.vm, PARAMS_GPA, sizeof(*params));
	CHECK_EQ(params->acpi_rsdp_addr, 0xe0000);
	CHECK_EQ(params->hdr.type_of_loader, 0xff);
	CHECK_EQ(params->hdr.code32_start, 0x1000000);
	CHECK_EQ(params->sentinel, 0);
	CHECK(!strcmp(vhm_vm_pointer(test.vm, params->hdr.cmd_line_ptr, 64), COMMAND_LINE));
	CHECK_EQ(params->hdr.ramdisk_size, sizeof(initrd));
	CHECK_EQ(params->hdr.ramdisk_image, MEMORY_BYTES - PAGE);
	CHECK(!memcmp(vhm_vm_pointer(test.vm, params->hdr.ramdisk_image, sizeof(initrd)), initrd,
		      sizeof(initrd)));
	check_e820(params);
	close(boot.initrd_fd);
	test_vm_destroy(&test);
}

/* What loads and what does not, one field at a time. */
static void bzimage_fields(void)
{
	uint8_t image[BZIMAGE_BYTES];
	struct setup_header *header = (void *)(image + HEADER_OFFSET);
	struct vhm_boot boot = default_boot();
	struct vhm_entry entry;
	struct test_vm test;

#define TRY(field, value, expected) do {						\
	build_bzimage(image);								\
	header->field = (value);							\
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), expected);		\
} while (0)
	create(&test);
	TRY(boot_flag, 0, -ENOEXEC);
	TRY(header, 0x12345678, -ENOEXEC);
	TRY(version, 0x20b, -EOPNOTSUPP);
	TRY(version, 0x20c, 0);
	TRY(loadflags, 0, -EOPNOTSUPP);
	TRY(xloadflags, 0, -EOPNOTSUPP);
	TRY(syssize, 0, -ENOEXEC);
	TRY(syssize, 0xffffffff, -ENOEXEC);
	TRY(syssize, CODE_BYTES / 16 + 1, -ENOEXEC);
	TRY(syssize, 0x20, -ENOEXEC);
	TRY(setup_sects, 0, -ENOEXEC);
	TRY(setup_sects, 255, -ENOEXEC);
	TRY(jump, 0x90eb, -ENOEXEC);	/* a header beyond its room */
	TRY(init_size, 0, -ENOEXEC);
	TRY(init_size, 0xffffffff, -ENOMEM);
	TRY(init_size, 31 * MIB, -ENOMEM);
	TRY(kernel_alignment, 3, -ENOEXEC);
	TRY(kernel_alignment, 0, -ENOEXEC);
	TRY(kernel_alignment, 0x80000000, 0);
	TRY(cmdline_size, sizeof(COMMAND_LINE) - 2, -E2BIG);
	TRY(cmdline_size, sizeof(COMMAND_LINE) - 1, 0);
	/* elsewhere than it likes: relocatable at 2 MiB, else not at all */
	TRY(pref_address, 0x10000000, 0);
	CHECK_EQ(entry.rip, 0x200200);
	TRY(pref_address, UINT64_MAX - 0x1000, 0);
	TRY(pref_address, 0, 0);
	CHECK_EQ(entry.rip, 0x200200);
	build_bzimage(image);
	header->pref_address = 0x10000000;
	header->relocatable_kernel = 0;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -ENOMEM);
	test_vm_destroy(&test);
}

static void bzimage_truncated(void)
{
	uint8_t image[BZIMAGE_BYTES];
	struct vhm_boot boot = default_boot();
	struct vhm_entry entry;
	struct test_vm test;
	size_t bytes;

	create(&test);
	build_bzimage(image);
	for (bytes = 0; bytes < sizeof(image); bytes++)
		CHECK_EQ(load(test.vm, image, bytes, &boot, &entry), -ENOEXEC);
	test_vm_destroy(&test);
}

/* Everything a loader may return for a damaged image. */
static bool is_sane(int ret)
{
	return !ret || ret == -ENOEXEC || ret == -EOPNOTSUPP || ret == -ENOMEM || ret == -E2BIG;
}

static void fuzz(const uint8_t *good, size_t bytes, size_t header_bytes, unsigned int values)
{
	uint8_t *image = malloc(bytes);
	struct vhm_boot boot = default_boot();
	struct vhm_entry entry;
	struct test_vm test;
	unsigned int value;
	size_t at;

	create(&test);
	for (at = 0; at < header_bytes; at++) {
		for (value = 0; value < values; value++) {
			memcpy(image, good, bytes);
			image[at] = values == 256 ? (uint8_t)value : (uint8_t)random64();
			/* now and then a second one */
			if (!random_below(4))
				image[random_below((uint32_t)header_bytes)] = (uint8_t)random64();
			CHECK(is_sane(load(test.vm, image, bytes, &boot, &entry)));
		}
	}
	test_vm_destroy(&test);
	free(image);
}

static void bzimage_every_byte(void)
{
	uint8_t image[BZIMAGE_BYTES];

	build_bzimage(image);
	fuzz(image, sizeof(image), 0x290, 16);
}

/* ------------------------------------------------------------------- ELF -- */

#define SEGMENT_OFFSET	0x400u
#define SEGMENT_BYTES	0x300u
#define NOTE_OFFSET	0x200u
#define ELF_BYTES	(SEGMENT_OFFSET + SEGMENT_BYTES)
#define ELF_GPA		0x1000000u

struct note {
	Elf64_Nhdr header;
	char name[4];
	uint64_t value;
};

struct elf_image {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3];
	uint8_t gap[NOTE_OFFSET - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
	struct note other, pvh;
	uint8_t gap2[SEGMENT_OFFSET - NOTE_OFFSET - 2 * sizeof(struct note)];
	uint8_t code[SEGMENT_BYTES];
};

_Static_assert(sizeof(struct elf_image) == ELF_BYTES, "layout");

static void build_elf(struct elf_image *image, bool pvh)
{
	unsigned int i;

	memset(image, 0, sizeof(*image));
	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_type = ET_EXEC;
	image->header.e_machine = EM_X86_64;
	image->header.e_version = EV_CURRENT;
	image->header.e_entry = ELF_GPA + 0x100;
	image->header.e_phoff = sizeof(Elf64_Ehdr);
	image->header.e_phentsize = sizeof(Elf64_Phdr);
	image->header.e_phnum = 3;
	image->segment[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = SEGMENT_OFFSET, .p_paddr = ELF_GPA,
		.p_filesz = SEGMENT_BYTES, .p_memsz = 0x10000,
	};
	image->segment[1] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = NOTE_OFFSET, .p_filesz = 2 * sizeof(struct note),
		.p_memsz = 2 * sizeof(struct note),
	};
	image->segment[2] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = SEGMENT_OFFSET, .p_paddr = 2 * ELF_GPA - PAGE,
		.p_filesz = 16, .p_memsz = PAGE,
	};
	image->other = (struct note){ { 4, 8, 6 }, "Xen", 0x1111 };
	image->pvh = (struct note){ { 4, 8, pvh ? 18 : 17 }, "Xen", ELF_GPA + 0x80 };
	for (i = 0; i < SEGMENT_BYTES; i++)
		image->code[i] = (uint8_t)(i * 5 + 3);
}

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t modules_gpa, command_line, rsdp, map;
	uint32_t map_entries, reserved;
};

static void elf_pvh(void)
{
	static const char initrd[] = "initrd";
	struct vhm_boot boot = default_boot();
	const struct vhm_memory_range *map;
	const struct start_info *info;
	const uint64_t *module;
	struct elf_image image;
	struct vhm_entry entry;
	struct test_vm test;

	create(&test);
	build_elf(&image, true);
	boot.initrd_fd = file_of(initrd, sizeof(initrd));
	vhm_vm_fill(test.vm, ELF_GPA, 0xcc, 0x10000);
	CHECK_EQ(load(test.vm, &image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(entry.mode, VHM_ENTRY_PROTECTED);
	CHECK_EQ(entry.rip, ELF_GPA + 0x80);
	CHECK_EQ(entry.rbx, START_INFO_GPA);
	CHECK(!memcmp(vhm_vm_pointer(test.vm, ELF_GPA, SEGMENT_BYTES), image.code, SEGMENT_BYTES));
	CHECK_EQ(*(uint8_t *)vhm_vm_pointer(test.vm, ELF_GPA + SEGMENT_BYTES, 1), 0);
	CHECK_EQ(*(uint8_t *)vhm_vm_pointer(test.vm, ELF_GPA + 0xffff, 1), 0);
	info = vhm_vm_pointer(test.vm, START_INFO_GPA, sizeof(*info));
	CHECK_EQ(info->magic, 0x336ec578);
	CHECK_EQ(info->version, 1);
	CHECK_EQ(info->modules, 1);
	CHECK(!strcmp(vhm_vm_pointer(test.vm, info->command_line, 64), COMMAND_LINE));
	module = vhm_vm_pointer(test.vm, info->modules_gpa, 32);
	CHECK_EQ(module[1], sizeof(initrd));
	CHECK(!strcmp(vhm_vm_pointer(test.vm, module[0], 8), initrd));
	CHECK_EQ(info->map_entries, 2);
	map = vhm_vm_pointer(test.vm, info->map, 2 * sizeof(*map));
	CHECK_EQ(map[1].gpa, MIB);
	CHECK_EQ(map[1].type, 1);
	close(boot.initrd_fd);
	test_vm_destroy(&test);
}

static void elf_64(void)
{
	struct vhm_boot boot = default_boot();
	const struct boot_params *params;
	struct elf_image image;
	struct vhm_entry entry;
	struct test_vm test;

	create(&test);
	build_elf(&image, false);
	CHECK_EQ(load(test.vm, &image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(entry.mode, VHM_ENTRY_LONG);
	CHECK_EQ(entry.rip, ELF_GPA + 0x100);
	params = vhm_vm_pointer(test.vm, PARAMS_GPA, sizeof(*params));
	CHECK_EQ(params->hdr.header, 0x53726448);
	check_e820(params);
	test_vm_destroy(&test);
}

static void elf_fields(void)
{
	struct vhm_boot boot = default_boot();
	struct elf_image image;
	struct vhm_entry entry;
	struct test_vm test;

#define TRY_ELF(field, value, expected) do {						\
	build_elf(&image, true);							\
	image.field = (value);								\
	CHECK_EQ(load(test.vm, &image, sizeof(image), &boot, &entry), expected);	\
} while (0)
	create(&test);
	TRY_ELF(header.e_ident[EI_CLASS], ELFCLASS32, -EOPNOTSUPP);
	TRY_ELF(header.e_machine, EM_AARCH64, -EOPNOTSUPP);
	TRY_ELF(header.e_type, ET_REL, -ENOEXEC);
	TRY_ELF(header.e_phnum, 0, -ENOEXEC);
	TRY_ELF(header.e_phnum, 65, -ENOEXEC);
	TRY_ELF(header.e_phnum, 64, -ENOEXEC);
	TRY_ELF(header.e_phentsize, 1, -ENOEXEC);
	TRY_ELF(header.e_phoff, UINT64_MAX, -ENOEXEC);
	TRY_ELF(header.e_phoff, sizeof(image), -ENOEXEC);
	TRY_ELF(segment[0].p_offset, UINT64_MAX, -ENOEXEC);
	TRY_ELF(segment[0].p_offset, SEGMENT_OFFSET + 1, -ENOEXEC);
	TRY_ELF(segment[0].p_filesz, UINT64_MAX, -ENOEXEC);
	TRY_ELF(segment[0].p_memsz, SEGMENT_BYTES - 1, -ENOEXEC);
	TRY_ELF(segment[0].p_memsz, UINT64_MAX, -ENOEXEC);
	TRY_ELF(segment[0].p_memsz, MEMORY_BYTES, -ENOMEM);
	TRY_ELF(segment[0].p_paddr, UINT64_MAX, -ENOEXEC);
	TRY_ELF(segment[0].p_paddr, MEMORY_BYTES, -ENOMEM);
	TRY_ELF(segment[0].p_paddr, AREA + PAGE, -ENOMEM);
	TRY_ELF(segment[0].p_type, PT_NULL, -ENOEXEC);
	TRY_ELF(segment[1].p_offset, UINT64_MAX, -ENOEXEC);
	TRY_ELF(segment[1].p_filesz, UINT64_MAX, -ENOEXEC);
	TRY_ELF(pvh.value, 0x1234, -ENOEXEC);
	TRY_ELF(pvh.value, UINT64_MAX, -ENOEXEC);
	/* a note that says too much about its size hides those behind it */
	TRY_ELF(other.header.n_descsz, UINT32_MAX, 0);
	CHECK_EQ(entry.mode, VHM_ENTRY_LONG);
	TRY_ELF(other.header.n_namesz, UINT32_MAX, 0);
	CHECK_EQ(entry.mode, VHM_ENTRY_LONG);
	TRY_ELF(pvh.header.n_descsz, 4, 0);
	CHECK_EQ(entry.mode, VHM_ENTRY_PROTECTED);
	test_vm_destroy(&test);
}

static void elf_truncated(void)
{
	struct vhm_boot boot = default_boot();
	struct elf_image image;
	struct vhm_entry entry;
	struct test_vm test;
	size_t bytes;

	create(&test);
	build_elf(&image, true);
	for (bytes = 0; bytes < sizeof(image); bytes++)
		CHECK_EQ(load(test.vm, &image, bytes, &boot, &entry), -ENOEXEC);
	test_vm_destroy(&test);
}

static void elf_every_byte(void)
{
	struct elf_image image;

	build_elf(&image, true);
	fuzz((const uint8_t *)&image, sizeof(image), SEGMENT_OFFSET, 12);
}

/* ------------------------------------------------------- common and flat -- */

static void arguments(void)
{
	static const struct vhm_memory_range wraps = { .gpa = UINT64_MAX, .bytes = 2, .type = 1 };
	static char long_line[0x10001];
	uint8_t image[BZIMAGE_BYTES];
	struct vhm_boot boot = default_boot();
	struct vhm_entry entry;
	struct test_vm test;
	int pipe_fd[2];

	create(&test);
	build_bzimage(image);
	boot.kernel_fd = -1;
	CHECK_EQ(vhm_load_linux(test.vm, &boot, &entry), -EBADF);
	REQUIRE(!pipe(pipe_fd));
	boot.kernel_fd = pipe_fd[0];
	CHECK_EQ(vhm_load_linux(test.vm, &boot, &entry), -EINVAL);
	boot.boot_area_gpa = 1;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -EINVAL);
	boot.boot_area_gpa = MIB;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -EINVAL);
	boot.boot_area_gpa = 0x40000;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(entry.rsi, 0x41000);
	boot = default_boot();
	boot.ranges = &wraps;
	boot.range_count = 1;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -EINVAL);
	boot.range_count = 129;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -EINVAL);
	boot = default_boot();
	boot.initrd_fd = pipe_fd[0];
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -EINVAL);
	boot = default_boot();
	memset(long_line, 'x', sizeof(long_line) - 1);
	boot.command_line = long_line;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -E2BIG);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	test_vm_destroy(&test);
}

/* The initrd goes below what the caller's map reserves, and never over the kernel. */
static void initrd_placement(void)
{
	static const struct vhm_memory_range ranges[] = {
		{ .gpa = 0, .bytes = 0xa0000, .type = VHM_MEMORY_RAM },
		{ .gpa = MIB, .bytes = 31 * MIB, .type = VHM_MEMORY_RAM },
		{ .gpa = 31 * MIB, .bytes = MIB, .type = VHM_MEMORY_ACPI },
	};
	uint8_t image[BZIMAGE_BYTES];
	struct setup_header *header = (void *)(image + HEADER_OFFSET);
	struct vhm_boot boot = default_boot();
	const struct boot_params *params;
	struct vhm_entry entry;
	struct test_vm test;
	void *initrd = calloc(1, 11 * MIB);

	create(&test);
	build_bzimage(image);
	boot.ranges = ranges;
	boot.range_count = 3;
	params = vhm_vm_pointer(test.vm, PARAMS_GPA, sizeof(*params));
	boot.initrd_fd = file_of(initrd, 3 * MIB);
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(params->hdr.ramdisk_image, 28 * MIB);
	/* below the kernel at 16 to 20 MiB */
	header->initrd_addr_max = 22 * MIB - 1;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(params->hdr.ramdisk_image, 13 * MIB);
	close(boot.initrd_fd);
	boot.initrd_fd = file_of(initrd, 11 * MIB);
	header->initrd_addr_max = 0x7fffffff;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(params->hdr.ramdisk_image, 20 * MIB);
	header->init_size = 7 * MIB;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(params->hdr.ramdisk_image, 5 * MIB);
	header->pref_address = 8 * MIB;
	header->init_size = 16 * MIB;
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), -ENOMEM);
	close(boot.initrd_fd);
	free(initrd);
	test_vm_destroy(&test);
}

/* A kernel may lie across neighbouring slots. */
static void across_slots(void)
{
	uint8_t image[BZIMAGE_BYTES];
	struct vhm_boot boot = default_boot();
	struct vhm_entry entry;
	struct test_vm test;

	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 0, 16 * MIB + PAGE, 0, NULL);
	vhm_vm_add_memory(test.vm, 16 * MIB + PAGE, 8 * MIB, 0, NULL);
	build_bzimage(image);
	CHECK_EQ(load(test.vm, image, sizeof(image), &boot, &entry), 0);
	CHECK_EQ(entry.rip, 0x1000200);
	test_vm_destroy(&test);
}

static void flat(void)
{
	uint8_t data[3 * PAGE];
	struct test_vm test;
	uint64_t bytes = 0;
	unsigned int i;
	int fd;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random64();
	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 0, 2 * PAGE, 0, NULL);
	vhm_vm_add_memory(test.vm, 2 * PAGE, 2 * PAGE, 0, NULL);
	fd = file_of(data, sizeof(data));
	CHECK_EQ(vhm_load_flat(test.vm, fd, 100, &bytes), 0);
	CHECK_EQ(bytes, sizeof(data));
	CHECK(!memcmp(vhm_vm_pointer(test.vm, 2 * PAGE, PAGE), data + 2 * PAGE - 100, PAGE));
	CHECK_EQ(vhm_load_flat(test.vm, fd, PAGE, NULL), 0);
	CHECK_EQ(vhm_load_flat(test.vm, fd, PAGE + 1, NULL), -ENOMEM);
	CHECK_EQ(vhm_load_flat(test.vm, fd, UINT64_MAX - 5, NULL), -ENOMEM);
	close(fd);
	fd = file_of(data, 0);
	CHECK_EQ(vhm_load_flat(test.vm, fd, 0, NULL), -ENOEXEC);
	close(fd);
	CHECK_EQ(vhm_load_flat(test.vm, -1, 0, NULL), -EBADF);
	test_vm_destroy(&test);
}

/* The boot tables map 4 GiB one to one, with pages that the processor has. */
static void boot_tables(bool has_gigabyte_pages)
{
	struct vhm_entry entry = { .mode = VHM_ENTRY_LONG };
	struct vhm_translation out;
	struct vhm_paging paging;
	struct test_vm test;
	uint64_t linear;

	create(&test);
	fake.has_gigabyte_pages = has_gigabyte_pages;
	CHECK_EQ(vhm_write_boot_tables(test.vm, AREA, &entry), 0);
	CHECK_EQ(vhm_vcpu_set_entry(test.vcpu, &entry), 0);
	CHECK_EQ(vhm_vcpu_get_paging(test.vcpu, &paging), 0);
	for (linear = 0x123; linear < 1ull << 32; linear += 0x1ffffffull) {
		CHECK_EQ(vhm_translate(test.vm, &paging, linear, VHM_ACCESS_WRITE, &out), 0);
		CHECK_EQ(out.gpa, linear);
		CHECK_EQ(out.page_bytes, has_gigabyte_pages ? 1 << 30 : 2 << 20);
	}
	CHECK_EQ(vhm_translate(test.vm, &paging, 1ull << 32, 0, &out), -EFAULT);
	test_vm_destroy(&test);
}

static void boot_tables_2m(void)
{
	boot_tables(false);
}

static void boot_tables_1g(void)
{
	boot_tables(true);
}

/* The entry states are what they say. */
static void entry_states(void)
{
	struct vhm_entry entry = { .mode = VHM_ENTRY_LONG, .rip = 0x1234, .rsi = 7 };
	struct test_vm test;

	create(&test);
	CHECK_EQ(vhm_write_boot_tables(test.vm, AREA, &entry), 0);
	CHECK_EQ(vhm_write_boot_tables(test.vm, AREA + 1, &entry), -EINVAL);
	CHECK_EQ(vhm_write_boot_tables(test.vm, MEMORY_BYTES, &entry), -EFAULT);
	CHECK_EQ(vhm_vcpu_set_entry(test.vcpu, &entry), 0);
	CHECK_EQ(fake.regs.rip, 0x1234);
	CHECK_EQ(fake.regs.rsi, 7);
	CHECK_EQ(fake.regs.rflags, 2);
	CHECK_EQ(fake.sregs.segment[VHM_SEGMENT_CS].selector, 0x10);
	CHECK_EQ(fake.sregs.apic_base, 0xfee00900);
	entry.mode = VHM_ENTRY_REAL;
	entry.cs = 0xf000;
	entry.rip = 0xfff0;
	CHECK_EQ(vhm_vcpu_set_entry(test.vcpu, &entry), 0);
	CHECK_EQ(fake.sregs.segment[VHM_SEGMENT_CS].base, 0xf0000);
	CHECK_EQ(fake.sregs.cr0 & 1, 0);
	entry.rip = 0x10000;
	CHECK_EQ(vhm_vcpu_set_entry(test.vcpu, &entry), -EINVAL);
	entry.mode = VHM_ENTRY_PROTECTED;
	CHECK_EQ(vhm_vcpu_set_entry(test.vcpu, &entry), 0);
	CHECK_EQ(fake.sregs.cr0 & 0x80000001, 1);
	entry.mode = 3;
	CHECK_EQ(vhm_vcpu_set_entry(test.vcpu, &entry), -EINVAL);
	test_vm_destroy(&test);
}

const struct test_case load_cases[] = {
	{ "load: bzImage", bzimage },
	{ "load: fields of a bzImage", bzimage_fields },
	{ "load: bzImage cut at every length", bzimage_truncated },
	{ "load: bzImage with every header byte changed", bzimage_every_byte },
	{ "load: ELF with a PVH entry", elf_pvh },
	{ "load: ELF with a 64-bit entry", elf_64 },
	{ "load: fields of an ELF file", elf_fields },
	{ "load: ELF cut at every length", elf_truncated },
	{ "load: ELF with every header byte changed", elf_every_byte },
	{ "load: arguments", arguments },
	{ "load: place of the initrd", initrd_placement },
	{ "load: kernel across slots", across_slots },
	{ "load: flat", flat },
	{ "load: boot tables of 2 MiB pages", boot_tables_2m },
	{ "load: boot tables of 1 GiB pages", boot_tables_1g },
	{ "load: entry states", entry_states },
	{ 0 },
};
