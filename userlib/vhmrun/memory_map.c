// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where the guest's memory lies. See memory_map.h.
 */
#include "memory_map.h"

static void add_range(struct memory_map *map, uint64_t start, uint64_t end, uint32_t type)
{
	if (start < end)
		map->range[map->range_count++] = (struct vhm_memory_range){
			.gpa = start, .bytes = end - start, .type = type,
		};
}

static void add_slot(struct memory_map *map, uint64_t start, uint64_t end)
{
	if (start < end)
		map->slot[map->slot_count++] = (struct vhm_memory_range){
			.gpa = start, .bytes = end - start, .type = VHM_MEMORY_RAM,
		};
}

void memory_map_init(struct memory_map *map, uint64_t bytes)
{
	uint64_t low_end = bytes < MEMORY_LOW_END ? bytes : MEMORY_LOW_END;
	uint64_t high_end = MEMORY_HIGH_GPA + (bytes - low_end);

	*map = (struct memory_map){ 0 };
	/* One slot spans the hole of the VGA: there is no VGA. */
	add_slot(map, 0, low_end);
	add_slot(map, MEMORY_HIGH_GPA, high_end);

	add_range(map, 0, MEMORY_VGA_GPA, VHM_MEMORY_RAM);
	add_range(map, MEMORY_FIRMWARE_GPA, MEMORY_FIRMWARE_END, VHM_MEMORY_RESERVED);
	add_range(map, MEMORY_FIRMWARE_END, low_end, VHM_MEMORY_RAM);
	add_range(map, MEMORY_HIGH_GPA, high_end, VHM_MEMORY_RAM);
}

uint64_t memory_map_end(const struct memory_map *map)
{
	const struct vhm_memory_range *last = &map->slot[map->slot_count - 1];

	return last->gpa + last->bytes;
}
