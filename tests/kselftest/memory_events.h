/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that a host's memory management does to memory, done to a guest's while it runs.
 *
 * The guest checks all it has (pattern.h). Each event is a row of a table: what to do once, and
 * counters of the host's that prove that it was done.
 *
 * Needs /dev/zram0 and /dev/zram1, for swap and as a file, and a host of two NUMA nodes (numa=fake=2);
 * a program that is linked to this sets its host up before main() and puts it back at its end.
 */
#ifndef KSELFTEST_MEMORY_EVENTS_H
#define KSELFTEST_MEMORY_EVENTS_H

#include "pattern.h"

#define MIB		(1u << 20)
#define PATIENCE_NS	180000000000u

/**
 * struct memory - a guest with memory of every kind, in a control group
 * @pattern: the guest
 * @memfd, @hugetlb, @file: what areas of it are mappings of
 */
struct memory {
	struct pattern pattern;
	int memfd, hugetlb, file;
};

void memory_start(struct memory *memory);
/* False if the guest was wrong. */
bool memory_stop(struct memory *memory);

/**
 * struct event - something that happens to memory
 * @name: NULL ends the table
 * @act: once; false: the guest was wrong, or what was to happen did not
 * @counters: of /proc/vmstat, all of which grow when it is done several times
 */
struct event {
	const char *name;
	bool (*act)(struct pattern *pattern, uint32_t round);
	const char *counters[2];
};

extern const struct event memory_events[];

/*
 * At least @rounds times, and as long as other events want that if @waiting is not NULL: it counts
 * those that have not happened often enough. False if something was wrong or it did not happen.
 */
bool happen(const struct event *event, struct pattern *pattern, uint32_t rounds,
	    volatile uint32_t *waiting);

#endif /* KSELFTEST_MEMORY_EVENTS_H */
