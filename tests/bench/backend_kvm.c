// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM, used as directly as its interface allows: no layer of a VMM between an exit and the next
 * KVM_RUN, so that nothing but KVM is measured.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#define CPUID_ENTRIES_MAX	256
#define EXTRA_SLOT		1
#define APIC_TIMER_HZ		1000000000	/* a constant of KVM's local APIC */

struct machine {
	int vm;
	unsigned int vcpus;
	int vcpu[VCPUS_MAX];
	struct kvm_run *run[VCPUS_MAX];
	void *extra;
	uint64_t extra_bytes;
};

static int device;
static size_t run_bytes;

#define IOCTL(fd, command, argument)	must(ioctl(fd, command, argument), "kvm: " #command)

static void kvm_open(void)
{
	device = (int)must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	run_bytes = (size_t)IOCTL(device, KVM_GET_VCPU_MMAP_SIZE, 0);
}

static void set_slot(struct machine *machine, uint32_t slot, uint32_t flags, uint64_t gpa,
		     void *memory, uint64_t bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)memory,
	};

	IOCTL(machine->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void kvm_add_vcpu(struct machine *machine)
{
	unsigned int id = machine->vcpus++;

	machine->vcpu[id] = (int)IOCTL(machine->vm, KVM_CREATE_VCPU, id);
	machine->run[id] = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
				machine->vcpu[id], 0);
	if (machine->run[id] == MAP_FAILED)
		fail("kvm: run page");
}

static struct machine *kvm_create(void *memory, uint64_t bytes, bool apic)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		fail("no memory");
	machine->vm = (int)IOCTL(device, KVM_CREATE_VM, 0);
	if (apic)
		IOCTL(machine->vm, KVM_CREATE_IRQCHIP, 0);
	set_slot(machine, 0, 0, 0, memory, bytes);
	kvm_add_vcpu(machine);
	return machine;
}

static void kvm_destroy(struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < machine->vcpus; i++) {
		munmap(machine->run[i], run_bytes);
		close(machine->vcpu[i]);
	}
	close(machine->vm);
	free(machine);
}

static void kvm_complete(struct machine *machine)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
	} cpuid;
	unsigned int i;

	cpuid.head.nent = CPUID_ENTRIES_MAX;
	IOCTL(device, KVM_GET_SUPPORTED_CPUID, &cpuid);
	for (i = 0; i < machine->vcpus; i++)
		IOCTL(machine->vcpu[i], KVM_SET_CPUID2, &cpuid);
}

static void kvm_start(struct machine *machine, unsigned int vcpu, const struct start *start)
{
	const struct kvm_segment data = {
		.limit = UINT32_MAX, .selector = SELECTOR_DATA, .present = 1, .type = 3,
		.db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = GUEST_CODE,
		.rflags = 2,
		.rbp = start->rounds,
		.rdi = start->operand,
		.rsi = start->stamps,
		.rsp = GUEST_STACK,
	};
	struct kvm_sregs sregs;

	IOCTL(machine->vcpu[vcpu], KVM_GET_SREGS, &sregs);
	sregs.ds = data;
	sregs.es = data;
	sregs.ss = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.cs = data;
	sregs.cs.type = 11;
	sregs.cs.selector = SELECTOR_CODE;
	sregs.cr0 |= 1;
	sregs.gdt = (struct kvm_dtable){ .base = GUEST_GDT, .limit = 23 };
	sregs.idt = (struct kvm_dtable){ .base = GUEST_IDT, .limit = 0x7ff };
	IOCTL(machine->vcpu[vcpu], KVM_SET_SREGS, &sregs);
	IOCTL(machine->vcpu[vcpu], KVM_SET_REGS, &regs);
}

static uint64_t kvm_run(struct machine *machine, unsigned int vcpu)
{
	struct kvm_run *run = machine->run[vcpu];
	uint64_t exits = 0;

	for (;;) {
		if (ioctl(machine->vcpu[vcpu], KVM_RUN, 0) < 0)
			must(-1, "kvm: KVM_RUN");
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.port == PORT_DONE)
				return exits;
			if (run->io.direction == KVM_EXIT_IO_IN)
				*((uint8_t *)run + run->io.data_offset) = DEVICE_VALUE;
			break;
		case KVM_EXIT_MMIO:
			if (!run->mmio.is_write)
				memset(run->mmio.data, DEVICE_VALUE, sizeof(run->mmio.data));
			break;
		default:
			fail("kvm: unexpected exit %u", run->exit_reason);
		}
		exits++;
	}
}

/* Fails with EINTR, which is what was asked for. */
static void kvm_return_at_once(struct machine *machine)
{
	machine->run[0]->immediate_exit = 1;
	ioctl(machine->vcpu[0], KVM_RUN, 0);
	machine->run[0]->immediate_exit = 0;
}

static void kvm_add_memory(struct machine *machine, void *memory, uint64_t bytes)
{
	machine->extra = memory;
	machine->extra_bytes = bytes;
	set_slot(machine, EXTRA_SLOT, 0, GUEST_EXTRA, memory, bytes);
}

static void kvm_remove_memory(struct machine *machine)
{
	set_slot(machine, EXTRA_SLOT, 0, GUEST_EXTRA, NULL, 0);
}

static void kvm_track(struct machine *machine)
{
	set_slot(machine, EXTRA_SLOT, KVM_MEM_LOG_DIRTY_PAGES, GUEST_EXTRA, machine->extra,
		 machine->extra_bytes);
}

static void kvm_untrack(struct machine *machine)
{
	set_slot(machine, EXTRA_SLOT, 0, GUEST_EXTRA, machine->extra, machine->extra_bytes);
}

static void kvm_harvest(struct machine *machine, uint64_t *bitmap)
{
	struct kvm_dirty_log log = { .slot = EXTRA_SLOT, .dirty_bitmap = bitmap };

	IOCTL(machine->vm, KVM_GET_DIRTY_LOG, &log);
}

static uint32_t kvm_apic_timer_hz(struct machine *machine)
{
	(void)machine;
	return APIC_TIMER_HZ;
}

static uint32_t kvm_tsc_khz(struct machine *machine)
{
	return (uint32_t)IOCTL(machine->vcpu[0], KVM_GET_TSC_KHZ, 0);
}

const struct backend backend_kvm = {
	.name = "kvm",
	.open = kvm_open,
	.create = kvm_create,
	.destroy = kvm_destroy,
	.add_vcpu = kvm_add_vcpu,
	.complete = kvm_complete,
	.start = kvm_start,
	.run = kvm_run,
	.return_at_once = kvm_return_at_once,
	.add_memory = kvm_add_memory,
	.remove_memory = kvm_remove_memory,
	.track = kvm_track,
	.untrack = kvm_untrack,
	.harvest = kvm_harvest,
	.apic_timer_hz = kvm_apic_timer_hz,
	.tsc_khz = kvm_tsc_khz,
};
