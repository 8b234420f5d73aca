// SPDX-License-Identifier: GPL-2.0-only
/*
 * The benchmark's program: runs rows on one backend, one line of CSV a result. It runs where the
 * hypervisor is, in the emulated host or on a real machine; tests/bench/run puts both together.
 */
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STATUS_FAILED	2

void fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	va_start(arguments, format);
	fputs("bench: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(STATUS_FAILED);
}

long must(long value, const char *what)
{
	if (value < 0)
		fail("%s: %s", what, strerror(errno));
	return value;
}

void report(const struct backend *backend, const struct result *result)
{
	uint32_t counter;

	printf("%s,%s,%s,%.3f,%.3f,%.3f,%u,%u,%llu\n", result->name, backend->name, result->unit,
	       result->median, result->min, result->mean, result->operations, result->rounds,
	       (unsigned long long)result->exits);
	for (counter = 0; counter < COUNTERS; counter++) {
		if (result->counts[counter] != 0)
			printf("%s,%s,%s,%.3f,,,%u,%u,\n", result->name, backend->name,
			       count_name(counter), result->counts[counter], result->operations,
			       result->rounds);
	}
	fflush(stdout);
}

/* The TSC's frequency, for who wants nanoseconds. */
static void report_clock(const struct backend *backend)
{
	void *memory = mmap(NULL, GUEST_ORIGIN_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct machine *machine;

	if (memory == MAP_FAILED)
		fail("no memory");
	machine = backend->create(memory, GUEST_ORIGIN_BYTES, false);
	printf("tsc,%s,kHz,%u,,,1,1,\n", backend->name, backend->tsc_khz(machine));
	backend->destroy(machine);
	munmap(memory, GUEST_ORIGIN_BYTES);
}

static const struct row *find_row(const char *name)
{
	size_t i;

	for (i = 0; i < row_count; i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	fail("no row '%s'", name);
}

static void usage(void)
{
	size_t i;

	printf("usage: bench [--count] kvm|vhm [ROW...]\n"
	       "       bench --launch PROGRAM [ARGUMENT...]\n"
	       "       bench --rounds BACKEND ROW...\n"
	       "Measures all rows that the host has CPUs for, or those named, and prints\n"
	       "name,backend,unit,median,min,mean,operations,rounds,exits\n"
	       "--count: and what the emulator counted, an operation, with the event as the unit\n"
	       "--launch: execute a program that runs a guest; the emulator counts from there to the\n"
	       "guest's first instruction, and from there to the guest's mark\n"
	       "--rounds: print what was counted so, under these names\n"
	       "Rows:");
	for (i = 0; i < row_count; i++)
		printf(" %s", rows[i].name);
	printf("\n");
}

static const struct backend *find_backend(const char *name)
{
	if (!strcmp(name, backend_kvm.name))
		return &backend_kvm;
	if (!strcmp(name, backend_vhm.name))
		return &backend_vhm;
	fail("no backend '%s'", name);
}

static void launch(char **argv)
{
	count_reset();
	COUNT_MARK(COUNT_MARK_ARM);
	execvp(argv[0], argv);
	must(-1, argv[0]);
}

int main(int argc, char **argv)
{
	const struct backend *backend;
	int i;

	if (argc > 2 && !strcmp(argv[1], "--launch"))
		launch(argv + 2);
	if (argc > 3 && !strcmp(argv[1], "--rounds")) {
		count_enable();
		count_print_rounds(argv[2], (const char *const *)argv + 3, (uint32_t)argc - 3);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "--count")) {
		count_enable();
		argv++, argc--;
	}
	if (argc < 2 || !strcmp(argv[1], "--help")) {
		usage();
		return argc < 2 ? STATUS_FAILED : 0;
	}
	backend = find_backend(argv[1]);
	for (i = 2; i < argc; i++)
		find_row(argv[i]);
	backend->open();
	report_clock(backend);
	for (i = 2; i < argc; i++)
		find_row(argv[i])->measure(backend);
	for (i = 0; argc == 2 && i < (int)row_count; i++) {
		if (rows[i].cpus <= sysconf(_SC_NPROCESSORS_ONLN))
			rows[i].measure(backend);
	}
	return 0;
}
