// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paravirtual interface: which features a guest has, its MSRs, the pages that are due, state.
 *
 * Owns struct vhm_pv as a whole; each feature is a file of its own. A feature that the guest's
 * CPUID lacks is not there: its MSR raises #GP, its hypercall is unknown. Asynchronous page
 * faults and what serves encrypted guests are not offered.
 */

#include <asm/tsc.h>

#include "cpuid.h"
#include "pv_internal.h"

/**
 * vhm_pv_init() - state of a new vCPU
 * @vcpu: the vCPU, whose TSC is set
 * @first: vCPU 0 if there is one already: the new one has the same clock
 */
void vhm_pv_init(struct vhm_vcpu *vcpu, const struct vhm_vcpu *first)
{
	/* all vCPUs of a VM begin with the same: 0 when their TSC was 0 */
	u64 tsc = first ? READ_ONCE(first->pv.clock_tsc) : 0;
	u64 ns = first ? READ_ONCE(first->pv.clock_ns) : 0;

	vhm_pv_reset(vcpu);
	vhm_pv_clock_load(vcpu, tsc, ns, vhm_vcpu_tsc_khz(vcpu), tsc);
}

/* Power-up or INIT: new software, which has not asked for anything. The clock goes on. */
void vhm_pv_reset(struct vhm_vcpu *vcpu)
{
	memset(vcpu->pv.msr, 0, sizeof(vcpu->pv.msr));
	vcpu->pv.msr[VHM_PV_POLL_CONTROL] = 1;
	vcpu->pv.unhalted = false;
}

/* The CPUID table was set. */
void vhm_pv_cpuid_changed(struct vhm_vcpu *vcpu)
{
	const struct vhm_cpuid_entry *name = vhm_cpuid_find(vcpu, KVM_CPUID_SIGNATURE, 0);
	const struct vhm_cpuid_entry *entry = vhm_cpuid_find(vcpu, KVM_CPUID_FEATURES, 0);
	/* a VMM that carries out HLT itself has to wake its vCPUs itself */
	bool wakes = !(vcpu->vm->flags & VHM_VM_EXIT_HLT);
	bool known = name && entry && pv_is_signature(name->ebx, name->ecx, name->edx);
	u32 features = known ? entry->eax & PV_FEATURES : 0;

	vcpu->pv.features = features;
	vcpu->pv.hypercalls =
		(wakes && features & BIT(KVM_FEATURE_PV_UNHALT) ? BIT(KVM_HC_KICK_CPU) : 0) |
		(features & BIT(KVM_FEATURE_PV_SEND_IPI) ? BIT(KVM_HC_SEND_IPI) : 0) |
		(features & BIT(KVM_FEATURE_PV_SCHED_YIELD) ? BIT(KVM_HC_SCHED_YIELD) : 0);
	vhm_pv_clock_changed(vcpu);
	vhm_pv_steal_changed(vcpu);
}

/* Has the guest given the host a page by this MSR, an index of vhm_pv.msr? */
bool vhm_pv_enabled(const struct vhm_vcpu *vcpu, u32 msr)
{
	return vcpu->pv.msr[msr] & KVM_MSR_ENABLED && vcpu->pv.features & BIT(pv_msrs[msr].feature);
}

/* -------------------------------------------------------------------- MSRs -- */

/* Its index in vhm_pv.msr; -EINVAL: no such MSR, which the guest's CPUID tells it. */
static int find_msr(const struct vhm_vcpu *vcpu, u32 index)
{
	int n;

	for (n = 0; n < VHM_PV_MSRS; n++)
		if (pv_msrs[n].index == index && vcpu->pv.features & BIT(pv_msrs[n].feature))
			return n;
	return -EINVAL;
}

/**
 * vhm_pv_msr_read - RDMSR of 4B564D00H-4B564DFFH
 * @vcpu: the vCPU
 * @index: MSR
 * @value: out: its value
 *
 * Context: the vCPU's thread, any.
 * Return: 0; -EINVAL: the guest gets #GP(0).
 */
int vhm_pv_msr_read(struct vhm_vcpu *vcpu, u32 index, u64 *value)
{
	int n = find_msr(vcpu, index);

	if (n < 0)
		return n;
	*value = vcpu->pv.msr[n];
	return 0;
}

/**
 * vhm_pv_msr_write - WRMSR of 4B564D00H-4B564DFFH
 * @vcpu: the vCPU
 * @index: MSR
 * @value: written value
 *
 * Context: the vCPU's thread; may sleep.
 * Return: 0; -EINVAL: the guest gets #GP(0); -EINTR: the guest is to try again.
 */
int vhm_pv_msr_write(struct vhm_vcpu *vcpu, u32 index, u64 value)
{
	int n = find_msr(vcpu, index);

	if (n < 0 || value & pv_msrs[n].reserved)
		return -EINVAL;
	vcpu->pv.msr[n] = value;
	if (n == VHM_PV_WALL_CLOCK)
		return vhm_pv_clock_write_wall(vcpu);
	if (n == VHM_PV_SYSTEM_TIME)
		vhm_pv_clock_changed(vcpu);
	if (n == VHM_PV_STEAL_TIME)
		vhm_pv_steal_changed(vcpu);
	return 0;
}

/* ------------------------------------------------------------------- pages -- */

/**
 * vhm_pv_write_versioned() - write what a guest may read at the same time
 * @vcpu: the vCPU, its thread; may sleep
 * @version_gpa: a 32-bit word that is odd while the write goes on
 * @version: its value
 * @gpa: where to write
 * @data: what, without the version
 * @bytes: how many
 *
 * Return: 0 or an error of vhm_guest_write(); if that is -EINTR it is to be written again.
 */
int vhm_pv_write_versioned(struct vhm_vcpu *vcpu, u64 version_gpa, u32 version, u64 gpa,
			   const void *data, u32 bytes)
{
	int ret;

	version = (version + 1) | 1;
	ret = vhm_guest_write(vcpu, version_gpa, &version, sizeof(version));
	if (ret)
		return ret;
	smp_wmb();	/* partner: the guest's reader, version first and last */
	ret = vhm_guest_write(vcpu, gpa, data, bytes);
	smp_wmb();	/* likewise */
	version++;
	return ret ?: vhm_guest_write(vcpu, version_gpa, &version, sizeof(version));
}

/* VHM_REQ_PV: bring the guest's pages up to date. The vCPU's thread; may sleep. */
void vhm_pv_update(struct vhm_vcpu *vcpu)
{
	if (vcpu->pv.clock_changed)
		vhm_pv_clock_update(vcpu);
	vhm_pv_steal_update(vcpu);
}

/* The vCPU's thread is on a CPU again; preemption off. */
void vhm_pv_sched_in(struct vhm_vcpu *vcpu)
{
	if (unlikely(check_tsc_unstable()))
		vhm_pv_clock_changed(vcpu);
	if (vhm_pv_enabled(vcpu, VHM_PV_STEAL_TIME))
		set_bit(VHM_REQ_PV, &vcpu->requests);
}

/* ------------------------------------------------------------------- state -- */

/* where the section has the values of vhm_pv.msr */
static_assert(offsetof(struct vhm_paravirt, wall_clock) == 0);
static_assert(offsetof(struct vhm_paravirt, clock_tsc) == sizeof_field(struct vhm_pv, msr));

void vhm_pv_get_state(struct vhm_vcpu *vcpu, void *state, u32 bytes)
{
	const struct vhm_pv *pv = &vcpu->pv;
	struct vhm_paravirt *out = state;

	memcpy(out, pv->msr, sizeof(pv->msr));
	out->clock_tsc = pv->clock_tsc;
	out->clock_ns = pv->clock_ns;
	out->clock_khz = vhm_vcpu_tsc_khz(vcpu);
	out->flags = READ_ONCE(pv->unhalted) ? VHM_PARAVIRT_UNHALTED : 0;
}

int vhm_pv_check_state(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	const struct vhm_paravirt *in = state;
	const u64 *msr = state;
	u32 n;

	for (n = 0; n < VHM_PV_MSRS; n++)
		if (msr[n] & pv_msrs[n].reserved)
			return -EINVAL;
	return !in->clock_khz || in->flags & ~VHM_PARAVIRT_UNHALTED ? -EINVAL : 0;
}

int vhm_pv_set_state(struct vhm_vcpu *vcpu, const void *state, u32 bytes)
{
	const struct vhm_paravirt *in = state;
	struct vhm_pv *pv = &vcpu->pv;

	memcpy(pv->msr, in, sizeof(pv->msr));
	WRITE_ONCE(pv->unhalted, in->flags & VHM_PARAVIRT_UNHALTED);
	vhm_pv_clock_load(vcpu, in->clock_tsc, in->clock_ns, in->clock_khz,
			  vhm_guest_tsc(vcpu, vhm_host_tsc()));
	vhm_pv_steal_changed(vcpu);
	return 0;
}
