// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The host: /dev/vhm, its limits, and VMs as empty objects.
 *
 * A struct vhm is counted, because VMs may outlive the handle; it does not change after
 * vhm_open(). Memory of a VM is memory.c's, vCPUs are vcpu.c's.
 */
#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>

#define MOST_RUN_PAGE_BYTES	(1u << 20)
#define MOST_STATE_BYTES	(1u << 24)
#define MOST_CPUID_ENTRIES	(1u << 16)
#define MOST_SLOTS		(1u << 20)

/* Everything that later code relies on, so that a foreign device cannot mislead it. */
static int check_info(const struct vhm_info *info)
{
	if (info->abi_version != VHM_ABI_VERSION)
		return -EPROTO;
	if (info->run_page_bytes < sizeof(struct vhm_run) ||
	    info->run_page_bytes % PAGE_BYTES || info->run_page_bytes > MOST_RUN_PAGE_BYTES)
		return -EPROTO;
	if (!info->max_slots || info->max_slots > MOST_SLOTS || !info->max_vcpus)
		return -EPROTO;
	if (info->gpa_bits < 32 || info->gpa_bits > 52)
		return -EPROTO;
	if (info->state_bytes > MOST_STATE_BYTES || info->max_cpuid_entries > MOST_CPUID_ENTRIES)
		return -EPROTO;
	return 0;
}

EXPORT int vhm_open(struct vhm **out, const char *path)
{
	struct vhm *vhm = vhm_sys_alloc(1, sizeof(*vhm));
	int ret;

	if (!vhm)
		return -ENOMEM;
	atomic_init(&vhm->references, 1);
	vhm->fd = vhm_sys_open(path ? path : "/dev/vhm", O_RDWR);
	if (vhm->fd < 0) {
		ret = vhm->fd;
		goto free_vhm;
	}
	vhm->info.size = sizeof(vhm->info);
	ret = vhm_sys_ioctl(vhm->fd, VHM_GET_INFO, &vhm->info);
	if (ret >= 0)
		ret = check_info(&vhm->info);
	if (ret < 0)
		goto close_fd;
	*out = vhm;
	return 0;

close_fd:
	vhm_sys_close(vhm->fd);
free_vhm:
	free(vhm);
	return ret;
}

void vhm_put(struct vhm *vhm)
{
	if (atomic_fetch_sub(&vhm->references, 1) != 1)
		return;
	vhm_sys_close(vhm->fd);
	free(vhm);
}

EXPORT void vhm_close(struct vhm *vhm)
{
	if (vhm)
		vhm_put(vhm);
}

EXPORT const struct vhm_info *vhm_get_info(const struct vhm *vhm)
{
	return &vhm->info;
}

EXPORT int vhm_vm_create(struct vhm *vhm, uint32_t flags, struct vhm_vm **out)
{
	struct vhm_vm_create create = { .size = sizeof(create), .flags = flags };
	struct vhm_vm *vm = vhm_sys_alloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return -ENOMEM;
	ret = -pthread_rwlock_init(&vm->memory_lock, NULL);
	if (ret)
		goto free_vm;
	vm->fd = vhm_sys_ioctl(vhm->fd, VHM_VM_CREATE, &create);
	if (vm->fd < 0) {
		ret = vm->fd;
		goto destroy_lock;
	}
	atomic_init(&vm->trackers, 0);
	atomic_fetch_add(&vhm->references, 1);
	vm->vhm = vhm;
	*out = vm;
	return 0;

destroy_lock:
	pthread_rwlock_destroy(&vm->memory_lock);
free_vm:
	free(vm);
	return ret;
}

EXPORT void vhm_vm_destroy(struct vhm_vm *vm)
{
	uint32_t i;

	if (!vm)
		return;
	/* The kernel forgets the slots first, so that none names unmapped memory. */
	vhm_sys_close(vm->fd);
	for (i = 0; i < vm->slot_count; i++)
		if (!vhm_memory_has_mapping(vm->slots, i, vm->slots[i].mapping))
			vhm_sys_unmap(vm->slots[i].mapping, vm->slots[i].mapping_bytes);
	free(vm->slots);
	pthread_rwlock_destroy(&vm->memory_lock);
	vhm_put(vm->vhm);
	free(vm);
}

EXPORT int vhm_vm_fd(const struct vhm_vm *vm)
{
	return vm->fd;
}

EXPORT int vhm_vm_msi(struct vhm_vm *vm, uint64_t address, uint32_t data)
{
	struct vhm_msi msi = { .size = sizeof(msi), .data = data, .address = address };

	return vhm_sys_ioctl(vm->fd, VHM_VM_MSI, &msi);
}
