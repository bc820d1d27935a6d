#include "tests/support/check.h"

#include <string.h>

#include "core/text/specials.h"

static struct specials specials;

static void add(const char *name, int32_t id, bool is_control)
{
    specials_add(&specials, (struct special){name, strlen(name), id, is_control});
}

static int open_specials(void **state)
{
    (void)state;
    static char too_long[SPECIALS_MAX_LEN + 2];
    memset(too_long, 'z', sizeof too_long - 1);
    if (!specials_init(&specials, 16, NULL))
        return 1;
    add("<a>", 1, true);
    add("<a", 2, false);
    add("<a><b>", 3, true);
    add("  ", 4, false);
    add("    ", 5, false);
    add("\xFF", 6, false);
    add("<a", 7, false); /* a second one of the same name is never found */
    add("", 8, true);
    add(too_long, 9, false);
    specials_sort(&specials);
    return 0;
}

static int close_specials(void **state)
{
    (void)state;
    specials_done(&specials);
    return 0;
}

static int32_t match(const char *text, size_t control_len, size_t expected_len)
{
    int32_t id = -1;
    assert_int_equal(specials_match(&specials, text, strlen(text), control_len, &id), expected_len);
    return id;
}

static void the_longest_wins(void **state)
{
    (void)state;
    assert_int_equal(match("<a><b>x", 7, 6), 3);
    assert_int_equal(match("<a><c>", 6, 3), 1);
    assert_int_equal(match("<ab", 3, 2), 2);
    assert_int_equal(match("     x", 0, 4), 5);
    assert_int_equal(match("   x", 0, 2), 4);
    assert_int_equal(match("\xFF", 0, 1), 6);
    assert_int_equal(match("<", 1, 0), -1);
    assert_int_equal(match("zzz", 0, 0), -1);
    assert_int_equal(match("", 0, 0), -1);
}

static void control_tokens_need_control_text(void **state)
{
    (void)state;
    assert_int_equal(match("<a><b>", 5, 3), 1);
    assert_int_equal(match("<a><b>", 2, 2), 2);
    assert_int_equal(match("<a><b>", 0, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_wins),
        cmocka_unit_test(control_tokens_need_control_text),
    };
    return cmocka_run_group_tests(tests, open_specials, close_specials);
}
