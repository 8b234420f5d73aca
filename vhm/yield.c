// SPDX-License-Identifier: GPL-2.0-only
/*
 * Directed yield: a vCPU that can only wait for another gives it its time.
 *
 * Reads other vCPUs' preempted without a lock: what was true a moment ago is a good enough
 * hint, and yield_to() checks for itself.
 */
#include "vhm.h"

/* Threads that yield_to() may have no use for before we give up: each takes two run-queue locks. */
#define REFUSALS	3

/**
 * vhm_vcpu_note_thread() - remember whose thread runs a vCPU
 * @vcpu: the vCPU, mutex held, its thread
 */
void vhm_vcpu_note_thread(struct vhm_vcpu *vcpu)
{
	struct pid *old = vcpu->pid;

	if (likely(old == task_pid(current)))
		return;
	spin_lock(&vcpu->pid_lock);
	vcpu->pid = get_task_pid(current, PIDTYPE_PID);
	spin_unlock(&vcpu->pid_lock);
	put_pid(old);
}

/**
 * vhm_vcpu_yield_to() - let a vCPU run that was preempted
 * @vcpu: the vCPU, not the caller's; interrupts and preemption on
 *
 * Return: as yield_to(): above 0, yielded; 0, it had no use for it; below 0, refused.
 */
int vhm_vcpu_yield_to(struct vhm_vcpu *vcpu)
{
	struct task_struct *task;
	int ret;

	spin_lock(&vcpu->pid_lock);
	task = get_pid_task(vcpu->pid, PIDTYPE_PID);
	spin_unlock(&vcpu->pid_lock);
	if (!task)
		return 0;
	ret = yield_to(task, true);
	put_task_struct(task);
	return ret;
}

/**
 * vhm_vcpu_yield() - let a sibling run that wants to and cannot
 * @me: the vCPU, its thread; interrupts and preemption on
 *
 * Candidates are those that were preempted, in turn, beginning behind the last one helped.
 */
void vhm_vcpu_yield(struct vhm_vcpu *me)
{
	struct vhm_vm *vm = me->vm;
	unsigned long id, last = READ_ONCE(vm->last_yielded_to);
	struct vhm_vcpu *vcpu;
	int refusals = 0;

	for (int round = 0; round < 2; round++) {
		xa_for_each(&vm->vcpus, id, vcpu) {
			/* first those behind the last one, then those up to it */
			if ((round == 0 ? id <= last : id > last) || vcpu == me ||
			    !READ_ONCE(vcpu->preempted))
				continue;
			if (vhm_vcpu_yield_to(vcpu) > 0) {
				WRITE_ONCE(vm->last_yielded_to, id);
				return;
			}
			if (++refusals == REFUSALS)
				return;
		}
	}
}
