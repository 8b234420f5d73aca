// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entry format against the manual's tables, written down here a second time, bit by bit.
 */
#include "test.h"

#include "ept/format.h"

/* A field of an entry: SDM vol. 3, tables 29-1 to 29-6. */
struct field {
	const char *name;
	int low, high;
};

enum field_index {
	FIELD_READ, FIELD_WRITE, FIELD_EXECUTE, FIELD_MEMORY_TYPE, FIELD_IGNORE_PAT, FIELD_LARGE,
	FIELD_ACCESSED, FIELD_DIRTY, FIELD_ADDRESS, FIELD_COUNT,
};

static const struct field fields[FIELD_COUNT] = {
	[FIELD_READ]		= { "read", 0, 0 },
	[FIELD_WRITE]		= { "write", 1, 1 },
	[FIELD_EXECUTE]		= { "execute", 2, 2 },
	[FIELD_MEMORY_TYPE]	= { "memory type", 3, 5 },
	[FIELD_IGNORE_PAT]	= { "ignore PAT", 6, 6 },
	[FIELD_LARGE]		= { "maps a page", 7, 7 },
	[FIELD_ACCESSED]	= { "accessed", 8, 8 },
	[FIELD_DIRTY]		= { "dirty", 9, 9 },
	[FIELD_ADDRESS]		= { "address", 12, 51 },
};

static u64 get_field(u64 entry, enum field_index index)
{
	u64 value = 0;
	int bit;

	for (bit = fields[index].low; bit <= fields[index].high; bit++)
		if (entry >> bit & 1)
			value += 1ULL << (bit - fields[index].low);
	return value;
}

static void expect_fields(struct kunit *test, u64 entry, const u64 *expected)
{
	u64 rest = entry;
	int i, bit;

	for (i = 0; i < FIELD_COUNT; i++) {
		KUNIT_EXPECT_EQ_MSG(test, get_field(entry, i), expected[i], "%s of %llx",
				    fields[i].name, entry);
		for (bit = fields[i].low; bit <= fields[i].high; bit++)
			rest &= ~(1ULL << bit);
	}
	KUNIT_EXPECT_EQ_MSG(test, rest, 0ULL, "bits outside any field of %llx", entry);
}

/* Each address bit alone, all, and some patterns: with low and high bits that must not leak. */
static u64 sample_address(int n)
{
	if (n < 40)
		return 1ULL << (12 + n);
	return n == 40 ? 0 : n == 41 ? 0x000ffffffffff000ULL : 0x000a5a5a5a5a5000ULL;
}

#define ADDRESS_SAMPLES	43

static void leaf_round_trip(struct kunit *test)
{
	int level, rights, n;

	for (level = 1; level <= 3; level++)
		for (rights = 0; rights < 8; rights++)
			for (n = 0; n < ADDRESS_SAMPLES; n++) {
				u64 hpa = sample_address(n);
				u64 entry = ept_entry_make_leaf(hpa | 0xfff0000000000fffULL,
								level, rights | ~7ULL);
				u64 expected[FIELD_COUNT] = {
					[FIELD_READ] = rights & 1,
					[FIELD_WRITE] = rights >> 1 & 1,
					[FIELD_EXECUTE] = rights >> 2 & 1,
					[FIELD_MEMORY_TYPE] = 6,
					[FIELD_IGNORE_PAT] = 1,
					[FIELD_LARGE] = level > 1,
					[FIELD_ADDRESS] = hpa >> 12,
				};

				expect_fields(test, entry, expected);
				KUNIT_EXPECT_EQ(test, entry & EPT_ENTRY_ADDRESS, hpa);
				KUNIT_EXPECT_EQ(test, ept_entry_present(entry), rights != 0);
				KUNIT_EXPECT_EQ(test, ept_entry_is_leaf(entry, level),
						rights != 0);
				KUNIT_EXPECT_FALSE(test, ept_entry_is_table(entry, level));
			}
}

static void table_round_trip(struct kunit *test)
{
	int level, n;

	for (n = 0; n < ADDRESS_SAMPLES; n++) {
		u64 hpa = sample_address(n);
		u64 entry = ept_entry_make_table(hpa | 0xfff0000000000fffULL);
		/* In an entry that references a table bits 3 to 7 are reserved. */
		u64 expected[FIELD_COUNT] = {
			[FIELD_READ] = 1, [FIELD_WRITE] = 1, [FIELD_EXECUTE] = 1,
			[FIELD_ADDRESS] = hpa >> 12,
		};

		expect_fields(test, entry, expected);
		KUNIT_EXPECT_EQ(test, entry & EPT_ENTRY_ADDRESS, hpa);
		for (level = 2; level <= 4; level++) {
			KUNIT_EXPECT_TRUE(test, ept_entry_is_table(entry, level));
			KUNIT_EXPECT_FALSE(test, ept_entry_is_leaf(entry, level));
		}
	}
}

/*
 * By what the host's mapping has in its PAT (SDM vol. 3, table 12-10: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB,
 * 7 UC-): memory has the same type, devices are never cached, and UC- is none of EPT's (29.3.7).
 */
static void memory_types(struct kunit *test)
{
	static const struct { u64 host, memory, device; } types[] = {
		{ 0, 0, 0 }, { 1, 1, 1 }, { 4, 4, 0 }, { 5, 5, 0 }, { 6, 6, 0 }, { 7, 0, 0 },
	};
	u64 type;
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		KUNIT_EXPECT_EQ(test, ept_memory_type(types[i].host, true), types[i].memory);
		KUNIT_EXPECT_EQ(test, ept_memory_type(types[i].host, false), types[i].device);
	}
	/* of all leaves nothing else changes */
	for (i = 0; i < 4096; i++)
		for (type = 0; type < 8; type++) {
			u64 leaf = 0x800a5a5a5a5a5000ULL | i;

			KUNIT_EXPECT_EQ(test, ept_entry_set_memory_type(leaf, type),
					(leaf & ~0x38ULL) | type * 8);
		}
}

/*
 * Each piece is what a leaf made for it would be, with all flags of the whole; pieces of 4 KiB have
 * the rights that only the size or, with a log, the tracking had taken away.
 */
static void pieces(struct kunit *test)
{
	const u64 flags = BIT_ULL(8) | BIT_ULL(9) | BIT_ULL(52);
	const u64 hpa = 0x000a5a5a40000000ULL;
	int level, rights;
	unsigned int i;

	for (level = 2; level <= 3; level++)
		for (rights = 1; rights < 8; rights++)
			for (i = 0; i < 512; i++) {
				u64 whole = ept_entry_make_leaf(hpa, level, rights) | flags;
				u64 piece_hpa = hpa + ((u64)i << (level == 2 ? 12 : 21));
				u64 piece = flags | ept_entry_make_leaf(piece_hpa, level - 1,
									rights);
				const u64 ours = i & 2 ? BIT_ULL(53) | BIT_ULL(59) : 0;
				bool logs = i & 1;
				u64 want = piece | ours;

				if (level == 2 && ours)
					want = logs ? piece | 6 : piece | 4 | BIT_ULL(53);
				KUNIT_EXPECT_EQ(test, want, ept_entry_split(whole | ours, level, i,
									    logs));
			}
}

/* Every combination of the low 12 bits, with each high bit, at each level. */
static void classification(struct kunit *test)
{
	int low, high, level;

	for (low = 0; low < 4096; low++)
		for (high = 51; high < 64; high++)
			for (level = 1; level <= 4; level++) {
				u64 entry = low | (high == 51 ? 0 : 1ULL << high);
				bool present = low % 8 != 0, fixed = high == 52;
				bool maps = level == 1 || (level != 4 && low / 128 % 2);

				if (ept_entry_present(entry) != present ||
				    ept_entry_is_leaf(entry, level) != (present && maps) ||
				    ept_entry_is_table(entry, level) != (present && !maps) ||
				    !!(entry & EPT_ENTRY_FIXED) != fixed)
					KUNIT_FAIL(test, "entry %llx at level %d", entry, level);
			}
}

static void rights(struct kunit *test)
{
	int have, want;

	for (have = 0; have < 8; have++)
		for (want = 0; want < 8; want++) {
			bool allowed = true;
			int bit;

			for (bit = 0; bit < 3; bit++)
				if (want >> bit & 1 && !(have >> bit & 1))
					allowed = false;
			KUNIT_EXPECT_EQ(test, ept_entry_allows(have | 0xff8, want | 0xa30),
					allowed);
		}
}

static void levels(struct kunit *test)
{
	static const u64 pages[5] = { 0, 1, 512, 262144, 134217728 };
	struct rnd_state random;
	int i, level;

	test_seed(test, &random);
	for (level = 1; level <= 4; level++) {
		KUNIT_EXPECT_EQ(test, ept_level_pages(level), pages[level]);
		for (i = 0; i < 1000; i++) {
			u64 gfn = test_random(&random, 1ULL << 36);

			KUNIT_EXPECT_EQ(test, (u64)ept_level_index(gfn, level),
					gfn / pages[level] % 512);
		}
	}
}

static void pointer(struct kunit *test)
{
	int n;

	/* SDM vol. 3, 25.6.11: 2:0 memory type 6, 5:3 walk length less 1, 6 flags, 51:12 root */
	for (n = 0; n < ADDRESS_SAMPLES; n++) {
		u64 hpa = sample_address(n);

		KUNIT_EXPECT_EQ(test, ept_pointer_make(hpa, 4, false), hpa + 0x1e);
		KUNIT_EXPECT_EQ(test, ept_pointer_make(hpa, 4, true), hpa + 0x5e);
		KUNIT_EXPECT_EQ(test, ept_pointer_make(hpa, 5, false), hpa + 0x26);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(leaf_round_trip),
	KUNIT_CASE(memory_types),
	KUNIT_CASE(pieces),
	KUNIT_CASE(table_round_trip),
	KUNIT_CASE(classification),
	KUNIT_CASE(rights),
	KUNIT_CASE(levels),
	KUNIT_CASE(pointer),
	{}
};

static struct kunit_suite suite = {
	.name = "ept_format",
	.test_cases = cases,
};

kunit_test_suite(suite);
