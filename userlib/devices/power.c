// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Power-off and reset. See power.h. Sleep registers: ACPI specification 6.4, 4.8.3.7, "Sleep
 * Control and Status Registers". Reset control: Intel I/O controller hub data sheets, "RST_CNT,
 * Reset Control Register".
 */
#include "power.h"

#include <string.h>

enum {
	SLEEP_CONTROL		= 0,
	SLEEP_STATUS		= 1,
	SLEEP_TYPE_SHIFT	= 2,
	SLEEP_TYPE_MASK		= 7,
	SLEEP_ENABLE		= 1 << 5,

	RESET_CPU		= 1 << 2,	/* a reset begins when it becomes 1 */
	RESET_WRITABLE		= 0x0e,

	KEYBOARD_PULSE_RESET	= 0xfe,
};

static void raise_request(struct vdev_power *power, enum vdev_power_request request)
{
	int none = VDEV_POWER_NONE;

	if (atomic_compare_exchange_strong(&power->requested, &none, (int)request))
		power->request(power->context, request);
}

static uint64_t sleep_read(void *context, uint64_t offset, unsigned int bytes)
{
	/* Control is write-only; status would tell of a wake-up, and nothing sleeps here. */
	(void)context;
	(void)offset;
	(void)bytes;
	return 0;
}

static void sleep_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)bytes;
	if (offset == SLEEP_CONTROL && value & SLEEP_ENABLE &&
	    (value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == VDEV_POWER_S5_TYPE)
		raise_request(context, VDEV_POWER_OFF);
}

static uint64_t reset_read(void *context, uint64_t offset, unsigned int bytes)
{
	struct vdev_power *power = context;

	(void)offset;
	(void)bytes;
	return atomic_load(&power->reset_control);
}

static void reset_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct vdev_power *power = context;
	unsigned char before;

	(void)offset;
	(void)bytes;
	before = atomic_exchange(&power->reset_control, (unsigned char)(value & RESET_WRITABLE));
	if (value & RESET_CPU && !(before & RESET_CPU))
		raise_request(power, VDEV_POWER_RESET);
}

static void keyboard_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)offset;
	(void)bytes;
	if (value == KEYBOARD_PULSE_RESET)
		raise_request(context, VDEV_POWER_RESET);
}

void vdev_power_init(struct vdev_power *power,
		     void (*request)(void *context, enum vdev_power_request request),
		     void *context)
{
	power->request = request;
	power->context = context;
	atomic_init(&power->requested, VDEV_POWER_NONE);
	atomic_init(&power->reset_control, 0);
}

int vdev_power_attach(struct vdev_power *power, struct vdev_bus *bus)
{
	const struct vdev_range ranges[] = {
		{ VDEV_POWER_SLEEP_PORT, 2, 1, sleep_read, sleep_write, power },
		{ VDEV_POWER_RESET_PORT, 1, 1, reset_read, reset_write, power },
		/* Reads as ones: there is no keyboard controller, only its reset line. */
		{ VDEV_POWER_KEYBOARD_PORT, 1, 1, NULL, keyboard_write, power },
	};
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		int error = vdev_bus_add(bus, VDEV_PORT, &ranges[i]);

		if (error)
			return error;
	}
	return 0;
}

enum vdev_power_request vdev_power_requested(struct vdev_power *power)
{
	return (enum vdev_power_request)atomic_load(&power->requested);
}
