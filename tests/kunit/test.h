/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: random numbers, a VM without hardware, and a lookup in EPT
 * tables that uses nothing of ept/ but the layout of the manual.
 */
#ifndef VHM_TEST_TEST_H
#define VHM_TEST_TEST_H

#include <kunit/test.h>
#include <linux/prandom.h>

#include "ept/ept.h"
#include "vhm/vhm.h"

/*
 * Starts @random. The seed is new each time and told; VHM_TEST_SEED, given when the module is
 * built, repeats a run.
 */
void test_seed(struct kunit *test, struct rnd_state *random);

/* 0 to @below - 1 */
static inline u64 test_random(struct rnd_state *random, u64 below)
{
	u64 value = ((u64)prandom_u32_state(random) << 32) | prandom_u32_state(random);

	return value % below;
}

/**
 * struct test_vm - a VM whose backend is the test
 * @vm: the VM
 * @ept: its tables
 * @flushes: calls of vhm_vm_flush_guest_cpus()
 * @on_flush: called by vhm_vm_flush_guest_cpus() if set
 * @on_track: called by the backend's slot_track if set
 * @on_untrack: called by the backend's slot_untrack if set
 * @data: for those
 */
struct test_vm {
	struct vhm_vm vm;
	struct ept ept;
	unsigned int flushes;
	void (*on_flush)(struct test_vm *vm);
	int (*on_track)(struct test_vm *vm, struct vhm_memory_slot *slot);
	void (*on_untrack)(struct test_vm *vm, struct vhm_memory_slot *slot);
	void *data;
};

static inline struct test_vm *to_test_vm(struct vhm_vm *vm)
{
	return container_of(vm, struct test_vm, vm);
}

/* A VM of the calling thread's address space, with no slots; freed with the test case. */
struct test_vm *test_vm_create(struct kunit *test);

#define TEST_GPA_BITS	40	/* what the test's backend tells */

/* Take slot @id away. */
int test_remove_slot(struct vhm_vm *vm, u32 id);

/* The leaf that translates @gfn and its level, by the layout of the manual; 0: none. */
u64 test_translate(u64 *root, gfn_t gfn, int *level);

#endif /* VHM_TEST_TEST_H */
