/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * I/O APIC (Intel 82093AA) with 24 pins, version 0x20: the later version with an EOI register.
 *
 * Owns the redirection table, the levels of the pins and the remote IRR bits. Interrupts leave
 * as messages (address, data), the way a PCI device would send them. Pins carry logical levels:
 * "asserted" means that the device wants service, whatever polarity the guest programs, because
 * ACPI tables and models always agree on it here.
 *
 * Lock: vdev_ioapic.lock, taken by each function, inside the locks of devices. config.msi is
 * called under it and must not call back.
 */
#ifndef VDEV_IOAPIC_H
#define VDEV_IOAPIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "irq.h"

#define VDEV_IOAPIC_PINS	24
#define VDEV_IOAPIC_GPA		0xfec00000u
#define VDEV_IOAPIC_BYTES	0x1000u

/**
 * struct vdev_ioapic_config - how an I/O APIC is connected
 * @msi: deliver an interrupt message (SDM vol. 3, 10.11, Message Signalled Interrupts)
 * @context: handed to it
 */
struct vdev_ioapic_config {
	void (*msi)(void *context, uint64_t address, uint32_t data);
	void *context;
};

/**
 * struct vdev_ioapic - an I/O APIC; all but @config under @lock
 * @lock: see above
 * @config: constant
 * @redirection: redirection table
 * @asserted: bit n: level of pin n
 * @select: IOREGSEL
 * @id: I/O APIC ID register, bits 27-24
 */
struct vdev_ioapic {
	pthread_mutex_t lock;
	struct vdev_ioapic_config config;
	uint64_t redirection[VDEV_IOAPIC_PINS];
	uint32_t asserted;
	uint8_t select;
	uint32_t id;
};

/* Power-up state: all pins masked. @config is copied. */
void vdev_ioapic_init(struct vdev_ioapic *ioapic, const struct vdev_ioapic_config *config);
void vdev_ioapic_uninit(struct vdev_ioapic *ioapic);

/* The memory-mapped registers; @offset below VDEV_IOAPIC_BYTES. Any thread. */
uint32_t vdev_ioapic_read(struct vdev_ioapic *ioapic, uint64_t offset);
void vdev_ioapic_write(struct vdev_ioapic *ioapic, uint64_t offset, uint32_t value);
int vdev_ioapic_attach(struct vdev_ioapic *ioapic, struct vdev_bus *bus, uint64_t gpa);

/* The level of a pin; pins that do not exist are ignored. Any thread. */
void vdev_ioapic_set(struct vdev_ioapic *ioapic, unsigned int pin, bool asserted);

/* The line to a pin, for a device's configuration. */
struct vdev_irq vdev_ioapic_irq(struct vdev_ioapic *ioapic, unsigned int pin);

/* A local APIC ended the service of a level-triggered vector. Any thread. */
void vdev_ioapic_eoi(struct vdev_ioapic *ioapic, uint8_t vector);

#endif /* VDEV_IOAPIC_H */
