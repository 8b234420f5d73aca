// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the VMM lets the guest do with its memory (VHM_VM_SET_RIGHTS), and several changes of slots
 * at once (VHM_SLOT_EDIT).
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"

#define WINDOW_BYTES	(2 * LARGE_BYTES)
#define WINDOW_PAGES	(2 * LARGE_PAGES)
#define R		VHM_RIGHT_READ
#define RW		(R | VHM_RIGHT_WRITE)
#define RX		(R | VHM_RIGHT_EXECUTE)
#define X		VHM_RIGHT_EXECUTE
#define RWX		(RW | X)

FIXTURE(rights) {
	struct vm vm;
	struct vcpu vcpu;
	uint8_t *window;	/* WINDOW_BYTES, aligned to a large page */
};

FIXTURE_SETUP(rights)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->window = map_aligned(WINDOW_BYTES, 0);
	memset(self->window, 0, WINDOW_BYTES);
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, self->window));
	warm_up(&self->vcpu, 0);
}

FIXTURE_TEARDOWN(rights)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	munmap(self->window, WINDOW_BYTES);
}

static long set_rights(const struct vm *vm, uint64_t gpa, uint64_t bytes, uint32_t rights)
{
	struct vhm_rights arg = {
		.size = sizeof(arg), .rights = rights, .gpa = gpa, .bytes = bytes,
	};

	return vhm_ioctl(vm->fd, VHM_VM_SET_RIGHTS, &arg);
}

static uint64_t mapped(const struct vm *vm, int size)
{
	struct vhm_mapped arg = { .size = sizeof(arg), .gpa = WINDOW, .bytes = WINDOW_BYTES };

	must(vhm_ioctl(vm->fd, VHM_VM_GET_MAPPED, &arg));
	return arg.entries[size];
}

/* The last exit denied an access to @address; all but the flags that depend on the processor. */
#define EXPECT_DENIED(self, address, wanted, instruction) do {			\
	const struct vhm_run *seen_run = (self)->vcpu.run;			\
										\
	EXPECT_EQ(VHM_EXIT_DENIED, seen_run->exit_reason);			\
	EXPECT_EQ(address, seen_run->mmio.gpa);					\
	EXPECT_EQ(wanted, seen_run->mmio.flags &				\
		  (VHM_MMIO_READ | VHM_MMIO_WRITE | VHM_MMIO_FETCH | VHM_MMIO_WALK)); \
	EXPECT_EQ(address, seen_run->mmio.linear_address);			\
	EXPECT_EQ(instruction, seen_run->regs.rip);				\
} while (0)

TEST_F(rights, denied_and_allowed)
{
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW + PAGE_BYTES, PAGE_BYTES, R));
	EXPECT_EQ(0, guest_read(&self->vcpu, PAGE_BYTES, 1));
	guest_write(&self->vcpu, PAGE_BYTES, 1, 5);
	EXPECT_DENIED(self, WINDOW + PAGE_BYTES, VHM_MMIO_WRITE, LONG_CODE);
	/* it tries again, as often as it is let run */
	EXPECT_EQ(VHM_EXIT_DENIED, vcpu_exit(&self->vcpu));
	EXPECT_EQ(0, *word(self->window, PAGE_BYTES));
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW + PAGE_BYTES, PAGE_BYTES, RWX));
	EXPECT_EQ(VHM_EXIT_IO, vcpu_exit(&self->vcpu));
	EXPECT_EQ(5, *word(self->window, PAGE_BYTES));

	EXPECT_EQ(0, set_rights(&self->vm, WINDOW, WINDOW_BYTES, 0));
	guest_read(&self->vcpu, 3 * PAGE_BYTES, 1);
	EXPECT_DENIED(self, WINDOW + 3 * PAGE_BYTES, VHM_MMIO_READ, LONG_CODE);
	/* a part of what was taken is given back, and only that */
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW + PAGE_BYTES, PAGE_BYTES, R));
	EXPECT_EQ(5, guest_read(&self->vcpu, PAGE_BYTES, 1));
	guest_read(&self->vcpu, 2 * PAGE_BYTES, 1);
	EXPECT_DENIED(self, WINDOW + 2 * PAGE_BYTES, VHM_MMIO_READ, LONG_CODE);
	guest_read(&self->vcpu, 0, 1);
	EXPECT_DENIED(self, WINDOW, VHM_MMIO_READ, LONG_CODE);
	/* they belong to the addresses, not to the slot */
	must(vm_remove_slot(&self->vm, 1));
	must(vm_add_slot(&self->vm, 2, 0, WINDOW, WINDOW_BYTES, self->window));
	guest_read(&self->vcpu, 0, 1);
	EXPECT_DENIED(self, WINDOW, VHM_MMIO_READ, LONG_CODE);
	EXPECT_EQ(0, set_rights(&self->vm, 0, 1ull << 62, RWX));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 6));
}

/* Ten thousand ranges, and then one in the place of half of them, and of all. */
TEST_F_TIMEOUT(rights, many_ranges, 120)
{
	const uint32_t count = 10000;

	EXPECT_EQ(0, set_rights(&self->vm, 0, 1ull << 40, 0));
	for (uint64_t i = 0; i < count; i++)
		ASSERT_EQ(0, set_rights(&self->vm, (1ull << 36) + 2 * i * PAGE_BYTES, PAGE_BYTES,
					i & 1 ? RW : RWX));
	EXPECT_EQ(0, set_rights(&self->vm, 0, (1ull << 36) + count * PAGE_BYTES, RX));
	EXPECT_EQ(0, set_rights(&self->vm, 0, 1ull << 62, RWX));
	sleep_us(100000);	/* what the host frees later it frees now */
	guest_write(&self->vcpu, 0, 1, 1);
	EXPECT_EQ(VHM_EXIT_IO, self->vcpu.run->exit_reason);
}

/* Fetching, in pages of each size. */
TEST_F(rights, execution)
{
	const uint8_t code[] = { 0xe6, PORT_DONE };	/* OUT PORT_DONE, AL */
	const uint64_t at[] = { WINDOW + 64, WINDOW + LARGE_BYTES + 64 };

	must(madvise(self->window + LARGE_BYTES, LARGE_BYTES, MADV_NOHUGEPAGE));
	must(madvise(self->window + LARGE_BYTES, LARGE_BYTES, MADV_DONTNEED));
	for (size_t i = 0; i < COUNT(at); i++) {
		memcpy(self->window + (at[i] - WINDOW), code, sizeof(code));
		guest_run_long(&self->vcpu, write_pages);
		guest_long_enter(&self->vcpu, at[i]);
		EXPECT_EQ(0, set_rights(&self->vm, WINDOW, WINDOW_BYTES, RW));
		vcpu_exit(&self->vcpu);
		EXPECT_DENIED(self, at[i], VHM_MMIO_FETCH, at[i]);
		EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 8 * PAGE_BYTES, 1, 1));
		guest_long_enter(&self->vcpu, at[i]);
		EXPECT_EQ(0, set_rights(&self->vm, WINDOW, WINDOW_BYTES, RX));
		EXPECT_EQ(VHM_EXIT_IO, vcpu_exit(&self->vcpu));
		guest_write(&self->vcpu, at[i] - WINDOW, 1, 1);
		EXPECT_EQ(VHM_EXIT_DENIED, self->vcpu.run->exit_reason);
		if (!(device_info().features & VHM_FEATURE_EXECUTE_ONLY)) {
			EXPECT_EQ(-EOPNOTSUPP, set_rights(&self->vm, WINDOW, WINDOW_BYTES, X));
			continue;
		}
		EXPECT_EQ(0, set_rights(&self->vm, WINDOW, WINDOW_BYTES, X));
		guest_long_enter(&self->vcpu, at[i]);
		EXPECT_EQ(VHM_EXIT_IO, vcpu_exit(&self->vcpu));
		guest_read(&self->vcpu, at[i] - WINDOW, 1);
		EXPECT_EQ(VHM_EXIT_DENIED, self->vcpu.run->exit_reason);
	}
}

/* A restriction of a part makes large pages small, one of the whole does not, none is as before. */
TEST_F(rights, sizes)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 1));
	EXPECT_EQ(2, mapped(&self->vm, 1));
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW, LARGE_BYTES, R));
	guest_read(&self->vcpu, 0, WINDOW_PAGES);
	EXPECT_EQ(2, mapped(&self->vm, 1));
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW + LARGE_BYTES / 2, PAGE_BYTES, RX));
	guest_read(&self->vcpu, 0, WINDOW_PAGES);
	EXPECT_EQ(1, mapped(&self->vm, 1));
	EXPECT_EQ(LARGE_PAGES, mapped(&self->vm, 0));
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW, WINDOW_BYTES, RWX));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 2));
	EXPECT_EQ(2, mapped(&self->vm, 1));
	EXPECT_EQ(0, mapped(&self->vm, 0));
}

/* With trackers, which take rights away for reasons of theirs. */
TEST_F(rights, with_a_tracker)
{
	struct vhm_tracker_create create = { .size = sizeof(create) };
	int tracker;

	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 1));
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW, LARGE_BYTES, R));
	guest_read(&self->vcpu, 0, WINDOW_PAGES);
	tracker = must(vhm_ioctl(self->vm.fd, VHM_TRACKER_CREATE, &create));
	guest_write(&self->vcpu, 7 * PAGE_BYTES, 1, 2);
	EXPECT_DENIED(self, WINDOW + 7 * PAGE_BYTES, VHM_MMIO_WRITE, LONG_CODE);
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, LARGE_BYTES, LARGE_PAGES, 2));
	close(tracker);
	guest_write(&self->vcpu, 7 * PAGE_BYTES, 1, 2);
	EXPECT_DENIED(self, WINDOW + 7 * PAGE_BYTES, VHM_MMIO_WRITE, LONG_CODE);
}

/* Ahead of the guest: what it may not access is passed over. */
TEST_F(rights, populate)
{
	struct vhm_populate range = {
		.size = sizeof(range), .flags = VHM_POPULATE_WRITE, .gpa = WINDOW,
		.bytes = WINDOW_BYTES,
	};

	EXPECT_EQ(0, set_rights(&self->vm, WINDOW, PAGE_BYTES, 0));
	EXPECT_EQ(0, set_rights(&self->vm, WINDOW + PAGE_BYTES, PAGE_BYTES, R));
	EXPECT_EQ(0, vhm_ioctl(self->vm.fd, VHM_VM_POPULATE, &range));
	EXPECT_EQ(0, range.bytes);
	EXPECT_EQ(LARGE_PAGES - 1, mapped(&self->vm, 0));
	EXPECT_EQ(1, mapped(&self->vm, 1));
}

/* Guest code: for ever, counts in the page at RBX. */
GUEST_CODE(counter, 64,
	"1: incl (%rbx)\n"
	"jmp	1b\n");

/* When the call returns, a guest that runs cannot write any more. */
TEST_F(rights, taken_from_a_running_guest)
{
	struct vhm_registers regs = {
		.rbx = WINDOW, .rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2,
	};
	volatile uint32_t *count = word(self->window, 0);

	guest_run_long(&self->vcpu, counter);
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	for (int i = 0; i < 10; i++) {
		void *thread = thread_start(run_past_memory_faults, &self->vcpu);
		uint32_t seen = *count;

		while (*count == seen)
			sleep_us(POLL_US);
		EXPECT_EQ(0, set_rights(&self->vm, WINDOW, PAGE_BYTES, i & 1 ? RX : 0));
		seen = *count;
		EXPECT_EQ(VHM_EXIT_DENIED, (long)thread_join(thread));
		EXPECT_EQ(seen, *count);
		EXPECT_EQ(WINDOW, self->vcpu.run->mmio.gpa);
		EXPECT_EQ(0, set_rights(&self->vm, WINDOW, PAGE_BYTES, RWX));
	}
}

/* ------------------------------------------------------------------ edits -- */

static long edit(const struct vm *vm, const struct vhm_slot *slots, uint32_t count)
{
	struct vhm_slot_edits edits = {
		.size = sizeof(edits), .count = count, .slots = (uintptr_t)slots,
	};

	return vhm_ioctl(vm->fd, VHM_SLOT_EDIT, &edits);
}

#define GOES(number)	{ .size = sizeof(struct vhm_slot), .id = (number) }
#define COMES(number, address, length, memory)					\
	{ .size = sizeof(struct vhm_slot), .id = (number), .gpa = (address),	\
	  .bytes = (length), .user_address = (uintptr_t)(memory) }

TEST_F(rights, slots_moved_and_swapped)
{
	uint8_t *low = self->window, *high = self->window + LARGE_BYTES;
	const uint64_t far = WINDOW + 8 * LARGE_BYTES;
	const struct vhm_slot halves[] = {
		COMES(2, WINDOW + LARGE_BYTES, LARGE_BYTES, high), GOES(1),
		COMES(1, WINDOW, LARGE_BYTES, low),
	};
	const struct vhm_slot swap[] = {
		GOES(1), GOES(2), COMES(2, WINDOW, LARGE_BYTES, high),
		COMES(1, WINDOW + LARGE_BYTES, LARGE_BYTES, low),
	};
	const struct vhm_slot move[] = { GOES(2), COMES(2, far, LARGE_BYTES, high) };
	const struct vhm_slot bad[][2] = {
		{ GOES(1), GOES(1) }, { GOES(1), GOES(9) },
		{ COMES(3, far, LARGE_BYTES, low), COMES(4, far + LARGE_BYTES / 2, LARGE_BYTES, low) },
		{ COMES(3, far, LARGE_BYTES, low), COMES(3, far + LARGE_BYTES, LARGE_BYTES, low) },
		{ COMES(1, far, LARGE_BYTES, low), GOES(2) },
		{ GOES(2), COMES(3, WINDOW + PAGE_BYTES, LARGE_BYTES, low) },
		{ GOES(2), COMES(3, far + 1, LARGE_BYTES, low) },
	};
	const int errors[] = { ENOENT, ENOENT, EEXIST, EEXIST, EEXIST, EEXIST, EINVAL };

	*word(low, 0) = 0x11;
	*word(high, 0) = 0x22;
	EXPECT_EQ(0, edit(&self->vm, halves, COUNT(halves)));
	EXPECT_EQ(0x11, guest_read(&self->vcpu, 0, 1));
	EXPECT_EQ(0x22, guest_read(&self->vcpu, LARGE_BYTES, 1));
	EXPECT_EQ(0, edit(&self->vm, swap, COUNT(swap)));
	EXPECT_EQ(0x22, guest_read(&self->vcpu, 0, 1));
	EXPECT_EQ(0x11, guest_read(&self->vcpu, LARGE_BYTES, 1));
	for (size_t i = 0; i < COUNT(bad); i++) {
		EXPECT_EQ(-errors[i], edit(&self->vm, bad[i], 2)) TH_LOG("edit %zu", i);
		/* nothing was done */
		EXPECT_EQ(0x22, guest_read(&self->vcpu, 0, 1));
		EXPECT_EQ(0x11, guest_read(&self->vcpu, LARGE_BYTES, 1));
	}
	EXPECT_EQ(0, edit(&self->vm, move, COUNT(move)));
	EXPECT_EQ(0x22, guest_read(&self->vcpu, far - WINDOW, 1));
	guest_read(&self->vcpu, 0, 1);
	EXPECT_EQ(VHM_EXIT_MMIO, self->vcpu.run->exit_reason);
}

/* Guest code: reads the page at RBX for ever; counts in the mail; ends with what it read if odd. */
GUEST_CODE(watcher, 64,
	"1: mov	(%rbx), %eax\n"
	"test	$1, %eax\n"
	"jnz	2f\n"
	"incl	" MAIL_FLAG "\n"
	"jmp	1b\n"
	"2: out	%eax, $0x10\n");

/* A guest that runs finds the old or the new memory, and never none. */
TEST_F(rights, replaced_under_a_run)
{
	const struct vhm_slot to_high[] = {
		GOES(1), COMES(1, WINDOW, LARGE_BYTES, self->window + LARGE_BYTES),
	};
	const struct vhm_slot to_low[] = { GOES(1), COMES(1, WINDOW, LARGE_BYTES, self->window) };
	struct vhm_registers regs = {
		.rbx = WINDOW, .rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2,
	};
	volatile uint32_t *rounds = (volatile uint32_t *)&guest_mail(&self->vm)->flag[0];
	void *thread;

	*word(self->window, 0) = 2;
	*word(self->window, LARGE_BYTES) = 4;
	guest_run_long(&self->vcpu, watcher);
	must(vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	thread = thread_start(run_past_memory_faults, &self->vcpu);
	for (int i = 0; i < 100; i++) {
		uint32_t before = *rounds;

		EXPECT_EQ(0, i & 1 ? edit(&self->vm, to_low, 2) : edit(&self->vm, to_high, 2));
		if (i % 10 == 0)
			while (*rounds == before)
				sleep_us(POLL_US);
	}
	*word(self->window, 0) = 3;
	EXPECT_EQ(VHM_EXIT_IO, (long)thread_join(thread));
	EXPECT_EQ(3, (uint32_t)self->vcpu.run->regs.rax);
}

TEST_HARNESS_MAIN
