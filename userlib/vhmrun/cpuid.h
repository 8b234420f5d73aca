/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The CPUID table of the guest: what the host supports, made to fit this machine.
 *
 * Owns the table. No locks.
 */
#ifndef VHMRUN_CPUID_H
#define VHMRUN_CPUID_H

#include <libvhm.h>

#include "options.h"

/**
 * struct cpuid_table - a CPUID table
 * @entries: its entries
 * @count: how many
 */
struct cpuid_table {
	struct vhm_cpuid_entry *entries;
	uint32_t count;
};

/* 0 or -errno; then nothing is left behind. */
int cpuid_table_create(struct cpuid_table *table, struct vhm *vhm, const struct options *options);
void cpuid_table_destroy(struct cpuid_table *table);

#endif /* VHMRUN_CPUID_H */
