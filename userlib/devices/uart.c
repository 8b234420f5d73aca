// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * UART 16550A. See uart.h. Bits are from the PC16550D data sheet (National Semiconductor,
 * June 1995), table II, "Summary of Registers".
 *
 * The interrupt line is a pure function of the other state: every function that changes state
 * ends in update_line().
 */
#include "uart.h"

#include <string.h>

enum {
	REG_DATA	= 0,	/* RBR, THR; divisor latch low with DLAB */
	REG_IER		= 1,	/* divisor latch high with DLAB */
	REG_IIR		= 2,	/* FCR when written */
	REG_LCR		= 3,
	REG_MCR		= 4,
	REG_LSR		= 5,
	REG_MSR		= 6,
	REG_SCR		= 7,
};

enum {
	IER_RECEIVED	= 1 << 0,
	IER_TRANSMITTER	= 1 << 1,
	IER_LINE_STATUS	= 1 << 2,
	IER_MODEM	= 1 << 3,
	IER_MASK	= 0x0f,

	IIR_MODEM	= 0x00,
	IIR_NONE	= 0x01,
	IIR_TRANSMITTER	= 0x02,
	IIR_RECEIVED	= 0x04,
	IIR_LINE_STATUS	= 0x06,
	IIR_TIMEOUT	= 0x0c,
	IIR_FIFOS	= 0xc0,

	FCR_ENABLE	= 1 << 0,
	FCR_CLEAR_RX	= 1 << 1,
	FCR_CLEAR_TX	= 1 << 2,

	LCR_DLAB	= 1 << 7,

	MCR_DTR		= 1 << 0,
	MCR_RTS		= 1 << 1,
	MCR_OUT1	= 1 << 2,
	MCR_OUT2	= 1 << 3,
	MCR_LOOP	= 1 << 4,
	MCR_MASK	= 0x1f,

	LSR_READY	= 1 << 0,
	LSR_OVERRUN	= 1 << 1,
	LSR_BREAK	= 1 << 4,
	LSR_THR_EMPTY	= 1 << 5,
	LSR_TX_IDLE	= 1 << 6,
	LSR_FIFO_ERROR	= 1 << 7,
	LSR_CHAR_ERRORS	= 0x1c,	/* parity, framing, break: belong to one character */

	MSR_RING_DELTA	= 1 << 2,
	MSR_DELTAS	= 0x0f,
	MSR_CTS		= 1 << 4,
	MSR_DSR		= 1 << 5,
	MSR_RING	= 1 << 6,
	MSR_CARRIER	= 1 << 7,
	MSR_TERMINAL	= MSR_CTS | MSR_DSR | MSR_CARRIER,
};

static void fifo_push(struct vdev_uart_fifo *fifo, uint16_t element)
{
	fifo->element[(fifo->head + fifo->count) % VDEV_UART_FIFO_BYTES] = element;
	fifo->count++;
}

static uint16_t fifo_pop(struct vdev_uart_fifo *fifo)
{
	uint16_t element = fifo->element[fifo->head];

	fifo->head = (fifo->head + 1) % VDEV_UART_FIFO_BYTES;
	fifo->count--;
	return element;
}

/* Without FIFOs the chip holds one byte each way. */
static unsigned int depth(const struct vdev_uart *uart)
{
	return uart->fifo_enabled ? VDEV_UART_FIFO_BYTES : 1;
}

/*
 * Drivers turn the received-data interrupt on while they probe, too, and clear the FIFOs
 * between that and the moment they are ready. A driver that is ready has OUT2 set, and the
 * FIFOs on if it has ever used them.
 */
static bool driver_listens(const struct vdev_uart *uart)
{
	return uart->ier & IER_RECEIVED && uart->mcr & MCR_OUT2 &&
	       (uart->fifo_enabled || !uart->fifos_used);
}

static bool takes_input(const struct vdev_uart *uart)
{
	if (uart->mcr & MCR_LOOP)
		return false;
	if (uart->config.hold_input && !driver_listens(uart))
		return false;
	return uart->receiver.count < depth(uart);
}

static uint8_t char_errors(const struct vdev_uart *uart)
{
	const struct vdev_uart_fifo *fifo = &uart->receiver;

	return fifo->count ? (fifo->element[fifo->head] >> 8) & LSR_CHAR_ERRORS : 0;
}

static uint8_t line_status(const struct vdev_uart *uart)
{
	uint8_t lsr = char_errors(uart);
	unsigned int i;

	if (uart->receiver.count)
		lsr |= LSR_READY;
	if (uart->overrun)
		lsr |= LSR_OVERRUN;
	if (!uart->transmitter.count)
		lsr |= LSR_THR_EMPTY | LSR_TX_IDLE;
	for (i = 0; uart->fifo_enabled && i < uart->receiver.count; i++) {
		unsigned int index = (uart->receiver.head + i) % VDEV_UART_FIFO_BYTES;

		if (uart->receiver.element[index] >> 8)
			lsr |= LSR_FIFO_ERROR;
	}
	return lsr;
}

/* Highest-priority interrupt, data sheet table IV, "Interrupt Control Functions". */
static uint8_t pending_interrupt(const struct vdev_uart *uart)
{
	if (uart->ier & IER_LINE_STATUS && (uart->overrun || char_errors(uart)))
		return IIR_LINE_STATUS;
	if (uart->ier & IER_RECEIVED && uart->receiver.count >= uart->trigger)
		return IIR_RECEIVED;
	/* Time does not pass here: below the trigger level the time-out is over at once. */
	if (uart->ier & IER_RECEIVED && uart->receiver.count)
		return IIR_TIMEOUT;
	if (uart->ier & IER_TRANSMITTER && uart->thre_pending)
		return IIR_TRANSMITTER;
	if (uart->ier & IER_MODEM && uart->msr & MSR_DELTAS)
		return IIR_MODEM;
	return IIR_NONE;
}

/* On a PC, OUT2 connects the interrupt output; loopback takes OUT2 off its pin. */
static void update_line(struct vdev_uart *uart)
{
	bool line = pending_interrupt(uart) != IIR_NONE && uart->mcr & MCR_OUT2 &&
		    !(uart->mcr & MCR_LOOP);

	if (line != uart->line) {
		uart->line = line;
		vdev_irq_set(&uart->config.irq, line);
	}
	if (uart->starved && !uart->receiver.count && takes_input(uart)) {
		uart->starved = false;
		if (uart->config.input_room)
			uart->config.input_room(uart->config.context);
	}
}

static void update_modem_status(struct vdev_uart *uart)
{
	uint8_t lines = MSR_TERMINAL, changed;

	if (uart->mcr & MCR_LOOP) {
		lines = uart->mcr & MCR_RTS ? MSR_CTS : 0;
		lines |= uart->mcr & MCR_DTR ? MSR_DSR : 0;
		lines |= uart->mcr & MCR_OUT1 ? MSR_RING : 0;
		lines |= uart->mcr & MCR_OUT2 ? MSR_CARRIER : 0;
	}
	changed = (uart->msr ^ lines) >> 4;
	/* The ring indicator reports its trailing edge only. */
	if (lines & MSR_RING)
		changed &= ~MSR_RING_DELTA;
	uart->msr = lines | (uart->msr & MSR_DELTAS) | changed;
}

static void receive(struct vdev_uart *uart, uint16_t element)
{
	if (uart->receiver.count < depth(uart))
		fifo_push(&uart->receiver, element);
	else
		uart->overrun = true;
}

/* Hand over what the owner takes; tell the guest if that was all. */
static void transmit(struct vdev_uart *uart)
{
	struct vdev_uart_fifo *fifo = &uart->transmitter;

	if (!fifo->count)
		return;
	while (fifo->count) {
		uint8_t byte = fifo->element[fifo->head];

		if (uart->config.output && !uart->config.output(uart->config.context, byte))
			return;
		fifo_pop(fifo);
	}
	uart->thre_pending = true;
}

static void write_data(struct vdev_uart *uart, uint8_t value)
{
	uart->thre_pending = false;
	if (uart->mcr & MCR_LOOP) {
		receive(uart, value);
		uart->thre_pending = true;
		return;
	}
	if (uart->transmitter.count < depth(uart))
		fifo_push(&uart->transmitter, value);
	transmit(uart);
}

static void write_fifo_control(struct vdev_uart *uart, uint8_t value)
{
	static const uint8_t triggers[4] = { 1, 4, 8, 14 };
	bool enable = value & FCR_ENABLE;
	bool toggled = enable != uart->fifo_enabled;

	uart->fifo_enabled = enable;
	uart->fifos_used |= enable;
	uart->trigger = enable ? triggers[value >> 6] : 1;
	if (toggled || (enable && value & FCR_CLEAR_RX))
		uart->receiver.count = 0;
	if ((toggled || (enable && value & FCR_CLEAR_TX)) && uart->transmitter.count) {
		uart->transmitter.count = 0;
		uart->thre_pending = true;
	}
}

static void write_interrupt_enable(struct vdev_uart *uart, uint8_t value)
{
	uint8_t enabled = value & ~uart->ier;

	uart->ier = value & IER_MASK;
	/* Drivers rely on this: turning the interrupt on with nothing to send raises it. */
	if (enabled & IER_TRANSMITTER && !uart->transmitter.count)
		uart->thre_pending = true;
}

static uint8_t read_data(struct vdev_uart *uart)
{
	return uart->receiver.count ? (uint8_t)fifo_pop(&uart->receiver) : 0;
}

static uint8_t read_interrupt_id(struct vdev_uart *uart)
{
	uint8_t id = pending_interrupt(uart);

	if (id == IIR_TRANSMITTER)
		uart->thre_pending = false;
	return id | (uart->fifo_enabled ? IIR_FIFOS : 0);
}

static uint8_t read_line_status(struct vdev_uart *uart)
{
	uint8_t lsr = line_status(uart);

	uart->overrun = false;
	if (uart->receiver.count)
		uart->receiver.element[uart->receiver.head] &= 0xff;
	return lsr;
}

static uint8_t read_modem_status(struct vdev_uart *uart)
{
	uint8_t msr = uart->msr;

	uart->msr &= ~MSR_DELTAS;
	return msr;
}

static uint8_t read_register(struct vdev_uart *uart, unsigned int offset)
{
	bool latch = uart->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		return latch ? uart->divisor & 0xff : read_data(uart);
	case REG_IER:
		return latch ? uart->divisor >> 8 : uart->ier;
	case REG_IIR:
		return read_interrupt_id(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_line_status(uart);
	case REG_MSR:
		return read_modem_status(uart);
	case REG_SCR:
		return uart->scr;
	default:
		return 0xff;
	}
}

static void write_register(struct vdev_uart *uart, unsigned int offset, uint8_t value)
{
	bool latch = uart->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		if (latch)
			uart->divisor = (uart->divisor & 0xff00) | value;
		else
			write_data(uart, value);
		break;
	case REG_IER:
		if (latch)
			uart->divisor = (uart->divisor & 0xff) | (uint16_t)(value << 8);
		else
			write_interrupt_enable(uart, value);
		break;
	case REG_IIR:
		write_fifo_control(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		uart->mcr = value & MCR_MASK;
		update_modem_status(uart);
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	default:	/* LSR and MSR: for factory tests only, says the data sheet */
		break;
	}
}

void vdev_uart_init(struct vdev_uart *uart, const struct vdev_uart_config *config)
{
	memset(uart, 0, sizeof(*uart));
	pthread_mutex_init(&uart->lock, NULL);
	uart->config = *config;
	uart->trigger = 1;
	uart->msr = MSR_TERMINAL;
}

void vdev_uart_uninit(struct vdev_uart *uart)
{
	pthread_mutex_destroy(&uart->lock);
}

uint8_t vdev_uart_read(struct vdev_uart *uart, unsigned int offset)
{
	uint8_t value;

	pthread_mutex_lock(&uart->lock);
	value = read_register(uart, offset);
	update_line(uart);
	pthread_mutex_unlock(&uart->lock);
	return value;
}

void vdev_uart_write(struct vdev_uart *uart, unsigned int offset, uint8_t value)
{
	pthread_mutex_lock(&uart->lock);
	write_register(uart, offset, value);
	/*
	 * A byte that leaves at once ends one transmitter interrupt and begins the next. An
	 * edge-triggered controller must see the line fall in between.
	 */
	if (offset == REG_DATA && uart->line && pending_interrupt(uart) == IIR_TRANSMITTER) {
		uart->line = false;
		vdev_irq_set(&uart->config.irq, false);
	}
	update_line(uart);
	pthread_mutex_unlock(&uart->lock);
}

size_t vdev_uart_input(struct vdev_uart *uart, const void *data, size_t bytes)
{
	const uint8_t *in = data;
	size_t taken = 0;

	pthread_mutex_lock(&uart->lock);
	while (taken < bytes && takes_input(uart))
		fifo_push(&uart->receiver, in[taken++]);
	uart->starved = taken < bytes;
	update_line(uart);
	pthread_mutex_unlock(&uart->lock);
	return taken;
}

bool vdev_uart_break(struct vdev_uart *uart)
{
	bool room;

	pthread_mutex_lock(&uart->lock);
	room = takes_input(uart);
	if (room)
		fifo_push(&uart->receiver, LSR_BREAK << 8);
	else
		uart->starved = true;
	update_line(uart);
	pthread_mutex_unlock(&uart->lock);
	return room;
}

void vdev_uart_output_ready(struct vdev_uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	transmit(uart);
	update_line(uart);
	pthread_mutex_unlock(&uart->lock);
}

static uint64_t bus_read(void *context, uint64_t offset, unsigned int bytes)
{
	(void)bytes;
	return vdev_uart_read(context, offset);
}

static void bus_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)bytes;
	vdev_uart_write(context, offset, value);
}

int vdev_uart_attach(struct vdev_uart *uart, struct vdev_bus *bus, uint16_t first_port)
{
	const struct vdev_range range = {
		.first = first_port,
		.bytes = VDEV_UART_PORTS,
		.width = 1,
		.read = bus_read,
		.write = bus_write,
		.context = uart,
	};

	return vdev_bus_add(bus, VDEV_PORT, &range);
}
