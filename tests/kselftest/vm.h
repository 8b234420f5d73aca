/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test of the user-space interface needs: a VM, its memory and its vCPUs, by raw
 * ioctls. No library of ours lies between a test and the kernel.
 *
 * Helpers whose failure would make a test meaningless end it with a line that says where; what a
 * test is about it calls itself and judges itself.
 */
#ifndef KSELFTEST_VM_H
#define KSELFTEST_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/vhm.h>

#define PAGE_BYTES	4096u
#define MEMORY_BYTES	(2u << 20)

/* How often to look whether a guest has got somewhere: an emulated host needs time to enter it. */
#define POLL_US		5000

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* End the test: something it stands on is not there. The harness reports the abort. */
#define give_up(...) do {							\
	fprintf(stderr, "# %s:%d: ", __FILE__, __LINE__);			\
	fprintf(stderr, __VA_ARGS__);						\
	fputc('\n', stderr);							\
	abort();								\
} while (0)

/* A call that must succeed; its value. */
#define must(call) ({								\
	long must_value = (call);						\
										\
	if (must_value < 0)							\
		give_up("%s: error %ld", #call, -must_value);			\
	must_value;								\
})

/**
 * struct vm - a VM and its memory
 * @device: /dev/vhm
 * @fd: the VM
 * @memory: @memory_bytes of anonymous memory, in slot 0 from guest-physical address 0
 */
struct vm {
	int device;
	int fd;
	uint8_t *memory;
	size_t memory_bytes;
};

struct vcpu {
	struct vm *vm;
	uint32_t id;
	int fd;
	struct vhm_run *run;
};

/* Value of the ioctl, or -errno. */
long vhm_ioctl(int fd, unsigned long command, const void *argument);

int device_open(void);
struct vhm_info device_info(void);

/* With MEMORY_BYTES of memory; flags as VHM_VM_CREATE's. */
void vm_create(struct vm *vm, uint32_t flags);
void vm_destroy(struct vm *vm);
int vm_create_fd(int device, uint32_t flags);
long vm_add_slot(struct vm *vm, uint32_t id, uint32_t flags, uint64_t gpa, uint64_t bytes,
		 const void *memory);
long vm_remove_slot(struct vm *vm, uint32_t id);
long vm_msi(struct vm *vm, uint64_t address, uint32_t data);

void vcpu_create(struct vcpu *vcpu, struct vm *vm, uint32_t id);
void vcpu_destroy(struct vcpu *vcpu);
int vcpu_create_fd(int vm_fd, uint32_t id);
struct vhm_run *vcpu_map(int vcpu_fd);
/* All that the device offers. */
void vcpu_set_cpuid(struct vcpu *vcpu);

/* VHM_VCPU_RUN: 0 or -errno. */
long vcpu_run(struct vcpu *vcpu);
/* Run to an exit to user space, which must come; its reason. */
uint32_t vcpu_exit(struct vcpu *vcpu);
/* Before the next run: the guest goes on behind the instruction of the last exit. */
void vcpu_retire(struct vcpu *vcpu);
long vcpu_kick(struct vcpu *vcpu);
long vcpu_nmi(struct vcpu *vcpu);
uint64_t vcpu_stat(struct vcpu *vcpu, enum vhm_stat stat);

/* One state section. The load's value is 0 or -errno; a failed read ends the test. */
void vcpu_get_section(struct vcpu *vcpu, uint32_t type, void *payload, uint32_t bytes);
long vcpu_set_section(struct vcpu *vcpu, uint32_t type, const void *payload, uint32_t bytes);

#define vcpu_get(vcpu, type, pointer) \
	vcpu_get_section(vcpu, type, pointer, sizeof(*(pointer)))
#define vcpu_set(vcpu, type, pointer) \
	vcpu_set_section(vcpu, type, pointer, sizeof(*(pointer)))

const char *exit_name(uint32_t reason);

/* Threads of a test. */
void *thread_start(void *(*function)(void *context), void *context);
void *thread_join(void *thread);
uint64_t now_ns(void);
void sleep_us(uint64_t microseconds);
unsigned int cpus_online(void);
void pin(pid_t tid, unsigned int cpu);		/* tid 0: this thread */
/* A field of /proc/meminfo, KiB. */
long meminfo_kib(const char *field);
long available_kib(void);
/* xorshift; never 0. */
uint64_t random_next(uint64_t *state);

#endif /* KSELFTEST_VM_H */
