/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Paravirtual interface for stock Linux guests: the documented ABI of KVM
 * (Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst of the kernel), as far as a VMM lets its
 * guest see it in CPUID leaf 40000001H.
 *
 * All of it belongs to the vCPU's thread (vcpu->mutex) but @unhalted. Pages of the guest are
 * written by that thread, on its way to the next entry when VHM_REQ_PV asks for it.
 */
#ifndef VHM_PV_H
#define VHM_PV_H

#include <linux/bits.h>
#include <linux/vhm.h>

struct vhm_vcpu;

#define VHM_PV_FIRST_MSR	0x4b564d00u	/* MSR_KVM_WALL_CLOCK_NEW */

/* indices into vhm_pv.msr and pv_msrs[], in the order in which struct vhm_paravirt begins */
enum {
	VHM_PV_WALL_CLOCK, VHM_PV_SYSTEM_TIME, VHM_PV_STEAL_TIME, VHM_PV_EOI, VHM_PV_POLL_CONTROL,
	VHM_PV_MSRS
};

/**
 * struct vhm_pv - paravirtual state of a vCPU
 * @features: bits KVM_FEATURE_* that its guest has
 * @hypercalls: bits KVM_HC_* that follow from them
 * @msr: values of its MSRs
 * @clock_tsc: the guest's TSC at which its clock shows @clock_ns; the two make a line, and so
 *	all vCPUs whose TSCs are the same show the same time
 * @clock_ns: see there
 * @clock_raw_ns: @clock_ns less the host's CLOCK_MONOTONIC_RAW of that moment, for a host whose TSC
 *	cannot be relied on
 * @steal_thread: whose wait @steal_delay_ns is; only compared
 * @steal_delay_ns: what of it the guest has been told
 * @clock_changed: the guest's page of the clock is due
 * @shows_preempted: the guest's page may say that the vCPU has no CPU
 * @eoi_offered: the guest may end its interrupt by memory
 * @unhalted: the next HLT ends at once; set by any vCPU
 */
struct vhm_pv {
	u32 features, hypercalls;
	u64 msr[VHM_PV_MSRS];
	u64 clock_tsc, clock_ns, clock_raw_ns;
	const void *steal_thread;
	u64 steal_delay_ns;
	bool clock_changed, shows_preempted;
	bool eoi_offered;
	bool unhalted;
};

static inline bool vhm_pv_is_msr(u32 index)
{
	return index - VHM_PV_FIRST_MSR < 0x100;
}

static inline bool vhm_pv_has_hypercall(const struct vhm_pv *pv, u64 number)
{
	return (u32)number < 32 && pv->hypercalls & BIT((u32)number);
}

/* pv.c */
void vhm_pv_init(struct vhm_vcpu *vcpu, const struct vhm_vcpu *first);
void vhm_pv_reset(struct vhm_vcpu *vcpu);
void vhm_pv_cpuid_changed(struct vhm_vcpu *vcpu);
int vhm_pv_msr_read(struct vhm_vcpu *vcpu, u32 index, u64 *value);
int vhm_pv_msr_write(struct vhm_vcpu *vcpu, u32 index, u64 value);
void vhm_pv_update(struct vhm_vcpu *vcpu);
void vhm_pv_sched_in(struct vhm_vcpu *vcpu);
/* section VHM_SECTION_PARAVIRT, see struct vhm_section_ops */
void vhm_pv_get_state(struct vhm_vcpu *vcpu, void *out, u32 bytes);
int vhm_pv_check_state(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
int vhm_pv_set_state(struct vhm_vcpu *vcpu, const void *in, u32 bytes);

/* pv_clock.c */
void vhm_pv_clock_load(struct vhm_vcpu *vcpu, u64 tsc, u64 ns, u32 khz, u64 turn_tsc);
void vhm_pv_clock_changed(struct vhm_vcpu *vcpu);
void vhm_pv_clock_tsc_written(struct vhm_vcpu *vcpu, u64 delta);
void vhm_pv_clock_update(struct vhm_vcpu *vcpu);
int vhm_pv_clock_write_wall(struct vhm_vcpu *vcpu);

/* pv_steal_time.c */
void vhm_pv_steal_changed(struct vhm_vcpu *vcpu);
void vhm_pv_steal_update(struct vhm_vcpu *vcpu);
void vhm_pv_sched_out(struct vhm_vcpu *vcpu);

/* pv_eoi.c */
void vhm_pv_eoi_offer(struct vhm_vcpu *vcpu);
void vhm_pv_eoi_settle(struct vhm_vcpu *vcpu);

/* pv_hypercall.c */
s64 vhm_pv_hypercall(struct vhm_vcpu *vcpu, const struct vhm_registers *regs, bool bits64);

/* between vhm/pv*.c */
bool vhm_pv_enabled(const struct vhm_vcpu *vcpu, u32 msr);
int vhm_pv_write_versioned(struct vhm_vcpu *vcpu, u64 version_gpa, u32 version, u64 gpa,
			   const void *data, u32 bytes);

#endif /* VHM_PV_H */
