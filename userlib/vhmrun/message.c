// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Messages of the program on stderr. See message.h.
 */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

#define MESSAGE_BYTES	4096

static void emit(const char *text)
{
	char out[2 * MESSAGE_BYTES];
	size_t used = 0, done = 0;

	for (; *text; text++) {
		if (*text == '\n' && terminal_is_raw())
			out[used++] = '\r';
		out[used++] = *text;
	}
	while (done < used) {
		ssize_t wrote = write(STDERR_FILENO, out + done, used - done);

		if (wrote <= 0)
			return;		/* nowhere left to complain */
		done += (size_t)wrote;
	}
}

void message(const char *format, ...)
{
	char text[MESSAGE_BYTES] = "vhmrun: ";
	size_t prefix = strlen(text), length;
	va_list args;

	va_start(args, format);
	vsnprintf(text + prefix, sizeof(text) - prefix - 1, format, args);
	va_end(args);
	length = strlen(text);
	text[length] = '\n';
	text[length + 1] = '\0';
	emit(text);
}

void message_raw(const char *format, ...)
{
	char text[MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	emit(text);
}
