// SPDX-License-Identifier: GPL-2.0-only
/* Everything that a host's memory management does to memory. See memory_events.h. */
#define _GNU_SOURCE
#include "memory_events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "pages.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB	0x0004U
#endif

#define PAUSE_US	300000
#define KSM		"/sys/kernel/mm/ksm/"
#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define BALANCING	"/sys/kernel/debug/sched/numa_balancing/"

#define for_each_area(area, pattern)						\
	for (struct area *area = (pattern)->areas; area < (pattern)->areas + AREA_KINDS; area++) \
		if (area->memory)

/* -------------------------------------------------------------------- host -- */

/* A swap space is a page that ends with its signature. */
static void start_swap(void)
{
	struct { char boot[1024]; uint32_t version, last_page, bad_pages; char rest[3060 - 10];
		 char signature[10]; } header = { .version = 1, .last_page = 64 * MIB / PAGE_BYTES - 1 };
	int fd;

	_Static_assert(sizeof(header) == PAGE_BYTES, "header of a swap space");
	if (!write_file("/sys/block/zram0/disksize", "64M") ||
	    !write_file("/sys/block/zram1/disksize", "32M"))
		give_up("no zram");
	memcpy(header.signature, "SWAPSPACE2", sizeof(header.signature));
	fd = open("/dev/zram0", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, &header, sizeof(header)) != sizeof(header))
		give_up("/dev/zram0: %s", strerror(errno));
	close(fd);
	if (swapon("/dev/zram0", 0))
		give_up("swapon: %s", strerror(errno));
}

/* A thread of the host's that gives way to everybody: among many others it would hardly ever run. */
static void prefer_thread(const char *name)
{
	char comm[16], path[64];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	FILE *file;

	while (proc && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%15s", comm) == 1 && !strcmp(comm, name))
			setpriority(PRIO_PROCESS, (id_t)atoi(entry->d_name), -10);
		fclose(file);
	}
	closedir(proc);
}

static pid_t starter;

__attribute__((constructor)) static void prepare_host(void)
{
	starter = getpid();
	setvbuf(stdout, NULL, _IOLBF, 0);
	start_swap();
	reserve_huge_pages("2048kB", 12);
	write_file(KSM "sleep_millisecs", "0");
	write_file(KSM "pages_to_scan", "2000");
	if (!access(KSM "smart_scan", W_OK))
		write_file(KSM "smart_scan", "0");
	write_file(KHUGEPAGED "scan_sleep_millisecs", "10");
	write_file(KHUGEPAGED "alloc_sleep_millisecs", "10");
	/* what it swaps in is charged beside the large page: where there is a limit that kills */
	write_file(KHUGEPAGED "max_ptes_swap", "0");
	prefer_thread("khugepaged");
	write_file(BALANCING "scan_delay_ms", "10");
	write_file(BALANCING "scan_period_min_ms", "20");
	write_file(BALANCING "scan_period_max_ms", "40");
}

__attribute__((destructor)) static void restore_host(void)
{
	if (getpid() != starter)
		return;
	write_file(KSM "run", "2");
	write_file(KSM "run", "0");
	reserve_huge_pages("2048kB", 0);
	swapoff("/dev/zram0");
}

/* ------------------------------------------------------------------- guest -- */

static int make_memfd(unsigned int flags, size_t bytes)
{
	int fd = (int)syscall(SYS_memfd_create, "guest", MFD_CLOEXEC | flags);

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		give_up("memfd: %s", strerror(errno));
	return fd;
}

static int make_file(void)
{
	const uint64_t all[2] = { 0, 32 * MIB };
	int fd = open("/dev/zram1", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKDISCARD, all))
		give_up("/dev/zram1: %s", strerror(errno));
	return fd;
}

/* ------------------------------------------------------------------ events -- */

#define CHUNK_BYTES	(16 * PAGE_BYTES)

/*
 * A page that the guest has used since the host looked last stays, so the host is made to look twice
 * before the guest, or a slow host's guest, comes by again.
 */
static void page_out(uint8_t *memory, size_t bytes, size_t chunk_bytes)
{
	for (size_t offset = 0; offset < bytes; offset += chunk_bytes)
		for (int look = 0; look < 2; look++)
			must(madvise(memory + offset, chunk_bytes, MADV_PAGEOUT));
}

static bool swap_out(struct pattern *pattern, uint32_t round)
{
	(void)round;
	for_each_area(area, pattern)
		/* one that something else has taken is not there to be swapped */
		if (area != &pattern->areas[AREA_HUGETLB] && area != &pattern->areas[AREA_HUGETLB_COPY] &&
		    !pthread_mutex_trylock(&area->lock)) {
			page_out(area->memory, area->bytes,
				 area == &pattern->areas[AREA_LARGE] ? LARGE_BYTES : CHUNK_BYTES);
			pthread_mutex_unlock(&area->lock);
		}
	/* the guest's page tables and code, too */
	page_out(pattern->vm.memory, pattern->vm.memory_bytes, CHUNK_BYTES);
	return pattern_goes_on(pattern, 1);
}

/* The guest's writes part what was merged, or, every other time, the host does. */
static bool merge_same(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_SAME];
	uint64_t end = now_ns() + PATIENCE_NS;
	bool good = pattern_hold(pattern, area);

	must(madvise(area->memory, area->bytes, MADV_MERGEABLE));
	good = good && write_file(KSM "run", "1");
	while (good && file_number(KSM "pages_sharing") < (long)(area->bytes / PAGE_BYTES / 2)) {
		good = now_ns() < end;
		sleep_us(POLL_US);
	}
	good = good && pattern_goes_on(pattern, 1);
	if (round % 2)
		write_file(KSM "run", "2");
	pattern_release(pattern, area);
	good = pattern_goes_on(pattern, 2) && good;
	/* the counter is of what the scanner has seen: let it see */
	good = write_file(KSM "run", "2") && good;
	return write_file(KSM "run", "0") && good && !file_number(KSM "pages_sharing");
}

/* A small page of each large one gets rights of its own for a moment. */
static void split_locked(struct area *area, uint32_t round)
{
	for (size_t offset = 0; offset < area->bytes; offset += LARGE_BYTES) {
		uint8_t *page = area->memory + offset + round % LARGE_PAGES * PAGE_BYTES;

		must(mprotect(page, PAGE_BYTES, PROT_READ));
		must(mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE));
	}
}

static bool split_large(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_LARGE];

	pthread_mutex_lock(&area->lock);
	/* what the guest reads first, the host has in small pages until its own thread comes by */
	madvise(area->memory, area->bytes, MADV_COLLAPSE);
	split_locked(area, round);
	pthread_mutex_unlock(&area->lock);
	return pattern_goes_on(pattern, 1);
}

static bool collapse(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_LARGE];

	pthread_mutex_lock(&area->lock);
	split_locked(area, round);
	/* may fail where something else has a page of it: a counter tells if it always does */
	madvise(area->memory, area->bytes, MADV_COLLAPSE);
	pthread_mutex_unlock(&area->lock);
	return pattern_goes_on(pattern, 1);
}

/* By the host's own thread, which nobody forestalls as long as the lock is held. */
static bool wait_for_khugepaged(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_LARGE];
	uint64_t end = now_ns() + PATIENCE_NS;
	long before;
	bool good;

	pthread_mutex_lock(&area->lock);
	before = file_number(KHUGEPAGED "pages_collapsed");
	do {
		split_locked(area, round);
		good = pattern_goes_on(pattern, 1);
	} while (good && file_number(KHUGEPAGED "pages_collapsed") == before && now_ns() < end);
	good = good && file_number(KHUGEPAGED "pages_collapsed") != before;
	pthread_mutex_unlock(&area->lock);
	return good;
}

static void move_pages_to(struct area *area, int node)
{
	size_t pages = area->bytes / PAGE_BYTES;
	void *address[pages];
	int nodes[pages], status[pages];

	for (size_t page = 0; page < pages; page++) {
		address[page] = area->memory + page * PAGE_BYTES;
		nodes[page] = node;
	}
	/* pages that are in use at that moment stay */
	must(syscall(SYS_move_pages, 0, pages, address, nodes, status, MPOL_MF_MOVE) < 0 ? -errno : 0);
}

static bool migrate(struct pattern *pattern, uint32_t round)
{
	const unsigned long from = 1ul << (1 - round % 2), to = 1ul << round % 2;

	switch (round / 2 % 3) {
	case 0:
		for_each_area(area, pattern)
			move_pages_to(area, (int)(round % 2));
		break;
	case 1:
		/* fails for pages in use; a range without memory of its own is of no concern */
		for_each_area(area, pattern) {
			syscall(SYS_mbind, area->memory, area->bytes, MPOL_PREFERRED, &to, 8, MPOL_MF_MOVE);
			syscall(SYS_mbind, area->memory, area->bytes, MPOL_DEFAULT, NULL, 0, 0);
		}
		break;
	default:
		must(syscall(SYS_migrate_pages, 0, 8, &from, &to) < 0 ? -errno : 0);
	}
	return pattern_goes_on(pattern, 1);
}

/* Holes below the guest's pages are what there is to compact. */
static bool compact(struct pattern *pattern, uint32_t round)
{
	const size_t bytes = 8 * MIB;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		give_up("mmap: %s", strerror(errno));
	must(madvise(memory, bytes, MADV_NOHUGEPAGE));
	for (size_t offset = round % 2 * PAGE_BYTES; offset < bytes; offset += 2 * PAGE_BYTES)
		must(madvise(memory + offset, PAGE_BYTES, MADV_DONTNEED));
	write_file("/proc/sys/vm/compact_memory", "1");
	munmap(memory, bytes);
	return pattern_goes_on(pattern, 1);
}

static void map_again(uint8_t *start, size_t bytes)
{
	must(munmap(start, bytes));
	if (mmap(start, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != start)
		give_up("mmap: %s", strerror(errno));
	must(madvise(start, bytes, MADV_NOHUGEPAGE));
}

static bool discard_by(struct pattern *pattern, uint32_t round, void (*act)(uint8_t *start, size_t bytes))
{
	struct area *area = &pattern->areas[AREA_SCRATCH];
	uint64_t before = pattern_losses(pattern), random = round + 1;
	bool good;

	pthread_mutex_lock(&area->lock);
	pattern_may_lose(pattern, area);
	act(area->memory, area->bytes);
	for (int i = 0; i < 20; i++) {
		uint32_t page = random_next(&random) % (area->bytes / PAGE_BYTES - 16);

		act(area->memory + page * PAGE_BYTES, (1 + random_next(&random) % 16) * PAGE_BYTES);
		sleep_us(500);
	}
	good = pattern_loses_no_more(pattern, area) && pattern_losses(pattern) > before;
	pthread_mutex_unlock(&area->lock);
	return good;
}

static void dont_need(uint8_t *start, size_t bytes)
{
	must(madvise(start, bytes, MADV_DONTNEED));
}

/* What the guest does not write in between is gone when the host looks for pages. */
static void free_lazily(uint8_t *start, size_t bytes)
{
	must(madvise(start, bytes, MADV_FREE));
	must(madvise(start, bytes, MADV_PAGEOUT));
}

static bool discard(struct pattern *pattern, uint32_t round)
{
	return discard_by(pattern, round, dont_need);
}

static bool discard_lazily(struct pattern *pattern, uint32_t round)
{
	return discard_by(pattern, round, free_lazily);
}

static bool map_anew(struct pattern *pattern, uint32_t round)
{
	return discard_by(pattern, round, map_again);
}

static bool punch_area(struct pattern *pattern, struct area *area, size_t offset, size_t bytes)
{
	uint64_t before = pattern_losses(pattern);
	bool good;

	pthread_mutex_lock(&area->lock);
	pattern_may_lose(pattern, area);
	must(fallocate(area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes));
	good = pattern_loses_no_more(pattern, area) && pattern_losses(pattern) > before;
	pthread_mutex_unlock(&area->lock);
	return good;
}

static bool punch(struct pattern *pattern, uint32_t round)
{
	struct area *memfd = &pattern->areas[AREA_MEMFD], *hugetlb = &pattern->areas[AREA_HUGETLB];
	size_t pages = 1 + round * 37 % (memfd->bytes / PAGE_BYTES);

	return punch_area(pattern, memfd, memfd->bytes - pages * PAGE_BYTES, pages * PAGE_BYTES) &&
	       punch_area(pattern, hugetlb, 0, LARGE_BYTES);
}

/* Until the guest has asked for something that is not there. */
static bool guest_misses(struct pattern *pattern)
{
	uint64_t before = pattern->absent, end = now_ns() + PATIENCE_NS;

	while (pattern->absent == before && !pattern->failed && now_ns() < end)
		sleep_us(POLL_US / 10);
	return pattern->absent != before;
}

static bool move_away_and_back(struct pattern *pattern, uint32_t round)
{
	static const enum area_kind kinds[] = { AREA_SMALL, AREA_LARGE, AREA_MEMFD, AREA_FILE };
	struct area *area = &pattern->areas[kinds[round % COUNT(kinds)]];
	bool good;
	void *away;

	pthread_mutex_lock(&area->lock);
	away = mmap(NULL, area->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mremap(area->memory, area->bytes, area->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, away) != away)
		give_up("mremap: %s", strerror(errno));
	good = guest_misses(pattern);
	if (mremap(away, area->bytes, area->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, area->memory) !=
	    area->memory)
		give_up("mremap: %s", strerror(errno));
	pthread_mutex_unlock(&area->lock);
	return pattern_goes_on(pattern, 1) && good;
}

static bool protect_and_back(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[round % AREA_KINDS];
	bool good;

	pthread_mutex_lock(&area->lock);
	must(mprotect(area->memory, area->bytes, round / AREA_KINDS % 2 ? PROT_NONE : PROT_READ));
	good = guest_misses(pattern);
	must(mprotect(area->memory, area->bytes, PROT_READ | PROT_WRITE));
	pthread_mutex_unlock(&area->lock);
	return pattern_goes_on(pattern, 1) && good;
}

static uint64_t checksum(const struct area *area)
{
	uint64_t sum = 0;

	for (size_t offset = 0; offset < area->bytes; offset += 64)
		sum = (sum << 1 | sum >> 63) + *(volatile uint64_t *)(area->memory + offset);
	return sum;
}

static bool is_private(enum area_kind kind)
{
	return kind == AREA_SMALL || kind == AREA_LARGE || kind == AREA_SAME || kind == AREA_SCRATCH ||
	       kind == AREA_FILE_COPY;
}

/* The child's copy stands still while the guest writes its own, and is the child's to write. */
static int child_of_fork(struct pattern *pattern)
{
	uint64_t sums[AREA_KINDS] = { 0 };

	for (int kind = 0; kind < AREA_KINDS; kind++)
		if (is_private(kind))
			sums[kind] = checksum(&pattern->areas[kind]);
	sleep_us(10 * POLL_US);
	for (int kind = 0; kind < AREA_KINDS; kind++) {
		struct area *area = &pattern->areas[kind];

		if (!is_private(kind))
			continue;
		if (checksum(area) != sums[kind])
			return 1;
		memset(area->memory, 0xcc, area->bytes);
		sums[kind] = checksum(area);
	}
	sleep_us(10 * POLL_US);
	for (int kind = 0; kind < AREA_KINDS; kind++)
		if (is_private(kind) && checksum(&pattern->areas[kind]) != sums[kind])
			return 2;
	return 0;
}

static bool fork_vmm(struct pattern *pattern, uint32_t round)
{
	int status = -1;
	pid_t child;

	(void)round;
	/* no area may be away while it is copied */
	for_each_area(area, pattern)
		pthread_mutex_lock(&area->lock);
	child = fork();
	if (!child)
		_exit(child_of_fork(pattern));
	for_each_area(area, pattern)
		pthread_mutex_unlock(&area->lock);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		printf("# the child ended with status %#x\n", status);
	return pattern_goes_on(pattern, 1) && !status;
}

/* What the guest wrote is in the file, however often the host has written pages back and dropped them. */
static bool write_back(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_FILE];

	(void)round;
	pthread_mutex_lock(&area->lock);
	must(msync(area->memory, area->bytes, MS_SYNC));
	must(madvise(area->memory, area->bytes, MADV_PAGEOUT));
	pthread_mutex_unlock(&area->lock);
	return write_file("/proc/sys/vm/drop_caches", "1") && pattern_goes_on(pattern, 1);
}

/* The guest's second-level tables, with all else that the kernel can do without. */
static bool shrink_caches(struct pattern *pattern, uint32_t round)
{
	(void)round;
	return write_file("/proc/sys/vm/drop_caches", "2") && pattern_goes_on(pattern, 1);
}

static bool balance(struct pattern *pattern, uint32_t round)
{
	bool good = write_file("/proc/sys/kernel/numa_balancing", "1");

	(void)round;
	good = good && pattern_goes_on(pattern, 3);
	return write_file("/proc/sys/kernel/numa_balancing", "0") && good;
}

/* Every page the guest writes is told, and none that it does not write. */
static bool track_soft_dirty(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_SMALL];
	const uint32_t pages = (uint32_t)(area->bytes / PAGE_BYTES);
	uint32_t held, written;
	bool good;

	(void)round;
	pthread_mutex_lock(&area->lock);
	good = pattern_hold(pattern, area) && write_file("/proc/self/clear_refs", "4") &&
	       pattern_goes_on(pattern, 1);
	held = count_pages(area->memory, area->bytes, PAGE_SOFT_DIRTY);
	pattern_release(pattern, area);
	good = pattern_goes_on(pattern, 2) && good;
	written = count_pages(area->memory, area->bytes, PAGE_SOFT_DIRTY);
	pthread_mutex_unlock(&area->lock);
	if (held || written != pages)
		printf("# soft dirty: %u pages while held, %u of %u after\n", held, written, pages);
	return good && !held && written == pages;
}

static bool forget_references(struct pattern *pattern, uint32_t round)
{
	(void)round;
	return write_file("/proc/self/clear_refs", "1") && pattern_goes_on(pattern, 1);
}

/*
 * The group's limit goes below what it has, for a moment; but not below what it can do with, however
 * little others have left it just now.
 */
static bool limit(struct pattern *pattern, uint32_t round)
{
	long events = read_number(CGROUP "/memory.events", "max"), least = 3 << 20, bytes;
	char text[32];
	bool good;

	(void)round;
	bytes = file_number(CGROUP "/memory.current") / 4 * 3;
	snprintf(text, sizeof(text), "%ld", bytes > least ? bytes : least);
	good = write_file(CGROUP "/memory.max", text) && pattern_goes_on(pattern, 1);
	good = write_file(CGROUP "/memory.max", "max") && good;
	return good && read_number(CGROUP "/memory.events", "max") >= events;
}

/* ----------------------------------------------------------------- userfaultfd -- */

/*
 * A VMM that takes a snapshot of a range, drops it, and gives back what is asked for.
 * @lock: @snapshot, and writing allowed again
 */
static struct watcher {
	struct area *area;
	int fd;
	void *thread;
	volatile bool stop;
	pthread_mutex_t lock;
	uint8_t *snapshot;
	volatile uint32_t missing, protected;
} watcher;

static void answer(uint64_t address, uint64_t flags)
{
	struct uffdio_range range = { .start = address & ~(uint64_t)(PAGE_BYTES - 1), .len = PAGE_BYTES };

	pthread_mutex_lock(&watcher.lock);
	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		struct uffdio_writeprotect allow = { .range = range };

		watcher.protected++;
		must(ioctl(watcher.fd, UFFDIO_WRITEPROTECT, &allow));
	} else {
		struct uffdio_copy copy = {
			.dst = range.start, .len = PAGE_BYTES,
			.src = (uintptr_t)watcher.snapshot + range.start - (uintptr_t)watcher.area->memory,
		};

		watcher.missing++;
		/* the other vCPU has asked, too */
		if (ioctl(watcher.fd, UFFDIO_COPY, &copy))
			must(errno == EEXIST ? ioctl(watcher.fd, UFFDIO_WAKE, &range) : -errno);
	}
	pthread_mutex_unlock(&watcher.lock);
}

static void *watch(void *context)
{
	struct pollfd poll_fd = { .fd = watcher.fd, .events = POLLIN };
	struct uffd_msg message;

	while (!watcher.stop) {
		if (poll(&poll_fd, 1, 10) > 0 &&
		    read(watcher.fd, &message, sizeof(message)) == sizeof(message) &&
		    message.event == UFFD_EVENT_PAGEFAULT)
			answer(message.arg.pagefault.address, message.arg.pagefault.flags);
	}
	return context;
}

static void start_watching(struct area *area)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)area->memory, .len = area->bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	watcher = (struct watcher) {
		.area = area, .snapshot = malloc(area->bytes),
		.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK),
	};
	pthread_mutex_init(&watcher.lock, NULL);
	if (!watcher.snapshot || watcher.fd < 0 || ioctl(watcher.fd, UFFDIO_API, &api) ||
	    ioctl(watcher.fd, UFFDIO_REGISTER, &range))
		give_up("userfaultfd: %s", strerror(errno));
	watcher.thread = thread_start(watch, NULL);
}

static void stop_watching(void)
{
	if (!watcher.area)
		return;
	must(ioctl(watcher.fd, UFFDIO_UNREGISTER, &(struct uffdio_range) {
		.start = (uintptr_t)watcher.area->memory, .len = watcher.area->bytes }));
	watcher.stop = true;
	thread_join(watcher.thread);
	close(watcher.fd);
	free(watcher.snapshot);
	watcher.area = NULL;
}

static bool take_snapshot(struct pattern *pattern, uint32_t round)
{
	struct area *area = &pattern->areas[AREA_WATCHED];
	struct uffdio_writeprotect protect = {
		.range = { .start = (uintptr_t)area->memory, .len = area->bytes },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	uint64_t end = now_ns() + PATIENCE_NS;
	bool good, first = !watcher.area;
	uint32_t protected;

	(void)round;
	pthread_mutex_lock(&area->lock);
	if (first)
		start_watching(area);
	/* once without loss: what is written is told */
	protected = watcher.protected;
	must(ioctl(watcher.fd, UFFDIO_WRITEPROTECT, &protect));
	while (watcher.protected == protected && now_ns() < end)
		sleep_us(POLL_US / 10);
	good = watcher.protected != protected && pattern_goes_on(pattern, 1);

	pthread_mutex_lock(&watcher.lock);
	must(ioctl(watcher.fd, UFFDIO_WRITEPROTECT, &protect));
	memcpy(watcher.snapshot, area->memory, area->bytes);
	must(madvise(area->memory, area->bytes, MADV_DONTNEED));
	watcher.missing = 0;
	pthread_mutex_unlock(&watcher.lock);
	good = pattern_goes_on(pattern, 2) && good;
	if (watcher.missing < area->bytes / PAGE_BYTES)
		printf("# %u pages were asked for\n", watcher.missing);
	good = good && watcher.missing >= area->bytes / PAGE_BYTES;
	pthread_mutex_unlock(&area->lock);
	return good;
}

/* ------------------------------------------------------------------- all -- */

const struct event memory_events[] = {
	{ "swap", swap_out, { "pswpout", "pswpin" } },
	{ "ksm", merge_same, { "cow_ksm" } },
	{ "thp_split", split_large, { "thp_split_pmd" } },
	{ "thp_collapse", collapse, { "thp_split_pmd", "thp_collapse_alloc" } },
	{ "khugepaged", wait_for_khugepaged, { "thp_collapse_alloc" } },
	{ "migration", migrate, { "pgmigrate_success" } },
	{ "compaction", compact, { "compact_isolated" } },
	{ "discard", discard, { } },
	{ "lazy_discard", discard_lazily, { "pglazyfreed" } },
	{ "munmap", map_anew, { } },
	{ "holes", punch, { } },
	{ "mremap", move_away_and_back, { } },
	{ "mprotect", protect_and_back, { } },
	{ "fork", fork_vmm, { } },
	{ "write_back", write_back, { "pgpgout" } },
	{ "shrinkers", shrink_caches, { "slabs_scanned" } },
	{ "numa_balancing", balance, { "numa_pte_updates", "numa_hint_faults" } },
	{ "soft_dirty", track_soft_dirty, { } },
	{ "clear_refs", forget_references, { } },
	{ "limit", limit, { "pswpout" } },
	{ "userfaultfd", take_snapshot, { } },
	{ }
};

static void read_counters(const struct event *event, long values[2])
{
	for (size_t i = 0; i < COUNT(event->counters); i++)
		values[i] = event->counters[i] ? vmstat(event->counters[i]) : 0;
}

static bool has_happened(const struct event *event, const long before[2])
{
	long now[2];

	read_counters(event, now);
	for (size_t i = 0; i < COUNT(event->counters); i++)
		if (event->counters[i] && now[i] <= before[i])
			return false;
	return true;
}

/* The host need not do what it is asked for: until it has, it is asked this much oftener at most. */
#define PERSISTENCE	16

bool happen(const struct event *event, struct pattern *pattern, uint32_t rounds,
		   volatile uint32_t *waiting)
{
	long before[2], after[2];
	uint64_t start, took_us;
	uint32_t round = 0;
	bool good = true;

	read_counters(event, before);
	while (good && (round < rounds || (waiting && *waiting) ||
			(round < PERSISTENCE * rounds && !has_happened(event, before)))) {
		start = now_ns();
		good = event->act(pattern, round) && !pattern->failed;
		took_us = (now_ns() - start) / 1000;
		if (++round == rounds && waiting)
			__atomic_fetch_sub(waiting, 1, __ATOMIC_RELAXED);
		/* the guest needs time, too, and so do those for whom it takes longer */
		if (round >= rounds && waiting)
			sleep_us(took_us > PAUSE_US / 4 ? 4 * took_us : PAUSE_US);
	}
	/* the others need not wait for what will not come */
	if (round < rounds && waiting)
		__atomic_store_n(waiting, 0, __ATOMIC_RELAXED);
	read_counters(event, after);
	for (size_t i = 0; i < COUNT(event->counters); i++)
		if (event->counters[i] && after[i] <= before[i]) {
			printf("# %s: %s stands at %ld\n", event->name, event->counters[i], after[i]);
			good = false;
		}
	printf("# %s: %s after %u rounds\n", event->name, good ? "well" : "not well", round);
	return good;
}

void memory_start(struct memory *memory)
{
	struct pattern *pattern = &memory->pattern;

	if (!join_group("+memory"))
		give_up("no memory controller");
	memory->memfd = make_memfd(0, MIB / 2);
	memory->hugetlb = make_memfd(MFD_HUGETLB, LARGE_BYTES);
	memory->file = make_file();
	pattern_init(pattern);
	pattern_add(pattern, AREA_LARGE, LARGE_BYTES, -1);
	pattern_add(pattern, AREA_HUGETLB, LARGE_BYTES, memory->hugetlb);
	pattern_add(pattern, AREA_HUGETLB_COPY, LARGE_BYTES, -1);
	pattern_add(pattern, AREA_SMALL, MIB / 2, -1);
	pattern_add(pattern, AREA_SAME, MIB / 4, -1);
	pattern_add(pattern, AREA_SCRATCH, MIB / 4, -1);
	pattern_add(pattern, AREA_WATCHED, MIB / 8, -1);
	pattern_add(pattern, AREA_MEMFD, MIB / 2, memory->memfd);
	pattern_add(pattern, AREA_FILE, MIB / 2, memory->file);
	pattern_add(pattern, AREA_FILE_COPY, MIB / 4, memory->file);
	pattern_start(pattern);
}

bool memory_stop(struct memory *memory)
{
	bool good = pattern_stop(&memory->pattern);

	stop_watching();
	pattern_uninit(&memory->pattern);
	close(memory->memfd);
	close(memory->hugetlb);
	close(memory->file);
	return leave_group() && good;
}
