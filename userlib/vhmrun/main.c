// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * vhmrun, the reference VMM of VHM: one Linux guest, or a flat binary, with a serial console.
 *
 * The main thread owns the terminal, the signals and the timers, in one epoll loop; each vCPU
 * has a thread of its own (cpus.h). Whoever meets the end of the machine records it with
 * machine_end(); the main thread then stops the vCPUs, writes out what the guest has printed,
 * gives the terminal back, and reports.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "console.h"
#include "cpus.h"
#include "machine.h"
#include "message.h"
#include "options.h"
#include "report.h"
#include "terminal.h"

/**
 * struct loop - the main thread's event loop
 * @machine: the machine
 * @epoll_fd: epoll descriptor
 * @signal_fd: signal descriptor
 * @deadly_signal: signal that ended the program, 0: none
 * @watches_input: stdin is in the epoll set
 * @watches_output: the console's output is in the epoll set
 * @input_always_ready: stdin is a file that epoll does not know
 */
struct loop {
	struct machine *machine;
	int epoll_fd;
	int signal_fd;
	int deadly_signal;
	bool watches_input;
	bool watches_output;
	bool input_always_ready;
};

static const int deadly_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

/* -------------------------------------------------------------------- events -- */

static int watch(struct loop *loop, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void unwatch(struct loop *loop, int fd)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void watch_input(struct loop *loop)
{
	bool wanted = console_wants_input(&loop->machine->console);

	if (wanted == loop->watches_input || (wanted && loop->input_always_ready))
		return;
	if (!wanted) {
		unwatch(loop, STDIN_FILENO);
	} else if (watch(loop, STDIN_FILENO, EPOLLIN)) {
		/* A regular file or /dev/null: reading it never waits. */
		loop->input_always_ready = true;
		return;
	}
	loop->watches_input = wanted;
}

static void flush_output(struct loop *loop)
{
	struct console *console = &loop->machine->console;
	bool wait = !console_flush(console);

	if (console->output_failed && machine_end(loop->machine, OUTCOME_ERROR))
		message("cannot write to standard output: %s", strerror(-console->output_failed));
	if (wait == loop->watches_output)
		return;
	if (!wait)
		unwatch(loop, console->output_fd);
	else if (watch(loop, console->output_fd, EPOLLOUT))
		return;
	loop->watches_output = wait;
}

static void read_input(struct loop *loop)
{
	if (console_read(&loop->machine->console) == CONSOLE_QUIT)
		machine_end(loop->machine, OUTCOME_QUIT);
}

static void read_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	if (read(loop->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP) {
		terminal_suspend();
		return;
	}
	loop->deadly_signal = (int)info.ssi_signo;
	machine_end(loop->machine, OUTCOME_QUIT);
}

static void read_rtc_timer(struct loop *loop)
{
	uint64_t expirations;

	if (read(loop->machine->rtc_fd, &expirations, sizeof(expirations)) > 0)
		vdev_rtc_poll(&loop->machine->rtc);
}

static void handle(struct loop *loop, int fd)
{
	struct machine *machine = loop->machine;

	if (fd == loop->signal_fd)
		read_signal(loop);
	else if (fd == machine->rtc_fd)
		read_rtc_timer(loop);
	else if (fd == machine->console.room_fd)
		console_feed(&machine->console);
	else if (fd == machine->console.flush_fd || fd == machine->console.output_fd)
		flush_output(loop);
	else if (fd == STDIN_FILENO)
		read_input(loop);
}

static void run_loop(struct loop *loop)
{
	struct epoll_event events[8];

	while (machine_outcome(loop->machine) == OUTCOME_NONE) {
		bool ready = loop->input_always_ready &&
			     console_wants_input(&loop->machine->console);
		int count, i;

		if (ready)
			read_input(loop);
		watch_input(loop);
		count = epoll_wait(loop->epoll_fd, events, 8, ready ? 0 : -1);
		for (i = 0; i < count; i++)
			handle(loop, events[i].data.fd);
	}
}

static bool open_loop(struct loop *loop, struct machine *machine, const sigset_t *signals)
{
	const int fds[] = {
		machine->ended_fd, machine->rtc_fd, machine->console.room_fd,
		machine->console.flush_fd,
	};
	size_t i;
	int error;

	*loop = (struct loop){ .machine = machine };
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->signal_fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
	error = loop->epoll_fd < 0 || loop->signal_fd < 0 ? -errno : 0;
	if (!error)
		error = watch(loop, loop->signal_fd, EPOLLIN);
	for (i = 0; !error && i < sizeof(fds) / sizeof(fds[0]); i++)
		error = watch(loop, fds[i], EPOLLIN);
	if (error)
		message("cannot set up the event loop: %s", strerror(-error));
	return !error;
}

static void close_loop(struct loop *loop)
{
	if (loop->signal_fd >= 0)
		close(loop->signal_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
}

/* ----------------------------------------------------------------------- end -- */

static void report(struct cpus *cpus)
{
	unsigned int id;

	for (id = 0; id < cpus->count; id++)
		if (cpus->cpu[id].culprit)
			report_crash(cpus->cpu[id].vcpu, cpus->cpu[id].error);
	if (!cpus->machine->options->verbose)
		return;
	for (id = 0; id < cpus->count; id++)
		report_stats(cpus->cpu[id].vcpu);
}

static int exit_status(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_POWER_OFF:
		return STATUS_POWER_OFF;
	case OUTCOME_RESET:
		return STATUS_RESET;
	case OUTCOME_CRASH:
		return STATUS_CRASH;
	case OUTCOME_QUIT:
		return STATUS_QUIT;
	default:
		return STATUS_ERROR;
	}
}

static void say_outcome(const struct machine *machine, enum outcome outcome)
{
	static const char *const texts[] = {
		[OUTCOME_POWER_OFF] = "the guest switched itself off",
		[OUTCOME_RESET] = "the guest asked for a reset",
		[OUTCOME_CRASH] = "the guest crashed",
		[OUTCOME_ERROR] = "the machine was stopped by an error",
		[OUTCOME_QUIT] = "the machine was stopped",
	};

	if (machine->options->verbose && outcome != OUTCOME_NONE)
		message("%s", texts[outcome]);
}

/* From the first vCPU's start to its end. Returns the outcome. */
static enum outcome run(struct cpus *cpus, struct loop *loop)
{
	struct machine *machine = cpus->machine;
	enum outcome outcome;
	int error = terminal_present() ? terminal_make_raw() : 0;

	if (error)
		message("cannot make the terminal raw: %s", strerror(-error));
	if (cpus_start(cpus))
		run_loop(loop);
	cpus_stop(cpus);
	outcome = machine_outcome(machine);
	if (outcome == OUTCOME_QUIT)
		console_flush(&machine->console);
	else
		console_drain(&machine->console);
	terminal_restore();
	if (outcome == OUTCOME_QUIT && !loop->deadly_signal)
		message_raw("\n");
	say_outcome(machine, outcome);
	report(cpus);
	return outcome;
}

static void block_signals(sigset_t *signals)
{
	size_t i;

	sigemptyset(signals);
	for (i = 0; i < sizeof(deadly_signals) / sizeof(deadly_signals[0]); i++)
		sigaddset(signals, deadly_signals[i]);
	sigaddset(signals, SIGTSTP);
	/* Before any thread exists, so that all of them inherit it. */
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* A closed standard descriptor would be taken by the next file opened, and written to. */
static bool open_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return fcntl(STDERR_FILENO, F_GETFD) >= 0;
	return true;
}

/* End as the signal would have ended a program without a handler, so that the caller can tell. */
static void die_of(int signal_number, const sigset_t *signals)
{
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

int main(int argc, char **argv)
{
	static struct machine machine;
	struct loop loop = { .epoll_fd = -1, .signal_fd = -1 };
	struct cpus cpus = { 0 };
	struct options options;
	sigset_t signals;
	int status;

	if (!open_standard_descriptors())
		return STATUS_ERROR;
	status = options_parse(&options, argc, argv);
	if (status >= 0)
		return status;

	block_signals(&signals);
	status = STATUS_ERROR;
	if (machine_create(&machine, &options) && cpus_create(&cpus, &machine) &&
	    open_loop(&loop, &machine, &signals))
		status = exit_status(run(&cpus, &loop));
	close_loop(&loop);
	cpus_destroy(&cpus, status);
	machine_destroy(&machine);
	if (loop.deadly_signal)
		die_of(loop.deadly_signal, &signals);
	return status;
}
