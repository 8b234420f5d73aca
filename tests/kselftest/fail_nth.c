// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each command with its first, second, third ... allocation or access to user memory failing
 * (/proc/self/fail-nth), until one run sees no failure: every error path is walked. A failed command
 * says ENOMEM or EFAULT and can be repeated; memory is as before at the end. For hosts with fault
 * injection.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define MOST_STEPS	400

#define ARCH_REQ_XCOMP_GUEST_PERM	0x1025
#define XTILE_DATA		18

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		give_up("%s: %s", name, strerror(errno));
	close(fd);
}

/* Of this thread, held open: opening it would count as an allocation. */
static int open_fail_nth(void)
{
	char name[64];
	int fd;

	/* also allocations that may wait and those that may not fail loudly */
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	snprintf(name, sizeof(name), "/proc/self/task/%ld/fail-nth", syscall(SYS_gettid));
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		give_up("%s: %s (this host has no fault injection)", name, strerror(errno));
	return fd;
}

FIXTURE(fail) {
	int fail_nth;
	bool tiles;
	struct vm vm;
	struct vcpu vcpu;
	uint32_t serial;
};

typedef FIXTURE_DATA(fail) fail_data;

FIXTURE_SETUP(fail)
{
	self->fail_nth = open_fail_nth();
	/* too late once the process has a vCPU */
	self->tiles = !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XTILE_DATA);
	vm_create(&self->vm, VHM_VM_EXIT_HLT);
	vcpu_create(&self->vcpu, &self->vm, 0);
	vcpu_set_cpuid(&self->vcpu);
}

FIXTURE_TEARDOWN(fail)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
	close(self->fail_nth);
}

/* The write itself copies from user memory: that may be what fails, once. */
static void arm(fail_data *self, int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", nth);

	for (int tries = 0; pwrite(self->fail_nth, text, (size_t)length, 0) != length; tries++)
		if (errno != EFAULT || tries)
			give_up("fail-nth: %s", strerror(errno));
}

/*
 * Disarm; was the failure injected? It was not if it meets the copy of this very read, which tells
 * what was left before it.
 */
static bool consumed(fail_data *self)
{
	char text[16] = "";
	bool injected = false;

	if (pread(self->fail_nth, text, sizeof(text) - 1, 0) > 0)
		injected = atoi(text) == 0;
	else if (errno != EFAULT)
		give_up("fail-nth: %s", strerror(errno));
	arm(self, 0);
	return injected;
}

/*
 * @act does the same again each time and cleans up what it made. How many different steps made it
 * fail; a run that neither succeeds nor says what failed is reported.
 */
static int fail_each(struct __test_metadata *_metadata, fail_data *self, const char *what,
		     long (*act)(fail_data *self))
{
	int nth, failures = 0;

	for (nth = 1; nth < MOST_STEPS; nth++) {
		bool injected;
		long value;

		arm(self, nth);
		value = act(self);
		injected = consumed(self);
		EXPECT_TRUE(value >= 0 || (injected && (value == -ENOMEM || value == -EFAULT)))
			TH_LOG("%s, step %d: %ld", what, nth, value);
		failures += value < 0;
		if (!injected)
			break;
	}
	EXPECT_LT(nth, MOST_STEPS);
	/* and without any failure it works */
	EXPECT_GE(act(self), 0);
	TH_LOG("%s: %d steps can fail, %d of them made it fail", what, nth - 1, failures);
	return failures;
}

static long act_vm_create(fail_data *self)
{
	int fd = vm_create_fd(self->vm.device, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long act_vcpu_create(fail_data *self)
{
	int fd = vcpu_create_fd(self->vm.fd, 1 + self->serial % 254);

	/* an id stays in use: only a success moves on to the next */
	if (fd >= 0) {
		self->serial++;
		close(fd);
	}
	return fd;
}

static long act_slot(fail_data *self)
{
	long value = vm_add_slot(&self->vm, 1, 0, 0x40000000, PAGE_BYTES, self->vm.memory);
	long removed;

	if (value)
		return value;
	removed = vm_remove_slot(&self->vm, 1);
	if (removed)
		must(vm_remove_slot(&self->vm, 1));
	return removed;
}

static long act_cpuid(fail_data *self)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid), .entry_count = COUNT(entries), .entries = (uintptr_t)entries,
	};
	long value = vhm_ioctl(self->vm.device, VHM_GET_CPUID, &cpuid);

	return value ?: vhm_ioctl(self->vcpu.fd, VHM_VCPU_SET_CPUID, &cpuid);
}

static long act_state(fail_data *self)
{
	static uint8_t buffer[32768] __attribute__((aligned(8)));
	struct vhm_state state = {
		.size = sizeof(state),
		.buffer = (uintptr_t)buffer,
		.buffer_bytes = sizeof(buffer),
	};
	long value = vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state);

	return value ?: vhm_ioctl(self->vcpu.fd, VHM_VCPU_SET_STATE, &state);
}

static long act_small_commands(fail_data *self)
{
	struct vhm_info info = { .size = sizeof(info) };
	struct vhm_stats stats = { .size = sizeof(stats) };
	struct vhm_apic_access access = { .size = sizeof(access), .offset = 0x20 };
	long value = vhm_ioctl(self->vm.device, VHM_GET_INFO, &info);

	value = value ?: vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATS, &stats);
	value = value ?: vhm_ioctl(self->vcpu.fd, VHM_VCPU_APIC_ACCESS, &access);
	value = value ?: vcpu_nmi(&self->vcpu);
	value = value < 0 ? value : vm_msi(&self->vm, 0xfee00000, 0x40);
	return value;
}

GUEST_CODE(touch_new_page, 64, "mov %al, (%rbx)\n out %al, $0x10\n");

/* A first touch: EPT tables and the host's page. Without memory the guest's access fails. */
static long act_run(fail_data *self)
{
	uint64_t gpa = 0x40000000 + (uint64_t)self->serial++ * (1 << 21);
	uint8_t *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vhm_run *run = self->vcpu.run;
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = gpa,
	};
	long value;

	if (page == MAP_FAILED)
		return -errno;
	value = vm_add_slot(&self->vm, 1, 0, gpa, PAGE_BYTES, page);
	if (value)
		goto unmap;
	run->regs = regs;
	run->request = VHM_RUN_SET_REGISTERS;
	run->retire_bytes = 0;
	value = vcpu_run(&self->vcpu);
	if (value || run->exit_reason == VHM_EXIT_MEMORY_FAULT) {
		/* once nothing fails any more, it goes on from where it was */
		arm(self, 0);
		must(vcpu_run(&self->vcpu));
		value = -ENOMEM;
	}
	if (run->exit_reason != VHM_EXIT_IO)
		give_up("exit '%s'", exit_name(run->exit_reason));
	if (vm_remove_slot(&self->vm, 1))
		must(vm_remove_slot(&self->vm, 1));
unmap:
	munmap(page, PAGE_BYTES);
	return value;
}

static long act_map_run_page(fail_data *self)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, self->vcpu.fd, 0);

	if (page == MAP_FAILED)
		return -errno;
	munmap(page, PAGE_BYTES);
	return 0;
}

/* A whole VM, made and closed: what a failure in the middle leaves is closed, too. */
static long act_whole_life(fail_data *self)
{
	struct vm vm = { .device = self->vm.device, .memory = self->vm.memory };
	long value, vcpu = -1;

	vm.fd = vm_create_fd(vm.device, 0);
	if (vm.fd < 0)
		return vm.fd;
	value = vm_add_slot(&vm, 0, 0, 0, MEMORY_BYTES, vm.memory);
	if (!value) {
		vcpu = vcpu_create_fd(vm.fd, 0);
		value = vcpu;
	}
	close(vm.fd);
	if (vcpu >= 0)
		close((int)vcpu);
	return value;
}

TEST_F(fail, vm_create)
{
	EXPECT_GT(fail_each(_metadata, self, "VHM_VM_CREATE", act_vm_create), 3);
}

TEST_F(fail, vcpu_create)
{
	EXPECT_GT(fail_each(_metadata, self, "VHM_VCPU_CREATE", act_vcpu_create), 5);
}

TEST_F(fail, slots)
{
	EXPECT_GT(fail_each(_metadata, self, "VHM_SLOT_ADD and _REMOVE", act_slot), 2);
}

TEST_F(fail, cpuid)
{
	EXPECT_GT(fail_each(_metadata, self, "VHM_VCPU_SET_CPUID", act_cpuid), 1);
}

/* The vCPU's FPU state grows, once: what fails on the way leaves it as it was. */
TEST_F(fail, tiles)
{
	int growing, grown;

	if (!self->tiles)
		SKIP(return, "this processor has no AMX");
	vcpu_destroy(&self->vcpu);
	vcpu_create(&self->vcpu, &self->vm, 1);
	growing = fail_each(_metadata, self, "VHM_VCPU_SET_CPUID with tiles", act_cpuid);
	grown = fail_each(_metadata, self, "the same again", act_cpuid);
	/* memory for what is in the old state, and for the new one */
	EXPECT_GE(growing, grown + 2);
}

TEST_F(fail, state)
{
	EXPECT_GT(fail_each(_metadata, self, "VHM_VCPU_GET_STATE and _SET_STATE", act_state), 1);
}

TEST_F(fail, small_commands)
{
	EXPECT_GT(fail_each(_metadata, self, "commands that allocate nothing", act_small_commands), 3);
}

TEST_F(fail, run)
{
	guest_run_long(&self->vcpu, touch_new_page);
	fail_each(_metadata, self, "VHM_VCPU_RUN", act_run);
}

TEST_F(fail, run_page)
{
	fail_each(_metadata, self, "mmap", act_map_run_page);
}

TEST_F(fail, whole_life)
{
	EXPECT_GT(fail_each(_metadata, self, "a VM's life", act_whole_life), 8);
}

#define STEPS_OF_A_LIFE	26
#define LIVES_OF_A_STEP	32

/* The same step failing many times over: a page lost in one of them shows. */
TEST_F_TIMEOUT(fail, nothing_is_lost, 120)
{
	long available = 0, slab = 0;

	for (int half = 0; half < 2; half++) {
		for (int life = 0; life < LIVES_OF_A_STEP; life++) {
			for (int nth = 1; nth <= STEPS_OF_A_LIFE; nth++) {
				arm(self, nth);
				act_whole_life(self);
				arm(self, 0);
			}
		}
		sleep_us(200000);
		/* first half minus second, and second minus first: what was lost */
		available += (half ? -1 : 1) * available_kib();
		slab += (half ? 1 : -1) * meminfo_kib("Slab");
	}
	TH_LOG("%d failed lives: MemAvailable %+ld KiB, Slab %+ld KiB",
	       LIVES_OF_A_STEP * STEPS_OF_A_LIFE, -available, slab);
	/* slab objects are freed in bulk, pages go in and out of per-CPU lists */
	EXPECT_LT(available, 1024);
	EXPECT_LT(slab, 512);
}

TEST_HARNESS_MAIN
