// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power-off and reset registers.
 */
#include "check.h"

#include "../../userlib/devices/power.h"

static struct vdev_power power;
static struct vdev_bus bus;
static unsigned int calls;
static enum vdev_power_request last;

static void request(void *context, enum vdev_power_request what)
{
	(void)context;
	calls++;
	last = what;
}

static void begin(void)
{
	calls = 0;
	last = VDEV_POWER_NONE;
	vdev_bus_init(&bus);
	vdev_power_init(&power, request, NULL);
	CHECK_EQUAL(vdev_power_attach(&power, &bus), 0);
}

static void out(uint16_t port, uint32_t value, unsigned int bytes)
{
	vdev_bus_write(&bus, VDEV_PORT, port, bytes, &value);
}

static void only_s5_with_enable_powers_off(void)
{
	unsigned int type;

	for (type = 0; type < 8; type++) {
		begin();
		out(VDEV_POWER_SLEEP_PORT, type << 2, 1);
		out(VDEV_POWER_SLEEP_PORT + 1, type << 2 | 0x20, 1);
		CHECK_EQUAL(calls, 0);
		out(VDEV_POWER_SLEEP_PORT, type << 2 | 0x20, 1);
		CHECK_EQUAL(calls, type == VDEV_POWER_S5_TYPE);
		CHECK_EQUAL(last, type == VDEV_POWER_S5_TYPE ? VDEV_POWER_OFF : VDEV_POWER_NONE);
	}
}

static void reset_control_resets_on_its_edge(void)
{
	uint8_t value;

	begin();
	out(VDEV_POWER_RESET_PORT, 0x02, 1);
	CHECK_EQUAL(calls, 0);
	vdev_bus_read(&bus, VDEV_PORT, VDEV_POWER_RESET_PORT, 1, &value);
	CHECK_EQUAL(value, 0x02);
	out(0xcf8, 0x80000600, 4);		/* a PCI configuration address */
	CHECK_EQUAL(calls, 0);
	out(VDEV_POWER_RESET_PORT, VDEV_POWER_RESET_VALUE, 1);
	CHECK_EQUAL(calls, 1);
	CHECK_EQUAL(last, VDEV_POWER_RESET);
	CHECK_EQUAL(vdev_power_requested(&power), VDEV_POWER_RESET);
}

static void keyboard_controller_resets(void)
{
	uint8_t value;

	begin();
	vdev_bus_read(&bus, VDEV_PORT, VDEV_POWER_KEYBOARD_PORT, 1, &value);
	CHECK_EQUAL(value, 0xff);
	out(VDEV_POWER_KEYBOARD_PORT, 0xd1, 1);
	CHECK_EQUAL(calls, 0);
	out(VDEV_POWER_KEYBOARD_PORT, 0xfe, 1);
	CHECK_EQUAL(last, VDEV_POWER_RESET);
}

static void first_request_counts(void)
{
	begin();
	out(VDEV_POWER_SLEEP_PORT, VDEV_POWER_S5_TYPE << 2 | 0x20, 1);
	out(VDEV_POWER_RESET_PORT, 6, 1);
	CHECK_EQUAL(calls, 1);
	CHECK_EQUAL(vdev_power_requested(&power), VDEV_POWER_OFF);
}

const struct test power_tests[] = {
	{ "power: only S5 with the enable bit powers off", only_s5_with_enable_powers_off },
	{ "power: the reset control register resets", reset_control_resets_on_its_edge },
	{ "power: the keyboard controller resets", keyboard_controller_resets },
	{ "power: the first request counts", first_request_counts },
	{ NULL, NULL },
};
