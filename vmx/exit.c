// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exit dispatch: one table, bounds-checked; the small exits; retiring an instruction.
 *
 * Runs with interrupts and preemption on; a handler may sleep. What must happen before
 * interrupts are on again is in vmx/run.c.
 */
#include "vmx.h"

#include <uapi/linux/kvm_para.h>
#include <asm/msr-index.h>

#include "vhm/cpuid.h"
#include "vhm/trace.h"

/*
 * An instruction ends: RIP moves on, blocking by STI and MOV SS ends, and with RFLAGS.TF a
 * single-step trap becomes pending (SDM vol. 3, 25.4.2, 27.7.3).
 */
void vmx_retire(struct vhm_vcpu *vcpu, u32 insn_bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	u64 old = vmx_rip(v), rip = old + insn_bytes;
	u64 blocking;

	/* across 4 GiB all but 64-bit code wraps */
	if (unlikely((rip ^ old) >> 32) && !(vmread(GUEST_CS_AR_BYTES) & BIT(13)))
		rip = (u32)rip;
	vmx_set_rip(v, rip);
	blocking = vmread(GUEST_INTERRUPTIBILITY_INFO);
	if (blocking & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))
		vmwrite(GUEST_INTERRUPTIBILITY_INFO,
			blocking & ~(u64)(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
	if (unlikely(vmx_rflags(v) & X86_EFLAGS_RF))
		vmx_set_rflags(v, vmx_rflags(v) & ~(u64)X86_EFLAGS_RF);
	if (unlikely(v->control.flags & VHM_CONTROL_SINGLE_STEP))
		set_bit(VHM_REQ_STEP, &vcpu->requests);
	/* under BTF only branches trap (17.4.3) */
	if (unlikely(vmx_rflags(v) & X86_EFLAGS_TF) &&
	    !(vmread(GUEST_IA32_DEBUGCTL) & DEBUGCTLMSR_BTF))
		vmwrite(GUEST_PENDING_DBG_EXCEPTIONS,
			vmread(GUEST_PENDING_DBG_EXCEPTIONS) | BIT(14));
}

enum vmx_exit_outcome vmx_skip_insn(struct vmx_vcpu *v)
{
	vmx_retire(&v->base, vmx_insn_bytes(v));
	return VMX_RESUME;
}

/* What user space needs to fetch, decode and perform an instruction that accesses @gpa. */
enum vmx_exit_outcome vmx_mmio_to_user(struct vmx_vcpu *v, u32 exit_reason, gpa_t gpa, u32 flags,
				       gva_t linear)
{
	v->base.run->mmio = (struct vhm_exit_mmio) {
		.gpa = gpa, .flags = flags, .linear_address = linear,
		.cs_base = vmread(GUEST_CS_BASE),
		.cs_access_rights = (u32)vmread(GUEST_CS_AR_BYTES), .cpl = vmx_cpl(),
		.cr0 = vmx_read_cr0(v), .cr3 = vmread(GUEST_CR3), .cr4 = vmx_read_cr4(v),
		.efer = vmread(GUEST_IA32_EFER),
	};
	return vmx_exit_to_user(v, exit_reason);
}

/*
 * The exit was what it is for. Interrupts have been served in vmx/run.c; the next entry takes in
 * what the APIC's timer brings or a lower TPR lets through, and the core sees the deadline.
 */
static enum vmx_exit_outcome exit_served(struct vmx_vcpu *v)
{
	return VMX_RESUME;
}

/* The table and its dynamic fields are vhm/cpuid.c's. */
static enum vmx_exit_outcome exit_cpuid(struct vmx_vcpu *v)
{
	/* the bits it may depend on are host-owned: the shadow has them */
	vhm_cpuid_answer(&v->base, v->cr4_shadow, v->xcr0, &v->base.regs);
	return vmx_skip_insn(v);
}

static enum vmx_exit_outcome exit_hlt(struct vmx_vcpu *v)
{
	if (v->base.vm->flags & VHM_VM_EXIT_HLT)
		return vmx_insn_to_user(v, VHM_EXIT_HLT);
	vmx_skip_insn(v);
	v->base.run_state = VHM_RUN_STATE_HALTED;
	return VMX_NOT_RUNNABLE;
}

/* One of the paravirtual interface. A guest's user mode gets nothing by it. */
static noinline enum vmx_exit_outcome pv_hypercall(struct vmx_vcpu *v)
{
	bool bits64 = vmread(GUEST_CS_AR_BYTES) & BIT(13);
	s64 result = -KVM_EPERM;

	if (!vmx_cpl())
		result = vhm_pv_hypercall(&v->base, &v->base.regs, bits64);
	v->base.regs.rax = bits64 ? (u64)result : (u32)result;
	return vmx_skip_insn(v);
}

static enum vmx_exit_outcome exit_vmcall(struct vmx_vcpu *v)
{
	if (unlikely(vhm_pv_has_hypercall(&v->base.pv, v->base.regs.rax)))
		return pv_hypercall(v);
	if (v->base.vm->flags & VHM_VM_EXIT_HYPERCALL)
		return vmx_insn_to_user(v, VHM_EXIT_HYPERCALL);
	v->base.regs.rax = -KVM_ENOSYS;
	return vmx_skip_insn(v);
}

/* A loop of PAUSEs waits for another vCPU: let that one run. */
static enum vmx_exit_outcome exit_pause(struct vmx_vcpu *v)
{
	vhm_vcpu_yield(&v->base);
	return vmx_skip_insn(v);
}

struct exit_row {
	vmx_exit_handler *handle;
	enum vhm_stat stat;
};

/*
 * #UD: instructions whose CPUID bits a guest is never given; VMCLEAR to VMXON are nine. Caches
 * have nothing to write back, all memory of the guest is coherent. No performance counters are
 * offered (SDM vol. 2, RDPMC).
 */
static const struct exit_row exit_table[] = {
	[EXIT_REASON_EXCEPTION_NMI]	= { vmx_exit_exception, VHM_STAT_EXIT_NMI },
	[EXIT_REASON_EXTERNAL_INTERRUPT] = { exit_served, VHM_STAT_EXIT_INTERRUPT },
	[EXIT_REASON_TRIPLE_FAULT]	= { vmx_exit_triple_fault, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_INTERRUPT_WINDOW]	= { vmx_exit_irq_window, VHM_STAT_EXIT_IRQ_WINDOW },
	[EXIT_REASON_NMI_WINDOW]	= { vmx_exit_nmi_window, VHM_STAT_EXIT_IRQ_WINDOW },
	[EXIT_REASON_TASK_SWITCH]	= { vmx_exit_task_switch, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_CPUID]		= { exit_cpuid, VHM_STAT_EXIT_CPUID },
	[EXIT_REASON_HLT]		= { exit_hlt, VHM_STAT_EXIT_HLT },
	[EXIT_REASON_INVD]		= { vmx_skip_insn, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_WBINVD]		= { vmx_skip_insn, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_RDPMC]		= { vmx_queue_gp, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_VMCALL]		= { exit_vmcall, VHM_STAT_EXIT_HYPERCALL },
	[EXIT_REASON_VMCLEAR ... EXIT_REASON_VMON] = { vmx_queue_ud, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_CR_ACCESS]		= { vmx_exit_cr, VHM_STAT_EXIT_CR },
	[EXIT_REASON_DR_ACCESS]		= { vmx_exit_dr, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_IO_INSTRUCTION]	= { vmx_exit_io, VHM_STAT_EXIT_IO },
	[EXIT_REASON_MSR_READ]		= { vmx_exit_rdmsr, VHM_STAT_EXIT_MSR },
	[EXIT_REASON_MSR_WRITE]		= { vmx_exit_wrmsr, VHM_STAT_EXIT_MSR },
	[EXIT_REASON_MWAIT_INSTRUCTION]	= { vmx_queue_ud, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_MONITOR_TRAP_FLAG]	= { vmx_exit_step, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_MONITOR_INSTRUCTION] = { vmx_queue_ud, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_PAUSE_INSTRUCTION]	= { exit_pause, VHM_STAT_EXIT_PAUSE },
	[EXIT_REASON_TPR_BELOW_THRESHOLD] = { exit_served, VHM_STAT_EXIT_APIC },
	[EXIT_REASON_APIC_ACCESS]	= { vmx_exit_apic_access, VHM_STAT_EXIT_APIC },
	[EXIT_REASON_EOI_INDUCED]	= { vmx_exit_eoi, VHM_STAT_EXIT_APIC },
	[EXIT_REASON_EPT_VIOLATION]	= { vmx_exit_ept_violation, VHM_STAT_EXIT_EPT },
	[EXIT_REASON_EPT_MISCONFIG]	= { vmx_exit_ept_misconfig, VHM_STAT_EXIT_EPT },
	[EXIT_REASON_PML_FULL]		= { vmx_exit_log_full, VHM_STAT_EXIT_EPT },
	[EXIT_REASON_PREEMPTION_TIMER]	= { exit_served, VHM_STAT_EXIT_PREEMPTION_TIMER },
	[EXIT_REASON_INVEPT]		= { vmx_queue_ud, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_INVVPID]		= { vmx_queue_ud, VHM_STAT_EXIT_OTHER },
	[EXIT_REASON_XSETBV]		= { vmx_exit_xsetbv, VHM_STAT_EXIT_CR },
	[EXIT_REASON_APIC_WRITE]	= { vmx_exit_apic_write, VHM_STAT_EXIT_APIC },
	[EXIT_REASON_ENCLS]		= { vmx_queue_ud, VHM_STAT_EXIT_OTHER },
};

/* SDM vol. 3, 27.8: the guest's state did not pass, or its MSRs did not load. */
static enum vmx_exit_outcome exit_entry_failed(struct vmx_vcpu *v)
{
	bool instruction = v->facts.reason == ~0u;
	u16 reason = (u16)v->facts.reason;

	v->base.run->entry_failed = (struct vhm_exit_entry_failed) {
		.kind = instruction ? VHM_ENTRY_FAILURE_INSTRUCTION :
			reason == EXIT_REASON_INVALID_STATE ? VHM_ENTRY_FAILURE_GUEST_STATE :
			reason == EXIT_REASON_MSR_LOAD_FAIL ? VHM_ENTRY_FAILURE_MSR_LOADING :
			VHM_ENTRY_FAILURE_MACHINE_CHECK,
		.code = instruction ? vmread(VM_INSTRUCTION_ERROR) : vmx_qualification(v),
	};
	vmx_cancel_injection(v);
	return vmx_exit_to_user(v, VHM_EXIT_ENTRY_FAILED);
}

/**
 * vmx_exit_at_once() - handle an exit whose handler needs nothing but registers and VMCS
 * @v: the vCPU
 *
 * The frequent ones. Interrupts off, the guest's XCR0, PKRU and debug registers still loaded:
 * nothing here may sleep, touch user memory or the FPU, or change what an entry loads.
 *
 * Return: VMX_LATER: not handled, it is for vmx_handle_exit().
 */
enum vmx_exit_outcome vmx_exit_at_once(struct vmx_vcpu *v)
{
	enum vmx_exit_outcome outcome;
	enum vhm_stat stat;

	switch (v->facts.reason) {
	case EXIT_REASON_IO_INSTRUCTION:
		stat = VHM_STAT_EXIT_IO;
		outcome = vmx_exit_io(v);
		break;
	case EXIT_REASON_CPUID:
		stat = VHM_STAT_EXIT_CPUID;
		outcome = exit_cpuid(v);
		break;
	case EXIT_REASON_VMCALL:
		/* may sleep; may have as many targets as fit into its bitmap */
		if (unlikely((u32)v->base.regs.rax == KVM_HC_SCHED_YIELD ||
			     (u32)v->base.regs.rax == KVM_HC_SEND_IPI))
			return VMX_LATER;
		stat = VHM_STAT_EXIT_HYPERCALL;
		outcome = exit_vmcall(v);
		break;
	case EXIT_REASON_MSR_READ:
		stat = VHM_STAT_EXIT_MSR;
		outcome = vmx_exit_rdmsr(v);
		break;
	case EXIT_REASON_PREEMPTION_TIMER:
		/* early, or a piece of a longer time */
		if (vhm_host_tsc() >= vhm_vcpu_next_event_tsc(&v->base))
			return VMX_LATER;
		stat = VHM_STAT_EXIT_PREEMPTION_TIMER;
		outcome = VMX_RESUME;
		break;
	case EXIT_REASON_MSR_WRITE:
		if (!vmx_wrmsr_is_quick(v))
			return VMX_LATER;
		stat = VHM_STAT_EXIT_MSR;
		outcome = vmx_exit_wrmsr(v);
		break;
	default:
		return VMX_LATER;
	}
	v->base.stats[stat]++;
	/* after the fact: RIP is that of the next instruction, where that is done already */
	if (trace_vhm_exit_enabled())
		trace_vhm_exit(&v->base, v->facts.reason, vmx_rip(v));
	return outcome;
}

/* Exits that can come in the middle of the delivery of an event (SDM vol. 3, 28.2.4) */
#define DURING_DELIVERY	(BIT_ULL(EXIT_REASON_EXCEPTION_NMI) | BIT_ULL(EXIT_REASON_TASK_SWITCH) | \
			 BIT_ULL(EXIT_REASON_APIC_ACCESS) | BIT_ULL(EXIT_REASON_EPT_VIOLATION) | \
			 BIT_ULL(EXIT_REASON_EPT_MISCONFIG) | BIT_ULL(EXIT_REASON_PML_FULL))

static void read_idt_vectoring(struct vmx_vcpu *v, u16 reason)
{
	v->facts.idt_vectoring = 0;
	if (reason < 64 && DURING_DELIVERY & BIT_ULL(reason))
		v->facts.idt_vectoring = (u32)vmread(IDT_VECTORING_INFO_FIELD);
	if (unlikely(v->facts.idt_vectoring & VECTORING_INFO_VALID_MASK))
		vmx_requeue_interrupted(v);
}

enum vmx_exit_outcome vmx_handle_exit(struct vmx_vcpu *v)
{
	u32 reason = v->facts.reason;
	const struct exit_row *row;

	if (trace_vhm_exit_enabled())
		trace_vhm_exit(&v->base, reason, vmx_rip(v));
	if (unlikely(reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return exit_entry_failed(v);

	reason = (u16)reason;
	read_idt_vectoring(v, reason);
	row = &exit_table[array_index_nospec(reason, ARRAY_SIZE(exit_table))];
	if (unlikely(reason >= ARRAY_SIZE(exit_table) || !row->handle))
		return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
	v->base.stats[row->stat]++;
	return row->handle(v);
}
