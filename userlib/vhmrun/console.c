// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The console. See console.h.
 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "message.h"

#define ESCAPE_KEY		1	/* Ctrl-A */
/* Output waits this long for more of it, which saves a wake-up for each byte. */
#define FLUSH_DELAY_NS		5000000
#define FLUSH_NOW_NS		1
#define FLUSH_CHUNK_BYTES	4096	/* PIPE_BUF: a pipe that is writable takes it whole */
#define DRAIN_PATIENCE_MS	3000

static const char escape_help[] =
"\nvhmrun: Ctrl-A and then\n"
"  x       quit: the guest ends as if its power were cut\n"
"  a       send Ctrl-A to the guest (Ctrl-A as well)\n"
"  b       send a break: Linux takes the next key as a magic SysRq\n"
"  h, ?    this help\n";

/* ------------------------------------------------------------------ output -- */

static void arm_flush(struct console *console, long delay_ns)
{
	const struct itimerspec when = { .it_value.tv_nsec = delay_ns };

	timerfd_settime(console->flush_fd, 0, &when, NULL);
}

/* From vCPU threads, under the UART's lock. */
static bool take_output(void *context, uint8_t byte)
{
	struct console *console = context;
	bool room;

	pthread_mutex_lock(&console->lock);
	room = console->count < CONSOLE_RING_BYTES;
	if (room) {
		console->ring[(console->head + console->count) % CONSOLE_RING_BYTES] = byte;
		if (!console->count++)
			arm_flush(console, FLUSH_DELAY_NS);
	} else {
		console->uart_waits = true;
	}
	if (console->count > CONSOLE_RING_BYTES / 2 && !console->flush_soon) {
		console->flush_soon = true;
		arm_flush(console, FLUSH_NOW_NS);
	}
	pthread_mutex_unlock(&console->lock);
	return room;
}

/* Copy the oldest bytes out; they leave the ring with drop_output(). */
static size_t peek_output(struct console *console, uint8_t *chunk)
{
	size_t bytes, i;

	pthread_mutex_lock(&console->lock);
	bytes = console->count < FLUSH_CHUNK_BYTES ? console->count : FLUSH_CHUNK_BYTES;
	for (i = 0; i < bytes; i++)
		chunk[i] = console->ring[(console->head + i) % CONSOLE_RING_BYTES];
	pthread_mutex_unlock(&console->lock);
	return bytes;
}

static void drop_output(struct console *console, size_t bytes)
{
	bool wake;

	pthread_mutex_lock(&console->lock);
	console->head = (console->head + bytes) % CONSOLE_RING_BYTES;
	console->count -= bytes;
	console->flush_soon = false;
	wake = console->uart_waits && console->count < CONSOLE_RING_BYTES / 2;
	if (wake)
		console->uart_waits = false;
	pthread_mutex_unlock(&console->lock);
	/* Not under the ring's lock: the UART takes its own first. */
	if (wake)
		vdev_uart_output_ready(&console->uart);
}

static bool is_writable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };

	return poll(&poll_fd, 1, 0) > 0;
}

bool console_flush(struct console *console)
{
	uint8_t chunk[FLUSH_CHUNK_BYTES];
	uint64_t expirations;
	size_t bytes;
	ssize_t wrote;

	/* Also the answer to the timer. */
	if (read(console->flush_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return true;
	while ((bytes = peek_output(console, chunk))) {
		if (console->output_failed) {
			drop_output(console, bytes);
			continue;
		}
		if (!is_writable(console->output_fd))
			return false;
		wrote = write(console->output_fd, chunk, bytes);
		if (wrote > 0)
			drop_output(console, (size_t)wrote);
		else if (wrote < 0 && errno == EAGAIN)
			return false;
		else if (wrote < 0 && errno != EINTR)
			console->output_failed = -errno;
	}
	return true;
}

void console_drain(struct console *console)
{
	struct pollfd poll_fd = { .fd = console->output_fd, .events = POLLOUT };

	while (!console_flush(console))
		if (poll(&poll_fd, 1, DRAIN_PATIENCE_MS) <= 0)
			return;
}

/*
 * O_NONBLOCK belongs to the open file, which other programs share: open it once more. A regular
 * file never blocks and keeps its shared position; where this fails (a socket, no /proc),
 * console_flush() asks before it writes.
 */
static int open_output(void)
{
	struct stat status;
	int fd;

	if (fstat(STDOUT_FILENO, &status) < 0 || S_ISREG(status.st_mode))
		return STDOUT_FILENO;
	fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

/* ------------------------------------------------------------------- input -- */

bool console_wants_input(const struct console *console)
{
	/* What is typed is always read, so that Ctrl-A x works when the guest does not listen. */
	return !console->input_ended &&
	       (console->escapes || console->input_bytes < CONSOLE_INPUT_BYTES / 2);
}

static void queue_input(struct console *console, uint8_t byte)
{
	if (console->input_bytes < CONSOLE_INPUT_BYTES)
		console->input[console->input_bytes++] = byte;
}

static void push_input(struct console *console)
{
	size_t taken = vdev_uart_input(&console->uart, console->input, console->input_bytes);

	console->input_bytes -= taken;
	memmove(console->input, console->input + taken, console->input_bytes);
	if (console->break_pending && !console->input_bytes && vdev_uart_break(&console->uart))
		console->break_pending = false;
}

/* From vCPU threads, under the UART's lock. */
static void input_room(void *context)
{
	struct console *console = context;
	uint64_t one = 1;

	/* It fails only if it would overflow, and then the main thread knows anyway. */
	if (write(console->room_fd, &one, sizeof(one)) < 0)
		return;
}

static enum console_command escape(struct console *console, uint8_t key)
{
	switch (key) {
	case 'x':
	case 'X':
		return CONSOLE_QUIT;
	case 'a':
	case 'A':
	case ESCAPE_KEY:
		queue_input(console, ESCAPE_KEY);
		break;
	case 'b':
	case 'B':
		console->break_pending = true;
		push_input(console);
		break;
	case 'h':
	case 'H':
	case '?':
		message_raw("%s", escape_help);
		break;
	}
	return CONSOLE_NOTHING;
}

enum console_command console_read(struct console *console)
{
	uint8_t typed[CONSOLE_INPUT_BYTES / 2];
	ssize_t got = read(STDIN_FILENO, typed, sizeof(typed));
	enum console_command command = CONSOLE_NOTHING;
	ssize_t i;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return CONSOLE_NOTHING;
	if (got <= 0) {
		console->input_ended = true;
		return CONSOLE_NOTHING;
	}
	for (i = 0; i < got && command == CONSOLE_NOTHING; i++) {
		if (console->escaped) {
			console->escaped = false;
			command = escape(console, typed[i]);
		} else if (console->escapes && typed[i] == ESCAPE_KEY) {
			console->escaped = true;
		} else {
			queue_input(console, typed[i]);
		}
	}
	push_input(console);
	return command;
}

void console_feed(struct console *console)
{
	uint64_t count;

	if (read(console->room_fd, &count, sizeof(count)) < 0)
		return;
	push_input(console);
}

/* ------------------------------------------------------------------- set-up -- */

int console_init(struct console *console, struct vdev_irq irq, bool hold_input)
{
	const struct vdev_uart_config config = {
		.output = take_output,
		.input_room = input_room,
		.context = console,
		.irq = irq,
		.hold_input = hold_input,
	};

	console->escapes = isatty(STDIN_FILENO);
	console->flush_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (console->flush_fd < 0)
		return -errno;
	console->room_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (console->room_fd < 0) {
		int error = -errno;

		close(console->flush_fd);
		return error;
	}
	console->output_fd = open_output();
	pthread_mutex_init(&console->lock, NULL);
	vdev_uart_init(&console->uart, &config);
	return 0;
}

void console_uninit(struct console *console)
{
	vdev_uart_uninit(&console->uart);
	pthread_mutex_destroy(&console->lock);
	if (console->output_fd != STDOUT_FILENO)
		close(console->output_fd);
	close(console->room_fd);
	close(console->flush_fd);
}
