// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Memory of a stopped guest at linear addresses of one of its vCPUs, and breakpoints.
 *
 * Addresses go through the page tables the vCPU has at this moment, without regard to rights and
 * without a trace in them. Outside 64-bit mode a debugger's address is linear, too: segments
 * are taken to start at 0, as those of systems with paging do.
 */
#include "gdb_target.h"

#include <errno.h>
#include <string.h>

#define INT3		0xccu
#define CHUNK_BYTES	1024u
#define PAGE_BYTES	4096u
#define EXCEPTION_BP	3

/* Guest-physical address of a linear one, and how many bytes there are to the end of its page. */
static int translate(struct vhm_vcpu *vcpu, uint64_t linear, uint64_t *gpa, uint64_t *room)
{
	struct vhm_translation translation;
	struct vhm_paging paging;
	int ret = vhm_vcpu_get_paging(vcpu, &paging);

	if (!ret)
		ret = vhm_translate(vhm_vcpu_vm(vcpu), &paging, linear, VHM_ACCESS_DEBUG,
				    &translation);
	if (ret)
		return ret;
	*gpa = translation.gpa;
	*room = PAGE_BYTES - (linear & (PAGE_BYTES - 1));
	return 0;
}

/* ------------------------------------------------------------------- memory -- */

static void hide_breakpoints(const struct gdb_breakpoints *breakpoints, uint64_t gpa,
			     uint8_t *data, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < breakpoints->software_count; i++) {
		uint64_t offset = breakpoints->software[i].gpa - gpa;

		if (offset < bytes && data[offset] == INT3)
			data[offset] = breakpoints->software[i].byte;
	}
}

/* Their bytes are the debugger's now; the INT3s stay. */
static void keep_breakpoints(struct gdb_breakpoints *breakpoints, uint64_t gpa, uint8_t *data,
			     uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < breakpoints->software_count; i++) {
		uint64_t offset = breakpoints->software[i].gpa - gpa;

		if (offset < bytes) {
			breakpoints->software[i].byte = data[offset];
			data[offset] = INT3;
		}
	}
}

int gdb_reply_memory(struct gdb_link *link, struct vhm_vcpu *vcpu,
		     const struct gdb_breakpoints *breakpoints, uint64_t linear, uint64_t bytes)
{
	struct vhm_vm *vm = vhm_vcpu_vm(vcpu);
	uint8_t data[CHUNK_BYTES];
	uint64_t done = 0;

	if (bytes > (GDB_PACKET_BYTES - 16) / 2)
		bytes = (GDB_PACKET_BYTES - 16) / 2;
	while (done < bytes) {
		uint64_t gpa, room;
		int ret = translate(vcpu, linear + done, &gpa, &room);

		if (room > bytes - done)
			room = bytes - done;
		if (room > sizeof(data))
			room = sizeof(data);
		if (!ret)
			ret = vhm_vm_read(vm, gpa, data, room);
		if (ret)
			return done ? 0 : ret;
		hide_breakpoints(breakpoints, gpa, data, room);
		gdb_reply_hex(link, data, room);
		done += room;
	}
	return 0;
}

int gdb_write_memory(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints, uint64_t linear,
		     uint64_t bytes, const char *text)
{
	struct vhm_vm *vm = vhm_vcpu_vm(vcpu);
	uint8_t data[CHUNK_BYTES];

	if (bytes > GDB_PACKET_BYTES / 2)
		return -EINVAL;
	while (bytes) {
		uint64_t gpa, room;
		int ret = translate(vcpu, linear, &gpa, &room);

		if (ret)
			return ret;
		if (room > bytes)
			room = bytes;
		if (room > sizeof(data))
			room = sizeof(data);
		if (!gdb_parse_bytes(&text, data, room))
			return -EINVAL;
		keep_breakpoints(breakpoints, gpa, data, room);
		ret = vhm_vm_write(vm, gpa, data, room);
		if (ret)
			return ret;
		linear += room;
		bytes -= room;
	}
	return 0;
}

/* ----------------------------------------------------- software breakpoints -- */

static struct gdb_software_breakpoint *find_software(struct gdb_breakpoints *breakpoints,
						     uint64_t linear)
{
	unsigned int i;

	for (i = 0; i < breakpoints->software_count; i++)
		if (breakpoints->software[i].linear == linear)
			return &breakpoints->software[i];
	return NULL;
}

static int insert_software(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints,
			   uint64_t linear)
{
	struct vhm_vm *vm = vhm_vcpu_vm(vcpu);
	struct gdb_software_breakpoint *new = &breakpoints->software[breakpoints->software_count];
	const uint8_t int3 = INT3;
	uint64_t room;
	int ret;

	if (find_software(breakpoints, linear))
		return 0;
	if (breakpoints->software_count == GDB_SOFTWARE_BREAKPOINTS)
		return -ENOSPC;
	new->linear = linear;
	ret = translate(vcpu, linear, &new->gpa, &room);
	if (!ret)
		ret = vhm_vm_read(vm, new->gpa, &new->byte, 1);
	if (ret)
		return ret;
	/* the same byte by another address: what is below is known already */
	hide_breakpoints(breakpoints, new->gpa, &new->byte, 1);
	ret = vhm_vm_write(vm, new->gpa, &int3, 1);
	if (!ret)
		breakpoints->software_count++;
	return ret;
}

/* What the guest has written over it meanwhile stays. */
static void take_out(struct vhm_vm *vm, struct gdb_breakpoints *breakpoints,
		     struct gdb_software_breakpoint *old)
{
	const struct gdb_software_breakpoint gone = *old;
	unsigned int i;
	uint8_t now;

	*old = breakpoints->software[--breakpoints->software_count];
	for (i = 0; i < breakpoints->software_count; i++)
		if (breakpoints->software[i].gpa == gone.gpa)
			return;
	if (!vhm_vm_read(vm, gone.gpa, &now, 1) && now == INT3)
		vhm_vm_write(vm, gone.gpa, &gone.byte, 1);
}

void gdb_breakpoints_clear(struct vhm_vm *vm, struct gdb_breakpoints *breakpoints)
{
	while (breakpoints->software_count)
		take_out(vm, breakpoints, &breakpoints->software[0]);
	memset(breakpoints->hardware, 0, sizeof(breakpoints->hardware));
}

enum gdb_int3 gdb_whose_int3(struct vhm_vcpu *vcpu, const struct gdb_breakpoints *breakpoints)
{
	const struct vhm_run *run = vhm_vcpu_run_page(vcpu);
	struct vhm_sregisters sregs;
	uint64_t linear = run->regs.rip, gpa, room;
	unsigned int i;
	uint8_t byte;

	if (vhm_vcpu_get_sregisters(vcpu, &sregs))
		return GDB_INT3_GUEST;
	/* zero in 64-bit mode */
	linear += sregs.segment[VHM_SEGMENT_CS].base;
	if (translate(vcpu, linear, &gpa, &room))
		return GDB_INT3_GUEST;
	for (i = 0; i < breakpoints->software_count; i++)
		if (breakpoints->software[i].gpa == gpa)
			return breakpoints->software[i].byte == INT3 ? GDB_INT3_GUEST :
								       GDB_INT3_OURS;
	/* with prefixes it is none of ours */
	if (run->insn_bytes == 1 && !vhm_vm_read(vhm_vcpu_vm(vcpu), gpa, &byte, 1) && byte != INT3)
		return GDB_INT3_GONE;
	return GDB_INT3_GUEST;
}

/* ----------------------------------------------------- hardware breakpoints -- */

static int insert_hardware(struct gdb_breakpoints *breakpoints,
			   const struct gdb_hardware_breakpoint *new)
{
	struct gdb_hardware_breakpoint *free = NULL;
	unsigned int i;

	if ((new->bytes != 1 && new->bytes != 2 && new->bytes != 4 && new->bytes != 8) ||
	    new->linear & (new->bytes - 1))
		return -EINVAL;
	for (i = 0; i < GDB_HARDWARE_BREAKPOINTS; i++) {
		struct gdb_hardware_breakpoint *old = &breakpoints->hardware[i];

		if (!old->used)
			free = free ? free : old;
		else if (old->kind == new->kind && old->linear == new->linear &&
			 old->bytes == new->bytes)
			return 0;
	}
	if (!free)
		return -ENOSPC;
	*free = *new;
	return 0;
}

static void remove_hardware(struct gdb_breakpoints *breakpoints,
			    const struct gdb_hardware_breakpoint *gone)
{
	unsigned int i;

	for (i = 0; i < GDB_HARDWARE_BREAKPOINTS; i++) {
		struct gdb_hardware_breakpoint *old = &breakpoints->hardware[i];

		if (old->used && old->kind == gone->kind && old->linear == gone->linear &&
		    old->bytes == gone->bytes)
			old->used = false;
	}
}

/* The processor has no watch for reads alone: GDB then takes one for both. */
static bool to_hardware(uint64_t kind, uint64_t linear, uint64_t bytes,
			struct gdb_hardware_breakpoint *out)
{
	if (kind != GDB_BREAK_HARDWARE && kind != GDB_WATCH_WRITE && kind != GDB_WATCH_ACCESS)
		return false;
	*out = (struct gdb_hardware_breakpoint){
		.used = true, .kind = (enum gdb_breakpoint_kind)kind, .linear = linear,
		.bytes = kind == GDB_BREAK_HARDWARE ? 1 : bytes > 8 ? 0 : (unsigned int)bytes,
	};
	return true;
}

int gdb_breakpoint_insert(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints,
			  uint64_t kind, uint64_t linear, uint64_t bytes)
{
	struct gdb_hardware_breakpoint hardware;

	if (kind == GDB_BREAK_SOFTWARE)
		return insert_software(vcpu, breakpoints, linear);
	if (!to_hardware(kind, linear, bytes, &hardware))
		return -EOPNOTSUPP;
	return insert_hardware(breakpoints, &hardware);
}

int gdb_breakpoint_remove(struct vhm_vcpu *vcpu, struct gdb_breakpoints *breakpoints,
			  uint64_t kind, uint64_t linear, uint64_t bytes)
{
	struct gdb_hardware_breakpoint hardware;
	struct gdb_software_breakpoint *software;

	if (kind == GDB_BREAK_SOFTWARE) {
		software = find_software(breakpoints, linear);
		if (software)
			take_out(vhm_vcpu_vm(vcpu), breakpoints, software);
		return 0;
	}
	if (!to_hardware(kind, linear, bytes, &hardware))
		return -EOPNOTSUPP;
	remove_hardware(breakpoints, &hardware);
	return 0;
}

/* DR7 (SDM vol. 3, 18.2.4, Debug Control Register): enabled in all tasks, kind, length */
static uint64_t dr7_bits(const struct gdb_hardware_breakpoint *breakpoint, unsigned int number)
{
	static const uint8_t length[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	uint64_t kind = breakpoint->kind == GDB_BREAK_HARDWARE ? 0 :
			breakpoint->kind == GDB_WATCH_WRITE ? 1 : 3;

	return 2ull << (2 * number) |
	       ((uint64_t)length[breakpoint->bytes] << 2 | kind) << (16 + 4 * number);
}

void gdb_breakpoints_control(const struct gdb_breakpoints *breakpoints,
			     struct vhm_vcpu_control *control)
{
	unsigned int i;

	memset(control, 0, sizeof(*control));
	control->size = sizeof(*control);
	if (breakpoints->software_count)
		control->exceptions = 1u << EXCEPTION_BP;
	for (i = 0; i < GDB_HARDWARE_BREAKPOINTS; i++) {
		const struct gdb_hardware_breakpoint *breakpoint = &breakpoints->hardware[i];

		if (!breakpoint->used)
			continue;
		control->flags |= VHM_CONTROL_BREAKPOINTS;
		control->breakpoint[i] = breakpoint->linear;
		control->dr7 |= dr7_bits(breakpoint, i);
	}
}
