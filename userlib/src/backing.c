// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What guest memory is made of: anonymous memory, memfds and files, ordinary or of huge pages,
 * mapped where the host can use large pages for the guest.
 *
 * No locks. Whose the mapping is and when it ends is memory.c's.
 */
#include "internal.h"

#include <linux/mman.h>
#include <sys/mman.h>

/**
 * struct source - arguments of mmap()
 * @fd: descriptor, -1 without
 * @flags: flags
 * @offset: where the memory begins in the file
 * @page_bytes: size of the pages of the host's pool, 0 if they are ordinary ones
 */
struct source {
	int fd;
	int flags;
	uint64_t offset;
	uint64_t page_bytes;
};

/* Size of a huge page as mmap() wants it, and memfd_create() likewise. */
static unsigned int huge_size(uint64_t page_bytes)
{
	return (unsigned int)__builtin_ctzll(page_bytes) << MAP_HUGE_SHIFT;
}

static int check_backing(const struct vhm_backing *backing)
{
	uint64_t page_bytes = backing->huge_page_bytes;
	uint32_t flags = backing->kind == VHM_BACKING_FILE ? VHM_BACKING_SHARED : 0;

	if (backing->kind > VHM_BACKING_FILE || backing->flags & ~flags || backing->reserved)
		return -EINVAL;
	if (backing->offset && backing->kind != VHM_BACKING_FILE)
		return -EINVAL;
	if (page_bytes && (page_bytes & (page_bytes - 1) || page_bytes <= PAGE_BYTES))
		return -EINVAL;
	return 0;
}

static int use_file(const struct vhm_backing *backing, uint64_t bytes, struct source *source)
{
	uint64_t file_bytes;
	int ret = vhm_sys_mappable(backing->fd, &file_bytes, &source->page_bytes);

	if (ret)
		return ret;
	if (backing->huge_page_bytes && backing->huge_page_bytes != source->page_bytes)
		return -EINVAL;
	if (backing->offset & PAGE_OFFSET_MASK || range_wraps(backing->offset, bytes))
		return -EINVAL;
	/* The rest of the last page of a file is there. */
	if (file_bytes < backing->offset + bytes - (PAGE_BYTES - 1))
		return -ENODATA;
	source->fd = backing->fd;
	source->flags = backing->flags & VHM_BACKING_SHARED ? MAP_SHARED : MAP_PRIVATE;
	source->offset = backing->offset;
	return 0;
}

static int use_memfd(const struct vhm_backing *backing, uint64_t bytes, struct source *source)
{
	uint64_t page_bytes = backing->huge_page_bytes;
	int fd = vhm_sys_memfd(bytes, page_bytes ? MFD_HUGETLB | huge_size(page_bytes) : 0);

	if (fd < 0)
		return fd;
	*source = (struct source){ .fd = fd, .flags = MAP_SHARED, .page_bytes = page_bytes };
	return 0;
}

static void use_anonymous(const struct vhm_backing *backing, struct source *source)
{
	uint64_t page_bytes = backing->huge_page_bytes;

	source->flags = MAP_PRIVATE | MAP_ANONYMOUS;
	if (page_bytes)
		source->flags |= MAP_HUGETLB | (int)huge_size(page_bytes);
	source->page_bytes = page_bytes;
}

/*
 * At the same offset in a 2 MiB page as the guest's address, or in a larger page of the pool: only
 * then can the host use large pages on both sides. What was taken for the alignment is given
 * back, so that a stray access beyond the slot faults.
 */
static int map_source(const struct source *source, struct memory_slot *slot)
{
	uint64_t alignment = HUGE_PAGE_BYTES, before, room;
	/* Ordinary memory is not mapped over the room, but is what the room is made of. */
	bool ordinary = source->fd < 0 && !source->page_bytes;
	uint8_t *start;
	void *mapping;
	int ret;

	if (source->page_bytes > alignment)
		alignment = source->page_bytes;
	room = slot->bytes + alignment;
	if (room > SIZE_MAX / 2)
		return -ENOMEM;
	ret = vhm_sys_map(room, ordinary ? PROT_READ | PROT_WRITE : PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, &mapping);
	if (ret)
		return ret;
	start = mapping;
	before = (slot->gpa - (uintptr_t)start) & (alignment - 1);
	/* Pages of the pool are set aside. */
	if (!ordinary)
		ret = vhm_sys_map_over(start + before, slot->bytes, PROT_READ | PROT_WRITE,
				       source->flags | (source->page_bytes ? 0 : MAP_NORESERVE),
				       source->fd, source->offset);
	if (ret) {
		vhm_sys_unmap(start, room);
		return ret == -EINVAL && source->flags & MAP_HUGETLB ? -ENODEV : ret;
	}
	vhm_sys_unmap(start, before);
	vhm_sys_unmap(start + before + slot->bytes, room - before - slot->bytes);
	slot->address = start + before;
	slot->mapping = slot->address;
	slot->mapping_bytes = slot->bytes;
	return 0;
}

int vhm_backing_map(const struct vhm_backing *backing, struct memory_slot *slot, int *memfd)
{
	struct source source = { .fd = -1 };
	int ret = check_backing(backing);

	if (ret)
		return ret;
	if (backing->kind == VHM_BACKING_FILE)
		ret = use_file(backing, slot->bytes, &source);
	else if (backing->kind == VHM_BACKING_MEMFD)
		ret = use_memfd(backing, slot->bytes, &source);
	else
		use_anonymous(backing, &source);
	if (ret)
		return ret;
	*memfd = backing->kind == VHM_BACKING_MEMFD ? source.fd : -1;
	if (source.page_bytes &&
	    (slot->gpa | slot->bytes | source.offset) & (source.page_bytes - 1))
		ret = -EINVAL;
	if (!ret)
		ret = map_source(&source, slot);
	if (ret)
		vhm_sys_close(*memfd);
	return ret;
}
