/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels, all of them, each chosen by a feature and not by a version:
 * a macro of the header in question, or HAVE_* that Kbuild derives from a look at it.
 */
#ifndef VHM_COMPAT_H
#define VHM_COMPAT_H

#include <linux/list_lru.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#ifdef CONFIG_X86_LOCAL_APIC	/* User-Mode Linux has none */
#include <asm/apic.h>
#endif

/* Newer kernels trace each IPI where it is sent: their smp_send_reschedule() is a macro. */
#ifdef smp_send_reschedule
#include <trace/events/ipi.h>
#endif

/*
 * KVM takes the host's crash hook when it is loaded, or (newer) with its first VM; then
 * VMX could not have become ours.
 */
static inline bool vhm_kvm_has_crash_hook(void)
{
#ifdef HAVE_LATE_KVM_CRASH_HOOK
	return false;
#else
	if (!__symbol_get("kvm_get_kvm"))
		return false;
	__symbol_put("kvm_get_kvm");
	return true;
#endif
}

/* vm_flags became read-only outside of mm helpers. */
static inline void vhm_vma_flags(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
#ifdef HAVE_VM_FLAGS_SET
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* One that goes to sleep may stay on the run queue for a while. */
static inline bool vhm_task_is_runnable(const struct task_struct *task)
{
#ifdef HAVE_SCHED_DELAYED
	return task->on_rq && !task->se.sched_delayed;
#else
	return task->on_rq;
#endif
}

/* The control was renamed; <asm/vmx.h> is included where it is used. */
#ifndef SECONDARY_EXEC_XSAVES
#define SECONDARY_EXEC_XSAVES	SECONDARY_EXEC_ENABLE_XSAVES
#endif

#ifdef CONFIG_X86_LOCAL_APIC
static inline void vhm_send_ipi(int cpu, int vector)
{
#ifdef HAVE_APIC_STATIC_CALLS
	__apic_send_IPI_mask(cpumask_of(cpu), vector);
#else
	apic->send_IPI_mask(cpumask_of(cpu), vector);
#endif
}
#endif

/* Where the object is said to be in slab memory, others became possible. */
#ifndef HAVE_LIST_LRU_ADD_OBJ
#define list_lru_add_obj	list_lru_add
#define list_lru_del_obj	list_lru_del
#endif

typedef unsigned long vhm_shrink_fn(struct shrinker *shrinker, struct shrink_control *control);

/*
 * Shrinkers became objects that are made and started in two steps. Before, what has an id already
 * is asked for objects already: there are none until the start.
 */
#ifdef HAVE_SHRINKER_ALLOC
static inline void vhm_shrinker_start(struct shrinker *shrinker, vhm_shrink_fn *count,
				      vhm_shrink_fn *scan)
{
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
}
#else
static inline unsigned long vhm_shrink_nothing(struct shrinker *shrinker,
					       struct shrink_control *control)
{
	return 0;
}

static inline struct shrinker *shrinker_alloc(unsigned int flags, const char *name)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->flags = flags;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker->count_objects = vhm_shrink_nothing;
	if (!register_shrinker(shrinker, "%s", name))
		return shrinker;
	kfree(shrinker);
	return NULL;
}

static inline void vhm_shrinker_start(struct shrinker *shrinker, vhm_shrink_fn *count,
				      vhm_shrink_fn *scan)
{
	shrinker->scan_objects = scan;
	/* who counts something then looks for @scan */
	smp_store_release(&shrinker->count_objects, count);
}

static inline void shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#endif

#endif /* VHM_COMPAT_H */
