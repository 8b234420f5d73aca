// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control-register and XSETBV exits.
 */
#include "vmx.h"

#include "vhm/cpuid.h"

/* SDM vol. 3, table 28-3, Exit Qualification for Control-Register Accesses */
#define CR_ACCESS(q)	((q) & 0x3f)		/* number and type */
#define CR_REGISTER(q)	(((q) >> 8) & 15)
#define CR_LMSW_DATA(q)	(((q) >> 16) & 0xf)

enum cr_access { CR_TO_CR0 = 0x00, CR_TO_CR4 = 0x04, CR_CLTS = 0x20, CR_LMSW = 0x30 };

/* With PAE paging, a write that changes how addresses are translated reloads the PDPTEs. */
#define CR0_RELOADS	(X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)
#define CR4_RELOADS	(X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)

static bool guest_write_cr0(struct vmx_vcpu *v, u64 cr0)
{
	u64 old = vmx_read_cr0(v), cr4 = vmx_read_cr4(v), efer = vmread(GUEST_IA32_EFER);

	if (!vmx_cr0_valid(cr0, cr4, efer) || (!(cr0 & X86_CR0_PG) && cr4 & X86_CR4_PCIDE))
		return false;
	/* long mode is neither entered nor left in 64-bit code (SDM vol. 3, 9.8.5) */
	if ((old ^ cr0) & X86_CR0_PG && efer & EFER_LME && vmread(GUEST_CS_AR_BYTES) & BIT(13))
		return false;
	if (vmx_pae_paging(cr0, cr4, efer) && (old ^ cr0) & CR0_RELOADS && vmx_load_pdptes(v))
		return false;
	vmx_write_cr0(v, cr0);
	return true;
}

static bool guest_write_cr4(struct vmx_vcpu *v, u64 cr4)
{
	u64 old = vmx_read_cr4(v), cr0 = vmx_read_cr0(v), efer = vmread(GUEST_IA32_EFER);

	if (cr4 & ~v->cr4_allowed || (efer & EFER_LMA && !(cr4 & X86_CR4_PAE)))
		return false;
	if (cr4 & X86_CR4_PCIDE && !(old & X86_CR4_PCIDE) &&
	    (!(efer & EFER_LMA) || vmread(GUEST_CR3) & 0xfff))
		return false;
	if (vmx_pae_paging(cr0, cr4, efer) && (old ^ cr4) & CR4_RELOADS && vmx_load_pdptes(v))
		return false;
	vmx_write_cr4(v, cr4);
	return true;
}

enum vmx_exit_outcome vmx_exit_cr(struct vmx_vcpu *v)
{
	u64 qualification = vmx_qualification(v);
	bool ok = true;

	switch (CR_ACCESS(qualification)) {
	case CR_TO_CR0:
		ok = guest_write_cr0(v, vmx_read_gpr(v, CR_REGISTER(qualification)));
		break;
	case CR_TO_CR4:
		ok = guest_write_cr4(v, vmx_read_gpr(v, CR_REGISTER(qualification)));
		break;
	case CR_CLTS:
		vmx_write_cr0(v, vmx_read_cr0(v) & ~(u64)X86_CR0_TS);
		break;
	case CR_LMSW:	/* sets PE, MP, EM, TS; cannot clear PE (SDM vol. 2, LMSW) */
		ok = guest_write_cr0(v, (vmx_read_cr0(v) & ~0xeull) | CR_LMSW_DATA(qualification));
		break;
	default:	/* CR3 and CR8 do not exit */
		return vmx_exit_to_user(v, VHM_EXIT_UNHANDLED);
	}
	return ok ? vmx_skip_insn(v) : vmx_queue_gp(v);
}

/* SDM vol. 1, 13.3: what XSETBV refuses. */
bool vmx_xcr0_valid(struct vmx_vcpu *v, u64 xcr0)
{
	const u64 avx512 = XFEATURE_MASK_AVX512, tiles = XFEATURE_MASK_XTILE;

	return xcr0 & XFEATURE_MASK_FP && !(xcr0 & ~vmx_guest_xcr0(v->fpu.xfeatures)) &&
	       (!(xcr0 & XFEATURE_MASK_YMM) || xcr0 & XFEATURE_MASK_SSE) &&
	       (!(xcr0 & tiles) || (xcr0 & tiles) == tiles) &&
	       (!(xcr0 & avx512) || ((xcr0 & avx512) == avx512 && xcr0 & XFEATURE_MASK_YMM));
}

/* The processor has checked CPL and CR4.OSXSAVE; its index and value are ours to check. */
enum vmx_exit_outcome vmx_exit_xsetbv(struct vmx_vcpu *v)
{
	const struct vhm_cpuid_entry *e = vhm_cpuid_find(&v->base, 0xd, 0);
	u64 offered = e ? e->eax | (u64)e->edx << 32 : 0;
	struct vhm_registers *regs = &v->base.regs;
	u64 value = (u32)regs->rax | regs->rdx << 32;

	if ((u32)regs->rcx != 0 || !vmx_xcr0_valid(v, value) || value & ~offered)
		return vmx_queue_gp(v);
	v->xcr0 = value;
	return vmx_skip_insn(v);
}
