// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of the boot measurements. Its first instruction (first.S) ends the measured round. On bare
 * emulated hardware it prints what was counted since the kernel's entry; in a guest the port answers
 * nothing, and the host prints it. Then it turns the machine off.
 */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

/* Once the serial port has said all. */
static void turn_off(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	reboot(RB_POWER_OFF);
}

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	turn_off();
	exit(1);
}

long must(long value, const char *what)
{
	if (value < 0)
		fail("init: %s", what);
	return value;
}

int main(void)
{
	static const char *const names[] = { "boot" };

	if (count_try())
		count_print_rounds("bare", names, 1);
	printf("init: done\n");
	turn_off();
	return 1;
}
