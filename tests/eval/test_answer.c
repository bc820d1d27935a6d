/* Answers: repetition and leaked markers. */
#include "eval/answer.h"

#include "tests/support/check.h"

static void test_repetition(void **state)
{
    (void)state;
    int32_t ids[100];
    for (int i = 0; i < 100; i++)
        ids[i] = i;
    assert_float_equal(answer_repetition(ids, 100), 0, 1e-12);
    for (int i = 0; i < 100; i++)
        ids[i] = i % 10;
    assert_float_equal(answer_repetition(ids, 100), 87.0 / 97, 1e-12);
    for (int i = 0; i < 100; i++)
        ids[i] = 5;
    assert_float_equal(answer_repetition(ids, 100), 96.0 / 97, 1e-12);
    assert_float_equal(answer_repetition(ids, 7), 0, 1e-12);
    assert_float_equal(answer_repetition(NULL, 0), 0, 1e-12);
}

static void test_leaks(void **state)
{
    (void)state;
    assert_string_equal(answer_leak("Sure.<|user|>\nAnd you?"), "<|");
    assert_string_equal(answer_leak("Fine.</s>"), "</s>");
    assert_string_equal(answer_leak("[/INST] hello"), "[/INST]");
    assert_null(answer_leak("if (a < b || c > d) return array[i];"));
    assert_null(answer_leak(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetition),
        cmocka_unit_test(test_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
