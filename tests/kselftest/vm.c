// SPDX-License-Identifier: GPL-2.0-only
/* A VM, its memory and its vCPUs, by raw ioctls. See vm.h. */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

long vhm_ioctl(int fd, unsigned long command, const void *argument)
{
	int value = ioctl(fd, command, argument);

	return value < 0 ? -errno : value;
}

int device_open(void)
{
	int fd = open("/dev/vhm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		give_up("/dev/vhm: %s", strerror(errno));
	return fd;
}

struct vhm_info device_info(void)
{
	struct vhm_info info = { .size = sizeof(info) };
	int device = device_open();

	must(vhm_ioctl(device, VHM_GET_INFO, &info));
	close(device);
	return info;
}

/* -------------------------------------------------------------------- VM -- */

int vm_create_fd(int device, uint32_t flags)
{
	struct vhm_vm_create create = { .size = sizeof(create), .flags = flags };

	return (int)vhm_ioctl(device, VHM_VM_CREATE, &create);
}

void vm_create(struct vm *vm, uint32_t flags)
{
	*vm = (struct vm) { .device = device_open(), .memory_bytes = MEMORY_BYTES };
	vm->fd = (int)must(vm_create_fd(vm->device, flags));
	vm->memory = mmap(NULL, vm->memory_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->memory == MAP_FAILED)
		give_up("guest memory: %s", strerror(errno));
	must(vm_add_slot(vm, 0, 0, 0, vm->memory_bytes, vm->memory));
}

void vm_destroy(struct vm *vm)
{
	close(vm->fd);
	close(vm->device);
	munmap(vm->memory, vm->memory_bytes);
}

long vm_add_slot(struct vm *vm, uint32_t id, uint32_t flags, uint64_t gpa, uint64_t bytes,
		 const void *memory)
{
	struct vhm_slot slot = {
		.size = sizeof(slot),
		.flags = flags,
		.id = id,
		.gpa = gpa,
		.bytes = bytes,
		.user_address = (uintptr_t)memory,
	};

	return vhm_ioctl(vm->fd, VHM_SLOT_ADD, &slot);
}

long vm_remove_slot(struct vm *vm, uint32_t id)
{
	struct vhm_slot slot = { .size = sizeof(slot), .id = id };

	return vhm_ioctl(vm->fd, VHM_SLOT_REMOVE, &slot);
}

long vm_msi(struct vm *vm, uint64_t address, uint32_t data)
{
	struct vhm_msi msi = { .size = sizeof(msi), .data = data, .address = address };

	return vhm_ioctl(vm->fd, VHM_VM_MSI, &msi);
}

/* ------------------------------------------------------------------ vCPU -- */

int vcpu_create_fd(int vm_fd, uint32_t id)
{
	struct vhm_vcpu_create create = { .size = sizeof(create), .id = id };

	return (int)vhm_ioctl(vm_fd, VHM_VCPU_CREATE, &create);
}

struct vhm_run *vcpu_map(int vcpu_fd)
{
	struct vhm_run *run = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				   vcpu_fd, 0);

	if (run == MAP_FAILED)
		give_up("run page: %s", strerror(errno));
	return run;
}

void vcpu_create(struct vcpu *vcpu, struct vm *vm, uint32_t id)
{
	*vcpu = (struct vcpu) { .vm = vm, .id = id };
	vcpu->fd = (int)must(vcpu_create_fd(vm->fd, id));
	vcpu->run = vcpu_map(vcpu->fd);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	munmap(vcpu->run, PAGE_BYTES);
	close(vcpu->fd);
}

void vcpu_set_cpuid(struct vcpu *vcpu)
{
	struct vhm_cpuid_entry entries[256];
	struct vhm_cpuid cpuid = {
		.size = sizeof(cpuid),
		.entry_count = COUNT(entries),
		.entries = (uintptr_t)entries,
	};

	must(vhm_ioctl(vcpu->vm->device, VHM_GET_CPUID, &cpuid));
	must(vhm_ioctl(vcpu->fd, VHM_VCPU_SET_CPUID, &cpuid));
}

long vcpu_run(struct vcpu *vcpu)
{
	return vhm_ioctl(vcpu->fd, VHM_VCPU_RUN, NULL);
}

uint32_t vcpu_exit(struct vcpu *vcpu)
{
	must(vcpu_run(vcpu));
	return vcpu->run->exit_reason;
}

void vcpu_retire(struct vcpu *vcpu)
{
	if (!vcpu->run->insn_bytes)
		give_up("the exit (%s) has no instruction length",
			exit_name(vcpu->run->exit_reason));
	vcpu->run->retire_bytes = vcpu->run->insn_bytes;
}

long vcpu_kick(struct vcpu *vcpu)
{
	return vhm_ioctl(vcpu->fd, VHM_VCPU_KICK, NULL);
}

long vcpu_nmi(struct vcpu *vcpu)
{
	const struct vhm_nmi nmi = { .size = sizeof(nmi) };

	return vhm_ioctl(vcpu->fd, VHM_VCPU_NMI, &nmi);
}

uint64_t vcpu_stat(struct vcpu *vcpu, enum vhm_stat stat)
{
	struct vhm_stats stats = { .size = sizeof(stats) };

	must(vhm_ioctl(vcpu->fd, VHM_VCPU_GET_STATS, &stats));
	return stats.count[stat];
}

/* ----------------------------------------------------------------- state -- */

#define SECTION_BYTES_MAX	16384

struct one_section {
	struct vhm_section head;
	uint8_t payload[SECTION_BYTES_MAX];
} __attribute__((aligned(8)));

void vcpu_get_section(struct vcpu *vcpu, uint32_t type, void *payload, uint32_t bytes)
{
	struct one_section section;
	struct vhm_state state = {
		.size = sizeof(state),
		.sections = 1ull << type,
		.buffer = (uintptr_t)&section,
		.buffer_bytes = sizeof(section),
	};

	must(vhm_ioctl(vcpu->fd, VHM_VCPU_GET_STATE, &state));
	if (section.head.type != type || section.head.bytes != bytes)
		give_up("asked for section %u of %u bytes, got %u of %u", type, bytes,
			section.head.type, section.head.bytes);
	memcpy(payload, section.payload, bytes);
}

long vcpu_set_section(struct vcpu *vcpu, uint32_t type, const void *payload, uint32_t bytes)
{
	struct one_section section = { .head = { .type = type, .version = 1, .bytes = bytes } };
	struct vhm_state state = {
		.size = sizeof(state),
		.buffer = (uintptr_t)&section,
		.buffer_bytes = sizeof(section.head) + (bytes + 7) / 8 * 8,
	};

	if (bytes > sizeof(section.payload))
		give_up("section %u of %u bytes is too large", type, bytes);
	memcpy(section.payload, payload, bytes);
	return vhm_ioctl(vcpu->fd, VHM_VCPU_SET_STATE, &state);
}

const char *exit_name(uint32_t reason)
{
	static const char *const names[] = {
		[VHM_EXIT_NONE] = "none",
		[VHM_EXIT_INTERRUPTED] = "interrupted",
		[VHM_EXIT_KICKED] = "kicked",
		[VHM_EXIT_IO] = "io",
		[VHM_EXIT_MMIO] = "mmio",
		[VHM_EXIT_MSR] = "msr",
		[VHM_EXIT_HLT] = "hlt",
		[VHM_EXIT_HYPERCALL] = "hypercall",
		[VHM_EXIT_SHUTDOWN] = "shutdown",
		[VHM_EXIT_TASK_SWITCH] = "task switch",
		[VHM_EXIT_EXCEPTION] = "exception",
		[VHM_EXIT_IRQ_WINDOW] = "irq window",
		[VHM_EXIT_EOI] = "eoi",
		[VHM_EXIT_MEMORY_FAULT] = "memory fault",
		[VHM_EXIT_ENTRY_FAILED] = "entry failed",
		[VHM_EXIT_UNHANDLED] = "unhandled",
		[VHM_EXIT_RESET] = "reset",
		[VHM_EXIT_DEADLINE] = "deadline",
		[VHM_EXIT_DENIED] = "denied",
	};

	return reason < COUNT(names) && names[reason] ? names[reason] : "unknown";
}

/* ------------------------------------------------------------------ host -- */

void *thread_start(void *(*function)(void *context), void *context)
{
	pthread_t *thread = malloc(sizeof(*thread));

	if (!thread || pthread_create(thread, NULL, function, context))
		give_up("cannot start a thread");
	return thread;
}

void *thread_join(void *thread)
{
	void *value;

	pthread_join(*(pthread_t *)thread, &value);
	free(thread);
	return value;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sleep_us(uint64_t microseconds)
{
	usleep((useconds_t)microseconds);
}

unsigned int cpus_online(void)
{
	return (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
}

void pin(pid_t tid, unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(tid, sizeof(set), &set))
		give_up("sched_setaffinity: %s", strerror(errno));
}

long meminfo_kib(const char *field)
{
	char line[128];
	long value = -1;
	size_t length = strlen(field);
	FILE *file = fopen("/proc/meminfo", "re");

	if (!file)
		give_up("/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, length) && line[length] == ':')
			value = atol(line + length + 1);
	fclose(file);
	if (value < 0)
		give_up("/proc/meminfo has no %s", field);
	return value;
}

/* MemAvailable leaves out free pages that CPUs keep on lists of their own, megabytes of them. */
long available_kib(void)
{
	char line[128];
	long pages = 0, count;
	FILE *file = fopen("/proc/zoneinfo", "re");

	if (!file)
		give_up("/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	fclose(file);
	return meminfo_kib("MemAvailable") + pages * (sysconf(_SC_PAGESIZE) / 1024);
}

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}
