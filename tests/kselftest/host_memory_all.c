// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that a host does to memory (memory_events.h) at once, to the memory of a running guest; and a
 * guest that has more memory than it may use.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "memory_events.h"
#include "pages.h"

#define EVENTS_MAX	32
#define ROUNDS		1	/* of the slowest; the others go on meanwhile */

struct event_thread {
	const struct event *event;
	struct pattern *pattern;
	volatile uint32_t *waiting;
	bool good;
	void *thread;
};

static void *happen_with_others(void *context)
{
	struct event_thread *thread = context;

	thread->good = happen(thread->event, thread->pattern, ROUNDS, thread->waiting);
	return NULL;
}

FIXTURE(all) {
	struct memory memory;
};

FIXTURE_SETUP(all)
{
	memory_start(&self->memory);
}

FIXTURE_TEARDOWN(all)
{
	EXPECT_TRUE(memory_stop(&self->memory));
}

/* Each by a thread of its own, until the slowest is through. */
TEST_F_TIMEOUT(all, at_once, 500)
{
	struct event_thread threads[EVENTS_MAX];
	volatile uint32_t waiting = 0;
	uint32_t count;

	while (memory_events[waiting].name)
		waiting++;
	count = waiting;
	ASSERT_LE(count, EVENTS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		threads[i] = (struct event_thread) {
			.event = &memory_events[i], .pattern = &self->memory.pattern,
			.waiting = &waiting,
		};
		threads[i].thread = thread_start(happen_with_others, &threads[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		thread_join(threads[i].thread);
		EXPECT_TRUE(threads[i].good);
	}
}

/* ------------------------------------------------------------------ limits -- */

#define GUEST_BYTES	(8 * MIB)

FIXTURE(limits) {
	bool grouped;
};

FIXTURE_SETUP(limits)
{
	self->grouped = make_group("+memory");
	ASSERT_TRUE(self->grouped);
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_TRUE(leave_group());
}

/* Half of what the guest uses, itself and its VMM's own memory included. */
TEST_F_TIMEOUT(limits, half_of_the_guest, 250)
{
	long out = vmstat("pswpout"), in = vmstat("pswpin");
	struct pattern pattern;

	ASSERT_TRUE(write_file(CGROUP "/memory.max", "4M"));
	ASSERT_TRUE(enter_group());
	pattern_init(&pattern);
	pattern_add(&pattern, AREA_SMALL, GUEST_BYTES, -1);
	pattern_start(&pattern);
	EXPECT_TRUE(pattern_goes_on(&pattern, 2));
	EXPECT_LE(file_number(CGROUP "/memory.current"), 4 * (long)MIB);
	/* in each pass it needs at least what there is no room for */
	EXPECT_GE(vmstat("pswpout") - out, 2 * GUEST_BYTES / 2 / PAGE_BYTES);
	EXPECT_GE(vmstat("pswpin") - in, 2 * GUEST_BYTES / 2 / PAGE_BYTES);
	EXPECT_EQ(0, read_number(CGROUP "/memory.events", "oom_kill"));
	EXPECT_TRUE(pattern_stop(&pattern));
	pattern_uninit(&pattern);
}

/* The group gives back up to @bytes, or as much as it can. */
static void reclaim(const char *bytes)
{
	int fd = open(CGROUP "/memory.reclaim", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || (write(fd, bytes, strlen(bytes)) < 0 && errno != EAGAIN))
		give_up("memory.reclaim: %s", strerror(errno));
	close(fd);
}

/*
 * The half that the guest uses is what it, and the host, touched first and not at all since: only the
 * guest's own accesses keep it from being the first to go.
 */
TEST_F_TIMEOUT(limits, used_half_stays, 250)
{
	const uint32_t half = GUEST_BYTES / 2 / PAGE_BYTES;
	uint64_t end = now_ns() + PATIENCE_NS;
	uint8_t *window = map_aligned(GUEST_BYTES, 0);
	uint32_t used = 0, unused = 0;
	struct vcpu vcpu;
	struct vm vm;
	long in;

	ASSERT_TRUE(enter_group());
	must(madvise(window, GUEST_BYTES, MADV_NOHUGEPAGE));
	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	must(vm_add_slot(&vm, 1, 0, WINDOW, GUEST_BYTES, window));
	ASSERT_EQ(VHM_EXIT_IO, guest_write(&vcpu, 0, 2 * half, 1));
	ASSERT_TRUE(write_file("/proc/self/clear_refs", "1"));
	in = vmstat("pswpin");
	while (unused < half / 2 && now_ns() < end) {
		ASSERT_EQ(VHM_EXIT_IO, guest_write(&vcpu, 0, half, 2));
		reclaim("256K");
		used = count_pages(window, GUEST_BYTES / 2, PAGE_SWAPPED);
		unused = count_pages(window + GUEST_BYTES / 2, GUEST_BYTES / 2, PAGE_SWAPPED);
	}
	in = vmstat("pswpin") - in;
	printf("# of %u pages in use %u are swapped out, %ld were swapped in; of as many others %u are out\n",
	       half, used, in, unused);
	EXPECT_GE(unused, half / 2);
	/* a page that is looked at twice while the guest stands may go; if nobody asked, all would */
	EXPECT_LE(used, half / 4);
	EXPECT_LE(in, half / 4);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
	munmap(window, GUEST_BYTES);
}

static int vmm_without_room(void)
{
	struct pattern pattern;

	if (!enter_group())
		return 1;
	pattern_init(&pattern);
	pattern_add(&pattern, AREA_SMALL, GUEST_BYTES, -1);
	pattern_start(&pattern);
	return 0;
}

/* The guest of another group goes on, and nothing of the one that was killed is left. */
TEST_F_TIMEOUT(limits, out_of_memory, 250)
{
	uint64_t end = now_ns() + PATIENCE_NS;
	long users = file_number("/sys/module/vhm/refcnt");
	struct pattern other;
	int status = 0;
	pid_t child;

	pattern_init(&other);
	pattern_add(&other, AREA_SMALL, MIB, -1);
	pattern_start(&other);
	users = file_number("/sys/module/vhm/refcnt");
	ASSERT_TRUE(write_file(CGROUP "/memory.max", "6M"));
	ASSERT_TRUE(write_file(CGROUP "/memory.swap.max", "0"));
	for (int i = 0; i < 3; i++) {
		child = fork();
		if (!child)
			_exit(vmm_without_room());
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		EXPECT_EQ(i + 1, read_number(CGROUP "/memory.events", "oom_kill"));
	}
	while (file_number(CGROUP "/memory.current") > (long)MIB / 4 && now_ns() < end)
		sleep_us(POLL_US);
	EXPECT_LE(file_number(CGROUP "/memory.current"), (long)MIB / 4);
	EXPECT_EQ(users, file_number("/sys/module/vhm/refcnt"));
	EXPECT_TRUE(pattern_goes_on(&other, 2));
	EXPECT_TRUE(pattern_stop(&other));
	pattern_uninit(&other);
}

TEST_HARNESS_MAIN
