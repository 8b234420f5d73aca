// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * vCPUs: life cycle, running, and one-line commands.
 *
 * A vCPU belongs to one thread at a time; kick, nmi and get_stats touch only the descriptor
 * and may come from any. State as sections is state.c's, exits are dispatch.c's.
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/mman.h>

EXPORT int vhm_vcpu_create(struct vhm_vm *vm, uint32_t id, struct vhm_vcpu **out)
{
	struct vhm_vcpu_create create = { .size = sizeof(create), .id = id };
	struct vhm_vcpu *vcpu = vhm_sys_alloc(1, sizeof(*vcpu));
	void *run;
	int ret;

	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->run_bytes = vm->vhm->info.run_page_bytes;
	vcpu->fd = vhm_sys_ioctl(vm->fd, VHM_VCPU_CREATE, &create);
	if (vcpu->fd < 0) {
		ret = vcpu->fd;
		goto free_vcpu;
	}
	ret = vhm_sys_map(vcpu->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, &run);
	if (ret)
		goto close_fd;
	vcpu->run = run;
	*out = vcpu;
	return 0;

close_fd:
	vhm_sys_close(vcpu->fd);
free_vcpu:
	free(vcpu);
	return ret;
}

EXPORT void vhm_vcpu_destroy(struct vhm_vcpu *vcpu)
{
	if (!vcpu)
		return;
	vhm_sys_unmap(vcpu->run, vcpu->run_bytes);
	vhm_sys_close(vcpu->fd);
	vhm_vcpu_forget_decoded(vcpu);
	free(vcpu);
}

EXPORT int vhm_vcpu_fd(const struct vhm_vcpu *vcpu)
{
	return vcpu->fd;
}

EXPORT uint32_t vhm_vcpu_id(const struct vhm_vcpu *vcpu)
{
	return vcpu->id;
}

EXPORT struct vhm_vm *vhm_vcpu_vm(const struct vhm_vcpu *vcpu)
{
	return vcpu->vm;
}

EXPORT struct vhm_run *vhm_vcpu_run_page(const struct vhm_vcpu *vcpu)
{
	return vcpu->run;
}

EXPORT int vhm_vcpu_run(struct vhm_vcpu *vcpu)
{
	return vhm_sys_ioctl(vcpu->fd, VHM_VCPU_RUN, NULL);
}

EXPORT int vhm_vcpu_kick(struct vhm_vcpu *vcpu)
{
	int ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_KICK, NULL);

	return ret < 0 ? ret : 0;
}

EXPORT int vhm_vcpu_nmi(struct vhm_vcpu *vcpu)
{
	struct vhm_nmi nmi = { .size = sizeof(nmi) };
	int ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_NMI, &nmi);

	return ret < 0 ? ret : 0;
}

EXPORT int vhm_vcpu_apic_access(struct vhm_vcpu *vcpu, uint32_t offset, bool write,
				uint32_t *value)
{
	struct vhm_apic_access access = {
		.size = sizeof(access),
		.flags = write ? VHM_APIC_WRITE : 0,
		.offset = offset,
		.value = write ? *value : 0,
	};
	int ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_APIC_ACCESS, &access);

	if (ret < 0)
		return ret;
	if (!write)
		*value = access.value;
	return 0;
}

EXPORT int vhm_vcpu_set_control(struct vhm_vcpu *vcpu, const struct vhm_vcpu_control *control)
{
	struct vhm_vcpu_control copy = *control;
	int ret;

	copy.size = sizeof(copy);
	ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_SET_CONTROL, &copy);
	return ret < 0 ? ret : 0;
}

EXPORT int vhm_vcpu_get_stats(struct vhm_vcpu *vcpu, struct vhm_stats *stats)
{
	int ret;

	*stats = (struct vhm_stats){ .size = sizeof(*stats) };
	ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_GET_STATS, stats);
	return ret < 0 ? ret : 0;
}

/* Exceptions that push an error code (SDM vol. 3, 6.13, Error Code) */
#define VECTORS_WITH_ERROR_CODE	(1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | \
				 1u << 14 | 1u << 17 | 1u << 21)
#define VECTOR_DB		1
#define VECTOR_NMI		2
#define VECTOR_PF		14

EXPORT int vhm_vcpu_inject(struct vhm_vcpu *vcpu, uint32_t vector, uint32_t error_code,
			   uint64_t payload)
{
	struct vhm_event event = { .flags = VHM_EVENT_VALID, .vector = vector };

	if (vector > 31 || vector == VECTOR_NMI)
		return -EINVAL;
	/* The kernel drops the error code in real mode. */
	if (VECTORS_WITH_ERROR_CODE & 1u << vector) {
		event.flags |= VHM_EVENT_HAS_ERROR_CODE;
		event.error_code = error_code;
	}
	if (vector == VECTOR_PF || vector == VECTOR_DB) {
		event.flags |= VHM_EVENT_HAS_PAYLOAD;
		event.payload = payload;
	}
	vcpu->run->inject = event;
	vcpu->run->retire_bytes = 0;
	return 0;
}

EXPORT void vhm_vcpu_retire(struct vhm_vcpu *vcpu)
{
	vcpu->run->retire_bytes = vcpu->run->insn_bytes;
}
