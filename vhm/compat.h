/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels, all of them, each chosen by a feature and not by a version:
 * a macro of the header in question, or HAVE_* that Kbuild derives from a look at it.
 */
#ifndef VHM_COMPAT_H
#define VHM_COMPAT_H

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/apic.h>

/* Newer kernels trace each IPI where it is sent: their smp_send_reschedule() is a macro. */
#ifdef smp_send_reschedule
#include <trace/events/ipi.h>
#endif

/*
 * KVM takes the host's crash hook when it is loaded, or (newer) with its first VM; then
 * VMX could not have become ours.
 */
static inline bool vhm_kvm_has_crash_hook(void)
{
#ifdef HAVE_LATE_KVM_CRASH_HOOK
	return false;
#else
	if (!__symbol_get("kvm_get_kvm"))
		return false;
	__symbol_put("kvm_get_kvm");
	return true;
#endif
}

/* vm_flags became read-only outside of mm helpers. */
static inline void vhm_vma_flags(struct vm_area_struct *vma, unsigned long set,
				 unsigned long clear)
{
#ifdef HAVE_VM_FLAGS_SET
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* The control was renamed; <asm/vmx.h> is included where it is used. */
#ifndef SECONDARY_EXEC_XSAVES
#define SECONDARY_EXEC_XSAVES	SECONDARY_EXEC_ENABLE_XSAVES
#endif

static inline void vhm_send_ipi(int cpu, int vector)
{
#ifdef HAVE_APIC_STATIC_CALLS
	__apic_send_IPI_mask(cpumask_of(cpu), vector);
#else
	apic->send_IPI_mask(cpumask_of(cpu), vector);
#endif
}

#endif /* VHM_COMPAT_H */
