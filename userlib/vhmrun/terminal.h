/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The terminal on stdin: raw while the guest has it, and back to what it was on every way out
 * of the program: return from main(), exit(), a signal, a fault of the program itself. (Not
 * SIGKILL, which no program sees.)
 *
 * Owns the saved settings: process-wide, because signal handlers have no other way to them.
 */
#ifndef VHMRUN_TERMINAL_H
#define VHMRUN_TERMINAL_H

#include <stdbool.h>

/* Is stdin a terminal that a guest can have? */
bool terminal_present(void);
bool terminal_is_raw(void);

/* From here on terminal_restore() is called by itself on exit and on fatal signals. 0 or -errno. */
int terminal_make_raw(void);

/* Signal handlers may call it; without effect if the terminal is not raw. */
void terminal_restore(void);

/* Give the terminal back, stop as SIGTSTP does, take it again once continued. */
void terminal_suspend(void);

#endif /* VHMRUN_TERMINAL_H */
