// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Packets of the GDB remote serial protocol. See gdb_packet.h.
 */
#include "gdb_packet.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERRUPT	0x03

static const char hex_digits[] = "0123456789abcdef";

void gdb_link_open(struct gdb_link *link, int fd, int stop_fd)
{
	link->fd = fd;
	link->stop_fd = stop_fd;
	link->no_acks = false;
	link->raw_next = 0;
	link->raw_bytes = 0;
	link->state = LINK_IDLE;
	link->reply_bytes = 0;
}

void gdb_link_close(struct gdb_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* ------------------------------------------------------------------- output -- */

/* False: the peer is gone, or the machine ended while the peer took nothing. */
static bool send_all(struct gdb_link *link, const char *data, size_t bytes)
{
	while (bytes && link->fd >= 0) {
		ssize_t sent = send(link->fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd polls[] = {
			{ .fd = link->fd, .events = POLLOUT },
			{ .fd = link->stop_fd, .events = POLLIN },
		};

		if (sent > 0) {
			data += sent;
			bytes -= (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return false;
		if (poll(polls, 2, -1) > 0 && polls[1].revents && !polls[0].revents)
			return false;
	}
	return link->fd >= 0;
}

void gdb_reply_begin(struct gdb_link *link)
{
	link->reply_bytes = 0;
}

static void append(struct gdb_link *link, const char *text, size_t bytes)
{
	if (bytes > GDB_PACKET_BYTES - link->reply_bytes) {
		memcpy(link->reply, "E7e", 3);	/* ENOBUFS would say the same less often */
		link->reply_bytes = 3;
		return;
	}
	memcpy(link->reply + link->reply_bytes, text, bytes);
	link->reply_bytes += bytes;
}

void gdb_reply_text(struct gdb_link *link, const char *text)
{
	append(link, text, strlen(text));
}

void gdb_reply_format(struct gdb_link *link, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	gdb_reply_text(link, text);
}

void gdb_reply_hex(struct gdb_link *link, const void *bytes, size_t count)
{
	const uint8_t *byte = bytes;

	for (; count; count--, byte++) {
		const char digits[] = { hex_digits[*byte >> 4], hex_digits[*byte & 15] };

		append(link, digits, 2);
	}
}

/* No character of an answer needs escaping: they are hexadecimal, names, and XML of ours. */
bool gdb_reply_send(struct gdb_link *link)
{
	char tail[3] = { '#' };
	uint8_t sum = 0;
	size_t i;

	for (i = 0; i < link->reply_bytes; i++)
		sum = (uint8_t)(sum + (uint8_t)link->reply[i]);
	tail[1] = hex_digits[sum >> 4];
	tail[2] = hex_digits[sum & 15];
	return send_all(link, "$", 1) && send_all(link, link->reply, link->reply_bytes) &&
	       send_all(link, tail, 3);
}

/* -------------------------------------------------------------------- input -- */

static void begin_packet(struct gdb_link *link)
{
	link->state = LINK_TEXT;
	link->sum = 0;
	link->packet_bytes = 0;
	link->too_long = false;
}

static void take_text(struct gdb_link *link, uint8_t byte)
{
	if (byte == '#') {
		link->state = LINK_SUM1;
		return;
	}
	link->sum = (uint8_t)(link->sum + byte);
	if (link->packet_bytes == GDB_PACKET_BYTES)
		link->too_long = true;
	else
		link->packet[link->packet_bytes++] = (char)byte;
}

/* True: the packet is whole and as it was sent. */
static bool end_packet(struct gdb_link *link, int digit)
{
	bool good;

	link->state = LINK_IDLE;
	link->given_sum = (uint8_t)(link->given_sum | (digit & 15));
	good = digit >= 0 && link->given_sum == link->sum && !link->too_long;
	link->packet[link->packet_bytes] = '\0';
	if (!link->no_acks && !send_all(link, good ? "+" : "-", 1))
		return false;
	return good;
}

static enum gdb_input take(struct gdb_link *link, uint8_t byte)
{
	/* A new packet may begin anywhere: the old one is lost. */
	if (byte == '$') {
		begin_packet(link);
		return GDB_INPUT_NONE;
	}
	switch (link->state) {
	case LINK_IDLE:
		if (byte == INTERRUPT)
			return GDB_INPUT_INTERRUPT;
		/* The last answer came damaged. */
		if (byte == '-' && !link->no_acks && link->reply_bytes)
			gdb_reply_send(link);
		return GDB_INPUT_NONE;
	case LINK_TEXT:
		take_text(link, byte);
		return GDB_INPUT_NONE;
	case LINK_SUM1:
		link->state = hex_value((char)byte) < 0 ? LINK_IDLE : LINK_SUM2;
		link->given_sum = (uint8_t)(hex_value((char)byte) << 4);
		return GDB_INPUT_NONE;
	default:
		return end_packet(link, hex_value((char)byte)) ? GDB_INPUT_PACKET :
								  GDB_INPUT_NONE;
	}
}

enum gdb_input gdb_link_read(struct gdb_link *link)
{
	ssize_t got;

	for (;;) {
		while (link->raw_next < link->raw_bytes) {
			enum gdb_input input = take(link, link->raw[link->raw_next++]);

			if (input != GDB_INPUT_NONE)
				return input;
		}
		got = recv(link->fd, link->raw, sizeof(link->raw), MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return GDB_INPUT_NONE;
		if (got <= 0)
			return GDB_INPUT_CLOSED;
		link->raw_next = 0;
		link->raw_bytes = (size_t)got;
	}
}

/* ------------------------------------------------------------------ numbers -- */

bool gdb_parse_number(const char **text, uint64_t *value)
{
	unsigned int digits = 0;

	*value = 0;
	for (; hex_value(**text) >= 0; (*text)++) {
		if (++digits > 16)
			return false;
		*value = *value << 4 | (uint64_t)hex_value(**text);
	}
	return digits;
}

bool gdb_parse_bytes(const char **text, void *bytes, size_t count)
{
	uint8_t *byte = bytes;

	for (; count; count--, byte++, *text += 2) {
		int high = hex_value((*text)[0]);
		int low = high < 0 ? -1 : hex_value((*text)[1]);

		if (low < 0)
			return false;
		*byte = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool gdb_parse_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}
