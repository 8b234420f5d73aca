// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals while a guest runs: a storm of them, and SIGKILL at random moments of a VM's life, after
 * which no memory is lost. That the module can be removed then, the rig checks.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit.h"

#define PERIOD_US	10000
#define INTERRUPTIONS	100
#define KILLS		200
#define LONGEST_LIFE_US	30000
/* one page in each kill is as much; a VM has hundreds */
#define LOSS_KIB	(KILLS / 2 * 4)

GUEST_CODE(work, 64,
	"1: lock incq " MAIL_FLAG "\n"
	"mov	%rax, 0x100000(,%rcx,8)\n"
	"inc	%rcx\n"
	"and	$0xffff, %ecx\n"
	"jnz	1b\n"
	"out	%al, $0x10\n"
	"jmp	1b\n");

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

/* Every run ends by a signal or at the guest's own exit, and the guest loses nothing. */
TEST(storm)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval often = {
		.it_value = { .tv_usec = PERIOD_US }, .it_interval = { .tv_usec = PERIOD_US },
	};
	int interrupted = 0, exits = 0;
	struct vcpu vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	guest_run_long(&vcpu, work);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	while (interrupted < INTERRUPTIONS) {
		long value = vcpu_run(&vcpu);

		if (value == -EINTR) {
			EXPECT_EQ(VHM_EXIT_INTERRUPTED, vcpu.run->exit_reason);
			interrupted++;
			continue;
		}
		ASSERT_EQ(0, value);
		ASSERT_EQ(VHM_EXIT_IO, vcpu.run->exit_reason);
		/* each exit is a whole turn of the loop */
		exits++;
		ASSERT_EQ(0x10000 * exits, guest_mail(&vm)->flag[0]);
		vcpu_retire(&vcpu);
	}
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &(struct itimerval) { 0 }, NULL));
	EXPECT_GE(alarms, interrupted);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
}

/* A pending signal that is blocked does not end a run. */
TEST(blocked)
{
	struct vcpu vcpu;
	struct vm vm;
	sigset_t set;

	vm_create(&vm, 0);
	vcpu_create(&vcpu, &vm, 0);
	guest_run_long(&vcpu, work);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, raise(SIGUSR1));
	guest_out(&vcpu, PORT_DONE);
	EXPECT_EQ(0x10000, guest_mail(&vm)->flag[0]);
	vcpu_destroy(&vcpu);
	vm_destroy(&vm);
}

static void *run_for_ever(void *context)
{
	struct vcpu *vcpu = context;

	while (!vcpu_run(vcpu))
		if (vcpu->run->exit_reason == VHM_EXIT_IO)
			vcpu_retire(vcpu);
	return NULL;
}

/* A VM with two vCPUs, a timer and messages, made and used until the end comes. */
static void live(void)
{
	for (;;) {
		struct vcpu vcpus[2];
		struct vm vm;

		vm_create(&vm, 0);
		for (uint32_t id = 0; id < 2; id++) {
			vcpu_create(&vcpus[id], &vm, id);
			guest_run_long(&vcpus[id], work);
			vcpu_set(&vcpus[id], VHM_SECTION_EVENTS, &(struct vhm_events) { 0 });
		}
		thread_start(run_for_ever, &vcpus[1]);
		for (int i = 0; i < 4; i++) {
			vm_add_slot(&vm, 1, 0, 0x40000000, vm.memory_bytes, vm.memory);
			vcpu_kick(&vcpus[1]);
			vcpu_run(&vcpus[0]);
			vm_msi(&vm, 0xfeeff000, 0x40);
			vm_remove_slot(&vm, 1);
		}
		/* left open: the end of the process closes what is left */
	}
}

static void kill_some(int count, uint64_t *random)
{
	while (count--) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			signal(SIGABRT, SIG_DFL);
			live();
		}
		sleep_us(random_next(random) % LONGEST_LIFE_US);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			give_up("the child ended by itself, status %#x", status);
	}
}

/* What is freed later, by RCU and by the kernel's own caches, is freed now. */
static void settle(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd >= 0) {
		if (write(fd, "3", 1) != 1)
			give_up("drop_caches");
		close(fd);
	}
	sleep_us(300000);
}

FIXTURE(killed) {
	uint64_t random;
};

FIXTURE_SETUP(killed)
{
	self->random = 0x853c49e6748fea9b;
}

FIXTURE_TEARDOWN(killed)
{
}

/* What more kills cost: memory that is lost is lost in each round, other changes are chance. */
TEST_F_TIMEOUT(killed, at_random_moments, 200)
{
	bool kept = false;

	kill_some(KILLS / 2, &self->random);	/* caches fill */
	for (int round = 0; round < 3 && !kept; round++) {
		long available, slab, lost, grown;

		settle();
		available = available_kib();
		slab = meminfo_kib("Slab");
		kill_some(KILLS / 2, &self->random);
		settle();
		lost = available - available_kib();
		grown = meminfo_kib("Slab") - slab;
		TH_LOG("%d kills more: MemAvailable %+ld KiB, Slab %+ld KiB", KILLS / 2, -lost, grown);
		kept = lost < 2 * LOSS_KIB && grown < LOSS_KIB;
	}
	EXPECT_TRUE(kept);
}

TEST_HARNESS_MAIN
