// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-table walk: tables are built from randomly chosen rights, and the outcome is derived
 * from the choices, not from the entries.
 *
 * The rules here are a second reading of SDM vol. 3, 4.6 and 4.7, written as one list of
 * reasons to fault.
 */
#include <errno.h>
#include <string.h>

#include "fake.h"
#include "test.h"

#define PAGE		4096ull
#define TABLES		0x10000ull	/* gpa of the tables, one page a level */
#define MEMORY_BYTES	(1ull << 20)

#define PG		(1ull << 31)
#define WP		(1ull << 16)
#define PSE		(1ull << 4)
#define PAE		(1ull << 5)
#define LA57		(1ull << 12)
#define SMEP		(1ull << 20)
#define SMAP		(1ull << 21)
#define PKE		(1ull << 22)
#define LME_LMA		(1ull << 8 | 1ull << 10)
#define NXE		(1ull << 11)
#define AC		(1ull << 18)

/* Levels are counted from the leaf's smallest size: 1 is a 4 KiB entry. */
struct choice {
	unsigned int levels;		/* 2: 32-bit, 3: PAE, 4, 5 */
	unsigned int leaf;		/* level of the leaf */
	unsigned int absent;		/* level of an entry that is not present, 0: none */
	unsigned int reserved;		/* level of an entry with a reserved bit, 0: none */
	bool writable[6], user[6], no_execute[6];
	unsigned int key;
	uint64_t linear, target;
	struct vhm_paging paging;
	uint32_t access;
};

static unsigned int shift_of(const struct choice *c, unsigned int level)
{
	return 12 + (level - 1) * (c->levels == 2 ? 10 : 9);
}

static bool is_pdpte(const struct choice *c, unsigned int level)
{
	return c->levels == 3 && level == 3;
}

static bool coin(void)
{
	return random64() & 1;
}

static void choose_mode(struct choice *c)
{
	static const unsigned int most_leaf[] = { 0, 0, 2, 2, 3, 3 };

	memset(c, 0, sizeof(*c));
	c->levels = 2 + random_below(4);
	c->leaf = 1 + random_below(most_leaf[c->levels]);
	c->paging.cr0 = PG | 1 | (coin() ? WP : 0);
	c->paging.cr3 = TABLES;
	c->paging.cr4 = (coin() ? SMEP : 0) | (coin() ? SMAP : 0) | (coin() ? PKE : 0);
	c->paging.rflags = coin() ? AC : 0;
	c->paging.pkru = (uint32_t)random64();
	if (coin())
		c->paging.efer |= NXE;
	if (c->levels == 2)
		c->paging.cr4 |= c->leaf == 2 || coin() ? PSE : 0;
	else
		c->paging.cr4 |= PAE | (coin() ? PSE : 0);
	if (c->levels >= 4)
		c->paging.efer |= LME_LMA;
	if (c->levels == 5)
		c->paging.cr4 |= LA57;
}

static void choose_rights(struct choice *c)
{
	unsigned int level;

	for (level = 1; level <= c->levels; level++) {
		c->writable[level] = random_below(4) || is_pdpte(c, level);
		c->user[level] = random_below(4) || is_pdpte(c, level);
		c->no_execute[level] = !random_below(6) && c->levels > 2 && !is_pdpte(c, level) &&
				       c->paging.efer & NXE;
	}
	level = c->leaf + random_below(c->levels - c->leaf + 1);
	if (!random_below(10))
		c->absent = level;
	/* 32-bit paging has reserved bits in 4 MiB entries only */
	else if (!random_below(10) && (c->levels > 2 || level == 2) &&
		 (c->levels > 2 || c->leaf == 2))
		c->reserved = level;
	c->key = random_below(16);
}

static void choose_access(struct choice *c)
{
	unsigned int bits = c->levels == 5 ? 57 : c->levels == 4 ? 48 : 32;

	c->access = (coin() ? VHM_ACCESS_USER : 0) |
		    (random_below(4) ? 0 : VHM_ACCESS_IMPLICIT);
	switch (random_below(3)) {
	case 0:
		c->access |= VHM_ACCESS_WRITE;
		break;
	case 1:
		c->access |= VHM_ACCESS_FETCH;
		c->access &= ~(uint32_t)VHM_ACCESS_IMPLICIT;
		break;
	}
	c->linear = random64() & ((1ull << bits) - 1);
	if (bits > 32)
		c->linear = (uint64_t)((int64_t)(c->linear << (64 - bits)) >> (64 - bits));
	c->target = random64() & (c->levels == 2 && c->leaf == 1 ? UINT32_MAX : (1ull << 40) - 1);
	c->target &= ~((1ull << shift_of(c, c->leaf)) - 1);
}

static uint64_t reserved_bit(const struct choice *c, unsigned int level)
{
	if (c->levels == 2)
		return 1ull << 21;
	if (is_pdpte(c, level))
		return coin() ? 1ull << 1 : 1ull << 63;
	if (level == c->leaf && level > 1 && coin())
		return 1ull << 13;
	if (level >= 4 && coin())
		return 1ull << 7;
	if (!(c->paging.efer & NXE) && coin())
		return 1ull << 63;
	if (c->levels == 3 && coin())
		return 1ull << 62;
	return 1ull << (46 + random_below(6));	/* the fake host has 46 bits */
}

static uint64_t entry_for(const struct choice *c, unsigned int level)
{
	uint64_t entry = 1;

	if (level == c->absent)
		return random64() & ~1ull;
	if (level > c->leaf)
		entry |= TABLES + (c->levels - level + 1) * PAGE;
	else if (c->levels == 2 && level == 2)
		entry |= (c->target & 0xffc00000) | (c->target >> 32 & 0xff) << 13;
	else
		entry |= c->target;
	if (!is_pdpte(c, level)) {
		entry |= (c->writable[level] ? 2 : 0) | (c->user[level] ? 4 : 0);
		entry |= c->no_execute[level] ? 1ull << 63 : 0;
	}
	if (level == c->leaf && level > 1)
		entry |= 1 << 7;
	if (level == c->leaf && c->levels >= 4)
		entry |= (uint64_t)c->key << 59;
	if (level == c->reserved)
		entry |= reserved_bit(c, level);
	return entry;
}

static uint64_t entry_gpa(const struct choice *c, unsigned int level)
{
	unsigned int index_bits = c->levels == 2 ? 10 : 9, bytes = c->levels == 2 ? 4 : 8;
	uint64_t index = c->linear >> shift_of(c, level) & ((1u << index_bits) - 1);

	return TABLES + (c->levels - level) * PAGE + index * bytes;
}

static void build(struct vhm_vm *vm, const struct choice *c)
{
	unsigned int level;

	vhm_vm_fill(vm, TABLES, 0, 6 * PAGE);
	for (level = c->levels; level >= c->leaf; level--) {
		uint64_t entry = entry_for(c, level);

		vhm_vm_write(vm, entry_gpa(c, level), &entry, c->levels == 2 ? 4 : 8);
	}
}

struct rights {
	bool writable, user, no_execute;
};

static struct rights combined(const struct choice *c)
{
	struct rights rights = { true, true, false };
	unsigned int level;

	for (level = c->leaf; level <= c->levels; level++) {
		rights.writable &= c->writable[level];
		rights.user &= c->user[level];
		rights.no_execute |= c->no_execute[level];
	}
	return rights;
}

static bool key_forbids(const struct choice *c, const struct rights *rights)
{
	bool user_mode = c->access & VHM_ACCESS_USER;

	if (c->levels < 4 || !(c->paging.cr4 & PKE) || !rights->user ||
	    c->access & VHM_ACCESS_FETCH)
		return false;
	if (c->paging.pkru >> 2 * c->key & 1)
		return true;
	return c->paging.pkru >> (2 * c->key + 1) & 1 && c->access & VHM_ACCESS_WRITE &&
	       (user_mode || c->paging.cr0 & WP);
}

static bool rights_forbid(const struct choice *c, const struct rights *rights)
{
	bool write = c->access & VHM_ACCESS_WRITE, fetch = c->access & VHM_ACCESS_FETCH;
	bool implicit = c->access & VHM_ACCESS_IMPLICIT;
	bool supervisor = !(c->access & VHM_ACCESS_USER) || implicit;

	if (!supervisor && !rights->user)
		return true;
	if (!supervisor && write && !rights->writable)
		return true;
	if (supervisor && write && !rights->writable && c->paging.cr0 & WP)
		return true;
	if (supervisor && !fetch && rights->user && c->paging.cr4 & SMAP &&
	    (implicit || !(c->paging.rflags & AC)))
		return true;
	if (fetch && rights->no_execute)
		return true;
	return supervisor && fetch && rights->user && c->paging.cr4 & SMEP;
}

/* 0, or the error code | 1 << 31 */
static uint32_t expected_fault(const struct choice *c)
{
	struct rights rights = combined(c);
	uint32_t code = 0;

	if (c->access & VHM_ACCESS_WRITE)
		code |= 2;
	if (c->access & VHM_ACCESS_USER && !(c->access & VHM_ACCESS_IMPLICIT))
		code |= 4;
	if (c->access & VHM_ACCESS_FETCH &&
	    (c->paging.cr4 & SMEP || (c->levels > 2 && c->paging.efer & NXE)))
		code |= 16;
	if (c->absent)
		return code | 1u << 31;
	if (c->reserved)
		return code | 8 | 1 | 1u << 31;
	if (key_forbids(c, &rights))
		return code | 32 | 1 | 1u << 31;
	if (rights_forbid(c, &rights))
		return code | 1 | 1u << 31;
	return 0;
}

static void check_flags(struct vhm_vm *vm, const struct choice *c, bool faulted)
{
	unsigned int level;

	for (level = c->leaf; level <= c->levels; level++) {
		bool accessed = !faulted && !(c->access & VHM_ACCESS_DEBUG) && !is_pdpte(c, level);
		bool dirty = accessed && level == c->leaf && c->access & VHM_ACCESS_WRITE;
		uint64_t entry = 0;

		if (c->absent == level || is_pdpte(c, level))
			continue;
		vhm_vm_read(vm, entry_gpa(c, level), &entry, c->levels == 2 ? 4 : 8);
		CHECK_EQ(entry >> 5 & 1, accessed);
		CHECK_EQ(entry >> 6 & 1, dirty);
	}
}

static void check_walk(struct vhm_vm *vm, struct choice *c)
{
	struct vhm_translation out;
	uint32_t fault = expected_fault(c);
	uint64_t page = 1ull << shift_of(c, c->leaf);
	int ret = vhm_translate(vm, &c->paging, c->linear, c->access, &out);

	CHECK_EQ(ret, fault ? -EFAULT : 0);
	if (fault) {
		CHECK_EQ(out.error_code, fault & ~(1u << 31));
	} else {
		CHECK_EQ(out.gpa, c->target | (c->linear & (page - 1)));
		CHECK_EQ(out.page_bytes, page);
	}
	check_flags(vm, c, fault);
}

static void random_tables(void)
{
	struct test_vm test;
	struct choice c;
	unsigned int i;

	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 0, MEMORY_BYTES, 0, NULL);
	for (i = 0; i < 200000; i++) {
		choose_mode(&c);
		choose_rights(&c);
		choose_access(&c);
		build(test.vm, &c);
		check_walk(test.vm, &c);
	}
	test_vm_destroy(&test);
}

/* VHM_ACCESS_DEBUG looks through all rights and leaves no trace. */
static void debug_access(void)
{
	struct vhm_translation out;
	struct test_vm test;
	struct choice c;
	unsigned int i;

	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 0, MEMORY_BYTES, 0, NULL);
	for (i = 0; i < 20000; i++) {
		choose_mode(&c);
		choose_rights(&c);
		choose_access(&c);
		c.access |= VHM_ACCESS_DEBUG;
		build(test.vm, &c);
		CHECK_EQ(vhm_translate(test.vm, &c.paging, c.linear, c.access, &out),
			 c.absent || c.reserved ? -EFAULT : 0);
		check_flags(test.vm, &c, false);
	}
	test_vm_destroy(&test);
}

/* Tables where no memory is, not canonical, no paging, random bytes as tables. */
static void odd_tables(void)
{
	struct vhm_paging paging = { .cr0 = PG | 1, .cr3 = 64 * MEMORY_BYTES, .cr4 = PAE,
				     .efer = LME_LMA };
	struct vhm_translation out;
	struct test_vm test;
	unsigned int i, word;

	test_vm_create(&test);
	vhm_vm_add_memory(test.vm, 0, MEMORY_BYTES, 0, NULL);
	CHECK_EQ(vhm_translate(test.vm, &paging, 0, 0, &out), -ENXIO);
	CHECK_EQ(vhm_translate(test.vm, &paging, 1ull << 47, 0, &out), -EINVAL);
	CHECK_EQ(vhm_translate(test.vm, &paging, ~0ull << 48, 0, &out), -EINVAL);
	paging.cr0 = 1;
	CHECK_EQ(vhm_translate(test.vm, &paging, 0x123456789, 0, &out), 0);
	CHECK_EQ(out.gpa, 0x23456789);
	for (i = 0; i < 2000; i++) {
		paging.cr0 = PG;
		paging.cr3 = random64() & (MEMORY_BYTES - 1);
		paging.cr4 = random64();
		paging.efer = random64();
		for (word = 0; word < 512; word++) {
			uint64_t entry = (random64() & 0x80000000000ff0e7) | 1;

			vhm_vm_write(test.vm, random_below(MEMORY_BYTES / 8) * 8, &entry, 8);
		}
		vhm_translate(test.vm, &paging, random64() >> 17, (uint32_t)random64() & 31, &out);
	}
	test_vm_destroy(&test);
}

/* Tables in read-only memory: translated, flags left alone. */
static void readonly_tables(void)
{
	struct vhm_paging paging = { .cr0 = PG | 1, .cr4 = PSE };
	struct vhm_translation out;
	struct test_vm test;
	uint32_t *table;

	test_vm_create(&test);
	REQUIRE(!vhm_vm_add_memory(test.vm, 0, PAGE, VHM_SLOT_READONLY, (void **)&table));
	table[1] = 0x00c00000 | 0x87;
	CHECK_EQ(vhm_translate(test.vm, &paging, 0x00423456, VHM_ACCESS_WRITE, &out), 0);
	CHECK_EQ(out.gpa, 0x00c23456);
	CHECK_EQ(table[1], 0x00c00087);
	test_vm_destroy(&test);
}

const struct test_case walk_cases[] = {
	{ "walk: random tables of all modes", random_tables },
	{ "walk: debug access", debug_access },
	{ "walk: odd tables", odd_tables },
	{ "walk: tables in read-only memory", readonly_tables },
	{ 0 },
};
