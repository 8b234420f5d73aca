// SPDX-License-Identifier: GPL-2.0-only
/*
 * A slot over memory of a device: the VGA's, in text mode, through /dev/mem. It behaves as memory
 * and has no struct pages. What the guest writes must be there for the host to read, and the
 * mapping goes when the process's goes.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pages.h"

#define VGA_TEXT	0xb8000
#define WINDOW_PAGES	4u	/* all that is not the same again */
#define WINDOW_BYTES	(WINDOW_PAGES * PAGE_BYTES)

FIXTURE(device_memory) {
	struct vm vm;
	struct vcpu vcpu;
	int fd;			/* /dev/mem */
	uint8_t *window;	/* the slot's */
	uint8_t *device;	/* the same once more */
	uint8_t saved[WINDOW_BYTES];
};

/* Not so where /dev/mem is locked down, or the machine has no VGA. */
static bool has_vga(int fd)
{
	volatile uint32_t *text = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				       VGA_TEXT);
	uint32_t old;
	bool holds;

	if (text == MAP_FAILED)
		return false;
	old = *text;
	*text = 0x07550755;
	holds = *text == 0x07550755;
	*text = old;
	munmap((void *)text, PAGE_BYTES);
	return holds;
}

static uint8_t *map_device(int fd, void *address, int protection)
{
	uint8_t *memory = mmap(address, WINDOW_BYTES, protection,
			       MAP_SHARED | (address ? MAP_FIXED : 0), fd, VGA_TEXT);

	if (memory == MAP_FAILED)
		give_up("/dev/mem: %s", strerror(errno));
	return memory;
}

static uint8_t *map_window(int fd, void *address)
{
	return map_device(fd, address, PROT_READ | PROT_WRITE);
}

FIXTURE_SETUP(device_memory)
{
	self->fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (!has_vga(self->fd))
		SKIP(return, "no VGA memory to be had");
	self->device = map_window(self->fd, NULL);
	memcpy(self->saved, self->device, WINDOW_BYTES);
	self->window = map_window(self->fd, NULL);
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, self->window));
	warm_up(&self->vcpu, 0);
}

FIXTURE_TEARDOWN(device_memory)
{
	memcpy(self->device, self->saved, WINDOW_BYTES);
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	munmap(self->window, WINDOW_BYTES);
	munmap(self->device, WINDOW_BYTES);
	close(self->fd);
}

static uint64_t mapped(const struct vm *vm)
{
	struct vhm_mapped arg = { .size = sizeof(arg), .gpa = WINDOW, .bytes = WINDOW_BYTES };

	must(vhm_ioctl(vm->fd, VHM_VM_GET_MAPPED, &arg));
	return arg.entries[0];
}

#define EXPECT_ABSENT(self) do {						\
	EXPECT_EQ(0, mapped(&(self)->vm));					\
	EXPECT_EQ(~0u, guest_read(&(self)->vcpu, 0, 1));			\
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, (self)->vcpu.run->exit_reason);	\
	EXPECT_EQ(EFAULT, (self)->vcpu.run->memory_fault.error);		\
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, guest_write(&(self)->vcpu, 0, 1, 0));	\
} while (0)

TEST_F(device_memory, guest_and_host_share)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07410742));
	for (uint32_t page = 0; page < WINDOW_PAGES; page++) {
		EXPECT_EQ(0x07410742, *word(self->device, page * PAGE_BYTES));
		*word(self->device, page * PAGE_BYTES) = 0x07300730 + page;
		EXPECT_EQ(0x07300730 + page, guest_read(&self->vcpu, page * PAGE_BYTES, 1));
	}
	EXPECT_EQ(WINDOW_PAGES, mapped(&self->vm));
	EXPECT_EQ(0, faults_of_writing(&self->vcpu, 0, WINDOW_PAGES));
}

TEST_F(device_memory, populated)
{
	struct vhm_populate range = {
		.size = sizeof(range), .flags = VHM_POPULATE_WRITE, .gpa = WINDOW,
		.bytes = WINDOW_BYTES,
	};

	map_window(self->fd, self->window);
	EXPECT_EQ(0, mapped(&self->vm));
	EXPECT_EQ(0, vhm_ioctl(self->vm.fd, VHM_VM_POPULATE, &range));
	EXPECT_EQ(WINDOW_PAGES, mapped(&self->vm));
	EXPECT_EQ(0, faults_of_writing(&self->vcpu, 0, WINDOW_PAGES));
}

TEST_F(device_memory, unmapped)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07410742));
	ASSERT_EQ(0, munmap(self->window, WINDOW_BYTES));
	EXPECT_ABSENT(self);
	EXPECT_EQ(0x07410742, *word(self->device, 0));
	/* memory in its place, and the device again */
	ASSERT_EQ(self->window, mmap(self->window, WINDOW_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 1));
	EXPECT_EQ(1, *word(self->window, 0));
	EXPECT_EQ(0x07410742, *word(self->device, 0));
	map_window(self->fd, self->window);
	EXPECT_EQ(0x07410742, guest_read(&self->vcpu, 0, 1));
}

TEST_F(device_memory, moved)
{
	void *away = mmap(NULL, WINDOW_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07410742));
	ASSERT_EQ(away, mremap(self->window, WINDOW_BYTES, WINDOW_BYTES,
			       MREMAP_MAYMOVE | MREMAP_FIXED, away));
	EXPECT_ABSENT(self);
	ASSERT_EQ((void *)self->window, mremap(away, WINDOW_BYTES, WINDOW_BYTES,
					       MREMAP_MAYMOVE | MREMAP_FIXED, self->window));
	EXPECT_EQ(0x07410742, guest_read(&self->vcpu, 0, 1));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07420742));
	EXPECT_EQ(0x07420742, *word(self->device, 0));
}

/* The mapping allows only reading: from the start, and all at once. */
TEST_F(device_memory, read_only)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07410742));
	map_device(self->fd, self->window, PROT_READ);
	EXPECT_EQ(0x07410742, guest_read(&self->vcpu, 0, 1));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, guest_write(&self->vcpu, 0, 1, 5));
	ASSERT_EQ(0, mprotect(self->window, WINDOW_BYTES, PROT_READ | PROT_WRITE));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 1, 0x07430743));
	ASSERT_EQ(0, mprotect(self->window, WINDOW_BYTES, PROT_READ));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, guest_write(&self->vcpu, 0, 1, 5));
	EXPECT_EQ(0x07430743, *word(self->device, 0));
}

TEST_F(device_memory, rights)
{
	struct vhm_rights rights = {
		.size = sizeof(rights), .rights = VHM_RIGHT_READ, .gpa = WINDOW,
		.bytes = PAGE_BYTES,
	};

	ASSERT_EQ(0, vhm_ioctl(self->vm.fd, VHM_VM_SET_RIGHTS, &rights));
	*word(self->device, 0) = 0x07410742;
	EXPECT_EQ(0x07410742, guest_read(&self->vcpu, 0, 1));
	EXPECT_EQ(VHM_EXIT_DENIED, guest_write(&self->vcpu, 0, 1, 5));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, PAGE_BYTES, 1, 0x07430743));
	EXPECT_EQ(0x07410742, *word(self->device, 0));
}

static uint64_t harvest(int tracker)
{
	uint64_t bits = 0;
	struct vhm_harvest arg = {
		.size = sizeof(arg), .gpa = WINDOW, .bytes = WINDOW_BYTES, .data = (uintptr_t)&bits,
	};

	must(vhm_ioctl(tracker, VHM_TRACKER_HARVEST, &arg));
	return bits;
}

TEST_F(device_memory, tracked)
{
	struct vhm_tracker_create create = { .size = sizeof(create) };
	int tracker = (int)must(vhm_ioctl(self->vm.fd, VHM_TRACKER_CREATE, &create));

	EXPECT_EQ(0, harvest(tracker));
	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, PAGE_BYTES, 2, 0x07410742));
		EXPECT_EQ(0x07410742, guest_read(&self->vcpu, PAGE_BYTES, 1));
		EXPECT_EQ(0x6, harvest(tracker));
		EXPECT_EQ(0, harvest(tracker));
	}
	close(tracker);
}

/* A child that goes takes nothing with it. */
TEST_F(device_memory, fork)
{
	int status;
	pid_t child;

	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07410742));
	child = fork();
	if (!child)
		_exit(*word(self->window, 0) != 0x07410742);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, WINDOW_PAGES, 0x07420742));
	EXPECT_EQ(0x07420742, *word(self->device, 0));
}

TEST_HARNESS_MAIN
