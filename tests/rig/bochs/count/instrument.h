/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulator's instrumentation hooks, as far as the counting flavour uses them. Included by all
 * of the emulator: outside a measured round a hook costs one test.
 */
#ifndef VHM_INSTRUMENT_H
#define VHM_INSTRUMENT_H

#if BX_INSTRUMENTATION

class bxInstruction_c;

extern bool count_active;

void count_init();
void count_mark(bx_address address);
void count_instruction(unsigned int cpu, const bxInstruction_c *i);
void count_repeat(unsigned int cpu);
void count_exit(Bit32u reason);
void count_exception(unsigned int cpu);
void count_interrupt(unsigned int cpu);
void count_wrmsr(unsigned int cpu, Bit32u index);
void count_store(unsigned int cpu, bx_phy_address address);
void count_ask(Bit32u port, Bit32u question);
void count_answer(Bit32u port, Bit32u *answer);

#define BX_INSTR_INIT_ENV() count_init()
#define BX_INSTR_PREFETCH_HINT(cpu, what, segment, offset) count_mark(offset)
#define BX_INSTR_BEFORE_EXECUTION(cpu, i) \
	do { if (count_active) count_instruction(cpu, i); } while (0)
#define BX_INSTR_REPEAT_ITERATION(cpu, i) do { if (count_active) count_repeat(cpu); } while (0)
#define BX_INSTR_VMEXIT(cpu, reason, qualification) \
	do { if (count_active) count_exit(reason); } while (0)
#define BX_INSTR_EXCEPTION(cpu, vector, error) \
	do { if (count_active) count_exception(cpu); } while (0)
#define BX_INSTR_HWINTERRUPT(cpu, vector, cs, rip) \
	do { if (count_active) count_interrupt(cpu); } while (0)
#define BX_INSTR_WRMSR(cpu, index, value) \
	do { if (count_active) count_wrmsr(cpu, index); } while (0)
#define BX_INSTR_LIN_ACCESS(cpu, linear, physical, bytes, type, rw) \
	do { if (count_active && (rw) == BX_WRITE) count_store(cpu, physical); } while (0)
#define BX_INSTR_OUTP(port, bytes, value) count_ask(port, value)
#define BX_INSTR_INP2(port, bytes, value) count_answer(port, &(value))

#else

#define BX_INSTR_INIT_ENV()
#define BX_INSTR_PREFETCH_HINT(cpu, what, segment, offset)
#define BX_INSTR_BEFORE_EXECUTION(cpu, i)
#define BX_INSTR_REPEAT_ITERATION(cpu, i)
#define BX_INSTR_VMEXIT(cpu, reason, qualification)
#define BX_INSTR_EXCEPTION(cpu, vector, error)
#define BX_INSTR_HWINTERRUPT(cpu, vector, cs, rip)
#define BX_INSTR_WRMSR(cpu, index, value)
#define BX_INSTR_LIN_ACCESS(cpu, linear, physical, bytes, type, rw)
#define BX_INSTR_OUTP(port, bytes, value)
#define BX_INSTR_INP2(port, bytes, value)

#endif

/* Not used here. */
#define BX_INSTR_EXIT_ENV()
#define BX_INSTR_INITIALIZE(cpu)
#define BX_INSTR_EXIT(cpu)
#define BX_INSTR_RESET(cpu, type)
#define BX_INSTR_HLT(cpu)
#define BX_INSTR_MWAIT(cpu, address, bytes, flags)
#define BX_INSTR_DEBUG_PROMPT()
#define BX_INSTR_DEBUG_CMD(command)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu, from, to)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu, from)
#define BX_INSTR_UCNEAR_BRANCH(cpu, what, from, to)
#define BX_INSTR_FAR_BRANCH(cpu, what, from_cs, from, to_cs, to)
#define BX_INSTR_OPCODE(cpu, i, opcode, bytes, is32, is64)
#define BX_INSTR_INTERRUPT(cpu, vector)
#define BX_INSTR_CLFLUSH(cpu, linear, physical)
#define BX_INSTR_CACHE_CNTRL(cpu, what)
#define BX_INSTR_TLB_CNTRL(cpu, what, value)
#define BX_INSTR_AFTER_EXECUTION(cpu, i)
#define BX_INSTR_PHY_ACCESS(cpu, physical, bytes, type, rw)
#define BX_INSTR_INP(port, bytes)

#endif /* VHM_INSTRUMENT_H */
