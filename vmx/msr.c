// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs of the guest: what switches with it, what is modelled, what is only stored.
 *
 * An MSR that is none of these is -ENOENT: #GP(0) for the guest, or an exit where the VM
 * asks for it. -EINVAL is #GP(0) always. Nothing here reads or writes an MSR of the host
 * on the guest's behalf unless the MSR bitmap lets it through.
 */
#include "vmx.h"

#include <asm/msr.h>
#include <asm/page.h>

#include "vhm/cpuid.h"

#define MISC_ENABLE_RESET	(MSR_IA32_MISC_ENABLE_FAST_STRING | \
				 MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | \
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)
/* SDM vol. 4, table 2-2, IA-32 Architectural MSRs; the kernel's names are not in its own style */
#define MSR_MTRR_CAP		0xfe
#define MSR_MTRR_PHYS_BASE_0	0x200
#define MSR_MTRR_FIX_64K	0x250
#define MSR_MTRR_FIX_16K	0x258
#define MSR_MTRR_FIX_4K		0x268
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRRCAP_VALUE		(BIT_ULL(10) | BIT_ULL(8) | VMX_VARIABLE_MTRRS)	/* WC, fixed */

/* SDM vol. 3, 3.3.7.1, Canonical Addressing */
static bool canonical(struct vmx_vcpu *v, u32 index, u64 address)
{
	return __is_canonical_address(address, boot_cpu_has(X86_FEATURE_LA57) ? 57 : 48);
}

/* ------------------------------------------------------------------- MTRRs -- */

/* memory types (SDM vol. 3, tables 12-2 and 12-10); what an MTRR cannot have is UC- */
#define MTRR_TYPES	(BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6))
#define PAT_TYPES	(MTRR_TYPES | BIT(7))

/* Eight of a byte each. */
static bool types_valid(u64 value, u32 types)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		if ((u8)value > 7 || !(types & BIT((u8)value)))
			return false;
	return true;
}

/* One type, in the lowest byte; 0 is a type, too. */
static bool mtrr_def_type_valid(struct vmx_vcpu *v, u32 index, u64 value)
{
	return types_valid((u8)value, MTRR_TYPES);
}

/* A base, with a type, or a mask (SDM vol. 3, 12.11.2, Setting Memory Ranges with MTRRs) */
static bool variable_mtrr_valid(struct vmx_vcpu *v, u32 index, u64 value)
{
	u64 address_reserved = GENMASK_ULL(63, boot_cpu_data.x86_phys_bits);

	if (index & 1)
		return !(value & (address_reserved | 0x7ff));
	return !(value & (address_reserved | 0xf00)) && types_valid((u8)value, MTRR_TYPES);
}

/* ------------------------------------------------------------------ bitmap -- */

/* SDM vol. 3, 25.6.9, MSR-Bitmap Address: reads of low and high MSRs, then writes */
void vmx_msr_intercept(struct vmx_vcpu *v, u32 index, bool read, bool write)
{
	u32 bit = (index & 0x1fff) + (index >= 0xc0000000 ? 0x2000 : 0);

	__assign_bit(bit, v->msr_bitmap, read);
	__assign_bit(bit + VMX_MSR_BITMAP_WRITE, v->msr_bitmap, write);
}

/* Power-up, where the vCPU is new and what is not named here is 0. The VMCS is current. */
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
	vmwrite(GUEST_IA32_PAT, 0x0007040600070406ull);
	v->misc_enable = MISC_ENABLE_RESET;
	v->xcr0 = XFEATURE_MASK_FP;
}

static bool guest_has(struct vmx_vcpu *v, u32 feature)
{
	return vhm_cpuid_has(&v->base, feature);
}

bool vmx_guest_has_tsc_aux(struct vmx_vcpu *v)
{
	return guest_has(v, X86_FEATURE_RDTSCP) || guest_has(v, X86_FEATURE_RDPID);
}

/* The CPUID table was set: what may be let through. The VMCS is current. */
void vmx_cpuid_changed(struct vhm_vcpu *vcpu)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	bool ibpb = guest_has(v, X86_FEATURE_SPEC_CTRL) && boot_cpu_has(X86_FEATURE_IBPB);
	bool flush = guest_has(v, X86_FEATURE_FLUSH_L1D) && boot_cpu_has(X86_FEATURE_FLUSH_L1D);
	u32 given = (guest_has(v, X86_FEATURE_INVPCID) ? SECONDARY_EXEC_ENABLE_INVPCID : 0) |
		    (vmx_guest_has_tsc_aux(v) ? SECONDARY_EXEC_ENABLE_RDTSCP : 0);

	vmx_init_cr_masks(v);
	vmx_msr_intercept(v, MSR_IA32_PRED_CMD, true, !ibpb);
	vmx_msr_intercept(v, MSR_IA32_FLUSH_CMD, true, !flush);
	/* #NM in the guest writes it: the processor knows, and v->xfd_err after the exit */
	vmx_msr_intercept(v, MSR_IA32_XFD_ERR, !guest_has(v, X86_FEATURE_XFD), true);
	v->secondary &= ~(SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_ENABLE_RDTSCP);
	v->secondary |= given & vmx_caps.secondary;
	vmwrite(SECONDARY_VM_EXEC_CONTROL, v->secondary);
	vmx_lazy_msr_changed(v, vmread(GUEST_IA32_EFER));
}

/* ------------------------------------------------------------------ values -- */

static u64 guest_tsc(struct vmx_vcpu *v)
{
	return vhm_guest_tsc(&v->base, vhm_host_tsc());
}

static int set_efer(struct vmx_vcpu *v, u64 efer)
{
	u64 old = vmread(GUEST_IA32_EFER);

	/* LME cannot change with paging on; LMA is the processor's (SDM vol. 3, 2.2.1) */
	if (efer & ~VMX_EFER_DEFINED || ((old ^ efer) & EFER_LME && vmx_read_cr0(v) & X86_CR0_PG))
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

/* What the guest may disable: the tiles, if it has them. */
static bool disabled_valid(struct vmx_vcpu *v, u32 index, u64 value)
{
	return !(value & ~(v->fpu.xfeatures & XFEATURE_MASK_XTILE_DATA));
}

static int set_tsc(struct vmx_vcpu *v, u64 value)
{
	value -= guest_tsc(v);
	v->tsc_adjust += value;
	vhm_pv_clock_tsc_written(&v->base, value);
	vmx_set_tsc_offset(&v->base, v->tsc_offset + value);
	return 0;
}

/**
 * struct msr_model - an MSR that is modelled
 * @index: its number
 * @field: where the VMCS has its value, or 0
 * @offset: else where struct vmx_vcpu has it, or 0: its value is 0
 * @more: so many more MSRs with the numbers behind it are the same, their values behind its own
 * @lazy: it is one of enum vmx_lazy_msr
 * @constant: a guest may read it and never change it; it is no state
 * @value: which then is this
 * @needs: X86_FEATURE_*; a guest whose CPUID has none of them does not have it; none: all do
 * @types: it is eight memory types, of these; 0: it is not
 * @reserved: bits that must be 0
 * @valid: may it have this value? NULL: any
 * @get: reads it, instead
 * @set: checks and writes it, instead; 0 or -EINVAL
 */
struct msr_model {
	u32 index, field, offset, more;
	bool lazy, constant;
	u64 value;
	u32 needs[3];
	u32 types;
	u64 reserved;
	bool (*valid)(struct vmx_vcpu *v, u32 index, u64 value);
	u64 (*get)(struct vmx_vcpu *v);
	int (*set)(struct vmx_vcpu *v, u64 value);
};

#define IN_VCPU(member)	.offset = offsetof(struct vmx_vcpu, member)
#define LAZY(name)	MSR_##name, IN_VCPU(lazy_msrs[VMX_LAZY_##name]), .lazy = true
#define MTRR(n)		IN_VCPU(mtrrs[n]), .types = MTRR_TYPES
#define CONSTANT(index, is)	{ index, .constant = true, .value = (is) }
#define HIGH_HALF	GENMASK_ULL(63, 32)

static const struct msr_model msrs[] = {
	{ LAZY(STAR) },
	{ LAZY(LSTAR), .valid = canonical },
	{ LAZY(CSTAR), .valid = canonical },
	{ LAZY(SYSCALL_MASK), .reserved = HIGH_HALF },
	{ LAZY(TSC_AUX), .reserved = HIGH_HALF,
	  .needs = { X86_FEATURE_RDTSCP, X86_FEATURE_RDPID } },
	{ MSR_IA32_SYSENTER_CS, GUEST_SYSENTER_CS },
	{ MSR_IA32_SYSENTER_ESP, GUEST_SYSENTER_ESP, .valid = canonical },
	{ MSR_IA32_SYSENTER_EIP, GUEST_SYSENTER_EIP, .valid = canonical },
	{ MSR_IA32_CR_PAT, GUEST_IA32_PAT, .types = PAT_TYPES },
	{ MSR_IA32_DEBUGCTLMSR, GUEST_IA32_DEBUGCTL, .reserved = ~(u64)DEBUGCTLMSR_BTF },
	/* the guest's accesses do not exit, and a section's come while the host's is loaded */
	{ MSR_KERNEL_GS_BASE, IN_VCPU(kernel_gs_base), .valid = canonical },
	{ MSR_IA32_MISC_ENABLE, IN_VCPU(misc_enable) },
	{ MSR_IA32_TSC_ADJUST, IN_VCPU(tsc_adjust), .needs = { X86_FEATURE_TSC_ADJUST } },
	{ MSR_IA32_SPEC_CTRL, IN_VCPU(args.guest_spec_ctrl), .set = set_spec_ctrl,
	  .needs = { X86_FEATURE_SPEC_CTRL, X86_FEATURE_INTEL_STIBP, X86_FEATURE_SPEC_CTRL_SSBD } },
	{ MSR_IA32_XFD, IN_VCPU(xfd), .valid = disabled_valid, .needs = { X86_FEATURE_XFD } },
	{ MSR_IA32_XFD_ERR, IN_VCPU(xfd_err), .valid = disabled_valid,
	  .needs = { X86_FEATURE_XFD } },
	{ MSR_IA32_MCG_STATUS, IN_VCPU(mcg_status) },
	{ MSR_MTRR_DEF_TYPE, IN_VCPU(mtrr_def_type), .reserved = ~0xcffull,
	  .valid = mtrr_def_type_valid },
	/* no CPUID faulting, no supervisor state */
	{ MSR_MISC_FEATURES_ENABLES, .reserved = ~0ull },
	{ MSR_IA32_XSS, .reserved = ~0ull, .needs = { X86_FEATURE_XSAVES } },
	{ MSR_MTRR_PHYS_BASE_0, IN_VCPU(mtrrs), .more = 2 * VMX_VARIABLE_MTRRS - 1,
	  .valid = variable_mtrr_valid },
	{ MSR_MTRR_FIX_64K, MTRR(2 * VMX_VARIABLE_MTRRS) },
	{ MSR_MTRR_FIX_16K, MTRR(2 * VMX_VARIABLE_MTRRS + 1), .more = 1 },
	{ MSR_MTRR_FIX_4K, MTRR(2 * VMX_VARIABLE_MTRRS + 3), .more = 7 },
	/* other sections have these */
	{ MSR_FS_BASE, GUEST_FS_BASE, .valid = canonical },
	{ MSR_GS_BASE, GUEST_GS_BASE, .valid = canonical },
	{ MSR_EFER, GUEST_IA32_EFER, .set = set_efer },
	{ MSR_IA32_TSC, .get = guest_tsc, .set = set_tsc },
	CONSTANT(MSR_IA32_UCODE_REV, 1ull << 32),
	CONSTANT(MSR_IA32_PLATFORM_ID, 0),
	CONSTANT(MSR_IA32_MCG_CAP, 0),
	CONSTANT(MSR_PLATFORM_INFO, 0),
	CONSTANT(MSR_IA32_FEAT_CTL, FEAT_CTL_LOCKED),
	CONSTANT(MSR_MTRR_CAP, MTRRCAP_VALUE),
	{ MSR_IA32_ARCH_CAPABILITIES, .constant = true, .get = vmx_guest_arch_capabilities },
};

#define SAVED_MSRS	(ARRAY_SIZE(msrs) - 11)

static const struct msr_model *find_msr(u32 index)
{
	for (u32 i = 0; i < ARRAY_SIZE(msrs); i++)
		if (index - msrs[i].index <= msrs[i].more)
			return &msrs[i];
	return NULL;
}

static u64 *place(struct vmx_vcpu *v, const struct msr_model *msr, u32 index)
{
	u64 *first = (void *)v + msr->offset;

	return &first[array_index_nospec(index - msr->index, msr->more + 1)];
}

static u64 get_msr(struct vmx_vcpu *v, const struct msr_model *msr, u32 index)
{
	if (msr->get)
		return msr->get(v);
	if (msr->field)
		return vmread(msr->field);
	return msr->offset ? *place(v, msr, index) : msr->value;
}

static int set_msr(struct vmx_vcpu *v, const struct msr_model *msr, u32 index, u64 value)
{
	if (msr->set)
		return msr->set(v, value);
	if (value & msr->reserved || (msr->types && !types_valid(value, msr->types)) ||
	    (msr->valid && !msr->valid(v, index, value)))
		return -EINVAL;
	if (msr->field)
		vmwrite(msr->field, value);
	else if (msr->offset)
		*place(v, msr, index) = value;
	if (msr->lazy)
		vmx_lazy_msr_changed(v, vmread(GUEST_IA32_EFER));
	return 0;
}

static bool is_apic_msr(u32 index)
{
	return (index >= 0x800 && index <= 0x8ff) || index == MSR_IA32_APICBASE ||
	       index == MSR_IA32_TSC_DEADLINE;
}

/* One that this guest has, or ERR_PTR(). Without its CPUID bit ARCH_CAPABILITIES is unknown. */
static const struct msr_model *find_guests_msr(struct vmx_vcpu *v, u32 index)
{
	const struct msr_model *msr = find_msr(index);

	if (!msr || (index == MSR_IA32_ARCH_CAPABILITIES &&
		     !guest_has(v, X86_FEATURE_ARCH_CAPABILITIES)))
		return ERR_PTR(-ENOENT);
	for (u32 i = 0; i < ARRAY_SIZE(msr->needs) && msr->needs[i]; i++)
		if (guest_has(v, msr->needs[i]))
			return msr;
	return msr->needs[0] ? ERR_PTR(-EINVAL) : msr;
}

int vmx_guest_rdmsr(struct vmx_vcpu *v, u32 index, u64 *value)
{
	const struct msr_model *msr;

	if (is_apic_msr(index))
		return vhm_apic_msr_read(v->base.apic, index, value);
	if (vhm_pv_is_msr(index))
		return vhm_pv_msr_read(&v->base, index, value);
	msr = find_guests_msr(v, index);
	if (IS_ERR(msr))
		return PTR_ERR(msr);
	*value = get_msr(v, msr, index);
	return 0;
}

int vmx_guest_wrmsr(struct vmx_vcpu *v, u32 index, u64 value)
{
	const struct msr_model *msr;

	if (is_apic_msr(index))
		return vhm_apic_msr_write(v->base.apic, index, value);
	if (vhm_pv_is_msr(index))
		return vhm_pv_msr_write(&v->base, index, value);
	if (index == MSR_IA32_UCODE_REV || index == MSR_IA32_UCODE_WRITE)
		return 0;	/* guests clear the one to read it; microcode is the host's */
	msr = find_guests_msr(v, index);
	if (IS_ERR(msr))
		return PTR_ERR(msr);
	if (msr->constant)
		return -EINVAL;
	if (index == MSR_IA32_TSC_ADJUST) {	/* the guest's write moves its TSC as well */
		vhm_pv_clock_tsc_written(&v->base, value - v->tsc_adjust);
		vmx_set_tsc_offset(&v->base, v->tsc_offset + value - v->tsc_adjust);
	}
	return set_msr(v, msr, index, value);
}

/* ----------------------------------------------------------------- section -- */

u32 vmx_msrs_bytes(struct vhm_vcpu *vcpu)
{
	u32 count = SAVED_MSRS;

	for (u32 i = 0; i < SAVED_MSRS; i++)
		count += msrs[i].more;
	return count * sizeof(struct vhm_msr_value);
}

void vmx_msrs_get(struct vhm_vcpu *vcpu, void *state, u32 bytes)
{
	const struct msr_model *msr;
	struct vhm_msr_value *out = state;

	for (msr = msrs; msr < msrs + SAVED_MSRS; msr++)
		for (u32 i = 0; i <= msr->more; i++, out++) {
			out->index = msr->index + i;
			out->value = get_msr(to_vmx(vcpu), msr, out->index);
		}
}

int vmx_msrs_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	const struct vhm_msr_value *msr;
	const struct msr_model *model;

	for (msr = in; msr < (struct vhm_msr_value *)(in + bytes); msr++) {
		model = find_msr(msr->index);
		if (msr->reserved || !model || model->constant)
			return -EINVAL;
	}
	return 0;
}

int vmx_msrs_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	const struct vhm_msr_value *msr;

	for (msr = in; msr < (struct vhm_msr_value *)(in + bytes); msr++)
		if (set_msr(to_vmx(vcpu), find_msr(msr->index), msr->index, msr->value))
			return -EINVAL;
	return 0;
}
