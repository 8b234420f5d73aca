// SPDX-License-Identifier: GPL-2.0-only
/*
 * What user space of a test host cannot see for itself: on which CPUs CR4.VMXE is set.
 *
 * Read-only, and without locks: the answer is taken once, while the module loads. A module
 * that was unloaded and left VMX operation on shows here (VMXE cannot be cleared
 * inside VMX operation: Intel SDM volume 3, 24.8 "Restrictions on VMX Operation").
 */
#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

static struct cpumask vmxe_cpus;

static void look_at_cr4(void *unused)
{
	if (__read_cr4() & X86_CR4_VMXE)
		cpumask_set_cpu(smp_processor_id(), &vmxe_cpus);
}

static int vmxe_cpus_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%*pbl\n", cpumask_pr_args(&vmxe_cpus));
}

static const struct kernel_param_ops vmxe_cpus_ops = {
	.get = vmxe_cpus_get,
};

module_param_cb(vmxe_cpus, &vmxe_cpus_ops, NULL, 0444);
MODULE_PARM_DESC(vmxe_cpus, "CPUs whose CR4.VMXE was set when this module was loaded");

static int __init probe_init(void)
{
	on_each_cpu(look_at_cr4, NULL, 1);
	return 0;
}

static void __exit probe_exit(void)
{
}

module_init(probe_init);
module_exit(probe_exit);
MODULE_DESCRIPTION("Looks for VMX left on, for VHM's test rig");
MODULE_LICENSE("GPL");
