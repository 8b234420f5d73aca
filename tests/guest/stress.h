/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the SMP stress share: workers, the clock, the one way to fail.
 *
 * A kind is one sort of work; its workers are threads that run until stopping() and count what
 * they have done and found right. Whoever finds something wrong calls mismatch(), which ends the
 * program. Does not know what the kinds do.
 */
#ifndef STRESS_H
#define STRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define MAX_CPUS	64
#define NSEC_PER_MSEC	1000000ull
#define NSEC_PER_SEC	1000000000ull

#define ARRAY_LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

struct kind;

/**
 * struct worker - one thread
 * @kind: what it does
 * @index: which one of its kind
 * @cpu: the CPU of its own: by number, counted among those the program may use
 * @random: state of next_random(), its own
 * @operations: done and found right; read by the main thread
 * @tid: for signals; set before any worker of the kind runs
 * @thread: for the end
 */
struct worker {
	const struct kind *kind;
	unsigned int index;
	unsigned int cpu;
	uint64_t random;
	_Atomic uint64_t operations;
	_Atomic pid_t tid;
	pthread_t thread;
};

/**
 * struct kind - one sort of work
 * @name: in the output; the faults that it can find are called NAME-something
 * @workers: how many there are on a machine with that many CPUs
 * @prepare: once, before the first worker starts; may be NULL
 * @run: a worker; returns after stopping()
 * @finish: once, after all have stopped: the last sums; may be NULL
 */
struct kind {
	const char *name;
	unsigned int (*workers)(unsigned int cpus);
	void (*prepare)(struct worker *workers, unsigned int count);
	void (*run)(struct worker *worker);
	void (*finish)(void);
};

extern const struct kind kind_membarrier, kind_migrate, kind_pingpong, kind_signal;
extern const struct kind kind_tlb;
extern const struct kind kind_sleep, kind_timer, kind_timerfd, kind_clock;
extern const struct kind kind_fpu;
extern const struct kind kind_exec, kind_cow;

/* One injected fault each, named by --break. A fault named KIND-... must be found by KIND. */
enum fault {
	FAULT_NONE,
	FAULT_MEMBARRIER_EARLY,		/* memory is reused while a reader still has it */
	FAULT_MIGRATE_CPU,		/* the kernel names another CPU */
	FAULT_MIGRATE_AUX,		/* RDTSCP names another CPU */
	FAULT_PINGPONG_SEQUENCE,	/* a message is skipped */
	FAULT_PINGPONG_WAKE,		/* a wake-up is left out */
	FAULT_SIGNAL_LOST,		/* a handler does not count */
	FAULT_SIGNAL_TWICE,		/* a handler counts twice */
	FAULT_TLB_PERMISSION,		/* a page stays readable that should not */
	FAULT_TLB_SPURIOUS,		/* a page faults that should not */
	FAULT_TLB_FRAME,		/* an address leads to another page */
	FAULT_TLB_STORE,		/* a store goes elsewhere */
	FAULT_TLB_DISCARD,		/* discarded contents are still there */
	FAULT_SLEEP_EARLY,		/* a sleep ends too soon */
	FAULT_SLEEP_LATE,		/* a sleep ends much too late */
	FAULT_TIMER_EARLY,		/* a timer expires too soon */
	FAULT_TIMER_LOST,		/* an expiration is not counted */
	FAULT_TIMERFD_EARLY,
	FAULT_TIMERFD_LOST,
	FAULT_CLOCK_BACK,		/* the clock of one CPU is behind */
	FAULT_CLOCK_TSC,		/* the TSC of one CPU is behind */
	FAULT_FPU_VECTOR,		/* a bit of a vector register flips */
	FAULT_FPU_CONTROL,		/* another rounding mode in MXCSR */
	FAULT_FPU_X87,
	FAULT_FPU_GENERAL,		/* a bit of a general register flips */
	FAULT_FPU_GS,			/* another GS base */
	FAULT_EXEC_STATUS,		/* the child's exit status differs */
	FAULT_EXEC_INPUT,		/* a byte to the child differs */
	FAULT_EXEC_OUTPUT,		/* a byte from the child differs */
	FAULT_COW_CONTENT,		/* the child sees what its parent wrote later */
	FAULT_CLOCK_STUCK,		/* a worker does nothing any more */
	FAULT_COUNT,
};

/* main.c */
extern uint64_t patience_ns;	/* how late anything may be */
bool stopping(void);
bool inject(enum fault fault);
void done(struct worker *worker);
void __attribute__((noreturn, format(printf, 2, 3)))
mismatch(const struct worker *worker, const char *format, ...);
void must(const struct worker *worker, bool success, const char *call);
unsigned int cpu_count(void);
int cpu_number(unsigned int nth);
void pin(const struct worker *worker, unsigned int nth);
uint64_t now_ns(clockid_t clock);
uint64_t next_random(uint64_t *state);
unsigned int one_per_cpu(unsigned int cpus);

/* processes.c: what this program is when the kind "exec" starts it */
int exec_child(const char *seed, const char *bytes);

static inline uint64_t read_tscp(uint32_t *aux)
{
	uint32_t low, high;

	__asm__ volatile("rdtscp; lfence" : "=a" (low), "=d" (high), "=c" (*aux) : : "memory");
	return (uint64_t)high << 32 | low;
}

#endif
