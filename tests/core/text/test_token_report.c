#include "core/text/token_report.h"

#include <math.h>

#include "tests/support/check.h"

enum { N = 200 };

static void is_log_softmax(void **state)
{
    (void)state;
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)sin(i) * 7;
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += exp((double)logits[i]);
    struct token_report report = {0};
    for (int32_t id = 0; id < N; id++) {
        token_report_measure(&report, logits, N, id, 5);
        double expected = (double)logits[id] - log(sum);
        assert_true(fabs((double)report.chosen.logprob - expected) < 1e-4);
    }
}

static void top_ones_are_the_largest_in_order(void **state)
{
    (void)state;
    float logits[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)(i * 7919 % 50); /* with ties */
    struct token_report report = {0};
    for (int n_top = 0; n_top <= TOKEN_REPORT_MAX_TOP; n_top++) {
        token_report_measure(&report, logits, N, 0, n_top);
        assert_int_equal(report.n_top, n_top);
        for (int i = 0; i < n_top; i++) {
            int n_larger = 0;
            for (int j = 0; j < N; j++)
                n_larger += logits[j] > logits[report.top[i].id];
            assert_true(n_larger <= i);
            assert_true(i == 0 || report.top[i].logprob <= report.top[i - 1].logprob);
            for (int j = 0; j < i; j++)
                assert_int_not_equal(report.top[i].id, report.top[j].id);
        }
    }
    token_report_measure(&report, logits, 3, 1, 20);
    assert_int_equal(report.n_top, 3);
}

static void stays_finite(void **state)
{
    (void)state;
    float logits[] = {NAN, -INFINITY, 1e30F, INFINITY, -1e30F};
    struct token_report report = {0};
    for (int32_t id = 0; id < 5; id++) {
        token_report_measure(&report, logits, 5, id, 5);
        assert_true(isfinite(report.chosen.logprob) && report.chosen.logprob <= 0);
        for (int i = 0; i < 5; i++)
            assert_true(isfinite(report.top[i].logprob) && report.top[i].logprob <= 0);
    }
    token_report_measure(&report, logits, 5, 4, 0);
    assert_true(report.chosen.logprob == TOKEN_REPORT_UNLIKELY);
    token_report_measure(&report, logits, 2, 0, 1); /* nothing finite at all */
    assert_true(report.chosen.logprob == TOKEN_REPORT_UNLIKELY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_log_softmax),
        cmocka_unit_test(top_ones_are_the_largest_in_order),
        cmocka_unit_test(stays_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
