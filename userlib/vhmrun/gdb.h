/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The GDB server of --gdb: vCPUs as threads, all of them stopped or each told what to do.
 *
 * A thread of its own talks to the debugger. vCPU threads come by with gdb_enter() before each
 * run, and wait there while they shall not run; then the server's thread may use their vCPUs.
 *
 * Lock: gdb.lock, see gdb.c. Never held while a guest runs.
 */
#ifndef VHMRUN_GDB_H
#define VHMRUN_GDB_H

#include <libvhm.h>
#include <stdbool.h>

struct gdb;
struct cpus;

/*
 * Listen: a number is a TCP port of 127.0.0.1, anything else the path of a socket. All vCPUs wait
 * for the debugger. NULL: failed, and said why.
 */
struct gdb *gdb_open(struct cpus *cpus, const char *address);
/* Start the server's thread. False: failed, and said why. */
bool gdb_start(struct gdb *gdb);
/* The machine has ended: no vCPU waits any more. */
void gdb_release(struct gdb *gdb);
/* The vCPU threads are gone: tell the debugger @status, how the program ends, and end the thread. */
void gdb_close(struct gdb *gdb, int status);

/*
 * vCPU threads: wait until vCPU @id may run. Its part of what the debugger wants is in force then.
 * 0 or -errno; with the machine at its end it returns at once.
 */
int gdb_enter(struct gdb *gdb, uint32_t id);
/* vCPU threads, after VHM_EXIT_EXCEPTION. False: it has nothing to do with debugging. */
bool gdb_exception(struct gdb *gdb, uint32_t id);

#endif /* VHMRUN_GDB_H */
