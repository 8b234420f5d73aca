// SPDX-License-Identifier: GPL-2.0-only
/*
 * State sections whose values are in the VMCS, the FPU or the processor.
 *
 * The vCPU is loaded and vcpu->mutex held, so the VMCS is current unless preemption moved
 * the thread, which the preempt notifier follows. Check functions refuse what an entry
 * would refuse or what would fault in the host; the rest is the guest's problem.
 */
#include "vmx.h"

#include <linux/string.h>
#include <asm/debugreg.h>

#include "vhm/tsc.h"

/* A field of the n-th segment: two apart, in our order (SDM vol. 3, appendix B, Field Encoding). */
#define NTH(field_of_es, n)	((field_of_es) + 2 * (n))
static_assert(NTH(GUEST_ES_SELECTOR, VHM_SEGMENT_TR) == GUEST_TR_SELECTOR);

#define ACCESS_RIGHTS_DEFINED	0x1f0ffu

static void read_segment(u32 number, struct vhm_segment *out)
{
	out->selector = vmread(NTH(GUEST_ES_SELECTOR, number));
	out->base = vmread(NTH(GUEST_ES_BASE, number));
	out->limit = vmread(NTH(GUEST_ES_LIMIT, number));
	out->access_rights = vmread(NTH(GUEST_ES_AR_BYTES, number));
}

void vmx_write_segment(u32 number, const struct vhm_segment *in)
{
	vmwrite(NTH(GUEST_ES_SELECTOR, number), in->selector);
	vmwrite(NTH(GUEST_ES_BASE, number), in->base);
	vmwrite(NTH(GUEST_ES_LIMIT, number), in->limit);
	vmwrite(NTH(GUEST_ES_AR_BYTES, number), in->access_rights);
}

static void sregisters_get(struct vhm_vcpu *vcpu, void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	struct vhm_sregisters *out = state;

	for (int i = 0; i < 8; i++)
		read_segment(i, &out->segment[i]);
	out->gdt.base = vmread(GUEST_GDTR_BASE);
	out->gdt.limit = vmread(GUEST_GDTR_LIMIT);
	out->idt.base = vmread(GUEST_IDTR_BASE);
	out->idt.limit = vmread(GUEST_IDTR_LIMIT);
	out->cr0 = vmx_read_cr0(v);
	out->cr2 = v->cr2;
	out->cr3 = vmread(GUEST_CR3);
	out->cr4 = vmx_read_cr4(v);
	out->cr8 = vhm_apic_get_cr8(vcpu->apic);
	out->efer = vmread(GUEST_IA32_EFER);
	out->apic_base = vcpu->apic->base_msr;
	if (vmx_pae_paging(out->cr0, out->cr4, out->efer)) {
		out->flags = VHM_SREGISTERS_PDPTE;
		for (int i = 0; i < 4; i++)
			out->pdpte[i] = vmread(GUEST_PDPTR0 + 2 * i);
	}
}

static int sregisters_check(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	const struct vhm_sregisters *in = state;
	bool long_mode = in->efer & EFER_LME && in->cr0 & X86_CR0_PG;

	for (int i = 0; i < 8; i++)
		if (in->segment[i].reserved || in->segment[i].selector >> 16 ||
		    in->segment[i].access_rights & ~ACCESS_RIGHTS_DEFINED)
			return -EINVAL;
	if (in->gdt.reserved || in->idt.reserved || in->gdt.limit >> 16 || in->idt.limit >> 16 ||
	    in->flags & ~VHM_SREGISTERS_PDPTE ||
	    in->efer & ~VMX_EFER_DEFINED || long_mode != !!(in->efer & EFER_LMA) ||
	    in->cr4 & ~v->cr4_allowed || !vmx_cr0_valid(in->cr0, in->cr4, in->efer) ||
	    in->cr3 & GENMASK_ULL(63, boot_cpu_data.x86_phys_bits) || in->cr8 & ~0xfull)
		return -EINVAL;
	return vhm_apic_check_base(vcpu->apic, in->apic_base);
}

static int sregisters_set(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	const struct vhm_sregisters *in = state;

	for (int i = 0; i < 8; i++)
		vmx_write_segment(i, &in->segment[i]);
	vmwrite(GUEST_GDTR_BASE, in->gdt.base);
	vmwrite(GUEST_GDTR_LIMIT, in->gdt.limit);
	vmwrite(GUEST_IDTR_BASE, in->idt.base);
	vmwrite(GUEST_IDTR_LIMIT, in->idt.limit);
	v->cr2 = in->cr2;
	vmwrite(GUEST_CR3, in->cr3);
	vmx_write_efer(v, in->efer);
	vmx_write_cr4(v, in->cr4);
	vmx_write_cr0(v, in->cr0);
	vhm_apic_set_base(vcpu->apic, in->apic_base);
	/* the APIC section has all of TPR: keep its low bits unless CR8 says otherwise */
	if (vhm_apic_get_cr8(vcpu->apic) != in->cr8)
		vhm_apic_set_cr8(vcpu->apic, in->cr8);
	if (!vmx_pae_paging(in->cr0, in->cr4, in->efer))
		return 0;
	/* entries that are not valid fail the next entry, which says so (27.3.1.6) */
	if (in->flags & VHM_SREGISTERS_PDPTE)
		for (int i = 0; i < 4; i++)
			vmwrite(GUEST_PDPTR0 + 2 * i, in->pdpte[i]);
	else
		vmx_load_pdptes(v);
	return 0;
}

/* --------------------------------------------------------------------- FPU -- */

/* The size of the host's standard-format area: CPUID.(EAX=0DH,ECX=0):EBX is for its XCR0. */
static u32 xsave_bytes(struct vhm_vcpu *vcpu)
{
	if (!vmx_host_xcr0)
		return sizeof(struct xregs_state);
	return max_t(u32, vcpu ? to_vmx(vcpu)->fpu.uabi_size : cpuid_ecx(0xd),
		     sizeof(struct xregs_state));
}

static void xsave_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	fpu_copy_guest_fpstate_to_uabi(&v->fpu, out, bytes, vmx_guest_xcr0(v->fpu.xfeatures),
				       v->pkru);
}

/* What XRSTOR refuses (SDM vol. 1, 13.8): components, format, reserved bits. */
static int xsave_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	u64 features = vmx_guest_xcr0(to_vmx(vcpu)->fpu.xfeatures) | XFEATURE_MASK_FPSSE;
	const struct xregs_state *area = in;

	return area->header.xfeatures & ~features || area->header.xcomp_bv ||
	       memchr_inv(area->header.reserved, 0, sizeof(area->header.reserved)) ||
	       area->i387.mxcsr >> 16 ? -EINVAL : 0;
}

static int xsave_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	return fpu_copy_uabi_to_guest_fpstate(&v->fpu, in, vmx_guest_xcr0(v->fpu.xfeatures),
					      &v->pkru);
}

/*
 * The guest's CPUID will offer these: its FPU state gets room for tiles. The host's new area is in
 * its initial state, so what is in the old one moves.
 */
int vmx_enable_xcr0(struct vhm_vcpu *vcpu, u64 xcr0)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	u32 bytes = xsave_bytes(vcpu);
	void *area;
	int ret;

	if (!(xcr0 & XFEATURE_MASK_XTILE_DATA & ~v->fpu.xfeatures))
		return 0;
	area = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!area)
		return -ENOMEM;
	xsave_get(vcpu, area, bytes);
	ret = fpu_enable_guest_xfd_features(&v->fpu, XFEATURE_MASK_XTILE_DATA);
	if (!ret)
		ret = xsave_set(vcpu, area, bytes);
	kvfree(area);
	return ret ? -ENOMEM : 0;
}

static void xcr_get(struct vhm_vcpu *vcpu, void *out, u32 bytes)
{
	((struct vhm_xcr *)out)->xcr0 = to_vmx(vcpu)->xcr0;
}

static int xcr_check(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	u64 xcr0 = ((const struct vhm_xcr *)in)->xcr0;
	/* without XSAVE in the host there is no XCR0, and its value means nothing */
	bool valid = vmx_host_xcr0 ? vmx_xcr0_valid(to_vmx(vcpu), xcr0) : xcr0 == XFEATURE_MASK_FP;

	return valid ? 0 : -EINVAL;
}

static int xcr_set(struct vhm_vcpu *vcpu, const void *in, u32 bytes)
{
	to_vmx(vcpu)->xcr0 = ((const struct vhm_xcr *)in)->xcr0;
	return 0;
}

/* ------------------------------------------------------------------- debug -- */

static void debug_get(struct vhm_vcpu *vcpu, void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	struct vhm_debug_registers *out = state;

	memcpy(out->db, v->db, sizeof(out->db));
	out->dr6 = v->dr6;
	out->dr7 = vmx_read_dr7(v);
}

/* An entry and MOV DR fault on the upper halves (SDM vol. 3, 27.3.1.1, 18.2). */
static int debug_check(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	const struct vhm_debug_registers *in = state;

	return in->dr6 >> 32 || in->dr7 >> 32 ? -EINVAL : 0;
}

static int debug_set(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	const struct vhm_debug_registers *in = state;

	memcpy(v->db, in->db, sizeof(v->db));
	v->dr6 = (in->dr6 & DR6_CAUSES) | DR6_RESERVED;
	vmx_write_dr7(v, in->dr7);
	v->debug_live = true;
	if (!vmx_has_breakpoints(v))
		vmx_set_primary(v, CPU_BASED_MOV_DR_EXITING, false);
	return 0;
}

/* ------------------------------------------------------------------ events -- */

static_assert(VHM_BLOCKED_BY_STI == GUEST_INTR_STATE_STI);
static_assert(VHM_BLOCKED_BY_MOV_SS == GUEST_INTR_STATE_MOV_SS);
static_assert(VHM_BLOCKED_BY_NMI == GUEST_INTR_STATE_NMI);

#define BLOCKED_BITS	(VHM_BLOCKED_BY_STI | VHM_BLOCKED_BY_MOV_SS | VHM_BLOCKED_BY_NMI)

static void describe_injected(struct vmx_vcpu *v, struct vhm_events *out)
{
	u32 vector = v->injected & INTR_INFO_VECTOR_MASK;

	switch (v->injected & INTR_INFO_INTR_TYPE_MASK) {
	case INTR_TYPE_EXT_INTR:
		out->interrupt_pending = 1;
		out->interrupt_vector = vector;
		break;
	case INTR_TYPE_NMI_INTR:
		out->nmi_pending = min(out->nmi_pending + 1, 2u);
		break;
	case INTR_TYPE_SOFT_EXCEPTION:
	case INTR_TYPE_PRIV_SW_EXCEPTION:
		/* INT3, INTO, INT1; with prefixes the length would be lost, and RIP is at it */
		if (v->injected_length == 1)
			out->exception = vmx_exception_event(v->injected, v->injected_error);
		break;
	case INTR_TYPE_HARD_EXCEPTION:
		out->exception = vmx_exception_event(v->injected, v->injected_error);
		/* DR6 has its bits already; without a payload it would be INT1 */
		if (vector == X86_TRAP_DB)
			out->exception = vmx_debug_event(v->dr6 & DR6_CAUSES);
		break;
	/* INT n: RIP is at the instruction, which runs again */
	}
}

static void events_get(struct vhm_vcpu *vcpu, void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	struct vhm_events *out = state;

	out->run_state = vcpu->run_state;
	out->interruptibility = vmread(GUEST_INTERRUPTIBILITY_INFO) & BLOCKED_BITS;
	out->nmi_pending = atomic_read(&vcpu->nmi_pending);
	out->init_pending = test_bit(VHM_REQ_INIT, &vcpu->requests);
	out->sipi_pending = test_bit(VHM_REQ_SIPI, &vcpu->requests);
	out->sipi_vector = vcpu->sipi_vector;
	out->eoi_pending = vcpu->apic->level_eoi >= 0;
	out->eoi_vector = max(vcpu->apic->level_eoi, 0);
	out->pending_debug = vmx_pending_debug(v);
	if (v->exception.flags & VHM_EVENT_VALID && !vmx_exception_runs_again(v))
		out->exception = v->exception;
	if (v->injected)
		describe_injected(v, out);
	if (v->parked) {
		out->interrupt_pending = 1;
		out->interrupt_vector = v->parked & INTR_INFO_VECTOR_MASK;
	}
}

static int events_check(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	const struct vhm_events *in = state;

	if (in->run_state > VHM_RUN_STATE_SHUTDOWN || in->interruptibility & ~BLOCKED_BITS ||
	    in->nmi_pending > 2 || in->interrupt_pending > 1 || in->interrupt_vector > 255 ||
	    in->init_pending > 1 || in->sipi_pending > 1 || in->sipi_vector > 255 ||
	    in->eoi_pending > 1 || in->eoi_vector > 255 || in->pending_debug & ~0x1500full ||
	    (in->exception.flags && vmx_check_exception(&in->exception)) ||
	    /* 27.3.1.5: never both */
	    (in->interruptibility & VHM_BLOCKED_BY_STI &&
	     in->interruptibility & VHM_BLOCKED_BY_MOV_SS))
		return -EINVAL;
	return 0;
}

static int events_set(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	struct vmx_vcpu *v = to_vmx(vcpu);
	const struct vhm_events *in = state;

	v->injected = 0;
	v->parked = 0;
	v->exception = in->exception;
	vcpu->run_state = in->run_state;
	vmwrite(GUEST_INTERRUPTIBILITY_INFO, in->interruptibility);
	vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, in->pending_debug);
	atomic_set(&vcpu->nmi_pending, in->nmi_pending);
	vcpu->sipi_vector = in->sipi_vector;
	vcpu->apic->level_eoi = in->eoi_pending ? in->eoi_vector : -1;
	assign_bit(VHM_REQ_INIT, &vcpu->requests, in->init_pending);
	assign_bit(VHM_REQ_SIPI, &vcpu->requests, in->sipi_pending);
	if (in->interrupt_pending)
		v->parked = INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR | in->interrupt_vector;
	set_bit(VHM_REQ_APIC, &vcpu->requests);	/* RVI may be behind IRR */
	vmx_settle_shadow(v);
	return 0;
}

const struct vhm_section_ops vmx_sections[VHM_SECTION_COUNT] = {
	[VHM_SECTION_SREGISTERS] = { 1, sizeof(struct vhm_sregisters), .get = sregisters_get,
				     .check = sregisters_check, .set = sregisters_set },
	[VHM_SECTION_XSAVE] = { 1, .bytes = xsave_bytes, .get = xsave_get,
				.check = xsave_check, .set = xsave_set },
	[VHM_SECTION_XCR] = { 1, sizeof(struct vhm_xcr), .get = xcr_get,
			      .check = xcr_check, .set = xcr_set },
	[VHM_SECTION_DEBUG] = { 1, sizeof(struct vhm_debug_registers), .get = debug_get,
				.check = debug_check, .set = debug_set },
	[VHM_SECTION_MSRS] = { 1, 0, sizeof(struct vhm_msr_value), vmx_msrs_bytes,
			       .get = vmx_msrs_get, .check = vmx_msrs_check, .set = vmx_msrs_set },
	[VHM_SECTION_EVENTS] = { 1, sizeof(struct vhm_events), .get = events_get,
				 .check = events_check, .set = events_set },
};

/* -------------------------------------------------------------------- time -- */

int vmx_check_tsc_khz(u32 khz)
{
	if (!vhm_tsc_khz_valid(khz, tsc_khz))
		return -EINVAL;
	return khz == tsc_khz || vmx_caps.tsc_scaling ? 0 : -EOPNOTSUPP;
}

/*
 * SDM vol. 3, 25.6.5, Time-Stamp Counter Offset and Multiplier. The processor scales its TSC as
 * that is since the last suspend, and multiplies only where it must.
 */
void vmx_write_tsc(struct vmx_vcpu *v)
{
	v->tsc_lost = vhm_tsc_lost;
	vmwrite(TSC_OFFSET, v->tsc_offset + vhm_tsc_scale(v->tsc_lost, v->tsc_multiplier));
	if (!vmx_caps.tsc_scaling)
		return;
	v->secondary &= ~SECONDARY_EXEC_TSC_SCALING;
	if (v->tsc_multiplier != VHM_TSC_UNSCALED)
		v->secondary |= SECONDARY_EXEC_TSC_SCALING;
	vmwrite(TSC_MULTIPLIER, v->tsc_multiplier);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, v->secondary);
}

void vmx_set_tsc_offset(struct vhm_vcpu *vcpu, u64 offset)
{
	to_vmx(vcpu)->tsc_offset = offset;
	vmx_write_tsc(to_vmx(vcpu));
	vhm_apic_tsc_changed(vcpu->apic);
}

/* @khz has passed vmx_check_tsc_khz(). The same on all vCPUs that are given the same. */
void vmx_set_tsc(struct vhm_vcpu *vcpu, u32 khz, u64 host_tsc, u64 tsc)
{
	struct vmx_vcpu *v = to_vmx(vcpu);

	v->tsc_khz = khz;
	v->tsc_multiplier = khz == tsc_khz ? VHM_TSC_UNSCALED : vhm_tsc_multiplier(khz, tsc_khz);
	vmx_set_tsc_offset(vcpu, tsc - vhm_tsc_scale(host_tsc, v->tsc_multiplier));
}
