/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's pending work. Apart from vmx.h, because vmx/work.c includes KVM's header, and the two
 * share names. Owns nothing.
 */
#ifndef VMX_WORK_H
#define VMX_WORK_H

int vmx_do_host_work(void);

#endif /* VMX_WORK_H */
