// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's state: every section read, loaded and read again is the same, on a fresh vCPU and on one in
 * the middle of a guest; a whole state loaded into another VM goes on there; malformed buffers
 * change nothing. One row a section type.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <string.h>

#include "emit.h"

#define STATE_BYTES	32768u

/* Where a section may differ between two reads, and a value that must be refused. */
static const struct section_row {
	const char *name;
	uint32_t bytes;			/* 0: varies */
	uint32_t bad_offset;		/* of a 32-bit word */
	uint32_t bad_value;
	bool passes;			/* time: it goes on by itself */
} rows[] = {
	[VHM_SECTION_REGISTERS]	 = { "registers", sizeof(struct vhm_registers) },
	[VHM_SECTION_SREGISTERS] = { "sregisters", sizeof(struct vhm_sregisters),
				     offsetof(struct vhm_sregisters, segment[0].reserved), 1 },
	[VHM_SECTION_XSAVE]	 = { "xsave", 0, 512 + 4, 1u << 30 },	/* XSTATE_BV, high half */
	[VHM_SECTION_XCR]	 = { "xcr", sizeof(struct vhm_xcr), 4, 1 },
	[VHM_SECTION_DEBUG]	 = { "debug", sizeof(struct vhm_debug_registers),
				     offsetof(struct vhm_debug_registers, dr7) + 4, 1 },
	[VHM_SECTION_MSRS]	 = { "msrs", 0, offsetof(struct vhm_msr_value, reserved), 1 },
	[VHM_SECTION_EVENTS]	 = { "events", sizeof(struct vhm_events),
				     offsetof(struct vhm_events, run_state), 5 },
	[VHM_SECTION_APIC]	 = { "apic", sizeof(struct vhm_apic_state), 0, 1 },
	[VHM_SECTION_CPUID]	 = { "cpuid", 0, offsetof(struct vhm_cpuid_entry, reserved), 1 },
	/* any pair of counters is possible */
	[VHM_SECTION_TIME]	 = { "time", sizeof(struct vhm_time), .passes = true },
	[VHM_SECTION_PARAVIRT]	 = { "paravirt", sizeof(struct vhm_paravirt),
				     offsetof(struct vhm_paravirt, poll_control), 2 },
};

FIXTURE(state) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_SETUP(state)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(state)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

struct buffer {
	uint8_t bytes[STATE_BYTES] __attribute__((aligned(8)));
	uint64_t used;
};

static long get(struct vcpu *vcpu, uint64_t sections, struct buffer *buffer)
{
	struct vhm_state state = {
		.size = sizeof(state),
		.sections = sections,
		.buffer = (uintptr_t)buffer->bytes,
		.buffer_bytes = sizeof(buffer->bytes),
	};
	long value = vhm_ioctl(vcpu->fd, VHM_VCPU_GET_STATE, &state);

	buffer->used = state.buffer_bytes;
	return value;
}

static long set(struct vcpu *vcpu, const struct buffer *buffer)
{
	struct vhm_state state = {
		.size = sizeof(state),
		.buffer = (uintptr_t)buffer->bytes,
		.buffer_bytes = buffer->used,
	};

	return vhm_ioctl(vcpu->fd, VHM_VCPU_SET_STATE, &state);
}

static struct vhm_section *next_section(struct buffer *buffer, struct vhm_section *section)
{
	uint8_t *at = section ? (uint8_t *)(section + 1) + (section->bytes + 7) / 8 * 8 :
			      buffer->bytes;

	return at < buffer->bytes + buffer->used ? (struct vhm_section *)at : NULL;
}

#define for_each_section(buffer, section)						\
	for (struct vhm_section *section = next_section(buffer, NULL); section;		\
	     section = next_section(buffer, section))

TEST(every_type_has_a_row)
{
	ASSERT_EQ(VHM_SECTION_COUNT, COUNT(rows));
	for (uint32_t type = 1; type < VHM_SECTION_COUNT; type++)
		EXPECT_NE(NULL, rows[type].name);
}

TEST_F(state, layout)
{
	static struct buffer all;
	uint64_t seen = 0;

	ASSERT_EQ(0, get(&self->vcpu, 0, &all));
	EXPECT_LE(all.used, device_info().state_bytes);
	for_each_section(&all, section) {
		ASSERT_LT(section->type, VHM_SECTION_COUNT);
		EXPECT_EQ(0, seen & 1ull << section->type);
		seen |= 1ull << section->type;
		EXPECT_EQ(1, section->version);
		EXPECT_EQ(0, section->reserved);
		if (rows[section->type].bytes) {
			EXPECT_EQ(rows[section->type].bytes, section->bytes);
		} else {
			EXPECT_GT(section->bytes, 0);
		}
	}
	EXPECT_EQ((1ull << VHM_SECTION_COUNT) - 2, seen);
}

TEST_F(state, room)
{
	struct buffer buffer;
	struct vhm_state state = {
		.size = sizeof(state), .buffer = (uintptr_t)buffer.bytes,
	};
	uint64_t needed;

	ASSERT_EQ(-ENOSPC, vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state));
	needed = state.buffer_bytes;
	ASSERT_LE(needed, sizeof(buffer.bytes));
	memset(buffer.bytes, 0xa5, sizeof(buffer.bytes));
	state.buffer_bytes = needed - 1;
	EXPECT_EQ(-ENOSPC, vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state));
	EXPECT_EQ(needed, state.buffer_bytes);
	EXPECT_EQ(0xa5, buffer.bytes[0]);
	EXPECT_EQ(0, vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state));
	EXPECT_EQ(0xa5, buffer.bytes[needed]);
}

/* Reads, loads, reads again; the second read must equal the first. */
static int round_trip(struct vcpu *vcpu)
{
	static struct buffer first, second;
	int different = 0;

	for (uint32_t type = 1; type < VHM_SECTION_COUNT; type++) {
		must(get(vcpu, 1ull << type, &first));
		must(set(vcpu, &first));
		must(get(vcpu, 1ull << type, &second));
		if (first.used != second.used ||
		    (!rows[type].passes && memcmp(first.bytes, second.bytes, first.used))) {
			uint64_t at = 0;

			while (at < first.used && first.bytes[at] == second.bytes[at])
				at++;
			fprintf(stderr, "# section %s differs at byte %llu: %#x, %#x\n", rows[type].name,
				(unsigned long long)at - sizeof(struct vhm_section),
				first.bytes[at], second.bytes[at]);
			different++;
		}
	}
	/* and all of them at once */
	must(get(vcpu, 0, &first));
	must(set(vcpu, &first));
	return different;
}

TEST_F(state, round_trip_when_fresh)
{
	struct vcpu second;

	EXPECT_EQ(0, round_trip(&self->vcpu));
	vcpu_create(&second, &self->vm, 7);
	EXPECT_EQ(0, round_trip(&second));
	vcpu_destroy(&second);
}

/* Uses much of what a vCPU has: SSE, debug registers, MSRs, the stack, flags, the APIC. */
GUEST_CODE(busy, 64,
	"mov	$0x3ff00000, %eax\n"
	"movd	%eax, %xmm3\n"
	"mov	$0x12345, %eax\n"
	"mov	%rax, %dr2\n"
	"mov	$0xc0000102, %ecx\n"
	"mov	$0x77777777, %eax\n"
	"mov	$0x7777, %edx\n"
	"wrmsr\n"
	"mov	$0xc0000082, %ecx\n"
	"wrmsr\n"
	"mov	$0x277, %ecx\n"
	"mov	$0x00070406, %eax\n"
	"mov	$0x05070406, %edx\n"
	"wrmsr\n"
	"mov	$0xa, %eax\n"
	"mov	%rax, %cr8\n"
	"mov	$1, %r15d\n"
	"1: out	%al, $0x10\n"
	"movd	%xmm3, %ebx\n"
	"mov	%dr2, %rsi\n"
	"mov	%cr8, %rdi\n"
	"mov	$0xc0000102, %ecx\n"
	"rdmsr\n"
	"mov	%eax, %r8d\n"
	"mov	$0x277, %ecx\n"
	"rdmsr\n"
	"mov	%edx, %r9d\n"
	"mov	$0xc0000082, %ecx\n"
	"rdmsr\n"
	"mov	%eax, %r10d\n"
	"rdtsc\n"
	"shl	$32, %rdx\n"
	"or	%rdx, %rax\n"
	"mov	%rax, %r11\n"
	"inc	%r15\n"
	"push	%r15\n"
	"pop	%r14\n"
	"jmp	1b\n");

static void expect_busy(struct __test_metadata *_metadata, const struct vhm_registers *regs,
			uint64_t round)
{
	EXPECT_EQ(0x3ff00000, regs->rbx);
	EXPECT_EQ(0x12345, regs->rsi);
	EXPECT_EQ(0xa, regs->rdi);
	EXPECT_EQ(0x77777777, regs->r8);
	EXPECT_EQ(0x05070406, regs->r9);
	EXPECT_EQ(0x77777777, regs->r10);
	EXPECT_EQ(round, regs->r14);
	EXPECT_EQ(round, regs->r15);
}

TEST_F(state, round_trip_when_running)
{
	guest_run_long(&self->vcpu, busy);
	guest_out(&self->vcpu, PORT_DONE);
	for (uint64_t round = 2; round < 6; round++) {
		EXPECT_EQ(0, round_trip(&self->vcpu));
		guest_out(&self->vcpu, PORT_DONE);
		expect_busy(_metadata, &self->run->regs, round);
	}
}

/* Memory and state of one VM become another one, at the instruction where the first stands. */
TEST_F(state, cloned)
{
	static struct buffer all;
	struct vm clone_vm;
	struct vcpu clone;
	uint64_t tsc;

	guest_run_long(&self->vcpu, busy);
	guest_out(&self->vcpu, PORT_DONE);
	guest_out(&self->vcpu, PORT_DONE);
	tsc = self->run->regs.r11;
	/* an exit leaves the guest at its instruction: the OUT is executed again by the clone */
	ASSERT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	ASSERT_EQ(0, get(&self->vcpu, 0, &all));

	vm_create(&clone_vm, 0);
	memcpy(clone_vm.memory, self->vm.memory, self->vm.memory_bytes);
	vcpu_create(&clone, &clone_vm, 0);
	ASSERT_EQ(0, set(&clone, &all));
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);

	guest_out(&clone, PORT_DONE);
	expect_busy(_metadata, &clone.run->regs, 3);
	for (uint64_t round = 4; round < 8; round++) {
		guest_out(&clone, PORT_DONE);
		expect_busy(_metadata, &clone.run->regs, round);
		EXPECT_GT(clone.run->regs.r11, tsc);
	}
	self->vm = clone_vm;
	self->vcpu = clone;
	self->vcpu.vm = &self->vm;
}

/* What is on its way goes with the state: a pending vector, a timer, an exception, HLT. */
TEST_F(state, pending_events_are_cloned)
{
	static struct buffer all;
	struct code code = { .vm = &self->vm, .gpa = LONG_CODE, .x2apic = true };
	struct vm clone_vm;
	struct vcpu clone;
	uint32_t hlt;

	guest_long_tables(&self->vm);
	guest_long_enter(&self->vcpu, LONG_CODE);
	guest_mail(&self->vm)->eoi = EOI_X2APIC;
	emit_apic_enable(&code);
	emit_apic_write(&code, APIC_DIVIDE, DIVIDE_BY_1);
	emit_apic_write(&code, APIC_LVT_TIMER, 0x61);
	emit_apic_write(&code, APIC_INITIAL, device_info().apic_timer_hz / 2);
	emit_out(&code, PORT_DONE);
	emit_sti(&code);
	hlt = code.gpa;
	emit_hlt(&code);
	emit_jump(&code, hlt);
	guest_out(&self->vcpu, PORT_DONE);
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	ASSERT_EQ(1, vm_msi(&self->vm, 0xfee00000, 0x51));
	ASSERT_EQ(0, get(&self->vcpu, 0, &all));

	vm_create(&clone_vm, 0);
	memcpy(clone_vm.memory, self->vm.memory, self->vm.memory_bytes);
	vcpu_create(&clone, &clone_vm, 0);
	ASSERT_EQ(0, set(&clone, &all));
	EXPECT_EQ(0x51, guest_event(&clone));
	EXPECT_EQ(0x61, guest_event(&clone));
	EXPECT_EQ(1, guest_mail(&clone_vm)->count[0x51]);
	EXPECT_EQ(1, guest_mail(&clone_vm)->count[0x61]);
	/* the original has them, too; its timer may be over by now and then comes first */
	EXPECT_EQ(0x51 + 0x61, guest_event(&self->vcpu) + guest_event(&self->vcpu));
	vcpu_destroy(&clone);
	vm_destroy(&clone_vm);
}

/* Reading between loading and running takes nothing away: an end of interrupt is still told. */
TEST_F(state, read_after_load)
{
	static struct buffer all, again;
	struct code code = { .vm = &self->vm, .gpa = LONG_CODE, .x2apic = true };
	struct vcpu clone;
	struct vm vm;

	guest_long_tables(&self->vm);
	guest_long_enter(&self->vcpu, LONG_CODE);
	guest_mail(&self->vm)->eoi = EOI_X2APIC;
	guest_mail(&self->vm)->silent = 1;
	emit_apic_enable(&code);
	emit_out(&code, PORT_DONE);
	emit_sti(&code);
	emit_out(&code, PORT_DONE);
	emit_out(&code, PORT_DONE);
	guest_out(&self->vcpu, PORT_DONE);
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	ASSERT_EQ(1, vm_msi(&self->vm, 0xfee00000, 0x51 | 3 << 14));	/* level-triggered */
	ASSERT_EQ(0, get(&self->vcpu, 0, &all));

	vm_create(&vm, 0);
	memcpy(vm.memory, self->vm.memory, self->vm.memory_bytes);
	vcpu_create(&clone, &vm, 0);
	ASSERT_EQ(0, set(&clone, &all));
	ASSERT_EQ(0, get(&clone, 0, &again));
	guest_out(&clone, PORT_DONE);
	ASSERT_EQ(VHM_EXIT_EOI, guest_exit(&clone));
	EXPECT_EQ(0x51, clone.run->eoi.vector);
	guest_out(&clone, PORT_DONE);
	EXPECT_EQ(1, guest_mail(&vm)->count[0x51]);
	vcpu_destroy(&clone);
	vm_destroy(&vm);
}

/* Order does not matter where the state is the same. */
GUEST_CODE(in_real_mode, 16, "1: mov $0x1234, %ax\nout %ax, $0x10\njmp 1b\n");
GUEST_CODE(in_long_mode, 64, "1: mov $0x12345678, %eax\nout %eax, $0x10\njmp 1b\n");

/* Paging goes on and off between two entries, and no translation of the other mode is used. */
TEST_F(state, modes_alternate)
{
	struct vhm_sregisters real;

	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &real);
	for (int i = 0; i < 3; i++) {
		guest_run_long(&self->vcpu, in_long_mode);
		EXPECT_EQ(0x12345678, guest_out(&self->vcpu, 0x10));
		must(vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &real));
		guest_run_real(&self->vcpu, in_real_mode);
		EXPECT_EQ(0x1234, guest_out(&self->vcpu, 0x10));
	}
}

TEST_F(state, any_order)
{
	static struct buffer all, reversed, after;
	struct vhm_section *sections[VHM_SECTION_COUNT];
	size_t count = 0;

	guest_run_long(&self->vcpu, busy);
	guest_out(&self->vcpu, PORT_DONE);
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, guest_exit(&self->vcpu));
	ASSERT_EQ(0, get(&self->vcpu, 0, &all));
	for_each_section(&all, section)
		sections[count++] = section;
	while (count--) {
		size_t bytes = sizeof(struct vhm_section) + (sections[count]->bytes + 7) / 8 * 8;

		memcpy(reversed.bytes + reversed.used, sections[count], bytes);
		reversed.used += bytes;
	}
	ASSERT_EQ(0, set(&self->vcpu, &reversed));
	ASSERT_EQ(0, get(&self->vcpu, 0, &after));
	for_each_section(&all, section) {
		struct vhm_section *other = (void *)(after.bytes + ((uint8_t *)section - all.bytes));

		EXPECT_EQ(section->type, other->type);
		if (!rows[section->type].passes) {
			EXPECT_EQ(0, memcmp(section, other, sizeof(*section) + section->bytes))
				TH_LOG("section %s", rows[section->type].name);
		}
	}
	guest_out(&self->vcpu, PORT_DONE);
	expect_busy(_metadata, &self->run->regs, 2);
}

/* -------------------------------------------------------------- malformed -- */

TEST_F(state, malformed_heads)
{
	static struct buffer one, bad;
	struct vhm_section *head = (struct vhm_section *)bad.bytes;

	for (uint32_t type = 1; type < VHM_SECTION_COUNT; type++) {
		const char *name = rows[type].name;

		ASSERT_EQ(0, get(&self->vcpu, 1ull << type, &one));
#define EXPECT_SET(error, change) do {							\
		bad = one;								\
		change;									\
		EXPECT_EQ(-(error), set(&self->vcpu, &bad))				\
			TH_LOG("section %s: " #change, name);				\
} while (0)
		EXPECT_SET(EINVAL, bad.used -= 8);
		EXPECT_SET(EINVAL, bad.used = 8);
		EXPECT_SET(EINVAL, bad.used += 8);
		EXPECT_SET(EINVAL, head->bytes += 8);
		EXPECT_SET(EINVAL, head->bytes += 1);
		EXPECT_SET(EINVAL, head->bytes = ~0u);
		EXPECT_SET(EINVAL, head->bytes = ~0u - 7);
		EXPECT_SET(EINVAL, head->reserved = 1);
		EXPECT_SET(EOPNOTSUPP, head->version = 0);
		EXPECT_SET(EOPNOTSUPP, head->version = 2);
		EXPECT_SET(EOPNOTSUPP, head->type = 0);
		EXPECT_SET(EOPNOTSUPP, head->type = VHM_SECTION_COUNT);
		EXPECT_SET(EOPNOTSUPP, head->type = ~0u);
		if (rows[type].bytes)
			EXPECT_SET(EINVAL, head->bytes -= 8; bad.used -= 8);
		if (rows[type].bad_value)
			EXPECT_SET(EINVAL, *(uint32_t *)(bad.bytes + sizeof(*head) +
							 rows[type].bad_offset) = rows[type].bad_value);
	}
}

/* A bad section at the end: none of those before it is loaded. */
TEST_F(state, all_or_nothing)
{
	static struct buffer buffer;
	struct vhm_registers before, after;
	struct vhm_registers *wanted;
	struct vhm_section *last = NULL;

	vcpu_get(&self->vcpu, VHM_SECTION_REGISTERS, &before);
	ASSERT_EQ(0, get(&self->vcpu, 1 << VHM_SECTION_REGISTERS | 1 << VHM_SECTION_SREGISTERS,
			 &buffer));
	for_each_section(&buffer, section)
		last = section;
	wanted = (struct vhm_registers *)(buffer.bytes + sizeof(struct vhm_section));
	ASSERT_EQ(VHM_SECTION_SREGISTERS, last->type);
	wanted->rax = 0x1234;
	((struct vhm_sregisters *)(last + 1))->segment[0].reserved = 1;
	EXPECT_EQ(-EINVAL, set(&self->vcpu, &buffer));
	vcpu_get(&self->vcpu, VHM_SECTION_REGISTERS, &after);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	((struct vhm_sregisters *)(last + 1))->segment[0].reserved = 0;
	EXPECT_EQ(0, set(&self->vcpu, &buffer));
	vcpu_get(&self->vcpu, VHM_SECTION_REGISTERS, &after);
	EXPECT_EQ(0x1234, after.rax);
}

/* The same for a section whose values are checked only late. */
TEST_F(state, all_or_nothing_of_every_section)
{
	static struct buffer good, registers;
	struct vhm_registers after;

	for (uint32_t type = 2; type < VHM_SECTION_COUNT; type++) {
		if (!rows[type].bad_value)
			continue;
		ASSERT_EQ(0, get(&self->vcpu, 1 << VHM_SECTION_REGISTERS, &registers));
		((struct vhm_registers *)(registers.bytes + sizeof(struct vhm_section)))->rax = 0x5555;
		ASSERT_EQ(0, get(&self->vcpu, 1ull << type, &good));
		*(uint32_t *)(good.bytes + sizeof(struct vhm_section) + rows[type].bad_offset) =
			rows[type].bad_value;
		memcpy(registers.bytes + registers.used, good.bytes, good.used);
		registers.used += good.used;
		EXPECT_EQ(-EINVAL, set(&self->vcpu, &registers));
		vcpu_get(&self->vcpu, VHM_SECTION_REGISTERS, &after);
		EXPECT_EQ(0, after.rax)
			TH_LOG("registers were loaded before section %s was refused", rows[type].name);
		vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &(struct vhm_registers) { .rip = 0xfff0 });
	}
}

TEST_F(state, impossible_values)
{
	struct vhm_sregisters good, bad;
	struct vhm_events events;
	struct vhm_msr_value msr = { .index = 0x12345 };

	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &good);
#define EXPECT_BAD(change) do {								\
	bad = good;									\
	change;										\
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &bad))		\
		TH_LOG(#change);							\
} while (0)
	EXPECT_BAD(bad.cr0 |= 1ull << 32);
	EXPECT_BAD(bad.cr0 = 0x80000010);			/* PG without PE */
	EXPECT_BAD(bad.cr4 |= 1 << 13);				/* VMXE */
	EXPECT_BAD(bad.cr4 |= 1ull << 40);
	EXPECT_BAD(bad.cr3 = 1ull << 62);
	EXPECT_BAD(bad.cr8 = 16);
	EXPECT_BAD(bad.efer = 0x400);				/* LMA without LME and PG */
	EXPECT_BAD(bad.efer = 1 << 12);				/* SVME */
	EXPECT_BAD(bad.apic_base = 0xfed00900);
	EXPECT_BAD(bad.apic_base = 0xfee00500);			/* x2APIC and not enabled */
	EXPECT_BAD(bad.apic_base |= 1);
	EXPECT_BAD(bad.segment[2].selector = 0x10000);
	EXPECT_BAD(bad.segment[3].access_rights |= 0x100);
	EXPECT_BAD(bad.gdt.limit = 0x10000);
	EXPECT_BAD(bad.idt.reserved = 1);
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu, VHM_SECTION_MSRS, &msr));

	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
#define EXPECT_BAD_EVENTS(field, value) do {						\
	struct vhm_events changed = events;						\
											\
	changed.field = (value);							\
	EXPECT_EQ(-EINVAL, vcpu_set(&self->vcpu, VHM_SECTION_EVENTS, &changed))		\
		TH_LOG(#field " = " #value);						\
} while (0)
	EXPECT_BAD_EVENTS(run_state, VHM_RUN_STATE_SHUTDOWN + 1);
	EXPECT_BAD_EVENTS(interruptibility, 1 << 2);
	EXPECT_BAD_EVENTS(interruptibility, 3);
	EXPECT_BAD_EVENTS(nmi_pending, 3);
	EXPECT_BAD_EVENTS(interrupt_pending, 2);
	EXPECT_BAD_EVENTS(interrupt_vector, 256);
	EXPECT_BAD_EVENTS(init_pending, 2);
	EXPECT_BAD_EVENTS(sipi_pending, 2);
	EXPECT_BAD_EVENTS(sipi_vector, 256);
	EXPECT_BAD_EVENTS(pending_debug, 1ull << 40);
	EXPECT_BAD_EVENTS(exception.flags, 1 << 3);
	EXPECT_BAD_EVENTS(exception.flags, VHM_EVENT_HAS_ERROR_CODE);
}

TEST_F(state, random_buffers)
{
	static struct buffer buffer;
	uint64_t random = 88172645463325252;

	for (int i = 0; i < 300; i++) {
		if (i % 2) {
			ASSERT_EQ(0, get(&self->vcpu, 0, &buffer));
			for (int n = 0; n < 8; n++)
				buffer.bytes[random_next(&random) % buffer.used] = random_next(&random);
		} else {
			buffer.used = random_next(&random) % 512 * 8;
			for (uint64_t n = 0; n < buffer.used; n++)
				buffer.bytes[n] = random_next(&random);
		}
		set(&self->vcpu, &buffer);
		self->run->request = VHM_RUN_RETURN;
		vcpu_run(&self->vcpu);
	}
}

TEST_HARNESS_MAIN
