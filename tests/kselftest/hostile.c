// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile VMM: the run page is written at random while the vCPU runs, every field of it and of
 * every command takes random values. The VMM may ruin its guest, never the host; the host's log and
 * the module's removal afterwards tell.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emit.h"

#define HOSTILE_NS	1500000000u

FIXTURE(hostile) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
	volatile bool stop;
	uint64_t random;
};

FIXTURE_SETUP(hostile)
{
	vm_create(&self->vm, VHM_VM_EXIT_HLT | VHM_VM_EXIT_UNKNOWN_MSR);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
	self->random = 0x2545f4914f6cdd1d;
}

FIXTURE_TEARDOWN(hostile)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* Many kinds of exit in a row, over and over. */
GUEST_CODE(exits_of_many_kinds, 64,
	"1: out	%al, $0x10\n"
	"in	$0x60, %al\n"
	"cpuid\n"
	"mov	$0x80000000, %ebx\n"
	"mov	(%rbx), %ecx\n"
	"mov	$0x12345, %ecx\n"
	"rdmsr\n"
	"rdtsc\n"
	"mov	%rax, 0x100000\n"
	"jmp	1b\n");

/* A fresh guest, whatever the last round did to the old one. */
static void fresh_guest(struct vcpu *vcpu)
{
	guest_run_long(vcpu, exits_of_many_kinds);
	vcpu_set(vcpu, VHM_SECTION_EVENTS, &(struct vhm_events) { 0 });
}

static void *scribble(void *context)
{
	FIXTURE_DATA(hostile) *self = context;
	volatile uint64_t *words = (volatile uint64_t *)self->run;
	uint64_t random = 0x9e3779b97f4a7c15;

	while (!self->stop) {
		uint64_t value = random_next(&random);

		/* the fields that are read, most of the time */
		words[value % (value & 0x300 ? 24 : PAGE_BYTES / 8)] = random_next(&random);
	}
	return NULL;
}

static void *run_for_a_while(void *context)
{
	FIXTURE_DATA(hostile) *self = context;
	uint64_t end = now_ns() + HOSTILE_NS;
	long rounds = 0;

	while (now_ns() < end) {
		vcpu_run(&self->vcpu);
		if (++rounds % 64 == 0)
			fresh_guest(&self->vcpu);
	}
	return (void *)rounds;
}

/* A guest that is left running would keep the test from its end. */
static void *kick_often(void *context)
{
	FIXTURE_DATA(hostile) *self = context;

	while (!self->stop) {
		vcpu_kick(&self->vcpu);
		sleep_us(1000);
	}
	return NULL;
}

TEST_F(hostile, scribbled_run_page)
{
	void *scribbler, *kicker;

	fresh_guest(&self->vcpu);
	scribbler = thread_start(scribble, self);
	kicker = thread_start(kick_often, self);
	EXPECT_GT((long)run_for_a_while(self), 10);
	self->stop = true;
	thread_join(scribbler);
	thread_join(kicker);
	/* it can be used as before */
	memset(self->run, 0, PAGE_BYTES);
	while (!vcpu_run(&self->vcpu) && self->run->exit_reason == VHM_EXIT_KICKED)
		;
	fresh_guest(&self->vcpu);
	guest_out(&self->vcpu, PORT_DONE);
}

/* No race, each field random within and beyond what is legal. */
static void random_request(struct vhm_run *run, uint64_t *random)
{
	uint64_t dice = random_next(random);

	run->request = dice & 1 ? random_next(random) & 0xf : random_next(random);
	run->retire_bytes = dice & 2 ? random_next(random) % 16 : random_next(random);
	run->interrupt_vector = dice & 4 ? random_next(random) & 0xff : random_next(random);
	if (dice & 8) {
		run->inject.flags = dice & 0x10 ? 1 | (random_next(random) & 7) : random_next(random);
		run->inject.vector = dice & 0x20 ? random_next(random) % 32 : random_next(random);
		run->inject.error_code = dice & 0x40 ? 0 : random_next(random);
		run->inject.reserved = dice & 0x80 ? 0 : random_next(random);
		run->inject.payload = random_next(random);
	}
	if (dice & 0x100)
		for (__u64 *reg = &run->regs.rax; reg <= &run->regs.rflags; reg++)
			*reg = random_next(random) & (dice & 0x200 ? 0x1fffff : ~0ull);
}

TEST_F(hostile, random_requests)
{
	uint64_t end = now_ns() + HOSTILE_NS;
	void *kicker;
	int accepted = 0;

	fresh_guest(&self->vcpu);
	kicker = thread_start(kick_often, self);
	for (int i = 0; now_ns() < end; i++) {
		random_request(self->run, &self->random);
		accepted += !vcpu_run(&self->vcpu);
		if (i % 8 == 0)
			fresh_guest(&self->vcpu);
	}
	self->stop = true;
	thread_join(kicker);
	EXPECT_GT(accepted, 5);
}

/* State that passes the checks, but no processor would have: it is the guest's misfortune. */
TEST_F(hostile, random_state)
{
	uint64_t end = now_ns() + HOSTILE_NS;
	void *kicker = thread_start(kick_often, self);
	int entered = 0;

	for (int i = 0; now_ns() < end; i++) {
		struct vhm_sregisters sregs;
		struct vhm_events events;
		uint64_t dice = random_next(&self->random);

		fresh_guest(&self->vcpu);
		vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
		((uint8_t *)&sregs)[dice % sizeof(sregs)] ^= 1 << (dice >> 32) % 8;
		if (dice & 1 << 16)
			((uint8_t *)&sregs)[(dice >> 40) % sizeof(sregs)] = dice >> 20;
		vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
		vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
		if (dice & 1 << 17)
			((uint8_t *)&events)[(dice >> 48) % sizeof(events)] = dice >> 24 & 15;
		vcpu_set(&self->vcpu, VHM_SECTION_EVENTS, &events);
		memset(self->run, 0, 64);
		entered += !vcpu_run(&self->vcpu);
		vcpu_run(&self->vcpu);
	}
	self->stop = true;
	thread_join(kicker);
	EXPECT_GT(entered, 5);
}

/* Every command of every descriptor with random arguments. */
TEST_F(hostile, random_commands)
{
	const int fds[] = { self->vm.device, self->vm.fd, self->vcpu.fd };
	uint64_t argument[64], end = now_ns() + HOSTILE_NS;
	void *kicker = thread_start(kick_often, self);

	for (int i = 0; now_ns() < end; i++) {
		uint64_t dice = random_next(&self->random);
		static const uint8_t numbers[] = {
			0x00, 0x01, 0x20, 0x21, 0x22, 0x40, 0x60, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
		};
		uint8_t number = dice & 0xf0 ? numbers[(dice >> 8) % COUNT(numbers)] : dice >> 8;
		long value;

		for (size_t n = 0; n < COUNT(argument); n++)
			argument[n] = random_next(&self->random) & (dice >> 32 & 1 ? 0xfff : ~0ull) &
				      (random_next(&self->random) & 3 ? ~0ull : 0);
		/* most of the time past the checks of size and pointers */
		argument[0] = argument[0] >> 32 << 32 |
			      (dice & 0x30000 ? 16 + (dice >> 20) % 64 : (uint32_t)(dice >> 20));
		if (dice & 0xc0000 && number >= 0x82 && number <= 0x83)
			argument[2] = (uintptr_t)(self->vm.memory + LONG_DATA);
		value = vhm_ioctl(fds[dice % COUNT(fds)], _IO(VHM_IOCTL_TYPE, number), argument);
		if (value > 2 && (number == 0x02 || number == 0x20))
			close((int)value);
	}
	self->stop = true;
	thread_join(kicker);
}

TEST_HARNESS_MAIN
