// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host wants done before a thread goes into its guest: signals, rescheduling, task work.
 *
 * The kernel has one function for it, and that one tells KVM's vCPU when a signal ends the
 * run. It gets one to tell that belongs to nobody. This is the only file that knows KVM's
 * structures; no lock protects @nobody, whose content nothing reads.
 */
#include <linux/entry-kvm.h>
#include <linux/kvm_host.h>

#include "work.h"

static struct kvm_run nobodys_run;
static struct kvm_vcpu nobody = { .run = &nobodys_run };

/**
 * vmx_do_host_work - do the pending work of the host
 *
 * Context: process, interrupts on, preemption on. May sleep.
 * Return: 0, or -EINTR if a signal is pending.
 */
int vmx_do_host_work(void)
{
	return xfer_to_guest_mode_handle_work(&nobody);
}
