/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What rows are made of: memory of a guest, rounds of its code, statistics of rounds.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include "bench.h"

#define ROUNDS		64
#define WARM_UP_ROUNDS	8
#define OPERATIONS	100
#define ROUNDS_MAX	1024
#define PAGE_BYTES	4096u
#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* GUEST_ORIGIN_BYTES, the same for each guest. In the host's memory: no row pays for its page faults. */
uint8_t *guest_memory(void);

/* Sorts @rounds values, each of @operations operations. */
struct result summarize(const char *name, const char *unit, double *value, uint32_t rounds,
			uint32_t operations);
/* A value that is no statistic. */
struct result single(const char *name, const char *unit, double value);
void subtract_ticks(struct result *result, double ticks);
/* What the operations' loop costs without the operation. */
void subtract_loop(struct result *result, const struct result *loop);

/**
 * struct run - what a guest is to do
 * @guest: its code
 * @operations: in each round
 * @rounds: each with its stamps
 * @operand: see struct start
 * @vcpu: who
 */
struct run {
	enum guest_id guest;
	uint32_t operations, rounds, operand;
	unsigned int vcpu;
};

/* The second parameter of the guest's code. */
void set_parameter(uint32_t value);
/* The stamps' differences in @value. Returns the exits to the VMM. */
uint64_t run_guest(const struct backend *backend, struct machine *machine, const struct run *run,
		   double *value);
/* The same in two steps: the code is written once, then each vCPU may do it in a thread of its own. */
void prepare_guest(const struct run *run);
uint64_t run_prepared(const struct backend *backend, struct machine *machine, const struct run *run,
		      double *value);
/* With a warm-up, and all events counted. */
struct result run_rounds(const struct backend *backend, struct machine *machine, const char *name,
			 const struct run *run);

#endif /* MEASURE_H */
