/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Real-time clock and CMOS memory of a PC (Motorola MC146818), ports 0x70 and 0x71.
 *
 * Owns the registers, 114 bytes of memory and the distance of the guest's clock from the
 * host's. Time is UTC and is read from the host when the guest asks: nothing runs while nobody
 * looks. For the three interrupts (periodic, alarm, update ended) the owner supplies a timer.
 *
 * Lock: vdev_rtc.lock, taken by each function. All callbacks are called under it and must not
 * call back into the clock.
 */
#ifndef VDEV_RTC_H
#define VDEV_RTC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "irq.h"

#define VDEV_RTC_PORT		0x70
#define VDEV_RTC_PORTS		2
#define VDEV_RTC_CENTURY	0x32	/* for acpi's FADT */
#define VDEV_RTC_BYTES		128

/**
 * struct vdev_rtc_config - how a clock is connected
 * @now_ns: the host's time, ns since 1970 in UTC; NULL: CLOCK_REALTIME
 * @set_timer: call vdev_rtc_poll() after this many ns, in place of an earlier request; negative:
 *	not at all. NULL: no interrupts
 * @context: handed to both
 * @irq: interrupt line
 */
struct vdev_rtc_config {
	int64_t (*now_ns)(void *context);
	void (*set_timer)(void *context, int64_t delay_ns);
	void *context;
	struct vdev_irq irq;
};

/**
 * struct vdev_rtc - a clock; all but @config under @lock
 * @lock: see above
 * @config: constant
 * @memory: registers and memory; the time registers count only while the clock is stopped
 * @index: register that port 0x71 shows
 * @offset_second: the guest's time minus the host's, whole seconds
 * @offset_phase_ns: and the rest of it, below one second
 * @seen_second: guest's time when the flags were last brought up to date, s
 * @seen_tick: host's time then, 1/32768 s
 * @deadline_ns: host's time for which the timer was requested; INT64_MAX: none
 * @line: level of the interrupt line
 */
struct vdev_rtc {
	pthread_mutex_t lock;
	struct vdev_rtc_config config;
	uint8_t memory[VDEV_RTC_BYTES];
	uint8_t index;
	int64_t offset_second;
	int64_t offset_phase_ns;
	int64_t seen_second;
	int64_t seen_tick;
	int64_t deadline_ns;
	bool line;
};

/* Running, 24 hours, BCD, interrupts off. @config is copied. */
void vdev_rtc_init(struct vdev_rtc *rtc, const struct vdev_rtc_config *config);
void vdev_rtc_uninit(struct vdev_rtc *rtc);

/* The two ports; @offset 0 (index) or 1 (data). Any thread. */
uint8_t vdev_rtc_read(struct vdev_rtc *rtc, unsigned int offset);
void vdev_rtc_write(struct vdev_rtc *rtc, unsigned int offset, uint8_t value);
int vdev_rtc_attach(struct vdev_rtc *rtc, struct vdev_bus *bus, uint16_t first_port);

/* The time asked for with config.set_timer has come; harmless at others. Any thread. */
void vdev_rtc_poll(struct vdev_rtc *rtc);

#endif /* VDEV_RTC_H */
