// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module that holds the suites: what the code under test calls outside itself, and
 * what the suites share. KUnit runs them when the module is loaded, before any code of
 * its own and before module parameters are set: so there are neither.
 */
#include "test.h"

#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>

void test_seed(struct kunit *test, struct rnd_state *random)
{
	static u32 seed = VHM_TEST_SEED;

	if (!seed)
		seed = get_random_u32();
	prandom_seed_state(random, seed);
	kunit_info(test, "seed=%u", seed);
}

void vhm_vm_flush_guest_cpus(struct vhm_vm *vm)
{
	struct test_vm *tvm = to_test_vm(vm);

	tvm->flushes++;
	if (tvm->on_flush)
		tvm->on_flush(tvm);
}

bool vhm_vcpu_wait_begin(struct vhm_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->waiter, current);
	return !vcpu->requests;
}

void vhm_vcpu_wait_end(struct vhm_vcpu *vcpu)
{
	WRITE_ONCE(vcpu->waiter, NULL);
}

static void describe(struct vhm_info *info)
{
	info->gpa_bits = TEST_GPA_BITS;
}

void vhm_vm_get(struct vhm_vm *vm)
{
}

void vhm_vm_put(struct vhm_vm *vm)
{
}

static int slot_track(struct ept *ept, struct vhm_memory_slot *slot)
{
	struct test_vm *tvm = to_test_vm(slot->vm);

	return tvm->on_track ? tvm->on_track(tvm, slot) : 0;
}

static void slot_untrack(struct ept *ept, struct vhm_memory_slot *slot)
{
	struct test_vm *tvm = to_test_vm(slot->vm);

	if (tvm->on_untrack)
		tvm->on_untrack(tvm, slot);
}

static const struct vhm_backend_ops test_backend = {
	.describe = describe,
	.slot_track = slot_track,
	.slot_untrack = slot_untrack,
};

const struct vhm_backend_ops *vhm_backend = &test_backend;

struct test_vm *test_vm_create(struct kunit *test)
{
	struct test_vm *tvm = kunit_kzalloc(test, sizeof(*tvm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tvm);
	mutex_init(&tvm->vm.lock);
	tvm->vm.ept = &tvm->ept;
	tvm->vm.mm = current->mm;
	return tvm;
}

int test_remove_slot(struct vhm_vm *vm, u32 id)
{
	const struct vhm_slot gone = { .size = sizeof(gone), .id = id };

	return vhm_slots_edit(vm, &gone, 1);
}

u64 test_translate(u64 *root, gfn_t gfn, int *level)
{
	u64 *table = root;
	int shift;

	for (*level = 4, shift = 27; *level > 0; (*level)--, shift -= 9) {
		u64 entry = table[(gfn >> shift) & 0x1ff];

		if (!(entry & 7))
			return 0;
		if (*level == 1 || (*level < 4 && (entry & 0x80)))
			return entry;
		table = __va(entry & 0x000ffffffffff000ULL);
	}
	return 0;
}

MODULE_DESCRIPTION("KUnit suites of VHM");
MODULE_LICENSE("GPL");
