// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory map of vhmrun for every size that matters, also those that no emulated host has.
 * Runs natively.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "../../userlib/vhmrun/memory_map.h"

#define MIB	(1ull << 20)
#define GIB	(1ull << 30)

static bool overlaps(const struct vhm_memory_range *range, uint64_t start, uint64_t end)
{
	return range->gpa < end && range->gpa + range->bytes > start;
}

static bool inside_slot(const struct memory_map *map, const struct vhm_memory_range *range)
{
	uint32_t i;

	for (i = 0; i < map->slot_count; i++)
		if (range->gpa >= map->slot[i].gpa &&
		    range->gpa + range->bytes <= map->slot[i].gpa + map->slot[i].bytes)
			return true;
	return false;
}

/* What is wrong with the map, or NULL. */
static const char *judge(const struct memory_map *map, uint64_t bytes)
{
	uint64_t slots = 0, ram = 0, behind = 0;
	uint32_t i;

	for (i = 0; i < map->slot_count; i++) {
		slots += map->slot[i].bytes;
		if (overlaps(&map->slot[i], 0xc0000000, 4 * GIB))
			return "a slot where devices are";
	}
	if (slots != bytes)
		return "slots are not as large as the memory";
	for (i = 0; i < map->range_count; i++) {
		const struct vhm_memory_range *range = &map->range[i];

		if (!range->bytes || range->gpa % 4096 || range->bytes % 4096)
			return "a range is empty or no pages";
		if (range->gpa < behind)
			return "ranges overlap or are not sorted";
		behind = range->gpa + range->bytes;
		if (!inside_slot(map, range))
			return "a range without memory";
		if (range->type == VHM_MEMORY_RAM)
			ram += range->bytes;
		if (range->type == VHM_MEMORY_RAM && overlaps(range, 0xa0000, 0x100000))
			return "RAM where PCs have none";
	}
	if (ram != bytes - 0x60000)
		return "RAM is not all the memory but the hole";
	if (behind > memory_map_end(map))
		return "the end is not the end";
	return NULL;
}

int main(void)
{
	static const uint64_t sizes[] = {
		MIB, MIB + 4096, 2 * MIB, 256 * MIB, 3 * GIB - 4096, 3 * GIB, 3 * GIB + 4096,
		4 * GIB, 5 * GIB, 1024 * GIB,
	};
	int status = 0;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct memory_map map;
		const char *fault;

		memory_map_init(&map, sizes[i]);
		fault = judge(&map, sizes[i]);
		if (fault)
			printf("%" PRIu64 " KiB: %s\n", sizes[i] >> 10, fault);
		printf("@%s memory map of %" PRIu64 " KiB\n", fault ? "fail" : "pass",
		       sizes[i] >> 10);
		status |= fault != NULL;
	}
	return status;
}
