/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Packets of the GDB remote serial protocol, on a socket that does not block: framing,
 * checksums, acknowledgements, hexadecimal numbers.
 *
 * Nothing the peer sends is trusted: a packet is at most GDB_PACKET_BYTES long, what is longer or
 * damaged is dropped. One thread, no locks.
 */
#ifndef VHMRUN_GDB_PACKET_H
#define VHMRUN_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_BYTES	16384

/**
 * enum gdb_input - what gdb_link_read() found
 * @GDB_INPUT_NONE: nothing more for now
 * @GDB_INPUT_PACKET: a packet is in gdb_link.packet
 * @GDB_INPUT_INTERRUPT: the user typed Ctrl-C
 * @GDB_INPUT_CLOSED: the peer is gone
 */
enum gdb_input {
	GDB_INPUT_NONE,
	GDB_INPUT_PACKET,
	GDB_INPUT_INTERRUPT,
	GDB_INPUT_CLOSED,
};

/**
 * struct gdb_link - a connection
 * @fd: socket, -1: none
 * @stop_fd: becomes readable when there is no point in waiting for the peer any more
 * @no_acks: the peer wants no acknowledgements
 * @raw: bytes received and not looked at
 * @raw_next: the next one
 * @raw_bytes: end of them
 * @state: of the packet being received
 * @sum: its checksum so far
 * @packet: its text, which ends with a zero byte
 * @packet_bytes: length of @packet
 * @reply: the answer being made
 * @reply_bytes: its length
 */
struct gdb_link {
	int fd;
	int stop_fd;
	bool no_acks;
	uint8_t raw[4096];
	size_t raw_next, raw_bytes;
	enum { LINK_IDLE, LINK_TEXT, LINK_SUM1, LINK_SUM2 } state;
	uint8_t sum, given_sum;
	bool too_long;
	char packet[GDB_PACKET_BYTES + 1];
	size_t packet_bytes;
	char reply[GDB_PACKET_BYTES + 1];
	size_t reply_bytes;
};

void gdb_link_open(struct gdb_link *link, int fd, int stop_fd);
void gdb_link_close(struct gdb_link *link);
/* Is there input that needs no waiting for? */
enum gdb_input gdb_link_read(struct gdb_link *link);

/* The answer is made piece by piece; what does not fit makes it an error. */
void gdb_reply_begin(struct gdb_link *link);
void gdb_reply_text(struct gdb_link *link, const char *text);
void gdb_reply_format(struct gdb_link *link, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void gdb_reply_hex(struct gdb_link *link, const void *bytes, size_t count);
/* False: the peer is gone. */
bool gdb_reply_send(struct gdb_link *link);

/* A hexadecimal number at *@text, which moves behind it. False: none, or more than 64 bits. */
bool gdb_parse_number(const char **text, uint64_t *value);
/* Exactly @count bytes in hexadecimal. */
bool gdb_parse_bytes(const char **text, void *bytes, size_t count);
/* The character @c, which is stepped over. */
bool gdb_parse_char(const char **text, char c);

#endif /* VHMRUN_GDB_PACKET_H */
