/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest of the round-trip test (round_trip_guest.S) and its VMM (round_trip.c) share: guest-
 * physical addresses of variables, ports, vectors. Addresses are plain numbers, as both assembler
 * and C read them.
 */
#ifndef KSELFTEST_ROUND_TRIP_H
#define KSELFTEST_ROUND_TRIP_H

/* by vector */
#define RT_COUNT	0x100000	/* u32[256]: events so far */
#define RT_RIP		0x100400	/* u64[256]: where the last one came */
#define RT_TSC		0x100c00	/* u64[256]: when */
#define RT_ERROR	0x101400	/* u64[32]: its error code */

#define RT_FAILED	0x101600	/* line of the check that failed */
#define RT_TURN		0x101608
#define RT_LAST_TSC	0x101610
#define RT_RESUME	0x101618	/* handlers of faults go on here */
#define RT_DR6		0x101620	/* as the handler of #DB found it */
#define RT_CR2		0x101628	/* as the handler of #PF found it */
#define RT_NMI_AGAIN	0x101630	/* the handler is to send another NMI to itself */
#define RT_NMI_DEPTH	0x101638
#define RT_STACK	0x101640	/* RSP of the kernel while user code runs */
#define RT_IN_SERVICE	0x101648	/* u32[8]: ISR as the last interrupt's handler found it */
#define RT_SEQUENCE	0x101668	/* of reads from devices */
#define RT_SENT		0x101670	/* of writes to devices */
#define RT_VENDOR	0x101678

/* set by the VMM before the guest starts */
#define RT_X2APIC	0x101700	/* else xAPIC mode */
#define RT_XCR0		0x101708	/* 0: no XSAVE */
#define RT_PKRU		0x101710	/* 0: no PKU */
#define RT_HAS_RDTSCP	0x101718
#define RT_STEPPED	0x101720	/* the VMM may hold interrupts back: they come later than due */
#define RT_ONE_SHOT_TSC	0x101728	/* TSC ticks of RT_TIMER_COUNT */
#define RT_PERIOD_TSC	0x101730	/* TSC ticks of RT_PERIOD_COUNT */
#define RT_HAS_DEADLINE	0x101738

#define RT_TIMER_COUNT	100000
#define RT_PERIOD_COUNT	300000	/* longer than a move, or there is nothing but ticks */
#define RT_DEADLINE_TSC	300000

#define RT_GENERAL	0x101800	/* u64[8]: R8 to R15 */
#define RT_SCRATCH	0x102000	/* 4 KiB: what registers hold, to be compared */
#define RT_WATCHED	0x103000	/* data breakpoint 0 */
#define RT_STRING_OUT	0x104000
#define RT_STRING_IN	0x105000
#define RT_FAULTING	0x106000	/* a page that is not present, as a rule */
#define RT_FAULTING_PTE	0xe830
#define RT_USER_STACK	0x108ff0
#define RT_MSRS		0x109000	/* struct vhm_msr_value[], ends with index 0 */
#define RT_VECTORS	0x10a000	/* ZMM0-31, 64 bytes each, then K0-K7 */
#define RT_OPMASKS	0x10a800
#define RT_FX		0x10b000	/* FXSAVE area of x87 and SSE as it must stay */

#define RT_STRING_OUTS	13		/* elements of 1 byte */
#define RT_STRING_INS	11		/* elements of 2 bytes */

#define RT_PORT_IN	0x20
#define RT_PORT_OUT	0x21
#define RT_PORT_STRING_OUT 0x22
#define RT_PORT_STRING_IN 0x23
#define RT_PORT_TURN	0x24
#define RT_PORT_FAILED	0x25
#define RT_PORT_MARK	0x26		/* here it becomes interesting */

#define RT_TIMER_VECTOR	0x40
#define RT_LEVEL_VECTOR	0xa1		/* from the VMM, level-triggered */
#define RT_EDGE_VECTOR	0xb1		/* from the VMM */
#define RT_USER_VECTOR	0x60		/* user code is done */

/* what device read number n gives */
#define RT_FACTOR	0x9e3779b1

#endif /* KSELFTEST_ROUND_TRIP_H */
