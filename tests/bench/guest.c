// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's code: flat 32-bit protected mode, no paging, one operation in a loop.
 *
 * A round takes the TSC, performs the operation as often as the parameters say, and takes the
 * TSC again; both go into the next struct stamp. The loop counter is ESP, the one register that
 * no operation touches: there is no stack. EBP counts rounds, ESI points to the stamp, EDI is the
 * operand. In the end an OUT to PORT_DONE.
 *
 * The timer's guest is different: a round programs the local APIC's timer and halts, and ends in
 * the interrupt handler.
 */
#include "bench.h"

#include <string.h>

#define TEXT(x)		TEXT_(x)
#define TEXT_(x)	#x

/* ESI: stamp. Ends the guest after EBP rounds, else goes on at "round". */
#define NEXT_ROUND							\
	"	addl	$16, %esi\n"					\
	"	decl	%ebp\n"						\
	"	jnz	1b\n"						\
	"	outb	%al, $" TEXT(PORT_DONE) "\n"			\
	"	hlt\n"

#define BEGIN	"	prefetchnta " TEXT(COUNT_MARK_BEGIN) "\n" STAMP(0)
#define END	STAMP(8) "	prefetchnta " TEXT(COUNT_MARK_END) "\n"

#define STAMP(offset)							\
	"	rdtsc\n"						\
	"	movl	%eax, " #offset "(%esi)\n"			\
	"	movl	%edx, " #offset " + 4(%esi)\n"

#define CODE(name, text)						\
	extern const uint8_t name[], name##_end[];			\
	__asm__(".pushsection .rodata\n"				\
		".code32\n"						\
		#name ":\n" text #name "_end: .byte 0\n"		\
		".code64\n"						\
		".popsection\n")

#define LOOP_BETWEEN(begin, end, name, prepare, operation)		\
	CODE(name,							\
	     "1:\n" prepare						\
	     "	movl	0x7000, %esp\n"					\
	     begin							\
	     "2:	" operation "\n"				\
	     "	decl	%esp\n"						\
	     "	jnz	2b\n"						\
	     end							\
	     NEXT_ROUND)

#define LOOP(name, prepare, operation)					\
	LOOP_BETWEEN(BEGIN, END, name, prepare, operation)
/* Without marks, where the host has its own. */
#define LOOP_UNCOUNTED(name, prepare, operation)			\
	LOOP_BETWEEN(STAMP(0), STAMP(8), name, prepare, operation)

LOOP(code_nothing, "", "nop");
LOOP(code_cpuid, "", "xorl %eax, %eax; cpuid");
LOOP(code_vmcall, "", "movl $0x1234, %eax; vmcall");
LOOP(code_rdmsr, "movl $0x8b, %ecx\n", "rdmsr");
LOOP(code_out, "", "outb %al, $0x10");
LOOP(code_in, "", "inb $0x10, %al");
LOOP(code_store, "", "movl %eax, (%edi)");
LOOP(code_load, "", "movl (%edi), %eax");

#define TOUCH	"movb $1, (%edi); addl $4096, %edi"
LOOP(code_touch, "", TOUCH);
LOOP_UNCOUNTED(code_touch_uncounted, "", TOUCH);

/* The second parameter is the distance of the pages. */
#define DISTANCE "	movl	0x7004, %ebx\n"
#define SCATTER	"movb $1, (%edi); addl %ebx, %edi"
LOOP(code_scatter, DISTANCE, SCATTER);
LOOP_UNCOUNTED(code_scatter_uncounted, DISTANCE, SCATTER);

/* Tell the host that the guest runs, and wait for the host's word: 1 and 0 in the second parameter. */
LOOP_UNCOUNTED(code_wait, "", "movl $1, 0x7004; 3: cmpl $0, 0x7004; jne 3b");

/*
 * Pure computation: arithmetic, a load and a store, and nothing that a hypervisor sees. In both worlds,
 * so that the host's processor can do the same. The counter is EBX, the operand is below 4 GiB.
 */
#define COMPUTE								\
	"	movl	$" TEXT(COMPUTE_TURNS) ", %ebx\n"		\
	"3:	imull	$69069, %eax, %eax\n"				\
	"	addl	%ebx, %eax\n"					\
	"	movl	%eax, (%edi)\n"				\
	"	xorl	%eax, %edx\n"					\
	"	addl	(%edi), %edx\n"				\
	"	decl	%ebx\n"					\
	"	jnz	3b\n"

LOOP(code_compute, "", COMPUTE);

/* The operand comes in EDI, as the guest has it. */
__asm__(".pushsection .text\n"
	".globl compute_on_host\n"
	"compute_on_host:\n"
	"	pushq	%rbx\n"
	COMPUTE
	"	popq	%rbx\n"
	"	ret\n"
	".popsection\n");

/* The second parameter is the timer's initial count. Vector 0x40, divided by 1. */
CODE(code_timer,
     "	movl	$0xfee00000, %edi\n"
     "	movl	$0x1ff, 0xf0(%edi)\n"
     "	movl	$0xb, 0x3e0(%edi)\n"
     "	movl	$0x40, 0x320(%edi)\n"
     "	movl	0x7004, %ebx\n"
     "1:	cli\n"
     BEGIN
     "	movl	%ebx, 0x380(%edi)\n"
     "	sti\n"
     "	hlt\n"
     "	movl	$0, 8(%esi)\n"			/* woken by something else: no measurement */
     "3:\n"
     NEXT_ROUND
     "code_timer_handler:\n"
     END
     "	movl	$0, 0xb0(%edi)\n"
     "	addl	$12, %esp\n"
     "	jmp	3b\n");
extern const uint8_t code_timer_handler[];

#define TIMER_VECTOR	0x40

static const struct {
	const uint8_t *start, *end;
} codes[GUEST_COUNT] = {
	[GUEST_NOTHING] = { code_nothing, code_nothing_end },
	[GUEST_CPUID] = { code_cpuid, code_cpuid_end },
	[GUEST_VMCALL] = { code_vmcall, code_vmcall_end },
	[GUEST_RDMSR] = { code_rdmsr, code_rdmsr_end },
	[GUEST_OUT] = { code_out, code_out_end },
	[GUEST_IN] = { code_in, code_in_end },
	[GUEST_STORE] = { code_store, code_store_end },
	[GUEST_LOAD] = { code_load, code_load_end },
	[GUEST_TOUCH] = { code_touch, code_touch_end },
	[GUEST_TOUCH_UNCOUNTED] = { code_touch_uncounted, code_touch_uncounted_end },
	[GUEST_SCATTER] = { code_scatter, code_scatter_end },
	[GUEST_SCATTER_UNCOUNTED] = { code_scatter_uncounted, code_scatter_uncounted_end },
	[GUEST_WAIT] = { code_wait, code_wait_end },
	[GUEST_COMPUTE] = { code_compute, code_compute_end },
	[GUEST_TIMER] = { code_timer, code_timer_end },
};

struct guest guest_find(enum guest_id id)
{
	return (struct guest){
		.code = codes[id].start,
		.bytes = (size_t)(codes[id].end - codes[id].start),
		.handler = id == GUEST_TIMER ? (size_t)(code_timer_handler - code_timer) : 0,
	};
}

/* 32-bit interrupt gate, present, ring 0 (SDM vol. 3, 6.11, IDT Descriptors). */
static uint64_t interrupt_gate(uint32_t address)
{
	return (address & 0xffff) | SELECTOR_CODE << 16 | 0x8e00ull << 32 |
	       (uint64_t)(address >> 16) << 48;
}

void guest_write(uint8_t *memory, enum guest_id id, uint32_t operations)
{
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	struct guest guest = guest_find(id);
	uint64_t gate = interrupt_gate(GUEST_CODE + (uint32_t)guest.handler);

	memcpy(memory + GUEST_CODE, guest.code, guest.bytes);
	memcpy(memory + GUEST_GDT, gdt, sizeof(gdt));
	memcpy(memory + GUEST_IDT + TIMER_VECTOR * sizeof(gate), &gate, sizeof(gate));
	memcpy(memory + GUEST_PARAMETERS, &operations, sizeof(operations));
}
