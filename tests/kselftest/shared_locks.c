// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs that fault in different places share no lock, by the host's own statistics (/proc/lock_stat of
 * a kernel with CONFIG_LOCK_STAT).
 */
#include <kselftest_harness.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"
#include "pages.h"

#define VCPUS		2
#define SHARE_BYTES	(16u << 20)
#define SHARE_PAGES	(SHARE_BYTES / PAGE_BYTES)
#define FAULTS		(VCPUS * SHARE_PAGES)
#define SWITCH		"/proc/sys/kernel/lock_stat"
#define STATISTICS	"/proc/lock_stat"
#define SHARE_LOCK	"&ept->share[i].lock"

FIXTURE(shared_locks) {
	struct vm vm;
	struct vcpu vcpu[VCPUS];
	uint8_t *window;
};

/* The host has all pages already: what it locks to bring one is its own affair. */
FIXTURE_SETUP(shared_locks)
{
	self->window = map_aligned(VCPUS * SHARE_BYTES, 0);
	must(madvise(self->window, VCPUS * SHARE_BYTES, MADV_NOHUGEPAGE));
	memset(self->window, 1, VCPUS * SHARE_BYTES);
	vm_create(&self->vm, 0);
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, VCPUS * SHARE_BYTES, self->window));
	for (uint32_t id = 0; id < VCPUS; id++) {
		vcpu_create(&self->vcpu[id], &self->vm, id);
		must(vcpu_set(&self->vcpu[id], VHM_SECTION_EVENTS, &(struct vhm_events) {
			.run_state = VHM_RUN_STATE_RUNNABLE }));
		/* its tables, stack and code, and the large page's worth that its share begins with */
		warm_up(&self->vcpu[id], id * SHARE_BYTES);
	}
	memcpy(self->vm.memory + LONG_CODE, write_pages, write_pages_end - write_pages);
}

FIXTURE_TEARDOWN(shared_locks)
{
	for (uint32_t id = 0; id < VCPUS; id++)
		vcpu_destroy(&self->vcpu[id]);
	vm_destroy(&self->vm);
	munmap(self->window, VCPUS * SHARE_BYTES);
}

/* One word of each page of its share, but for the first, which warm_up() had. */
static void *fault_share(void *context)
{
	struct vcpu *vcpu = context;
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(vcpu->id), .rflags = 2, .rax = 1,
		.rbx = WINDOW + vcpu->id * SHARE_BYTES + PAGE_BYTES, .rcx = SHARE_PAGES - 1,
	};

	pin(0, vcpu->id);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	return (void *)(long)vcpu_exit(vcpu);
}

/* A line: class, contended bounces, contentions, four waiting times, bounces, acquisitions, ... */
struct lock_class {
	char name[64];
	unsigned long contentions, acquisitions;
};

static bool next_class(FILE *file, struct lock_class *class)
{
	char line[512];

	while (fgets(line, sizeof(line), file)) {
		char *colon = strrchr(line, ':');
		const char *name = line + strspn(line, " ");

		if (!colon || sscanf(colon, ": %*u %lu %*f %*f %*f %*f %*u %lu",
				     &class->contentions, &class->acquisitions) != 2)
			continue;
		*colon = 0;
		snprintf(class->name, sizeof(class->name), "%s", name);
		return true;
	}
	return false;
}

/* The module's own, whoever takes them, by the names they are initialized by. */
static bool is_ours(const char *name)
{
	static const char *const prefixes[] = {
		"&ept->", "&process->", "&vcpu->", "&vm->", "&tracker->",
	};

	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* Once a fault, or nearly. Those of RCU and sequence counters are no locks. */
static bool is_in_the_path(const struct lock_class *class)
{
	return class->acquisitions >= FAULTS / 2 && strncmp(class->name, "rcu_", 4) &&
	       !strstr(class->name, "seqcount");
}

TEST_F_TIMEOUT(shared_locks, none_in_the_path_of_a_fault, 200)
{
	unsigned long shares = 0;
	struct lock_class class;
	void *threads[VCPUS];
	FILE *file;

	if (cpus_online() < VCPUS)
		SKIP(return, "needs two CPUs");
	ASSERT_TRUE(write_file(SWITCH, "1"));
	ASSERT_TRUE(write_file(STATISTICS, "0"));
	for (uint32_t id = 0; id < VCPUS; id++)
		threads[id] = thread_start(fault_share, &self->vcpu[id]);
	for (uint32_t id = 0; id < VCPUS; id++)
		EXPECT_EQ(VHM_EXIT_IO, (long)thread_join(threads[id]));
	ASSERT_TRUE(write_file(SWITCH, "0"));

	file = fopen(STATISTICS, "r");
	ASSERT_NE(NULL, file);
	while (next_class(file, &class)) {
		bool in_the_path = is_in_the_path(&class);

		if (is_ours(class.name) || in_the_path)
			printf("# %s: taken %lu times, waited for %lu times\n", class.name,
			       class.acquisitions, class.contentions);
		if (!strcmp(class.name, SHARE_LOCK))
			shares = class.acquisitions;
		else
			EXPECT_FALSE(in_the_path);
		if (is_ours(class.name))
			EXPECT_EQ(0, class.contentions);
	}
	fclose(file);
	/* each fault has taken its own vCPU's, so the statistics count */
	EXPECT_GE(shares, FAULTS - 2 * VCPUS);
}

TEST_HARNESS_MAIN
