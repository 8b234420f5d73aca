// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Encoder for ACPI machine language. See aml.h. Section numbers are of the ACPI specification 6.4.
 */
#include "aml.h"

#include <string.h>

enum {
	OP_ZERO			= 0x00,
	OP_ONE			= 0x01,
	OP_NAME			= 0x08,
	OP_BYTE			= 0x0a,
	OP_WORD			= 0x0b,
	OP_DWORD		= 0x0c,
	OP_QWORD		= 0x0e,
	OP_SCOPE		= 0x10,
	OP_BUFFER		= 0x11,
	OP_PACKAGE		= 0x12,
	OP_EXTENDED		= 0x5b,
	OP_EXTENDED_DEVICE	= 0x82,

	/* 6.4, "Resource Data Types for ACPI" */
	RESOURCE_IO		= 0x47,
	RESOURCE_IO_DECODE_16	= 1,
	RESOURCE_INTERRUPT	= 0x89,
	RESOURCE_END		= 0x79,
	INTERRUPT_CONSUMER	= 1 << 0,
	INTERRUPT_EDGE		= 1 << 1,
};

void vdev_aml_init(struct vdev_aml *aml, void *data, size_t capacity)
{
	*aml = (struct vdev_aml){ .data = data, .capacity = capacity };
}

void vdev_aml_bytes(struct vdev_aml *aml, const void *data, size_t bytes)
{
	if (aml->overflow || bytes > aml->capacity - aml->used) {
		aml->overflow = true;
		return;
	}
	memcpy(aml->data + aml->used, data, bytes);
	aml->used += bytes;
}

static void put_byte(struct vdev_aml *aml, uint8_t byte)
{
	vdev_aml_bytes(aml, &byte, 1);
}

static void put_little_endian(struct vdev_aml *aml, uint64_t value, unsigned int bytes)
{
	while (bytes--) {
		put_byte(aml, (uint8_t)value);
		value >>= 8;
	}
}

/* 20.2.2, "Name Objects Encoding": a segment has four characters, filled up with underscores. */
static void put_name(struct vdev_aml *aml, const char *name)
{
	char segment[4] = { '_', '_', '_', '_' };
	size_t length;

	if (*name == '\\') {
		put_byte(aml, '\\');
		name++;
	}
	length = strlen(name);
	memcpy(segment, name, length < 4 ? length : 4);
	vdev_aml_bytes(aml, segment, 4);
}

/*
 * 20.2.4, "Package Length Encoding": the length counts itself, in 1 to 4 bytes. It is known
 * only at the end of the term, which is then moved up by as much as the length needs.
 */
void vdev_aml_end(struct vdev_aml *aml, size_t mark)
{
	size_t body = aml->used - mark, length, i;
	unsigned int extra = 0;
	uint8_t encoded[4];

	if (aml->overflow)
		return;
	length = body + 1;
	while (extra < 3 && length > (extra ? (1u << (4 + 8 * extra)) - 1 : 63)) {
		extra++;
		length = body + 1 + extra;
	}
	if (extra) {
		encoded[0] = (uint8_t)(extra << 6 | (length & 15));
		for (i = 0; i < extra; i++)
			encoded[1 + i] = (uint8_t)(length >> (4 + 8 * i));
	} else {
		encoded[0] = (uint8_t)length;
	}
	vdev_aml_bytes(aml, encoded, 1 + extra);
	if (aml->overflow)
		return;
	memmove(aml->data + mark + 1 + extra, aml->data + mark, body);
	memcpy(aml->data + mark, encoded, 1 + extra);
}

size_t vdev_aml_begin_scope(struct vdev_aml *aml, const char *name)
{
	size_t mark;

	put_byte(aml, OP_SCOPE);
	mark = aml->used;
	put_name(aml, name);
	return mark;
}

size_t vdev_aml_begin_device(struct vdev_aml *aml, const char *name)
{
	size_t mark;

	put_byte(aml, OP_EXTENDED);
	put_byte(aml, OP_EXTENDED_DEVICE);
	mark = aml->used;
	put_name(aml, name);
	return mark;
}

size_t vdev_aml_begin_package(struct vdev_aml *aml, uint8_t elements)
{
	size_t mark;

	put_byte(aml, OP_PACKAGE);
	mark = aml->used;
	put_byte(aml, elements);
	return mark;
}

void vdev_aml_name(struct vdev_aml *aml, const char *name)
{
	put_byte(aml, OP_NAME);
	put_name(aml, name);
}

void vdev_aml_integer(struct vdev_aml *aml, uint64_t value)
{
	if (value <= 1) {
		put_byte(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= UINT8_MAX) {
		put_byte(aml, OP_BYTE);
		put_little_endian(aml, value, 1);
	} else if (value <= UINT16_MAX) {
		put_byte(aml, OP_WORD);
		put_little_endian(aml, value, 2);
	} else if (value <= UINT32_MAX) {
		put_byte(aml, OP_DWORD);
		put_little_endian(aml, value, 4);
	} else {
		put_byte(aml, OP_QWORD);
		put_little_endian(aml, value, 8);
	}
}

static unsigned int hex_digit(char digit)
{
	return digit <= '9' ? (unsigned int)(digit - '0') : (unsigned int)(digit - 'A' + 10);
}

/* 19.6.36, "EISAID": five bits a letter, four a digit, most significant byte first. */
void vdev_aml_eisa_id(struct vdev_aml *aml, const char *id)
{
	unsigned int letters, digits = 0, i;

	if (strlen(id) != 7) {
		aml->overflow = true;
		return;
	}
	letters = (id[0] & 31u) << 10 | (id[1] & 31u) << 5 | (id[2] & 31u);
	for (i = 3; i < 7; i++)
		digits = digits << 4 | (hex_digit(id[i]) & 15);
	put_byte(aml, OP_DWORD);
	put_byte(aml, (uint8_t)(letters >> 8));
	put_byte(aml, (uint8_t)letters);
	put_byte(aml, (uint8_t)(digits >> 8));
	put_byte(aml, (uint8_t)digits);
}

void vdev_aml_resources(struct vdev_aml *aml, uint16_t first_port, uint8_t ports, int gsi)
{
	struct vdev_aml body;
	uint8_t data[32];
	size_t mark;

	vdev_aml_init(&body, data, sizeof(data));
	/* 6.4.2.5, "I/O Port Descriptor" */
	put_byte(&body, RESOURCE_IO);
	put_byte(&body, RESOURCE_IO_DECODE_16);
	put_little_endian(&body, first_port, 2);
	put_little_endian(&body, first_port, 2);
	put_byte(&body, 1);
	put_byte(&body, ports);
	if (gsi >= 0) {
		/* 6.4.3.6, "Extended Interrupt Descriptor" */
		put_byte(&body, RESOURCE_INTERRUPT);
		put_little_endian(&body, 6, 2);
		put_byte(&body, INTERRUPT_CONSUMER | INTERRUPT_EDGE);
		put_byte(&body, 1);
		put_little_endian(&body, (uint64_t)gsi, 4);
	}
	/* A checksum of zero means that there is none. */
	put_byte(&body, RESOURCE_END);
	put_byte(&body, 0);

	put_byte(aml, OP_BUFFER);
	mark = aml->used;
	vdev_aml_integer(aml, body.used);
	vdev_aml_bytes(aml, body.data, body.used);
	vdev_aml_end(aml, mark);
}
