#include "tests/support/check.h"

#include <string.h>

#include "core/text/prompt.h"

static void neighbours_of_one_kind_are_one_span(void **state)
{
    (void)state;
    struct prompt prompt;
    prompt_init(&prompt);
    prompt_append_control(&prompt, "<s>", 3);
    prompt_append_control(&prompt, "[INST]", 6);
    prompt_append_plain(&prompt, "hello", 5);
    prompt_append_plain(&prompt, "", 0);
    prompt_append_control(&prompt, "</s>", 4);
    assert_string_equal(buf_text(&prompt.text), "<s>[INST]hello</s>");
    assert_int_equal(prompt.n_spans, 3);
    assert_int_equal(prompt.spans[0].end, 9);
    assert_true(prompt.spans[0].is_control);
    assert_int_equal(prompt.spans[1].end, 14);
    assert_false(prompt.spans[1].is_control);
    assert_int_equal(prompt.spans[2].end, prompt.text.len);
    assert_false(prompt_failed(&prompt));
    prompt_done(&prompt);
    assert_int_equal(prompt.n_spans, 0);
}

static void a_slice_keeps_its_marks(void **state)
{
    (void)state;
    struct prompt from, to;
    prompt_init(&from);
    prompt_append_control(&from, "abc", 3);
    prompt_append_plain(&from, "defg", 4);
    prompt_append_control(&from, "hi", 2);
    for (size_t begin = 0; begin <= from.text.len; begin++) {
        for (size_t end = begin; end <= from.text.len; end++) {
            prompt_init(&to);
            prompt_append_slice(&to, &from, begin, end);
            assert_int_equal(to.text.len, end - begin);
            assert_memory_equal(buf_text(&to.text), from.text.data + begin, end - begin);
            size_t at = 0;
            for (size_t i = 0; i < to.n_spans; i++) {
                for (; at < to.spans[i].end; at++) {
                    bool is_control = begin + at < 3 || begin + at >= 7;
                    assert_int_equal(to.spans[i].is_control, is_control);
                }
            }
            assert_int_equal(at, end - begin);
            prompt_done(&to);
        }
    }
    prompt_done(&from);
}

static void many_spans(void **state)
{
    (void)state;
    struct prompt prompt;
    prompt_init(&prompt);
    for (int i = 0; i < 1000; i++) {
        prompt_append_control(&prompt, "c", 1);
        prompt_append_plain(&prompt, "p", 1);
    }
    assert_int_equal(prompt.n_spans, 2000);
    assert_int_equal(prompt.spans[1999].end, 2000);
    prompt_done(&prompt);
}

static void failure_is_sticky(void **state)
{
    (void)state;
    struct prompt prompt, copy;
    prompt_init(&prompt);
    prompt_append_plain(&prompt, "a", 1);
    prompt.text.failed = true;
    prompt_append_plain(&prompt, "b", 1);
    assert_int_equal(prompt.text.len, 1);
    assert_true(prompt_failed(&prompt));
    prompt_init(&copy);
    prompt_append_slice(&copy, &prompt, 0, 1);
    assert_true(prompt_failed(&copy));
    prompt_done(&copy);
    prompt_done(&prompt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_of_one_kind_are_one_span),
        cmocka_unit_test(a_slice_keeps_its_marks),
        cmocka_unit_test(many_spans),
        cmocka_unit_test(failure_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
