// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a VMM and its host while guests run: threads that move, CPUs that go, debuggers,
 * stops, freezers, limits, scheduler classes, forks. The guest checks itself (checker.h).
 *
 * Reboot and crash: tests/rig/suite.d/55-host-events.
 */
#define _GNU_SOURCE
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"
#include "host.h"

#define PATIENCE_NS	20000000000u
#define PAUSE_US	3000

/* ------------------------------------------------------------------ helpers -- */

/* A process of its own acts on the test's; true if it says all was well. */
static bool from_outside(bool (*act)(struct checker *checker), struct checker *checker)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(!act(checker));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool set_online(unsigned int cpu, bool online)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	return write_file(path, online ? "1" : "0");
}

static bool can_suspend_to_ram(void)
{
	char line[64] = "";
	FILE *file = fopen("/sys/power/mem_sleep", "re");
	bool can = file && fgets(line, sizeof(line), file) && strstr(line, "[deep]");

	if (file)
		fclose(file);
	return can;
}

/* --------------------------------------------------------------- objects -- */

GUEST_CODE(count, 64, "1: inc %eax\nout %al, $0x10\njmp 1b\n");

/* VMs come and go, each on a CPU of its own choice, while one stays: pages of theirs are reused. */
TEST(vms_come_and_go)
{
	struct checker checker;

	checker_start(&checker, CHECKER_SHARED);
	for (unsigned int i = 0; i < 30; i++) {
		struct vcpu vcpu;
		struct vm vm;

		vm_create(&vm, 0);
		vcpu_create(&vcpu, &vm, 0);
		guest_run_long(&vcpu, count);
		for (unsigned int j = 1; j < 4; j++) {
			pin(0, (i + j) % cpus_online());
			ASSERT_EQ(j, guest_out(&vcpu, PORT_DONE));
		}
		vcpu_destroy(&vcpu);
		vm_destroy(&vm);
	}
	EXPECT_TRUE(checker_goes_on(&checker));
	EXPECT_TRUE(checker_stop(&checker));
}

/* --------------------------------------------------------------------- CPUs -- */

FIXTURE(host_events) {
	struct checker checker;
};

FIXTURE_SETUP(host_events)
{
	checker_start(&self->checker, CHECKER_SHARED);
	if (!checker_goes_on(&self->checker))
		give_up("the guest does not even start");
}

FIXTURE_TEARDOWN(host_events)
{
	EXPECT_TRUE(checker_stop(&self->checker));
}

TEST_F_TIMEOUT(host_events, migration, 200)
{
	struct checker_thread *threads = self->checker.threads;
	unsigned int cpus = cpus_online();

	if (cpus < 2)
		SKIP(return, "one CPU");
	for (unsigned int i = 0; i < 200; i++) {
		pin(threads[0].tid, i % cpus);
		pin(threads[1].tid, (i + i / 7) % cpus);
		sleep_us(PAUSE_US / 3);
		if (i % 40 == 0)
			ASSERT_TRUE(checker_goes_on(&self->checker));
	}
	EXPECT_TRUE(checker_goes_on(&self->checker));
}

TEST_F_TIMEOUT(host_events, cpus_go_and_come, 200)
{
	unsigned int cpus = cpus_online();

	if (cpus < 2)
		SKIP(return, "one CPU");
	for (int i = 0; i < 5; i++) {
		for (unsigned int cpu = 1; cpu < cpus; cpu++)
			ASSERT_TRUE(set_online(cpu, false));
		EXPECT_TRUE(checker_goes_on(&self->checker));
		for (unsigned int cpu = 1; cpu < cpus; cpu++)
			ASSERT_TRUE(set_online(cpu, true));
		EXPECT_TRUE(checker_goes_on(&self->checker));
	}
}

/*
 * All processors lose what they hold, the TSC too: the guests' goes on. The emulated machine wakes
 * up at once; a real one after two seconds, by its clock.
 */
TEST_F_TIMEOUT(host_events, suspend_to_ram, 200)
{
	const char *alarm = "/sys/class/rtc/rtc0/wakealarm";

	if (!can_suspend_to_ram())
		SKIP(return, "this host does not suspend to RAM");
	for (int i = 0; i < 3; i++) {
		if (!access(alarm, W_OK))
			ASSERT_TRUE(write_file(alarm, "0") && write_file(alarm, "+2"));
		ASSERT_TRUE(write_file("/sys/power/state", "mem"));
		ASSERT_TRUE(checker_goes_on(&self->checker));
	}
}

/* Its last CPU goes while nobody runs it. */
TEST(vcpu_of_a_cpu_that_goes)
{
	unsigned int last = cpus_online() - 1;
	struct vcpu vcpu;
	struct vm vm;

	if (!last)
		SKIP(return, "one CPU");
	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	guest_run_long(&vcpu, count);
	for (unsigned int i = 1; i < 20; i += 2) {
		pin(0, last);
		ASSERT_EQ(i, guest_out(&vcpu, PORT_DONE));
		pin(0, 0);
		ASSERT_TRUE(set_online(last, false));
		EXPECT_EQ(i + 1, guest_out(&vcpu, PORT_DONE));
		ASSERT_TRUE(set_online(last, true));
	}
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
}

/* ---------------------------------------------------------- debugger, signals -- */

static bool stopped(pid_t tid)
{
	int status;

	return waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status);
}

/* A step may last as long as the guest runs, so it is interrupted where it does. */
static bool step(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0))
		return false;
	for (int i = 0; i < 10; i++) {
		pid_t seen = waitpid(tid, &status, __WALL | WNOHANG);

		if (seen)
			return seen == tid && WIFSTOPPED(status);
		sleep_us(500);
	}
	return !ptrace(PTRACE_INTERRUPT, tid, 0, 0) && stopped(tid);
}

/* A watchpoint at an address that the guest writes all the time; it is the debugger's, not the guest's. */
static bool watch(pid_t tid, bool on)
{
	const size_t debugreg = offsetof(struct user, u_debugreg);
	const unsigned long write_8_bytes = 0x90001;

	return !ptrace(PTRACE_POKEUSER, tid, debugreg, LONG_DATA) &&
	       !ptrace(PTRACE_POKEUSER, tid, debugreg + 7 * 8, on ? write_8_bytes : 0);
}

static bool debug(struct checker *checker, pid_t tid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_SEIZE, tid, 0, 0))
		return false;
	for (int i = 0; i < 10; i++) {
		if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) || !stopped(tid) ||
		    ptrace(PTRACE_GETREGS, tid, 0, &regs) || !regs.rip || !watch(tid, i % 2))
			return false;
		for (int j = 0; j < 8; j++)
			if (!step(tid))
				return false;
		if (ptrace(PTRACE_SETREGS, tid, 0, &regs) || ptrace(PTRACE_CONT, tid, 0, 0) ||
		    !checker_goes_on(checker))
			return false;
	}
	return !ptrace(PTRACE_INTERRUPT, tid, 0, 0) && stopped(tid) && watch(tid, false) &&
	       !ptrace(PTRACE_DETACH, tid, 0, 0);
}

static bool debug_all(struct checker *checker)
{
	for (int i = 0; i < CHECKER_VCPUS; i++)
		if (!debug(checker, checker->threads[i].tid)) {
			printf("# thread %d: %s\n", i, strerror(errno));
			return false;
		}
	return true;
}

TEST_F_TIMEOUT(host_events, ptrace, 200)
{
	EXPECT_TRUE(from_outside(debug_all, &self->checker));
	EXPECT_TRUE(checker_goes_on(&self->checker));
}

/* Each thread stops when it next leaves the kernel. */
static bool wait_stopped(pid_t tid)
{
	uint64_t end = now_ns() + PATIENCE_NS;
	char path[32], line[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	while (now_ns() < end) {
		FILE *file = fopen(path, "re");
		const char *name_end = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;

		if (file)
			fclose(file);
		if (name_end && name_end[2] == 'T')
			return true;
		sleep_us(POLL_US);
	}
	printf("# thread %d does not stop\n", tid);
	return false;
}

static bool stop_and_continue(struct checker *checker)
{
	const pid_t vmm = getppid();
	bool good = true;

	for (int i = 0; i < 10 && good; i++) {
		good = !kill(vmm, SIGSTOP);
		for (int j = 0; j < CHECKER_VCPUS; j++)
			good = good && wait_stopped(checker->threads[j].tid);
		good = good && checker_stands_still(checker);
		good = !kill(vmm, SIGCONT) && good && checker_goes_on(checker);
	}
	return good;
}

TEST_F_TIMEOUT(host_events, sigstop, 200)
{
	EXPECT_TRUE(from_outside(stop_and_continue, &self->checker));
}

/* ------------------------------------------------------------ control groups -- */

static bool wait_frozen(long frozen)
{
	uint64_t end = now_ns() + PATIENCE_NS;

	while (read_number(CGROUP "/cgroup.events", "frozen") != frozen) {
		if (now_ns() > end)
			return false;
		sleep_us(POLL_US);
	}
	return true;
}

static bool freeze_and_thaw(struct checker *checker)
{
	bool good = true;

	/* out of the group, whose other processes are to be frozen */
	if (!outside_group())
		return false;
	for (int i = 0; i < 10 && good; i++) {
		good = write_file(CGROUP "/cgroup.freeze", "1") && wait_frozen(1) &&
		       checker_stands_still(checker);
		good = write_file(CGROUP "/cgroup.freeze", "0") && good &&
		       checker_goes_on(checker);
	}
	return good;
}

TEST_F_TIMEOUT(host_events, freezer, 200)
{
	if (!join_group(NULL))
		SKIP(return, "no cgroup of version 2");
	EXPECT_TRUE(from_outside(freeze_and_thaw, &self->checker));
	leave_group();
}

TEST_F_TIMEOUT(host_events, cpu_limit, 200)
{
	long throttled;

	if (!join_group("+cpu"))
		SKIP(leave_group(); return, "no cpu controller");
	ASSERT_TRUE(write_file(CGROUP "/cpu.max", "2000 20000"));
	throttled = read_number(CGROUP "/cpu.stat", "nr_throttled");
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(checker_goes_on(&self->checker));
	EXPECT_GT(read_number(CGROUP "/cpu.stat", "nr_throttled"), throttled);
	ASSERT_TRUE(write_file(CGROUP "/cpu.max", "max 20000"));
	EXPECT_TRUE(checker_goes_on(&self->checker));
	leave_group();
}

/* ---------------------------------------------------------------- scheduling -- */

static bool schedule(struct checker *checker, int policy, int priority)
{
	const struct sched_param parameter = { .sched_priority = priority };

	for (int i = 0; i < CHECKER_VCPUS; i++)
		if (sched_setscheduler(checker->threads[i].tid, policy, &parameter)) {
			printf("# policy %d: %s\n", policy, strerror(errno));
			return false;
		}
	return true;
}

TEST_F_TIMEOUT(host_events, scheduler_classes, 200)
{
	static const struct { int policy, priority; } classes[] = {
		{ SCHED_BATCH, 0 }, { SCHED_IDLE, 0 }, { SCHED_FIFO, 10 }, { SCHED_RR, 10 },
		{ SCHED_FIFO, 1 }, { SCHED_OTHER, 0 },
	};
	const struct sched_param first = { .sched_priority = 50 };

	/* who looks on must get a CPU, too */
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &first));
	for (size_t i = 0; i < COUNT(classes); i++) {
		ASSERT_TRUE(schedule(&self->checker, classes[i].policy, classes[i].priority));
		EXPECT_TRUE(checker_goes_on(&self->checker));
	}
	for (int nice = -20; nice < 20; nice += 13) {
		for (int i = 0; i < CHECKER_VCPUS; i++)
			ASSERT_EQ(0, setpriority(PRIO_PROCESS, (id_t)self->checker.threads[i].tid, nice));
		EXPECT_TRUE(checker_goes_on(&self->checker));
	}
}

/* ---------------------------------------------------------------------- fork -- */

/* In the child: it has the parent's descriptors and a copy of its memory, and no say in its VM. */
static bool child_is_refused(struct checker *checker)
{
	struct vcpu *vcpu = &checker->vcpu[0];

	return vcpu_run(vcpu) == -EPERM && vcpu_run(&checker->vcpu[1]) == -EPERM &&
	       vcpu_set(vcpu, VHM_SECTION_EVENTS, &(struct vhm_events) { 0 }) == -EPERM &&
	       vm_add_slot(&checker->vm, 1, 0, 1ull << 32, PAGE_BYTES, checker->vm.memory) == -EPERM &&
	       vm_remove_slot(&checker->vm, 0) == -EPERM;
}

/* Memory of the guest that fork() shares becomes the parent's and the child's own as either writes. */
static bool child_writes(struct checker *checker)
{
	memset(checker->vm.memory, 0xcc, checker->vm.memory_bytes);
	return child_is_refused(checker);
}

TEST(fork_of_the_vmm)
{
	struct checker checker;

	checker_start(&checker, CHECKER_PRIVATE);
	for (int i = 0; i < 10; i++) {
		EXPECT_TRUE(checker_goes_on(&checker));
		EXPECT_TRUE(from_outside(i % 2 ? child_writes : child_is_refused, &checker));
	}
	EXPECT_TRUE(checker_goes_on(&checker));
	EXPECT_TRUE(checker_stop(&checker));
}

TEST_HARNESS_MAIN
