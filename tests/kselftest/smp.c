// SPDX-License-Identifier: GPL-2.0-only
/* Several vCPUs of one VM, a thread each: INIT and SIPI, IPIs both ways, memory they share. */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "emit.h"

#define SIPI_VECTOR	0x20u		/* real-mode code at 20000H */
#define SECOND_CODE	0x18000u	/* 64-bit code of the second vCPU */
#define PATIENCE_NS	10000000000u

FIXTURE(smp) {
	struct vm vm;
	struct vcpu vcpu[2];
	struct code code[2];
	struct guest_mail *mail;
};

FIXTURE_VARIANT(smp) {
	bool x2apic;
};

FIXTURE_VARIANT_ADD(smp, xapic) { .x2apic = false };
FIXTURE_VARIANT_ADD(smp, x2apic) { .x2apic = true };

FIXTURE_SETUP(smp)
{
	vm_create(&self->vm, 0);
	guest_long_tables(&self->vm);
	self->mail = guest_mail(&self->vm);
	self->mail->eoi = variant->x2apic ? EOI_X2APIC : EOI_XAPIC;
	self->mail->silent = 1;
	for (uint32_t id = 0; id < 2; id++) {
		vcpu_create(&self->vcpu[id], &self->vm, id);
		vcpu_set_cpuid(&self->vcpu[id]);
		self->code[id] = (struct code) {
			.vm = &self->vm, .gpa = id ? SECOND_CODE : LONG_CODE,
			.x2apic = variant->x2apic,
		};
	}
	guest_long_enter(&self->vcpu[0], LONG_CODE);
}

FIXTURE_TEARDOWN(smp)
{
	vcpu_destroy(&self->vcpu[1]);
	vcpu_destroy(&self->vcpu[0]);
	vm_destroy(&self->vm);
}

/* The second vCPU without the architecture's start-up: straight to its 64-bit code. */
static void enter_second(struct vcpu *vcpu)
{
	guest_long_enter(vcpu, SECOND_CODE);
	must(vcpu_set(vcpu, VHM_SECTION_EVENTS, &(struct vhm_events) {
		.run_state = VHM_RUN_STATE_RUNNABLE }));
}

static void *run_to_exit(void *context)
{
	return (void *)(long)guest_exit(context);
}

static bool wait_for(const volatile uint64_t *word, uint64_t value)
{
	uint64_t end = now_ns() + PATIENCE_NS;

	while (*word < value && now_ns() < end)
		sleep_us(POLL_US);
	return *word >= value;
}

/* What a start-up IPI starts, in real mode. DS is 0; it says who it is and where it runs. */
GUEST_CODE(started, 16,
	"xor	%eax, %eax\n"
	"mov	%ax, %ds\n"
	"mov	%cs, %ax\n"
	"mov	%ax, 0x2410\n"			/* flag[1] */
	"lock incw 0x2408\n"			/* flag[0] */
	"out	%ax, $0x11\n"
	"hlt\n");

TEST_F(smp, init_and_sipi)
{
	struct code *code = &self->code[0];
	struct vhm_events events;
	struct vhm_registers regs;
	void *thread;

	memcpy(self->vm.memory + SIPI_VECTOR * PAGE_BYTES, started, CODE_BYTES(started));
	emit_apic_enable(code);
	emit_icr(code, 1, ICR_STARTUP | ICR_ASSERT | SIPI_VECTOR);	/* ignored: no INIT yet */
	emit_icr(code, 1, ICR_INIT | ICR_ASSERT);
	emit_out(code, PORT_DONE);
	emit_icr(code, 1, ICR_STARTUP | ICR_ASSERT | SIPI_VECTOR);
	emit_icr(code, 1, ICR_STARTUP | ICR_ASSERT | SIPI_VECTOR);	/* the second is for old CPUs */
	emit_out(code, PORT_DONE + 1);

	vcpu_get(&self->vcpu[1], VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_RUN_STATE_WAIT_INIT, events.run_state);
	thread = thread_start(run_to_exit, &self->vcpu[1]);
	guest_out(&self->vcpu[0], PORT_DONE);
	sleep_us(5000);
	EXPECT_EQ(0, self->mail->flag[0]);
	guest_out(&self->vcpu[0], PORT_DONE + 1);
	ASSERT_TRUE(wait_for(&self->mail->flag[0], 1));
	EXPECT_EQ(VHM_EXIT_IO, (long)thread_join(thread));
	EXPECT_EQ(PORT_DONE + 1, self->vcpu[1].run->io.port);
	EXPECT_EQ(SIPI_VECTOR << 8, self->mail->flag[1]);
	regs = self->vcpu[1].run->regs;
	EXPECT_LT(regs.rip, 0x40);
	EXPECT_EQ(1, self->mail->flag[0]);
	vcpu_get(&self->vcpu[1], VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_RUN_STATE_RUNNABLE, events.run_state);
}

/* INIT stops a vCPU that runs; it can be started again. */
TEST_F(smp, init_while_running)
{
	struct code *code = &self->code[0];
	struct vhm_events events;
	uint32_t loop;
	uint64_t stopped;
	void *thread;

	memcpy(self->vm.memory + SIPI_VECTOR * PAGE_BYTES, started, CODE_BYTES(started));
	loop = self->code[1].gpa;
	emit_count(&self->code[1], 3);
	emit_jump(&self->code[1], loop);
	enter_second(&self->vcpu[1]);
	emit_apic_enable(code);
	emit_icr(code, 1, ICR_INIT | ICR_ASSERT);
	emit_out(code, PORT_DONE);
	emit_icr(code, 1, ICR_STARTUP | ICR_ASSERT | SIPI_VECTOR);
	emit_out(code, PORT_DONE + 1);

	thread = thread_start(run_to_exit, &self->vcpu[1]);
	ASSERT_TRUE(wait_for(&self->mail->flag[3], 1));
	guest_out(&self->vcpu[0], PORT_DONE);
	sleep_us(10000);
	stopped = self->mail->flag[3];
	sleep_us(10000);
	EXPECT_EQ(stopped, self->mail->flag[3]);
	guest_out(&self->vcpu[0], PORT_DONE + 1);
	EXPECT_EQ(VHM_EXIT_IO, (long)thread_join(thread));
	vcpu_get(&self->vcpu[1], VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_RUN_STATE_RUNNABLE, events.run_state);
}

/* Thread of a vCPU whose guest never exits for long: until a kick. */
static void *run_until_kicked(void *context)
{
	uint32_t reason;

	do {
		reason = guest_exit(context);
	} while (reason == VHM_EXIT_IO);
	return (void *)(long)reason;
}

/*
 * Ping-pong: each vCPU counts its turns, sends the other its vector and halts. An IPI that is lost
 * stops both for ever.
 */
static void emit_player(struct code *code, uint32_t other, uint32_t vector, unsigned int turns)
{
	uint32_t loop;

	emit_apic_enable(code);
	emit_count(code, 8);		/* ready */
	loop = code->gpa;
	emit_sti(code);
	emit_hlt(code);
	emit_cli(code);
	emit_count(code, turns);
	emit_icr(code, other, ICR_ASSERT | vector);
	emit_jump(code, loop);
}

TEST_F(smp, ipis_both_ways)
{
	void *threads[2];

	emit_player(&self->code[0], 1, 0x91, 0);
	emit_player(&self->code[1], 0, 0x90, 1);
	enter_second(&self->vcpu[1]);
	for (int id = 0; id < 2; id++)
		threads[id] = thread_start(run_until_kicked, &self->vcpu[id]);
	ASSERT_TRUE(wait_for(&self->mail->flag[8], 2));
	EXPECT_EQ(1, vm_msi(&self->vm, 0xfee00000, 0x90));	/* the first ball */
	EXPECT_TRUE(wait_for(&self->mail->flag[0], 200));
	EXPECT_TRUE(wait_for(&self->mail->flag[1], 200));
	for (int id = 0; id < 2; id++) {
		must(vcpu_kick(&self->vcpu[id]));
		EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(threads[id]));
	}
	EXPECT_LE(self->mail->count[0x90] - self->mail->count[0x91] + 1, 2);
}

/* Broadcasts, logical destinations and messages for either. */
TEST_F(smp, destinations)
{
	uint32_t loop;
	void *thread;

	for (int id = 0; id < 2; id++) {
		struct code *code = &self->code[id];

		emit_apic_enable(code);
		if (!variant->x2apic)
			emit_apic_write(code, APIC_LDR, 1u << (24 + id));
		emit_count(code, 8);
		emit_sti(code);
	}
	loop = self->code[1].gpa;
	emit_hlt(&self->code[1]);
	emit_count(&self->code[1], 2);
	emit_jump(&self->code[1], loop);
	emit_icr(&self->code[0], 0, ICR_OTHERS | ICR_ASSERT | 0x71);
	emit_icr(&self->code[0], 0, ICR_ALL | ICR_ASSERT | 0x72);
	emit_icr(&self->code[0], 2, 1u << 11 | ICR_ASSERT | 0x73);	/* logical: the second */
	emit_out(&self->code[0], PORT_DONE);
	enter_second(&self->vcpu[1]);
	thread = thread_start(run_until_kicked, &self->vcpu[1]);
	ASSERT_TRUE(wait_for(&self->mail->flag[8], 1));
	guest_out(&self->vcpu[0], PORT_DONE);
	EXPECT_EQ(1, vm_msi(&self->vm, 0xfee01000, 0x74));
	EXPECT_EQ(2, vm_msi(&self->vm, 0xfeeff000, 0x75));
	EXPECT_EQ(1, vm_msi(&self->vm, 0xfee03000 | 1 << 3 | 1 << 2, 0x176));	/* lowest priority */
	for (uint64_t end = now_ns() + PATIENCE_NS;
	     (!self->mail->count[0x75] || !self->mail->count[0x74] || !self->mail->count[0x73] ||
	      !self->mail->count[0x71]) && now_ns() < end;)
		sleep_us(POLL_US);
	must(vcpu_kick(&self->vcpu[1]));
	EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
	EXPECT_EQ(1, self->mail->count[0x71]);
	EXPECT_EQ(2, self->mail->count[0x72]);
	EXPECT_EQ(1, self->mail->count[0x73]);
	EXPECT_EQ(1, self->mail->count[0x74]);
}

/* Both count the same word with LOCK: nothing is lost, whatever page the host puts there. */
TEST_F(smp, shared_memory)
{
	void *threads[2];

	for (int id = 0; id < 2; id++) {
		struct code *code = &self->code[id];
		uint32_t loop;

		emit(code, "\xb9\x50\xc3\x00\x00");	/* mov ecx, 50000 */
		loop = code->gpa;
		emit_count(code, 0);
		emit(code, "\xff\xc9\x74\x05");		/* dec ecx; jz over the jump */
		emit_jump(code, loop);
		emit_out(code, PORT_DONE);
	}
	enter_second(&self->vcpu[1]);
	for (int id = 0; id < 2; id++)
		threads[id] = thread_start(run_to_exit, &self->vcpu[id]);
	for (int id = 0; id < 2; id++)
		EXPECT_EQ(VHM_EXIT_IO, (long)thread_join(threads[id]));
	EXPECT_EQ(100000, self->mail->flag[0]);
}

/* One thread after another runs the same vCPU, and one thread several vCPUs. */
TEST_F(smp, threads_take_turns)
{
	struct code *code = &self->code[0];
	uint32_t loop = code->gpa;

	emit_count(code, 0);
	emit_out(code, PORT_DONE);
	emit_jump(code, loop);
	for (int i = 0; i < 20; i++) {
		void *thread = thread_start(run_to_exit, &self->vcpu[0]);

		EXPECT_EQ(VHM_EXIT_IO, (long)thread_join(thread));
		vcpu_retire(&self->vcpu[0]);
		guest_out(&self->vcpu[0], PORT_DONE);
	}
	EXPECT_EQ(40, self->mail->flag[0]);
}

#define SENDERS_MAX	8u

struct target {
	struct vcpu *vcpu;
	uint32_t exit_reason;
	long made_way;		/* times that the thread left its CPU while it could have gone on */
};

static void *run_on_last_cpu(void *context)
{
	struct target *target = context;
	struct rusage before, after;

	pin(0, cpus_online() - 1);
	getrusage(RUSAGE_THREAD, &before);
	target->exit_reason = guest_exit(target->vcpu);
	getrusage(RUSAGE_THREAD, &after);
	target->made_way = after.ru_nivcsw - before.ru_nivcsw;
	return NULL;
}

/* The thread of a vCPU that is sent one INIT after another leaves its CPU to others all the same. */
TEST_F(smp, init_without_end)
{
	const unsigned int others = cpus_online() - 1;
	const unsigned int senders = !others ? 1 : others < SENDERS_MAX ? others : SENDERS_MAX;
	struct vcpu sender[SENDERS_MAX];
	struct target target = { .vcpu = &self->vcpu[1] };
	struct code *code = &self->code[0];
	void *threads[SENDERS_MAX], *thread;
	uint32_t loop;

	emit_apic_enable(code);
	loop = code->gpa;
	emit_count(code, 0);
	emit_icr(code, 1, ICR_INIT | ICR_ASSERT);
	emit_jump(code, loop);
	for (uint32_t i = 0; i < senders; i++) {
		vcpu_create(&sender[i], &self->vm, 2 + i);
		vcpu_set_cpuid(&sender[i]);
		guest_long_enter(&sender[i], LONG_CODE);
		must(vcpu_set(&sender[i], VHM_SECTION_EVENTS, &(struct vhm_events) {
			.run_state = VHM_RUN_STATE_RUNNABLE }));
		threads[i] = thread_start(run_to_exit, &sender[i]);
	}
	EXPECT_TRUE(wait_for(&self->mail->flag[0], 1));
	pin(0, cpus_online() - 1);
	/* a sender that is slow, or shares the CPU, leaves pauses to sleep in */
	for (int try = 0; try < 10 && !target.made_way; try++) {
		thread = thread_start(run_on_last_cpu, &target);
		for (int i = 0; i < 50; i++)
			sleep_us(POLL_US);
		must(vcpu_kick(&self->vcpu[1]));
		thread_join(thread);
		EXPECT_EQ(VHM_EXIT_KICKED, target.exit_reason);
	}
	if (others && variant->x2apic)
		EXPECT_GT(target.made_way, 0);
	for (uint32_t i = 0; i < senders; i++) {
		must(vcpu_kick(&sender[i]));
		EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(threads[i]));
		vcpu_destroy(&sender[i]);
	}
}

TEST_HARNESS_MAIN
