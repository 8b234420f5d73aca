// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Registers of a stopped vCPU, numbered as GDB's amd64 numbers them, and their description.
 *
 * Read from the kernel for each packet: nothing is kept here. General, segment and control
 * registers come from their sections, x87 and SSE from the legacy part of the XSAVE area
 * (SDM vol. 1, 10.5.1, FXSAVE Area).
 */
#include "gdb_target.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LEGACY_BYTES	512
#define LEGACY_ST0	32
#define LEGACY_XMM0	160
#define LEGACY_MXCSR	24
#define XSTATE_FP_SSE	3u

#define REG(name, bits, type)	"<reg name=\"" name "\" bitsize=\"" #bits "\" type=\"" type "\"/>"
#define INT64(name)		REG(name, 64, "int64")
#define INT32(name)		REG(name, 32, "int32")
#define FLOAT(name)		REG(name, 80, "i387_ext")
#define XMM(name)		REG(name, 128, "uint128")
#define CONTROL(name)		"<reg name=\"" name "\" bitsize=\"64\" type=\"int64\" group=\"system\"/>"

const char gdb_target_xml[] =
	"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
	"<target version=\"1.0\"><architecture>i386:x86-64</architecture>"
	"<feature name=\"org.gnu.gdb.i386.core\">"
	INT64("rax") INT64("rbx") INT64("rcx") INT64("rdx") INT64("rsi") INT64("rdi")
	REG("rbp", 64, "data_ptr") REG("rsp", 64, "data_ptr")
	INT64("r8") INT64("r9") INT64("r10") INT64("r11") INT64("r12") INT64("r13") INT64("r14")
	INT64("r15") REG("rip", 64, "code_ptr") INT32("eflags")
	INT32("cs") INT32("ss") INT32("ds") INT32("es") INT32("fs") INT32("gs")
	FLOAT("st0") FLOAT("st1") FLOAT("st2") FLOAT("st3")
	FLOAT("st4") FLOAT("st5") FLOAT("st6") FLOAT("st7")
	INT32("fctrl") INT32("fstat") INT32("ftag") INT32("fiseg") INT32("fioff") INT32("foseg")
	INT32("fooff") INT32("fop")
	"</feature><feature name=\"org.gnu.gdb.i386.sse\">"
	XMM("xmm0") XMM("xmm1") XMM("xmm2") XMM("xmm3") XMM("xmm4") XMM("xmm5") XMM("xmm6")
	XMM("xmm7") XMM("xmm8") XMM("xmm9") XMM("xmm10") XMM("xmm11") XMM("xmm12") XMM("xmm13")
	XMM("xmm14") XMM("xmm15") INT32("mxcsr")
	"</feature><feature name=\"org.gnu.gdb.i386.segments\">"
	INT64("fs_base") INT64("gs_base")
	"</feature><feature name=\"org.vhm.x86.control\">"
	CONTROL("cr0") CONTROL("cr2") CONTROL("cr3") CONTROL("cr4") CONTROL("cr8") CONTROL("efer")
	"</feature></target>";

/* Where a register is. */
enum place {
	IN_REGISTERS,
	IN_SREGISTERS,
	IN_LEGACY,	/* FPU: part of the legacy area */
	IN_TAGS,	/* FPU: the tag word, which the area has abridged */
};

/**
 * struct row - a register
 * @place: of enum place
 * @bytes: size for GDB
 * @stored_bytes: size where it is; the rest reads as zero
 * @read_only: its parts hang together: a debugger must not change this one alone
 * @offset: there
 */
struct row {
	uint8_t place;
	uint8_t bytes;
	uint8_t stored_bytes;
	bool read_only;
	uint16_t offset;
};

#define GENERAL(name)	{ IN_REGISTERS, 8, 8, false, offsetof(struct vhm_registers, name) }
#define SELECTOR(n)	{ IN_SREGISTERS, 4, 4, true, offsetof(struct vhm_sregisters, segment[n].selector) }
#define SYSTEM(name)	{ IN_SREGISTERS, 8, 8, false, offsetof(struct vhm_sregisters, name) }
#define ST(n)		{ IN_LEGACY, 10, 10, false, LEGACY_ST0 + 16 * (n) }
#define XMM_ROW(n)	{ IN_LEGACY, 16, 16, false, LEGACY_XMM0 + 16 * (n) }
#define LEGACY(stored, at) { IN_LEGACY, 4, stored, false, at }

static const struct row rows[] = {
	GENERAL(rax), GENERAL(rbx), GENERAL(rcx), GENERAL(rdx), GENERAL(rsi), GENERAL(rdi),
	GENERAL(rbp), GENERAL(rsp), GENERAL(r8), GENERAL(r9), GENERAL(r10), GENERAL(r11),
	GENERAL(r12), GENERAL(r13), GENERAL(r14), GENERAL(r15), GENERAL(rip),
	{ IN_REGISTERS, 4, 4, false, offsetof(struct vhm_registers, rflags) },
	SELECTOR(VHM_SEGMENT_CS), SELECTOR(VHM_SEGMENT_SS), SELECTOR(VHM_SEGMENT_DS),
	SELECTOR(VHM_SEGMENT_ES), SELECTOR(VHM_SEGMENT_FS), SELECTOR(VHM_SEGMENT_GS),
	ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),
	LEGACY(2, 0), LEGACY(2, 2), { IN_TAGS, 4, 0, true, 4 }, LEGACY(2, 12), LEGACY(4, 8),
	LEGACY(2, 20), LEGACY(4, 16), LEGACY(2, 6),
	XMM_ROW(0), XMM_ROW(1), XMM_ROW(2), XMM_ROW(3), XMM_ROW(4), XMM_ROW(5), XMM_ROW(6),
	XMM_ROW(7), XMM_ROW(8), XMM_ROW(9), XMM_ROW(10), XMM_ROW(11), XMM_ROW(12), XMM_ROW(13),
	XMM_ROW(14), XMM_ROW(15), LEGACY(4, LEGACY_MXCSR),
	SYSTEM(segment[VHM_SEGMENT_FS].base), SYSTEM(segment[VHM_SEGMENT_GS].base),
	SYSTEM(cr0), SYSTEM(cr2), SYSTEM(cr3), SYSTEM(cr4), SYSTEM(cr8), SYSTEM(efer),
};

#define ROW_COUNT	(sizeof(rows) / sizeof(rows[0]))

/**
 * struct snapshot - all that rows refer to
 * @regs: general registers
 * @sregs: segments, control registers
 * @xsave: section buffer, aligned; its payload begins with the legacy area
 * @xsave_bytes: its size
 * @legacy: in @xsave
 */
struct snapshot {
	struct vhm_registers regs;
	struct vhm_sregisters sregs;
	void *xsave;
	size_t xsave_bytes;
	uint8_t *legacy;
};

static void put_snapshot(struct snapshot *snapshot)
{
	free(snapshot->xsave);
}

/*
 * A component that its header says is in its initial state has undefined bytes: give it its
 * initial ones (SDM vol. 1, 13.6, Processor Tracking of XSAVE-Managed State).
 */
static void settle_legacy(uint8_t *legacy)
{
	static const uint8_t initial_x87[24] = { 0x7f, 0x03 };
	static const uint8_t initial_mxcsr[4] = { 0x80, 0x1f };
	uint8_t *header = legacy + LEGACY_BYTES;

	if (!(*header & 1)) {
		memcpy(legacy, initial_x87, sizeof(initial_x87));
		memset(legacy + LEGACY_ST0, 0, LEGACY_XMM0 - LEGACY_ST0);
	}
	if (!(*header & 2)) {
		memset(legacy + LEGACY_XMM0, 0, 16 * 16);
		memcpy(legacy + LEGACY_MXCSR, initial_mxcsr, sizeof(initial_mxcsr));
	}
	*header |= XSTATE_FP_SSE;
}

static int get_xsave(struct vhm_vcpu *vcpu, struct snapshot *snapshot)
{
	const struct vhm_section *section;
	size_t bytes = 4096;
	int ret;

	do {
		free(snapshot->xsave);
		snapshot->xsave = aligned_alloc(64, bytes);
		if (!snapshot->xsave)
			return -ENOMEM;
		snapshot->xsave_bytes = bytes;
		ret = vhm_vcpu_get_state(vcpu, 1ull << VHM_SECTION_XSAVE, snapshot->xsave,
					 &snapshot->xsave_bytes);
		bytes = (snapshot->xsave_bytes + 63) & ~(size_t)63;
	} while (ret == -ENOSPC && bytes <= 65536);
	if (ret)
		return ret;
	section = vhm_section_find(snapshot->xsave, snapshot->xsave_bytes, VHM_SECTION_XSAVE);
	if (!section || section->bytes < LEGACY_BYTES + 64)
		return -EPROTO;
	snapshot->legacy = (uint8_t *)snapshot->xsave +
			   ((const uint8_t *)vhm_section_payload(section) -
			    (const uint8_t *)snapshot->xsave);
	settle_legacy(snapshot->legacy);
	return 0;
}

static int get_snapshot(struct vhm_vcpu *vcpu, struct snapshot *snapshot)
{
	int ret;

	memset(snapshot, 0, sizeof(*snapshot));
	ret = vhm_vcpu_get_registers(vcpu, &snapshot->regs);
	if (!ret)
		ret = vhm_vcpu_get_sregisters(vcpu, &snapshot->sregs);
	return ret ? ret : get_xsave(vcpu, snapshot);
}

static uint8_t *find(struct snapshot *snapshot, const struct row *row)
{
	switch (row->place) {
	case IN_REGISTERS:
		return (uint8_t *)&snapshot->regs + row->offset;
	case IN_SREGISTERS:
		return (uint8_t *)&snapshot->sregs + row->offset;
	default:
		return snapshot->legacy + row->offset;
	}
}

/* One bit a register, in the order of the registers, for two bits: valid or empty. */
static uint32_t full_tag_word(const uint8_t *legacy)
{
	uint32_t tags = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (!(legacy[4] >> i & 1))
			tags |= 3u << (2 * i);
	return tags;
}

static void read_row(struct snapshot *snapshot, const struct row *row, uint8_t value[16])
{
	uint32_t tags;

	memset(value, 0, 16);
	if (row->place == IN_TAGS) {
		tags = full_tag_word(snapshot->legacy);
		memcpy(value, &tags, sizeof(tags));
		return;
	}
	memcpy(value, find(snapshot, row), row->stored_bytes);
}

/* False: it cannot be changed, or not to this. */
static bool write_row(struct snapshot *snapshot, const struct row *row, const uint8_t value[16])
{
	static const uint8_t zero[16];
	uint8_t old[16];

	read_row(snapshot, row, old);
	if (!memcmp(old, value, row->bytes))
		return true;
	if (row->read_only || memcmp(value + row->stored_bytes, zero, row->bytes - row->stored_bytes))
		return false;
	memcpy(find(snapshot, row), value, row->stored_bytes);
	return true;
}

static int load_section(struct vhm_vcpu *vcpu, const struct snapshot *snapshot, uint8_t place)
{
	switch (place) {
	case IN_REGISTERS:
		return vhm_vcpu_set_registers(vcpu, &snapshot->regs);
	case IN_SREGISTERS:
		return vhm_vcpu_set_sregisters(vcpu, &snapshot->sregs);
	default:
		return vhm_vcpu_set_state(vcpu, snapshot->xsave, snapshot->xsave_bytes);
	}
}

int gdb_reply_registers(struct gdb_link *link, struct vhm_vcpu *vcpu)
{
	struct snapshot snapshot;
	int ret = get_snapshot(vcpu, &snapshot);
	uint8_t value[16];
	size_t i;

	for (i = 0; !ret && i < ROW_COUNT; i++) {
		read_row(&snapshot, &rows[i], value);
		gdb_reply_hex(link, value, rows[i].bytes);
	}
	put_snapshot(&snapshot);
	return ret;
}

int gdb_reply_register(struct gdb_link *link, struct vhm_vcpu *vcpu, uint64_t number)
{
	struct snapshot snapshot;
	uint8_t value[16];
	int ret;

	if (number >= ROW_COUNT)
		return -EINVAL;
	ret = get_snapshot(vcpu, &snapshot);
	if (!ret) {
		read_row(&snapshot, &rows[number], value);
		gdb_reply_hex(link, value, rows[number].bytes);
	}
	put_snapshot(&snapshot);
	return ret;
}

int gdb_set_registers(struct vhm_vcpu *vcpu, const char *text)
{
	struct snapshot snapshot;
	int ret = get_snapshot(vcpu, &snapshot);
	uint8_t place, value[16];
	size_t i;

	for (i = 0; !ret && i < ROW_COUNT; i++)
		if (!gdb_parse_bytes(&text, value, rows[i].bytes) ||
		    !write_row(&snapshot, &rows[i], value))
			ret = -EINVAL;
	for (place = IN_REGISTERS; !ret && place <= IN_LEGACY; place++)
		ret = load_section(vcpu, &snapshot, place);
	put_snapshot(&snapshot);
	return ret;
}

int gdb_set_register(struct vhm_vcpu *vcpu, uint64_t number, const char *text)
{
	struct snapshot snapshot;
	uint8_t value[16] = { 0 };
	int ret;

	if (number >= ROW_COUNT || !gdb_parse_bytes(&text, value, rows[number].bytes))
		return -EINVAL;
	ret = get_snapshot(vcpu, &snapshot);
	if (!ret && !write_row(&snapshot, &rows[number], value))
		ret = -EINVAL;
	if (!ret)
		ret = load_section(vcpu, &snapshot, rows[number].place);
	put_snapshot(&snapshot);
	return ret;
}
