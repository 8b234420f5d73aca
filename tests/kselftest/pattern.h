/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest of two vCPUs that writes and checks a pattern over all of its memory, which consists of
 * areas of every kind that a host has.
 *
 * Even pages are the first vCPU's, odd ones the second's. A vCPU that goes over its page finds in each
 * line of 64 bytes what it wrote there in its last pass, and writes what belongs to this pass; in the
 * other's pages it finds nothing older than the last pass the other had completed before. All that is
 * not so ends the run with a line that says where.
 *
 * Contents may be lost in pages that are said to be lossy, to zeros and to nothing else.
 */
#ifndef KSELFTEST_PATTERN_H
#define KSELFTEST_PATTERN_H

#include <pthread.h>

#include "guest.h"

#define PATTERN_VCPUS	2

enum area_kind {
	AREA_SMALL,		/* anonymous, in pages of 4 KiB */
	AREA_LARGE,		/* anonymous, in transparent large pages where the host has them */
	AREA_SAME,		/* anonymous: pages with the same contents while they are held */
	AREA_SCRATCH,		/* anonymous, for what loses contents */
	AREA_WATCHED,		/* anonymous, for userfaultfd */
	AREA_MEMFD,		/* shared */
	AREA_FILE,		/* shared mapping of a block device */
	AREA_FILE_COPY,		/* private mapping of it */
	AREA_HUGETLB,		/* shared, of hugetlbfs in 2 MiB */
	AREA_HUGETLB_COPY,	/* private */
	AREA_KINDS
};

/**
 * struct area - a slot of the guest
 * @memory: where the process has it; NULL: the guest has no such area
 * @bytes: size
 * @first_page: by number in the guest's window
 * @fd: what it is a mapping of, or -1
 * @lock: held by who takes the area away for a while or relies on its being there
 */
struct area {
	uint8_t *memory;
	size_t bytes;
	uint32_t first_page;
	int fd;
	pthread_mutex_t lock;
};

struct pattern_thread {
	struct pattern *pattern;
	struct vcpu *vcpu;
	void *thread;
};

/**
 * struct pattern - the guest
 * @pages: of all areas, which follow each other in guest-physical memory
 * @absent: times that the guest asked for memory that the process had not or not writable
 * @failed: something was wrong, or a vCPU's run ended
 */
struct pattern {
	struct vm vm;
	struct vcpu vcpu[PATTERN_VCPUS];
	struct pattern_thread threads[PATTERN_VCPUS];
	struct area areas[AREA_KINDS];
	uint32_t pages;
	volatile uint64_t absent;
	volatile bool stop;
	volatile bool failed;
};

/* @fd: what the kind maps, of 32 MiB of zeros if it is a block device. */
void pattern_init(struct pattern *pattern);
void pattern_add(struct pattern *pattern, enum area_kind kind, size_t bytes, int fd);
/* Runs, and has written all memory once when this returns. */
void pattern_start(struct pattern *pattern);
/* False if anything was wrong since pattern_start(). */
bool pattern_stop(struct pattern *pattern);
void pattern_uninit(struct pattern *pattern);

/* Every vCPU completes @passes over all memory from now on; false if one does not in 3 minutes, or failed. */
bool pattern_goes_on(struct pattern *pattern, uint32_t passes);

/*
 * From the first to the second of these zeros are taken for contents. The second waits until the
 * guest has written every page, so that any loss from then on is one too many.
 */
void pattern_may_lose(struct pattern *pattern, const struct area *area);
bool pattern_loses_no_more(struct pattern *pattern, const struct area *area);
/* Between these the guest reads and does not write the area. */
bool pattern_hold(struct pattern *pattern, const struct area *area);
void pattern_release(struct pattern *pattern, const struct area *area);
/* Zeros taken for contents so far. */
uint64_t pattern_losses(struct pattern *pattern);

#endif /* KSELFTEST_PATTERN_H */
