// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's TSC with a frequency of its own: exactly the scaled TSC of the host, on every CPU and
 * every vCPU; the timers that go by it; what CPUID tells of it; and refusals.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <x86intrin.h>

#include "emit.h"

#define START	1000000000000ull
#define VECTOR	0x41
#define KHZ_MAX	((1u << 25) - 1)

FIXTURE(tsc) {
	struct vm vm;
	struct vcpu vcpu[2];
	struct vhm_info info;
	bool scaling;
};

FIXTURE_SETUP(tsc)
{
	self->info = device_info();
	self->scaling = self->info.features & VHM_FEATURE_TSC_SCALING;
	vm_create(&self->vm, 0);
	for (uint32_t id = 0; id < COUNT(self->vcpu); id++) {
		vcpu_create(&self->vcpu[id], &self->vm, id);
		vcpu_set_cpuid(&self->vcpu[id]);
	}
	guest_long_tables(&self->vm);
}

FIXTURE_TEARDOWN(tsc)
{
	for (uint32_t id = 0; id < COUNT(self->vcpu); id++)
		vcpu_destroy(&self->vcpu[id]);
	vm_destroy(&self->vm);
}

/* What the processor does, by the manual, with frequencies in kHz. */
static uint64_t scaled(uint64_t host, uint32_t khz, uint32_t host_khz)
{
	uint64_t multiplier = (uint64_t)(((unsigned __int128)khz << 48) / host_khz);

	return (uint64_t)((unsigned __int128)host * multiplier >> 48);
}

TEST_F(tsc, refusals)
{
	const uint32_t host = self->info.tsc_khz;
	struct vhm_time time, good;

	vcpu_get(&self->vcpu[0], VHM_SECTION_TIME, &good);
	EXPECT_EQ(host, good.tsc_khz);
	EXPECT_EQ(0, good.reserved);
	time = good;
	time.reserved = 1;
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	time = good;
	EXPECT_EQ(0, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	time.tsc_khz = 16 * host;
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	time.tsc_khz = host / 16;
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	time.tsc_khz = ~0u;
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	time.tsc_khz = host + 1;
	EXPECT_EQ(self->scaling ? 0 : -EOPNOTSUPP, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	vcpu_get(&self->vcpu[0], VHM_SECTION_TIME, &time);
	EXPECT_EQ(self->scaling ? host + 1 : host, time.tsc_khz);
}

GUEST_CODE(read_tsc, 64,
	"1:	rdtsc\n"
	"	shl	$32, %rdx\n"
	"	or	%rdx, %rax\n"
	"	mov	%rax, %rsi\n"
	"	mov	$0x10, %ecx\n"
	"	rdmsr\n"
	"	shl	$32, %rdx\n"
	"	or	%rdx, %rax\n"
	"	mov	%rax, %rdi\n"
	"	out	%al, $0x10\n"
	"	jmp	1b\n");

/* RDTSC and RDMSR, on each CPU in turn, by each vCPU: between what is right before and after. */
TEST_F(tsc, exactly_scaled)
{
	const uint32_t host = self->info.tsc_khz;
	const uint32_t most = 16 * host - 1 < KHZ_MAX ? 16 * host - 1 : KHZ_MAX;
	const uint32_t khz[] = { host, host / 2 * 3, host / 3, most, host / 16 + 1, host + 1 };

	if (!self->scaling)
		SKIP(return, "no TSC scaling");
	for (size_t i = 0; i < COUNT(khz); i++) {
		struct vhm_time time = { .tsc = START, .host_tsc = __rdtsc(), .tsc_khz = khz[i] };

		for (uint32_t id = 0; id < COUNT(self->vcpu); id++) {
			ASSERT_EQ(0, vcpu_set(&self->vcpu[id], VHM_SECTION_TIME, &time));
			guest_run_long(&self->vcpu[id], read_tsc);
			must(vcpu_set(&self->vcpu[id], VHM_SECTION_EVENTS, &(struct vhm_events) {
				.run_state = VHM_RUN_STATE_RUNNABLE }));
		}
		for (unsigned int round = 0; round < 16; round++) {
			struct vcpu *vcpu = &self->vcpu[round & 1];
			uint64_t before, after, zero = scaled(time.host_tsc, khz[i], host);

			pin(0, round / 2 % cpus_online());
			before = scaled(__rdtsc(), khz[i], host) - zero + START;
			guest_out(vcpu, PORT_DONE);
			after = scaled(__rdtsc(), khz[i], host) - zero + START;
			EXPECT_LE(before, vcpu->run->regs.rsi);
			EXPECT_LE(vcpu->run->regs.rsi, vcpu->run->regs.rdi);
			EXPECT_LE(vcpu->run->regs.rdi, after);
		}
	}
}

/* A vCPU that is created later has the TSC of vCPU 0. */
TEST_F(tsc, of_later_vcpus)
{
	struct vhm_time time = { .tsc = START, .host_tsc = __rdtsc(), .tsc_khz = self->info.tsc_khz };
	struct vhm_time first, later;
	struct vcpu vcpu;

	if (self->scaling)
		time.tsc_khz = self->info.tsc_khz / 2;
	ASSERT_EQ(0, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	vcpu_create(&vcpu, &self->vm, 7);
	vcpu_get(&self->vcpu[0], VHM_SECTION_TIME, &first);
	vcpu_get(&vcpu, VHM_SECTION_TIME, &later);
	EXPECT_EQ(time.tsc_khz, later.tsc_khz);
	EXPECT_EQ(first.tsc - scaled(first.host_tsc, time.tsc_khz, self->info.tsc_khz),
		  later.tsc - scaled(later.host_tsc, time.tsc_khz, self->info.tsc_khz));
	vcpu_destroy(&vcpu);
}

/*
 * The guest's clock turns with its TSC, for all vCPUs at the moment that the section tells: however
 * long after each other they get it, it is one clock. Before that it went on at the old rate.
 */
TEST_F(tsc, turns_the_clocks_of_all_vcpus_alike)
{
	struct vhm_time time = { .tsc_khz = self->info.tsc_khz / 2 };
	struct vhm_paravirt clocks[COUNT(self->vcpu)];

	if (!self->scaling)
		SKIP(return, "no TSC scaling");
	vcpu_get(&self->vcpu[0], VHM_SECTION_PARAVIRT, &clocks[0]);
	time.host_tsc = __rdtsc();
	time.tsc = clocks[0].clock_tsc + 1000ull * clocks[0].clock_khz;
	for (uint32_t id = 0; id < COUNT(self->vcpu); id++) {
		sleep_us(1000);
		ASSERT_EQ(0, vcpu_set(&self->vcpu[id], VHM_SECTION_TIME, &time));
	}
	/* a second of the old clock, to the rounding of its scale */
	time.tsc_khz = 0;
	for (uint32_t id = 0; id < COUNT(self->vcpu); id++) {
		uint64_t ns = clocks[0].clock_ns;

		vcpu_get(&self->vcpu[id], VHM_SECTION_PARAVIRT, &clocks[id]);
		EXPECT_EQ(time.tsc, clocks[id].clock_tsc);
		if (!id) {
			EXPECT_LE(ns + 1000000000 - 1000, clocks[0].clock_ns);
			EXPECT_GE(ns + 1000000000 + 1000, clocks[0].clock_ns);
		}
		EXPECT_EQ(0, memcmp(&clocks[0], &clocks[id], sizeof(clocks[0])));
	}
}

/* Store a TSC at flag[n]. */
static void emit_tsc(struct code *code, uint8_t n)
{
	const uint32_t at = 0x2408 + 8 * n;

	emit(code, "\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0");	/* rdtsc; shl 32, rdx; or rdx, rax */
	emit(code, "\x48\x89\x04\x25");				/* mov rax, [at] */
	emit_bytes(code, &at, sizeof(at));
}

/*
 * A deadline 10 ms of the guest's ahead, and a one-shot count of 10 ms: neither before its time by
 * the guest's TSC, nor long after.
 */
static void expect_timer(struct __test_metadata *_metadata, struct vcpu *vcpu, uint32_t khz,
			 bool deadline)
{
	struct code code = { .vm = vcpu->vm, .gpa = LONG_CODE, .x2apic = true };
	const uint32_t ahead = 10 * khz;
	uint64_t passed;
	uint32_t hlt;

	guest_mail(vcpu->vm)->eoi = EOI_X2APIC;
	guest_mail(vcpu->vm)->silent = 1;
	guest_mail(vcpu->vm)->count[VECTOR] = 0;
	emit_apic_enable(&code);
	emit_apic_write(&code, APIC_DIVIDE, DIVIDE_BY_1);
	emit_apic_write(&code, APIC_LVT_TIMER, VECTOR | (deadline ? LVT_DEADLINE : 0));
	emit_tsc(&code, 0);
	if (deadline) {
		emit(&code, "\x48\x05");			/* add ahead, rax */
		emit_bytes(&code, &ahead, sizeof(ahead));
		emit(&code, "\x48\x89\xc2\x48\xc1\xea\x20");	/* mov rax, rdx; shr 32, rdx */
		emit(&code, "\xb9\xe0\x06\x00\x00\x0f\x30");	/* wrmsr 6e0H */
	} else {
		emit_apic_write(&code, APIC_INITIAL, device_info().apic_timer_hz / 100);
	}
	emit_sti(&code);
	hlt = code.gpa;
	emit_hlt(&code);
	emit_tsc(&code, 1);
	emit_out(&code, PORT_DONE);
	emit_jump(&code, hlt);
	guest_long_enter(vcpu, LONG_CODE);
	guest_out(vcpu, PORT_DONE);
	EXPECT_EQ(1, guest_mail(vcpu->vm)->count[VECTOR]);
	passed = guest_mail(vcpu->vm)->flag[1] - guest_mail(vcpu->vm)->flag[0];
	EXPECT_LE(ahead, passed);
	EXPECT_GT(20ull * ahead, passed)
		TH_LOG("%llu ticks of %u kHz", (unsigned long long)passed, khz);
}

TEST_F(tsc, timers)
{
	const uint32_t host = self->info.tsc_khz, khz[] = { host, host / 2 * 3, host / 3 };

	for (size_t i = 0; i < (self->scaling ? COUNT(khz) : 1); i++) {
		const struct vhm_time time = { .tsc = START, .tsc_khz = khz[i] };

		ASSERT_EQ(0, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
		expect_timer(_metadata, &self->vcpu[0], khz[i], false);
		expect_timer(_metadata, &self->vcpu[0], khz[i], true);
	}
}

GUEST_CODE(ask_frequency, 64,
	"	mov	$0x15, %eax\n"
	"	cpuid\n"
	"	mov	%eax, %esi\n"
	"	mov	%ebx, %edi\n"
	"	mov	%ecx, %r8d\n"
	"	mov	$0x16, %eax\n"
	"	cpuid\n"
	"	mov	%eax, %r9d\n"
	"	out	%al, $0x10\n");

TEST_F(tsc, told_by_cpuid)
{
	const struct vhm_time time = {
		.tsc = START, .tsc_khz = self->scaling ? self->info.tsc_khz / 2 * 3 : self->info.tsc_khz,
	};
	struct vhm_registers *regs = &self->vcpu[0].run->regs;
	uint64_t khz;

	ASSERT_EQ(0, vcpu_set(&self->vcpu[0], VHM_SECTION_TIME, &time));
	guest_run_long(&self->vcpu[0], ask_frequency);
	guest_out(&self->vcpu[0], PORT_DONE);
	ASSERT_NE(0, regs->rsi);
	EXPECT_EQ(self->info.apic_timer_hz, regs->r8);
	khz = regs->r8 / 1000 * regs->rdi / regs->rsi;
	EXPECT_LE(time.tsc_khz - time.tsc_khz / 100000 - 1, khz);
	EXPECT_GE(time.tsc_khz + time.tsc_khz / 100000 + 1, khz);
	EXPECT_EQ(time.tsc_khz / 1000, regs->r9);
}

TEST_HARNESS_MAIN
