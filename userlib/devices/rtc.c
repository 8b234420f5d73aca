// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Real-time clock. See rtc.h. Bits are from the MC146818 data sheet (Motorola, 1988): "Address
 * Map", "Registers" and "Interrupts"; the century byte is where PCs keep it.
 *
 * Each access first brings the flags of register C up to date with bring_up(), and last sets
 * the line and the timer with settle().
 */
#include "rtc.h"

#include <string.h>
#include <time.h>

enum {
	REG_SECONDS		= 0x00,
	REG_SECONDS_ALARM	= 0x01,
	REG_MINUTES		= 0x02,
	REG_MINUTES_ALARM	= 0x03,
	REG_HOURS		= 0x04,
	REG_HOURS_ALARM		= 0x05,
	REG_WEEKDAY		= 0x06,	/* Sunday is 1 */
	REG_DAY			= 0x07,
	REG_MONTH		= 0x08,
	REG_YEAR		= 0x09,
	REG_A			= 0x0a,
	REG_B			= 0x0b,
	REG_C			= 0x0c,
	REG_D			= 0x0d,

	A_UPDATING		= 1 << 7,
	A_DIVIDER		= 0x70,
	A_DIVIDER_RUNS		= 0x20,
	A_DIVIDER_RESET		= 0x60,	/* and 0x70 */
	A_RATE			= 0x0f,

	B_SET			= 1 << 7,
	B_UPDATE_ENDED		= 1 << 4,
	B_BINARY		= 1 << 2,
	B_24_HOURS		= 1 << 1,

	/* Flags of C, and the enables of B at the same places */
	FLAG_ANY		= 1 << 7,
	FLAG_PERIODIC		= 1 << 6,
	FLAG_ALARM		= 1 << 5,
	FLAG_UPDATE		= 1 << 4,
	FLAGS			= FLAG_PERIODIC | FLAG_ALARM | FLAG_UPDATE,

	D_VALID			= 1 << 7,

	HOUR_PM			= 1 << 7,
	ALARM_ANY		= 0xc0,	/* alarm bytes from here on match always */
};

#define NS_PER_SECOND		1000000000ll
#define TICKS_PER_SECOND	32768ll
#define SECONDS_PER_DAY		86400ll
/* "Update cycle": UIP rises 244 us before an update of 1984 us, which ends with the second. */
#define UPDATE_NS		(244000 + 1984000)
#define NEVER			INT64_MAX

/* Calendar time as the registers mean it, without limits. */
struct moment {
	int64_t year;
	int month, day, hour, minute, second, weekday;
};

static int64_t floor_div(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

static int64_t floor_mod(int64_t value, int64_t by)
{
	return value - floor_div(value, by) * by;
}

static int64_t host_now_ns(const struct vdev_rtc *rtc)
{
	struct timespec now;

	if (rtc->config.now_ns)
		return rtc->config.now_ns(rtc->config.context);
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/*
 * The guest's time is kept as host time plus a phase below one second plus whole seconds, because a
 * guest may set years that do not fit 64 bits of ns.
 */
static int64_t guest_second(const struct vdev_rtc *rtc, int64_t host_ns)
{
	return floor_div(host_ns + rtc->offset_phase_ns, NS_PER_SECOND) + rtc->offset_second;
}

static int64_t guest_phase_ns(const struct vdev_rtc *rtc, int64_t host_ns)
{
	return floor_mod(host_ns + rtc->offset_phase_ns, NS_PER_SECOND);
}

/* When a second of the guest's begins. */
static int64_t host_ns_of_second(const struct vdev_rtc *rtc, int64_t second)
{
	return (second - rtc->offset_second) * NS_PER_SECOND - rtc->offset_phase_ns;
}

static int64_t ns_to_ticks(int64_t ns)
{
	return floor_div(ns, NS_PER_SECOND) * TICKS_PER_SECOND +
	       floor_mod(ns, NS_PER_SECOND) * TICKS_PER_SECOND / NS_PER_SECOND;
}

/* The first ns at which ns_to_ticks() gives @ticks. */
static int64_t ticks_to_ns(int64_t ticks)
{
	return floor_div(ticks, TICKS_PER_SECOND) * NS_PER_SECOND +
	       (floor_mod(ticks, TICKS_PER_SECOND) * NS_PER_SECOND + TICKS_PER_SECOND - 1) /
	       TICKS_PER_SECOND;
}

/* Days since 1970-01-01 of a date in the Gregorian calendar; years begin in March here. */
static int64_t days_from_date(int64_t year, int month, int day)
{
	int64_t era, year_of_era, day_of_year;

	year -= month <= 2;
	era = floor_div(year, 400);
	year_of_era = floor_mod(year, 400);
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static struct moment moment_from_second(int64_t second)
{
	int64_t days = floor_div(second, SECONDS_PER_DAY) + 719468;
	int rest = (int)floor_mod(second, SECONDS_PER_DAY);
	int64_t era = floor_div(days, 146097);
	int day_of_era = (int)floor_mod(days, 146097);
	int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			   day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int month = (5 * day_of_year + 2) / 153;

	return (struct moment){
		.year = era * 400 + year_of_era + (month >= 10),
		.month = month + (month < 10 ? 3 : -9),
		.day = day_of_year - (153 * month + 2) / 5 + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
		/* 0000-03-01 was a Wednesday */
		.weekday = (int)floor_mod(days + 3, 7),
	};
}

static int64_t second_from_moment(const struct moment *m)
{
	return days_from_date(m->year, m->month, m->day) * SECONDS_PER_DAY +
	       m->hour * 3600 + m->minute * 60 + m->second;
}

/* -------------------------------------------------------------- registers -- */

static uint8_t encode(const struct vdev_rtc *rtc, int value)
{
	if (rtc->memory[REG_B] & B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static int decode(const struct vdev_rtc *rtc, uint8_t value)
{
	if (rtc->memory[REG_B] & B_BINARY)
		return value;
	return (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hour(const struct vdev_rtc *rtc, int hour)
{
	if (rtc->memory[REG_B] & B_24_HOURS)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct vdev_rtc *rtc, uint8_t value)
{
	if (rtc->memory[REG_B] & B_24_HOURS)
		return decode(rtc, value);
	return decode(rtc, value & (uint8_t)~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

static bool is_time_register(uint8_t index)
{
	switch (index) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case VDEV_RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

/* While software sets the clock, or holds the divider in reset, the time stands still. */
static bool is_stopped(const struct vdev_rtc *rtc)
{
	return rtc->memory[REG_B] & B_SET ||
	       (rtc->memory[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
}

static void store_time(struct vdev_rtc *rtc, int64_t second)
{
	struct moment m = moment_from_second(second);

	rtc->memory[REG_SECONDS] = encode(rtc, m.second);
	rtc->memory[REG_MINUTES] = encode(rtc, m.minute);
	rtc->memory[REG_HOURS] = encode_hour(rtc, m.hour);
	rtc->memory[REG_WEEKDAY] = encode(rtc, m.weekday + 1);
	rtc->memory[REG_DAY] = encode(rtc, m.day);
	rtc->memory[REG_MONTH] = encode(rtc, m.month);
	rtc->memory[REG_YEAR] = encode(rtc, (int)floor_mod(m.year, 100));
	rtc->memory[VDEV_RTC_CENTURY] = encode(rtc, (int)floor_mod(floor_div(m.year, 100), 100));
}

/* The registers hold what the guest wrote, sense or nonsense; any date comes out as some second. */
static int64_t load_time(const struct vdev_rtc *rtc)
{
	struct moment m = {
		.year = decode(rtc, rtc->memory[VDEV_RTC_CENTURY]) * 100ll +
			decode(rtc, rtc->memory[REG_YEAR]),
		.month = decode(rtc, rtc->memory[REG_MONTH]),
		.day = decode(rtc, rtc->memory[REG_DAY]),
		.hour = decode_hour(rtc, rtc->memory[REG_HOURS]),
		.minute = decode(rtc, rtc->memory[REG_MINUTES]),
		.second = decode(rtc, rtc->memory[REG_SECONDS]),
	};

	if (m.month < 1 || m.month > 12)
		m.month = 1;
	return second_from_moment(&m);
}

/* ------------------------------------------------------ alarm and periods -- */

static bool alarm_matches(const struct vdev_rtc *rtc, uint8_t index, int value)
{
	uint8_t alarm = rtc->memory[index];

	if (alarm >= ALARM_ANY)
		return true;
	if (index == REG_HOURS_ALARM)
		return decode_hour(rtc, alarm) == value;
	return decode(rtc, alarm) == value;
}

/* The first second after @second at which the alarm goes off, or NEVER. */
static int64_t next_alarm(const struct vdev_rtc *rtc, int64_t second)
{
	int64_t candidate = second + 1, end = second + 1 + SECONDS_PER_DAY;

	while (candidate < end) {
		int of_day = (int)floor_mod(candidate, SECONDS_PER_DAY);

		if (!alarm_matches(rtc, REG_HOURS_ALARM, of_day / 3600))
			candidate += 3600 - of_day % 3600;
		else if (!alarm_matches(rtc, REG_MINUTES_ALARM, of_day / 60 % 60))
			candidate += 60 - of_day % 60;
		else if (!alarm_matches(rtc, REG_SECONDS_ALARM, of_day % 60))
			candidate++;
		else
			return candidate;
	}
	return NEVER;
}

/* Period of the periodic interrupt as a power of two of ticks; -1: off. */
static int period_ticks_lg2(const struct vdev_rtc *rtc)
{
	int rate = rtc->memory[REG_A] & A_RATE;

	if (!rate)
		return -1;
	/* "Periodic Interrupt Rate": with a 32768 Hz crystal the first two repeat 8 and 9. */
	return rate <= 2 ? rate + 6 : rate - 1;
}

static void bring_up(struct vdev_rtc *rtc, int64_t host_ns)
{
	int64_t tick = ns_to_ticks(host_ns);
	int64_t second = guest_second(rtc, host_ns);
	int period = period_ticks_lg2(rtc);

	if (period >= 0 && tick >> period != rtc->seen_tick >> period)
		rtc->memory[REG_C] |= FLAG_PERIODIC;
	rtc->seen_tick = tick;

	if (!is_stopped(rtc) && second != rtc->seen_second) {
		rtc->memory[REG_C] |= FLAG_UPDATE;
		if (second > rtc->seen_second && next_alarm(rtc, rtc->seen_second) <= second)
			rtc->memory[REG_C] |= FLAG_ALARM;
	}
	rtc->seen_second = second;
}

/* When the next flag that the guest wants to hear of will rise, in host's time. */
static int64_t next_deadline(const struct vdev_rtc *rtc)
{
	uint8_t wanted = rtc->memory[REG_B] & ~rtc->memory[REG_C] & FLAGS;
	int period = period_ticks_lg2(rtc);
	int64_t deadline = NEVER, second = NEVER;

	if (wanted & FLAG_PERIODIC && period >= 0)
		deadline = ticks_to_ns(((rtc->seen_tick >> period) + 1) * (1ll << period));
	if (is_stopped(rtc))
		return deadline;
	if (wanted & FLAG_UPDATE)
		second = rtc->seen_second + 1;
	else if (wanted & FLAG_ALARM)
		second = next_alarm(rtc, rtc->seen_second);
	if (second != NEVER && host_ns_of_second(rtc, second) < deadline)
		deadline = host_ns_of_second(rtc, second);
	return deadline;
}

static void settle(struct vdev_rtc *rtc, int64_t host_ns)
{
	bool line = rtc->memory[REG_B] & rtc->memory[REG_C] & FLAGS;
	/* A raised line stays until the guest reads C: nothing more to tell before. */
	int64_t deadline = line ? NEVER : next_deadline(rtc);

	if (line != rtc->line) {
		rtc->line = line;
		vdev_irq_set(&rtc->config.irq, line);
	}
	if (deadline == rtc->deadline_ns)
		return;
	rtc->deadline_ns = deadline;
	if (!rtc->config.set_timer)
		return;
	if (deadline == NEVER)
		deadline = -1;
	else
		deadline = deadline > host_ns ? deadline - host_ns : 0;
	rtc->config.set_timer(rtc->config.context, deadline);
}

/* ---------------------------------------------------------------- accesses -- */

static void stop(struct vdev_rtc *rtc)
{
	store_time(rtc, rtc->seen_second);
}

/* Go on from the time in the registers, @phase_ns into that second. */
static void start(struct vdev_rtc *rtc, int64_t host_ns, int64_t phase_ns)
{
	int64_t second = load_time(rtc);

	rtc->offset_phase_ns = floor_mod(phase_ns - floor_mod(host_ns, NS_PER_SECOND),
					 NS_PER_SECOND);
	rtc->offset_second = 0;
	rtc->offset_second = second - guest_second(rtc, host_ns);
	rtc->seen_second = second;
}

static void write_control(struct vdev_rtc *rtc, uint8_t index, uint8_t value, int64_t host_ns)
{
	int64_t phase_ns = guest_phase_ns(rtc, host_ns);
	bool was_stopped = is_stopped(rtc);
	bool was_reset = (rtc->memory[REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
	uint8_t format = rtc->memory[REG_B];

	if (!was_stopped)
		stop(rtc);
	rtc->memory[index] = value;
	if (rtc->memory[REG_B] & B_SET)
		rtc->memory[REG_B] &= ~B_UPDATE_ENDED;
	if (is_stopped(rtc))
		return;
	/*
	 * A running clock keeps its time when the format changes; one that was stopped takes the
	 * registers as the new format reads them. The first update comes half a second after the
	 * divider leaves reset.
	 */
	if (!was_stopped && (format ^ rtc->memory[REG_B]) & (B_BINARY | B_24_HOURS))
		store_time(rtc, rtc->seen_second);
	start(rtc, host_ns, was_reset ? NS_PER_SECOND / 2 : phase_ns);
}

static void write_memory(struct vdev_rtc *rtc, uint8_t index, uint8_t value, int64_t host_ns)
{
	int64_t phase_ns = guest_phase_ns(rtc, host_ns);

	if (index == REG_A) {
		write_control(rtc, index, value & (uint8_t)~A_UPDATING, host_ns);
	} else if (index == REG_B) {
		write_control(rtc, index, value, host_ns);
	} else if (index == REG_C || index == REG_D) {
		return;		/* read-only */
	} else if (is_time_register(index) && !is_stopped(rtc)) {
		stop(rtc);
		rtc->memory[index] = value;
		start(rtc, host_ns, phase_ns);
	} else {
		rtc->memory[index] = value;
	}
}

static uint8_t read_memory(struct vdev_rtc *rtc, uint8_t index, int64_t host_ns)
{
	uint8_t value;

	switch (index) {
	case REG_A:
		value = rtc->memory[REG_A];
		if (!is_stopped(rtc) && guest_phase_ns(rtc, host_ns) >= NS_PER_SECOND - UPDATE_NS)
			value |= A_UPDATING;
		return value;
	case REG_C:
		value = rtc->memory[REG_C];
		if (value & rtc->memory[REG_B] & FLAGS)
			value |= FLAG_ANY;
		rtc->memory[REG_C] = 0;
		return value;
	case REG_D:
		return D_VALID;
	}
	if (is_time_register(index) && !is_stopped(rtc))
		store_time(rtc, rtc->seen_second);
	return rtc->memory[index];
}

void vdev_rtc_init(struct vdev_rtc *rtc, const struct vdev_rtc_config *config)
{
	int64_t host_ns;

	memset(rtc, 0, sizeof(*rtc));
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->config = *config;
	rtc->memory[REG_A] = A_DIVIDER_RUNS | 6;	/* 1024 Hz, as firmware leaves it */
	rtc->memory[REG_B] = B_24_HOURS;
	rtc->deadline_ns = NEVER;
	host_ns = host_now_ns(rtc);
	rtc->seen_tick = ns_to_ticks(host_ns);
	rtc->seen_second = floor_div(host_ns, NS_PER_SECOND);
}

void vdev_rtc_uninit(struct vdev_rtc *rtc)
{
	pthread_mutex_destroy(&rtc->lock);
}

uint8_t vdev_rtc_read(struct vdev_rtc *rtc, unsigned int offset)
{
	uint8_t value = 0xff;	/* the index cannot be read back */

	pthread_mutex_lock(&rtc->lock);
	if (offset == 1) {
		int64_t host_ns = host_now_ns(rtc);

		bring_up(rtc, host_ns);
		value = read_memory(rtc, rtc->index, host_ns);
		settle(rtc, host_ns);
	}
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

void vdev_rtc_write(struct vdev_rtc *rtc, unsigned int offset, uint8_t value)
{
	pthread_mutex_lock(&rtc->lock);
	if (offset == 0) {
		/* Bit 7 masks NMIs on a PC. Nothing here sends one. */
		rtc->index = value % VDEV_RTC_BYTES;
	} else if (offset == 1) {
		int64_t host_ns = host_now_ns(rtc);

		bring_up(rtc, host_ns);
		write_memory(rtc, rtc->index, value, host_ns);
		settle(rtc, host_ns);
	}
	pthread_mutex_unlock(&rtc->lock);
}

void vdev_rtc_poll(struct vdev_rtc *rtc)
{
	int64_t host_ns;

	pthread_mutex_lock(&rtc->lock);
	host_ns = host_now_ns(rtc);
	/* The timer has fired: whatever comes next is a new request, even at the same time. */
	rtc->deadline_ns = NEVER;
	bring_up(rtc, host_ns);
	settle(rtc, host_ns);
	pthread_mutex_unlock(&rtc->lock);
}

static uint64_t bus_read(void *context, uint64_t offset, unsigned int bytes)
{
	(void)bytes;
	return vdev_rtc_read(context, (unsigned int)offset);
}

static void bus_write(void *context, uint64_t offset, unsigned int bytes, uint64_t value)
{
	(void)bytes;
	vdev_rtc_write(context, (unsigned int)offset, (uint8_t)value);
}

int vdev_rtc_attach(struct vdev_rtc *rtc, struct vdev_bus *bus, uint16_t first_port)
{
	const struct vdev_range range = {
		.first = first_port,
		.bytes = VDEV_RTC_PORTS,
		.width = 1,
		.read = bus_read,
		.write = bus_write,
		.context = rtc,
	};

	return vdev_bus_add(bus, VDEV_PORT, &range);
}
