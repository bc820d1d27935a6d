#include "core/base/err.h"

#include <string.h>

#include "tests/support/check.h"

static void set_returns_false_and_keeps_code_and_sentence(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_LIMIT, "prompt has %d tokens", 7));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.text, "prompt has 7 tokens");
    assert_false(err_set(NULL, ERR_LIMIT, "nobody listens"));
}

static void prefix_goes_before_and_keeps_the_code(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_FORMAT, "bad magic");
    assert_false(err_prefix(&err, "model %s", "a.gguf"));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_string_equal(err.text, "model a.gguf: bad magic");
}

static void a_long_sentence_is_cut_not_overrun(void **state)
{
    (void)state;
    struct err err = {0};
    char text[1000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_false_and_keeps_code_and_sentence),
        cmocka_unit_test(prefix_goes_before_and_keeps_the_code),
        cmocka_unit_test(a_long_sentence_is_cut_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
