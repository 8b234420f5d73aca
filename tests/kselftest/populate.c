// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is mapped before the guest touches it (VHM_VM_POPULATE), and the report of what is
 * mapped (VHM_VM_GET_MAPPED, and of all VMs in debugfs).
 *
 * Two witnesses: the report, and the guest itself, which then takes no EPT violation.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"

#define WINDOW_BYTES	(2 * LARGE_BYTES)
#define WINDOW_PAGES	(2 * LARGE_PAGES)
#define MIDDLE		(LARGE_BYTES / 2)
#define WRITE		VHM_POPULATE_WRITE

FIXTURE(populate) {
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *window;	/* WINDOW_BYTES, aligned to a large page */
};

/* The guest's own pages are mapped, of the window nothing. */
static void setup(FIXTURE_DATA(populate) *self, uint8_t *window, uint32_t flags)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->window = window;
	must(vm_add_slot(&self->vm, 1, flags, WINDOW, WINDOW_BYTES, window));
	warm_up(&self->vcpu, 0);
	must(madvise(window, WINDOW_BYTES, MADV_DONTNEED));
}

static void teardown(FIXTURE_DATA(populate) *self)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	munmap(self->window, WINDOW_BYTES);
}

/* In pages of 4 KiB, unless a test asks for others. */
FIXTURE_SETUP(populate)
{
	setup(self, map_aligned(WINDOW_BYTES, 0), 0);
	must(madvise(self->window, WINDOW_BYTES, MADV_NOHUGEPAGE));
}

FIXTURE_TEARDOWN(populate)
{
	teardown(self);
}

/* A call about [*gpa, *gpa + *bytes), both updated; 0 or -errno. */
static long populate_some(const struct vm *vm, uint32_t flags, uint64_t *gpa, uint64_t *bytes)
{
	struct vhm_populate range = {
		.size = sizeof(range), .flags = flags, .gpa = *gpa, .bytes = *bytes,
	};
	long value = vhm_ioctl(vm->fd, VHM_VM_POPULATE, &range);

	*gpa = range.gpa;
	*bytes = range.bytes;
	return value;
}

/* The same, of the window, for those that look at the value alone. */
static long populate(const struct vm *vm, uint32_t flags, uint64_t offset, uint64_t bytes)
{
	uint64_t gpa = WINDOW + offset;

	return populate_some(vm, flags, &gpa, &bytes);
}

static struct vhm_mapped mapped_at(const struct vm *vm, uint64_t gpa, uint64_t bytes)
{
	struct vhm_mapped mapped = { .size = sizeof(mapped), .gpa = gpa, .bytes = bytes };

	must(vhm_ioctl(vm->fd, VHM_VM_GET_MAPPED, &mapped));
	return mapped;
}

#define EXPECT_MAPPED(vm, gpa, bytes, small, large) do {			\
	struct vhm_mapped seen_mapped = mapped_at(vm, gpa, bytes);		\
										\
	EXPECT_EQ(small, seen_mapped.entries[0]);				\
	EXPECT_EQ(large, seen_mapped.entries[1]);				\
	EXPECT_EQ(0, seen_mapped.entries[2]);					\
} while (0)

/* The guest goes over all of the window without an EPT violation. */
#define EXPECT_NO_FAULTS(self) do {						\
	EXPECT_EQ(0, faults_of_writing(&(self)->vcpu, 0, WINDOW_PAGES));	\
	EXPECT_EQ(0, faults_of_reading(&(self)->vcpu, 0, WINDOW_PAGES));	\
} while (0)

/* ------------------------------------------------------------------ sizes -- */

TEST_F(populate, small_pages)
{
	uint64_t gpa = WINDOW, bytes = WINDOW_BYTES;
	uint64_t tables = mapped_at(&self->vm, WINDOW, WINDOW_BYTES).tables;

	*word(self->window, MIDDLE) = 0x1234;
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 0);
	EXPECT_EQ(0, populate_some(&self->vm, WRITE, &gpa, &bytes));
	EXPECT_EQ(WINDOW + WINDOW_BYTES, gpa);
	EXPECT_EQ(0, bytes);
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, WINDOW_PAGES, 0);
	/* of a part; and each large page's worth has its table, which one of them may have had */
	EXPECT_MAPPED(&self->vm, WINDOW + MIDDLE, 3 * PAGE_BYTES, 3, 0);
	EXPECT_GE(mapped_at(&self->vm, WINDOW, WINDOW_BYTES).tables, tables + 1);
	EXPECT_LE(mapped_at(&self->vm, WINDOW, WINDOW_BYTES).tables, tables + 2);
	EXPECT_EQ(0x1234, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_NO_FAULTS(self);
	/* there already */
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, WINDOW_PAGES, 0);
	EXPECT_NO_FAULTS(self);
}

/* Before there is a vCPU. */
TEST(without_vcpu)
{
	struct vm vm;
	uint8_t *window = map_aligned(WINDOW_BYTES, 0);
	struct vcpu vcpu;

	vm_create(&vm, 0);
	must(vm_add_slot(&vm, 1, 0, WINDOW, WINDOW_BYTES, window));
	EXPECT_EQ(0, populate(&vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_MAPPED(&vm, WINDOW, WINDOW_BYTES, 0, 2);
	vcpu_create(&vcpu, &vm, 0);
	warm_up(&vcpu, 0);
	EXPECT_EQ(0, faults_of_writing(&vcpu, 0, WINDOW_PAGES));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&vcpu, 0, WINDOW_PAGES, 5));
	EXPECT_MAPPED(&vm, WINDOW, WINDOW_BYTES, 0, 2);
	EXPECT_EQ(5, *word(window, MIDDLE));
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
}

TEST_F(populate, transparent_huge_pages)
{
	must(madvise(self->window, WINDOW_BYTES, MADV_HUGEPAGE));
	/* one page of it brings the whole leaf, and one leaf it stays */
	EXPECT_EQ(0, populate(&self->vm, WRITE, MIDDLE, PAGE_BYTES));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 1);
	EXPECT_MAPPED(&self->vm, WINDOW + PAGE_BYTES, PAGE_BYTES, 0, 1);
	EXPECT_EQ(0, populate(&self->vm, WRITE, PAGE_BYTES, WINDOW_BYTES - PAGE_BYTES));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 2);
	EXPECT_NO_FAULTS(self);
	/* the host takes one apart */
	must(madvise(self->window + MIDDLE, PAGE_BYTES, MADV_DONTNEED));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 1);
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, LARGE_PAGES, 1);
	EXPECT_NO_FAULTS(self);
}

TEST(hugetlb)
{
	FIXTURE_DATA(populate) self;
	void *window;

	if (!reserve_huge_pages("2048kB", 2))
		SKIP(return, "no room for 2 MiB pages");
	window = map_hugetlb(WINDOW_BYTES, 0);
	ASSERT_NE(MAP_FAILED, window);
	setup(&self, window, 0);
	EXPECT_EQ(0, populate(&self.vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_MAPPED(&self.vm, WINDOW, WINDOW_BYTES, 0, 2);
	EXPECT_NO_FAULTS(&self);
	teardown(&self);
	reserve_huge_pages("2048kB", 0);
}

/* ----------------------------------------------------------------- intent -- */

/* To read is not to allocate: what nobody wrote stays the page of zeros. */
TEST_F(populate, to_read)
{
	unsigned char in_core[LARGE_PAGES];

	*word(self->window, MIDDLE) = 0x77;
	EXPECT_EQ(0, populate(&self->vm, 0, 0, LARGE_BYTES));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, LARGE_PAGES, 0);
	EXPECT_EQ(0, faults_of_reading(&self->vcpu, 0, LARGE_PAGES));
	EXPECT_EQ(0x77, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_EQ(LARGE_PAGES - 1, faults_of_writing(&self->vcpu, 0, LARGE_PAGES));
	/* what is mapped to be read becomes writable */
	must(madvise(self->window, LARGE_BYTES, MADV_DONTNEED));
	EXPECT_EQ(0, populate(&self->vm, 0, 0, LARGE_BYTES));
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_NO_FAULTS(self);
	must(mincore(self->window, LARGE_BYTES, in_core));
	EXPECT_EQ(1, in_core[0] & 1);
}

TEST(read_only_slot)
{
	FIXTURE_DATA(populate) self;
	uint8_t *window = map_aligned(WINDOW_BYTES, 0);

	must(madvise(window, WINDOW_BYTES, MADV_NOHUGEPAGE));
	setup(&self, window, VHM_SLOT_READONLY);
	*word(window, MIDDLE) = 0x22;
	must(mprotect(window, LARGE_BYTES, PROT_READ));
	EXPECT_EQ(0, populate(&self.vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_MAPPED(&self.vm, WINDOW, WINDOW_BYTES, WINDOW_PAGES, 0);
	EXPECT_EQ(0, faults_of_reading(&self.vcpu, 0, WINDOW_PAGES));
	EXPECT_EQ(0x22, guest_read(&self.vcpu, MIDDLE, 1));
	EXPECT_EQ(VHM_EXIT_MMIO, guest_write(&self.vcpu, MIDDLE, 1, 3));
	EXPECT_EQ(VHM_EXIT_MMIO, guest_write(&self.vcpu, LARGE_BYTES, 1, 3));
	EXPECT_EQ(0x22, *word(window, MIDDLE));
	EXPECT_EQ(0, *word(window, LARGE_BYTES));
	teardown(&self);
}

/* A copy of what a child shares is made before the guest asks for it. */
TEST_F(populate, shared_with_a_child)
{
	uint64_t own = 0, own_bytes = MEMORY_BYTES;
	int status, channel[2];
	pid_t child;

	ASSERT_EQ(0, pipe(channel));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x51));
	child = fork();
	if (child == 0) {
		char byte;

		_exit(read(channel[0], &byte, 1) != 1 || *word(self->window, MIDDLE) != 0x51);
	}
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	/* the guest's own pages are shared, too */
	EXPECT_EQ(0, populate_some(&self->vm, WRITE, &own, &own_bytes));
	EXPECT_NO_FAULTS(self);
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, MIDDLE, 1, 0x52));
	ASSERT_EQ(1, write(channel[1], "", 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0x52, *word(self->window, MIDDLE));
}

/* ----------------------------------------------------------------- ranges -- */

/* Two slots that meet, a hole, and one more; it stops at the hole and goes on behind. */
TEST_F(populate, slots_and_holes)
{
	const uint64_t second = WINDOW + WINDOW_BYTES, hole = second + 2 * PAGE_BYTES;
	uint64_t gpa = WINDOW + MIDDLE, bytes = hole + 2 * PAGE_BYTES - gpa;
	uint8_t *other = map_aligned(LARGE_BYTES, PAGE_BYTES);

	must(vm_add_slot(&self->vm, 2, 0, second, 2 * PAGE_BYTES, other));
	must(vm_add_slot(&self->vm, 3, 0, hole + PAGE_BYTES, 2 * PAGE_BYTES, other));
	EXPECT_EQ(-ENOENT, populate_some(&self->vm, WRITE, &gpa, &bytes));
	EXPECT_EQ(hole, gpa);
	EXPECT_EQ(2 * PAGE_BYTES, bytes);
	EXPECT_MAPPED(&self->vm, WINDOW, hole - WINDOW, WINDOW_PAGES - LARGE_PAGES / 2 + 2, 0);
	EXPECT_EQ(-ENOENT, populate_some(&self->vm, WRITE, &gpa, &bytes));
	EXPECT_EQ(hole, gpa);
	gpa += PAGE_BYTES;
	bytes -= PAGE_BYTES;
	EXPECT_EQ(0, populate_some(&self->vm, WRITE, &gpa, &bytes));
	EXPECT_EQ(hole + 2 * PAGE_BYTES, gpa);
	EXPECT_MAPPED(&self->vm, hole, 8 * PAGE_BYTES, 1, 0);
	must(vm_remove_slot(&self->vm, 1));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 0);
	EXPECT_EQ(-ENOENT, populate(&self->vm, WRITE, 0, PAGE_BYTES));
}

/* What the host does not have or does not permit; what lies before it is mapped. */
TEST_F(populate, not_there)
{
	uint64_t gpa = WINDOW, bytes = WINDOW_BYTES;

	must(mprotect(self->window + MIDDLE, PAGE_BYTES, PROT_READ));
	must(munmap(self->window + LARGE_BYTES, PAGE_BYTES));
	EXPECT_EQ(-EFAULT, populate_some(&self->vm, WRITE, &gpa, &bytes));
	EXPECT_EQ(WINDOW + MIDDLE, gpa);
	EXPECT_EQ(WINDOW_BYTES - MIDDLE, bytes);
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, LARGE_PAGES / 2, 0);
	EXPECT_EQ(-EFAULT, populate_some(&self->vm, 0, &gpa, &bytes));
	EXPECT_EQ(WINDOW + LARGE_BYTES, gpa);
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, LARGE_PAGES, 0);
	EXPECT_EQ(0, faults_of_reading(&self->vcpu, 0, LARGE_PAGES));
}

TEST_F(populate, hostile_ranges)
{
	static const struct {
		uint64_t gpa, bytes;
		long error;
		uint64_t stops_at;
	} cases[] = {
		{ WINDOW, 0, -EINVAL, WINDOW },
		{ WINDOW, 1, -EINVAL, WINDOW },
		{ WINDOW + 1, PAGE_BYTES, -EINVAL, WINDOW + 1 },
		{ WINDOW, ~0ull, -EINVAL, WINDOW },
		{ WINDOW, -WINDOW, -EINVAL, WINDOW },	/* to 2^64 */
		{ WINDOW, ~0xfffull, -EINVAL, WINDOW },
		{ ~0xfffull, PAGE_BYTES, -EINVAL, ~0xfffull },
		{ ~0xfffull, 2 * PAGE_BYTES, -EINVAL, ~0xfffull },
		{ 1ull << 63, 1ull << 63, -EINVAL, 1ull << 63 },
		{ 1ull << 63, PAGE_BYTES, -ENOENT, 1ull << 63 },
		{ 1ull << 48, PAGE_BYTES, -ENOENT, 1ull << 48 },
		{ (1ull << 48) - PAGE_BYTES, 2 * PAGE_BYTES, -ENOENT, (1ull << 48) - PAGE_BYTES },
		/* an address whose lower bits are those of the slot's */
		{ WINDOW + (1ull << 48), PAGE_BYTES, -ENOENT, WINDOW + (1ull << 48) },
		{ WINDOW + WINDOW_BYTES - PAGE_BYTES, 1ull << 62, -ENOENT, WINDOW + WINDOW_BYTES },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t gpa = cases[i].gpa, bytes = cases[i].bytes;
		struct vhm_mapped mapped = { .size = sizeof(mapped), .gpa = gpa, .bytes = bytes };

		EXPECT_EQ(cases[i].error, populate_some(&self->vm, 0, &gpa, &bytes))
			TH_LOG("case %zu", i);
		EXPECT_EQ(cases[i].stops_at, gpa);
		EXPECT_EQ(cases[i].gpa + cases[i].bytes, gpa + bytes);
		EXPECT_EQ(cases[i].error == -EINVAL ? -EINVAL : 0,
			  vhm_ioctl(self->vm.fd, VHM_VM_GET_MAPPED, &mapped))
			TH_LOG("case %zu", i);
	}
	/* and of all there is */
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_EQ(WINDOW_PAGES + mapped_at(&self->vm, 0, WINDOW).entries[0],
		  mapped_at(&self->vm, 0, ~0xfffull).entries[0]);
}

/* ----------------------------------------------------- others at the same time -- */

static volatile bool stop;

/* In a thread: the middle of the window goes and comes back. */
static void *unmap_and_map(void *context)
{
	uint8_t *start = (uint8_t *)context + LARGE_BYTES - 64 * PAGE_BYTES;
	const size_t bytes = 128 * PAGE_BYTES;

	while (!stop) {
		must(munmap(start, bytes));
		must(mmap(start, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == start ? 0 : -1);
		sleep_us(20 * POLL_US);	/* or no call would come to its end */
	}
	return NULL;
}

TEST_F_TIMEOUT(populate, unmapped_meanwhile, 120)
{
	uint32_t complete = 0, stopped = 0;
	void *thread;

	stop = false;
	thread = thread_start(unmap_and_map, self->window);
	for (uint32_t round = 0; round < 30; round++) {
		uint64_t gpa = WINDOW, bytes = WINDOW_BYTES;
		long value = populate_some(&self->vm, WRITE, &gpa, &bytes);

		if (!value) {
			complete++;
			continue;
		}
		stopped++;
		EXPECT_EQ(-EFAULT, value);
		EXPECT_GE(gpa, WINDOW + LARGE_BYTES - 64 * PAGE_BYTES);
		EXPECT_LT(gpa, WINDOW + LARGE_BYTES + 64 * PAGE_BYTES);
	}
	stop = true;
	thread_join(thread);
	TH_LOG("%u times complete, %u times not", complete, stopped);
	/* the guest has what is there now, not what was */
	for (uint32_t page = 0; page < WINDOW_PAGES; page++)
		*word(self->window, page * PAGE_BYTES) = page + 1;
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, WINDOW_PAGES, 0);
	for (uint32_t page = LARGE_PAGES - 70; page < LARGE_PAGES + 70; page++)
		EXPECT_EQ(page + 1, guest_read(&self->vcpu, page * PAGE_BYTES, 1));
	EXPECT_NO_FAULTS(self);
}

static void *add_and_remove(void *context)
{
	FIXTURE_DATA(populate) *self = context;

	while (!stop) {
		must(vm_remove_slot(&self->vm, 1));
		must(vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, self->window));
	}
	must(vm_remove_slot(&self->vm, 1));
	return NULL;
}

TEST_F_TIMEOUT(populate, slot_edited_meanwhile, 120)
{
	void *thread;

	stop = false;
	thread = thread_start(add_and_remove, self);
	for (uint32_t round = 0; round < 60; round++) {
		uint64_t gpa = WINDOW, bytes = WINDOW_BYTES;
		long value = populate_some(&self->vm, WRITE, &gpa, &bytes);

		EXPECT_TRUE(!value || value == -ENOENT);
		EXPECT_EQ(value ? WINDOW_BYTES : 0, value ? gpa + bytes - WINDOW : bytes);
	}
	stop = true;
	thread_join(thread);
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 0);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

#define INTERRUPTIONS	20
#define DELAYS		8

/* One alarm, after 1 to 128 ms in turn: a slow host takes some of these for what comes before. */
static void alarm_soon(uint32_t call)
{
	const struct itimerval once = { .it_value = { .tv_usec = 1000 << call % DELAYS } };

	must(setitimer(ITIMER_REAL, &once, NULL));
}

/* Each interrupted call tells the rest, which is less than before, and the rest of all is nothing. */
TEST_F_TIMEOUT(populate, interrupted, 120)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	uint32_t interruptions = 0, calls = 0;

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	while (interruptions < INTERRUPTIONS) {
		uint64_t gpa = WINDOW, bytes = WINDOW_BYTES, before;
		long value;

		must(madvise(self->window, WINDOW_BYTES, MADV_DONTNEED));
		do {
			before = gpa;
			alarm_soon(calls++);
			value = populate_some(&self->vm, WRITE, &gpa, &bytes);
			EXPECT_GT(gpa, before);
			EXPECT_EQ(WINDOW + WINDOW_BYTES, gpa + bytes);
			interruptions += value == -EINTR;
		} while (value == -EINTR);
		ASSERT_EQ(0, value);
		EXPECT_EQ(0, bytes);
	}
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &(struct itimerval) { 0 }, NULL));
	EXPECT_GE(alarms, INTERRUPTIONS);
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, WINDOW_PAGES, 0);
	EXPECT_NO_FAULTS(self);
}

/* Two threads at the same range: each entry is made once, whoever is quicker. */
static void *populate_all(void *context)
{
	return (void *)populate(context, WRITE, 0, WINDOW_BYTES);
}

TEST_F(populate, twice_at_once)
{
	for (int round = 0; round < 10; round++) {
		void *thread = thread_start(populate_all, &self->vm);

		EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
		EXPECT_EQ(0, (long)thread_join(thread));
		EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, WINDOW_PAGES, 0);
		must(madvise(self->window, WINDOW_BYTES, MADV_DONTNEED));
		EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, 0, 0);
	}
}

/* ---------------------------------------------------------------- all VMs -- */

#define REPORT	"/sys/kernel/debug/vhm/mapped"

/* The lines of @pid's VMs, in @vms as many as there is room for. */
static size_t report_of(pid_t pid, struct vhm_mapped vms[], size_t room)
{
	FILE *file = fopen(REPORT, "re");
	struct vhm_mapped vm;
	size_t count = 0;
	int creator;

	if (!file || fscanf(file, " PID 4K 2M 1G TABLES") == EOF)
		give_up("%s: %s", REPORT, strerror(errno));
	while (fscanf(file, "%d %llu %llu %llu %llu", &creator, &vm.entries[0], &vm.entries[1],
		      &vm.entries[2], &vm.tables) == 5)
		if (creator == pid && count++ < room)
			vms[count - 1] = vm;
	if (!feof(file))
		give_up("%s: not understood", REPORT);
	fclose(file);
	return count;
}

static int exit_status(pid_t child)
{
	int status;

	must(waitpid(child, &status, 0) == child ? 0 : -1);
	return status;
}

static bool same_counts(const struct vhm_mapped *a, const struct vhm_mapped *b)
{
	return !memcmp(a->entries, b->entries, sizeof(a->entries)) && a->tables == b->tables;
}

TEST_F(populate, report_of_all)
{
	struct vhm_mapped seen[2], mine, other_mapped;
	struct vm other;
	pid_t child;

	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, WINDOW_BYTES));
	mine = mapped_at(&self->vm, 0, ~0xfffull);
	EXPECT_GE(mine.entries[0], WINDOW_PAGES);
	ASSERT_EQ(1, report_of(getpid(), seen, 2));
	EXPECT_TRUE(same_counts(&mine, seen));
	/* another VM of this process */
	vm_create(&other, 0);
	must(vm_add_slot(&other, 1, 0, WINDOW, WINDOW_BYTES, self->window));
	EXPECT_EQ(0, populate(&other, WRITE, 0, LARGE_BYTES));
	other_mapped = mapped_at(&other, 0, ~0xfffull);
	EXPECT_FALSE(same_counts(&mine, &other_mapped));
	ASSERT_EQ(2, report_of(getpid(), seen, 2));
	EXPECT_TRUE(same_counts(&mine, &seen[0]) != same_counts(&mine, &seen[1]));
	EXPECT_TRUE(same_counts(&other_mapped, &seen[0]) != same_counts(&other_mapped, &seen[1]));
	vm_destroy(&other);
	EXPECT_EQ(1, report_of(getpid(), seen, 2));
	/* of another, which is gone with it; it has these, too, but did not create them */
	child = fork();
	if (child == 0) {
		bool none = !report_of(getpid(), seen, 2);

		vm_create(&other, 0);
		if (!none || report_of(getpid(), seen, 2) != 1 || seen[0].tables != 1)
			_exit(1);
		/* and it is for root alone */
		_exit(seteuid(65534) || open(REPORT, O_RDONLY) >= 0 ? 2 : 0);
	}
	EXPECT_EQ(0, exit_status(child));
	EXPECT_EQ(0, report_of(child, seen, 2));
	EXPECT_EQ(1, report_of(getpid(), seen, 2));
}

/* ------------------------------------------------------------- other processes -- */

TEST_F(populate, other_address_space)
{
	int status, channel[2];
	pid_t child;

	ASSERT_EQ(0, pipe(channel));
	child = fork();
	if (child == 0) {
		uint64_t gpa = WINDOW, bytes = WINDOW_BYTES;
		char byte;

		if (read(channel[0], &byte, 1) != 1 ||
		    mapped_at(&self->vm, WINDOW, WINDOW_BYTES).entries[0] != LARGE_PAGES)
			_exit(1);
		if (populate_some(&self->vm, WRITE, &gpa, &bytes) != -EPERM)
			_exit(2);
		_exit(gpa == WINDOW && bytes == WINDOW_BYTES ? 0 : 3);
	}
	EXPECT_EQ(0, populate(&self->vm, WRITE, 0, LARGE_BYTES));
	ASSERT_EQ(1, write(channel[1], "", 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_MAPPED(&self->vm, WINDOW, WINDOW_BYTES, LARGE_PAGES, 0);
}

/*
 * The creator is killed while it populates; who shares its table of descriptors keeps the VM, which
 * is dead and empty.
 */
TEST(creator_killed)
{
	int *vm_fd = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t random = 0x2545f4914f6cdd1d;

	ASSERT_NE(MAP_FAILED, (void *)vm_fd);
	for (int round = 0; round < 10; round++) {
		struct vm vm;
		uint64_t gpa = WINDOW, bytes = WINDOW_BYTES;
		struct vhm_mapped mapped;
		pid_t child;
		int status;

		__atomic_store_n(vm_fd, -1, __ATOMIC_SEQ_CST);
		child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
		if (child == 0) {
			uint8_t *window = map_aligned(WINDOW_BYTES, 0);

			must(madvise(window, WINDOW_BYTES, MADV_NOHUGEPAGE));
			vm_create(&vm, 0);
			must(vm_add_slot(&vm, 1, 0, WINDOW, WINDOW_BYTES, window));
			must(populate(&vm, WRITE, 0, PAGE_BYTES));
			__atomic_store_n(vm_fd, vm.fd, __ATOMIC_SEQ_CST);
			for (;;) {
				must(populate(&vm, WRITE, 0, WINDOW_BYTES));
				must(madvise(window, WINDOW_BYTES, MADV_DONTNEED));
			}
		}
		while (__atomic_load_n(vm_fd, __ATOMIC_SEQ_CST) < 0)
			sleep_us(POLL_US);
		sleep_us(random_next(&random) % 20000);
		must(kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		vm = (struct vm) { .fd = *vm_fd };
		EXPECT_EQ(-EPERM, populate_some(&vm, WRITE, &gpa, &bytes));
		mapped = mapped_at(&vm, 0, ~0xfffull);
		EXPECT_EQ(0, mapped.entries[0] + mapped.entries[1] + mapped.entries[2]);
		EXPECT_GE(mapped.tables, 1);
		close(vm.fd);
	}
	munmap(vm_fd, PAGE_BYTES);
}

TEST_HARNESS_MAIN
