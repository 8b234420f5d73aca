// SPDX-License-Identifier: GPL-2.0-only
/*
 * As many slots as a VM may have. Apart from the other tests of slots, as a debug kernel takes a minute
 * for it.
 */
#include <kselftest_harness.h>

#include <errno.h>

#include "guest.h"

GUEST_CODE(fetch_byte, 64, "mov (%rbx), %al\n out %al, $0x10\n");

FIXTURE(slots) {
	struct vm vm;
	struct vcpu vcpu;
};

FIXTURE_SETUP(slots)
{
	vm_create(&self->vm, 0);
	vcpu_create(&self->vcpu, &self->vm, 0);
}

FIXTURE_TEARDOWN(slots)
{
	vcpu_destroy(&self->vcpu);
	vm_destroy(&self->vm);
}

/* All ids at once, in an order that is neither up nor down; the guest sees each. */
TEST_F_TIMEOUT(slots, all, 120)
{
	uint32_t count = device_info().max_slots;
	struct vhm_run *run = self->vcpu.run;

	for (uint32_t i = 1; i < count; i++) {
		uint32_t id = i * 2654435761u % count;	/* odd factor: each id once */

		if (id == 0)
			continue;
		ASSERT_EQ(0, vm_add_slot(&self->vm, id, 0, 0x40000000ull + id * PAGE_BYTES,
					 PAGE_BYTES, self->vm.memory + LONG_DATA));
	}
	EXPECT_EQ(-EEXIST, vm_add_slot(&self->vm, count - 1, 0, 0x80000000, PAGE_BYTES,
				       self->vm.memory));
	EXPECT_EQ(-EINVAL, vm_add_slot(&self->vm, count, 0, 0x80000000, PAGE_BYTES,
				       self->vm.memory));
	self->vm.memory[LONG_DATA] = 0x5a;
	for (uint32_t id = 1; id < count; id += 511) {
		guest_run_long(&self->vcpu, fetch_byte);
		guest_registers(&self->vcpu)->rbx = 0x40000000ull + id * PAGE_BYTES;
		run->regs.rip = LONG_CODE;
		run->regs.rsp = LONG_STACK(0);
		EXPECT_EQ(0x5a, guest_out(&self->vcpu, PORT_DONE));
	}
	for (uint32_t id = 1; id < count; id++)
		ASSERT_EQ(0, vm_remove_slot(&self->vm, id));
}

TEST_HARNESS_MAIN
