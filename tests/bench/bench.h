/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The benchmark: the same guest code and the same measurements on two hypervisors.
 *
 * A row (rows.c) knows what is measured and nothing of who runs it; a backend (backend_*.c) knows
 * how a VMM uses its hypervisor and nothing of what is measured; guest.c has the guest's code.
 * Whatever fails ends the program with a line and status 2: half a measurement is none.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counters.h"

/* Where things lie in the guest's memory; GUEST_ORIGIN_BYTES from 0 are memory. */
#define GUEST_CODE		0x1000u
#define GUEST_GDT		0x2000u
#define GUEST_IDT		0x3000u
#define GUEST_PARAMETERS	0x7000u		/* u32: operations a round, u32: the guest's own */
#define GUEST_EXTRA_WORD	0x8000u		/* for the guest's own use */
#define GUEST_STAMPS		0x20000u	/* struct stamp, one a round */
#define GUEST_STACK		0x80000u
#define GUEST_ORIGIN_BYTES	0x200000u
#define VCPUS_MAX		2
#define GUEST_DEVICE		0xd0000000u	/* no memory: accesses go to the VMM */
#define GUEST_EXTRA		0x10000000u	/* memory that a row adds */

#define SELECTOR_CODE		0x08
#define SELECTOR_DATA		0x10

#define PORT_DEVICE		0x10		/* the VMM's device */
#define PORT_DONE		0xff		/* an OUT ends backend->run() */
#define DEVICE_VALUE		0x55		/* what each byte of the VMM's device reads */

struct stamp {
	uint64_t before, after;
};

/**
 * struct start - registers a guest starts with, in flat 32-bit protected mode without paging
 * @rounds: EBP
 * @operand: EDI
 * @stamps: ESI
 */
struct start {
	uint32_t rounds;
	uint32_t operand;
	uint32_t stamps;
};

struct machine;

/**
 * struct backend - a hypervisor, as the simplest VMM uses it
 * @name: of the column
 * @open: once, before anything else
 * @create: VM, @bytes of @memory from guest-physical address 0, one vCPU
 * @destroy: all of it, but not @memory
 * @add_vcpu: a second one
 * @complete: CPUID as the hypervisor supports it, and the local APIC; before the first run
 * @start: load the registers
 * @run: run the guest and serve its device accesses until OUT to PORT_DONE; returns the number of
 *	exits it served
 * @return_at_once: enter the kernel to run the guest, and come back before it runs
 * @add_memory: more memory, at GUEST_EXTRA
 * @remove_memory: take that away
 * @track: begin to track the guest's writes to that memory
 * @untrack: end it
 * @harvest: set the bits of its pages that were written since the last time; @bitmap
 *	has one for each and is clear
 * @apic_timer_hz: of the guest's local APIC, undivided
 * @tsc_khz: of the guest
 */
struct backend {
	const char *name;
	void (*open)(void);
	struct machine *(*create)(void *memory, uint64_t bytes, bool apic);
	void (*destroy)(struct machine *machine);
	void (*add_vcpu)(struct machine *machine);
	void (*complete)(struct machine *machine);
	void (*start)(struct machine *machine, unsigned int vcpu, const struct start *start);
	uint64_t (*run)(struct machine *machine, unsigned int vcpu);
	void (*return_at_once)(struct machine *machine);
	void (*add_memory)(struct machine *machine, void *memory, uint64_t bytes);
	void (*remove_memory)(struct machine *machine);
	void (*track)(struct machine *machine);
	void (*untrack)(struct machine *machine);
	void (*harvest)(struct machine *machine, uint64_t *bitmap);
	uint32_t (*apic_timer_hz)(struct machine *machine);
	uint32_t (*tsc_khz)(struct machine *machine);
};

extern const struct backend backend_kvm, backend_vhm;

/* ------------------------------------------------------------------ guest -- */

/**
 * struct guest - a piece of guest code
 * @code: its first byte
 * @bytes: its length
 * @handler: offset of the interrupt handler, or 0
 */
struct guest {
	const uint8_t *code;
	size_t bytes;
	size_t handler;
};

enum guest_id {
	GUEST_NOTHING,
	GUEST_CPUID,
	GUEST_VMCALL,
	GUEST_RDMSR,
	GUEST_OUT,
	GUEST_IN,
	GUEST_STORE,
	GUEST_LOAD,
	GUEST_TOUCH,
	GUEST_TOUCH_UNCOUNTED,
	GUEST_SCATTER,
	GUEST_SCATTER_UNCOUNTED,
	GUEST_WAIT,
	GUEST_COMPUTE,
	GUEST_TIMER,
	GUEST_COUNT,
};

struct guest guest_find(enum guest_id id);
/* Code, tables and parameters into the guest's memory. */
void guest_write(uint8_t *memory, enum guest_id id, uint32_t operations);

#define COMPUTE_TURNS	100000

/* The operation of GUEST_COMPUTE; the operand lies below 4 GiB. */
void compute_on_host(uint32_t *operand);

/* --------------------------------------------------------------- counters -- */

/* Begin and end of a round, in the host's part of the measurements; guest code has its own. */
#define COUNT_MARK(mark)	__asm__ volatile("prefetchnta %c0" : : "i"(mark) : "memory")

/* Without this nothing is counted, and count_read() gives zeros. False: nothing counts here. */
bool count_try(void);
/* The same, and it must be possible. */
void count_enable(void);
void count_reset(void);
/* Per operation, of the median round since the reset; there must have been @rounds. */
void count_read(double counts[COUNTERS], uint32_t rounds, uint32_t operations);
/* Each of @rounds as a row, one line of CSV a counter that is not 0. */
void count_print_rounds(const char *backend, const char *const *row, uint32_t rounds);
/* Valid until the next call. */
const char *count_name(uint32_t counter);

/* ------------------------------------------------------------------- rows -- */

/**
 * struct row - one measurement
 * @name: of the command line and of the result
 * @measure: does it, and calls report() once or more
 * @cpus: that the host must have
 */
struct row {
	const char *name;
	void (*measure)(const struct backend *backend);
	long cpus;
};

void measure_ept_resident(const struct backend *backend);
void measure_ept_absent(const struct backend *backend);
void measure_ept_large(const struct backend *backend);
void measure_track_harvest(const struct backend *backend);
void measure_track_small(const struct backend *backend);
void measure_track_large(const struct backend *backend);
void measure_unmap_running(const struct backend *backend);
void measure_parallel_faults(const struct backend *backend);

extern const struct row rows[];
extern const size_t row_count;

/* ------------------------------------------------------------------- main -- */

/**
 * struct result - what a row has found
 * @name: of the result
 * @unit: "ticks" (of the TSC), "KiB", "ratio", "number"
 * @median: over all rounds, per operation
 * @min: fastest round
 * @mean: over all rounds
 * @operations: operations a round
 * @rounds: number of rounds
 * @exits: exits to the VMM in all
 * @counts: events an operation, of the median round
 */
struct result {
	const char *name;
	const char *unit;
	double median, min, mean;
	uint32_t operations;
	uint32_t rounds;
	uint64_t exits;
	double counts[COUNTERS];
};

void report(const struct backend *backend, const struct result *result);
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
/* Value of a call that must not return a negative number; @what names it. */
long must(long value, const char *what);

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

#endif /* BENCH_H */
