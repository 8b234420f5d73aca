// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus: order and overlap of ranges, dispatch, splitting of wide, unaligned and crossing
 * accesses.
 */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "../../userlib/devices/bus.h"

/* A device that remembers its accesses and answers with the offsets of the bytes. */
static struct {
	uint64_t offset[64];
	unsigned int bytes[64];
	uint64_t value[64];
	unsigned int count;
} seen;

static void note(uint64_t offset, unsigned int bytes, uint64_t value)
{
	if (seen.count == 64)
		return;
	seen.offset[seen.count] = offset;
	seen.bytes[seen.count] = bytes;
	seen.value[seen.count++] = value;
}

static uint64_t device_read(void *context, uint64_t offset, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	(void)context;
	note(offset, bytes, 0);
	for (i = 0; i < bytes; i++)
		value |= (offset + i) << (8 * i);
	return value;
}

static void device_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)context;
	note(offset, bytes, value);
}

static int add(struct vdev_bus *bus, enum vdev_space space, uint64_t first, uint64_t bytes,
	       unsigned int width)
{
	const struct vdev_range range = { first, bytes, width, device_read, device_write, NULL };

	memset(&seen, 0, sizeof(seen));
	return vdev_bus_add(bus, space, &range);
}

static void ranges_are_checked(void)
{
	struct vdev_bus bus;

	vdev_bus_init(&bus);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0x100, 0, 1), -EINVAL);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0x100, 8, 3), -EINVAL);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0x100, 8, 16), -EINVAL);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0xfff9, 8, 1), -EINVAL);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0xfff8, 8, 1), 0);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, UINT64_MAX, 2, 1), -EINVAL);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, UINT64_MAX, 1, 1), 0);
	CHECK_EQUAL(add(&bus, VDEV_SPACE_COUNT, 0, 1, 1), -EINVAL);
}

static void overlaps_are_refused(void)
{
	struct vdev_bus bus;

	vdev_bus_init(&bus);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0x2000, 0x1000, 4), 0);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0x1fff, 1, 1), 0);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0x3000, 1, 1), 0);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0x2fff, 1, 1), -EEXIST);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0x1000, 0x1000, 1), -EEXIST);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0, 0x8000, 1), -EEXIST);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0x2000, 1, 1), 0);
}

static void table_fills_up_sorted(void)
{
	struct vdev_bus bus;
	unsigned int i;
	uint8_t byte;

	vdev_bus_init(&bus);
	/* 7 is prime to the number of ranges: they come in every order. */
	for (i = 0; i < VDEV_BUS_RANGES; i++)
		CHECK_EQUAL(add(&bus, VDEV_PORT, i * 7 % VDEV_BUS_RANGES * 16, 16, 1), 0);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0x8000, 1, 1), -ENOSPC);
	for (i = 0; i < VDEV_BUS_RANGES * 16; i++) {
		vdev_bus_read(&bus, VDEV_PORT, i, 1, &byte);
		CHECK_EQUAL(byte, i % 16);
	}
	vdev_bus_read(&bus, VDEV_PORT, i, 1, &byte);
	CHECK_EQUAL(byte, 0xff);
}

static void nobody_reads_as_ones(void)
{
	struct vdev_bus bus;
	uint32_t value = 0;

	vdev_bus_init(&bus);
	CHECK_EQUAL(add(&bus, VDEV_PORT, 0xcf9, 1, 1), 0);
	/* The PCI address port begins below: its second byte is not the reset register's. */
	vdev_bus_read(&bus, VDEV_PORT, 0xcf8, 4, &value);
	CHECK_EQUAL(value, 0xffffffff);
	vdev_bus_write(&bus, VDEV_PORT, 0xcf8, 4, &value);
	CHECK_EQUAL(seen.count, 0);
	vdev_bus_read(&bus, VDEV_PORT, 0xcf9, 2, &value);
	CHECK_EQUAL(value & 0xffff, 0xff00);
	CHECK_EQUAL(seen.count, 1);
}

static void wide_accesses_are_split(void)
{
	struct vdev_bus bus;
	uint64_t value = 0x8877665544332211;

	vdev_bus_init(&bus);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, 0x1000, 16, 4), 0);
	vdev_bus_write(&bus, VDEV_MMIO, 0x1000, 8, &value);
	CHECK_EQUAL(seen.count, 2);
	CHECK_EQUAL(seen.offset[1], 4);
	CHECK_EQUAL(seen.value[0], 0x44332211);
	CHECK_EQUAL(seen.value[1], 0x88776655);

	seen.count = 0;
	value = 0;
	vdev_bus_read(&bus, VDEV_MMIO, 0x1003, 4, &value);
	CHECK_EQUAL(value, 0x06050403);
	CHECK_EQUAL(seen.count, 3);		/* 1 at 3, 2 at 4, 1 at 6 */
	CHECK_EQUAL(seen.bytes[1], 2);

	value = 0;
	vdev_bus_read(&bus, VDEV_MMIO, 0x100e, 4, &value);
	CHECK_EQUAL(value, 0xffff0f0e);
}

static void odd_sizes_stay_inside(void)
{
	struct vdev_bus bus;
	uint8_t data[70];

	vdev_bus_init(&bus);
	CHECK_EQUAL(add(&bus, VDEV_MMIO, UINT64_MAX - 7, 8, 8), 0);
	memset(data, 0x5a, sizeof(data));
	vdev_bus_read(&bus, VDEV_MMIO, UINT64_MAX - 7, 64, data);
	CHECK_EQUAL(data[7], 7);
	CHECK_EQUAL(data[8], 0xff);
	CHECK_EQUAL(data[63], 0xff);
	CHECK_EQUAL(data[64], 0x5a);
	vdev_bus_write(&bus, VDEV_MMIO, UINT64_MAX, 64, data);
	CHECK_EQUAL(seen.count, 2);
	CHECK_EQUAL(seen.offset[1], 7);
	CHECK_EQUAL(seen.bytes[1], 1);
}

const struct test bus_tests[] = {
	{ "bus: ranges are checked", ranges_are_checked },
	{ "bus: overlaps are refused", overlaps_are_refused },
	{ "bus: the table fills up, sorted", table_fills_up_sorted },
	{ "bus: where nobody answers, ones", nobody_reads_as_ones },
	{ "bus: wide and unaligned accesses are split", wide_accesses_are_split },
	{ "bus: odd sizes stay inside the range", odd_sizes_stay_inside },
	{ NULL, NULL },
};
