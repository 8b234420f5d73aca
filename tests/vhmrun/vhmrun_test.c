// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of vhmrun as a program: exit statuses, console, terminal, signals, errors. Runs on a
 * host with vhm.ko; the guests are those of guests.S and need no kernel image.
 *
 *   vhmrun_test PATH-OF-VHMRUN [PATTERN]
 *
 * Prints "@pass NAME" or "@fail NAME" for each test and last "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#define PATIENCE_MS	180000
#define MOMENT_MS	300
#define BUFFER_BYTES	65536
#define KILL_ROUNDS	20

static const char *vhmrun;
static unsigned int failures;

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			failures++;					\
			printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
		}							\
	} while (0)

static void check_status(int line, int status, int wanted)
{
	if (status == wanted)
		return;
	failures++;
	printf("%s:%d: wait status is 0x%x, should be 0x%x\n", __FILE__, line, status, wanted);
}

#define EXITED(code)		((code) << 8)
#define KILLED(number)		(number)
#define CHECK_STATUS(status, wanted) check_status(__LINE__, status, wanted)

/* ----------------------------------------------------------------- processes -- */

/**
 * struct session - a running vhmrun
 * @pid: its process
 * @input: its stdin, or the terminal's master side
 * @output: its stdout, or the terminal's master side
 * @error: its stderr, -1 with a terminal
 * @slave: the terminal's slave side, -1 without
 * @text: what it has written to @output
 * @bytes: how much
 * @complaint: what it has written to @error
 * @complaint_bytes: how much
 */
struct session {
	pid_t pid;
	int input;
	int output;
	int error;
	int slave;
	char text[BUFFER_BYTES];
	size_t bytes;
	char complaint[BUFFER_BYTES];
	size_t complaint_bytes;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* False: the end. */
static bool take(int fd, char *buffer, size_t *used)
{
	char chunk[4096];
	ssize_t got = read(fd, chunk, sizeof(chunk));
	size_t room = BUFFER_BYTES - 1 - *used;

	if (got <= 0)
		return false;
	if ((size_t)got > room) {
		/* Keep the end. */
		size_t drop = (size_t)got - room;

		memmove(buffer, buffer + drop, *used - drop);
		*used -= drop;
	}
	memcpy(buffer + *used, chunk, (size_t)got);
	*used += (size_t)got;
	buffer[*used] = '\0';
	return true;
}

/* Read what there is, waiting for something at most until @deadline. False: there was nothing. */
static bool pump(struct session *s, int64_t deadline)
{
	struct pollfd fds[2] = {
		{ .fd = s->output, .events = POLLIN },
		{ .fd = s->error, .events = POLLIN },
	};
	int64_t left = deadline - now_ms();
	bool got = false;

	if (poll(fds, 2, left > 0 ? (int)left : 0) <= 0)
		return false;
	if (fds[0].revents & POLLIN)
		got |= take(s->output, s->text, &s->bytes);
	if (fds[1].revents & POLLIN)
		got |= take(s->error, s->complaint, &s->complaint_bytes);
	return got;
}

static bool expect(struct session *s, const char *text)
{
	int64_t deadline = now_ms() + PATIENCE_MS;

	while (!memmem(s->text, s->bytes, text, strlen(text)))
		if (!pump(s, deadline)) {
			printf("no '%s' in '%s' '%s'\n", text, s->text, s->complaint);
			failures++;
			return false;
		}
	return true;
}

static void send_bytes(struct session *s, const void *data, size_t bytes)
{
	if (write(s->input, data, bytes) != (ssize_t)bytes)
		die("write");
}

static void send_text(struct session *s, const char *text)
{
	send_bytes(s, text, strlen(text));
}

/* Wait for its end and collect what it still says. If it takes too long: kill it, a failure. */
static int finish(struct session *s)
{
	int64_t deadline = now_ms() + PATIENCE_MS;
	int status = -1;
	pid_t ended;

	while (!(ended = waitpid(s->pid, &status, WNOHANG)) && now_ms() < deadline)
		if (!pump(s, now_ms() + 20))
			pause_ms(5);
	if (!ended) {
		printf("it does not end; output '%s' '%s'\n", s->text, s->complaint);
		failures++;
		kill(s->pid, SIGKILL);
		waitpid(s->pid, &status, 0);
	}
	while (pump(s, now_ms()))
		;
	if (s->slave >= 0) {
		close(s->slave);
		close(s->input);
	} else {
		if (s->input >= 0)
			close(s->input);
		close(s->output);
		close(s->error);
	}
	return status;
}

static void exec_vhmrun(const char *const *arguments)
{
	const char *argv[16] = { "vhmrun" };
	unsigned int i;

	for (i = 0; i < 14 && arguments[i]; i++)
		argv[i + 1] = arguments[i];
	signal(SIGPIPE, SIG_DFL);
	execv(vhmrun, (char *const *)argv);
	_exit(99);
}

static struct session *new_session(void)
{
	static struct session session;

	memset(&session, 0, sizeof(session));
	session.slave = -1;
	session.error = -1;
	return &session;
}

/* With pipes. Arguments end with NULL. */
static struct session *start(const char *const *arguments)
{
	struct session *s = new_session();
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("pipe2");
	s->pid = fork();
	if (!s->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		exec_vhmrun(arguments);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	s->input = in[1];
	s->output = out[0];
	s->error = err[0];
	return s;
}

/* On a terminal of its own. */
static struct session *start_on_terminal(const char *const *arguments, struct termios *before)
{
	struct session *s = new_session();
	int master;

	if (openpty(&master, &s->slave, NULL, NULL, NULL))
		die("openpty");
	fcntl(master, F_SETFD, FD_CLOEXEC);
	if (tcgetattr(s->slave, before))
		die("tcgetattr");
	s->pid = fork();
	if (!s->pid) {
		login_tty(s->slave);
		exec_vhmrun(arguments);
	}
	s->input = master;
	s->output = master;
	return s;
}

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define FLAT(name) ARGUMENTS("--memory", "4M", "--flat", #name ".bin")

static bool same_settings(int fd, const struct termios *before)
{
	struct termios is;

	return !tcgetattr(fd, &is) && is.c_iflag == before->c_iflag &&
	       is.c_oflag == before->c_oflag && is.c_cflag == before->c_cflag &&
	       is.c_lflag == before->c_lflag && !memcmp(is.c_cc, before->c_cc, sizeof(is.c_cc));
}

static bool is_raw(int fd)
{
	struct termios is;

	return !tcgetattr(fd, &is) && !(is.c_lflag & (ICANON | ECHO | ISIG)) &&
	       !(is.c_oflag & OPOST) && !(is.c_iflag & (ICRNL | IXON));
}

/* --------------------------------------------------------------------- guests -- */

#define GUEST(name) extern const uint8_t guest_##name[], guest_##name##_end[]
GUEST(power_off);
GUEST(reset);
GUEST(keyboard_reset);
GUEST(triple_fault);
GUEST(hello);
GUEST(echo);
GUEST(count);
GUEST(flood);
GUEST(spin);
GUEST(halt);
GUEST(clock);

static void write_file(const char *path, const void *data, size_t bytes)
{
	FILE *file = fopen(path, "wb");

	if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file))
		die(path);
}

#define WRITE_GUEST(name) \
	write_file(#name ".bin", guest_##name, (size_t)(guest_##name##_end - guest_##name))

static void write_guests(void)
{
	WRITE_GUEST(power_off);
	WRITE_GUEST(reset);
	WRITE_GUEST(keyboard_reset);
	WRITE_GUEST(triple_fault);
	WRITE_GUEST(hello);
	WRITE_GUEST(echo);
	WRITE_GUEST(count);
	WRITE_GUEST(flood);
	WRITE_GUEST(spin);
	WRITE_GUEST(halt);
	WRITE_GUEST(clock);
	write_file("empty", "", 0);
	write_file("damaged", "\177ELF\2\1\1", 7);
}

/* ------------------------------------------------------------- exit statuses -- */

static void status_power_off(void)
{
	struct session *s = start(FLAT(power_off));

	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(!s->bytes);
	CHECK(!s->complaint_bytes);
}

static void status_reset(void)
{
	CHECK_STATUS(finish(start(FLAT(reset))), EXITED(3));
	CHECK_STATUS(finish(start(FLAT(keyboard_reset))), EXITED(3));
}

static void status_crash(void)
{
	struct session *s = start(FLAT(triple_fault));

	CHECK_STATUS(finish(s), EXITED(4));
	CHECK(strstr(s->complaint, "triple fault"));
	CHECK(strstr(s->complaint, "RIP 0000000000007c05"));
	CHECK(strstr(s->complaint, "IDTR      base 0000000000000000 limit 00000000"));
	CHECK(strstr(s->complaint, "code at 0000000000007c05: 0f 0b"));
}

static void verbose_counts_exits(void)
{
	struct session *s = start(ARGUMENTS("-v", "--memory", "4M", "--flat", "hello.bin"));

	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(strstr(s->complaint, "switched itself off"));
	CHECK(strstr(s->complaint, "exits: ports"));
}

static void debug_exits_lists_them(void)
{
	struct session *s = start(ARGUMENTS("--debug-exits", "--memory", "4M", "--flat",
					    "power_off.bin"));

	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(strstr(s->complaint, "vCPU 0 at 0x7c05: io out port 0x600, 1 bytes, value 0x34"));
}

static void clock_interrupt(void)
{
	CHECK_STATUS(finish(start(FLAT(clock))), EXITED(0));
}

/* The guest's first access to the I/O APIC needs Zydis. Where vhmrun is static, it cannot be missing. */
static void decoder_missing(void)
{
	char aside[PATH_MAX];
	struct session *s;
	glob_t found;

	if (glob("/lib/*/libZydis.so.*", 0, NULL, &found))
		return;
	snprintf(aside, sizeof(aside), "%s.aside", found.gl_pathv[0]);
	CHECK(!rename(found.gl_pathv[0], aside));
	s = start(FLAT(clock));
	CHECK_STATUS(finish(s), EXITED(1));
	CHECK(strstr(s->complaint, "vCPU 0 cannot go on: "));
	CHECK(strstr(s->complaint, strrchr(found.gl_pathv[0], '/') + 1));
	CHECK(strstr(s->complaint, "install Zydis"));
	CHECK(strstr(s->complaint, "exit: mmio write"));
	/* Ports need none. */
	CHECK_STATUS(finish(start(FLAT(power_off))), EXITED(0));
	CHECK(!rename(aside, found.gl_pathv[0]));
	CHECK_STATUS(finish(start(FLAT(clock))), EXITED(0));
	globfree(&found);
}

/* ------------------------------------------------------------------- console -- */

static void output_to_a_pipe(void)
{
	struct session *s = start(FLAT(hello));

	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(s->bytes == 7 && !memcmp(s->text, "hello\r\n", 7));
}

/* More than the console's queue holds comes back in order; a pipe knows no escape character. */
static void echo_of_a_pipe(void)
{
	struct session *s = start(FLAT(echo));
	uint8_t data[3000];
	size_t sent = 0, i;

	expect(s, "ready\r\n");
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(1 + i % 255);
	while (sent < sizeof(data)) {
		size_t chunk = sizeof(data) - sent < 500 ? sizeof(data) - sent : 500;

		send_bytes(s, data + sent, chunk);
		sent += chunk;
		pump(s, now_ms());
	}
	send_bytes(s, "", 1);
	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(s->bytes == 7 + sizeof(data));
	CHECK(!memcmp(s->text + 7, data, sizeof(data)));
}

/* A regular file as stdin, and stdout appended to a file that others write, too. */
static void files_as_console(void)
{
	static const char input[] = "from a file";	/* and its zero byte */
	struct session *s = new_session();
	char text[128] = "";
	int in, out, status;

	write_file("input", input, sizeof(input));
	write_file("output", "before\n", 7);
	in = open("input", O_RDONLY | O_CLOEXEC);
	out = open("output", O_RDWR | O_CLOEXEC);
	lseek(out, 0, SEEK_END);
	s->pid = fork();
	if (!s->pid) {
		dup2(in, 0);
		dup2(out, 1);
		exec_vhmrun(FLAT(echo));
	}
	waitpid(s->pid, &status, 0);
	CHECK_STATUS(status, EXITED(0));
	CHECK(write(out, "after\n", 6) == 6);
	lseek(out, 0, SEEK_SET);
	CHECK(read(out, text, sizeof(text) - 1) > 0);
	CHECK(!strcmp(text, "before\nready\r\nfrom a fileafter\n"));
	close(in);
	close(out);
}

static void closed_descriptors(void)
{
	static const char *const redirections[] = {
		"<&-", ">&-", "<&- >&-", "<&- >&- 2>&-", "</dev/null >/dev/null",
	};
	char command[512];
	size_t i;

	for (i = 0; i < sizeof(redirections) / sizeof(redirections[0]); i++) {
		snprintf(command, sizeof(command), "%s --memory 4M --flat hello.bin %s", vhmrun,
			 redirections[i]);
		CHECK_STATUS(system(command), EXITED(0));
	}
}

static void reader_gone(void)
{
	struct session *s = start(FLAT(flood));

	expect(s, "xxx");
	close(s->output);
	s->output = open("/dev/null", O_RDONLY);
	CHECK_STATUS(finish(s), EXITED(1));
	CHECK(strstr(s->complaint, "cannot write to standard output"));
}

/* Nobody reads: the guest waits, and a signal still ends it. */
static void stalled_reader(void)
{
	struct session *s = start(FLAT(flood));
	int status;

	pause_ms(4 * MOMENT_MS);
	kill(s->pid, SIGTERM);
	waitpid(s->pid, &status, 0);
	CHECK_STATUS(status, KILLED(SIGTERM));
	close(s->input);
	close(s->output);
	close(s->error);
}

/* ------------------------------------------------------------------- terminal -- */

static void terminal_is_raw_and_restored(void)
{
	struct termios before;
	struct session *s = start_on_terminal(FLAT(echo), &before);

	expect(s, "ready\r\n");
	CHECK(is_raw(s->slave));
	send_text(s, "a\rb\n\003c\021d");
	expect(s, "a\rb\n\003c\021d");
	send_bytes(s, "", 1);
	pause_ms(MOMENT_MS);
	CHECK(same_settings(s->slave, &before));
	CHECK_STATUS(finish(s), EXITED(0));
}

static void escape_quits(void)
{
	struct termios before;
	struct session *s = start_on_terminal(FLAT(echo), &before);

	expect(s, "ready");
	send_text(s, "\001x");
	pause_ms(MOMENT_MS);
	CHECK(same_settings(s->slave, &before));
	CHECK_STATUS(finish(s), EXITED(5));
}

static void escape_quits_deaf_guests(void)
{
	struct termios before;
	struct session *s = start_on_terminal(FLAT(spin), &before);
	char typed[512];
	int i;

	memset(typed, 't', sizeof(typed));
	pause_ms(MOMENT_MS);
	for (i = 0; i < 20; i++) {
		send_bytes(s, typed, sizeof(typed));
		pause_ms(10);
	}
	send_text(s, "\001x");
	CHECK_STATUS(finish(s), EXITED(5));

	s = start_on_terminal(FLAT(halt), &before);
	pause_ms(MOMENT_MS);
	send_text(s, "\001x");
	CHECK_STATUS(finish(s), EXITED(5));
}

static void escape_sends_itself_help_and_break(void)
{
	struct termios before;
	struct session *s = start_on_terminal(FLAT(echo), &before);

	expect(s, "ready\r\n");
	send_text(s, "<\001a\001\001>");
	expect(s, "<\001\001>");
	send_text(s, "\001h");
	expect(s, "quit: the guest ends");
	send_text(s, "[\001b");
	expect(s, "[B");
	send_text(s, "\001z]");
	expect(s, "]");
	send_text(s, "\001x");
	CHECK_STATUS(finish(s), EXITED(5));
}

static void crash_restores_the_terminal(void)
{
	struct termios before;
	struct session *s = start_on_terminal(FLAT(triple_fault), &before);

	expect(s, "code at");
	pause_ms(MOMENT_MS);
	CHECK(same_settings(s->slave, &before));
	CHECK_STATUS(finish(s), EXITED(4));
}

static void signals_restore_the_terminal(void)
{
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL,
	};
	struct termios before;
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct session *s = start_on_terminal(FLAT(echo), &before);
		int status;

		expect(s, "ready");
		CHECK(is_raw(s->slave));
		kill(s->pid, signals[i]);
		pause_ms(MOMENT_MS);
		CHECK(same_settings(s->slave, &before));
		status = finish(s);
		CHECK_STATUS(status & ~0x80, KILLED(signals[i]));	/* a core may be dumped */
	}
}

static void stop_and_continue(void)
{
	struct termios before;
	struct session *s = start_on_terminal(FLAT(echo), &before);
	int status = 0;

	expect(s, "ready\r\n");
	kill(s->pid, SIGTSTP);
	CHECK(waitpid(s->pid, &status, WUNTRACED) == s->pid && WIFSTOPPED(status));
	CHECK(same_settings(s->slave, &before));
	kill(s->pid, SIGCONT);
	pause_ms(MOMENT_MS);
	CHECK(is_raw(s->slave));
	send_text(s, "again");
	expect(s, "again");
	send_text(s, "\001x");
	CHECK_STATUS(finish(s), EXITED(5));
}

/* -------------------------------------------------------------------- signals -- */

static void signals_end_any_guest(void)
{
	static const char *const guests[] = { "spin.bin", "halt.bin", "echo.bin" };
	size_t i;

	for (i = 0; i < 3; i++) {
		struct session *s = start(ARGUMENTS("--memory", "4M", "--flat", guests[i]));

		pause_ms(MOMENT_MS);
		kill(s->pid, SIGTERM);
		CHECK_STATUS(finish(s), KILLED(SIGTERM));
	}
}

/* What is left behind in the host the rig finds out when it unloads the module. */
static void killed_at_random_moments(void)
{
	int i;

	for (i = 0; i < KILL_ROUNDS; i++) {
		struct session *s = start(ARGUMENTS("--memory", "16M", "--flat",
						    i % 2 ? "flood.bin" : "spin.bin"));

		pause_ms(i * 5);
		kill(s->pid, SIGKILL);
		CHECK_STATUS(finish(s), KILLED(SIGKILL));
	}
}

static void two_machines_at_once(void)
{
	struct session *first = malloc(sizeof(*first)), *second;

	if (!first)
		die("malloc");
	memcpy(first, start(FLAT(echo)), sizeof(*first));
	second = start(FLAT(echo));
	expect(first, "ready");
	expect(second, "ready");
	send_text(first, "one");
	send_text(second, "two");
	expect(first, "one");
	expect(second, "two");
	send_bytes(first, "", 1);
	CHECK_STATUS(finish(first), EXITED(0));
	send_bytes(second, "", 1);
	CHECK_STATUS(finish(second), EXITED(0));
	free(first);
}

/* --------------------------------------------------------------------- errors -- */

static unsigned int count_lines(const struct session *s)
{
	unsigned int lines = 0;
	size_t i;

	for (i = 0; i < s->complaint_bytes; i++)
		lines += s->complaint[i] == '\n';
	return lines;
}

/* It fails with this status, and says so in one line (usage errors: and one that names --help). */
static void check_error(int line, const char *const *arguments, int code, const char *text)
{
	struct session *s = start(arguments);
	int status = finish(s);
	unsigned int lines = count_lines(s);

	check_status(line, status, EXITED(code));
	if (!strstr(s->complaint, text) || lines < 1 || lines > 2 || s->bytes) {
		failures++;
		printf("%s:%d: wanted '%s' in one line, got '%s'\n", __FILE__, line, text,
		       s->complaint);
	}
}

#define CHECK_ERROR(code, text, ...) check_error(__LINE__, ARGUMENTS(__VA_ARGS__), code, text)

static void bad_command_lines(void)
{
	CHECK_ERROR(2, "--kernel or --flat", "--verbose");
	CHECK_ERROR(2, "--kernel or --flat", "--kernel", "x", "--flat", "y");
	CHECK_ERROR(2, "need --kernel", "--flat", "hello.bin", "--initrd", "x");
	CHECK_ERROR(2, "unexpected argument", "--kernel", "x", "y");
	CHECK_ERROR(2, "unrecognized option", "--nonsense");
	CHECK_ERROR(2, "not a size", "--flat", "x", "--memory", "much");
	CHECK_ERROR(2, "not a size", "--flat", "x", "--memory", "-1");
	CHECK_ERROR(2, "not a size", "--flat", "x", "--memory", "1Q");
	CHECK_ERROR(2, "not a size", "--flat", "x", "--memory", "99999999999999999999");
	CHECK_ERROR(2, "not a size", "--flat", "x", "--memory", "99999999999999T");
	CHECK_ERROR(2, "too small", "--flat", "x", "--memory", "0");
	CHECK_ERROR(2, "too small", "--flat", "x", "--memory", "4K");
	CHECK_ERROR(2, "more than", "--flat", "x", "--memory", "1024T");
	CHECK_ERROR(2, "not a size", "--flat", "x", "--memory", ",hugepages=2M");
	CHECK_ERROR(2, "hugepages=2M, hu", "--flat", "x", "--memory", "4M,hugepages=4K");
	CHECK_ERROR(2, "hugepages=2M, hu", "--flat", "x", "--memory", "4M,");
	CHECK_ERROR(2, "'populate=1'", "--flat", "x", "--memory", "4M,hugepages=2M,populate=1");
	CHECK_ERROR(2, "'': give", "--flat", "x", "--memory", "4M,populate,");
	CHECK_ERROR(2, "'popul': give", "--flat", "x", "--memory", "4M,popul,hugepages=2M");
	CHECK_ERROR(2, "'file=': give", "--flat", "x", "--memory", "4M,file=");
	CHECK_ERROR(2, "'shared=1': give", "--flat", "x", "--memory", "4M,file=x,shared=1");
	CHECK_ERROR(2, "multiple of the 2 MiB", "--flat", "x", "--memory", "5M,populate,hugepages=2M");
	CHECK_ERROR(2, "multiple of the 1024 MiB", "--flat", "x", "--memory", "4M,hugepages=1G");
	CHECK_ERROR(2, "number from", "--flat", "x", "--cpus", "0");
	CHECK_ERROR(2, "number from", "--flat", "x", "--cpus", "256");
	CHECK_ERROR(2, "on or off", "--flat", "x", "--x2apic", "maybe");
	CHECK_ERROR(2, "on or off", "--flat", "x", "--pv", "1");
	CHECK_ERROR(2, "multiple of 16", "--flat", "x", "--flat-address", "7");
	CHECK_ERROR(2, "multiple of 16", "--flat", "x", "--flat-address", "0x100000");
}

static void bad_images(void)
{
	CHECK_ERROR(1, "No such file", "--kernel", "missing");
	CHECK_ERROR(1, "No such file", "--flat", "missing");
	CHECK_ERROR(1, "not a regular file", "--kernel", ".");
	CHECK_ERROR(1, "not a regular file", "--kernel", "/dev/null");
	CHECK_ERROR(1, "empty", "--kernel", "empty");
	CHECK_ERROR(1, "damaged", "--kernel", "damaged");
	CHECK_ERROR(1, "damaged", "--kernel", "hello.bin");
	CHECK_ERROR(1, "empty", "--flat", "empty");
	CHECK_ERROR(1, "No such file", "--kernel", "damaged", "--initrd", "missing");
}

/* A run that says @text about its memory. */
static void check_mapped(int line, const char *text, const char *memory)
{
	struct session *s = start(ARGUMENTS("-v", "-m", memory, "--flat", "hello.bin"));

	check_status(line, finish(s), EXITED(0));
	if (!strstr(s->complaint, text)) {
		failures++;
		printf("%s:%d: wanted '%s', got '%s'\n", __FILE__, line, text, s->complaint);
	}
}

#define CHECK_MAPPED(text, memory) check_mapped(__LINE__, text, memory)

/* The pool of the host is empty, and then it is not. */
static void huge_pages(void)
{
	static const char pool[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

	write_file(pool, "0", 1);
	CHECK_ERROR(1, "no 2 free huge pages of 2 MiB", "--memory", "4M,hugepages=2M", "--flat",
		    "hello.bin");
	write_file(pool, "2", 1);
	CHECK_STATUS(finish(start(ARGUMENTS("--memory", "4M,hugepages=2M", "--flat",
					    "hello.bin"))), EXITED(0));
	CHECK_MAPPED("mapped 0 pages of 4 KiB, 2 of 2 MiB, 0 of", "4M,hugepages=2M,populate");
	CHECK_MAPPED("mapped 0 pages of 4 KiB, 2 of 2 MiB, 0 of", "4M,populate,hugepages=2M");
	write_file(pool, "0", 1);
}

/* Below 1 MiB there are small pages; above it the host may have large ones. */
static void populated(void)
{
	struct session *s = start(ARGUMENTS("-v", "-m", "1M", "--flat", "hello.bin"));

	CHECK_STATUS(finish(s), EXITED(0));
	if (strstr(s->complaint, "vhmrun: mapped")) {
		failures++;
		printf("mapped unasked: '%s'\n", s->complaint);
	}
	CHECK_MAPPED("mapped 256 pages of 4 KiB, 0 of 2 MiB, 0 of", "1M,populate");
	CHECK_MAPPED(" of 2 MiB, 0 of 1 GiB", "64M,populate");
}

/* A guest with this memory has counted to @digit. */
static void check_count(int line, char digit, const char *memory)
{
	struct session *s = start(ARGUMENTS("-m", memory, "--flat", "count.bin"));

	check_status(line, finish(s), EXITED(0));
	if (s->bytes != 1 || *s->text != digit) {
		failures++;
		printf("%s:%d: wanted '%c', got '%s' '%s'\n", __FILE__, line, digit, s->text,
		       s->complaint);
	}
}

#define CHECK_COUNT(digit, memory) check_count(__LINE__, digit, memory)

static off_t file_bytes(const char *path)
{
	struct stat status;

	return stat(path, &status) ? -1 : status.st_size;
}

/* Private: made or extended, and never changed otherwise. Shared: it goes on where it ended. */
static void file_as_memory(void)
{
	struct stat status;

	unlink("ram");
	CHECK_COUNT('1', "4M,file=ram");
	CHECK(!stat("ram", &status) && status.st_size == 4 << 20 && !(status.st_mode & 077));
	CHECK_COUNT('1', "4M,file=ram");
	CHECK_COUNT('1', "4M,file=ram,shared");
	CHECK_COUNT('2', "4M,shared,populate,file=ram");
	CHECK_COUNT('3', "4M,file=ram,populate");
	CHECK_COUNT('3', "2M,file=ram");
	CHECK_COUNT('3', "6M,file=ram,shared");
	CHECK(file_bytes("ram") == 6 << 20);
	CHECK_COUNT('4', "2M,file=ram,shared");
	CHECK(file_bytes("ram") == 6 << 20);
	unlink("ram");
	CHECK_COUNT('1', "4M,file=ram,shared");
	CHECK_COUNT('2', "4M,file=ram,shared");
	write_file("ram", "", 1);
	CHECK_COUNT('1', "4M,file=ram");
	CHECK(file_bytes("ram") == 4 << 20);
	/* a later --memory stands alone */
	CHECK_STATUS(finish(start(ARGUMENTS("-m", "4M,file=/missing/x", "-m", "4M", "--flat",
					    "count.bin"))), EXITED(0));
}

/* A file that cannot be written is good enough to be copied. */
static void unfit_memory_files(void)
{
	const char *const hello = "hello.bin";

	CHECK_ERROR(1, "'/missing/x': No such file", "-m", "4M,file=/missing/x", "--flat", hello);
	CHECK_ERROR(1, "cannot be mapped", "-m", "4M,file=.", "--flat", hello);
	CHECK_ERROR(1, "Is a directory", "-m", "4M,file=.,shared", "--flat", hello);
	CHECK(!mkfifo("fifo", 0600) || errno == EEXIST);
	CHECK_ERROR(1, "cannot be mapped", "-m", "4M,file=fifo", "--flat", hello);
	CHECK_ERROR(1, "cannot be mapped", "-m", "4M,file=/dev/null", "--flat", hello);

	mkdir("readonly", 0700);
	CHECK(!mount("none", "readonly", "tmpfs", 0, NULL));
	CHECK_COUNT('1', "4M,file=readonly/ram,shared");
	CHECK(!mount("none", "readonly", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	CHECK_COUNT('2', "4M,file=readonly/ram");
	CHECK_ERROR(1, "Read-only", "-m", "4M,file=readonly/ram,shared", "--flat", hello);
	CHECK_ERROR(1, "Read-only", "-m", "6M,file=readonly/ram", "--flat", hello);
	CHECK_ERROR(1, "Read-only", "-m", "4M,file=readonly/new", "--flat", hello);
	CHECK(!umount("readonly"));
}

/* Others reach it by the descriptor that vhmrun keeps. */
static void shared_memory(void)
{
	struct session *s = start(ARGUMENTS("-m", "4M,shared", "--flat", "echo.bin"));
	uint8_t code[16] = { 0 };
	bool found = false;
	int i;

	expect(s, "ready");
	for (i = 3; i < 64 && !found; i++) {
		char path[64], target[64] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)s->pid, i);
		if (readlink(path, target, sizeof(target) - 1) < 0 || strncmp(target, "/memfd:vhm", 10))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		found = pread(fd, code, sizeof(code), 0x7c00) == sizeof(code);
		close(fd);
	}
	CHECK(found && !memcmp(code, guest_echo, sizeof(code)));
	send_bytes(s, "", 1);
	CHECK_STATUS(finish(s), EXITED(0));
	CHECK_MAPPED("mapped", "4M,shared,populate");
}

/* On hugetlbfs, and what is not. */
static void huge_memory_files(void)
{
	static const char pool[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

	CHECK_ERROR(1, "'hello.bin' is not on a hugetlbfs with pages of 2 MiB", "-m",
		    "4M,hugepages=2M,file=hello.bin", "--flat", "hello.bin");
	write_file(pool, "2", 1);
	CHECK_MAPPED("mapped 0 pages of 4 KiB, 2 of 2 MiB, 0 of", "4M,hugepages=2M,shared,populate");
	mkdir("huge", 0700);
	CHECK(!mount("none", "huge", "hugetlbfs", 0, "pagesize=2M"));
	CHECK_ERROR(1, "is of huge pages: give a multiple of 2 MiB", "-m", "3M,file=huge/x", "--flat",
		    "hello.bin");
	CHECK_MAPPED("mapped 0 pages of 4 KiB, 2 of 2 MiB, 0 of",
		     "4M,hugepages=2M,file=huge/ram,shared,populate");
	CHECK_COUNT('1', "4M,hugepages=2M,file=huge/ram,shared");
	CHECK_COUNT('2', "4M,file=huge/ram,shared");
	unlink("huge/ram");
	write_file(pool, "1", 1);
	CHECK_ERROR(1, "no 2 free huge pages", "-m", "4M,hugepages=2M,file=huge/ram,shared",
		    "--flat", "hello.bin");
	CHECK(!umount("huge"));
	write_file(pool, "0", 1);
}

static void too_many_vcpus(void)
{
	struct session *s = start(ARGUMENTS("--memory", "4M", "--cpus", "255", "--flat",
					    "power_off.bin"));
	int status = finish(s);

	/* Either the module takes them all, or the limit is told. */
	CHECK(status == EXITED(0) || (status == EXITED(1) && strstr(s->complaint, "give less")));
}

static void help_and_version(void)
{
	struct session *s = start(ARGUMENTS("--help"));

	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(strstr(s->text, "Usage: vhmrun") && !s->complaint_bytes);
	s = start(ARGUMENTS("--version"));
	CHECK_STATUS(finish(s), EXITED(0));
	CHECK(!strncmp(s->text, "vhmrun ", 7));
}

/* ----------------------------------------------------------------------- main -- */

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "status: power-off", status_power_off },
	{ "status: reset", status_reset },
	{ "status: crash, with a report", status_crash },
	{ "verbose counts exits", verbose_counts_exits },
	{ "debug-exits lists them", debug_exits_lists_them },
	{ "clock interrupt through the I/O APIC", clock_interrupt },
	{ "the decoder is missing", decoder_missing },
	{ "output to a pipe", output_to_a_pipe },
	{ "echo of a pipe", echo_of_a_pipe },
	{ "files as console", files_as_console },
	{ "closed descriptors", closed_descriptors },
	{ "the reader of the output is gone", reader_gone },
	{ "the reader of the output is stalled", stalled_reader },
	{ "terminal: raw, and restored", terminal_is_raw_and_restored },
	{ "terminal: Ctrl-A x quits", escape_quits },
	{ "terminal: Ctrl-A x quits deaf guests", escape_quits_deaf_guests },
	{ "terminal: Ctrl-A a, h, b", escape_sends_itself_help_and_break },
	{ "terminal: restored after a crash", crash_restores_the_terminal },
	{ "terminal: restored after signals", signals_restore_the_terminal },
	{ "terminal: stop and continue", stop_and_continue },
	{ "signals end any guest", signals_end_any_guest },
	{ "killed at random moments", killed_at_random_moments },
	{ "two machines at once", two_machines_at_once },
	{ "bad command lines", bad_command_lines },
	{ "bad images", bad_images },
	{ "huge pages", huge_pages },
	{ "memory ahead of the guest", populated },
	{ "memory from a file", file_as_memory },
	{ "memory from unfit files", unfit_memory_files },
	{ "shared memory", shared_memory },
	{ "memory from files of huge pages", huge_memory_files },
	{ "too many vCPUs", too_many_vcpus },
	{ "help and version", help_and_version },
};

int main(int argc, char **argv)
{
	unsigned int passed = 0, failed = 0;
	size_t i;

	if (argc < 2) {
		fprintf(stderr, "usage: vhmrun_test PATH-OF-VHMRUN [PATTERN]\n");
		return 2;
	}
	vhmrun = argv[1];
	signal(SIGPIPE, SIG_IGN);
	write_guests();
	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (argc > 2 && !strstr(tests[i].name, argv[2]))
			continue;
		failures = 0;
		tests[i].run();
		if (failures)
			failed++;
		else
			passed++;
		printf("@%s %s\n", failures ? "fail" : "pass", tests[i].name);
		fflush(stdout);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
