// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's ioctls without a module: see fake.h.
 *
 * Checks what the library passes (sizes, reserved fields) as the kernel does.
 */
#include "fake.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libvhm.h>

struct fake fake;

int __wrap_vhm_sys_ioctl(int fd, unsigned long command, void *arg);
void *__wrap_dlopen(const char *file, int mode);
void *__real_dlopen(const char *file, int mode);
bool __wrap_vhm_sys_has_gigabyte_pages(void);

static const struct vhm_cpuid_entry supported[] = {
	{ .leaf = 0, .eax = 0xd, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
	{ .leaf = 1, .eax = 0x50654, .ecx = 0x80000000, .edx = 0x1fffff },
	{ .leaf = 0xd, .subleaf = 0, .flags = VHM_CPUID_SUBLEAF, .eax = 7, .ebx = 832 },
	{ .leaf = 0xd, .subleaf = 1, .flags = VHM_CPUID_SUBLEAF, .eax = 1 },
};

#define SUPPORTED_COUNT	(sizeof(supported) / sizeof(supported[0]))

void fake_reset(void)
{
	unsigned int eax, ebx = 832, ecx, edx;

	__get_cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx);
	memset(&fake, 0, sizeof(fake));
	fake.xsave_bytes = ebx <= FAKE_XSAVE_BYTES ? ebx : 832;
	fake.info = (struct vhm_info){
		.size = sizeof(fake.info), .abi_version = VHM_ABI_VERSION,
		.max_vcpus = 4, .max_slots = 64, .gpa_bits = 46, .max_cpuid_entries = 64,
		.run_page_bytes = 4096, .state_bytes = FAKE_STATE_BYTES, .tsc_khz = 1000000,
		.apic_timer_hz = 1000000000,
	};
	fake.sregs.apic_base = 0xfee00900;
}

static int new_fd(void)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, 4096)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int get_cpuid(struct vhm_cpuid *arg)
{
	bool fits = arg->entry_count >= SUPPORTED_COUNT;

	arg->entry_count = SUPPORTED_COUNT;
	if (!fits)
		return ENOSPC;
	memcpy((void *)(uintptr_t)arg->entries, supported, sizeof(supported));
	return 0;
}

static int set_cpuid(const struct vhm_cpuid *arg)
{
	if (arg->entry_count > 64)
		return EINVAL;
	memcpy(fake.cpuid, (const void *)(uintptr_t)arg->entries,
	       arg->entry_count * sizeof(fake.cpuid[0]));
	fake.cpuid_count = arg->entry_count;
	return 0;
}

static int slot_add(const struct vhm_slot *arg)
{
	unsigned int i;

	for (i = 0; i < fake.slots; i++) {
		if (fake.slot[i].id == arg->id)
			return EEXIST;
	}
	if (fake.slots == 64 || arg->reserved || arg->id >= fake.info.max_slots)
		return EINVAL;
	fake.slot[fake.slots++] = *arg;
	return 0;
}

static int slot_remove(const struct vhm_slot *arg)
{
	unsigned int i;

	if (arg->gpa || arg->bytes || arg->user_address || arg->flags)
		return EINVAL;
	for (i = 0; i < fake.slots && fake.slot[i].id != arg->id; i++)
		;
	if (i == fake.slots)
		return ENOENT;
	fake.slot[i] = fake.slot[--fake.slots];
	return 0;
}

/* Those that go first; all or nothing. */
static int slot_edit(const struct vhm_slot_edits *arg)
{
	const struct vhm_slot *slots = (const void *)(uintptr_t)arg->slots;
	struct fake before = fake;
	unsigned int i, comes;
	int error = 0;

	if (arg->flags || arg->reserved || !arg->count || arg->count > 2 * fake.info.max_slots)
		return EINVAL;
	for (comes = 0; comes < 2; comes++) {
		for (i = 0; i < arg->count && !error; i++) {
			if (slots[i].size != sizeof(slots[i]))
				error = EINVAL;
			else if (!!slots[i].bytes == comes)
				error = comes ? slot_add(&slots[i]) : slot_remove(&slots[i]);
		}
	}
	if (error)
		fake = before;
	return error;
}

static int set_rights(const struct vhm_rights *arg)
{
	if (arg->flags || arg->reserved || arg->rights > 7 || !arg->bytes ||
	    (arg->gpa | arg->bytes) & 4095 || (arg->rights & 3) == VHM_RIGHT_WRITE)
		return EINVAL;
	if (arg->rights == VHM_RIGHT_EXECUTE)
		return EOPNOTSUPP;
	fake.rights = *arg;
	return 0;
}

/* All but the last page, as if a signal had come; the last page alone is done. */
static int populate(struct vhm_populate *arg)
{
	uint64_t part = arg->bytes > 4096 ? arg->bytes - 4096 : arg->bytes;

	if (arg->flags & ~VHM_POPULATE_WRITE || !arg->bytes || (arg->gpa | arg->bytes) & 4095)
		return EINVAL;
	fake.populated += part;
	arg->gpa += part;
	arg->bytes -= part;
	return arg->bytes ? EINTR : 0;
}

static int note_written(const struct vhm_written *arg)
{
	uint64_t page;

	if (arg->flags || !arg->bytes || arg->bytes > VHM_MAX_WRITTEN_BYTES ||
	    arg->gpa + arg->bytes - 1 < arg->gpa)
		return EINVAL;
	fake.notes++;
	for (page = arg->gpa / 4096; page <= (arg->gpa + arg->bytes - 1) / 4096; page++)
		if (page < FAKE_PAGES)
			fake.written[page / 64] |= 1ull << page % 64;
	return 0;
}

/* Pages of word @word of fake.written that are in the range; the last word may be a part. */
static uint64_t take_word(const struct vhm_harvest *arg, uint64_t word)
{
	uint64_t last = (arg->gpa + arg->bytes - 1) / 4096;

	if (word >= FAKE_PAGES / 64)
		return 0;
	return fake.written[word] & (last / 64 == word ? ~0ull >> (63 - last % 64) : ~0ull);
}

static int harvest(struct vhm_harvest *arg)
{
	bool list = arg->flags & VHM_HARVEST_LIST;
	uint64_t *data = (uint64_t *)(uintptr_t)arg->data, first = arg->gpa / 4096 / 64;

	if (arg->flags & ~VHM_HARVEST_LIST || arg->data % 8 || arg->gpa % (256 << 10) ||
	    !arg->bytes || arg->bytes % 4096 || (list ? arg->room < 64 : arg->room))
		return EINVAL;
	arg->pages = 0;
	while (arg->bytes) {
		uint64_t word = arg->gpa / 4096 / 64, pages = take_word(arg, word);
		uint64_t part = arg->bytes < 256 << 10 ? arg->bytes : 256 << 10;

		if (word >= FAKE_PAGES / 64)
			part = arg->bytes;
		if (list && arg->pages + (uint64_t)__builtin_popcountll(pages) > arg->room)
			break;
		if (pages)
			fake.written[word] &= ~pages;
		if (!list && pages)
			data[word - first] |= pages;
		for (; pages; pages &= pages - 1, arg->pages++)
			if (list)
				data[arg->pages] = word * 64 + (uint64_t)__builtin_ctzll(pages);
		arg->gpa += part;
		arg->bytes -= part;
	}
	return 0;
}

/* Where the state of a section lives, and its size. */
static void *section_storage(unsigned int type, unsigned int *bytes)
{
	switch (type) {
	case VHM_SECTION_REGISTERS:
		*bytes = sizeof(fake.regs);
		return &fake.regs;
	case VHM_SECTION_SREGISTERS:
		*bytes = sizeof(fake.sregs);
		return &fake.sregs;
	case VHM_SECTION_XSAVE:
		*bytes = fake.xsave_bytes;
		return fake.xsave;
	case VHM_SECTION_EVENTS:
		*bytes = sizeof(fake.events);
		return &fake.events;
	default:
		return NULL;
	}
}

static int get_state(struct vhm_state *arg)
{
	_Alignas(8) static unsigned char buffer[FAKE_STATE_BYTES];
	unsigned int type, bytes;
	size_t used = 0;

	for (type = 1; type < VHM_SECTION_COUNT; type++) {
		void *storage = section_storage(type, &bytes);

		if (!storage || (arg->sections && !(arg->sections >> type & 1)))
			continue;
		if (vhm_section_append(buffer, sizeof(buffer), &used, type, storage, bytes))
			return ENOMEM;
	}
	if (used > arg->buffer_bytes) {
		arg->buffer_bytes = used;
		return ENOSPC;
	}
	memcpy((void *)(uintptr_t)arg->buffer, buffer, used);
	arg->buffer_bytes = used;
	return 0;
}

static int set_state(const struct vhm_state *arg)
{
	const void *buffer = (const void *)(uintptr_t)arg->buffer;
	const struct vhm_section *section;
	unsigned int bytes;

	if (arg->sections || vhm_sections_check(buffer, arg->buffer_bytes))
		return EINVAL;
	for (section = vhm_section_first(buffer, arg->buffer_bytes); section;
	     section = vhm_section_next(buffer, arg->buffer_bytes, section)) {
		void *storage = section_storage(section->type, &bytes);

		if (!storage || section->version != 1)
			return EOPNOTSUPP;
		if (section->bytes != bytes)
			return EINVAL;
		memcpy(storage, vhm_section_payload(section), bytes);
	}
	return 0;
}

static int apic_access(struct vhm_apic_access *arg)
{
	if (arg->offset & 15 || arg->offset >= 1024)
		return EINVAL;
	if (arg->flags & VHM_APIC_WRITE) {
		fake.apic[arg->offset / 16] = arg->value;
		fake.apic_writes++;
	} else {
		arg->value = fake.apic[arg->offset / 16];
		fake.apic_reads++;
	}
	return 0;
}

static int execute(unsigned long command, void *arg, int *result)
{
	switch (command) {
	case VHM_GET_INFO:
		memcpy(arg, &fake.info, sizeof(fake.info));
		return 0;
	case VHM_GET_CPUID:
		return get_cpuid(arg);
	case VHM_VM_CREATE:
	case VHM_VCPU_CREATE:
	case VHM_TRACKER_CREATE:
		*result = new_fd();
		return *result < 0 ? errno : 0;
	case VHM_SLOT_ADD:
		return slot_add(arg);
	case VHM_SLOT_REMOVE:
		return slot_remove(arg);
	case VHM_SLOT_EDIT:
		return slot_edit(arg);
	case VHM_VM_SET_RIGHTS:
		return set_rights(arg);
	case VHM_VM_POPULATE:
		return populate(arg);
	case VHM_VM_NOTE_WRITTEN:
		return note_written(arg);
	case VHM_TRACKER_HARVEST:
		return harvest(arg);
	case VHM_VM_GET_MAPPED:
		((struct vhm_mapped *)arg)->entries[1] = 6;
		((struct vhm_mapped *)arg)->tables = ((struct vhm_mapped *)arg)->gpa / 4096;
		return 0;
	case VHM_VCPU_SET_CPUID:
		return set_cpuid(arg);
	case VHM_VM_MSI:
		fake.msi = *(const struct vhm_msi *)arg;
		*result = 1;
		return 0;
	case VHM_VCPU_RUN:
		fake.runs++;
		return arg ? EINVAL : 0;
	case VHM_VCPU_KICK:
		fake.kicks++;
		return arg ? EINVAL : 0;
	case VHM_VCPU_GET_STATE:
		return get_state(arg);
	case VHM_VCPU_SET_STATE:
		return set_state(arg);
	case VHM_VCPU_NMI:
		fake.nmis++;
		return 0;
	case VHM_VCPU_APIC_ACCESS:
		return apic_access(arg);
	case VHM_VCPU_SET_CONTROL:
		fake.control = *(const struct vhm_vcpu_control *)arg;
		return 0;
	case VHM_VCPU_GET_STATS:
		((struct vhm_stats *)arg)->count[VHM_STAT_EXITS] = 42;
		return 0;
	default:
		return ENOTTY;
	}
}

/* Each command with a struct must say the size the header has. */
static bool size_is_right(unsigned long command, const void *arg)
{
	static const struct {
		unsigned long command;
		unsigned int size;
	} sizes[] = {
		{ VHM_GET_INFO, sizeof(struct vhm_info) },
		{ VHM_GET_CPUID, sizeof(struct vhm_cpuid) },
		{ VHM_VM_CREATE, sizeof(struct vhm_vm_create) },
		{ VHM_VCPU_CREATE, sizeof(struct vhm_vcpu_create) },
		{ VHM_SLOT_ADD, sizeof(struct vhm_slot) },
		{ VHM_SLOT_REMOVE, sizeof(struct vhm_slot) },
		{ VHM_SLOT_EDIT, sizeof(struct vhm_slot_edits) },
		{ VHM_VM_SET_RIGHTS, sizeof(struct vhm_rights) },
		{ VHM_VM_POPULATE, sizeof(struct vhm_populate) },
		{ VHM_VM_GET_MAPPED, sizeof(struct vhm_mapped) },
		{ VHM_VM_NOTE_WRITTEN, sizeof(struct vhm_written) },
		{ VHM_TRACKER_CREATE, sizeof(struct vhm_tracker_create) },
		{ VHM_TRACKER_HARVEST, sizeof(struct vhm_harvest) },
		{ VHM_VCPU_SET_CPUID, sizeof(struct vhm_cpuid) },
		{ VHM_VM_MSI, sizeof(struct vhm_msi) },
		{ VHM_VCPU_GET_STATE, sizeof(struct vhm_state) },
		{ VHM_VCPU_SET_STATE, sizeof(struct vhm_state) },
		{ VHM_VCPU_NMI, sizeof(struct vhm_nmi) },
		{ VHM_VCPU_APIC_ACCESS, sizeof(struct vhm_apic_access) },
		{ VHM_VCPU_GET_STATS, sizeof(struct vhm_stats) },
		{ VHM_VCPU_SET_CONTROL, sizeof(struct vhm_vcpu_control) },
	};
	unsigned int i, size;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i].command != command)
			continue;
		memcpy(&size, arg, sizeof(size));
		return size == sizes[i].size;
	}
	return true;
}

int __wrap_vhm_sys_ioctl(int fd, unsigned long command, void *arg)
{
	int error, result = 0;

	fake.calls++;
	if (fd < 0)
		error = EBADF;
	else if (command == fake.fail_command && fake.fail_errno)
		error = fake.fail_errno;
	else if (!size_is_right(command, arg))
		error = EINVAL;
	else
		error = execute(command, arg, &result);
	return error ? -error : result;
}

void *__wrap_dlopen(const char *file, int mode)
{
	return __real_dlopen(fake.library_missing ? "/nonexistent" : file, mode);
}

bool __wrap_vhm_sys_has_gigabyte_pages(void)
{
	return fake.has_gigabyte_pages;
}
