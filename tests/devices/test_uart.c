// SPDX-License-Identifier: GPL-2.0-only
/*
 * UART: the register sequences by which Linux's 8250 driver detects and drives a 16550A,
 * interrupts and their priorities, FIFOs, loopback, back-pressure both ways.
 */
#include "check.h"

#include <string.h>

#include "../../userlib/devices/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct vdev_uart uart;
static uint8_t output[256];
static unsigned int output_bytes, output_room, edges, room_calls;
static bool line;

static bool take(void *context, uint8_t byte)
{
	(void)context;
	if (output_bytes == output_room)
		return false;
	output[output_bytes++] = byte;
	return true;
}

static void room(void *context)
{
	(void)context;
	room_calls++;
}

static void set_line(void *context, unsigned int pin, bool asserted)
{
	(void)context;
	CHECK_EQUAL(pin, 4);
	CHECK(asserted != line);
	edges += asserted;
	line = asserted;
}

static void begin(bool hold_input)
{
	const struct vdev_uart_config config = {
		.output = take,
		.input_room = room,
		.irq = { .set = set_line, .pin = 4 },
		.hold_input = hold_input,
	};

	output_bytes = 0;
	output_room = sizeof(output);
	edges = 0;
	room_calls = 0;
	line = false;
	vdev_uart_init(&uart, &config);
}

static uint8_t in(unsigned int reg)
{
	return vdev_uart_read(&uart, reg);
}

static void out(unsigned int reg, uint8_t value)
{
	vdev_uart_write(&uart, reg, value);
}

static void power_up_state(void)
{
	begin(false);
	CHECK_EQUAL(in(IER), 0);
	CHECK_EQUAL(in(IIR), 0x01);
	CHECK_EQUAL(in(LCR), 0);
	CHECK_EQUAL(in(MCR), 0);
	CHECK_EQUAL(in(LSR), 0x60);
	CHECK_EQUAL(in(MSR), 0xb0);
	out(SCR, 0xa5);
	CHECK_EQUAL(in(SCR), 0xa5);
	out(MCR, 0xff);
	CHECK_EQUAL(in(MCR), 0x1f);
	out(LSR, 0);
	CHECK_EQUAL(in(LSR), 0x60);
}

/* drivers/tty/serial/8250/8250_port.c, autoconfig() and autoconfig_16550a() */
static void linux_detects_a_16550a(void)
{
	begin(true);
	out(IER, 0);
	CHECK_EQUAL(in(IER) & 0x0f, 0);
	out(IER, 0x0f);
	CHECK_EQUAL(in(IER) & 0x0f, 0x0f);
	out(IER, 0);
	out(MCR, 0x10 | 0x0a);
	CHECK_EQUAL(in(MSR) & 0xf0, 0x90);
	out(MCR, 0);
	out(LCR, 0xbf);
	out(FCR, 0);
	out(LCR, 0);
	out(FCR, 1);
	CHECK_EQUAL(in(IIR) >> 6, 3);
	out(LCR, 0x80);
	CHECK(in(2));				/* no EFR of a 16650 */
	out(LCR, 0xbf);
	CHECK(in(2));
	out(LCR, 0);
	out(FCR, 0x21);
	CHECK_EQUAL(in(IIR) >> 5, 6);		/* no 64-byte FIFO of a 16750 */
	out(IER, 0x40);
	CHECK_EQUAL(in(IER), 0);		/* no UUE bit of an XScale */
}

static void divisor_latch(void)
{
	begin(false);
	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	CHECK_EQUAL(in(DATA), 0x34);
	CHECK_EQUAL(in(IER), 0x12);
	out(LCR, 0x03);
	CHECK_EQUAL(in(IER), 0);
	CHECK_EQUAL(output_bytes, 0);
}

/* serial8250_do_startup(): "Check if THRE interrupt is re-asserted", and UART_BUG_TXEN */
static void transmitter_interrupt_comes_back(void)
{
	begin(false);
	out(MCR, 0x08);
	out(IER, 0x02);
	CHECK(line);
	CHECK_EQUAL(in(IIR), 0x02);
	CHECK(!line);
	CHECK_EQUAL(in(IIR), 0x01);
	out(IER, 0);
	out(IER, 0x02);
	CHECK_EQUAL(in(IIR), 0x02);
	out(IER, 0x02);				/* no new edge of the enable bit */
	CHECK_EQUAL(in(IIR), 0x01);
}

static void each_byte_sent_is_an_edge(void)
{
	unsigned int before;

	begin(false);
	out(FCR, 1);
	out(MCR, 0x08);
	out(IER, 0x02);
	before = edges;
	out(DATA, 'a');
	CHECK_EQUAL(edges, before + 1);
	CHECK(line);
	CHECK_EQUAL(in(IIR), 0xc2);
	out(DATA, 'b');
	CHECK_EQUAL(edges, before + 2);
	CHECK_EQUAL(output_bytes, 2);
	CHECK_EQUAL(output[0], 'a');
	CHECK_EQUAL(output[1], 'b');
}

static void line_needs_out2_and_no_loopback(void)
{
	begin(false);
	out(IER, 0x02);
	CHECK(!line);
	out(MCR, 0x08);
	CHECK(line);
	out(MCR, 0x18);
	CHECK(!line);
	CHECK_EQUAL(in(IIR), 0x02);
}

static void priorities(void)
{
	begin(false);
	out(FCR, 1);
	out(IER, 0x0f);
	out(MCR, 0x10);				/* loopback: all lines fall */
	out(MCR, 0x08);
	vdev_uart_input(&uart, "x", 1);
	vdev_uart_break(&uart);
	CHECK_EQUAL(in(IIR), 0xc4);		/* the break is behind the x */
	CHECK_EQUAL(in(LSR), 0xe1);
	CHECK_EQUAL(in(DATA), 'x');
	CHECK_EQUAL(in(IIR), 0xc6);
	CHECK_EQUAL(in(LSR), 0xf1);
	CHECK_EQUAL(in(LSR), 0x61);		/* reading clears it */
	CHECK_EQUAL(in(IIR), 0xc4);
	CHECK_EQUAL(in(DATA), 0);
	CHECK_EQUAL(in(IIR), 0xc2);
	CHECK_EQUAL(in(IIR), 0xc0);
	CHECK(in(MSR) & 0x0f);
	CHECK_EQUAL(in(IIR), 0xc1);
	CHECK(!line);
}

static void trigger_levels_and_timeout(void)
{
	static const unsigned int levels[4] = { 1, 4, 8, 14 };
	unsigned int i, n;

	for (i = 0; i < 4; i++) {
		begin(false);
		out(FCR, (uint8_t)(1 | i << 6));
		out(IER, 0x01);
		out(MCR, 0x08);
		for (n = 1; n <= 16; n++) {
			CHECK_EQUAL(vdev_uart_input(&uart, "z", 1), 1);
			CHECK_EQUAL(in(IIR), n >= levels[i] ? 0xc4 : 0xcc);
			CHECK(line);
		}
		CHECK_EQUAL(vdev_uart_input(&uart, "z", 1), 0);
		for (n = 0; n < 16; n++)
			CHECK_EQUAL(in(DATA), 'z');
		CHECK(!line);
		CHECK_EQUAL(in(LSR), 0x60);
	}
}

static void fifo_control_clears(void)
{
	begin(false);
	out(FCR, 1);
	vdev_uart_input(&uart, "abc", 3);
	out(FCR, 1 | 2);
	CHECK_EQUAL(in(LSR) & 1, 0);
	vdev_uart_input(&uart, "abc", 3);
	out(FCR, 0);				/* turning the FIFOs off clears them, too */
	CHECK_EQUAL(in(LSR) & 1, 0);
	CHECK_EQUAL(vdev_uart_input(&uart, "abc", 3), 1);
	CHECK_EQUAL(in(DATA), 'a');
}

static void modem_lines_in_loopback(void)
{
	begin(false);
	out(MCR, 0x10);
	CHECK_EQUAL(in(MSR), 0x0b);		/* CTS, DSR and DCD fell */
	out(MCR, 0x10 | 0x04);
	CHECK_EQUAL(in(MSR), 0x40);		/* a ring begins: no delta */
	out(MCR, 0x10);
	CHECK_EQUAL(in(MSR), 0x04);		/* its trailing edge */
	out(MCR, 0x10 | 0x01);
	CHECK_EQUAL(in(MSR), 0x22);
	out(MCR, 0x10 | 0x02);
	CHECK_EQUAL(in(MSR), 0x13);
	out(MCR, 0);
	CHECK_EQUAL(in(MSR), 0xba);
	CHECK_EQUAL(in(MSR), 0xb0);
}

static void loopback_receives_what_it_sends(void)
{
	unsigned int i;

	begin(false);
	out(MCR, 0x10);
	out(DATA, 'p');
	CHECK_EQUAL(in(LSR), 0x61);
	out(DATA, 'q');
	CHECK_EQUAL(in(LSR), 0x63);		/* overrun: one byte deep */
	CHECK_EQUAL(in(DATA), 'p');
	out(FCR, 1);
	for (i = 0; i < 17; i++)
		out(DATA, (uint8_t)i);
	CHECK_EQUAL(in(LSR), 0x63);
	for (i = 0; i < 16; i++)
		CHECK_EQUAL(in(DATA), i);
	CHECK_EQUAL(output_bytes, 0);
	CHECK_EQUAL(vdev_uart_input(&uart, "x", 1), 0);
	out(MCR, 0);
	CHECK_EQUAL(room_calls, 1);
}

static void slow_output_keeps_the_guest_waiting(void)
{
	unsigned int i;

	begin(false);
	out(FCR, 1);
	out(MCR, 0x08);
	out(IER, 0x02);
	in(IIR);
	output_room = 1;
	for (i = 0; i < 20; i++)
		out(DATA, (uint8_t)('a' + i));
	CHECK_EQUAL(output_bytes, 1);
	CHECK_EQUAL(in(LSR), 0);
	CHECK_EQUAL(in(IIR), 0xc1);
	output_room = 5;
	vdev_uart_output_ready(&uart);
	CHECK_EQUAL(in(LSR), 0);
	output_room = sizeof(output);
	vdev_uart_output_ready(&uart);
	CHECK_EQUAL(in(LSR), 0x60);
	CHECK(line);
	CHECK_EQUAL(in(IIR), 0xc2);
	CHECK_EQUAL(output_bytes, 17);		/* one and a FIFO; three were lost */
	CHECK(!memcmp(output, "abcdefghijklmnopq", 17));
	output_room = output_bytes;
	out(DATA, 'z');
	out(FCR, 1 | 4);
	CHECK_EQUAL(in(LSR), 0x60);
}

static void input_waits_for_room(void)
{
	uint8_t data[40];
	unsigned int i;

	begin(false);
	memset(data, 'i', sizeof(data));
	out(FCR, 1);
	CHECK_EQUAL(vdev_uart_input(&uart, data, 40), 16);
	for (i = 0; i < 16; i++) {
		CHECK_EQUAL(room_calls, 0);
		in(DATA);
	}
	CHECK_EQUAL(room_calls, 1);
	CHECK_EQUAL(vdev_uart_input(&uart, data, 16), 16);
	for (i = 0; i < 16; i++)
		in(DATA);
	CHECK_EQUAL(room_calls, 1);		/* nothing was refused */
}

static void break_waits_for_room(void)
{
	begin(false);
	out(FCR, 1);
	vdev_uart_input(&uart, "0123456789abcdef", 16);
	CHECK(!vdev_uart_break(&uart));
	out(FCR, 3);
	CHECK_EQUAL(room_calls, 1);
	CHECK(vdev_uart_break(&uart));
	CHECK_EQUAL(in(LSR), 0xf1);
}

/* The order of Linux: probe with all interrupts on, start up without FIFOs, turn them on last. */
static void held_input_waits_for_the_driver(void)
{
	begin(true);
	CHECK_EQUAL(vdev_uart_input(&uart, "ls", 2), 0);
	CHECK(!vdev_uart_break(&uart));
	out(IER, 0x0f);
	out(IER, 0);
	out(FCR, 1);
	out(FCR, 0);
	out(MCR, 0x09);
	out(IER, 0x02);
	out(IER, 0x05);
	CHECK_EQUAL(vdev_uart_input(&uart, "ls", 2), 0);
	CHECK_EQUAL(in(LSR), 0x60);
	CHECK_EQUAL(room_calls, 0);
	out(FCR, 0x81);
	CHECK_EQUAL(room_calls, 1);
	CHECK_EQUAL(vdev_uart_input(&uart, "ls", 2), 2);
	CHECK_EQUAL(in(DATA), 'l');
	CHECK_EQUAL(in(DATA), 's');
}

/* A driver that knows no FIFOs is ready without them. */
static void held_input_comes_without_fifos(void)
{
	begin(true);
	out(IER, 0x01);
	CHECK_EQUAL(vdev_uart_input(&uart, "ls", 2), 0);
	out(MCR, 0x08);
	CHECK_EQUAL(room_calls, 1);
	CHECK_EQUAL(vdev_uart_input(&uart, "ls", 2), 1);
	CHECK_EQUAL(in(DATA), 'l');
	CHECK_EQUAL(room_calls, 2);
}

static void through_the_bus(void)
{
	struct vdev_bus bus;
	uint32_t value;

	begin(false);
	vdev_bus_init(&bus);
	CHECK_EQUAL(vdev_uart_attach(&uart, &bus, 0x3f8), 0);
	vdev_bus_read(&bus, VDEV_PORT, 0x3fb, 4, &value);
	CHECK_EQUAL(value, 0xb0600000);		/* LCR, MCR, LSR, MSR */
	value = 'k';
	vdev_bus_write(&bus, VDEV_PORT, 0x3f8, 1, &value);
	CHECK_EQUAL(output[0], 'k');
}

const struct test uart_tests[] = {
	{ "uart: power-up state", power_up_state },
	{ "uart: Linux detects a 16550A", linux_detects_a_16550a },
	{ "uart: divisor latch", divisor_latch },
	{ "uart: the transmitter interrupt comes back", transmitter_interrupt_comes_back },
	{ "uart: each byte sent is an edge", each_byte_sent_is_an_edge },
	{ "uart: the line needs OUT2 and no loopback", line_needs_out2_and_no_loopback },
	{ "uart: interrupt priorities and errors", priorities },
	{ "uart: trigger levels and time-out", trigger_levels_and_timeout },
	{ "uart: FIFO control clears", fifo_control_clears },
	{ "uart: modem lines in loopback", modem_lines_in_loopback },
	{ "uart: loopback receives what it sends", loopback_receives_what_it_sends },
	{ "uart: slow output keeps the guest waiting", slow_output_keeps_the_guest_waiting },
	{ "uart: input waits for room", input_waits_for_room },
	{ "uart: a break waits for room", break_waits_for_room },
	{ "uart: held input waits for the driver", held_input_waits_for_the_driver },
	{ "uart: held input comes without FIFOs", held_input_comes_without_fifos },
	{ "uart: through the bus", through_the_bus },
	{ NULL, NULL },
};
