// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time: sleeps, timers with signals, timers with descriptors, and the clocks themselves.
 *
 * Each CPU has threads of its own here, so that each one's timer is looked at. Nothing may come early,
 * no expiration may be missing, nothing may be later than the patience of the program; and
 * what one CPU reads after another must not be less.
 */
#include "stress.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const clockid_t timer_clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC),
	};
}

/* -------------------------------------------------------------------- sleeps -- */

#define LONGEST_SLEEP_NS	(30 * NSEC_PER_MSEC)

static void sleep_run(struct worker *worker)
{
	pin(worker, worker->cpu);
	while (!stopping()) {
		uint64_t random = next_random(&worker->random), length = random % LONGEST_SLEEP_NS;
		clockid_t clock = timer_clocks[(random >> 60) % ARRAY_LENGTH(timer_clocks)];
		uint64_t wanted = now_ns(clock) + length, woken;
		struct timespec until = to_timespec(wanted), relative = to_timespec(length);
		int error;

		if (random >> 63)
			error = clock_nanosleep(clock, TIMER_ABSTIME, &until, NULL);
		else
			error = clock_nanosleep(clock, 0, &relative, NULL);
		woken = now_ns(clock);
		if (inject(FAULT_SLEEP_EARLY))
			woken = wanted - 1;
		if (inject(FAULT_SLEEP_LATE))
			woken += patience_ns;
		if (error || woken < wanted || woken > wanted + patience_ns)
			mismatch(worker, "clock %d: sleep of %llu ns until %llu ended at %llu, error %d",
				 clock, (unsigned long long)length, (unsigned long long)wanted,
				 (unsigned long long)woken, error);
		done(worker);
	}
}

const struct kind kind_sleep = {
	.name = "sleep",
	.workers = one_per_cpu,
	.run = sleep_run,
};

/* ------------------------------------------------------------ periodic timers -- */

/**
 * struct periodic - a timer that expires again and again
 * @clock: by which clock
 * @first_ns: when first
 * @interval_ns: and then each so many
 * @total: expirations that were counted so far
 */
struct periodic {
	clockid_t clock;
	uint64_t first_ns;
	uint64_t interval_ns;
	uint64_t total;
};

static struct itimerspec plan_periodic(struct worker *worker, struct periodic *periodic)
{
	periodic->clock = timer_clocks[worker->index % ARRAY_LENGTH(timer_clocks)];
	periodic->interval_ns = (5 + worker->index % 7) * NSEC_PER_MSEC;
	periodic->first_ns = now_ns(periodic->clock) + periodic->interval_ns;
	periodic->total = 0;
	return (struct itimerspec){
		.it_value = to_timespec(periodic->first_ns),
		.it_interval = to_timespec(periodic->interval_ns),
	};
}

static uint64_t expirations_until(const struct periodic *periodic, uint64_t ns)
{
	if (ns < periodic->first_ns)
		return 0;
	return (ns - periodic->first_ns) / periodic->interval_ns + 1;
}

/*
 * The kernel counts at the moment it hands the expirations over, which lies between @before_ns and
 * @after_ns; so the sum is exact up to what happened between the two.
 */
static void check_periodic(struct worker *worker, const struct periodic *periodic,
			   uint64_t before_ns, uint64_t after_ns)
{
	uint64_t least = expirations_until(periodic, before_ns);
	uint64_t most = expirations_until(periodic, after_ns);

	if (periodic->total < least || periodic->total > most)
		mismatch(worker, "clock %d, each %llu ns: %llu expirations, should be %llu to %llu",
			 periodic->clock, (unsigned long long)periodic->interval_ns,
			 (unsigned long long)periodic->total, (unsigned long long)least,
			 (unsigned long long)most);
	/* It is the next one at the latest that ends the wait. */
	if (after_ns > before_ns + periodic->interval_ns + patience_ns)
		mismatch(worker, "clock %d: waited from %llu to %llu ns for %llu ns",
			 periodic->clock, (unsigned long long)before_ns,
			 (unsigned long long)after_ns, (unsigned long long)periodic->interval_ns);
	done(worker);
}

/* Another set of times, now and then, by arming anew. */
#define EXPIRATIONS_A_PLAN	64

static void timer_run(struct worker *worker)
{
	struct timespec patience = to_timespec(patience_ns);
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1 };
	struct periodic periodic = { .total = EXPIRATIONS_A_PLAN };
	struct itimerspec plan, none = { 0 };
	siginfo_t info;
	sigset_t set;
	timer_t timer;

	pin(worker, worker->cpu);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	event._sigev_un._tid = worker->tid;
	must(worker, !timer_create(timer_clocks[worker->index % ARRAY_LENGTH(timer_clocks)], &event,
				   &timer), "timer_create");
	while (!stopping()) {
		uint64_t before;

		if (periodic.total >= EXPIRATIONS_A_PLAN) {
			/* What is still to come of the old plan must not count for the new one. */
			must(worker, !timer_settime(timer, 0, &none, NULL), "timer_settime");
			while (sigtimedwait(&set, &info, &none.it_value) > 0)
				;
			plan = plan_periodic(worker, &periodic);
			must(worker, !timer_settime(timer, TIMER_ABSTIME, &plan, NULL),
			     "timer_settime");
		}
		before = now_ns(periodic.clock);
		must(worker, sigtimedwait(&set, &info, &patience) == SIGRTMIN + 1,
		     "no signal of a timer");
		if (!inject(FAULT_TIMER_LOST))
			periodic.total += 1 + (uint64_t)info.si_overrun;
		if (inject(FAULT_TIMER_EARLY))
			periodic.total++;
		check_periodic(worker, &periodic, before, now_ns(periodic.clock));
	}
	timer_delete(timer);
}

const struct kind kind_timer = {
	.name = "timer",
	.workers = one_per_cpu,
	.run = timer_run,
};

static void timerfd_run(struct worker *worker)
{
	struct periodic periodic = { .total = EXPIRATIONS_A_PLAN };
	struct pollfd wait = { .events = POLLIN };
	struct itimerspec plan;

	pin(worker, worker->cpu);
	wait.fd = timerfd_create(timer_clocks[worker->index % ARRAY_LENGTH(timer_clocks)],
				 TFD_CLOEXEC);
	must(worker, wait.fd >= 0, "timerfd_create");
	while (!stopping()) {
		uint64_t before, count;

		if (periodic.total >= EXPIRATIONS_A_PLAN) {
			plan = plan_periodic(worker, &periodic);
			must(worker, !timerfd_settime(wait.fd, TFD_TIMER_ABSTIME, &plan, NULL),
			     "timerfd_settime");
		}
		before = now_ns(periodic.clock);
		if (poll(&wait, 1, (int)(patience_ns / NSEC_PER_MSEC)) != 1)
			mismatch(worker, "a timer does not expire any more");
		must(worker, read(wait.fd, &count, sizeof(count)) == sizeof(count), "read(timerfd)");
		if (!inject(FAULT_TIMERFD_LOST))
			periodic.total += count;
		if (inject(FAULT_TIMERFD_EARLY))
			periodic.total++;
		check_periodic(worker, &periodic, before, now_ns(periodic.clock));
	}
	close(wait.fd);
}

const struct kind kind_timerfd = {
	.name = "timerfd",
	.workers = one_per_cpu,
	.run = timerfd_run,
};

/* -------------------------------------------------------------------- clocks -- */

enum { READ_MONOTONIC, READ_BY_CALL, READ_RAW, READ_BOOTTIME, READ_TSC, READINGS };

static const char *const reading_names[READINGS] = {
	"CLOCK_MONOTONIC", "CLOCK_MONOTONIC by system call", "CLOCK_MONOTONIC_RAW",
	"CLOCK_BOOTTIME", "the TSC",
};

/* The latest of all CPUs, and who took it; under the lock. */
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last[READINGS];
static uint32_t last_aux;

static void take_readings(uint64_t *readings, uint32_t *aux)
{
	struct timespec by_call;

	readings[READ_MONOTONIC] = now_ns(CLOCK_MONOTONIC);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_call);
	readings[READ_BY_CALL] = (uint64_t)by_call.tv_sec * NSEC_PER_SEC + (uint64_t)by_call.tv_nsec;
	readings[READ_RAW] = now_ns(CLOCK_MONOTONIC_RAW);
	readings[READ_BOOTTIME] = now_ns(CLOCK_BOOTTIME);
	readings[READ_TSC] = read_tscp(aux);
}

static void clock_run(struct worker *worker)
{
	unsigned int nth = worker->cpu, i;

	while (!stopping()) {
		uint64_t readings[READINGS];
		uint32_t aux;

		/* Half of them stay where they are. */
		if (worker->index % 2)
			pin(worker, ++nth);
		pthread_mutex_lock(&last_lock);
		take_readings(readings, &aux);
		if (inject(FAULT_CLOCK_BACK))
			readings[READ_MONOTONIC] -= NSEC_PER_SEC;
		if (inject(FAULT_CLOCK_TSC))
			readings[READ_TSC] -= readings[READ_TSC] / 2;
		for (i = 0; i < READINGS; i++) {
			if (readings[i] < last[i])
				mismatch(worker, "%s goes back, from %llu (TSC_AUX 0x%x) to %llu (0x%x)",
					 reading_names[i], (unsigned long long)last[i], last_aux,
					 (unsigned long long)readings[i], aux);
			last[i] = readings[i];
		}
		/* The same clock, read in two ways. */
		if (readings[READ_BY_CALL] < readings[READ_MONOTONIC])
			mismatch(worker, "the kernel's clock is at %llu and the vDSO's at %llu",
				 (unsigned long long)readings[READ_BY_CALL],
				 (unsigned long long)readings[READ_MONOTONIC]);
		last_aux = aux;
		pthread_mutex_unlock(&last_lock);
		while (inject(FAULT_CLOCK_STUCK))
			pause();
		done(worker);
	}
}

const struct kind kind_clock = {
	.name = "clock",
	.workers = one_per_cpu,
	.run = clock_run,
};
