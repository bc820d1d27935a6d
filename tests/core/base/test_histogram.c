#include "core/base/histogram.h"

#include "tests/support/check.h"

static const double bounds[] = {1, 2.5, 10};

static void a_bound_belongs_to_the_values_below_it(void **state)
{
    (void)state;
    struct histogram histogram;
    histogram_init(&histogram, bounds, 3);
    histogram_add(&histogram, 0, 1);
    histogram_add(&histogram, 1, 1);
    histogram_add(&histogram, 1.5, 3);
    histogram_add(&histogram, 10, 1);
    histogram_add(&histogram, 10.5, 2);
    const uint64_t expected[] = {2, 3, 1, 2};
    for (int i = 0; i < 4; i++)
        assert_int_equal(histogram.counts[i], expected[i]);
    assert_int_equal(histogram_count(&histogram), 8);
    assert_true(histogram.sum == 1 + 4.5 + 10 + 21);
}

static void more_bounds_than_fit_are_left_out(void **state)
{
    (void)state;
    static const double many[HISTOGRAM_MAX_BOUNDS + 4] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                          11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    struct histogram histogram;
    histogram_init(&histogram, many, HISTOGRAM_MAX_BOUNDS + 4);
    histogram_add(&histogram, 17, 1);
    histogram_add(&histogram, 1e9, 1);
    assert_int_equal(histogram.counts[HISTOGRAM_MAX_BOUNDS], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_belongs_to_the_values_below_it),
        cmocka_unit_test(more_bounds_than_fit_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
