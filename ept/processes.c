// SPDX-License-Identifier: GPL-2.0-only
/*
 * All processes that have VMs: what their tables map, and what the host's reclaim gets of them.
 *
 * The host asks by memory cgroup and node, so list_lru keeps the processes: a process is where its
 * first VM was charged. Each call takes the next process, of that one VM after another, of that
 * 1 GiB after another (ept_shrink()), and what it has removed is flushed and free when it returns.
 * A guest that needs a table again faults.
 *
 * The report in debugfs goes over all VMs at once, and takes counters for it.
 *
 * Locks of the report: all_lock, then process->lock. Of reclaim: that of the list, then, if nobody
 * has it, process->lock, under which the list's is given up; then as ept/ept.h says. Nobody waits
 * under that of the list: the host takes it with interrupts off, and who has process->lock may wait
 * for an interrupt of every CPU. Nothing is allocated and nothing sleeps, and as no allocation is
 * made under any of these locks, reclaim that comes from an allocation of this module finds none of
 * them taken by its own thread.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "ept/notifier.h"
#include "ept/table.h"
#include "vhm/compat.h"

static struct kmem_cache *cache;
static struct shrinker *shrinker;
static struct list_lru processes;
static LIST_HEAD(all);
static DEFINE_SPINLOCK(all_lock);	/* of all; whoever is in it stays */
static struct dentry *directory;

struct mmu_notifier *ept_process_alloc(struct mm_struct *mm)
{
	struct vhm_process *process;

	process = kmem_cache_alloc_lru(cache, &processes, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!process)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&process->lock);
	process->slots = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&process->epts);
	init_waitqueue_head(&process->wait);
	process->pid = task_tgid_nr(current);
	INIT_LIST_HEAD(&process->lru);
	list_lru_add_obj(&processes, &process->lru);
	spin_lock(&all_lock);
	list_add_tail(&process->node, &all);
	spin_unlock(&all_lock);
	return &process->notifier;
}

void ept_process_free(struct mmu_notifier *notifier)
{
	struct vhm_process *process = container_of(notifier, struct vhm_process, notifier);

	spin_lock(&all_lock);
	list_del(&process->node);
	spin_unlock(&all_lock);
	list_lru_del_obj(&processes, &process->lru);
	/* who has picked it before has it locked */
	spin_lock(&process->lock);
	spin_unlock(&process->lock);
	kmem_cache_free(cache, process);
}

/* ---------------------------------------------------------------- report -- */

static int mapped_show(struct seq_file *file, void *unused)
{
	struct vhm_process *process;
	struct ept *ept;

	seq_printf(file, "%10s %12s %12s %12s %12s\n", "PID", "4K", "2M", "1G", "TABLES");
	spin_lock(&all_lock);
	list_for_each_entry(process, &all, node) {
		spin_lock(&process->lock);
		list_for_each_entry(ept, &process->epts, process_node)
			seq_printf(file, "%10d %12llu %12llu %12llu %12llu\n", process->pid,
				   ept_count(ept, 1), ept_count(ept, 2), ept_count(ept, 3),
				   ept_count(ept, EPT_TABLES));
		spin_unlock(&process->lock);
	}
	spin_unlock(&all_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mapped);

/* --------------------------------------------------------------- reclaim -- */

static enum lru_status add_tables(struct list_head *item, struct list_lru_one *list,
				  spinlock_t *lock, void *sum)
{
	struct vhm_process *process = list_entry(item, struct vhm_process, lru);

	*(unsigned long *)sum += atomic_long_read(&process->tables);
	return LRU_SKIP;
}

/* To say that there is nothing would be taken to be so until the next process comes. */
static unsigned long count_tables(struct shrinker *unused, struct shrink_control *control)
{
	unsigned long all = ULONG_MAX, tables = 0;

	list_lru_walk_one(&processes, control->nid, control->memcg, add_tables, &tables, &all);
	return tables;
}

/* To sparse, which does not follow it to scan_tables(), the lock is not taken. */
static enum lru_status pick(struct list_head *item, struct list_lru_one *list, spinlock_t *lock,
			    void *picked)
{
	struct vhm_process *process = list_entry(item, struct vhm_process, lru);

	if (spin_trylock(&process->lock)) {
		__release(&process->lock);
		*(struct vhm_process **)picked = process;
	}
	return LRU_ROTATE;
}

static unsigned long scan_tables(struct shrinker *unused, struct shrink_control *control)
{
	struct vhm_process *process = NULL;
	unsigned long one = 1, freed = 0;
	long scan = control->nr_to_scan;
	struct ept *ept;

	list_lru_walk_one(&processes, control->nid, control->memcg, pick, &process, &one);
	if (!process)
		return SHRINK_STOP;
	__acquire(&process->lock);
	list_for_each_entry(ept, &process->epts, process_node) {
		if (scan <= 0) {
			/* its turn comes first next time */
			list_rotate_to_front(&ept->process_node, &process->epts);
			break;
		}
		/* one that is on its way out has no slots: the flush looks at its vCPUs */
		if (ept->slots) {
			freed += ept_shrink(ept, &scan);
			ept_flush(ept);
		}
		scan--;
	}
	spin_unlock(&process->lock);
	/* there may be more of another process, or in another round */
	control->nr_scanned = max(control->nr_to_scan - scan, 1UL);
	return freed;
}

/* ---------------------------------------------------------------- module -- */

int ept_module_init(void)
{
	int ret = -ENOMEM;

	cache = KMEM_CACHE(vhm_process, SLAB_ACCOUNT);
	if (!cache)
		return -ENOMEM;
	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE, "vhm-tables");
	if (!shrinker)
		goto err_cache;
	ret = list_lru_init_memcg(&processes, shrinker);
	if (ret)
		goto err_shrinker;
	vhm_shrinker_start(shrinker, count_tables, scan_tables);
	/* there may be no debugfs */
	directory = debugfs_create_dir("vhm", NULL);
	debugfs_create_file("mapped", 0400, directory, NULL, &mapped_fops);
	return 0;

err_shrinker:
	shrinker_free(shrinker);
err_cache:
	kmem_cache_destroy(cache);
	return ret;
}

void ept_module_exit(void)
{
	debugfs_remove(directory);
	mmu_notifier_synchronize();
	shrinker_free(shrinker);
	list_lru_destroy(&processes);
	kmem_cache_destroy(cache);
}
