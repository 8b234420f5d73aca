// SPDX-License-Identifier: GPL-2.0-only
/*
 * Composition root: names the backend, brings the parts up and down. Included by none.
 */
#include "vhm.h"

#include <linux/module.h>

#include "ioctl/ioctl.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

const struct vhm_backend_ops *vhm_backend = &vmx_backend_ops;

static int __init vhm_init(void)
{
	int ret = vmx_init();

	if (ret)
		return ret;
	preempt_notifier_inc();
	/* last: from here on user space can come */
	ret = misc_register(&vhm_device);
	if (ret) {
		preempt_notifier_dec();
		vmx_exit();
	}
	return ret;
}

static void __exit vhm_exit(void)
{
	misc_deregister(&vhm_device);
	preempt_notifier_dec();
	vmx_exit();
}

module_init(vhm_init);
module_exit(vhm_exit);

MODULE_DESCRIPTION("Hybrid virtual hardware manager");
MODULE_AUTHOR("The VHM developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
