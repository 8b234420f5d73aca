// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where debuggers connect: a TCP port of this host alone, or a socket of this user alone. Owns
 * nothing.
 */
#include "gdb_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"

static bool parse_port(const char *text, uint16_t *port)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	*port = (uint16_t)value;
	return !errno && end != text && !*end && *text >= '0' && *text <= '9' && value &&
	       value <= UINT16_MAX;
}

static int bind_port(int fd, uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

/* A socket that nobody listens on is one that somebody left behind. */
static void remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	    errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
}

static int bind_path(int fd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int ret;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	remove_stale(&address);
	mask = umask(077);
	ret = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	return ret;
}

int gdb_listen(const char *address, const char **path)
{
	bool is_number = address[strspn(address, "0123456789")] == '\0';
	uint16_t port = 0;
	int fd, ret;

	*path = NULL;
	if (is_number && !parse_port(address, &port)) {
		message("--gdb '%s': give a TCP port from 1 to 65535, or the path of a socket",
			address);
		return -1;
	}
	fd = socket(is_number ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = fd < 0 ? -1 : is_number ? bind_port(fd, port) : bind_path(fd, address);
	if (!ret && !is_number)
		*path = address;
	if (!ret)
		ret = listen(fd, 1);
	if (!ret)
		return fd;
	message("--gdb '%s': %s", address, strerror(errno));
	if (*path)
		unlink(*path);
	*path = NULL;
	if (fd >= 0)
		close(fd);
	return -1;
}
