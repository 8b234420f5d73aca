// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults and the notifier on a real address space: that of the process that loads the
 * module. The guest is the test, which causes faults; the host is real: user
 * writes, munmap, mmap, copy-on-write of the page of zeros.
 *
 * The one invariant that matters: an entry shows the page that the host's page table
 * has now, and allows writing only where that does.
 */
#include "test.h"
#include "ept/format.h"
#include "ept/host.h"

#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* Faults dawdle between resolving a page and installing it, so that others overtake them. */
static bool test_dawdle;

#ifdef CONFIG_UML
/* ept/host.c reads x86 page tables: here the host says itself what is mapped. */
bool ept_host_look_up(unsigned long hva, struct ept_host_page *page)
{
	struct page *found;

	*page = (struct ept_host_page) {
		.level = 1, .writable = true, .has_page = true,
		.memory_type = EPT_MEMORY_WRITE_BACK,
	};
	if (get_user_pages_unlocked(hva, 1, &found, FOLL_NOFAULT | FOLL_WRITE) != 1) {
		page->writable = false;
		if (get_user_pages_unlocked(hva, 1, &found, FOLL_NOFAULT) != 1)
			return false;
	}
	page->pfn = page_to_pfn(found);
	put_page(found);
	return true;
}
#endif

static bool test_look_up(unsigned long hva, struct ept_host_page *page)
{
	bool found = ept_host_look_up(hva, page);

	if (READ_ONCE(test_dawdle) && found)
		schedule_timeout_uninterruptible(1);
	return found;
}

#define ept_host_look_up test_look_up
#include "ept/fault.c"
#undef ept_host_look_up

/* The step of ept_module_init() that finds no memory, 0: none. */
static int test_failing_step;

#include "vhm/compat.h"
#undef list_lru_init_memcg
#define list_lru_init_memcg(lru, shrinker) \
	(test_failing_step == 2 ? -ENOMEM : __list_lru_init(lru, true, NULL, shrinker))
#define shrinker_alloc(flags, name) \
	(test_failing_step == 1 ? NULL : shrinker_alloc(flags, name))
#include "ept/processes.c"

#define PAGES		48UL		/* of user memory */
#define WRITABLE_GFN	0x100ULL	/* slot 1: all of it */
#define READONLY_GFN	0x7fff0ULL	/* slot 2: the same again, read-only */
#define STEPS		1500

/* Address space of the process that loads the module, which waits for the suites to end. */
static struct mm_struct *test_mm;

struct context {
	struct kunit *test;
	struct rnd_state random;
	struct test_vm *tvm;
	struct vhm_vcpu *vcpu;
	struct ept_share *share;
	unsigned long user;
	unsigned long crowd;		/* pages that step() works on */
	u64 sum;			/* of what the user read */
};

/* ------------------------------------------------------------- the host -- */

static unsigned long map_user(unsigned long address, unsigned long pages)
{
	return vm_mmap(NULL, address, pages << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (address ? MAP_FIXED : 0), 0);
}

/* Physical address of the host's page, 0 if there is none that allows this now. */
static u64 host_page(unsigned long hva, bool write)
{
	struct page *page;
	u64 hpa;

	if (get_user_pages_unlocked(hva, 1, &page, FOLL_NOFAULT | (write ? FOLL_WRITE : 0)) != 1)
		return 0;
	hpa = page_to_pfn(page) << PAGE_SHIFT;
	put_page(page);
	return hpa;
}

/* ------------------------------------------------------------ the guest -- */

static int on_track(struct test_vm *tvm, struct vhm_memory_slot *slot)
{
	return ept_slot_track(&tvm->ept, slot);
}

static void on_untrack(struct test_vm *tvm, struct vhm_memory_slot *slot)
{
	ept_slot_untrack(&tvm->ept, slot);
}

static enum ept_fault_result guest_access(struct context *context, gfn_t gfn, bool write,
					  int *error)
{
	struct ept_fault fault = {
		.gpa = gfn << PAGE_SHIFT, .access = write ? VHM_MMIO_WRITE : VHM_MMIO_READ,
	};

	return ept_fault_handle(&context->tvm->ept, context->share, context->vcpu, &fault, error);
}

static u64 leaf_of(struct context *context, gfn_t gfn)
{
	int level;

	return test_translate(context->tvm->ept.root, gfn, &level);
}

static int add_slot(struct test_vm *tvm, u32 id, gfn_t gfn, unsigned long user, u32 flags)
{
	struct vhm_slot slot = {
		.size = sizeof(slot), .id = id, .flags = flags, .gpa = gfn << PAGE_SHIFT,
		.bytes = PAGES << PAGE_SHIFT, .user_address = user,
	};

	return vhm_slots_edit(&tvm->vm, &slot, 1);
}

static void check_slot(struct context *context, gfn_t first_gfn, bool readonly)
{
	bool there = vhm_slot_find(rcu_dereference_protected(context->tvm->vm.slots, true),
				   first_gfn);
	unsigned long i;

	for (i = 0; i < PAGES; i++) {
		unsigned long hva = context->user + (i << PAGE_SHIFT);
		u64 leaf = leaf_of(context, first_gfn + i);

		if (!leaf)
			continue;
		if (!there)
			KUNIT_FAIL(context->test, "page %lu: entry %llx without a slot", i, leaf);
		if (host_page(hva, false) != (leaf & 0xffffffffff000ULL))
			KUNIT_FAIL(context->test, "page %lu: entry %llx, host has %llx", i, leaf,
				   host_page(hva, false));
		if (leaf & 2 && (readonly || !host_page(hva, true)))
			KUNIT_FAIL(context->test, "page %lu: entry %llx allows writing", i, leaf);
		if ((leaf & 5) != 5)
			KUNIT_FAIL(context->test, "page %lu: entry %llx", i, leaf);
	}
}

static void check(struct context *context)
{
	struct ept *ept = &context->tvm->ept;

	check_slot(context, WRITABLE_GFN, false);
	check_slot(context, READONLY_GFN, true);
	KUNIT_EXPECT_EQ(context->test, (u64)atomic64_read(&ept->flushed_generation),
			ept->generation);
	KUNIT_EXPECT_TRUE(context->test, list_empty(&ept->dead));
}

/* ------------------------------------------------- set-up and tear-down -- */

/* Expectations only while the thread uses the address space: an assertion would exit in it. */
static struct test_vm *start_vm(struct kunit *test)
{
	static const struct ept_caps caps;
	struct test_vm *tvm = test_vm_create(test);

	tvm->vm.mm = test_mm;
	tvm->on_track = on_track;
	tvm->on_untrack = on_untrack;
	KUNIT_ASSERT_EQ(test, ept_init(&tvm->ept, &tvm->vm, &caps), 0);
	KUNIT_ASSERT_EQ(test, ept_start(&tvm->ept), 0);
	return tvm;
}

static void stop_vm(struct test_vm *tvm)
{
	vhm_slots_free(&tvm->vm);
	ept_uninit(&tvm->ept);
}

static struct context *begin(struct kunit *test)
{
	struct context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context);
	context->test = test;
	context->crowd = PAGES;
	context->vcpu = kunit_kzalloc(test, sizeof(*context->vcpu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context->vcpu);
	KUNIT_ASSERT_EQ(test, ept_module_init(), 0);
	test_seed(test, &context->random);
	context->tvm = start_vm(test);
	context->share = ept_add_share(&context->tvm->ept);
	kthread_use_mm(test_mm);
	context->user = map_user(0, PAGES);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(context->user));
	KUNIT_EXPECT_EQ(test, add_slot(context->tvm, 1, WRITABLE_GFN, context->user, 0), 0);
	KUNIT_EXPECT_EQ(test, add_slot(context->tvm, 2, READONLY_GFN, context->user,
				       VHM_SLOT_READONLY), 0);
	return context;
}

static void end(struct context *context)
{
	stop_vm(context->tvm);
	vm_munmap(context->user, PAGES << PAGE_SHIFT);
	kthread_unuse_mm(test_mm);
	ept_module_exit();
}

/* ----------------------------------------------------------------- cases -- */

static void outcomes(struct kunit *test)
{
	struct context *context = begin(test);
	struct test_vm *tvm = context->tvm;
	unsigned long user = context->user;
	u64 zeros, mine, generation;
	int references, error = 0;
	struct page *page;

	/* no slot, one page before and behind, beyond the tables, a write to a read-only one */
	KUNIT_EXPECT_EQ(test, guest_access(context, 5, false, &error), EPT_FAULT_MMIO);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN - 1, true, &error),
			EPT_FAULT_MMIO);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN + PAGES, false, &error),
			EPT_FAULT_MMIO);
	KUNIT_EXPECT_EQ(test, guest_access(context, 1ULL << 36, false, &error), EPT_FAULT_MMIO);
	KUNIT_EXPECT_EQ(test, guest_access(context, READONLY_GFN, true, &error), EPT_FAULT_MMIO);
	/* a vCPU that is wanted elsewhere does not begin to wait for the host */
	context->vcpu->requests = BIT(VHM_REQ_KICK);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, true, &error),
			EPT_FAULT_INTERRUPTED);
	KUNIT_EXPECT_EQ(test, host_page(user, false), 0ULL);
	KUNIT_EXPECT_NULL(test, context->vcpu->waiter);
	context->vcpu->requests = 0;
	KUNIT_EXPECT_EQ(test, ept_count(&tvm->ept, 1), 0ULL);

	/* A read of untouched memory shows the page of zeros, not writable. */
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, false, &error), EPT_FAULT_FIXED);
	zeros = leaf_of(context, WRITABLE_GFN);
	KUNIT_EXPECT_EQ(test, zeros, (page_to_pfn(ZERO_PAGE(0)) << PAGE_SHIFT) | 0x75);
	KUNIT_EXPECT_EQ(test, context->vcpu->stats[VHM_STAT_PAGES_MAPPED], 1ULL);
	/* The same again changes nothing. */
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, false, &error), EPT_FAULT_FIXED);
	KUNIT_EXPECT_EQ(test, context->vcpu->stats[VHM_STAT_PAGES_MAPPED], 1ULL);
	/* A write gives it a page of its own. */
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, true, &error), EPT_FAULT_FIXED);
	mine = leaf_of(context, WRITABLE_GFN);
	KUNIT_EXPECT_EQ(test, mine, host_page(user, true) | 0x77);
	KUNIT_EXPECT_NE(test, mine & ~0xfffULL, zeros & ~0xfffULL);
	KUNIT_EXPECT_TRUE(test, PageDirty(pfn_to_page(mine >> PAGE_SHIFT)));

	/* What the user wrote is readable and writable at once; read-only in the other slot. */
	KUNIT_EXPECT_EQ(test, put_user(1, (char __user *)user + PAGE_SIZE), 0);
	page = pfn_to_page(host_page(user + PAGE_SIZE, true) >> PAGE_SHIFT);
	references = page_count(page);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN + 1, false, &error),
			EPT_FAULT_FIXED);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN + 1),
			host_page(user + PAGE_SIZE, true) | 0x77);
	KUNIT_EXPECT_EQ(test, guest_access(context, READONLY_GFN + 1, false, &error),
			EPT_FAULT_FIXED);
	KUNIT_EXPECT_EQ(test, leaf_of(context, READONLY_GFN + 1),
			host_page(user + PAGE_SIZE, true) | 0x75);
	/* Nothing is pinned. */
	KUNIT_EXPECT_EQ(test, page_count(page), references);
	check(context);

	/* munmap takes it from both slots with one flush; then the host cannot give it. */
	generation = tvm->ept.generation;
	tvm->flushes = 0;
	KUNIT_EXPECT_EQ(test, vm_munmap(user, 2 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN), 0ULL);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN + 1), 0ULL);
	KUNIT_EXPECT_EQ(test, leaf_of(context, READONLY_GFN + 1), 0ULL);
	KUNIT_EXPECT_GT(test, tvm->ept.generation, generation);
	KUNIT_EXPECT_EQ(test, tvm->flushes, 1U);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, true, &error), EPT_FAULT_ERROR);
	KUNIT_EXPECT_EQ(test, error, EFAULT);
	KUNIT_EXPECT_EQ(test, guest_access(context, READONLY_GFN, false, &error), EPT_FAULT_ERROR);

	/* A slot that is taken away is gone at once. */
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN + 9, true, &error),
			EPT_FAULT_FIXED);
	KUNIT_EXPECT_EQ(test, test_remove_slot(&tvm->vm, 1), 0);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN + 9), 0ULL);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN + 9, true, &error),
			EPT_FAULT_MMIO);
	check(context);
	end(context);
}

/* Host memory that only allows reading; a fixed page in front of a slot. */
static void limited_pages(struct kunit *test)
{
	struct context *context = begin(test);
	gfn_t fixed = WRITABLE_GFN + 3;
	unsigned long got;
	int error = 0;

	got = vm_mmap(NULL, context->user, PAGE_SIZE, PROT_READ,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_EXPECT_EQ(test, got, context->user);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, false, &error), EPT_FAULT_FIXED);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN, true, &error), EPT_FAULT_ERROR);
	KUNIT_EXPECT_EQ(test, error, EFAULT);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN) & 7, 5ULL);
	check(context);

	KUNIT_EXPECT_EQ(test, ept_map_fixed(&context->tvm->ept, fixed << PAGE_SHIFT, 0x5000), 0);
	KUNIT_EXPECT_EQ(test, guest_access(context, fixed, true, &error), EPT_FAULT_MMIO);
	KUNIT_EXPECT_EQ(test, vm_munmap(context->user, PAGES << PAGE_SHIFT), 0);
	KUNIT_EXPECT_EQ(test, test_remove_slot(&context->tvm->vm, 1), 0);
	KUNIT_EXPECT_EQ(test, leaf_of(context, fixed) & 0xffffffffff007ULL, 0x5003ULL);
	end(context);
}

/* The host wants tables back. Return: how many it got. */
static unsigned long reclaim(unsigned long scan)
{
	struct shrink_control control = { .nr_to_scan = scan };
	unsigned long freed = 0;

	for_each_online_node(control.nid) {
		unsigned long tables = scan_tables(NULL, &control);

		freed += tables == SHRINK_STOP ? 0 : tables;
	}
	return freed;
}

static unsigned long reclaimable(void)
{
	struct shrink_control control = { 0 };
	unsigned long tables = 0;

	for_each_online_node(control.nid)
		tables += count_tables(NULL, &control);
	return tables;
}

/* Which of the step's kinds: all, the guest's, the host's, edits of slots, reclaim */
enum { ALL_STEPS = 21, GUEST_STEPS = 13, HOST_STEPS = 6, EDIT = 19, RECLAIM = 20 };

static void step(struct context *context, u64 kind)
{
	unsigned long page = test_random(&context->random, context->crowd);
	unsigned long hva = context->user + (page << PAGE_SHIFT);
	unsigned long pages = min_t(u64, PAGES - page, 1 + test_random(&context->random, 6));
	gfn_t gfn = (test_random(&context->random, 3) ? WRITABLE_GFN : READONLY_GFN) + page;
	int error;
	char byte;

	switch (kind) {
	case 0 ... 6:
		guest_access(context, gfn, false, &error);
		break;
	case 7 ... 12:
		guest_access(context, gfn, true, &error);
		break;
	case 13 ... 14:
		/* On a page of zeros that the guest sees: copy-on-write underneath. */
		put_user(1, (char __user *)hva);
		break;
	case 15:
		if (!get_user(byte, (char __user *)hva))
			context->sum += byte;
		break;
	case 16:
		vm_munmap(hva, pages << PAGE_SHIFT);
		break;
	case 17 ... 18:
		map_user(hva, pages);
		break;
	case RECLAIM:
		reclaim(1 + test_random(&context->random, 6));
		break;
	default:
		if (test_remove_slot(&context->tvm->vm, 1))
			KUNIT_EXPECT_EQ(context->test,
					add_slot(context->tvm, 1, WRITABLE_GFN,
						 context->user, 0), 0);
		break;
	}
}

static void random_sequence(struct kunit *test)
{
	struct context *context = begin(test);
	u64 most = 0;
	int i;

	for (i = 0; i < STEPS && !READ_ONCE(test->status); i++) {
		step(context, test_random(&context->random, ALL_STEPS));
		check(context);
		most = max(most, ept_count(&context->tvm->ept, 1));
	}
	KUNIT_EXPECT_GT(test, most, 8ULL);
	KUNIT_EXPECT_GT(test, context->tvm->flushes, 50U);
	end(context);
}

/* ----------------------------------------------------------------- races -- */

/* Short rounds on few pages: what was installed too late must not be replaced before the check. */
#define ROUNDS		40
#define RACER_STEPS	6
#define CROWD		4
#define RACERS		5

/*
 * A thread of a race
 * @context: a copy, with random numbers and a vCPU of its own
 * @first_kind: of its steps
 * @kinds: number of kinds
 * @go: all start together
 */
struct racer {
	struct context context;
	u64 first_kind, kinds;
	struct completion *go, done;
};

static int race(void *data)
{
	struct racer *racer = data;
	int i;

	kthread_use_mm(test_mm);
	wait_for_completion(racer->go);
	for (i = test_random(&racer->context.random, 2); i < RACER_STEPS; i++) {
		step(&racer->context, racer->first_kind +
				      test_random(&racer->context.random, racer->kinds));
		/* so that they meet, on one CPU too */
		schedule_timeout_uninterruptible(test_random(&racer->context.random, 2));
	}
	kthread_unuse_mm(test_mm);
	complete(&racer->done);
	return 0;
}

static bool start_racer(struct racer *racer, struct context *context, int number,
			struct completion *go)
{
	static const u64 first_kind[RACERS] = { 0, 0, GUEST_STEPS, EDIT, RECLAIM };
	static const u64 kinds[RACERS] = { GUEST_STEPS, GUEST_STEPS, HOST_STEPS, 1, 1 };
	struct task_struct *thread;

	racer->context = *context;
	racer->context.crowd = CROWD;
	racer->context.vcpu = kunit_kzalloc(context->test, sizeof(struct vhm_vcpu), GFP_KERNEL);
	if (!racer->context.vcpu)
		return false;
	prandom_seed_state(&racer->context.random, prandom_u32_state(&context->random));
	racer->context.share = ept_add_share(&context->tvm->ept);
	racer->first_kind = first_kind[number];
	racer->kinds = kinds[number];
	racer->go = go;
	init_completion(&racer->done);
	thread = kthread_run(race, racer, "vhm_race_%d", number);
	return !IS_ERR(thread);
}

/*
 * Two guests' threads, the host, an editor of slots and reclaim at once. Whoever is overtaken must
 * notice: when all are at rest no entry may be older than the host's page tables.
 */
static void races(struct kunit *test)
{
	struct context *context = begin(test);
	struct racer *racers = kunit_kzalloc(test, RACERS * sizeof(*racers), GFP_KERNEL);
	DECLARE_COMPLETION_ONSTACK(go);
	int round, i, started;

	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, racers);
	WRITE_ONCE(test_dawdle, true);
	for (round = 0; racers && round < ROUNDS && !READ_ONCE(test->status); round++) {
		for (started = 0; started < RACERS; started++)
			if (!start_racer(&racers[started], context, started, &go))
				break;
		complete_all(&go);
		KUNIT_EXPECT_EQ(test, started, RACERS);
		for (i = 0; i < started; i++)
			wait_for_completion(&racers[i].done);
		reinit_completion(&go);
		check(context);
	}
	WRITE_ONCE(test_dawdle, false);
	KUNIT_EXPECT_GT(test, context->tvm->flushes, 10U);
	end(context);
}

/* The VMs of a process share one notifier, and each is flushed once and alone. */
static void several_vms(struct kunit *test)
{
	struct context *context = begin(test);
	struct test_vm *mine = context->tvm, *others[8];
	int i, error;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		others[i] = start_vm(test);
		KUNIT_EXPECT_PTR_EQ(test, others[i]->ept.process, mine->ept.process);
		KUNIT_EXPECT_EQ(test, add_slot(others[i], i, 0x1000 * i, context->user, 0), 0);
	}
	guest_access(context, WRITABLE_GFN, true, &error);
	context->tvm = others[3];
	context->share = ept_add_share(&others[3]->ept);
	guest_access(context, 0x3000, true, &error);
	guest_access(context, 0x3001, true, &error);
	KUNIT_EXPECT_EQ(test, leaf_of(context, 0x3000), host_page(context->user, true) | 0x77);
	KUNIT_EXPECT_EQ(test, vm_munmap(context->user, 2 * PAGE_SIZE), 0);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		KUNIT_EXPECT_EQ(test, ept_count(&others[i]->ept, 1), 0ULL);
		KUNIT_EXPECT_EQ(test, others[i]->flushes, i == 3 ? 1U : 0U);
		stop_vm(others[i]);
	}
	KUNIT_EXPECT_EQ(test, mine->flushes, 1U);
	KUNIT_EXPECT_EQ(test, ept_count(&mine->ept, 1), 0ULL);
	context->tvm = mine;
	end(context);
}

/* An attempt that the host or a slot edit overtook installs nothing. */
static void overtaken(struct kunit *test)
{
	struct context *context = begin(test);
	struct ept *ept = &context->tvm->ept;
	struct vhm_process *process = ept->process;
	struct ept_page_cache cache = { 0 };
	struct attempt attempt = {
		.gfn = WRITABLE_GFN + 2, .hva = context->user + 2 * PAGE_SIZE, .level = 1,
		.access = VHM_MMIO_WRITE, .rights = EPT_ENTRY_RIGHTS,
	};
	unsigned long hva = attempt.hva;

	KUNIT_EXPECT_EQ(test, put_user(1, (char __user *)hva), 0);
	KUNIT_EXPECT_TRUE(test, resolve(ept, &attempt));
	KUNIT_EXPECT_TRUE(test, ept_entry_allows(attempt.rights, EPT_ENTRY_WRITE));
	KUNIT_EXPECT_EQ(test, ept_page_cache_fill(&cache), 0);

#define TRY(expected)	do {						\
		attempt.seq = ept_process_read_begin(process);		\
		attempt.slot_edits = atomic64_read(&ept->vm->slot_edits); \
		KUNIT_EXPECT_EQ(test, install(ept, &attempt, &cache), expected); \
	} while (0)

	spin_lock(&process->lock);
	ept_process_begin(process, hva, hva + PAGE_SIZE);
	spin_unlock(&process->lock);
	TRY(-EBUSY);
	/* A second one elsewhere widens the range and does not narrow it. */
	spin_lock(&process->lock);
	ept_process_begin(process, hva + 9 * PAGE_SIZE, hva + 10 * PAGE_SIZE);
	ept_process_end(process, hva + 9 * PAGE_SIZE, hva + 10 * PAGE_SIZE);
	spin_unlock(&process->lock);
	TRY(-EBUSY);
	attempt.seq = ept_process_read_begin(process);
	spin_lock(&process->lock);
	ept_process_end(process, hva, hva + PAGE_SIZE);
	spin_unlock(&process->lock);
	/* Over now, but it was not when the page was resolved. */
	KUNIT_EXPECT_EQ(test, install(ept, &attempt, &cache), -EBUSY);

	attempt.seq = ept_process_read_begin(process);
	atomic64_inc(&ept->vm->slot_edits);
	KUNIT_EXPECT_EQ(test, install(ept, &attempt, &cache), -EBUSY);
	KUNIT_EXPECT_EQ(test, leaf_of(context, attempt.gfn), 0ULL);

	/* One that does not concern the page does not delay it. */
	spin_lock(&process->lock);
	ept_process_begin(process, hva + PAGE_SIZE, hva + 2 * PAGE_SIZE);
	spin_unlock(&process->lock);
	attempt.level = 2;	/* it would concern a large page */
	TRY(-EBUSY);
	attempt.level = 1;
	TRY(1);
	spin_lock(&process->lock);
	ept_process_end(process, hva + PAGE_SIZE, hva + 2 * PAGE_SIZE);
	spin_unlock(&process->lock);
	TRY(0);

	/* One that concerns no slot delays nobody, and nobody begins again for it. */
	attempt.seq = ept_process_read_begin(process);
	attempt.slot_edits = atomic64_read(&ept->vm->slot_edits);
	spin_lock(&process->lock);
	ept_process_begin(process, 0, PAGE_SIZE);
	spin_unlock(&process->lock);
	KUNIT_EXPECT_EQ(test, install(ept, &attempt, &cache), 0);
	/* But a slot that comes meanwhile may be one that it concerns. */
	KUNIT_EXPECT_EQ(test, add_slot(context->tvm, 9, 0x10000, context->user, 0), 0);
	TRY(-EBUSY);
	spin_lock(&process->lock);
	ept_process_end(process, 0, PAGE_SIZE);
	spin_unlock(&process->lock);
	TRY(0);
#undef TRY
	ept_page_cache_drain(&cache);
	end(context);
}

#ifndef CONFIG_UML
/* What a driver maps: pages from @data on, with the cache mode in @offset. */
static int map_driver_page(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_page_prot = __pgprot((pgprot_val(vma->vm_page_prot) & ~_PAGE_CACHE_MASK) |
				     cachemode2protval(vma->vm_pgoff));
	return remap_pfn_range(vma, vma->vm_start, (unsigned long)file->private_data, PAGE_SIZE,
			       vma->vm_page_prot);
}

static const struct file_operations driver_fops = { .mmap = map_driver_page };

static u64 driver_leaf(struct context *context, unsigned long pfn, enum page_cache_mode mode)
{
	struct file *file = anon_inode_getfile("test", &driver_fops, (void *)pfn, O_RDWR);
	gfn_t gfn = WRITABLE_GFN + 7;
	unsigned long got;
	int error;

	if (IS_ERR(file))
		return 0;
	got = vm_mmap(file, context->user + 7 * PAGE_SIZE, PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, mode << PAGE_SHIFT);
	fput(file);
	KUNIT_EXPECT_EQ(context->test, got, context->user + 7 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(context->test, leaf_of(context, gfn), 0ULL);
	KUNIT_EXPECT_EQ(context->test, guest_access(context, gfn, true, &error), EPT_FAULT_FIXED);
	return leaf_of(context, gfn);
}

/* No struct page is touched, devices are not cached, and what is unmapped is gone. */
static void driver_pages(struct kunit *test)
{
	struct context *context = begin(test);
	struct page *page = alloc_page(GFP_KERNEL);
	unsigned long ram = page_to_pfn(page), vga = 0xa0, hole = 0xfeb00000 >> PAGE_SHIFT;
	int error;

	KUNIT_EXPECT_EQ(test, driver_leaf(context, ram, _PAGE_CACHE_MODE_WB),
			PFN_PHYS(ram) | 0x77);
	KUNIT_EXPECT_FALSE(test, PageDirty(page));
	KUNIT_EXPECT_EQ(test, page_count(page), 1);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(context->tvm->ept.maps_devices));
	/* write-back in the host, and only an MTRR keeps its accesses from being cached */
	KUNIT_EXPECT_EQ(test, driver_leaf(context, vga, _PAGE_CACHE_MODE_WB),
			PFN_PHYS(vga) | 0x47);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(context->tvm->ept.maps_devices));
	KUNIT_EXPECT_EQ(test, driver_leaf(context, hole, _PAGE_CACHE_MODE_UC_MINUS),
			PFN_PHYS(hole) | 0x47);
	KUNIT_EXPECT_EQ(test, driver_leaf(context, hole, _PAGE_CACHE_MODE_WC),
			PFN_PHYS(hole) | 0x4f);
	KUNIT_EXPECT_EQ(test, driver_leaf(context, hole, _PAGE_CACHE_MODE_UC),
			PFN_PHYS(hole) | 0x47);

	KUNIT_EXPECT_EQ(test, vm_munmap(context->user + 7 * PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN + 7), 0ULL);
	KUNIT_EXPECT_EQ(test, guest_access(context, WRITABLE_GFN + 7, false, &error),
			EPT_FAULT_ERROR);
	KUNIT_EXPECT_EQ(test, error, EFAULT);
	__free_page(page);
	end(context);
}
#endif

/*
 * Execute-only memory where large pages may not be executed: nothing would be left of a large
 * leaf's rights, and one without is not there to those who look for it.
 */
static void execute_only_is_small(struct kunit *test)
{
	struct context *context = begin(test);
	struct ept *ept = &context->tvm->ept;
	struct attempt attempt = {
		.gfn = WRITABLE_GFN + 2, .level = 2, .rights = EPT_ENTRY_RIGHTS,
	};

	ept->caps.execute_only = true;
	ept->caps.large_execute = false;
	mutex_lock(&context->tvm->vm.lock);
	KUNIT_EXPECT_EQ(test, ept_set_rights(ept, 0, BIT_ULL(EPT_GPA_BITS),
					     VHM_RIGHT_EXECUTE), 0);
	mutex_unlock(&context->tvm->vm.lock);
	look_up_rights(ept, &attempt);
	KUNIT_EXPECT_EQ(test, attempt.rights, (u64)EPT_ENTRY_EXECUTE);
	KUNIT_EXPECT_EQ(test, attempt.level, 1);
	KUNIT_EXPECT_TRUE(test, ept_entry_present(make_leaf(ept, &attempt)));
	/* where they may be, it is as large as can be */
	ept->caps.large_execute = true;
	attempt.level = 2;
	look_up_rights(ept, &attempt);
	KUNIT_EXPECT_EQ(test, attempt.level, 2);
	KUNIT_EXPECT_TRUE(test, ept_entry_present(make_leaf(ept, &attempt)));
	end(context);
}

struct waiter {
	struct context *context;
	enum ept_fault_result result;
	struct completion done;
};

static int faulting_thread(void *data)
{
	struct waiter *waiter = data;
	int error;

	kthread_use_mm(test_mm);
	allow_signal(SIGUSR1);
	waiter->result = guest_access(waiter->context, WRITABLE_GFN + 4, true, &error);
	kthread_unuse_mm(test_mm);
	complete(&waiter->done);
	return 0;
}

/* A fault waits for the end of an invalidation of its page, or for a signal. */
static void waits(struct kunit *test)
{
	struct context *context = begin(test);
	struct mmu_notifier *notifier = &context->tvm->ept.process->notifier;
	struct mmu_notifier_range range;
	int signal;

	mmu_notifier_range_init(&range, MMU_NOTIFY_UNMAP, 0, NULL, test_mm, context->user,
				context->user + (PAGES << PAGE_SHIFT));
	for (signal = 0; signal <= 1; signal++) {
		struct waiter waiter = { .context = context };
		struct task_struct *thread;

		init_completion(&waiter.done);
		KUNIT_EXPECT_EQ(test, notifier->ops->invalidate_range_start(notifier, &range), 0);
		thread = kthread_run(faulting_thread, &waiter, "vhm_fault");
		if (IS_ERR(thread)) {
			KUNIT_FAIL(test, "no thread: %ld", PTR_ERR(thread));
			notifier->ops->invalidate_range_end(notifier, &range);
			break;
		}
		KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&waiter.done, HZ / 5), 0UL);
		KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN + 4), 0ULL);
		if (signal)
			send_sig(SIGUSR1, thread, 1);
		else
			notifier->ops->invalidate_range_end(notifier, &range);
		KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&waiter.done, 5 * HZ), 0UL);
		if (signal)
			notifier->ops->invalidate_range_end(notifier, &range);
		KUNIT_EXPECT_EQ(test, waiter.result,
				signal ? EPT_FAULT_INTERRUPTED : EPT_FAULT_FIXED);
		KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN + 4) != 0, !signal);
		vm_munmap(context->user + 4 * PAGE_SIZE, PAGE_SIZE);
		map_user(context->user + 4 * PAGE_SIZE, 1);
	}
	end(context);
}

/* The host asks for user addresses: every slot that shows them answers, for no other page. */
static void ages(struct kunit *test)
{
	struct context *context = begin(test);
	struct mmu_notifier *notifier = &context->tvm->ept.process->notifier;
	const struct mmu_notifier_ops *ops = notifier->ops;
	struct ept *ept = &context->tvm->ept;
	unsigned long hva = context->user + 3 * PAGE_SIZE;
	int error;

	KUNIT_EXPECT_FALSE(test, ops->test_young(notifier, test_mm, hva));
	KUNIT_EXPECT_FALSE(test, ops->clear_young(notifier, test_mm, hva, hva + PAGE_SIZE));
	guest_access(context, WRITABLE_GFN + 2, true, &error);
	guest_access(context, WRITABLE_GFN + 4, true, &error);
	guest_access(context, READONLY_GFN + 3, false, &error);
	KUNIT_EXPECT_TRUE(test, ops->test_young(notifier, test_mm, hva));
	KUNIT_EXPECT_FALSE(test, ops->test_young(notifier, test_mm, hva + 2 * PAGE_SIZE));

	/* without accessed flags the leaf goes, and a flush is made where one is asked for */
	context->tvm->flushes = 0;
	KUNIT_EXPECT_TRUE(test, ops->clear_young(notifier, test_mm, hva, hva + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, leaf_of(context, READONLY_GFN + 3), 0ULL);
	KUNIT_EXPECT_EQ(test, context->tvm->flushes, 0U);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 2ULL);
	KUNIT_EXPECT_FALSE(test, ops->clear_flush_young(notifier, test_mm, hva, hva + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, context->tvm->flushes, 1U);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&ept->flushed_generation), ept->generation);
	KUNIT_EXPECT_TRUE(test, ops->clear_flush_young(notifier, test_mm, context->user,
						       context->user + (PAGES << PAGE_SHIFT)));
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 0ULL);
	check(context);
	end(context);
}

/*
 * The host gets tables back from all VMs of a process in turn, but not from one without slots,
 * whose vCPUs may be gone, nor of a process that somebody has locked.
 */
static void gives_tables_back(struct kunit *test)
{
	struct context *context = begin(test);
	struct test_vm *mine = context->tvm, *other = start_vm(test);
	struct vhm_process *process = mine->ept.process;
	unsigned int i;
	int error;

	KUNIT_EXPECT_EQ(test, add_slot(other, 1, 0, context->user, 0), 0);
	/* two tables each: no two of them are in the same 1 GiB */
	guest_access(context, WRITABLE_GFN, true, &error);
	guest_access(context, READONLY_GFN, false, &error);
	context->tvm = other;
	context->share = ept_add_share(&other->ept);
	guest_access(context, 5, true, &error);
	KUNIT_EXPECT_EQ(test, reclaimable(), 6UL);

	spin_lock(&process->lock);
	/* with one CPU there is nobody to have it */
	if (IS_ENABLED(CONFIG_SMP))
		KUNIT_EXPECT_EQ(test, reclaim(100), 0UL);
	other->ept.slots--;
	spin_unlock(&process->lock);
	other->flushes = 0;
	mine->flushes = 0;
	KUNIT_EXPECT_EQ(test, reclaim(100), 4UL);
	KUNIT_EXPECT_EQ(test, mine->flushes, 1U);
	KUNIT_EXPECT_EQ(test, other->flushes, 0U);
	KUNIT_EXPECT_NE(test, leaf_of(context, 5), 0ULL);
	KUNIT_EXPECT_EQ(test, ept_count(&mine->ept, EPT_TABLES), 2ULL);
	KUNIT_EXPECT_EQ(test, ept_count(&mine->ept, 1), 0ULL);
	KUNIT_EXPECT_TRUE(test, list_empty(&mine->ept.dead));
	other->ept.slots++;
	KUNIT_EXPECT_EQ(test, reclaimable(), 2UL);

	/* whatever is asked for, each has its turn */
	guest_access(context, 5, true, &error);
	context->tvm = mine;
	context->share = &mine->ept.share[0];
	guest_access(context, WRITABLE_GFN, true, &error);
	KUNIT_EXPECT_EQ(test, reclaimable(), 4UL);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, reclaim(1), 2UL);
	KUNIT_EXPECT_EQ(test, reclaimable(), 0UL);
	guest_access(context, WRITABLE_GFN, false, &error);
	KUNIT_EXPECT_EQ(test, leaf_of(context, WRITABLE_GFN),
			host_page(context->user, true) | 0x77);
	check(context);
	stop_vm(other);
	KUNIT_EXPECT_EQ(test, reclaimable(), 2UL);
	end(context);
}

/* What was made before goes again: the next attempt finds none of it, a debug kernel no leak. */
static void no_memory_at_load(struct kunit *test)
{
	for (test_failing_step = 1; test_failing_step <= 2; test_failing_step++)
		KUNIT_EXPECT_EQ(test, ept_module_init(), -ENOMEM);
	test_failing_step = 0;
	KUNIT_EXPECT_EQ(test, ept_module_init(), 0);
	ept_module_exit();
}

/* The address space goes: nothing stays mapped and the VM is dead. */
static void release_kills(struct kunit *test)
{
	struct context *context = begin(test);
	struct mmu_notifier *notifier = &context->tvm->ept.process->notifier;
	struct ept *ept = &context->tvm->ept;
	int error;

	guest_access(context, WRITABLE_GFN + 1, true, &error);
	guest_access(context, READONLY_GFN + 2, false, &error);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 2ULL);
	notifier->ops->release(notifier, test_mm);
	KUNIT_EXPECT_TRUE(test, context->tvm->vm.dead);
	KUNIT_EXPECT_EQ(test, ept_count(ept, 1), 0ULL);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&ept->flushed_generation), ept->generation);
	end(context);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(outcomes),
	KUNIT_CASE(limited_pages),
	KUNIT_CASE(random_sequence),
	KUNIT_CASE(races),
	KUNIT_CASE(several_vms),
	KUNIT_CASE(overtaken),
#ifndef CONFIG_UML
	KUNIT_CASE(driver_pages),
#endif
	KUNIT_CASE(execute_only_is_small),
	KUNIT_CASE(waits),
	KUNIT_CASE(ages),
	KUNIT_CASE(gives_tables_back),
	KUNIT_CASE(no_memory_at_load),
	KUNIT_CASE(release_kills),
	{}
};

/* Runs in the thread that loads the module, unlike the cases. */
static int remember_mm(struct kunit_suite *suite)
{
	test_mm = current->mm;
	return test_mm ? 0 : -EINVAL;
}

static struct kunit_suite suite = {
	.name = "ept_follow",
	.suite_init = remember_mm,
	.test_cases = cases,
};

kunit_test_suite(suite);
