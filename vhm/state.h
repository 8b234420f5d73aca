/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State of a vCPU as sections (vhm/state.c).
 */
#ifndef VHM_STATE_H
#define VHM_STATE_H

#include "vhm.h"

u32 vhm_state_bytes(struct vhm_vcpu *vcpu, u64 mask);
void vhm_state_get(struct vhm_vcpu *vcpu, u64 mask, void *buffer);
int vhm_state_set(struct vhm_vcpu *vcpu, const void *buffer, u64 bytes);

#endif /* VHM_STATE_H */
