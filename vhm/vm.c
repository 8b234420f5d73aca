// SPDX-License-Identifier: GPL-2.0-only
/*
 * VM: creation, reference, end; leaving the guest on all CPUs.
 *
 * The VM's descriptor and each vCPU's hold a reference; the last one frees everything.
 * No vCPU can run then, no message can be sent, and the notifier is left before the
 * tables it would zap are freed.
 */
#include "vhm.h"

#include <linux/sched/mm.h>

/**
 * vhm_vm_create() - a VM on the caller's address space
 * @flags: bits of enum vhm_vm_flag, checked
 *
 * Errors: as VHM_VM_CREATE. Context: may sleep.
 */
struct vhm_vm *vhm_vm_create(u32 flags)
{
	struct vhm_vm *vm = vhm_backend->vm_alloc();

	if (IS_ERR(vm))
		return vm;
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	xa_init(&vm->vcpus);
	vm->flags = flags;
	mmgrab(vm->mm);
	return vm;
}

static void vm_release(struct kref *ref)
{
	struct vhm_vm *vm = container_of(ref, struct vhm_vm, ref);
	struct vhm_vcpu *vcpu;
	unsigned long id;

	/* first: the notifier looks at the vCPUs of a VM as long as it has slots */
	vhm_slots_free(vm);
	xa_for_each(&vm->vcpus, id, vcpu)
		vhm_vcpu_free(vcpu);
	xa_destroy(&vm->vcpus);
	mmdrop(vm->mm);
	vhm_backend->vm_free(vm);
}

void vhm_vm_get(struct vhm_vm *vm)
{
	kref_get(&vm->ref);
}

void vhm_vm_put(struct vhm_vm *vm)
{
	kref_put(&vm->ref, vm_release);
}

void vhm_vm_kill(struct vhm_vm *vm)
{
	struct vhm_vcpu *vcpu;

	WRITE_ONCE(vm->dead, true);
	llist_for_each_entry(vcpu, READ_ONCE(vm->all_vcpus.first), in_vm)
		vhm_vcpu_kick(vcpu);
}

static void left_guest(void *unused)
{
	/* that this runs is the point: the CPU is in the host */
}

static bool runs_guest(int cpu, void *vm)
{
	struct vhm_vcpu *vcpu;

	llist_for_each_entry(vcpu, READ_ONCE(((struct vhm_vm *)vm)->all_vcpus.first), in_vm)
		if (READ_ONCE(vcpu->mode) == VHM_IN_GUEST && READ_ONCE(vcpu->cpu) == cpu)
			return true;
	return false;
}

void vhm_vm_flush_guest_cpus(struct vhm_vm *vm)
{
	bool several = false;
	struct vhm_vcpu *vcpu;
	int running = -1;

	/* pairs with smp_store_mb() of vcpu->mode in the backend's entry */
	smp_mb();
	llist_for_each_entry(vcpu, READ_ONCE(vm->all_vcpus.first), in_vm) {
		int cpu = READ_ONCE(vcpu->cpu);

		if (READ_ONCE(vcpu->mode) != VHM_IN_GUEST || cpu < 0)
			continue;
		several = running >= 0;
		running = cpu;
	}
	/* the waits overlap */
	if (several)
		on_each_cpu_cond(runs_guest, left_guest, vm, true);
	else if (running >= 0)
		smp_call_function_single(running, left_guest, NULL, 1);
	/* what the guest wrote before it left is seen by the caller */
	smp_mb();
}
