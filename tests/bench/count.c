// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulator's counters: what each measured round was, in events. tests/rig/bochs/count/counters.h
 * is the contract. Only where --count asks for it is a port touched; the marks themselves are
 * prefetches and harmless anywhere.
 */
#include "bench.h"

#include <stdlib.h>
#include <sys/io.h>

#define RING_3_PORTS	3

static bool enabled;

#define X(identifier, name) [COUNT_##identifier] = name,
static const char *const names[COUNTERS] = { COUNTERS_LIST(X) };
#undef X

static uint32_t ask(uint32_t question)
{
	outl(question, COUNT_PORT);
	return inl(COUNT_PORT);
}

void count_enable(void)
{
	must(iopl(RING_3_PORTS), "iopl");
	if (ask(COUNT_ASK_MAGIC) != COUNT_MAGIC)
		fail("this is no emulator that counts");
	if (ask(COUNT_ASK_COUNTERS) != COUNTERS)
		fail("the emulator counts other things than this program knows");
	enabled = true;
}

const char *count_name(uint32_t counter)
{
	return names[counter];
}

void count_reset(void)
{
	COUNT_MARK(COUNT_MARK_RESET);
}

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* The median round of each counter by itself: what one round in a few had is not the operation's. */
void count_read(double counts[COUNTERS], uint32_t rounds, uint32_t operations)
{
	uint64_t value[COUNT_ROUNDS_MAX];
	uint32_t counter, i;

	for (counter = 0; counter < COUNTERS; counter++)
		counts[counter] = 0;
	if (!enabled)
		return;
	if (ask(COUNT_ASK_ROUNDS) != rounds)
		fail("%u rounds, and the emulator saw %u", rounds, ask(COUNT_ASK_ROUNDS));
	for (counter = 0; counter < COUNTERS; counter++) {
		for (i = 0; i < rounds; i++)
			value[i] = ask(COUNT_ASK(i, counter, 0)) |
				   (uint64_t)ask(COUNT_ASK(i, counter, 1)) << 32;
		qsort(value, rounds, sizeof(value[0]), compare);
		counts[counter] = (double)value[rounds / 2] / operations;
	}
}
