// SPDX-License-Identifier: GPL-2.0-only
/* A page of 1 GiB, for which few hosts have room: a program of its own. */
#include <kselftest_harness.h>

#include <sys/mman.h>

#include "pages.h"

/* One entry for all of it; in a slot of half of it, entries of 2 MiB. */
TEST(gigabyte)
{
	const uint64_t bytes = 1ull << 30, pages = bytes / PAGE_BYTES;
	struct vcpu vcpu;
	void *memory;
	struct vm vm;

	if (!reserve_huge_pages("1048576kB", 1))
		SKIP(return, "no room for a 1 GiB page");
	memory = map_hugetlb(bytes, HUGETLB_1G);
	ASSERT_NE(MAP_FAILED, memory);
	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	must(vm_add_slot(&vm, 1, 0, WINDOW, bytes, memory));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&vcpu, 0x12345000, 1, 7));
	EXPECT_EQ(0, faults_of_writing(&vcpu, 0, pages));
	EXPECT_EQ(1, vcpu_stat(&vcpu, VHM_STAT_PAGES_MAPPED_1G));
	*word(memory, 0x3ffff000) = 8;
	EXPECT_EQ(8, guest_read(&vcpu, 0x3ffff000, 1));
	must(vm_remove_slot(&vm, 1));
	must(vm_add_slot(&vm, 1, 0, WINDOW, bytes / 2, memory));
	EXPECT_EQ(256, faults_of_reading(&vcpu, 0, pages / 2));
	EXPECT_EQ(~0u, guest_read(&vcpu, bytes / 2, 1));
	EXPECT_EQ(VHM_EXIT_MMIO, vcpu.run->exit_reason);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
	munmap(memory, bytes);
	reserve_huge_pages("1048576kB", 0);
}

TEST_HARNESS_MAIN
