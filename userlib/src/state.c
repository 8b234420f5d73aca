// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * State sections: walking a buffer of them, and moving them to and from the kernel.
 *
 * Buffers may come from a file or from another host: every size is checked before it is
 * used, and each function that returns a section has checked that it lies in the buffer.
 * No locks: a vCPU belongs to the calling thread.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define SECTION_ALIGN	8u

static bool is_aligned(const void *buffer)
{
	return !((uintptr_t)buffer & (SECTION_ALIGN - 1));
}

/* Bytes of a section with head and padding; at most 4 GiB + 24, no overflow. */
static uint64_t section_span(const struct vhm_section *section)
{
	uint64_t bytes = sizeof(*section) + (uint64_t)section->bytes;

	return (bytes + SECTION_ALIGN - 1) & ~(uint64_t)(SECTION_ALIGN - 1);
}

/* The section at an offset if all of it, padding included, is in the buffer. */
static const struct vhm_section *section_at(const void *buffer, size_t bytes, size_t offset)
{
	const struct vhm_section *section;

	if (offset > bytes || bytes - offset < sizeof(*section))
		return NULL;
	section = (const void *)((const uint8_t *)buffer + offset);
	if (section_span(section) > bytes - offset || section->reserved)
		return NULL;
	return section;
}

EXPORT const struct vhm_section *vhm_section_first(const void *buffer, size_t bytes)
{
	if (!buffer || !is_aligned(buffer))
		return NULL;
	return section_at(buffer, bytes, 0);
}

EXPORT const struct vhm_section *vhm_section_next(const void *buffer, size_t bytes,
						  const struct vhm_section *section)
{
	size_t offset = (size_t)((const uint8_t *)section - (const uint8_t *)buffer);

	return section_at(buffer, bytes, offset + section_span(section));
}

EXPORT const struct vhm_section *vhm_section_find(const void *buffer, size_t bytes,
						  uint32_t type)
{
	const struct vhm_section *section = vhm_section_first(buffer, bytes);

	while (section && section->type != type)
		section = vhm_section_next(buffer, bytes, section);
	return section;
}

EXPORT int vhm_sections_check(const void *buffer, size_t bytes)
{
	const struct vhm_section *section;
	size_t offset = 0;

	if (bytes && (!buffer || !is_aligned(buffer)))
		return -EINVAL;
	while (offset < bytes) {
		section = section_at(buffer, bytes, offset);
		if (!section)
			return -EINVAL;
		offset += section_span(section);
	}
	return 0;
}

EXPORT int vhm_section_append(void *buffer, size_t capacity, size_t *used, uint32_t type,
			      const void *payload, size_t bytes)
{
	struct vhm_section section = { .type = type, .version = 1, .bytes = (uint32_t)bytes };
	uint8_t *to;

	if (!is_aligned(buffer) || *used % SECTION_ALIGN)
		return -EINVAL;
	if (bytes > UINT32_MAX || *used > capacity || section_span(&section) > capacity - *used)
		return -ENOSPC;
	to = (uint8_t *)buffer + *used;
	memcpy(to, &section, sizeof(section));
	to += sizeof(section);
	if (bytes)
		memcpy(to, payload, bytes);
	memset(to + bytes, 0, section_span(&section) - sizeof(section) - bytes);
	*used += section_span(&section);
	return 0;
}

EXPORT int vhm_vcpu_get_state(struct vhm_vcpu *vcpu, uint64_t sections, void *buffer,
			      size_t *bytes)
{
	struct vhm_state state = {
		.size = sizeof(state),
		.sections = sections,
		.buffer = (uintptr_t)buffer,
		.buffer_bytes = *bytes,
	};
	int ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_GET_STATE, &state);

	if (ret >= 0 || ret == -ENOSPC)
		*bytes = state.buffer_bytes;
	return ret < 0 ? ret : 0;
}

EXPORT int vhm_vcpu_set_state(struct vhm_vcpu *vcpu, const void *buffer, size_t bytes)
{
	struct vhm_state state = {
		.size = sizeof(state),
		.buffer = (uintptr_t)buffer,
		.buffer_bytes = bytes,
	};
	int ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_SET_STATE, &state);

	return ret < 0 ? ret : 0;
}

EXPORT int vhm_vcpu_get_section(struct vhm_vcpu *vcpu, uint32_t type, void *payload,
				size_t bytes)
{
	size_t capacity = bytes + sizeof(struct vhm_section) + SECTION_ALIGN;
	const struct vhm_section *section;
	size_t used = capacity;
	void *buffer;
	int ret;

	if (type >= 64 || bytes > UINT32_MAX)
		return -EINVAL;
	buffer = vhm_sys_alloc(1, capacity);
	if (!buffer)
		return -ENOMEM;
	ret = vhm_vcpu_get_state(vcpu, 1ull << type, buffer, &used);
	if (ret == -ENOSPC)
		ret = -EPROTO;
	if (!ret && used > capacity)
		ret = -EPROTO;
	if (!ret) {
		section = vhm_section_find(buffer, used, type);
		if (!section)
			ret = -ENOENT;
		else if (section->bytes != bytes)
			ret = -EPROTO;
		else
			memcpy(payload, vhm_section_payload(section), bytes);
	}
	free(buffer);
	return ret;
}

EXPORT int vhm_vcpu_set_section(struct vhm_vcpu *vcpu, uint32_t type, const void *payload,
				size_t bytes)
{
	size_t capacity = bytes + sizeof(struct vhm_section) + SECTION_ALIGN;
	size_t used = 0;
	void *buffer;
	int ret;

	if (bytes > UINT32_MAX)
		return -EINVAL;
	buffer = vhm_sys_alloc(1, capacity);
	if (!buffer)
		return -ENOMEM;
	ret = vhm_section_append(buffer, capacity, &used, type, payload, bytes);
	if (!ret)
		ret = vhm_vcpu_set_state(vcpu, buffer, used);
	free(buffer);
	return ret;
}

EXPORT int vhm_vcpu_get_registers(struct vhm_vcpu *vcpu, struct vhm_registers *regs)
{
	return vhm_vcpu_get_section(vcpu, VHM_SECTION_REGISTERS, regs, sizeof(*regs));
}

EXPORT int vhm_vcpu_set_registers(struct vhm_vcpu *vcpu, const struct vhm_registers *regs)
{
	return vhm_vcpu_set_section(vcpu, VHM_SECTION_REGISTERS, regs, sizeof(*regs));
}

EXPORT int vhm_vcpu_get_sregisters(struct vhm_vcpu *vcpu, struct vhm_sregisters *sregs)
{
	return vhm_vcpu_get_section(vcpu, VHM_SECTION_SREGISTERS, sregs, sizeof(*sregs));
}

EXPORT int vhm_vcpu_set_sregisters(struct vhm_vcpu *vcpu, const struct vhm_sregisters *sregs)
{
	return vhm_vcpu_set_section(vcpu, VHM_SECTION_SREGISTERS, sregs, sizeof(*sregs));
}
