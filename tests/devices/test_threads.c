// SPDX-License-Identifier: GPL-2.0-only
/*
 * The models under several threads, for the thread sanitizer: two vCPUs, the terminal, the timer.
 */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "../../userlib/devices/bus.h"
#include "../../userlib/devices/ioapic.h"
#include "../../userlib/devices/rtc.h"
#include "../../userlib/devices/uart.h"

#define ROUNDS	20000

static struct vdev_bus bus;
static struct vdev_uart uart;
static struct vdev_ioapic ioapic;
static struct vdev_rtc rtc;
static atomic_uint messages, output;

static bool take(void *context, uint8_t byte)
{
	(void)context;
	(void)byte;
	return atomic_fetch_add(&output, 1) % 8;
}

static void msi(void *context, uint64_t address, uint32_t data)
{
	(void)context;
	(void)address;
	(void)data;
	atomic_fetch_add(&messages, 1);
}

static void port_write(uint16_t port, uint8_t value)
{
	vdev_bus_write(&bus, VDEV_PORT, port, 1, &value);
}

static void ioapic_write(unsigned int offset, uint32_t value)
{
	vdev_bus_write(&bus, VDEV_MMIO, VDEV_IOAPIC_GPA + offset, 4, &value);
}

static void *vcpu(void *context)
{
	uint8_t byte;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		port_write(0x3f8, (uint8_t)i);
		vdev_bus_read(&bus, VDEV_PORT, 0x3fa, 1, &byte);
		vdev_bus_read(&bus, VDEV_PORT, 0x3f8, 1, &byte);
		port_write(0x70, (uint8_t)(i % 16));
		vdev_bus_read(&bus, VDEV_PORT, 0x71, 1, &byte);
		if (i % 64 == 0) {
			ioapic_write(0, 0x18);
			ioapic_write(0x10, 0x31 | (context ? 1 << 15 : 0));
		}
		vdev_ioapic_eoi(&ioapic, 0x31);
	}
	return NULL;
}

static void *terminal(void *context)
{
	int i;

	(void)context;
	for (i = 0; i < ROUNDS; i++) {
		vdev_uart_input(&uart, "abc", 3);
		vdev_uart_output_ready(&uart);
		vdev_rtc_poll(&rtc);
	}
	return NULL;
}

static void two_vcpus_and_a_terminal(void)
{
	const struct vdev_ioapic_config ioapic_config = { .msi = msi };
	const struct vdev_uart_config uart_config = {
		.output = take,
		.irq = vdev_ioapic_irq(&ioapic, 4),
	};
	const struct vdev_rtc_config rtc_config = { .irq = vdev_ioapic_irq(&ioapic, 8) };
	pthread_t thread[3];
	int i;

	vdev_bus_init(&bus);
	vdev_ioapic_init(&ioapic, &ioapic_config);
	vdev_uart_init(&uart, &uart_config);
	vdev_rtc_init(&rtc, &rtc_config);
	CHECK_EQUAL(vdev_ioapic_attach(&ioapic, &bus, VDEV_IOAPIC_GPA), 0);
	CHECK_EQUAL(vdev_uart_attach(&uart, &bus, 0x3f8), 0);
	CHECK_EQUAL(vdev_rtc_attach(&rtc, &bus, VDEV_RTC_PORT), 0);
	port_write(0x3fa, 1);
	port_write(0x3fc, 8);
	port_write(0x3f9, 3);

	CHECK_EQUAL(pthread_create(&thread[0], NULL, vcpu, NULL), 0);
	CHECK_EQUAL(pthread_create(&thread[1], NULL, vcpu, &bus), 0);
	CHECK_EQUAL(pthread_create(&thread[2], NULL, terminal, NULL), 0);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	CHECK(atomic_load(&messages) > 100);
	CHECK(atomic_load(&output) > ROUNDS);
	vdev_uart_uninit(&uart);
	vdev_rtc_uninit(&rtc);
	vdev_ioapic_uninit(&ioapic);
}

const struct test thread_tests[] = {
	{ "threads: two vCPUs and a terminal", two_vcpus_and_a_terminal },
	{ NULL, NULL },
};
