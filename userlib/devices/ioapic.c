// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * I/O APIC. See ioapic.h. Bits are from the 82093AA data sheet (Intel 290566), section 3.2,
 * "I/O APIC Registers"; the EOI register is that of the later I/O APICs in Intel's I/O
 * controller hubs.
 */
#include "ioapic.h"

#include <string.h>

enum {
	MMIO_SELECT	= 0x00,
	MMIO_WINDOW	= 0x10,
	MMIO_EOI	= 0x40,

	REG_ID		= 0x00,
	REG_VERSION	= 0x01,
	REG_ARBITRATION	= 0x02,
	REG_REDIRECTION	= 0x10,

	ID_MASK		= 0x0f000000,
	VERSION		= 0x20,
};

#define RTE_VECTOR		0xffull
#define RTE_DELIVERY_SHIFT	8
#define RTE_DELIVERY_MASK	7
#define RTE_LOGICAL		(1ull << 11)
#define RTE_DELIVERY_STATUS	(1ull << 12)
#define RTE_REMOTE_IRR		(1ull << 14)
#define RTE_LEVEL		(1ull << 15)
#define RTE_MASKED		(1ull << 16)
#define RTE_DESTINATION_SHIFT	56
#define RTE_READ_ONLY		(RTE_DELIVERY_STATUS | RTE_REMOTE_IRR)
#define RTE_WRITABLE		(0xff0000000001afffull & ~RTE_READ_ONLY)

#define DELIVERY_FIXED		0
#define DELIVERY_LOWEST		1
#define DELIVERY_EXTINT		7

/* SDM vol. 3, 10.11.1 and 10.11.2: Message Address and Message Data Register Format */
#define MSI_ADDRESS		0xfee00000u
#define MSI_DESTINATION_SHIFT	12
#define MSI_REDIRECTION_HINT	(1u << 3)
#define MSI_LOGICAL		(1u << 2)
#define MSI_LEVEL		(1u << 15)
#define MSI_ASSERT		(1u << 14)

static unsigned int delivery_mode(uint64_t entry)
{
	return entry >> RTE_DELIVERY_SHIFT & RTE_DELIVERY_MASK;
}

/* Delivery modes without a vector of their own are edge triggered whatever the entry says. */
static bool is_level(uint64_t entry)
{
	return entry & RTE_LEVEL && delivery_mode(entry) <= DELIVERY_LOWEST;
}

static void send(struct vdev_ioapic *ioapic, unsigned int pin)
{
	uint64_t entry = ioapic->redirection[pin];
	unsigned int mode = delivery_mode(entry);
	uint32_t address = MSI_ADDRESS;
	uint32_t data = (entry & RTE_VECTOR) | mode << RTE_DELIVERY_SHIFT | MSI_ASSERT;

	address |= (uint32_t)(entry >> RTE_DESTINATION_SHIFT) << MSI_DESTINATION_SHIFT;
	if (entry & RTE_LOGICAL)
		address |= MSI_LOGICAL;
	if (mode == DELIVERY_LOWEST)
		address |= MSI_REDIRECTION_HINT;
	if (is_level(entry)) {
		data |= MSI_LEVEL;
		ioapic->redirection[pin] |= RTE_REMOTE_IRR;
	}
	/* There is no PIC behind a pin that could supply the vector of an ExtINT. */
	if (mode != DELIVERY_EXTINT)
		ioapic->config.msi(ioapic->config.context, address, data);
}

/* A level-triggered pin sends as long as it is asserted and nobody works on its last message. */
static void send_level(struct vdev_ioapic *ioapic, unsigned int pin)
{
	uint64_t entry = ioapic->redirection[pin];

	if (is_level(entry) && !(entry & (RTE_MASKED | RTE_REMOTE_IRR)) &&
	    ioapic->asserted & 1u << pin)
		send(ioapic, pin);
}

static void end_of_interrupt(struct vdev_ioapic *ioapic, uint8_t vector)
{
	unsigned int pin;

	for (pin = 0; pin < VDEV_IOAPIC_PINS; pin++) {
		uint64_t entry = ioapic->redirection[pin];

		if (!(entry & RTE_REMOTE_IRR) || (entry & RTE_VECTOR) != vector)
			continue;
		ioapic->redirection[pin] &= ~RTE_REMOTE_IRR;
		send_level(ioapic, pin);
	}
}

static void write_redirection(struct vdev_ioapic *ioapic, unsigned int index, uint32_t value)
{
	unsigned int pin = index / 2, shift = index % 2 * 32;
	uint64_t *entry = &ioapic->redirection[pin];
	uint64_t wanted = *entry & ~(0xffffffffull << shift);

	wanted |= (uint64_t)value << shift;
	*entry = (wanted & RTE_WRITABLE) | (*entry & RTE_READ_ONLY);
	/* Edge-triggered pins have no remote IRR; software uses this to clear a stuck one. */
	if (!is_level(*entry))
		*entry &= ~RTE_REMOTE_IRR;
	send_level(ioapic, pin);
}

static uint32_t read_window(const struct vdev_ioapic *ioapic)
{
	unsigned int index = ioapic->select - REG_REDIRECTION;

	switch (ioapic->select) {
	case REG_ID:
	case REG_ARBITRATION:
		return ioapic->id;
	case REG_VERSION:
		return VERSION | (VDEV_IOAPIC_PINS - 1) << 16;
	}
	if (ioapic->select < REG_REDIRECTION || index >= 2 * VDEV_IOAPIC_PINS)
		return 0;
	return (uint32_t)(ioapic->redirection[index / 2] >> index % 2 * 32);
}

static void write_window(struct vdev_ioapic *ioapic, uint32_t value)
{
	unsigned int index = ioapic->select - REG_REDIRECTION;

	if (ioapic->select == REG_ID)
		ioapic->id = value & ID_MASK;
	else if (ioapic->select >= REG_REDIRECTION && index < 2 * VDEV_IOAPIC_PINS)
		write_redirection(ioapic, index, value);
}

void vdev_ioapic_init(struct vdev_ioapic *ioapic, const struct vdev_ioapic_config *config)
{
	unsigned int pin;

	memset(ioapic, 0, sizeof(*ioapic));
	pthread_mutex_init(&ioapic->lock, NULL);
	ioapic->config = *config;
	for (pin = 0; pin < VDEV_IOAPIC_PINS; pin++)
		ioapic->redirection[pin] = RTE_MASKED;
}

void vdev_ioapic_uninit(struct vdev_ioapic *ioapic)
{
	pthread_mutex_destroy(&ioapic->lock);
}

uint32_t vdev_ioapic_read(struct vdev_ioapic *ioapic, uint64_t offset)
{
	uint32_t value = 0;

	pthread_mutex_lock(&ioapic->lock);
	if (offset == MMIO_SELECT)
		value = ioapic->select;
	else if (offset == MMIO_WINDOW)
		value = read_window(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	return value;
}

void vdev_ioapic_write(struct vdev_ioapic *ioapic, uint64_t offset, uint32_t value)
{
	pthread_mutex_lock(&ioapic->lock);
	if (offset == MMIO_SELECT)
		ioapic->select = (uint8_t)value;
	else if (offset == MMIO_WINDOW)
		write_window(ioapic, value);
	else if (offset == MMIO_EOI)
		end_of_interrupt(ioapic, (uint8_t)value);
	pthread_mutex_unlock(&ioapic->lock);
}

void vdev_ioapic_set(struct vdev_ioapic *ioapic, unsigned int pin, bool asserted)
{
	uint32_t bit;

	if (pin >= VDEV_IOAPIC_PINS)
		return;
	bit = 1u << pin;
	pthread_mutex_lock(&ioapic->lock);
	if (!asserted) {
		ioapic->asserted &= ~bit;
	} else if (!(ioapic->asserted & bit)) {
		uint64_t entry = ioapic->redirection[pin];

		ioapic->asserted |= bit;
		/* Edges at a masked pin are neither delivered nor held, says the data sheet. */
		if (is_level(entry))
			send_level(ioapic, pin);
		else if (!(entry & RTE_MASKED))
			send(ioapic, pin);
	}
	pthread_mutex_unlock(&ioapic->lock);
}

static void set_pin(void *context, unsigned int pin, bool asserted)
{
	vdev_ioapic_set(context, pin, asserted);
}

struct vdev_irq vdev_ioapic_irq(struct vdev_ioapic *ioapic, unsigned int pin)
{
	return (struct vdev_irq){ .set = set_pin, .context = ioapic, .pin = pin };
}

void vdev_ioapic_eoi(struct vdev_ioapic *ioapic, uint8_t vector)
{
	pthread_mutex_lock(&ioapic->lock);
	end_of_interrupt(ioapic, vector);
	pthread_mutex_unlock(&ioapic->lock);
}

/* Registers are 32 bits wide; a narrower access reads its part, and writes of one are ignored. */
static uint64_t bus_read(void *context, uint64_t offset, unsigned int bytes)
{
	unsigned int shift = offset % 4 * 8;

	(void)bytes;
	return vdev_ioapic_read(context, offset & ~3ull) >> shift;
}

static void bus_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	/* Registers that hold a byte may be written as one. */
	if (bytes == 4 || offset == MMIO_SELECT || offset == MMIO_EOI)
		vdev_ioapic_write(context, offset, (uint32_t)value);
}

int vdev_ioapic_attach(struct vdev_ioapic *ioapic, struct vdev_bus *bus, uint64_t gpa)
{
	const struct vdev_range range = {
		.first = gpa,
		.bytes = VDEV_IOAPIC_BYTES,
		.width = 4,
		.read = bus_read,
		.write = bus_write,
		.context = ioapic,
	};

	return vdev_bus_add(bus, VDEV_MMIO, &range);
}
