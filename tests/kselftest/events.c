// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events a VMM gives to its guest: exceptions with error codes and payloads, external interrupts
 * and their window, NMIs; delivery that an exit interrupts; single steps over what the VMM completes.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

#define DB	1
#define BP	3
#define OF	4
#define DF	8
#define GP	13
#define PF	14

#define RFLAGS_TF	0x100u
#define RFLAGS_IF	0x200u
#define RFLAGS_RF	0x10000u

#define HAS_ERROR_CODE	((1u << 8) | (1u << 10) | (1u << 11) | (1u << 12) | (1u << 13) | \
			 (1u << 14) | (1u << 17))

FIXTURE(events) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_SETUP(events)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(events)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

GUEST_CODE(two_outs, 64, "out %al, $0x10\n out %al, $0x11\n out %al, $0x12\n");

static void inject(struct vhm_run *run, uint32_t vector, uint32_t error, uint32_t more_flags,
		   uint64_t payload)
{
	run->inject = (struct vhm_event) {
		.flags = VHM_EVENT_VALID | more_flags |
			 (vector < 32 && HAS_ERROR_CODE & 1u << vector ? VHM_EVENT_HAS_ERROR_CODE : 0),
		.vector = vector,
		.error_code = error,
		.payload = payload,
	};
}

/* ------------------------------------------------------------- exceptions -- */

/* These are behind an instruction: INT3, INTO, and INT1, which is a #DB without payload. */
static bool is_trap(uint32_t vector)
{
	return vector == BP || vector == OF || vector == DB;
}

TEST_F(events, every_exception)
{
	for (uint32_t vector = 0; vector < 32; vector++) {
		uint32_t error = HAS_ERROR_CODE & 1u << vector ? 0x1230 : 0;

		/* NMI has a command of its own; no guest has CET, so none can take #CP */
		if (vector == 2 || vector == 21)
			continue;
		guest_run_long(&self->vcpu, two_outs);
		inject(self->run, vector, error, 0, 0);
		ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu))
			TH_LOG("vector %u: exit '%s'", vector, exit_name(self->run->exit_reason));
		EXPECT_EQ(PORT_EVENT, self->run->io.port);
		EXPECT_EQ(vector, self->run->io.data);
		vcpu_retire(&self->vcpu);
		EXPECT_EQ(error, guest_frame(&self->vcpu)->error);
		EXPECT_EQ(SELECTOR_CODE, guest_frame(&self->vcpu)->cs);
		if (!is_trap(vector))
			EXPECT_EQ(LONG_CODE, guest_frame(&self->vcpu)->rip);
		EXPECT_EQ(1, guest_mail(&self->vm)->count[vector]);
		/* delivered once */
		EXPECT_EQ(0, self->run->inject.flags);
		if (!is_trap(vector))
			guest_out(&self->vcpu, PORT_DONE);
	}
}

TEST_F(events, resume_flag_of_faults)
{
	guest_run_long(&self->vcpu, two_outs);
	inject(self->run, GP, 0, 0, 0);
	EXPECT_EQ(GP, guest_event(&self->vcpu));
	EXPECT_TRUE(guest_frame(&self->vcpu)->rflags & RFLAGS_RF);
}

TEST_F(events, page_fault_address)
{
	struct vhm_sregisters sregs;

	guest_run_long(&self->vcpu, two_outs);
	inject(self->run, PF, 0x7, VHM_EVENT_HAS_PAYLOAD, 0xdeadbeef1234);
	EXPECT_EQ(PF, guest_event(&self->vcpu));
	EXPECT_EQ(7, guest_frame(&self->vcpu)->error);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	EXPECT_EQ(0xdeadbeef1234, sregs.cr2);
	guest_out(&self->vcpu, PORT_DONE);
}

TEST_F(events, debug_payload)
{
	struct vhm_debug_registers debug;

	guest_run_long(&self->vcpu, two_outs);
	inject(self->run, DB, 0, VHM_EVENT_HAS_PAYLOAD, 0x4002);
	EXPECT_EQ(DB, guest_event(&self->vcpu));
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(0xffff4ff2, debug.dr6);
	guest_out(&self->vcpu, PORT_DONE);
}

TEST_F(events, refused)
{
	const struct vhm_event bad[] = {
		{ .flags = VHM_EVENT_VALID, .vector = 2 },
		{ .flags = VHM_EVENT_VALID, .vector = 32 },
		{ .flags = VHM_EVENT_VALID, .vector = 255 },
		{ .flags = VHM_EVENT_VALID, .vector = ~0u },
		{ .flags = VHM_EVENT_VALID, .vector = GP },		/* it has an error code */
		{ .flags = VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE, .vector = 6 },
		{ .flags = VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE, .vector = GP,
		  .error_code = 0x10000 },
		{ .flags = VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE | VHM_EVENT_HAS_PAYLOAD,
		  .vector = GP },
		{ .flags = VHM_EVENT_VALID | 1 << 3, .vector = 6 },
		{ .flags = VHM_EVENT_VALID | 1u << 31, .vector = 6 },
		{ .flags = VHM_EVENT_VALID, .vector = 6, .reserved = 1 },
		{ .flags = VHM_EVENT_HAS_ERROR_CODE, .vector = GP },	/* not valid, yet not 0 */
	};

	guest_run_long(&self->vcpu, two_outs);
	for (size_t i = 0; i < COUNT(bad); i++) {
		self->run->inject = bad[i];
		EXPECT_EQ(-EINVAL, vcpu_run(&self->vcpu)) TH_LOG("row %zu", i);
	}
	/* none of them left anything */
	guest_out(&self->vcpu, PORT_DONE);
	for (uint32_t vector = 0; vector < 32; vector++)
		EXPECT_EQ(0, guest_mail(&self->vm)->count[vector]);
}

/* Real mode pushes no error code: three words, and the handler sees them. */
GUEST_CODE(real_handler, 16,
	"mov	%sp, %bp\n"
	"mov	(%bp), %ax\n"
	"out	%ax, $0x10\n"
	"iret\n");
GUEST_CODE(real_out, 16, "out %al, $0x11\n");

TEST_F(events, real_mode)
{
	uint16_t *ivt = (uint16_t *)self->vm.memory;

	guest_run_real(&self->vcpu, real_out);
	memcpy(self->vm.memory + 0x600, real_handler, CODE_BYTES(real_handler));
	ivt[2 * GP] = 0x600;
	ivt[2 * GP + 1] = 0;
	inject(self->run, GP, 0x55, 0, 0);
	EXPECT_EQ(REAL_CODE, guest_out(&self->vcpu, PORT_DONE));
	EXPECT_EQ(REAL_STACK - 6, self->run->regs.rsp);
	guest_out(&self->vcpu, PORT_DONE + 1);
	EXPECT_EQ(REAL_STACK, self->run->regs.rsp);
}

/* An exception that cannot be delivered becomes #DF, and that one a shutdown. */
TEST_F(events, double_fault)
{
	guest_run_long(&self->vcpu, two_outs);
	memset(self->vm.memory + LONG_IDT + GP * 16, 0, 16);
	inject(self->run, GP, 0, 0, 0);
	EXPECT_EQ(DF, guest_event(&self->vcpu));
	EXPECT_EQ(0, guest_frame(&self->vcpu)->error);
	guest_run_long(&self->vcpu, two_outs);
	memset(self->vm.memory + LONG_IDT + GP * 16, 0, 16);
	memset(self->vm.memory + LONG_IDT + DF * 16, 0, 16);
	inject(self->run, GP, 0, 0, 0);
	EXPECT_EQ(VHM_EXIT_SHUTDOWN, guest_exit(&self->vcpu));
}

/*
 * Delivery touches a stack whose page the host has taken away: the exit interrupts it, and it
 * happens once the page is there.
 */
static uint8_t *stack_elsewhere(struct vm *vm, struct vcpu *vcpu)
{
	uint8_t *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(vm_add_slot(vm, 1, 0, 0x40000000, PAGE_BYTES, page));
	guest_run_long(vcpu, two_outs);
	guest_registers(vcpu)->rip = LONG_CODE;
	vcpu->run->regs.rsp = 0x40000000 + PAGE_BYTES;
	vcpu->run->regs.rflags = RFLAGS_IF | 2;
	return page;
}

TEST_F(events, delivery_into_fresh_memory)
{
	stack_elsewhere(&self->vm, &self->vcpu);
	inject(self->run, GP, 0x18, 0, 0);
	ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(PORT_EVENT, self->run->io.port);
	EXPECT_EQ(GP, self->run->io.data);
	EXPECT_EQ(1, guest_mail(&self->vm)->count[GP]);
}

TEST_F(events, delivery_interrupted_by_memory_fault)
{
	uint8_t *page = stack_elsewhere(&self->vm, &self->vcpu);
	struct vhm_events events;

	ASSERT_EQ(0, mprotect(page, PAGE_BYTES, PROT_NONE));
	inject(self->run, GP, 0x18, 0, 0);
	ASSERT_EQ(VHM_EXIT_MEMORY_FAULT, guest_exit(&self->vcpu));
	EXPECT_EQ(VHM_MMIO_WRITE, self->run->memory_fault.flags & VHM_MMIO_WRITE);
	EXPECT_EQ(0, guest_mail(&self->vm)->count[GP]);
	EXPECT_EQ(LONG_CODE, self->run->regs.rip);
	/* it is part of the state meanwhile */
	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE, events.exception.flags);
	EXPECT_EQ(GP, events.exception.vector);
	EXPECT_EQ(0x18, events.exception.error_code);
	ASSERT_EQ(0, mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE));
	ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(GP, self->run->io.data);
	EXPECT_EQ(1, guest_mail(&self->vm)->count[GP]);
}

TEST_F(events, interrupt_interrupted_by_memory_fault)
{
	uint8_t *page = stack_elsewhere(&self->vm, &self->vcpu);
	struct vhm_events events;

	ASSERT_EQ(0, mprotect(page, PAGE_BYTES, PROT_NONE));
	self->run->request |= VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	self->run->request = VHM_RUN_INTERRUPT;
	self->run->interrupt_vector = 0x77;
	ASSERT_EQ(VHM_EXIT_MEMORY_FAULT, guest_exit(&self->vcpu));
	EXPECT_EQ(0, guest_mail(&self->vm)->count[0x77]);
	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(1, events.interrupt_pending);
	EXPECT_EQ(0x77, events.interrupt_vector);
	ASSERT_EQ(0, mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE));
	ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(0x77, self->run->io.data);
	EXPECT_EQ(1, guest_mail(&self->vm)->count[0x77]);
}

/* ------------------------------------------------------ external interrupts -- */

GUEST_CODE(sti_later, 64,
	"cli\n"
	"out	%al, $0x10\n"
	"mov	$1000, %ecx\n"
	"1: loop 1b\n"
	"incq	" MAIL_FLAG "\n"
	"sti\n"
	"incq	" MAIL_FLAG "\n"
	"nop\n"
	"nop\n"
	"out	%al, $0x11\n");

TEST_F(events, interrupt_window)
{
	guest_run_long(&self->vcpu, sti_later);
	guest_out(&self->vcpu, PORT_DONE);
	EXPECT_EQ(0, self->run->irq_window);
	self->run->request = VHM_RUN_IRQ_WINDOW;
	ASSERT_EQ(VHM_EXIT_IRQ_WINDOW, guest_exit(&self->vcpu));
	EXPECT_EQ(1, self->run->irq_window);
	/* behind the instruction that STI shields, not later */
	EXPECT_EQ(2, guest_mail(&self->vm)->flag[0]);
	self->run->request = VHM_RUN_INTERRUPT;
	self->run->interrupt_vector = 0x30;
	EXPECT_EQ(0x30, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
	EXPECT_EQ(1, guest_mail(&self->vm)->count[0x30]);
	EXPECT_EQ(1, self->run->irq_window);
	/* open already: at once */
	self->run->request = VHM_RUN_IRQ_WINDOW;
	self->run->retire_bytes = 0;
	ASSERT_EQ(VHM_EXIT_IRQ_WINDOW, guest_exit(&self->vcpu));
}

#define UD		6
#define QUIET_HANDLER	2	/* where it is in the code below */

GUEST_CODE(quiet_fault, 64,
	"jmp	1f\n"
	"iretq\n"
	"1: sti\n"
	"nop\n"
	"out	%al, $0x10\n"
	"nop\n"
	"nop\n"
	"out	%al, $0x11\n");

/* An exception goes first; the interrupt comes as soon as its handler allows, without another exit. */
TEST_F(events, interrupt_overtaken_by_exception)
{
	uint16_t *gate = (uint16_t *)(self->vm.memory + LONG_IDT + UD * 16);
	const struct vhm_events events = {
		.run_state = VHM_RUN_STATE_RUNNABLE,
		.exception = { .flags = VHM_EVENT_VALID, .vector = UD },
		.interrupt_pending = 1,
		.interrupt_vector = 0x77,
	};

	guest_run_long(&self->vcpu, quiet_fault);
	guest_out(&self->vcpu, PORT_DONE);
	self->run->request |= VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	gate[0] = (uint16_t)LONG_CODE + QUIET_HANDLER;
	gate[3] = LONG_CODE >> 16;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_EVENTS, &events));
	self->run->request = 0;
	EXPECT_EQ(0x77, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
}

GUEST_CODE(sti_out, 64, "sti\n out %al, $0x10\n out %al, $0x11\n");

/* What the VMM completes ends the shadow of STI as if the processor had executed it. */
TEST_F(events, shadow_of_sti)
{
	guest_run_long(&self->vcpu, sti_out);
	ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(0, self->run->irq_window);
	self->run->request = VHM_RUN_INTERRUPT;
	self->run->interrupt_vector = 0x30;
	EXPECT_EQ(-EBUSY, vcpu_run(&self->vcpu));
	vcpu_retire(&self->vcpu);
	self->run->request = VHM_RUN_INTERRUPT;
	EXPECT_EQ(0x30, guest_event(&self->vcpu));
	EXPECT_EQ(LONG_CODE + 3, guest_frame(&self->vcpu)->rip);
}

GUEST_CODE(halt_with_interrupts, 64, "sti\n out %al, $0x10\n hlt\n out %al, $0x11\n");

TEST_F(events, interrupt_ends_hlt)
{
	guest_run_long(&self->vcpu, halt_with_interrupts);
	guest_out(&self->vcpu, PORT_DONE);
	/* asleep now: come back only to give it the interrupt */
	self->run->request = 0;
	must(vcpu_kick(&self->vcpu));
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_EVENTS, &(struct vhm_events) {
		.run_state = VHM_RUN_STATE_HALTED }));
	self->run->request = VHM_RUN_INTERRUPT;
	self->run->interrupt_vector = 0x31;
	EXPECT_EQ(0x31, guest_event(&self->vcpu));
}

GUEST_CODE(cli_sti_hlt, 64, "cli\n out %al, $0x10\n sti\n hlt\n out %al, $0x11\n");

/* It was acknowledged and half delivered when the state was saved, and HLT comes before it may. */
TEST_F(events, interrupt_half_delivered_ends_hlt)
{
	const struct vhm_events events = {
		.run_state = VHM_RUN_STATE_RUNNABLE, .interrupt_pending = 1, .interrupt_vector = 0x77,
	};

	guest_run_long(&self->vcpu, cli_sti_hlt);
	guest_out(&self->vcpu, PORT_DONE);
	self->run->request |= VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_EVENTS, &events));
	self->run->request = 0;
	EXPECT_EQ(0x77, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE + 1);
}

/* ---------------------------------------------------------------------- NMI -- */

GUEST_CODE(nmi_code, 64,
	"out	%al, $0x10\n"
	"nop\n"
	"out	%al, $0x11\n"
	"hlt\n"
	"out	%al, $0x12\n");

TEST_F(events, nmi)
{
	struct vhm_events events;

	guest_run_long(&self->vcpu, nmi_code);
	guest_out(&self->vcpu, PORT_DONE);
	/* interrupts are off: an NMI does not mind. Two more while it is served are one. */
	EXPECT_EQ(0, vcpu_nmi(&self->vcpu));
	EXPECT_EQ(2, guest_event(&self->vcpu));
	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_BLOCKED_BY_NMI, events.interruptibility);
	EXPECT_EQ(0, vcpu_nmi(&self->vcpu));
	EXPECT_EQ(0, vcpu_nmi(&self->vcpu));
	EXPECT_EQ(0, vcpu_nmi(&self->vcpu));
	/* not before the handler's IRET */
	EXPECT_EQ(2, guest_event(&self->vcpu));
	EXPECT_EQ(2, guest_mail(&self->vm)->count[2]);
	guest_exit(&self->vcpu);
	EXPECT_LE(guest_mail(&self->vm)->count[2], 3);
}

static void *nmi_later(void *context)
{
	sleep_us(10000);
	return (void *)vcpu_nmi(context);
}

TEST_F(events, nmi_ends_hlt)
{
	void *thread;

	guest_run_long(&self->vcpu, nmi_code);
	guest_out(&self->vcpu, PORT_DONE);
	guest_out(&self->vcpu, PORT_DONE + 1);
	thread = thread_start(nmi_later, &self->vcpu);
	EXPECT_EQ(2, guest_event(&self->vcpu));
	thread_join(thread);
	guest_out(&self->vcpu, PORT_DONE + 2);
}

/* ------------------------------------------------------------ single steps -- */

GUEST_CODE(step_over, 64,
	"out	%al, $0x10\n"
	"cpuid\n"
	"nop\n"
	"nop\n"
	"out	%al, $0x11\n");

/* A single-step trap follows each instruction, also those that the VMM or the kernel completes. */
TEST_F(events, single_steps)
{
	static const uint32_t after[] = { 2, 4, 5, 6 };
	struct vhm_debug_registers debug;

	guest_run_long(&self->vcpu, step_over);
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	guest_registers(&self->vcpu)->rflags = RFLAGS_TF | 2;
	guest_out(&self->vcpu, PORT_DONE);
	for (size_t i = 0; i < COUNT(after); i++) {
		EXPECT_EQ(DB, guest_event(&self->vcpu));
		EXPECT_EQ(LONG_CODE + after[i], guest_frame(&self->vcpu)->rip);
		vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
		EXPECT_EQ(0x4000, debug.dr6 & 0x4000);
	}
}

TEST_HARNESS_MAIN
