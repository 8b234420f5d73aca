// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPU of the VMX backend: allocation, VMCS set-up, reset, loading on a CPU.
 */
#include "vmx.h"

#include <linux/idr.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/msr.h>

#include "enter.h"
#include "vhm/tsc.h"

static DEFINE_IDA(vpids);	/* 0 is the host's */

/*
 * PAUSEs no further apart than the gap are a loop, which exits after the window (SDM vol. 3,
 * 26.1.3). A lock is held for less than the window unless its holder was preempted.
 */
#define PAUSE_LOOP_GAP_TSC	128
#define PAUSE_LOOP_WINDOW_TSC	4096

struct vhm_vcpu *vmx_vcpu_alloc(struct vhm_vm *vm)
{
	struct vmx_vcpu *v = kzalloc(sizeof(*v), GFP_KERNEL_ACCOUNT);

	if (!v)
		return NULL;
	v->base.cpu = -1;
	v->host.cpu = -1;
	INIT_LIST_HEAD(&v->loaded_link);
	v->vmcs = vmx_alloc_region(GFP_KERNEL_ACCOUNT);
	v->msr_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (vmx_caps.write_log)
		v->write_log = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!v->vmcs || !v->msr_bitmap || (vmx_caps.write_log && !v->write_log) ||
	    !fpu_alloc_guest_fpstate(&v->fpu)) {
		vmx_vcpu_free(&v->base);
		return NULL;
	}
	/* none left: this vCPU flushes by running untagged */
	if (vmx_caps.vpid)
		v->vpid = max(ida_alloc_range(&vpids, 1, U16_MAX, GFP_KERNEL_ACCOUNT), 0);
	v->share = ept_add_share(&to_vmx_vm(vm)->ept);
	return &v->base;
}

/* One that vmx_vcpu_alloc() has not completed, too. */
void vmx_vcpu_free(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	vmx_vmcs_clear(v);
	free_page((unsigned long)v->vmcs);
	if (v->vpid)
		ida_free(&vpids, v->vpid);
	fpu_free_guest_fpstate(&v->fpu);
	free_page((unsigned long)v->write_log);
	free_page((unsigned long)v->msr_bitmap);
	kfree(v);
}

/* Fields that are 0 from power-up on; the guest may come to change its own. */
static const u16 zero_fields[] = {
	PAGE_FAULT_ERROR_CODE_MASK, PAGE_FAULT_ERROR_CODE_MATCH, CR3_TARGET_COUNT,
	VM_EXIT_MSR_STORE_COUNT, VM_EXIT_MSR_LOAD_COUNT, VM_ENTRY_MSR_LOAD_COUNT,
	HOST_DS_SELECTOR, HOST_ES_SELECTOR, HOST_FS_SELECTOR, HOST_GS_SELECTOR,
	GUEST_SYSENTER_CS, GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, GUEST_IA32_DEBUGCTL,
};

/* Control fields as a vCPU starts with them (SDM vol. 3, 25.6-25.8); a reset writes the others. */
static void vmcs_write_controls(struct vmx_vcpu *v)
{
	v->primary = vmx_caps.primary;
	v->secondary = vmx_caps.secondary;
	if (!v->vpid)
		v->secondary &= ~SECONDARY_EXEC_ENABLE_VPID;
	v->pin = vmx_caps.pin;

	vmwrite(CPU_BASED_VM_EXEC_CONTROL, v->primary);
	vmwrite(VM_EXIT_CONTROLS, vmx_caps.exit);
	vmwrite(EXCEPTION_BITMAP, VMX_HOST_EXCEPTIONS);
	for (u32 i = 0; i < ARRAY_SIZE(zero_fields); i++)
		vmwrite(zero_fields[i], 0);
	vmwrite(MSR_BITMAP, __pa(v->msr_bitmap));
	vmwrite(VMCS_LINK_POINTER, ~0ull);
	if (v->vpid)
		vmwrite(VIRTUAL_PROCESSOR_ID, v->vpid);
	if (v->secondary & SECONDARY_EXEC_XSAVES)
		vmwrite(XSS_EXIT_BITMAP, 0);
	if (v->secondary & SECONDARY_EXEC_ENCLS_EXITING)
		vmwrite(ENCLS_EXITING_BITMAP, ~0ull);
	if (v->secondary & SECONDARY_EXEC_PAUSE_LOOP_EXITING) {
		vmwrite(PLE_GAP, PAUSE_LOOP_GAP_TSC);
		vmwrite(PLE_WINDOW, PAUSE_LOOP_WINDOW_TSC);
	}
	if (vmx_caps.entry & VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)
		vmwrite(GUEST_IA32_PERF_GLOBAL_CTRL, 0);
	v->ept_pointer = ept_pointer(&to_vmx_vm(v->base.vm)->ept);
	vmwrite(EPT_POINTER, v->ept_pointer);
	if (v->write_log)
		vmwrite(PML_ADDRESS, __pa(v->write_log));
	vmx_write_tsc(v);
	v->preemption_timer = U32_MAX;
	if (vmx_caps.preemption_timer)
		vmwrite(VMX_PREEMPTION_TIMER_VALUE, U32_MAX);
}

int vmx_vcpu_init(struct vhm_vcpu *vcpu)
{
	struct vhm_vcpu *first = vcpu->id ? xa_load(&vcpu->vm->vcpus, 0) : NULL;
	struct vmx_vcpu *v = to_vmx(vcpu);
	int ret = -EIO;

	v->args.regs = &vcpu->regs;
	/* all vCPUs of a VM start at the same guest TSC: 0 when the first was created */
	v->tsc_khz = first ? to_vmx(first)->tsc_khz : tsc_khz;
	v->tsc_multiplier = first ? to_vmx(first)->tsc_multiplier : VHM_TSC_UNSCALED;
	v->tsc_offset = first ? to_vmx(first)->tsc_offset : -vhm_host_tsc();

	/* of power-up; a reset keeps them, as INIT does */
	v->cr0_shadow = X86_CR0_NW | X86_CR0_CD;

	preempt_disable();
	/* VMCLEAR sets the launch state, which a fresh region does not have (25.11.3) */
	if (vmclear(__pa(v->vmcs)) && vmx_vmcs_make_current(v, smp_processor_id())) {
		vmcs_write_controls(v);
		vmx_msr_init(v);
		vmx_init_cr_masks(v);
		vmx_host_constant_state(v);
		vmx_apicv_vcpu_init(v);
		vmx_vcpu_load(vcpu, smp_processor_id());
		vmx_vcpu_reset(vcpu);
		vmx_vcpu_unload(vcpu);
		ret = 0;
	}
	preempt_enable();
	return ret;
}

static void reset_segments(void)
{
	/* ES, CS, SS, DS, FS, GS; an LDT, a busy TSS of 32 bits */
	static const u32 access_rights[] = { 0x93, 0x9b, 0x93, 0x93, 0x93, 0x93, 0x82, 0x8b };
	struct vhm_segment segment = { .limit = 0xffff };

	for (u32 i = 0; i < ARRAY_SIZE(access_rights); i++) {
		segment.access_rights = access_rights[i];
		vmx_write_segment(i, &segment);
	}
	vmwrite(GUEST_CS_SELECTOR, 0xf000);
	vmwrite(GUEST_CS_BASE, 0xffff0000);
	vmwrite(GUEST_GDTR_BASE, 0);
	vmwrite(GUEST_GDTR_LIMIT, 0xffff);
	vmwrite(GUEST_IDTR_BASE, 0);
	vmwrite(GUEST_IDTR_LIMIT, 0xffff);
}

/*
 * SDM vol. 3, table 9-1, Processor State Following Power-up, Reset, or INIT. INIT keeps
 * the FPU, most MSRs and CR0.CD and NW.
 */
void vmx_vcpu_reset(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	memset(&vcpu->regs, 0, sizeof(vcpu->regs));
	vcpu->regs.rdx = 0x600;		/* family 6; the model is the VMM's choice by CPUID */
	vmx_set_rip(v, 0xfff0);
	vmx_set_rflags(v, 0);
	vmwrite(GUEST_RSP, 0);

	reset_segments();
	vmwrite(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmwrite(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmwrite(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmx_reset_cr(v, X86_CR0_ET | (v->cr0_shadow & (X86_CR0_NW | X86_CR0_CD)));
	v->cr2 = 0;
	v->dr6 = DR6_RESERVED;
	memset(v->db, 0, sizeof(v->db));
	vmx_write_dr7(v, 0);
	v->injected = 0;
	v->parked = 0;
	v->exception.flags = 0;
	v->facts.reason = 0;
	v->vpid_stale = true;
	/* each change of mode starts with everything pending looked at again */
	vmx_apic_mode_changed(vcpu);
}

/* SDM vol. 3, 9.4.4.1: a SIPI of vector VV starts at 000VV000h in real mode. */
void vmx_vcpu_sipi(struct vhm_vcpu *vcpu, u8 vector)
{
	vmwrite(GUEST_CS_SELECTOR, (u64)vector << 8);
	vmwrite(GUEST_CS_BASE, (u64)vector << 12);
	vmx_set_rip(to_vmx(vcpu), 0);
}

/* Host-state fields that differ between CPUs (SDM vol. 3, 25.5). */
static void write_host_cpu_state(struct vmx_vcpu *v, int cpu)
{
	v->host.gdt = (struct desc_ptr) { GDT_SIZE - 1, (unsigned long)get_current_gdt_ro() };
	vmwrite(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmwrite(HOST_GDTR_BASE, v->host.gdt.address);
	vmwrite(HOST_GS_BASE, __rdmsr(MSR_GS_BASE));
	vmwrite(HOST_IA32_SYSENTER_ESP, (unsigned long)(cpu_entry_stack(cpu) + 1));
}

/* Another vCPU was on this CPU last, or this one elsewhere. */
static noinline void come_to_cpu(struct vmx_vcpu *v, int cpu)
{
	if (!vmx_vmcs_make_current(v, cpu))
		return;
	if (v->host.cpu != cpu) {
		v->host.cpu = cpu;
		write_host_cpu_state(v, cpu);
		/*
		 * This CPU may hold translations of ours from an earlier stay. With EPT all that
		 * are tagged by the VPID are combined mappings, which INVEPT drops, too (29.4.3.1).
		 */
		v->ept_generation = 0;
	}
	if (unlikely(v->tsc_lost != vhm_tsc_lost))
		vmx_write_tsc(v);
	/* what was in the guest here last was another vCPU, as far as anybody knows */
	indirect_branch_prediction_barrier();
}

void vmx_vcpu_load(struct vhm_vcpu *vcpu, int cpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	if (unlikely(!vmx_is_current(v) || v->host.cpu != cpu))
		come_to_cpu(v, cpu);
	v->l1d_flush = true;
}

void vmx_vcpu_unload(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	unsigned long flags;

	if (!v->host.loaded)
		return;
	local_irq_save(flags);
	vmx_host_state_restore(v);
	local_irq_restore(flags);
}
