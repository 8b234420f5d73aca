/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * UART 16550A (National Semiconductor PC16550D): the serial port of a PC.
 *
 * Owns the eight registers, both FIFOs and the interrupt line. It has no line speed: a byte is
 * sent as soon as the owner takes it. A byte the owner does not take waits in the transmitter
 * FIFO, so that the guest sees the transmitter busy and no vCPU thread ever blocks here; bytes
 * the guest writes into a full FIFO are lost, as on the chip. Modem lines are those of a
 * connected terminal.
 *
 * Lock: vdev_uart.lock, taken by each function. All callbacks are called under it and must not
 * call back into the UART.
 */
#ifndef VDEV_UART_H
#define VDEV_UART_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus.h"
#include "irq.h"

#define VDEV_UART_PORTS		8
#define VDEV_UART_FIFO_BYTES	16

/**
 * struct vdev_uart_config - how a UART is connected
 * @output: the guest sends a byte; false: not now, vdev_uart_output_ready() will be called.
 *	NULL: bytes vanish
 * @input_room: vdev_uart_input() will take more bytes than last time; NULL if of no interest
 * @context: handed to both
 * @irq: interrupt line
 * @hold_input: take input only while a driver is ready for its interrupts. What is typed while
 *	a system boots then waits for the driver, which would otherwise throw it away; wrong for
 *	guests that poll
 */
struct vdev_uart_config {
	bool (*output)(void *context, uint8_t byte);
	void (*input_room)(void *context);
	void *context;
	struct vdev_irq irq;
	bool hold_input;
};

/**
 * struct vdev_uart_fifo - a FIFO; elements are bytes with their error bits of LSR above
 * @element: ring
 * @head: index of the oldest
 * @count: elements in it
 */
struct vdev_uart_fifo {
	uint16_t element[VDEV_UART_FIFO_BYTES];
	unsigned int head;
	unsigned int count;
};

/**
 * struct vdev_uart - a UART; all but @config under @lock
 * @lock: see above
 * @config: constant
 * @receiver: received and not yet read
 * @transmitter: written and not yet taken by the owner
 * @trigger: elements in @receiver that raise the received-data interrupt
 * @divisor: divisor latch, of no effect
 * @ier: interrupt enable register
 * @lcr: line control register
 * @mcr: modem control register
 * @msr: modem status register
 * @scr: scratch register
 * @fifo_enabled: FCR bit 0
 * @fifos_used: it has been set since power-up
 * @overrun: LSR bit 1, until LSR is read
 * @thre_pending: the transmitter ran empty and the guest has not been told
 * @line: level of the interrupt line
 * @starved: @config.input_room is owed
 */
struct vdev_uart {
	pthread_mutex_t lock;
	struct vdev_uart_config config;
	struct vdev_uart_fifo receiver;
	struct vdev_uart_fifo transmitter;
	unsigned int trigger;
	uint16_t divisor;
	uint8_t ier;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t msr;
	uint8_t scr;
	bool fifo_enabled;
	bool fifos_used;
	bool overrun;
	bool thre_pending;
	bool line;
	bool starved;
};

/* Power-up state. @config is copied. */
void vdev_uart_init(struct vdev_uart *uart, const struct vdev_uart_config *config);
void vdev_uart_uninit(struct vdev_uart *uart);

/* The eight ports, for vdev_bus_add() or by hand; @offset 0-7. Any thread. */
uint8_t vdev_uart_read(struct vdev_uart *uart, unsigned int offset);
void vdev_uart_write(struct vdev_uart *uart, unsigned int offset, uint8_t value);
int vdev_uart_attach(struct vdev_uart *uart, struct vdev_bus *bus, uint16_t first_port);

/**
 * vdev_uart_input - bytes arrive from the terminal
 * @uart: the UART
 * @data: the bytes
 * @bytes: how many
 *
 * Any thread. Return: how many were taken; if fewer than @bytes, config.input_room tells when
 * to try the rest.
 */
size_t vdev_uart_input(struct vdev_uart *uart, const void *data, size_t bytes);

/* A break arrives from the terminal. False: no room, config.input_room tells when to try again. */
bool vdev_uart_break(struct vdev_uart *uart);

/* config.output may take bytes again. Any thread. */
void vdev_uart_output_ready(struct vdev_uart *uart);

#endif /* VDEV_UART_H */
