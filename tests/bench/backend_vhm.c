// SPDX-License-Identifier: GPL-2.0-only
/*
 * VHM, used as a VMM would: through libvhm alone, whose vhm_vcpu_dispatch() decodes and completes
 * what the guest does to devices.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <libvhm.h>

#define RIGHTS_CODE32	0xc09bu		/* code, readable, accessed; present, 32-bit, in pages */
#define RIGHTS_DATA32	0xc093u
#define DONE		1		/* from a callback: the guest is through */

struct machine {
	struct vhm_vm *vm;
	unsigned int vcpus;
	struct vhm_vcpu *vcpu[VCPUS_MAX];
	struct vhm_run *run[VCPUS_MAX];
	uint64_t extra_bytes;
	struct vhm_tracker *tracker;
};

static struct vhm *device;

static void check(int error, enum vhm_step step, const char *what)
{
	if (error < 0)
		fail("vhm: %s: %s (%d)", what, vhm_explain(step, error), error);
}

static void vhm_open_device(void)
{
	check(vhm_open(&device, NULL), VHM_STEP_OPEN, "open");
}

static void vhm_add_vcpu(struct machine *machine)
{
	const struct vhm_events runnable = { .run_state = VHM_RUN_STATE_RUNNABLE };
	unsigned int id = machine->vcpus++;

	check(vhm_vcpu_create(machine->vm, id, &machine->vcpu[id]), VHM_STEP_VCPU, "create vCPU");
	machine->run[id] = vhm_vcpu_run_page(machine->vcpu[id]);
	/* all but the first wait for INIT and SIPI */
	if (id)
		check(vhm_vcpu_set_section(machine->vcpu[id], VHM_SECTION_EVENTS, &runnable,
					   sizeof(runnable)),
		      VHM_STEP_VCPU, "start vCPU");
}

static struct machine *vhm_create(void *memory, uint64_t bytes, bool apic)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	(void)apic;	/* each vCPU has one */
	if (!machine)
		fail("no memory");
	check(vhm_vm_create(device, 0, &machine->vm), VHM_STEP_VM, "create VM");
	check(vhm_vm_add_user_memory(machine->vm, 0, bytes, 0, memory), VHM_STEP_MEMORY, "add memory");
	vhm_add_vcpu(machine);
	return machine;
}

static void vhm_destroy(struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < machine->vcpus; i++)
		vhm_vcpu_destroy(machine->vcpu[i]);
	vhm_vm_destroy(machine->vm);
	free(machine);
}

static void vhm_complete(struct machine *machine)
{
	uint32_t count = vhm_get_info(device)->max_cpuid_entries;
	struct vhm_cpuid_entry *entries = calloc(count, sizeof(*entries));
	unsigned int i;

	if (!entries)
		fail("no memory");
	check(vhm_get_cpuid(device, entries, &count), VHM_STEP_VCPU, "get CPUID");
	for (i = 0; i < machine->vcpus; i++)
		check(vhm_vcpu_set_cpuid(machine->vcpu[i], entries, count), VHM_STEP_VCPU,
		      "set CPUID");
	free(entries);
}

static void vhm_start(struct machine *machine, unsigned int vcpu, const struct start *start)
{
	const struct vhm_segment data = {
		.limit = UINT32_MAX, .access_rights = RIGHTS_DATA32, .selector = SELECTOR_DATA,
	};
	const struct vhm_registers regs = {
		.rip = GUEST_CODE,
		.rflags = 2,
		.rbp = start->rounds,
		.rdi = start->operand,
		.rsi = start->stamps,
		.rsp = GUEST_STACK,
	};
	struct vhm_sregisters sregs;
	int i;

	check(vhm_vcpu_get_sregisters(machine->vcpu[vcpu], &sregs), VHM_STEP_VCPU, "get registers");
	for (i = VHM_SEGMENT_ES; i <= VHM_SEGMENT_GS; i++)
		sregs.segment[i] = data;
	sregs.segment[VHM_SEGMENT_CS].access_rights = RIGHTS_CODE32;
	sregs.segment[VHM_SEGMENT_CS].selector = SELECTOR_CODE;
	sregs.cr0 |= 1;
	sregs.gdt = (struct vhm_descriptor_table){ .base = GUEST_GDT, .limit = 23 };
	sregs.idt = (struct vhm_descriptor_table){ .base = GUEST_IDT, .limit = 0x7ff };
	check(vhm_vcpu_set_sregisters(machine->vcpu[vcpu], &sregs), VHM_STEP_VCPU, "set registers");
	/* Also instead of what is left of the last run's OUT, which never ends. */
	machine->run[vcpu]->regs = regs;
	machine->run[vcpu]->request = VHM_RUN_SET_REGISTERS;
	machine->run[vcpu]->retire_bytes = 0;
}

static int read_port(void *context, uint16_t port, unsigned int bytes, uint32_t *data)
{
	(void)context, (void)port, (void)bytes;
	*data = DEVICE_VALUE;
	return 0;
}

static int write_port(void *context, uint16_t port, unsigned int bytes, uint32_t data)
{
	(void)context, (void)bytes, (void)data;
	return port == PORT_DONE ? DONE : 0;
}

static int read_device(void *context, uint64_t gpa, unsigned int bytes, void *data)
{
	(void)context, (void)gpa;
	memset(data, DEVICE_VALUE, bytes);
	return 0;
}

static int write_device(void *context, uint64_t gpa, unsigned int bytes, const void *data)
{
	(void)context, (void)gpa, (void)bytes, (void)data;
	return 0;
}

static uint64_t vhm_run(struct machine *machine, unsigned int vcpu)
{
	static const struct vhm_callbacks callbacks = {
		.io_read = read_port,
		.io_write = write_port,
		.mmio_read = read_device,
		.mmio_write = write_device,
	};
	uint64_t exits = 0;
	int ret;

	for (;;) {
		ret = vhm_vcpu_run(machine->vcpu[vcpu]);
		if (!ret)
			ret = vhm_vcpu_dispatch(machine->vcpu[vcpu], &callbacks, NULL);
		if (ret == DONE)
			return exits;
		if (ret)
			fail("vhm: exit %s: %d", vhm_exit_name(machine->run[vcpu]->exit_reason), ret);
		exits++;
	}
}

static void vhm_return_at_once(struct machine *machine)
{
	machine->run[0]->request = VHM_RUN_RETURN;
	check(vhm_vcpu_run(machine->vcpu[0]), VHM_STEP_RUN, "return at once");
}

static void vhm_add_memory(struct machine *machine, void *memory, uint64_t bytes)
{
	machine->extra_bytes = bytes;
	check(vhm_vm_add_user_memory(machine->vm, GUEST_EXTRA, bytes, 0, memory), VHM_STEP_MEMORY,
	      "add memory");
}

static void vhm_remove_memory(struct machine *machine)
{
	check(vhm_vm_remove_memory(machine->vm, GUEST_EXTRA), VHM_STEP_MEMORY, "remove memory");
}

static void vhm_track(struct machine *machine)
{
	check(vhm_tracker_create(machine->vm, &machine->tracker), VHM_STEP_MEMORY, "track");
}

static void vhm_untrack(struct machine *machine)
{
	vhm_tracker_destroy(machine->tracker);
}

static void vhm_harvest(struct machine *machine, uint64_t *bitmap)
{
	check(vhm_tracker_harvest(machine->tracker, GUEST_EXTRA, machine->extra_bytes, bitmap,
				  NULL),
	      VHM_STEP_MEMORY, "harvest");
}

static uint32_t vhm_apic_timer_hz(struct machine *machine)
{
	(void)machine;
	return vhm_get_info(device)->apic_timer_hz;
}

static uint32_t vhm_tsc_khz(struct machine *machine)
{
	(void)machine;
	return vhm_get_info(device)->tsc_khz;
}

const struct backend backend_vhm = {
	.name = "vhm",
	.open = vhm_open_device,
	.create = vhm_create,
	.destroy = vhm_destroy,
	.add_vcpu = vhm_add_vcpu,
	.complete = vhm_complete,
	.start = vhm_start,
	.run = vhm_run,
	.return_at_once = vhm_return_at_once,
	.add_memory = vhm_add_memory,
	.remove_memory = vhm_remove_memory,
	.track = vhm_track,
	.untrack = vhm_untrack,
	.harvest = vhm_harvest,
	.apic_timer_hz = vhm_apic_timer_hz,
	.tsc_khz = vhm_tsc_khz,
};
