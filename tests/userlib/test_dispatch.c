// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits other than ordinary instructions: ports, strings on ports, MSRs, the local APIC,
 * faults found while an instruction is performed, refusing and stopping callbacks.
 */
#include <errno.h>
#include <string.h>

#include "fake.h"
#include "test.h"

#define PAGE		4096ull
#define RAM_BYTES	0x100000ull
#define ROM_GPA		0x200000ull
#define DEVICE_GPA	0x80000000ull
#define APIC_GPA	0xfee00000ull
#define CODE		0x1000u
#define TABLES		0x40000ull

/* What the callbacks saw and what they answer. */
struct log {
	unsigned int reads, writes, calls;
	uint16_t port;
	unsigned int bytes;
	uint64_t address, value;
	uint32_t answer;
	int result;			/* of callback number @result_at */
	unsigned int result_at;
	uint8_t text[64];
	unsigned int length;
};

static struct log seen;
static struct test_vm vm;
static struct vhm_run *run;

static int result(void)
{
	return ++seen.calls == seen.result_at ? seen.result : 0;
}

static int io_read(void *context, uint16_t port, unsigned int bytes, uint32_t *data)
{
	CHECK(context == &seen);
	seen.reads++;
	seen.port = port;
	seen.bytes = bytes;
	*data = seen.answer++;
	return result();
}

static int io_write(void *context, uint16_t port, unsigned int bytes, uint32_t data)
{
	CHECK(context == &seen);
	seen.writes++;
	seen.port = port;
	seen.bytes = bytes;
	seen.value = data;
	if (seen.length < sizeof(seen.text))
		seen.text[seen.length++] = (uint8_t)data;
	return result();
}

static int mmio_read(void *context, uint64_t gpa, unsigned int bytes, void *data)
{
	(void)context;
	seen.reads++;
	seen.address = gpa;
	seen.bytes = bytes;
	memset(data, (int)seen.answer, bytes);
	return result();
}

static int mmio_write(void *context, uint64_t gpa, unsigned int bytes, const void *data)
{
	(void)context;
	seen.writes++;
	seen.address = gpa;
	seen.bytes = bytes;
	seen.value = 0;
	memcpy(&seen.value, data, bytes < 8 ? bytes : 8);
	return result();
}

static int msr_read(void *context, uint32_t index, uint64_t *value)
{
	(void)context;
	*value = 0x1122334455667788 + index;
	return result();
}

static int msr_write(void *context, uint32_t index, uint64_t value)
{
	(void)context;
	seen.address = index;
	seen.value = value;
	return result();
}

static int eoi(void *context, uint32_t vector)
{
	(void)context;
	seen.value = vector;
	return result();
}

static const struct vhm_callbacks all_callbacks = {
	.io_read = io_read, .io_write = io_write, .mmio_read = mmio_read, .mmio_write = mmio_write,
	.msr_read = msr_read, .msr_write = msr_write, .eoi = eoi,
};

static const struct vhm_callbacks no_callbacks;

/* ---------------------------------------------------------------- set-up -- */

static void flat_segments(uint32_t limit, uint32_t rights)
{
	unsigned int i;

	for (i = 0; i < 6; i++)
		fake.sregs.segment[i] = (struct vhm_segment){
			.limit = limit, .access_rights = rights,
		};
}

/* A guest in 32-bit protected mode without paging */
static void begin(void)
{
	test_vm_create(&vm);
	vhm_vm_add_memory(vm.vm, 0, RAM_BYTES, 0, NULL);
	vhm_vm_add_memory(vm.vm, ROM_GPA, PAGE, VHM_SLOT_READONLY, NULL);
	run = vhm_vcpu_run_page(vm.vcpu);
	memset(run, 0, sizeof(*run));
	memset(&seen, 0, sizeof(seen));
	fake.sregs.cr0 = 0x11;
	flat_segments(UINT32_MAX, 0xc093);
	fake.sregs.segment[VHM_SEGMENT_CS].access_rights = 0xc09b;
	run->regs.rip = CODE;
	run->regs.rflags = 2;
}

static void end(void)
{
	test_vm_destroy(&vm);
}

static int dispatch(void)
{
	run->request = 0;
	run->retire_bytes = 0;
	run->inject.flags = 0;
	return vhm_vcpu_dispatch(vm.vcpu, &all_callbacks, &seen);
}

static void io_exit(uint16_t port, unsigned int bytes, unsigned int flags, uint32_t data)
{
	run->exit_reason = VHM_EXIT_IO;
	run->insn_bytes = 2;
	run->io = (struct vhm_exit_io){
		.port = port, .bytes = (uint8_t)bytes, .flags = (uint8_t)flags, .data = data,
		.segment = VHM_SEGMENT_DS,
	};
}

static void mmio_exit(uint64_t gpa, uint32_t flags, const char *code, unsigned int bytes)
{
	vhm_vm_write(vm.vm, CODE, code, bytes);
	run->exit_reason = VHM_EXIT_MMIO;
	run->insn_bytes = 0;
	run->mmio = (struct vhm_exit_mmio){
		.gpa = gpa, .linear_address = gpa, .flags = flags | VHM_MMIO_LINEAR_VALID,
		.cs_access_rights = fake.sregs.segment[VHM_SEGMENT_CS].access_rights,
		.cr0 = fake.sregs.cr0, .cr3 = fake.sregs.cr3, .cr4 = fake.sregs.cr4,
		.efer = fake.sregs.efer,
	};
}

#define MMIO(gpa, flags, code)	mmio_exit(gpa, flags, code, sizeof(code) - 1)

static void check_injected(uint32_t vector, uint32_t error_code)
{
	CHECK(run->inject.flags & VHM_EVENT_VALID);
	CHECK_EQ(run->inject.vector, vector);
	CHECK_EQ(run->inject.error_code, error_code);
	CHECK_EQ(run->retire_bytes, 0);
}

/* ----------------------------------------------------------------- ports -- */

static void port_sizes(void)
{
	static const struct {
		unsigned int bytes;
		uint64_t rax_after;
	} in[] = {
		{ 1, 0xffffffffffffff78 }, { 2, 0xffffffffffff5678 }, { 4, 0x12345678 },
	};
	unsigned int i;

	begin();
	for (i = 0; i < 3; i++) {
		run->regs.rax = UINT64_MAX;
		io_exit(0x60, in[i].bytes, VHM_IO_IN, 0);
		seen.answer = 0x12345678;
		CHECK_EQ(dispatch(), 0);
		CHECK_EQ(run->regs.rax, in[i].rax_after);
		CHECK_EQ(run->retire_bytes, 2);
		CHECK_EQ(run->request, VHM_RUN_SET_REGISTERS);
		CHECK_EQ(seen.bytes, in[i].bytes);
		io_exit(0x3f8, in[i].bytes, 0, 0xfedcba98);
		CHECK_EQ(dispatch(), 0);
		CHECK_EQ(seen.value, 0xfedcba98 & (UINT32_MAX >> (32 - 8 * in[i].bytes)));
		CHECK_EQ(seen.port, 0x3f8);
	}
	/* what a module must not say */
	io_exit(0x60, 3, 0, 0);
	CHECK_EQ(dispatch(), -EPROTO);
	io_exit(0x60, 8, 0, 0);
	CHECK_EQ(dispatch(), -EPROTO);
	io_exit(0x60, 1, 0, 0);
	run->insn_bytes = 0;
	CHECK_EQ(dispatch(), -EPROTO);
	end();
}

static void no_device(void)
{
	begin();
	io_exit(0x60, 1, VHM_IO_IN, 0);
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &no_callbacks, NULL), 0);
	CHECK_EQ(run->regs.rax, 0xff);
	io_exit(0x60, 1, 0, 0);
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &no_callbacks, NULL), 0);
	run->regs.rbx = DEVICE_GPA;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x8b\x03");		/* mov eax, [ebx] */
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &no_callbacks, NULL), 0);
	CHECK_EQ(run->regs.rax, UINT32_MAX);
	run->exit_reason = VHM_EXIT_EOI;
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &no_callbacks, NULL), 0);
	end();
}

static void string_out(void)
{
	static const char text[] = "Hello";

	begin();
	vhm_vm_write(vm.vm, 0x5000, text, sizeof(text));
	run->regs.rsi = 0x5000;
	run->regs.rcx = 5;
	io_exit(0x3f8, 1, VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_32, 0);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.length, 5);
	CHECK(!memcmp(seen.text, text, 5));
	CHECK_EQ(run->regs.rcx, 0);
	CHECK_EQ(run->regs.rsi, 0x5005);
	CHECK_EQ(run->retire_bytes, 2);
	/* backwards, one element, another segment with a base */
	fake.sregs.segment[VHM_SEGMENT_GS].base = 0x4000;
	run->regs.rsi = 0x1004;
	run->regs.rflags |= 1 << 10;
	io_exit(0x3f8, 1, VHM_IO_STRING | VHM_IO_ADDRESS_32, 0);
	run->io.segment = VHM_SEGMENT_GS;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 'o');
	CHECK_EQ(run->regs.rsi, 0x1003);
	end();
}

static void string_in(void)
{
	uint16_t words[4];

	begin();
	seen.answer = 0x1111;
	run->regs.rdi = 0x6000;
	run->regs.rcx = 0xabcd00000003;		/* ECX counts */
	io_exit(0x1f0, 2, VHM_IO_IN | VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_32, 0);
	CHECK_EQ(dispatch(), 0);
	vhm_vm_read(vm.vm, 0x6000, words, sizeof(words));
	CHECK_EQ(words[0], 0x1111);
	CHECK_EQ(words[2], 0x1113);
	CHECK_EQ(words[3], 0);
	CHECK_EQ(run->regs.rdi, 0x6006);
	CHECK_EQ(run->regs.rcx, 0);
	/* 16-bit addresses wrap in the segment */
	run->regs.rdi = 0x1fffe;
	run->regs.rcx = 0x10002;
	io_exit(0x1f0, 2, VHM_IO_IN | VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_16, 0);
	CHECK_EQ(dispatch(), 0);
	vhm_vm_read(vm.vm, 0, words, 2);
	CHECK_EQ(words[0], 0x1115);
	CHECK_EQ(run->regs.rdi, 0x10002);
	CHECK_EQ(run->regs.rcx, 0x10000);
	/* a count of zero does nothing */
	seen.reads = 0;
	run->regs.rcx = 0;
	io_exit(0x1f0, 2, VHM_IO_IN | VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_32, 0);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.reads, 0);
	CHECK_EQ(run->retire_bytes, 2);
	end();
}

/* Long strings stop now and then, so that the guest can take an interrupt. */
static void string_portions(void)
{
	unsigned int portions = 0;

	begin();
	run->regs.rsi = 0x2000;
	run->regs.rcx = 10000;
	do {
		io_exit(0x3f8, 1, VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_32, 0);
		CHECK_EQ(dispatch(), 0);
		CHECK_EQ(run->request, VHM_RUN_SET_REGISTERS);
	} while (!run->retire_bytes && ++portions < 10);
	CHECK_EQ(portions, 2);
	CHECK_EQ(seen.writes, 10000);
	CHECK_EQ(run->regs.rcx, 0);
	end();
}

/* A port is not read if its value has nowhere to go; the fault is the guest's. */
static void string_faults(void)
{
	begin();
	fake.sregs.segment[VHM_SEGMENT_ES].limit = 0x5fff;
	run->regs.rdi = 0x5ffe;
	run->regs.rcx = 4;
	io_exit(0x1f0, 1, VHM_IO_IN | VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_32, 0);
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	CHECK_EQ(seen.reads, 2);
	CHECK_EQ(run->regs.rcx, 2);
	CHECK_EQ(run->regs.rdi, 0x6000);
	fake.sregs.segment[VHM_SEGMENT_DS].access_rights |= 1 << 16;
	run->regs.rsi = 0;
	io_exit(0x1f0, 1, VHM_IO_STRING | VHM_IO_ADDRESS_32, 0);
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	CHECK_EQ(seen.writes, 0);
	end();
}

static void callback_results(void)
{
	begin();
	/* refused: nothing happens, the guest stays */
	seen.result = -EIO;
	seen.result_at = 1;
	run->regs.rax = 5;
	io_exit(0x60, 1, VHM_IO_IN, 0);
	CHECK_EQ(dispatch(), -EIO);
	CHECK_EQ(run->retire_bytes, 0);
	CHECK_EQ(run->regs.rax, 5);
	/* stopped: the instruction is complete */
	seen.calls = 0;
	seen.result = 7;
	io_exit(0x604, 2, 0, 0x3400);
	CHECK_EQ(dispatch(), 7);
	CHECK_EQ(run->retire_bytes, 2);
	/* stopped in a string: done so far, and the rest later */
	seen.calls = 0;
	seen.result_at = 3;
	run->regs.rcx = 5;
	run->regs.rsi = 0x2000;
	io_exit(0x604, 1, VHM_IO_STRING | VHM_IO_REP | VHM_IO_ADDRESS_32, 0);
	CHECK_EQ(dispatch(), 7);
	CHECK_EQ(run->retire_bytes, 0);
	CHECK_EQ(run->regs.rcx, 2);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rcx, 0);
	CHECK_EQ(run->retire_bytes, 2);
	/* refused in a string */
	seen.calls = 0;
	seen.result = -EAGAIN;
	run->regs.rcx = 5;
	CHECK_EQ(dispatch(), -EAGAIN);
	CHECK_EQ(run->regs.rcx, 3);
	CHECK_EQ(run->request, VHM_RUN_SET_REGISTERS);
	end();
}

/* ------------------------------------------------------- MSRs, EOI, others -- */

static void msrs(void)
{
	begin();
	run->exit_reason = VHM_EXIT_MSR;
	run->insn_bytes = 2;
	run->msr = (struct vhm_exit_msr){ .index = 1 };
	run->regs.rax = run->regs.rdx = UINT64_MAX;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rax, 0x55667789);
	CHECK_EQ(run->regs.rdx, 0x11223344);
	CHECK_EQ(run->retire_bytes, 2);
	run->msr = (struct vhm_exit_msr){ .index = 2, .flags = VHM_MSR_WRITE, .value = 99 };
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 99);
	seen.calls = 0;
	seen.result_at = 1;
	seen.result = -ENOENT;
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	CHECK_EQ(run->request, 0);
	run->inject.flags = 0;
	CHECK_EQ(vhm_vcpu_dispatch(vm.vcpu, &no_callbacks, NULL), 0);
	check_injected(13, 0);
	end();
}

static void other_exits(void)
{
	uint32_t reason;

	begin();
	for (reason = 0; reason < 40; reason++) {
		bool nothing = reason == VHM_EXIT_NONE || reason == VHM_EXIT_INTERRUPTED ||
			       reason == VHM_EXIT_KICKED;

		if (reason == VHM_EXIT_IO || reason == VHM_EXIT_MMIO || reason == VHM_EXIT_MSR ||
		    reason == VHM_EXIT_EOI)
			continue;
		run->exit_reason = reason;
		CHECK_EQ(dispatch(), nothing ? 0 : VHM_DISPATCH_UNHANDLED);
		CHECK_EQ(run->request, 0);
	}
	run->exit_reason = VHM_EXIT_EOI;
	run->eoi.vector = 0x31;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x31);
	run->insn_bytes = 1;
	vhm_vcpu_retire(vm.vcpu);
	CHECK_EQ(run->retire_bytes, 1);
	end();
}

/* ---------------------------------------------------------------- memory -- */

static void local_apic(void)
{
	begin();
	fake.apic[2] = 0x05000000;
	fake.apic[3] = 0x12345678;
	run->regs.rbx = APIC_GPA;
	MMIO(APIC_GPA + 0x20, VHM_MMIO_READ | VHM_MMIO_APIC, "\x8b\x43\x20");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rax, 0x05000000);
	/* a part of a register, and what lies between two */
	MMIO(APIC_GPA + 0x31, VHM_MMIO_READ | VHM_MMIO_APIC, "\x0f\xb6\x43\x31");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rax, 0x56);
	MMIO(APIC_GPA + 0x38, VHM_MMIO_READ | VHM_MMIO_APIC, "\x8b\x43\x38");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rax, 0);
	CHECK_EQ(fake.apic_reads, 2);
	run->regs.rax = 0xabc;
	MMIO(APIC_GPA + 0xb0, VHM_MMIO_WRITE | VHM_MMIO_APIC, "\x89\x83\xb0\x00\x00\x00");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(fake.apic[0xb], 0xabc);
	CHECK_EQ(run->retire_bytes, 6);
	/* a byte is no write of a register */
	MMIO(APIC_GPA + 0xb0, VHM_MMIO_WRITE | VHM_MMIO_APIC, "\x88\x83\xb0\x00\x00\x00");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(fake.apic_writes, 1);
	/* a register the model has not */
	MMIO(APIC_GPA + 0x800, VHM_MMIO_READ | VHM_MMIO_APIC, "\x8b\x83\x00\x08\x00\x00");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rax, 0);
	CHECK_EQ(seen.reads + seen.writes, 0);
	/* the other operand of a string instruction is the APIC's */
	run->regs.rsi = DEVICE_GPA;
	run->regs.rdi = APIC_GPA + 0xe0;
	seen.answer = 0x0f;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\xa5");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(fake.apic[0xe], 0x0f0f0f0f);
	end();
}

static void read_only_memory(void)
{
	uint32_t value = 0x11111111;

	begin();
	vhm_vm_write(vm.vm, ROM_GPA, &value, 4);
	run->regs.rbx = ROM_GPA;
	run->regs.rax = 1;
	MMIO(ROM_GPA, VHM_MMIO_WRITE, "\x01\x03");		/* add [ebx], eax */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.writes, 1);
	CHECK_EQ(seen.value, 0x11111112);
	CHECK_EQ(seen.reads, 0);
	vhm_vm_read(vm.vm, ROM_GPA, &value, 4);
	CHECK_EQ(value, 0x11111111);
	end();
}

/* Memory that appeared meanwhile: the guest does it again, nothing is emulated. */
static void memory_appears(void)
{
	begin();
	run->regs.rbx = DEVICE_GPA;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x01\x03");
	vhm_vm_add_memory(vm.vm, DEVICE_GPA, PAGE, 0, NULL);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->request, 0);
	CHECK_EQ(run->retire_bytes, 0);
	end();
}

static void impossible_places(void)
{
	begin();
	MMIO(DEVICE_GPA, VHM_MMIO_FETCH, "\x90");
	CHECK_EQ(dispatch(), -EFAULT);
	MMIO(DEVICE_GPA, VHM_MMIO_READ | VHM_MMIO_WALK, "\x90");
	CHECK_EQ(dispatch(), -EFAULT);
	run->regs.rip = DEVICE_GPA;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x90");
	CHECK_EQ(dispatch(), -EFAULT);
	end();
}

static void unknown_instructions(void)
{
	static const char *const codes[] = {
		"\x0f\xae\x03",		/* fxsave */
		"\xdd\x03",		/* fld */
		"\x0f\x0b",		/* ud2 */
		"\xff\x13",		/* call [ebx] */
		"\x0f\x01\x13",		/* lgdt */
		"\x8e\x1b",		/* mov ds, [ebx] */
		"\x0f\x6f\x03",		/* movq mm0, [ebx] */
	};
	unsigned int i;

	begin();
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		run->regs.rbx = DEVICE_GPA;
		mmio_exit(DEVICE_GPA, VHM_MMIO_READ, codes[i], 3);
		CHECK_EQ(dispatch(), -EOPNOTSUPP);
		CHECK_EQ(run->retire_bytes, 0);
		CHECK_EQ(run->regs.rbx, DEVICE_GPA);
	}
	end();
}

/* ---------------------------------------------------------------- faults -- */

/* 32-bit paging: 4 KiB pages of one table, all identity-mapped at first. */
static void set_entry(unsigned int page, uint32_t entry)
{
	vhm_vm_write(vm.vm, TABLES + PAGE + 4 * page, &entry, sizeof(entry));
}

static void enable_paging(void)
{
	uint32_t entry = (uint32_t)(TABLES + PAGE) | 7;
	unsigned int i;

	vhm_vm_write(vm.vm, TABLES, &entry, sizeof(entry));
	for (i = 0; i < 1024; i++)
		set_entry(i, i << 12 | 7);
	set_entry(0x300, DEVICE_GPA | 7);
	fake.sregs.cr0 = 0x80010011;
	fake.sregs.cr3 = TABLES;
}

static void page_faults(void)
{
	begin();
	enable_paging();
	run->regs.rsi = 0x300000;
	run->regs.rdi = 0x7ffe;
	seen.answer = 0x5a;
	/* movsd from the device across a page that is not present: the device is not read */
	set_entry(8, 0);
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\xa5");
	run->mmio.linear_address = 0x300000;
	CHECK_EQ(dispatch(), 0);
	check_injected(14, 2);
	CHECK_EQ(run->inject.payload, 0x8000);
	CHECK_EQ(seen.reads, 0);
	CHECK_EQ(run->regs.rsi, 0x300000);
	/* read-only page, user: present, write, user */
	set_entry(8, 8 << 12 | 5);
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\xa5");
	run->mmio.linear_address = 0x300000;
	run->mmio.cpl = 3;
	CHECK_EQ(dispatch(), 0);
	check_injected(14, 7);
	/* now it is there */
	set_entry(8, 8 << 12 | 7);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->inject.flags, 0);
	CHECK_EQ(run->retire_bytes, 1);
	CHECK_EQ(*(uint8_t *)vhm_vm_pointer(vm.vm, 0x8001, 1), 0x5a);
	end();
}

/* Code across two pages: the second is fetched, and faults, only if it is needed. */
static void fetch_faults(void)
{
	begin();
	enable_paging();
	run->regs.rbx = 0x300000;
	run->regs.rip = CODE + PAGE - 2;
	run->regs.rax = 0x77;
	set_entry(2, 0);
	vhm_vm_write(vm.vm, CODE + PAGE - 2, "\x89\x03", 2);
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "");
	run->mmio.linear_address = 0x300000;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->retire_bytes, 2);
	CHECK_EQ(seen.value, 0x77);
	vhm_vm_write(vm.vm, CODE + PAGE - 2, "\x89\x83\x00\x00\x00\x00", 6);
	CHECK_EQ(dispatch(), 0);
	check_injected(14, 0);
	CHECK_EQ(run->inject.payload, CODE + PAGE);
	set_entry(2, 2 << 12 | 7);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->retire_bytes, 6);
	end();
}

/* REP MOVS that faults in the middle has done what came before. */
static void string_stops_at_fault(void)
{
	begin();
	enable_paging();
	set_entry(9, 0);
	run->regs.rsi = 0x300000;
	run->regs.rdi = 0x8ff0;
	run->regs.rcx = 100;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\xf3\xa5");
	run->mmio.linear_address = 0x300000;
	CHECK_EQ(dispatch(), 0);
	check_injected(14, 2);
	CHECK_EQ(run->inject.payload, 0x9000);
	CHECK_EQ(run->regs.rcx, 96);
	CHECK_EQ(run->regs.rdi, 0x9000);
	CHECK_EQ(run->regs.rsi, 0x300010);
	CHECK_EQ(seen.reads, 4);
	CHECK_EQ(run->request, VHM_RUN_SET_REGISTERS);
	end();
}

/* An exit that does not say at which linear address: nothing but the segments tells. */
static void unknown_exit(uint32_t flags, const char *code, unsigned int bytes)
{
	mmio_exit(DEVICE_GPA, flags, code, bytes);
	run->mmio.flags &= ~VHM_MMIO_LINEAR_VALID;
}

#define UNKNOWN(flags, code)	unknown_exit(flags, code, sizeof(code) - 1)

static void segment_faults(void)
{
	begin();
	run->regs.rbx = DEVICE_GPA;
	run->regs.rbp = DEVICE_GPA;
	fake.sregs.segment[VHM_SEGMENT_DS].limit = DEVICE_GPA + 2;
	UNKNOWN(VHM_MMIO_READ, "\x8b\x03");		/* mov eax, [ebx] */
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	fake.sregs.segment[VHM_SEGMENT_SS].limit = 0xfff;
	UNKNOWN(VHM_MMIO_READ, "\x8b\x45\x00");	/* mov eax, [ebp] */
	CHECK_EQ(dispatch(), 0);
	check_injected(12, 0);
	/* read-only data, execute-only code, code is never written, expand-down */
	fake.sregs.segment[VHM_SEGMENT_DS] = (struct vhm_segment){
		.limit = UINT32_MAX, .access_rights = 0xc091,
	};
	UNKNOWN(VHM_MMIO_WRITE, "\x89\x03");
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	UNKNOWN(VHM_MMIO_WRITE, "\x2e\x89\x03");
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	UNKNOWN(VHM_MMIO_READ, "\x2e\x8b\x03");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->retire_bytes, 3);
	fake.sregs.segment[VHM_SEGMENT_CS].access_rights = 0xc099;
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	fake.sregs.segment[VHM_SEGMENT_DS] = (struct vhm_segment){
		.limit = DEVICE_GPA, .access_rights = 0xc097,
	};
	UNKNOWN(VHM_MMIO_READ, "\x8b\x03");
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	fake.sregs.segment[VHM_SEGMENT_DS].limit = DEVICE_GPA - 1;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->retire_bytes, 2);
	CHECK_EQ(seen.reads, 2);
	end();
}

/*
 * An exit that says where, in segments that start at 0: the processor has made all checks and
 * nothing is asked of the kernel. In other segments, or where it is unclear, the segments decide.
 */
static void flat_segment(void)
{
	unsigned int calls;

	begin();
	run->regs.rbx = DEVICE_GPA;
	calls = fake.calls;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x89\x03");		/* mov [ebx], eax */
	CHECK_EQ(dispatch(), 0);
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x8b\x03");		/* mov eax, [ebx] */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(fake.calls, calls);
	CHECK_EQ(seen.address, DEVICE_GPA);
	/* a base: the register is not the linear address */
	fake.sregs.segment[VHM_SEGMENT_DS].base = 0x10;
	run->regs.rbx = DEVICE_GPA + 0x30;
	MMIO(DEVICE_GPA + 0x40, VHM_MMIO_READ, "\x8b\x03");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.address, DEVICE_GPA + 0x40);
	/* a base of -2 and memory in front: two bytes of four are the device's */
	fake.sregs.segment[VHM_SEGMENT_DS].base = UINT32_MAX - 1;
	run->regs.rbx = RAM_BYTES;
	run->regs.rax = 0x11223344;
	MMIO(RAM_BYTES, VHM_MMIO_WRITE, "\x89\x03");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.address, RAM_BYTES);
	CHECK_EQ(seen.bytes, 2);
	CHECK_EQ(seen.value, 0x1122);
	vhm_vm_read(vm.vm, RAM_BYTES - 2, &run->regs.rcx, 2);
	CHECK_EQ(run->regs.rcx & 0xffff, 0x3344);
	end();
}

/* -------------------------------------------- what is remembered of decoding -- */

/* Other instructions at the same address, in the same exit and of all lengths. */
static void code_changes(void)
{
	begin();
	run->regs.rbx = DEVICE_GPA;
	run->regs.rax = 0x55667788;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x89\x03\x90");		/* mov [ebx], eax */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->retire_bytes, 2);
	CHECK_EQ(seen.value, 0x55667788);
	CHECK_EQ(run->request, 0);
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x88\x23\x90");		/* mov [ebx], ah */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.bytes, 1);
	CHECK_EQ(seen.value, 0x77);
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\xc7\x03\x01\x02\x03\x04");	/* mov dword [ebx], ... */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x04030201);
	CHECK_EQ(run->retire_bytes, 6);
	/* one byte of the immediate, then one behind the eighth */
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\xc7\x03\x01\x02\x05\x04");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x04050201);
	run->regs.rbx = 0;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\xc7\x83\x00\x00\x00\x80\x01\x02\x03\x04");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x04030201);
	CHECK_EQ(run->retire_bytes, 10);
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\xc7\x83\x00\x00\x00\x80\x01\x02\x03\x44");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x44030201);
	/* and no instruction at all, and back */
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x0f\x0b");
	CHECK_EQ(dispatch(), -EOPNOTSUPP);
	run->regs.rbx = DEVICE_GPA;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x89\x03");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x55667788);
	end();
}

/* The same bytes at the same address mean something else in each mode. */
static void mode_changes(void)
{
	static const char code[] = "\x67\x89\x03";	/* address size of the other kind */
	static const struct {
		uint32_t rights;
		uint64_t efer;
		unsigned int bytes;
	} modes[] = {
		{ 0xc09b, 0, 4 },		/* 32-bit: mov [bp + di], eax */
		{ 0x009b, 0, 2 },		/* 16-bit: mov [ebx], ax */
		{ 0xa09b, 0x500, 4 },		/* 64-bit: mov [ebx], eax */
		{ 0x009b, 0, 2 },
		{ 0xc09b, 0, 4 },
	};
	uint64_t entry[] = { (TABLES + PAGE) | 7, 0x87, 0 };
	unsigned int i;

	begin();
	vhm_vm_write(vm.vm, TABLES, &entry[0], 8);
	vhm_vm_write(vm.vm, TABLES + PAGE, &entry[1], 8);
	fake.sregs.cr3 = TABLES;
	fake.sregs.segment[VHM_SEGMENT_SS].base = DEVICE_GPA - 0x3000;
	run->regs.rbx = DEVICE_GPA;
	run->regs.rbp = 0x1000;
	run->regs.rdi = 0x2000;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		fake.sregs.segment[VHM_SEGMENT_CS].access_rights = modes[i].rights;
		fake.sregs.efer = modes[i].efer;
		fake.sregs.cr0 = modes[i].efer ? 0x80000011 : 0x11;
		fake.sregs.cr4 = modes[i].efer ? 0x20 : 0;
		MMIO(DEVICE_GPA, VHM_MMIO_WRITE, code);
		CHECK_EQ(dispatch(), 0);
		CHECK_EQ(seen.writes, i + 1);
		CHECK_EQ(seen.address, DEVICE_GPA);
		CHECK_EQ(seen.bytes, modes[i].bytes);
		CHECK_EQ(run->retire_bytes, 3);
	}
	end();
}

/* The same linear address is another page, then none, then one that may not be executed. */
static void code_is_mapped_elsewhere(void)
{
	begin();
	enable_paging();
	run->regs.rbx = 0x300000;
	run->regs.rax = 0x99aabbcc;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x89\x03");
	run->mmio.linear_address = 0x300000;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.bytes, 4);
	vhm_vm_write(vm.vm, 0x8000 + (CODE & (PAGE - 1)), "\x88\x03", 2);	/* mov [ebx], al */
	set_entry(1, 0x8000 | 7);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.bytes, 1);
	CHECK_EQ(seen.writes, 2);
	set_entry(1, 0x8000 | 6);
	CHECK_EQ(dispatch(), 0);
	check_injected(14, 0);
	CHECK_EQ(run->inject.payload, CODE);
	CHECK_EQ(seen.writes, 2);
	set_entry(1, CODE | 7);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.bytes, 4);
	end();
}

/* The same instruction reaches into a second page or not, and the page is there or not. */
static void code_crosses_pages(void)
{
	static const char code[] = "\xc7\x03\x01\x02\x03\x04";

	begin();
	enable_paging();
	run->regs.rbx = 0x300000;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "");
	run->mmio.linear_address = 0x300000;
	run->regs.rip = CODE + PAGE - 3;
	vhm_vm_write(vm.vm, run->regs.rip, code, 6);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x04030201);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.writes, 2);
	CHECK_EQ(run->retire_bytes, 6);
	vhm_vm_write(vm.vm, CODE + PAGE + 2, "\x54", 1);
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x54030201);
	set_entry(2, 0);
	CHECK_EQ(dispatch(), 0);
	check_injected(14, 0);
	CHECK_EQ(run->inject.payload, CODE + PAGE);
	CHECK_EQ(seen.writes, 3);
	/* what ends with the first page does not look at the second */
	vhm_vm_write(vm.vm, CODE + PAGE - 3, "\x89\x43\x00", 3);	/* mov [ebx + 0], eax */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->retire_bytes, 3);
	end();
}

/* Far more addresses than are remembered, each with an instruction of its own, twice. */
static void many_instructions(void)
{
	unsigned int round, i;

	begin();
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 512; i++) {
			uint8_t code[7] = { 0xc6, 0x83, 0, 0, 0, 0, (uint8_t)i };

			memcpy(code + 2, &i, sizeof(i));
			run->regs.rbx = DEVICE_GPA;
			MMIO(DEVICE_GPA + i, VHM_MMIO_WRITE, "");
			run->regs.rip = CODE + 8 * i;
			vhm_vm_write(vm.vm, run->regs.rip, code, sizeof(code));
			CHECK_EQ(dispatch(), 0);
			CHECK_EQ(seen.address, DEVICE_GPA + i);
			CHECK_EQ(seen.value, i & 0xff);
		}
	}
	CHECK_EQ(seen.writes, 1024);
	end();
}

static void addresses_64(void)
{
	uint64_t entry = (TABLES + PAGE) | 7;

	begin();
	fake.sregs.cr0 = 0x80010011;
	fake.sregs.cr4 = 0x20;
	fake.sregs.efer = 0x500;
	fake.sregs.cr3 = TABLES;
	fake.sregs.segment[VHM_SEGMENT_CS].access_rights = 0xa09b;
	/* one 1 GiB page at 0 is enough for the code */
	vhm_vm_write(vm.vm, TABLES, &entry, 8);
	entry = 0x87;
	vhm_vm_write(vm.vm, TABLES + PAGE, &entry, 8);
	run->regs.rbx = 1ull << 63;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x8b\x03");
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	run->regs.rbp = (1ull << 47) - 2;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x8b\x45\x00");
	CHECK_EQ(dispatch(), 0);
	check_injected(12, 0);
	/* FS has a base in 64-bit mode */
	fake.sregs.segment[VHM_SEGMENT_FS].base = 0x2000;
	run->regs.rbx = 0x10;
	vhm_vm_write(vm.vm, 0x2010, "\x44\x33\x22\x11", 4);
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x64\x8b\x03");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(run->regs.rax, 0x11223344);
	/* movaps that is not aligned */
	run->regs.rbx = 0x3008;
	MMIO(DEVICE_GPA, VHM_MMIO_READ, "\x0f\x28\x03");
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	end();
}

/* Real mode: 16-bit code, segments shifted by 4, 64 KiB limits */
static void real_mode(void)
{
	begin();
	fake.sregs.cr0 = 0x10;
	flat_segments(0xffff, 0x93);
	fake.sregs.segment[VHM_SEGMENT_CS].access_rights = 0x9b;
	fake.sregs.segment[VHM_SEGMENT_ES].base = 0xfffff0;
	vhm_vm_remove_memory(vm.vm, ROM_GPA);
	run->regs.rdi = 0xffff1234;
	run->regs.rax = 0x11223344;
	MMIO(0x1001224, VHM_MMIO_WRITE, "\x26\x89\x05");	/* mov es:[di], ax */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.address, 0x1001224);
	CHECK_EQ(seen.value, 0x3344);
	CHECK_EQ(seen.bytes, 2);
	CHECK_EQ(run->retire_bytes, 3);
	/* the last byte of a segment */
	run->regs.rdi = 0xffff;
	MMIO(0x100ffef, VHM_MMIO_WRITE, "\x26\x89\x05");
	CHECK_EQ(dispatch(), 0);
	check_injected(13, 0);
	/* DI wraps and keeps the rest of EDI */
	MMIO(0x100ffef, VHM_MMIO_WRITE, "\xaa");		/* stosb */
	run->regs.rdi = 0x1234ffff;
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.address, 0x100ffef);
	CHECK_EQ(run->regs.rdi, 0x12340000);
	/* 32-bit operand and address by prefixes */
	run->regs.rdi = 0x10;
	MMIO(0x1000000, VHM_MMIO_WRITE, "\x26\x66\x67\x89\x07");
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.value, 0x11223344);
	CHECK_EQ(seen.address, 0x1000000);
	/* 16-bit addresses wrap; CS may be written */
	fake.sregs.segment[VHM_SEGMENT_CS].base = 0;
	run->regs.rbx = 0xfff0;
	run->regs.rsi = 0x40;
	MMIO(DEVICE_GPA, VHM_MMIO_WRITE, "\x2e\x89\x00");	/* mov cs:[bx+si], ax */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(*(uint16_t *)vhm_vm_pointer(vm.vm, 0x30, 2), 0x3344);
	end();
}

/* A refused access leaves all registers as they were. */
static void refused_instructions(void)
{
	static const struct {
		const char *code;
		unsigned int bytes, result_at;
	} tries[] = {
		{ "\x8b\x03", 2, 1 },			/* mov eax, [ebx] */
		{ "\x01\x03", 2, 2 },			/* add [ebx], eax */
		{ "\x0f\xc1\x03", 3, 2 },		/* xadd [ebx], eax */
		{ "\x87\x03", 2, 2 },			/* xchg [ebx], eax */
		{ "\x0f\xb1\x0b", 3, 2 },		/* cmpxchg [ebx], ecx */
		{ "\x0f\xc7\x0b", 3, 2 },		/* cmpxchg8b [ebx] */
		{ "\x8f\x03", 2, 1 },			/* pop [ebx] */
		{ "\xff\x33", 2, 1 },			/* push [ebx] */
		{ "\xa5", 1, 1 },			/* movsd */
		{ "\xf3\xab", 2, 1 },			/* rep stosd */
	};
	struct vhm_registers before;
	unsigned int i;

	begin();
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		run->regs = (struct vhm_registers){
			.rax = 1, .rcx = 2, .rdx = 3, .rbx = DEVICE_GPA, .rsp = 0x8000,
			.rsi = DEVICE_GPA, .rdi = DEVICE_GPA, .rip = CODE, .rflags = 2,
		};
		before = run->regs;
		seen.calls = 0;
		seen.result = -EIO;
		seen.result_at = tries[i].result_at;
		mmio_exit(DEVICE_GPA, VHM_MMIO_READ | VHM_MMIO_WRITE, tries[i].code,
			  tries[i].bytes);
		CHECK_EQ(dispatch(), -EIO);
		CHECK(!memcmp(&before, &run->regs, sizeof(before)));
		CHECK_EQ(run->retire_bytes, 0);
	}
	end();
}

/* A denied access finds the VMM's devices instead of the memory that is there. */
static void redirected(void)
{
	uint32_t value = 0;

	begin();
	vhm_vm_write(vm.vm, 0x5000, "\x11\x22\x33\x44", 4);
	run->regs = (struct vhm_registers){
		.rax = 0x55667788, .rbx = 0x5000, .rip = CODE, .rflags = 2,
	};
	/* mov [ebx], eax */
	MMIO(0x5000, VHM_MMIO_WRITE, "\x89\x03");
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), -EINVAL);
	/* the same as an MMIO exit finds the memory by now and does nothing */
	CHECK_EQ(dispatch(), 0);
	CHECK_EQ(seen.writes, 0);
	run->exit_reason = VHM_EXIT_DENIED;
	CHECK_EQ(dispatch(), VHM_DISPATCH_UNHANDLED);
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), 0);
	CHECK_EQ(seen.writes, 1);
	CHECK_EQ(seen.reads, 0);
	CHECK_EQ(seen.address, 0x5000);
	CHECK_EQ(seen.bytes, 4);
	CHECK_EQ(seen.value, 0x55667788);
	CHECK_EQ(run->retire_bytes, 2);
	vhm_vm_read(vm.vm, 0x5000, &value, 4);
	CHECK_EQ(value, 0x44332211);

	/* inc dword [ebx]: both ways; a callback that refuses leaves the guest at it */
	MMIO(0x5000, VHM_MMIO_READ | VHM_MMIO_WRITE, "\xff\x03");
	run->exit_reason = VHM_EXIT_DENIED;
	seen = (struct log){ .answer = 0x21, .result = -EIO, .result_at = 2 };
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), -EIO);
	CHECK_EQ(run->retire_bytes, 0);
	seen.result_at = 0;
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), 0);
	CHECK_EQ(seen.value, 0x21212122);
	CHECK_EQ(run->retire_bytes, 2);

	/* a page on the way that is not the exit's is memory: push [ebx] */
	run->regs.rsp = 0x8000;
	MMIO(0x5000, VHM_MMIO_READ, "\xff\x33");
	run->exit_reason = VHM_EXIT_DENIED;
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), 0);
	vhm_vm_read(vm.vm, 0x7ffc, &value, 4);
	CHECK_EQ(value, 0x21212121);
	end();
}

static void redirected_otherwise(void)
{
	uint8_t byte = 0;

	begin();
	/* rep stosb: one element, then the guest meets the rights of the next page itself */
	run->regs = (struct vhm_registers){
		.rax = 0x77, .rcx = 3, .rdi = 0x5fff, .rip = CODE, .rflags = 2,
	};
	MMIO(0x5fff, VHM_MMIO_WRITE, "\xf3\xaa");
	run->exit_reason = VHM_EXIT_DENIED;
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), 0);
	CHECK_EQ(seen.writes, 1);
	CHECK_EQ(run->regs.rcx, 2);
	CHECK_EQ(run->regs.rdi, 0x6000);
	CHECK_EQ(run->retire_bytes, 0);
	CHECK_EQ(run->request, VHM_RUN_SET_REGISTERS);
	vhm_vm_read(vm.vm, 0x6000, &byte, 1);
	CHECK_EQ(byte, 0);

	/* no access of an instruction's */
	MMIO(0x5000, VHM_MMIO_FETCH, "\x90");
	run->exit_reason = VHM_EXIT_DENIED;
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), -EOPNOTSUPP);
	MMIO(0x5000, VHM_MMIO_WRITE | VHM_MMIO_WALK, "\x89\x03");
	run->exit_reason = VHM_EXIT_DENIED;
	CHECK_EQ(vhm_vcpu_redirect(vm.vcpu, &all_callbacks, &seen), -EOPNOTSUPP);
	CHECK_EQ(seen.writes, 1);
	end();
}

static uint64_t random_register(void)
{
	switch (random_below(4)) {
	case 0:
		return DEVICE_GPA + (random64() & 0x1fff);
	case 1:
		return random64() & 0xfffff;
	case 2:
		return random64() & 0xff;
	default:
		return random64();
	}
}

/* Random bytes as code, registers and exits: any answer, no harm. */
static void random_code(void)
{
	static const uint32_t rights[] = { 0x9b, 0xc09b, 0xa09b };
	uint8_t code[16];
	unsigned int i, j;
	uint64_t entry;
	__u64 *gpr;

	begin();
	enable_paging();
	gpr = (__u64 *)(void *)&run->regs;
	for (i = 0; i < 60000; i++) {
		unsigned int mode = random_below(3);

		for (j = 0; j < 16; j++) {
			code[j] = (uint8_t)random64();
			gpr[j] = random_register();
		}
		run->regs.rip = CODE;
		fake.sregs.segment[VHM_SEGMENT_CS].access_rights = rights[mode];
		fake.sregs.efer = mode == 2 ? 0x500 : 0;
		fake.sregs.cr4 = mode == 2 ? 0x20 : 0;
		fake.sregs.cr0 = mode == 2 ? 0x80000011 : 0x11;
		entry = 0x87;
		vhm_vm_write(vm.vm, TABLES + 2 * PAGE, &entry, 8);
		entry = (TABLES + 2 * PAGE) | 7;
		vhm_vm_write(vm.vm, TABLES + 3 * PAGE, &entry, 8);
		fake.sregs.cr3 = TABLES + 3 * PAGE;
		mmio_exit(DEVICE_GPA + (random64() & 0x1fff), (uint32_t)random64() & 0x2b,
			  (const char *)code, sizeof(code));
		dispatch();
		CHECK(run->retire_bytes <= 15);
		CHECK(!run->retire_bytes || !run->inject.flags);
	}
	end();
}

const struct test_case dispatch_cases[] = {
	{ "dispatch: port sizes", port_sizes },
	{ "dispatch: no device", no_device },
	{ "dispatch: OUTS", string_out },
	{ "dispatch: INS", string_in },
	{ "dispatch: strings in portions", string_portions },
	{ "dispatch: faults of INS and OUTS", string_faults },
	{ "dispatch: results of callbacks", callback_results },
	{ "dispatch: MSRs", msrs },
	{ "dispatch: other exits", other_exits },
	{ "dispatch: local APIC", local_apic },
	{ "dispatch: read-only memory", read_only_memory },
	{ "dispatch: memory appears", memory_appears },
	{ "dispatch: code and tables in no memory", impossible_places },
	{ "dispatch: unknown instructions", unknown_instructions },
	{ "dispatch: page faults", page_faults },
	{ "dispatch: faults of the fetch", fetch_faults },
	{ "dispatch: REP stops at a fault", string_stops_at_fault },
	{ "dispatch: segment faults", segment_faults },
	{ "dispatch: segments that start at 0", flat_segment },
	{ "dispatch: code changes", code_changes },
	{ "dispatch: the mode changes", mode_changes },
	{ "dispatch: code is mapped elsewhere", code_is_mapped_elsewhere },
	{ "dispatch: code crosses pages", code_crosses_pages },
	{ "dispatch: many instructions", many_instructions },
	{ "dispatch: 64-bit addresses", addresses_64 },
	{ "dispatch: real mode", real_mode },
	{ "dispatch: refused accesses change nothing", refused_instructions },
	{ "dispatch: denied accesses on devices", redirected },
	{ "dispatch: denied accesses of other kinds", redirected_otherwise },
	{ "dispatch: random code", random_code },
	{ 0 },
};
