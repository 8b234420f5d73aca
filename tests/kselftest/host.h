/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's own knobs and counters: files of /proc and /sys, and a memory or CPU control group for
 * the test. As root, on a host that nobody else uses.
 */
#ifndef KSELFTEST_HOST_H
#define KSELFTEST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_MOUNT	"/tmp/vhm-cgroup"
#define CGROUP		CGROUP_MOUNT "/vhm"

/* False, with a line that says why, if not all of @text was taken. */
bool write_file(const char *path, const char *text);
/* The number behind a word of a file, or -1. */
long read_number(const char *path, const char *word);
/* The number that a file consists of, or -1. */
long file_number(const char *path);
/* A counter of /proc/vmstat, which must be there. */
long vmstat(const char *counter);

/* Pages of the caller's memory of which /proc/PID/pagemap says one of @bits. */
#define PAGE_SOFT_DIRTY	(1ull << 55)
#define PAGE_SWAPPED	(1ull << 62)
uint32_t count_pages(const uint8_t *memory, size_t bytes, uint64_t bits);

/* A control group, in which @controller ("+memory") counts unless it is NULL; false: there cannot be one. */
bool make_group(const char *controller);
/* The calling process, and what it starts and allocates from now on; and back. */
bool enter_group(void);
bool outside_group(void);
bool join_group(const char *controller);
/* The caller goes back, and the group goes; false: it has other processes left. */
bool leave_group(void);

#endif /* KSELFTEST_HOST_H */
