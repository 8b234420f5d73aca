// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large pages: the guest has what its creator's page tables have, at the same size and no larger,
 * and whatever is done to a part of a large page is what the guest sees of that part.
 *
 * Sizes are told by counting: one EPT violation brings one entry.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB	0x0004U
#endif
#define WINDOW_BYTES	(2 * LARGE_BYTES)
#define WINDOW_PAGES	(2 * LARGE_PAGES)
#define MIDDLE		(LARGE_BYTES / 2)

FIXTURE(large) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
	uint8_t *window;	/* WINDOW_BYTES, aligned to a large page */
};

static void setup(FIXTURE_DATA(large) *self, uint8_t *window, size_t bytes, uint32_t flags)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->run = self->vcpu.run;
	self->window = window;
	must(vm_add_slot(&self->vm, 1, flags, WINDOW, bytes, window));
}

static void teardown(FIXTURE_DATA(large) *self)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

FIXTURE_SETUP(large)
{
	setup(self, map_aligned(WINDOW_BYTES, 0), WINDOW_BYTES, 0);
	warm_up(&self->vcpu, LARGE_BYTES);
}

FIXTURE_TEARDOWN(large)
{
	teardown(self);
}

/* ------------------------------------------------------------------ sizes -- */

/* 64 MiB that the host has not touched either. */
TEST(transparent)
{
	const uint64_t pages = 32 * LARGE_PAGES;
	FIXTURE_DATA(large) self;

	setup(&self, map_aligned(pages * PAGE_BYTES, 0), pages * PAGE_BYTES, 0);
	warm_up(&self.vcpu, 0);
	EXPECT_LE(faults_of_writing(&self.vcpu, 0, pages), 40);
	/* the memory of the guest's code may be one, too */
	EXPECT_GE(vcpu_stat(&self.vcpu, VHM_STAT_PAGES_MAPPED_2M), 32);
	EXPECT_EQ(0, faults_of_writing(&self.vcpu, 0, pages));
	EXPECT_EQ(0, faults_of_reading(&self.vcpu, 0, pages));
	teardown(&self);
}

/* What nobody has written is the host's large page of zeros, until it is. */
TEST_F(large, zeros)
{
	EXPECT_EQ(1, faults_of_reading(&self->vcpu, 0, LARGE_PAGES));
	EXPECT_EQ(0, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 4));
	EXPECT_EQ(4, *word(self->window, MIDDLE));
	*word(self->window, MIDDLE) = 5;
	EXPECT_EQ(5, guest_read(&self->vcpu, MIDDLE, 1));
}

TEST(hugetlb)
{
	FIXTURE_DATA(large) self;
	int fd;

	if (!reserve_huge_pages("2048kB", 4))
		SKIP(return, "no room for 2 MiB pages");
	fd = (int)syscall(SYS_memfd_create, "guest", MFD_CLOEXEC | MFD_HUGETLB);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, WINDOW_BYTES));
	setup(&self, mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
	      WINDOW_BYTES, 0);
	warm_up(&self.vcpu, LARGE_BYTES);
	EXPECT_EQ(1, faults_of_writing(&self.vcpu, 0, WINDOW_PAGES));
	EXPECT_EQ(0, faults_of_reading(&self.vcpu, 0, WINDOW_PAGES));
	/* a hole, and the end of the file */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LARGE_BYTES));
	EXPECT_EQ(0, guest_read(&self.vcpu, MIDDLE, 1));
	EXPECT_EQ(1, guest_read(&self.vcpu, LARGE_BYTES + MIDDLE, 1));
	ASSERT_EQ(0, ftruncate(fd, LARGE_BYTES));
	EXPECT_EQ(~0u, guest_read(&self.vcpu, LARGE_BYTES, 1));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, self.run->exit_reason);
	teardown(&self);
	munmap(self.window, WINDOW_BYTES);
	close(fd);
	reserve_huge_pages("2048kB", 0);
}

/* User memory and guest-physical memory do not lie alike in large pages. */
TEST(odd_alignment)
{
	FIXTURE_DATA(large) self;

	setup(&self, map_aligned(WINDOW_BYTES, PAGE_BYTES), WINDOW_BYTES, 0);
	warm_up(&self.vcpu, 0);
	EXPECT_EQ(WINDOW_PAGES - 1, faults_of_writing(&self.vcpu, 0, WINDOW_PAGES));
	for (uint32_t page = 0; page < WINDOW_PAGES; page += 37) {
		*word(self.window, page * PAGE_BYTES) = page;
		EXPECT_EQ(page, guest_read(&self.vcpu, page * PAGE_BYTES, 1));
	}
	teardown(&self);
}

/* The slot ends within a large page, and another one shows its rest elsewhere. */
TEST(small_slots)
{
	uint8_t *memory = map_aligned(LARGE_BYTES, 0);
	FIXTURE_DATA(large) self;

	memset(memory, 0x11, LARGE_BYTES);
	setup(&self, memory, MIDDLE, 0);
	must(vm_add_slot(&self.vm, 2, 0, WINDOW + LARGE_BYTES + MIDDLE, MIDDLE, memory + MIDDLE));
	warm_up(&self.vcpu, 0);
	EXPECT_EQ(LARGE_PAGES / 2 - 1, faults_of_writing(&self.vcpu, 0, LARGE_PAGES / 2));
	EXPECT_EQ(0x11111111, guest_read(&self.vcpu, LARGE_BYTES + MIDDLE, 1));
	EXPECT_EQ(~0u, guest_read(&self.vcpu, MIDDLE, 1));
	EXPECT_EQ(VHM_EXIT_MMIO, self.run->exit_reason);
	EXPECT_EQ(~0u, guest_read(&self.vcpu, LARGE_BYTES + MIDDLE - PAGE_BYTES, 1));
	EXPECT_EQ(VHM_EXIT_MMIO, self.run->exit_reason);
	teardown(&self);
}

TEST(read_only)
{
	FIXTURE_DATA(large) self;

	setup(&self, map_aligned(WINDOW_BYTES, 0), WINDOW_BYTES, VHM_SLOT_READONLY);
	memset(self.window, 0x22, WINDOW_BYTES);
	warm_up(&self.vcpu, LARGE_BYTES);
	EXPECT_EQ(1, faults_of_reading(&self.vcpu, 0, WINDOW_PAGES));
	EXPECT_EQ(VHM_EXIT_MMIO, guest_write(&self.vcpu, MIDDLE, 1, 3));
	EXPECT_EQ(0x22222222, *word(self.window, MIDDLE));
	teardown(&self);
}

/* Code in a large page, which on some processors must not be executed from one. */
TEST_F(large, code)
{
	struct vhm_registers regs = {
		.rip = WINDOW + MIDDLE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = WINDOW,
		.rcx = LARGE_PAGES / 2, .rax = 9,
	};
	uint64_t before = vcpu_stat(&self->vcpu, VHM_STAT_EXIT_EPT);

	memcpy(self->window + MIDDLE, write_pages, CODE_BYTES(write_pages));
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	EXPECT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_LE(vcpu_stat(&self->vcpu, VHM_STAT_EXIT_EPT) - before, 2);
	/* and in one that is there already for its data */
	memcpy(self->window + LARGE_BYTES, write_pages, CODE_BYTES(write_pages));
	regs.rip = WINDOW + LARGE_BYTES;
	regs.rbx = WINDOW + LARGE_BYTES + MIDDLE;
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	EXPECT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_LE(vcpu_stat(&self->vcpu, VHM_STAT_EXIT_EPT) - before, 4);
	EXPECT_EQ(9, *word(self->window, LARGE_BYTES + MIDDLE));
}

/* ------------------------------------------------------- parts of a large page -- */

/* The middle page is the guest's no more or another; its neighbours are what they were. */
static void expect_neighbours(struct __test_metadata *_metadata, FIXTURE_DATA(large) *self,
			      uint32_t value)
{
	EXPECT_EQ(value, guest_read(&self->vcpu, MIDDLE - PAGE_BYTES, 1));
	EXPECT_EQ(value, guest_read(&self->vcpu, MIDDLE + PAGE_BYTES, 1));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, MIDDLE + PAGE_BYTES, 1, value + 1));
	EXPECT_EQ(value + 1, *word(self->window, MIDDLE + PAGE_BYTES));
	*word(self->window, MIDDLE + PAGE_BYTES) = value;
	EXPECT_EQ(value, guest_read(&self->vcpu, MIDDLE + PAGE_BYTES, 1));
}

TEST_F(large, part_discarded)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 0x31));
	ASSERT_EQ(0, madvise(self->window + MIDDLE, PAGE_BYTES, MADV_DONTNEED));
	EXPECT_EQ(0, guest_read(&self->vcpu, MIDDLE, 1));
	expect_neighbours(_metadata, self, 0x31);
}

TEST_F(large, part_unmapped)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 0x32));
	ASSERT_EQ(0, munmap(self->window + MIDDLE, PAGE_BYTES));
	EXPECT_EQ(~0u, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, self->run->exit_reason);
	expect_neighbours(_metadata, self, 0x32);
}

TEST_F(large, part_protected)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 0x33));
	ASSERT_EQ(0, mprotect(self->window + MIDDLE, PAGE_BYTES, PROT_READ));
	EXPECT_EQ(0x33, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, guest_write(&self->vcpu, MIDDLE, 1, 0x34));
	EXPECT_EQ(0x33, *word(self->window, MIDDLE));
	expect_neighbours(_metadata, self, 0x33);
	ASSERT_EQ(0, mprotect(self->window + MIDDLE, PAGE_BYTES, PROT_READ | PROT_WRITE));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, MIDDLE, 1, 0x34));
	EXPECT_EQ(0x34, *word(self->window, MIDDLE));
}

TEST_F(large, part_replaced)
{
	uint8_t *other = map_aligned(LARGE_BYTES, 0);

	*word(other, MIDDLE) = 0x44;
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 0x35));
	ASSERT_EQ(self->window + MIDDLE,
		  mremap(other + MIDDLE, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
			 self->window + MIDDLE));
	EXPECT_EQ(0x44, guest_read(&self->vcpu, MIDDLE, 1));
	expect_neighbours(_metadata, self, 0x35);
}

/* The child's first write, and the parent's, take apart what both share. */
TEST_F(large, copy_on_write)
{
	int status, channel[2];
	pid_t child;

	ASSERT_EQ(0, pipe(channel));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 0x51));
	child = fork();
	if (child == 0) {
		char byte;

		*word(self->window, 0) = 0x52;
		_exit(read(channel[0], &byte, 1) != 1 || *word(self->window, MIDDLE) != 0x51);
	}
	EXPECT_EQ(0x51, guest_read(&self->vcpu, MIDDLE, 1));	/* maps what is shared */
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, MIDDLE, 1, 0x53));
	EXPECT_EQ(0x53, *word(self->window, MIDDLE));
	*word(self->window, MIDDLE + PAGE_BYTES) = 0x54;
	EXPECT_EQ(0x54, guest_read(&self->vcpu, MIDDLE + PAGE_BYTES, 1));
	EXPECT_EQ(0x51, guest_read(&self->vcpu, 0, 1));
	ASSERT_EQ(1, write(channel[1], "", 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* What was taken apart is put together again: by the host, and then for the guest. */
TEST_F(large, collapsed)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, LARGE_PAGES, 0x61));
	ASSERT_EQ(0, madvise(self->window + MIDDLE, PAGE_BYTES, MADV_DONTNEED));
	EXPECT_GT(faults_of_writing(&self->vcpu, 0, LARGE_PAGES), LARGE_PAGES / 2);
	*word(self->window, MIDDLE) = 0x62;
	if (madvise(self->window, LARGE_BYTES, MADV_COLLAPSE))
		SKIP(return, "cannot collapse: %s", strerror(errno));
	EXPECT_EQ(0x62, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_EQ(0, faults_of_writing(&self->vcpu, 0, LARGE_PAGES));
	*word(self->window, MIDDLE) = 0x63;
	EXPECT_EQ(0x63, guest_read(&self->vcpu, MIDDLE, 1));
}

TEST_F(large, slot_removed)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x71));
	must(vm_remove_slot(&self->vm, 1));
	EXPECT_EQ(~0u, guest_read(&self->vcpu, MIDDLE, 1));
	EXPECT_EQ(VHM_EXIT_MMIO, self->run->exit_reason);
	/* one half comes back, at the other place */
	must(vm_add_slot(&self->vm, 1, 0, WINDOW + LARGE_BYTES, LARGE_BYTES, self->window));
	*word(self->window, MIDDLE) = 0x72;
	EXPECT_EQ(0x72, guest_read(&self->vcpu, LARGE_BYTES + MIDDLE, 1));
	EXPECT_EQ(~0u, guest_read(&self->vcpu, MIDDLE, 1));
}

/* ------------------------------------------------------------- under a run -- */

/*
 * Over and over each page: a word there must not be older than what the table of floors said before
 * it was read, or 0. Another word is written. RDI: floors, RBX: pages, RCX: how many.
 */
GUEST_CODE(check_pages, 64,
	"1: xor	%esi, %esi\n"
	"mov	%rbx, %rdx\n"
	"2: mov	(%rdi, %rsi, 4), %eax\n"
	"mov	(%rdx), %r8d\n"
	"incl	8(%rdx)\n"
	"test	%r8d, %r8d\n"
	"jz	3f\n"
	"cmp	%eax, %r8d\n"
	"jb	4f\n"
	"3: add	$0x1000, %rdx\n"
	"inc	%rsi\n"
	"cmp	%rcx, %rsi\n"
	"jb	2b\n"
	"incl	" MAIL_FLAG "\n"
	"jmp	1b\n"
	"4: mov	%esi, %eax\n"
	"out	%eax, $0x10\n");

/* Something happens to @pages from @page on, after which they are as good as new. */
static void disturb(uint8_t *window, uint32_t kind, uint32_t page, uint32_t pages)
{
	uint8_t *start = window + page * PAGE_BYTES, *other;
	size_t bytes = pages * PAGE_BYTES;

	switch (kind) {
	case 0:
		must(madvise(start, bytes, MADV_DONTNEED));
		break;
	case 1:
		must(munmap(start, bytes));
		must(mmap(start, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == start ? 0 : -1);
		must(madvise(start, bytes, MADV_HUGEPAGE));
		break;
	case 2:
		must(mprotect(start, bytes, PROT_READ));
		must(mprotect(start, bytes, PROT_READ | PROT_WRITE));
		break;
	case 3:
		other = map_aligned(bytes, 0);
		memset(other, 0, bytes);
		must(mremap(other, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) == start ?
		     0 : -1);
		break;
	case 4:
		must(madvise(start, bytes, MADV_FREE));
		break;
	case 5:
		must(madvise(start, bytes, MADV_PAGEOUT));
		break;
	default:
		/* may fail for want of memory, or because it is one already */
		madvise(window, WINDOW_BYTES, MADV_COLLAPSE);
	}
}

#define DISTURBANCES	200

TEST_F_TIMEOUT(large, disturbed_under_a_run, 120)
{
	uint32_t *floors = (uint32_t *)(self->vm.memory + LONG_DATA);
	volatile uint64_t *rounds = &guest_mail(&self->vm)->flag[0];
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = WINDOW,
		.rdi = LONG_DATA, .rcx = WINDOW_PAGES,
	};
	uint32_t random = 1;
	uint64_t before;
	void *thread;

	guest_run_long(&self->vcpu, check_pages);
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	thread = thread_start(run_past_memory_faults, &self->vcpu);
	for (uint32_t stamp = 1; stamp <= DISTURBANCES; stamp++) {
		uint32_t page, pages;

		random = random * 1103515245 + 12345;
		page = (random >> 8) % WINDOW_PAGES;
		pages = random >> 30 ? 1 + (random >> 18) % 16 : WINDOW_PAGES;
		if (pages > WINDOW_PAGES - page)
			pages = WINDOW_PAGES - page;
		disturb(self->window, (random >> 24) % 7, page, pages);
		for (uint32_t i = page; i < page + pages; i++) {
			*(volatile uint32_t *)word(self->window, i * PAGE_BYTES) = stamp;
			__atomic_store_n(&floors[i], stamp, __ATOMIC_RELEASE);
		}
	}
	/* and it has got on */
	before = *rounds;
	while (*rounds - before < 2)
		sleep_us(POLL_US);
	must(vcpu_kick(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
	EXPECT_GE(before, 2);
}

TEST_HARNESS_MAIN
