/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest code of the tests, and the two worlds it runs in: real mode, and 64-bit mode with an
 * identity map of 4 GiB and an IDT that reports what happens to the guest.
 *
 * Guest code is position independent assembly between labels of the test's own read-only data. It
 * ends or asks for attention by OUT to PORT_DONE with something in AL or EAX.
 */
#ifndef KSELFTEST_GUEST_H
#define KSELFTEST_GUEST_H

#include "vm.h"

/* Declares NAME and NAME_end around assembled guest code; MODE is 16, 32 or 64. */
#define GUEST_CODE(name, mode, text)				\
	extern const uint8_t name[], name##_end[];		\
	asm(".pushsection .rodata\n"				\
	    ".code" #mode "\n"					\
	    #name ":\n" text "\n"				\
	    #name "_end: .byte 0xf4\n"				\
	    ".code64\n"						\
	    ".popsection\n")

#define CODE_BYTES(name)	((size_t)(name##_end - (name)))

#define PORT_DONE	0x10	/* a test's code is where it wanted to be */
#define PORT_EVENT	0xee	/* an exception or interrupt arrived: AL is its vector */

/* Real mode: all segments at 0. */
#define REAL_CODE	0x1000u
#define REAL_STACK	0x8000u

/* 64-bit mode: guest-physical addresses, which are its linear addresses, too. */
#define LONG_MAIL	0x2000u		/* struct guest_mail */
#define LONG_GDT	0x3000u
#define LONG_TSS	0x3100u
#define LONG_IDT	0x4000u
#define LONG_STUBS	0x5000u
#define LONG_HANDLER	0x6000u
#define LONG_PML4	0x8000u
#define LONG_CODE	0x10000u
#define LONG_STACK(id)	(0x30000u + ((id) + 1) * 0x1000u)
#define LONG_DATA	0x100000u	/* free for the test, a page-table entry of its own */
#define UNBACKED	0x80000000u	/* mapped by the guest's tables, in no slot */

#define SELECTOR_CODE	0x08
#define SELECTOR_DATA	0x10
#define SELECTOR_TSS	0x18
#define SELECTOR_USER_DATA 0x2b
#define SELECTOR_USER_CODE 0x33

enum eoi_mode {
	EOI_NONE,	/* exceptions alone */
	EOI_XAPIC,	/* after vectors from 32: through the page of the APIC */
	EOI_X2APIC,
};

/**
 * struct guest_mail - what the guest's handlers and its VMM tell each other
 * @count: by vector: events so far
 * @eoi: of enum eoi_mode
 * @silent: handlers count, and do not exit
 * @flag: for the test's own use; guest code knows offsets of it only
 */
struct guest_mail {
	uint32_t count[256];
	uint32_t eoi;
	uint32_t silent;
	uint64_t flag[16];
};

#define MAIL_EOI	"0x2400"
#define MAIL_SILENT	"0x2404"
#define MAIL_FLAG	"0x2408"	/* flag[n]: + 8 * n */

/* What the handler saw: the stack of the event, at the exit of PORT_EVENT. */
struct guest_frame {
	uint64_t rdx, rax, vector, error, rip, cs, rflags, rsp, ss;
};

/* Into memory, and the vCPU to its first instruction. */
void guest_real(struct vcpu *vcpu, const void *code, size_t bytes);
void guest_long(struct vcpu *vcpu, const void *code, size_t bytes);
/* The two halves of guest_long(): tables and handlers, and a vCPU's state. */
void guest_long_tables(struct vm *vm);
void guest_long_enter(struct vcpu *vcpu, uint64_t rip);
/* 32-bit protected mode without paging, flat segments, with the code at LONG_CODE. */
void guest_protected(struct vcpu *vcpu, const void *code, size_t bytes);

#define guest_run_real(vcpu, name)	guest_real(vcpu, name, CODE_BYTES(name))
#define guest_run_long(vcpu, name)	guest_long(vcpu, name, CODE_BYTES(name))

static inline struct guest_mail *guest_mail(struct vm *vm)
{
	return (struct guest_mail *)(vm->memory + LONG_MAIL);
}

/* The frame of the event that the last exit reports. */
const struct guest_frame *guest_frame(struct vcpu *vcpu);

/* Registers as the last exit left them, to be changed and loaded by the next run. */
struct vhm_registers *guest_registers(struct vcpu *vcpu);

/*
 * Run to the next exit that is not an access to the APIC's page, which is completed as the VMM of
 * a CPU without APIC-register virtualization would. Guest code reads its APIC by
 * MOV EAX, [RBX] and writes it by MOV [RBX], EAX, no other way.
 */
uint32_t guest_exit(struct vcpu *vcpu);
/*
 * A thread's: runs the vCPU given as its context, past accesses to memory that the host has not.
 * Returns the exit that ended it, or a negative error.
 */
void *run_past_memory_faults(void *vcpu);
/* The same, and it must be an OUT to @port; its data. It is retired. */
uint32_t guest_out(struct vcpu *vcpu, uint16_t port);
/* The event that the guest reports next; it is retired, the guest goes on behind its handler. */
uint32_t guest_event(struct vcpu *vcpu);

#endif /* KSELFTEST_GUEST_H */
