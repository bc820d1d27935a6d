#include "server/text_request.h"

#include <string.h>

#include "core/base/err.h"
#include "core/text/chat_template.h"
#include "core/text/prompt.h"
#include "server/api_error.h"
#include "tests/support/check.h"

static struct text_request parse(const char *body)
{
    struct text_request request;
    struct api_error error;
    if (!text_request_parse_tokenize(body, strlen(body), &request, &error))
        fail_msg("%s: %s", body, error.message);
    return request;
}

static void shapes_are_told_apart_by_their_keys(void **state)
{
    (void)state;
    struct text_request request = parse("{\"content\":\"ab\",\"with_pieces\":true}");
    assert_false(request.is_vllm || request.is_chat || request.add_special);
    assert_true(request.parse_special && request.with_pieces);
    assert_string_equal(buf_text(&request.text), "ab");
    text_request_done(&request);

    request = parse("{\"prompt\":\"ab\",\"model\":\"m\",\"return_token_strs\":true}");
    assert_true(request.is_vllm && request.add_special && request.with_pieces);
    text_request_done(&request);

    request = parse("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                    "\"add_generation_prompt\":false,\"chat_template_kwargs\":{ \"a\" : 1 }}");
    assert_true(request.is_vllm && request.is_chat);
    assert_false(request.add_generation_prompt);
    assert_string_equal(request.kwargs, "{\"a\":1}");
    assert_int_equal(request.messages.n, 1);
    text_request_done(&request);
}

static void a_text_may_be_empty(void **state)
{
    (void)state;
    struct text_request request = parse("{\"content\":\"\"}");
    assert_int_equal(request.text.len, 0);
    text_request_done(&request);
}

static void wrong_bodies_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *code, *param;
    } cases[] = {
        {"{", "invalid_json", ""},
        {"[]", "invalid_json", ""},
        {"{}", "missing_required_parameter", "content"},
        {"{\"content\":3}", "invalid_type", "content"},
        {"{\"content\":\"a\",\"add_special\":1}", "invalid_type", "add_special"},
        {"{\"prompt\":[1]}", "invalid_type", "prompt"},
        {"{\"messages\":[]}", "empty_array", "messages"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"chat_template_kwargs\":[]}",
         "invalid_type", "chat_template_kwargs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text_request request;
        struct api_error error;
        assert_false(
            text_request_parse_tokenize(cases[i].body, strlen(cases[i].body), &request, &error));
        assert_int_equal(error.status, 400);
        assert_string_equal(error.code, cases[i].code);
        assert_string_equal(error.param, cases[i].param);
    }
}

static void ids_must_be_in_the_vocabulary(void **state)
{
    (void)state;
    struct token_list tokens;
    struct api_error error;
    static const char good[] = "{\"tokens\":[0,9,3]}";
    assert_true(text_request_parse_detokenize(good, sizeof good - 1, 10, &tokens, &error));
    assert_int_equal(tokens.n, 3);
    assert_int_equal(tokens.ids[1], 9);
    token_list_done(&tokens);
    static const char *const bad[] = {
        "{\"tokens\":[10]}",
        "{\"tokens\":[-1]}",
        "{\"tokens\":[1.5]}",
        "{\"tokens\":[\"1\"]}",
        "{\"tokens\":[9223372036854775807]}",
        "{\"tokens\":7}",
        "{}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(text_request_parse_detokenize(bad[i], strlen(bad[i]), 10, &tokens, &error));
        assert_int_equal(error.status, 400);
        assert_string_equal(error.param, "tokens");
    }
}

static void text_is_control_only_when_it_may_be(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"content\":\"<s>\",\"parse_special\":false}",
                                         "{\"content\":\"<s>\"}"};
    for (int i = 0; i < 2; i++) {
        struct text_request request = parse(bodies[i]);
        struct prompt prompt;
        struct err err;
        prompt_init(&prompt);
        assert_true(text_request_render(&request, NULL, &prompt, &err));
        assert_int_equal(prompt.n_spans, 1);
        assert_int_equal(prompt.spans[0].is_control, i == 1);
        prompt_done(&prompt);
        text_request_done(&request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_told_apart_by_their_keys),
        cmocka_unit_test(a_text_may_be_empty),
        cmocka_unit_test(wrong_bodies_are_named),
        cmocka_unit_test(ids_must_be_in_the_vocabulary),
        cmocka_unit_test(text_is_control_only_when_it_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
