// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest of the instruction tests: see insn_guest.h. Pages of the data that are a device
 * lie there in reverse order, so that an access across two of them takes two.
 */
#include "insn_guest.h"

#include <errno.h>
#include <string.h>

#include "test.h"

#define PAGE			NATIVE_PAGE
#define RAM_BYTES		0x40000u
#define CODE_GPA		0x20000u	/* two pages, not neighbours */
#define STACK_GPA		0x28000u
#define DATA_GPA		0x30000u	/* data pages that are memory */
#define DEVICE_GPA		0x80000000ull

#define RFLAGS_RF		(1u << 16)

/* Access rights as in struct vhm_segment */
#define RIGHTS_DATA		0x93u
#define RIGHTS_CODE		0x9bu
#define RIGHTS_LONG		(1u << 13)
#define RIGHTS_BIG		(1u << 14)
#define RIGHTS_PAGES		(1u << 15)

/* SDM vol. 1, 13.4, XSAVE Area; the AVX component has this offset on every processor */
#define XMM_OFFSET		160u
#define COMPONENTS_OFFSET	512u
#define YMM_OFFSET		576u

struct native guest_native;

static struct vhm_vm *vm;
static uint8_t device[DATA_BYTES];	/* by linear address, whatever the page's gpa */
static bool page_is_device[NATIVE_DATA_PAGES];
static uint64_t data_entry_gpa[NATIVE_DATA_PAGES];

bool guest_open_native(unsigned int code_bits)
{
	static bool is_open;
	uint8_t *xsave;

	if (!is_open && !CHECK(native_open(&guest_native)))
		return false;
	is_open = true;
	if (code_bits == 16 && !CHECK(guest_native.has_16))
		return false;
	/* an x87 control word and an MXCSR to start from */
	xsave = guest_native.state->xsave;
	xsave[0] = 0x7f;
	xsave[1] = 0x03;
	xsave[24] = 0x80;
	xsave[25] = 0x1f;
	return true;
}

static int device_read(void *context, uint64_t gpa, unsigned int bytes, void *data)
{
	uint64_t page = NATIVE_DATA_PAGES - 1 - (gpa - DEVICE_GPA) / PAGE;

	(void)context;
	if (!CHECK(gpa >= DEVICE_GPA && page < NATIVE_DATA_PAGES && gpa % PAGE + bytes <= PAGE))
		return -EIO;
	memcpy(data, &device[page * PAGE + gpa % PAGE], bytes);
	return 0;
}

static int device_write(void *context, uint64_t gpa, unsigned int bytes, const void *data)
{
	uint64_t page = NATIVE_DATA_PAGES - 1 - (gpa - DEVICE_GPA) / PAGE;

	(void)context;
	if (!CHECK(gpa >= DEVICE_GPA && page < NATIVE_DATA_PAGES && gpa % PAGE + bytes <= PAGE))
		return -EIO;
	memcpy(&device[page * PAGE + gpa % PAGE], data, bytes);
	return 0;
}

const struct vhm_callbacks guest_callbacks = {
	.mmio_read = device_read, .mmio_write = device_write,
};

static uint64_t next_table;

/* Maps one page in 4-level tables; returns where its entry is. */
static uint64_t map_page(uint64_t linear, uint64_t gpa)
{
	uint64_t table = GUEST_TABLES_GPA, entry, at = 0;
	int level;

	for (level = 3; level >= 0; level--) {
		at = table + (linear >> (12 + 9 * level) & 511) * 8;
		vhm_vm_read(vm, at, &entry, 8);
		if (!level)
			break;
		if (!entry) {
			entry = next_table | 7;
			next_table += PAGE;
			vhm_vm_write(vm, at, &entry, 8);
		}
		table = entry & ~0xfffull;
	}
	entry = gpa | 7;
	vhm_vm_write(vm, at, &entry, 8);
	return at;
}

void guest_build(struct vhm_vm *guest)
{
	unsigned int i;

	vm = guest;
	vhm_vm_add_memory(vm, 0, RAM_BYTES, 0, NULL);
	next_table = GUEST_TABLES_GPA + PAGE;
	map_page((uintptr_t)guest_native.code, CODE_GPA);
	map_page((uintptr_t)guest_native.code + PAGE, CODE_GPA + 2 * PAGE);
	map_page((uintptr_t)guest_native.stack, STACK_GPA);
	for (i = 0; i < NATIVE_DATA_PAGES; i++)
		data_entry_gpa[i] = map_page((uintptr_t)guest_native.data + i * PAGE, 0);
}

/* Where a data page is, as the guest sees it. */
static uint64_t data_gpa(unsigned int page)
{
	if (page_is_device[page])
		return DEVICE_GPA + (NATIVE_DATA_PAGES - 1 - page) * PAGE;
	return DATA_GPA + page * PAGE;
}

uint64_t guest_data_gpa(uint64_t linear)
{
	uint64_t offset = linear - (uintptr_t)guest_native.data;

	return data_gpa((unsigned int)(offset / PAGE)) + offset % PAGE;
}

static void write_code(uint64_t offset, uint8_t byte)
{
	vhm_vm_write(vm, CODE_GPA + (offset / PAGE) * 2 * PAGE + offset % PAGE, &byte, 1);
}

static void fill_guest(const struct instance *in)
{
	uint64_t skip = in->at - (uintptr_t)guest_native.code;
	unsigned int i;

	for (i = 0; i < NATIVE_DATA_PAGES; i++) {
		uint64_t entry;
		bool exits = (in->linear - (uintptr_t)guest_native.data) / PAGE == i;

		page_is_device[i] = exits || random_below(2);
		entry = data_gpa(i) | 7;
		vhm_vm_write(vm, data_entry_gpa[i], &entry, 8);
		vhm_vm_write(vm, DATA_GPA + i * PAGE, guest_native.data + i * PAGE, PAGE);
	}
	memcpy(device, guest_native.data, DATA_BYTES);
	vhm_vm_write(vm, STACK_GPA, guest_native.stack, PAGE);
	for (i = 0; i < in->code_bytes; i++)
		write_code(skip + i, in->code[i]);
	write_code(skip + i, GUEST_HLT);
}

static void randomize_vectors(void)
{
	static const uint64_t choices[] = { 1, 3, 7 };
	uint64_t components = choices[random_below(guest_native.has_avx ? 3 : 2)];
	uint8_t *xsave = guest_native.state->xsave;
	unsigned int i;

	for (i = XMM_OFFSET; i < XMM_OFFSET + 256; i++)
		xsave[i] = (uint8_t)random64();
	for (i = YMM_OFFSET; i < YMM_OFFSET + 256; i++)
		xsave[i] = (uint8_t)random64();
	memcpy(xsave + COMPONENTS_OFFSET, &components, sizeof(components));
}

static struct vhm_segment segment(const struct instance *in, uint64_t base, uint32_t rights)
{
	bool small = in->code_bits == 16;

	return (struct vhm_segment){
		.base = base, .limit = small ? UINT16_MAX : UINT32_MAX,
		.access_rights = rights | (small ? 0 : RIGHTS_BIG | RIGHTS_PAGES), .selector = 0x18,
	};
}

void guest_segments(const struct instance *in, struct vhm_sregisters *sregs)
{
	struct vhm_segment *code = &sregs->segment[VHM_SEGMENT_CS];
	unsigned int i;

	for (i = 0; i < 6; i++)
		sregs->segment[i] = segment(in, in->data_base, RIGHTS_DATA);
	sregs->segment[VHM_SEGMENT_SS] = segment(in, in->stack_base, RIGHTS_DATA);
	*code = segment(in, in->code_base, RIGHTS_CODE);
	if (in->code_bits == 64)
		code->access_rights ^= RIGHTS_BIG | RIGHTS_LONG;
}

void guest_prepare(const struct instance *in)
{
	unsigned int i;

	for (i = 0; i < DATA_BYTES; i += 8) {
		uint64_t value = random64();

		memcpy(guest_native.data + i, &value, sizeof(value));
	}
	instance_make_equal(in, &guest_native);
	randomize_vectors();
	fill_guest(in);
}

void guest_run_native(const struct instance *in)
{
	memcpy(guest_native.state->gpr, in->gpr, sizeof(in->gpr));
	guest_native.state->rflags = in->rflags;
	guest_native.state->stack_selector =
		in->stack_base == (uintptr_t)guest_native.stack ? NATIVE_STACK_16 : NATIVE_DATA_16;
	native_run(&guest_native, in->code, in->code_bytes, in->at, in->code_bits);
}

/* Lower 32 bytes of vector register @number in an XSAVE area */
static void vector_value(const uint8_t *xsave, unsigned int number, uint8_t value[32])
{
	uint64_t components;

	memset(value, 0, 32);
	memcpy(&components, xsave + COMPONENTS_OFFSET, sizeof(components));
	if (components & 2)
		memcpy(value, xsave + XMM_OFFSET + 16 * number, 16);
	if (components & 4)
		memcpy(value + 16, xsave + YMM_OFFSET + 16 * number, 16);
}

static bool same_vectors(const uint8_t *a, const uint8_t *b)
{
	uint8_t value_a[32], value_b[32];
	unsigned int i;

	for (i = 0; i < 16; i++) {
		vector_value(a, i, value_a);
		vector_value(b, i, value_b);
		if (memcmp(value_a, value_b, 32))
			return false;
	}
	return true;
}

static bool same_memory(void)
{
	static uint8_t page[PAGE];
	unsigned int i;

	for (i = 0; i < NATIVE_DATA_PAGES; i++) {
		const uint8_t *now = device + i * PAGE;

		if (!page_is_device[i]) {
			vhm_vm_read(vm, DATA_GPA + i * PAGE, page, PAGE);
			now = page;
		}
		if (memcmp(now, guest_native.data + i * PAGE, PAGE))
			return false;
	}
	vhm_vm_read(vm, STACK_GPA, page, PAGE);
	return !memcmp(page + 128, guest_native.stack + 128, PAGE - 128);
}

bool guest_compare(const struct instance *in, const struct vhm_registers *regs,
		   const uint8_t *xsave)
{
	const struct native_state *expected = guest_native.state;
	uint64_t mask = ~(uint64_t)(in->undefined | RFLAGS_RF);
	const __u64 *gpr = (const __u64 *)regs;
	bool good = true;
	unsigned int i;

	for (i = 0; i < (in->code_bits == 64 ? 16 : 8); i++) {
		uint64_t value = expected->gpr[i];

		if (in->code_bits != 64)
			value &= UINT32_MAX;
		good &= check_that(gpr[i] == value, __FILE__, __LINE__,
				   "register %u is %#llx, not %#llx, was %#llx", i,
				   (unsigned long long)gpr[i], (unsigned long long)value,
				   (unsigned long long)in->gpr[i]);
	}
	good &= check_that((regs->rflags & mask) == (expected->rflags & mask), __FILE__, __LINE__,
			   "flags are %#llx, not %#llx", (unsigned long long)regs->rflags,
			   (unsigned long long)expected->rflags);
	good &= CHECK(same_memory());
	good &= CHECK(same_vectors(xsave, expected->xsave));
	return good;
}
