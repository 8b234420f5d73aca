/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of the GDB server share. See gdb.h.
 */
#ifndef VHMRUN_GDB_SESSION_H
#define VHMRUN_GDB_SESSION_H

#include <pthread.h>

#include "cpus.h"
#include "gdb.h"
#include "gdb_packet.h"
#include "gdb_target.h"

/* What a vCPU does until the next stop. */
enum gdb_action {
	GDB_STAY,
	GDB_CONTINUE,
	GDB_STEP,
};

/* Why the guest stopped; from GDB_STOP_WATCH_WRITE on the instruction has been executed. */
enum gdb_stop_reason {
	GDB_STOP_NONE,
	GDB_STOP_INTERRUPT,	/* attached, or Ctrl-C */
	GDB_STOP_STEP,
	GDB_STOP_SOFTWARE,
	GDB_STOP_HARDWARE,
	GDB_STOP_WATCH_WRITE,
	GDB_STOP_WATCH_ACCESS,
};

/**
 * struct gdb_stop - a stop
 * @reason: of enum gdb_stop_reason
 * @id: the vCPU that caused it
 * @linear: address of a watch
 */
struct gdb_stop {
	enum gdb_stop_reason reason;
	uint32_t id;
	uint64_t linear;
};

/**
 * struct gdb_cpu - a vCPU
 * @vcpu: its handle
 * @action: what it shall do; under gdb.lock
 * @stopped: its thread waits; under gdb.lock
 * @late: a watch it hit while another one's stop was on its way; under gdb.lock
 * @control: last one set; the vCPU thread's
 * @next_action: being put together by the server's thread
 */
struct gdb_cpu {
	struct vhm_vcpu *vcpu;
	enum gdb_action action;
	bool stopped;
	struct gdb_stop late;
	struct vhm_vcpu_control control;
	enum gdb_action next_action;
};

/**
 * struct gdb - the server
 * @machine: the machine
 * @thread: the server's thread
 * @started: it exists
 * @event_fd: event descriptor: a vCPU has stopped
 * @listen_fd: where debuggers connect
 * @path: of the socket, NULL: a TCP port
 * @link: the debugger
 * @waits_for_stop: it waits to be told of the next stop
 * @general_id: vCPU that its packets about registers and memory mean
 * @resume_id: vCPU that its packets c and s mean, cpu_count: all
 * @detaching: it is gone, and the guest goes on as soon as its breakpoints are out
 * @lock: protects the following, and of each vCPU what says so
 * @resumed: actions have changed, or @ended
 * @ended: the machine has ended
 * @stop: the last stop
 * @breakpoints: all breakpoints
 * @cpu_count: vCPUs
 * @cpu: the vCPUs
 */
struct gdb {
	struct machine *machine;
	pthread_t thread;
	bool started;
	int event_fd;
	int listen_fd;
	const char *path;
	struct gdb_link link;
	bool waits_for_stop;
	uint32_t general_id;
	uint32_t resume_id;
	bool detaching;
	pthread_mutex_t lock;
	pthread_cond_t resumed;
	bool ended;
	struct gdb_stop stop;
	struct gdb_breakpoints breakpoints;
	uint32_t cpu_count;
	struct gdb_cpu cpu[];
};

/* gdb.c, for the server's thread */
void gdb_stop_all(struct gdb *gdb);
bool gdb_all_stopped(struct gdb *gdb);
/* Each vCPU does its next_action. */
void gdb_resume(struct gdb *gdb);
void gdb_detach(struct gdb *gdb);

/* gdb_commands.c: the packet in gdb.link, and what is told without being asked */
void gdb_serve_packet(struct gdb *gdb);
void gdb_reply_stop(struct gdb *gdb);

/* gdb_listen.c: the descriptor, or -1 after saying why; @path: out: to be unlinked, or NULL */
int gdb_listen(const char *address, const char **path);

#endif /* VHMRUN_GDB_SESSION_H */
