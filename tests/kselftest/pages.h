/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that goes over its pages, and large pages of the host's. The slot under test lies at WINDOW
 * in guest-physical memory; offsets are into it.
 */
#ifndef KSELFTEST_PAGES_H
#define KSELFTEST_PAGES_H

#include "guest.h"

#define WINDOW		0x40000000ull
#define LARGE_BYTES	(2u << 20)
#define LARGE_PAGES	(LARGE_BYTES / PAGE_BYTES)
#define HUGETLB_1G	(30u << 26)	/* MAP_HUGE_1GB, MFD_HUGE_1GB */

/* Anonymous memory at @offset behind the border of a large page. */
uint8_t *map_aligned(size_t bytes, size_t offset);
void *map_hugetlb(size_t bytes, int size_flag);
/* In the host's pool; false if it has no room. */
bool reserve_huge_pages(const char *size, int count);

static inline uint32_t *word(uint8_t *window, size_t offset)
{
	return (uint32_t *)(window + offset);
}

/* Guest code: writes EAX to each of RCX pages from RBX on, and ends. */
extern const uint8_t write_pages[], write_pages_end[];

/* One word in each page is written, or read; the exit's reason. */
uint32_t guest_write(struct vcpu *vcpu, uint64_t offset, uint64_t pages, uint32_t value);
/* What the guest reads last; anything but success is all ones. */
uint32_t guest_read(struct vcpu *vcpu, uint64_t offset, uint64_t pages);
/* EPT violations of a pass over @pages from @offset on; the guest's own code has had its own. */
uint64_t faults_of_writing(struct vcpu *vcpu, uint64_t offset, uint64_t pages);
uint64_t faults_of_reading(struct vcpu *vcpu, uint64_t offset, uint64_t pages);
/* Its own pages (tables, stack, code) are mapped by a first run that touches one page of @offset. */
void warm_up(struct vcpu *vcpu, uint64_t offset);

#endif /* KSELFTEST_PAGES_H */
