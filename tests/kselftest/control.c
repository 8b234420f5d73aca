// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the VMM sees of its guest when it asks (VHM_VCPU_SET_CONTROL): single steps over
 * instructions of every kind, breakpoints on code and data, chosen exceptions; and that the
 * guest notices nothing of it.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>

#include "emit.h"

#define DB	1
#define BP	3
#define UD	6
#define GP	13
#define PF	14

#define DR6_BD	(1u << 13)
#define DR6_BS	(1u << 14)
#define RFLAGS_TF	(1u << 8)
#define RFLAGS_IF	(1u << 9)
#define RFLAGS_RF	(1u << 16)

/* DR7: breakpoint n, enabled, of a kind */
#define DR7_EXECUTE(n)	(1u << (2 * (n)))
#define DR7_WRITE4(n)	(1u << (2 * (n)) | 0xdu << (16 + 4 * (n)))

FIXTURE(control)
{
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
	struct vhm_vcpu_control control;
};

typedef FIXTURE_DATA(control) control_data;

FIXTURE_SETUP(control)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
	self->control = (struct vhm_vcpu_control) { .size = sizeof(self->control) };
}

FIXTURE_TEARDOWN(control)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

static long set_control(control_data *self)
{
	return vhm_ioctl(self->vcpu.fd, VHM_VCPU_SET_CONTROL, &self->control);
}

static void step_from_here(control_data *self)
{
	self->control.flags |= VHM_CONTROL_SINGLE_STEP;
	must(set_control(self));
}

static void go_from_here(control_data *self)
{
	self->control.flags &= ~VHM_CONTROL_SINGLE_STEP;
	must(set_control(self));
}

/* The next exit must be this exception; where. */
static uint64_t expect_exception(control_data *self, uint32_t vector, uint64_t payload)
{
	const struct vhm_event *event = &self->run->exception;
	uint32_t reason = guest_exit(&self->vcpu);

	if (reason != VHM_EXIT_EXCEPTION || event->vector != vector || event->payload != payload)
		give_up("%s at %#llx, vector %u, payload %#llx; not vector %u, payload %#llx",
			exit_name(reason), (unsigned long long)self->run->regs.rip, event->vector,
			(unsigned long long)event->payload, vector, (unsigned long long)payload);
	return self->run->regs.rip;
}

static uint64_t step(control_data *self)
{
	return expect_exception(self, DB, DR6_BS);
}

/* ------------------------------------------------------------- single steps -- */

GUEST_CODE(all_kinds, 64,
	"	nop\n"				/* 0: the processor's own */
	"	cpuid\n"			/* 1: answered in the kernel */
	"	mov	%cr0, %rax\n"		/* 3 */
	"	mov	%rax, %cr0\n"		/* 6 */
	"	out	%al, $0x11\n"		/* 9: answered by the VMM */
	"	mov	%ss, %eax\n"		/* 11 */
	"	mov	%eax, %ss\n"		/* 13: the next one goes without a stop */
	"	nop\n"				/* 15 */
	"	pushf\n"			/* 16 */
	"	pop	%rbx\n"			/* 17 */
	"	mov	$3, %ecx\n"		/* 18 */
	"	mov	$0x100000, %edi\n"	/* 23 */
	"	rep stosb\n"			/* 28: a stop at each element */
	"	vmcall\n"			/* 30 */
	"	out	%al, $0x10\n");		/* 33 */

TEST_F(control, steps_over_every_kind)
{
	static const uint8_t stops[] = { 1, 3, 6, 9 }, more[] = { 16, 17, 18, 23, 28 };
	uint64_t rip;
	int rounds = 0;

	guest_run_long(&self->vcpu, all_kinds);
	step_from_here(self);
	for (size_t i = 0; i < COUNT(stops); i++)
		ASSERT_EQ(LONG_CODE + stops[i], step(self));
	guest_out(&self->vcpu, 0x11);
	ASSERT_EQ(LONG_CODE + 11, step(self));
	ASSERT_EQ(LONG_CODE + 13, step(self));
	/* blocking by MOV SS holds debug exceptions, and not the monitor trap flag */
	ASSERT_EQ(LONG_CODE + 15, step(self));
	for (size_t i = 0; i < COUNT(more); i++)
		ASSERT_EQ(LONG_CODE + more[i], step(self));
	/* what the guest sees of its flags knows nothing of the steps */
	ASSERT_EQ(0u, self->run->regs.rbx & RFLAGS_TF);
	do {
		rip = step(self);
	} while (rip == LONG_CODE + 28 && ++rounds < 4);
	ASSERT_EQ(LONG_CODE + 30, rip);
	ASSERT_EQ(2, rounds);
	ASSERT_EQ(LONG_CODE + 33, step(self));
	go_from_here(self);
	guest_out(&self->vcpu, PORT_DONE);
}

GUEST_CODE(fault, 64,
	"	ud2\n"
	"	out	%al, $0x10\n");

/* The step of an instruction that faults ends in front of the handler. */
TEST_F(control, steps_into_a_handler)
{
	uint64_t rip;

	guest_run_long(&self->vcpu, fault);
	step_from_here(self);
	rip = step(self);
	EXPECT_GE(rip, LONG_STUBS);
	EXPECT_LT(rip, LONG_HANDLER);
	go_from_here(self);
	EXPECT_EQ(UD, guest_event(&self->vcpu));
	EXPECT_EQ(LONG_CODE, guest_frame(&self->vcpu)->rip);
	EXPECT_EQ(0u, guest_frame(&self->vcpu)->rflags & RFLAGS_TF);
}

GUEST_CODE(interruptible, 64,
	"	sti\n"
	"	nop\n"
	"1:	nop\n"
	"	jmp	1b\n");

/* An interrupt and an NMI wait while the guest steps, and come when it runs. */
TEST_F(control, interrupts_wait_for_steps)
{
	struct code code = { .vm = &self->vm, .gpa = LONG_CODE, .x2apic = true };
	bool event_came = false;

	guest_long_tables(&self->vm);
	guest_mail(&self->vm)->eoi = EOI_X2APIC;
	emit_apic_enable(&code);
	emit_apic_write(&code, APIC_SELF_IPI, 0x40);
	emit_out(&code, 0x11);
	emit_bytes(&code, interruptible, CODE_BYTES(interruptible));
	guest_long_enter(&self->vcpu, LONG_CODE);
	guest_out(&self->vcpu, 0x11);
	step_from_here(self);
	for (int i = 0; i < 20; i++) {
		uint64_t rip = step(self);

		ASSERT_GE(rip, LONG_CODE);
		ASSERT_LT(rip, code.gpa + 1);
	}
	ASSERT_NE(0u, self->run->regs.rflags & RFLAGS_IF);
	must(vcpu_nmi(&self->vcpu));
	for (int i = 0; i < 4; i++)
		ASSERT_LT(step(self), code.gpa + 1);
	go_from_here(self);
	for (int i = 0; i < 2; i++)
		event_came |= guest_event(&self->vcpu) == 0x40;
	EXPECT_TRUE(event_came);
	EXPECT_EQ(1u, guest_mail(&self->vm)->count[2]);
	EXPECT_EQ(1u, guest_mail(&self->vm)->count[0x40]);
}

GUEST_CODE(sleeps, 64,
	"	hlt\n"
	"	out	%al, $0x10\n");

/* A step ends when HLT begins; the next one with what wakes the guest. */
TEST_F(control, steps_over_hlt)
{
	struct vhm_events events;
	uint64_t rip;

	guest_run_long(&self->vcpu, sleeps);
	step_from_here(self);
	ASSERT_EQ(LONG_CODE + 1, step(self));
	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_RUN_STATE_HALTED, events.run_state);
	must(vcpu_nmi(&self->vcpu));
	rip = step(self);
	EXPECT_GE(rip, LONG_STUBS);
	EXPECT_LT(rip, LONG_HANDLER);
	go_from_here(self);
	EXPECT_EQ(2u, guest_event(&self->vcpu));
	guest_out(&self->vcpu, PORT_DONE);
}

/* A guest that steps itself gets each of its traps, VMM or not. */
TEST_F(control, guest_steps_itself)
{
	static const uint8_t after[] = { 1, 2, 3 };
	static const uint8_t nops[] = { 0x90, 0x90, 0x90, 0x90, 0x90 };
	size_t traps = 0;

	guest_long(&self->vcpu, nops, sizeof(nops));
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	guest_registers(&self->vcpu)->rflags = RFLAGS_TF | 2;
	step_from_here(self);
	for (int i = 0; i < 2000 && traps < COUNT(after); i++) {
		if (guest_exit(&self->vcpu) == VHM_EXIT_EXCEPTION)
			continue;
		ASSERT_EQ(VHM_EXIT_IO, self->run->exit_reason);
		ASSERT_EQ(PORT_EVENT, self->run->io.port);
		EXPECT_EQ(DB, guest_frame(&self->vcpu)->vector);
		EXPECT_EQ(LONG_CODE + after[traps], guest_frame(&self->vcpu)->rip);
		vcpu_retire(&self->vcpu);
		traps++;
	}
	EXPECT_EQ(COUNT(after), traps);
}

/* -------------------------------------------------------------- breakpoints -- */

GUEST_CODE(watched, 64,
	"	mov	$0x100000, %ebx\n"	/* 0 */
	"	incl	8(%rbx)\n"		/* 5 */
	"	nop\n"				/* 8 */
	"	incl	(%rbx)\n"		/* 9 */
	"	nop\n"				/* 11 */
	"	out	%al, $0x10\n");		/* 12 */

TEST_F(control, breakpoints)
{
	uint64_t rip;

	guest_run_long(&self->vcpu, watched);
	self->control.flags = VHM_CONTROL_BREAKPOINTS;
	self->control.breakpoint[0] = LONG_CODE + 8;
	self->control.breakpoint[1] = LONG_DATA;
	self->control.breakpoint[2] = LONG_CODE + 12;
	self->control.breakpoint[3] = LONG_CODE + 5;	/* not enabled */
	self->control.dr7 = DR7_EXECUTE(0) | DR7_WRITE4(1) | DR7_EXECUTE(2);
	must(set_control(self));
	/* in front of the instruction; it is the same one until RF lets it go */
	ASSERT_EQ(LONG_CODE + 8, expect_exception(self, DB, 1 << 0));
	ASSERT_EQ(LONG_CODE + 8, expect_exception(self, DB, 1 << 0));
	guest_registers(&self->vcpu)->rflags |= RFLAGS_RF;
	/* behind the one that wrote */
	ASSERT_EQ(LONG_CODE + 11, expect_exception(self, DB, 1 << 1));
	ASSERT_EQ(1u, *(uint32_t *)(self->vm.memory + LONG_DATA));
	/* stepping onto a breakpoint, and over it with RF */
	step_from_here(self);
	rip = step(self);
	ASSERT_EQ(LONG_CODE + 12, rip);
	go_from_here(self);
	ASSERT_EQ(LONG_CODE + 12, expect_exception(self, DB, 1 << 2));
	self->control = (struct vhm_vcpu_control) { .size = sizeof(self->control) };
	must(set_control(self));
	guest_out(&self->vcpu, PORT_DONE);
}

/* A step over an instruction that hits a data breakpoint says both at once, and leaves nothing. */
TEST_F(control, step_and_breakpoint)
{
	struct vhm_events events;

	guest_run_long(&self->vcpu, watched);
	self->control.flags = VHM_CONTROL_BREAKPOINTS;
	self->control.breakpoint[3] = LONG_DATA + 8;
	self->control.dr7 = DR7_WRITE4(3);
	step_from_here(self);
	ASSERT_EQ(LONG_CODE + 5, step(self));
	ASSERT_EQ(LONG_CODE + 8, expect_exception(self, DB, DR6_BS | 1 << 3));
	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(0u, events.pending_debug);
	go_from_here(self);
	guest_out(&self->vcpu, PORT_DONE);
}

GUEST_CODE(own_registers, 64,
	"	mov	$0x100010, %eax\n"
	"	mov	%rax, %dr0\n"
	"	mov	$0x100020, %eax\n"
	"	mov	%rax, %dr3\n"
	"	mov	$0xd0001, %eax\n"	/* its own: writes of 4 bytes at DR0 */
	"	mov	%rax, %dr7\n"
	"	xor	%eax, %eax\n"
	"	mov	%rax, %dr6\n"
	"	out	%al, $0x11\n"
	"	incl	0x100010\n"		/* a hit for the guest, if it had its registers */
	"	incl	0x100000\n"		/* a hit for the VMM */
	"	mov	%dr0, %r8\n"
	"	mov	%dr3, %r9\n"
	"	mov	%dr6, %r10\n"
	"	mov	%dr7, %r11\n"
	"	out	%al, $0x10\n"
	"	incl	0x100010\n"
	"	out	%al, $0x10\n");

/*
 * The guest reads back what it wrote, before, while and after the VMM's breakpoints are in force,
 * and has its own again afterwards. The section is the guest's all the time.
 */
static void check_own_registers(struct __test_metadata *_metadata, control_data *self,
				bool from_the_start)
{
	struct vhm_debug_registers debug;

	guest_run_long(&self->vcpu, own_registers);
	self->control.flags = VHM_CONTROL_BREAKPOINTS;
	self->control.breakpoint[0] = LONG_DATA;
	self->control.dr7 = DR7_WRITE4(0);
	if (from_the_start)
		must(set_control(self));
	guest_out(&self->vcpu, 0x11);
	must(set_control(self));
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(0x100010u, debug.db[0]);
	EXPECT_EQ(0x100020u, debug.db[3]);
	EXPECT_EQ(0xffff0ff0u, debug.dr6);
	EXPECT_EQ(0xd0401u, debug.dr7);
	must(vcpu_set(&self->vcpu, VHM_SECTION_DEBUG, &debug));
	expect_exception(self, DB, 1 << 0);
	guest_out(&self->vcpu, PORT_DONE);
	EXPECT_EQ(0x100010u, self->run->regs.r8);
	EXPECT_EQ(0x100020u, self->run->regs.r9);
	EXPECT_EQ(0xffff0ff0u, self->run->regs.r10);
	EXPECT_EQ(0xd0401u, self->run->regs.r11);
	self->control = (struct vhm_vcpu_control) { .size = sizeof(self->control) };
	must(set_control(self));
	EXPECT_EQ(DB, guest_event(&self->vcpu));
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(1u, debug.dr6 & 0xf);
	guest_out(&self->vcpu, PORT_DONE);
}

TEST_F(control, guest_keeps_its_registers)
{
	check_own_registers(_metadata, self, false);
}

TEST_F(control, guest_writes_displaced_registers)
{
	check_own_registers(_metadata, self, true);
}

/* MOV DR of displaced registers is refused as the processor does. */
TEST_F(control, displaced_registers_fault)
{
	static const struct {
		const char *code;
		uint64_t rax;
		int event;
	} tries[] = {
		{ "\x0f\x23\xf8", 1ull << 32, GP },	/* mov %rax, %dr7 */
		{ "\x0f\x23\xf0", 1ull << 63, GP },	/* mov %rax, %dr6 */
		{ "\x0f\x23\xc0", 1ull << 63, -1 },	/* mov %rax, %dr0 */
		{ "\x0f\x21\xe0", 0, -1 },		/* mov %dr4, %rax */
	};
	struct vhm_debug_registers debug;
	struct vhm_sregisters sregs;

	self->control.flags = VHM_CONTROL_BREAKPOINTS;
	must(set_control(self));
	for (size_t i = 0; i < COUNT(tries); i++) {
		uint8_t code[] = { 0, 0, 0, 0xe6, PORT_DONE };

		memcpy(code, tries[i].code, 3);
		guest_long(&self->vcpu, code, sizeof(code));
		self->run->request = VHM_RUN_RETURN;
		guest_exit(&self->vcpu);
		guest_registers(&self->vcpu)->rax = tries[i].rax;
		if (tries[i].event < 0)
			guest_out(&self->vcpu, PORT_DONE);
		else
			EXPECT_EQ((uint32_t)tries[i].event, guest_event(&self->vcpu));
	}
	EXPECT_EQ(0xffff0ff0u, self->run->regs.rax);	/* DR4 is DR6 */
	guest_long(&self->vcpu, "\x0f\x21\xe0", 3);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	sregs.cr4 |= 1 << 3;	/* DE: there is no DR4 */
	must(vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs));
	EXPECT_EQ(UD, guest_event(&self->vcpu));
	/* general detect: the guest wants to know who reads its registers */
	guest_long(&self->vcpu, "\x0f\x21\xc0", 3);
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	debug.dr7 |= 1 << 13;
	must(vcpu_set(&self->vcpu, VHM_SECTION_DEBUG, &debug));
	EXPECT_EQ(DB, guest_event(&self->vcpu));
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(DR6_BD, debug.dr6 & DR6_BD);
	EXPECT_EQ(0u, debug.dr7 & 1 << 13);
}

/* --------------------------------------------------------------- exceptions -- */

GUEST_CODE(three_faults, 64,
	"	int3\n"				/* 0 */
	"	.byte	0x66, 0xcc\n"		/* 1: a longer one */
	"	ud2\n"				/* 3 */
	"	out	%al, $0x10\n");

TEST_F(control, exceptions_come_to_the_vmm)
{
	guest_run_long(&self->vcpu, three_faults);
	self->control.exceptions = 1 << BP | 1 << UD;
	must(set_control(self));
	EXPECT_EQ(LONG_CODE, expect_exception(self, BP, 0));
	EXPECT_EQ(1u, self->run->insn_bytes);
	/* the guest's own after all: its handler finds RIP behind it, whatever the length */
	self->run->inject = self->run->exception;
	EXPECT_EQ(BP, guest_event(&self->vcpu));
	EXPECT_EQ(LONG_CODE + 1, guest_frame(&self->vcpu)->rip);
	EXPECT_EQ(LONG_CODE + 1, expect_exception(self, BP, 0));
	EXPECT_EQ(2u, self->run->insn_bytes);
	self->run->inject = self->run->exception;
	EXPECT_EQ(BP, guest_event(&self->vcpu));
	EXPECT_EQ(LONG_CODE + 3, guest_frame(&self->vcpu)->rip);
	/* nothing has happened: the same again, until it is skipped */
	EXPECT_EQ(LONG_CODE + 3, expect_exception(self, UD, 0));
	EXPECT_EQ(0u, self->run->insn_bytes);
	EXPECT_EQ(LONG_CODE + 3, expect_exception(self, UD, 0));
	self->run->retire_bytes = 2;
	guest_out(&self->vcpu, PORT_DONE);
}

GUEST_CODE(page_fault, 64,
	"	mov	$0x7000000000, %rbx\n"
	"	mov	%al, 5(%rbx)\n"		/* 10 */
	"	out	%al, $0x10\n");

/* Address and error code as the guest would have got them; its CR2 is as before. */
TEST_F(control, page_faults)
{
	struct vhm_sregisters sregs;

	guest_run_long(&self->vcpu, page_fault);
	self->control.exceptions = 1 << PF;
	must(set_control(self));
	EXPECT_EQ(LONG_CODE + 10, expect_exception(self, PF, 0x7000000005));
	EXPECT_EQ(VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE | VHM_EVENT_HAS_PAYLOAD,
		  self->run->exception.flags);
	EXPECT_EQ(2u, self->run->exception.error_code);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	EXPECT_EQ(0u, sregs.cr2);
	self->run->inject = self->run->exception;
	EXPECT_EQ(PF, guest_event(&self->vcpu));
	EXPECT_EQ(2u, guest_frame(&self->vcpu)->error);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	EXPECT_EQ(0x7000000005u, sregs.cr2);
}

/* Real mode has no error codes; what comes to the VMM can be given back all the same. */
GUEST_CODE(real_fault, 16,
	"	movw	0xffff, %ax\n");	/* across the limit */

TEST_F(control, exceptions_of_real_mode)
{
	guest_run_real(&self->vcpu, real_fault);
	self->control.exceptions = 1 << GP;
	must(set_control(self));
	expect_exception(self, GP, 0);
	EXPECT_EQ(VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE, self->run->exception.flags);
	EXPECT_EQ(0u, self->run->exception.error_code);
	memcpy(self->vm.memory + GP * 4, "\x00\x20\x00\x00", 4);
	memcpy(self->vm.memory + 0x2000, "\xe6\x10", 2);
	self->run->inject = self->run->exception;
	guest_out(&self->vcpu, PORT_DONE);
}

/* #DB itself: what the guest does to itself, with all bits. */
TEST_F(control, debug_exceptions)
{
	struct vhm_debug_registers debug;

	guest_run_long(&self->vcpu, watched);
	self->control.exceptions = 1 << DB;
	must(set_control(self));
	self->run->request = VHM_RUN_RETURN;
	guest_exit(&self->vcpu);
	guest_registers(&self->vcpu)->rflags = RFLAGS_TF | 2;
	EXPECT_EQ(LONG_CODE + 5, expect_exception(self, DB, DR6_BS));
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(0u, debug.dr6 & DR6_BS);
	self->run->inject = self->run->exception;
	EXPECT_EQ(DB, guest_event(&self->vcpu));
	vcpu_get(&self->vcpu, VHM_SECTION_DEBUG, &debug);
	EXPECT_EQ(DR6_BS, debug.dr6 & DR6_BS);
}

GUEST_CODE(int1, 64,
	"	.byte	0xf1\n"
	"	.byte	0x66, 0xf1\n"
	"	out	%al, $0x10\n");

/* INT1 is a trap that leaves DR6 alone: given back, the guest's handler finds RIP behind it. */
TEST_F(control, int1_is_given_back)
{
	guest_run_long(&self->vcpu, int1);
	self->control.exceptions = 1 << DB;
	must(set_control(self));
	for (uint32_t i = 0, at = LONG_CODE; i < 2; i++) {
		ASSERT_EQ(at, expect_exception(self, DB, 0));
		EXPECT_EQ(VHM_EVENT_VALID, self->run->exception.flags);
		EXPECT_EQ(1u + i, self->run->insn_bytes);
		at += self->run->insn_bytes;
		self->run->inject = self->run->exception;
		EXPECT_EQ(DB, guest_event(&self->vcpu));
		EXPECT_EQ(at, guest_frame(&self->vcpu)->rip);
	}
	guest_out(&self->vcpu, PORT_DONE);
}

/* ------------------------------------------------------------------- limits -- */

TEST_F(control, refused)
{
	const struct vhm_vcpu_control bad[] = {
		{ .flags = 1 << 2 },
		{ .flags = 1u << 31 },
		{ .exceptions = 1 << 2 },
		{ .exceptions = 1 << 18 },
		{ .exceptions = ~0u },
		{ .reserved = 1 },
		{ .dr7 = 1 },
		{ .breakpoint[3] = 1 },
		{ .flags = VHM_CONTROL_BREAKPOINTS, .dr7 = 1 << 11 },
		{ .flags = VHM_CONTROL_BREAKPOINTS, .dr7 = 1 << 13 },
		{ .flags = VHM_CONTROL_BREAKPOINTS, .dr7 = 1ull << 32 },
	};

	guest_run_long(&self->vcpu, watched);
	for (size_t i = 0; i < COUNT(bad); i++) {
		self->control = bad[i];
		self->control.size = sizeof(self->control);
		EXPECT_EQ(-EINVAL, set_control(self)) TH_LOG("row %zu", i);
	}
	/* any address, all breakpoints, all other exceptions */
	self->control = (struct vhm_vcpu_control) {
		.size = sizeof(self->control), .flags = VHM_CONTROL_BREAKPOINTS,
		.exceptions = ~(1u << 2 | 1u << 18), .breakpoint = { ~0ull, 1ull << 63, 0, 1 },
		.dr7 = 0xffff07ff,
	};
	EXPECT_EQ(0, set_control(self));
	self->control = (struct vhm_vcpu_control) { .size = sizeof(self->control) };
	EXPECT_EQ(0, set_control(self));
	guest_out(&self->vcpu, PORT_DONE);
}

/* It is the VMM's: it outlives a reset of the guest and the loading of another state. */
TEST_F(control, stays)
{
	guest_run_long(&self->vcpu, watched);
	self->control.exceptions = 1 << UD;
	must(set_control(self));
	guest_run_long(&self->vcpu, fault);
	EXPECT_EQ(LONG_CODE, expect_exception(self, UD, 0));
}

GUEST_CODE(spins, 64,
	"1:	jmp	1b\n");

static void *spin(void *context)
{
	struct vcpu *vcpu = context;

	return (void *)(uintptr_t)vcpu_exit(vcpu);
}

TEST_F(control, busy_while_running)
{
	uint64_t end = now_ns() + 10000000000ull;
	void *thread;

	guest_run_long(&self->vcpu, spins);
	thread = thread_start(spin, &self->vcpu);
	while (set_control(self) != -EBUSY && now_ns() < end)
		sleep_us(POLL_US);
	EXPECT_EQ(-EBUSY, set_control(self));
	must(vcpu_kick(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_KICKED, (uint32_t)(uintptr_t)thread_join(thread));
	EXPECT_EQ(0, set_control(self));
}

TEST_HARNESS_MAIN
