// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs all cases, or those whose name contains the argument, or with -NAME those whose name
 * does not; the last line counts them.
 *
 * VHM_TEST_SEED repeats a run: the seed is printed first.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test.h"

static uint64_t random_state;
static unsigned int failures;		/* of the running case */

bool check_that(bool condition, const char *file, int line, const char *format, ...)
{
	va_list arguments;

	if (condition)
		return true;
	if (failures++ < 10) {
		printf("    %s:%d: ", file, line);
		va_start(arguments, format);
		vprintf(format, arguments);
		va_end(arguments);
		putchar('\n');
	}
	return false;
}

/* splitmix64: a few lines, and any seed will do */
uint64_t random64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t random_below(uint32_t limit)
{
	return (uint32_t)(random64() % limit);
}

/* NAME: cases with it in their names; -NAME: those without */
static bool is_chosen(const char *name, const char *argument)
{
	return *argument == '-' ? !strstr(name, argument + 1) : !!strstr(name, argument);
}

int main(int argc, char **argv)
{
	const char *seed = getenv("VHM_TEST_SEED");
	unsigned int passed = 0, failed = 0;
	const struct test_case *test;
	size_t i;

	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("seed %#llx\n", (unsigned long long)random_state);
	for (i = 0; test_groups[i]; i++) {
		for (test = test_groups[i]; test->name; test++) {
			if (argc > 1 && !is_chosen(test->name, argv[1]))
				continue;
			failures = 0;
			test->run();
			printf("%s %s\n", failures ? "not ok" : "ok", test->name);
			fflush(stdout);
			if (failures)
				failed++;
			else
				passed++;
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
