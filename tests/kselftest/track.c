// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trackers: which pages the guest has written (VHM_TRACKER_CREATE, VHM_TRACKER_HARVEST,
 * VHM_VM_NOTE_WRITTEN).
 *
 * The test knows what the guest wrote, because it told it to. Of the window exactly that must be
 * told of; of the guest's own pages (page tables, stack, mail) whatever the processor made of them.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"

#define WINDOW_BYTES	(4 * LARGE_BYTES)
#define WINDOW_PAGES	(4 * LARGE_PAGES)
#define WORDS		(WINDOW_PAGES / 64)
#define FIRST_GFN	(WINDOW / PAGE_BYTES)

FIXTURE(track) {
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *window;	/* WINDOW_BYTES, aligned to a large page */
	uint64_t bits[WORDS];
};

FIXTURE_VARIANT(track) {
	int advice;
};

FIXTURE_VARIANT_ADD(track, small_pages) { .advice = MADV_NOHUGEPAGE };
FIXTURE_VARIANT_ADD(track, large_pages) { .advice = MADV_HUGEPAGE };

FIXTURE_SETUP(track)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->window = map_aligned(WINDOW_BYTES, 0);
	must(madvise(self->window, WINDOW_BYTES, variant->advice));
	memset(self->window, 0, WINDOW_BYTES);
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, self->window));
	warm_up(&self->vcpu, 0);
}

FIXTURE_TEARDOWN(track)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	munmap(self->window, WINDOW_BYTES);
}

static int tracker_create(const struct vm *vm)
{
	struct vhm_tracker_create create = { .size = sizeof(create) };

	return (int)must(vhm_ioctl(vm->fd, VHM_TRACKER_CREATE, &create));
}

static struct vhm_harvest of_window(void *data)
{
	return (struct vhm_harvest) {
		.size = sizeof(struct vhm_harvest), .gpa = WINDOW, .bytes = WINDOW_BYTES,
		.data = (uintptr_t)data,
	};
}

/* Into self->bits; the number of pages. */
static uint64_t harvest(FIXTURE_DATA(track) *self, int tracker)
{
	struct vhm_harvest arg = of_window(self->bits);

	memset(self->bits, 0, sizeof(self->bits));
	must(vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	if (arg.bytes || arg.gpa != WINDOW + WINDOW_BYTES)
		give_up("stopped at %#llx, %#llx left", arg.gpa, arg.bytes);
	return arg.pages;
}

static bool is_written(FIXTURE_DATA(track) *self, uint64_t page)
{
	return self->bits[page / 64] >> page % 64 & 1;
}

static void write_page(FIXTURE_DATA(track) *self, uint64_t page)
{
	guest_write(&self->vcpu, page * PAGE_BYTES, 1, 1);
}

TEST_F(track, tells_what_was_written)
{
	static const uint64_t pages[] = { 0, 1, 63, 64, 511, 512, 1000, WINDOW_PAGES - 1 };
	int tracker;

	guest_write(&self->vcpu, 0, WINDOW_PAGES, 7);
	tracker = tracker_create(&self->vm);
	EXPECT_EQ(0, harvest(self, tracker));
	guest_read(&self->vcpu, 0, WINDOW_PAGES);
	EXPECT_EQ(0, harvest(self, tracker));
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT(pages); i++)
			write_page(self, pages[i]);
		EXPECT_EQ(COUNT(pages), harvest(self, tracker));
		for (size_t i = 0; i < COUNT(pages); i++) {
			EXPECT_TRUE(is_written(self, pages[i]))
				TH_LOG("page %ld", (long)pages[i]);
		}
		EXPECT_EQ(0, harvest(self, tracker));
	}
	/* more than a log holds */
	guest_write(&self->vcpu, 0, WINDOW_PAGES, 8);
	EXPECT_EQ(WINDOW_PAGES, harvest(self, tracker));
	EXPECT_EQ(0, harvest(self, tracker));
	close(tracker);
}

/* Each tells everything since it was asked last, whatever the others were told. */
TEST_F(track, trackers_are_independent)
{
	int early = tracker_create(&self->vm), late;

	write_page(self, 5);
	late = tracker_create(&self->vm);
	write_page(self, 6);
	EXPECT_EQ(1, harvest(self, late));
	EXPECT_TRUE(is_written(self, 6));
	EXPECT_EQ(2, harvest(self, early));
	EXPECT_TRUE(is_written(self, 5) && is_written(self, 6));
	write_page(self, 6);
	EXPECT_EQ(1, harvest(self, early));
	close(early);
	write_page(self, 7);
	EXPECT_EQ(2, harvest(self, late));
	EXPECT_TRUE(is_written(self, 6) && is_written(self, 7));
	close(late);
	/* those that are gone leave nothing to a new one */
	write_page(self, 8);
	late = tracker_create(&self->vm);
	EXPECT_EQ(0, harvest(self, late));
	write_page(self, 8);
	EXPECT_EQ(1, harvest(self, late));
	close(late);
}

/* Ranges, lists, errors: what was not told of stays. */
TEST_F(track, by_range_and_list)
{
	const uint64_t all = WINDOW_PAGES;
	int tracker = tracker_create(&self->vm);
	uint64_t list[192];
	struct vhm_harvest arg;
	uint64_t seen = 0;

	guest_write(&self->vcpu, 0, all, 9);
	/* part of a word; a bitmap is left as it is where nothing was written */
	memset(self->bits, 0, sizeof(self->bits));
	self->bits[0] = 1ull << 63;
	arg = of_window(self->bits);
	arg.gpa += 64 * PAGE_BYTES;
	arg.bytes = 3 * PAGE_BYTES;
	EXPECT_EQ(0, vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	EXPECT_EQ(3, arg.pages);
	EXPECT_EQ(1ull << 63 | 7, self->bits[0]);
	EXPECT_EQ(0, self->bits[1]);
	/* nowhere to write it to */
	arg = of_window((void *)8);
	EXPECT_EQ(-EFAULT, vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	EXPECT_EQ(WINDOW, arg.gpa);
	EXPECT_EQ(WINDOW_BYTES, arg.bytes);
	arg.flags = VHM_HARVEST_LIST;
	arg.room = COUNT(list);
	EXPECT_EQ(-EFAULT, vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	arg = of_window(list);
	arg.flags = VHM_HARVEST_LIST;
	arg.room = COUNT(list);
	do {
		EXPECT_EQ(0, vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
		ASSERT_NE(0, arg.pages);
		for (uint64_t i = 0; i < arg.pages; i++, seen++) {
			if (seen == 64)
				seen += 3;
			EXPECT_EQ(FIRST_GFN + seen, list[i]);
		}
	} while (arg.bytes);
	EXPECT_EQ(all, seen);
	EXPECT_EQ(0, harvest(self, tracker));
	close(tracker);
}

/* Large pages stay large until they are written, and become large again afterwards. */
TEST_F(track, large_pages_while_tracked)
{
	const bool large = variant->advice == MADV_HUGEPAGE;
	struct vhm_mapped mapped = {
		.size = sizeof(mapped), .gpa = WINDOW, .bytes = WINDOW_BYTES,
	};
	int tracker;

	guest_write(&self->vcpu, 0, WINDOW_PAGES, 1);
	tracker = tracker_create(&self->vm);
	guest_read(&self->vcpu, 0, WINDOW_PAGES);
	must(vhm_ioctl(self->vm.fd, VHM_VM_GET_MAPPED, &mapped));
	EXPECT_EQ(large ? 4 : 0, mapped.entries[1]);
	write_page(self, LARGE_PAGES + 1);
	must(vhm_ioctl(self->vm.fd, VHM_VM_GET_MAPPED, &mapped));
	EXPECT_EQ(large ? 3 : 0, mapped.entries[1]);
	EXPECT_EQ(large ? LARGE_PAGES : WINDOW_PAGES, mapped.entries[0]);
	/* one exit for the large page, none for those in it where the processor logs */
	if (device_info().features & VHM_FEATURE_WRITE_LOG) {
		EXPECT_EQ(0, faults_of_writing(&self->vcpu, LARGE_BYTES, LARGE_PAGES));
	}
	close(tracker);
	must(vhm_ioctl(self->vm.fd, VHM_VM_GET_MAPPED, &mapped));
	EXPECT_EQ(large ? 0 : WINDOW_PAGES, mapped.entries[0]);
	guest_write(&self->vcpu, 0, WINDOW_PAGES, 2);
	must(vhm_ioctl(self->vm.fd, VHM_VM_GET_MAPPED, &mapped));
	EXPECT_EQ(large ? 4 : 0, mapped.entries[1]);
	EXPECT_EQ(large ? 0 : WINDOW_PAGES, mapped.entries[0]);
}

/* What the host takes away or the VMM replaces was written nevertheless. */
TEST_F(track, survives_unmapping)
{
	int tracker = tracker_create(&self->vm);

	write_page(self, 3);
	must(madvise(self->window, WINDOW_BYTES, MADV_DONTNEED));
	EXPECT_EQ(1, harvest(self, tracker));
	write_page(self, 4);
	must(vm_remove_slot(&self->vm, 1));
	EXPECT_EQ(1, harvest(self, tracker));
	EXPECT_TRUE(is_written(self, 4));
	must(vm_add_slot(&self->vm, 2, 0, WINDOW, WINDOW_BYTES, self->window));
	EXPECT_EQ(0, harvest(self, tracker));
	write_page(self, 5);
	EXPECT_EQ(1, harvest(self, tracker));
	close(tracker);
}

/* A slot that comes while there are trackers, and writes of the VMM's own. */
TEST_F(track, new_slot_and_noted_writes)
{
	int tracker = tracker_create(&self->vm);
	struct vhm_written written = { .size = sizeof(written) };
	struct vhm_harvest arg = of_window(self->bits);
	uint64_t list[64];

	must(vm_add_slot(&self->vm, 2, 0, 2 * WINDOW, WINDOW_BYTES, self->window));
	written.gpa = 2 * WINDOW + 65 * PAGE_BYTES - 1;
	written.bytes = 2;
	EXPECT_EQ(0, vhm_ioctl(self->vm.fd, VHM_VM_NOTE_WRITTEN, &written));
	/* no slot there: not remembered, no harm */
	written.gpa = 1ull << 50;
	written.bytes = VHM_MAX_WRITTEN_BYTES;
	EXPECT_EQ(0, vhm_ioctl(self->vm.fd, VHM_VM_NOTE_WRITTEN, &written));
	memset(self->bits, 0, sizeof(self->bits));
	arg.gpa = 2 * WINDOW;
	EXPECT_EQ(0, vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	EXPECT_EQ(2, arg.pages);
	EXPECT_EQ(3, self->bits[1]);
	/* everything there may ever be */
	arg.flags = VHM_HARVEST_LIST;
	arg.data = (uintptr_t)list;
	arg.room = COUNT(list);
	arg.gpa = 0;
	arg.bytes = 1ull << 62;
	do {
		ASSERT_EQ(0, vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	} while (arg.bytes);
	close(tracker);
	EXPECT_EQ(0, vhm_ioctl(self->vm.fd, VHM_VM_NOTE_WRITTEN, &written));
}

/* The VM may go first. */
TEST_F(track, outlives_the_vm)
{
	int tracker = tracker_create(&self->vm);

	write_page(self, 9);
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	EXPECT_EQ(1, harvest(self, tracker));
	close(tracker);
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
}

/* Guest code: for ever, counts up in the page that a random number chooses. */
GUEST_CODE(scattered_writer, 64,
	"1: imul	$1103515245, %r8d, %r8d\n"
	"add	$12345, %r8d\n"
	"mov	%r8d, %eax\n"
	"shr	$7, %eax\n"
	"and	%r9d, %eax\n"
	"shl	$12, %eax\n"
	"incl	(%rbx, %rax)\n"
	"jmp	1b\n");

static void start_writer(FIXTURE_DATA(track) *self)
{
	struct vhm_registers regs = {
		.rbx = WINDOW, .r8 = 1, .r9 = WINDOW_PAGES - 1,
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2,
	};

	guest_run_long(&self->vcpu, scattered_writer);
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
}

/* The guest runs for a while. */
static void run_writer(FIXTURE_DATA(track) *self, uint64_t us)
{
	void *thread = thread_start(run_past_memory_faults, &self->vcpu);

	sleep_us(us);
	must(vcpu_kick(&self->vcpu));
	if ((long)thread_join(thread) != VHM_EXIT_KICKED)
		give_up("the guest stopped: %s", exit_name(self->vcpu.run->exit_reason));
}

/*
 * The guest's counters are its own log of what it wrote. Stopped from time to time, each epoch of
 * each tracker must have all of it, and little more: a page that it was about to write, each time.
 */
TEST_F_TIMEOUT(track, epochs_against_the_guests_log, 120)
{
	int tracker[2] = { tracker_create(&self->vm), tracker_create(&self->vm) };
	static uint32_t counter[WINDOW_PAGES];
	static bool truth[2][WINDOW_PAGES];
	uint64_t told_pages = 0;

	start_writer(self);
	for (uint32_t page = 0; page < WINDOW_PAGES; page++)
		counter[page] = *word(self->window, page * PAGE_BYTES);
	memset(truth, 0, sizeof(truth));
	for (int stop = 1; stop <= 24; stop++) {
		run_writer(self, 1000 + 3000 * (stop % 4));
		for (uint32_t page = 0; page < WINDOW_PAGES; page++) {
			uint32_t now = *word(self->window, page * PAGE_BYTES);

			if (now != counter[page])
				truth[0][page] = truth[1][page] = true;
			counter[page] = now;
		}
		/* one tracker's epochs are three times as long */
		for (int t = 0; t < (stop % 3 ? 1 : 2); t++) {
			uint64_t written = 0, told = harvest(self, tracker[t]);

			for (uint32_t page = 0; page < WINDOW_PAGES; page++) {
				EXPECT_TRUE(is_written(self, page) || !truth[t][page])
					TH_LOG("stop %d, tracker %d, page %u", stop, t, page);
				written += truth[t][page];
				truth[t][page] = false;
			}
			EXPECT_LE(told, written + (t ? 3 : 1));
			told_pages += told;
		}
	}
	EXPECT_GT(told_pages, 200);
	close(tracker[0]);
	close(tracker[1]);
}

/*
 * Copies that are kept by the pages told of, while the guest runs on, are the guest's memory when
 * it has stopped at last.
 */
TEST_F_TIMEOUT(track, copies_of_a_running_guest, 120)
{
	int tracker[2] = { tracker_create(&self->vm), tracker_create(&self->vm) };
	static uint32_t copy[2][WINDOW_PAGES];
	uint64_t told = 0;
	void *thread;

	start_writer(self);
	for (uint32_t page = 0; page < WINDOW_PAGES; page++)
		copy[0][page] = copy[1][page] = *word(self->window, page * PAGE_BYTES);
	thread = thread_start(run_past_memory_faults, &self->vcpu);
	for (int round = 0; round < 30; round++) {
		int t = round % 3 == 2;

		sleep_us(500 + 2000 * (round % 5));
		if (round == 20)
			madvise(self->window, LARGE_BYTES, MADV_PAGEOUT);
		if (round >= 28) {
			must(vcpu_kick(&self->vcpu));
			if (thread) {
				EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
			}
			thread = NULL;
			t = round == 28;
		}
		told += harvest(self, tracker[t]);
		for (uint32_t page = 0; page < WINDOW_PAGES; page++)
			if (is_written(self, page))
				copy[t][page] = *word(self->window, page * PAGE_BYTES);
	}
	for (uint32_t page = 0; page < WINDOW_PAGES; page++) {
		EXPECT_EQ(*word(self->window, page * PAGE_BYTES), copy[0][page]);
		EXPECT_EQ(*word(self->window, page * PAGE_BYTES), copy[1][page]);
	}
	EXPECT_GT(told, 100);
	close(tracker[0]);
	close(tracker[1]);
}

/* A tracker that begins while the guest runs: nothing written since goes by it. */
TEST_F_TIMEOUT(track, begins_under_a_run, 120)
{
	static uint32_t copy[WINDOW_PAGES];

	start_writer(self);
	for (int round = 0; round < 8; round++) {
		void *thread = thread_start(run_past_memory_faults, &self->vcpu);
		int tracker;

		sleep_us(3000);
		tracker = tracker_create(&self->vm);
		for (uint32_t page = 0; page < WINDOW_PAGES; page++)
			copy[page] = *word(self->window, page * PAGE_BYTES);
		sleep_us(5000);
		must(vcpu_kick(&self->vcpu));
		EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
		harvest(self, tracker);
		for (uint32_t page = 0; page < WINDOW_PAGES; page++) {
			EXPECT_TRUE(is_written(self, page) ||
				    copy[page] == *word(self->window, page * PAGE_BYTES))
				TH_LOG("round %d, page %u", round, page);
		}
		close(tracker);
	}
}

TEST_HARNESS_MAIN
