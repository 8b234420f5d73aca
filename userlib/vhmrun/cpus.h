/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The virtual CPUs and their threads.
 *
 * Owns the vCPUs. Each is run by a thread of its own, which leaves its loop when the machine
 * has ended; a thread that meets the end itself says so with machine_end(). A struct cpu
 * belongs to its thread until cpus_stop().
 */
#ifndef VHMRUN_CPUS_H
#define VHMRUN_CPUS_H

#include <pthread.h>
#include <stdbool.h>

#include "machine.h"

/**
 * struct cpu - a virtual CPU
 * @machine: its machine
 * @vcpu: its handle
 * @thread: runs it
 * @started: @thread exists
 * @culprit: this CPU ended the machine by a crash or an error
 * @error: the error that did it, 0: the exit in the run page
 * @gdb: the debugger's server, NULL: none
 */
struct cpu {
	struct machine *machine;
	struct vhm_vcpu *vcpu;
	struct gdb *gdb;
	pthread_t thread;
	bool started;
	bool culprit;
	int error;
};

/**
 * struct cpus - all virtual CPUs
 * @machine: their machine
 * @cpu: the CPUs; index is the local APIC id
 * @count: how many
 * @gdb: the debugger's server, NULL: none
 */
struct cpus {
	struct machine *machine;
	struct gdb *gdb;
	struct cpu *cpu;
	unsigned int count;
};

/* Create the vCPUs of a loaded machine. False: failed, said why; cpus_destroy() is still due. */
bool cpus_create(struct cpus *cpus, struct machine *machine);
/* A debugger that is attached is told the exit status of the program. */
void cpus_destroy(struct cpus *cpus, int status);

/* False: failed, and said why; cpus_stop() is still due. The threads inherit the signal mask. */
bool cpus_start(struct cpus *cpus);

/* The machine has ended: wait until no vCPU runs any more. */
void cpus_stop(struct cpus *cpus);

#endif /* VHMRUN_CPUS_H */
