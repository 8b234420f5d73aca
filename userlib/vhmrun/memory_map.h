/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Where the guest's memory lies, and what the kernel is told about it.
 *
 * Owns nothing: pure functions.
 */
#ifndef VHMRUN_MEMORY_MAP_H
#define VHMRUN_MEMORY_MAP_H

#include <libvhm.h>

/* RAM ends here below 4 GiB; above come the I/O APIC, the local APIC and room for devices. */
#define MEMORY_LOW_END		0xc0000000ull
#define MEMORY_HIGH_GPA		0x100000000ull
#define MEMORY_VGA_GPA		0xa0000ull
#define MEMORY_FIRMWARE_GPA	0xe0000ull	/* where systems search for the ACPI tables */
#define MEMORY_FIRMWARE_END	0x100000ull

/**
 * struct memory_map - a map
 * @slot: memory to give to the guest
 * @slot_count: how many
 * @range: memory map for the kernel
 * @range_count: how many
 */
struct memory_map {
	struct vhm_memory_range slot[2];
	uint32_t slot_count;
	struct vhm_memory_range range[4];
	uint32_t range_count;
};

/* @bytes: size of the memory, whole pages, at least MEMORY_FIRMWARE_END */
void memory_map_init(struct memory_map *map, uint64_t bytes);

/* The first address behind all memory. */
uint64_t memory_map_end(const struct memory_map *map);

#endif /* VHMRUN_MEMORY_MAP_H */
