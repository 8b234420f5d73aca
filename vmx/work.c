// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host wants done before a thread goes into its guest: rescheduling, task work,
 * restartable sequences.
 *
 * Going to the edge of user mode and back does all of it, too (vhm_host_work_result()), but
 * costs a system call for each preemption of a thread that uses rseq, as all do with
 * today's C library. The kernel's own function for it tells KVM's vCPU when a signal ends
 * the run. It gets one to tell that belongs to nobody. This is the only file that knows
 * KVM's structures; no lock protects @nobody, whose content nothing reads.
 */
#include <linux/entry-kvm.h>
#include <linux/kvm_host.h>

#include "work.h"

static struct kvm_run nobodys_run;
static struct kvm_vcpu nobody = { .run = &nobodys_run };

/**
 * vmx_do_host_work() - do the pending work of the host
 *
 * Context: process, interrupts on, preemption on. May sleep.
 * Return: 0, or -EINTR if the thread must go to user mode.
 */
int vmx_do_host_work(void)
{
	return xfer_to_guest_mode_handle_work(&nobody);
}
