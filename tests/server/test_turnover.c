#include "server/turnover.h"

#include "tests/support/check.h"

static const int64_t second_ns = 1000 * 1000 * 1000;

static struct turnover regular(int n, int64_t every_ns)
{
    struct turnover turnover = {.n = 0};
    for (int i = 0; i < n; i++)
        turnover_note(&turnover, i * every_ns);
    return turnover;
}

static void the_wait_is_the_place_in_line_by_the_rate(void **state)
{
    (void)state;
    static const int counts[] = {2, 10, TURNOVER_MEMORY, 10 * TURNOVER_MEMORY};
    for (int i = 0; i < 4; i++) {
        struct turnover turnover = regular(counts[i], second_ns / 2);
        int64_t now_ns = (counts[i] - 1) * second_ns / 2;
        assert_int_equal(turnover_wait_s(&turnover, now_ns, 1), 1);
        assert_int_equal(turnover_wait_s(&turnover, now_ns, 2), 1);
        assert_int_equal(turnover_wait_s(&turnover, now_ns, 3), 2);
        assert_int_equal(turnover_wait_s(&turnover, now_ns, 20), 10);
        assert_int_equal(turnover_wait_s(&turnover, now_ns, 1000), TURNOVER_MAX_S);
    }
}

/* What has stood still for a while is not as fast as it was. */
static void silence_counts(void **state)
{
    (void)state;
    struct turnover turnover = regular(11, second_ns); /* ten in ten seconds */
    assert_int_equal(turnover_wait_s(&turnover, 10 * second_ns, 4), 4);
    assert_int_equal(turnover_wait_s(&turnover, 30 * second_ns, 4), 12);
    assert_int_equal(turnover_wait_s(&turnover, 3000 * second_ns, 4), TURNOVER_MAX_S);
}

static void without_news_it_is_a_guess(void **state)
{
    (void)state;
    struct turnover turnover = {.n = 0};
    assert_int_equal(turnover_wait_s(&turnover, 0, 3), TURNOVER_UNKNOWN_S);
    turnover_note(&turnover, 0);
    assert_int_equal(turnover_wait_s(&turnover, 100 * second_ns, 3), TURNOVER_UNKNOWN_S);
    turnover_note(&turnover, 0); /* two at the same moment */
    assert_int_equal(turnover_wait_s(&turnover, 0, 3), TURNOVER_MIN_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_is_the_place_in_line_by_the_rate),
        cmocka_unit_test(silence_counts),
        cmocka_unit_test(without_news_it_is_a_guess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
