// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walk of the host's page table, without a lock.
 *
 * The size of the host's mapping is what counts, not that of the page behind it: parts of
 * a large page that is mapped in small pieces go away one by one. With interrupts off the
 * tables cannot be freed: the host either interrupts every CPU first or waits for RCU.
 * Owns nothing, changes nothing and faults nothing in (fault.c).
 */
#include "ept/host.h"

#include <linux/mm.h>
#include <asm/msr.h>

/* Type that the entry selects in IA32_PAT (SDM vol. 3, 12.12.3), whose first is write-back. */
static u64 pat_type(u64 entry, int level)
{
	unsigned int index = entry >> _PAGE_BIT_PWT & 3;	/* PCD is the next bit */
	u64 pat;

	if (entry & (level > 1 ? _PAGE_PAT_LARGE : _PAGE_PAT))
		index |= 4;
	if (!index)
		return EPT_MEMORY_WRITE_BACK;
	rdmsrl(MSR_IA32_CR_PAT, pat);
	return pat >> 8 * index & 7;
}

/* Entries have the same flags at every level (SDM vol. 3, 4.5.4, tables 4-15 to 4-20). */
static bool accept(u64 entry, unsigned long hva, int level, struct ept_host_page *page)
{
	u64 offset_mask = ept_level_pages(level) - 1;
	u64 pfn = (entry & PTE_PFN_MASK) >> PAGE_SHIFT;

	if (!(entry & _PAGE_PRESENT) || !(entry & _PAGE_USER))
		return false;
	pfn = (pfn & ~offset_mask) | ((hva >> PAGE_SHIFT) & offset_mask);
	*page = (struct ept_host_page) {
		.pfn = pfn, .level = level, .writable = entry & _PAGE_RW,
		.memory_type = pat_type(entry, level),
		/*
		 * Special: without one, but for the page of zeros and persistent memory. Large
		 * entries of devices are not marked as special everywhere.
		 */
		.has_page = pfn_valid(pfn) && (!(entry & _PAGE_SPECIAL) || entry & _PAGE_DEVMAP ||
					       is_zero_pfn(pfn)),
	};
	return true;
}

/* Each entry is read once: the tables may change meanwhile. */
static bool walk(unsigned long hva, struct ept_host_page *page)
{
	pgd_t pgd = READ_ONCE(*pgd_offset(current->mm, hva));
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	if (pgd_none(pgd))
		return false;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (!p4d_present(p4d))
		return false;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (!pud_present(pud) || pud_leaf(pud))
		return accept(pud_val(pud), hva, 3, page);
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (!pmd_present(pmd) || pmd_leaf(pmd))
		return accept(pmd_val(pmd), hva, 2, page);
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	return accept(pte_val(pte), hva, 1, page);
}

bool ept_host_look_up(unsigned long hva, struct ept_host_page *page)
{
	unsigned long flags;
	bool found;

	local_irq_save(flags);
	found = walk(hva, page);
	local_irq_restore(flags);
	if (found)
		page->memory_type = ept_memory_type(page->memory_type, page->has_page ||
						    page_is_ram(page->pfn));
	return found;
}
