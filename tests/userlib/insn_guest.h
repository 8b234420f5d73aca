/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that executes one instruction on what this process executes it on: the same linear
 * addresses, some of the data's pages being memory and some a device.
 *
 * One guest at a time: its data is kept in insn_guest.c. The VM may be one of the fake kernel
 * or of the module.
 */
#ifndef INSN_GUEST_H
#define INSN_GUEST_H

#include <libvhm.h>

#include "instance.h"

#define GUEST_TABLES_GPA	0x00000u	/* value of CR3 */
#define GUEST_HLT		0xf4u

extern struct native guest_native;
extern const struct vhm_callbacks guest_callbacks;

/* Makes the native side ready, once; a failed check if that is not possible for this mode. */
bool guest_open_native(unsigned int code_bits);
/* Memory and page tables */
void guest_build(struct vhm_vm *vm);
/* Random data on both sides, and the instruction with HLT behind it. */
void guest_prepare(const struct instance *in);
/* Segments of the guest for this instance */
void guest_segments(const struct instance *in, struct vhm_sregisters *sregs);
/* Executes it natively, with the vector registers in guest_native.state->xsave. */
void guest_run_native(const struct instance *in);
/* Guest-physical address of a linear one in the data */
uint64_t guest_data_gpa(uint64_t linear);
/* Are registers, memory and vector registers what the native run made of them? */
bool guest_compare(const struct instance *in, const struct vhm_registers *regs,
		   const uint8_t *xsave);

#endif /* INSN_GUEST_H */
