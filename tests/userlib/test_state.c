// SPDX-License-Identifier: GPL-2.0-only
/* Sections: what the iterators make of well-formed, cut and random buffers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "test.h"

static void append_and_find(void)
{
	_Alignas(8) uint8_t buffer[256];
	const struct vhm_section *section;
	size_t used = 0;

	CHECK_EQ(vhm_section_append(buffer, sizeof(buffer), &used, 1, "abc", 3), 0);
	CHECK_EQ(used, sizeof(struct vhm_section) + 8);
	CHECK_EQ(vhm_section_append(buffer, sizeof(buffer), &used, 2, NULL, 0), 0);
	CHECK_EQ(vhm_section_append(buffer, sizeof(buffer), &used, 3, "12345678", 8), 0);
	CHECK_EQ(vhm_sections_check(buffer, used), 0);
	section = vhm_section_find(buffer, used, 3);
	REQUIRE(section);
	CHECK_EQ(section->bytes, 8);
	CHECK(!memcmp(vhm_section_payload(section), "12345678", 8));
	CHECK(!vhm_section_next(buffer, used, section));
	CHECK(!vhm_section_find(buffer, used, 4));
	CHECK(vhm_section_find(buffer, used, 2) == vhm_section_next(buffer, used,
								     vhm_section_first(buffer, used)));
}

static void append_limits(void)
{
	_Alignas(8) uint8_t buffer[64];
	size_t used = 0;

	CHECK_EQ(vhm_section_append(buffer, 23, &used, 1, "12345678", 8), -ENOSPC);
	CHECK_EQ(used, 0);
	CHECK_EQ(vhm_section_append(buffer, 24, &used, 1, "12345678", 8), 0);
	CHECK_EQ(vhm_section_append(buffer, 24, &used, 1, NULL, 0), -ENOSPC);
	used = 4;
	CHECK_EQ(vhm_section_append(buffer, 64, &used, 1, NULL, 0), -EINVAL);
	used = 72;
	CHECK_EQ(vhm_section_append(buffer, 64, &used, 1, NULL, 0), -ENOSPC);
	used = 0;
	CHECK_EQ(vhm_section_append(buffer, 64, &used, 1, buffer, (size_t)UINT32_MAX + 1), -ENOSPC);
	CHECK_EQ(vhm_section_append(buffer, 64, &used, 1, buffer, UINT32_MAX), -ENOSPC);
}

/* Each length of a good buffer: a section is only ever seen whole. */
static void truncated(void)
{
	_Alignas(8) uint8_t buffer[128];
	size_t used = 0, bytes, boundary = sizeof(struct vhm_section) + 16;

	vhm_section_append(buffer, sizeof(buffer), &used, 1, "0123456789", 10);
	vhm_section_append(buffer, sizeof(buffer), &used, 2, "01234567", 8);
	for (bytes = 0; bytes <= used; bytes++) {
		/* a copy of the exact size, so that a sanitizer sees any access beyond */
		uint8_t *copy = aligned_alloc(8, bytes ? (bytes + 7) & ~7ull : 8);
		bool whole = !bytes || bytes == boundary || bytes == used;

		memcpy(copy, buffer, bytes);
		CHECK_EQ(vhm_sections_check(copy, bytes), whole ? 0 : -EINVAL);
		CHECK(!vhm_section_find(copy, bytes, 1) == (bytes < boundary));
		CHECK(!vhm_section_find(copy, bytes, 2) == (bytes < used));
		free(copy);
	}
}

static void malformed(void)
{
	_Alignas(8) struct vhm_section section[4] = { { .type = 1, .bytes = 16 } };

	CHECK(vhm_section_first(section, sizeof(section)));
	section[0].reserved = 1;
	CHECK(!vhm_section_first(section, sizeof(section)));
	CHECK_EQ(vhm_sections_check(section, sizeof(section)), -EINVAL);
	section[0].reserved = 0;
	section[0].bytes = UINT32_MAX;
	CHECK(!vhm_section_first(section, sizeof(section)));
	section[0].bytes = UINT32_MAX - 15;
	CHECK(!vhm_section_first(section, sizeof(section)));
	section[0].bytes = sizeof(section) - sizeof(section[0]) + 1;
	CHECK(!vhm_section_first(section, sizeof(section)));
	CHECK(!vhm_section_first((uint8_t *)section + 4, sizeof(section) - 4));
	CHECK_EQ(vhm_sections_check((uint8_t *)section + 4, sizeof(section) - 4), -EINVAL);
	CHECK(!vhm_section_first(NULL, 0));
	CHECK_EQ(vhm_sections_check(NULL, 0), 0);
}

/* Random bytes: every section handed out lies in the buffer, and the walk ends. */
static void random_buffers(void)
{
	unsigned int round;

	for (round = 0; round < 200000; round++) {
		size_t bytes = random_below(160);
		uint64_t *words = malloc(168);
		const struct vhm_section *section;
		const uint8_t *start = (const uint8_t *)words;
		size_t i, steps = 0;

		for (i = 0; i < 21; i++)
			words[i] = random64() & random64() & random64() & 0x3f0000001full;
		for (section = vhm_section_first(words, bytes); section;
		     section = vhm_section_next(words, bytes, section)) {
			const uint8_t *payload = vhm_section_payload(section);

			CHECK(payload >= start && payload + section->bytes <= start + bytes);
			CHECK(++steps <= 10);
		}
		vhm_sections_check(words, bytes);
		vhm_section_find(words, bytes, 5);
		free(words);
	}
}

static void registers_through_sections(void)
{
	struct vhm_registers regs = { .rax = 1, .r15 = 2, .rip = 3, .rflags = 2 }, read_back;
	struct vhm_sregisters sregs;
	struct test_vm test;
	uint8_t byte;

	test_vm_create(&test);
	CHECK_EQ(vhm_vcpu_set_registers(test.vcpu, &regs), 0);
	CHECK_EQ(vhm_vcpu_get_registers(test.vcpu, &read_back), 0);
	CHECK(!memcmp(&regs, &read_back, sizeof(regs)));
	CHECK_EQ(vhm_vcpu_get_sregisters(test.vcpu, &sregs), 0);
	sregs.cr3 = 0x1234000;
	CHECK_EQ(vhm_vcpu_set_sregisters(test.vcpu, &sregs), 0);
	CHECK_EQ(fake.sregs.cr3, 0x1234000);
	/* a section of another size than asked for, an unknown one */
	CHECK_EQ(vhm_vcpu_get_section(test.vcpu, VHM_SECTION_REGISTERS, &byte, 1), -EPROTO);
	CHECK_EQ(vhm_vcpu_get_section(test.vcpu, VHM_SECTION_DEBUG, &byte, 1), -ENOENT);
	CHECK_EQ(vhm_vcpu_get_section(test.vcpu, 64, &byte, 1), -EINVAL);
	CHECK_EQ(vhm_vcpu_set_section(test.vcpu, 33, &byte, 1), -EOPNOTSUPP);
	test_vm_destroy(&test);
}

static void whole_state(void)
{
	_Alignas(8) uint8_t buffer[FAKE_STATE_BYTES];
	size_t bytes = 8, needed;
	struct test_vm test;

	test_vm_create(&test);
	CHECK_EQ(vhm_vcpu_get_state(test.vcpu, 0, buffer, &bytes), -ENOSPC);
	needed = bytes;
	bytes = sizeof(buffer);
	CHECK_EQ(vhm_vcpu_get_state(test.vcpu, 0, buffer, &bytes), 0);
	CHECK_EQ(bytes, needed);
	CHECK_EQ(vhm_sections_check(buffer, bytes), 0);
	CHECK(vhm_section_find(buffer, bytes, VHM_SECTION_XSAVE));
	CHECK_EQ(vhm_vcpu_set_state(test.vcpu, buffer, bytes), 0);
	CHECK_EQ(vhm_vcpu_set_state(test.vcpu, buffer, bytes - 8), -EINVAL);
	test_vm_destroy(&test);
}

const struct test_case state_cases[] = {
	{ "state: append and find", append_and_find },
	{ "state: limits of append", append_limits },
	{ "state: every truncation", truncated },
	{ "state: malformed sections", malformed },
	{ "state: random buffers", random_buffers },
	{ "state: registers through sections", registers_through_sections },
	{ "state: whole state", whole_state },
	{ 0 },
};
