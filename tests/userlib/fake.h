/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's ioctls, as far as the library needs them, without a module: the linker's
 * --wrap=vhm_sys_ioctl sends the library's calls here; so does --wrap=dlopen.
 *
 * One vCPU's state for all; no guest runs. Descriptors are memfds, so that the run page can be
 * mapped.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <linux/vhm.h>

#define FAKE_STATE_BYTES	16384
#define FAKE_XSAVE_BYTES	4096
#define FAKE_PAGES		(1u << 16)	/* of guest memory that trackers know */

struct fake {
	struct vhm_info info;
	unsigned long fail_command;	/* this command fails ... */
	int fail_errno;			/* ... with this */
	unsigned int calls;		/* since fake_reset() */
	struct vhm_registers regs;
	struct vhm_sregisters sregs;
	struct vhm_events events;
	_Alignas(64) unsigned char xsave[FAKE_XSAVE_BYTES];
	unsigned int xsave_bytes;
	unsigned int apic[64];		/* register at offset 16 * i */
	unsigned int apic_reads, apic_writes;
	struct vhm_msi msi;		/* the last one */
	unsigned long long populated;	/* bytes, in all */
	unsigned int notes;		/* VHM_VM_NOTE_WRITTEN, as often as it was called */
	unsigned long long written[FAKE_PAGES / 64];	/* what any tracker tells of, a bit a page */
	struct vhm_slot slot[64];
	unsigned int slots;
	struct vhm_rights rights;	/* the last ones */
	struct vhm_cpuid_entry cpuid[64];	/* what the vCPU was given */
	unsigned int cpuid_count;
	struct vhm_vcpu_control control;	/* the last one */
	unsigned int kicks, nmis, runs;
	bool has_gigabyte_pages;
	bool library_missing;		/* dlopen() finds nothing */
};

extern struct fake fake;

void fake_reset(void);

#endif /* FAKE_H */
