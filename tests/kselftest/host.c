// SPDX-License-Identifier: GPL-2.0-only
/* The host's own knobs and counters. See host.h. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm.h"

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (written < 0)
		printf("# '%s' to %s: %s\n", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return written == (ssize_t)strlen(text);
}

long read_number(const char *path, const char *word)
{
	char line[256], format[64];
	long value = -1;
	FILE *file = fopen(path, "re");

	if (!file)
		return -1;
	snprintf(format, sizeof(format), "%s %%ld", word);
	while (fgets(line, sizeof(line), file) && sscanf(line, format, &value) != 1)
		;
	fclose(file);
	return value;
}

long file_number(const char *path)
{
	return read_number(path, "");
}

long vmstat(const char *counter)
{
	long value = read_number("/proc/vmstat", counter);

	if (value < 0)
		give_up("/proc/vmstat has no %s", counter);
	return value;
}

uint32_t count_pages(const uint8_t *memory, size_t bytes, uint64_t bits)
{
	const size_t pages = bytes / PAGE_BYTES, entries = pages * sizeof(uint64_t);
	uint64_t *pagemap = malloc(entries);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint32_t count = 0;

	if (!pagemap || fd < 0 ||
	    pread(fd, pagemap, entries, (off_t)((uintptr_t)memory / PAGE_BYTES * sizeof(uint64_t))) !=
	    (ssize_t)entries)
		give_up("pagemap: %s", strerror(errno));
	close(fd);
	for (size_t page = 0; page < pages; page++)
		count += !!(pagemap[page] & bits);
	free(pagemap);
	return count;
}

bool make_group(const char *controller)
{
	mkdir(CGROUP_MOUNT, 0700);
	/* a test that was ended has left its own */
	return (!mount("vhm", CGROUP_MOUNT, "cgroup2", 0, NULL) || errno == EBUSY) &&
	       (!controller || write_file(CGROUP_MOUNT "/cgroup.subtree_control", controller)) &&
	       (!mkdir(CGROUP, 0700) || errno == EEXIST);
}

static bool move_to(const char *procs)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	return write_file(procs, pid);
}

bool enter_group(void)
{
	return move_to(CGROUP "/cgroup.procs");
}

bool outside_group(void)
{
	return move_to(CGROUP_MOUNT "/cgroup.procs");
}

bool join_group(const char *controller)
{
	return make_group(controller) && enter_group();
}

bool leave_group(void)
{
	bool gone = outside_group() && !rmdir(CGROUP);

	umount2(CGROUP_MOUNT, MNT_DETACH);
	rmdir(CGROUP_MOUNT);
	return gone;
}
