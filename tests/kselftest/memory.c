// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's memory is its creator's: whatever happens to a mapping there, the guest sees the new
 * contents or exits, and never the page that was there before.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define WINDOW		0x40000000ull	/* where the slot under test lies */
#define WINDOW_PAGES	16u
#define WINDOW_BYTES	((size_t)WINDOW_PAGES * PAGE_BYTES)

FIXTURE(memory) {
	struct vm vm;
	struct vcpu vcpu;
	struct vhm_run *run;
	uint8_t *window;
};

static uint8_t *map_window(int flags, int fd)
{
	uint8_t *window = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (window == MAP_FAILED)
		give_up("mmap: %s", strerror(errno));
	return window;
}

static void setup(FIXTURE_DATA(memory) *self, uint8_t *window)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
	self->run = self->vcpu.run;
	self->window = window;
	must(vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, window));
}

FIXTURE_SETUP(memory)
{
	setup(self, map_window(MAP_PRIVATE | MAP_ANONYMOUS, -1));
}

FIXTURE_TEARDOWN(memory)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* The word at RBX: read into EAX, or written from it; once each. */
GUEST_CODE(read_word, 64, "mov (%rbx), %eax\n out %eax, $0x10\n");
GUEST_CODE(write_word, 64, "mov %eax, (%rbx)\n out %eax, $0x10\n");

static uint32_t access_at(struct vcpu *vcpu, const uint8_t *code, size_t bytes, uint64_t gpa,
			  uint32_t value)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = gpa, .rax = value,
	};

	guest_long(vcpu, code, bytes);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	return guest_exit(vcpu);
}

/* What the guest reads; anything but success is all ones. */
static uint32_t guest_read(struct vcpu *vcpu, uint64_t offset)
{
	uint32_t reason = access_at(vcpu, read_word, CODE_BYTES(read_word), WINDOW + offset, 0);

	return reason == VHM_EXIT_IO ? vcpu->run->io.data : ~0u;
}

static uint32_t guest_write(struct vcpu *vcpu, uint64_t offset, uint32_t value)
{
	return access_at(vcpu, write_word, CODE_BYTES(write_word), WINDOW + offset, value);
}

static uint32_t *word(uint8_t *window, size_t offset)
{
	return (uint32_t *)(window + offset);
}

TEST_F(memory, host_and_guest_share)
{
	for (uint32_t page = 0; page < WINDOW_PAGES; page++) {
		size_t at = page * PAGE_BYTES + page * 8;

		*word(self->window, at) = 0x1000 + page;
		EXPECT_EQ(0x1000 + page, guest_read(&self->vcpu, at));
		EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, at, 0x2000 + page));
		EXPECT_EQ(0x2000 + page, *word(self->window, at));
	}
}

/* A page the host never touched reads as zeros and is the host's once written. */
TEST_F(memory, untouched)
{
	EXPECT_EQ(0, guest_read(&self->vcpu, 0));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 5));
	EXPECT_EQ(5, *word(self->window, 0));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, PAGE_BYTES, 6));
	EXPECT_EQ(6, *word(self->window, PAGE_BYTES));
}

TEST_F(memory, discarded)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x11));
	ASSERT_EQ(0, madvise(self->window, WINDOW_BYTES, MADV_DONTNEED));
	EXPECT_EQ(0, guest_read(&self->vcpu, 0));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x12));
	EXPECT_EQ(0x12, *word(self->window, 0));
}

/* The first CPU still knows the page that the guest had when it was there, if there is another. */
TEST_F(memory, discarded_while_on_another_cpu)
{
	for (uint32_t i = 1; i <= 3; i++) {
		pin(0, 0);
		EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, i));
		pin(0, cpus_online() - 1);
		EXPECT_EQ(i, guest_read(&self->vcpu, 0));
		ASSERT_EQ(0, madvise(self->window, WINDOW_BYTES, MADV_DONTNEED));
		EXPECT_EQ(0, guest_read(&self->vcpu, 0));
		pin(0, 0);
		EXPECT_EQ(0, guest_read(&self->vcpu, 0));
	}
}

TEST_F(memory, unmapped_and_mapped_again)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x11));
	ASSERT_EQ(0, munmap(self->window, WINDOW_BYTES));
	EXPECT_EQ(~0u, guest_read(&self->vcpu, 0));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, self->run->exit_reason);
	EXPECT_EQ(EFAULT, self->run->memory_fault.error);
	ASSERT_EQ(self->window, mmap(self->window, WINDOW_BYTES, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, guest_read(&self->vcpu, 0));
	*word(self->window, 0) = 0x22;
	EXPECT_EQ(0x22, guest_read(&self->vcpu, 0));
}

/* Other pages are moved to the slot's address. */
TEST_F(memory, moved_into_place)
{
	uint8_t *other = map_window(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x11));
	*word(other, 0) = 0x33;
	ASSERT_EQ(self->window, mremap(other, WINDOW_BYTES, WINDOW_BYTES,
				       MREMAP_MAYMOVE | MREMAP_FIXED, self->window));
	EXPECT_EQ(0x33, guest_read(&self->vcpu, 0));
	/* and away from it */
	other = mremap(self->window, WINDOW_BYTES, WINDOW_BYTES,
		       MREMAP_MAYMOVE | MREMAP_FIXED, self->window + (1 << 24));
	ASSERT_NE(MAP_FAILED, (void *)other);
	EXPECT_EQ(~0u, guest_read(&self->vcpu, 0));
	EXPECT_EQ(0x33, *word(other, 0));
}

TEST_F(memory, protected)
{
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x11));
	ASSERT_EQ(0, mprotect(self->window, WINDOW_BYTES, PROT_READ));
	EXPECT_EQ(0x11, guest_read(&self->vcpu, 0));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, guest_write(&self->vcpu, 0, 0x12));
	EXPECT_EQ(VHM_MMIO_WRITE, self->run->memory_fault.flags);
	EXPECT_EQ(0x11, *word(self->window, 0));
	ASSERT_EQ(0, mprotect(self->window, WINDOW_BYTES, PROT_NONE));
	EXPECT_EQ(~0u, guest_read(&self->vcpu, 0));
	ASSERT_EQ(0, mprotect(self->window, WINDOW_BYTES, PROT_READ | PROT_WRITE));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x13));
	EXPECT_EQ(0x13, *word(self->window, 0));
}

/* ------------------------------------------------------------- under a run -- */

/*
 * A guest that reads a word over and over and tells what it saw. The host replaces the page by others;
 * once the host's call has returned the guest may see the new word only.
 */
GUEST_CODE(reader, 64,
	"1: mov	(%rbx), %eax\n"
	"mov	%eax, " MAIL_FLAG "\n"
	"incl	" MAIL_FLAG " + 8\n"
	"jmp	1b\n");

struct running {
	struct vcpu *vcpu;
	volatile uint32_t *seen;	/* by the guest */
	volatile uint32_t *rounds;
	void *thread;
};

static void start_reader(struct vm *vm, struct vcpu *vcpu, struct running *running)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = WINDOW,
	};

	guest_run_long(vcpu, reader);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	running->vcpu = vcpu;
	running->seen = (uint32_t *)&guest_mail(vm)->flag[0];
	running->rounds = (uint32_t *)&guest_mail(vm)->flag[1];
	running->thread = thread_start(run_past_memory_faults, vcpu);
	while (!*running->rounds)
		sleep_us(POLL_US);
}

static long stop_reader(struct running *running)
{
	must(vcpu_kick(running->vcpu));
	return (long)thread_join(running->thread);
}

/* Two rounds from now on the guest has read what is there now. */
static uint32_t fresh_read(struct running *running)
{
	uint32_t from = *running->rounds;
	uint64_t end = now_ns() + 10000000000u;

	while (*running->rounds - from < 2)
		if (now_ns() > end)
			give_up("the guest does not go on");
	return *running->seen;
}

#define REPLACEMENTS	50

TEST_F(memory, replaced_under_a_run)
{
	struct running running;

	*word(self->window, 0) = 1;
	start_reader(&self->vm, &self->vcpu, &running);
	for (uint32_t i = 2; i < REPLACEMENTS; i++) {
		uint8_t *other = map_window(MAP_PRIVATE | MAP_ANONYMOUS, -1);

		*word(other, 0) = i;
		ASSERT_EQ(self->window, mremap(other, WINDOW_BYTES, WINDOW_BYTES,
					       MREMAP_MAYMOVE | MREMAP_FIXED, self->window));
		ASSERT_EQ(i, fresh_read(&running));
	}
	EXPECT_EQ(VHM_EXIT_KICKED, stop_reader(&running));
}

TEST_F(memory, discarded_under_a_run)
{
	struct running running;

	start_reader(&self->vm, &self->vcpu, &running);
	for (uint32_t i = 2; i < REPLACEMENTS; i++) {
		*word(self->window, 0) = i;
		ASSERT_EQ(i, fresh_read(&running));
		ASSERT_EQ(0, madvise(self->window, WINDOW_BYTES, MADV_DONTNEED));
		ASSERT_EQ(0, fresh_read(&running));
	}
	EXPECT_EQ(VHM_EXIT_KICKED, stop_reader(&running));
}

TEST_F(memory, unmapped_under_a_run)
{
	struct running running;

	start_reader(&self->vm, &self->vcpu, &running);
	for (uint32_t i = 2; i < REPLACEMENTS; i++) {
		uint32_t rounds;

		ASSERT_EQ(0, munmap(self->window, WINDOW_BYTES));
		/* from here on it stands still: at most the read that was under way counts */
		rounds = *running.rounds;
		sleep_us(POLL_US);
		ASSERT_LE(*running.rounds - rounds, 1);
		ASSERT_EQ(self->window, mmap(self->window, WINDOW_BYTES, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		*word(self->window, 0) = i;
		ASSERT_EQ(i, fresh_read(&running));
	}
	EXPECT_EQ(VHM_EXIT_KICKED, stop_reader(&running));
}

/* A slot is taken and given while the guest uses it. */
TEST_F(memory, slot_changed_under_a_run)
{
	uint8_t *other = map_window(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint8_t *now = self->window, *next = other, *swap;
	struct running running;

	guest_run_long(&self->vcpu, reader);
	start_reader(&self->vm, &self->vcpu, &running);
	for (uint32_t i = 2; i < REPLACEMENTS; i++) {
		*word(next, 0) = i;
		ASSERT_EQ(0, vm_remove_slot(&self->vm, 1));
		*word(now, 0) = ~0u;	/* nobody may see this any more */
		ASSERT_EQ(0, vm_add_slot(&self->vm, 1, 0, WINDOW, WINDOW_BYTES, next));
		if ((uint32_t)running.vcpu->run->exit_reason == VHM_EXIT_MMIO) {
			/* it looked in between */
			ASSERT_EQ(VHM_EXIT_MMIO, (long)thread_join(running.thread));
			running.vcpu->run->exit_reason = VHM_EXIT_NONE;
			running.thread = thread_start(run_past_memory_faults, &self->vcpu);
		}
		swap = now;
		now = next;
		next = swap;
		sleep_us(POLL_US);
		ASSERT_NE(~0u, *running.seen);
	}
	/* it may have stopped for good by now */
	must(vcpu_kick(&self->vcpu));
	thread_join(running.thread);
}

/* ------------------------------------------------------------------- fork -- */

GUEST_CODE(writer, 64,
	"1: lock incl (%rbx)\n"
	"jmp	1b\n");

/* The child's copy is its own: neither sees the other's writes, and the guest goes on. */
TEST_F(memory, fork_under_a_run)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = WINDOW,
	};
	volatile uint32_t *counter = word(self->window, 0);
	void *thread;

	guest_run_long(&self->vcpu, writer);
	ASSERT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	thread = thread_start(run_past_memory_faults, &self->vcpu);
	for (int i = 0; i < 10; i++) {
		uint32_t before = *counter;
		int status;
		pid_t child = fork();

		if (child == 0) {
			uint32_t mine = *counter;

			sleep_us(3000);
			if (*counter != mine)
				_exit(1);
			*counter = 0xdead0000;
			_exit(0);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_EQ(0, status);
		sleep_us(POLL_US);
		ASSERT_GE(*counter, before);
		ASSERT_LT(*counter, 0xdead0000);
		before = *counter;
		while (*counter == before)
			sleep_us(POLL_US);
	}
	must(vcpu_kick(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_KICKED, (long)thread_join(thread));
}

/* The host writes to a page that a child shares: the guest follows to the copy. */
TEST_F(memory, copy_on_write_by_host)
{
	int status, channel[2];
	pid_t child;

	ASSERT_EQ(0, pipe(channel));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x10));
	child = fork();
	if (child == 0) {
		char byte;

		_exit(read(channel[0], &byte, 1) != 1 || *word(self->window, 0) != 0x10);
	}
	EXPECT_EQ(0x10, guest_read(&self->vcpu, 0));	/* maps the shared page */
	*word(self->window, 0) = 0x20;
	EXPECT_EQ(0x20, guest_read(&self->vcpu, 0));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self->vcpu, 0, 0x30));
	EXPECT_EQ(0x30, *word(self->window, 0));
	ASSERT_EQ(1, write(channel[1], "", 1));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* ------------------------------------------------------------ userfaultfd -- */

/* What a thread of the VMM does while its guest's memory is waited for. */
struct waiter {
	struct vcpu *vcpu;
	struct vhm_populate populate;
	volatile pid_t tid;
};

static void *run_once(void *context)
{
	struct waiter *waiter = context;

	waiter->tid = (pid_t)syscall(SYS_gettid);
	return (void *)vcpu_run(waiter->vcpu);
}

static void *populate_once(void *context)
{
	struct waiter *waiter = context;

	waiter->tid = (pid_t)syscall(SYS_gettid);
	return (void *)vhm_ioctl(waiter->vcpu->vm->fd, VHM_VM_POPULATE, &waiter->populate);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* The first page of @window is asked for here, and nobody answers. */
static int watch(uint8_t *window, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)window, .len = WINDOW_BYTES }, .mode = mode,
	};
	struct uffdio_writeprotect protect = {
		.range = range.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	const struct sigaction action = { .sa_handler = on_signal };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range) ||
	    (mode == UFFDIO_REGISTER_MODE_WP && ioctl(fd, UFFDIO_WRITEPROTECT, &protect)) ||
	    sigaction(SIGUSR1, &action, NULL))
		give_up("userfaultfd: %s", strerror(errno));
	return fd;
}

/* Somebody waits for the page. */
static void *start_waiter(int fd, void *(*function)(void *context), struct waiter *waiter)
{
	void *thread = thread_start(function, waiter);
	struct uffd_msg message;

	if (read(fd, &message, sizeof(message)) != sizeof(message) ||
	    message.event != UFFD_EVENT_PAGEFAULT)
		give_up("userfaultfd: %s", strerror(errno));
	return thread;
}

static long signal_waiter(struct waiter *waiter, void *thread)
{
	if (syscall(SYS_tgkill, getpid(), waiter->tid, SIGUSR1))
		give_up("tgkill: %s", strerror(errno));
	return (long)thread_join(thread);
}

static long kick_waiter(struct waiter *waiter, void *thread)
{
	must(vcpu_kick(waiter->vcpu));
	return (long)thread_join(thread);
}

static void prepare_access(struct vcpu *vcpu, const uint8_t *code, size_t bytes, uint32_t value)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = WINDOW, .rax = value,
	};

	guest_long(vcpu, code, bytes);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
}

/* Signals and kicks end the wait of a guest for its VMM's answer, and are not lost. */
#define EXPECT_INTERRUPTIBLE(fd, cpu) do {						\
	struct waiter seen_waiter = { .vcpu = cpu };					\
											\
	for (int round = 0; round < 3; round++) {					\
		void *thread = start_waiter(fd, run_once, &seen_waiter);		\
											\
		EXPECT_EQ(-EINTR, signal_waiter(&seen_waiter, thread));			\
		EXPECT_EQ(VHM_EXIT_INTERRUPTED, (cpu)->run->exit_reason);		\
		thread = start_waiter(fd, run_once, &seen_waiter);			\
		EXPECT_EQ(0, kick_waiter(&seen_waiter, thread));			\
		EXPECT_EQ(VHM_EXIT_KICKED, (cpu)->run->exit_reason);			\
	}										\
	/* before it can wait */							\
	must(vcpu_kick(cpu));								\
	EXPECT_EQ(0, vcpu_run(cpu));							\
	EXPECT_EQ(VHM_EXIT_KICKED, (cpu)->run->exit_reason);				\
} while (0)

TEST_F(memory, userfaultfd_missing)
{
	uint32_t source[PAGE_BYTES / 4] = { 0x4711 };
	struct uffdio_copy copy = {
		.dst = (uintptr_t)self->window, .src = (uintptr_t)source, .len = PAGE_BYTES,
	};
	int fd = watch(self->window, UFFDIO_REGISTER_MODE_MISSING);

	prepare_access(&self->vcpu, read_word, CODE_BYTES(read_word), 0);
	EXPECT_INTERRUPTIBLE(fd, &self->vcpu);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_COPY, &copy));
	EXPECT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(0x4711, self->run->io.data);
	close(fd);
}

TEST_F(memory, userfaultfd_write_protected)
{
	struct uffdio_writeprotect allow = {
		.range = { .start = (uintptr_t)self->window, .len = WINDOW_BYTES },
	};
	int fd;

	*word(self->window, 0) = 0x10;
	fd = watch(self->window, UFFDIO_REGISTER_MODE_WP);
	EXPECT_EQ(0x10, guest_read(&self->vcpu, 0));
	prepare_access(&self->vcpu, write_word, CODE_BYTES(write_word), 0x11);
	EXPECT_INTERRUPTIBLE(fd, &self->vcpu);
	EXPECT_EQ(0x10, *word(self->window, 0));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_WRITEPROTECT, &allow));
	EXPECT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_EQ(0x11, *word(self->window, 0));
	close(fd);
}

GUEST_CODE(ask_for_wall_clock, 64,
	"mov	$0x4b564d00, %ecx\n"
	"mov	%ebx, %eax\n"
	"xor	%edx, %edx\n"
	"wrmsr\n"
	"out	%eax, $0x10\n");

/* So is the host's own wait for a page that the guest has its clock in; then it is written. */
TEST_F(memory, userfaultfd_clock)
{
	struct uffdio_zeropage zeros = {
		.range = { .start = (uintptr_t)self->window, .len = PAGE_BYTES },
	};
	struct vhm_paravirt paravirt;
	int fd;

	vcpu_set_cpuid(&self->vcpu);
	fd = watch(self->window, UFFDIO_REGISTER_MODE_MISSING);
	prepare_access(&self->vcpu, ask_for_wall_clock, CODE_BYTES(ask_for_wall_clock), 0);
	EXPECT_INTERRUPTIBLE(fd, &self->vcpu);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_ZEROPAGE, &zeros));
	EXPECT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_NE(0, *word(self->window, 0));		/* version */
	EXPECT_EQ(0, *word(self->window, 0) % 2);

	zeros.range.start += PAGE_BYTES;
	vcpu_get(&self->vcpu, VHM_SECTION_PARAVIRT, &paravirt);
	paravirt.system_time = (WINDOW + PAGE_BYTES) | 1;
	must(vcpu_set(&self->vcpu, VHM_SECTION_PARAVIRT, &paravirt));
	prepare_access(&self->vcpu, read_word, CODE_BYTES(read_word), 0);
	EXPECT_INTERRUPTIBLE(fd, &self->vcpu);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_ZEROPAGE, &zeros));
	EXPECT_EQ(VHM_EXIT_IO, guest_exit(&self->vcpu));
	EXPECT_NE(0, *word(self->window, PAGE_BYTES));
	EXPECT_EQ(0, *word(self->window, PAGE_BYTES) % 2);
	close(fd);
}

/* VHM_VM_POPULATE says how far it came before the signal. */
TEST_F(memory, userfaultfd_populate)
{
	struct waiter waiter = {
		.vcpu = &self->vcpu,
		.populate = {
			.size = sizeof(waiter.populate), .gpa = WINDOW, .bytes = WINDOW_BYTES,
		},
	};
	struct uffdio_zeropage zeros = {
		.range = { .start = (uintptr_t)self->window, .len = PAGE_BYTES },
	};
	int fd = watch(self->window, UFFDIO_REGISTER_MODE_MISSING);

	ASSERT_EQ(0, ioctl(fd, UFFDIO_ZEROPAGE, &zeros));
	EXPECT_EQ(-EINTR, signal_waiter(&waiter, start_waiter(fd, populate_once, &waiter)));
	EXPECT_EQ(WINDOW + PAGE_BYTES, waiter.populate.gpa);
	EXPECT_EQ(WINDOW_BYTES - PAGE_BYTES, waiter.populate.bytes);
	close(fd);
}

/* ------------------------------------------------------------------ files -- */

static int memory_file(void)
{
	int fd = (int)syscall(SYS_memfd_create, "guest", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, WINDOW_BYTES))
		give_up("memfd: %s", strerror(errno));
	return fd;
}

TEST(memfd)
{
	FIXTURE_DATA(memory) self;
	int fd = memory_file();
	uint32_t value = 0x77;
	uint8_t *second;

	setup(&self, map_window(MAP_SHARED, fd));
	second = map_window(MAP_SHARED, fd);
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self.vcpu, 0, 0x66));
	EXPECT_EQ(0x66, *word(second, 0));
	ASSERT_EQ(sizeof(value), pwrite(fd, &value, sizeof(value), 0));
	EXPECT_EQ(0x77, guest_read(&self.vcpu, 0));
	/* a hole, and the end of the file: beyond it there is nothing to give */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE_BYTES));
	EXPECT_EQ(0, guest_read(&self.vcpu, 0));
	ASSERT_EQ(0, ftruncate(fd, PAGE_BYTES));
	EXPECT_EQ(0, guest_read(&self.vcpu, 0));
	EXPECT_EQ(~0u, guest_read(&self.vcpu, PAGE_BYTES));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, self.run->exit_reason);
	ASSERT_EQ(0, ftruncate(fd, WINDOW_BYTES));
	EXPECT_EQ(0, guest_read(&self.vcpu, PAGE_BYTES));
	vcpu_destroy(&self.vcpu);
	vm_destroy(&self.vm);
}

/* What the guest writes into a file's mapping is the file's contents. */
TEST(file)
{
	FIXTURE_DATA(memory) self;
	char name[] = "/tmp/guest-XXXXXX";
	uint32_t value;
	int fd = mkstemp(name);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, unlink(name));
	ASSERT_EQ(0, ftruncate(fd, WINDOW_BYTES));
	setup(&self, map_window(MAP_SHARED, fd));
	EXPECT_EQ(VHM_EXIT_IO, guest_write(&self.vcpu, 8, 0x1234));
	ASSERT_EQ(0, munmap(self.window, WINDOW_BYTES));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(sizeof(value), pread(fd, &value, sizeof(value), 8));
	EXPECT_EQ(0x1234, value);
	vcpu_destroy(&self.vcpu);
	vm_destroy(&self.vm);
}

/* Read-only for the host's mapping: the guest may read. */
TEST(file_read_only)
{
	FIXTURE_DATA(memory) self;
	int fd = memory_file();
	uint32_t value = 0x55;
	uint8_t *window;

	ASSERT_EQ(sizeof(value), pwrite(fd, &value, sizeof(value), 0));
	window = mmap(NULL, WINDOW_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)window);
	setup(&self, window);
	EXPECT_EQ(0x55, guest_read(&self.vcpu, 0));
	EXPECT_EQ(VHM_EXIT_MEMORY_FAULT, guest_write(&self.vcpu, 0, 0x56));
	EXPECT_EQ(0x55, guest_read(&self.vcpu, 0));
	vcpu_destroy(&self.vcpu);
	vm_destroy(&self.vm);
}

TEST_HARNESS_MAIN
