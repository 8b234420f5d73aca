// SPDX-License-Identifier: GPL-2.0-only
/*
 * Speculative-execution defences outside the world switch itself (vmx/enter.S has VERW,
 * IA32_SPEC_CTRL, return-stack buffer and branch-history clearing):
 *
 *   L1TF		flush of the L1 data cache before an entry
 *   branch predictor	IBPB when another vCPU comes to this CPU (vmx/vcpu.c)
 *   VMSCAPE		IBPB before the VMM's own code, left to the host's exit-to-user path
 *   iTLB multihit	no large pages that the guest may execute (ept/)
 *
 * All follow what the host's kernel chose for itself. Where that is unknown, and the CPU
 * is affected, the safe side is taken; the parameter that turns it off says "insecure".
 */
#include "vmx.h"

#include <linux/cpu.h>
#include <asm/hardirq.h>

#include "enter.h"

/* NEVER, COND or ALWAYS */
enum vmx_l1d_flush_state vmx_l1d_flush_mode __ro_after_init = VMENTER_L1D_FLUSH_NEVER;
static void *l1d_buffer;

static bool insecure_no_l1d_flush;
module_param(insecure_no_l1d_flush, bool, 0444);
MODULE_PARM_DESC(insecure_no_l1d_flush, "INSECURE: never flush the L1 data cache before entering a guest, even if the CPU is affected by L1TF");

static bool insecure_large_execute;
module_param(insecure_large_execute, bool, 0444);
MODULE_PARM_DESC(insecure_large_execute, "INSECURE: let guests execute from large pages, even if the CPU is affected by iTLB multihit: a guest can then stop the machine");

/**
 * vmx_speculation_large_execute - may a guest execute from pages of more than 4 KiB?
 *
 * On affected CPUs a guest that changes the size of such a page causes a machine check
 * (admin-guide/hw-vuln/multihit.rst).
 */
bool vmx_speculation_large_execute(void)
{
	return !boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) || cpu_mitigations_off() ||
	       insecure_large_execute;
}

/* The host's setting of l1tf= (admin-guide/hw-vuln/l1tf.rst). */
static enum vmx_l1d_flush_state l1d_mode_of_host(void)
{
	u64 arch_capabilities = 0;

	if (!boot_cpu_has_bug(X86_BUG_L1TF) || insecure_no_l1d_flush)
		return VMENTER_L1D_FLUSH_NEVER;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES) &&
	    !rdmsrl_safe(MSR_IA32_ARCH_CAPABILITIES, &arch_capabilities) &&
	    arch_capabilities & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH)
		return VMENTER_L1D_FLUSH_NEVER;
	/* what kvm_intel settled on, if it was loaded first */
	if (l1tf_vmx_mitigation == VMENTER_L1D_FLUSH_NOT_REQUIRED)
		return VMENTER_L1D_FLUSH_NEVER;
	if (l1tf_vmx_mitigation >= VMENTER_L1D_FLUSH_NEVER &&
	    l1tf_vmx_mitigation <= VMENTER_L1D_FLUSH_ALWAYS)
		return l1tf_vmx_mitigation;
	if (l1tf_mitigation == L1TF_MITIGATION_OFF)
		return VMENTER_L1D_FLUSH_NEVER;
	return l1tf_mitigation >= L1TF_MITIGATION_FULL ? VMENTER_L1D_FLUSH_ALWAYS :
							 VMENTER_L1D_FLUSH_COND;
}

int vmx_speculation_init(void)
{
	vmx_l1d_flush_mode = l1d_mode_of_host();
	if (vmx_l1d_flush_mode == VMENTER_L1D_FLUSH_NEVER || boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		return 0;
	l1d_buffer = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
					      get_order(VMX_L1D_BUFFER_BYTES));
	return l1d_buffer ? 0 : -ENOMEM;
}

void vmx_speculation_exit(void)
{
	free_pages((unsigned long)l1d_buffer, get_order(VMX_L1D_BUFFER_BYTES));
}

/* Interrupts off, before an entry, on a CPU that needs it. */
void vmx_speculation_flush_l1d(struct vmx_vcpu *v)
{
	if (vmx_l1d_flush_mode == VMENTER_L1D_FLUSH_COND) {
		/* since the last flush: user space or a sleep here, interrupts on this CPU */
		bool flush = v->l1d_flush || kvm_get_cpu_l1tf_flush_l1d();

		kvm_clear_cpu_l1tf_flush_l1d();
		v->l1d_flush = false;
		if (!flush)
			return;
	}
	if (boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		native_wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	else
		vmx_flush_l1d(l1d_buffer);
}

/* Immunities that a guest may rely on, as far as the CPU itself has them. */
#define ARCH_CAP_FOR_GUESTS	\
	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_SKIP_VMENTRY_L1DFLUSH | ARCH_CAP_SSB_NO | \
	 ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO | \
	 ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR | ARCH_CAP_RSBA | \
	 ARCH_CAP_RRSBA | ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | \
	 ARCH_CAP_RFDS_NO | ARCH_CAP_RFDS_CLEAR | ARCH_CAP_ITS_NO)

u64 vmx_guest_arch_capabilities(struct vmx_vcpu *v)
{
	u64 value = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl_safe(MSR_IA32_ARCH_CAPABILITIES, &value);
	value &= ARCH_CAP_FOR_GUESTS;
	/* the flush before an entry is done by this module, unless told otherwise */
	if (vmx_l1d_flush_mode != VMENTER_L1D_FLUSH_NEVER)
		value |= ARCH_CAP_SKIP_VMENTRY_L1DFLUSH;
	return value;
}
