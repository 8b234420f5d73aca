/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host's page table says about one user address. Inside ept/ only.
 */
#ifndef VHM_EPT_HOST_H
#define VHM_EPT_HOST_H

#include "ept/format.h"

/**
 * struct ept_host_page - the host's mapping of a user address
 * @pfn: page number of the 4 KiB at the address
 * @memory_type: that a guest's mapping must have, EPT_MEMORY_*
 * @level: 1 page-table entry, 2 page-directory entry (2 MiB), 3 (1 GiB)
 * @writable: the process may write to it without a fault
 * @has_page: there is a struct page, which counts the mapping; not so for what drivers map of
 *	devices (VM_PFNMAP, VM_IO) or of memory of their own
 */
struct ept_host_page {
	u64 pfn, memory_type;
	int level;
	bool writable, has_page;
};

/**
 * ept_host_look_up - read the host's page table
 * @hva: user address
 * @page: filled in
 *
 * Takes no lock and no reference: what it says is worth something only while
 * ept_process_read_retry() says so.
 *
 * Context: current->mm is the address space; any.
 * Return: false: nothing is mapped there now
 */
bool ept_host_look_up(unsigned long hva, struct ept_host_page *page);

#endif /* VHM_EPT_HOST_H */
