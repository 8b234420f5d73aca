// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of one VM: map, zap, flush, free.
 *
 * Owns all table pages. Everything that looks into a table holds ept->lock; the
 * processor looks into them at any time, so an entry changes with one store. Does
 * not know slots, user addresses or the host's page tables (fault.c, notifier.c).
 */
#include "ept/table.h"

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "ept/format.h"
#include "ept/iter.h"

static u64 *alloc_table(void)
{
	return (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

static void free_table(u64 *table)
{
	free_page((unsigned long)table);
}

int ept_page_cache_fill(struct ept_page_cache *cache)
{
	while (cache->count < ARRAY_SIZE(cache->page)) {
		u64 *table = alloc_table();

		if (!table)
			return -ENOMEM;
		cache->page[cache->count++] = table;
	}
	return 0;
}

void ept_page_cache_drain(struct ept_page_cache *cache)
{
	while (cache->count)
		free_table(cache->page[--cache->count]);
}

/*
 * Partner of the read in the backend's entry into the guest. Where the entry was changed
 * and where the CPU's mode is read is ordered by vhm_vm_flush_guest_cpus().
 */
static void raise_generation(struct ept *ept)
{
	lockdep_assert_held(&ept->lock);
	WRITE_ONCE(ept->generation, ept->generation + 1);
}

/*
 * Count a table and everything below as gone. CPUs may walk it until the flush, and set
 * accessed flags in it, so the pages stay as they are, on the list of the dead. Depth is
 * bounded by EPT_LEVELS.
 */
static void bury_table(struct ept *ept, u64 *table, int level)
{
	unsigned int i;

	for (i = 0; i < EPT_TABLE_ENTRIES; i++) {
		u64 entry = READ_ONCE(table[i]);

		if (ept_entry_is_table(entry, level))
			bury_table(ept, ept_entry_table(entry), level - 1);
		else if (ept_entry_present(entry))
			ept->mapped[level]--;
	}
	ept->tables--;
	list_add(&virt_to_page(table)->lru, &ept->dead);
}

/* Remove a present entry and what is below it. */
static void remove_entry(struct ept *ept, u64 *entry, int level)
{
	u64 old = xchg(entry, 0);

	if (ept_entry_is_table(old, level))
		bury_table(ept, ept_entry_table(old), level - 1);
	else
		ept->mapped[level]--;
	raise_generation(ept);
}

static int set_leaf(struct ept *ept, struct ept_iter *iter, u64 leaf)
{
	u64 old = iter->value;

	if (ept_entry_is_fixed(old))
		return -EEXIST;
	/* pages in it may have what this leaf lacks */
	if (ept_entry_is_table(old, iter->level) && !ept_entry_allows(leaf, EPT_ENTRY_EXECUTE))
		return -EEXIST;
	if (ept_entry_is_leaf(old, iter->level) &&
	    ept_entry_address(old) == ept_entry_address(leaf) && !ept_entry_is_fixed(leaf)) {
		if (ept_entry_allows(old, leaf))
			return 0;
		/* Rights are only added: nothing to flush. The processor may be setting flags. */
		while (!try_cmpxchg(iter->entry, &old, old | (leaf & EPT_ENTRY_RIGHTS)))
			;
		return 1;
	}

	if (ept_entry_present(old))
		remove_entry(ept, iter->entry, iter->level);
	WRITE_ONCE(*iter->entry, leaf);
	ept->mapped[iter->level]++;
	return 1;
}

/*
 * Make the current entry, which is above the leaf's level, reference a table: of the pieces
 * if it was a leaf. Pages of 4 KiB may always be executed, even where the leaf was too large
 * for that. Nothing is lost, so nothing is flushed.
 */
static int link_table(struct ept *ept, struct ept_iter *iter, struct ept_page_cache *cache)
{
	u64 old = iter->value, *table;
	unsigned int i;

	if (!cache->count)
		return -EAGAIN;
	table = cache->page[--cache->count];
	do {
		for (i = 0; old && i < EPT_TABLE_ENTRIES; i++) {
			table[i] = ept_entry_split(old, iter->level, i);
			if (iter->level == 2)
				table[i] |= EPT_ENTRY_EXECUTE;
		}
		/*
		 * The processor must not find the table before its entries: partner is its walk.
		 * It may be setting flags in the leaf.
		 */
	} while (!try_cmpxchg(iter->entry, &old, ept_entry_make_table(__pa(table))));
	if (old) {
		ept->mapped[iter->level]--;
		ept->mapped[iter->level - 1] += EPT_TABLE_ENTRIES;
	}
	ept->tables++;
	return 0;
}

static void mark_fixed(u64 *entry)
{
	u64 old = READ_ONCE(*entry);

	while (!try_cmpxchg(entry, &old, old | EPT_ENTRY_FIXED))
		;
}

int ept_map_locked(struct ept *ept, gfn_t gfn, int level, u64 leaf,
		   struct ept_page_cache *cache)
{
	struct ept_iter iter;

	lockdep_assert_held(&ept->lock);
	for_each_ept_entry(&iter, ept->root, gfn, gfn + 1) {
		if (iter.level == level)
			return set_leaf(ept, &iter, leaf);
		if (!ept_entry_is_table(iter.value, iter.level)) {
			int err = link_table(ept, &iter, cache);

			if (err)
				return err;
		}
		if (ept_entry_is_fixed(leaf))
			mark_fixed(iter.entry);
	}
	return -EINVAL;
}

void ept_zap_locked(struct ept *ept, gfn_t start, gfn_t end)
{
	struct ept_iter iter;

	lockdep_assert_held(&ept->lock);
	for_each_ept_entry(&iter, ept->root, start, end) {
		if (!ept_entry_present(iter.value) || ept_entry_is_fixed(iter.value))
			continue;
		if (ept_entry_is_leaf(iter.value, iter.level) ||
		    ept_iter_covers_entry(&iter, start))
			remove_entry(ept, iter.entry, iter.level);
	}
}

void ept_get_mapped(struct ept *ept, struct vhm_mapped *mapped)
{
	gfn_t gfn = mapped->gpa >> PAGE_SHIFT, end = gfn + (mapped->bytes >> PAGE_SHIFT);
	struct ept_iter iter;

	memset(mapped->entries, 0, sizeof(mapped->entries));
	end = min(end, 1ULL << (EPT_GPA_BITS - PAGE_SHIFT));
	do {
		unsigned int visits = 1 << 16;	/* bounds how long the lock is held */

		spin_lock(&ept->lock);
		for_each_ept_entry(&iter, ept->root, gfn, end) {
			if (!visits--)
				break;
			if (ept_entry_is_leaf(iter.value, iter.level) &&
			    !ept_entry_is_fixed(iter.value))
				mapped->entries[iter.level - 1]++;
		}
		mapped->tables = ept->tables;
		spin_unlock(&ept->lock);
		gfn = iter.gfn;
		cond_resched();
	} while (gfn < end);
}

static void free_tables(struct list_head *tables)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, tables, lru) {
		list_del(&page->lru);
		free_table(page_address(page));
	}
}

void ept_flush(struct ept *ept)
{
	s64 flushed, generation;
	LIST_HEAD(dead);

	spin_lock(&ept->lock);
	generation = ept->generation;
	list_splice_init(&ept->dead, &dead);
	spin_unlock(&ept->lock);

	/* Acquire: partner is the cmpxchg below, of whoever flushed that generation. */
	flushed = atomic64_read_acquire(&ept->flushed_generation);
	if (flushed >= generation)
		return;

	vhm_vm_flush_guest_cpus(ept->vm);
	while (flushed < generation &&
	       !atomic64_try_cmpxchg(&ept->flushed_generation, &flushed, generation))
		;
	free_tables(&dead);
}

int ept_init(struct ept *ept, struct vhm_vm *vm, const struct ept_caps *caps)
{
	*ept = (struct ept) {
		.vm = vm,
		.caps = *caps,
		.generation = 1,
		.flushed_generation = ATOMIC64_INIT(1),
		.tables = 1,
	};
	spin_lock_init(&ept->lock);
	INIT_LIST_HEAD(&ept->dead);
	INIT_LIST_HEAD(&ept->process_node);
	ept->root = alloc_table();
	return ept->root ? 0 : -ENOMEM;
}

/* No CPU can be in the guest, and the backend forgets what was cached under this root. */
void ept_free_tables(struct ept *ept)
{
	spin_lock(&ept->lock);
	if (ept->tables > 1) {
		bury_table(ept, ept->root, EPT_LEVELS);
	} else {
		/* empty, since leaves are in other tables: no need to look at it */
		ept->tables = 0;
		list_add(&virt_to_page(ept->root)->lru, &ept->dead);
	}
	ept->root = NULL;
	spin_unlock(&ept->lock);
	WARN_ON_ONCE(ept->tables);
	free_tables(&ept->dead);
}

u64 ept_pointer(const struct ept *ept)
{
	return ept_pointer_make(__pa(ept->root), EPT_LEVELS, ept->caps.accessed_dirty);
}

int ept_map_fixed(struct ept *ept, gpa_t gpa, hpa_t hpa)
{
	u64 leaf = ept_entry_make_leaf(hpa, 1, EPT_ENTRY_READ | EPT_ENTRY_WRITE) |
		   EPT_ENTRY_FIXED;
	struct ept_page_cache cache = { 0 };
	int ret;

	if (!PAGE_ALIGNED(gpa) || !PAGE_ALIGNED(hpa) || gpa >> EPT_GPA_BITS)
		return -EINVAL;
	ret = ept_page_cache_fill(&cache);
	if (!ret) {
		spin_lock(&ept->lock);
		ret = ept_map_locked(ept, gpa >> PAGE_SHIFT, 1, leaf, &cache);
		spin_unlock(&ept->lock);
	}
	ept_page_cache_drain(&cache);
	return min(ret, 0);
}
