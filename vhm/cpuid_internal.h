/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID: what its two files share. Nothing outside vhm/cpuid*.c includes this.
 */
#ifndef VHM_CPUID_INTERNAL_H
#define VHM_CPUID_INTERNAL_H

#include "cpuid.h"

#define VHM_CPUID_BUS_MHZ	100	/* leaf 16H ECX */

#define EXTENDED	0x80000000u
#define XSAVE_LEGACY	576u		/* legacy region and header (SDM vol. 1, 13.4) */

/* an answer's registers, in the order of struct vhm_cpuid_entry */
enum { EAX, EBX, ECX, EDX };

/*
 * A bit by the kernel's name. The word of the kernel's table stands for leaf and register;
 * a name of another word does not compile.
 */
#define BIT_OF(word, feature)	(1u << ((feature) - 32 * (word)))
#define ECX_1(name)	BIT_OF(4, X86_FEATURE_##name)
#define EDX_1(name)	BIT_OF(0, X86_FEATURE_##name)
#define EBX_7(name)	BIT_OF(9, X86_FEATURE_##name)
#define ECX_7(name)	BIT_OF(16, X86_FEATURE_##name)
#define EDX_7(name)	BIT_OF(18, X86_FEATURE_##name)
#define EAX_7_1(name)	BIT_OF(12, X86_FEATURE_##name)
#define EAX_D_1(name)	BIT_OF(10, X86_FEATURE_##name)
#define ECX_8_1(name)	BIT_OF(6, X86_FEATURE_##name)
#define EDX_8_1(name)	BIT_OF(1, X86_FEATURE_##name)

#endif /* VHM_CPUID_INTERNAL_H */
