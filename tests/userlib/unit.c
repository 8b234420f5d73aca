// SPDX-License-Identifier: GPL-2.0-only
/* The program of unit tests: all groups, on the fake kernel. */
#include <stdlib.h>

#include "fake.h"
#include "test.h"

void test_vm_create(struct test_vm *test)
{
	fake_reset();
	if (vhm_open(&test->vhm, "/dev/null") || vhm_vm_create(test->vhm, 0, &test->vm) ||
	    vhm_vcpu_create(test->vm, 0, &test->vcpu)) {
		printf("no VM on the fake kernel\n");
		exit(2);
	}
}

void test_vm_destroy(struct test_vm *test)
{
	vhm_vcpu_destroy(test->vcpu);
	vhm_vm_destroy(test->vm);
	vhm_close(test->vhm);
}

const struct test_case *const test_groups[] = {
	state_cases, memory_cases, walk_cases, load_cases, insn_cases, dispatch_cases, api_cases,
	tracker_cases, backing_cases, zydis_cases, NULL,
};
