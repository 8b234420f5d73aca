// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhmrun whose guest never stays: again and again, at a random moment, all vCPUs are brought to a
 * stop, their state is saved, a new VM is made of the same memory with new vCPUs, the state is loaded,
 * and the guest goes on there. Neither vhmrun nor the guest knows.
 *
 * Linked with vhmrun's own objects (ld --wrap): it comes between vhmrun and the few functions of
 * libvhm that make, run and interrupt vCPUs. The new objects take the place of the old under the same
 * descriptors and at the same address of the run page, so that libvhm need not know, either.
 *
 * VHM_MOVES: how often at most; VHM_MOVE_TICKS: ticks of the TSC between two, on average; VHM_SEED. At
 * the end a line on standard error tells how often.
 */
#include <errno.h>
#include <fcntl.h>
#include <libvhm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define VCPUS_MAX	64
#define RUN_PAGE_BYTES	4096

int __real_vhm_vm_create(struct vhm *vhm, uint32_t flags, struct vhm_vm **out);
int __real_vhm_vcpu_create(struct vhm_vm *vm, uint32_t id, struct vhm_vcpu **out);
int __real_vhm_vcpu_run(struct vhm_vcpu *vcpu);
int __real_vhm_vm_msi(struct vhm_vm *vm, uint64_t address, uint32_t data);
int __wrap_vhm_vm_create(struct vhm *vhm, uint32_t flags, struct vhm_vm **out);
int __wrap_vhm_vcpu_create(struct vhm_vm *vm, uint32_t id, struct vhm_vcpu **out);
int __wrap_vhm_vcpu_run(struct vhm_vcpu *vcpu);
int __wrap_vhm_vm_msi(struct vhm_vm *vm, uint64_t address, uint32_t data);

/*
 * The world stands still while @mover is true and @busy is 0. A vCPU's thread is busy from one
 * vhm_vcpu_run() to the next: what it does for the guest in between is part of an exit.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int busy;
	bool mover;
	struct vhm_vm *vm;
	uint32_t flags;
	struct vhm_vcpu *vcpu[VCPUS_MAX];
	uint32_t count;
	size_t state_bytes;
	uint64_t seed, random, next_tsc, mean_ticks;
	unsigned int moves, moves_max;
} world = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

static _Thread_local bool is_busy;

#define give_up(...) do {						\
	fprintf(stderr, "moving: " __VA_ARGS__);			\
	fputc('\n', stderr);						\
	abort();							\
} while (0)

static uint64_t random_next(void)
{
	world.random ^= world.random << 13;
	world.random ^= world.random >> 7;
	world.random ^= world.random << 17;
	return world.random;
}

static void choose_next(void)
{
	world.next_tsc = __rdtsc() + (random_next() >> 11) % (2 * world.mean_ticks);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void tell(void)
{
	fprintf(stderr, "moving: %u moves, VHM_SEED=%#llx\n", world.moves,
		(unsigned long long)world.seed);
}

/* --------------------------------------------------------------------------- moving -- */

/* The object of @from is from now on what @to names, and its old one is gone. */
static void replace(int from, int to)
{
	if (dup3(from, to, O_CLOEXEC) < 0)
		give_up("descriptor %d: %s", to, strerror(errno));
	close(from);
}

static int new_vm(void)
{
	struct vhm_vm_create create = { .size = sizeof(create), .flags = world.flags };
	struct vhm_memory_range range = { 0 };
	uint32_t id = 0;
	int device = open("/dev/vhm", O_RDWR | O_CLOEXEC), fd = ioctl(device, VHM_VM_CREATE, &create);

	if (fd < 0)
		give_up("new VM: %s", strerror(errno));
	close(device);
	while (!vhm_vm_next_memory(world.vm, range.gpa + range.bytes, &range)) {
		struct vhm_slot slot = {
			.size = sizeof(slot),
			.flags = range.type == VHM_MEMORY_RESERVED ? VHM_SLOT_READONLY : 0,
			.id = id++,
			.gpa = range.gpa,
			.bytes = range.bytes,
			.user_address = (uintptr_t)vhm_vm_pointer(world.vm, range.gpa, range.bytes),
		};

		if (ioctl(fd, VHM_SLOT_ADD, &slot))
			give_up("memory at %#llx: %s", (unsigned long long)range.gpa, strerror(errno));
	}
	return fd;
}

static void move_vcpu(struct vhm_vcpu *vcpu, int vm_fd, void *buffer)
{
	struct vhm_vcpu_create create = { .size = sizeof(create), .id = vhm_vcpu_id(vcpu) };
	struct vhm_state state = { .size = sizeof(state), .buffer = (uintptr_t)buffer };
	struct vhm_run *run = vhm_vcpu_run_page(vcpu);
	size_t bytes = world.state_bytes;
	struct vhm_run kept;
	int fd = ioctl(vm_fd, VHM_VCPU_CREATE, &create), error;

	if (fd < 0)
		give_up("new vCPU %u: %s", create.id, strerror(errno));
	error = vhm_vcpu_get_state(vcpu, 0, buffer, &bytes);
	if (error)
		give_up("state of vCPU %u: error %d", create.id, -error);
	state.buffer_bytes = bytes;
	if (ioctl(fd, VHM_VCPU_SET_STATE, &state))
		give_up("state of new vCPU %u: %s", create.id, strerror(errno));
	/* an exit that is completed and not yet told to the kernel stands in the run page */
	kept = *run;
	if (mmap(run, RUN_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != run)
		give_up("run page of vCPU %u: %s", create.id, strerror(errno));
	*run = kept;
	replace(fd, vhm_vcpu_fd(vcpu));
}

static void move_all(void)
{
	void *buffer = aligned_alloc(64, (world.state_bytes + 63) & ~(size_t)63);
	int vm_fd = new_vm();
	uint32_t i;

	if (!buffer)
		give_up("no memory");
	for (i = 0; i < world.count; i++)
		move_vcpu(world.vcpu[i], vm_fd, buffer);
	replace(vm_fd, vhm_vm_fd(world.vm));
	free(buffer);
	world.moves++;
}

/* Lock held, this thread is not busy. Threads that end stay busy: nobody waits for them for ever. */
static void stop_and_move(void)
{
	struct timespec until;
	uint32_t i;
	int late = 0;

	world.mover = true;
	for (i = 0; i < world.count; i++)
		vhm_vcpu_kick(world.vcpu[i]);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	while (world.busy && !late)
		late = pthread_cond_timedwait(&world.changed, &world.lock, &until);
	if (!world.busy)
		move_all();
	choose_next();
	world.mover = false;
	pthread_cond_broadcast(&world.changed);
}

static void rest(void)
{
	if (is_busy && !--world.busy)
		pthread_cond_broadcast(&world.changed);
	is_busy = false;
}

static void work(void)
{
	while (world.mover)
		pthread_cond_wait(&world.changed, &world.lock);
	world.busy++;
	is_busy = true;
}

/* --------------------------------------------------------------- in libvhm's place -- */

int __wrap_vhm_vm_create(struct vhm *vhm, uint32_t flags, struct vhm_vm **out)
{
	int ret = __real_vhm_vm_create(vhm, flags, out);

	if (ret)
		return ret;
	world.vm = *out;
	world.flags = flags;
	world.state_bytes = vhm_get_info(vhm)->state_bytes;
	world.moves_max = (unsigned int)number("VHM_MOVES", 1000);
	world.mean_ticks = number("VHM_MOVE_TICKS", 1000000);
	world.seed = world.random = number("VHM_SEED", __rdtsc() | 1);
	choose_next();
	atexit(tell);
	return 0;
}

int __wrap_vhm_vcpu_create(struct vhm_vm *vm, uint32_t id, struct vhm_vcpu **out)
{
	int ret = __real_vhm_vcpu_create(vm, id, out);

	if (ret)
		return ret;
	if (world.count == VCPUS_MAX)
		give_up("too many vCPUs");
	world.vcpu[world.count++] = *out;
	return 0;
}

/* The deadline is ours: vhmrun sets none. */
int __wrap_vhm_vcpu_run(struct vhm_vcpu *vcpu)
{
	struct vhm_run *run = vhm_vcpu_run_page(vcpu);
	int ret;

	do {
		pthread_mutex_lock(&world.lock);
		rest();
		while (world.mover)
			pthread_cond_wait(&world.changed, &world.lock);
		if (world.moves < world.moves_max && __rdtsc() >= world.next_tsc)
			stop_and_move();
		work();
		run->deadline_tsc = world.moves < world.moves_max ? world.next_tsc : 0;
		pthread_mutex_unlock(&world.lock);
		ret = __real_vhm_vcpu_run(vcpu);
	} while (!ret && run->exit_reason == VHM_EXIT_DEADLINE);
	return ret;
}

int __wrap_vhm_vm_msi(struct vhm_vm *vm, uint64_t address, uint32_t data)
{
	bool was_busy = is_busy;
	int ret;

	if (!was_busy) {
		pthread_mutex_lock(&world.lock);
		work();
		pthread_mutex_unlock(&world.lock);
	}
	ret = __real_vhm_vm_msi(vm, address, data);
	if (!was_busy) {
		pthread_mutex_lock(&world.lock);
		rest();
		pthread_mutex_unlock(&world.lock);
	}
	return ret;
}
