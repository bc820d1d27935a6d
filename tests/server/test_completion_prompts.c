/* test_completion_prompts.c - completions, which have prompts instead of messages. */
#include "server/completion_prompts.h"

#include <string.h>

#include "tests/support/chat_request_check.h"
#include "tests/support/check.h"

static bool parse_completion(const char *body)
{
    return chat_request_parse(CHAT_API_COMPLETION, body, strlen(body), &parse_defaults, &parsed,
                              &refusal);
}

static void completions_refuse_what_they_cannot_do(void **state)
{
    (void)state;
    static const struct {
        const char *body, *code, *param;
    } cases[] = {
        {"{}", "missing_required_parameter", "prompt"},
        {"{\"prompt\":\"\"}", "invalid_value", "prompt"},
        {"{\"prompt\":[]}", "empty_array", "prompt"},
        {"{\"prompt\":[[]]}", "invalid_value", "prompt"},
        {"{\"prompt\":[\"a\",\"\"]}", "invalid_value", "prompt"},
        {"{\"prompt\":[1,1000]}", "invalid_value", "prompt"},
        {"{\"prompt\":[1,-1]}", "invalid_value", "prompt"},
        {"{\"prompt\":[1,\"a\"]}", "invalid_type", "prompt"},
        {"{\"prompt\":[[1],2]}", "invalid_type", "prompt"},
        {"{\"prompt\":{}}", "invalid_type", "prompt"},
        {"{\"prompt\":[\"a\",\"b\"],\"n\":65}", "integer_above_max_value", "n"},
        {"{\"prompt\":\"a\",\"suffix\":\"b\"}", "unsupported_parameter", "suffix"},
        {"{\"prompt\":\"a\",\"echo\":true,\"logprobs\":1}", "unsupported_value", "echo"},
        {"{\"prompt\":\"a\",\"best_of\":2}", "unsupported_value", "best_of"},
        {"{\"prompt\":\"a\",\"n\":3,\"best_of\":2}", "invalid_value", "best_of"},
        {"{\"prompt\":\"a\",\"logprobs\":21}", "integer_above_max_value", "logprobs"},
        {"{\"prompt\":\"a\",\"logprobs\":true}", "invalid_type", "logprobs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(parse_completion(cases[i].body), cases[i].code, cases[i].param);
}

static void completions_take_texts_and_tokens(void **state)
{
    (void)state;
    assert_true(parse_completion("{\"prompt\":\"Once\",\"logprobs\":false,\"best_of\":1}"));
    assert_int_equal(parsed.prompts.n, 1);
    assert_string_equal(buf_text(&parsed.prompts.items[0].text), "Once");
    assert_int_equal(parsed.prompts.items[0].tokens.n, 0);
    assert_false(parsed.generation.wants_logprobs || parsed.is_echoing);
    chat_request_done(&parsed);

    assert_true(parse_completion(
        "{\"prompt\":[\"a\",\"bc\"],\"n\":2,\"best_of\":2,\"logprobs\":0,\"suffix\":\"\"}"));
    assert_int_equal(parsed.prompts.n, 2);
    assert_string_equal(buf_text(&parsed.prompts.items[1].text), "bc");
    assert_int_equal(parsed.n_choices, 2);
    assert_true(parsed.generation.wants_logprobs && parsed.generation.n_top == 0);
    chat_request_done(&parsed);

    assert_true(parse_completion("{\"prompt\":[1,2,999],\"echo\":true}"));
    assert_int_equal(parsed.prompts.n, 1);
    assert_int_equal(parsed.prompts.items[0].tokens.n, 3);
    assert_int_equal(parsed.prompts.items[0].tokens.ids[2], 999);
    assert_true(parsed.is_echoing);
    chat_request_done(&parsed);

    assert_true(parse_completion("{\"prompt\":[[1],[2,3]]}"));
    assert_int_equal(parsed.prompts.n, 2);
    assert_int_equal(parsed.prompts.items[1].tokens.n, 2);
    chat_request_done(&parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completions_refuse_what_they_cannot_do),
        cmocka_unit_test(completions_take_texts_and_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
