// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does on purpose what no module may do, so that the rig can be seen to notice it.
 *
 * fault=1 warns, 2 leaves CR4.VMXE set, 3 spins with interrupts off, 4 writes through a null
 * pointer, 5 leaves a slab cache, 6 refuses to load, 7 cannot be unloaded, 8 panics.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

static int fault;
module_param(fault, int, 0444);
MODULE_PARM_DESC(fault, "which fault to commit");

/* The kernel's own accessor keeps a copy, which would undo this at the next write. */
static void set_vmxe(void)
{
	unsigned long cr4 = __read_cr4() | X86_CR4_VMXE;

	asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
}

static int __init selftest_init(void)
{
	struct kmem_cache *cache;

	switch (fault) {
	case 1:
		WARN(1, "on purpose\n");
		break;
	case 2:
		set_vmxe();
		break;
	case 3:
		local_irq_disable();
		for (;;)
			cpu_relax();
	case 4:
		WRITE_ONCE(*(int *)8, 1);
		break;
	case 5:
		cache = kmem_cache_create("vhm_rig_selftest_left", 40, 0, 0, NULL);
		if (!cache)
			return -ENOMEM;
		break;
	case 6:
		return -EBUSY;
	case 7:
		__module_get(THIS_MODULE);
		break;
	case 8:
		panic("on purpose\n");
	}
	return 0;
}

static void __exit selftest_exit(void)
{
}

module_init(selftest_init);
module_exit(selftest_exit);
MODULE_DESCRIPTION("Commits faults, to test VHM's test rig");
MODULE_LICENSE("GPL");
