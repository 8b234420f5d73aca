// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the device models: runs all of them, or with --threads those that need the thread
 * sanitizer. The last line is "N passed, N failed".
 *
 * VHM_SEED in the environment replays a run of the fuzzer.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned int failures;
static uint64_t random_state;

void check_failed(const char *file, int line, const char *text)
{
	failures++;
	printf("%s:%d: not so: %s\n", file, line, text);
}

void check_equal(const char *file, int line, const char *text, uint64_t is, uint64_t wanted)
{
	if (is == wanted)
		return;
	failures++;
	printf("%s:%d: %s is 0x%" PRIx64 ", should be 0x%" PRIx64 "\n", file, line, text, is,
	       wanted);
}

uint32_t check_random(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33);
}

static void run_all(const struct test *tests, unsigned int *passed, unsigned int *failed)
{
	for (; tests->name; tests++) {
		unsigned int before = failures;

		tests->run();
		if (failures == before) {
			(*passed)++;
			printf("@pass %s\n", tests->name);
		} else {
			(*failed)++;
			printf("@fail %s\n", tests->name);
		}
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static const struct test *const native[] = {
		bus_tests, uart_tests, ioapic_tests, rtc_tests, power_tests, acpi_tests,
		fuzz_tests, NULL,
	};
	static const struct test *const threads[] = { thread_tests, NULL };
	const char *seed = getenv("VHM_SEED");
	const struct test *const *suite = native;
	unsigned int passed = 0, failed = 0;

	if (argc > 1 && !strcmp(argv[1], "--threads"))
		suite = threads;
	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("VHM_SEED=%" PRIu64 "\n", random_state);
	for (; *suite; suite++)
		run_all(*suite, &passed, &failed);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
