// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPT violations: the exit qualification becomes a struct ept_fault, the answer an outcome.
 */
#include "vmx.h"

#include "vhm/trace.h"

/* SDM vol. 3, table 28-7, Exit Qualification for EPT Violations */
#define EPT_ACCESS		GENMASK(2, 0)	/* as VHM_MMIO_READ, _WRITE, _FETCH */
#define EPT_LINEAR_VALID	BIT(7)
#define EPT_FINAL_ACCESS	BIT(8)

static bool is_apic_page(struct vmx_vcpu *v, gpa_t gpa)
{
	return (gpa & PAGE_MASK) == 0xfee00000 && vhm_apic_mode(v->base.apic) == VHM_APIC_XAPIC;
}

static enum vmx_exit_outcome exit_mmio(struct vmx_vcpu *v, const struct ept_fault *fault,
				       u32 exit_reason)
{
	u32 flags = fault->access;
	gva_t linear_address = 0;

	/* delivery of an event did it: there is no instruction that could be performed */
	if (exit_reason == VHM_EXIT_MMIO && v->facts.idt_vectoring & VECTORING_INFO_VALID_MASK)
		return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
	if (vmx_qualification(v) & EPT_LINEAR_VALID) {
		flags |= VHM_MMIO_LINEAR_VALID;
		linear_address = vmread(GUEST_LINEAR_ADDRESS);
	}
	if (is_apic_page(v, fault->gpa))
		flags |= VHM_MMIO_APIC;
	return vmx_mmio_to_user(v, exit_reason, fault->gpa, flags, linear_address);
}

/* Under APIC virtualization EPT must map the page that the processor then intercepts. */
static bool map_apic_access_page(struct vmx_vcpu *v, const struct ept_fault *fault)
{
	struct vmx_vm *vm = to_vmx_vm(v->base.vm);
	int ret;

	if (!(v->secondary & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) ||
	    !is_apic_page(v, fault->gpa))
		return false;
	ret = ept_map_fixed(&vm->ept, fault->gpa & PAGE_MASK, __pa(vm->apic_access_page));
	/* another vCPU was quicker; a fetch would fault again for ever, the page has no code */
	return !ret || (ret == -EEXIST && !(fault->access & VHM_MMIO_FETCH));
}

enum vmx_exit_outcome vmx_exit_ept_violation(struct vmx_vcpu *v)
{
	u64 qualification = vmx_qualification(v);
	struct ept_fault fault = {
		.gpa = vmread(GUEST_PHYSICAL_ADDRESS),
		.access = qualification & EPT_ACCESS,
		.flagged = v->ept_pointer & VMX_EPTP_AD_ENABLE_BIT,
	};
	enum ept_fault_result result;
	int error = 0;

	if (qualification & EPT_LINEAR_VALID && !(qualification & EPT_FINAL_ACCESS))
		fault.access |= VHM_MMIO_WALK;
	vmx_block_nmi_again(v, qualification);
	result = ept_fault_handle(&to_vmx_vm(v->base.vm)->ept, v->share, &v->base, &fault, &error);
	trace_vhm_ept_fault(&v->base, fault.gpa, fault.access, result);
	switch (result) {
	case EPT_FAULT_FIXED:
		return VMX_RESUME;
	case EPT_FAULT_MMIO:
		return map_apic_access_page(v, &fault) ? VMX_RESUME :
							 exit_mmio(v, &fault, VHM_EXIT_MMIO);
	case EPT_FAULT_DENIED:
		return exit_mmio(v, &fault, VHM_EXIT_DENIED);
	case EPT_FAULT_INTERRUPTED:
		return VMX_SIGNAL;
	case EPT_FAULT_ERROR:
		break;
	}
	v->base.run->memory_fault = (struct vhm_exit_memory_fault) {
		.gpa = fault.gpa, .flags = fault.access, .error = error,
	};
	return vmx_exit_to_user(v, VHM_EXIT_MEMORY_FAULT);
}

/* What was in the log is with the trackers since this vCPU left the guest. */
enum vmx_exit_outcome vmx_exit_log_full(struct vmx_vcpu *v)
{
	vmx_block_nmi_again(v, vmx_qualification(v));
	return VMX_RESUME;
}

#define LOG_ENTRIES	(PAGE_SIZE / sizeof(u64))

/*
 * Have the VMCS say what has changed about the tables. Interrupts off, before an INVEPT. A log
 * that is turned on is empty: the index is where the processor writes next, from the end of the
 * page down (29.3.6, Page-Modification Logging).
 */
void vmx_follow_tables(struct vmx_vcpu *v)
{
	const struct ept *ept = &to_vmx_vm(v->base.vm)->ept;
	bool logs = v->write_log && READ_ONCE(ept->tracked) && READ_ONCE(ept->caps.accessed_dirty);

	if (v->ept_pointer != ept_pointer(ept)) {
		v->ept_pointer = ept_pointer(ept);
		vmwrite(EPT_POINTER, v->ept_pointer);
	}
	if (logs == !!(v->secondary & SECONDARY_EXEC_ENABLE_PML))
		return;
	if (!logs)
		vmx_empty_log(v);
	v->secondary ^= SECONDARY_EXEC_ENABLE_PML;
	vmwrite(SECONDARY_VM_EXEC_CONTROL, v->secondary);
	vmwrite(GUEST_PML_INDEX, LOG_ENTRIES - 1);
}

/* Interrupts off, before anybody may take this CPU to be outside the guest. */
void vmx_empty_log(struct vmx_vcpu *v)
{
	struct ept *ept = &to_vmx_vm(v->base.vm)->ept;
	u16 index = vmread(GUEST_PML_INDEX);

	if (index == LOG_ENTRIES - 1)
		return;
	/* behind the last entry that was written: 0xffff when the log is full */
	for (index++; index < LOG_ENTRIES; index++)
		ept_note_written(ept, v->write_log[index], 1);
	vmwrite(GUEST_PML_INDEX, LOG_ENTRIES - 1);
}

/* No entry of ours is ever malformed (29.3.3.1): memory corruption, the VM cannot go on. */
enum vmx_exit_outcome vmx_exit_ept_misconfig(struct vmx_vcpu *v)
{
	WARN_ONCE(1, "EPT misconfiguration at guest-physical %#llx\n",
		  vmread(GUEST_PHYSICAL_ADDRESS));
	vhm_vm_kill(v->base.vm);
	return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
}
