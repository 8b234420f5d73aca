// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest control registers and EFER.
 *
 * The guest owns most bits of CR0 and CR4 and changes them without an exit. The others
 * are shown to it from a shadow (SDM vol. 3, 25.6.6, Guest/Host Masks and Read Shadows):
 * those VMX fixes, those whose hardware value must stay the host's, and those its CPUID
 * does not allow, so that setting them reaches us and becomes #GP.
 */
#include "vmx.h"

#include <linux/uaccess.h>
#include <asm/tlbflush.h>

#include "vhm/cpuid.h"

/* caching is the host's business: a guest's CD would make its accesses uncached */
#define CR0_OWNED	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | \
			 X86_CR0_AM | X86_CR0_PG)
#define CR0_DEFINED	(CR0_OWNED | X86_CR0_ET | X86_CR0_NE | X86_CR0_NW | X86_CR0_CD)
#define CR4_BASIC	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE | \
			 X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | \
			 X86_CR4_OSXMMEXCPT)
/* MCE stays on for the host; OSXSAVE and PKE are read by CPUID exits; VMXE is fixed */
#define CR4_OWNABLE	(CR4_BASIC | X86_CR4_UMIP | X86_CR4_FSGSBASE | X86_CR4_PCIDE | \
			 X86_CR4_SMEP | X86_CR4_SMAP)

static const struct {
	u32 feature;
	u64 cr4;
} cr4_by_cpuid[] = {
	{ X86_FEATURE_PCID, X86_CR4_PCIDE },
	{ X86_FEATURE_XSAVE, X86_CR4_OSXSAVE },
	{ X86_FEATURE_FSGSBASE, X86_CR4_FSGSBASE },
	{ X86_FEATURE_SMEP, X86_CR4_SMEP },
	{ X86_FEATURE_SMAP, X86_CR4_SMAP },
	{ X86_FEATURE_UMIP, X86_CR4_UMIP },
	{ X86_FEATURE_PKU, X86_CR4_PKE },
};

/* Controls of the VMCS follow the CPUID table. The VMCS is current. */
void vmx_init_cr_masks(struct vmx_vcpu *v)
{
	u64 allowed = CR4_BASIC | X86_CR4_MCE;

	for (u32 i = 0; i < ARRAY_SIZE(cr4_by_cpuid); i++)
		if (vhm_cpuid_has(&v->base, cr4_by_cpuid[i].feature))
			allowed |= cr4_by_cpuid[i].cr4;
	v->cr4_allowed = allowed & vmx_caps.cr4_fixed1;
	v->cr4_owned = v->cr4_allowed & CR4_OWNABLE & ~vmx_caps.cr4_fixed0;
	vmwrite(CR4_GUEST_HOST_MASK, ~v->cr4_owned);
	vmwrite(CR0_GUEST_HOST_MASK, ~(u64)(CR0_OWNED & ~vmx_caps.cr0_fixed0));
}

u64 vmx_read_cr0(struct vmx_vcpu *v)
{
	u64 owned = CR0_OWNED & ~vmx_caps.cr0_fixed0;

	return (vmread(GUEST_CR0) & owned) | (v->cr0_shadow & ~owned);
}

u64 vmx_read_cr4(struct vmx_vcpu *v)
{
	return (vmread(GUEST_CR4) & v->cr4_owned) | (v->cr4_shadow & ~v->cr4_owned);
}

/* SDM vol. 3, 2.5 and 4.1.1: combinations that MOV to CR0 refuses with #GP(0). */
bool vmx_cr0_valid(u64 cr0, u64 cr4, u64 efer)
{
	if (cr0 >> 32 || (cr0 & X86_CR0_NW && !(cr0 & X86_CR0_CD)))
		return false;
	return !(cr0 & X86_CR0_PG) ||
	       (cr0 & X86_CR0_PE && (!(efer & EFER_LME) || cr4 & X86_CR4_PAE));
}

/* IA32_EFER.LMA and the entry control go together (SDM vol. 3, 27.3.1.1). */
void vmx_write_efer(struct vmx_vcpu *v, u64 efer)
{
	u32 entry = vmx_caps.entry;

	vmwrite(GUEST_IA32_EFER, efer);
	vmx_lazy_msr_changed(v, efer);
	if (efer & EFER_LMA)
		entry |= VM_ENTRY_IA32E_MODE;
	vmwrite(VM_ENTRY_CONTROLS, entry);
}

/* In IA-32e mode TR must be a 64-bit busy TSS (27.3.1.2); software may enter with another. */
static void make_tr_busy_64(void)
{
	u64 rights = vmread(GUEST_TR_AR_BYTES);

	if ((rights & 0xf) != 11)
		vmwrite(GUEST_TR_AR_BYTES, (rights & ~0xfull) | 11);
}

static void set_cr0(struct vmx_vcpu *v, u64 cr0)
{
	v->cr0_shadow = (cr0 & CR0_DEFINED) | X86_CR0_ET;
	vmwrite(CR0_READ_SHADOW, v->cr0_shadow);
	vmwrite(GUEST_CR0, (cr0 & CR0_OWNED) | vmx_caps.cr0_fixed0 | X86_CR0_ET);
	v->vpid_stale = true;	/* a change of paging flushes (4.10.4.1) */
}

/* @cr0 is valid. Switches long mode as MOV to CR0 does (SDM vol. 3, 9.8.5). */
void vmx_write_cr0(struct vmx_vcpu *v, u64 cr0)
{
	u64 efer = vmread(GUEST_IA32_EFER);

	if (cr0 & X86_CR0_PG && efer & EFER_LME && !(efer & EFER_LMA)) {
		make_tr_busy_64();
		vmx_write_efer(v, efer | EFER_LMA);
	} else if (!(cr0 & X86_CR0_PG) && efer & EFER_LMA) {
		vmx_write_efer(v, efer & ~(u64)EFER_LMA);
	}
	set_cr0(v, cr0);
}

/* @cr4 is valid. */
void vmx_write_cr4(struct vmx_vcpu *v, u64 cr4)
{
	u64 hardware = cr4 | vmx_caps.cr4_fixed0 | (cr4_read_shadow() & X86_CR4_MCE);

	v->cr4_shadow = cr4;
	vmwrite(CR4_READ_SHADOW, cr4);
	vmwrite(GUEST_CR4, hardware & ~(u64)(X86_CR4_SMXE));
	v->vpid_stale = true;
}

/* RESET or INIT: @cr0 is without paging, all else of them is 0. */
void vmx_reset_cr(struct vmx_vcpu *v, u64 cr0)
{
	vmwrite(GUEST_CR3, 0);
	vmx_write_efer(v, 0);
	vmx_write_cr4(v, 0);
	set_cr0(v, cr0);
}

/*
 * PAE paging keeps its four top entries in registers, which only MOV to CR3 (no exit) and
 * the intercepted writes reload (SDM vol. 3, 4.4.1). Reads guest memory; may sleep.
 * Returns -EINVAL if the guest deserves #GP(0).
 */
int vmx_load_pdptes(struct vmx_vcpu *v)
{
	u64 cr3 = vmread(GUEST_CR3) & 0xffffffe0;
	u64 pdpte[4], reserved = GENMASK_ULL(63, boot_cpu_data.x86_phys_bits) | 0x1e6;
	const struct vhm_memory_slot *slot;
	unsigned long address = 0;

	rcu_read_lock();
	slot = vhm_slot_find(rcu_dereference(v->base.vm->slots), cr3 >> PAGE_SHIFT);
	if (slot)
		address = slot->user_address + (cr3 - (slot->first_gfn << PAGE_SHIFT));
	rcu_read_unlock();
	if (!address || copy_from_user(pdpte, (void __user *)address, sizeof(pdpte)))
		return -EINVAL;
	for (int i = 0; i < 4; i++)
		if (pdpte[i] & 1 && pdpte[i] & reserved)
			return -EINVAL;
	for (int i = 0; i < 4; i++)
		vmwrite(GUEST_PDPTR0 + 2 * i, pdpte[i]);
	return 0;
}
