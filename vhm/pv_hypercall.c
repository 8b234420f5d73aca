// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls of the paravirtual interface: interprocessor interrupts to many, waking a halted vCPU,
 * giving time to one that was preempted.
 *
 * They change other vCPUs by what is there for it: messages between local APICs, a flag that ends
 * HLT, a directed yield.
 */

#include "apic.h"
#include "pv_internal.h"

static s64 send_ipi(struct vhm_vcpu *vcpu, const struct vhm_registers *regs, bool bits64)
{
	struct vhm_interrupt irq = {
		.vector = regs->rsi & APIC_VECTOR_MASK, .asserted = true,
		.delivery_mode = regs->rsi & APIC_DM_FIXED_MASK,
	};
	DECLARE_BITMAP(targets, PV_IPI_IDS);
	s64 accepted = 0;

	/* the bitmap is the destination */
	if (regs->rsi & (APIC_DEST_LOGICAL | APIC_DEST_ALLBUT))
		return -KVM_EINVAL;
	pv_ipi_targets(targets, regs->rbx, regs->rcx, (u32)regs->rdx, bits64);
	for_each_set_bit(irq.destination, targets, PV_IPI_IDS)
		accepted += vhm_apic_deliver(vcpu->vm, vcpu->apic, &irq);
	return accepted;
}

/**
 * vhm_pv_hypercall - carry out a hypercall that vhm_pv_has_hypercall() knows
 * @vcpu: the vCPU, its thread
 * @regs: number and arguments: RAX, RBX, RCX, RDX, RSI
 * @bits64: it was made in 64-bit mode
 *
 * Context: any but for KVM_HC_SCHED_YIELD, which may sleep.
 * Return: what the guest gets in RAX.
 */
s64 vhm_pv_hypercall(struct vhm_vcpu *vcpu, const struct vhm_registers *regs, bool bits64)
{
	struct vhm_vcpu *other;

	switch ((u32)regs->rax) {
	case KVM_HC_KICK_CPU:
		other = vhm_vcpu_find(vcpu->vm, (u32)regs->rcx);
		if (other) {	/* ends its HLT, or its next one */
			WRITE_ONCE(other->pv.unhalted, true);
			rcuwait_wake_up(&other->wait);
		}
		break;
	case KVM_HC_SEND_IPI:
		return send_ipi(vcpu, regs, bits64);
	case KVM_HC_SCHED_YIELD:
		other = vhm_vcpu_find(vcpu->vm, (u32)regs->rbx);
		if (other && other != vcpu && READ_ONCE(other->preempted))
			vhm_vcpu_yield_to(other);
		break;
	}
	return 0;
}
