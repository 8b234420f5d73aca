// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's clock (kvmclock): a page per vCPU that tells how to make nanoseconds of its TSC, and
 * the time of day at which that clock was 0.
 *
 * The clock is a line over the guest's TSC, one pair of values of both. So it stands still in saved
 * state as the TSC does, and goes on with it elsewhere; a page is written when the guest asks for
 * it and when the line changes, not in between. Only on a host whose TSC is not to be relied on
 * the line is drawn anew whenever the thread has come to a CPU.
 */

#include "vhm.h"

#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "pv_internal.h"

static u64 clock_now(struct vhm_vcpu *vcpu)
{
	u64 ticks = vhm_guest_tsc(vcpu, vhm_host_tsc()) - vcpu->pv.clock_tsc;

	return vcpu->pv.clock_ns + pv_scale_ns(pv_scale(vhm_vcpu_tsc_khz(vcpu)), ticks);
}

/**
 * vhm_pv_clock_load() - set the line
 * @vcpu: the vCPU, its TSC set
 * @tsc: a value of the guest's TSC
 * @ns: what the clock shows then
 * @khz: frequency of the TSC that made nanoseconds so far
 * @turn_tsc: value of the guest's TSC up to which it did, if it has another frequency now
 */
void vhm_pv_clock_load(struct vhm_vcpu *vcpu, u64 tsc, u64 ns, u32 khz, u64 turn_tsc)
{
	struct vhm_pv *pv = &vcpu->pv;

	/* another slope, and not to be behind by what was rounded off */
	if (khz != vhm_vcpu_tsc_khz(vcpu)) {
		ns += pv_scale_ns(pv_scale(khz), turn_tsc - tsc) + 1;
		tsc = turn_tsc;
	}
	WRITE_ONCE(pv->clock_tsc, tsc);
	WRITE_ONCE(pv->clock_ns, ns);
	pv->clock_raw_ns = clock_now(vcpu) - ktime_get_raw_ns();
	vhm_pv_clock_changed(vcpu);
}

/* The page is due, if the guest has one. */
void vhm_pv_clock_changed(struct vhm_vcpu *vcpu)
{
	if (!vhm_pv_enabled(vcpu, VHM_PV_SYSTEM_TIME))
		return;
	vcpu->pv.clock_changed = true;
	set_bit(VHM_REQ_PV, &vcpu->requests);
}

/* The guest has moved its own TSC: its clock does not notice. */
void vhm_pv_clock_tsc_written(struct vhm_vcpu *vcpu, u64 delta)
{
	WRITE_ONCE(vcpu->pv.clock_tsc, vcpu->pv.clock_tsc + delta);
	vhm_pv_clock_changed(vcpu);
}

void vhm_pv_clock_update(struct vhm_vcpu *vcpu)
{
	struct pv_scale scale = pv_scale(vhm_vcpu_tsc_khz(vcpu));
	struct vhm_pv *pv = &vcpu->pv;
	u64 gpa = pv->msr[VHM_PV_SYSTEM_TIME] & ~(u64)KVM_MSR_ENABLED;
	struct pvclock_vcpu_time_info old, page = {
		.tsc_to_system_mul = scale.mult,
		.tsc_shift = scale.shift,
		.flags = PVCLOCK_TSC_STABLE_BIT,
	};
	int ret;

	pv->clock_changed = false;
	if (!vhm_pv_enabled(vcpu, VHM_PV_SYSTEM_TIME))
		return;
	if (unlikely(check_tsc_unstable())) {
		/* the TSC of this CPU has nothing to do with that of the last one */
		preempt_disable();
		WRITE_ONCE(pv->clock_tsc, vhm_guest_tsc(vcpu, vhm_host_tsc()));
		WRITE_ONCE(pv->clock_ns, ktime_get_raw_ns() + pv->clock_raw_ns);
		preempt_enable();
		page.flags = 0;
	}
	page.tsc_timestamp = pv->clock_tsc;
	page.system_time = pv->clock_ns;
	/* all of it is there, or nothing is written */
	ret = vhm_guest_read(vcpu, gpa, &old, sizeof(old)) ?:
	      vhm_pv_write_versioned(vcpu, gpa, old.version, gpa + sizeof(page.version),
				     &page.pad0, sizeof(page) - sizeof(page.version));
	if (ret == -EINTR)
		vhm_pv_clock_changed(vcpu);
}

/*
 * Time of day at which the clock was 0; written once, when the guest asks for it. Return: 0;
 * -EINTR: it has to ask again.
 */
int vhm_pv_clock_write_wall(struct vhm_vcpu *vcpu)
{
	u64 gpa = vcpu->pv.msr[VHM_PV_WALL_CLOCK];
	struct pvclock_wall_clock old, wall;
	int ret = vhm_guest_read(vcpu, gpa, &old, sizeof(old));

	wall.sec = div_u64_rem(ktime_get_real_ns() - clock_now(vcpu), NSEC_PER_SEC, &wall.nsec);
	ret = ret ?: vhm_pv_write_versioned(vcpu, gpa, old.version, gpa + sizeof(wall.version),
					    &wall.sec, sizeof(wall) - sizeof(wall.version));
	return ret == -EINTR ? ret : 0;
}
