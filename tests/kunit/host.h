/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else: what a kernel that runs the suites may lack and
 * headers of the module mention.
 */
#ifndef VHM_TEST_HOST_H
#define VHM_TEST_HOST_H

#include <linux/preempt.h>

#ifndef CONFIG_PREEMPT_NOTIFIERS
struct preempt_notifier {
	char unused;
};
#endif

/* <asm/tsc.h> does not compile in User-Mode Linux; apic_fixture.c plays the TSC. */
#ifdef CONFIG_UML
#define _ASM_X86_TSC_H
extern unsigned int tsc_khz;
unsigned long long rdtsc(void);
#endif

#endif /* VHM_TEST_HOST_H */
