// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The bus: dispatch of port and MMIO accesses to device models. See bus.h.
 */
#include "bus.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static uint64_t space_last(enum vdev_space space)
{
	return space == VDEV_PORT ? 0xffff : UINT64_MAX;
}

/* Index of the first range that begins above @address. */
static unsigned int upper_bound(const struct vdev_bus *bus, enum vdev_space space,
				uint64_t address)
{
	unsigned int low = 0, high = bus->count[space];

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (bus->ranges[space][middle].first <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct vdev_range *find_range(const struct vdev_bus *bus, enum vdev_space space,
					   uint64_t address)
{
	unsigned int above = upper_bound(bus, space, address);
	const struct vdev_range *range;

	if (!above)
		return NULL;
	range = &bus->ranges[space][above - 1];
	return address - range->first < range->bytes ? range : NULL;
}

static bool is_width(unsigned int width)
{
	return width == 1 || width == 2 || width == 4 || width == 8;
}

void vdev_bus_init(struct vdev_bus *bus)
{
	memset(bus, 0, sizeof(*bus));
}

int vdev_bus_add(struct vdev_bus *bus, enum vdev_space space, const struct vdev_range *range)
{
	struct vdev_range *table;
	unsigned int above;
	uint64_t last;

	if ((unsigned int)space >= VDEV_SPACE_COUNT || !range->bytes || !is_width(range->width))
		return -EINVAL;
	last = range->first + (range->bytes - 1);
	if (last < range->first || last > space_last(space))
		return -EINVAL;

	table = bus->ranges[space];
	above = upper_bound(bus, space, range->first);
	if (find_range(bus, space, range->first) ||
	    (above < bus->count[space] && table[above].first <= last))
		return -EEXIST;
	if (bus->count[space] == VDEV_BUS_RANGES)
		return -ENOSPC;

	memmove(&table[above + 1], &table[above], (bus->count[space] - above) * sizeof(*table));
	table[above] = *range;
	bus->count[space]++;
	return 0;
}

/*
 * The largest naturally aligned piece at @offset that the device takes, of @left bytes. An
 * unaligned access becomes several aligned ones, so that a device never sees one that crosses
 * one of its registers.
 */
static unsigned int piece_bytes(const struct vdev_range *range, uint64_t offset, size_t left)
{
	unsigned int piece = range->width;

	while (piece > left || offset & (piece - 1) || piece > range->bytes - offset)
		piece /= 2;
	return piece;
}

void vdev_bus_read(const struct vdev_bus *bus, enum vdev_space space, uint64_t address,
		   size_t bytes, void *data)
{
	const struct vdev_range *range = find_range(bus, space, address);
	uint8_t *out = data;
	uint64_t offset;

	memset(data, 0xff, bytes);
	if (!range || !range->read)
		return;
	offset = address - range->first;
	while (bytes && offset < range->bytes) {
		unsigned int piece = piece_bytes(range, offset, bytes);
		uint64_t value = range->read(range->context, offset, piece);

		memcpy(out, &value, piece);
		out += piece;
		offset += piece;
		bytes -= piece;
	}
}

void vdev_bus_write(const struct vdev_bus *bus, enum vdev_space space, uint64_t address,
		    size_t bytes, const void *data)
{
	const struct vdev_range *range = find_range(bus, space, address);
	const uint8_t *in = data;
	uint64_t offset;

	if (!range || !range->write)
		return;
	offset = address - range->first;
	while (bytes && offset < range->bytes) {
		unsigned int piece = piece_bytes(range, offset, bytes);
		uint64_t value = 0;

		memcpy(&value, in, piece);
		range->write(range->context, offset, piece, value);
		in += piece;
		offset += piece;
		bytes -= piece;
	}
}
