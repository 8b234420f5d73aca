// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The terminal on stdin. See terminal.h.
 */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static atomic_bool raw;
static bool guarded;

static const int fatal_signals[] = {
	SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ,
};

bool terminal_present(void)
{
	return isatty(STDIN_FILENO);
}

bool terminal_is_raw(void)
{
	return atomic_load(&raw);
}

/* In the background the terminal is another job's, and its settings are none of ours. */
static bool in_foreground(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_restore(void)
{
	int kept = errno;

	if (atomic_exchange(&raw, false) && in_foreground())
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	errno = kept;
}

static void die_restored(int signal_number)
{
	/* The disposition went back to the default as the handler was entered (SA_RESETHAND). */
	terminal_restore();
	raise(signal_number);
}

static void guard(void)
{
	struct sigaction action = { .sa_handler = die_restored, .sa_flags = SA_RESETHAND };
	size_t i;

	if (guarded)
		return;
	guarded = true;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++)
		sigaction(fatal_signals[i], &action, NULL);
	atexit(terminal_restore);
}

static int set_raw(void)
{
	struct termios wanted = saved;

	cfmakeraw(&wanted);
	wanted.c_cc[VMIN] = 1;
	wanted.c_cc[VTIME] = 0;
	atomic_store(&raw, true);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted) < 0) {
		int error = -errno;

		atomic_store(&raw, false);
		return error;
	}
	return 0;
}

int terminal_make_raw(void)
{
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	guard();
	return set_raw();
}

void terminal_suspend(void)
{
	bool was_raw = terminal_is_raw();

	terminal_restore();
	raise(SIGSTOP);
	if (was_raw && in_foreground())
		set_raw();
}
