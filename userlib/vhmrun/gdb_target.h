/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What a debugger sees of a stopped guest: registers of a vCPU, memory at linear addresses, and
 * breakpoints.
 *
 * All vCPUs are stopped and nothing of them is pending in their run pages. Breakpoints are
 * looked up by vCPU threads, too: gdb.c's lock is held around all functions that name them.
 */
#ifndef VHMRUN_GDB_TARGET_H
#define VHMRUN_GDB_TARGET_H

#include <libvhm.h>
#include <stdbool.h>

#include "gdb_packet.h"

#define GDB_HARDWARE_BREAKPOINTS	4
#define GDB_SOFTWARE_BREAKPOINTS	256

/* Kinds of breakpoint as packets Z and z number them */
enum gdb_breakpoint_kind {
	GDB_BREAK_SOFTWARE,
	GDB_BREAK_HARDWARE,
	GDB_WATCH_WRITE,
	GDB_WATCH_READ,
	GDB_WATCH_ACCESS,
};

/**
 * struct gdb_hardware_breakpoint - one of the four of a processor
 * @used: it is set
 * @kind: of enum gdb_breakpoint_kind
 * @linear: address
 * @bytes: 1, 2, 4 or 8
 */
struct gdb_hardware_breakpoint {
	bool used;
	enum gdb_breakpoint_kind kind;
	uint64_t linear;
	unsigned int bytes;
};

/**
 * struct gdb_software_breakpoint - an INT3 in the guest's memory
 * @gpa: where it is, the same for all address spaces of the guest
 * @linear: where the debugger set it
 * @byte: what it displaces
 */
struct gdb_software_breakpoint {
	uint64_t gpa;
	uint64_t linear;
	uint8_t byte;
};

/**
 * struct gdb_breakpoints - all that are set
 * @hardware: one entry a register
 * @software: the first @software_count are set
 * @software_count: how many
 */
struct gdb_breakpoints {
	struct gdb_hardware_breakpoint hardware[GDB_HARDWARE_BREAKPOINTS];
	struct gdb_software_breakpoint software[GDB_SOFTWARE_BREAKPOINTS];
	unsigned int software_count;
};

/* The description of the registers, in XML */
extern const char gdb_target_xml[];

/* 0 or -errno. A number that no register has: -EINVAL. */
int gdb_reply_registers(struct gdb_link *link, struct vhm_vcpu *vcpu);
int gdb_reply_register(struct gdb_link *link, struct vhm_vcpu *vcpu, uint64_t number);
int gdb_set_registers(struct vhm_vcpu *vcpu, const char *text);
int gdb_set_register(struct vhm_vcpu *vcpu, uint64_t number, const char *text);

/* As the guest has it: without breakpoints. As much as can be read; -errno: nothing. */
int gdb_reply_memory(struct gdb_link *link, struct vhm_vcpu *vcpu,
		     const struct gdb_breakpoints *breakpoints, uint64_t linear, uint64_t bytes);
int gdb_write_memory(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints, uint64_t linear,
		     uint64_t bytes, const char *text);

/* 0, or -errno; -EOPNOTSUPP: no such kind. */
int gdb_breakpoint_insert(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints,
			  uint64_t kind, uint64_t linear, uint64_t bytes);
int gdb_breakpoint_remove(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints,
			  uint64_t kind, uint64_t linear, uint64_t bytes);
void gdb_breakpoints_clear(struct vhm_vm *vm, struct gdb_breakpoints *breakpoints);

/* What vhm_vcpu_set_control() has to be told. */
void gdb_breakpoints_control(const struct gdb_breakpoints *breakpoints,
			     struct vhm_vcpu_control *control);

/**
 * enum gdb_int3 - whose INT3 a vCPU has executed
 * @GDB_INT3_OURS: a breakpoint
 * @GDB_INT3_GONE: a breakpoint that has been removed since
 * @GDB_INT3_GUEST: the guest's own
 */
enum gdb_int3 {
	GDB_INT3_OURS,
	GDB_INT3_GONE,
	GDB_INT3_GUEST,
};

enum gdb_int3 gdb_whose_int3(struct vhm_vcpu *vcpu, const struct gdb_breakpoints *breakpoints);

#endif /* VHMRUN_GDB_TARGET_H */
