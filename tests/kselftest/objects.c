// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects and their limits: ids, slots, who may run what, the run page's mapping, and closing
 * descriptors in every order.
 */
#include <kselftest_harness.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

GUEST_CODE(spin, 64, "1: lock incq " MAIL_FLAG "\n jmp 1b\n");
GUEST_CODE(store, 64, "mov %al, (%rbx)\n out %al, $0x10\n");
GUEST_CODE(fetch_byte, 64, "mov (%rbx), %al\n out %al, $0x10\n");

FIXTURE(objects) {
	struct vm vm;
	struct vcpu vcpu;
};

FIXTURE_SETUP(objects)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
}

FIXTURE_TEARDOWN(objects)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* ------------------------------------------------------------------ vCPUs -- */

TEST_F(objects, vcpu_ids)
{
	uint32_t limit = device_info().max_vcpus;
	int last;

	EXPECT_EQ(-EINVAL, vcpu_create_fd(self->vm.fd, limit));
	EXPECT_EQ(-EINVAL, vcpu_create_fd(self->vm.fd, ~0u));
	EXPECT_EQ(-EEXIST, vcpu_create_fd(self->vm.fd, 0));
	last = vcpu_create_fd(self->vm.fd, limit - 1);
	ASSERT_GE(last, 0);
	EXPECT_EQ(-EEXIST, vcpu_create_fd(self->vm.fd, limit - 1));
	/* a vCPU stays part of its VM when its descriptor is closed */
	close(last);
	EXPECT_EQ(-EEXIST, vcpu_create_fd(self->vm.fd, limit - 1));
}

TEST_F(objects, all_vcpus)
{
	uint32_t limit = device_info().max_vcpus;

	for (uint32_t id = 1; id < limit; id++) {
		int fd = vcpu_create_fd(self->vm.fd, id);

		ASSERT_GE(fd, 0);
		close(fd);
	}
}

TEST_F(objects, too_many_descriptors)
{
	int fds[1024], count = 0, last;

	while (count < 1024 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0)
		count++;
	ASSERT_LT(count, 1024);
	EXPECT_EQ(-EMFILE, vm_create_fd(self->vm.device, 0));
	EXPECT_EQ(-EMFILE, vcpu_create_fd(self->vm.fd, 1));
	while (count)
		close(fds[--count]);
	/* the failure left no vCPU behind */
	last = vcpu_create_fd(self->vm.fd, 1);
	EXPECT_GE(last, 0);
	close(last);
}

TEST_F(objects, close_on_exec)
{
	const int fds[] = { self->vm.fd, self->vcpu.fd };

	for (size_t i = 0; i < COUNT(fds); i++)
		EXPECT_EQ(FD_CLOEXEC, fcntl(fds[i], F_GETFD));
}

TEST_F(objects, many_vms)
{
	int vms[64];

	for (size_t i = 0; i < COUNT(vms); i++) {
		vms[i] = vm_create_fd(self->vm.device, 0);
		ASSERT_GE(vms[i], 0);
		ASSERT_GE(vcpu_create_fd(vms[i], 0), 0);
	}
	for (size_t i = 0; i < COUNT(vms); i++)
		close(vms[i]);
}

/* ------------------------------------------------------------------ slots -- */

TEST_F(objects, slot_alignment)
{
	uint8_t *memory = self->vm.memory;
	struct vm *vm = &self->vm;

	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000800, PAGE_BYTES, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, PAGE_BYTES + 1, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, PAGE_BYTES - 1, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, 0, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, PAGE_BYTES, memory + 8));
	EXPECT_EQ(0, vm_add_slot(vm, 1, 0, 0x10000000, PAGE_BYTES, memory));
}

TEST_F(objects, slot_wrap)
{
	uint64_t end = 1ull << device_info().gpa_bits;
	uint8_t *memory = self->vm.memory;
	struct vm *vm = &self->vm;

	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, ~0ull << 12, PAGE_BYTES, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, ~0ull << 12, 2 * PAGE_BYTES, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, PAGE_BYTES, ~0ull << 12, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, end, PAGE_BYTES, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, end - PAGE_BYTES, 2 * PAGE_BYTES, memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 1ull << 63, PAGE_BYTES, memory));
	/* user addresses: beyond the address space, the kernel's, wrapping */
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, PAGE_BYTES, (void *)(~0ull << 12)));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, PAGE_BYTES,
				       (void *)0xffff888000000000));
	EXPECT_EQ(-EINVAL, vm_add_slot(vm, 1, 0, 0x10000000, 1ull << 47, (void *)(1ull << 46)));
	EXPECT_EQ(0, vm_add_slot(vm, 1, 0, end - PAGE_BYTES, PAGE_BYTES, memory));
}

/* The page is the local APIC's, which a guest in xAPIC mode would look for in vain. */
TEST_F(objects, slot_over_apic)
{
	const uint64_t apic = 0xfee00000, bytes = 4 * PAGE_BYTES;
	uint8_t *memory = self->vm.memory;
	struct vm *vm = &self->vm;

	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 1, 0, apic, PAGE_BYTES, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 1, 0, apic, bytes, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 1, 0, apic - bytes + PAGE_BYTES, bytes, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 1, 0, apic - PAGE_BYTES, bytes, memory));
	EXPECT_EQ(0, vm_add_slot(vm, 1, 0, apic - bytes, bytes, memory));
	EXPECT_EQ(0, vm_add_slot(vm, 2, 0, apic + PAGE_BYTES, bytes, memory));
}

TEST_F(objects, slot_overlap)
{
	const uint64_t at = 0x10000000, bytes = 4 * PAGE_BYTES;
	uint8_t *memory = self->vm.memory;
	struct vm *vm = &self->vm;

	ASSERT_EQ(0, vm_add_slot(vm, 1, 0, at, bytes, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 1, 0, 2 * at, bytes, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 2, 0, at, bytes, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 2, 0, at + PAGE_BYTES, PAGE_BYTES, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 2, 0, at - PAGE_BYTES, 2 * PAGE_BYTES, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 2, 0, at + 3 * PAGE_BYTES, bytes, memory));
	EXPECT_EQ(-EEXIST, vm_add_slot(vm, 2, 0, at - PAGE_BYTES, 8 * PAGE_BYTES, memory));
	EXPECT_EQ(0, vm_add_slot(vm, 2, 0, at - PAGE_BYTES, PAGE_BYTES, memory));
	EXPECT_EQ(0, vm_add_slot(vm, 3, 0, at + bytes, PAGE_BYTES, memory));
	EXPECT_EQ(0, vm_remove_slot(vm, 1));
	EXPECT_EQ(-ENOENT, vm_remove_slot(vm, 1));
	EXPECT_EQ(0, vm_add_slot(vm, 1, 0, at, bytes, memory));
}

TEST_F(objects, slot_remove_unknown)
{
	EXPECT_EQ(-ENOENT, vm_remove_slot(&self->vm, 1));
	EXPECT_EQ(-ENOENT, vm_remove_slot(&self->vm, device_info().max_slots - 1));
	EXPECT_EQ(-EINVAL, vm_remove_slot(&self->vm, device_info().max_slots));
}

/* Loads the code and runs it with RBX and AL set. */
static uint32_t run_with(struct vcpu *vcpu, const uint8_t *code, size_t bytes, uint64_t rbx,
			 uint8_t al)
{
	struct vhm_registers regs = {
		.rip = LONG_CODE, .rsp = LONG_STACK(0), .rflags = 2, .rbx = rbx, .rax = al,
	};

	guest_long(vcpu, code, bytes);
	must(vcpu_set(vcpu, VHM_SECTION_REGISTERS, &regs));
	return guest_exit(vcpu);
}

#define RUN_WITH(vcpu, name, rbx, al)	run_with(vcpu, name, CODE_BYTES(name), rbx, al)

TEST_F(objects, read_only_slot)
{
	struct vhm_run *run = self->vcpu.run;
	const uint64_t gpa = 0x40000000;
	uint8_t *byte = self->vm.memory + LONG_DATA;

	ASSERT_EQ(0, vm_add_slot(&self->vm, 1, VHM_SLOT_READONLY, gpa, PAGE_BYTES, byte));
	byte[5] = 0x77;
	EXPECT_EQ(VHM_EXIT_IO, RUN_WITH(&self->vcpu, fetch_byte, gpa + 5, 0));
	EXPECT_EQ(0x77, run->io.data);
	EXPECT_EQ(VHM_EXIT_MMIO, RUN_WITH(&self->vcpu, store, gpa + 5, 0x11));
	EXPECT_EQ(gpa + 5, run->mmio.gpa);
	EXPECT_TRUE(run->mmio.flags & VHM_MMIO_WRITE);
	EXPECT_EQ(0x77, byte[5]);
	/* also when it was read first, and is in the tables */
	EXPECT_EQ(VHM_EXIT_IO, RUN_WITH(&self->vcpu, fetch_byte, gpa + 5, 0));
	EXPECT_EQ(VHM_EXIT_MMIO, RUN_WITH(&self->vcpu, store, gpa + 6, 0x11));
	/* the same memory may be writable elsewhere */
	EXPECT_EQ(VHM_EXIT_IO, RUN_WITH(&self->vcpu, store, LONG_DATA + 5, 0x12));
	EXPECT_EQ(0x12, byte[5]);
}

/* Memory that was taken away is MMIO at once, also if the guest has used it. */
TEST_F(objects, removed_slot_is_gone)
{
	const uint64_t gpa = 0x40000000;

	ASSERT_EQ(0, vm_add_slot(&self->vm, 1, 0, gpa, PAGE_BYTES, self->vm.memory + LONG_DATA));
	EXPECT_EQ(VHM_EXIT_IO, RUN_WITH(&self->vcpu, store, gpa, 1));
	ASSERT_EQ(0, vm_remove_slot(&self->vm, 1));
	EXPECT_EQ(VHM_EXIT_MMIO, RUN_WITH(&self->vcpu, store, gpa, 2));
	EXPECT_EQ(1, self->vm.memory[LONG_DATA]);
}

/* --------------------------------------------------------- other processes -- */

/* In a child: a bit for each call that did not return what it must. */
static int child_calls(struct vm *vm, struct vcpu *vcpu)
{
	struct vhm_registers regs;
	struct vhm_state state = { .size = sizeof(state), .buffer = (uintptr_t)&regs };
	struct vhm_cpuid cpuid = { .size = sizeof(cpuid) };
	struct vhm_apic_access access = { .size = sizeof(access), .offset = 0x20 };
	int wrong = 0;

	wrong |= (vcpu_run(vcpu) != -EPERM) << 0;
	wrong |= (vm_add_slot(vm, 9, 0, 0x10000000, PAGE_BYTES, vm->memory) != -EPERM) << 1;
	wrong |= (vm_remove_slot(vm, 0) != -EPERM) << 2;
	wrong |= (vhm_ioctl(vcpu->fd, VHM_VCPU_GET_STATE, &state) != -EPERM) << 3;
	wrong |= (vhm_ioctl(vcpu->fd, VHM_VCPU_SET_STATE, &state) != -EPERM) << 4;
	wrong |= (vhm_ioctl(vcpu->fd, VHM_VCPU_SET_CPUID, &cpuid) != -EPERM) << 5;
	wrong |= (vhm_ioctl(vcpu->fd, VHM_VCPU_APIC_ACCESS, &access) != -EPERM) << 6;
	/* what any holder of the descriptor may do */
	wrong |= (vcpu_kick(vcpu) != 0) << 7;
	wrong |= (vm_msi(vm, 0xfee00000, 0x40) < 0) << 8;
	return wrong;
}

TEST_F(objects, another_process)
{
	int status, wrong[2] = { 0 };
	pid_t child;

	ASSERT_EQ(0, pipe(wrong));
	child = fork();
	if (child == 0) {
		int bits = child_calls(&self->vm, &self->vcpu);

		_exit(write(wrong[1], &bits, sizeof(bits)) != sizeof(bits));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(sizeof(status), read(wrong[0], &status, sizeof(status)));
	EXPECT_EQ(0, status);
	/* the child's kick */
	EXPECT_EQ(VHM_EXIT_KICKED, vcpu_exit(&self->vcpu));
}

/* Two descriptors from process to process. */
static void send_descriptors(int channel, int first, int second)
{
	union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr align; } control = { 0 };
	struct iovec data = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	const int fds[2] = { first, second };

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(head), fds, sizeof(fds));
	must(sendmsg(channel, &message, 0));
}

static void receive_descriptors(int channel, int fds[2])
{
	union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr align; } control = { 0 };
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	must(recvmsg(channel, &message, 0));
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), 2 * sizeof(int));
}

/* The creator is gone, and its address space: the descriptors live, and can hurt nobody. */
TEST(creator_gone)
{
	int channel[2], fds[2], status;
	struct vm vm = { 0 };
	struct vcpu vcpu = { 0 };
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	child = fork();
	if (child == 0) {
		vm_create(&vm, 0);
		vcpu_create(&vcpu, &vm, 0);
		guest_run_long(&vcpu, store);
		guest_registers(&vcpu)->rbx = LONG_DATA;
		vcpu.run->regs.rip = LONG_CODE;
		vcpu.run->regs.rsp = LONG_STACK(0);
		guest_out(&vcpu, PORT_DONE);
		send_descriptors(channel[1], vm.fd, vcpu.fd);
		_exit(0);
	}
	receive_descriptors(channel[0], fds);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	vm.fd = fds[0];
	vcpu.fd = fds[1];
	EXPECT_EQ(-EPERM, vcpu_run(&vcpu));
	EXPECT_EQ(-EPERM, vm_remove_slot(&vm, 0));
	EXPECT_EQ(0, vcpu_kick(&vcpu));
	EXPECT_EQ(0, vcpu_nmi(&vcpu));
	EXPECT_GE(vm_msi(&vm, 0xfee00000, 0x40), 0);
	EXPECT_GT(vcpu_stat(&vcpu, VHM_STAT_EXITS), 0);
	close(vm.fd);
	EXPECT_EQ(0, vcpu_kick(&vcpu));
	close(vcpu.fd);
}

/* -------------------------------------------------------------- run page -- */

static void *map_page(int fd, size_t bytes, int protection, int flags, off_t offset)
{
	void *page = mmap(NULL, bytes, protection, flags, fd, offset);

	return page == MAP_FAILED ? (void *)(intptr_t)-errno : page;
}

TEST_F(objects, run_page_mapping)
{
	const int rw = PROT_READ | PROT_WRITE;
	int fd = self->vcpu.fd;
	struct vhm_run *second;

#define EXPECT_MAP(error, ...)	EXPECT_EQ(-(error), (intptr_t)map_page(fd, __VA_ARGS__))
	EXPECT_MAP(EINVAL, 2 * PAGE_BYTES, rw, MAP_SHARED, 0);
	EXPECT_MAP(EINVAL, PAGE_BYTES, rw, MAP_SHARED, PAGE_BYTES);
	EXPECT_MAP(EINVAL, PAGE_BYTES, rw, MAP_SHARED, 1ll << 40);
	EXPECT_MAP(EINVAL, PAGE_BYTES, rw, MAP_PRIVATE, 0);
	EXPECT_MAP(EACCES, PAGE_BYTES, rw | PROT_EXEC, MAP_SHARED, 0);
	EXPECT_MAP(EACCES, PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, 0);
	fd = self->vm.fd;
	EXPECT_MAP(ENODEV, PAGE_BYTES, rw, MAP_SHARED, 0);
	second = map_page(self->vcpu.fd, PAGE_BYTES, rw, MAP_SHARED, 0);
	ASSERT_GT((intptr_t)second, 0);
	self->vcpu.run->request = 0x1234;
	EXPECT_EQ(0x1234, second->request);
	second->request = VHM_RUN_RETURN;
	EXPECT_EQ(VHM_EXIT_KICKED, vcpu_exit(&self->vcpu));
	EXPECT_EQ(VHM_EXIT_KICKED, second->exit_reason);
	/* it can become neither executable nor larger later on */
	EXPECT_EQ(-1, mprotect(second, PAGE_BYTES, rw | PROT_EXEC));
	EXPECT_EQ(MAP_FAILED, mremap(second, PAGE_BYTES, 2 * PAGE_BYTES, MREMAP_MAYMOVE));
	EXPECT_EQ(0, munmap(second, PAGE_BYTES));
}

/* Nothing of the kernel's is in the part of the page that is not described. */
TEST_F(objects, run_page_is_clean)
{
	const uint8_t *page = (const uint8_t *)self->vcpu.run;

	for (size_t i = 0; i < PAGE_BYTES; i++)
		ASSERT_EQ(0, page[i]);
}

/* ------------------------------------------------------------- closing -- */

/* Bits of @order say which of the three goes first, second, third. */
TEST(close_in_every_order)
{
	static const int orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	for (size_t i = 0; i < 2 * COUNT(orders); i++) {
		struct vm vm;
		struct vcpu vcpu;
		int fds[3];

		vm_create(&vm, 0);
		vcpu_create(&vcpu, &vm, 0);
		guest_run_long(&vcpu, store);
		guest_registers(&vcpu)->rbx = LONG_DATA;
		vcpu.run->regs.rip = LONG_CODE;
		vcpu.run->regs.rsp = LONG_STACK(0);
		guest_out(&vcpu, PORT_DONE);
		fds[0] = vm.device;
		fds[1] = vm.fd;
		fds[2] = vcpu.fd;
		if (i & 1)
			munmap(vm.memory, vm.memory_bytes);
		for (int n = 0; n < 3; n++)
			EXPECT_EQ(0, close(fds[orders[i / 2][n]]));
		/* the page outlives its vCPU */
		EXPECT_EQ(VHM_EXIT_IO, vcpu.run->exit_reason);
		vcpu.run->request = ~0u;
		munmap(vcpu.run, PAGE_BYTES);
		if (!(i & 1))
			munmap(vm.memory, vm.memory_bytes);
	}
}

/* A vCPU goes on without the descriptors of its VM and of the device. */
TEST_F(objects, vcpu_without_vm_descriptor)
{
	close(self->vm.fd);
	close(self->vm.device);
	EXPECT_EQ(VHM_EXIT_IO, RUN_WITH(&self->vcpu, store, LONG_DATA, 3));
	EXPECT_EQ(3, self->vm.memory[LONG_DATA]);
	self->vm.fd = -1;
	self->vm.device = -1;
}

static void *runner(void *context)
{
	struct vcpu *vcpu = context;

	return (void *)vcpu_run(vcpu);
}

/*
 * Descriptors are closed while another thread is inside VHM_VCPU_RUN. It keeps what it uses; if the
 * host needs the thread meanwhile, the call starts again and finds its descriptor closed.
 */
TEST_F(objects, close_while_running)
{
	volatile uint64_t *counter = guest_mail(&self->vm)->flag;
	int kick = dup(self->vcpu.fd);
	void *thread;
	long value;

	guest_run_long(&self->vcpu, spin);
	thread = thread_start(runner, &self->vcpu);
	while (!*counter)
		sleep_us(POLL_US);
	close(self->vm.fd);
	close(self->vm.device);
	close(self->vcpu.fd);
	sleep_us(POLL_US);
	EXPECT_EQ(0, vhm_ioctl(kick, VHM_VCPU_KICK, NULL));
	value = (long)thread_join(thread);
	EXPECT_TRUE(value == -EBADF ||
		    (value == 0 && self->vcpu.run->exit_reason == VHM_EXIT_KICKED))
		TH_LOG("VHM_VCPU_RUN: %ld", value);
	/* by the descriptor that is left it runs on */
	self->vcpu.fd = kick;
	self->vm.fd = -1;
	self->vm.device = -1;
	self->vcpu.run->request = VHM_RUN_RETURN;
	ASSERT_EQ(VHM_EXIT_KICKED, vcpu_exit(&self->vcpu));
	EXPECT_GT(*counter, 0);
}

/* Not one descriptor is left while the guest runs: the end of the process is the only way out. */
/* Is VMX on? -1: this kernel does not tell. */
static int vmx_held(void)
{
	char states[8192];
	int fd = open("/sys/devices/system/cpu/hotplug/states", O_RDONLY);
	ssize_t bytes;

	if (fd < 0)
		return -1;
	bytes = read(fd, states, sizeof(states) - 1);
	close(fd);
	if (bytes <= 0)
		return -1;
	states[bytes] = 0;
	return !!strstr(states, "virt/vhm:online");
}

/* VMX stays on for the next VM as long as the device is open through which there was one. */
TEST(vmx_is_kept_for_the_next)
{
	int idle = device_open(), device = device_open(), vm;

	if (vmx_held() < 0)
		SKIP(return, "no list of CPU-hotplug states");
	EXPECT_EQ(0, vmx_held());
	vm = vm_create_fd(device, 0);
	ASSERT_GE(vm, 0);
	close(vm);
	EXPECT_EQ(1, vmx_held());
	vm = vm_create_fd(device, 0);
	ASSERT_GE(vm, 0);
	close(device);
	EXPECT_EQ(1, vmx_held());
	close(vm);
	EXPECT_EQ(0, vmx_held());
	close(idle);
}

TEST(exit_while_running)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct vm vm;
		struct vcpu vcpu;
		volatile uint64_t *counter;

		vm_create(&vm, 0);
		vcpu_create(&vcpu, &vm, 0);
		counter = guest_mail(&vm)->flag;
		guest_run_long(&vcpu, spin);
		thread_start(runner, &vcpu);
		while (!*counter)
			sleep_us(POLL_US);
		close(vm.fd);
		close(vm.device);
		close(vcpu.fd);
		munmap(vcpu.run, PAGE_BYTES);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* State cannot be read or written while the vCPU runs, and a second thread waits. */
TEST_F(objects, busy_while_running)
{
	volatile uint64_t *counter = guest_mail(&self->vm)->flag;
	struct vhm_state state = { .size = sizeof(state), .buffer_bytes = 0 };
	struct vhm_registers regs = { .rip = 0 };
	void *thread;

	guest_run_long(&self->vcpu, spin);
	thread = thread_start(runner, &self->vcpu);
	while (!*counter)
		sleep_us(POLL_US);
	EXPECT_EQ(-EBUSY, vhm_ioctl(self->vcpu.fd, VHM_VCPU_GET_STATE, &state));
	EXPECT_EQ(-EBUSY, vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
	EXPECT_EQ(0, vcpu_kick(&self->vcpu));
	EXPECT_EQ(0, (long)thread_join(thread));
	EXPECT_EQ(0, vcpu_set(&self->vcpu, VHM_SECTION_REGISTERS, &regs));
}

TEST_HARNESS_MAIN
