// SPDX-License-Identifier: GPL-2.0-only
/*
 * What rows are made of, see measure.h. Knows neither rows nor hypervisors.
 */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

uint8_t *guest_memory(void)
{
	static uint8_t *memory;

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

struct result summarize(const char *name, const char *unit, double *value, uint32_t rounds,
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

struct result single(const char *name, const char *unit, double value)
{
	return summarize(name, unit, &value, 1, 1);
}

void subtract_ticks(struct result *result, double ticks)
{
	result->median -= ticks;
	result->min -= ticks;
	result->mean -= ticks;
}

void subtract_loop(struct result *result, const struct result *loop)
{
	uint32_t i;

	subtract_ticks(result, loop->median);
	for (i = 0; i < COUNTERS; i++)
		result->counts[i] -= loop->counts[i];
}

/* -------------------------------------------------------------- in the guest -- */

/* Each vCPU has stamps of its own. */
static uint32_t stamps_of(const struct run *run)
{
	return GUEST_STAMPS + run->vcpu * ROUNDS_MAX * (uint32_t)sizeof(struct stamp);
}

void set_parameter(uint32_t value)
{
	memcpy(guest_memory() + GUEST_PARAMETERS + 4, &value, sizeof(value));
}

void prepare_guest(const struct run *run)
{
	guest_write(guest_memory(), run->guest, run->operations);
}

uint64_t run_prepared(const struct backend *backend, struct machine *machine, const struct run *run,
		      double *value)
{
	const struct start start = {
		.rounds = run->rounds, .operand = run->operand, .stamps = stamps_of(run),
	};
	const struct stamp *stamps = (const void *)(guest_memory() + start.stamps);
	uint64_t exits;
	uint32_t i;

	memset(guest_memory() + start.stamps, 0, run->rounds * sizeof(*stamps));
	backend->start(machine, run->vcpu, &start);
	exits = backend->run(machine, run->vcpu);
	for (i = 0; i < run->rounds; i++) {
		if (!stamps[i].before || stamps[i].after <= stamps[i].before)
			fail("%s: round %u was not measured", backend->name, i);
		value[i] = (double)(stamps[i].after - stamps[i].before);
	}
	return exits;
}

uint64_t run_guest(const struct backend *backend, struct machine *machine, const struct run *run,
		   double *value)
{
	prepare_guest(run);
	return run_prepared(backend, machine, run, value);
}

struct result run_rounds(const struct backend *backend, struct machine *machine, const char *name,
			 const struct run *run)
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
