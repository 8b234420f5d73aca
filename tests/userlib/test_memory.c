// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory: slots against an independent list, copies against a plain array. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fake.h"
#include "test.h"

#define PAGE	4096ull
#define PAGES	64u

static void arguments(void)
{
	struct test_vm test;
	void *address;

	test_vm_create(&test);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, 0, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 1, PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, PAGE + 1, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_memory(test.vm, UINT64_MAX - PAGE + 1, 2 * PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 1ull << 46, PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_memory(test.vm, (1ull << 46) - PAGE, 2 * PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, UINT64_MAX & ~0xfffull, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_user_memory(test.vm, 0, PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_add_user_memory(test.vm, 0, PAGE, 0, (void *)0x1001), -EINVAL);
	CHECK_EQ(vhm_vm_remove_memory(test.vm, 0), -ENOENT);
	CHECK_EQ(fake.slots, 0);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 3 * PAGE, 2 * PAGE, 0, &address), 0);
	/* same place in a 2 MiB page on both sides */
	CHECK_EQ((uintptr_t)address % (2 << 20), 3 * PAGE);
	CHECK_EQ(fake.slot[0].user_address, (uintptr_t)address);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 4 * PAGE, PAGE, 0, NULL), -EEXIST);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, 4 * PAGE, 0, NULL), -EEXIST);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, 3 * PAGE, 0, NULL), 0);
	CHECK_EQ(vhm_vm_add_memory(test.vm, (1ull << 46) - PAGE, PAGE, 0, NULL), 0);
	CHECK_EQ(vhm_vm_remove_memory(test.vm, 4 * PAGE), -ENOENT);
	test_vm_destroy(&test);
}

static void kernel_refuses(void)
{
	struct test_vm test;

	test_vm_create(&test);
	fake.fail_command = VHM_SLOT_ADD;
	fake.fail_errno = ENOMEM;
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, PAGE, 0, NULL), -ENOMEM);
	fake.fail_errno = 0;
	CHECK(!vhm_vm_pointer(test.vm, 0, 1));
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, PAGE, 0, NULL), 0);
	fake.fail_command = VHM_SLOT_REMOVE;
	fake.fail_errno = EIO;
	CHECK_EQ(vhm_vm_remove_memory(test.vm, 0), -EIO);
	CHECK(vhm_vm_pointer(test.vm, 0, PAGE));
	test_vm_destroy(&test);
}

static void slot_numbers(void)
{
	struct test_vm test;
	unsigned int i;

	test_vm_create(&test);
	for (i = 0; i < 64; i++)
		CHECK_EQ(vhm_vm_add_memory(test.vm, 2 * i * PAGE, PAGE, 0, NULL), 0);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 200 * PAGE, PAGE, 0, NULL), -ENOSPC);
	CHECK_EQ(vhm_vm_remove_memory(test.vm, 20 * PAGE), 0);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 200 * PAGE, PAGE, 0, NULL), 0);
	test_vm_destroy(&test);
}

/* What the guest's first PAGES pages are, kept without the library. */
struct model {
	bool present[PAGES];
	uint8_t slot_of[PAGES];		/* first page of the slot */
	uint8_t data[PAGES * PAGE];
};

static void edit_slots(struct test_vm *test, struct model *model)
{
	unsigned int first = random_below(PAGES), count = 1 + random_below(8), i;
	bool overlap = false;
	int ret;

	if (model->present[first] && model->slot_of[first] == first && random_below(2)) {
		CHECK_EQ(vhm_vm_remove_memory(test->vm, first * PAGE), 0);
		for (i = first; i < PAGES && model->present[i] && model->slot_of[i] == first; i++)
			model->present[i] = false;
		return;
	}
	if (first + count > PAGES)
		count = PAGES - first;
	for (i = first; i < first + count; i++)
		overlap |= model->present[i];
	ret = vhm_vm_add_memory(test->vm, first * PAGE, count * PAGE, 0, NULL);
	CHECK_EQ(ret, overlap ? -EEXIST : 0);
	if (ret)
		return;
	for (i = first; i < first + count; i++) {
		model->present[i] = true;
		model->slot_of[i] = (uint8_t)first;
		memset(&model->data[i * PAGE], 0, PAGE);
	}
}

static bool is_present(const struct model *model, uint64_t gpa, uint64_t bytes)
{
	uint64_t i;

	if (gpa + bytes > PAGES * PAGE)
		return false;
	for (i = gpa / PAGE; bytes && i <= (gpa + bytes - 1) / PAGE; i++) {
		if (!model->present[i])
			return false;
	}
	return true;
}

static void copy(struct test_vm *test, struct model *model)
{
	static uint8_t buffer[4 * PAGE];
	uint64_t gpa = random_below(PAGES * PAGE), bytes = random_below(3 * PAGE), i;
	int expected = is_present(model, gpa, bytes) ? 0 : -EFAULT;
	uint8_t value = (uint8_t)random64();

	switch (random_below(3)) {
	case 0:
		CHECK_EQ(vhm_vm_read(test->vm, gpa, buffer, bytes), expected);
		if (!expected)
			CHECK(!memcmp(buffer, &model->data[gpa], bytes));
		break;
	case 1:
		for (i = 0; i < bytes; i++)
			buffer[i] = (uint8_t)random64();
		CHECK_EQ(vhm_vm_write(test->vm, gpa, buffer, bytes), expected);
		if (!expected)
			memcpy(&model->data[gpa], buffer, bytes);
		break;
	default:
		CHECK_EQ(vhm_vm_fill(test->vm, gpa, value, bytes), expected);
		if (!expected)
			memset(&model->data[gpa], value, bytes);
		break;
	}
}

static void point(struct test_vm *test, const struct model *model)
{
	uint64_t gpa = random_below(PAGES * PAGE), bytes = random_below(3 * PAGE);
	bool same = is_present(model, gpa, bytes) && bytes &&
		    model->slot_of[gpa / PAGE] == model->slot_of[(gpa + bytes - 1) / PAGE];
	const uint8_t *pointer = vhm_vm_pointer(test->vm, gpa, bytes);

	CHECK_EQ(!!pointer, same);
	if (pointer && same)
		CHECK(!memcmp(pointer, &model->data[gpa], bytes));
}

/* The pieces, one after another, are the range; all of it or nothing. */
static void pieces(struct test_vm *test, const struct model *model)
{
	uint64_t gpa = random_below(PAGES * PAGE), bytes = random_below(9 * PAGE), at = gpa;
	uint32_t flags = random_below(2) ? VHM_IOVEC_WRITE : 0, count, room = random_below(4), i;
	int expected = is_present(model, gpa, bytes) ? 0 : -EFAULT;
	struct iovec iov[16] = { 0 };
	int ret;

	count = room;
	ret = vhm_vm_iovec(test->vm, gpa, bytes, flags, iov, &count);
	for (i = room; i < 16; i++)
		CHECK(!iov[i].iov_base);
	if (ret == -ENOSPC && !expected) {
		CHECK(count > room && count <= 9);
		ret = vhm_vm_iovec(test->vm, gpa, bytes, flags, iov, &count);
	}
	CHECK_EQ(ret, expected);
	if (ret)
		return;
	for (i = 0; i < count; i++) {
		CHECK(iov[i].iov_len);
		CHECK(!memcmp(iov[i].iov_base, &model->data[at], iov[i].iov_len));
		at += iov[i].iov_len;
	}
	CHECK_EQ(at, gpa + bytes);
}

static void against_model(void)
{
	struct model *model = calloc(1, sizeof(*model));
	struct test_vm test;
	unsigned int i;

	test_vm_create(&test);
	for (i = 0; i < 20000; i++) {
		if (!random_below(4))
			edit_slots(&test, model);
		else if (random_below(2))
			copy(&test, model);
		else if (random_below(2))
			pieces(&test, model);
		else
			point(&test, model);
	}
	test_vm_destroy(&test);
	free(model);
}

static void wrapping_ranges(void)
{
	uint8_t buffer[16] = { 0 };
	struct test_vm test;

	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 0, PAGE, 0, NULL);
	CHECK_EQ(vhm_vm_read(test.vm, UINT64_MAX - 3, buffer, 8), -EFAULT);
	CHECK_EQ(vhm_vm_write(test.vm, UINT64_MAX - 3, buffer, 8), -EFAULT);
	CHECK(!vhm_vm_pointer(test.vm, 8, UINT64_MAX));
	CHECK(!vhm_vm_pointer(test.vm, 8, 0));
	CHECK_EQ(vhm_vm_read(test.vm, 12345678, buffer, 0), 0);
	CHECK_EQ(vhm_vm_fill(test.vm, 0, 1, UINT64_MAX), -EFAULT);
	test_vm_destroy(&test);
}

/* Slots that are read-only, slots that adjoin in this process, too, and arguments. */
static void iovecs(void)
{
	struct iovec iov[4] = { 0 };
	struct test_vm test;
	uint32_t count = 4;
	uint8_t *memory;

	test_vm_create(&test);
	memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	vhm_vm_add_user_memory(test.vm, 0, PAGE, 0, memory);
	vhm_vm_add_user_memory(test.vm, PAGE, PAGE, 0, memory + PAGE);
	vhm_vm_add_user_memory(test.vm, 2 * PAGE, PAGE, VHM_SLOT_READONLY, memory + PAGE);
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, 3 * PAGE - 8, 0, iov, &count), 0);
	CHECK_EQ(count, 2);
	CHECK(iov[0].iov_base == memory + 8 && iov[0].iov_len == 2 * PAGE - 8);
	CHECK(iov[1].iov_base == memory + PAGE && iov[1].iov_len == PAGE);
	count = 4;
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, 2 * PAGE - 7, VHM_IOVEC_WRITE, iov, &count), -EACCES);
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, 2 * PAGE - 8, VHM_IOVEC_WRITE, iov, &count), 0);
	CHECK_EQ(count, 1);
	count = 0;
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, 3 * PAGE - 8, 0, NULL, &count), -ENOSPC);
	CHECK_EQ(count, 2);
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, 0, VHM_IOVEC_WRITE, iov, &count), 0);
	CHECK_EQ(count, 0);
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, 8, ~0u, iov, &count), -EINVAL);
	CHECK_EQ(vhm_vm_iovec(test.vm, 8, UINT64_MAX, 0, iov, &count), -EFAULT);
	CHECK_EQ(vhm_vm_iovec(test.vm, UINT64_MAX, 2, 0, iov, &count), -EFAULT);
	test_vm_destroy(&test);
	munmap(memory, 3 * PAGE);
}

static void next_memory(void)
{
	struct vhm_memory_range range;
	struct test_vm test;

	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 4 * PAGE, 2 * PAGE, 0, NULL);
	vhm_vm_add_memory(test.vm, 16 * PAGE, PAGE, VHM_SLOT_READONLY, NULL);
	CHECK_EQ(vhm_vm_next_memory(test.vm, 0, &range), 0);
	CHECK_EQ(range.gpa, 4 * PAGE);
	CHECK_EQ(range.bytes, 2 * PAGE);
	CHECK_EQ(range.type, VHM_MEMORY_RAM);
	CHECK_EQ(vhm_vm_next_memory(test.vm, 4 * PAGE + 1, &range), 0);
	CHECK_EQ(range.gpa, 16 * PAGE);
	CHECK_EQ(range.type, VHM_MEMORY_RESERVED);
	CHECK_EQ(vhm_vm_next_memory(test.vm, 17 * PAGE, &range), -ENOENT);
	test_vm_destroy(&test);
}

static void populate(void)
{
	struct vhm_mapped mapped;
	uint64_t done = 7;
	struct test_vm test;

	test_vm_create(&test);
	CHECK_EQ(vhm_vm_populate(test.vm, 2 * PAGE, 5 * PAGE, VHM_POPULATE_WRITE, &done), -EINTR);
	CHECK_EQ(done, 4 * PAGE);
	CHECK_EQ(vhm_vm_populate(test.vm, 6 * PAGE, PAGE, 0, &done), 0);
	CHECK_EQ(done, PAGE);
	CHECK_EQ(fake.populated, 5 * PAGE);
	CHECK_EQ(vhm_vm_populate(test.vm, 6 * PAGE, PAGE, 0, NULL), 0);
	CHECK_EQ(vhm_vm_populate(test.vm, 1, PAGE, 0, &done), -EINVAL);
	CHECK_EQ(done, 0);
	CHECK_EQ(vhm_vm_populate(test.vm, 0, PAGE, ~0u, NULL), -EINVAL);
	CHECK_EQ(vhm_vm_get_mapped(test.vm, 3 * PAGE, PAGE, &mapped), 0);
	CHECK_EQ(mapped.entries[1], 6);
	CHECK_EQ(mapped.tables, 3);
	CHECK_EQ(mapped.entries[0] + mapped.entries[2], 0);
	fake.fail_command = VHM_VM_GET_MAPPED;
	fake.fail_errno = EIO;
	CHECK_EQ(vhm_vm_get_mapped(test.vm, 0, PAGE, &mapped), -EIO);
	test_vm_destroy(&test);
}

/* ------------------------------------------------------------ many at once -- */

static bool is_mapped(void *address)
{
	unsigned char resident;

	return !mincore(address, PAGE, &resident);
}

/* The byte at @gpa is that of @address, and the kernel has been told the same. */
static void check_place(struct test_vm *test, uint64_t gpa, const void *address, uint32_t flags)
{
	unsigned int i, found = 0;

	CHECK(vhm_vm_pointer(test->vm, gpa, 1) == address);
	for (i = 0; i < fake.slots; i++) {
		const struct vhm_slot *slot = &fake.slot[i];

		if (gpa - slot->gpa >= slot->bytes)
			continue;
		found++;
		CHECK_EQ(slot->user_address + (gpa - slot->gpa), (uintptr_t)address);
		CHECK_EQ(slot->flags, flags);
	}
	CHECK_EQ(found, address ? 1 : 0);
}

/* Memory of the library: moved, in three pieces, and gone with the last of them. */
static void changes_of_library_memory(void)
{
	struct test_vm test;
	uint8_t *memory;

	test_vm_create(&test);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, 8 * PAGE, 0, (void **)&memory), 0);
	{
		const struct vhm_memory_change move[] = {
			{ .gpa = 16 * PAGE, .bytes = 8 * PAGE, .address = memory },
			{ .gpa = 0 },
		};

		CHECK_EQ(vhm_vm_change_memory(test.vm, move, 2), 0);
	}
	CHECK(is_mapped(memory));
	check_place(&test, 0, NULL, 0);
	check_place(&test, 17 * PAGE, memory + PAGE, 0);
	CHECK_EQ(vhm_vm_fill(test.vm, 16 * PAGE, 7, 8 * PAGE), 0);
	{
		const struct vhm_memory_change split[] = {
			{ .gpa = 16 * PAGE },
			{ .gpa = 16 * PAGE, .bytes = 2 * PAGE, .address = memory },
			{ .gpa = 18 * PAGE, .bytes = PAGE, .address = memory + 2 * PAGE,
			  .flags = VHM_SLOT_READONLY },
			{ .gpa = 19 * PAGE, .bytes = 5 * PAGE, .address = memory + 3 * PAGE },
		};

		CHECK_EQ(vhm_vm_change_memory(test.vm, split, 4), 0);
	}
	check_place(&test, 17 * PAGE, memory + PAGE, 0);
	check_place(&test, 18 * PAGE, memory + 2 * PAGE, VHM_SLOT_READONLY);
	check_place(&test, 23 * PAGE, memory + 7 * PAGE, 0);
	CHECK_EQ(vhm_vm_remove_memory(test.vm, 16 * PAGE), 0);
	CHECK_EQ(vhm_vm_remove_memory(test.vm, 19 * PAGE), 0);
	CHECK(is_mapped(memory));
	CHECK_EQ(memory[2 * PAGE], 7);
	CHECK_EQ(vhm_vm_change_memory(test.vm, &(struct vhm_memory_change){ .gpa = 18 * PAGE }, 1), 0);
	CHECK(!is_mapped(memory));
	CHECK_EQ(fake.slots, 0);
	/* what is left at the end goes once */
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, 2 * PAGE, 0, (void **)&memory), 0);
	{
		const struct vhm_memory_change halves[] = {
			{ .gpa = 0 },
			{ .gpa = 0, .bytes = PAGE, .address = memory + PAGE },
			{ .gpa = PAGE, .bytes = PAGE, .address = memory },
		};

		CHECK_EQ(vhm_vm_change_memory(test.vm, halves, 3), 0);
	}
	check_place(&test, 0, memory + PAGE, 0);
	check_place(&test, PAGE, memory, 0);
	test_vm_destroy(&test);
	CHECK(!is_mapped(memory));
}

/* All slots there can be change places at once; a refused change changes nothing. */
static void changes_of_user_memory(void)
{
	struct vhm_memory_change change[129] = { 0 };
	struct test_vm test;
	uint8_t *memory;
	unsigned int i;

	test_vm_create(&test);
	memory = mmap(NULL, 65 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	for (i = 0; i < 64; i++)
		CHECK_EQ(vhm_vm_add_user_memory(test.vm, i * PAGE, PAGE, 0, memory + i * PAGE), 0);
	for (i = 0; i < 64; i++) {
		change[2 * i] = (struct vhm_memory_change){
			.gpa = (63 - i) * PAGE, .bytes = PAGE, .address = memory + i * PAGE,
		};
		change[2 * i + 1].gpa = i * PAGE;
	}
	CHECK_EQ(vhm_vm_change_memory(test.vm, change, 129), -EINVAL);
	CHECK_EQ(vhm_vm_change_memory(test.vm, change, 0), -EINVAL);
	fake.fail_command = VHM_SLOT_EDIT;
	fake.fail_errno = ENOMEM;
	CHECK_EQ(vhm_vm_change_memory(test.vm, change, 128), -ENOMEM);
	fake.fail_errno = 0;
	check_place(&test, 0, memory, 0);
	CHECK_EQ(vhm_vm_change_memory(test.vm, change, 128), 0);
	for (i = 0; i < 64; i++)
		check_place(&test, i * PAGE, memory + (63 - i) * PAGE, 0);

#define TRY(expected, ...) do {									\
	const struct vhm_memory_change try_[] = { __VA_ARGS__ };				\
	CHECK_EQ(vhm_vm_change_memory(test.vm, try_, sizeof(try_) / sizeof(try_[0])), expected);	\
	for (i = 0; i < 64; i++)								\
		check_place(&test, i * PAGE, memory + (63 - i) * PAGE, 0);			\
	CHECK(is_mapped(memory));								\
} while (0)
	TRY(-ENOSPC, { .gpa = 64 * PAGE, .bytes = PAGE, .address = memory });
	TRY(-ENOENT, { .gpa = 64 * PAGE });
	TRY(-ENOENT, { .gpa = 0 }, { .gpa = 0 });
	TRY(-EEXIST, { .gpa = 0 }, { .gpa = 0, .bytes = 2 * PAGE, .address = memory });
	TRY(-EEXIST, { .gpa = 0 }, { .gpa = PAGE }, { .gpa = 0, .bytes = 2 * PAGE, .address = memory },
	    { .gpa = PAGE, .bytes = PAGE, .address = memory });
	TRY(-EINVAL, { .gpa = 0 }, { .gpa = 1, .bytes = PAGE, .address = memory });
	TRY(-EINVAL, { .gpa = 0 }, { .gpa = 0, .bytes = 1, .address = memory });
	TRY(-EINVAL, { .gpa = 0 }, { .gpa = 0, .bytes = PAGE, .address = memory + 1 });
	TRY(-EINVAL, { .gpa = 0 }, { .gpa = 0, .bytes = PAGE });
	TRY(-EINVAL, { .gpa = 0 }, { .gpa = 0, .bytes = PAGE, .address = memory, .reserved = 1 });
	TRY(-EINVAL, { .gpa = 0, .address = memory });
	TRY(-EINVAL, { .gpa = 0, .flags = VHM_SLOT_READONLY });
#undef TRY
	test_vm_destroy(&test);
	CHECK(is_mapped(memory));
	munmap(memory, 65 * PAGE);
}

static void rights(void)
{
	struct test_vm test;

	test_vm_create(&test);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 2 * PAGE, 3 * PAGE, VHM_RIGHT_READ), 0);
	CHECK_EQ(fake.rights.gpa, 2 * PAGE);
	CHECK_EQ(fake.rights.bytes, 3 * PAGE);
	CHECK_EQ(fake.rights.rights, VHM_RIGHT_READ);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 0, PAGE, 0), 0);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 0, PAGE, VHM_RIGHT_WRITE), -EINVAL);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 0, PAGE, 8), -EINVAL);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 1, PAGE, 1), -EINVAL);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 0, 0, 1), -EINVAL);
	CHECK_EQ(vhm_vm_set_rights(test.vm, 0, PAGE, VHM_RIGHT_EXECUTE), -EOPNOTSUPP);
	test_vm_destroy(&test);
}

static atomic_bool stop_threads;

static void *copy_in_thread(void *context)
{
	struct test_vm *test = context;
	uint64_t value;
	unsigned long reads = 0;

	while (!atomic_load(&stop_threads)) {
		if (!vhm_vm_read(test->vm, PAGE, &value, sizeof(value)))
			reads += value;
		vhm_vm_write(test->vm, PAGE, &value, sizeof(value));
	}
	return (void *)reads;
}

/* Memory that is being copied is not unmapped under the copy. */
static void remove_under_copies(void)
{
	pthread_t thread[2];
	struct test_vm test;
	unsigned int i;

	test_vm_create(&test);
	atomic_store(&stop_threads, false);
	for (i = 0; i < 2; i++)
		REQUIRE(!pthread_create(&thread[i], NULL, copy_in_thread, &test));
	for (i = 0; i < 2000; i++) {
		CHECK_EQ(vhm_vm_add_memory(test.vm, 0, 4 * PAGE, 0, NULL), 0);
		CHECK_EQ(vhm_vm_remove_memory(test.vm, 0), 0);
	}
	atomic_store(&stop_threads, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	test_vm_destroy(&test);
}

const struct test_case memory_cases[] = {
	{ "memory: arguments", arguments },
	{ "memory: the kernel refuses", kernel_refuses },
	{ "memory: slot numbers", slot_numbers },
	{ "memory: random edits and copies against a model", against_model },
	{ "memory: ranges that wrap", wrapping_ranges },
	{ "memory: pieces", iovecs },
	{ "memory: next slot", next_memory },
	{ "memory: ahead of the guest", populate },
	{ "memory: changes of the library's memory", changes_of_library_memory },
	{ "memory: changes of the caller's memory", changes_of_user_memory },
	{ "memory: rights", rights },
	{ "memory: removal under copies of other threads", remove_under_copies },
	{ 0 },
};
