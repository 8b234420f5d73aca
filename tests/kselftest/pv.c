// SPDX-License-Identifier: GPL-2.0-only
/* What tests of the paravirtual interface share. See pv.h. */
#include "pv.h"

#include <string.h>

GUEST_CODE(wrmsr_code, 64, "wrmsr\n" "out %al, $0x10\n");
GUEST_CODE(rdmsr_code, 64, "rdmsr\n" "out %al, $0x10\n");
GUEST_CODE(nothing_code, 64, "out %al, $0x10\n");

uint32_t run_code(struct vcpu *vcpu, const void *code, size_t bytes,
		  const struct vhm_registers *regs)
{
	struct vhm_registers *r;

	memcpy(vcpu->vm->memory + LONG_CODE, code, bytes);
	guest_long_enter(vcpu, LONG_CODE);
	vcpu_set(vcpu, VHM_SECTION_EVENTS, &(struct vhm_events) { 0 });
	vcpu->run->request = VHM_RUN_RETURN;
	must(vcpu_run(vcpu));
	r = guest_registers(vcpu);
	r->rax = regs->rax;
	r->rbx = regs->rbx;
	r->rcx = regs->rcx;
	r->rdx = regs->rdx;
	r->rsi = regs->rsi;
	if (vcpu_exit(vcpu) != VHM_EXIT_IO)
		give_up("exit '%s'", exit_name(vcpu->run->exit_reason));
	vcpu_retire(vcpu);
	return vcpu->run->io.port == PORT_EVENT ? vcpu->run->io.data : 0;
}

uint32_t guest_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	return run_code(vcpu, wrmsr_code, CODE_BYTES(wrmsr_code), &(struct vhm_registers) {
		.rcx = index, .rax = (uint32_t)value, .rdx = value >> 32 });
}

uint32_t guest_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	uint32_t vector = run_code(vcpu, rdmsr_code, CODE_BYTES(rdmsr_code),
				   &(struct vhm_registers) { .rcx = index });

	*value = (uint32_t)vcpu->run->regs.rax | vcpu->run->regs.rdx << 32;
	return vector;
}

void guest_nothing(struct vcpu *vcpu)
{
	run_code(vcpu, nothing_code, CODE_BYTES(nothing_code), &(struct vhm_registers) { 0 });
}

struct vhm_paravirt get_paravirt(struct vcpu *vcpu)
{
	struct vhm_paravirt paravirt;

	vcpu_get(vcpu, VHM_SECTION_PARAVIRT, &paravirt);
	return paravirt;
}

bool all_zero(const uint8_t *memory, size_t bytes)
{
	while (bytes && !memory[bytes - 1])
		bytes--;
	return !bytes;
}
