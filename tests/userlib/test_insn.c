// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated instructions against this processor: each random instance is executed natively on
 * a buffer, and by vhm_vcpu_dispatch() on a device with the same contents. Registers, flags,
 * memory and vector registers must come out the same.
 *
 * Flags that the manual leaves undefined are not compared. The exit is made up here; live.c
 * does the same with a guest that runs.
 */
#include <string.h>

#include "fake.h"
#include "insn_guest.h"
#include "test.h"

static void fill_exit(const struct instance *in, struct vhm_run *run)
{
	memset(run, 0, sizeof(*run));
	run->exit_reason = VHM_EXIT_MMIO;
	memcpy(&run->regs, in->gpr, sizeof(in->gpr));
	run->regs.rip = in->at - in->code_base;
	run->regs.rflags = in->rflags;
	run->mmio = (struct vhm_exit_mmio){
		.gpa = guest_data_gpa(in->linear),
		.linear_address = in->linear,
		.flags = (in->template->access & W ? VHM_MMIO_WRITE : 0) |
			 (in->template->access & R ? VHM_MMIO_READ : 0) |
			 (random_below(2) ? VHM_MMIO_LINEAR_VALID : 0),
		.cpl = random_below(2) ? 3 : 0,
		.cs_base = in->code_base,
		.cs_access_rights = fake.sregs.segment[VHM_SEGMENT_CS].access_rights,
		.cr0 = 0x80050033, .cr3 = GUEST_TABLES_GPA, .cr4 = 0x6a0, .efer = 0xd01,
	};
}

/* The kernel loads the registers if it is asked to, and need not if they have not changed. */
static bool registers_are_loaded(const struct vhm_run *run, const struct vhm_registers *before)
{
	return run->request == VHM_RUN_SET_REGISTERS ||
	       (!run->request && !memcmp(&run->regs, before, sizeof(*before)));
}

static bool is_retired(const struct instance *in, const struct vhm_run *run,
		       const struct vhm_registers *before, int ret)
{
	bool good = CHECK(ret == 0);

	good &= CHECK(!run->inject.flags);
	good &= CHECK(run->retire_bytes == in->code_bytes);
	good &= CHECK(registers_are_loaded(run, before));
	return good & CHECK(run->regs.rip == in->at - in->code_base);
}

static bool run_instance(struct test_vm *vm, const struct instance *in)
{
	struct vhm_run *run = vhm_vcpu_run_page(vm->vcpu);
	struct vhm_registers before;
	int ret;

	guest_prepare(in);
	guest_segments(in, &fake.sregs);
	memcpy(fake.xsave, guest_native.state->xsave, fake.xsave_bytes);
	guest_run_native(in);
	fill_exit(in, run);
	before = run->regs;
	ret = vhm_vcpu_dispatch(vm->vcpu, &guest_callbacks, NULL);
	if (is_retired(in, run, &before, ret) && guest_compare(in, &run->regs, fake.xsave))
		return true;
	instance_describe(in);
	return false;
}

static void run_templates(unsigned int code_bits, unsigned int rounds)
{
	unsigned int i, round;
	struct instance in;
	struct test_vm vm;

	if (!guest_open_native(code_bits))
		return;
	test_vm_create(&vm);
	guest_build(vm.vm);
	for (i = 0; i < template_count; i++) {
		for (round = 0; round < rounds; round++) {
			if (!instance_generate(&in, &guest_native, &templates[i], code_bits) ||
			    !run_instance(&vm, &in))
				break;
		}
	}
	test_vm_destroy(&vm);
}

static void instructions_64(void)
{
	run_templates(64, 300);
}

static void instructions_32(void)
{
	run_templates(32, 150);
}

static void instructions_16(void)
{
	run_templates(16, 150);
}

const struct test_case insn_cases[] = {
	{ "insn: 64-bit mode against this processor", instructions_64 },
	{ "insn: 32-bit mode against this processor", instructions_32 },
	{ "insn: 16-bit mode against this processor", instructions_16 },
	{ 0 },
};
