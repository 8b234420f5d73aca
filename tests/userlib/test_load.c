#include "test.h"
const struct test_case load_cases[] = { {0} };
