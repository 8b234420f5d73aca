// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * CPUID tables: reading what the host supports, editing, giving one to a vCPU.
 *
 * A table is an array of the caller's; nothing is kept here. What a guest may be given is
 * the kernel's decision, not this file's.
 */
#include "internal.h"

#include <stdlib.h>

EXPORT int vhm_get_cpuid(struct vhm *vhm, struct vhm_cpuid_entry *entries, uint32_t *count)
{
	struct vhm_cpuid arg = {
		.size = sizeof(arg),
		.entry_count = *count,
		.entries = (uintptr_t)entries,
	};
	int ret = vhm_sys_ioctl(vhm->fd, VHM_GET_CPUID, &arg);

	if (ret >= 0 || ret == -ENOSPC)
		*count = arg.entry_count;
	return ret < 0 ? ret : 0;
}

EXPORT struct vhm_cpuid_entry *vhm_cpuid_find(struct vhm_cpuid_entry *entries, uint32_t count,
					      uint32_t leaf, uint32_t subleaf)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (entries[i].leaf != leaf)
			continue;
		if (!(entries[i].flags & VHM_CPUID_SUBLEAF) || entries[i].subleaf == subleaf)
			return &entries[i];
	}
	return NULL;
}

EXPORT uint32_t *vhm_cpuid_register(struct vhm_cpuid_entry *entry, enum vhm_cpuid_register which)
{
	switch (which) {
	case VHM_CPUID_EAX:
		return &entry->eax;
	case VHM_CPUID_EBX:
		return &entry->ebx;
	case VHM_CPUID_ECX:
		return &entry->ecx;
	case VHM_CPUID_EDX:
		return &entry->edx;
	}
	return NULL;
}

EXPORT int vhm_cpuid_set_bit(struct vhm_cpuid_entry *entries, uint32_t count, uint32_t leaf,
			     uint32_t subleaf, enum vhm_cpuid_register which, unsigned int bit,
			     bool value)
{
	struct vhm_cpuid_entry *entry = vhm_cpuid_find(entries, count, leaf, subleaf);
	uint32_t *reg;

	if (!entry)
		return -ENOENT;
	reg = vhm_cpuid_register(entry, which);
	if (!reg || bit > 31)
		return -EINVAL;
	if (value)
		*reg |= 1u << bit;
	else
		*reg &= ~(1u << bit);
	return 0;
}

EXPORT int vhm_cpuid_add(struct vhm_cpuid_entry *entries, uint32_t *count, uint32_t capacity,
			 const struct vhm_cpuid_entry *entry)
{
	bool subleaf = entry->flags & VHM_CPUID_SUBLEAF;
	uint32_t i;

	for (i = 0; i < *count; i++) {
		if (entries[i].leaf == entry->leaf && entries[i].flags == entry->flags &&
		    (!subleaf || entries[i].subleaf == entry->subleaf))
			break;
	}
	if (i >= capacity)
		return -ENOSPC;
	entries[i] = *entry;
	if (i == *count)
		++*count;
	return 0;
}

static int set_cpuid(struct vhm_vcpu *vcpu, const struct vhm_cpuid_entry *entries,
		     uint32_t count)
{
	struct vhm_cpuid arg = {
		.size = sizeof(arg),
		.entry_count = count,
		.entries = (uintptr_t)entries,
	};
	int ret = vhm_sys_ioctl(vcpu->fd, VHM_VCPU_SET_CPUID, &arg);

	return ret < 0 ? ret : 0;
}

EXPORT int vhm_vcpu_set_cpuid(struct vhm_vcpu *vcpu, const struct vhm_cpuid_entry *entries,
			      uint32_t count)
{
	struct vhm *vhm = vcpu->vm->vhm;
	struct vhm_cpuid_entry *all;
	int ret;

	if (entries)
		return set_cpuid(vcpu, entries, count);
	if (count)
		return -EINVAL;
	count = vhm->info.max_cpuid_entries;
	all = vhm_sys_alloc(count, sizeof(*all));
	if (!all)
		return -ENOMEM;
	ret = vhm_get_cpuid(vhm, all, &count);
	if (!ret)
		ret = set_cpuid(vcpu, all, count);
	free(all);
	return ret;
}
