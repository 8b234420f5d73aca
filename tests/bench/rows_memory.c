// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows about guest memory: faults, tracking of writes, and memory that the host takes away.
 *
 * What a guest has touched once costs nothing the second time, so most operations here are measured
 * once a round, and the guest or the host restores what was before in between. Where the host
 * marks what is counted, the guest's code has no marks.
 */
#include "measure.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_BYTES	(2u << 20)
#define MIB(n)		((size_t)(n) << 20)

/* Aligned as GUEST_EXTRA is, so that both sides could use large pages. */
static void *extra_memory(size_t bytes, int advice, bool resident)
{
	uint8_t *room = mmap(NULL, bytes + LARGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before = -(uintptr_t)room % LARGE_BYTES;
	uint8_t *extra = room + before;

	if (room == MAP_FAILED)
		fail("no memory");
	munmap(room, before);
	munmap(extra + bytes, LARGE_BYTES - before);
	must(madvise(extra, bytes, advice), "madvise");
	if (resident)
		must(madvise(extra, bytes, MADV_POPULATE_WRITE), "madvise");
	return extra;
}

static struct machine *create_with_extra(const struct backend *backend, void *extra, size_t bytes,
					 unsigned int vcpus)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);

	while (--vcpus)
		backend->add_vcpu(machine);
	backend->complete(machine);
	backend->add_memory(machine, extra, bytes);
	return machine;
}

/* ------------------------------------------------------------ EPT violations -- */

#define TOUCHES		64
#define TOUCHED_BYTES	(ROUNDS * TOUCHES * PAGE_BYTES)

/* The first touch of each of a round's @operations pages: no warm-up is possible. */
static void measure_touch(const struct backend *backend, const char *name, void *extra,
			  size_t bytes, uint32_t operations)
{
	struct machine *machine = create_with_extra(backend, extra, bytes, 1);
	const struct run run = {
		.guest = GUEST_TOUCH,
		.operations = (uint32_t)(bytes / PAGE_BYTES / ROUNDS),
		.rounds = ROUNDS,
		.operand = GUEST_EXTRA,
	};
	double value[ROUNDS], again[ROUNDS];
	struct result result, loop;

	count_reset();
	run_guest(backend, machine, &run, value);
	result = summarize(name, "ticks", value, ROUNDS, operations);
	count_read(result.counts, ROUNDS, operations);
	count_reset();
	run_guest(backend, machine, &run, again);
	loop = summarize("", "ticks", again, ROUNDS, operations);
	count_read(loop.counts, ROUNDS, operations);
	subtract_loop(&result, &loop);
	backend->remove_memory(machine);
	backend->destroy(machine);
	munmap(extra, bytes);
	report(backend, &result);
}

void measure_ept_resident(const struct backend *backend)
{
	measure_touch(backend, "ept-resident",
		      extra_memory(TOUCHED_BYTES, MADV_NOHUGEPAGE, true), TOUCHED_BYTES, TOUCHES);
}

void measure_ept_absent(const struct backend *backend)
{
	measure_touch(backend, "ept-absent",
		      extra_memory(TOUCHED_BYTES, MADV_NOHUGEPAGE, false), TOUCHED_BYTES, TOUCHES);
}

/* A large page a round, of which each small one is touched. */
void measure_ept_large(const struct backend *backend)
{
	const size_t bytes = (size_t)ROUNDS * LARGE_BYTES;

	measure_touch(backend, "ept-large", extra_memory(bytes, MADV_HUGEPAGE, true), bytes, 1);
}

/* --------------------------------------------------------------- the guest -- */

/* One round: every page is written. Returns its ticks. */
static double touch_all(const struct backend *backend, struct machine *machine, size_t bytes)
{
	const struct run run = {
		.guest = GUEST_TOUCH_UNCOUNTED,
		.operations = (uint32_t)(bytes / PAGE_BYTES),
		.rounds = 1,
		.operand = GUEST_EXTRA,
	};
	double value;

	run_guest(backend, machine, &run, &value);
	return value;
}

#define SCATTERED	1000

/* One round: SCATTERED pages are written, far from each other. Returns its ticks. */
static double scatter(const struct backend *backend, struct machine *machine, enum guest_id guest,
		      size_t bytes)
{
	const struct run run = {
		.guest = guest, .operations = SCATTERED, .rounds = 1, .operand = GUEST_EXTRA,
	};
	double value;

	set_parameter((uint32_t)(bytes / PAGE_BYTES / SCATTERED * PAGE_BYTES));
	run_guest(backend, machine, &run, &value);
	return value;
}

/* -------------------------------------------------------- tracking of writes -- */

#define HARVESTS	16
#define HARVESTED_BYTES	MIB(64)
#define HARVESTED_WORDS	(HARVESTED_BYTES / PAGE_BYTES / 64)

/* One harvest. Returns its ticks; the pages that it told of must be @pages. */
static double harvest(const struct backend *backend, struct machine *machine, unsigned int pages)
{
	static uint64_t bitmap[HARVESTED_WORDS];
	unsigned int told = 0, i;
	uint64_t before, after;

	memset(bitmap, 0, sizeof(bitmap));
	COUNT_MARK(COUNT_MARK_BEGIN);
	before = rdtsc();
	backend->harvest(machine, bitmap);
	after = rdtsc();
	COUNT_MARK(COUNT_MARK_END);
	for (i = 0; i < HARVESTED_WORDS; i++)
		told += (unsigned int)__builtin_popcountll(bitmap[i]);
	if (told != pages)
		fail("%s: %u pages were written, %u told of", backend->name, pages, told);
	return (double)(after - before);
}

static void measure_harvest(const struct backend *backend, struct machine *machine,
			    const char *name, bool written)
{
	double value[HARVESTS];
	struct result result;
	unsigned int i;

	count_reset();
	for (i = 0; i < HARVESTS; i++) {
		if (written)
			scatter(backend, machine, GUEST_SCATTER_UNCOUNTED, HARVESTED_BYTES);
		value[i] = harvest(backend, machine, written ? SCATTERED : 0);
	}
	result = summarize(name, "ticks", value, HARVESTS, 1);
	count_read(result.counts, HARVESTS, 1);
	report(backend, &result);
}

/* Without the guest: what it wrote before is told of. */
void measure_track_harvest(const struct backend *backend)
{
	void *extra = extra_memory(HARVESTED_BYTES, MADV_NOHUGEPAGE, true);
	struct machine *machine = create_with_extra(backend, extra, HARVESTED_BYTES, 1);

	backend->track(machine);
	touch_all(backend, machine, HARVESTED_BYTES);
	harvest(backend, machine, HARVESTED_BYTES / PAGE_BYTES);
	measure_harvest(backend, machine, "harvest", true);
	measure_harvest(backend, machine, "harvest-none", false);
	backend->untrack(machine);
	backend->remove_memory(machine);
	backend->destroy(machine);
	munmap(extra, HARVESTED_BYTES);
}

#define STARTS		7
#define TRACKED_BYTES	MIB(256)

/* Of memory that the guest has just written to everywhere. */
static void measure_start(const struct backend *backend, struct machine *machine, const char *name)
{
	double value[STARTS];
	struct result result;
	uint64_t before;
	unsigned int i;

	count_reset();
	for (i = 0; i < STARTS; i++) {
		touch_all(backend, machine, TRACKED_BYTES);
		COUNT_MARK(COUNT_MARK_BEGIN);
		before = rdtsc();
		backend->track(machine);
		value[i] = (double)(rdtsc() - before);
		COUNT_MARK(COUNT_MARK_END);
		backend->untrack(machine);
	}
	result = summarize(name, "ticks", value, STARTS, 1);
	count_read(result.counts, STARTS, 1);
	report(backend, &result);
}

/* What the guest's first write to a page costs it after the start. */
static void measure_first_write(const struct backend *backend, struct machine *machine,
				const char *name)
{
	double value[STARTS];
	struct result result;
	unsigned int i;

	count_reset();
	for (i = 0; i < STARTS; i++) {
		touch_all(backend, machine, TRACKED_BYTES);
		backend->track(machine);
		value[i] = scatter(backend, machine, GUEST_SCATTER, TRACKED_BYTES);
		backend->untrack(machine);
	}
	result = summarize(name, "ticks", value, STARTS, SCATTERED);
	count_read(result.counts, STARTS, SCATTERED);
	report(backend, &result);
}

#define EXTERNAL_INTERRUPT	1	/* basic exit reason (SDM vol. 3, appendix C): the host's own */

/* Exits in the second of two passes over all memory. */
static void measure_second_pass(const struct backend *backend, struct machine *machine)
{
	const struct run run = {
		.guest = GUEST_TOUCH,
		.operations = TRACKED_BYTES / PAGE_BYTES,
		.rounds = 1,
		.operand = GUEST_EXTRA,
	};
	double counts[COUNTERS], value;
	struct result result;

	touch_all(backend, machine, TRACKED_BYTES);
	count_reset();
	run_guest(backend, machine, &run, &value);
	count_read(counts, 1, 1);
	result = single("second-pass", "number",
			counts[COUNT_EXITS] - counts[COUNT_EXIT_REASON + EXTERNAL_INTERRUPT]);
	/* where nothing is counted, nothing is known */
	if (counts[COUNT_GUEST_INSTRUCTIONS] > 0)
		report(backend, &result);
}

void measure_track_small(const struct backend *backend)
{
	void *extra = extra_memory(TRACKED_BYTES, MADV_NOHUGEPAGE, true);
	struct machine *machine = create_with_extra(backend, extra, TRACKED_BYTES, 1);

	measure_second_pass(backend, machine);
	measure_start(backend, machine, "track-start-4k");
	measure_first_write(backend, machine, "track-write-4k");
	backend->remove_memory(machine);
	backend->destroy(machine);
	munmap(extra, TRACKED_BYTES);
}

void measure_track_large(const struct backend *backend)
{
	void *extra = extra_memory(TRACKED_BYTES, MADV_HUGEPAGE, true);
	struct machine *machine = create_with_extra(backend, extra, TRACKED_BYTES, 1);

	measure_start(backend, machine, "track-start-2m");
	measure_first_write(backend, machine, "track-write-2m");
	backend->remove_memory(machine);
	backend->destroy(machine);
	munmap(extra, TRACKED_BYTES);
}

/* ----------------------------------------------------------------- two CPUs -- */

/**
 * struct runner - a vCPU in a thread of its own
 * @backend: whose
 * @machine: its VM
 * @run: what it does
 * @ticks: of its round
 */
struct runner {
	const struct backend *backend;
	struct machine *machine;
	struct run run;
	double ticks;
};

static void pin(size_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

/* The main thread is on CPU 0. */
static void *run_on_cpu_1(void *argument)
{
	struct runner *runner = argument;

	pin(1);
	run_prepared(runner->backend, runner->machine, &runner->run, &runner->ticks);
	return NULL;
}

static pthread_t start_runner(struct runner *runner)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run_on_cpu_1, runner))
		fail("no thread");
	return thread;
}

#define UNMAPS		3
#define UNMAPPED_BYTES	MIB(64)

/*
 * The emulator's CPUs take turns, of as many instructions as it happens to be, and its TSC advances
 * by the turn: with two CPUs a tick is an instruction of the host, on any of them.
 */
static void take_instructions(struct result *result)
{
	double instructions = result->counts[COUNT_INSTRUCTIONS] + result->counts[COUNT_REPEATS];

	if (instructions > 0) {
		result->median = instructions;
		result->min = instructions;
		result->mean = instructions;
	}
}

static double unmap(void *extra)
{
	uint64_t before, after;

	COUNT_MARK(COUNT_MARK_BEGIN);
	before = rdtsc();
	munmap(extra, UNMAPPED_BYTES);
	after = rdtsc();
	COUNT_MARK(COUNT_MARK_END);
	return (double)(after - before);
}

/* All of @extra is the guest's too; then it goes while the guest computes on the other CPU. */
static double unmap_under_guest(const struct backend *backend, void *extra)
{
	struct machine *machine = create_with_extra(backend, extra, UNMAPPED_BYTES, 1);
	const volatile uint32_t *running = (void *)(guest_memory() + GUEST_PARAMETERS + 4);
	struct runner runner = {
		.backend = backend,
		.machine = machine,
		.run = { .guest = GUEST_WAIT, .operations = 1, .rounds = 1 },
	};
	pthread_t thread;
	double ticks;

	touch_all(backend, machine, UNMAPPED_BYTES);
	prepare_guest(&runner.run);
	set_parameter(0);
	thread = start_runner(&runner);
	while (!*running)
		;
	ticks = unmap(extra);
	set_parameter(0);
	pthread_join(thread, NULL);
	backend->remove_memory(machine);
	backend->destroy(machine);
	return ticks;
}

static struct result unmap_result(const char *name, double *ticks)
{
	struct result result = summarize(name, "ticks", ticks, UNMAPS, 1);

	count_read(result.counts, UNMAPS, 1);
	take_instructions(&result);
	return result;
}

/* The munmap under a guest, the host's own of memory that no guest has seen, and the difference. */
static void measure_unmap(const struct backend *backend, int advice, const char *const name[3])
{
	struct result result, host, difference;
	double ticks[UNMAPS];
	unsigned int i;

	count_reset();
	for (i = 0; i < UNMAPS; i++)
		ticks[i] = unmap_under_guest(backend, extra_memory(UNMAPPED_BYTES, advice, true));
	result = unmap_result(name[0], ticks);
	count_reset();
	for (i = 0; i < UNMAPS; i++)
		ticks[i] = unmap(extra_memory(UNMAPPED_BYTES, advice, true));
	host = unmap_result(name[1], ticks);
	difference = single(name[2], "ticks", result.median - host.median);
	report(backend, &result);
	report(backend, &host);
	report(backend, &difference);
}

void measure_unmap_running(const struct backend *backend)
{
	static const char *const small[] = { "unmap-running", "unmap-host", "unmap-added" };
	static const char *const large[] = { "unmap-2m", "unmap-host-2m", "unmap-added-2m" };

	pin(0);
	measure_unmap(backend, MADV_NOHUGEPAGE, small);
	measure_unmap(backend, MADV_HUGEPAGE, large);
}

#define SHARE_BYTES	MIB(64)	/* of each of two vCPUs */

/* Twice SHARE_BYTES, by one vCPU or by two at once. Returns the sum of their ticks. */
static double fault_in(const struct backend *backend, void *extra, unsigned int vcpus)
{
	struct machine *machine = create_with_extra(backend, extra, 2 * SHARE_BYTES, vcpus);
	struct runner other = {
		.backend = backend,
		.machine = machine,
		.run = {
			.guest = GUEST_TOUCH_UNCOUNTED,
			.operations = (uint32_t)(2 * SHARE_BYTES / PAGE_BYTES / vcpus),
			.rounds = 1,
			.operand = GUEST_EXTRA,
		},
	};
	struct run own = other.run;
	pthread_t thread;
	double ticks;

	other.run.operand += SHARE_BYTES;
	other.run.vcpu = 1;
	prepare_guest(&own);
	COUNT_MARK(COUNT_MARK_BEGIN);
	if (vcpus > 1)
		thread = start_runner(&other);
	run_prepared(backend, machine, &own, &ticks);
	if (vcpus > 1)
		pthread_join(thread, NULL);
	COUNT_MARK(COUNT_MARK_END);
	backend->remove_memory(machine);
	backend->destroy(machine);
	return ticks + other.ticks;
}

void measure_parallel_faults(const struct backend *backend)
{
	static const char *const name[] = { "faults-1", "faults-2" };
	const uint32_t operations = 2 * SHARE_BYTES / PAGE_BYTES;
	void *extra = extra_memory(2 * SHARE_BYTES, MADV_NOHUGEPAGE, true);
	struct result result, ratio;
	double ticks[COUNT(name)];
	unsigned int i;

	pin(0);
	/* what is the host's to do for a page that no guest has had yet */
	fault_in(backend, extra, 1);
	for (i = 0; i < COUNT(name); i++) {
		count_reset();
		ticks[i] = fault_in(backend, extra, i + 1);
		result = summarize(name[i], "ticks", &ticks[i], 1, operations);
		count_read(result.counts, 1, operations);
		take_instructions(&result);
		ticks[i] = result.median;
		report(backend, &result);
	}
	ratio = single("parallel-faults", "ratio", ticks[1] / ticks[0]);
	report(backend, &ratio);
	munmap(extra, 2 * SHARE_BYTES);
}
