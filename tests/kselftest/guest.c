// SPDX-License-Identifier: GPL-2.0-only
/* The worlds guest code of the tests runs in. See guest.h. */
#include "guest.h"

#include <string.h>

/*
 * Common part of all handlers. Behind a stub the stack holds vector, error code, and the
 * processor's frame. RAX, RDX and the frame are what struct guest_frame names.
 */
GUEST_CODE(long_handler, 64,
	"push	%rax\n"
	"push	%rdx\n"
	"mov	16(%rsp), %rax\n"
	"lock incl 0x2000(,%rax,4)\n"
	"cmpl	$0, " MAIL_SILENT "\n"
	"jne	1f\n"
	"out	%eax, $0xee\n"
	"1:\n"
	"cmp	$32, %eax\n"
	"jb	3f\n"
	"cmpl	$1, " MAIL_EOI "\n"
	"jb	3f\n"
	"ja	2f\n"
	"push	%rbx\n"
	"mov	$0xfee000b0, %ebx\n"
	"xor	%eax, %eax\n"
	"mov	%eax, (%rbx)\n"
	"pop	%rbx\n"
	"jmp	3f\n"
	"2:\n"
	"push	%rcx\n"
	"mov	$0x80b, %ecx\n"
	"xor	%eax, %eax\n"
	"xor	%edx, %edx\n"
	"wrmsr\n"
	"pop	%rcx\n"
	"3:\n"
	"pop	%rdx\n"
	"pop	%rax\n"
	"add	$16, %rsp\n"
	"iretq\n");

#define CR0_LONG	0x80010033ull	/* PG WP NE ET MP PE */
#define CR4_LONG	0x620ull	/* OSXMMEXCPT OSFXSR PAE */
#define EFER_LONG	0xd00ull	/* NXE LMA LME */
#define CR0_PROTECTED	0x33ull

/* exceptions whose error code the processor pushes (SDM vol. 3, table 6-1) */
#define HAS_ERROR_CODE	((1u << 8) | (1u << 10) | (1u << 11) | (1u << 12) | (1u << 13) | \
			 (1u << 14) | (1u << 17))

#define STUB_BYTES	16

static struct vhm_segment flat(uint16_t selector, uint32_t access_rights)
{
	return (struct vhm_segment) {
		.limit = ~0u, .access_rights = access_rights, .selector = selector,
	};
}

static void write_stub(uint8_t *memory, unsigned int vector)
{
	uint32_t at = LONG_STUBS + vector * STUB_BYTES;
	uint8_t *code = memory + at;
	int32_t distance;

	if (vector > 31 || !(HAS_ERROR_CODE & (1u << vector))) {
		*code++ = 0x6a;			/* push $0 */
		*code++ = 0;
	}
	*code++ = 0x68;				/* push $vector */
	memcpy(code, &vector, sizeof(vector));
	code += sizeof(vector);
	*code++ = 0xe9;				/* jmp handler */
	distance = (int32_t)(LONG_HANDLER - (uint32_t)(code + 4 - memory));
	memcpy(code, &distance, sizeof(distance));
}

static void write_gate(uint8_t *memory, unsigned int vector)
{
	uint32_t target = LONG_STUBS + vector * STUB_BYTES;
	uint64_t gate[2] = { 0 };

	/* present, DPL 3 so that INT n of any level works, 64-bit interrupt gate */
	gate[0] = (target & 0xffff) | SELECTOR_CODE << 16 | 0xee00ull << 32 |
		  (uint64_t)(target >> 16) << 48;
	memcpy(memory + LONG_IDT + vector * sizeof(gate), gate, sizeof(gate));
}

static void write_descriptors(uint8_t *memory)
{
	const uint64_t gdt[] = {
		0,
		0x00af9b000000ffffull,			/* 08: 64-bit code */
		0x00cf93000000ffffull,			/* 10: data */
		0x00008b0000000067ull | (uint64_t)LONG_TSS << 16, 0,	/* 18: TSS */
		0x00cff3000000ffffull,			/* 28: user data */
		0x00affb000000ffffull,			/* 30: user 64-bit code */
	};
	const uint64_t rsp0 = LONG_STACK(0) + 0x8000;

	memcpy(memory + LONG_GDT, gdt, sizeof(gdt));
	memset(memory + LONG_TSS, 0, 0x68);
	memcpy(memory + LONG_TSS + 4, &rsp0, sizeof(rsp0));
}

/* 4 GiB identity map of 2 MiB pages, for users, too; the first 2 MiB in 4 KiB pages. */
static void write_page_tables(uint8_t *memory)
{
	uint64_t *pml4 = (uint64_t *)(memory + LONG_PML4);
	uint64_t *pdpt = pml4 + 512, *pd = pdpt + 512, *pt = pd + 4 * 512;
	uint64_t i;

	memset(pml4, 0, 2 * PAGE_BYTES);
	pml4[0] = (LONG_PML4 + PAGE_BYTES) | 7;
	for (i = 0; i < 4; i++)
		pdpt[i] = (LONG_PML4 + (2 + i) * PAGE_BYTES) | 7;
	for (i = 0; i < 4 * 512; i++)
		pd[i] = i << 21 | 0x87;
	pd[0] = (LONG_PML4 + 6 * PAGE_BYTES) | 7;
	for (i = 0; i < 512; i++)
		pt[i] = i << 12 | 7;
}

void guest_long_tables(struct vm *vm)
{
	unsigned int vector;

	memset(vm->memory + LONG_MAIL, 0, sizeof(struct guest_mail));
	write_descriptors(vm->memory);
	write_page_tables(vm->memory);
	for (vector = 0; vector < 256; vector++) {
		write_stub(vm->memory, vector);
		write_gate(vm->memory, vector);
	}
	memcpy(vm->memory + LONG_HANDLER, long_handler, CODE_BYTES(long_handler));
}

static void load(struct vcpu *vcpu, const struct vhm_sregisters *sregs, uint64_t rip, uint64_t rsp)
{
	const struct vhm_registers regs = { .rip = rip, .rsp = rsp, .rflags = 2 };

	must(vcpu_set(vcpu, VHM_SECTION_SREGISTERS, sregs));
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	/* what was to happen to the guest that was there before */
	vcpu->run->request = 0;
	vcpu->run->retire_bytes = 0;
}

void guest_long_enter(struct vcpu *vcpu, uint64_t rip)
{
	struct vhm_sregisters sregs;
	int i;

	vcpu_get(vcpu, VHM_SECTION_SREGISTERS, &sregs);
	for (i = VHM_SEGMENT_ES; i <= VHM_SEGMENT_GS; i++)
		sregs.segment[i] = flat(SELECTOR_DATA, 0xc093);
	sregs.segment[VHM_SEGMENT_CS] = flat(SELECTOR_CODE, 0xa09b);
	sregs.segment[VHM_SEGMENT_LDTR] = (struct vhm_segment) { .access_rights = 1 << 16 };
	sregs.segment[VHM_SEGMENT_TR] = (struct vhm_segment) {
		.base = LONG_TSS, .limit = 0x67, .access_rights = 0x8b, .selector = SELECTOR_TSS,
	};
	sregs.gdt = (struct vhm_descriptor_table) { .base = LONG_GDT, .limit = 7 * 8 - 1 };
	sregs.idt = (struct vhm_descriptor_table) { .base = LONG_IDT, .limit = 0xfff };
	sregs.cr0 = CR0_LONG;
	sregs.cr3 = LONG_PML4;
	sregs.cr4 = CR4_LONG;
	sregs.efer = EFER_LONG;
	load(vcpu, &sregs, rip, LONG_STACK(vcpu->id));
}

void guest_long(struct vcpu *vcpu, const void *code, size_t bytes)
{
	guest_long_tables(vcpu->vm);
	memcpy(vcpu->vm->memory + LONG_CODE, code, bytes);
	guest_long_enter(vcpu, LONG_CODE);
}

void guest_protected(struct vcpu *vcpu, const void *code, size_t bytes)
{
	struct vhm_sregisters sregs;
	int i;

	guest_long_tables(vcpu->vm);
	memcpy(vcpu->vm->memory + LONG_CODE, code, bytes);
	vcpu_get(vcpu, VHM_SECTION_SREGISTERS, &sregs);
	for (i = VHM_SEGMENT_ES; i <= VHM_SEGMENT_GS; i++)
		sregs.segment[i] = flat(SELECTOR_DATA, 0xc093);
	sregs.segment[VHM_SEGMENT_CS] = flat(SELECTOR_CODE, 0xc09b);
	sregs.gdt = (struct vhm_descriptor_table) { .base = LONG_GDT, .limit = 7 * 8 - 1 };
	sregs.cr0 = CR0_PROTECTED;
	load(vcpu, &sregs, LONG_CODE, LONG_STACK(vcpu->id));
}

void guest_real(struct vcpu *vcpu, const void *code, size_t bytes)
{
	struct vhm_sregisters sregs;

	memcpy(vcpu->vm->memory + REAL_CODE, code, bytes);
	vcpu_get(vcpu, VHM_SECTION_SREGISTERS, &sregs);
	sregs.segment[VHM_SEGMENT_CS].base = 0;
	sregs.segment[VHM_SEGMENT_CS].selector = 0;
	load(vcpu, &sregs, REAL_CODE, REAL_STACK);
}

/* --------------------------------------------------------------- running -- */

struct vhm_registers *guest_registers(struct vcpu *vcpu)
{
	vcpu->run->request |= VHM_RUN_SET_REGISTERS;
	return &vcpu->run->regs;
}

const struct guest_frame *guest_frame(struct vcpu *vcpu)
{
	uint64_t rsp = vcpu->run->regs.rsp;

	if (rsp > vcpu->vm->memory_bytes - sizeof(struct guest_frame))
		give_up("the guest's stack pointer is %#llx", (unsigned long long)rsp);
	return (const struct guest_frame *)(vcpu->vm->memory + rsp);
}

/* MOV EAX, [RBX] or MOV [RBX], EAX at the APIC's page; false: anything else. */
static bool complete_apic_access(struct vcpu *vcpu)
{
	struct vhm_run *run = vcpu->run;
	const uint8_t *insn = vcpu->vm->memory + run->regs.rip;
	struct vhm_apic_access access = {
		.size = sizeof(access),
		.offset = run->mmio.gpa & 0xff0,
		.value = (uint32_t)run->regs.rax,
	};

	if (run->exit_reason != VHM_EXIT_MMIO || !(run->mmio.flags & VHM_MMIO_APIC))
		return false;
	if (run->regs.rip >= vcpu->vm->memory_bytes || (insn[0] != 0x89 && insn[0] != 0x8b) ||
	    insn[1] != 0x03)
		return false;
	access.flags = insn[0] == 0x89 ? VHM_APIC_WRITE : 0;
	must(vhm_ioctl(vcpu->fd, VHM_VCPU_APIC_ACCESS, &access));
	if (!access.flags)
		guest_registers(vcpu)->rax = access.value;
	run->retire_bytes = 2;
	return true;
}

uint32_t guest_exit(struct vcpu *vcpu)
{
	do {
		must(vcpu_run(vcpu));
	} while (complete_apic_access(vcpu));
	return vcpu->run->exit_reason;
}

void *run_past_memory_faults(void *context)
{
	struct vcpu *vcpu = context;
	long error;

	do {
		error = vcpu_run(vcpu);
	} while (!error && vcpu->run->exit_reason == VHM_EXIT_MEMORY_FAULT);
	return (void *)(error ? error : (long)vcpu->run->exit_reason);
}

uint32_t guest_out(struct vcpu *vcpu, uint16_t port)
{
	struct vhm_run *run = vcpu->run;

	if (guest_exit(vcpu) != VHM_EXIT_IO || run->io.flags || run->io.port != port) {
		if (run->exit_reason == VHM_EXIT_IO && run->io.port == PORT_EVENT) {
			const struct guest_frame *frame = guest_frame(vcpu);

			give_up("vector %u (error code %#x) at %#x instead of OUT to port %#x",
				(unsigned int)frame->vector, (unsigned int)frame->error,
				(unsigned int)frame->rip, port);
		}
		give_up("exit '%s' (port %#x) instead of OUT to port %#x; hardware %#x %#llx, RIP %#llx",
			exit_name(run->exit_reason), run->io.port, port, run->hardware_reason,
			(unsigned long long)run->hardware_qualification,
			(unsigned long long)run->regs.rip);
	}
	vcpu_retire(vcpu);
	return run->io.data;
}

uint32_t guest_event(struct vcpu *vcpu)
{
	return guest_out(vcpu, PORT_EVENT);
}
