/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of the paravirtual interface share: where its pages lie, its section of state, and a
 * guest that executes a few instructions for the test.
 */
#ifndef KSELFTEST_PV_H
#define KSELFTEST_PV_H

#include "guest.h"

#define CLOCK_GPA	(LONG_DATA + 0x1004u)	/* no more aligned than it must be */
#define STEAL_GPA	(LONG_DATA + 0x2000u)
#define WINDOW		0x40000000ull		/* of a slot that a test brings */

/*
 * Runs code that ends with an OUT to PORT_DONE, with RAX, RBX, RCX, RDX and RSI of @regs; 0, or the
 * vector of the exception it met. guest_long_tables() comes first.
 */
uint32_t run_code(struct vcpu *vcpu, const void *code, size_t bytes,
		  const struct vhm_registers *regs);
/* The instructions; as run_code(). */
uint32_t guest_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value);
uint32_t guest_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
/* An entry and an exit: what was due for the guest's pages has been written. */
void guest_nothing(struct vcpu *vcpu);

struct vhm_paravirt get_paravirt(struct vcpu *vcpu);

bool all_zero(const uint8_t *memory, size_t bytes);

#endif /* KSELFTEST_PV_H */
