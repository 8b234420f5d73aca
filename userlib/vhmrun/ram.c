// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The guest's RAM. See ram.h.
 */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "message.h"

#define LOW_BYTES		0x100000u
#define POPULATE_BYTES		(256ull << 20)	/* at a time, a fraction of a second */

static bool fail(int error)
{
	message("%s", vhm_explain(VHM_STEP_MEMORY, error));
	return false;
}

/* -------------------------------------------------------------------- file -- */

/* False for what has no size, too: devices are mapped as they are. */
static bool is_too_short(int fd, uint64_t bytes)
{
	struct stat status;

	return !fstat(fd, &status) && S_ISREG(status.st_mode) && (uint64_t)status.st_size < bytes;
}

/* O_NONBLOCK: a FIFO must not keep us waiting before mmap() refuses it. */
static int open_memory(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
}

/* The right to write is asked for only where there is something to write. */
static int open_file(const struct options *options)
{
	int fd;

	if (!options->memory_shared) {
		fd = open_memory(options->memory_file, O_RDONLY);
		if (fd < 0 ? errno != ENOENT : !is_too_short(fd, options->memory_bytes))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return open_memory(options->memory_file, O_RDWR | O_CREAT);
}

static bool extend(int fd, const struct options *options)
{
	if (!is_too_short(fd, options->memory_bytes) ||
	    !ftruncate(fd, (off_t)options->memory_bytes))
		return true;
	message("cannot extend the memory file '%s' to %" PRIu64 " MiB: %s", options->memory_file,
		options->memory_bytes >> 20, strerror(errno));
	return false;
}

/* A file on hugetlbfs is of huge pages whatever is asked for, and no other is. */
static bool check_page_size(int fd, const struct options *options)
{
	uint64_t wanted = options->huge_page_bytes, is = 0;
	struct statfs system;

	if (!fstatfs(fd, &system) && system.f_type == HUGETLBFS_MAGIC)
		is = (uint64_t)system.f_bsize;
	if (wanted && wanted != is) {
		message("the memory file '%s' is not on a hugetlbfs with pages of %" PRIu64
			" MiB: mount one, or leave hugepages= out", options->memory_file,
			wanted >> 20);
		return false;
	}
	if (is && options->memory_bytes % is) {
		message("the memory file '%s' is of huge pages: give a multiple of %" PRIu64
			" MiB", options->memory_file, is >> 20);
		return false;
	}
	return true;
}

static bool prepare_file(struct ram *ram, const struct options *options)
{
	ram->fd[0] = open_file(options);
	if (ram->fd[0] < 0) {
		message("cannot open the memory file '%s': %s", options->memory_file,
			strerror(errno));
		return false;
	}
	return check_page_size(ram->fd[0], options) && extend(ram->fd[0], options);
}

/* ------------------------------------------------------------------- slots -- */

static bool explain_slot(const struct options *options, uint64_t bytes, int error)
{
	uint64_t page_bytes = options->huge_page_bytes;

	if (page_bytes && (error == -ENOMEM || error == -ENODEV))
		message("no %" PRIu64 " free huge pages of %" PRIu64 " MiB: see "
			"/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
			bytes / page_bytes, page_bytes >> 20, page_bytes >> 10);
	else if (options->memory_file)
		message("the memory file '%s': %s", options->memory_file,
			vhm_explain(VHM_STEP_MEMORY, error));
	else
		fail(error);
	return false;
}

/* @offset: of the slot in all of the RAM */
static bool add_slot(struct ram *ram, struct vhm_vm *vm, const struct vhm_memory_range *slot,
		     uint64_t offset, const struct options *options)
{
	struct vhm_backing backing = { .huge_page_bytes = options->huge_page_bytes, .fd = -1 };
	void *address;
	int error;

	if (options->memory_file) {
		backing.kind = VHM_BACKING_FILE;
		backing.flags = options->memory_shared ? VHM_BACKING_SHARED : 0;
		backing.offset = offset;
		backing.fd = ram->fd[0];
	} else if (options->memory_shared) {
		backing.kind = VHM_BACKING_MEMFD;
	}
	error = vhm_vm_add_backed_memory(vm, slot->gpa, slot->bytes, 0, &backing, &address);
	if (error)
		return explain_slot(options, slot->bytes, error);
	if (backing.kind == VHM_BACKING_MEMFD)
		ram->fd[offset ? 1 : 0] = backing.fd;
	/* Few pages of the lowest are used, for tables: not worth clearing a large one. */
	if (!slot->gpa && !backing.huge_page_bytes)
		madvise(address, LOW_BYTES, MADV_NOHUGEPAGE);
	return true;
}

/* -------------------------------------------------------------- population -- */

/* A signal that ends the program is held back until the machine is there (main.c). */
static bool end_is_near(void)
{
	sigset_t pending;

	sigemptyset(&pending);
	sigpending(&pending);
	return sigismember(&pending, SIGHUP) || sigismember(&pending, SIGINT) ||
	       sigismember(&pending, SIGQUIT) || sigismember(&pending, SIGTERM);
}

static int populate_slot(struct vhm_vm *vm, const struct vhm_memory_range *slot)
{
	uint64_t offset = 0, done;
	int error = 0;

	while (offset < slot->bytes && (!error || error == -EINTR) && !end_is_near()) {
		uint64_t left = slot->bytes - offset;

		error = vhm_vm_populate(vm, slot->gpa + offset,
					left < POPULATE_BYTES ? left : POPULATE_BYTES,
					VHM_POPULATE_WRITE, &done);
		offset += done;
	}
	return error == -EINTR ? 0 : error;
}

static bool populate(struct vhm_vm *vm, const struct memory_map *map, bool verbose)
{
	struct vhm_mapped mapped;
	int error = 0;
	uint32_t i;

	for (i = 0; !error && i < map->slot_count; i++)
		error = populate_slot(vm, &map->slot[i]);
	if (!error)
		error = vhm_vm_get_mapped(vm, 0, memory_map_end(map), &mapped);
	if (error)
		return fail(error);
	if (verbose)
		message("mapped %llu pages of 4 KiB, %llu of 2 MiB, %llu of 1 GiB",
			mapped.entries[0], mapped.entries[1], mapped.entries[2]);
	return true;
}

/* --------------------------------------------------------------------- all -- */

void ram_init(struct ram *ram)
{
	ram->fd[0] = -1;
	ram->fd[1] = -1;
}

bool ram_add(struct ram *ram, struct vhm_vm *vm, const struct memory_map *map,
	     const struct options *options)
{
	uint64_t offset = 0;
	uint32_t i;

	if (options->memory_file && !prepare_file(ram, options))
		return false;
	for (i = 0; i < map->slot_count; i++) {
		if (!add_slot(ram, vm, &map->slot[i], offset, options))
			return false;
		offset += map->slot[i].bytes;
	}
	return !options->populate || populate(vm, map, options->verbose);
}

void ram_uninit(struct ram *ram)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (ram->fd[i] >= 0)
			close(ram->fd[i]);
}
