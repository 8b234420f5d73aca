// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Processor state at an entry point: real mode, flat 32-bit, 64-bit with identity mapping.
 *
 * Owns the GDT and page tables in the boot area (load.h). Selectors are those the boot
 * protocol of Linux asks for (__BOOT_CS 0x10, __BOOT_DS 0x18).
 */
#include "load.h"

#include <string.h>

#define SELECTOR_CODE32		0x08
#define SELECTOR_CODE64		0x10
#define SELECTOR_DATA		0x18
#define SELECTOR_TSS		0x20

#define CR0_PE			(1ull << 0)
#define CR0_ET			(1ull << 4)
#define CR0_NE			(1ull << 5)
#define CR0_PG			(1ull << 31)
#define CR4_PAE			(1ull << 5)
#define EFER_LME		(1ull << 8)
#define EFER_LMA		(1ull << 10)
#define RFLAGS_FIXED		(1ull << 1)

/* Access rights as in struct vhm_segment */
#define RIGHTS_CODE16		0x009bu		/* code, readable, accessed; present */
#define RIGHTS_CODE32		0xc09bu		/* ... 32-bit, in pages */
#define RIGHTS_CODE64		0xa09bu		/* ... 64-bit, in pages */
#define RIGHTS_DATA16		0x0093u		/* data, writable, accessed; present */
#define RIGHTS_DATA32		0xc093u
#define RIGHTS_TSS_BUSY		0x008bu
#define RIGHTS_UNUSABLE		0x10000u

#define ENTRY_PRESENT		(1ull << 0)
#define ENTRY_WRITABLE		(1ull << 1)
#define ENTRY_LARGE		(1ull << 7)

#define TABLE_ENTRIES		512
#define GIGABYTE		(1ull << 30)
#define IDENTITY_DIRECTORIES	4		/* of 1 GiB each */
#define TSS_LIMIT		0x67

/* Descriptors that match the segments below (SDM vol. 3, 3.4.5, Segment Descriptors) */
static const uint64_t gdt[] = {
	[SELECTOR_CODE32 / 8] = 0x00cf9b000000ffff,
	[SELECTOR_CODE64 / 8] = 0x00af9b000000ffff,
	[SELECTOR_DATA / 8] = 0x00cf93000000ffff,
	[SELECTOR_TSS / 8] = 0x00008b0000000067,
	[SELECTOR_TSS / 8 + 1] = 0,	/* upper half in 64-bit mode */
};

/* Not inlined: where they are not written, no page of stack is touched for them. */
static __attribute__((noinline)) int write_directories(struct vhm_vm *vm, uint64_t gpa)
{
	uint64_t table[TABLE_ENTRIES];
	uint64_t i, directory;
	int ret = 0;

	for (directory = 0; !ret && directory < IDENTITY_DIRECTORIES; directory++) {
		for (i = 0; i < TABLE_ENTRIES; i++)
			table[i] = (directory * TABLE_ENTRIES + i) * HUGE_PAGE_BYTES |
				   ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_LARGE;
		ret = vhm_vm_write(vm, gpa + directory * PAGE_BYTES, table, sizeof(table));
	}
	return ret;
}

static int write_table(struct vhm_vm *vm, uint64_t gpa, const uint64_t *entries, size_t bytes)
{
	int ret = vhm_vm_fill(vm, gpa, 0, PAGE_BYTES);

	return ret ? ret : vhm_vm_write(vm, gpa, entries, bytes);
}

/* Few pages are touched, as each of them is one more that the host has to find and clear. */
static int write_page_tables(struct vhm_vm *vm, uint64_t gpa)
{
	bool large = vhm_sys_has_gigabyte_pages();
	uint64_t first = (gpa + PAGE_BYTES) | ENTRY_PRESENT | ENTRY_WRITABLE;
	uint64_t table[IDENTITY_DIRECTORIES];
	uint64_t i;
	int ret = write_table(vm, gpa, &first, sizeof(first));

	if (ret)
		return ret;
	for (i = 0; i < IDENTITY_DIRECTORIES; i++) {
		table[i] = large ? i * GIGABYTE | ENTRY_LARGE : gpa + (2 + i) * PAGE_BYTES;
		table[i] |= ENTRY_PRESENT | ENTRY_WRITABLE;
	}
	ret = write_table(vm, gpa + PAGE_BYTES, table, sizeof(table));
	return ret || large ? ret : write_directories(vm, gpa + 2 * PAGE_BYTES);
}

int load_gdt(struct vhm_vm *vm, uint64_t boot_area_gpa, struct vhm_entry *entry)
{
	entry->gdt_gpa = boot_area_gpa + BOOT_GDT;
	return vhm_vm_write(vm, entry->gdt_gpa, gdt, sizeof(gdt));
}

EXPORT int vhm_write_boot_tables(struct vhm_vm *vm, uint64_t boot_area_gpa,
				 struct vhm_entry *entry)
{
	int ret;

	if (boot_area_gpa & PAGE_OFFSET_MASK || boot_area_gpa > FOUR_GIB - VHM_BOOT_AREA_BYTES)
		return -EINVAL;
	entry->cr3 = boot_area_gpa + BOOT_PAGE_TABLES;
	ret = load_gdt(vm, boot_area_gpa, entry);
	return ret ? ret : write_page_tables(vm, entry->cr3);
}

/* ----------------------------------------------------------------- state -- */

static void set_data_segments(struct vhm_sregisters *sregs, struct vhm_segment data)
{
	static const unsigned int segments[] = {
		VHM_SEGMENT_ES, VHM_SEGMENT_SS, VHM_SEGMENT_DS, VHM_SEGMENT_FS, VHM_SEGMENT_GS,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(segments); i++)
		sregs->segment[segments[i]] = data;
}

static void set_real(struct vhm_sregisters *sregs, const struct vhm_entry *entry)
{
	const struct vhm_segment data = {
		.limit = UINT16_MAX, .access_rights = RIGHTS_DATA16,
	};
	const struct vhm_segment code = {
		.base = (uint64_t)(entry->cs & 0xffff) << 4, .limit = UINT16_MAX,
		.access_rights = RIGHTS_CODE16, .selector = entry->cs & 0xffff,
	};

	set_data_segments(sregs, data);
	sregs->segment[VHM_SEGMENT_CS] = code;
	sregs->gdt = (struct vhm_descriptor_table){ .limit = UINT16_MAX };
	sregs->idt = (struct vhm_descriptor_table){ .limit = 0x3ff };
	sregs->cr0 = CR0_ET | CR0_NE;
	sregs->cr3 = 0;
	sregs->cr4 = 0;
	sregs->efer = 0;
}

static void set_flat(struct vhm_sregisters *sregs, const struct vhm_entry *entry)
{
	const struct vhm_segment data = {
		.limit = UINT32_MAX, .access_rights = RIGHTS_DATA32, .selector = SELECTOR_DATA,
	};
	bool wide = entry->mode == VHM_ENTRY_LONG;
	const struct vhm_segment code = {
		.limit = UINT32_MAX, .access_rights = wide ? RIGHTS_CODE64 : RIGHTS_CODE32,
		.selector = wide ? SELECTOR_CODE64 : SELECTOR_CODE32,
	};

	set_data_segments(sregs, data);
	sregs->segment[VHM_SEGMENT_CS] = code;
	sregs->gdt = (struct vhm_descriptor_table){
		.base = entry->gdt_gpa, .limit = sizeof(gdt) - 1,
	};
	sregs->idt = (struct vhm_descriptor_table){ .limit = 0 };
	sregs->cr0 = CR0_PE | CR0_ET | CR0_NE | (wide ? CR0_PG : 0);
	sregs->cr3 = wide ? entry->cr3 : 0;
	sregs->cr4 = wide ? CR4_PAE : 0;
	sregs->efer = wide ? EFER_LME | EFER_LMA : 0;
}

/* Sections that belong together go in one call: the kernel checks them all before any. */
static int set_state(struct vhm_vcpu *vcpu, const struct vhm_registers *regs,
		     const struct vhm_sregisters *sregs)
{
	struct vhm_events events = { .run_state = VHM_RUN_STATE_RUNNABLE };
	_Alignas(8) uint8_t buffer[sizeof(*regs) + sizeof(*sregs) + sizeof(events) +
				   3 * sizeof(struct vhm_section) + 3 * 8];
	size_t used = 0;
	int ret = vhm_section_append(buffer, sizeof(buffer), &used, VHM_SECTION_SREGISTERS, sregs,
				     sizeof(*sregs));

	if (!ret)
		ret = vhm_section_append(buffer, sizeof(buffer), &used, VHM_SECTION_REGISTERS,
					 regs, sizeof(*regs));
	if (!ret)
		ret = vhm_section_append(buffer, sizeof(buffer), &used, VHM_SECTION_EVENTS, &events,
					 sizeof(events));
	return ret ? ret : vhm_vcpu_set_state(vcpu, buffer, used);
}

EXPORT int vhm_vcpu_set_entry(struct vhm_vcpu *vcpu, const struct vhm_entry *entry)
{
	const struct vhm_registers regs = {
		.rbx = entry->rbx, .rsp = entry->rsp, .rsi = entry->rsi, .rip = entry->rip,
		.rflags = RFLAGS_FIXED,
	};
	struct vhm_sregisters sregs;
	int ret;

	if (entry->mode > VHM_ENTRY_LONG ||
	    (entry->mode == VHM_ENTRY_REAL && entry->rip > UINT16_MAX) ||
	    (entry->mode == VHM_ENTRY_PROTECTED && entry->rip > UINT32_MAX))
		return -EINVAL;
	ret = vhm_vcpu_get_sregisters(vcpu, &sregs);
	if (ret)
		return ret;
	if (entry->mode == VHM_ENTRY_REAL)
		set_real(&sregs, entry);
	else
		set_flat(&sregs, entry);
	sregs.cr2 = 0;
	sregs.cr8 = 0;
	sregs.segment[VHM_SEGMENT_LDTR] = (struct vhm_segment){ .access_rights = RIGHTS_UNUSABLE };
	sregs.segment[VHM_SEGMENT_TR] = (struct vhm_segment){
		.limit = TSS_LIMIT, .access_rights = RIGHTS_TSS_BUSY,
		.selector = entry->mode == VHM_ENTRY_REAL ? 0 : SELECTOR_TSS,
	};
	/* A request that still stands in the run page would undo this. */
	vcpu->run->request &= ~(uint32_t)VHM_RUN_SET_REGISTERS;
	vcpu->run->retire_bytes = 0;
	vcpu->run->inject.flags = 0;
	return set_state(vcpu, &regs, &sregs);
}
