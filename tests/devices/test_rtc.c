// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real-time clock: calendar against the C library, formats, setting, update flag, the three
 * interrupts and the timer they ask for.
 */
#include "check.h"

#include <time.h>

#include "../../userlib/devices/rtc.h"

enum { SECOND = 0, MINUTE = 2, HOUR = 4, WEEKDAY = 6, DAY = 7, MONTH = 8, YEAR = 9,
	A = 10, B = 11, C = 12, D = 13, CENTURY = 0x32 };

#define S	1000000000ll

static struct vdev_rtc rtc;
static int64_t now;
static int64_t timer;
static unsigned int timer_calls;
static bool line;

static int64_t now_ns(void *context)
{
	(void)context;
	return now;
}

static void set_timer(void *context, int64_t delay_ns)
{
	(void)context;
	timer = delay_ns;
	timer_calls++;
}

static void set_line(void *context, unsigned int pin, bool asserted)
{
	(void)context;
	(void)pin;
	CHECK(line != asserted);
	line = asserted;
}

static void begin(int64_t second)
{
	const struct vdev_rtc_config config = {
		.now_ns = now_ns,
		.set_timer = set_timer,
		.irq = { .set = set_line, .pin = 8 },
	};

	now = second * S;
	timer = -1;
	timer_calls = 0;
	line = false;
	vdev_rtc_init(&rtc, &config);
}

static uint8_t get(uint8_t reg)
{
	vdev_rtc_write(&rtc, 0, reg);
	return vdev_rtc_read(&rtc, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	vdev_rtc_write(&rtc, 0, reg);
	vdev_rtc_write(&rtc, 1, value);
}

static int bcd(uint8_t value)
{
	return (value >> 4) * 10 + (value & 15);
}

static void check_calendar(int64_t second)
{
	time_t time = (time_t)second;
	struct tm tm;

	begin(second);
	gmtime_r(&time, &tm);
	CHECK_EQUAL(bcd(get(SECOND)), tm.tm_sec);
	CHECK_EQUAL(bcd(get(MINUTE)), tm.tm_min);
	CHECK_EQUAL(bcd(get(HOUR)), tm.tm_hour);
	CHECK_EQUAL(bcd(get(WEEKDAY)), tm.tm_wday + 1);
	CHECK_EQUAL(bcd(get(DAY)), tm.tm_mday);
	CHECK_EQUAL(bcd(get(MONTH)), tm.tm_mon + 1);
	CHECK_EQUAL(bcd(get(YEAR)), tm.tm_year % 100);
	CHECK_EQUAL(bcd(get(CENTURY)), 19 + tm.tm_year / 100);
}

static void calendar_equals_the_c_library(void)
{
	int64_t second;
	unsigned int i;

	check_calendar(0);
	check_calendar(951782399);		/* 2000-02-28 23:59:59 */
	check_calendar(951868799);		/* 2000-02-29 23:59:59 */
	check_calendar(1709251199);		/* 2024-02-29 23:59:59 */
	check_calendar(4107542400);		/* 2100-03-01 */
	for (second = 0; second < 9000000000; second += 86400 * 13 + 12345)
		check_calendar(second);
	for (i = 0; i < 2000; i++)
		check_calendar((int64_t)check_random() * 4 % 9000000000);
}

static void presence(void)
{
	begin(0);
	CHECK_EQUAL(get(D), 0x80);
	CHECK_EQUAL(get(A), 0x26);
	CHECK_EQUAL(get(B), 0x02);
	CHECK_EQUAL(vdev_rtc_read(&rtc, 0), 0xff);
	set(0x0e | 0x80, 0x5a);			/* bit 7 is the NMI mask */
	CHECK_EQUAL(get(0x0e), 0x5a);
	set(D, 0);
	CHECK_EQUAL(get(D), 0x80);
}

static void formats(void)
{
	unsigned int hour;

	begin(1700000000);			/* 2023-11-14 22:13:20 */
	set(B, 0x02 | 0x04);
	CHECK_EQUAL(get(HOUR), 22);
	CHECK_EQUAL(get(YEAR), 23);
	CHECK_EQUAL(get(CENTURY), 20);
	set(B, 0x00);
	CHECK_EQUAL(get(HOUR), 0x90);		/* 10 p.m. in BCD */
	set(B, 0x04);
	CHECK_EQUAL(get(HOUR), 0x8a);
	for (hour = 0; hour < 24; hour++) {
		unsigned int twelve = hour % 12 ? hour % 12 : 12;

		begin(hour * 3600);
		set(B, 0x04);
		CHECK_EQUAL(get(HOUR), twelve | (hour >= 12 ? 0x80 : 0));
		/* Setting the same value leaves the time as it is. */
		set(HOUR, get(HOUR));
		set(B, 0x06);
		CHECK_EQUAL(get(HOUR), hour);
		CHECK_EQUAL(get(DAY), 1);
	}
}

static void set_date(int year, int month, int day, int hour, int minute, int second)
{
	uint8_t b = get(B);

	set(B, b | 0x80);
	set(SECOND, (uint8_t)(second / 10 << 4 | second % 10));
	set(MINUTE, (uint8_t)(minute / 10 << 4 | minute % 10));
	set(HOUR, (uint8_t)(hour / 10 << 4 | hour % 10));
	set(DAY, (uint8_t)(day / 10 << 4 | day % 10));
	set(MONTH, (uint8_t)(month / 10 << 4 | month % 10));
	set(YEAR, (uint8_t)(year % 100 / 10 << 4 | year % 10));
	set(CENTURY, (uint8_t)(year / 1000 << 4 | year / 100 % 10));
	set(B, b);
}

static void setting(void)
{
	begin(1700000000);
	now += 300000000;
	set_date(1999, 12, 31, 23, 59, 58);
	CHECK_EQUAL(get(SECOND), 0x58);
	now += 700000000;			/* the phase goes on */
	CHECK_EQUAL(get(SECOND), 0x59);
	now += S;
	CHECK_EQUAL(get(SECOND), 0);
	CHECK_EQUAL(get(YEAR), 0);
	CHECK_EQUAL(get(CENTURY), 0x20);
	CHECK_EQUAL(get(WEEKDAY), 7);		/* 2000-01-01 was a Saturday */
	set(MINUTE, 0x30);			/* while it runs */
	CHECK_EQUAL(get(MINUTE), 0x30);
	CHECK_EQUAL(get(DAY), 1);
	now += 3600 * S;
	CHECK_EQUAL(get(HOUR), 0x01);
}

static void time_stands_still_while_set(void)
{
	begin(1700000000);
	set(B, 0x82);
	CHECK_EQUAL(get(SECOND), 0x20);
	now += 100 * S;
	CHECK_EQUAL(get(SECOND), 0x20);
	CHECK_EQUAL(get(A) & 0x80, 0);
	CHECK_EQUAL(get(C), 0x40);		/* the periodic flag knows nothing of it */
	set(B, 0x02);
	CHECK_EQUAL(get(SECOND), 0x20);
	now += S;
	CHECK_EQUAL(get(SECOND), 0x21);
}

/* mc146818_set_time(): the first update comes half a second after the divider is released */
static void divider_reset(void)
{
	begin(1700000000);
	now += 900000000;
	set(B, 0x82);
	set(A, 0x70);
	set(SECOND, 0x00);
	set(B, 0x02);
	now += 5 * S;
	CHECK_EQUAL(get(SECOND), 0);
	set(A, 0x26);
	now += S / 2 - 1;
	CHECK_EQUAL(get(SECOND), 0);
	now += 1;
	CHECK_EQUAL(get(SECOND), 1);
}

static void update_in_progress(void)
{
	begin(1700000000);
	CHECK_EQUAL(get(A) & 0x80, 0);
	now += S - 2228000 - 1;
	CHECK_EQUAL(get(A) & 0x80, 0);
	now += 1;
	CHECK_EQUAL(get(A) & 0x80, 0x80);
	now += 2228000 - 1;
	CHECK_EQUAL(get(A) & 0x80, 0x80);
	now += 1;
	CHECK_EQUAL(get(A) & 0x80, 0);
	set(A, 0xff);
	CHECK_EQUAL(get(A), 0x7f);
}

static void nonsense_dates_are_harmless(void)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint8_t reg;

		begin(1700000000);
		set(B, i & 1 ? 0x86 : 0x82);
		for (reg = 0; reg < 10; reg++)
			set(reg, (uint8_t)(255 - i));
		set(CENTURY, (uint8_t)(255 - i));
		set(B, i & 1 ? 0x36 : 0x32);
		now += 10 * S;
		CHECK(bcd(get(SECOND)) < 100);
		get(C);
	}
}

static void update_interrupt(void)
{
	begin(1700000000);
	now += 250000000;
	set(B, 0x12);
	CHECK_EQUAL(timer, 750000000);
	vdev_rtc_poll(&rtc);
	CHECK(!line);
	now += 750000000;
	vdev_rtc_poll(&rtc);
	CHECK(line);
	CHECK_EQUAL(get(C), 0x80 | 0x40 | 0x10);
	CHECK(!line);
	CHECK_EQUAL(timer, S);
	CHECK_EQUAL(get(C), 0);
	set(B, 0x02);
	CHECK_EQUAL(timer, -1);
	now += 10 * S;
	CHECK_EQUAL(get(C), 0x40 | 0x10);	/* flags rise without enables, the line does not */
	CHECK(!line);
}

static void alarm_interrupt(void)
{
	begin(1700000000);			/* 22:13:20 */
	get(C);
	set(1, 0x05);
	set(3, 0x15);
	set(5, 0x22);
	set(B, 0x22);
	CHECK_EQUAL(timer, 105 * S);
	now += 105 * S - 1;
	vdev_rtc_poll(&rtc);
	CHECK(!line);
	now += 1;
	vdev_rtc_poll(&rtc);
	CHECK(line);
	CHECK_EQUAL(get(C) & 0xa0, 0xa0);
	CHECK_EQUAL(timer, 86400 * S);
	set(5, 0xff);				/* every hour */
	CHECK_EQUAL(timer, 3600 * S);
	set(3, 0xc0);
	set(1, 0xff);
	CHECK_EQUAL(timer, S);
	set(1, 0x99);				/* no such second */
	CHECK_EQUAL(timer, -1);
}

static void alarm_is_not_missed_late(void)
{
	begin(1700000000);
	set(1, 0x30);
	set(3, 0x13);
	set(5, 0x22);
	set(B, 0x22);
	now += 500000 * S;
	vdev_rtc_poll(&rtc);
	CHECK(line);
	CHECK_EQUAL(get(C) & 0x20, 0x20);
}

static void periodic_interrupt(void)
{
	static const unsigned int hz[16] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128,
					     64, 32, 16, 8, 4, 2 };
	unsigned int rate, ticks;

	for (rate = 1; rate < 16; rate++) {
		int64_t start;

		begin(1700000000);
		set(A, (uint8_t)(0x20 | rate));
		set(B, 0x42);
		start = now;
		for (ticks = 0; ticks < hz[rate] && timer >= 0; ticks++) {
			now += timer;
			vdev_rtc_poll(&rtc);
			CHECK(line);
			CHECK_EQUAL(get(C) & 0xc0, 0xc0);
		}
		CHECK_EQUAL(now - start, S);
	}
	begin(1700000000);
	set(A, 0x20);
	set(B, 0x42);
	CHECK_EQUAL(timer, -1);
}

static void unread_flag_needs_no_timer(void)
{
	begin(1700000000);
	set(A, 0x23);
	set(B, 0x42);
	now += timer;
	vdev_rtc_poll(&rtc);
	CHECK(line);
	timer_calls = 0;
	now += S;
	vdev_rtc_poll(&rtc);
	CHECK_EQUAL(timer_calls, 0);
}

static void clock_of_the_host_steps_back(void)
{
	begin(1700000000);
	set(B, 0x32);
	now -= 1000 * S;
	vdev_rtc_poll(&rtc);
	CHECK_EQUAL(get(C) & 0x10, 0x10);
	CHECK_EQUAL(get(MINUTE), 0x56);
	now += S;
	vdev_rtc_poll(&rtc);
	CHECK(line);
}

static void through_the_bus(void)
{
	struct vdev_bus bus;
	uint8_t value = D;

	begin(0);
	vdev_bus_init(&bus);
	CHECK_EQUAL(vdev_rtc_attach(&rtc, &bus, VDEV_RTC_PORT), 0);
	vdev_bus_write(&bus, VDEV_PORT, 0x70, 1, &value);
	vdev_bus_read(&bus, VDEV_PORT, 0x71, 1, &value);
	CHECK_EQUAL(value, 0x80);
}

const struct test rtc_tests[] = {
	{ "rtc: the calendar equals the C library's", calendar_equals_the_c_library },
	{ "rtc: presence and memory", presence },
	{ "rtc: BCD, binary, 12 and 24 hours", formats },
	{ "rtc: setting", setting },
	{ "rtc: time stands still while it is set", time_stands_still_while_set },
	{ "rtc: divider reset", divider_reset },
	{ "rtc: update in progress", update_in_progress },
	{ "rtc: nonsense dates are harmless", nonsense_dates_are_harmless },
	{ "rtc: update interrupt", update_interrupt },
	{ "rtc: alarm interrupt", alarm_interrupt },
	{ "rtc: a late alarm is not missed", alarm_is_not_missed_late },
	{ "rtc: periodic interrupt", periodic_interrupt },
	{ "rtc: an unread flag needs no timer", unread_flag_needs_no_timer },
	{ "rtc: the host's clock steps back", clock_of_the_host_steps_back },
	{ "rtc: through the bus", through_the_bus },
	{ NULL, NULL },
};
