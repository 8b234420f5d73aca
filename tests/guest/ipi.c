// SPDX-License-Identifier: GPL-2.0-only
/*
 * What needs interrupts between CPUs: membarrier, migration, futex wake-ups, signals to threads that
 * run elsewhere. One that is lost leaves somebody waiting beyond all patience.
 *
 * No locks: each shared word says who writes it.
 */
#include "stress.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---------------------------------------------------------------- membarrier -- */

/*
 * Readers without a barrier and a writer whose membarrier() stands for theirs: the writer
 * replaces a record, waits until nobody says to be reading the old one, and makes it unusable.
 * A reader that meets such a record was not interrupted when it should have been.
 */
#define RECORDS		4
#define RECORD_WORDS	8
#define RECORD_FREED	UINT64_MAX

static struct record {
	_Atomic uint64_t words[RECORD_WORDS];	/* all the same; the writer's */
} records[RECORDS];

static _Atomic(struct record *) published;	/* the writer's */
static struct reader {
	_Atomic(struct record *) reading;	/* the reader's */
} __attribute__((aligned(64))) readers[MAX_CPUS];
static unsigned int reader_count;

static void fill_record(struct record *record, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < RECORD_WORDS; i++)
		atomic_store_explicit(&record->words[i], value, memory_order_relaxed);
}

static void membarrier_prepare(struct worker *workers, unsigned int count)
{
	(void)workers;
	reader_count = count - 1;
	fill_record(&records[0], 1);
	published = &records[0];
}

static unsigned int membarrier_workers(unsigned int cpus)
{
	return cpus + 1;
}

static void wait_for_readers(struct worker *worker, const struct record *old)
{
	uint64_t deadline = now_ns(CLOCK_MONOTONIC) + patience_ns;
	unsigned int i;

	for (i = 0; i < reader_count; i++) {
		while (readers[i].reading == old) {
			if (now_ns(CLOCK_MONOTONIC) > deadline)
				mismatch(worker, "reader %u reads on and on", i);
			sched_yield();
		}
	}
}

static void membarrier_write(struct worker *worker)
{
	static const int commands[] = {
		MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_GLOBAL_EXPEDITED,
	};
	uint64_t value;

	must(worker, !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0),
	     "membarrier(register private)");
	must(worker, !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0),
	     "membarrier(register global)");
	for (value = 2; !stopping(); value++) {
		struct record *old = published, *new = &records[value % RECORDS];

		fill_record(new, value);
		atomic_store_explicit(&published, new, memory_order_release);
		must(worker, !syscall(SYS_membarrier, commands[value % 2], 0, 0), "membarrier");
		wait_for_readers(worker, old);
		if (inject(FAULT_MEMBARRIER_EARLY))
			old = new;
		fill_record(old, RECORD_FREED);
		done(worker);
	}
}

static void membarrier_read(struct worker *worker)
{
	_Atomic(struct record *) *reading = &readers[worker->index - 1].reading;
	uint64_t last = 0, first, word;
	struct record *record;
	unsigned int i;

	while (!stopping()) {
		record = atomic_load_explicit(&published, memory_order_relaxed);
		atomic_store_explicit(reading, record, memory_order_relaxed);
		/* Only the compiler's; the writer's membarrier() is the rest. */
		atomic_signal_fence(memory_order_seq_cst);
		if (atomic_load_explicit(&published, memory_order_relaxed) != record)
			continue;
		first = atomic_load_explicit(&record->words[0], memory_order_acquire);
		for (i = 0; i < RECORD_WORDS; i++) {
			word = atomic_load_explicit(&record->words[i], memory_order_relaxed);
			if (word == RECORD_FREED || word != first || word < last)
				mismatch(worker, "word %u of a record is 0x%llx, first 0x%llx, before 0x%llx",
					 i, (unsigned long long)word, (unsigned long long)first,
					 (unsigned long long)last);
		}
		last = first;
		atomic_store_explicit(reading, NULL, memory_order_release);
		done(worker);
	}
	atomic_store(reading, NULL);
}

static void membarrier_run(struct worker *worker)
{
	if (worker->index == 0) {
		membarrier_write(worker);
		return;
	}
	pin(worker, worker->index - 1);
	membarrier_read(worker);
}

const struct kind kind_membarrier = {
	.name = "membarrier",
	.workers = membarrier_workers,
	.prepare = membarrier_prepare,
	.run = membarrier_run,
};

/* ----------------------------------------------------------------- migration -- */

#define AUX_CPU_MASK	0xfffu		/* the kernel keeps the node above */

static void migrate_run(struct worker *worker)
{
	unsigned int nth = worker->cpu;

	while (!stopping()) {
		uint32_t aux;
		int cpu, by_call;

		nth += 1 + (unsigned int)(next_random(&worker->random) % 3);
		pin(worker, nth);
		cpu = sched_getcpu();
		read_tscp(&aux);
		must(worker, !syscall(SYS_getcpu, &by_call, NULL, NULL), "getcpu");
		if (inject(FAULT_MIGRATE_CPU))
			cpu++;
		if (inject(FAULT_MIGRATE_AUX))
			aux++;
		if (cpu != cpu_number(nth) || by_call != cpu || (aux & AUX_CPU_MASK) != (unsigned int)cpu)
			mismatch(worker, "went to CPU %d: sched_getcpu %d, getcpu %d, TSC_AUX 0x%x",
				 cpu_number(nth), cpu, by_call, aux);
		done(worker);
	}
}

const struct kind kind_migrate = {
	.name = "migrate",
	.workers = one_per_cpu,
	.run = migrate_run,
};

/* ----------------------------------------------------------------- ping-pong -- */

/* Two threads on two CPUs that wake each other: even numbers are the first one's to answer. */
static struct table {
	_Atomic uint32_t ball;		/* the number of the message; whoever's turn it is */
	uint64_t payload;		/* goes with it */
} __attribute__((aligned(64))) tables[MAX_CPUS];

static unsigned int pingpong_workers(unsigned int cpus)
{
	return cpus + cpus % 2;
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

/* False: the program is to end. */
static bool wait_for_ball(struct worker *worker, struct table *table, uint32_t wanted)
{
	struct timespec timeout = {
		.tv_sec = (time_t)(patience_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(patience_ns % NSEC_PER_SEC),
	};
	uint32_t ball;

	while ((ball = table->ball) != wanted) {
		if (ball != wanted - 1)
			mismatch(worker, "message %u instead of %u", ball, wanted);
		if (!futex(&table->ball, FUTEX_WAIT, ball, &timeout) || errno == EAGAIN ||
		    errno == EINTR)
			continue;
		must(worker, errno == ETIMEDOUT, "futex wait");
		if (table->ball == wanted)
			mismatch(worker, "message %u came without its wake-up", wanted);
		if (stopping())
			return false;
		mismatch(worker, "no message %u", wanted);
	}
	return true;
}

static void pingpong_run(struct worker *worker)
{
	struct table *table = &tables[worker->index / 2];
	uint32_t turn = worker->index % 2;

	pin(worker, worker->index);
	/* Who sends last leaves its peer an answer, so both stop in step. */
	while (wait_for_ball(worker, table, turn)) {
		uint64_t wanted = turn * 0x9e3779b97f4a7c15ull;
		bool last = stopping();

		if (turn && table->payload != wanted)
			mismatch(worker, "message %u says 0x%llx, not 0x%llx", turn,
				 (unsigned long long)table->payload, (unsigned long long)wanted);
		turn++;
		if (inject(FAULT_PINGPONG_SEQUENCE))
			turn += 2;
		table->payload = turn * 0x9e3779b97f4a7c15ull;
		table->ball = turn++;
		if (!inject(FAULT_PINGPONG_WAKE))
			futex(&table->ball, FUTEX_WAKE, 1, NULL);
		done(worker);
		if (last)
			return;
	}
}

const struct kind kind_pingpong = {
	.name = "pingpong",
	.workers = pingpong_workers,
	.run = pingpong_run,
};

/* ------------------------------------------------------------------- signals -- */

/*
 * A ring: each thread signals the next and computes until the handler there has run. The next one
 * is computing as well, so that only an interrupt gets its CPU into the kernel at once.
 */
#define SPIN_ROUNDS	500

static struct worker *ring;
static unsigned int ring_length;
static struct mailbox {
	uint32_t sent;			/* by the owner */
	_Atomic uint32_t received;	/* by the owner's handler */
	_Atomic bool finished;		/* the owner sends no more */
} __attribute__((aligned(64))) mailboxes[MAX_CPUS];

static void on_signal(int number, siginfo_t *info, void *context)
{
	struct worker *worker = ring;
	struct mailbox *mailbox;

	(void)context;
	/* By its number, as the first signal may come before the thread has done anything. */
	while (worker < ring + ring_length && worker->tid != gettid())
		worker++;
	if (worker == ring + ring_length || info->si_pid != getpid())
		mismatch(ring, "signal %d from process %d came to thread %d", number, info->si_pid,
			 gettid());
	mailbox = &mailboxes[worker->index];
	if (number == SIGRTMIN && (uint32_t)info->si_value.sival_int != mailbox->received + 1)
		mismatch(worker, "signal %u after %u", (uint32_t)info->si_value.sival_int,
			 mailbox->received);
	if (inject(FAULT_SIGNAL_LOST))
		return;
	mailbox->received += inject(FAULT_SIGNAL_TWICE) ? 2 : 1;
}

static void signal_prepare(struct worker *workers, unsigned int count)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	ring = workers;
	ring_length = count;
	if (sigaction(SIGRTMIN, &action, NULL) || sigaction(SIGUSR1, &action, NULL))
		must(workers, false, "sigaction");
}

static void send_signal(struct worker *worker, const struct worker *next, uint32_t number)
{
	siginfo_t info;

	if (next_random(&worker->random) % 2) {
		must(worker, !syscall(SYS_tgkill, getpid(), next->tid, SIGUSR1), "tgkill");
		return;
	}
	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = (int)number;
	must(worker, !syscall(SYS_rt_tgsigqueueinfo, getpid(), next->tid, SIGRTMIN, &info),
	     "rt_tgsigqueueinfo");
}

static void signal_run(struct worker *worker)
{
	struct mailbox *mine = &mailboxes[worker->index];
	const struct worker *next = &ring[(worker->index + 1) % ring_length];
	struct mailbox *theirs = &mailboxes[next->index];
	struct mailbox *before = &mailboxes[(worker->index + ring_length - 1) % ring_length];

	pin(worker, worker->cpu);
	while (!stopping()) {
		uint64_t deadline = now_ns(CLOCK_MONOTONIC) + patience_ns;
		volatile unsigned int spin;

		send_signal(worker, next, ++mine->sent);
		while (theirs->received < mine->sent) {
			for (spin = 0; spin < SPIN_ROUNDS; spin++)
				;
			if (now_ns(CLOCK_MONOTONIC) > deadline)
				mismatch(worker, "signal %u to thread %d on CPU %d was lost, %u came",
					 mine->sent, next->tid, cpu_number(next->cpu),
					 theirs->received);
		}
		if (theirs->received != mine->sent)
			mismatch(worker, "%u signals were sent and %u received", mine->sent,
				 theirs->received);
		done(worker);
	}
	/* Stay until nobody can signal us any more. */
	mine->finished = true;
	while (!before->finished)
		sched_yield();
}

static void signal_finish(void)
{
	unsigned int i;

	for (i = 0; i < ring_length; i++) {
		uint32_t received = mailboxes[(i + 1) % ring_length].received;

		if (received != mailboxes[i].sent)
			mismatch(&ring[i], "%u signals were sent and %u received in the end",
				 mailboxes[i].sent, received);
	}
}

const struct kind kind_signal = {
	.name = "signal",
	.workers = one_per_cpu,
	.prepare = signal_prepare,
	.run = signal_run,
	.finish = signal_finish,
};
