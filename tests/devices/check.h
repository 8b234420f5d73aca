/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the device models share: one program, a list of tests for each model. A
 * test fails when one of its checks does; it goes on then, so that one run shows all of them.
 */
#ifndef TESTS_DEVICES_CHECK_H
#define TESTS_DEVICES_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

struct test {
	const char *name;
	void (*run)(void);
};

extern const struct test bus_tests[], uart_tests[], ioapic_tests[], rtc_tests[], power_tests[],
	acpi_tests[], fuzz_tests[], thread_tests[];

void check_failed(const char *file, int line, const char *text);

#define CHECK(condition)						\
	do {								\
		if (!(condition))					\
			check_failed(__FILE__, __LINE__, #condition);	\
	} while (0)

void check_equal(const char *file, int line, const char *text, uint64_t is, uint64_t wanted);

#define CHECK_EQUAL(is, wanted)						\
	check_equal(__FILE__, __LINE__, #is, (uint64_t)(is), (uint64_t)(wanted))

/* A pseudo-random number; the same sequence in each run that has the same seed. */
uint32_t check_random(void);

#endif /* TESTS_DEVICES_CHECK_H */
