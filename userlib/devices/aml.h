/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Encoder for ACPI machine language: as much of it as describes devices with fixed resources (ACPI
 * specification 6.4, chapter 20, "ACPI Machine Language (AML) Specification").
 *
 * Owns nothing; writes into the caller's buffer. Running out of room sets a flag and goes on
 * without writing, so that callers check once, at the end. No locks.
 */
#ifndef VDEV_AML_H
#define VDEV_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct vdev_aml - an encoder
 * @data: output
 * @capacity: room at @data
 * @used: bytes written
 * @overflow: there was no room for something
 */
struct vdev_aml {
	uint8_t *data;
	size_t capacity;
	size_t used;
	bool overflow;
};

void vdev_aml_init(struct vdev_aml *aml, void *data, size_t capacity);
void vdev_aml_bytes(struct vdev_aml *aml, const void *data, size_t bytes);

/*
 * A term that holds others: begin returns a mark for vdev_aml_end(). Names are one segment of
 * up to four characters, with a leading backslash for one at the root.
 */
size_t vdev_aml_begin_scope(struct vdev_aml *aml, const char *name);
size_t vdev_aml_begin_device(struct vdev_aml *aml, const char *name);
size_t vdev_aml_begin_package(struct vdev_aml *aml, uint8_t elements);
void vdev_aml_end(struct vdev_aml *aml, size_t mark);

/* Name(@name, object that is written next) */
void vdev_aml_name(struct vdev_aml *aml, const char *name);
void vdev_aml_integer(struct vdev_aml *aml, uint64_t value);
/* @id: three capital letters and four hexadecimal digits, such as "PNP0501" */
void vdev_aml_eisa_id(struct vdev_aml *aml, const char *id);

/**
 * vdev_aml_resources - a resource template with ports and an interrupt
 * @aml: the encoder
 * @first_port: first port
 * @ports: how many
 * @gsi: global system interrupt, edge triggered, active high, not shared; negative: none
 */
void vdev_aml_resources(struct vdev_aml *aml, uint16_t first_port, uint8_t ports, int gsi);

#endif /* VDEV_AML_H */
