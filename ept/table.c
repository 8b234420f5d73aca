// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of one VM: map, zap, flush, free.
 *
 * Owns all table pages. Everything that looks into a table holds ept_lock() or the lock of a
 * share; the processor and, with a share's lock, others look into them and change them at any time,
 * so an entry changes with one atomic operation. Does not know slots, user addresses or the host's
 * page tables (fault.c, notifier.c).
 */
#include "ept/table.h"

#include <linux/mm.h>

#include "ept/notifier.h"

#define MAX_WORK	65536	/* entries: bounds how long a lock is held */

int ept_page_cache_fill(struct ept_page_cache *cache)
{
	for (; cache->count < ARRAY_SIZE(cache->page); cache->count++) {
		cache->page[cache->count] = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!cache->page[cache->count])
			return -ENOMEM;
	}
	return 0;
}

void ept_page_cache_drain(struct ept_page_cache *cache)
{
	while (cache->count)
		free_page((unsigned long)cache->page[--cache->count]);
}

/* To sparse, which cannot count in a loop, those of the shares are not taken. */
void ept_lock(struct ept *ept) __acquires(&ept->lock)
{
	spin_lock(&ept->lock);
	for (unsigned int i = 0; i < min(ept->vcpus, EPT_SHARES); i++) {
		spin_lock_nest_lock(&ept->share[i].lock, &ept->lock);
		__release(&ept->share[i].lock);
	}
}

void ept_unlock(struct ept *ept) __releases(&ept->lock)
{
	/*
	 * Once for all that was done: the flush that follows meets whoever enters the guest before.
	 * Partner of the read in the backend's entry into the guest. Where the entry was changed
	 * and where the CPU's mode is read is ordered by vhm_vm_flush_guest_cpus().
	 */
	if (ept->stale)
		WRITE_ONCE(ept->generation, ept->generation + 1);
	ept->stale = false;
	for (unsigned int i = min(ept->vcpus, EPT_SHARES); i--;) {
		__acquire(&ept->share[i].lock);
		spin_unlock(&ept->share[i].lock);
	}
	spin_unlock(&ept->lock);
}

void ept_give_way(struct ept *ept, struct ept_iter *iter)
{
	if (iter->work++ < MAX_WORK)
		return;
	ept_unlock(ept);
	cond_resched();
	ept_lock(ept);
	ept_iter_start(iter, ept->root, iter->gfn, iter->end);
}

struct ept_share *ept_add_share(struct ept *ept)
{
	struct ept_share *share;

	/* whoever holds the lock as a whole holds it until there is one share more */
	spin_lock(&ept->lock);
	share = &ept->share[ept->vcpus++ % EPT_SHARES];
	spin_unlock(&ept->lock);
	return share;
}

u64 ept_count(const struct ept *ept, int level)
{
	s64 sum = 0;

	for (int i = 0; i < EPT_SHARES; i++)
		sum += READ_ONCE(ept->share[i].count[level]);
	return sum;
}

void ept_mark_stale(struct ept *ept)
{
	lockdep_assert_held(&ept->lock);
	ept->stale = true;
}

/* A table that an entry of @level references may go at any time, or may not any more. */
static void count_removable(struct ept *ept, int level, int change)
{
	if (ept->process && level < EPT_LEVELS)
		atomic_long_add(change, &ept->process->tables);
}

/*
 * Count what a table's entry led to as gone. CPUs may walk tables until the flush, and set accessed
 * flags in them, so the pages stay as they are, on the list of the dead. Depth is bounded by
 * EPT_LEVELS.
 */
static void bury_table(struct ept *ept, u64 entry, int level)
{
	u64 *table = ept_entry_table(entry);
	unsigned int leaves = 0;

	for (int i = 0; i < EPT_TABLE_ENTRIES; i++) {
		u64 below = READ_ONCE(table[i]);

		if (ept_entry_is_table(below, level - 1))
			bury_table(ept, below, level - 1);
		else
			leaves += ept_entry_present(below);
	}
	ept->share[0].count[level - 1] -= leaves;
	ept->share[0].count[EPT_TABLES]--;
	if (!(entry & EPT_ENTRY_FIXED))
		count_removable(ept, level, -1);
	list_add(&virt_to_page(table)->lru, &ept->dead);
}

/* Remove a present entry and what is below it. */
static void remove_entry(struct ept *ept, u64 *entry, int level)
{
	u64 old = xchg(entry, 0);

	if (ept_entry_is_table(old, level))
		bury_table(ept, old, level);
	else
		ept->share[0].count[level]--;
	ept_mark_stale(ept);
}

/* Rights are only added: nothing to flush. Processor and other faults may change it, too. */
static void add_rights(u64 *entry, u64 old, u64 leaf)
{
	u64 new;

	do {
		new = old | (leaf & EPT_ENTRY_RIGHTS);
		if (new & EPT_ENTRY_WRITE)
			new &= ~EPT_ENTRY_TRACKED;
	} while (!try_cmpxchg(entry, &old, new));
}

static int set_leaf(struct ept *ept, struct ept_share *share, struct ept_iter *iter, u64 leaf)
{
	u64 old = iter->value, none = 0;

	if (WARN_ON_ONCE(!ept_entry_present(leaf)))
		return -EINVAL;
	/* pages in a table may have what this leaf lacks */
	if (old & EPT_ENTRY_FIXED ||
	    (ept_entry_is_table(old, iter->level) && !(leaf & EPT_ENTRY_EXECUTE)))
		return -EEXIST;
	if (ept_entry_is_leaf(old, iter->level) &&
	    !((old ^ leaf) & (EPT_ENTRY_ADDRESS | EPT_ENTRY_FIXED))) {
		if (ept_entry_allows(old, leaf))
			return 0;
		add_rights(iter->entry, old, leaf);
		return 1;
	}

	if (ept_entry_present(old)) {
		if (share)
			return -EDEADLK;
		remove_entry(ept, iter->entry, iter->level);
	}
	if (!try_cmpxchg(iter->entry, &none, leaf))
		return -EDEADLK;	/* another fault was quicker */
	(share ?: ept->share)->count[iter->level]++;
	return 1;
}

/*
 * Make the current entry, which is above the leaf's level, reference a table: of the pieces
 * if it was a leaf. Nothing is lost, so nothing is flushed. Another fault may do the same.
 */
static int link_table(struct ept *ept, struct ept_share *share, struct ept_iter *iter,
		      struct ept_page_cache *cache)
{
	s64 *count = (share ?: ept->share)->count;
	u64 old = iter->value, *table;

	if (!cache->count)
		return -EAGAIN;
	table = cache->page[cache->count - 1];
	do {
		if (ept_entry_is_table(old, iter->level)) {
			clear_page(table);
			return 0;
		}
		for (unsigned int i = 0; old && i < EPT_TABLE_ENTRIES; i++)
			table[i] = ept_entry_split(old, iter->level, i, ept_logs_writes(ept));
		/*
		 * The processor must not find the table before its entries: partner is its walk.
		 * It may be setting flags in the leaf.
		 */
	} while (!try_cmpxchg(iter->entry, &old, ept_entry_make_table(__pa(table))));
	cache->count--;
	if (old) {
		count[iter->level]--;
		count[iter->level - 1] += EPT_TABLE_ENTRIES;
	}
	count[EPT_TABLES]++;
	count_removable(ept, iter->level, 1);
	return 0;
}

static void mark(struct ept *ept, struct ept_iter *iter, u64 marks)
{
	u64 old = READ_ONCE(*iter->entry);

	while ((old & marks) != marks && !try_cmpxchg(iter->entry, &old, old | marks))
		;
	if (marks & ~old & EPT_ENTRY_FIXED)
		count_removable(ept, iter->level, -1);
}

int ept_map_locked(struct ept *ept, struct ept_share *share, gfn_t gfn, int level, u64 leaf,
		   struct ept_page_cache *cache)
{
	struct ept_iter iter;

	lockdep_assert_held(share ? &share->lock : &ept->lock);
	for_each_ept_entry(&iter, ept->root, gfn, gfn + 1) {
		if (iter.level == level)
			return set_leaf(ept, share, &iter, leaf);
		if (!ept_entry_is_table(iter.value, iter.level)) {
			int err = link_table(ept, share, &iter, cache);

			if (err)
				return err;
		}
		mark(ept, &iter, leaf & (EPT_ENTRY_FIXED | EPT_ENTRY_SPLIT(iter.level)));
	}
	return -EINVAL;
}

/* The current entry goes, if it is a leaf or has nothing from before @start. Return: it did. */
static bool zap_entry(struct ept *ept, struct ept_iter *iter, gfn_t start)
{
	if (!ept_entry_present(iter->value) || iter->value & EPT_ENTRY_FIXED)
		return false;
	if (!ept_entry_is_leaf(iter->value, iter->level) &&
	    !ept_level_within(iter->level, iter->gfn, start, iter->end - 1))
		return false;
	remove_entry(ept, iter->entry, iter->level);
	return true;
}

bool ept_zap_at_once(struct ept *ept, gfn_t start, gfn_t end)
{
	struct ept_iter iter;
	bool any = false;

	ept_lock(ept);
	for_each_ept_entry(&iter, ept->root, start, end)
		any |= zap_entry(ept, &iter, start);
	ept_unlock(ept);
	return any;
}

/* Not the tables of 512 GiB in one go. What a table has below counts as if it were full. */
static void zap_below_root(struct ept *ept, struct ept_iter *iter, gfn_t start)
{
	if (iter->level < EPT_LEVELS && zap_entry(ept, iter, start))
		iter->work += ept_level_pages(iter->level);
}

void ept_zap(struct ept *ept, gfn_t start, gfn_t end)
{
	struct ept_iter iter;

	ept_lock(ept);
	for_each_ept_entry(&iter, ept->root, start, end) {
		ept_give_way(ept, &iter);
		zap_below_root(ept, &iter, start);
	}
	ept_unlock(ept);
}

void ept_collapse_all(struct ept *ept)
{
	struct ept_iter iter;

	ept_lock(ept);
	for_each_ept_entry(&iter, ept->root, 0, EPT_GFN_END) {
		ept_give_way(ept, &iter);
		if (!ept_entry_is_table(iter.value, iter.level))
			continue;
		if (iter.value & EPT_ENTRY_SPLIT(iter.level))
			zap_below_root(ept, &iter, 0);
		if (iter.level == 2)
			ept_iter_skip(&iter);	/* of what is left there is nothing to see below */
	}
	ept_unlock(ept);
}

unsigned long ept_shrink(struct ept *ept, long *scan)
{
	const s64 *tables = &ept->share[0].count[EPT_TABLES];
	struct ept_iter iter;
	unsigned long freed = 0;

	lockdep_assert_held(&ept->process->lock);
	ept_lock(ept);
	for_each_ept_entry(&iter, ept->root, ept->hand, EPT_GFN_END) {
		const s64 before = *tables;

		if (iter.level >= 3 && *scan <= 0)
			break;
		if (iter.level == EPT_LEVELS || !ept_entry_is_table(iter.value, iter.level))
			continue;
		/* who has it cached may not set it for a while, which costs a fault at worst */
		if (!test_and_clear_bit(EPT_ENTRY_ACCESSED_BIT, (unsigned long *)iter.entry))
			zap_entry(ept, &iter, 0);
		freed += before - *tables;
		*scan -= max(before - *tables, 1LL);
		if (iter.level == 2)
			ept_iter_skip(&iter);	/* nothing to see below */
	}
	ept->hand = iter.gfn < iter.end ? iter.gfn : 0;
	ept_unlock(ept);
	return freed;
}

void ept_get_mapped(struct ept *ept, struct vhm_mapped *mapped)
{
	const gfn_t start = mapped->gpa >> PAGE_SHIFT, pages = mapped->bytes >> PAGE_SHIFT;
	struct ept_iter iter;

	memset(mapped->entries, 0, sizeof(mapped->entries));
	ept_lock(ept);
	for_each_ept_entry(&iter, ept->root, start, start + pages) {
		ept_give_way(ept, &iter);
		if (ept_entry_is_leaf(iter.value, iter.level) && !(iter.value & EPT_ENTRY_FIXED))
			mapped->entries[iter.level - 1]++;
	}
	mapped->tables = ept_count(ept, EPT_TABLES);
	ept_unlock(ept);
}

void ept_flush(struct ept *ept)
{
	s64 flushed, generation;
	LIST_HEAD(dead);

	/*
	 * What the caller has changed it sees without the lock. Acquire: partner is the cmpxchg
	 * below, of whoever flushed that generation.
	 */
	flushed = atomic64_read_acquire(&ept->flushed_generation);
	if (flushed >= READ_ONCE(ept->generation) && list_empty_careful(&ept->dead))
		return;
	spin_lock(&ept->lock);
	generation = ept->generation;
	list_splice_init(&ept->dead, &dead);
	spin_unlock(&ept->lock);
	if (flushed < generation)
		vhm_vm_flush_guest_cpus(ept->vm);
	while (flushed < generation &&
	       !atomic64_try_cmpxchg(&ept->flushed_generation, &flushed, generation))
		;
	put_pages_list(&dead);
}

int ept_init(struct ept *ept, struct vhm_vm *vm, const struct ept_caps *caps)
{
	*ept = (struct ept) {
		.vm = vm, .caps = *caps, .share[0].count[EPT_TABLES] = 1,
		.generation = 1, .flushed_generation = ATOMIC64_INIT(1),
	};
	spin_lock_init(&ept->lock);
	for (int i = 0; i < EPT_SHARES; i++)
		spin_lock_init(&ept->share[i].lock);
	mutex_init(&ept->track_lock);
	INIT_LIST_HEAD(&ept->trackers);
	ept_page_set_init(&ept->written);
	INIT_LIST_HEAD(&ept->dead);
	ept->root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return ept->root ? 0 : -ENOMEM;
}

/* No CPU can be in the guest, and the backend forgets what was cached under this root. */
void ept_free_tables(struct ept *ept)
{
	ept_lock(ept);
	bury_table(ept, ept_entry_make_table(__pa(ept->root)), EPT_LEVELS + 1);
	ept->root = NULL;
	ept_unlock(ept);
	WARN_ON_ONCE(ept_count(ept, EPT_TABLES));
	put_pages_list(&ept->dead);
	ept_page_set_free(&ept->written);
	kvfree(ept->rights);
}

u64 ept_pointer(const struct ept *ept)
{
	return ept_pointer_make(__pa(ept->root), EPT_LEVELS, ept->caps.accessed_dirty);
}

int ept_map_fixed(struct ept *ept, gpa_t gpa, hpa_t hpa)
{
	u64 leaf = ept_entry_make_leaf(hpa, 1, EPT_ENTRY_READ | EPT_ENTRY_WRITE) | EPT_ENTRY_FIXED;
	struct ept_page_cache cache = { 0 };
	int ret = ept_page_cache_fill(&cache);

	if (!ret) {
		ept_lock(ept);
		ret = ept_map_locked(ept, NULL, gpa >> PAGE_SHIFT, 1, leaf, &cache);
		ept_unlock(ept);
	}
	ept_page_cache_drain(&cache);
	return min(ret, 0);
}
