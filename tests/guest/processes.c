// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes: fork, exec and wait, with pipes whose contents are checked on both sides; and memory that
 * parent and child share until one of them writes.
 *
 * The child of an exec is this program again, see exec_child(). A child of a fork alone calls nothing
 * but write() and _exit(), as other threads may have held any lock.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_BYTES	(40u << 10)	/* below what a pipe holds: nobody waits for the other */
#define LEAST_BYTES	64u
#define BAD_INPUT	99
#define STATUSES	64u		/* exit statuses of a good child, from 1 */
#define MAX_PROCESS_WORKERS MAX_CPUS

static uint8_t buffers[MAX_PROCESS_WORKERS][MOST_BYTES];

static uint64_t answer_of(uint64_t seed)
{
	return ~seed | 1;
}

static void fill_stream(uint8_t *bytes, size_t length, uint64_t seed)
{
	size_t i;

	for (i = 0; i + 8 <= length; i += 8) {
		uint64_t value = next_random(&seed);

		memcpy(bytes + i, &value, 8);
	}
	for (; i < length; i++)
		bytes[i] = (uint8_t)(seed >> (i % 8));
}

/* Where a stream differs from what it should be; @length if nowhere. */
static size_t find_difference(const uint8_t *bytes, size_t length, uint64_t seed)
{
	uint8_t wanted[8];
	size_t i, part, j;

	for (i = 0; i < length; i += part) {
		uint64_t value;

		part = length - i < 8 ? length - i : 8;
		if (part == 8) {
			value = next_random(&seed);
			memcpy(wanted, &value, 8);
		} else {
			for (j = 0; j < part; j++)
				wanted[j] = (uint8_t)(seed >> j);
		}
		for (j = 0; j < part; j++)
			if (bytes[i + j] != wanted[j])
				return i + j;
	}
	return length;
}

/* -1: error or end; else as many as were asked for. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t length)
{
	size_t got = 0;

	while (got < length) {
		ssize_t part = read(fd, bytes + got, length - got);

		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return -1;
		got += (size_t)part;
	}
	return (ssize_t)got;
}

static int wait_for(struct worker *worker, pid_t child)
{
	int status;

	must(worker, waitpid(child, &status, 0) == child, "waitpid");
	return status;
}

/* ---------------------------------------------------------------------- exec -- */

int exec_child(const char *seed_text, const char *bytes_text)
{
	uint64_t seed = strtoull(seed_text, NULL, 0);
	size_t length = strtoul(bytes_text, NULL, 0);
	uint8_t *bytes = buffers[0];

	if (length > MOST_BYTES || read_all(STDIN_FILENO, bytes, length) < 0 ||
	    find_difference(bytes, length, seed) != length)
		return BAD_INPUT;
	fill_stream(bytes, length, answer_of(seed));
	if (write(STDOUT_FILENO, bytes, length) != (ssize_t)length)
		return BAD_INPUT;
	return 1 + (int)(seed % STATUSES);
}

static pid_t start_child(struct worker *worker, uint64_t seed, size_t length, const int *input,
			 const int *output)
{
	char seed_text[24], bytes_text[24];
	char *const arguments[] = { "stress", "--child", seed_text, bytes_text, NULL };
	char *const environment[] = { NULL };
	pid_t child;

	snprintf(seed_text, sizeof(seed_text), "%llu", (unsigned long long)seed);
	snprintf(bytes_text, sizeof(bytes_text), "%zu", length);
	child = fork();
	must(worker, child >= 0, "fork");
	if (child)
		return child;
	if (dup2(input[0], STDIN_FILENO) < 0 || dup2(output[1], STDOUT_FILENO) < 0)
		_exit(BAD_INPUT);
	execve("/proc/self/exe", arguments, environment);
	_exit(BAD_INPUT);
}

static void exec_once(struct worker *worker, uint8_t *bytes)
{
	uint64_t seed = next_random(&worker->random) | 1;
	size_t length = LEAST_BYTES + seed % (MOST_BYTES - LEAST_BYTES), where;
	int input[2], output[2], status, wanted;
	pid_t child;

	must(worker, !pipe2(input, O_CLOEXEC) && !pipe2(output, O_CLOEXEC), "pipe2");
	child = start_child(worker, seed, length, input, output);
	close(input[0]);
	close(output[1]);
	fill_stream(bytes, length, seed);
	if (inject(FAULT_EXEC_INPUT))
		bytes[length - 1] ^= 1;
	must(worker, write(input[1], bytes, length) == (ssize_t)length, "write to a child");
	/* It may have ended early: its status says why. */
	if (read_all(output[0], bytes, length) < 0)
		mismatch(worker, "child %d ends without its output, status 0x%x", child,
			 wait_for(worker, child));
	status = wait_for(worker, child);
	if (inject(FAULT_EXEC_OUTPUT))
		bytes[length / 2] ^= 0x80;
	wanted = (1 + (int)(seed % STATUSES)) << 8;
	if (inject(FAULT_EXEC_STATUS))
		status ^= 0x100;
	where = find_difference(bytes, length, answer_of(seed));
	if (where != length)
		mismatch(worker, "byte %zu of %zu from child %d is 0x%02x", where, length, child,
			 bytes[where]);
	if (status != wanted)
		mismatch(worker, "child %d ended with 0x%x instead of 0x%x", child, status, wanted);
	close(input[1]);
	close(output[0]);
	done(worker);
}

static unsigned int process_workers(unsigned int cpus)
{
	return cpus > 1 ? cpus / 2 : 1;
}

static void exec_prepare(struct worker *workers, unsigned int count)
{
	(void)workers;
	(void)count;
	/* A child that is gone is told by its status. */
	signal(SIGPIPE, SIG_IGN);
}

static void exec_run(struct worker *worker)
{
	while (!stopping())
		exec_once(worker, buffers[worker->index]);
}

const struct kind kind_exec = {
	.name = "exec",
	.workers = process_workers,
	.prepare = exec_prepare,
	.run = exec_run,
};

/* ------------------------------------------------------------- copy on write -- */

#define COW_BYTES	(16u * 4096)

static uint8_t *shared[MAX_PROCESS_WORKERS];

static void cow_prepare(struct worker *workers, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		shared[i] = mmap(NULL, COW_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(workers, shared[i] != MAP_FAILED, "mmap");
	}
}

/* In the child: the parent writes meanwhile, and so do we, and neither may see it. */
static void __attribute__((noreturn)) cow_child(uint8_t *bytes, uint64_t before, int ready)
{
	if (find_difference(bytes, COW_BYTES, before) != COW_BYTES)
		_exit(1);
	if (write(ready, "", 1) != 1)
		_exit(2);
	if (find_difference(bytes, COW_BYTES, before) != COW_BYTES)
		_exit(3);
	fill_stream(bytes, COW_BYTES, before + 2);
	_exit(find_difference(bytes, COW_BYTES, before + 2) != COW_BYTES ? 4 : 0);
}

static void cow_once(struct worker *worker, uint8_t *bytes)
{
	uint64_t before = next_random(&worker->random) | 1, after = next_random(&worker->random) | 1;
	bool broken = inject(FAULT_COW_CONTENT);
	int ready[2], status;
	size_t where;
	uint8_t byte;
	pid_t child;

	fill_stream(bytes, COW_BYTES, broken ? after : before);
	must(worker, !pipe2(ready, O_CLOEXEC), "pipe2");
	child = fork();
	must(worker, child >= 0, "fork");
	if (!child)
		cow_child(bytes, before, ready[1]);
	/* A child that is gone is the end of its pipe. */
	close(ready[1]);
	/* At times right away, at times while the child is at its second look. */
	if (after >> 63)
		read_all(ready[0], &byte, 1);
	fill_stream(bytes, COW_BYTES, after);
	status = wait_for(worker, child);
	where = find_difference(bytes, COW_BYTES, after);
	if (status || where != COW_BYTES)
		mismatch(worker, "child %d ended with 0x%x; the parent's memory differs at %zu of %u",
			 child, status, where, COW_BYTES);
	close(ready[0]);
	done(worker);
}

static void cow_run(struct worker *worker)
{
	while (!stopping())
		cow_once(worker, shared[worker->index]);
}

const struct kind kind_cow = {
	.name = "cow",
	.workers = process_workers,
	.prepare = cow_prepare,
	.run = cow_run,
};
