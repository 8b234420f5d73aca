// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a debugger can ask (GDB manual, appendix E, GDB Remote Serial Protocol). Thread n is vCPU
 * n - 1.
 *
 * Belongs to the server's thread. All vCPUs are stopped when a packet is served, but for those that
 * are refused because the guest runs.
 */
#include "gdb_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../devices/acpi.h"

#define SIGTRAP_NUMBER	5
#define SIGINT_NUMBER	2

#define FEATURES	"PacketSize=4000;qXfer:features:read+;vContSupported+;QStartNoAckMode+;" \
			"swbreak+;hwbreak+"

static void reply_ok(struct gdb *gdb)
{
	gdb_reply_text(&gdb->link, "OK");
}

/* Not known: an empty answer. */
static void reply_error(struct gdb *gdb, int error)
{
	gdb_reply_begin(&gdb->link);
	if (error != -EOPNOTSUPP)
		gdb_reply_format(&gdb->link, "E%02x", -error & 0xff);
}

static void reply_result(struct gdb *gdb, int result)
{
	if (result)
		reply_error(gdb, result);
	else
		reply_ok(gdb);
}

static struct vhm_vcpu *general_vcpu(struct gdb *gdb)
{
	return gdb->cpu[gdb->general_id].vcpu;
}

/* ------------------------------------------------------------------ threads -- */

/* A thread: -1: all, 0: any. False: there is no such. @id: cpu_count for all */
static bool parse_thread(const struct gdb *gdb, const char **text, uint32_t *id)
{
	uint64_t number;

	if (gdb_parse_char(text, '-')) {
		*id = gdb->cpu_count;
		return gdb_parse_number(text, &number) && number == 1;
	}
	if (!gdb_parse_number(text, &number) || number > gdb->cpu_count)
		return false;
	*id = number ? (uint32_t)number - 1 : 0;
	return true;
}

static void select_thread(struct gdb *gdb, const char *text)
{
	char purpose = *text;
	uint32_t id;

	if (!purpose) {
		reply_error(gdb, -EINVAL);
		return;
	}
	text++;
	if (!parse_thread(gdb, &text, &id) || *text) {
		reply_error(gdb, -EINVAL);
		return;
	}
	if (purpose == 'c')
		gdb->resume_id = id;
	else
		gdb->general_id = id == gdb->cpu_count ? 0 : id;
	reply_ok(gdb);
}

static void thread_alive(struct gdb *gdb, const char *text)
{
	uint32_t id;

	if (parse_thread(gdb, &text, &id) && id < gdb->cpu_count && !*text)
		reply_ok(gdb);
	else
		reply_error(gdb, -ESRCH);
}

static void list_threads(struct gdb *gdb)
{
	uint32_t id;

	for (id = 0; id < gdb->cpu_count; id++)
		gdb_reply_format(&gdb->link, "%c%x", id ? ',' : 'm', id + 1);
}

static void describe_thread(struct gdb *gdb, const char *text)
{
	static const char *const states[] = {
		[VHM_RUN_STATE_RUNNABLE] = "runs",
		[VHM_RUN_STATE_HALTED] = "halted",
		[VHM_RUN_STATE_WAIT_SIPI] = "waits for SIPI",
		[VHM_RUN_STATE_WAIT_INIT] = "waits for INIT",
		[VHM_RUN_STATE_SHUTDOWN] = "shut down",
	};
	struct vhm_events events;
	char description[64];
	uint32_t id;

	if (!parse_thread(gdb, &text, &id) || id == gdb->cpu_count ||
	    vhm_vcpu_get_section(gdb->cpu[id].vcpu, VHM_SECTION_EVENTS, &events, sizeof(events)) ||
	    events.run_state >= sizeof(states) / sizeof(states[0])) {
		reply_error(gdb, -ESRCH);
		return;
	}
	snprintf(description, sizeof(description), "vCPU %u: %s", id, states[events.run_state]);
	gdb_reply_hex(&gdb->link, description, strlen(description));
}

/* ------------------------------------------------------------------ running -- */

void gdb_reply_stop(struct gdb *gdb)
{
	struct gdb_stop stop;

	pthread_mutex_lock(&gdb->lock);
	stop = gdb->stop;
	pthread_mutex_unlock(&gdb->lock);
	if (stop.reason != GDB_STOP_NONE && stop.reason != GDB_STOP_INTERRUPT)
		gdb->general_id = stop.id;
	gdb_reply_begin(&gdb->link);
	gdb_reply_format(&gdb->link, "T%02xthread:%x;",
			 stop.reason <= GDB_STOP_INTERRUPT ? SIGINT_NUMBER : SIGTRAP_NUMBER,
			 gdb->general_id + 1);
	if (stop.reason == GDB_STOP_SOFTWARE)
		gdb_reply_text(&gdb->link, "swbreak:;");
	else if (stop.reason == GDB_STOP_HARDWARE)
		gdb_reply_text(&gdb->link, "hwbreak:;");
	else if (stop.reason == GDB_STOP_WATCH_WRITE || stop.reason == GDB_STOP_WATCH_ACCESS)
		gdb_reply_format(&gdb->link, "%s:%llx;",
				 stop.reason == GDB_STOP_WATCH_WRITE ? "watch" : "awatch",
				 (unsigned long long)stop.linear);
	gdb_reply_send(&gdb->link);
}

static void run(struct gdb *gdb)
{
	gdb->waits_for_stop = true;
	gdb_resume(gdb);
}

/* @text: an address to go on at, or nothing */
static void resume_one_or_all(struct gdb *gdb, const char *text, enum gdb_action action)
{
	bool all = gdb->resume_id == gdb->cpu_count || action == GDB_CONTINUE;
	uint32_t one = gdb->resume_id == gdb->cpu_count ? gdb->general_id : gdb->resume_id, id;
	struct vhm_registers regs;
	uint64_t rip;
	int error = 0;

	if (*text) {
		error = gdb_parse_number(&text, &rip) && !*text ? 0 : -EINVAL;
		if (!error)
			error = vhm_vcpu_get_registers(gdb->cpu[one].vcpu, &regs);
		regs.rip = rip;
		if (!error)
			error = vhm_vcpu_set_registers(gdb->cpu[one].vcpu, &regs);
	}
	if (error) {
		reply_error(gdb, error);
		gdb_reply_send(&gdb->link);
		return;
	}
	for (id = 0; id < gdb->cpu_count; id++)
		gdb->cpu[id].next_action = id == one ? action : all && action == GDB_CONTINUE ?
					   GDB_CONTINUE : GDB_STAY;
	run(gdb);
}

/* One ";action[:thread]" of vCont; for each vCPU the first one that means it counts. */
static bool add_action(struct gdb *gdb, const char **text, bool *given)
{
	enum gdb_action action;
	uint32_t first = gdb->cpu_count, id;
	uint64_t signal;

	if (!gdb_parse_char(text, ';'))
		return false;
	action = **text == 's' || **text == 'S' ? GDB_STEP : GDB_CONTINUE;
	/* signals mean nothing to a processor */
	if (gdb_parse_char(text, 'C') || gdb_parse_char(text, 'S')) {
		if (!gdb_parse_number(text, &signal))
			return false;
	} else if (!gdb_parse_char(text, 'c') && !gdb_parse_char(text, 's')) {
		return false;
	}
	if (gdb_parse_char(text, ':') && !parse_thread(gdb, text, &first))
		return false;
	for (id = 0; id < gdb->cpu_count; id++) {
		if (given[id] || (first < gdb->cpu_count && first != id))
			continue;
		given[id] = true;
		gdb->cpu[id].next_action = action;
	}
	return true;
}

/* True: the guest runs; false: refused. */
static bool resume_each(struct gdb *gdb, const char *text)
{
	bool given[VDEV_ACPI_MAX_CPUS] = { false };
	bool any = false;
	uint32_t id;

	for (id = 0; id < gdb->cpu_count; id++)
		gdb->cpu[id].next_action = GDB_STAY;
	while (*text)
		if (!add_action(gdb, &text, given))
			return false;
	for (id = 0; id < gdb->cpu_count; id++)
		any |= given[id];
	if (!any)
		return false;
	run(gdb);
	return true;
}

/* ------------------------------------------------------------------- memory -- */

/* "address,length" */
static bool parse_range(const char **text, uint64_t *linear, uint64_t *bytes)
{
	return gdb_parse_number(text, linear) && gdb_parse_char(text, ',') &&
	       gdb_parse_number(text, bytes);
}

static void read_memory(struct gdb *gdb, const char *text)
{
	uint64_t linear, bytes;
	int error = -EINVAL;

	if (parse_range(&text, &linear, &bytes) && !*text)
		error = gdb_reply_memory(&gdb->link, general_vcpu(gdb), &gdb->breakpoints, linear,
					 bytes);
	if (error)
		reply_error(gdb, error == -EOPNOTSUPP ? -EIO : error);
}

static void write_memory(struct gdb *gdb, const char *text)
{
	uint64_t linear, bytes;
	int error = -EINVAL;

	if (parse_range(&text, &linear, &bytes) && gdb_parse_char(&text, ':'))
		error = gdb_write_memory(general_vcpu(gdb), &gdb->breakpoints, linear, bytes, text);
	reply_result(gdb, error);
}

static void change_breakpoint(struct gdb *gdb, const char *text, bool insert)
{
	uint64_t kind, linear, bytes;
	int error = -EINVAL;

	if (gdb_parse_number(&text, &kind) && gdb_parse_char(&text, ',') &&
	    parse_range(&text, &linear, &bytes)) {
		pthread_mutex_lock(&gdb->lock);
		if (insert)
			error = gdb_breakpoint_insert(general_vcpu(gdb), &gdb->breakpoints, kind,
						      linear, bytes);
		else
			error = gdb_breakpoint_remove(general_vcpu(gdb), &gdb->breakpoints, kind,
						      linear, bytes);
		pthread_mutex_unlock(&gdb->lock);
	}
	reply_result(gdb, error);
}

static void write_register(struct gdb *gdb, const char *text)
{
	uint64_t number;
	int error = -EINVAL;

	if (gdb_parse_number(&text, &number) && gdb_parse_char(&text, '='))
		error = gdb_set_register(general_vcpu(gdb), number, text);
	reply_result(gdb, error);
}

static void read_register(struct gdb *gdb, const char *text)
{
	uint64_t number;
	int error = -EINVAL;

	if (gdb_parse_number(&text, &number) && !*text)
		error = gdb_reply_register(&gdb->link, general_vcpu(gdb), number);
	if (error)
		reply_error(gdb, error);
}

/* ------------------------------------------------------------------ queries -- */

/* "offset,length" of the description: 'm' before a piece, 'l' before the last */
static void read_features(struct gdb *gdb, const char *text)
{
	const size_t total = strlen(gdb_target_xml);
	char piece[GDB_PACKET_BYTES / 2];
	uint64_t offset, bytes;

	if (!parse_range(&text, &offset, &bytes) || *text || offset > total) {
		reply_error(gdb, -EINVAL);
		return;
	}
	if (bytes > sizeof(piece) - 1)
		bytes = sizeof(piece) - 1;
	if (bytes > total - offset)
		bytes = total - offset;
	memcpy(piece, gdb_target_xml + offset, bytes);
	piece[bytes] = '\0';
	gdb_reply_text(&gdb->link, offset + bytes == total ? "l" : "m");
	gdb_reply_text(&gdb->link, piece);
}

static const char *after(const char *text, const char *prefix)
{
	size_t bytes = strlen(prefix);

	return strncmp(text, prefix, bytes) ? NULL : text + bytes;
}

static void query(struct gdb *gdb, const char *text)
{
	const char *rest;

	if (after(text, "Supported"))
		gdb_reply_text(&gdb->link, FEATURES);
	else if ((rest = after(text, "Xfer:features:read:target.xml:")))
		read_features(gdb, rest);
	else if (!strcmp(text, "fThreadInfo"))
		list_threads(gdb);
	else if (!strcmp(text, "sThreadInfo"))
		gdb_reply_text(&gdb->link, "l");
	else if ((rest = after(text, "ThreadExtraInfo,")))
		describe_thread(gdb, rest);
	else if (!strcmp(text, "Attached"))
		gdb_reply_text(&gdb->link, "1");
	else if (!strcmp(text, "C"))
		gdb_reply_format(&gdb->link, "QC%x", gdb->general_id + 1);
}

/* True: answered here. */
static bool serve_v_packet(struct gdb *gdb, const char *text)
{
	const char *rest = after(text, "Cont");

	if (rest && *rest == '?') {
		gdb_reply_text(&gdb->link, "vCont;c;C;s;S");
	} else if (rest) {
		if (resume_each(gdb, rest))
			return true;
		reply_error(gdb, -EINVAL);
	} else if (after(text, "Kill")) {
		reply_ok(gdb);
		gdb_reply_send(&gdb->link);
		machine_end(gdb->machine, OUTCOME_QUIT);
		return true;
	}
	return false;
}

/* Those that have an answer at once. */
static void serve_simple(struct gdb *gdb, const char *text)
{
	int error;

	switch (*text) {
	case 'g':
		error = gdb_reply_registers(&gdb->link, general_vcpu(gdb));
		if (error)
			reply_error(gdb, error);
		break;
	case 'G':
		reply_result(gdb, gdb_set_registers(general_vcpu(gdb), text + 1));
		break;
	case 'p':
		read_register(gdb, text + 1);
		break;
	case 'P':
		write_register(gdb, text + 1);
		break;
	case 'm':
		read_memory(gdb, text + 1);
		break;
	case 'M':
		write_memory(gdb, text + 1);
		break;
	case 'Z':
	case 'z':
		change_breakpoint(gdb, text + 1, *text == 'Z');
		break;
	case 'H':
		select_thread(gdb, text + 1);
		break;
	case 'T':
		thread_alive(gdb, text + 1);
		break;
	case 'q':
		query(gdb, text + 1);
		break;
	}
}

void gdb_serve_packet(struct gdb *gdb)
{
	const char *text = gdb->link.packet;

	/* Nothing but Ctrl-C may come while the guest runs. */
	if (!gdb_all_stopped(gdb))
		return;
	gdb_reply_begin(&gdb->link);
	switch (*text) {
	case '?':
		gdb_reply_stop(gdb);
		return;
	case 'c':
	case 's':
		resume_one_or_all(gdb, text + 1, *text == 'c' ? GDB_CONTINUE : GDB_STEP);
		return;
	case 'v':
		if (serve_v_packet(gdb, text + 1))
			return;
		break;
	case 'D':
		reply_ok(gdb);
		gdb_reply_send(&gdb->link);
		gdb_detach(gdb);
		return;
	case 'k':
		machine_end(gdb->machine, OUTCOME_QUIT);
		return;
	case 'Q':
		if (!strcmp(text, "QStartNoAckMode")) {
			reply_ok(gdb);
			gdb_reply_send(&gdb->link);
			gdb->link.no_acks = true;
			return;
		}
		break;
	default:
		serve_simple(gdb, text);
		break;
	}
	if (!gdb_reply_send(&gdb->link))
		gdb_detach(gdb);
}
