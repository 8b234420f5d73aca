#include "test.h"
const struct test_case dispatch_cases[] = { {0} };
