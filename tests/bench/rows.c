// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows: what is measured, and how. The same code for each backend.
 *
 * In the guest: ROUNDS rounds of OPERATIONS operations, timed by the guest's own RDTSC after a
 * warm-up; the result is the median round, without the cost of the loop. A median hides the host's
 * timer tick, which hits one round in a few.
 *
 * What a hypervisor is allowed to cost, and whether it does, is for tests/bench/run to say.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUNDS		64
#define WARM_UP_ROUNDS	8
#define OPERATIONS	100
#define ROUNDS_MAX	1024
#define PAGE_BYTES	4096u
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static uint8_t *memory;		/* of each guest; GUEST_ORIGIN_BYTES */

/* Present in the host, so that no row pays for the host's own page faults. */
static uint8_t *guest_memory(void)
{
	if (!memory) {
		memory = mmap(NULL, GUEST_ORIGIN_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (memory == MAP_FAILED)
			fail("no memory");
	}
	return memory;
}

/* ------------------------------------------------------------- statistics -- */

static int compare(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Sorts @rounds values, each of @operations operations. */
static struct result summarize(const char *name, const char *unit, double *value, uint32_t rounds,
			       uint32_t operations)
{
	double sum = 0;
	uint32_t i;

	for (i = 0; i < rounds; i++)
		sum += value[i];
	qsort(value, rounds, sizeof(*value), compare);
	return (struct result){
		.name = name,
		.unit = unit,
		.median = value[rounds / 2] / operations,
		.min = value[0] / operations,
		.mean = sum / rounds / operations,
		.operations = operations,
		.rounds = rounds,
	};
}

/* -------------------------------------------------------------- in the guest -- */

struct run {
	enum guest_id guest;
	uint32_t operations, rounds, operand;
};

/* The stamps' differences in @value. Returns the exits to the VMM. */
static uint64_t run_guest(const struct backend *backend, struct machine *machine,
			  const struct run *run, double *value)
{
	const struct start start = { .rounds = run->rounds, .operand = run->operand };
	const struct stamp *stamps = (const void *)(guest_memory() + GUEST_STAMPS);
	uint64_t exits;
	uint32_t i;

	memset(guest_memory() + GUEST_STAMPS, 0, run->rounds * sizeof(*stamps));
	guest_write(guest_memory(), run->guest, run->operations);
	backend->start(machine, &start);
	exits = backend->run(machine);
	for (i = 0; i < run->rounds; i++) {
		if (!stamps[i].before || stamps[i].after <= stamps[i].before)
			fail("%s: round %u was not measured", backend->name, i);
		value[i] = (double)(stamps[i].after - stamps[i].before);
	}
	return exits;
}

static struct result run_rounds(const struct backend *backend, struct machine *machine,
				const char *name, const struct run *run)
{
	struct run warm_up = *run;
	double value[ROUNDS_MAX];
	struct result result;
	uint64_t exits;

	warm_up.rounds = WARM_UP_ROUNDS;
	run_guest(backend, machine, &warm_up, value);
	count_reset();
	exits = run_guest(backend, machine, run, value);
	result = summarize(name, "ticks", value, run->rounds, run->operations);
	result.exits = exits;
	count_read(result.counts, run->rounds, run->operations);
	return result;
}

static void subtract_ticks(struct result *result, double ticks)
{
	result->median -= ticks;
	result->min -= ticks;
	result->mean -= ticks;
}

/* What the operations' loop costs without the operation. */
static void subtract_loop(struct result *result, const struct result *loop)
{
	uint32_t i;

	subtract_ticks(result, loop->median);
	for (i = 0; i < COUNTERS; i++)
		result->counts[i] -= loop->counts[i];
}

/* One operation of guest code, in a VM of its own. */
static void measure_operation(const struct backend *backend, const char *name,
			      enum guest_id guest, uint32_t operand)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
	const struct run nothing = { GUEST_NOTHING, OPERATIONS, ROUNDS, 0 };
	const struct run run = { guest, OPERATIONS, ROUNDS, operand };
	struct result result, loop;

	backend->complete(machine);
	loop = run_rounds(backend, machine, "", &nothing);
	result = run_rounds(backend, machine, name, &run);
	subtract_loop(&result, &loop);
	backend->destroy(machine);
	report(backend, &result);
}

static void cpuid(const struct backend *backend)
{
	measure_operation(backend, "cpuid", GUEST_CPUID, 0);
}

static void vmcall(const struct backend *backend)
{
	measure_operation(backend, "vmcall", GUEST_VMCALL, 0);
}

static void rdmsr(const struct backend *backend)
{
	measure_operation(backend, "rdmsr", GUEST_RDMSR, 0);
}

static void pio_out(const struct backend *backend)
{
	measure_operation(backend, "pio-out", GUEST_OUT, 0);
}

static void pio_in(const struct backend *backend)
{
	measure_operation(backend, "pio-in", GUEST_IN, 0);
}

static void mmio_write(const struct backend *backend)
{
	measure_operation(backend, "mmio-write", GUEST_STORE, GUEST_DEVICE);
}

static void mmio_read(const struct backend *backend)
{
	measure_operation(backend, "mmio-read", GUEST_LOAD, GUEST_DEVICE);
}

/* ------------------------------------------------------------ computation -- */

#define COMPUTE_ROUNDS	40

/*
 * What a guest that needs nothing of its hypervisor loses: its time over the host's for the same
 * instructions. The mean, as it is the host's timer ticks that make the difference.
 */
static void computation(const struct backend *backend)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
	const struct run run = { GUEST_COMPUTE, 1, COMPUTE_ROUNDS, GUEST_EXTRA_WORD };
	uint32_t *word = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_32BIT, -1, 0);
	struct result result, host, ratio;
	double value[COMPUTE_ROUNDS];
	uint64_t before;
	uint32_t i;

	if (word == MAP_FAILED)
		fail("no memory");
	for (i = 0; i < COMPUTE_ROUNDS; i++) {
		before = rdtsc();
		compute_on_host(word);
		value[i] = (double)(rdtsc() - before);
	}
	munmap(word, PAGE_BYTES);
	host = summarize("computation-host", "ticks", value, COMPUTE_ROUNDS, 1);
	backend->complete(machine);
	result = run_rounds(backend, machine, "computation-guest", &run);
	backend->destroy(machine);
	ratio = (struct result){
		.name = "computation",
		.unit = "ratio",
		.median = result.mean / host.mean,
		.min = result.min / host.min,
		.mean = result.mean / host.mean,
		.operations = 1,
		.rounds = COMPUTE_ROUNDS,
	};
	report(backend, &ratio);
	report(backend, &host);
	report(backend, &result);
}

/* ------------------------------------------------------------ the run ioctl -- */

static void run_return(const struct backend *backend)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
	double value[ROUNDS];
	struct result result;
	uint64_t before;
	uint32_t i, operation;

	backend->complete(machine);
	for (i = 0; i < WARM_UP_ROUNDS; i++)
		backend->return_at_once(machine);
	count_reset();
	for (i = 0; i < ROUNDS; i++) {
		COUNT_MARK(COUNT_MARK_BEGIN);
		before = rdtsc();
		for (operation = 0; operation < OPERATIONS; operation++)
			backend->return_at_once(machine);
		value[i] = (double)(rdtsc() - before);
		COUNT_MARK(COUNT_MARK_END);
	}
	backend->destroy(machine);
	result = summarize("run-return", "ticks", value, ROUNDS, OPERATIONS);
	count_read(result.counts, ROUNDS, OPERATIONS);
	report(backend, &result);
}

/* --------------------------------------------------------------- HLT, timer -- */

#define TIMER_ROUNDS		40

/* From the write of the timer's initial count to the handler, beyond the time that was written. */
static void measure_timer(const struct backend *backend, const char *name, uint32_t us)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, true);
	const struct run run = { GUEST_TIMER, 1, TIMER_ROUNDS, 0 };
	uint32_t count;
	struct result result;

	backend->complete(machine);
	count = (uint32_t)((uint64_t)backend->apic_timer_hz(machine) * us / 1000000);
	memcpy(guest_memory() + GUEST_PARAMETERS + 4, &count, sizeof(count));
	result = run_rounds(backend, machine, name, &run);
	subtract_ticks(&result, (double)backend->tsc_khz(machine) * us / 1000);
	backend->destroy(machine);
	report(backend, &result);
}

static void timer_halt(const struct backend *backend)
{
	measure_timer(backend, "timer-halt", 500);
	measure_timer(backend, "timer-halt-2ms", 2000);
}

/* --------------------------------------------------------------- life cycle -- */

#define CYCLES		24
#define CYCLES_WARM_UP	4

static void life_cycle(const struct backend *backend)
{
	double create[CYCLES], destroy[CYCLES], both[CYCLES];
	uint32_t rounds = CYCLES - CYCLES_WARM_UP, i;
	struct result result;

	for (i = 0; i < CYCLES; i++) {
		uint64_t start, created;
		struct machine *machine;

		if (i == CYCLES_WARM_UP)
			count_reset();
		COUNT_MARK(COUNT_MARK_BEGIN);
		start = rdtsc();
		machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
		created = rdtsc();
		backend->destroy(machine);
		destroy[i] = (double)(rdtsc() - created);
		COUNT_MARK(COUNT_MARK_END);
		create[i] = (double)(created - start);
		both[i] = create[i] + destroy[i];
	}
	result = summarize("life-cycle", "ticks", both + CYCLES_WARM_UP, rounds, 1);
	count_read(result.counts, rounds, 1);
	report(backend, &result);
	result = summarize("create", "ticks", create + CYCLES_WARM_UP, rounds, 1);
	report(backend, &result);
	result = summarize("destroy", "ticks", destroy + CYCLES_WARM_UP, rounds, 1);
	report(backend, &result);
}

#define MANY		1000
#define EDGE		20	/* VMs at either end that are compared */

/* What the last VMs of a thousand in one process cost, against the first of them. */
static void many_machines(const struct backend *backend)
{
	static struct machine *machine[MANY];
	static double create[MANY], destroy[MANY];
	const struct rlimit files = { 3 * MANY + 64, 3 * MANY + 64 };
	struct result first, last, ratio;
	uint64_t start;
	uint32_t i;

	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	for (i = 0; i < CYCLES_WARM_UP; i++)
		backend->destroy(backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false));
	for (i = 0; i < MANY; i++) {
		start = rdtsc();
		machine[i] = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
		create[i] = (double)(rdtsc() - start);
	}
	/* The last one goes first: destroy[i] is with i others alive. */
	for (i = MANY; i-- > 0;) {
		start = rdtsc();
		backend->destroy(machine[i]);
		destroy[i] = (double)(rdtsc() - start);
	}
	for (i = 0; i < MANY; i++)
		create[i] += destroy[i];
	first = summarize("many-first", "ticks", create, EDGE, 1);
	last = summarize("many-last", "ticks", create + MANY - EDGE, EDGE, 1);
	ratio = (struct result){
		.name = "many-growth",
		.unit = "ratio",
		.median = last.median / first.median,
		.min = last.min / first.min,
		.mean = last.mean / first.mean,
		.operations = 1,
		.rounds = EDGE,
	};
	report(backend, &first);
	report(backend, &last);
	report(backend, &ratio);
}

/* ------------------------------------------------------------------- memory -- */

#define MEMORY_MACHINES	50

static long free_kib(void)
{
	long pages = 0, free_kib = -1, count;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		fail("/proc/meminfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %ld kB", &count) == 1)
			free_kib = count;
	fclose(file);
	/* Free pages that CPUs keep on lists of their own are not in MemFree. */
	file = fopen("/proc/zoneinfo", "re");
	if (!file || free_kib < 0)
		fail("/proc/zoneinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	fclose(file);
	return free_kib + pages * (PAGE_BYTES / 1024);
}

/* Kernel memory that a VM with one vCPU occupies; @run: after its vCPU has run. */
static void measure_memory(const struct backend *backend, const char *name, bool run)
{
	struct machine *machine[MEMORY_MACHINES];
	const struct run nothing = { GUEST_NOTHING, 1, 1, 0 };
	struct result result;
	double value[1];
	long before;
	uint32_t i;

	/* What the first VMs bring into being for all, slab pages above all. */
	for (i = 0; i < MEMORY_MACHINES; i++)
		machine[i] = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
	for (i = 0; i < MEMORY_MACHINES; i++)
		backend->destroy(machine[i]);
	usleep(200000);
	before = free_kib();
	for (i = 0; i < MEMORY_MACHINES; i++) {
		machine[i] = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
		if (run) {
			double ignored[1];

			backend->complete(machine[i]);
			run_guest(backend, machine[i], &nothing, ignored);
		}
	}
	usleep(200000);
	value[0] = (double)(before - free_kib()) / MEMORY_MACHINES;
	for (i = 0; i < MEMORY_MACHINES; i++)
		backend->destroy(machine[i]);
	result = summarize(name, "KiB", value, 1, 1);
	report(backend, &result);
}

static void idle_memory(const struct backend *backend)
{
	measure_memory(backend, "idle-memory", false);
	measure_memory(backend, "idle-memory-run", true);
}

/* ------------------------------------------------------------ EPT violations -- */

#define TOUCHES		64
#define EXTRA_BYTES	(ROUNDS * TOUCHES * PAGE_BYTES)
#define LARGE_BYTES	(2u << 20)

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
		memset(extra, 1, bytes);
	return extra;
}

/* The first touch of each of a round's @operations pages: no warm-up is possible. */
static void measure_touch(const struct backend *backend, const char *name, void *extra,
			  size_t bytes, uint32_t operations)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
	const struct run run = { GUEST_TOUCH, bytes / PAGE_BYTES / ROUNDS, ROUNDS, GUEST_EXTRA };
	double value[ROUNDS], again[ROUNDS];
	struct result result, loop;

	backend->complete(machine);
	backend->add_memory(machine, extra, bytes);
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

static void ept_resident(const struct backend *backend)
{
	measure_touch(backend, "ept-resident",
		      extra_memory(EXTRA_BYTES, MADV_NOHUGEPAGE, true), EXTRA_BYTES, TOUCHES);
}

static void ept_absent(const struct backend *backend)
{
	measure_touch(backend, "ept-absent",
		      extra_memory(EXTRA_BYTES, MADV_NOHUGEPAGE, false), EXTRA_BYTES, TOUCHES);
}

/* A large page a round, of which each small one is touched. */
static void ept_large(const struct backend *backend)
{
	const size_t bytes = (size_t)ROUNDS * LARGE_BYTES;

	measure_touch(backend, "ept-large", extra_memory(bytes, MADV_HUGEPAGE, true), bytes, 1);
}

const struct row rows[] = {
	{ "cpuid", cpuid },
	{ "vmcall", vmcall },
	{ "rdmsr", rdmsr },
	{ "pio-out", pio_out },
	{ "pio-in", pio_in },
	{ "mmio-write", mmio_write },
	{ "mmio-read", mmio_read },
	{ "computation", computation },
	{ "run-return", run_return },
	{ "timer-halt", timer_halt },
	{ "life-cycle", life_cycle },
	{ "many-machines", many_machines },
	{ "idle-memory", idle_memory },
	{ "ept-resident", ept_resident },
	{ "ept-absent", ept_absent },
	{ "ept-large", ept_large },
};
const size_t row_count = COUNT(rows);
