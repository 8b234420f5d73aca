#include "test.h"
const struct test_case api_cases[] = { {0} };
