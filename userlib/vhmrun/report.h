/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What went on in the guest, for the reader of stderr.
 *
 * Owns nothing. report_exit() belongs to the vCPU's thread; the others are called once no
 * thread runs the vCPU.
 */
#ifndef VHMRUN_REPORT_H
#define VHMRUN_REPORT_H

#include <libvhm.h>

/* One line about the exit vhm_vcpu_run() has just returned with. */
void report_exit(struct vhm_vcpu *vcpu);

/**
 * report_crash - why a vCPU cannot go on, and its state
 * @vcpu: the vCPU, after its last exit
 * @error: negative errno that ended it; 0: the exit did
 */
void report_crash(struct vhm_vcpu *vcpu, int error);

/* Exit counters. */
void report_stats(struct vhm_vcpu *vcpu);

#endif /* VHMRUN_REPORT_H */
