/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The bus: which device answers at which port or guest-physical address.
 *
 * Owns the table of ranges, sorted and free of overlaps. Ranges are added before the first vCPU
 * thread runs and never change afterwards, so that accesses need no lock; the devices have
 * theirs. It does not own the devices and knows nothing of interrupts.
 *
 * A bus has two address spaces. An access belongs to the range that holds its first byte, as
 * decoders on a real bus go by the start address; bytes behind that range's end read as ones
 * and ignore writes, and so does an access that begins in no range. An access wider than the
 * device takes is split into accesses of the device's width, lowest address first.
 */
#ifndef VDEV_BUS_H
#define VDEV_BUS_H

#include <stddef.h>
#include <stdint.h>

#define VDEV_BUS_RANGES		32

enum vdev_space {
	VDEV_PORT,
	VDEV_MMIO,
	VDEV_SPACE_COUNT,
};

/**
 * struct vdev_range - a range of addresses and the device behind it
 * @first: first address
 * @bytes: size, not zero
 * @width: widest access the device takes, bytes: 1, 2, 4 or 8
 * @read: result of a read of @bytes (1, 2, 4 or 8, at most @width) at @offset from @first;
 *	offset + bytes never exceeds the range. NULL: reads as ones
 * @write: likewise; NULL: writes are ignored
 * @context: handed to both
 */
struct vdev_range {
	uint64_t first;
	uint64_t bytes;
	unsigned int width;
	uint64_t (*read)(void *context, uint64_t offset, unsigned int bytes);
	void (*write)(void *context, uint64_t offset, unsigned int bytes, uint64_t value);
	void *context;
};

/**
 * struct vdev_bus - the address spaces
 * @ranges: sorted by address
 * @count: ranges in use, for each space
 */
struct vdev_bus {
	struct vdev_range ranges[VDEV_SPACE_COUNT][VDEV_BUS_RANGES];
	unsigned int count[VDEV_SPACE_COUNT];
};

/* An empty bus. */
void vdev_bus_init(struct vdev_bus *bus);

/**
 * vdev_bus_add - add a range
 * @bus: the bus, before vCPU threads use it
 * @space: address space
 * @range: copied
 *
 * Errors: -EINVAL empty, beyond the end of the space, or impossible width; -EEXIST overlaps another
 * range; -ENOSPC.
 */
int vdev_bus_add(struct vdev_bus *bus, enum vdev_space space, const struct vdev_range *range);

/**
 * vdev_bus_read - read, on behalf of a guest
 * @bus: the bus
 * @space: address space
 * @address: any value
 * @bytes: any number; @data has room for it
 * @data: out
 *
 * Any thread.
 */
void vdev_bus_read(const struct vdev_bus *bus, enum vdev_space space, uint64_t address,
		   size_t bytes, void *data);

/* vdev_bus_write - write, on behalf of a guest; as vdev_bus_read() */
void vdev_bus_write(const struct vdev_bus *bus, enum vdev_space space, uint64_t address,
		    size_t bytes, const void *data);

#endif /* VDEV_BUS_H */
