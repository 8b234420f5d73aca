/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * ACPI tables of the machine that the devices of this folder make up (ACPI specification 6.4):
 * RSDP, XSDT, FADT, MADT, SPCR and DSDT.
 *
 * The machine is a hardware-reduced one (4.1, "Hardware-Reduced ACPI"): no PIC, no PIT, no PM
 * timer, no SCI and no fixed registers, so that an operating system must take its time from the
 * TSC and the local APIC, and its interrupts from the I/O APIC.
 *
 * Owns nothing; writes into the caller's buffer. No locks.
 */
#ifndef VDEV_ACPI_H
#define VDEV_ACPI_H

#include <stddef.h>
#include <stdint.h>

#define VDEV_ACPI_MAX_CPUS	255	/* ids 0-254; 255 is the broadcast id */
#define VDEV_ACPI_MAX_BYTES	8192	/* a buffer of this size always suffices */

/**
 * struct vdev_acpi_config - the machine
 * @gpa: where the tables will lie, multiple of 16, below 4 GiB; between 0xe0000 and 0xfffff a
 *	system finds them by searching
 * @cpu_count: processors, with local APIC ids from 0 on
 * @ioapic_gpa: address of the I/O APIC, whose pins are the system interrupts from 0 on
 * @ioapic_id: its id
 * @uart_port: first port of the serial port, 0: there is none
 * @uart_irq: its system interrupt, below 16
 * @rtc_port: first port of the real-time clock, 0: there is none
 * @rtc_irq: its system interrupt, below 16; negative: none
 */
struct vdev_acpi_config {
	uint64_t gpa;
	unsigned int cpu_count;
	uint32_t ioapic_gpa;
	uint8_t ioapic_id;
	uint16_t uart_port;
	uint8_t uart_irq;
	uint16_t rtc_port;
	int rtc_irq;
};

/**
 * vdev_acpi_build - write the tables
 * @config: the machine
 * @buffer: out: what belongs at @config->gpa; the RSDP comes first
 * @capacity: its size
 * @bytes: out: bytes in use
 *
 * Errors: -EINVAL impossible machine; -ENOSPC.
 */
int vdev_acpi_build(const struct vdev_acpi_config *config, void *buffer, size_t capacity,
		    size_t *bytes);

#endif /* VDEV_ACPI_H */
