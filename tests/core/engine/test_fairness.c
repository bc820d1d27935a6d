#include "core/engine/fairness.h"

#include "tests/support/check.h"

static void who_comes_back_starts_with_the_others(void **state)
{
    (void)state;
    struct fairness fairness;
    fairness_init(&fairness);
    int a = fairness_join(&fairness, 7);
    fairness_charge(&fairness, a, 1000);
    int b = fairness_join(&fairness, 9); /* new: no lower than who is there */
    assert_int_equal(fairness_used(&fairness, b), 1000);
    fairness_charge(&fairness, b, 500);
    fairness_leave(&fairness, b);
    fairness_charge(&fairness, a, 5000);
    assert_int_equal(fairness_join(&fairness, 9), b); /* silence is not saved up */
    assert_int_equal(fairness_used(&fairness, b), 6000);

    fairness_charge(&fairness, b, 10000); /* nor forgiven */
    fairness_leave(&fairness, b);
    assert_int_equal(fairness_join(&fairness, 9), b);
    assert_int_equal(fairness_used(&fairness, b), 16000);

    /* A second turn of one who is there changes nothing. */
    assert_int_equal(fairness_join(&fairness, 7), a);
    assert_int_equal(fairness_used(&fairness, a), 6000);
    fairness_done(&fairness);
}

static void any_number_of_owners(void **state)
{
    (void)state;
    struct fairness fairness;
    fairness_init(&fairness);
    for (int owner = 0; owner < 1000; owner++)
        assert_int_equal(fairness_join(&fairness, owner), owner);
    for (int owner = 0; owner < 1000; owner++)
        fairness_charge(&fairness, owner, owner);
    assert_int_equal(fairness_used(&fairness, fairness_join(&fairness, 600)), 600);
    fairness_done(&fairness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_back_starts_with_the_others),
        cmocka_unit_test(any_number_of_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
