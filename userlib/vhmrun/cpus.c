// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The virtual CPUs and their threads. See cpus.h.
 */
#include "cpus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpuid.h"
#include "gdb.h"
#include "message.h"
#include "report.h"

#define STACK_BYTES	(256u << 10)	/* of a vCPU's thread; decoding and devices need some KiB */

/* ------------------------------------------------------------------- thread -- */

static void end_as_culprit(struct cpu *cpu, enum outcome outcome, int error)
{
	if (machine_end(cpu->machine, outcome)) {
		cpu->culprit = true;
		cpu->error = error;
	}
}

/* An exit that vhm_vcpu_dispatch() leaves to the VMM: none of them lets the guest go on. */
static void end_by_exit(struct cpu *cpu)
{
	uint32_t reason = vhm_vcpu_run_page(cpu->vcpu)->exit_reason;

	if (reason == VHM_EXIT_RESET)
		machine_end(cpu->machine, OUTCOME_RESET);
	else if (reason == VHM_EXIT_MEMORY_FAULT)
		end_as_culprit(cpu, OUTCOME_ERROR, 0);
	else
		end_as_culprit(cpu, OUTCOME_CRASH, 0);
}

/* The exit that vhm_vcpu_run() has come back with. */
static int complete(struct cpu *cpu)
{
	if (cpu->machine->options->debug_exits)
		report_exit(cpu->vcpu);
	if (cpu->gdb && vhm_vcpu_run_page(cpu->vcpu)->exit_reason == VHM_EXIT_EXCEPTION &&
	    gdb_exception(cpu->gdb, vhm_vcpu_id(cpu->vcpu)))
		return 0;
	return vhm_vcpu_dispatch(cpu->vcpu, &machine_callbacks, cpu->machine);
}

static void *run_cpu(void *context)
{
	struct cpu *cpu = context;
	struct machine *machine = cpu->machine;

	while (machine_outcome(machine) == OUTCOME_NONE) {
		int result = cpu->gdb ? gdb_enter(cpu->gdb, vhm_vcpu_id(cpu->vcpu)) : 0;

		/* it may have waited for a debugger until the end */
		if (machine_outcome(machine) != OUTCOME_NONE)
			break;
		if (!result)
			result = vhm_vcpu_run(cpu->vcpu);
		if (result == -EINTR)
			continue;
		if (!result)
			result = complete(cpu);
		if (result == VHM_DISPATCH_UNHANDLED)
			end_by_exit(cpu);
		else if (result < 0)
			end_as_culprit(cpu, OUTCOME_ERROR, result);
	}
	return NULL;
}

/* ------------------------------------------------------------------- set-up -- */

static bool fail(int error)
{
	message("%s", vhm_explain(VHM_STEP_VCPU, error));
	return false;
}

static bool create_one(struct cpus *cpus, unsigned int id, const struct cpuid_table *table)
{
	struct cpu *cpu = &cpus->cpu[id];
	int error;

	cpu->machine = cpus->machine;
	error = vhm_vcpu_create(cpus->machine->vm, id, &cpu->vcpu);
	if (!error)
		error = vhm_vcpu_set_cpuid(cpu->vcpu, table->entries, table->count);
	/* The others wait for the bootstrap processor to send them INIT and SIPI. */
	if (!error && !id)
		error = vhm_vcpu_set_entry(cpu->vcpu, &cpus->machine->entry);
	return error ? fail(error) : true;
}

bool cpus_create(struct cpus *cpus, struct machine *machine)
{
	const struct vhm_info *info = vhm_get_info(machine->vhm);
	struct cpuid_table table;
	unsigned int id;
	bool created;
	int error;

	*cpus = (struct cpus){ .machine = machine, .count = machine->options->cpu_count };
	if (cpus->count > info->max_vcpus) {
		message("--cpus %u is more than the %u of this host's module: give less",
			cpus->count, info->max_vcpus);
		cpus->count = 0;
		return false;
	}
	cpus->cpu = calloc(cpus->count, sizeof(*cpus->cpu));
	if (!cpus->cpu) {
		cpus->count = 0;
		return fail(-ENOMEM);
	}
	error = cpuid_table_create(&table, machine->vhm, machine->options);
	if (error)
		return fail(error);
	created = true;
	for (id = 0; created && id < cpus->count; id++)
		created = create_one(cpus, id, &table);
	cpuid_table_destroy(&table);
	if (!created || !machine->options->gdb)
		return created;
	cpus->gdb = gdb_open(cpus, machine->options->gdb);
	for (id = 0; id < cpus->count; id++)
		cpus->cpu[id].gdb = cpus->gdb;
	return cpus->gdb;
}

/* Small stacks lie in no large page, which the host would clear for a few hundred bytes. */
static int start_thread(struct cpu *cpu)
{
	pthread_attr_t attributes;
	int error = pthread_attr_init(&attributes);

	if (error)
		return error;
	error = pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (!error)
		error = pthread_create(&cpu->thread, &attributes, run_cpu, cpu);
	pthread_attr_destroy(&attributes);
	return error;
}

bool cpus_start(struct cpus *cpus)
{
	unsigned int id;

	if (cpus->gdb && !gdb_start(cpus->gdb)) {
		machine_end(cpus->machine, OUTCOME_ERROR);
		return false;
	}
	for (id = 0; id < cpus->count; id++) {
		struct cpu *cpu = &cpus->cpu[id];
		int error = start_thread(cpu);

		if (error) {
			message("cannot start a vCPU thread: %s", strerror(error));
			machine_end(cpus->machine, OUTCOME_ERROR);
			return false;
		}
		cpu->started = true;
	}
	return true;
}

void cpus_stop(struct cpus *cpus)
{
	unsigned int id;

	if (cpus->gdb)
		gdb_release(cpus->gdb);
	/* A kick is never lost: each thread sees the outcome before it enters its guest again. */
	for (id = 0; id < cpus->count; id++)
		if (cpus->cpu[id].started)
			vhm_vcpu_kick(cpus->cpu[id].vcpu);
	for (id = 0; id < cpus->count; id++) {
		if (cpus->cpu[id].started)
			pthread_join(cpus->cpu[id].thread, NULL);
		cpus->cpu[id].started = false;
	}
}

void cpus_destroy(struct cpus *cpus, int status)
{
	unsigned int id;

	if (cpus->gdb)
		gdb_close(cpus->gdb, status);
	for (id = 0; id < cpus->count; id++)
		vhm_vcpu_destroy(cpus->cpu[id].vcpu);
	free(cpus->cpu);
	cpus->cpu = NULL;
	cpus->count = 0;
}
