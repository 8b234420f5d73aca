// SPDX-License-Identifier: GPL-2.0-only
/*
 * The emulator's counters: what each measured round was, in events. tests/rig/bochs/count/counters.h
 * is the contract. Only where --count asks for it is a port touched; the marks themselves are
 * prefetches and harmless anywhere.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

#define RING_3_PORTS	3

static bool enabled;

#define X(identifier, name) [COUNT_##identifier] = name,
static const char *const names[COUNTERS] = { COUNTERS_LIST(X) };
#undef X

/* A thread that may access ports returns from each system call more slowly: only while it does. */
static uint32_t ask(uint32_t question)
{
	uint32_t answer;

	must(iopl(RING_3_PORTS), "iopl");
	outl(question, COUNT_PORT);
	answer = inl(COUNT_PORT);
	must(iopl(0), "iopl");
	return answer;
}

bool count_try(void)
{
	enabled = !iopl(RING_3_PORTS) && ask(COUNT_ASK_MAGIC) == COUNT_MAGIC;
	if (enabled && ask(COUNT_ASK_COUNTERS) != COUNTERS)
		fail("the emulator counts other things than this program knows");
	return enabled;
}

void count_enable(void)
{
	if (!count_try())
		fail("this is no emulator that counts");
}

static uint64_t ask_counter(uint32_t round, uint32_t counter)
{
	return ask(COUNT_ASK(round, counter, 0)) | (uint64_t)ask(COUNT_ASK(round, counter, 1)) << 32;
}

const char *count_name(uint32_t counter)
{
	static char reason[16];

	if (names[counter])
		return names[counter];
	snprintf(reason, sizeof(reason), "exit-%u", counter - COUNT_EXIT_REASON);
	return reason;
}

void count_print_rounds(const char *backend, const char *const *row, uint32_t rounds)
{
	uint32_t round, counter;
	uint64_t value;

	if (ask(COUNT_ASK_ROUNDS) != rounds)
		fail("%u rounds, and the emulator saw %u", rounds, ask(COUNT_ASK_ROUNDS));
	for (round = 0; round < rounds; round++) {
		for (counter = 0; counter < COUNTERS; counter++) {
			value = ask_counter(round, counter);
			if (value)
				printf("%s,%s,%s,%llu,,,1,1,\n", row[round], backend,
				       count_name(counter), (unsigned long long)value);
		}
	}
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
	/* The emulator's clock is coarser than the TSC, which is what rounds are timed by. */
	for (counter = COUNT_TICKS + 1; counter < COUNTERS; counter++) {
		for (i = 0; i < rounds; i++)
			value[i] = ask_counter(i, counter);
		qsort(value, rounds, sizeof(value[0]), compare);
		counts[counter] = (double)value[rounds / 2] / operations;
	}
}
