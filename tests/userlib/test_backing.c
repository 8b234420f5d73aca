// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guest memory is made of: memfds and files, private and shared, and what is refused. Of huge
 * pages as far as this host has any; live.c has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "test.h"

#define PAGE	4096ull
#define LARGE	(2ull << 20)

static struct test_vm test;

/* A file of @bytes, each page full of its number from 1 on; no name is left. */
static int make_file(uint64_t bytes)
{
	char path[] = "/tmp/vhm-backing-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	uint64_t at;

	if (fd < 0 || unlink(path))
		return -1;
	for (at = 0; at < bytes; at++) {
		uint8_t value = (uint8_t)(1 + at / PAGE);

		if (pwrite(fd, &value, 1, (off_t)at) != 1)
			return -1;
	}
	return fd;
}

static uint8_t in_file(int fd, uint64_t offset)
{
	uint8_t value = 0;

	return pread(fd, &value, 1, (off_t)offset) == 1 ? value : 0;
}

static int add(uint64_t gpa, uint64_t bytes, struct vhm_backing *backing)
{
	return vhm_vm_add_backed_memory(test.vm, gpa, bytes, 0, backing, NULL);
}

static void refused(void)
{
	const struct vhm_backing file = { .kind = VHM_BACKING_FILE, .fd = make_file(PAGE) };
	struct vhm_backing backing = { .kind = 3 };

	test_vm_create(&test);
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing = (struct vhm_backing){ .flags = VHM_BACKING_SHARED };
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing = (struct vhm_backing){ .kind = VHM_BACKING_MEMFD, .flags = VHM_BACKING_SHARED };
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing = (struct vhm_backing){ .kind = VHM_BACKING_MEMFD, .offset = PAGE };
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing = (struct vhm_backing){ .reserved = 1 };
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing = (struct vhm_backing){ .huge_page_bytes = 3 * LARGE };
	CHECK_EQ(add(0, 3 * LARGE, &backing), -EINVAL);
	backing = file;
	backing.flags = 2;
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing = file;
	backing.offset = 1;
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing.offset = ~0xfffull;
	CHECK_EQ(add(0, 2 * PAGE, &backing), -EINVAL);
	CHECK_EQ(add(0, PAGE, &backing), -ENODATA);
	backing = file;
	backing.huge_page_bytes = LARGE;
	CHECK_EQ(add(0, LARGE, &backing), -EINVAL);
	backing = file;
	CHECK_EQ(add(1, PAGE, &backing), -EINVAL);
	backing.fd = -1;
	CHECK_EQ(add(0, PAGE, &backing), -EBADF);
	CHECK_EQ(fake.slots, 0);
	close(file.fd);
	test_vm_destroy(&test);
}

/* What cannot be mapped, or not so. */
static void unfit_files(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_FILE, .fd = make_file(2 * PAGE + 1) };
	char path[32];
	int pipes[2], writable = backing.fd;

	test_vm_create(&test);
	/* the third page is there, the fourth is not */
	CHECK_EQ(add(0, 4 * PAGE, &backing), -ENODATA);
	backing.offset = 2 * PAGE;
	CHECK_EQ(add(0, 2 * PAGE, &backing), -ENODATA);
	CHECK_EQ(add(0, PAGE, &backing), 0);
	CHECK_EQ(*(uint8_t *)vhm_vm_pointer(test.vm, 0, 1), 3);
	CHECK_EQ(*(uint8_t *)vhm_vm_pointer(test.vm, 1, 1), 0);
	backing.offset = 0;
	CHECK_EQ(add(PAGE, 3 * PAGE, &backing), 0);
	/* not open for writing */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", writable);
	backing.fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(backing.fd >= 0);
	backing.flags = VHM_BACKING_SHARED;
	CHECK_EQ(add(8 * PAGE, PAGE, &backing), -EACCES);
	backing.flags = 0;
	CHECK_EQ(add(8 * PAGE, PAGE, &backing), 0);
	CHECK_EQ(vhm_vm_fill(test.vm, 8 * PAGE, 9, PAGE), 0);
	close(backing.fd);
	close(writable);
	REQUIRE(!pipe2(pipes, O_CLOEXEC));
	backing.fd = pipes[0];
	CHECK_EQ(add(9 * PAGE, PAGE, &backing), -ENODEV);
	close(pipes[0]);
	close(pipes[1]);
	test_vm_destroy(&test);
}

static void private_file(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_FILE, .offset = PAGE };
	uint8_t byte;
	int fd;

	test_vm_create(&test);
	backing.fd = fd = make_file(4 * PAGE);
	CHECK_EQ(add(5 * PAGE, 3 * PAGE, &backing), 0);
	CHECK_EQ(vhm_vm_read(test.vm, 7 * PAGE + 1, &byte, 1), 0);
	CHECK_EQ(byte, 4);
	CHECK_EQ(vhm_vm_fill(test.vm, 5 * PAGE, 99, PAGE), 0);
	CHECK_EQ(in_file(fd, PAGE), 2);
	/* many guests start from one image */
	CHECK_EQ(add(0, 3 * PAGE, &backing), 0);
	CHECK_EQ(vhm_vm_read(test.vm, 0, &byte, 1), 0);
	CHECK_EQ(byte, 2);
	test_vm_destroy(&test);
	CHECK_EQ(in_file(fd, PAGE), 2);
	close(fd);
}

/* It outlives the VM, and the descriptor may go while it is mapped. */
static void shared_file(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_FILE, .flags = VHM_BACKING_SHARED };
	int fd = make_file(2 * PAGE);

	test_vm_create(&test);
	backing.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	CHECK_EQ(add(0, 2 * PAGE, &backing), 0);
	close(backing.fd);
	CHECK_EQ(vhm_vm_fill(test.vm, PAGE, 99, 1), 0);
	CHECK_EQ(in_file(fd, PAGE), 99);
	test_vm_destroy(&test);
	CHECK_EQ(in_file(fd, PAGE), 99);
	CHECK_EQ(in_file(fd, PAGE + 1), 2);
	close(fd);
}

static void memfd(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_MEMFD, .fd = -1 };
	uint8_t byte = 77;
	void *address;

	test_vm_create(&test);
	errno = 88;
	CHECK_EQ(vhm_vm_add_backed_memory(test.vm, 3 * PAGE, 4 * PAGE, 0, &backing, &address), 0);
	CHECK_EQ(errno, 88);
	CHECK_EQ((uintptr_t)address % LARGE, 3 * PAGE);
	REQUIRE(backing.fd >= 0);
	CHECK(fcntl(backing.fd, F_GETFD) & FD_CLOEXEC);
	CHECK_EQ(pwrite(backing.fd, &byte, 1, 4 * PAGE - 1), 1);
	CHECK_EQ(*(uint8_t *)vhm_vm_pointer(test.vm, 7 * PAGE - 1, 1), 77);
	/* nobody can make our accesses fail */
	CHECK_EQ(ftruncate(backing.fd, 0), -1);
	CHECK_EQ(ftruncate(backing.fd, 8 * PAGE), -1);
	close(backing.fd);
	CHECK_EQ(vhm_vm_fill(test.vm, 3 * PAGE, 1, 4 * PAGE), 0);
	test_vm_destroy(&test);
}

/* The module refuses: neither descriptors nor mappings are left. */
static void nothing_is_left(void)
{
	struct vhm_backing backing = { .kind = VHM_BACKING_MEMFD, .fd = -7 };
	int next;

	test_vm_create(&test);
	next = dup(0);
	close(next);
	fake.fail_command = VHM_SLOT_ADD;
	fake.fail_errno = ENOSPC;
	CHECK_EQ(add(0, PAGE, &backing), -ENOSPC);
	CHECK_EQ(backing.fd, -7);
	backing.huge_page_bytes = LARGE;
	CHECK(add(PAGE, PAGE, &backing) < 0);
	CHECK(add(0, 1ull << 45, &backing) < 0);
	CHECK_EQ(dup(0), next);
	close(next);
	test_vm_destroy(&test);
}

/* There may be none here; where there are, the memory is aligned to them. */
static void huge_pages(void)
{
	struct vhm_backing backing = { .huge_page_bytes = LARGE };
	void *address = NULL;
	int ret;

	test_vm_create(&test);
	ret = vhm_vm_add_backed_memory(test.vm, 2 * LARGE, LARGE, 0, &backing, &address);
	CHECK(ret == -ENOMEM || ret == -ENODEV || (!ret && !((uintptr_t)address % LARGE)));
	CHECK_EQ(add(PAGE, LARGE, &backing), -EINVAL);
	CHECK_EQ(add(0, PAGE, &backing), -EINVAL);
	backing.huge_page_bytes = 64 * LARGE;
	CHECK_EQ(add(0, 64 * LARGE, &backing), -ENODEV);
	test_vm_destroy(&test);
}

const struct test_case backing_cases[] = {
	{ "backing: refused", refused },
	{ "backing: unfit files", unfit_files },
	{ "backing: private file", private_file },
	{ "backing: shared file", shared_file },
	{ "backing: memfd", memfd },
	{ "backing: nothing is left of what fails", nothing_is_left },
	{ "backing: huge pages", huge_pages },
	{ 0 },
};
