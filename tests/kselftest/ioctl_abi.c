// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules all commands share: size, tail, flags, reserved fields, pointers, kinds of
 * descriptor, numbers. One table row a command; a command of the header without a row fails.
 *
 * Built for 64-bit and for 32-bit callers. Does not test what commands do.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

enum kind {
	DEVICE,
	VM,
	VCPU,
	TRACKER,
	KINDS,
};

FIXTURE(abi) {
	struct vm vm;
	struct vcpu vcpu;
	int fd[KINDS];
	uint8_t *page;		/* two pages, the second one not mapped */
	struct vhm_cpuid_entry entries[256];
	uint64_t state[4096 / 8] __attribute__((aligned(8)));
	uint32_t serial;	/* makes ids that were not used before */
};

typedef FIXTURE_DATA(abi) abi_data;

static void fill_cpuid(abi_data *self, void *argument)
{
	struct vhm_cpuid *cpuid = argument;

	cpuid->entry_count = COUNT(self->entries);
	cpuid->entries = (uintptr_t)self->entries;
}

static void fill_set_cpuid(abi_data *self, void *argument)
{
	struct vhm_cpuid *cpuid = argument;

	cpuid->entry_count = 0;
	cpuid->entries = (uintptr_t)self->entries;
}

static void fill_vcpu_create(abi_data *self, void *argument)
{
	struct vhm_vcpu_create *create = argument;

	create->id = 1 + self->serial++;
}

static void fill_slot_add(abi_data *self, void *argument)
{
	struct vhm_slot *slot = argument;

	slot->id = 1 + self->serial++;
	slot->gpa = 0x10000000 + slot->id * PAGE_BYTES;
	slot->bytes = PAGE_BYTES;
	slot->user_address = (uintptr_t)self->vm.memory;
}

static void fill_slot_remove(abi_data *self, void *argument)
{
	struct vhm_slot *slot = argument;

	slot->id = 1 + self->serial++;
	must(vm_add_slot(&self->vm, slot->id, 0, 0x20000000 + slot->id * PAGE_BYTES, PAGE_BYTES,
			 self->vm.memory));
}

static void fill_msi(abi_data *self, void *argument)
{
	struct vhm_msi *msi = argument;

	(void)self;
	msi->address = 0xfee00000;
	msi->data = 0x40;
}

/* slot 0 */
static void fill_populate(abi_data *self, void *argument)
{
	struct vhm_populate *range = argument;

	(void)self;
	range->bytes = 4 * PAGE_BYTES;
}

static void fill_mapped(abi_data *self, void *argument)
{
	struct vhm_mapped *mapped = argument;

	(void)self;
	mapped->bytes = PAGE_BYTES;
}

static void fill_harvest(abi_data *self, void *argument)
{
	struct vhm_harvest *harvest = argument;

	harvest->bytes = 64 * PAGE_BYTES;
	harvest->data = (uintptr_t)self->state;
}

static void fill_written(abi_data *self, void *argument)
{
	struct vhm_written *written = argument;

	(void)self;
	written->bytes = 1;
}

static void fill_rights(abi_data *self, void *argument)
{
	struct vhm_rights *rights = argument;

	(void)self;
	rights->rights = VHM_RIGHT_READ;
	rights->gpa = 0x30000000;
	rights->bytes = PAGE_BYTES;
}

/* One comes, one goes. */
static void fill_edits(abi_data *self, void *argument)
{
	static struct vhm_slot slots[2];
	struct vhm_slot_edits *edits = argument;

	fill_slot_add(self, &slots[0]);
	fill_slot_remove(self, &slots[1]);
	slots[0].size = sizeof(slots[0]);
	slots[1].size = sizeof(slots[1]);
	edits->count = 2;
	edits->slots = (uintptr_t)slots;
}

static void fill_get_state(abi_data *self, void *argument)
{
	struct vhm_state *state = argument;

	state->sections = 1ull << VHM_SECTION_REGISTERS;
	state->buffer = (uintptr_t)self->state;
	state->buffer_bytes = sizeof(self->state);
}

static void fill_set_state(abi_data *self, void *argument)
{
	struct vhm_state *state = argument;

	state->buffer = (uintptr_t)self->state;
	state->buffer_bytes = 0;
}

static void fill_apic(abi_data *self, void *argument)
{
	struct vhm_apic_access *access = argument;

	(void)self;
	access->offset = 0x20;
}

/* A field set to a value that must be refused. */
struct bad_value {
	const char *what;
	uint32_t offset;
	uint32_t bytes;
	uint64_t value;
	int error;
};

#define BAD(type, field, value, error) \
	{ #field " = " #value, offsetof(struct type, field), \
	  sizeof(((struct type *)0)->field), (value), (error) }

struct row {
	const char *name;
	unsigned long command;
	enum kind kind;
	uint32_t bytes;			/* 0: takes the number 0 */
	bool makes_fd;
	bool answers;			/* writes into the struct */
	void (*fill)(abi_data *self, void *argument);
	struct bad_value bad[10];
};

#define ROW(command, kind, type)	#command, command, kind, sizeof(struct type)

static const struct row rows[] = {
	{ ROW(VHM_GET_INFO, DEVICE, vhm_info), .answers = true },
	{ ROW(VHM_GET_CPUID, DEVICE, vhm_cpuid), .answers = true, .fill = fill_cpuid, .bad = {
		BAD(vhm_cpuid, entry_count, 0, ENOSPC),
		BAD(vhm_cpuid, entries, 0, EFAULT),
	} },
	{ ROW(VHM_VM_CREATE, DEVICE, vhm_vm_create), .makes_fd = true, .bad = {
		BAD(vhm_vm_create, flags, 1 << 3, EINVAL),
		BAD(vhm_vm_create, flags, 1u << 31, EINVAL),
	} },
	{ ROW(VHM_VCPU_CREATE, VM, vhm_vcpu_create), .makes_fd = true, .fill = fill_vcpu_create,
	  .bad = {
		BAD(vhm_vcpu_create, flags, 1, EINVAL),
		BAD(vhm_vcpu_create, flags, 1u << 31, EINVAL),
		BAD(vhm_vcpu_create, reserved, 1, EINVAL),
		BAD(vhm_vcpu_create, id, ~0u, EINVAL),
	} },
	{ ROW(VHM_SLOT_ADD, VM, vhm_slot), .fill = fill_slot_add, .bad = {
		BAD(vhm_slot, flags, 1 << 1, EINVAL),
		BAD(vhm_slot, flags, 1u << 31, EINVAL),
		BAD(vhm_slot, reserved, 1, EINVAL),
		BAD(vhm_slot, id, ~0u, EINVAL),
		BAD(vhm_slot, gpa, 1, EINVAL),
		BAD(vhm_slot, bytes, 0, EINVAL),
		BAD(vhm_slot, bytes, 1, EINVAL),
		BAD(vhm_slot, user_address, 1, EINVAL),
		BAD(vhm_slot, user_address, ~0ull << 12, EINVAL),
	} },
	{ ROW(VHM_SLOT_REMOVE, VM, vhm_slot), .fill = fill_slot_remove, .bad = {
		BAD(vhm_slot, flags, VHM_SLOT_READONLY, EINVAL),
		BAD(vhm_slot, reserved, 1, EINVAL),
		BAD(vhm_slot, id, ~0u, EINVAL),
		BAD(vhm_slot, gpa, PAGE_BYTES, EINVAL),
		BAD(vhm_slot, bytes, PAGE_BYTES, EINVAL),
		BAD(vhm_slot, user_address, PAGE_BYTES, EINVAL),
	} },
	{ ROW(VHM_VCPU_SET_CPUID, VCPU, vhm_cpuid), .fill = fill_set_cpuid, .bad = {
		BAD(vhm_cpuid, entry_count, 257, EINVAL),
		BAD(vhm_cpuid, entry_count, ~0u, EINVAL),
	} },
	{ ROW(VHM_SLOT_EDIT, VM, vhm_slot_edits), .fill = fill_edits, .bad = {
		BAD(vhm_slot_edits, flags, 1, EINVAL),
		BAD(vhm_slot_edits, reserved, 1, EINVAL),
		BAD(vhm_slot_edits, count, 0, EINVAL),
		BAD(vhm_slot_edits, count, 3, EINVAL),
		BAD(vhm_slot_edits, count, ~0u, EINVAL),
		BAD(vhm_slot_edits, slots, 0, EFAULT),
	} },
	{ ROW(VHM_VM_MSI, VM, vhm_msi), .fill = fill_msi, .bad = {
		BAD(vhm_msi, address, 0, EINVAL),
		BAD(vhm_msi, address, 0xfed00000, EINVAL),
		BAD(vhm_msi, address, 0xfef00000, EINVAL),
		BAD(vhm_msi, data, 1 << 11, EINVAL),
		BAD(vhm_msi, data, 1u << 31, EINVAL),
	} },
	{ ROW(VHM_VM_POPULATE, VM, vhm_populate), .answers = true, .fill = fill_populate, .bad = {
		BAD(vhm_populate, flags, 1 << 1, EINVAL),
		BAD(vhm_populate, flags, 1u << 31, EINVAL),
		BAD(vhm_populate, gpa, 1, EINVAL),
		BAD(vhm_populate, gpa, ~0ull << 12, EINVAL),
		BAD(vhm_populate, gpa, 1ull << 62, ENOENT),
		BAD(vhm_populate, bytes, 0, EINVAL),
		BAD(vhm_populate, bytes, 1, EINVAL),
		BAD(vhm_populate, bytes, ~0ull << 12, ENOENT),
	} },
	{ ROW(VHM_VM_GET_MAPPED, VM, vhm_mapped), .answers = true, .fill = fill_mapped, .bad = {
		BAD(vhm_mapped, flags, 1, EINVAL),
		BAD(vhm_mapped, flags, 1u << 31, EINVAL),
		BAD(vhm_mapped, gpa, 1, EINVAL),
		BAD(vhm_mapped, gpa, ~0ull << 12, EINVAL),
		BAD(vhm_mapped, bytes, 0, EINVAL),
		BAD(vhm_mapped, bytes, 1, EINVAL),
	} },
	{ ROW(VHM_VM_SET_RIGHTS, VM, vhm_rights), .fill = fill_rights, .bad = {
		BAD(vhm_rights, flags, 1, EINVAL),
		BAD(vhm_rights, reserved, 1, EINVAL),
		BAD(vhm_rights, rights, 1 << 3, EINVAL),
		BAD(vhm_rights, rights, VHM_RIGHT_WRITE, EINVAL),
		BAD(vhm_rights, gpa, 1, EINVAL),
		BAD(vhm_rights, gpa, ~0ull << 12, EINVAL),
		BAD(vhm_rights, bytes, 0, EINVAL),
		BAD(vhm_rights, bytes, 1, EINVAL),
	} },
	{ ROW(VHM_TRACKER_CREATE, VM, vhm_tracker_create), .makes_fd = true, .bad = {
		BAD(vhm_tracker_create, flags, 1, EINVAL),
		BAD(vhm_tracker_create, flags, 1u << 31, EINVAL),
	} },
	{ ROW(VHM_VM_NOTE_WRITTEN, VM, vhm_written), .fill = fill_written, .bad = {
		BAD(vhm_written, flags, 1, EINVAL),
		BAD(vhm_written, bytes, 0, EINVAL),
		BAD(vhm_written, bytes, VHM_MAX_WRITTEN_BYTES + 1, EINVAL),
		BAD(vhm_written, bytes, ~0ull, EINVAL),
	} },
	{ ROW(VHM_TRACKER_HARVEST, TRACKER, vhm_harvest), .answers = true, .fill = fill_harvest,
	  .bad = {
		BAD(vhm_harvest, flags, 1 << 1, EINVAL),
		BAD(vhm_harvest, flags, VHM_HARVEST_LIST, EINVAL),
		BAD(vhm_harvest, gpa, PAGE_BYTES, EINVAL),
		BAD(vhm_harvest, gpa, ~0ull << 18, EINVAL),
		BAD(vhm_harvest, bytes, 0, EINVAL),
		BAD(vhm_harvest, bytes, 1, EINVAL),
		BAD(vhm_harvest, data, 4, EINVAL),
		BAD(vhm_harvest, room, 64, EINVAL),
	} },
	{ "VHM_VCPU_RUN", VHM_VCPU_RUN, VCPU },
	{ "VHM_VCPU_KICK", VHM_VCPU_KICK, VCPU },
	{ ROW(VHM_VCPU_GET_STATE, VCPU, vhm_state), .answers = true, .fill = fill_get_state,
	  .bad = {
		BAD(vhm_state, flags, 1, EINVAL),
		BAD(vhm_state, sections, 1, EINVAL),
		BAD(vhm_state, sections, 1ull << VHM_SECTION_COUNT, EINVAL),
		BAD(vhm_state, sections, 1ull << 63, EINVAL),
		BAD(vhm_state, buffer, 4, EINVAL),
		BAD(vhm_state, buffer, 0, EFAULT),
		BAD(vhm_state, buffer_bytes, 0, ENOSPC),
	} },
	{ ROW(VHM_VCPU_SET_STATE, VCPU, vhm_state), .fill = fill_set_state, .bad = {
		BAD(vhm_state, flags, 1, EINVAL),
		BAD(vhm_state, sections, 2, EINVAL),
		BAD(vhm_state, buffer, 4, EINVAL),
		BAD(vhm_state, buffer_bytes, 1, EINVAL),
		BAD(vhm_state, buffer_bytes, 8, EINVAL),
		BAD(vhm_state, buffer_bytes, ~7ull, EINVAL),
	} },
	{ ROW(VHM_VCPU_NMI, VCPU, vhm_nmi), .bad = {
		BAD(vhm_nmi, flags, 1, EINVAL),
	} },
	{ ROW(VHM_VCPU_APIC_ACCESS, VCPU, vhm_apic_access), .answers = true, .fill = fill_apic,
	  .bad = {
		BAD(vhm_apic_access, flags, 1 << 1, EINVAL),
		BAD(vhm_apic_access, offset, 8, EINVAL),
		BAD(vhm_apic_access, offset, 4096, EINVAL),
		BAD(vhm_apic_access, offset, ~15u, EINVAL),
	} },
	{ ROW(VHM_VCPU_GET_STATS, VCPU, vhm_stats), .answers = true, .bad = {
		BAD(vhm_stats, flags, 1, EINVAL),
	} },
	{ ROW(VHM_VCPU_SET_CONTROL, VCPU, vhm_vcpu_control), .bad = {
		BAD(vhm_vcpu_control, flags, 4, EINVAL),
		BAD(vhm_vcpu_control, exceptions, 1 << 2, EINVAL),
		BAD(vhm_vcpu_control, exceptions, 1 << 18, EINVAL),
		BAD(vhm_vcpu_control, reserved, 1, EINVAL),
		BAD(vhm_vcpu_control, breakpoint[0], 1, EINVAL),
		BAD(vhm_vcpu_control, breakpoint[3], 1, EINVAL),
		BAD(vhm_vcpu_control, dr7, 1, EINVAL),
	} },
};

/* made from the header's list of commands */
static const struct {
	const char *name;
	unsigned long command;
} commands[] = {
#include "commands.inc"
};

FIXTURE_SETUP(abi)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->fd[DEVICE] = self->vm.device;
	self->fd[VM] = self->vm.fd;
	self->fd[VCPU] = self->vcpu.fd;
	self->fd[TRACKER] = must(vhm_ioctl(self->vm.fd, VHM_TRACKER_CREATE,
					   &(struct vhm_tracker_create){ .size = 8 }));
	self->page = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->page);
	ASSERT_EQ(0, munmap(self->page + PAGE_BYTES, PAGE_BYTES));
}

FIXTURE_TEARDOWN(abi)
{
	close(self->fd[TRACKER]);
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* A good argument, zeros behind it. */
static void fill(abi_data *self, const struct row *row, void *argument, uint32_t size)
{
	memset(argument, 0, row->bytes);
	*(uint32_t *)argument = size;
	if (row->fill)
		row->fill(self, argument);
}

static long call(abi_data *self, const struct row *row, const void *argument)
{
	long value;

	if (row->command == VHM_VCPU_RUN)
		self->vcpu.run->request = VHM_RUN_RETURN;
	value = vhm_ioctl(self->fd[row->kind], row->command, argument);
	if (row->makes_fd && value >= 0)
		close((int)value);
	return value;
}

/* What a call must return: 0 or more stands for success. */
#define EXPECT_CALL(row, wanted, value, ...) do {				\
	long seen_value = (value), wanted_value = (wanted);			\
										\
	EXPECT_TRUE(wanted_value ? seen_value == wanted_value : seen_value >= 0) { \
		TH_LOG("%s with %s: %ld, not %ld", (row)->name,			\
		       ({ static char t[96]; snprintf(t, sizeof(t), __VA_ARGS__); t; }), \
		       seen_value, wanted_value);				\
	}									\
} while (0)

#define for_each_row(row) \
	for (const struct row *row = rows; row < rows + COUNT(rows); row++)

#define for_each_struct_row(row) \
	for_each_row(row) if (row->bytes)

TEST_F(abi, every_command_has_a_row)
{
	ASSERT_GT(COUNT(commands), 10);
	for (size_t i = 0; i < COUNT(commands); i++) {
		bool found = false;

		for_each_row(row)
			found |= row->command == commands[i].command &&
				 !strcmp(row->name, commands[i].name);
		EXPECT_TRUE(found)
			TH_LOG("%s is not tested here", commands[i].name);
	}
	EXPECT_EQ(COUNT(commands), COUNT(rows));
}

TEST_F(abi, exact_size)
{
	for_each_row(row) {
		if (row->bytes)
			fill(self, row, self->page, row->bytes);
		EXPECT_CALL(row, 0, call(self, row, row->bytes ? self->page : NULL), "exact size");
	}
}

TEST_F(abi, too_small)
{
	for_each_struct_row(row) {
		const uint32_t sizes[] = { 0, 1, 3, row->bytes - 1 };

		for (size_t i = 0; i < COUNT(sizes); i++) {
			fill(self, row, self->page, sizes[i]);
			EXPECT_CALL(row, -EINVAL, call(self, row, self->page), "size %u", sizes[i]);
		}
	}
}

TEST_F(abi, larger_with_zero_tail)
{
	for_each_struct_row(row) {
		const uint32_t sizes[] = { row->bytes + 1, row->bytes + 8, PAGE_BYTES };

		for (size_t i = 0; i < COUNT(sizes); i++) {
			memset(self->page, 0, PAGE_BYTES);
			fill(self, row, self->page, sizes[i]);
			EXPECT_CALL(row, 0, call(self, row, self->page), "size %u", sizes[i]);
		}
	}
}

TEST_F(abi, larger_with_data_in_tail)
{
	for_each_struct_row(row) {
		const uint32_t at[] = { row->bytes, row->bytes + 7, PAGE_BYTES - 1 };

		for (size_t i = 0; i < COUNT(at); i++) {
			memset(self->page, 0, PAGE_BYTES);
			fill(self, row, self->page, at[i] + 1);
			self->page[at[i]] = 1;
			EXPECT_CALL(row, -E2BIG, call(self, row, self->page), "byte %u set", at[i]);
		}
	}
}

TEST_F(abi, absurd_size)
{
	for_each_struct_row(row) {
		const uint32_t sizes[] = { PAGE_BYTES + 1, 1u << 30, 1u << 31, ~0u };

		for (size_t i = 0; i < COUNT(sizes); i++) {
			memset(self->page, 0, PAGE_BYTES);
			fill(self, row, self->page, sizes[i]);
			EXPECT_CALL(row, -E2BIG, call(self, row, self->page), "size %#x", sizes[i]);
		}
	}
}

/* The part of a larger answer that this kernel does not know stays as the caller left it. */
TEST_F(abi, answers_keep_to_their_size)
{
	for_each_struct_row(row) {
		if (!row->answers)
			continue;
		memset(self->page, 0, PAGE_BYTES);
		fill(self, row, self->page, row->bytes + 16);
		EXPECT_CALL(row, 0, call(self, row, self->page), "larger size");
		EXPECT_EQ(row->bytes + 16, *(uint32_t *)self->page);
		for (uint32_t i = row->bytes; i < row->bytes + 64; i++)
			EXPECT_EQ(0, self->page[i]);
		/* exactly at the end of what is mapped: not one byte is touched behind it */
		fill(self, row, self->page + PAGE_BYTES - row->bytes, row->bytes);
		EXPECT_CALL(row, 0, call(self, row, self->page + PAGE_BYTES - row->bytes),
			    "struct at the end of a page");
	}
}

TEST_F(abi, bad_fields)
{
	for_each_struct_row(row) {
		for (size_t i = 0; i < COUNT(row->bad) && row->bad[i].what; i++) {
			const struct bad_value *bad = &row->bad[i];

			fill(self, row, self->page, row->bytes);
			memcpy(self->page + bad->offset, &bad->value, bad->bytes);
			EXPECT_CALL(row, -bad->error, call(self, row, self->page), "%s", bad->what);
		}
	}
}

TEST_F(abi, bad_pointers)
{
	for_each_struct_row(row) {
		const uintptr_t pointers[] = {
			0, 1, (uintptr_t)(self->page + PAGE_BYTES),
			(uintptr_t)(self->page + PAGE_BYTES - 2),
			(uintptr_t)-PAGE_BYTES, (uintptr_t)-1,
#ifdef __LP64__
			0xffff888000000000, 0xffffffff81000000, 0x8000000000000000,
			0x7fffffffffff,
#endif
		};

		for (size_t i = 0; i < COUNT(pointers); i++)
			EXPECT_CALL(row, -EFAULT, call(self, row, (void *)pointers[i]),
				    "pointer %#lx", (unsigned long)pointers[i]);
		/* the size is there, the rest is not */
		*(uint32_t *)(self->page + PAGE_BYTES - 4) = row->bytes;
		EXPECT_CALL(row, -EFAULT, call(self, row, self->page + PAGE_BYTES - 4),
			    "struct beyond the mapping");
	}
}

TEST_F(abi, answer_into_read_only_memory)
{
	for_each_struct_row(row) {
		if (!row->answers)
			continue;
		fill(self, row, self->page, row->bytes);
		ASSERT_EQ(0, mprotect(self->page, PAGE_BYTES, PROT_READ));
		EXPECT_CALL(row, -EFAULT, call(self, row, self->page), "read-only struct");
		ASSERT_EQ(0, mprotect(self->page, PAGE_BYTES, PROT_READ | PROT_WRITE));
	}
}

TEST_F(abi, commands_without_argument_take_zero)
{
	for_each_row(row) {
		if (row->bytes)
			continue;
		EXPECT_CALL(row, 0, call(self, row, NULL), "0");
		EXPECT_CALL(row, -EINVAL, call(self, row, (void *)1), "1");
		EXPECT_CALL(row, -EINVAL, call(self, row, self->page), "a pointer");
	}
}

TEST_F(abi, wrong_descriptor)
{
	int null = open("/dev/null", O_RDWR);

	ASSERT_GE(null, 0);
	for_each_row(row) {
		for (int kind = 0; kind < KINDS; kind++) {
			if (kind == (int)row->kind)
				continue;
			if (row->bytes)
				fill(self, row, self->page, row->bytes);
			EXPECT_CALL(row, -ENOTTY,
				    vhm_ioctl(self->fd[kind], row->command,
					      row->bytes ? self->page : NULL),
				    "descriptor of kind %d", kind);
		}
		EXPECT_CALL(row, -ENOTTY, vhm_ioctl(null, row->command, self->page), "/dev/null");
		EXPECT_CALL(row, -EBADF, vhm_ioctl(-1, row->command, self->page), "no descriptor");
	}
	close(null);
}

static bool is_command_of(enum kind kind, unsigned long command)
{
	for_each_row(row)
		if (row->kind == kind && row->command == command)
			return true;
	return false;
}

TEST_F(abi, unknown_numbers)
{
	memset(self->page, 0, PAGE_BYTES);
	for (int kind = 0; kind < KINDS; kind++) {
		for (unsigned long number = 0; number < 256; number++) {
			unsigned long command = _IO(VHM_IOCTL_TYPE, number);

			if (is_command_of(kind, command))
				continue;
			EXPECT_EQ(-ENOTTY, vhm_ioctl(self->fd[kind], command, self->page))
				TH_LOG("kind %d, number %#lx", kind, number);
		}
	}
}

/* The same numbers with another type, direction or size are not ours. */
TEST_F(abi, altered_numbers)
{
	for_each_row(row) {
		unsigned int number = _IOC_NR(row->command);
		const unsigned long altered[] = {
			_IO(VHM_IOCTL_TYPE + 1, number),
			_IOC(_IOC_READ, VHM_IOCTL_TYPE, number, 0),
			_IOC(_IOC_WRITE, VHM_IOCTL_TYPE, number, 0),
			_IOC(_IOC_NONE, VHM_IOCTL_TYPE, number, 8),
			_IOC(_IOC_READ | _IOC_WRITE, VHM_IOCTL_TYPE, number, 16),
		};

		for (size_t i = 0; i < COUNT(altered); i++) {
			if (row->bytes)
				fill(self, row, self->page, row->bytes);
			EXPECT_CALL(row, -ENOTTY,
				    vhm_ioctl(self->fd[row->kind], altered[i],
					      row->bytes ? self->page : NULL),
				    "command %#lx", altered[i]);
		}
	}
}

TEST_F(abi, info)
{
	struct vhm_info info = { .size = sizeof(info), .reserved = ~0ull, .tsc_khz = ~0u };

	ASSERT_EQ(0, vhm_ioctl(self->vm.device, VHM_GET_INFO, &info));
	EXPECT_EQ(VHM_ABI_VERSION, info.abi_version);
	EXPECT_TRUE(info.features & VHM_FEATURE_UNRESTRICTED);
	EXPECT_EQ(0, info.features >> 11);
	EXPECT_EQ(255, info.max_vcpus);
	EXPECT_EQ(4096, info.max_slots);
	EXPECT_GE(info.gpa_bits, 36);
	EXPECT_LE(info.gpa_bits, 52);
	EXPECT_EQ(256, info.max_cpuid_entries);
	EXPECT_EQ(PAGE_BYTES, info.run_page_bytes);
	EXPECT_GT(info.tsc_khz, 1000);
	EXPECT_LT(info.tsc_khz, 10000000);
	EXPECT_GE(info.apic_timer_hz, 1000000);
	EXPECT_GE(info.state_bytes, 4096);
	EXPECT_TRUE(info.xcr0 & 1);
	EXPECT_EQ(0, info.reserved);
}

static bool processor_has(const char *vmx_flag)
{
	char line[4096], word[32];
	FILE *file = fopen("/proc/cpuinfo", "re");
	bool has = false;

	if (!file)
		give_up("/proc/cpuinfo: %s", strerror(errno));
	snprintf(word, sizeof(word), " %s ", vmx_flag);
	while (!has && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "vmx flags", 9))
			continue;
		line[strcspn(line, "\n")] = ' ';
		has = strstr(line, word);
	}
	fclose(file);
	return has;
}

/* What the host's kernel finds in the processor, and no parameter of the module decides about. */
TEST_F(abi, features_of_the_processor)
{
	static const struct {
		const char *vmx_flag;
		uint64_t feature;
	} rows[] = {
		{ "vpid", VHM_FEATURE_VPID },
		{ "ept_x_only", VHM_FEATURE_EXECUTE_ONLY },
		{ "ept_1gb", VHM_FEATURE_EPT_1G },
		{ "ept_ad", VHM_FEATURE_EPT_AD },
		{ "pml", VHM_FEATURE_WRITE_LOG },
		{ "tsc_scaling", VHM_FEATURE_TSC_SCALING },
	};
	const uint64_t features = device_info().features;

	for (size_t i = 0; i < COUNT(rows); i++) {
		EXPECT_EQ(processor_has(rows[i].vmx_flag), !!(features & rows[i].feature)) {
			TH_LOG("%s", rows[i].vmx_flag);
		}
	}
}

/* vhm_cpuid.entry_count: in: room, out: entries there are; written only if they fit. */
TEST_F(abi, cpuid_room)
{
	struct vhm_cpuid cpuid = { .size = sizeof(cpuid), .entries = (uintptr_t)self->entries };
	uint32_t count;

	ASSERT_EQ(-ENOSPC, vhm_ioctl(self->vm.device, VHM_GET_CPUID, &cpuid));
	count = cpuid.entry_count;
	ASSERT_GT(count, 4);
	ASSERT_LE(count, 256);
	memset(self->entries, 0xa5, sizeof(self->entries));
	cpuid.entry_count = count - 1;
	EXPECT_EQ(-ENOSPC, vhm_ioctl(self->vm.device, VHM_GET_CPUID, &cpuid));
	EXPECT_EQ(count, cpuid.entry_count);
	EXPECT_EQ(0xa5a5a5a5, self->entries[0].leaf);
	EXPECT_EQ(0, vhm_ioctl(self->vm.device, VHM_GET_CPUID, &cpuid));
	EXPECT_EQ(0, self->entries[count - 1].reserved);
	EXPECT_EQ(0xa5a5a5a5, self->entries[count].leaf);
	EXPECT_EQ(0, vhm_ioctl(self->vcpu.fd, VHM_VCPU_SET_CPUID, &cpuid));
}

TEST_HARNESS_MAIN
