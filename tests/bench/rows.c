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
#include "measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One operation of guest code, in a VM of its own. */
static void measure_operation(const struct backend *backend, const char *name,
			      enum guest_id guest, uint32_t operand)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);
	const struct run nothing = { GUEST_NOTHING, OPERATIONS, ROUNDS, 0, 0 };
	const struct run run = { guest, OPERATIONS, ROUNDS, operand, 0 };
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
	const struct run run = { GUEST_COMPUTE, 1, COMPUTE_ROUNDS, GUEST_EXTRA_WORD, 0 };
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

/* Calls of the host, without a guest in them, as many as there are operations of a guest. */
static void measure_calls(const struct backend *backend, const char *name, struct machine *machine,
			  void (*call)(struct machine *machine))
{
	double value[ROUNDS];
	struct result result;
	uint64_t before;
	uint32_t i, operation;

	for (i = 0; i < WARM_UP_ROUNDS; i++)
		call(machine);
	count_reset();
	for (i = 0; i < ROUNDS; i++) {
		COUNT_MARK(COUNT_MARK_BEGIN);
		before = rdtsc();
		for (operation = 0; operation < OPERATIONS; operation++)
			call(machine);
		value[i] = (double)(rdtsc() - before);
		COUNT_MARK(COUNT_MARK_END);
	}
	result = summarize(name, "ticks", value, ROUNDS, OPERATIONS);
	count_read(result.counts, ROUNDS, OPERATIONS);
	report(backend, &result);
}

static int not_a_driver;

/* What the host itself does for an ioctl on a file that is no driver's: it finds that out last. */
static void host_ioctl(struct machine *unused)
{
	long result;

	(void)unused;
	/* past the C library, as libvhm */
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((long)SYS_ioctl), "D"((long)not_a_driver), "S"(0L), "d"(0L)
			 : "rcx", "r11", "memory");
}

static void run_return(const struct backend *backend)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, false);

	backend->complete(machine);
	measure_calls(backend, "run-return", machine, backend->return_at_once);
	backend->destroy(machine);
	not_a_driver = eventfd(0, EFD_CLOEXEC);
	if (not_a_driver < 0)
		fail("no eventfd");
	measure_calls(backend, "ioctl-host", NULL, host_ioctl);
	close(not_a_driver);
}

/* --------------------------------------------------------------- HLT, timer -- */

#define TIMER_ROUNDS		40

/* From the write of the timer's initial count to the handler, beyond the time that was written. */
static void measure_timer(const struct backend *backend, const char *name, uint32_t us)
{
	struct machine *machine = backend->create(guest_memory(), GUEST_ORIGIN_BYTES, true);
	const struct run run = { GUEST_TIMER, 1, TIMER_ROUNDS, 0, 0 };
	struct result result;

	backend->complete(machine);
	set_parameter((uint32_t)((uint64_t)backend->apic_timer_hz(machine) * us / 1000000));
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
	const struct run nothing = { GUEST_NOTHING, 1, 1, 0, 0 };
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

const struct row rows[] = {
	{ "cpuid", cpuid, 1 },
	{ "vmcall", vmcall, 1 },
	{ "rdmsr", rdmsr, 1 },
	{ "pio-out", pio_out, 1 },
	{ "pio-in", pio_in, 1 },
	{ "mmio-write", mmio_write, 1 },
	{ "mmio-read", mmio_read, 1 },
	{ "computation", computation, 1 },
	{ "run-return", run_return, 1 },
	{ "timer-halt", timer_halt, 1 },
	{ "life-cycle", life_cycle, 1 },
	{ "many-machines", many_machines, 1 },
	{ "idle-memory", idle_memory, 1 },
	{ "ept-resident", measure_ept_resident, 1 },
	{ "ept-absent", measure_ept_absent, 1 },
	{ "ept-large", measure_ept_large, 1 },
	{ "track-harvest", measure_track_harvest, 1 },
	{ "track-small", measure_track_small, 1 },
	{ "track-large", measure_track_large, 1 },
	{ "unmap-running", measure_unmap_running, 2 },
	{ "parallel-faults", measure_parallel_faults, 2 },
};
const size_t row_count = COUNT(rows);
