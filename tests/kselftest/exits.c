// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every way a guest comes back to its VMM, caused by guest code: ports, memory without a slot,
 * MSRs, HLT, hypercalls, shutdown, task switch, refused state, kicks. What is delivered to
 * the guest instead is tested in exceptions.c and events.c.
 *
 * VHM_EXIT_EXCEPTION (the host's split-lock detection) and VHM_EXIT_UNHANDLED need a
 * processor that misbehaves or has what the emulated one has not.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "guest.h"

#define MSR_UNKNOWN	0x12345

FIXTURE(exits) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
};

FIXTURE_VARIANT(exits) {
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(exits, kernel) { .flags = 0 };
FIXTURE_VARIANT_ADD(exits, user) {
	.flags = VHM_VM_EXIT_UNKNOWN_MSR | VHM_VM_EXIT_HLT | VHM_VM_EXIT_HYPERCALL,
};

FIXTURE_SETUP(exits)
{
	vm_create(&self->vm, variant->flags);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
	self->run = self->vcpu.run;
}

FIXTURE_TEARDOWN(exits)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

#define ASSERT_EXIT(reason) do {							\
	uint32_t seen_reason = guest_exit(&self->vcpu);					\
											\
	ASSERT_EQ((uint32_t)(reason), seen_reason) {					\
		TH_LOG("exit '%s', hardware reason %#x, qualification %#llx, RIP %#llx",	\
		       exit_name(seen_reason), self->run->hardware_reason,		\
		       (unsigned long long)self->run->hardware_qualification,		\
		       (unsigned long long)self->run->regs.rip);			\
	}										\
} while (0)

/* ------------------------------------------------------------------ ports -- */

GUEST_CODE(outs_of_all_sizes, 64,
	"mov	$0x1122334455667788, %rax\n"
	"out	%al, $0x80\n"
	"mov	$0xfffe, %edx\n"
	"out	%ax, %dx\n"
	"mov	$0x1234, %edx\n"
	"out	%eax, %dx\n"
	"out	%eax, $0xff\n");

TEST_F(exits, out)
{
	const struct { uint16_t port; uint8_t bytes, insn_bytes; uint32_t data; } wanted[] = {
		{ 0x80, 1, 2, 0x88 },
		{ 0xfffe, 2, 2, 0x7788 },
		{ 0x1234, 4, 1, 0x55667788 },
		{ 0xff, 4, 2, 0x55667788 },
	};

	guest_run_long(&self->vcpu, outs_of_all_sizes);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		ASSERT_EXIT(VHM_EXIT_IO);
		EXPECT_EQ(wanted[i].port, self->run->io.port);
		EXPECT_EQ(wanted[i].bytes, self->run->io.bytes);
		EXPECT_EQ(0, self->run->io.flags);
		EXPECT_EQ(wanted[i].data, self->run->io.data);
		EXPECT_EQ(wanted[i].insn_bytes, self->run->insn_bytes);
		EXPECT_EQ(30, self->run->hardware_reason);
		EXPECT_EQ(wanted[i].port, self->run->hardware_qualification >> 16);
		vcpu_retire(&self->vcpu);
	}
}

/* Without retire_bytes the instruction runs again, and nothing of it has happened. */
TEST_F(exits, not_retired)
{
	uint64_t rip;

	guest_run_long(&self->vcpu, outs_of_all_sizes);
	ASSERT_EXIT(VHM_EXIT_IO);
	rip = self->run->regs.rip;
	ASSERT_EXIT(VHM_EXIT_IO);
	EXPECT_EQ(rip, self->run->regs.rip);
	EXPECT_EQ(0x80, self->run->io.port);
}

GUEST_CODE(ins_of_all_sizes, 64,
	"mov	$0x1122334455667788, %rax\n"
	"in	$0x80, %al\n"
	"mov	%rax, " MAIL_FLAG "\n"
	"mov	$0xfffe, %edx\n"
	"in	%dx, %ax\n"
	"mov	%rax, " MAIL_FLAG " + 8\n"
	"in	%dx, %eax\n"
	"mov	%rax, " MAIL_FLAG " + 16\n"
	"out	%al, $0x10\n");

TEST_F(exits, in)
{
	const struct { uint8_t bytes; uint64_t answer; } steps[] = {
		{ 1, 0x11223344556677a1 },
		{ 2, 0x112233445566b2b1 },
		{ 4, 0x00000000c4c3c2c1 },
	};
	const uint64_t *flag = guest_mail(&self->vm)->flag;

	guest_run_long(&self->vcpu, ins_of_all_sizes);
	for (size_t i = 0; i < COUNT(steps); i++) {
		ASSERT_EXIT(VHM_EXIT_IO);
		EXPECT_EQ(VHM_IO_IN, self->run->io.flags);
		EXPECT_EQ(steps[i].bytes, self->run->io.bytes);
		guest_registers(&self->vcpu)->rax = steps[i].answer;
		vcpu_retire(&self->vcpu);
	}
	guest_out(&self->vcpu, PORT_DONE);
	for (size_t i = 0; i < COUNT(steps); i++)
		EXPECT_EQ(steps[i].answer, flag[i]);
}

GUEST_CODE(long_strings, 64,
	"mov	$0x60, %edx\n"
	"mov	$0x100010, %esi\n"
	"mov	$0x100020, %edi\n"
	"mov	$3, %ecx\n"
	"outsb\n"
	"rep outsw\n"
	"insl\n"
	"rep insb\n"
	"addr32 outsb\n"
	"fs outsb\n");

TEST_F(exits, string_io)
{
	const struct { uint8_t bytes, flags; uint32_t segment; uint64_t address; } wanted[] = {
		{ 1, VHM_IO_STRING, VHM_SEGMENT_DS, 0x100010 },
		{ 2, VHM_IO_STRING | VHM_IO_REP, VHM_SEGMENT_DS, 0x100010 },
		{ 4, VHM_IO_STRING | VHM_IO_IN, VHM_SEGMENT_ES, 0x100020 },
		{ 1, VHM_IO_STRING | VHM_IO_IN | VHM_IO_REP, VHM_SEGMENT_ES, 0x100020 },
		{ 1, VHM_IO_STRING | VHM_IO_ADDRESS_32, VHM_SEGMENT_DS, 0x100010 },
		{ 1, VHM_IO_STRING, VHM_SEGMENT_FS, 0x100010 + 0x5000 },
	};
	struct vhm_sregisters sregs;

	guest_run_long(&self->vcpu, long_strings);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	sregs.segment[VHM_SEGMENT_FS].base = 0x5000;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs));
	for (size_t i = 0; i < COUNT(wanted); i++) {
		ASSERT_EXIT(VHM_EXIT_IO);
		EXPECT_EQ(0x60, self->run->io.port);
		EXPECT_EQ(wanted[i].bytes, self->run->io.bytes);
		EXPECT_EQ(wanted[i].flags, self->run->io.flags);
		EXPECT_EQ(wanted[i].segment, self->run->io.segment);
		EXPECT_EQ(wanted[i].address, self->run->io.linear_address);
		vcpu_retire(&self->vcpu);
	}
}

GUEST_CODE(real_strings, 16,
	"mov	$0x100, %ax\n"
	"mov	%ax, %ds\n"
	"mov	$0x200, %ax\n"
	"mov	%ax, %es\n"
	"mov	$0x60, %dx\n"
	"mov	$0x10, %si\n"
	"mov	$0x20, %di\n"
	"outsb\n"
	"rep insw\n"
	"es outsb\n"
	"addr32 outsb\n");

TEST_F(exits, string_io_real_mode)
{
	const struct { uint8_t flags; uint32_t segment; uint64_t address; } wanted[] = {
		{ VHM_IO_STRING | VHM_IO_ADDRESS_16, VHM_SEGMENT_DS, 0x1010 },
		{ VHM_IO_STRING | VHM_IO_ADDRESS_16 | VHM_IO_IN | VHM_IO_REP, VHM_SEGMENT_ES, 0x2020 },
		{ VHM_IO_STRING | VHM_IO_ADDRESS_16, VHM_SEGMENT_ES, 0x2010 },
		{ VHM_IO_STRING | VHM_IO_ADDRESS_32, VHM_SEGMENT_DS, 0x1010 },
	};

	guest_run_real(&self->vcpu, real_strings);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		ASSERT_EXIT(VHM_EXIT_IO);
		EXPECT_EQ(wanted[i].flags, self->run->io.flags);
		EXPECT_EQ(wanted[i].segment, self->run->io.segment);
		EXPECT_EQ(wanted[i].address, self->run->io.linear_address);
		vcpu_retire(&self->vcpu);
	}
}

/* A VMM's RIP, RSP, flags and all general registers reach the guest, and come back. */
GUEST_CODE(rotate_registers, 64,
	"xchg	%rax, %rbx\n"
	"xchg	%rcx, %rdx\n"
	"xchg	%rsi, %rdi\n"
	"xchg	%rbp, %r8\n"
	"xchg	%r9, %r10\n"
	"xchg	%r11, %r12\n"
	"xchg	%r13, %r14\n"
	"not	%r15\n"
	"out	%al, $0x10\n");

TEST_F(exits, registers_both_ways)
{
	uint64_t random = 0x9e3779b97f4a7c15;
	const __u64 *out = &self->run->regs.rax;
	__u64 value[16], *in;
	static const int from[16] = { 3, 2, 1, 0, 4, 8, 7, 6, 5, 10, 9, 12, 11, 14, 13, 15 };

	guest_run_long(&self->vcpu, rotate_registers);
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EXIT(VHM_EXIT_KICKED);
	in = &guest_registers(&self->vcpu)->rax;
	for (int i = 0; i < 16; i++) {
		if (i != 4)
			in[i] = random_next(&random);
		value[i] = in[i];
	}
	self->run->regs.rflags = 0x8d7;
	guest_out(&self->vcpu, PORT_DONE);
	for (int i = 0; i < 15; i++)
		EXPECT_EQ(value[from[i]], out[i]);
	EXPECT_EQ(~value[15], self->run->regs.r15);
	EXPECT_EQ(0x8d7, self->run->regs.rflags);
}

/* ----------------------------------------------------------------- memory -- */

GUEST_CODE(mmio_accesses, 64,
	"mov	$0x80000000, %ebx\n"
	"mov	$0x5a, %al\n"
	"mov	(%rbx), %eax\n"
	"mov	%eax, 0x123(%rbx)\n"
	"lock incl 8(%rbx)\n"
	"out	%al, $0x10\n");

TEST_F(exits, mmio)
{
	guest_run_long(&self->vcpu, mmio_accesses);
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_EQ(UNBACKED, self->run->mmio.gpa);
	EXPECT_EQ(UNBACKED, self->run->mmio.linear_address);
	EXPECT_EQ(VHM_MMIO_READ | VHM_MMIO_LINEAR_VALID, self->run->mmio.flags);
	EXPECT_EQ(0, self->run->mmio.cpl);
	EXPECT_EQ(0, self->run->mmio.cs_base);
	EXPECT_EQ(0xa09b, self->run->mmio.cs_access_rights);
	EXPECT_EQ(0x80010033, self->run->mmio.cr0);
	EXPECT_EQ(LONG_PML4, self->run->mmio.cr3);
	EXPECT_EQ(0x620, self->run->mmio.cr4);
	EXPECT_EQ(0xd00, self->run->mmio.efer);
	EXPECT_EQ(0, self->run->insn_bytes);
	guest_registers(&self->vcpu)->rax = 0xabcd;
	self->run->retire_bytes = 2;
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_EQ(UNBACKED + 0x123, self->run->mmio.gpa);
	EXPECT_EQ(VHM_MMIO_WRITE | VHM_MMIO_LINEAR_VALID, self->run->mmio.flags);
	EXPECT_EQ(0xabcd, self->run->regs.rax);
	self->run->retire_bytes = 6;
	ASSERT_EXIT(VHM_EXIT_MMIO);
	/* a read-modify-write: the processor may report it as either or both */
	EXPECT_TRUE(self->run->mmio.flags & (VHM_MMIO_READ | VHM_MMIO_WRITE));
	EXPECT_EQ(UNBACKED + 8, self->run->mmio.gpa);
	self->run->retire_bytes = 4;
	guest_out(&self->vcpu, PORT_DONE);
}

GUEST_CODE(jump_to_rbx, 64, "jmp *%rbx\n");

TEST_F(exits, mmio_fetch)
{
	guest_run_long(&self->vcpu, jump_to_rbx);
	self->run->request = VHM_RUN_RETURN;
	ASSERT_EXIT(VHM_EXIT_KICKED);
	guest_registers(&self->vcpu)->rbx = UNBACKED + 0x456;
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_EQ(UNBACKED + 0x456, self->run->mmio.gpa);
	EXPECT_TRUE(self->run->mmio.flags & VHM_MMIO_FETCH);
	EXPECT_FALSE(self->run->mmio.flags & (VHM_MMIO_READ | VHM_MMIO_WRITE | VHM_MMIO_WALK));
	EXPECT_EQ(UNBACKED + 0x456, self->run->regs.rip);
}

/* The guest's page tables themselves lie where no memory is. */
TEST_F(exits, mmio_walk)
{
	uint64_t *pdpt = (uint64_t *)(self->vm.memory + LONG_PML4 + PAGE_BYTES);

	guest_run_long(&self->vcpu, mmio_accesses);
	pdpt[2] = (UNBACKED + 0x7000) | 7;	/* the directory of 80000000H */
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_TRUE(self->run->mmio.flags & VHM_MMIO_WALK);
	EXPECT_EQ(UNBACKED + 0x7000, self->run->mmio.gpa & ~0xfffull);
	EXPECT_EQ(UNBACKED, self->run->mmio.linear_address);
}

TEST_F(exits, mmio_user_mode)
{
	struct vhm_sregisters sregs;

	guest_run_long(&self->vcpu, mmio_accesses);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	sregs.segment[VHM_SEGMENT_CS].selector = SELECTOR_USER_CODE;
	sregs.segment[VHM_SEGMENT_CS].access_rights = 0xa0fb;
	for (int i = VHM_SEGMENT_ES; i <= VHM_SEGMENT_GS; i++) {
		if (i == VHM_SEGMENT_CS)
			continue;
		sregs.segment[i].selector = SELECTOR_USER_DATA;
		sregs.segment[i].access_rights = 0xc0f3;
	}
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs));
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_EQ(3, self->run->mmio.cpl);
	EXPECT_EQ(0xa0fb, self->run->mmio.cs_access_rights);
}

GUEST_CODE(real_mmio, 16,
	"mov	$0xf800, %ax\n"
	"mov	%ax, %ds\n"
	"mov	0x8, %al\n"
	"mov	%al, 0x10\n");

/* Real mode, and memory that ends below the address: a VM of 512 KiB is made of a slot. */
TEST_F(exits, mmio_real_mode)
{
	ASSERT_EQ(0, vm_remove_slot(&self->vm, 0));
	ASSERT_EQ(0, vm_add_slot(&self->vm, 0, 0, 0, 512 << 10, self->vm.memory));
	guest_run_real(&self->vcpu, real_mmio);
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_EQ(0xf8008, self->run->mmio.gpa);
	EXPECT_EQ(VHM_MMIO_READ | VHM_MMIO_LINEAR_VALID, self->run->mmio.flags);
	EXPECT_EQ(0, self->run->mmio.cr0 & 1);
	EXPECT_EQ(0, self->run->mmio.efer);
	self->run->retire_bytes = 3;
	ASSERT_EXIT(VHM_EXIT_MMIO);
	EXPECT_EQ(0xf8010, self->run->mmio.gpa);
	EXPECT_TRUE(self->run->mmio.flags & VHM_MMIO_WRITE);
}

GUEST_CODE(touch, 64,
	"mov	$0x40000000, %ebx\n"
	"mov	(%rbx), %al\n"
	"out	%al, $0x10\n"
	"movb	$7, (%rbx)\n"
	"out	%al, $0x10\n"
	"jmp	*%rbx\n");

/* A slot whose pages the host's address space does not have, or does not allow. */
TEST_F(exits, memory_fault)
{
	const uint64_t gpa = 0x40000000;
	uint8_t *page = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_EQ(0, vm_add_slot(&self->vm, 1, 0, gpa, PAGE_BYTES, page));
	guest_run_long(&self->vcpu, touch);
	ASSERT_EXIT(VHM_EXIT_MEMORY_FAULT);
	EXPECT_EQ(gpa, self->run->memory_fault.gpa & ~0xfffull);
	EXPECT_EQ(VHM_MMIO_READ, self->run->memory_fault.flags);
	EXPECT_EQ(EFAULT, self->run->memory_fault.error);
	ASSERT_EQ(0, mprotect(page, PAGE_BYTES, PROT_READ));
	guest_out(&self->vcpu, PORT_DONE);
	ASSERT_EXIT(VHM_EXIT_MEMORY_FAULT);
	EXPECT_EQ(VHM_MMIO_WRITE, self->run->memory_fault.flags);
	EXPECT_EQ(EFAULT, self->run->memory_fault.error);
	ASSERT_EQ(0, mprotect(page, PAGE_BYTES, PROT_READ | PROT_WRITE));
	guest_out(&self->vcpu, PORT_DONE);
	EXPECT_EQ(7, *page);
	munmap(page, PAGE_BYTES);
	ASSERT_EXIT(VHM_EXIT_MEMORY_FAULT);
	EXPECT_EQ(VHM_MMIO_FETCH, self->run->memory_fault.flags & ~VHM_MMIO_READ);
	EXPECT_EQ(gpa, self->run->regs.rip);
}

/* ------------------------------------------------------------------- MSRs -- */

GUEST_CODE(unknown_msr, 64,
	"mov	$0x12345, %ecx\n"
	"rdmsr\n"
	"out	%eax, $0x10\n"
	"mov	%edx, %eax\n"
	"out	%eax, $0x10\n"
	"mov	$0x89abcdef, %eax\n"
	"mov	$0x01234567, %edx\n"
	"wrmsr\n"
	"out	%al, $0x10\n"
	"rdmsr\n");

TEST_F(exits, unknown_msr)
{
	guest_run_long(&self->vcpu, unknown_msr);
	if (!(variant->flags & VHM_VM_EXIT_UNKNOWN_MSR)) {
		EXPECT_EQ(13, guest_event(&self->vcpu));
		EXPECT_EQ(0, guest_frame(&self->vcpu)->error);
		EXPECT_EQ(LONG_CODE + 5, guest_frame(&self->vcpu)->rip);
		return;
	}
	ASSERT_EXIT(VHM_EXIT_MSR);
	EXPECT_EQ(MSR_UNKNOWN, self->run->msr.index);
	EXPECT_EQ(0, self->run->msr.flags);
	EXPECT_EQ(2, self->run->insn_bytes);
	guest_registers(&self->vcpu)->rax = 0x11111111;
	self->run->regs.rdx = 0x22222222;
	vcpu_retire(&self->vcpu);
	EXPECT_EQ(0x11111111, guest_out(&self->vcpu, PORT_DONE));
	EXPECT_EQ(0x22222222, guest_out(&self->vcpu, PORT_DONE));
	ASSERT_EXIT(VHM_EXIT_MSR);
	EXPECT_EQ(MSR_UNKNOWN, self->run->msr.index);
	EXPECT_EQ(VHM_MSR_WRITE, self->run->msr.flags);
	EXPECT_EQ(0x0123456789abcdef, self->run->msr.value);
	vcpu_retire(&self->vcpu);
	guest_out(&self->vcpu, PORT_DONE);
	/* refused by the VMM */
	ASSERT_EXIT(VHM_EXIT_MSR);
	self->run->inject = (struct vhm_event) {
		.flags = VHM_EVENT_VALID | VHM_EVENT_HAS_ERROR_CODE, .vector = 13,
	};
	EXPECT_EQ(13, guest_event(&self->vcpu));
	EXPECT_EQ(0, guest_frame(&self->vcpu)->error);
}

/* ------------------------------------------------------- HLT and hypercall -- */

GUEST_CODE(halt, 64, "sti\n hlt\n out %al, $0x10\n");

static void *send_msi_later(void *context)
{
	sleep_us(20000);
	return (void *)vm_msi(context, 0xfee00000, 0x40);
}

GUEST_CODE(apic_on_and_halt, 64,
	"mov	$0xfee000f0, %ebx\n"
	"mov	$0x1ff, %eax\n"
	"mov	%eax, (%rbx)\n"
	"out	%al, $0x10\n"
	"sti\n"
	"hlt\n"
	"out	%al, $0x11\n");

TEST_F(exits, hlt)
{
	void *thread;

	guest_run_long(&self->vcpu, apic_on_and_halt);
	guest_mail(&self->vm)->eoi = EOI_XAPIC;
	guest_out(&self->vcpu, PORT_DONE);
	if (variant->flags & VHM_VM_EXIT_HLT) {
		ASSERT_EXIT(VHM_EXIT_HLT);
		EXPECT_EQ(1, self->run->insn_bytes);
		vcpu_retire(&self->vcpu);
		guest_out(&self->vcpu, PORT_DONE + 1);
		return;
	}
	thread = thread_start(send_msi_later, &self->vm);
	EXPECT_EQ(0x40, guest_event(&self->vcpu));
	EXPECT_EQ(1, (long)thread_join(thread));
	guest_out(&self->vcpu, PORT_DONE + 1);
	EXPECT_GT(vcpu_stat(&self->vcpu, VHM_STAT_HALT_NS), 1000000);
}

GUEST_CODE(hypercall, 64,
	"mov	$0x1234, %eax\n"
	"vmcall\n"
	"out	%eax, $0x10\n");

TEST_F(exits, hypercall)
{
	guest_run_long(&self->vcpu, hypercall);
	if (variant->flags & VHM_VM_EXIT_HYPERCALL) {
		ASSERT_EXIT(VHM_EXIT_HYPERCALL);
		EXPECT_EQ(3, self->run->insn_bytes);
		EXPECT_EQ(0x1234, self->run->regs.rax);
		guest_registers(&self->vcpu)->rax = 0x4321;
		vcpu_retire(&self->vcpu);
		EXPECT_EQ(0x4321, guest_out(&self->vcpu, PORT_DONE));
	} else {
		EXPECT_EQ((uint32_t)-1000, guest_out(&self->vcpu, PORT_DONE));
		EXPECT_EQ((uint64_t)-1000, self->run->regs.rax);
	}
}

/* --------------------------------------------------------------- the ends -- */

GUEST_CODE(triple_fault, 64,
	"mov	$0x80000000, %edx\n"
	"push	$0\n"
	"push	$0\n"
	"lidt	(%rsp)\n"
	"int3\n");

TEST_F(exits, shutdown)
{
	struct vhm_events events;

	guest_run_long(&self->vcpu, triple_fault);
	ASSERT_EXIT(VHM_EXIT_SHUTDOWN);
	/* it stays so until the VMM says otherwise */
	ASSERT_EXIT(VHM_EXIT_SHUTDOWN);
	vcpu_get(&self->vcpu, VHM_SECTION_EVENTS, &events);
	EXPECT_EQ(VHM_RUN_STATE_SHUTDOWN, events.run_state);
	guest_run_long(&self->vcpu, hypercall);
	ASSERT_EXIT(VHM_EXIT_SHUTDOWN);
	events.run_state = VHM_RUN_STATE_RUNNABLE;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_EVENTS, &events));
	guest_exit(&self->vcpu);
	EXPECT_NE(VHM_EXIT_SHUTDOWN, self->run->exit_reason);
}

GUEST_CODE(task_switch, 32, "ljmp $0x18, $0\n");

TEST_F(exits, task_switch)
{
	uint64_t *gdt = (uint64_t *)(self->vm.memory + LONG_GDT);

	guest_protected(&self->vcpu, task_switch, CODE_BYTES(task_switch));
	gdt[1] = 0x00cf9b000000ffff;
	gdt[3] = 0x0000890000000067 | (uint64_t)LONG_TSS << 16;	/* an available 32-bit TSS */
	ASSERT_EXIT(VHM_EXIT_TASK_SWITCH);
	EXPECT_EQ(9, self->run->hardware_reason);
	EXPECT_EQ(0x18, self->run->hardware_qualification & 0xffff);
	EXPECT_EQ(LONG_CODE, self->run->regs.rip);
}

/* State that no check of ours knows about and the processor refuses. */
TEST_F(exits, entry_failed)
{
	struct vhm_sregisters sregs;

	guest_run_long(&self->vcpu, hypercall);
	vcpu_get(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs);
	sregs.segment[VHM_SEGMENT_TR].access_rights = 0x82;	/* an LDT */
	if (vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs) == -EINVAL)
		return;		/* refused before the processor could */
	ASSERT_EXIT(VHM_EXIT_ENTRY_FAILED);
	EXPECT_EQ(VHM_ENTRY_FAILURE_GUEST_STATE, self->run->entry_failed.kind);
	EXPECT_EQ(0x80000021, self->run->hardware_reason);
	EXPECT_EQ(0, self->run->entry_failed.reserved);
	/* good state again: the guest goes on */
	sregs.segment[VHM_SEGMENT_TR].access_rights = 0x8b;
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_SREGISTERS, &sregs));
	guest_exit(&self->vcpu);
	EXPECT_NE(VHM_EXIT_ENTRY_FAILED, self->run->exit_reason);
}

/* An INIT that arrives at the bootstrap processor is the VMM's business. */
TEST_F(exits, reset)
{
	guest_run_long(&self->vcpu, apic_on_and_halt);
	guest_out(&self->vcpu, PORT_DONE);
	EXPECT_EQ(1, vm_msi(&self->vm, 0xfee00000, 0x4500));
	ASSERT_EXIT(VHM_EXIT_RESET);
}

/* ------------------------------------------------------ kicks and signals -- */

GUEST_CODE(spin, 64, "1: lock incq " MAIL_FLAG "\n jmp 1b\n");

static void *kick_later(void *context)
{
	struct vcpu *vcpu = context;
	volatile uint64_t *counter = guest_mail(vcpu->vm)->flag;

	while (!*counter)
		sleep_us(POLL_US);
	return (void *)vcpu_kick(vcpu);
}

TEST_F(exits, kicked)
{
	void *thread;
	uint64_t before;

	guest_run_long(&self->vcpu, spin);
	/* before it runs: the next run returns at once, and only that one */
	EXPECT_EQ(0, vcpu_kick(&self->vcpu));
	EXPECT_EQ(0, vcpu_kick(&self->vcpu));
	ASSERT_EXIT(VHM_EXIT_KICKED);
	EXPECT_EQ(0, guest_mail(&self->vm)->flag[0]);
	for (int i = 0; i < 20; i++) {
		guest_mail(&self->vm)->flag[0] = 0;
		thread = thread_start(kick_later, &self->vcpu);
		ASSERT_EXIT(VHM_EXIT_KICKED);
		EXPECT_EQ(0, (long)thread_join(thread));
	}
	/* requested: carries out the rest, does not enter the guest */
	before = guest_mail(&self->vm)->flag[0];
	guest_registers(&self->vcpu)->rbx = 0x77;
	self->run->request |= VHM_RUN_RETURN;
	ASSERT_EXIT(VHM_EXIT_KICKED);
	EXPECT_EQ(before, guest_mail(&self->vm)->flag[0]);
	EXPECT_EQ(0x77, self->run->regs.rbx);
}

GUEST_CODE(halt_for_ever, 64, "cli\n hlt\n out %al, $0x10\n");

static void *kick_a_sleeper(void *context)
{
	sleep_us(10000);
	return (void *)vcpu_kick(context);
}

TEST_F(exits, kicked_out_of_hlt)
{
	void *thread;

	if (variant->flags & VHM_VM_EXIT_HLT)
		return;
	guest_run_long(&self->vcpu, halt_for_ever);
	for (int i = 0; i < 5; i++) {
		thread = thread_start(kick_a_sleeper, &self->vcpu);
		ASSERT_EXIT(VHM_EXIT_KICKED);
		thread_join(thread);
	}
}

static void on_alarm(int signal)
{
	(void)signal;
}

TEST_F(exits, interrupted)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval soon = { .it_value = { .tv_usec = 200000 } };

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	guest_run_long(&self->vcpu, spin);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, vcpu_run(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_INTERRUPTED, self->run->exit_reason);
	EXPECT_GT(guest_mail(&self->vm)->flag[0], 0);
	/* and out of HLT */
	if (variant->flags & VHM_VM_EXIT_HLT)
		return;
	guest_run_long(&self->vcpu, halt_for_ever);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, vcpu_run(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_INTERRUPTED, self->run->exit_reason);
}

/* ------------------------------------------------------------- run page -- */

TEST_F(exits, bad_requests)
{
	guest_run_long(&self->vcpu, hypercall);
	self->run->request = 1 << 4;
	EXPECT_EQ(-EINVAL, vcpu_run(&self->vcpu));
	self->run->request = 1u << 31;
	EXPECT_EQ(-EINVAL, vcpu_run(&self->vcpu));
	self->run->request = 0;
	self->run->retire_bytes = 16;
	EXPECT_EQ(-EINVAL, vcpu_run(&self->vcpu));
	self->run->retire_bytes = ~0u;
	EXPECT_EQ(-EINVAL, vcpu_run(&self->vcpu));
	self->run->retire_bytes = 0;
	self->run->request = VHM_RUN_INTERRUPT;
	self->run->interrupt_vector = 256;
	EXPECT_EQ(-EINVAL, vcpu_run(&self->vcpu));
	self->run->interrupt_vector = 0x40;
	/* the guest has interrupts off */
	self->run->request = VHM_RUN_INTERRUPT;
	EXPECT_EQ(-EBUSY, vcpu_run(&self->vcpu));
	/* what was asked is asked once */
	EXPECT_EQ(0, self->run->request);
	guest_exit(&self->vcpu);
	EXPECT_EQ(LONG_CODE, self->run->regs.rip & ~0xfull);
}

/* The counters add up with what was done. */
TEST_F(exits, statistics)
{
	uint64_t io = vcpu_stat(&self->vcpu, VHM_STAT_EXIT_IO);

	guest_run_long(&self->vcpu, outs_of_all_sizes);
	EXPECT_EQ(0, vcpu_stat(&self->vcpu, VHM_STAT_EXITS));
	for (int i = 0; i < 4; i++) {
		ASSERT_EXIT(VHM_EXIT_IO);
		vcpu_retire(&self->vcpu);
	}
	EXPECT_EQ(io + 4, vcpu_stat(&self->vcpu, VHM_STAT_EXIT_IO));
	EXPECT_GE(vcpu_stat(&self->vcpu, VHM_STAT_USER_EXITS), 4);
	EXPECT_GE(vcpu_stat(&self->vcpu, VHM_STAT_EXITS), 4);
	EXPECT_GT(vcpu_stat(&self->vcpu, VHM_STAT_EXIT_EPT), 0);
	EXPECT_GT(vcpu_stat(&self->vcpu, VHM_STAT_PAGES_MAPPED), 0);
}

TEST_HARNESS_MAIN
