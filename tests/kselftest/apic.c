// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local APIC as a guest sees it, in both modes: registers, messages, priorities, IPIs to
 * itself, the timer in its three modes, level-triggered interrupts and their EOI.
 *
 * Runs with and without APIC virtualization (module parameter apicv). Several vCPUs: smp.c.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>

#include "emit.h"

#define GP	13

FIXTURE(apic) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
	struct code code;
	struct guest_mail *mail;
	struct vhm_info info;
};

FIXTURE_VARIANT(apic) {
	bool x2apic;
};

FIXTURE_VARIANT_ADD(apic, xapic) { .x2apic = false };
FIXTURE_VARIANT_ADD(apic, x2apic) { .x2apic = true };

FIXTURE_SETUP(apic)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
	self->info = device_info();
	self->code = (struct code) {
		.vm = &self->vm, .gpa = LONG_CODE, .x2apic = variant->x2apic,
	};
	self->mail = guest_mail(&self->vm);
	guest_long_tables(&self->vm);
	guest_long_enter(&self->vcpu, LONG_CODE);
	self->mail->eoi = variant->x2apic ? EOI_X2APIC : EOI_XAPIC;
	emit_apic_enable(&self->code);
	emit_out(&self->code, PORT_DONE);
}

FIXTURE_TEARDOWN(apic)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

static long msi(struct vm *vm, uint32_t vector)
{
	return vm_msi(vm, 0xfee00000, vector);
}

/* After the code is written: run to where the APIC is on. */
static void begin(struct vcpu *vcpu)
{
	guest_out(vcpu, PORT_DONE);
}

/* STI, and behind it an instruction that it shields: what is pending arrives next. */
static void emit_interrupts_on(struct code *code)
{
	emit_sti(code);
	emit(code, "\x90");
}

struct watch {
	struct vcpu *vcpu;
	const volatile uint32_t *word;
	uint32_t at_least;
};

#define PATIENCE_NS	10000000000u

static void *kick_when_seen(void *context)
{
	struct watch *watch = context;
	uint64_t end = now_ns() + PATIENCE_NS;

	while (*watch->word < watch->at_least && now_ns() < end)
		sleep_us(POLL_US);
	return (void *)vcpu_kick(watch->vcpu);
}

/* Let the guest run until it has counted a word of its mail up; nothing else may end that. */
static uint32_t run_until(struct vcpu *vcpu, const volatile void *word, uint32_t at_least)
{
	struct watch watch = { .vcpu = vcpu, .word = word, .at_least = at_least };
	void *thread = thread_start(kick_when_seen, &watch);
	uint32_t reason = guest_exit(vcpu);

	thread_join(thread);
	return reason;
}

/* -------------------------------------------------------------- registers -- */

TEST_F(apic, registers)
{
	struct code *code = &self->code;
	static const struct { uint32_t offset, written, read; } rows[] = {
		{ APIC_TPR, 0x53, 0x53 },
		{ APIC_SVR, 0x1f7, 0x1f7 },
		{ APIC_LVT_TIMER, 0x10055, 0x10055 },
		{ APIC_LVT_TIMER, LVT_PERIODIC | LVT_MASKED | 0x21, LVT_PERIODIC | LVT_MASKED | 0x21 },
		{ APIC_LVT_LINT0, 0x10700, 0x10700 },
		{ APIC_LVT_ERROR, 0x100fe, 0x100fe },
		{ APIC_DIVIDE, 0xb, 0xb },
		{ APIC_DIVIDE, 0x3, 0x3 },
		{ APIC_INITIAL, 0, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		emit_apic_write(code, rows[i].offset, rows[i].written);
		emit_apic_read(code, rows[i].offset);
		emit_out(code, PORT_DONE + 1);
	}
	emit_apic_read(code, APIC_ID);
	emit_out(code, PORT_DONE + 1);
	emit_apic_read(code, APIC_VERSION);
	emit_out(code, PORT_DONE + 1);
	emit_apic_read(code, APIC_CURRENT);
	emit_out(code, PORT_DONE + 1);
	begin(&self->vcpu);
	for (size_t i = 0; i < COUNT(rows); i++) {
		EXPECT_EQ(rows[i].read, guest_out(&self->vcpu, PORT_DONE + 1))
			TH_LOG("register %#x", rows[i].offset);
	}
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE + 1));
	EXPECT_EQ(0x10, guest_out(&self->vcpu, PORT_DONE + 1) & 0xf0);
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE + 1));
}

/* CR8 and TPR are two names of one thing. */
TEST_F(apic, cr8_is_tpr)
{
	struct code *code = &self->code;

	emit_mov_eax(code, 9);
	emit(code, "\x44\x0f\x22\xc0");		/* mov %rax, %cr8 */
	emit_apic_read(code, APIC_TPR);
	emit_out(code, PORT_DONE + 1);
	emit_apic_write(code, APIC_TPR, 0x37);
	emit(code, "\x44\x0f\x20\xc0");		/* mov %cr8, %rax */
	emit_out(code, PORT_DONE + 2);
	emit_apic_read(code, APIC_PPR);
	emit_out(code, PORT_DONE + 3);
	begin(&self->vcpu);
	EXPECT_EQ(0x90, guest_out(&self->vcpu, PORT_DONE + 1));
	EXPECT_EQ(3, guest_out(&self->vcpu, PORT_DONE + 2));
	EXPECT_EQ(0x37, guest_out(&self->vcpu, PORT_DONE + 3));
}

/* x2APIC faults where xAPIC ignores (SDM vol. 3, 10.12.2). */
TEST_F(apic, x2apic_refuses)
{
	static const struct { uint32_t index; uint64_t value; } bad[] = {
		{ 0x802, 0 }, { 0x803, 0 }, { 0x80b, 1 }, { 0x80f, 1ull << 32 }, { 0x80f, 1 << 16 },
		{ 0x808, 0x100 }, { 0x810, 0 }, { 0x80e, 0 }, { 0x80d, 0 }, { 0x831, 0 },
		{ 0x83f, 0x100 }, { 0x83f, 1ull << 32 }, { 0x8ff, 0 }, { 0x828, 1 },
		{ 0x839, 0 }, { MSR_APIC_BASE, 0xfee00900 },
	};
	static const uint32_t unreadable[] = { 0x80b, 0x83f, 0x831, 0x80e, 0x800, 0x8ff };

	if (!variant->x2apic)
		return;
	for (size_t i = 0; i < COUNT(bad); i++)
		emit_wrmsr(&self->code, bad[i].index, bad[i].value);
	for (size_t i = 0; i < COUNT(unreadable); i++)
		emit_rdmsr(&self->code, unreadable[i]);
	emit_out(&self->code, PORT_DONE + 1);
	begin(&self->vcpu);
	for (size_t i = 0; i < COUNT(bad) + COUNT(unreadable); i++) {
		struct guest_frame *frame;

		ASSERT_EQ(GP, guest_event(&self->vcpu)) TH_LOG("access %zu", i);
		frame = (struct guest_frame *)(self->vm.memory + self->run->regs.rsp);
		EXPECT_EQ(i < COUNT(bad) ? bad[i].index : unreadable[i - COUNT(bad)],
			  (uint32_t)self->run->regs.rcx);
		frame->rip += 2;
	}
	guest_out(&self->vcpu, PORT_DONE + 1);
}

/* --------------------------------------------------------------- messages -- */

TEST_F(apic, message)
{
	emit_interrupts_on(&self->code);
	emit_out(&self->code, PORT_DONE + 1);
	emit_out(&self->code, PORT_DONE + 2);
	/* software-disabled: nobody takes it */
	EXPECT_EQ(0, msi(&self->vm, 0x41));
	begin(&self->vcpu);
	EXPECT_EQ(1, msi(&self->vm, 0x41));
	EXPECT_EQ(0, vm_msi(&self->vm, 0xfee05000, 0x41));	/* no such APIC */
	EXPECT_EQ(1, vm_msi(&self->vm, 0xfeeff000, 0x42));	/* all */
	/* the higher one first; both are served before the OUT completes or right after */
	EXPECT_EQ(0x42, guest_event(&self->vcpu));
	EXPECT_EQ(0x41, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
	guest_out(&self->vcpu, PORT_DONE + 2);
	EXPECT_EQ(1, self->mail->count[0x41]);
	EXPECT_EQ(1, self->mail->count[0x42]);
}

TEST_F(apic, masked_until_sti)
{
	emit_out(&self->code, PORT_DONE + 1);
	emit_interrupts_on(&self->code);
	emit_out(&self->code, PORT_DONE + 2);
	begin(&self->vcpu);
	/* the same vector twice is once; priority is the vector's order, not the time's */
	EXPECT_EQ(1, msi(&self->vm, 0x41));
	EXPECT_EQ(1, msi(&self->vm, 0x41));
	EXPECT_EQ(1, msi(&self->vm, 0x81));
	EXPECT_EQ(1, msi(&self->vm, 0x61));
	guest_out(&self->vcpu, PORT_DONE + 1);
	EXPECT_EQ(0, self->mail->count[0x41]);
	EXPECT_EQ(0x81, guest_event(&self->vcpu));
	EXPECT_EQ(0x61, guest_event(&self->vcpu));
	EXPECT_EQ(0x41, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 2);
	EXPECT_EQ(1, self->mail->count[0x41]);
}

TEST_F(apic, held_back_by_priority)
{
	struct code *code = &self->code;

	emit_apic_write(code, APIC_TPR, 0x50);
	emit_sti(code);
	emit_out(code, PORT_DONE + 1);
	emit_out(code, PORT_DONE + 2);
	emit_mov_eax(code, 3);
	emit(code, "\x44\x0f\x22\xc0");		/* mov %rax, %cr8 */
	emit(code, "\x90");
	emit_out(code, PORT_DONE + 3);
	begin(&self->vcpu);
	guest_out(&self->vcpu, PORT_DONE + 1);
	EXPECT_EQ(1, msi(&self->vm, 0x41));
	EXPECT_EQ(1, msi(&self->vm, 0x5f));
	EXPECT_EQ(1, msi(&self->vm, 0x60));
	EXPECT_EQ(0x60, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 2);
	EXPECT_EQ(0, self->mail->count[0x41]);
	EXPECT_EQ(0, self->mail->count[0x5f]);
	EXPECT_EQ(0x5f, guest_event(&self->vcpu));
	EXPECT_EQ(0x41, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 3);
}

TEST_F(apic, every_vector)
{
	uint32_t loop;

	emit_interrupts_on(&self->code);
	loop = self->code.gpa;
	emit_count(&self->code, 0);
	emit_jump(&self->code, loop);
	self->mail->silent = 1;
	begin(&self->vcpu);
	/* 16-31 are legal, but look like exceptions to the handlers */
	for (uint32_t vector = 0; vector < 16; vector++)
		EXPECT_EQ(0, msi(&self->vm, vector));
	for (uint32_t vector = 32; vector < 256; vector++)
		EXPECT_EQ(1, msi(&self->vm, vector));
	/* the lowest comes last */
	ASSERT_EQ(VHM_EXIT_KICKED, run_until(&self->vcpu, &self->mail->count[32], 1));
	for (uint32_t vector = 32; vector < 256; vector++) {
		ASSERT_EQ(1, self->mail->count[vector])
			TH_LOG("vector %#x", vector);
	}
}

static void *msi_later(void *context)
{
	sleep_us(10000);
	return (void *)msi(context, 0x45);
}

TEST_F(apic, message_ends_hlt)
{
	void *thread;

	emit_sti(&self->code);
	emit_hlt(&self->code);
	emit_out(&self->code, PORT_DONE + 1);
	begin(&self->vcpu);
	thread = thread_start(msi_later, &self->vm);
	EXPECT_EQ(0x45, guest_event(&self->vcpu));
	EXPECT_EQ(1, (long)thread_join(thread));
	guest_out(&self->vcpu, PORT_DONE + 1);
}

/* A storm into a guest that computes, halts, computes: each vector arrives, none wakes in vain. */
static void *msi_storm(void *context)
{
	struct vcpu *vcpu = context;
	const volatile uint32_t *count = guest_mail(vcpu->vm)->count;
	uint64_t end = now_ns() + PATIENCE_NS;
	long accepted = 0;

	for (uint32_t i = 0; i < 512; i++) {
		accepted += msi(vcpu->vm, 0x40 + i % 64);
		if (i % 32 == 0)
			sleep_us(POLL_US);
	}
	for (uint32_t vector = 0x40; vector < 0x80 && now_ns() < end; vector++)
		while (!count[vector] && now_ns() < end)
			sleep_us(POLL_US);
	must(vcpu_kick(vcpu));
	return (void *)accepted;
}

TEST_F(apic, storm)
{
	struct code *code = &self->code;
	uint32_t loop;
	void *thread;

	emit_sti(code);
	loop = code->gpa;
	emit_hlt(code);
	emit_count(code, 0);
	emit_jump(code, loop);
	self->mail->silent = 1;
	begin(&self->vcpu);
	thread = thread_start(msi_storm, &self->vcpu);
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	EXPECT_EQ(512, (long)thread_join(thread));
	for (uint32_t vector = 0x40; vector < 0x80; vector++) {
		ASSERT_GE(self->mail->count[vector], 1)
			TH_LOG("vector %#x", vector);
		EXPECT_LE(self->mail->count[vector], 8);
	}
}

/* ----------------------------------------------------------------- level -- */

TEST_F(apic, level_triggered)
{
	emit_interrupts_on(&self->code);
	emit_out(&self->code, PORT_DONE + 1);
	emit_out(&self->code, PORT_DONE + 2);
	begin(&self->vcpu);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(1, vm_msi(&self->vm, 0xfee00000, 0xc000 | 0x51));
		/* a level that is taken back goes nowhere */
		EXPECT_EQ(0, vm_msi(&self->vm, 0xfee00000, 0x8000 | 0x52));
		EXPECT_EQ(0x51, guest_event(&self->vcpu));
		ASSERT_EQ(VHM_EXIT_EOI, guest_exit(&self->vcpu));
		EXPECT_EQ(0x51, self->run->eoi.vector);
		EXPECT_EQ(0, self->run->eoi.reserved);
	}
	/* the same vector by edge: no exit */
	EXPECT_EQ(1, msi(&self->vm, 0x51));
	EXPECT_EQ(0x51, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
	guest_out(&self->vcpu, PORT_DONE + 2);
	EXPECT_EQ(4, self->mail->count[0x51]);
	EXPECT_EQ(0, self->mail->count[0x52]);
}

/* ------------------------------------------------------------------- IPIs -- */

TEST_F(apic, ipi_to_self)
{
	struct code *code = &self->code;

	emit_sti(code);
	emit_icr(code, 0, ICR_SELF | ICR_ASSERT | 0x91);
	emit_out(code, PORT_DONE + 1);
	emit_icr(code, 0, ICR_ASSERT | 0x92);
	emit_out(code, PORT_DONE + 2);
	emit_icr(code, 0, ICR_ALL | ICR_ASSERT | 0x93);
	emit_out(code, PORT_DONE + 3);
	emit_icr(code, 0, ICR_OTHERS | ICR_ASSERT | 0x94);
	emit_icr(code, 0, ICR_NMI | ICR_ASSERT);
	emit_out(code, PORT_DONE + 4);
	begin(&self->vcpu);
	EXPECT_EQ(0x91, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
	EXPECT_EQ(0x92, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 2);
	EXPECT_EQ(0x93, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 3);
	EXPECT_EQ(2, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 4);
	EXPECT_EQ(0, self->mail->count[0x94]);
}

TEST_F(apic, self_ipi_register)
{
	if (!variant->x2apic)
		return;
	emit_sti(&self->code);
	emit_apic_write(&self->code, APIC_SELF_IPI, 0xa1);
	emit_out(&self->code, PORT_DONE + 1);
	begin(&self->vcpu);
	EXPECT_EQ(0xa1, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
}

TEST_F(apic, errors)
{
	struct code *code = &self->code;

	emit_icr(code, 0, ICR_SELF | ICR_ASSERT | 5);	/* an illegal vector */
	emit_apic_write(code, APIC_ESR, 0);
	emit_apic_read(code, APIC_ESR);
	emit_out(code, PORT_DONE + 1);
	emit_apic_write(code, APIC_ESR, 0);
	emit_apic_read(code, APIC_ESR);
	emit_out(code, PORT_DONE + 2);
	begin(&self->vcpu);
	EXPECT_EQ(0x20, guest_out(&self->vcpu, PORT_DONE + 1));
	EXPECT_EQ(0, msi(&self->vm, 7));
	EXPECT_EQ(0x40, guest_out(&self->vcpu, PORT_DONE + 2));
}

/* ------------------------------------------------------------------ timer -- */

/* The count that takes this long */
static uint32_t timer_count(const struct vhm_info *info, uint64_t ns)
{
	return (uint32_t)(ns * info->apic_timer_hz / 1000000000u);
}

static void emit_timer(struct code *code, uint32_t lvt, uint32_t count)
{
	emit_apic_write(code, APIC_DIVIDE, DIVIDE_BY_1);
	emit_apic_write(code, APIC_LVT_TIMER, lvt);
	emit_apic_write(code, APIC_INITIAL, count);
}

TEST_F(apic, timer_one_shot)
{
	const uint64_t delay_ns = 5000000;
	struct code *code = &self->code;
	uint64_t start;

	emit_timer(code, 0xd1, timer_count(&self->info, delay_ns));
	emit_sti(code);
	emit_hlt(code);
	emit_apic_read(code, APIC_CURRENT);
	emit_out(code, PORT_DONE + 1);
	emit_hlt(code);
	begin(&self->vcpu);
	start = now_ns();
	EXPECT_EQ(0xd1, guest_event(&self->vcpu));
	EXPECT_GE(now_ns() - start, delay_ns - delay_ns / 100);
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE + 1));
	EXPECT_EQ(1, self->mail->count[0xd1]);
}

TEST_F(apic, timer_periodic)
{
	const uint64_t period_ns = 2000000;
	struct code *code = &self->code;
	uint64_t start;
	uint32_t loop;

	emit_timer(code, LVT_PERIODIC | 0xd2, timer_count(&self->info, period_ns));
	emit_sti(code);
	loop = code->gpa;
	emit_hlt(code);
	emit_jump(code, loop);
	begin(&self->vcpu);
	start = now_ns();
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(0xd2, guest_event(&self->vcpu));
	EXPECT_GE(now_ns() - start, 4 * period_ns);
}

TEST_F(apic, timer_deadline)
{
	struct code *code = &self->code;

	emit_apic_write(code, APIC_LVT_TIMER, LVT_DEADLINE | 0xd3);
	emit(code, "\x0f\x31");					/* rdtsc */
	emit(code, "\x05");					/* add eax, 5 ms */
	emit_bytes(code, &(uint32_t) { self->info.tsc_khz * 5 }, 4);
	emit(code, "\x83\xd2\x00");				/* adc edx, 0 */
	emit(code, "\x89\xc6\x89\xd7");				/* mov esi, eax; mov edi, edx */
	emit(code, "\xb9\xe0\x06\x00\x00\x0f\x30");		/* wrmsr 6e0h */
	emit_sti(code);
	emit_hlt(code);
	emit(code, "\x0f\x31");
	emit(code, "\x29\xf0\x19\xfa");				/* sub eax, esi; sbb edx, edi */
	emit(code, "\x89\xd0");					/* mov eax, edx */
	emit_out(code, PORT_DONE + 1);
	emit_rdmsr(code, MSR_DEADLINE);
	emit_out(code, PORT_DONE + 2);
	/* one that has passed already: at once */
	emit_wrmsr(code, MSR_DEADLINE, 1);
	emit_out(code, PORT_DONE + 3);
	begin(&self->vcpu);
	EXPECT_EQ(0xd3, guest_event(&self->vcpu));
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE + 1));	/* not before its time */
	EXPECT_EQ(0, guest_out(&self->vcpu, PORT_DONE + 2));
	EXPECT_EQ(0xd3, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 3);
	EXPECT_EQ(2, self->mail->count[0xd3]);
}

TEST_F(apic, timer_while_computing)
{
	struct code *code = &self->code;
	uint32_t loop;

	emit_timer(code, 0xd4, timer_count(&self->info, 3000000));
	emit_sti(code);
	loop = code->gpa;
	emit_count(code, 0);
	emit_jump(code, loop);
	begin(&self->vcpu);
	EXPECT_EQ(0xd4, guest_event(&self->vcpu));
	EXPECT_GT(self->mail->flag[0], 0);
}

TEST_F(apic, timer_masked)
{
	struct code *code = &self->code;
	uint32_t loop;

	emit_timer(code, LVT_MASKED | LVT_PERIODIC | 0xd5, timer_count(&self->info, 10000000));
	emit_sti(code);
	emit_out(code, PORT_DONE + 1);
	loop = code->gpa;
	emit_count(code, 0);
	emit_jump(code, loop);
	begin(&self->vcpu);
	guest_out(&self->vcpu, PORT_DONE + 1);
	ASSERT_EQ(VHM_EXIT_KICKED, run_until(&self->vcpu, &self->mail->flag[0], 50000));
	EXPECT_EQ(0, self->mail->count[0xd5]);
	EXPECT_GE(self->mail->flag[0], 50000);
}

/* It goes on while the vCPU is in user space, and is stopped by an initial count of 0. */
TEST_F(apic, timer_while_in_user_space)
{
	struct code *code = &self->code;

	emit_timer(code, 0xd6, timer_count(&self->info, 1000000));
	emit_out(code, PORT_DONE + 1);
	emit_interrupts_on(code);
	emit_out(code, PORT_DONE + 2);
	emit_cli(code);
	/* long enough not to expire between the two writes */
	emit_apic_write(code, APIC_INITIAL, timer_count(&self->info, 100000000));
	emit_apic_write(code, APIC_INITIAL, 0);
	emit_out(code, PORT_DONE + 3);
	emit_interrupts_on(code);
	emit_out(code, PORT_DONE + 4);
	begin(&self->vcpu);
	guest_out(&self->vcpu, PORT_DONE + 1);
	sleep_us(5000);
	EXPECT_EQ(0xd6, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 2);
	guest_out(&self->vcpu, PORT_DONE + 3);
	sleep_us(150000);
	guest_out(&self->vcpu, PORT_DONE + 4);
	EXPECT_EQ(1, self->mail->count[0xd6]);
}

static void *kick_later(void *context)
{
	sleep_us(50000);
	return (void *)vcpu_kick(context);
}

/* A period no host can serve takes the guest's time, not the VMM's: kicks and state still work. */
TEST_F(apic, timer_too_fast)
{
	struct code *code = &self->code;
	struct vhm_apic_state state;
	uint32_t loop;
	void *thread;

	self->mail->silent = 1;
	emit_timer(code, LVT_PERIODIC | 0xd7, 1);
	emit_sti(code);
	loop = code->gpa;
	emit_count(code, 0);
	emit_jump(code, loop);
	begin(&self->vcpu);
	for (int i = 0; i < 3; i++) {
		thread = thread_start(kick_later, &self->vcpu);
		ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
		thread_join(thread);
	}
	/* the VMM takes the timer away: the guest computes */
	vcpu_get(&self->vcpu, VHM_SECTION_APIC, &state);
	*(uint32_t *)(state.registers + APIC_INITIAL) = 0;
	*(uint32_t *)(state.registers + APIC_CURRENT) = 0;
	state.timer_remaining_ns = 0;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_APIC, &state));
	self->mail->flag[0] = 0;
	ASSERT_EQ(VHM_EXIT_KICKED, run_until(&self->vcpu, &self->mail->flag[0], 1000));
	EXPECT_GE(self->mail->flag[0], 1000);
}

TEST_HARNESS_MAIN
