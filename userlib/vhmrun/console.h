/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The console: between the serial port of the guest and stdin and stdout of the program.
 *
 * Owns the queues of both directions. vCPU threads put output into a ring and never wait: with
 * the ring full, the UART keeps the guest waiting. The main thread, told by descriptors in its
 * epoll set, writes the ring to stdout and reads stdin into the UART; stdin is not read while
 * the guest does not take what is there, so that a pipe feels the back-pressure. On a terminal,
 * Ctrl-A escapes.
 *
 * Lock: console.lock for the ring, inside the UART's. Everything else belongs to the main thread.
 */
#ifndef VHMRUN_CONSOLE_H
#define VHMRUN_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../devices/uart.h"

#define CONSOLE_RING_BYTES	65536
#define CONSOLE_INPUT_BYTES	4096

/**
 * struct console - the console
 * @uart: the serial port
 * @lock: protects @head to @uart_waits, and @ring
 * @head: index of the oldest byte
 * @count: bytes in @ring
 * @flush_soon: @flush_fd was armed for now, not for a moment later
 * @uart_waits: the UART was refused a byte
 * @input_bytes: bytes in @input
 * @break_pending: a break follows @input
 * @flush_fd: timer descriptor: there is output to write
 * @room_fd: event descriptor: the guest takes input again
 * @output_fd: stdout, or the same file opened so that writing does not block
 * @escapes: stdin is a terminal
 * @escaped: Ctrl-A was typed last
 * @input_ended: stdin is at its end
 * @output_failed: stdout is gone, 0 or -errno
 * @input: input on its way to the guest
 * @ring: output on its way to stdout; at the end, as its pages are touched late
 */
struct console {
	struct vdev_uart uart;
	pthread_mutex_t lock;
	size_t head;
	size_t count;
	bool flush_soon;
	bool uart_waits;
	size_t input_bytes;
	bool break_pending;
	int flush_fd;
	int room_fd;
	int output_fd;
	bool escapes;
	bool escaped;
	bool input_ended;
	int output_failed;
	uint8_t input[CONSOLE_INPUT_BYTES];
	uint8_t ring[CONSOLE_RING_BYTES];
};

/**
 * enum console_command - what the user asks for with Ctrl-A
 * @CONSOLE_NOTHING: nothing
 * @CONSOLE_QUIT: Ctrl-A x
 */
enum console_command {
	CONSOLE_NOTHING,
	CONSOLE_QUIT,
};

/* @hold_input: as vdev_uart_config.hold_input. 0 or -errno; then nothing is left behind. */
int console_init(struct console *console, struct vdev_irq irq, bool hold_input);
void console_uninit(struct console *console);

/* Is there room to read more of stdin, and anything to expect there? */
bool console_wants_input(const struct console *console);

/* Main thread: stdin is readable. */
enum console_command console_read(struct console *console);

/* Main thread: room_fd is readable. */
void console_feed(struct console *console);

/*
 * Main thread: write what stdout takes. True: all is written; false: call again once output_fd
 * is writable, or output_failed is set.
 */
bool console_flush(struct console *console);

/* Main thread, at the end: wait for stdout to take the rest, as long as it goes on. */
void console_drain(struct console *console);

#endif /* VHMRUN_CONSOLE_H */
