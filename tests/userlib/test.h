/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Harness of the library's tests: cases, checks, random numbers, a VM on the fake kernel.
 *
 * A failed check is printed with its place and fails its case; the case goes on where that
 * makes sense. One thread, no locks.
 */
#ifndef TEST_H
#define TEST_H

#include <stdint.h>
#include <stdio.h>

#include <libvhm.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

/* What the program runs, NULL at the end; in unit.c or live.c. */
extern const struct test_case *const test_groups[];

extern const struct test_case state_cases[], memory_cases[], walk_cases[], load_cases[];
extern const struct test_case insn_cases[], dispatch_cases[], api_cases[];
extern const struct test_case tracker_cases[], backing_cases[], zydis_cases[];

/* Counts a failure of the running case and says where; true if @condition holds. */
bool check_that(bool condition, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define CHECK(condition) \
	check_that(condition, __FILE__, __LINE__, "%s", #condition)
#define CHECK_EQ(actual, expected) do {							\
	long long actual_ = (long long)(actual), expected_ = (long long)(expected);	\
	check_that(actual_ == expected_, __FILE__, __LINE__, "%s is %lld (%#llx), not %lld (%#llx)", \
		   #actual, actual_, (unsigned long long)actual_, expected_,		\
		   (unsigned long long)expected_);					\
} while (0)
/* For what the rest of the case cannot do without. */
#define REQUIRE(condition) do {	if (!CHECK(condition)) return; } while (0)

uint64_t random64(void);
/* 0 to limit - 1 */
uint32_t random_below(uint32_t limit);

/* A host, a VM and vCPU 0 on the fake kernel (fake.h); aborts the program if that fails. */
struct test_vm {
	struct vhm *vhm;
	struct vhm_vm *vm;
	struct vhm_vcpu *vcpu;
};

void test_vm_create(struct test_vm *test);
void test_vm_destroy(struct test_vm *test);

#endif /* TEST_H */
