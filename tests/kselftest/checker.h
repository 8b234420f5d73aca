/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that checks itself while things happen to the host: general registers, YMM registers,
 * a TSC that never goes back, memory with a pattern, and a timer whose ticks must arrive.
 *
 * Each vCPU has a thread that runs it until checker_stop(), whatever signals come in between.
 */
#ifndef KSELFTEST_CHECKER_H
#define KSELFTEST_CHECKER_H

#include <sys/types.h>

#include "emit.h"

#define CHECKER_VCPUS	2

/* Memory of the guest: seen by processes forked later, too, or copied on write by fork(). */
enum checker_memory { CHECKER_SHARED, CHECKER_PRIVATE };

struct checker_thread {
	struct vcpu *vcpu;
	void *thread;
	volatile pid_t tid;
	volatile bool stop;
	volatile bool failed;
};

struct checker {
	struct vm vm;
	struct vcpu vcpu[CHECKER_VCPUS];
	struct checker_thread threads[CHECKER_VCPUS];
};

void checker_start(struct checker *checker, enum checker_memory memory);
/* False: a vCPU had found something wrong; a line said what. */
bool checker_stop(struct checker *checker);

/*
 * Every vCPU goes on: some turns of its loop and a tick of its timer from now on. False, with a
 * line that says which does not, or what a guest has found.
 */
bool checker_goes_on(struct checker *checker);
/* No vCPU runs, for as long as it takes to see. */
bool checker_stands_still(struct checker *checker);

#endif /* KSELFTEST_CHECKER_H */
