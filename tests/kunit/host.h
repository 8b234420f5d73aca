/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else: what a kernel that runs the suites may lack and
 * headers of the module mention. No suite uses it.
 */
#ifndef VHM_TEST_HOST_H
#define VHM_TEST_HOST_H

#include <linux/preempt.h>

#ifndef CONFIG_PREEMPT_NOTIFIERS
struct preempt_notifier {
	char unused;
};
#endif

#endif /* VHM_TEST_HOST_H */
