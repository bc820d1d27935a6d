/* The N-th allocation of a parse fails. Under ASan a parser that goes on regardless is seen. */
#include "server/json_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/failing_memory.h"

/* Strings around each size at which the parser's buffer grows, its closing quote included. */
static void a_parse_without_memory_gives_up(void **state)
{
    (void)state;
    char text[600];
    for (size_t len = 0; len < 520; len++) {
        char word[520] = "";
        memset(word, 'x', len);
        snprintf(text, sizeof text, "{\"a\":\"%s\"}", word);
        bool has_failed = true;
        for (long n = 1; has_failed; n++) {
            failing_memory_set(n, false);
            json_t *json = json_load_text(text, len + 8, 0, NULL);
            has_failed = failing_memory_count() >= n;
            failing_memory_set(0, false);
            assert_int_equal(json == NULL, has_failed);
            assert_int_equal(json_load_lacked_memory(), has_failed);
            if (json != NULL)
                assert_int_equal(json_string_length(json_object_get(json, "a")), len);
            json_decref(json);
        }
    }
}

/* A schema may have the bounds of a 64-bit number without a sign. */
static void integers_too_large_are_decimals(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":18446744073709551615,\"b\":9223372036854775807,\"c\":-9223372036854775808,"
        "\"d\":-9223372036854775809,\"s\":\"99999999999999999999 \\\" 99999999999999999999\","
        "\"e\":99999999999999999999.5,\"f\":99999999999999999999e1,\"g\":[1,9223372036854775808]}";
    json_t *json = json_load_text(text, sizeof text - 1, 0, NULL);
    assert_non_null(json);
    assert_true(json_real_value(json_object_get(json, "a")) == 0x1p64);
    assert_int_equal(json_integer_value(json_object_get(json, "b")), INT64_MAX);
    assert_int_equal(json_integer_value(json_object_get(json, "c")), INT64_MIN);
    assert_true(json_real_value(json_object_get(json, "d")) == -0x1p63);
    assert_string_equal(json_string_value(json_object_get(json, "s")),
                        "99999999999999999999 \" 99999999999999999999");
    assert_true(json_real_value(json_object_get(json, "f")) == 99999999999999999999e1);
    const json_t *list = json_object_get(json, "g");
    assert_true(json_is_integer(json_array_get(list, 0)));
    assert_true(json_real_value(json_array_get(list, 1)) == 0x1p63);
    json_decref(json);

    static const char fraction[] =
        "[0.55555555555555555555555,1e-2,99999999999999999999,-5.00000000000000000000e+0,true]";
    json = json_load_text(fraction, sizeof fraction - 1, 0, NULL);
    assert_true(json_real_value(json_array_get(json, 0)) == 0.55555555555555555555555);
    assert_true(json_real_value(json_array_get(json, 2)) == 99999999999999999999.0);
    assert_true(json_real_value(json_array_get(json, 3)) == -5);
    json_decref(json);

    json_error_t error;
    static const char *const bad[] = {"[1e999]", "[99999999999999999999", "[99999999999999999999x]",
                                      "[099999999999999999999]", "[99999999999999999999e999]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(json_load_text(bad[i], strlen(bad[i]), 0, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_parse_without_memory_gives_up),
                                       cmocka_unit_test(integers_too_large_are_decimals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
