#include "tests/core/text/grammar_check.h"

#include "core/base/buf.h"
#include "server/free_text.h"

static enum grammar_fit fit(const char *const *marks, size_t n_marks, const char *text)
{
    struct buf gbnf;
    buf_init(&gbnf);
    buf_append_text(&gbnf, "root ::= ");
    free_text_write(&gbnf, marks, n_marks);
    enum grammar_fit is = grammar_check_text(buf_text(&gbnf), text);
    buf_done(&gbnf);
    return is;
}

static void all_but_the_marks_is_free(void **state)
{
    (void)state;
    static const char *const marks[] = {"<tool_call>", "<tool>", "<function="};
    static const char *const free_texts[] = {
        "",       "Hello\n\"world\"",    "<",           "a < b > c", "<tool_cal",
        "<<<<to", "<to<tool_call<tool_", "tool_call>",  "<Tool>",    "\xE6\xBC\xA2 <\xE6\xBC\xA2>",
        "<func",  "<function =",         "<tool_calls>"};
    static const char *const others[] = {"<tool_call>",      "x<tool>",
                                         "<<tool>",          "<to<tool>",
                                         "<tool_<function=", "<tool_call<tool_call>y"};
    for (size_t i = 0; i < sizeof free_texts / sizeof free_texts[0]; i++)
        assert_int_equal(fit(marks, 3, free_texts[i]), FIT_WHOLE_AND_MORE);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(fit(marks, 3, others[i]), FIT_NOT);
}

static void a_mark_may_have_any_characters(void **state)
{
    (void)state;
    static const char *const mark[] = {"[\xE2\x96\x81\"\\]"};
    assert_int_equal(fit(mark, 1, "[\xE2\x96\x81\"\\ ]"), FIT_WHOLE_AND_MORE);
    assert_int_equal(fit(mark, 1, "a[\xE2\x96\x81\"\\]"), FIT_NOT);
}

static void marks_may_begin_differently(void **state)
{
    (void)state;
    static const char *const marks[] = {"<|tool_call|>", "functools["};
    static const char *const free_texts[] = {"", "a function <", "<f", "<|tool_functools", "f<|f"};
    static const char *const others[] = {"<|tool_call|>", "a functools[", "<functools[",
                                         "functools<|tool_call|>"};
    for (size_t i = 0; i < sizeof free_texts / sizeof free_texts[0]; i++)
        assert_int_equal(fit(marks, 2, free_texts[i]), FIT_WHOLE_AND_MORE);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(fit(marks, 2, others[i]), FIT_NOT);
}

static void a_mark_may_be_one_character_some_times(void **state)
{
    (void)state;
    static const char *const mark[] = {">>>"};
    static const char *const free_texts[] = {"", ">", ">>", "a > b >> c", ">> >> x >>"};
    for (size_t i = 0; i < sizeof free_texts / sizeof free_texts[0]; i++)
        assert_int_equal(fit(mark, 1, free_texts[i]), FIT_WHOLE_AND_MORE);
    assert_int_equal(fit(mark, 1, "a >> b >>>"), FIT_NOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_but_the_marks_is_free),
        cmocka_unit_test(a_mark_may_have_any_characters),
        cmocka_unit_test(marks_may_begin_differently),
        cmocka_unit_test(a_mark_may_be_one_character_some_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
