// SPDX-License-Identifier: GPL-2.0-only
/*
 * Second-level tables that the host's page reclaim takes back: all, those of one control group, from
 * under a running guest, while writes are tracked, while other VMs come and go. The guest loses
 * nothing but time.
 *
 * Its memory is sparse, one page in 2 MiB, so that it needs a table for each. The guest counts in
 * every page, pass after pass: what it finds there is its own witness.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "pages.h"

#define REGIONS		128u
#define WINDOW_BYTES	((uint64_t)REGIONS * LARGE_BYTES)
#define ROUNDS		20

FIXTURE(reclaim) {
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *window;
};

/*
 * Guest code: a pass over RCX pages from RBX on, RDX apart; MAIL_FLAG counts the passes. It takes
 * R8 turns for each page: what it has used in the last moment is not taken from it.
 */
GUEST_CODE(count_on, 64,
	"1: mov	%rbx, %rsi\n"
	"mov	%rcx, %rdi\n"
	"2: incl	(%rsi)\n"
	"mov	%r8, %r9\n"
	"3: dec	%r9\n"
	"jnz	3b\n"
	"add	%rdx, %rsi\n"
	"dec	%rdi\n"
	"jnz	2b\n"
	"incq	" MAIL_FLAG "\n"
	"test	%eax, %eax\n"
	"jz	1b\n"
	"out	%eax, $0x10\n"
	"jmp	1b\n");

/* @once: the guest exits after each pass. */
static void prepare_guest(FIXTURE_DATA(reclaim) *self, bool once)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rax = once,
		.rbx = WINDOW, .rcx = REGIONS, .rdx = LARGE_BYTES, .r8 = once ? 1 : 1000,
	};

	guest_run_long(&self->vcpu, count_on);
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
}

static void setup(FIXTURE_DATA(reclaim) *self)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->window = map_aligned(WINDOW_BYTES, 0);
	must(madvise(self->window, WINDOW_BYTES, MADV_NOHUGEPAGE));
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, self->window));
	prepare_guest(self, true);
}

static void teardown(FIXTURE_DATA(reclaim) *self)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	munmap(self->window, WINDOW_BYTES);
}

FIXTURE_SETUP(reclaim)
{
	setup(self);
}

FIXTURE_TEARDOWN(reclaim)
{
	teardown(self);
}

static void pass(FIXTURE_DATA(reclaim) *self)
{
	if (guest_out(&self->vcpu, PORT_DONE) != 1)
		give_up("exit '%s'", exit_name(self->vcpu.run->exit_reason));
}

static struct vhm_mapped mapped(const struct vm *vm)
{
	struct vhm_mapped mapped = { .size = sizeof(mapped), .bytes = ~0xfffull };

	must(vhm_ioctl(vm->fd, VHM_VM_GET_MAPPED, &mapped));
	return mapped;
}

static uint64_t tables(const struct vm *vm)
{
	return mapped(vm).tables;
}

static void populate_all(const struct vm *vm)
{
	for (uint32_t region = 0; region < REGIONS; region++) {
		struct vhm_populate range = {
			.size = sizeof(range), .gpa = WINDOW + region * LARGE_BYTES, .bytes = PAGE_BYTES,
		};

		must(vhm_ioctl(vm->fd, VHM_VM_POPULATE, &range));
	}
}

/* All caches of the kernel give back what they can. */
static void shrink(void)
{
	if (!write_file("/proc/sys/vm/drop_caches", "2"))
		give_up("drop_caches");
}

static uint32_t count_in(FIXTURE_DATA(reclaim) *self, uint32_t region)
{
	return *word(self->window, (size_t)region * LARGE_BYTES);
}

/* Stopped somewhere in a pass: every page has been counted in, up to where it is once more. */
static bool counts_are_right(FIXTURE_DATA(reclaim) *self)
{
	const uint32_t passes = (uint32_t)guest_mail(&self->vm)->flag[0];
	uint32_t region = 0;

	while (region < REGIONS && count_in(self, region) == passes + 1)
		region++;
	while (region < REGIONS && count_in(self, region) == passes)
		region++;
	if (region < REGIONS)
		printf("# pass %u, region %u: %u\n", passes, region, count_in(self, region));
	return region == REGIONS;
}

/* The root and the one below are the least a VM with memory has. */
#define LEAST		2

TEST_F(reclaim, all)
{
	uint64_t before;

	pass(self);
	before = tables(&self->vm);
	EXPECT_GE(before, REGIONS);
	shrink();
	EXPECT_LE(tables(&self->vm), LEAST);
	EXPECT_EQ(0, mapped(&self->vm).entries[0] + mapped(&self->vm).entries[1]);
	/* all comes back */
	pass(self);
	EXPECT_EQ(before, tables(&self->vm));
	EXPECT_TRUE(counts_are_right(self));
	EXPECT_EQ(2, count_in(self, REGIONS - 1));
	/* what nobody has used goes without ado */
	shrink();
	populate_all(&self->vm);
	EXPECT_GE(tables(&self->vm), REGIONS);
	shrink();
	EXPECT_LE(tables(&self->vm), LEAST);
}

/* What is mapped in large pages and what is on the way to a fixed page. */
TEST_F(reclaim, sizes)
{
	uint8_t *large = map_aligned(4 * LARGE_BYTES, 0);

	memset(large, 0x5a, 4 * LARGE_BYTES);
	must(vm_remove_slot(&self->vm, 1));
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, 4 * LARGE_BYTES, large));
	EXPECT_EQ(0x5a5a5a5a, guest_read(&self->vcpu, 0, 4 * LARGE_PAGES));
	EXPECT_EQ(4, mapped(&self->vm).entries[1]);
	shrink();
	EXPECT_LE(tables(&self->vm), LEAST);
	EXPECT_EQ(0, mapped(&self->vm).entries[1]);
	EXPECT_EQ(0x5a5a5a5a, guest_read(&self->vcpu, 0, 4 * LARGE_PAGES));
	EXPECT_EQ(4, mapped(&self->vm).entries[1]);
	munmap(large, 4 * LARGE_BYTES);
}

static void *start(FIXTURE_DATA(reclaim) *self)
{
	volatile uint64_t *passes = &guest_mail(&self->vm)->flag[0];
	void *thread;

	prepare_guest(self, false);
	thread = thread_start(run_past_memory_faults, &self->vcpu);
	while (!*passes)
		sleep_us(POLL_US);
	return thread;
}

static void stop(FIXTURE_DATA(reclaim) *self, void *thread)
{
	must(vcpu_kick(&self->vcpu));
	if ((long)thread_join(thread) != VHM_EXIT_KICKED)
		give_up("the guest stopped: %s", exit_name(self->vcpu.run->exit_reason));
}

/* Under a running guest, which goes on. */
TEST_F_TIMEOUT(reclaim, under_a_run, 120)
{
	volatile uint64_t *passes = &guest_mail(&self->vm)->flag[0];
	uint64_t faults = vcpu_stat(&self->vcpu, VHM_STAT_EXIT_EPT), before;
	void *thread = start(self);

	for (int round = 0; round < ROUNDS; round++) {
		before = *passes;
		shrink();
		while (*passes < before + 2)
			sleep_us(POLL_US / 5);
	}
	stop(self, thread);
	EXPECT_TRUE(counts_are_right(self));
	/* more than once for each page: they did go */
	EXPECT_GE(vcpu_stat(&self->vcpu, VHM_STAT_EXIT_EPT) - faults, 2 * REGIONS);
}

static volatile bool done;

static void *shrink_for_ever(void *unused)
{
	while (!done) {
		shrink();
		sleep_us(POLL_US);
	}
	return unused;
}

/* What is told of by a tracker is what the guest has counted in, whatever went in between. */
TEST_F_TIMEOUT(reclaim, while_tracked, 120)
{
	static uint64_t bits[REGIONS * LARGE_PAGES / 64];
	struct vhm_tracker_create create = { .size = sizeof(create) };
	int tracker = (int)must(vhm_ioctl(self->vm.fd, VHM_TRACKER_CREATE, &create));
	uint32_t counts[REGIONS] = { 0 }, missing = 0, written = 0;
	void *shrinker;

	done = false;
	shrinker = thread_start(shrink_for_ever, NULL);
	for (int round = 0; round < ROUNDS; round++) {
		struct vhm_harvest arg = {
			.size = sizeof(arg), .gpa = WINDOW, .bytes = WINDOW_BYTES, .data = (uintptr_t)bits,
		};
		void *thread = start(self);

		sleep_us(1000 * (round % 4));
		stop(self, thread);
		memset(bits, 0, sizeof(bits));
		must(vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
		for (uint32_t region = 0; region < REGIONS; region++) {
			bool told = bits[region * LARGE_PAGES / 64] & 1;

			written += count_in(self, region) != counts[region];
			missing += count_in(self, region) != counts[region] && !told;
			counts[region] = count_in(self, region);
		}
		guest_mail(&self->vm)->flag[0] = 0;
	}
	done = true;
	thread_join(shrinker);
	EXPECT_GE(written, ROUNDS * REGIONS);
	EXPECT_EQ(0, missing);
	close(tracker);
}

/* Of what all VMs have, which may go meanwhile. */
static void read_report(void)
{
	char text[4096];
	int fd = open("/sys/kernel/debug/vhm/mapped", O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	do {
		bytes = read(fd, text, sizeof(text));
	} while (bytes > 0);
	if (bytes)
		give_up("no report of what is mapped");
	close(fd);
}

/* A thread's: VMs that are filled and destroyed. */
static void *come_and_go(void *window)
{
	while (!done) {
		struct vm vm;

		vm_create(&vm, 0);
		must(vm_add_slot(&vm, 1, 0, WINDOW, WINDOW_BYTES, window));
		populate_all(&vm);
		vm_destroy(&vm);
	}
	return NULL;
}

TEST_F_TIMEOUT(reclaim, others_come_and_go, 120)
{
	struct vm vms[3];
	void *threads[2], *thread = start(self);

	done = false;
	for (size_t i = 0; i < COUNT(vms); i++) {
		vm_create(&vms[i], 0);
		must(vm_add_slot(&vms[i], 1, 0, WINDOW, WINDOW_BYTES, self->window));
	}
	for (size_t i = 0; i < COUNT(threads); i++)
		threads[i] = thread_start(come_and_go, self->window);
	for (int round = 0; round < ROUNDS; round++) {
		populate_all(&vms[round % COUNT(vms)]);
		shrink();
		read_report();
	}
	done = true;
	for (size_t i = 0; i < COUNT(threads); i++)
		thread_join(threads[i]);
	stop(self, thread);
	EXPECT_TRUE(counts_are_right(self));
	/* each gives what it has */
	for (size_t i = 0; i < COUNT(vms); i++) {
		populate_all(&vms[i]);
		EXPECT_GE(tables(&vms[i]), REGIONS);
	}
	shrink();
	for (size_t i = 0; i < COUNT(vms); i++) {
		EXPECT_LE(tables(&vms[i]), LEAST);
		vm_destroy(&vms[i]);
	}
}

/* In a process of its own: a VM that is charged to the control group, which is then short of memory. */
static int in_group(void)
{
	FIXTURE_DATA(reclaim) self;
	int fd;

	if (!enter_group())
		return 1;
	setup(&self);
	pass(&self);
	if (tables(&self.vm) < REGIONS)
		return 2;
	fd = open(CGROUP "/memory.reclaim", O_WRONLY | O_CLOEXEC);
	/* more than there is: it fails, having tried everything */
	if (fd < 0 || write(fd, "64M", 3) >= 0)
		return 3;
	close(fd);
	if (tables(&self.vm) > LEAST)
		return 4;
	pass(&self);
	return counts_are_right(&self) ? 0 : 5;
}

TEST_F_TIMEOUT(reclaim, of_a_group, 60)
{
	int status, channel[2];
	uint64_t before;
	pid_t child;

	ASSERT_TRUE(make_group("+memory"));
	ASSERT_EQ(0, pipe(channel));
	child = fork();
	if (child == 0) {
		char byte;

		_exit(read(channel[0], &byte, 1) == 1 ? in_group() : 6);
	}
	/* after the fork, which takes what it makes copy-on-write */
	pass(self);
	before = tables(&self->vm);
	EXPECT_GE(before, REGIONS);
	ASSERT_EQ(1, write(channel[1], "", 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	/* others keep theirs */
	EXPECT_EQ(before, tables(&self->vm));
	EXPECT_TRUE(leave_group());
}

TEST_HARNESS_MAIN
