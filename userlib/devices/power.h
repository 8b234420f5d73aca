/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Power-off and reset: the sleep registers of hardware-reduced ACPI, the reset control register at
 * 0xcf9, and the keyboard controller's reset line, which old software pulls.
 *
 * Owns a latch of the first request. It does not stop anything: the owner does, told by a callback.
 *
 * No lock; the state is one atomic.
 */
#ifndef VDEV_POWER_H
#define VDEV_POWER_H

#include <stdatomic.h>
#include <stdint.h>

#include "bus.h"

/* Defaults of this folder's machine; acpi.c tells them to the guest. */
#define VDEV_POWER_SLEEP_PORT	0x600	/* control; status follows it */
#define VDEV_POWER_RESET_PORT	0xcf9
#define VDEV_POWER_RESET_VALUE	0x06
#define VDEV_POWER_KEYBOARD_PORT 0x64
#define VDEV_POWER_S5_TYPE	5

enum vdev_power_request {
	VDEV_POWER_NONE,
	VDEV_POWER_OFF,
	VDEV_POWER_RESET,
};

/**
 * struct vdev_power - power control
 * @request: called with the guest's first request, in the thread of the vCPU that made it
 * @context: handed to it
 * @requested: first request, of enum vdev_power_request
 * @reset_control: the register at 0xcf9
 */
struct vdev_power {
	void (*request)(void *context, enum vdev_power_request request);
	void *context;
	atomic_int requested;
	atomic_uchar reset_control;
};

void vdev_power_init(struct vdev_power *power,
		     void (*request)(void *context, enum vdev_power_request request),
		     void *context);
int vdev_power_attach(struct vdev_power *power, struct vdev_bus *bus);

/* The first request so far. Any thread. */
enum vdev_power_request vdev_power_requested(struct vdev_power *power);

#endif /* VDEV_POWER_H */
