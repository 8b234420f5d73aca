// SPDX-License-Identifier: GPL-2.0-only
/*
 * The paravirtual interface: each MSR is there by CPUID alone and takes what the ABI defines, from
 * the guest and as saved state; the pages they name are written only where a slot has them;
 * hypercalls, poll control and EOI do what they say. Clock and steal time are pv_time.c's.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/kvm_para.h>

#include "emit.h"
#include "host.h"
#include "pv.h"

#define EOI_GPA		(LONG_DATA + 0x3004u)
#define GP		13

FIXTURE(paravirt) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_SETUP(paravirt)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	guest_long_tables(&self->vm);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(paravirt)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* All that is offered, but for the bits @without of the features' leaf. */
static void set_cpuid_without(struct vcpu *vcpu, uint32_t without, bool without_name)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid), .entry_count = COUNT(entries), .entries = (uintptr_t)entries,
	};

	must(vhm_ioctl(vcpu->vm->device, VHM_GET_CPUID, &cpuid));
	for (uint32_t i = 0; i < cpuid.entry_count; i++) {
		if (entries[i].leaf == KVM_CPUID_FEATURES)
			entries[i].eax &= ~without;
		if (entries[i].leaf == KVM_CPUID_SIGNATURE && without_name)
			entries[i].ecx ^= 1;
	}
	must(vhm_ioctl(vcpu->fd, VHM_VCPU_SET_CPUID, &cpuid));
}

/* -------------------------------------------------------------------- MSRs -- */

static const struct msr {
	const char *name;
	uint32_t index;
	uint32_t feature;
	uint64_t good, bad;
	uint64_t reset;
} msrs[] = {
	{ "wall clock", MSR_KVM_WALL_CLOCK_NEW, KVM_FEATURE_CLOCKSOURCE2, LONG_DATA, LONG_DATA + 2 },
	{ "system time", MSR_KVM_SYSTEM_TIME_NEW, KVM_FEATURE_CLOCKSOURCE2, LONG_DATA + 5,
	  LONG_DATA + 3 },
	{ "steal time", MSR_KVM_STEAL_TIME, KVM_FEATURE_STEAL_TIME, STEAL_GPA | 1, STEAL_GPA | 0x21 },
	{ "EOI", MSR_KVM_PV_EOI_EN, KVM_FEATURE_PV_EOI, EOI_GPA | 1, EOI_GPA | 3 },
	{ "poll control", MSR_KVM_POLL_CONTROL, KVM_FEATURE_POLL_CONTROL, 0, 2, 1 },
};

TEST_F(paravirt, msrs)
{
	uint64_t value;

	for (size_t i = 0; i < COUNT(msrs); i++) {
		const struct msr *msr = &msrs[i];

		EXPECT_EQ(0, guest_rdmsr(&self->vcpu, msr->index, &value)) TH_LOG("%s", msr->name);
		EXPECT_EQ(msr->reset, value) TH_LOG("%s", msr->name);
		EXPECT_EQ(0, guest_wrmsr(&self->vcpu, msr->index, msr->good)) TH_LOG("%s", msr->name);
		EXPECT_EQ(GP, guest_wrmsr(&self->vcpu, msr->index, msr->bad)) TH_LOG("%s", msr->name);
		EXPECT_EQ(0, guest_rdmsr(&self->vcpu, msr->index, &value)) TH_LOG("%s", msr->name);
		EXPECT_EQ(msr->good, value) TH_LOG("%s", msr->name);
	}
	/* asynchronous page faults, what does not exist, and the deprecated pair */
	EXPECT_EQ(GP, guest_rdmsr(&self->vcpu, MSR_KVM_ASYNC_PF_EN, &value));
	EXPECT_EQ(GP, guest_wrmsr(&self->vcpu, MSR_KVM_ASYNC_PF_EN, 0));
	EXPECT_EQ(GP, guest_rdmsr(&self->vcpu, 0x4b564d06, &value));
	EXPECT_EQ(GP, guest_rdmsr(&self->vcpu, 0x4b564dff, &value));
	EXPECT_EQ(GP, guest_rdmsr(&self->vcpu, MSR_KVM_SYSTEM_TIME, &value));
}

/* Without its bit, or without KVM's name, a feature is not there. */
TEST_F(paravirt, msrs_by_cpuid)
{
	uint64_t value;

	for (size_t i = 0; i < 2 * COUNT(msrs); i++) {
		const struct msr *msr = &msrs[i / 2];
		struct vcpu vcpu;

		vcpu_create(&vcpu, &self->vm, 1 + (uint32_t)i);
		if (i % 2)
			set_cpuid_without(&vcpu, 0, true);
		else
			set_cpuid_without(&vcpu, 1u << msr->feature, false);
		EXPECT_EQ(GP, guest_rdmsr(&vcpu, msr->index, &value)) TH_LOG("%s", msr->name);
		EXPECT_EQ(GP, guest_wrmsr(&vcpu, msr->index, msr->good)) TH_LOG("%s", msr->name);
		vcpu_destroy(&vcpu);
	}
}

/* Nothing is written for a feature that the guest does not have, whatever the state says. */
TEST_F(paravirt, loaded_state_without_feature)
{
	struct vhm_paravirt paravirt;
	struct vcpu vcpu;

	vcpu_create(&vcpu, &self->vm, 1);
	set_cpuid_without(&vcpu, ~0u, false);
	paravirt = get_paravirt(&vcpu);
	paravirt.system_time = CLOCK_GPA | 1;
	paravirt.steal_time = STEAL_GPA | 1;
	paravirt.eoi = EOI_GPA | 1;
	ASSERT_EQ(0, vcpu_set(&vcpu, VHM_SECTION_PARAVIRT, &paravirt));
	guest_nothing(&vcpu);
	ASSERT_TRUE(all_zero(self->vm.memory + LONG_DATA, 0x4000));
	vcpu_destroy(&vcpu);
}

TEST_F(paravirt, malformed_state)
{
	struct vhm_paravirt good = get_paravirt(&self->vcpu), bad;

#define EXPECT_BAD(change) do {								\
	bad = good;									\
	change;										\
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu, VHM_SECTION_PARAVIRT, &bad))		\
		TH_LOG(#change);							\
} while (0)
	EXPECT_BAD(bad.wall_clock = 1);
	EXPECT_BAD(bad.system_time = 2);
	EXPECT_BAD(bad.steal_time = 0x20);
	EXPECT_BAD(bad.eoi = 2);
	EXPECT_BAD(bad.poll_control = 2);
	EXPECT_BAD(bad.clock_khz = 0);
	EXPECT_BAD(bad.flags = 1u << 31);
	EXPECT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_PARAVIRT, &good));
}

TEST_F(paravirt, init_resets)
{
	struct code code = { .vm = &self->vm, .gpa = LONG_CODE, .x2apic = true };
	struct vhm_paravirt before, after;

	for (size_t i = 0; i < COUNT(msrs); i++) {
		ASSERT_EQ(0, guest_wrmsr(&self->vcpu, msrs[i].index, msrs[i].good));
	}
	before = get_paravirt(&self->vcpu);
	guest_long_enter(&self->vcpu, LONG_CODE);
	emit_apic_enable(&code);
	emit_apic_write(&code, APIC_ICR, ICR_INIT | ICR_ASSERT);	/* to itself */
	emit_out(&code, PORT_DONE);
	ASSERT_EQ(VHM_EXIT_RESET, vcpu_exit(&self->vcpu));
	after = get_paravirt(&self->vcpu);
	EXPECT_NE(0, before.system_time);
	EXPECT_EQ(0, after.system_time | after.wall_clock | after.steal_time | after.eoi);
	EXPECT_EQ(1, after.poll_control);
	EXPECT_EQ(before.clock_tsc, after.clock_tsc);
	EXPECT_EQ(before.clock_ns, after.clock_ns);
}

/* -------------------------------------------------------------- hypercalls -- */

GUEST_CODE(vmcall_code, 64, "vmcall\n" "out %al, $0x10\n");
/* To user mode and there. RDI keeps the number meanwhile. */
GUEST_CODE(user_vmcall_code, 64,
	"mov	%rax, %rdi\n"
	"push	$0x2b\n"
	"push	$0x40000\n"
	"push	$0x3002\n"			/* IOPL 3: OUT is allowed */
	"push	$0x33\n"
	"lea	1f(%rip), %rax\n"
	"push	%rax\n"
	"iretq\n"
	"1: mov	%rdi, %rax\n"
	"vmcall\n"
	"out	%al, $0x10\n");

static int64_t guest_vmcall(struct vcpu *vcpu, uint64_t number, uint64_t a0, uint64_t a1,
			    uint64_t a2, uint64_t a3)
{
	if (run_code(vcpu, vmcall_code, CODE_BYTES(vmcall_code), &(struct vhm_registers) {
			.rax = number, .rbx = a0, .rcx = a1, .rdx = a2, .rsi = a3 }))
		give_up("an exception");
	return (int64_t)vcpu->run->regs.rax;
}

/* The vCPU's local APIC takes interrupts; nothing is pending in it. */
static void enable_apic(struct vcpu *vcpu)
{
	struct vhm_apic_state apic;

	vcpu_get(vcpu, VHM_SECTION_APIC, &apic);
	*(uint32_t *)(apic.registers + APIC_SVR) = 0x1ff;
	memset(apic.registers + APIC_IRR, 0, 0x80);
	must(vcpu_set(vcpu, VHM_SECTION_APIC, &apic));
}

static bool requested(struct vcpu *vcpu, uint32_t vector)
{
	struct vhm_apic_state apic;

	vcpu_get(vcpu, VHM_SECTION_APIC, &apic);
	return *(uint32_t *)(apic.registers + APIC_IRR + vector / 32 * 16) >> vector % 32 & 1;
}

TEST_F(paravirt, send_ipi)
{
	static const uint32_t ids[] = { 1, 63, 64, 130, 254 };
	static const struct {
		uint64_t low, high;
		uint32_t first, icr;
		int64_t accepted;
		uint32_t who;			/* bits of ids[] */
	} rows[] = {
		{ 1 << 1, 0, 0, 0x51, 1, 1 << 0 },
		{ 1ull << 63 | 2, 1, 0, 0x51, 3, 1 << 0 | 1 << 1 | 1 << 2 },
		{ 1, 1ull << 2, 64, 0x51, 2, 1 << 2 | 1 << 3 },
		{ ~0ull, ~0ull, 127, 0x51, 2, 1 << 3 | 1 << 4 },
		{ ~0ull, ~0ull, 2, 0x51, 2, 1 << 1 | 1 << 2 },
		{ 0, 0, 0, 0x51, 0, 0 },
		{ ~0ull, ~0ull, 255, 0x51, 0, 0 },
		{ ~0ull, ~0ull, ~0u - 3, 0x51, 0, 0 },
		{ 1 << 1, 0, 0, 5, 0, 0 },			/* illegal vector */
		{ 1 << 1, 0, 0, 0x51 | ICR_NMI, 1, 0 },
		{ 1 << 1, 0, 0, 0x51 | ICR_OTHERS, -EINVAL, 0 },
		{ 1 << 1, 0, 0, 0x51 | 1 << 11, -EINVAL, 0 },	/* logical */
	};
	struct vcpu vcpus[COUNT(ids)];
	struct vhm_events events;

	for (size_t i = 0; i < COUNT(ids); i++) {
		vcpu_create(&vcpus[i], &self->vm, ids[i]);
		vcpu_set_cpuid(&vcpus[i]);
	}
	for (size_t n = 0; n < COUNT(rows); n++) {
		for (size_t i = 0; i < COUNT(ids); i++)
			enable_apic(&vcpus[i]);
		EXPECT_EQ(rows[n].accepted, guest_vmcall(&self->vcpu, KVM_HC_SEND_IPI, rows[n].low,
							 rows[n].high, rows[n].first, rows[n].icr))
			TH_LOG("row %zu", n);
		for (size_t i = 0; i < COUNT(ids); i++) {
			EXPECT_EQ(rows[n].who >> i & 1, requested(&vcpus[i], 0x51))
				TH_LOG("row %zu, id %u", n, ids[i]);
		}
	}
	vcpu_get(&vcpus[0], VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(1, events.nmi_pending);
	for (size_t i = 0; i < COUNT(ids); i++)
		vcpu_destroy(&vcpus[i]);
}

TEST_F(paravirt, hypercalls_by_cpuid)
{
	static const struct {
		uint64_t number;
		uint32_t feature;
	} rows[] = {
		{ KVM_HC_KICK_CPU, KVM_FEATURE_PV_UNHALT },
		{ KVM_HC_SEND_IPI, KVM_FEATURE_PV_SEND_IPI },
		{ KVM_HC_SCHED_YIELD, KVM_FEATURE_PV_SCHED_YIELD },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct vcpu vcpu;

		EXPECT_EQ(0, guest_vmcall(&self->vcpu, rows[i].number, 7, 7, 0, 0x51));
		/* user mode may not */
		EXPECT_EQ(0, run_code(&self->vcpu, user_vmcall_code, CODE_BYTES(user_vmcall_code),
				      &(struct vhm_registers) { .rax = rows[i].number }));
		EXPECT_EQ(-EPERM, (int64_t)self->run->regs.rax);
		vcpu_create(&vcpu, &self->vm, 1 + (uint32_t)i);
		set_cpuid_without(&vcpu, 1u << rows[i].feature, false);
		EXPECT_EQ(-KVM_ENOSYS, guest_vmcall(&vcpu, rows[i].number, 7, 7, 0, 0x51));
		vcpu_destroy(&vcpu);
	}
	for (uint64_t number = 0; number < 70; number++) {
		if (number == KVM_HC_KICK_CPU || number == KVM_HC_SEND_IPI ||
		    number == KVM_HC_SCHED_YIELD)
			continue;
		EXPECT_EQ(-KVM_ENOSYS, guest_vmcall(&self->vcpu, number, 0, 0, 0, 0));
	}
	/* to any vCPU, and none */
	EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_SCHED_YIELD, 0, 0, 0, 0));
	EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_SCHED_YIELD, 1, 0, 0, 0));
	EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_SCHED_YIELD, ~0ull, 0, 0, 0));
	EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_KICK_CPU, 0, ~0ull, 0, 0));
}

/* The VMM gets those that the kernel does not have. */
TEST(hypercalls_and_exits)
{
	const struct vhm_registers registers = { .rax = KVM_HC_KICK_CPU, .rcx = 1 };
	struct vcpu vcpu;
	struct vm vm;

	for (uint32_t flags = 0; flags < 2; flags++) {
		vm_create(&vm, VHM_VM_EXIT_HYPERCALL | (flags ? VHM_VM_EXIT_HLT : 0));
		vcpu_create(&vcpu, &vm, 0);
		vcpu_set_cpuid(&vcpu);
		guest_run_long(&vcpu, vmcall_code);
		vcpu.run->request = VHM_RUN_RETURN;
		must(vcpu_run(&vcpu));
		guest_registers(&vcpu)->rax = registers.rax;
		/* whoever has HLT has its end */
		EXPECT_EQ(flags ? VHM_EXIT_HYPERCALL : VHM_EXIT_IO, vcpu_exit(&vcpu));
		guest_run_long(&vcpu, vmcall_code);
		vcpu.run->request = VHM_RUN_RETURN;
		must(vcpu_run(&vcpu));
		guest_registers(&vcpu)->rax = 99;
		EXPECT_EQ(VHM_EXIT_HYPERCALL, vcpu_exit(&vcpu));
		vcpu_destroy(&vcpu);
		vm_destroy(&vm);
	}
}

#define SECOND_CODE	0x18000u

/* With interrupts off nothing but a kick ends it. */
GUEST_CODE(halts, 64,
	"1: lock incl 0x2408\n"			/* flag[0] */
	"hlt\n"
	"lock incl 0x2410\n"			/* flag[1] */
	"jmp	1b\n");

static void *run_until_kicked(void *context)
{
	return (void *)(long)vcpu_exit(context);
}

static bool reaches(const volatile uint64_t *word, uint64_t value)
{
	uint64_t end = now_ns() + 10000000000;

	while (*word != value && now_ns() < end)
		sleep_us(POLL_US);
	return *word == value;
}

TEST_F(paravirt, kick)
{
	struct guest_mail *mail = guest_mail(&self->vm);
	struct vcpu second;
	void *thread;

	vcpu_create(&second, &self->vm, 1);
	vcpu_set_cpuid(&second);
	memcpy(self->vm.memory + SECOND_CODE, halts, CODE_BYTES(halts));
	guest_long_enter(&second, SECOND_CODE);
	must(vcpu_set(&second, VHM_SECTION_EVENTS, &(struct vhm_events) { 0 }));
	/* before it halts: kept, saved, and good for one HLT, however many there were */
	EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0));
	EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0));
	EXPECT_EQ(VHM_PARAVIRT_UNHALTED, get_paravirt(&second).flags);
	thread = thread_start(run_until_kicked, &second);
	EXPECT_TRUE(reaches(&mail->flag[0], 2));
	EXPECT_EQ(1, mail->flag[1]);
	/* asleep, or about to */
	for (uint64_t n = 1; n < 200; n++) {
		sleep_us(n % 3 ? 0 : 400);
		EXPECT_EQ(0, guest_vmcall(&self->vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0));
		ASSERT_TRUE(reaches(&mail->flag[0], n + 2));
		ASSERT_EQ(n + 1, mail->flag[1]);
	}
	vcpu_kick(&second);
	EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
	EXPECT_EQ(0, get_paravirt(&second).flags);
	vcpu_destroy(&second);
}

/* ----------------------------------------------------------- poll control -- */

#define HALTS		20u
#define HALT_US		4000u
#define LONGEST_POLL	"/sys/module/vhm/parameters/halt_poll_ns"
#define TIMER_VECTOR	0x40
#define TIMER_HANDLER	2	/* where it is in the code below */

/* RBX times: HLT until the timer's deadline, RSI ticks from now. */
GUEST_CODE(timer_halts, 64,
	"jmp	1f\n"
	"push	%rax\n"
	"push	%rcx\n"
	"push	%rdx\n"
	"mov	$0x80b, %ecx\n"			/* EOI */
	"xor	%eax, %eax\n"
	"xor	%edx, %edx\n"
	"wrmsr\n"
	"pop	%rdx\n"
	"pop	%rcx\n"
	"pop	%rax\n"
	"iretq\n"
	"1: mov	$0x1b, %ecx\n"			/* x2APIC mode */
	"mov	$0xfee00d00, %eax\n"
	"xor	%edx, %edx\n"
	"wrmsr\n"
	"mov	$0x80f, %ecx\n"			/* software enable */
	"mov	$0x1ff, %eax\n"
	"wrmsr\n"
	"mov	$0x832, %ecx\n"			/* LVT timer: TSC deadline */
	"mov	$0x40040, %eax\n"
	"wrmsr\n"
	"2: rdtsc\n"
	"shl	$32, %rdx\n"
	"or	%rdx, %rax\n"
	"add	%rsi, %rax\n"
	"mov	%rax, %rdx\n"
	"shr	$32, %rdx\n"
	"mov	$0x6e0, %ecx\n"
	"wrmsr\n"
	"sti\n"
	"hlt\n"
	"cli\n"
	"dec	%ebx\n"
	"jnz	2b\n"
	"out	%al, $0x10\n");

/* Return: for how long the thread slept in the guest's HLTs, us. */
static uint64_t halt(struct vcpu *vcpu)
{
	const struct vhm_registers regs = {
		.rbx = HALTS, .rsi = device_info().tsc_khz * (uint64_t)HALT_US / 1000,
	};
	uint64_t before = vcpu_stat(vcpu, VHM_STAT_HALT_NS);

	if (run_code(vcpu, timer_halts, CODE_BYTES(timer_halts), &regs))
		give_up("a fault of the guest");
	return (vcpu_stat(vcpu, VHM_STAT_HALT_NS) - before) / 1000;
}

/* The host polls while a HLT is short, unless the guest says that it has polled itself. */
TEST_F(paravirt, poll_control)
{
	uint16_t *gate = (uint16_t *)(self->vm.memory + LONG_IDT + TIMER_VECTOR * 16);
	uint64_t polling_us, sleeping_us, again_us;
	long longest_ns = file_number(LONGEST_POLL);
	char text[32];

	gate[0] = (uint16_t)LONG_CODE + TIMER_HANDLER;
	gate[3] = LONG_CODE >> 16;
	ASSERT_TRUE(write_file(LONGEST_POLL, "20000000"));
	halt(&self->vcpu);			/* learns how long they are */
	polling_us = halt(&self->vcpu);
	guest_wrmsr(&self->vcpu, MSR_KVM_POLL_CONTROL, 0);
	sleeping_us = halt(&self->vcpu);
	guest_wrmsr(&self->vcpu, MSR_KVM_POLL_CONTROL, 1);
	halt(&self->vcpu);
	again_us = halt(&self->vcpu);
	snprintf(text, sizeof(text), "%ld", longest_ns);
	EXPECT_TRUE(write_file(LONGEST_POLL, text));
	EXPECT_GT(HALTS * HALT_US / 2, polling_us);
	EXPECT_LT(HALTS * HALT_US / 2, sleeping_us);
	EXPECT_GT(HALTS * HALT_US / 2, again_us);
}

/* --------------------------------------------------------------------- EOI -- */

/* Ends its interrupts as Linux does: by memory if it may. Counts both ways in flag[0] and [1]. */
GUEST_CODE(eoi_handler, 64,
	"push	%rax\n"
	"push	%rcx\n"
	"push	%rdx\n"
	"btrl	$0, 0x103004\n"
	"jc	1f\n"
	"mov	$0x80b, %ecx\n"
	"xor	%eax, %eax\n"
	"xor	%edx, %edx\n"
	"wrmsr\n"
	"incl	0x2410\n"
	"jmp	2f\n"
	"1: incl 0x2408\n"
	"2: pop	%rdx\n"
	"pop	%rcx\n"
	"pop	%rax\n"
	"iretq\n");

#define HANDLER_GPA	0x20000u

TEST_F(paravirt, eoi)
{
	struct code code = { .vm = &self->vm, .gpa = LONG_CODE, .x2apic = true };
	struct guest_mail *mail = guest_mail(&self->vm);
	bool virtual_interrupts = device_info().features & VHM_FEATURE_VIRTUAL_INTERRUPTS;
	struct vhm_apic_state apic;
	uint64_t gate[2] = { HANDLER_GPA % 0x10000 | SELECTOR_CODE << 16 | 0x8e00ull << 32 |
			     (uint64_t)(HANDLER_GPA >> 16) << 48 };
	uint32_t start, ends = 0;

	ASSERT_EQ(0, guest_wrmsr(&self->vcpu, MSR_KVM_PV_EOI_EN, EOI_GPA | 1));
	memcpy(self->vm.memory + HANDLER_GPA, eoi_handler, CODE_BYTES(eoi_handler));
	for (uint32_t vector = 0x41; vector <= 0x62; vector++)
		memcpy(self->vm.memory + LONG_IDT + vector * 16, gate, sizeof(gate));
	guest_long_enter(&self->vcpu, LONG_CODE);
	emit_apic_enable(&code);
	emit_sti(&code);
	start = code.gpa;
	emit_apic_write(&code, APIC_SELF_IPI, 0x41);
	emit_apic_write(&code, APIC_ICR, 0x62);			/* above that one */
	emit(&code, "\x0f\xa2");				/* cpuid: exits in between */
	emit_out(&code, PORT_DONE);
	emit_jump(&code, start);
	for (uint64_t n = 1; n <= 50; n++) {
		guest_out(&self->vcpu, PORT_DONE);
		ends += 2;
		EXPECT_EQ(ends, mail->flag[0] + mail->flag[1]);
		/* settled: not in the way of saving the state */
		EXPECT_EQ(0, *(uint32_t *)(self->vm.memory + EOI_GPA));
		vcpu_get(&self->vcpu, VHM_SECTION_APIC, &apic);
		EXPECT_TRUE(all_zero(apic.registers + APIC_ISR, 0x80));
		/* level triggered: the VMM is told of its end */
		if (n % 10)
			continue;
		ASSERT_EQ(1, vm_msi(&self->vm, 0xfee00000, 0xc000 | 0x50));
		ASSERT_EQ(VHM_EXIT_EOI, vcpu_exit(&self->vcpu));
		EXPECT_EQ(0x50, self->run->eoi.vector);
		ends++;
	}
	/* with virtual interrupts ends cause no exits anyway */
	EXPECT_EQ(virtual_interrupts, !mail->flag[0]);
	if (!virtual_interrupts) {
		EXPECT_GE(mail->flag[0], 50);
	}
}

/* ----------------------------------------------------------------- hostile -- */

/*
 * Addresses that no slot has as a whole, a read-only slot, memory that the VMM has unmapped: the
 * MSR takes them, nothing is written, the guest goes on.
 */
TEST_F(paravirt, unusable_addresses)
{
	uint8_t *window = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t addresses[] = {
		MEMORY_BYTES, MEMORY_BYTES - 4, 0x80000000, 0xfee00000, WINDOW + PAGE_BYTES - 4,
		WINDOW - 8, 1ull << 45, 1ull << 52, ~0ull & ~63ull, WINDOW,
	};

	ASSERT_NE(MAP_FAILED, window);
	ASSERT_EQ(0, vm_add_slot(&self->vm, 1, VHM_SLOT_READONLY, WINDOW, PAGE_BYTES, window));
	for (int pass = 0; pass < 4; pass++) {
		if (pass == 1) {	/* one that may be written, but ends too early */
			ASSERT_EQ(0, vm_remove_slot(&self->vm, 1));
			ASSERT_EQ(0, vm_add_slot(&self->vm, 1, 0, WINDOW, PAGE_BYTES, window));
		} else if (pass == 2) {
			munmap(window, PAGE_BYTES);
		} else if (pass == 3) {
			ASSERT_EQ(0, vm_remove_slot(&self->vm, 1));
		}
		for (size_t i = 0; i < COUNT(addresses) - (pass == 1); i++) {
			for (size_t n = 0; n < COUNT(msrs); n++) {
				uint64_t gpa = addresses[i] | (msrs[n].good & 1);

				if (msrs[n].index == MSR_KVM_POLL_CONTROL)
					continue;
				if (msrs[n].index == MSR_KVM_STEAL_TIME)
					gpa &= ~0x3eull;	/* it is never cut */
				if (pass == 1 && gpa / PAGE_BYTES == WINDOW / PAGE_BYTES &&
				    msrs[n].index == MSR_KVM_STEAL_TIME)
					continue;
				ASSERT_EQ(0, guest_wrmsr(&self->vcpu, msrs[n].index, gpa));
			}
			guest_nothing(&self->vcpu);
		}
		for (size_t n = 0; n < COUNT(msrs); n++) {
			ASSERT_EQ(0, guest_wrmsr(&self->vcpu, msrs[n].index, 0));
		}
		if (pass < 2) {
			ASSERT_TRUE(all_zero(window, 2 * PAGE_BYTES)) TH_LOG("pass %d", pass);
		}
	}
	munmap(window + PAGE_BYTES, PAGE_BYTES);
}

TEST_HARNESS_MAIN
