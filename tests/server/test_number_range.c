#include "tests/core/text/grammar_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "server/number_range.h"

static bool lies_within(const struct number_range *range, double n)
{
    return (!range->has_min || (range->is_min_excluded ? n > range->min : n >= range->min)) &&
           (!range->has_max || (range->is_max_excluded ? n < range->max : n <= range->max)) &&
           (!range->is_integer || n == floor(n));
}

/* All numbers k / 40 around the bounds, in their shortest form and with zeros behind it. */
static void check(struct number_range range)
{
    struct buf gbnf;
    struct err err = {0};
    buf_init(&gbnf);
    buf_append_text(&gbnf, "root ::= ");
    bool has_any = false;
    if (!number_range_write(&range, &gbnf, &err)) {
        assert_int_equal(err.code, ERR_INVALID);
        for (int k = -600; k <= 600; k++)
            has_any = has_any || lies_within(&range, k / 40.0);
        assert_false(has_any);
        buf_done(&gbnf);
        return;
    }
    struct grammar *grammar = grammar_check_new(gbnf.data);
    struct grammar_states states;
    assert_true(grammar_states_init(&states, grammar));
    for (int k = -600; k <= 600; k++) {
        double n = k / 40.0;
        for (int digits = 0; digits <= 5; digits++) {
            char text[32];
            snprintf(text, sizeof text, "%.*f", digits, n);
            if (strtod(text, NULL) != n || (digits > 0 && range.is_integer) ||
                (n == 0 && text[0] == '-'))
                continue;
            bool fits = grammar_check_fit(&states, text, strlen(text)) >= FIT_WHOLE;
            if (fits != lies_within(&range, n))
                fail_msg("%s within %d[%g %d, %d[%g %d\n%s", text, range.has_min, range.min,
                         range.is_min_excluded, range.has_max, range.max, range.is_max_excluded,
                         gbnf.data);
        }
    }
    grammar_states_done(&states);
    grammar_free(&grammar);
    buf_done(&gbnf);
}

static void exactly_what_lies_between(void **state)
{
    (void)state;
    static const double bounds[] = {-10.1, -10, -9.975, -2, -1.25, -1, -0.1, -0.025, 0,
                                    0.025, 0.1, 0.125,  1,  1.1,   2,  9.9,  10,     11.05};
    enum { N = sizeof bounds / sizeof bounds[0] };
    for (int bits = 0; bits < 8; bits++) {
        struct number_range range = {.is_min_excluded = (bits & 1) != 0,
                                     .is_max_excluded = (bits & 2) != 0,
                                     .is_integer = (bits & 4) != 0};
        for (int i = 0; i < N; i++) {
            range.has_min = true;
            range.min = bounds[i];
            range.has_max = false;
            check(range);
            range.has_max = true;
            for (int j = i; j < N; j++) {
                range.max = bounds[j];
                check(range);
            }
            range.has_min = false;
            range.max = bounds[i];
            check(range);
        }
    }
}

static void bounds_beyond_all_digits_are_refused(void **state)
{
    (void)state;
    static const double bounds[] = {1e300, -1e300, 1e16, 1e-13, INFINITY};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct number_range range = {.has_min = true, .min = bounds[i]};
        struct buf out;
        struct err err = {0};
        buf_init(&out);
        assert_false(number_range_write(&range, &out, &err));
        assert_true(err.code == ERR_UNSUPPORTED || err.code == ERR_INVALID);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_what_lies_between),
        cmocka_unit_test(bounds_beyond_all_digits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
