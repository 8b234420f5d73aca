// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMX backend as the core sees it: its ops, its VMs, its start and end.
 */
#include "vmx.h"

#include "vhm/cpuid.h"
#include "vhm/tsc.h"

/* The host gives tiles to the guests of those processes that asked it: their state is large. */
static u64 process_xcr0(void)
{
	return vmx_guest_xcr0(xstate_get_guest_group_perm());
}

static void describe(struct vhm_info *info)
{
	const u32 ept = vmx_caps.ept_features;

	info->features = VHM_FEATURE_UNRESTRICTED |
		(vmx_caps.vpid ? VHM_FEATURE_VPID : 0) |
		(vmx_caps.apicv ? VHM_FEATURE_APIC_REGISTERS | VHM_FEATURE_VIRTUAL_INTERRUPTS : 0) |
		(vmx_caps.posted ? VHM_FEATURE_POSTED_INTERRUPTS : 0) |
		(vmx_caps.tsc_scaling ? VHM_FEATURE_TSC_SCALING : 0) |
		(ept & VMX_EPT_EXECUTE_ONLY_BIT ? VHM_FEATURE_EXECUTE_ONLY : 0) |
		(ept & VMX_EPT_2MB_PAGE_BIT ? VHM_FEATURE_EPT_2M : 0) |
		(ept & VMX_EPT_1GB_PAGE_BIT ? VHM_FEATURE_EPT_1G : 0) |
		(ept & VMX_EPT_AD_BIT ? VHM_FEATURE_EPT_AD : 0) |
		(vmx_caps.write_log ? VHM_FEATURE_WRITE_LOG : 0);
	info->gpa_bits = min_t(u32, boot_cpu_data.x86_phys_bits, EPT_GPA_BITS);
	info->xcr0 = process_xcr0();
}

static struct vhm_vm *vm_alloc(void)
{
	const struct ept_caps caps = {
		.execute_only = vmx_caps.ept_features & VMX_EPT_EXECUTE_ONLY_BIT,
		.page_2m = vmx_caps.ept_features & VMX_EPT_2MB_PAGE_BIT,
		.page_1g = vmx_caps.ept_features & VMX_EPT_1GB_PAGE_BIT,
		.large_execute = vmx_speculation_large_execute(),
		.accessed_dirty = vmx_caps.ept_features & VMX_EPT_AD_BIT,
		.write_log = vmx_caps.write_log,
	};
	struct vmx_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->base.ept = &vm->ept;
	vm->base.mm = current->mm;
	if (vmx_caps.apicv)
		vm->apic_access_page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	ret = vmx_caps.apicv && !vm->apic_access_page ? -ENOMEM :
							ept_init(&vm->ept, &vm->base, &caps);
	if (ret)
		goto err_vm;
	ret = vmx_get();
	if (ret)
		goto err_ept;
	ret = ept_start(&vm->ept);
	if (!ret)
		return &vm->base;
	vmx_put();
err_ept:
	ept_uninit(&vm->ept);
err_vm:
	free_page((unsigned long)vm->apic_access_page);
	kfree(vm);
	return ERR_PTR(ret);
}

/* All vCPUs are gone: no VMCS refers to the tables any more. */
static void vm_free(struct vhm_vm *base)
{
	struct vmx_vm *vm = to_vmx_vm(base);

	ept_uninit(&vm->ept);
	vmx_put();
	free_page((unsigned long)vm->apic_access_page);
	kfree(vm);
}

/* VMX stays on and the process's notifier registered. */
static void *keep(struct vhm_vm *vm)
{
	struct vhm_process *process = ept_process_keep(&to_vmx_vm(vm)->ept);

	/* on already: this only counts, and cannot fail */
	if (process)
		WARN_ON_ONCE(vmx_get());
	return process;
}

static void unkeep(void *kept)
{
	ept_process_unkeep(kept);
	vmx_put();
}

static void swap_fpu(struct vhm_vcpu *vcpu, bool guest)
{
	fpu_swap_kvm_fpstate(&to_vmx(vcpu)->fpu, guest);
}

/* Without VPIDs every entry does. */
static void flush_guest_translations(struct vhm_vcpu *vcpu)
{
	to_vmx(vcpu)->vpid_stale = true;
}

u64 vhm_guest_tsc(struct vhm_vcpu *vcpu, u64 host_tsc)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	return vhm_tsc_scale(host_tsc, v->tsc_multiplier) + v->tsc_offset;
}

u32 vhm_vcpu_tsc_khz(const struct vhm_vcpu *vcpu)
{
	return to_vmx((struct vhm_vcpu *)vcpu)->tsc_khz;
}

u64 vhm_host_ticks(const struct vhm_vcpu *vcpu, u64 guest_ticks)
{
	return vhm_tsc_unscale(guest_ticks, to_vmx((struct vhm_vcpu *)vcpu)->tsc_multiplier);
}

const struct vhm_backend_ops vmx_backend_ops = {
	.describe		= describe,
	.process_xcr0		= process_xcr0,
	.vm_alloc		= vm_alloc,
	.vm_free		= vm_free,
	.keep			= keep,
	.unkeep			= unkeep,
	.slot_track		= ept_slot_track,
	.slot_untrack		= ept_slot_untrack,
	.populate		= ept_populate,
	.get_mapped		= ept_get_mapped,
	.set_rights		= ept_set_rights,
	.tracker_create		= ept_tracker_create,
	.tracker_free		= ept_tracker_free,
	.harvest		= ept_tracker_harvest,
	.note_written		= ept_note_written,
	.vcpu_alloc		= vmx_vcpu_alloc,
	.vcpu_init		= vmx_vcpu_init,
	.vcpu_free		= vmx_vcpu_free,
	.vcpu_reset		= vmx_vcpu_reset,
	.vcpu_sipi		= vmx_vcpu_sipi,
	.vcpu_load		= vmx_vcpu_load,
	.vcpu_unload		= vmx_vcpu_unload,
	.swap_fpu		= swap_fpu,
	.run			= vmx_run,
	.registers_changed	= vmx_registers_changed,
	.registers_complete	= vmx_registers_complete,
	.inject_exception	= vmx_inject_exception,
	.inject_extint		= vmx_inject_extint,
	.retire			= vmx_retire,
	.irq_window_open	= vmx_irq_window_open,
	.has_deliverable_event	= vmx_has_deliverable_event,
	.apic_mode_changed	= vmx_apic_mode_changed,
	.apic_state_changed	= vmx_apic_state_changed,
	.flush_guest_translations = flush_guest_translations,
	.interrupt_posted	= vmx_interrupt_posted,
	.enable_xcr0		= vmx_enable_xcr0,
	.cpuid_changed		= vmx_cpuid_changed,
	.sections		= vmx_sections,
	.set_control		= vmx_set_control,
	.check_tsc_khz		= vmx_check_tsc_khz,
	.set_tsc		= vmx_set_tsc,
};

static void init_cpuid(void)
{
	const u32 secondary = vmx_caps.secondary;
	const struct vhm_cpuid_limits limits = {
		.xcr0 = vmx_guest_xcr0(U64_MAX),
		.tsc_khz = tsc_khz,
		.gpa_bits = min_t(u32, boot_cpu_data.x86_phys_bits, EPT_GPA_BITS),
		.features = (secondary & SECONDARY_EXEC_ENABLE_RDTSCP ? VHM_CPUID_RDTSCP : 0) |
			(secondary & SECONDARY_EXEC_ENABLE_INVPCID ? VHM_CPUID_INVPCID : 0) |
			(vmx_caps.cr4_fixed1 & X86_CR4_PCIDE ? VHM_CPUID_PCID : 0) |
			(secondary & SECONDARY_EXEC_XSAVES ? VHM_CPUID_XSAVES : 0) |
			(boot_cpu_has(X86_FEATURE_OSPKE) ? VHM_CPUID_PKU : 0) |
			(boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) ? VHM_CPUID_SPEC_CTRL : 0),
	};

	vhm_cpuid_init(&limits);
}

int vmx_init(void)
{
	int ret = vmx_caps_init();

	if (ret)
		return ret;
	vmx_switch_init();
	init_cpuid();
	ret = vmx_speculation_init() ?: ept_module_init();
	if (ret)
		vmx_speculation_exit();
	else
		vmx_life_init();
	return ret;
}

void vmx_exit(void)
{
	vmx_life_exit();
	vmx_speculation_exit();
	ept_module_exit();
}
