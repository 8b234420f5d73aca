// SPDX-License-Identifier: GPL-2.0-only
/* Each thing that a host does to memory (memory_events.h), alone, to the memory of a running guest. */
#include <kselftest_harness.h>

#include <string.h>

#include "memory_events.h"

FIXTURE(host_memory) {
	struct memory memory;
};

FIXTURE_SETUP(host_memory)
{
	memory_start(&self->memory);
}

FIXTURE_TEARDOWN(host_memory)
{
	EXPECT_TRUE(memory_stop(&self->memory));
}

static bool happens(const char *name, struct pattern *pattern, uint32_t rounds)
{
	for (const struct event *event = memory_events; event->name; event++)
		if (!strcmp(event->name, name))
			return happen(event, pattern, rounds, NULL);
	return false;
}

#define TEST_EVENT(name, rounds)						\
	TEST_F_TIMEOUT(host_memory, name, 200)					\
	{									\
		EXPECT_TRUE(happens(#name, &self->memory.pattern, rounds));	\
	}

TEST_EVENT(swap, 3)
TEST_EVENT(ksm, 2)
TEST_EVENT(thp_split, 4)
TEST_EVENT(thp_collapse, 3)
TEST_EVENT(khugepaged, 1)
TEST_EVENT(migration, 6)
TEST_EVENT(compaction, 2)
TEST_EVENT(discard, 2)
TEST_EVENT(lazy_discard, 2)
TEST_EVENT(munmap, 2)
TEST_EVENT(holes, 3)
TEST_EVENT(mremap, 4)
TEST_EVENT(mprotect, 20)
TEST_EVENT(fork, 3)
TEST_EVENT(write_back, 3)
TEST_EVENT(shrinkers, 5)
TEST_EVENT(numa_balancing, 2)
TEST_EVENT(soft_dirty, 2)
TEST_EVENT(clear_refs, 2)
TEST_EVENT(limit, 2)
TEST_EVENT(userfaultfd, 2)

TEST_HARNESS_MAIN
