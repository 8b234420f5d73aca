// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMP stress that checks itself, for a guest with several CPUs: starts all kinds of work at once,
 * says each second what was done, and gives the verdict.
 *
 *   stress [--seconds N] [--patience-ms N] [--break FAULT] [KIND...]
 *   stress --faults		lists the faults that --break can inject
 *
 * The last line is "stress: ok, N operations" and the status 0; or "stress: FAIL KIND: ..." with
 * the first thing that was wrong, and 1. Owns the workers and the end of the program. What is checked
 * is in the files of the kinds. Makes no use of memory allocation once the work runs: no
 * mapping may appear in the holes that tlb.c makes.
 */
#include "stress.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_WORKERS		1024
#define STACK_BYTES		(128 << 10)
#define DEFAULT_SECONDS		20
#define DEFAULT_PATIENCE_MS	5000
/* A worker that has not finished one operation in so many patiences is stuck. */
#define STUCK_PATIENCES		4
/* The fault comes when all is running, and then stays. */
#define INJECT_AFTER		20

static const struct kind *const kinds[] = {
	&kind_membarrier, &kind_migrate, &kind_pingpong, &kind_signal, &kind_tlb, &kind_sleep,
	&kind_timer, &kind_timerfd, &kind_clock, &kind_fpu, &kind_exec, &kind_cow,
};

static const char *const fault_names[FAULT_COUNT] = {
	[FAULT_MEMBARRIER_EARLY] = "membarrier-early",
	[FAULT_MIGRATE_CPU] = "migrate-cpu",
	[FAULT_MIGRATE_AUX] = "migrate-aux",
	[FAULT_PINGPONG_SEQUENCE] = "pingpong-sequence",
	[FAULT_PINGPONG_WAKE] = "pingpong-wake",
	[FAULT_SIGNAL_LOST] = "signal-lost",
	[FAULT_SIGNAL_TWICE] = "signal-twice",
	[FAULT_TLB_PERMISSION] = "tlb-permission",
	[FAULT_TLB_SPURIOUS] = "tlb-spurious",
	[FAULT_TLB_FRAME] = "tlb-frame",
	[FAULT_TLB_STORE] = "tlb-store",
	[FAULT_TLB_DISCARD] = "tlb-discard",
	[FAULT_SLEEP_EARLY] = "sleep-early",
	[FAULT_SLEEP_LATE] = "sleep-late",
	[FAULT_TIMER_EARLY] = "timer-early",
	[FAULT_TIMER_LOST] = "timer-lost",
	[FAULT_TIMERFD_EARLY] = "timerfd-early",
	[FAULT_TIMERFD_LOST] = "timerfd-lost",
	[FAULT_CLOCK_BACK] = "clock-back",
	[FAULT_CLOCK_TSC] = "clock-tsc",
	[FAULT_FPU_VECTOR] = "fpu-vector",
	[FAULT_FPU_CONTROL] = "fpu-control",
	[FAULT_FPU_X87] = "fpu-x87",
	[FAULT_FPU_GENERAL] = "fpu-general",
	[FAULT_FPU_GS] = "fpu-gs",
	[FAULT_EXEC_STATUS] = "exec-status",
	[FAULT_EXEC_INPUT] = "exec-input",
	[FAULT_EXEC_OUTPUT] = "exec-output",
	[FAULT_COW_CONTENT] = "cow-content",
	[FAULT_CLOCK_STUCK] = "clock-stuck",
};

uint64_t patience_ns = DEFAULT_PATIENCE_MS * NSEC_PER_MSEC;

static struct worker workers[MAX_WORKERS];
static unsigned int worker_count;
static int cpus[MAX_CPUS];
static unsigned int cpus_found;
static enum fault injected;
static _Atomic unsigned int injections;
static _Atomic bool stop;
static _Atomic bool failed;
static pthread_barrier_t start_line;

bool stopping(void)
{
	return atomic_load_explicit(&stop, memory_order_relaxed);
}

/* Whether the caller is to do @fault now. */
bool inject(enum fault fault)
{
	return injected == fault && atomic_fetch_add(&injections, 1) >= INJECT_AFTER;
}

void done(struct worker *worker)
{
	atomic_fetch_add_explicit(&worker->operations, 1, memory_order_relaxed);
}

/* Says what is wrong and ends the program. Only the first is heard. Also for signal handlers. */
void mismatch(const struct worker *worker, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int used;

	while (atomic_exchange(&failed, true))
		pause();
	used = snprintf(text, sizeof(text), "stress: FAIL %s: thread %u on CPU %d: ",
			worker->kind->name, worker->index, sched_getcpu());
	va_start(arguments, format);
	used += vsnprintf(text + used, sizeof(text) - (size_t)used, format, arguments);
	va_end(arguments);
	if ((size_t)used > sizeof(text) - 2)
		used = sizeof(text) - 2;
	text[used++] = '\n';
	if (write(STDOUT_FILENO, text, (size_t)used) != used)
		_exit(2);
	_exit(1);
}

void must(const struct worker *worker, bool success, const char *call)
{
	if (!success)
		mismatch(worker, "%s: %s", call, strerror(errno));
}

unsigned int cpu_count(void)
{
	return cpus_found;
}

int cpu_number(unsigned int nth)
{
	return cpus[nth % cpus_found];
}

/* The calling thread, on the nth CPU from now on. */
void pin(const struct worker *worker, unsigned int nth)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned int)cpu_number(nth), &set);
	must(worker, !sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

uint64_t now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

/* xorshift64*: never 0 as its state. */
uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

unsigned int one_per_cpu(unsigned int cpu_total)
{
	return cpu_total;
}

static void die(const char *what)
{
	printf("stress: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void find_cpus(void)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE && cpus_found < MAX_CPUS; cpu++)
		if (CPU_ISSET((unsigned int)cpu, &set))
			cpus[cpus_found++] = cpu;
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	worker->tid = gettid();
	/* Nobody starts before everybody is known. */
	pthread_barrier_wait(&start_line);
	worker->kind->run(worker);
	return NULL;
}

static void add_workers(const struct kind *kind)
{
	unsigned int count = kind->workers(cpus_found), i;

	if (worker_count + count > MAX_WORKERS) {
		errno = E2BIG;
		die("workers");
	}
	for (i = 0; i < count; i++) {
		struct worker *worker = &workers[worker_count + i];

		worker->kind = kind;
		worker->index = i;
		worker->cpu = i % cpus_found;
		worker->random = 0x9e3779b97f4a7c15ull * (worker_count + i + 1);
	}
	if (kind->prepare)
		kind->prepare(&workers[worker_count], count);
	worker_count += count;
}

static void start_workers(void)
{
	pthread_attr_t attributes;
	unsigned int i;

	if (pthread_barrier_init(&start_line, NULL, worker_count + 1) ||
	    pthread_attr_init(&attributes) ||
	    pthread_attr_setstacksize(&attributes, STACK_BYTES))
		die("pthread_attr");
	for (i = 0; i < worker_count; i++) {
		errno = pthread_create(&workers[i].thread, &attributes, work, &workers[i]);
		if (errno)
			die("pthread_create");
	}
	pthread_barrier_wait(&start_line);
}

static uint64_t operations_of(const struct kind *kind)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < worker_count; i++)
		if (workers[i].kind == kind)
			sum += workers[i].operations;
	return sum;
}

static void say_progress(unsigned int second)
{
	const struct kind *kind = NULL;
	unsigned int i;

	printf("stress: %u s:", second);
	for (i = 0; i < worker_count; i++) {
		if (workers[i].kind == kind)
			continue;
		kind = workers[i].kind;
		printf(" %s %llu", kind->name, (unsigned long long)operations_of(kind));
	}
	printf("\n");
}

/* Who does nothing, though it had time, is stuck: an interrupt was lost, or a wake-up. */
static void find_stuck(void)
{
	static uint64_t seen[MAX_WORKERS], seen_at_ns[MAX_WORKERS];
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	unsigned int i;

	for (i = 0; i < worker_count; i++) {
		uint64_t operations = workers[i].operations;

		if (!seen_at_ns[i] || operations != seen[i]) {
			seen[i] = operations;
			seen_at_ns[i] = now;
		} else if (now - seen_at_ns[i] > STUCK_PATIENCES * patience_ns) {
			mismatch(&workers[i], "stuck after %llu operations",
				 (unsigned long long)operations);
		}
	}
}

static void run_for(unsigned int seconds)
{
	uint64_t start = now_ns(CLOCK_MONOTONIC);
	struct timespec until;
	unsigned int second;

	for (second = 1; second <= seconds; second++) {
		uint64_t then = start + second * NSEC_PER_SEC;

		until.tv_sec = (time_t)(then / NSEC_PER_SEC);
		until.tv_nsec = (long)(then % NSEC_PER_SEC);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		say_progress(second);
		find_stuck();
	}
}

static void stop_workers(void)
{
	uint64_t end_ns = now_ns(CLOCK_REALTIME) + STUCK_PATIENCES * patience_ns;
	struct timespec end = {
		.tv_sec = (time_t)(end_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(end_ns % NSEC_PER_SEC),
	};
	unsigned int i;

	stop = true;
	for (i = 0; i < worker_count; i++)
		if (pthread_timedjoin_np(workers[i].thread, NULL, &end))
			mismatch(&workers[i], "stuck at the end, after %llu operations",
				 (unsigned long long)workers[i].operations);
}

static void give_verdict(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < worker_count; i++) {
		if (i == 0 || workers[i].kind != workers[i - 1].kind)
			if (workers[i].kind->finish)
				workers[i].kind->finish();
		if (!workers[i].operations)
			mismatch(&workers[i], "did nothing at all");
		sum += workers[i].operations;
	}
	printf("stress: ok, %llu operations\n", (unsigned long long)sum);
}

static int list_faults(void)
{
	unsigned int i;

	for (i = 1; i < FAULT_COUNT; i++)
		puts(fault_names[i]);
	return 0;
}

static void choose_fault(const char *name)
{
	unsigned int i;

	for (i = 1; i < FAULT_COUNT; i++)
		if (!strcmp(name, fault_names[i]))
			injected = i;
	if (injected == FAULT_NONE) {
		printf("stress: no fault is called '%s'; see --faults\n", name);
		exit(2);
	}
}

static void choose_kinds(char **names)
{
	unsigned int i;

	if (!*names) {
		for (i = 0; i < ARRAY_LENGTH(kinds); i++)
			add_workers(kinds[i]);
		return;
	}
	for (; *names; names++) {
		for (i = 0; i < ARRAY_LENGTH(kinds); i++)
			if (!strcmp(*names, kinds[i]->name))
				break;
		if (i == ARRAY_LENGTH(kinds)) {
			printf("stress: no kind of work is called '%s'\n", *names);
			exit(2);
		}
		add_workers(kinds[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "patience-ms", required_argument, NULL, 'p' },
		{ "break", required_argument, NULL, 'b' },
		{ "faults", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned int seconds = DEFAULT_SECONDS;
	int option;

	if (argc == 4 && !strcmp(argv[1], "--child"))
		return exec_child(argv[2], argv[3]);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			seconds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (option == 'p')
			patience_ns = strtoul(optarg, NULL, 10) * NSEC_PER_MSEC;
		else if (option == 'b')
			choose_fault(optarg);
		else if (option == 'f')
			return list_faults();
		else
			return 2;
	}
	/* All that is allocated comes from the heap, see above. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_MAX, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_cpus();
	choose_kinds(argv + optind);
	printf("stress: %u CPUs, %u threads, %u seconds%s%s\n", cpus_found, worker_count, seconds,
	       injected ? ", broken by " : "", injected ? fault_names[injected] : "");
	start_workers();
	run_for(seconds);
	stop_workers();
	give_verdict();
	return 0;
}
