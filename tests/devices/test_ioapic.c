// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O APIC: registers, edge and level interrupts, masks, end of interrupt; delivery against the
 * message formats.
 */
#include "check.h"

#include "../../userlib/devices/ioapic.h"

#define SELECT		0x00
#define WINDOW		0x10
#define EOI		0x40
#define MASKED		(1u << 16)
#define LEVEL		(1u << 15)
#define REMOTE_IRR	(1u << 14)
#define LOGICAL		(1u << 11)

static struct vdev_ioapic ioapic;
static unsigned int sent;
static uint64_t last_address;
static uint32_t last_data;

static void msi(void *context, uint64_t address, uint32_t data)
{
	(void)context;
	sent++;
	last_address = address;
	last_data = data;
}

static void begin(void)
{
	const struct vdev_ioapic_config config = { .msi = msi };

	vdev_ioapic_init(&ioapic, &config);
	sent = 0;
	last_address = 0;
	last_data = 0;
}

static uint32_t get(unsigned int reg)
{
	vdev_ioapic_write(&ioapic, SELECT, reg);
	return vdev_ioapic_read(&ioapic, WINDOW);
}

static void set(unsigned int reg, uint32_t value)
{
	vdev_ioapic_write(&ioapic, SELECT, reg);
	vdev_ioapic_write(&ioapic, WINDOW, value);
}

static void program(unsigned int pin, uint32_t low, uint8_t destination)
{
	set(0x10 + 2 * pin, MASKED);
	set(0x11 + 2 * pin, (uint32_t)destination << 24);
	set(0x10 + 2 * pin, low);
}

static void power_up_state(void)
{
	unsigned int pin;

	begin();
	CHECK_EQUAL(get(1), 0x00170020);
	for (pin = 0; pin < VDEV_IOAPIC_PINS; pin++) {
		CHECK_EQUAL(get(0x10 + 2 * pin), MASKED);
		vdev_ioapic_set(&ioapic, pin, true);
		vdev_ioapic_set(&ioapic, pin, false);
	}
	CHECK_EQUAL(sent, 0);
	set(0, 0xffffffff);
	CHECK_EQUAL(get(0), 0x0f000000);
	CHECK_EQUAL(get(2), 0x0f000000);
	set(1, 0);
	CHECK_EQUAL(get(1), 0x00170020);
}

static void registers_keep_what_they_have(void)
{
	begin();
	set(0x12, 0xffffffff);
	set(0x13, 0xffffffff);
	CHECK_EQUAL(get(0x12), 0x0001afff);	/* nothing read-only or reserved */
	CHECK_EQUAL(get(0x13), 0xff000000);
	set(0x10 + 2 * VDEV_IOAPIC_PINS, 0x55);
	CHECK_EQUAL(get(0x10 + 2 * VDEV_IOAPIC_PINS), 0);
	CHECK_EQUAL(get(0xff), 0);
	CHECK_EQUAL(get(0x0f), 0);
	CHECK_EQUAL(vdev_ioapic_read(&ioapic, 0x20), 0);
	vdev_ioapic_set(&ioapic, VDEV_IOAPIC_PINS, true);
	vdev_ioapic_set(&ioapic, 0xffffffff, true);
	CHECK_EQUAL(sent, 0);
}

static void edge_sends_once(void)
{
	begin();
	program(4, 0x31, 0x42);
	vdev_ioapic_set(&ioapic, 4, true);
	CHECK_EQUAL(sent, 1);
	CHECK_EQUAL(last_address, 0xfee42000);
	CHECK_EQUAL(last_data, 0x4031);		/* fixed, asserted, edge */
	vdev_ioapic_set(&ioapic, 4, true);
	CHECK_EQUAL(sent, 1);
	vdev_ioapic_set(&ioapic, 4, false);
	vdev_ioapic_eoi(&ioapic, 0x31);
	CHECK_EQUAL(sent, 1);
	vdev_ioapic_set(&ioapic, 4, true);
	CHECK_EQUAL(sent, 2);
}

static void masked_edge_is_lost(void)
{
	begin();
	program(4, 0x31 | MASKED, 0);
	vdev_ioapic_set(&ioapic, 4, true);
	set(0x18, 0x31);
	CHECK_EQUAL(sent, 0);
	vdev_ioapic_set(&ioapic, 4, false);
	vdev_ioapic_set(&ioapic, 4, true);
	CHECK_EQUAL(sent, 1);
}

static void level_sends_until_served(void)
{
	begin();
	program(9, 0x51 | LEVEL | LOGICAL, 0x03);
	vdev_ioapic_set(&ioapic, 9, true);
	CHECK_EQUAL(sent, 1);
	CHECK_EQUAL(last_address, 0xfee03004);
	CHECK_EQUAL(last_data, 0xc051);		/* fixed, asserted, level */
	CHECK_EQUAL(get(0x22) & REMOTE_IRR, REMOTE_IRR);
	vdev_ioapic_set(&ioapic, 9, false);
	vdev_ioapic_set(&ioapic, 9, true);
	CHECK_EQUAL(sent, 1);			/* being served */
	vdev_ioapic_eoi(&ioapic, 0x50);
	CHECK_EQUAL(sent, 1);
	vdev_ioapic_eoi(&ioapic, 0x51);
	CHECK_EQUAL(sent, 2);			/* still asserted */
	vdev_ioapic_set(&ioapic, 9, false);
	vdev_ioapic_write(&ioapic, EOI, 0x51);
	CHECK_EQUAL(sent, 2);
	CHECK_EQUAL(get(0x22) & REMOTE_IRR, 0);
}

static void masked_level_is_kept(void)
{
	begin();
	program(9, 0x51 | LEVEL | MASKED, 0);
	vdev_ioapic_set(&ioapic, 9, true);
	CHECK_EQUAL(sent, 0);
	set(0x22, 0x51 | LEVEL);
	CHECK_EQUAL(sent, 1);
	/* Masked while it is served: the end of interrupt must not send. */
	set(0x22, 0x51 | LEVEL | MASKED);
	CHECK_EQUAL(get(0x22) & REMOTE_IRR, REMOTE_IRR);
	vdev_ioapic_eoi(&ioapic, 0x51);
	CHECK_EQUAL(sent, 1);
	set(0x22, 0x51 | LEVEL);
	CHECK_EQUAL(sent, 2);
}

static void edge_mode_clears_remote_irr(void)
{
	begin();
	program(9, 0x51 | LEVEL, 0);
	vdev_ioapic_set(&ioapic, 9, true);
	set(0x22, 0x51 | MASKED);
	CHECK_EQUAL(get(0x22), 0x51 | MASKED);
	set(0x22, 0x51 | LEVEL);
	CHECK_EQUAL(sent, 2);
}

static void delivery_modes(void)
{
	begin();
	program(5, 0x61 | 1 << 8, 1);		/* lowest priority */
	vdev_ioapic_set(&ioapic, 5, true);
	CHECK_EQUAL(last_address, 0xfee01008);
	CHECK_EQUAL(last_data, 0x4161);
	program(6, 4 << 8 | LEVEL, 1);		/* NMI: edge whatever it says */
	vdev_ioapic_set(&ioapic, 6, true);
	CHECK_EQUAL(last_data, 0x4400);
	CHECK_EQUAL(get(0x1c) & REMOTE_IRR, 0);
	CHECK_EQUAL(sent, 2);
	program(7, 7 << 8, 1);			/* ExtINT: nobody has the vector */
	vdev_ioapic_set(&ioapic, 7, true);
	CHECK_EQUAL(sent, 2);
}

static void one_eoi_serves_all_pins_of_a_vector(void)
{
	begin();
	program(10, 0x71 | LEVEL, 0);
	program(11, 0x71 | LEVEL, 0);
	vdev_ioapic_set(&ioapic, 10, true);
	vdev_ioapic_set(&ioapic, 11, true);
	CHECK_EQUAL(sent, 2);
	vdev_ioapic_eoi(&ioapic, 0x71);
	CHECK_EQUAL(sent, 4);
}

static void through_the_bus(void)
{
	struct vdev_bus bus;
	uint64_t value = 1;
	uint8_t byte = 0;

	begin();
	vdev_bus_init(&bus);
	CHECK_EQUAL(vdev_ioapic_attach(&ioapic, &bus, VDEV_IOAPIC_GPA), 0);
	vdev_bus_write(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA, 4, &value);
	value = 0;
	vdev_bus_read(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA + WINDOW, 4, &value);
	CHECK_EQUAL(value, 0x00170020);
	vdev_bus_read(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA + WINDOW + 2, 1, &byte);
	CHECK_EQUAL(byte, 0x17);
	value = 0x10;
	vdev_bus_write(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA, 1, &value);
	value = 0;
	vdev_bus_write(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA + WINDOW, 2, &value);
	CHECK_EQUAL(get(0x10), MASKED);
}

const struct test ioapic_tests[] = {
	{ "ioapic: power-up state", power_up_state },
	{ "ioapic: read-only and missing registers", registers_keep_what_they_have },
	{ "ioapic: an edge sends once", edge_sends_once },
	{ "ioapic: an edge at a masked pin is lost", masked_edge_is_lost },
	{ "ioapic: a level sends until it is served", level_sends_until_served },
	{ "ioapic: a level at a masked pin is kept", masked_level_is_kept },
	{ "ioapic: edge mode clears the remote IRR", edge_mode_clears_remote_irr },
	{ "ioapic: delivery modes", delivery_modes },
	{ "ioapic: one EOI serves all pins of a vector", one_eoi_serves_all_pins_of_a_vector },
	{ "ioapic: through the bus", through_the_bus },
	{ NULL, NULL },
};
