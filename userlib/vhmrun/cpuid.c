// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The CPUID table of the guest. See cpuid.h. Bits: SDM vol. 2, "CPUID-CPU Identification",
 * table 3-8.
 */
#include "cpuid.h"

#include <errno.h>
#include <stdlib.h>

enum {
	LEAF_FEATURES		= 0x1,
	LEAF_TOPOLOGY		= 0xb,
	LEAF_HYPERVISOR_FEATURES = 0x40000001,

	FEATURES_ECX_X2APIC	= 21,
	FEATURES_ECX_HYPERVISOR	= 31,
	FEATURES_EDX_HTT	= 28,
	FEATURES_EBX_COUNT_SHIFT = 16,

	TOPOLOGY_THREADS	= 1 << 8,
	TOPOLOGY_CORES		= 2 << 8,

	ADDED_ENTRIES		= 3,
};

/*
 * The module offers its paravirtual interface under the name of KVM's. Without it the name stays:
 * Linux turns x2APIC on without interrupt remapping only under a hypervisor whose name it knows.
 * In x2APIC mode an access to the local APIC is an MSR access, which the kernel module completes;
 * in xAPIC mode, on a CPU without APIC-register virtualization, it takes the way through
 * instruction decode.
 */
static void choose_paravirtual(struct cpuid_table *table, bool paravirtual)
{
	struct vhm_cpuid_entry *features = vhm_cpuid_find(table->entries, table->count,
							  LEAF_HYPERVISOR_FEATURES, 0);

	if (features && !paravirtual)
		features->eax = 0;
}

static int choose_apic_mode(struct cpuid_table *table, bool x2apic)
{
	struct vhm_cpuid_entry *features = vhm_cpuid_find(table->entries, table->count,
							  LEAF_FEATURES, 0);

	if (!features)
		return -ENOENT;
	/* Under a hypervisor, whichever, Linux does not take the CPU's errata for its own. */
	features->ecx |= 1u << FEATURES_ECX_HYPERVISOR;
	if (!x2apic)
		features->ecx &= ~(1u << FEATURES_ECX_X2APIC);
	return 0;
}

static int add_topology_level(struct cpuid_table *table, uint32_t capacity, uint32_t level,
			      uint32_t id_bits, uint32_t processors, uint32_t type)
{
	const struct vhm_cpuid_entry entry = {
		.leaf = LEAF_TOPOLOGY,
		.subleaf = level,
		.flags = VHM_CPUID_SUBLEAF,
		.eax = id_bits,
		.ebx = processors,
		.ecx = type | level,
	};

	return vhm_cpuid_add(table->entries, &table->count, capacity, &entry);
}

/* One package; each virtual CPU is a core of one thread. */
static int set_topology(struct cpuid_table *table, uint32_t capacity, unsigned int cpu_count)
{
	struct vhm_cpuid_entry *features = vhm_cpuid_find(table->entries, table->count,
							  LEAF_FEATURES, 0);
	uint32_t id_bits = 0;
	int error;

	while (1u << id_bits < cpu_count)
		id_bits++;
	if (!features)
		return -ENOENT;
	features->ebx &= ~(0xffu << FEATURES_EBX_COUNT_SHIFT);
	features->ebx |= (cpu_count < 255 ? cpu_count : 255) << FEATURES_EBX_COUNT_SHIFT;
	if (cpu_count == 1)
		features->edx &= ~(1u << FEATURES_EDX_HTT);
	if (!vhm_cpuid_find(table->entries, table->count, LEAF_TOPOLOGY, 0))
		return 0;
	error = add_topology_level(table, capacity, 0, 0, 1, TOPOLOGY_THREADS);
	if (!error)
		error = add_topology_level(table, capacity, 1, id_bits, cpu_count, TOPOLOGY_CORES);
	return error;
}

int cpuid_table_create(struct cpuid_table *table, struct vhm *vhm, const struct options *options)
{
	uint32_t capacity = vhm_get_info(vhm)->max_cpuid_entries + ADDED_ENTRIES;
	int error;

	table->count = capacity;
	table->entries = calloc(capacity, sizeof(*table->entries));
	if (!table->entries)
		return -ENOMEM;
	error = vhm_get_cpuid(vhm, table->entries, &table->count);
	if (!error)
		error = choose_apic_mode(table, options->x2apic);
	choose_paravirtual(table, options->paravirtual);
	if (!error)
		error = set_topology(table, capacity, options->cpu_count);
	if (error)
		cpuid_table_destroy(table);
	return error;
}

void cpuid_table_destroy(struct cpuid_table *table)
{
	free(table->entries);
	table->entries = NULL;
}
