/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State of a vCPU as sections (vhm/state.c).
 */
#ifndef VHM_STATE_H
#define VHM_STATE_H

#include "vhm.h"

/**
 * struct vhm_section_ops - one type of section
 * @version: version written, and the only one read
 * @fixed_bytes: size of the payload, 0: it varies
 * @item_bytes: it is a multiple of this, and any multiple may be loaded
 * @bytes: size of the payload written; without a vCPU the largest there can be
 * @get: write the payload; @out is zeroed
 * @check: may this payload be loaded?
 * @set: load it; it has passed @check. May still fail where only the hardware knows.
 */
struct vhm_section_ops {
	u32 version;
	u32 fixed_bytes;
	u32 item_bytes;
	u32 (*bytes)(struct vhm_vcpu *vcpu);
	void (*get)(struct vhm_vcpu *vcpu, void *out, u32 bytes);
	int (*check)(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
	int (*set)(struct vhm_vcpu *vcpu, const void *in, u32 bytes);
};

u32 vhm_state_bytes(struct vhm_vcpu *vcpu, u64 mask);
void vhm_state_get(struct vhm_vcpu *vcpu, u64 mask, void *buffer);
int vhm_state_set(struct vhm_vcpu *vcpu, const void *buffer, u64 bytes);

#endif /* VHM_STATE_H */
