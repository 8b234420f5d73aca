/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's pending work of a thread (vmx/work.c).
 */
#ifndef VMX_WORK_H
#define VMX_WORK_H

int vmx_do_host_work(void);

#endif /* VMX_WORK_H */
