/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The machine: a VM with its memory, devices and firmware tables, and what is loaded into it.
 *
 * Owns the VM, the devices and the first reason to end (machine_end()). The vCPUs and their
 * threads are in cpus.h. Once vCPU threads run, only the devices change, under their own locks,
 * and the outcome, which is atomic.
 */
#ifndef VHMRUN_MACHINE_H
#define VHMRUN_MACHINE_H

#include <libvhm.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "../devices/bus.h"
#include "../devices/ioapic.h"
#include "../devices/power.h"
#include "../devices/rtc.h"
#include "console.h"
#include "memory_map.h"
#include "options.h"
#include "ram.h"

/**
 * enum outcome - why the machine ends; the first one counts
 * @OUTCOME_NONE: it runs
 * @OUTCOME_POWER_OFF: the guest's power-off
 * @OUTCOME_RESET: the guest's reset
 * @OUTCOME_CRASH: an exit that means the guest cannot go on
 * @OUTCOME_ERROR: the host's side failed
 * @OUTCOME_QUIT: the user's wish, or a signal
 */
enum outcome {
	OUTCOME_NONE,
	OUTCOME_POWER_OFF,
	OUTCOME_RESET,
	OUTCOME_CRASH,
	OUTCOME_ERROR,
	OUTCOME_QUIT,
};

/**
 * struct machine - the machine
 * @options: the command line
 * @memory_map: where its memory lies
 * @ram: the memory
 * @vhm: the device
 * @vm: the VM
 * @bus: ports and MMIO
 * @ioapic: I/O APIC
 * @rtc: real-time clock
 * @power: power-off and reset
 * @entry: where the bootstrap processor begins
 * @outcome: of enum outcome
 * @ended_fd: event descriptor: @outcome is set
 * @rtc_fd: timer descriptor for @rtc
 * @console: serial port and console; at the end, with its buffers
 */
struct machine {
	const struct options *options;
	struct memory_map memory_map;
	struct ram ram;
	struct vhm *vhm;
	struct vhm_vm *vm;
	struct vdev_bus bus;
	struct vdev_ioapic ioapic;
	struct vdev_rtc rtc;
	struct vdev_power power;
	struct vhm_entry entry;
	atomic_int outcome;
	int ended_fd;
	int rtc_fd;
	struct console console;
};

/*
 * Build the machine, which is all zeros, and load it. False: failed, and said why;
 * machine_destroy() is still due.
 */
bool machine_create(struct machine *machine, const struct options *options);
void machine_destroy(struct machine *machine);

/* End the machine for this reason. False: it has ended already for another. Any thread. */
bool machine_end(struct machine *machine, enum outcome outcome);
enum outcome machine_outcome(struct machine *machine);

/* What vhm_vcpu_dispatch() calls, with the machine as context. */
extern const struct vhm_callbacks machine_callbacks;

#endif /* VHMRUN_MACHINE_H */
