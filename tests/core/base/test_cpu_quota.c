#include "core/base/cpu_quota.h"

#include "tests/support/check.h"

static void reads_the_kernels_format(void **state)
{
    (void)state;
    assert_int_equal(cpu_quota_parse("max 100000\n"), 0);
    assert_int_equal(cpu_quota_parse("200000 100000\n"), 2);
    assert_int_equal(cpu_quota_parse("150000 100000\n"), 2);
    assert_int_equal(cpu_quota_parse("1000 100000\n"), 1);
}

static void nonsense_is_no_limit(void **state)
{
    (void)state;
    assert_int_equal(cpu_quota_parse(""), 0);
    assert_int_equal(cpu_quota_parse("-5 100000"), 0);
    assert_int_equal(cpu_quota_parse("5 0"), 0);
    assert_int_equal(cpu_quota_parse("9223372036854775807 1"), 0);
}

static void there_is_always_a_thread(void **state)
{
    (void)state;
    assert_true(cpu_quota_threads() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_kernels_format),
        cmocka_unit_test(nonsense_is_no_limit),
        cmocka_unit_test(there_is_always_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
