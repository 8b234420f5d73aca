// SPDX-License-Identifier: GPL-2.0-only
/*
 * A run's deadline: it ends a stay in the guest and a halt, never early, and leaves the guest's own
 * timer alone. The same whether the processor's preemption timer or the host's keeps the time.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <sys/timex.h>
#include <unistd.h>

#include "emit.h"

#define MS_TSC		((uint64_t)device_info().tsc_khz)
/* An emulated host with several CPUs is slow to come back; a lost deadline never does. */
#define PATIENCE_MS	2000

GUEST_CODE(spin, 64,
	"1: incq " MAIL_FLAG "\n"
	"jmp	1b\n");

GUEST_CODE(undefined, 64,
	"ud2\n");

GUEST_CODE(halt, 64,
	"cli\n"
	"1: hlt\n"
	"incq	" MAIL_FLAG "\n"
	"jmp	1b\n");

static uint64_t tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return low | (uint64_t)high << 32;
}

FIXTURE(deadline)
{
	struct vm vm;
	struct vcpu vcpu;
};

FIXTURE_SETUP(deadline)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
}

FIXTURE_TEARDOWN(deadline)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* One run up to a deadline so far ahead: how late it came back, TSC ticks; negative: early. */
static int64_t run_until(struct vcpu *vcpu, uint64_t ahead_tsc)
{
	uint64_t deadline = tsc() + ahead_tsc;

	vcpu->run->deadline_tsc = deadline;
	if (vcpu_exit(vcpu) != VHM_EXIT_DEADLINE)
		give_up("%s, not a deadline", exit_name(vcpu->run->exit_reason));
	return (int64_t)(tsc() - deadline);
}

TEST_F(deadline, ends_a_stay_in_the_guest)
{
	uint64_t work;
	int i;

	guest_run_long(&self->vcpu, spin);
	/* its memory is found first, which may take longer than the runs below */
	run_until(&self->vcpu, 100 * MS_TSC);
	work = guest_mail(&self->vm)->flag[0];
	for (i = 0; i < 20; i++) {
		int64_t late = run_until(&self->vcpu, MS_TSC * (1 + i % 4));

		ASSERT_GE(late, 0);
		ASSERT_LT(late, (int64_t)(PATIENCE_MS * MS_TSC));
	}
	/* not each time: the host may have had other work in so short a while */
	EXPECT_GT(guest_mail(&self->vm)->flag[0], work);
}

/*
 * One that passes while the thread is on its way into the guest is not lost. If it were, the stay
 * would end when something else interrupts the host: with its tick, if it has one.
 */
TEST_F(deadline, passes_on_the_way_in)
{
	const volatile uint64_t *work = guest_mail(&self->vm)->flag;
	uint64_t before, work_of_100_ms;
	int lost = 0, i;

	guest_run_long(&self->vcpu, spin);
	run_until(&self->vcpu, 100 * MS_TSC);
	before = *work;
	run_until(&self->vcpu, 100 * MS_TSC);
	work_of_100_ms = *work - before;
	for (i = 0; i < 6000; i++) {
		int64_t late;

		before = *work;
		late = run_until(&self->vcpu, MS_TSC / 8 + (uint64_t)i * 5 % 5000);
		/* and the guest ran on: else the host had other work */
		lost += late > (int64_t)MS_TSC &&
			(*work - before) * 200 > work_of_100_ms * ((uint64_t)late / MS_TSC);
	}
	EXPECT_EQ(0, lost);
}

/*
 * Wherever it ends among an exception's delivery, the handler and its return, RIP and RSP are of one
 * moment: the handler returns to the instruction that faulted, which has the stack to itself.
 */
TEST_F(deadline, between_exceptions)
{
	const struct vhm_registers *regs = &self->vcpu.run->regs;
	struct guest_mail *mail = guest_mail(&self->vm);
	int i;

	guest_run_long(&self->vcpu, undefined);
	mail->silent = 1;
	run_until(&self->vcpu, 100 * MS_TSC);
	for (i = 0; i < 400; i++) {
		run_until(&self->vcpu, MS_TSC / 4 + (uint64_t)i * 37 % 997);
		if (regs->rip == LONG_CODE) {
			ASSERT_EQ(LONG_STACK(0), regs->rsp);
		} else {
			ASSERT_LT(regs->rsp, LONG_STACK(0));
		}
		ASSERT_GE(regs->rsp, LONG_STACK(0) - 0x100);
	}
	EXPECT_GT(mail->count[6], 400);
}

TEST_F(deadline, ends_a_halt)
{
	int i;

	guest_run_long(&self->vcpu, halt);
	for (i = 0; i < 20; i++) {
		int64_t late = run_until(&self->vcpu, MS_TSC * (1 + i % 4));

		ASSERT_GE(late, 0);
		ASSERT_LT(late, (int64_t)(PATIENCE_MS * MS_TSC));
	}
	/* the guest is still where it halted, and wakes up when there is a reason */
	EXPECT_EQ(0, guest_mail(&self->vm)->flag[0]);
}

/* The host's clocks run at different speeds: NTP slews the one that its timers go by. */
static void set_clock_tick_us(long tick_us)
{
	struct timex change = { .modes = ADJ_TICK, .tick = tick_us };

	if (adjtimex(&change) < 0)
		give_up("adjtimex: %s", strerror(errno));
}

FIXTURE(fast_clock)
{
	struct timex before;
	struct vm vm;
	struct vcpu vcpu;
};

FIXTURE_SETUP(fast_clock)
{
	self->before = (struct timex) { 0 };
	if (adjtimex(&self->before) < 0)
		give_up("adjtimex: %s", strerror(errno));
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	/* the most there is: 10 % */
	set_clock_tick_us(1100000 / sysconf(_SC_CLK_TCK));
}

FIXTURE_TEARDOWN(fast_clock)
{
	set_clock_tick_us(self->before.tick);
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* A timer that is early against the TSC is not the end of waiting for it. */
TEST_F(fast_clock, does_not_lose_a_deadline_in_a_halt)
{
	int64_t late;

	guest_run_long(&self->vcpu, halt);
	late = run_until(&self->vcpu, 100 * MS_TSC);
	ASSERT_GE(late, 0);
	ASSERT_LT(late, (int64_t)(PATIENCE_MS * MS_TSC));
}

TEST_F(fast_clock, does_not_lose_a_deadline_in_the_guest)
{
	int64_t late;

	guest_run_long(&self->vcpu, spin);
	late = run_until(&self->vcpu, 100 * MS_TSC);
	ASSERT_GE(late, 0);
	ASSERT_LT(late, (int64_t)(PATIENCE_MS * MS_TSC));
}

/* One that has passed ends each run before the guest's next instruction, until it is taken away. */
TEST_F(deadline, stays)
{
	struct vhm_run *run = self->vcpu.run;
	uint64_t rip;

	guest_run_long(&self->vcpu, spin);
	run_until(&self->vcpu, MS_TSC);
	rip = run->regs.rip;
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(VHM_EXIT_DEADLINE, vcpu_exit(&self->vcpu));
		EXPECT_EQ(rip, run->regs.rip);
	}
	run->deadline_tsc = 1;
	EXPECT_EQ(VHM_EXIT_DEADLINE, vcpu_exit(&self->vcpu));
	run->deadline_tsc = 0;
	must(vcpu_kick(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_KICKED, vcpu_exit(&self->vcpu));
	run->deadline_tsc = UINT64_MAX;
	must(vcpu_kick(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_KICKED, vcpu_exit(&self->vcpu));
}

/* A vCPU that waits for INIT has a deadline, too. */
TEST_F(deadline, of_a_vcpu_that_waits_for_init)
{
	struct vcpu second;

	vcpu_create(&second, &self->vm, 1);
	EXPECT_GE(run_until(&second, MS_TSC), 0);
	vcpu_destroy(&second);
}

/* The guest's timer comes at its own times, whatever deadlines interrupt it. */
TEST_F(deadline, and_the_guests_timer)
{
	struct code code = { .vm = &self->vm, .gpa = LONG_CODE, .x2apic = true };
	const uint64_t period_ms = 3, end = tsc() + 40 * period_ms * MS_TSC;
	struct guest_mail *mail = guest_mail(&self->vm);
	uint32_t ticks;
	uint64_t start;

	guest_long_tables(&self->vm);
	mail->eoi = EOI_X2APIC;
	mail->silent = 1;
	emit_apic_enable(&code);
	emit_apic_write(&code, APIC_DIVIDE, DIVIDE_BY_1);
	emit_apic_write(&code, APIC_LVT_TIMER, LVT_PERIODIC | 0x55);
	emit_apic_write(&code, APIC_INITIAL, device_info().apic_timer_hz / 1000 * period_ms);
	emit_sti(&code);
	emit_hlt(&code);
	emit_jump(&code, code.gpa - 1);
	guest_long_enter(&self->vcpu, LONG_CODE);
	start = tsc();
	while (tsc() < end)
		run_until(&self->vcpu, MS_TSC * 2 / 3);
	ticks = mail->count[0x55];
	EXPECT_LE(ticks, (tsc() - start) / (period_ms * MS_TSC) + 1);
	/* on a slow host many come together as one */
	EXPECT_GE(ticks, 5);
}

TEST_HARNESS_MAIN
