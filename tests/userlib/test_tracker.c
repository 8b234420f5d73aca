// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trackers: everything in the library that writes guest memory is noted while there is one and
 * nothing is otherwise; runs of written pages against a list of pages made without the library.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "test.h"

#define PAGE	4096ull
#define PAGES	2048u			/* 8 MiB */

static struct test_vm test;
static struct vhm_tracker *tracker;

static void begin(void)
{
	test_vm_create(&test);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, PAGES * PAGE, 0, NULL), 0);
	CHECK_EQ(vhm_tracker_create(test.vm, &tracker), 0);
	fake.notes = 0;
}

static void end(void)
{
	vhm_tracker_destroy(tracker);
	test_vm_destroy(&test);
}

/* What the kernel was told of is these @count pages from @first on, and no more. */
static void check_noted(int line, uint64_t first, uint64_t count)
{
	uint64_t page, noted = 0;
	bool good = true;

	for (page = 0; page < FAKE_PAGES; page++) {
		bool is = fake.written[page / 64] >> page % 64 & 1;

		good &= is == (page - first < count);
		noted += is;
	}
	check_that(good, __FILE__, line, "%llu pages were noted, not %llu from %llu on",
		   (unsigned long long)noted, (unsigned long long)count, (unsigned long long)first);
	memset(fake.written, 0, sizeof(fake.written));
}

#define CHECK_NOTED(first, count)	check_noted(__LINE__, first, count)

static void notes_copies(void)
{
	uint8_t buffer[64] = { 1 };

	begin();
	CHECK_EQ(vhm_vm_write(test.vm, 3 * PAGE, buffer, sizeof(buffer)), 0);
	CHECK_NOTED(3, 1);
	CHECK_EQ(vhm_vm_write(test.vm, 5 * PAGE - 1, buffer, 2), 0);
	CHECK_NOTED(4, 2);
	CHECK_EQ(vhm_vm_fill(test.vm, PAGE, 7, 100 * PAGE), 0);
	CHECK_NOTED(1, 100);
	CHECK_EQ(vhm_vm_read(test.vm, 0, buffer, sizeof(buffer)), 0);
	CHECK(vhm_vm_pointer(test.vm, 0, PAGE));
	CHECK_EQ(fake.notes, 3);
	/* nothing was written */
	CHECK_EQ(vhm_vm_write(test.vm, 0, buffer, 0), 0);
	CHECK_EQ(vhm_vm_write(test.vm, PAGES * PAGE - 8, buffer, 16), -EFAULT);
	CHECK_EQ(vhm_vm_fill(test.vm, 0, 0, UINT64_MAX), -EFAULT);
	CHECK_EQ(fake.notes, 3);
	CHECK_EQ(vhm_vm_note_written(test.vm, 9 * PAGE, PAGE), 0);
	CHECK_NOTED(9, 1);
	CHECK_EQ(vhm_vm_note_written(test.vm, 9 * PAGE, 0), 0);
	CHECK_EQ(vhm_vm_note_written(test.vm, UINT64_MAX, 2), -EINVAL);
	CHECK_EQ(fake.notes, 4);
	/* more than one call of the kernel takes */
	CHECK_EQ(vhm_vm_note_written(test.vm, 0, 3 * VHM_MAX_WRITTEN_BYTES - 1), 0);
	CHECK_NOTED(0, FAKE_PAGES);
	CHECK_EQ(fake.notes, 7);
	fake.fail_command = VHM_VM_NOTE_WRITTEN;
	fake.fail_errno = EIO;
	CHECK_EQ(vhm_vm_write(test.vm, 0, buffer, 1), -EIO);
	end();
}

/* As long as there are trackers, and no call of the kernel otherwise. */
static void only_with_trackers(void)
{
	struct vhm_tracker *second;
	unsigned int before;

	begin();
	CHECK(vhm_tracker_fd(tracker) >= 0);
	CHECK_EQ(vhm_tracker_create(test.vm, &second), 0);
	vhm_tracker_destroy(second);
	vhm_vm_fill(test.vm, 0, 1, 1);
	CHECK_EQ(fake.notes, 1);
	vhm_tracker_destroy(tracker);
	before = fake.calls;
	vhm_vm_fill(test.vm, 0, 1, 1);
	CHECK_EQ(vhm_vm_note_written(test.vm, 0, 1), 0);
	CHECK_EQ(fake.calls, before);
	fake.fail_command = VHM_TRACKER_CREATE;
	fake.fail_errno = ENOMEM;
	CHECK_EQ(vhm_tracker_create(test.vm, &second), -ENOMEM);
	before = fake.calls;
	vhm_vm_fill(test.vm, 0, 1, 1);
	CHECK_EQ(fake.calls, before);
	test_vm_destroy(&test);
}

/* Images, and flags in page tables. */
static void notes_other_writes(void)
{
	const struct vhm_paging paging = {
		.cr0 = 1u << 31 | 1, .cr3 = 16 * PAGE, .cr4 = 1 << 5, .efer = 1 << 10 | 1 << 8,
	};
	const uint64_t entries[3] = { 17 * PAGE | 3, 18 * PAGE | 3, 0x83 };
	struct vhm_translation out;
	uint8_t image[3 * PAGE] = { 0 };
	int level, fd = memfd_create("image", 0);
	uint64_t loaded;

	begin();
	REQUIRE(write(fd, image, sizeof(image)) == sizeof(image));
	CHECK_EQ(vhm_load_flat(test.vm, fd, 7 * PAGE, &loaded), 0);
	CHECK_NOTED(7, 3);
	close(fd);
	for (level = 0; level < 3; level++)
		vhm_vm_write(test.vm, (16 + (uint64_t)level) * PAGE, &entries[level], 8);
	CHECK_NOTED(16, 3);
	CHECK_EQ(vhm_translate(test.vm, &paging, 0x1234, VHM_ACCESS_DEBUG, &out), 0);
	CHECK_NOTED(0, 0);
	CHECK_EQ(vhm_translate(test.vm, &paging, 0x1234, 0, &out), 0);
	CHECK_NOTED(16, 3);
	CHECK_EQ(vhm_translate(test.vm, &paging, 0x1234, 0, &out), 0);
	CHECK_NOTED(0, 0);
	CHECK_EQ(vhm_translate(test.vm, &paging, 0x1234, VHM_ACCESS_WRITE, &out), 0);
	CHECK_NOTED(18, 1);
	end();
}

static void bitmap_and_list(void)
{
	uint64_t bitmap[2] = { 1ull << 63, 0 }, list[64], pages, count = 64, done;

	begin();
	vhm_vm_fill(test.vm, 66 * PAGE, 1, 3 * PAGE);
	CHECK_EQ(vhm_tracker_harvest(tracker, 0, 128 * PAGE, bitmap, &pages), 0);
	CHECK_EQ(pages, 3);
	CHECK_EQ(bitmap[0], 1ull << 63);
	CHECK_EQ(bitmap[1], 7 << 2);
	CHECK_EQ(vhm_tracker_harvest(tracker, 0, 128 * PAGE, bitmap, NULL), 0);
	CHECK_EQ(vhm_tracker_harvest(tracker, PAGE, PAGE, bitmap, &pages), -EINVAL);
	vhm_vm_fill(test.vm, 32 * PAGE, 1, 64 * PAGE);
	CHECK_EQ(vhm_tracker_harvest_list(tracker, 0, PAGES * PAGE, list, &count, &done), 0);
	CHECK_EQ(count, 64);
	CHECK_EQ(list[63], 95);
	CHECK_EQ(done, PAGES * PAGE);
	vhm_vm_fill(test.vm, 32 * PAGE, 1, 65 * PAGE);
	CHECK_EQ(vhm_tracker_harvest_list(tracker, 0, PAGES * PAGE, list, &count, &done), 0);
	CHECK_EQ(count, 32);
	CHECK_EQ(done, 64 * PAGE);
	count = 63;
	CHECK_EQ(vhm_tracker_harvest_list(tracker, 0, PAGE, list, &count, &done), -EINVAL);
	end();
}

/* --------------------------------------------------------------- the runs -- */

/* What vhm_tracker_for_each() told. */
struct told {
	unsigned int runs;
	unsigned int stop_at;		/* run, from 1; 0: never */
	uint64_t next;			/* gpa that nothing may be below */
	bool page[FAKE_PAGES];
	uint32_t type[FAKE_PAGES];
};

static int note_run(void *context, const struct vhm_memory_range *run)
{
	struct told *told = context;
	uint64_t gpa;

	CHECK(run->bytes && !((run->gpa | run->bytes) % PAGE) && run->gpa >= told->next);
	if (++told->runs == told->stop_at)
		return 77;
	/* inside one slot, or none */
	CHECK_EQ(!!vhm_vm_pointer(test.vm, run->gpa, run->bytes), run->type != 0);
	for (gpa = run->gpa; gpa < run->gpa + run->bytes; gpa += PAGE) {
		CHECK(!told->page[gpa / PAGE]);
		told->page[gpa / PAGE] = true;
		told->type[gpa / PAGE] = run->type;
	}
	told->next = run->gpa + run->bytes;
	return 0;
}

static struct told *for_each(uint64_t gpa, uint64_t bytes, unsigned int stop_at)
{
	static struct told told;

	memset(&told, 0, sizeof(told));
	told.stop_at = stop_at;
	CHECK_EQ(vhm_tracker_for_each(tracker, gpa, bytes, note_run, &told), stop_at ? 77 : 0);
	return &told;
}

static void runs(void)
{
	struct told *told;

	begin();
	CHECK_EQ(for_each(0, 0, 0)->runs, 0);
	CHECK_EQ(vhm_vm_add_memory(test.vm, PAGES * PAGE, 64 * PAGE, VHM_SLOT_READONLY, NULL), 0);
	vhm_vm_fill(test.vm, 2 * PAGE, 1, 3 * PAGE);
	vhm_vm_fill(test.vm, 63 * PAGE, 1, 2 * PAGE);
	vhm_vm_fill(test.vm, (PAGES - 1) * PAGE, 1, 2 * PAGE);
	told = for_each(0, 0, 0);
	CHECK_EQ(told->runs, 4);	/* the last two in slots of their own */
	CHECK(told->page[2] && told->page[4] && told->page[63] && told->page[64]);
	CHECK_EQ(told->type[PAGES - 1], VHM_MEMORY_RAM);
	CHECK_EQ(told->type[PAGES], VHM_MEMORY_RESERVED);
	CHECK_EQ(for_each(0, 0, 0)->runs, 0);
	/* a slot that is gone */
	vhm_vm_fill(test.vm, (PAGES - 1) * PAGE, 1, 2 * PAGE);
	CHECK_EQ(vhm_vm_remove_memory(test.vm, PAGES * PAGE), 0);
	told = for_each(0, 0, 0);
	CHECK_EQ(told->runs, 2);
	CHECK(told->page[PAGES] && !told->type[PAGES]);
	/* a part */
	vhm_vm_fill(test.vm, 0, 1, PAGES * PAGE);
	told = for_each(64 * PAGE, 66 * PAGE, 0);
	CHECK_EQ(told->runs, 1);
	CHECK(!told->page[63] && told->page[64] && told->page[129] && !told->page[130]);
	CHECK_EQ(vhm_tracker_for_each(tracker, PAGE, PAGE, note_run, told), -EINVAL);
	CHECK_EQ(vhm_tracker_for_each(tracker, 64 * PAGE, 0, note_run, told), -EINVAL);
	end();
}

/* Stopped: neither that run nor those behind it are lost. */
static void stopped(void)
{
	struct told *told;
	uint64_t page;

	begin();
	for (page = 10; page < 100; page += 10)
		vhm_vm_fill(test.vm, page * PAGE, 1, 2 * PAGE);
	told = for_each(0, 0, 3);
	CHECK(told->page[10] && told->page[21] && !told->page[30]);
	told = for_each(0, 0, 0);
	CHECK_EQ(told->runs, 7);
	CHECK(!told->page[21] && told->page[30] && told->page[31] && told->page[91]);
	end();
}

/* More pages than one list holds, in random slots, against the list of what was written. */
static void against_model(void)
{
	static bool written[FAKE_PAGES];
	const uint64_t all = FAKE_PAGES * PAGE;
	unsigned int round, i;

	begin();
	vhm_vm_remove_memory(test.vm, 0);
	for (i = 0; i < 32; i++)
		vhm_vm_add_memory(test.vm, i * all / 32, all / 32 - (i % 3 ? PAGE : 0), 0, NULL);
	for (round = 0; round < 20; round++) {
		unsigned int writes = round < 5 ? 0 : random_below(round % 2 ? 100 : 20000);
		struct told *told;

		memset(written, 0, sizeof(written));
		for (i = 0; i < writes; i++) {
			uint64_t page = random_below(FAKE_PAGES);

			if (!vhm_vm_fill(test.vm, page * PAGE + random_below(PAGE), 1, 1))
				written[page] = true;
		}
		if (round == 3)
			for (i = 0; i < FAKE_PAGES; i++)
				written[i] = !vhm_vm_fill(test.vm, i * PAGE, 1, 1);
		told = for_each(0, 0, 0);
		CHECK(!memcmp(told->page, written, sizeof(written)));
	}
	end();
}

/*
 * Threads that write while trackers come: whatever was written after a tracker was there and is not
 * in the copy made then, it tells of.
 */
static uint32_t *counters;		/* the guest's memory */
static int stop_writers;

static void *write_in_thread(void *context)
{
	const uint32_t at = 4 * (uint32_t)(uintptr_t)context;
	uint32_t value = 0;

	while (!__atomic_load_n(&stop_writers, __ATOMIC_RELAXED)) {
		value++;
		vhm_vm_write(test.vm, at, &value, sizeof(value));
	}
	return NULL;
}

static void created_under_writes(void)
{
	pthread_t thread[2];
	unsigned int i, round;

	test_vm_create(&test);
	CHECK_EQ(vhm_vm_add_memory(test.vm, 0, PAGE, 0, (void **)&counters), 0);
	__atomic_store_n(&stop_writers, 0, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		REQUIRE(!pthread_create(&thread[i], NULL, write_in_thread,
					(void *)(uintptr_t)(16 * i)));
	for (round = 0; round < 3000; round++) {
		uint32_t copy[2], now[2];
		uint64_t bits;

		CHECK_EQ(vhm_tracker_create(test.vm, &tracker), 0);
		for (i = 0; i < 2; i++)
			copy[i] = __atomic_load_n(&counters[16 * i], __ATOMIC_SEQ_CST);
		for (i = 0; i < 2; i++)
			now[i] = __atomic_load_n(&counters[16 * i], __ATOMIC_SEQ_CST);
		/* waits for who has written but not noted yet */
		CHECK_EQ(vhm_vm_add_memory(test.vm, PAGE, PAGE, 0, NULL), 0);
		CHECK_EQ(vhm_vm_remove_memory(test.vm, PAGE), 0);
		bits = __atomic_load_n(&fake.written[0], __ATOMIC_SEQ_CST);
		CHECK(bits & 1 || (copy[0] == now[0] && copy[1] == now[1]));
		vhm_tracker_destroy(tracker);
		__atomic_store_n(&fake.written[0], 0, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&stop_writers, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	test_vm_destroy(&test);
}

const struct test_case tracker_cases[] = {
	{ "tracker: copies are noted", notes_copies },
	{ "tracker: nothing is noted without one", only_with_trackers },
	{ "tracker: images and page tables are noted", notes_other_writes },
	{ "tracker: bitmap and list", bitmap_and_list },
	{ "tracker: runs", runs },
	{ "tracker: stopped", stopped },
	{ "tracker: runs against a model", against_model },
	{ "tracker: created under writes of other threads", created_under_writes },
	{ 0 },
};
