// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The GDB server: stopping and resuming vCPUs, and the thread that talks to the debugger. See gdb.h.
 *
 * gdb.lock protects what vCPU threads and the server's share: actions, stops, breakpoints. The
 * server uses a vCPU only while its thread waits in gdb_enter(), which has settled what was
 * pending in the run page.
 */
#include "gdb_session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"

#define VECTOR_DB	1
#define VECTOR_BP	3
#define DR6_HITS	0xfu
#define DR6_BS		(1u << 14)

/* ------------------------------------------------------- stopping, resuming -- */

static void notify(struct gdb *gdb)
{
	const uint64_t one = 1;

	if (write(gdb->event_fd, &one, sizeof(one)) < 0)
		return;		/* full: it is readable all the same */
}

static void stop_all_locked(struct gdb *gdb)
{
	uint32_t id;

	for (id = 0; id < gdb->cpu_count; id++) {
		if (gdb->cpu[id].action == GDB_STAY)
			continue;
		gdb->cpu[id].action = GDB_STAY;
		vhm_vcpu_kick(gdb->cpu[id].vcpu);
	}
}

void gdb_stop_all(struct gdb *gdb)
{
	pthread_mutex_lock(&gdb->lock);
	stop_all_locked(gdb);
	pthread_mutex_unlock(&gdb->lock);
}

static bool all_stopped_locked(const struct gdb *gdb)
{
	uint32_t id;

	for (id = 0; id < gdb->cpu_count; id++)
		if (gdb->cpu[id].action != GDB_STAY || !gdb->cpu[id].stopped)
			return false;
	return true;
}

bool gdb_all_stopped(struct gdb *gdb)
{
	bool all;

	pthread_mutex_lock(&gdb->lock);
	all = all_stopped_locked(gdb);
	pthread_mutex_unlock(&gdb->lock);
	return all;
}

void gdb_resume(struct gdb *gdb)
{
	uint32_t id;

	pthread_mutex_lock(&gdb->lock);
	gdb->stop = (struct gdb_stop){ .reason = GDB_STOP_NONE };
	for (id = 0; id < gdb->cpu_count; id++) {
		struct gdb_cpu *cpu = &gdb->cpu[id];

		cpu->action = cpu->next_action;
		if (cpu->action == GDB_STAY)
			continue;
		cpu->stopped = false;
		/* a hit that another vCPU's stop has outrun */
		if (cpu->late.reason != GDB_STOP_NONE && gdb->stop.reason == GDB_STOP_NONE)
			gdb->stop = cpu->late;
		cpu->late.reason = GDB_STOP_NONE;
	}
	if (gdb->stop.reason != GDB_STOP_NONE)
		stop_all_locked(gdb);
	pthread_cond_broadcast(&gdb->resumed);
	pthread_mutex_unlock(&gdb->lock);
}

/* ------------------------------------------------------------- vCPU threads -- */

/* Retiring, registers and events that dispatching has left in the run page reach the vCPU. */
static int settle(struct vhm_vcpu *vcpu)
{
	struct vhm_run *run = vhm_vcpu_run_page(vcpu);
	int ret;

	do {
		run->request |= VHM_RUN_RETURN;
		ret = vhm_vcpu_run(vcpu);
	} while (ret == -EINTR);
	return ret;
}

static int set_control_locked(struct gdb *gdb, struct gdb_cpu *cpu)
{
	struct vhm_vcpu_control control;
	int ret;

	gdb_breakpoints_control(&gdb->breakpoints, &control);
	if (cpu->action == GDB_STEP)
		control.flags |= VHM_CONTROL_SINGLE_STEP;
	if (!memcmp(&control, &cpu->control, sizeof(control)))
		return 0;
	ret = vhm_vcpu_set_control(cpu->vcpu, &control);
	if (!ret)
		cpu->control = control;
	return ret;
}

int gdb_enter(struct gdb *gdb, uint32_t id)
{
	struct gdb_cpu *cpu = &gdb->cpu[id];
	int ret = 0;

	pthread_mutex_lock(&gdb->lock);
	if (cpu->action == GDB_STAY && !gdb->ended) {
		pthread_mutex_unlock(&gdb->lock);
		ret = settle(cpu->vcpu);
		pthread_mutex_lock(&gdb->lock);
		while (cpu->action == GDB_STAY && !gdb->ended) {
			/* again, if it was resumed and stopped before this thread woke up */
			if (!cpu->stopped)
				notify(gdb);
			cpu->stopped = true;
			pthread_cond_wait(&gdb->resumed, &gdb->lock);
		}
	}
	if (!ret && !gdb->ended)
		ret = set_control_locked(gdb, cpu);
	pthread_mutex_unlock(&gdb->lock);
	return ret;
}

static void stop_locked(struct gdb *gdb, uint32_t id, enum gdb_stop_reason reason,
			uint64_t linear)
{
	const struct gdb_stop stop = { .reason = reason, .id = id, .linear = linear };

	if (gdb->stop.reason == GDB_STOP_NONE)
		gdb->stop = stop;
	else if (reason >= GDB_STOP_WATCH_WRITE)
		gdb->cpu[id].late = stop;	/* it will not happen again */
	stop_all_locked(gdb);
}

/* The debugger has removed it meanwhile: nothing. */
static void stop_by_hit_locked(struct gdb *gdb, uint32_t id, uint64_t hits)
{
	unsigned int i;

	for (i = 0; i < GDB_HARDWARE_BREAKPOINTS; i++) {
		const struct gdb_hardware_breakpoint *hit = &gdb->breakpoints.hardware[i];

		if (!(hits >> i & 1) || !hit->used)
			continue;
		stop_locked(gdb, id, hit->kind == GDB_BREAK_HARDWARE ? GDB_STOP_HARDWARE :
			    hit->kind == GDB_WATCH_WRITE ? GDB_STOP_WATCH_WRITE :
			    GDB_STOP_WATCH_ACCESS, hit->linear);
		return;
	}
}

static void debug_exception_locked(struct gdb *gdb, uint32_t id, uint64_t causes)
{
	if (causes & DR6_HITS)
		stop_by_hit_locked(gdb, id, causes & DR6_HITS);
	if (causes & DR6_BS && gdb->cpu[id].action == GDB_STEP)
		stop_locked(gdb, id, GDB_STOP_STEP, 0);
}

static void int3_locked(struct gdb *gdb, uint32_t id)
{
	struct vhm_vcpu *vcpu = gdb->cpu[id].vcpu;
	struct vhm_run *run = vhm_vcpu_run_page(vcpu);

	switch (gdb_whose_int3(vcpu, &gdb->breakpoints)) {
	case GDB_INT3_OURS:
		stop_locked(gdb, id, GDB_STOP_SOFTWARE, 0);
		break;
	case GDB_INT3_GUEST:
		run->inject = run->exception;
		break;
	case GDB_INT3_GONE:
		break;		/* what was below is executed now */
	}
}

bool gdb_exception(struct gdb *gdb, uint32_t id)
{
	const struct vhm_run *run = vhm_vcpu_run_page(gdb->cpu[id].vcpu);
	const uint32_t vector = run->exception.vector;

	pthread_mutex_lock(&gdb->lock);
	if (vector == VECTOR_DB)
		debug_exception_locked(gdb, id, run->exception.payload);
	else if (vector == VECTOR_BP)
		int3_locked(gdb, id);
	pthread_mutex_unlock(&gdb->lock);
	return vector == VECTOR_DB || vector == VECTOR_BP;
}

/* ------------------------------------------------------------ server's thread -- */

/* The debugger is there, or is gone: the guest waits for the one and goes on without the other. */
static void attach(struct gdb *gdb)
{
	int fd = accept4(gdb->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	gdb_link_open(&gdb->link, fd, gdb->machine->ended_fd);
	gdb->waits_for_stop = false;
	gdb_stop_all(gdb);
}

void gdb_detach(struct gdb *gdb)
{
	uint32_t id;

	gdb_link_close(&gdb->link);
	gdb->waits_for_stop = false;
	pthread_mutex_lock(&gdb->lock);
	gdb->detaching = true;
	stop_all_locked(gdb);
	pthread_mutex_unlock(&gdb->lock);
	/* Breakpoints are taken out once no vCPU runs: see poll_events(). */
	for (id = 0; id < gdb->cpu_count; id++)
		gdb->cpu[id].next_action = GDB_CONTINUE;
	notify(gdb);
}

static void finish_detaching(struct gdb *gdb)
{
	pthread_mutex_lock(&gdb->lock);
	gdb_breakpoints_clear(gdb->machine->vm, &gdb->breakpoints);
	gdb->detaching = false;
	pthread_mutex_unlock(&gdb->lock);
	gdb_resume(gdb);
}

/* Answers packets until there are none; before all vCPUs have stopped only Ctrl-C counts. */
static void serve_link(struct gdb *gdb)
{
	while (gdb->link.fd >= 0) {
		switch (gdb_link_read(&gdb->link)) {
		case GDB_INPUT_NONE:
			return;
		case GDB_INPUT_PACKET:
			gdb_serve_packet(gdb);
			break;
		case GDB_INPUT_INTERRUPT:
			gdb_stop_all(gdb);
			break;
		case GDB_INPUT_CLOSED:
			gdb_detach(gdb);
			return;
		}
	}
}

static void poll_events(struct gdb *gdb)
{
	bool stopped = gdb_all_stopped(gdb);
	struct pollfd polls[] = {
		{ .fd = gdb->event_fd, .events = POLLIN },
		{ .fd = gdb->machine->ended_fd, .events = POLLIN },
		/* one debugger at a time; the next one waits in the queue */
		{ .fd = gdb->link.fd < 0 && !gdb->detaching ? gdb->listen_fd : -1,
		  .events = POLLIN },
		/* while vCPUs come to a stop, packets wait */
		{ .fd = stopped || gdb->waits_for_stop ? gdb->link.fd : -1, .events = POLLIN },
	};
	uint64_t events;

	if (gdb->detaching && stopped) {
		finish_detaching(gdb);
		return;
	}
	if (stopped && gdb->waits_for_stop) {
		gdb->waits_for_stop = false;
		gdb_reply_stop(gdb);
		return;
	}
	if (poll(polls, 4, -1) < 0)
		return;
	if (polls[0].revents && read(gdb->event_fd, &events, sizeof(events)) < 0)
		return;
	if (polls[2].revents)
		attach(gdb);
	if (polls[3].revents)
		serve_link(gdb);
}

static void *serve(void *context)
{
	struct gdb *gdb = context;

	while (machine_outcome(gdb->machine) == OUTCOME_NONE)
		poll_events(gdb);
	return NULL;
}

/* ------------------------------------------------------------------- life -- */

struct gdb *gdb_open(struct cpus *cpus, const char *address)
{
	struct gdb *gdb = calloc(1, sizeof(*gdb) + cpus->count * sizeof(gdb->cpu[0]));
	uint32_t id;

	if (!gdb) {
		message("--gdb: %s", strerror(ENOMEM));
		return NULL;
	}
	gdb->machine = cpus->machine;
	gdb->cpu_count = cpus->count;
	gdb->link.fd = -1;
	gdb->stop.reason = GDB_STOP_INTERRUPT;
	for (id = 0; id < cpus->count; id++)
		gdb->cpu[id].vcpu = cpus->cpu[id].vcpu;
	pthread_mutex_init(&gdb->lock, NULL);
	pthread_cond_init(&gdb->resumed, NULL);
	gdb->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	gdb->listen_fd = gdb_listen(address, &gdb->path);
	if (gdb->event_fd >= 0 && gdb->listen_fd >= 0)
		return gdb;
	gdb_close(gdb, 0);
	return NULL;
}

bool gdb_start(struct gdb *gdb)
{
	int error = pthread_create(&gdb->thread, NULL, serve, gdb);

	if (error)
		message("--gdb: cannot start a thread: %s", strerror(error));
	gdb->started = !error;
	return gdb->started;
}

void gdb_release(struct gdb *gdb)
{
	pthread_mutex_lock(&gdb->lock);
	gdb->ended = true;
	pthread_cond_broadcast(&gdb->resumed);
	pthread_mutex_unlock(&gdb->lock);
	if (gdb->started)
		pthread_join(gdb->thread, NULL);
	gdb->started = false;
}

void gdb_close(struct gdb *gdb, int status)
{
	if (gdb->link.fd >= 0) {
		gdb_reply_begin(&gdb->link);
		gdb_reply_format(&gdb->link, "W%02x", status & 0xff);
		gdb_reply_send(&gdb->link);
		gdb_link_close(&gdb->link);
	}
	if (gdb->listen_fd >= 0)
		close(gdb->listen_fd);
	if (gdb->path)
		unlink(gdb->path);
	if (gdb->event_fd >= 0)
		close(gdb->event_fd);
	pthread_cond_destroy(&gdb->resumed);
	pthread_mutex_destroy(&gdb->lock);
	free(gdb);
}
