// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slot table against a linear list, and the order in which slots are published,
 * followed and forgotten.
 */
#include "test.h"

#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#define SPAN_PAGES	4096	/* guest-physical pages the random slots lie in */
#define IDS		96
#define STEPS		20000
#define GPA_END		BIT_ULL(TEST_GPA_BITS)

struct context {
	struct kunit *test;
	struct rnd_state random;
	struct test_vm *tvm;
	struct vhm_slot list[IDS];	/* by id; bytes 0: none */
	u32 count;
	u32 tracked;			/* slot_track less slot_untrack */
	s64 edits;			/* vm->slot_edits before the step */
};

static const struct vhm_memory_slot *find(struct test_vm *tvm, gfn_t gfn)
{
	return vhm_slot_find(rcu_dereference_protected(tvm->vm.slots, true), gfn);
}

/* Followed before it is published. */
static int on_track(struct test_vm *tvm, struct vhm_memory_slot *slot)
{
	struct context *context = tvm->data;

	context->tracked++;
	KUNIT_EXPECT_TRUE(context->test, mutex_is_locked(&tvm->vm.lock));
	KUNIT_EXPECT_PTR_NE(context->test, find(tvm, slot->first_gfn),
			    (const struct vhm_memory_slot *)slot);
	KUNIT_EXPECT_EQ(context->test, (s64)atomic64_read(&tvm->vm.slot_edits), context->edits);
	return 0;
}

/* Forgotten after it is unpublished and edits were counted. */
static void on_untrack(struct test_vm *tvm, struct vhm_memory_slot *slot)
{
	struct context *context = tvm->data;

	context->tracked--;
	KUNIT_EXPECT_NULL(context->test, (void *)find(tvm, slot->first_gfn));
	KUNIT_EXPECT_GT(context->test, (s64)atomic64_read(&tvm->vm.slot_edits), context->edits);
}

static struct context *new_context(struct kunit *test)
{
	struct context *context = kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, context);
	context->test = test;
	context->tvm = test_vm_create(test);
	context->tvm->data = context;
	context->tvm->on_track = on_track;
	context->tvm->on_untrack = on_untrack;
	test_seed(test, &context->random);
	return context;
}

static bool overlaps(const struct vhm_slot *a, const struct vhm_slot *b)
{
	return a->bytes && b->bytes && a->gpa < b->gpa + b->bytes && b->gpa < a->gpa + a->bytes;
}

static void step_add(struct context *context)
{
	struct vhm_slot slot = {
		.size = sizeof(slot),
		.flags = test_random(&context->random, 2) ? VHM_SLOT_READONLY : 0,
		.id = test_random(&context->random, IDS),
		.gpa = test_random(&context->random, SPAN_PAGES) << PAGE_SHIFT,
		.bytes = (1 + test_random(&context->random, 60)) << PAGE_SHIFT,
		.user_address = (16 + test_random(&context->random, 4096)) << PAGE_SHIFT,
	};
	int i, expected = context->list[slot.id].bytes ? -EEXIST : 0;

	for (i = 0; i < IDS; i++)
		if (overlaps(&context->list[i], &slot))
			expected = -EEXIST;
	KUNIT_EXPECT_EQ(context->test, vhm_slots_edit(&context->tvm->vm, &slot, 1), expected);
	if (!expected) {
		context->list[slot.id] = slot;
		context->count++;
	}
}

static void step_remove(struct context *context)
{
	u32 id = test_random(&context->random, IDS);
	int expected = context->list[id].bytes ? 0 : -ENOENT;

	KUNIT_EXPECT_EQ(context->test, test_remove_slot(&context->tvm->vm, id), expected);
	if (!expected) {
		context->list[id].bytes = 0;
		context->count--;
	}
}

static void check_page(struct context *context, gfn_t gfn)
{
	const struct vhm_memory_slot *found = find(context->tvm, gfn);
	const struct vhm_slot *want = NULL;
	int i;

	for (i = 0; i < IDS; i++) {
		const struct vhm_slot *slot = &context->list[i];

		if (slot->bytes && gfn << PAGE_SHIFT >= slot->gpa &&
		    gfn << PAGE_SHIFT < slot->gpa + slot->bytes)
			want = slot;
	}
	if (!want) {
		KUNIT_EXPECT_NULL(context->test, (void *)found);
		return;
	}
	if (!found) {
		KUNIT_FAIL(context->test, "gfn %llx is in slot %u", gfn, want->id);
		return;
	}
	KUNIT_EXPECT_EQ(context->test, found->id, want->id);
	KUNIT_EXPECT_EQ(context->test, found->first_gfn << PAGE_SHIFT, want->gpa);
	KUNIT_EXPECT_EQ(context->test, found->pages << PAGE_SHIFT, want->bytes);
	KUNIT_EXPECT_EQ(context->test, (u64)found->user_address, want->user_address);
	KUNIT_EXPECT_EQ(context->test, found->flags, want->flags);
	KUNIT_EXPECT_PTR_EQ(context->test, found->vm, &context->tvm->vm);
}

static void random_sequence(struct kunit *test)
{
	struct context *context = new_context(test);
	const struct vhm_slot_table *table;
	u32 most = 0;
	int step, i;

	for (step = 0; step < STEPS && !READ_ONCE(test->status); step++) {
		s64 edits = atomic64_read(&context->tvm->vm.slot_edits);
		u32 before = context->count;

		context->edits = edits;
		if (test_random(&context->random, 5) < 3)
			step_add(context);
		else
			step_remove(context);
		edits = atomic64_read(&context->tvm->vm.slot_edits) - edits;
		KUNIT_EXPECT_EQ(test, edits, (s64)(before != context->count));
		KUNIT_EXPECT_EQ(test, context->tracked, context->count);
		table = rcu_dereference_protected(context->tvm->vm.slots, true);
		KUNIT_EXPECT_EQ(test, table ? table->count : 0, context->count);
		for (i = 0; i < 4; i++)
			check_page(context, test_random(&context->random, SPAN_PAGES + 64));
		most = max(most, context->count);
		cond_resched();
	}
	KUNIT_EXPECT_GT(test, most, 20U);
	vhm_slots_free(&context->tvm->vm);
	KUNIT_EXPECT_EQ(test, context->tracked, 0U);
	rcu_barrier();
}

#define SLOT(number, start, length, user, ...)				\
	{ .size = sizeof(struct vhm_slot), .id = number, .gpa = start,	\
	  .bytes = length, .user_address = user, ##__VA_ARGS__ }

static void refusals(struct kunit *test)
{
	static const struct vhm_slot good = SLOT(1, 0x100000, 0x3000, 0x10000);
	static const struct {
		struct vhm_slot slot;
		int expected;
	} tries[] = {
		{ SLOT(2, 0x1000, 0, 0x10000), -EINVAL },
		{ SLOT(2, 0x1001, 0x1000, 0x10000), -EINVAL },
		{ SLOT(2, 0x1000, 0x1800, 0x10000), -EINVAL },
		{ SLOT(2, 0x1000, 0x1000, 0x10010), -EINVAL },
		{ SLOT(2, 0x1000, 0x1000, 0x10000, .flags = 2), -EINVAL },
		{ SLOT(2, 0x1000, 0x1000, 0x10000, .flags = 1u << 31), -EINVAL },
		{ SLOT(2, 0x1000, 0x1000, 0x10000, .reserved = 1), -EINVAL },
		{ SLOT(VHM_MAX_SLOTS, 0x1000, 0x1000, 0x10000), -EINVAL },
		{ SLOT(~0u, 0x1000, 0x1000, 0x10000), -EINVAL },
		/* beyond the guest-physical width, and wrapping around */
		{ SLOT(2, GPA_END, 0x1000, 0x10000), -EINVAL },
		{ SLOT(2, GPA_END - 0x1000, 0x2000, 0x10000), -EINVAL },
		{ SLOT(2, ~0xfffULL, 0x1000, 0x10000), -EINVAL },
		{ SLOT(2, ~0xfffULL, 0x3000, 0x10000), -EINVAL },
		{ SLOT(2, 0x1000, ~0xfffULL, 0x10000), -EINVAL },
		/* not user space, and wrapping around */
		{ SLOT(2, 0x1000, 0x1000, ~0xfffULL), -EINVAL },
		{ SLOT(2, 0x1000, 0x2000, ~0xfffULL), -EINVAL },
		/* the good one is there: same id, and all ways to overlap it */
		{ SLOT(1, 0x1000, 0x1000, 0x10000), -EEXIST },
		{ SLOT(2, 0x100000, 0x3000, 0x10000), -EEXIST },
		{ SLOT(2, 0x101000, 0x1000, 0x10000), -EEXIST },
		{ SLOT(2, 0xff000, 0x2000, 0x10000), -EEXIST },
		{ SLOT(2, 0x102000, 0x2000, 0x10000), -EEXIST },
		{ SLOT(2, 0xff000, 0x9000, 0x10000), -EEXIST },
		/* and its neighbours, and the last page there is */
		{ SLOT(2, 0xff000, 0x1000, 0x10000), 0 },
		{ SLOT(3, 0x103000, 0x1000, 0x10000), 0 },
		{ SLOT(4, GPA_END - 0x1000, 0x1000, 0x10000), 0 },
		{ SLOT(VHM_MAX_SLOTS - 1, 0, 0x1000, 0), 0 },
	};
	struct context *context = new_context(test);
	int i;

	KUNIT_EXPECT_EQ(test, vhm_slots_edit(&context->tvm->vm, &good, 1), 0);
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		context->edits = atomic64_read(&context->tvm->vm.slot_edits);
		KUNIT_EXPECT_EQ_MSG(test, vhm_slots_edit(&context->tvm->vm, &tries[i].slot, 1),
				    tries[i].expected, "try %d", i);
	}
	KUNIT_EXPECT_EQ(test, test_remove_slot(&context->tvm->vm, 5), -ENOENT);
	KUNIT_EXPECT_EQ(test, test_remove_slot(&context->tvm->vm, VHM_MAX_SLOTS), -EINVAL);
	vhm_slots_free(&context->tvm->vm);
	KUNIT_EXPECT_EQ(test, context->tracked, 0U);
}

/* User space ends where the host says; User-Mode Linux does not count its last page. */
static void end_of_user_space(struct kunit *test)
{
	struct context *context = new_context(test);
	struct vhm_vm *vm = &context->tvm->vm;
	struct vhm_slot slot = {
		.size = sizeof(slot), .id = 1, .gpa = 0x1000, .bytes = 0x1000,
		.user_address = TASK_SIZE,
	};

	KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), -EINVAL);
	slot.user_address -= 0x1000;
	slot.bytes = 0x2000;
	KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), -EINVAL);
	slot.user_address -= 0x1000;
	slot.bytes = 0x1000;
	KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), 0);
	vhm_slots_free(vm);
}

/* Neither a foreign address space nor a dead VM can be edited. */
static void strangers(struct kunit *test)
{
	static struct mm_struct stranger;
	struct vhm_slot slot = {
		.size = sizeof(slot), .id = 1, .gpa = 0x1000, .bytes = 0x1000,
		.user_address = 0x10000,
	};
	struct context *context = new_context(test);
	struct vhm_vm *vm = &context->tvm->vm;

	KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), 0);
	vm->mm = &stranger;
	slot.gpa = 0x2000;
	slot.id = 2;
	KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), -EPERM);
	KUNIT_EXPECT_EQ(test, test_remove_slot(vm, 1), -EPERM);
	vm->mm = current->mm;
	vm->dead = true;
	KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), -EIO);
	KUNIT_EXPECT_EQ(test, test_remove_slot(vm, 1), -EIO);
	KUNIT_EXPECT_EQ(test, context->tracked, 1U);
	vhm_slots_free(vm);
	KUNIT_EXPECT_EQ(test, context->tracked, 0U);
}

/* As many as there may be, which takes the table beyond a page. */
static void full_table(struct kunit *test)
{
	struct context *context = new_context(test);
	struct vhm_vm *vm = &context->tvm->vm;
	u32 i;

	for (i = 0; i < VHM_MAX_SLOTS; i++) {
		struct vhm_slot slot = {
			.size = sizeof(slot), .id = VHM_MAX_SLOTS - 1 - i,
			.gpa = i * 0x2000ULL, .bytes = 0x1000, .user_address = 0x10000,
		};

		context->edits = i;
		KUNIT_EXPECT_EQ(test, vhm_slots_edit(vm, &slot, 1), 0);
	}
	for (i = 0; i < VHM_MAX_SLOTS; i++) {
		const struct vhm_memory_slot *slot = find(context->tvm, i * 2);

		KUNIT_EXPECT_TRUE(test, slot && slot->id == VHM_MAX_SLOTS - 1 - i);
		KUNIT_EXPECT_NULL(test, (void *)find(context->tvm, i * 2 + 1));
	}
	vhm_slots_free(vm);
	KUNIT_EXPECT_EQ(test, context->tracked, 0U);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(random_sequence),
	KUNIT_CASE(refusals),
	KUNIT_CASE(end_of_user_space),
	KUNIT_CASE(strangers),
	KUNIT_CASE(full_table),
	{}
};

static struct kunit_suite suite = {
	.name = "vhm_slots",
	.test_cases = cases,
};

kunit_test_suite(suite);
