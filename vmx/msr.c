// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs of the guest: what switches with it, what is modelled, what is only stored.
 *
 * An MSR that is none of these is -ENOENT: #GP(0) for the guest, or an exit where the VM
 * asks for it. -EINVAL is #GP(0) always. Nothing here reads or writes an MSR of the host
 * on the guest's behalf unless the MSR bitmap lets it through.
 */
#include "vmx.h"

#include <linux/nospec.h>
#include <asm/msr.h>
#include <asm/mtrr.h>

#include "instruction.h"
#include "vhm/cpuid.h"

/* fast strings on; no BTS, no PEBS */
#define MISC_ENABLE_RESET	(BIT_ULL(0) | BIT_ULL(11) | BIT_ULL(12))
#define MTRRCAP_VALUE		(BIT_ULL(10) | BIT_ULL(8) | VMX_MTRR_VARIABLE)	/* WC, fixed */
#define MSR_IA32_MTRR_DEF_TYPE	0x2ff

/* SDM vol. 3, 3.3.7.1, Canonical Addressing */
static bool canonical(u64 address)
{
	u8 unused_bits = 64 - (boot_cpu_has(X86_FEATURE_LA57) ? 57 : 48);

	return (u64)((s64)(address << unused_bits) >> unused_bits) == address;
}

/* ------------------------------------------------------------------ stored -- */

static const u32 stored_fixed[] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
	MSR_IA32_MTRR_DEF_TYPE, MSR_IA32_MCG_STATUS, MSR_MISC_FEATURES_ENABLES,
};

static u32 stored_index(u32 n)
{
	return n < 2 * VMX_MTRR_VARIABLE ? 0x200 + n : stored_fixed[n - 2 * VMX_MTRR_VARIABLE];
}

#define STORED_COUNT	(2 * VMX_MTRR_VARIABLE + ARRAY_SIZE(stored_fixed))
static_assert(STORED_COUNT <= VMX_STORED_MSRS);

static u64 *stored(struct vmx_vcpu *v, u32 index)
{
	u32 i;

	if (index >= 0x200 && index < 0x200 + 2 * VMX_MTRR_VARIABLE)
		return &v->stored_msrs[array_index_nospec(index - 0x200, 2 * VMX_MTRR_VARIABLE)];
	for (i = 0; i < ARRAY_SIZE(stored_fixed); i++)
		if (stored_fixed[i] == index)
			return &v->stored_msrs[2 * VMX_MTRR_VARIABLE + i];
	return NULL;
}

static bool mtrr_type_valid(u8 type)
{
	return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

/* SDM vol. 3, 12.11.2, Setting Memory Ranges with MTRRs */
static bool stored_valid(u32 index, u64 value)
{
	u64 address_reserved = GENMASK_ULL(63, boot_cpu_data.x86_phys_bits);
	int i;

	if (index >= 0x250 && index <= 0x26f) {
		for (i = 0; i < 8; i++)
			if (!mtrr_type_valid(value >> (8 * i)))
				return false;
		return true;
	}
	if (index == MSR_IA32_MTRR_DEF_TYPE)
		return !(value & ~0xcffull) && mtrr_type_valid(value);
	if (index == MSR_MISC_FEATURES_ENABLES)
		return value == 0;
	if (index < 0x250 && index & 1)
		return !(value & (address_reserved | 0x7ff));
	if (index < 0x250)
		return !(value & (address_reserved | 0xf00)) && mtrr_type_valid(value);
	return true;
}

/* ------------------------------------------------------------------ bitmap -- */

/* SDM vol. 3, 25.6.9, MSR-Bitmap Address: reads of low and high MSRs, then writes */
void vmx_msr_intercept(struct vmx_vcpu *v, u32 index, bool read, bool write)
{
	u32 bit = (index & 0x1fff) + (index >= 0xc0000000 ? 0x2000 : 0);

	__assign_bit(bit, v->msr_bitmap, read);
	__assign_bit(bit + VMX_MSR_BITMAP_WRITE, v->msr_bitmap, write);
}

void vmx_msr_init(struct vmx_vcpu *v)
{
	memset64((u64 *)v->msr_bitmap, U64_MAX, PAGE_SIZE / sizeof(u64));
	vmx_msr_intercept(v, MSR_FS_BASE, false, false);
	vmx_msr_intercept(v, MSR_GS_BASE, false, false);
	vmx_msr_intercept(v, MSR_KERNEL_GS_BASE, false, false);
	vmx_msr_intercept(v, MSR_IA32_SYSENTER_CS, false, false);
	vmx_msr_intercept(v, MSR_IA32_SYSENTER_ESP, false, false);
	vmx_msr_intercept(v, MSR_IA32_SYSENTER_EIP, false, false);
	vmx_msr_intercept(v, MSR_IA32_TSC, false, true);
}

static bool guest_has(struct vmx_vcpu *v, u32 leaf, char reg, u32 bit)
{
	const struct vhm_cpuid_entry *e = vhm_cpuid_find(&v->base, leaf, 0);
	u32 value;

	if (!e)
		return false;
	value = reg == 'b' ? e->ebx : reg == 'c' ? e->ecx : e->edx;
	return value & BIT(bit);
}

static bool guest_has_spec_ctrl(struct vmx_vcpu *v)
{
	return boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) &&
	       (guest_has(v, 7, 'd', 26) || guest_has(v, 7, 'd', 27) || guest_has(v, 7, 'd', 31));
}

bool vmx_guest_has_tsc_aux(struct vmx_vcpu *v)
{
	return guest_has(v, 0x80000001, 'd', 27) || guest_has(v, 7, 'c', 22);
}

/* The CPUID table was set: what may be let through. The VMCS is current. */
void vmx_cpuid_changed(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	bool ibpb = guest_has(v, 7, 'd', 26) && boot_cpu_has(X86_FEATURE_IBPB);
	bool flush = guest_has(v, 7, 'd', 28) && boot_cpu_has(X86_FEATURE_FLUSH_L1D);

	vmx_init_cr_masks(v);
	vmx_msr_intercept(v, MSR_IA32_PRED_CMD, true, !ibpb);
	vmx_msr_intercept(v, MSR_IA32_FLUSH_CMD, true, !flush);
	if (!guest_has(v, 7, 'b', 10))
		v->secondary &= ~SECONDARY_EXEC_ENABLE_INVPCID;
	else
		v->secondary |= vmx_caps.secondary & SECONDARY_EXEC_ENABLE_INVPCID;
	if (!vmx_guest_has_tsc_aux(v))
		v->secondary &= ~SECONDARY_EXEC_ENABLE_RDTSCP;
	else
		v->secondary |= vmx_caps.secondary & SECONDARY_EXEC_ENABLE_RDTSCP;
	vmwrite(SECONDARY_VM_EXEC_CONTROL, v->secondary);
	vmx_lazy_msr_changed(v);
}

/* Power-up; INIT keeps them. The VMCS is current. */
void vmx_msr_reset(struct vmx_vcpu *v)
{
	vmwrite(GUEST_SYSENTER_CS, 0);
	vmwrite(GUEST_SYSENTER_ESP, 0);
	vmwrite(GUEST_SYSENTER_EIP, 0);
	vmwrite(GUEST_IA32_DEBUGCTL, 0);
	vmwrite(GUEST_IA32_PAT, 0x0007040600070406ull);
	memset(v->lazy_msrs, 0, sizeof(v->lazy_msrs));
	memset(v->stored_msrs, 0, sizeof(v->stored_msrs));
	v->kernel_gs_base = 0;
	v->misc_enable = MISC_ENABLE_RESET;
	v->args.guest_spec_ctrl = 0;
	v->spec_ctrl_passthrough = false;
	v->xcr0 = XFEATURE_MASK_FP;
	v->tsc_adjust = 0;
}

/* ------------------------------------------------------------------ values -- */

static const struct {
	u32 index;
	enum vmx_lazy_msr lazy;
	bool address;
} lazy_msrs[] = {
	{ MSR_STAR, VMX_LAZY_STAR, false },
	{ MSR_LSTAR, VMX_LAZY_LSTAR, true },
	{ MSR_CSTAR, VMX_LAZY_CSTAR, true },
	{ MSR_SYSCALL_MASK, VMX_LAZY_SYSCALL_MASK, false },
	{ MSR_TSC_AUX, VMX_LAZY_TSC_AUX, false },
};

static const struct {
	u32 index;
	u32 field;
	bool address;
} vmcs_msrs[] = {
	{ MSR_IA32_SYSENTER_CS, GUEST_SYSENTER_CS, false },
	{ MSR_IA32_SYSENTER_ESP, GUEST_SYSENTER_ESP, true },
	{ MSR_IA32_SYSENTER_EIP, GUEST_SYSENTER_EIP, true },
	{ MSR_FS_BASE, GUEST_FS_BASE, true },
	{ MSR_GS_BASE, GUEST_GS_BASE, true },
};

/* Where an MSR of these two tables is kept; false: in neither. */
static bool table_msr(u32 index, int *lazy, u32 *field, bool *address)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lazy_msrs); i++) {
		if (lazy_msrs[i].index == index) {
			*lazy = lazy_msrs[i].lazy;
			*address = lazy_msrs[i].address;
			return true;
		}
	}
	*lazy = -1;
	for (i = 0; i < ARRAY_SIZE(vmcs_msrs); i++) {
		if (vmcs_msrs[i].index == index) {
			*field = vmcs_msrs[i].field;
			*address = vmcs_msrs[i].address;
			return true;
		}
	}
	return false;
}

static bool pat_valid(u64 value)
{
	int i;

	for (i = 0; i < 8; i++) {
		u8 type = value >> (8 * i);

		if (!mtrr_type_valid(type) && type != 7)
			return false;
	}
	return true;
}

static u64 guest_tsc(struct vmx_vcpu *v)
{
	return vhm_guest_tsc(&v->base, vhm_host_tsc());
}

/*
 * The kernel GS base is in the processor while the guest is loaded. Preemption off keeps
 * vmx_host_state_restore() from coming between the test and the access.
 */
static u64 read_kernel_gs_base(struct vmx_vcpu *v)
{
	u64 value;

	preempt_disable();
	if (v->host.loaded)
		rdmsrl(MSR_KERNEL_GS_BASE, v->kernel_gs_base);
	value = v->kernel_gs_base;
	preempt_enable();
	return value;
}

static void write_kernel_gs_base(struct vmx_vcpu *v, u64 value)
{
	preempt_disable();
	if (v->host.loaded)
		wrmsrl(MSR_KERNEL_GS_BASE, value);
	v->kernel_gs_base = value;
	preempt_enable();
}

int vmx_get_msr(struct vhm_vcpu *vcpu, u32 index, u64 *value)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	bool address;
	u64 *store;
	u32 field;
	int lazy;

	if (table_msr(index, &lazy, &field, &address)) {
		*value = lazy >= 0 ? v->lazy_msrs[lazy] : vmread(field);
		return 0;
	}
	store = stored(v, index);
	if (store) {
		*value = *store;
		return 0;
	}
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		*value = read_kernel_gs_base(v);
		return 0;
	case MSR_EFER:
		*value = vmread(GUEST_IA32_EFER);
		return 0;
	case MSR_IA32_CR_PAT:
		*value = vmread(GUEST_IA32_PAT);
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		*value = vmread(GUEST_IA32_DEBUGCTL);
		return 0;
	case MSR_IA32_TSC:
		*value = guest_tsc(v);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		*value = v->tsc_adjust;
		return 0;
	case MSR_IA32_MISC_ENABLE:
		*value = v->misc_enable;
		return 0;
	case MSR_IA32_SPEC_CTRL:
		*value = v->args.guest_spec_ctrl;
		return 0;
	case MSR_IA32_XSS:
		*value = 0;
		return 0;
	}
	return -ENOENT;
}

static int set_lazy(struct vmx_vcpu *v, int lazy, u64 value)
{
	if (lazy == VMX_LAZY_TSC_AUX && value >> 32)
		return -EINVAL;
	if (lazy == VMX_LAZY_SYSCALL_MASK && value >> 32)
		return -EINVAL;
	v->lazy_msrs[lazy] = value;
	vmx_lazy_msr_changed(v);
	return 0;
}

static int set_efer(struct vmx_vcpu *v, u64 efer)
{
	u64 old = vmread(GUEST_IA32_EFER);

	/* LME cannot change with paging on; LMA is the processor's (SDM vol. 3, 2.2.1) */
	if (!vmx_efer_valid(v, efer) ||
	    ((old ^ efer) & EFER_LME && vmx_read_cr0(v) & X86_CR0_PG))
		return -EINVAL;
	vmx_write_efer(v, (efer & ~(u64)EFER_LMA) | (old & EFER_LMA));
	return 0;
}

/* Does this processor take the value? The host's own is back before anything else runs. */
static bool spec_ctrl_valid(u64 value)
{
	unsigned long flags;
	bool ok;

	local_irq_save(flags);
	ok = !wrmsrl_safe(MSR_IA32_SPEC_CTRL, value);
	wrmsrl_safe(MSR_IA32_SPEC_CTRL, this_cpu_read(x86_spec_ctrl_current));
	local_irq_restore(flags);
	return ok;
}

static int set_spec_ctrl(struct vmx_vcpu *v, u64 value)
{
	if (!boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		return value ? -EINVAL : 0;
	if (value && !spec_ctrl_valid(value))
		return -EINVAL;
	v->args.guest_spec_ctrl = value;
	if (value && !v->spec_ctrl_passthrough) {
		v->spec_ctrl_passthrough = true;
		vmx_msr_intercept(v, MSR_IA32_SPEC_CTRL, false, false);
	}
	return 0;
}

int vmx_set_msr(struct vhm_vcpu *vcpu, u32 index, u64 value)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	bool address;
	u64 *store;
	u32 field;
	int lazy;

	if (table_msr(index, &lazy, &field, &address)) {
		if (address && !canonical(value))
			return -EINVAL;
		if (lazy >= 0)
			return set_lazy(v, lazy, value);
		vmwrite(field, value);
		return 0;
	}
	store = stored(v, index);
	if (store) {
		if (!stored_valid(index, value))
			return -EINVAL;
		*store = value;
		return 0;
	}
	switch (index) {
	case MSR_KERNEL_GS_BASE:
		if (!canonical(value))
			return -EINVAL;
		write_kernel_gs_base(v, value);
		return 0;
	case MSR_EFER:
		return set_efer(v, value);
	case MSR_IA32_CR_PAT:
		if (!pat_valid(value))
			return -EINVAL;
		vmwrite(GUEST_IA32_PAT, value);
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		if (value & ~(u64)DEBUGCTLMSR_BTF)
			return -EINVAL;
		vmwrite(GUEST_IA32_DEBUGCTL, value);
		return 0;
	case MSR_IA32_TSC:
		value -= guest_tsc(v);
		v->tsc_adjust += value;
		vhm_pv_clock_tsc_written(vcpu, value);
		vmx_set_tsc_offset(vcpu, v->tsc_offset + value);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		v->tsc_adjust = value;
		return 0;
	case MSR_IA32_MISC_ENABLE:
		v->misc_enable = value;
		return 0;
	case MSR_IA32_SPEC_CTRL:
		return set_spec_ctrl(v, value);
	case MSR_IA32_XSS:
		if (value)
			return -EINVAL;
		return 0;
	}
	return -ENOENT;
}

/* Registers that a guest may read and never change. */
static bool constant_msr(struct vmx_vcpu *v, u32 index, u64 *value)
{
	switch (index) {
	case MSR_IA32_UCODE_REV:
		*value = 1ull << 32;
		return true;
	case MSR_IA32_PLATFORM_ID:
	case MSR_IA32_MCG_CAP:
	case MSR_PLATFORM_INFO:
		*value = 0;
		return true;
	case MSR_IA32_FEAT_CTL:
		*value = FEAT_CTL_LOCKED;
		return true;
	case MSR_MTRRcap:
		*value = MTRRCAP_VALUE;
		return true;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (!guest_has(v, 7, 'd', 29))
			return false;
		*value = vmx_guest_arch_capabilities();
		return true;
	}
	return false;
}

static bool is_apic_msr(u32 index)
{
	return (index >= 0x800 && index <= 0x8ff) || index == MSR_IA32_APICBASE ||
	       index == MSR_IA32_TSC_DEADLINE;
}

/* MSRs of features that the guest's CPUID may lack. */
static bool hidden_by_cpuid(struct vmx_vcpu *v, u32 index)
{
	switch (index) {
	case MSR_TSC_AUX:
		return !vmx_guest_has_tsc_aux(v);
	case MSR_IA32_SPEC_CTRL:
		return !guest_has_spec_ctrl(v);
	case MSR_IA32_TSC_ADJUST:
		return !guest_has(v, 7, 'b', 1);
	case MSR_IA32_XSS: {
		const struct vhm_cpuid_entry *e = vhm_cpuid_find(&v->base, 0xd, 1);

		return !e || !(e->eax & BIT(3));
	}
	default:
		return false;
	}
}

int vmx_guest_rdmsr(struct vmx_vcpu *v, u32 index, u64 *value)
{
	if (is_apic_msr(index))
		return vhm_apic_msr_read(v->base.apic, index, value);
	if (vhm_pv_is_msr(index))
		return vhm_pv_msr_read(&v->base, index, value);
	if (constant_msr(v, index, value))
		return 0;
	if (hidden_by_cpuid(v, index))
		return -EINVAL;
	return vmx_get_msr(&v->base, index, value);
}

int vmx_guest_wrmsr(struct vmx_vcpu *v, u32 index, u64 value)
{
	u64 unused;

	if (is_apic_msr(index))
		return vhm_apic_msr_write(v->base.apic, index, value);
	if (vhm_pv_is_msr(index))
		return vhm_pv_msr_write(&v->base, index, value);
	if (index == MSR_IA32_UCODE_REV || index == MSR_IA32_UCODE_WRITE)
		return 0;	/* guests clear the one to read it; microcode is the host's */
	if (constant_msr(v, index, &unused))
		return -EINVAL;
	if (hidden_by_cpuid(v, index))
		return -EINVAL;
	if (index == MSR_IA32_TSC_ADJUST) {	/* the guest's write moves its TSC as well */
		vhm_pv_clock_tsc_written(&v->base, value - v->tsc_adjust);
		vmx_set_tsc_offset(&v->base, v->tsc_offset + value - v->tsc_adjust);
	}
	return vmx_set_msr(&v->base, index, value);
}

/* ----------------------------------------------------------------- section -- */

static const u32 saved_msrs[] = {
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
	MSR_IA32_CR_PAT, MSR_IA32_DEBUGCTLMSR, MSR_IA32_MISC_ENABLE, MSR_IA32_TSC_ADJUST,
	MSR_IA32_SPEC_CTRL, MSR_IA32_XSS,
};

u32 vmx_msr_count(struct vhm_vcpu *vcpu)
{
	return ARRAY_SIZE(saved_msrs) + STORED_COUNT;
}

u32 vmx_msr_index(struct vhm_vcpu *vcpu, u32 n)
{
	return n < ARRAY_SIZE(saved_msrs) ? saved_msrs[n] :
	       stored_index(n - ARRAY_SIZE(saved_msrs));
}
