/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Messages of the program on stderr.
 *
 * Owns nothing. One write(2) a message, from any thread; carriage returns are added while the
 * terminal is raw.
 */
#ifndef VHMRUN_MESSAGE_H
#define VHMRUN_MESSAGE_H

/* "vhmrun: TEXT" and a newline */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The text as it is */
void message_raw(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* VHMRUN_MESSAGE_H */
