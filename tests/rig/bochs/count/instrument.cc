// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts what the emulated CPUs do in marked rounds. counters.h says what, and how it is read.
 *
 * The emulator runs on one thread; nothing here needs a lock.
 */
#include "bochs.h"
#include "cpu/cpu.h"
#include "pc_system.h"
#include "cpu/decoder/ia_opcodes.h"

#include "counters.h"

#if BX_INSTRUMENTATION

#define NO_COUNTER		0xff
#define APIC_PAGE		0xfee00000
#define APIC_ICR_LOW		0x300
#define MSR_X2APIC_ICR		0x830
#define EXIT_REASON_MASK	0xffff

bool count_active;

static bool armed;
static Bit64u begin_ticks;
static Bit64u current_round[COUNTERS];
static Bit64u rounds[COUNT_ROUNDS_MAX][COUNTERS];
static unsigned int round_count;
static Bit32u question;
static Bit8u counter_of[BX_IA_LAST];

/* Instructions that are counted by themselves, besides as instructions. */
static const struct {
	Bit16u opcode;
	Bit8u counter;
} counted[] = {
	{ BX_IA_VMLAUNCH, COUNT_ENTRIES }, { BX_IA_VMRESUME, COUNT_ENTRIES },
	{ BX_IA_VMREAD_EdGd, COUNT_VMREAD }, { BX_IA_VMREAD_EqGq, COUNT_VMREAD },
	{ BX_IA_VMWRITE_GdEd, COUNT_VMWRITE }, { BX_IA_VMWRITE_GqEq, COUNT_VMWRITE },
	{ BX_IA_VMPTRLD_Mq, COUNT_VMPTRLD }, { BX_IA_VMCLEAR_Mq, COUNT_VMCLEAR },
	{ BX_IA_RDMSR, COUNT_RDMSR }, { BX_IA_WRMSR, COUNT_WRMSR },
	{ BX_IA_WRMSRNS, COUNT_WRMSR },
	{ BX_IA_INVEPT, COUNT_INVEPT }, { BX_IA_INVVPID, COUNT_INVVPID },
	{ BX_IA_INVPCID, COUNT_INVPCID }, { BX_IA_INVLPG, COUNT_INVLPG },
	{ BX_IA_MOV_CR0Rd, COUNT_CR_WRITE }, { BX_IA_MOV_CR0Rq, COUNT_CR_WRITE },
	{ BX_IA_MOV_CR2Rd, COUNT_CR_WRITE }, { BX_IA_MOV_CR2Rq, COUNT_CR_WRITE },
	{ BX_IA_MOV_CR3Rd, COUNT_CR_WRITE }, { BX_IA_MOV_CR3Rq, COUNT_CR_WRITE },
	{ BX_IA_MOV_CR4Rd, COUNT_CR_WRITE }, { BX_IA_MOV_CR4Rq, COUNT_CR_WRITE },
	{ BX_IA_CLTS, COUNT_CR_WRITE }, { BX_IA_LMSW_Ew, COUNT_CR_WRITE },
	{ BX_IA_MOV_RdCR0, COUNT_CR_READ }, { BX_IA_MOV_RqCR0, COUNT_CR_READ },
	{ BX_IA_MOV_RdCR2, COUNT_CR_READ }, { BX_IA_MOV_RqCR2, COUNT_CR_READ },
	{ BX_IA_MOV_RdCR3, COUNT_CR_READ }, { BX_IA_MOV_RqCR3, COUNT_CR_READ },
	{ BX_IA_MOV_RdCR4, COUNT_CR_READ }, { BX_IA_MOV_RqCR4, COUNT_CR_READ },
	{ BX_IA_MOV_DqRq, COUNT_DR_MOVE }, { BX_IA_MOV_RqDq, COUNT_DR_MOVE },
	{ BX_IA_MOV_DdRd, COUNT_DR_MOVE }, { BX_IA_MOV_RdDd, COUNT_DR_MOVE },
	{ BX_IA_XSAVE, COUNT_XSAVE }, { BX_IA_XSAVEC, COUNT_XSAVE },
	{ BX_IA_XSAVEOPT, COUNT_XSAVE }, { BX_IA_XSAVES, COUNT_XSAVE },
	{ BX_IA_FXSAVE, COUNT_XSAVE },
	{ BX_IA_XRSTOR, COUNT_XRSTOR }, { BX_IA_XRSTORS, COUNT_XRSTOR },
	{ BX_IA_FXRSTOR, COUNT_XRSTOR },
	{ BX_IA_XSETBV, COUNT_XCR_WRITE },
#if BX_SUPPORT_PKEYS
	{ BX_IA_RDPKRU, COUNT_PKRU }, { BX_IA_WRPKRU, COUNT_PKRU },
#endif
	{ BX_IA_LGDT_Ms, COUNT_DESCRIPTOR }, { BX_IA_LGDT_Op64_Ms, COUNT_DESCRIPTOR },
	{ BX_IA_LIDT_Ms, COUNT_DESCRIPTOR }, { BX_IA_LIDT_Op64_Ms, COUNT_DESCRIPTOR },
	{ BX_IA_SGDT_Ms, COUNT_DESCRIPTOR }, { BX_IA_SGDT_Op64_Ms, COUNT_DESCRIPTOR },
	{ BX_IA_SIDT_Ms, COUNT_DESCRIPTOR }, { BX_IA_SIDT_Op64_Ms, COUNT_DESCRIPTOR },
	{ BX_IA_LLDT_Ew, COUNT_DESCRIPTOR }, { BX_IA_LTR_Ew, COUNT_DESCRIPTOR },
	{ BX_IA_STR_Ew, COUNT_DESCRIPTOR },
	{ BX_IA_MOV_SwEw, COUNT_SEGMENT_LOAD },
	{ BX_IA_RDFSBASE_Eq, COUNT_FS_GS_BASE }, { BX_IA_RDGSBASE_Eq, COUNT_FS_GS_BASE },
	{ BX_IA_WRFSBASE_Eq, COUNT_FS_GS_BASE }, { BX_IA_WRGSBASE_Eq, COUNT_FS_GS_BASE },
	{ BX_IA_SWAPGS, COUNT_SWAPGS },
	{ BX_IA_IRET_Op32, COUNT_IRET }, { BX_IA_IRET_Op64, COUNT_IRET },
	{ BX_IA_SYSCALL, COUNT_SYSCALL }, { BX_IA_SYSENTER, COUNT_SYSCALL },
	{ BX_IA_SYSRET, COUNT_SYSRET }, { BX_IA_SYSEXIT, COUNT_SYSRET },
	{ BX_IA_CLI, COUNT_INTERRUPT_FLAG }, { BX_IA_STI, COUNT_INTERRUPT_FLAG },
	{ BX_IA_POPF_Fq, COUNT_INTERRUPT_FLAG }, { BX_IA_POPF_Fd, COUNT_INTERRUPT_FLAG },
	{ BX_IA_RDTSC, COUNT_RDTSC }, { BX_IA_RDTSCP, COUNT_RDTSC },
	{ BX_IA_CPUID, COUNT_CPUID },
	{ BX_IA_LFENCE, COUNT_FENCE }, { BX_IA_MFENCE, COUNT_FENCE },
	{ BX_IA_CLFLUSH, COUNT_CLFLUSH }, { BX_IA_CLFLUSHOPT, COUNT_CLFLUSH },
	{ BX_IA_VERW_Ew, COUNT_VERW },
	{ BX_IA_PAUSE, COUNT_PAUSE },
	{ BX_IA_HLT, COUNT_HALT }, { BX_IA_MWAIT, COUNT_HALT },
	{ BX_IA_IN_ALDX, COUNT_PORT_IO }, { BX_IA_IN_ALIb, COUNT_PORT_IO },
	{ BX_IA_IN_AXDX, COUNT_PORT_IO }, { BX_IA_IN_AXIb, COUNT_PORT_IO },
	{ BX_IA_IN_EAXDX, COUNT_PORT_IO }, { BX_IA_IN_EAXIb, COUNT_PORT_IO },
	{ BX_IA_OUT_DXAL, COUNT_PORT_IO }, { BX_IA_OUT_IbAL, COUNT_PORT_IO },
	{ BX_IA_OUT_DXAX, COUNT_PORT_IO }, { BX_IA_OUT_IbAX, COUNT_PORT_IO },
	{ BX_IA_OUT_DXEAX, COUNT_PORT_IO }, { BX_IA_OUT_IbEAX, COUNT_PORT_IO },
	{ BX_IA_RDRAND_Ed, COUNT_RANDOM }, { BX_IA_RDRAND_Eq, COUNT_RANDOM },
	{ BX_IA_RDSEED_Ed, COUNT_RANDOM }, { BX_IA_RDSEED_Eq, COUNT_RANDOM },
	{ BX_IA_XCHG_EbGb, COUNT_LOCKED }, { BX_IA_XCHG_EwGw, COUNT_LOCKED },
	{ BX_IA_XCHG_EdGd, COUNT_LOCKED }, { BX_IA_XCHG_EqGq, COUNT_LOCKED },
};

void count_init()
{
	memset(counter_of, NO_COUNTER, sizeof(counter_of));
	for (unsigned int n = 0; n < sizeof(counted) / sizeof(counted[0]); n++)
		counter_of[counted[n].opcode] = counted[n].counter;
}

static void begin_round(bool until_guest)
{
	memset(current_round, 0, sizeof(current_round));
	begin_ticks = bx_pc_system.time_ticks();
	armed = until_guest;
	count_active = true;
}

static void end_round()
{
	current_round[COUNT_TICKS] = bx_pc_system.time_ticks() - begin_ticks;
	if (count_active && round_count < COUNT_ROUNDS_MAX)
		memcpy(rounds[round_count++], current_round, sizeof(current_round));
	armed = false;
	count_active = false;
}

void count_mark(bx_address address)
{
	switch (address) {
	case COUNT_MARK_RESET:
		count_active = false;
		armed = false;
		round_count = 0;
		break;
	case COUNT_MARK_BEGIN:
		begin_round(false);
		break;
	case COUNT_MARK_ARM:
		begin_round(true);
		break;
	case COUNT_MARK_END:
		end_round();
		break;
	}
}

/* ----------------------------------------------------------------- events -- */

/* What a guest executes itself costs its hypervisor nothing, and is counted as one thing. */
static bool in_guest(unsigned int cpu)
{
	return BX_CPU(cpu)->in_vmx_guest;
}

void count_instruction(unsigned int cpu, const bxInstruction_c *i)
{
	unsigned int counter;

	if (in_guest(cpu)) {
		if (armed) {
			end_round();
			begin_round(false);
		}
		current_round[COUNT_GUEST_INSTRUCTIONS]++;
		return;
	}
	current_round[COUNT_INSTRUCTIONS]++;
	counter = counter_of[i->getIaOpcode()];
	if (i->getLock())
		current_round[COUNT_LOCKED]++;
	else if (counter == COUNT_LOCKED && i->modC0())
		return;		/* XCHG of two registers locks nothing */
	else if (counter != NO_COUNTER)
		current_round[counter]++;
}

void count_repeat(unsigned int cpu)
{
	if (!in_guest(cpu))
		current_round[COUNT_REPEATS]++;
}

void count_exit(Bit32u reason)
{
	current_round[COUNT_EXITS]++;
	reason &= EXIT_REASON_MASK;
	if (reason < COUNT_EXIT_REASONS)
		current_round[COUNT_EXIT_REASON + reason]++;
}

void count_exception(unsigned int cpu)
{
	if (!in_guest(cpu))
		current_round[COUNT_EXCEPTION]++;
}

void count_interrupt(unsigned int cpu)
{
	if (!in_guest(cpu))
		current_round[COUNT_INTERRUPT]++;
}

void count_wrmsr(unsigned int cpu, Bit32u index)
{
	if (index == MSR_X2APIC_ICR && !in_guest(cpu))
		current_round[COUNT_IPI]++;
}

void count_store(unsigned int cpu, bx_phy_address address)
{
	if (address == APIC_PAGE + APIC_ICR_LOW && !in_guest(cpu))
		current_round[COUNT_IPI]++;
}

/* ---------------------------------------------------------------- reading -- */

void count_ask(Bit32u port, Bit32u value)
{
	if (port == COUNT_PORT)
		question = value;
}

void count_answer(Bit32u port, Bit32u *answer)
{
	unsigned int round = question >> 16, counter = (question & 0xffff) >> 1;

	if (port != COUNT_PORT)
		return;
	if (question == COUNT_ASK_MAGIC)
		*answer = COUNT_MAGIC;
	else if (question == COUNT_ASK_ROUNDS)
		*answer = round_count;
	else if (question == COUNT_ASK_COUNTERS)
		*answer = COUNTERS;
	else if (round < round_count && counter < COUNTERS)
		*answer = (Bit32u)(rounds[round][counter] >> (question & 1 ? 32 : 0));
}

#endif
