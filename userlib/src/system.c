// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * System calls that return a negative errno, and calls of the C library, that leave errno as they
 * found it.
 *
 * No locks. Nothing here knows what a VM is.
 */
#include "internal.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CPUID_EXTENDED		0x80000001u
#define CPUID_EDX_PAGE_1G	(1u << 26)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL		0x8u
#endif

/* Turns the -1 of a system call into its errno and puts the old errno back. */
static int result_of(int result, int saved_errno)
{
	if (result == -1) {
		result = -errno;
		errno = saved_errno;
	}
	return result;
}

int vhm_sys_open(const char *path, int flags)
{
	int saved_errno = errno;

	return result_of(open(path, flags | O_CLOEXEC), saved_errno);
}

void vhm_sys_close(int fd)
{
	int saved_errno = errno;

	if (fd >= 0)
		close(fd);
	errno = saved_errno;
}

/*
 * Past the C library, as each exit of a guest comes through here: its ioctl() takes any arguments,
 * and sets errno, which would have to be saved first.
 */
int vhm_sys_ioctl(int fd, unsigned long command, void *argument)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((long)SYS_ioctl), "D"((long)fd), "S"(command), "d"(argument)
			 : "rcx", "r11", "memory");
	return (int)result;
}

int vhm_sys_map(size_t bytes, int protection, int flags, int fd, void **out)
{
	int saved_errno = errno;
	void *address = mmap(NULL, bytes, protection, flags, fd, 0);

	if (address == MAP_FAILED)
		return result_of(-1, saved_errno);
	*out = address;
	return 0;
}

int vhm_sys_map_over(void *address, size_t bytes, int protection, int flags, int fd,
		     uint64_t offset)
{
	int saved_errno = errno;
	void *mapped;

	if (offset > INT64_MAX)
		return -EINVAL;
	mapped = mmap(address, bytes, protection, flags | MAP_FIXED, fd, (off_t)offset);
	return mapped == MAP_FAILED ? result_of(-1, saved_errno) : 0;
}

void vhm_sys_unmap(void *address, size_t bytes)
{
	int saved_errno = errno;

	if (address && bytes)
		munmap(address, bytes);
	errno = saved_errno;
}

int vhm_sys_file_bytes(int fd, uint64_t *bytes)
{
	int saved_errno = errno;
	struct stat status;
	int ret = result_of(fstat(fd, &status), saved_errno);

	if (ret)
		return ret;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode) || status.st_size < 0)
		return -EINVAL;
	*bytes = (uint64_t)status.st_size;
	return 0;
}

int vhm_sys_mappable(int fd, uint64_t *bytes, uint64_t *huge_page_bytes)
{
	int saved_errno = errno;
	struct statfs system;
	struct stat status;
	int ret = result_of(fstat(fd, &status), saved_errno);

	if (!ret)
		ret = result_of(fstatfs(fd, &system), saved_errno);
	if (ret)
		return ret;
	*bytes = S_ISREG(status.st_mode) ? (uint64_t)status.st_size : UINT64_MAX;
	*huge_page_bytes = system.f_type == HUGETLBFS_MAGIC ? (uint64_t)system.f_bsize : 0;
	return 0;
}

int vhm_sys_memfd(uint64_t bytes, unsigned int flags)
{
	int saved_errno = errno, fd, ret;

	if (bytes > INT64_MAX)
		return -EFBIG;
	/* Hosts may insist on the first form; before Linux 6.3 there is only the second. */
	fd = memfd_create("vhm", MFD_CLOEXEC | MFD_NOEXEC_SEAL | flags);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("vhm", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (fd < 0)
		return result_of(-1, saved_errno);
	/* Who is given the descriptor must not be able to make our accesses fail. */
	if (!ftruncate(fd, (off_t)bytes) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		errno = saved_errno;
		return fd;
	}
	ret = result_of(-1, saved_errno);
	vhm_sys_close(fd);
	return ret;
}

int vhm_sys_read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	int saved_errno = errno;
	uint8_t *to = buffer;

	if (range_wraps(offset, bytes) || offset + bytes > INT64_MAX)
		return -EINVAL;
	while (bytes) {
		ssize_t got = pread(fd, to, bytes, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return result_of(-1, saved_errno);
		if (!got)
			return -ENODATA;
		to += got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	errno = saved_errno;
	return 0;
}

void *vhm_sys_alloc(size_t count, size_t bytes)
{
	int saved_errno = errno;
	void *memory = calloc(count, bytes);

	errno = saved_errno;
	return memory;
}

void *vhm_sys_load(const char *soname)
{
	int saved_errno = errno;
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	errno = saved_errno;
	return library;
}

void vhm_sys_unload(void *library)
{
	int saved_errno = errno;

	dlclose(library);
	errno = saved_errno;
}

void *vhm_sys_symbol(void *library, const char *name)
{
	int saved_errno = errno;
	void *symbol = dlsym(library, name);

	errno = saved_errno;
	return symbol;
}

bool vhm_sys_has_gigabyte_pages(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(CPUID_EXTENDED, &eax, &ebx, &ecx, &edx) && edx & CPUID_EDX_PAGE_1G;
}
