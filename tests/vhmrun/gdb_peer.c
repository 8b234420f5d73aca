// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers of vhmrun --gdb that are no debugger of good faith, and then one that is: the server must
 * neither fall over nor lose its guest. A flat guest in real mode is all it takes.
 *
 *   gdb_peer VHMRUN     prints "ok NAME" and "not ok NAME"; status 0 if all is well
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET_PATH	"/tmp/gdb_peer.socket"
#define PATIENCE_MS	20000
#define CODE		0x7c00u
#define RANDOM_PACKETS	1000

/* inc %ax; nop; jmp to the start: 1, 1 and 2 bytes */
static const uint8_t guest[] = { 0x40, 0x90, 0xeb, 0xfc };

static int failures;
static pid_t vhmrun;
static char answer[40000];

static void result(bool good, const char *name)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	fflush(stdout);
	failures += !good;
}

static int connect_peer(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_PATH };
	int tries;

	for (tries = 0; tries < PATIENCE_MS / 20; tries++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (!connect(fd, (const struct sockaddr *)&address, sizeof(address)))
			return fd;
		close(fd);
		usleep(20000);
	}
	return -1;
}

static void send_bytes(int fd, const void *data, size_t bytes)
{
	if (send(fd, data, bytes, MSG_NOSIGNAL) < 0)
		errno = 0;	/* what becomes of it is told by what follows */
}

static void send_packet(int fd, const char *text)
{
	char packet[40000];
	uint8_t sum = 0;
	size_t i;

	for (i = 0; text[i]; i++)
		sum = (uint8_t)(sum + (uint8_t)text[i]);
	send_bytes(fd, packet, (size_t)snprintf(packet, sizeof(packet), "$%s#%02x", text, sum));
}

/* The text of the next answer; acknowledgements are stepped over. NULL: none came. */
static const char *receive(int fd)
{
	size_t used = 0;
	bool inside = false;
	unsigned int tail = 0;
	char c;

	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };

		if (poll(&wait, 1, PATIENCE_MS) != 1 || recv(fd, &c, 1, 0) != 1)
			return NULL;
		if (tail && ++tail == 3) {
			answer[used] = '\0';
			return answer;
		}
		if (tail)
			continue;
		if (c == '$')
			inside = true;
		else if (inside && c == '#')
			tail = 1;
		else if (inside && used < sizeof(answer) - 1)
			answer[used++] = c;
	}
}

static const char *ask(int fd, const char *text)
{
	const char *got;

	send_packet(fd, text);
	got = receive(fd);
	return got ? got : "nothing";
}

static bool answers(int fd, const char *text, const char *wanted)
{
	const char *got = ask(fd, text);
	bool good = !strncmp(got, wanted, strlen(wanted));

	if (!good)
		printf("# %.60s: answer '%.60s', not '%s'\n", text, got, wanted);
	return good;
}

/* RIP is register 16, little endian. */
static unsigned long rip_of(int fd)
{
	const char *got = ask(fd, "p10");
	unsigned int low = 0, high = 0;

	if (sscanf(got, "%2x%2x", &low, &high) != 2)
		return 0;
	return low | high << 8;
}

/* -------------------------------------------------------------------- peers -- */

static void damaged_packets(void)
{
	static const char *const texts[] = {
		"$", "$$$$", "$g#00", "$g#", "$g#6", "$g#zz", "#67", "+-+-+-+-", "}}}", "$\x03#00", "\x03\x03",
	};
	int fd = connect_peer();
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		send_bytes(fd, texts[i], strlen(texts[i]));
	send_bytes(fd, "\0\0\0", 3);
	result(answers(fd, "qAttached", "1"), "damaged packets");
	close(fd);
}

static void long_packets(void)
{
	int fd = connect_peer();
	char *text = malloc(39000);
	bool good;

	memset(text, 'm', 38999);
	text[38999] = '\0';
	send_packet(fd, text);
	good = answers(fd, "qAttached", "1");
	/* as long as packets may be, and numbers longer than any */
	memset(text, 'f', 16000);
	text[0] = 'm';
	text[16000] = '\0';
	good &= answers(fd, text, "E");
	memset(text, '0', 16000);
	text[0] = 'G';
	good &= answers(fd, text, "E");
	free(text);
	result(good, "long packets");
	close(fd);
}

static void bad_arguments(void)
{
	static const char *const texts[] = {
		"p", "p1000", "pffffffffffffffff", "P", "P0", "P0=", "P0=12", "P12=ffffffff", "G", "Gzz",
		"m", "m0", "m0,", "m0,zz", "m0,1:", "m10000000000000000,1", "M0,1", "M0,2:12", "M0,ffffffff:00",
		"Z", "Z0", "Z0,", "Z2,1,8", "Z4,0,10", "Z2,7c00,ffffffffffffffff", "H", "Hg", "Hg9",
		"Hgzz", "Hc-2", "T", "T0x", "T9", "vCont", "vCont;", "vCont;x", "vCont;c:9", "vCont;s:-2", "vCont;C",
		"qXfer:features:read:target.xml:", "qXfer:features:read:target.xml:fffff,10",
		"qXfer:features:read:target.xml:0", "qThreadExtraInfo,", "qThreadExtraInfo,ff", "szz", "c7c00x",
	};
	int fd = connect_peer();
	bool good = true;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		good &= answers(fd, texts[i], "E");
	/* unknown ones have an empty answer */
	good &= answers(fd, "X0,0:", "") && answers(fd, "vMustReplyEmpty", "") && answers(fd, "Z3,7c00,1", "");
	good &= answers(fd, "m7c00,4", "4090ebfc");
	result(good, "bad arguments");
	close(fd);
}

/* Packets of random letters, digits and marks; those that would end the guest are left out. */
static void random_packets(void)
{
	static const char first[] = "?gGpPmMzZHTqQsvXbBtACdiIrR!";
	static const char rest[] = "0123456789abcdef,:;=-cst";
	unsigned int i, j, seed = (unsigned int)getpid();
	int fd = connect_peer();
	char text[32];

	printf("# seed %u\n", seed);
	srand(seed);
	for (i = 0; i < RANDOM_PACKETS; i++) {
		unsigned int length = (unsigned int)rand() % 20;

		text[0] = first[(unsigned int)rand() % (sizeof(first) - 1)];
		for (j = 1; j <= length; j++)
			text[j] = rest[(unsigned int)rand() % (sizeof(rest) - 1)];
		text[j] = '\0';
		if (!strcmp(ask(fd, text), "nothing"))
			break;
	}
	result(i == RANDOM_PACKETS && answers(fd, "qAttached", "1"), "random packets");
	close(fd);
}

static void vanishing_peers(void)
{
	int i, fd;

	for (i = 0; i < 20; i++) {
		fd = connect_peer();
		send_packet(fd, i % 3 ? "c" : "g");
		if (i % 2)
			send_bytes(fd, "\x03", 1);
		close(fd);
	}
	fd = connect_peer();
	result(answers(fd, "qAttached", "1"), "vanishing peers");
	close(fd);
}

/* ----------------------------------------------------------------- debugger -- */

static void start_again(int fd)
{
	answers(fd, "P10=007c000000000000", "OK");
	answers(fd, "M7c00,4:4090ebfc", "OK");
}

static void steps(void)
{
	static const unsigned int next[] = { 1, 2, 0 };
	int fd = connect_peer();
	bool good = true;
	unsigned int i;

	start_again(fd);
	for (i = 0; good && i < 300; i++) {
		good &= answers(fd, i % 2 ? "vCont;s:1" : "s", "T05thread:1;");
		good &= rip_of(fd) == CODE + next[i % 3];
	}
	result(good, "300 steps");
	close(fd);
}

static void breakpoints(void)
{
	int fd = connect_peer();
	bool good = true;
	int i;

	start_again(fd);
	for (i = 0; good && i < 100; i++) {
		const char *kind = i % 2 ? "0" : "1";
		char text[32];

		snprintf(text, sizeof(text), "Z%s,7c01,1", kind);
		good &= answers(fd, text, "OK") && answers(fd, "m7c00,4", "4090ebfc");
		good &= answers(fd, "vCont;c", i % 2 ? "T05thread:1;swbreak:;" : "T05thread:1;hwbreak:;");
		good &= rip_of(fd) == CODE + 1;
		text[0] = 'z';
		good &= answers(fd, text, "OK") && answers(fd, "s", "T05") && answers(fd, "s", "T05");
		good &= rip_of(fd) == CODE;
	}
	result(good, "100 breakpoints");
	close(fd);
}

static void interrupts(void)
{
	int fd = connect_peer();
	bool good = true;
	const char *got;
	int i;

	start_again(fd);
	for (i = 0; good && i < 50; i++) {
		send_packet(fd, "c");
		send_bytes(fd, "\x03", 1);
		got = receive(fd);
		good &= got && !strncmp(got, "T02thread:1;", 12);
	}
	result(good, "50 times Ctrl-C");
	close(fd);
}

static void start_vhmrun(const char *program)
{
	FILE *file = fopen("guest.bin", "wb");

	if (!file || fwrite(guest, sizeof(guest), 1, file) != 1 || fclose(file)) {
		perror("guest.bin");
		exit(2);
	}
	vhmrun = fork();
	if (!vhmrun) {
		execl(program, program, "--flat", "guest.bin", "--gdb", SOCKET_PATH, (char *)NULL);
		_exit(127);
	}
}

int main(int argc, char **argv)
{
	int fd, status = 0;

	if (argc != 2)
		return 2;
	start_vhmrun(argv[1]);
	steps();
	breakpoints();
	interrupts();
	damaged_packets();
	long_packets();
	bad_arguments();
	vanishing_peers();
	random_packets();
	fd = connect_peer();
	send_packet(fd, "k");
	waitpid(vhmrun, &status, 0);
	result(WIFEXITED(status) && WEXITSTATUS(status) == 5, "killed by the debugger");
	result(access(SOCKET_PATH, F_OK) < 0, "its socket is gone");
	printf("%d failed\n", failures);
	return failures != 0;
}
