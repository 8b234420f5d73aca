#include "test.h"
const struct test_case insn_cases[] = { {0} };
