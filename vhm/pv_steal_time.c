// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steal time: how long a vCPU's thread waited for a CPU, whether it has one now, and translations
 * that others want flushed before it runs again.
 *
 * The page is brought up to date when the thread has come to a CPU, before the guest runs. That the
 * thread leaves its CPU is written there and then, in the scheduler, if the page is mapped.
 */

#include "vhm.h"

#include <linux/uaccess.h>

#include "pv_internal.h"

/* The byte may change under us; after this often nobody plays by the rules. */
#define TRIES	4

static gpa_t steal_gpa(const struct vhm_vcpu *vcpu)
{
	return vcpu->pv.msr[VHM_PV_STEAL_TIME] & KVM_STEAL_VALID_BITS;
}

static gpa_t preempted_gpa(const struct vhm_vcpu *vcpu)
{
	return steal_gpa(vcpu) + offsetof(struct kvm_steal_time, preempted);
}

/* The MSR was written. What the page says of before is not ours. */
void vhm_pv_steal_changed(struct vhm_vcpu *vcpu)
{
	if (!vhm_pv_enabled(vcpu, VHM_PV_STEAL_TIME))
		return;
	vcpu->pv.steal_thread = NULL;
	vcpu->pv.shows_preempted = true;
	set_bit(VHM_REQ_PV, &vcpu->requests);
}

/**
 * vhm_pv_sched_out() - the vCPU's thread leaves its CPU
 * @vcpu: the vCPU
 *
 * Others may ask for a flush from then on, in the byte that says so: it is not written again until
 * that has been taken in. Context: the scheduler; interrupts off, its locks held.
 */
void vhm_pv_sched_out(struct vhm_vcpu *vcpu)
{
	const u8 preempted = KVM_VCPU_PREEMPTED;

	if (!vhm_pv_enabled(vcpu, VHM_PV_STEAL_TIME) || vcpu->pv.shows_preempted)
		return;
	vcpu->pv.shows_preempted = !vhm_guest_write_nofault(vcpu->vm, preempted_gpa(vcpu),
							    &preempted, sizeof(preempted));
}

/* What the byte was, which is 0 now; -EAGAIN: it did not hold still; another error. */
static int exchange_preempted(struct vhm_vcpu *vcpu)
{
	int ret = -ENOENT, i;
	u8 __user *user;
	u8 old = 0;

	rcu_read_lock();
	user = vhm_guest_pointer(vcpu->vm, preempted_gpa(vcpu), sizeof(*user));
	if (user && access_ok(user, sizeof(*user))) {
		pagefault_disable();
		/* above 0: it was another value than expected, which @old has now */
		for (i = 0, ret = 1; i < TRIES && ret > 0; i++)
			ret = __try_cmpxchg_user(user, &old, 0, out);
		pagefault_enable();
	}
	rcu_read_unlock();
	if (user)
		vhm_backend->note_written(vcpu->vm->ept, preempted_gpa(vcpu), sizeof(*user));
	if (ret > 0)
		return -EAGAIN;
	return ret ?: old;
}

/* The vCPU runs again, and has no translations that it was to drop meanwhile. */
static void show_running(struct vhm_vcpu *vcpu)
{
	int old = exchange_preempted(vcpu), ret;

	if (old == -EFAULT) {
		ret = vhm_guest_fault_in(vcpu, preempted_gpa(vcpu), 1);
		old = !ret || ret == -EINTR ? -EAGAIN : ret;
	}
	/* whoever still believes that it does not run asks there for flushes: it may not run yet */
	vcpu->pv.shows_preempted = old == -EAGAIN;
	if (old == -EAGAIN)
		set_bit(VHM_REQ_PV, &vcpu->requests);
	else if (old < 0 || old & KVM_VCPU_FLUSH_TLB)
		vhm_backend->flush_guest_translations(vcpu);
}

/* VHM_REQ_PV: the vCPU's thread; may sleep. */
void vhm_pv_steal_update(struct vhm_vcpu *vcpu)
{
	struct vhm_pv *pv = &vcpu->pv;
	u64 delay_ns = current->sched_info.run_delay, gpa = steal_gpa(vcpu);
	struct kvm_steal_time page;
	int ret;

	if (!vhm_pv_enabled(vcpu, VHM_PV_STEAL_TIME))
		return;
	if (pv->shows_preempted)
		show_running(vcpu);
	/* another thread has waited for other things */
	if (pv->steal_thread != current) {
		pv->steal_thread = current;
		pv->steal_delay_ns = delay_ns;
	}
	if (delay_ns == pv->steal_delay_ns)
		return;
	ret = vhm_guest_read(vcpu, gpa, &page, sizeof(page));
	if (!ret) {
		page.steal += delay_ns - pv->steal_delay_ns;
		ret = vhm_pv_write_versioned(vcpu, gpa + offsetof(struct kvm_steal_time, version),
					     page.version, gpa, &page.steal, sizeof(page.steal));
	}
	/* else it is due before the guest runs */
	if (ret == -EINTR)
		set_bit(VHM_REQ_PV, &vcpu->requests);
	else
		pv->steal_delay_ns = delay_ns;
}
