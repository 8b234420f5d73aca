// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adjustment of VMX control fields: each wish for a bit against each answer of a processor.
 */
#include "test.h"

#include "vmx/caps.h"

enum {
	REQUIRED = BIT(0),
	OPTIONAL = BIT(1),
	FORBIDDEN = BIT(2),
	MUST_BE_1 = BIT(3),
	MAY_BE_1 = BIT(4),
	COMBINATIONS = BIT(5),
};

static void each_bit(struct kunit *test)
{
	u32 bit, c, value, missing;
	bool lacks, set;

	for (bit = 0; bit < 32; bit++) {
		for (c = 0; c < COMBINATIONS; c++) {
			if (c & MUST_BE_1 && !(c & MAY_BE_1))
				continue;	/* no processor says so */
			lacks = (c & REQUIRED && !(c & MAY_BE_1)) ||
				(c & FORBIDDEN && c & MUST_BE_1);
			set = c & MUST_BE_1 || (c & MAY_BE_1 && c & (REQUIRED | OPTIONAL));
			missing = vmx_adjust_controls(c & REQUIRED ? BIT(bit) : 0,
						      c & OPTIONAL ? BIT(bit) : 0,
						      c & FORBIDDEN ? BIT(bit) : 0,
						      (c & MUST_BE_1 ? BIT_ULL(bit) : 0) |
						      (c & MAY_BE_1 ? BIT_ULL(bit + 32) : 0),
						      &value);
			KUNIT_EXPECT_EQ_MSG(test, missing, lacks ? (u32)BIT(bit) : 0,
					    "bit %u, combination %#x", bit, c);
			KUNIT_EXPECT_EQ_MSG(test, value, set ? (u32)BIT(bit) : 0,
					    "bit %u, combination %#x", bit, c);
		}
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(each_bit),
	{}
};

static struct kunit_suite suite = {
	.name = "controls",
	.test_cases = cases,
};

kunit_test_suite(suite);
