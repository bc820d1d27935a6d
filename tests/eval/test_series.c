/* Series: quantiles. */
#include "eval/series.h"

#include <math.h>

#include "core/base/err.h"
#include "tests/support/check.h"

static void test_quantiles(void **state)
{
    (void)state;
    struct series series;
    struct err err = {0};
    static const double values[] = {5, 1, 4, 2, 3};
    assert_true(series_init(&series, 5, &err));
    assert_true(isnan(series_quantile(&series, 0.5)));
    for (int i = 0; i < 5; i++)
        series_push(&series, values[i]);
    series_push(&series, 100); /* there is no room */
    assert_true(series_quantile(&series, 0) == 1);
    assert_true(series_quantile(&series, 0.5) == 3);
    assert_true(series_quantile(&series, 1) == 5);
    assert_true(fabs(series_quantile(&series, 0.95) - 4.8) < 1e-12);
    assert_true(series_quantile_of(&series, 1, 4, 0.5) == 2);
    assert_true(series_quantile_of(&series, 0, 1, 0.95) == 5);
    assert_true(isnan(series_quantile_of(&series, 2, 2, 0.5)));
    assert_true(series.values[0] == 5); /* in the order of measurement */
    series_done(&series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
