// SPDX-License-Identifier: GPL-2.0-only
/*
 * All models behind one bus, hammered at random under the sanitizers. What must hold after each
 * step is checked: no FIFO overfull, levels and registers in step, the timer never asked for
 * the past.
 */
#include "check.h"

#include "../../userlib/devices/bus.h"
#include "../../userlib/devices/ioapic.h"
#include "../../userlib/devices/power.h"
#include "../../userlib/devices/rtc.h"
#include "../../userlib/devices/uart.h"

#define STEPS	400000

static struct vdev_bus bus;
static struct vdev_uart uart;
static struct vdev_ioapic ioapic;
static struct vdev_rtc rtc;
static struct vdev_power power;
static int64_t now;
static unsigned int messages, requests;

static bool take(void *context, uint8_t byte)
{
	(void)context;
	(void)byte;
	return check_random() % 4;
}

static void msi(void *context, uint64_t address, uint32_t data)
{
	(void)context;
	messages++;
	CHECK_EQUAL(address & ~0xff00cull, 0xfee00000);
	CHECK_EQUAL(data & ~0xc7ffu, 0);
}

static int64_t now_ns(void *context)
{
	(void)context;
	return now;
}

static void set_timer(void *context, int64_t delay_ns)
{
	(void)context;
	CHECK(delay_ns >= -1);
}

static void request(void *context, enum vdev_power_request what)
{
	(void)context;
	(void)what;
	requests++;
}

static void begin(void)
{
	const struct vdev_ioapic_config ioapic_config = { .msi = msi };
	const struct vdev_uart_config uart_config = {
		.output = take,
		.irq = vdev_ioapic_irq(&ioapic, 4),
		.hold_input = check_random() % 2,
	};
	const struct vdev_rtc_config rtc_config = {
		.now_ns = now_ns,
		.set_timer = set_timer,
		.irq = vdev_ioapic_irq(&ioapic, 8),
	};

	now = 1700000000000000000ll;
	requests = 0;
	vdev_bus_init(&bus);
	vdev_ioapic_init(&ioapic, &ioapic_config);
	vdev_uart_init(&uart, &uart_config);
	vdev_rtc_init(&rtc, &rtc_config);
	vdev_power_init(&power, request, NULL);
	CHECK_EQUAL(vdev_ioapic_attach(&ioapic, &bus, VDEV_IOAPIC_GPA), 0);
	CHECK_EQUAL(vdev_uart_attach(&uart, &bus, 0x3f8), 0);
	CHECK_EQUAL(vdev_rtc_attach(&rtc, &bus, VDEV_RTC_PORT), 0);
	CHECK_EQUAL(vdev_power_attach(&power, &bus), 0);
}

static uint64_t random_port(void)
{
	switch (check_random() % 4) {
	case 0:
		return 0x3f4 + check_random() % 16;
	case 1:
		return VDEV_RTC_PORT + check_random() % 2;
	case 2:
		return VDEV_POWER_SLEEP_PORT - 1 + check_random() % 4;
	default:
		return check_random() % 0x10000;
	}
}

/* Left to chance alone, hardly a pin is ever unmasked. */
static void program_a_pin(void)
{
	uint32_t select = 0x10 + 2 * (check_random() % VDEV_IOAPIC_PINS);
	uint32_t entry = check_random() & ~(1u << 16);

	vdev_bus_write(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA, 4, &select);
	vdev_bus_write(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA + 0x10, 4, &entry);
}

static void guest_access(void)
{
	uint64_t data = (uint64_t)check_random() << 32 | check_random();
	size_t bytes = check_random() % 9;
	uint64_t gpa = VDEV_IOAPIC_GPA + check_random() % 0x50;

	switch (check_random() % 5) {
	case 4:
		program_a_pin();
		break;
	case 0:
		vdev_bus_read(&bus, VDEV_PORT, random_port(), bytes, &data);
		break;
	case 1:
		vdev_bus_write(&bus, VDEV_PORT, random_port(), bytes, &data);
		break;
	case 2:
		vdev_bus_read(&bus, VDEV_MMIO, gpa, bytes, &data);
		break;
	default:
		vdev_bus_write(&bus, VDEV_MMIO, gpa, bytes, &data);
		break;
	}
}

static void outside_event(void)
{
	uint8_t data[32] = { 0 };
	size_t bytes = check_random() % sizeof(data);

	switch (check_random() % 7) {
	case 0:
		CHECK(vdev_uart_input(&uart, data, bytes) <= bytes);
		break;
	case 1:
		vdev_uart_break(&uart);
		break;
	case 2:
		vdev_uart_output_ready(&uart);
		break;
	case 3:
		vdev_ioapic_eoi(&ioapic, (uint8_t)check_random());
		break;
	case 4:
		vdev_ioapic_set(&ioapic, check_random() % 32, check_random() % 2);
		break;
	case 5:
		vdev_rtc_poll(&rtc);
		break;
	default:
		now += check_random() % 64 ? check_random() : (int64_t)check_random() * 100000;
		/* Stay where a 64-bit count of ns goes. */
		if (now > 3000000000000000000ll)
			now = 0;
		break;
	}
}

static void check_invariants(void)
{
	unsigned int pin;

	CHECK(uart.receiver.count <= VDEV_UART_FIFO_BYTES);
	CHECK(uart.transmitter.count <= VDEV_UART_FIFO_BYTES);
	CHECK(uart.fifo_enabled || uart.receiver.count <= 1);
	CHECK_EQUAL(uart.ier & 0xf0, 0);
	for (pin = 0; pin < VDEV_IOAPIC_PINS; pin++) {
		bool level = ioapic.redirection[pin] & 1 << 15;
		bool remote_irr = ioapic.redirection[pin] & 1 << 14;

		CHECK(level || !remote_irr);
		/* An asserted level that is neither masked nor being served has been sent. */
		if (level && !(ioapic.redirection[pin] & 1 << 16) && !remote_irr)
			CHECK(!(ioapic.asserted & 1u << pin) ||
			      (ioapic.redirection[pin] >> 8 & 7) > 1);
	}
}

static void everything_at_random(void)
{
	unsigned int step;

	begin();
	messages = 0;
	for (step = 0; step < STEPS; step++) {
		if (step % 50000 == 49999)
			begin();
		if (check_random() % 4)
			guest_access();
		else
			outside_event();
		check_invariants();
		CHECK(requests <= 1);
	}
	CHECK(messages > 100);			/* or the fuzzer reaches nothing */
}

const struct test fuzz_tests[] = {
	{ "fuzz: all devices at random", everything_at_random },
	{ NULL, NULL },
};
