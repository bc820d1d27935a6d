/* test_chat_request.c - the settings of a chat request: defaults, types, ranges. */
#include "server/chat_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chat_request_check.h"
#include "tests/support/check.h"

static void what_is_not_said_is_the_default(void **state)
{
    (void)state;
    assert_true(parse_chat_with(""));
    assert_int_equal(parsed.messages.n, 1);
    assert_int_equal(parsed.messages.items[0].role, CHAT_USER);
    assert_int_equal(parsed.messages.items[0].len, 2);
    assert_memory_equal(parsed.messages.items[0].content, "Hi", 2);
    assert_false(parsed.generation.is_streaming);
    assert_int_equal(parsed.generation.max_tokens, 100);
    assert_int_equal(parsed.generation.sampling.top_k, 40);
    assert_int_equal(parsed.generation.n_stops, 0);
    assert_string_equal(parsed.name.id, "");
    assert_int_equal(parsed.name.group, 0);
    chat_request_done(&parsed);
}

static void null_is_absent_and_unknown_is_ignored(void **state)
{
    (void)state;
    assert_true(parse_chat_with(
        "\"stream\":null,\"stream_options\":null,\"max_tokens\":null,\"temperature\":null,"
        "\"top_p\":null,\"top_k\":null,\"min_p\":null,\"seed\":null,\"n\":null,\"stop\":null,"
        "\"tools\":null,\"tool_choice\":null,\"response_format\":null,\"logprobs\":null,"
        "\"logit_bias\":null,\"model\":null,\"modalities\":null,\"session_id\":null,"
        "\"frequency_penalty\":null,\"user\":\"u\",\"new_field\":{\"a\":[1,2]}"));
    chat_request_done(&parsed);
}

static void wrong_types_are_named(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "stream",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "n",
        "stop",
        "ignore_eos",
        "repeat_penalty",
        "repetition_penalty",
        "model",
        "session_id",
        "modalities",
        "presence_penalty",
        "frequency_penalty",
        "stream_options",
        "response_format",
    };
    static const char *const values[] = {"{\"a\":1}", "\"text\"", "[[]]", "1", "1.5", "true"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        int n_refused = 0;
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            char text[128];
            snprintf(text, sizeof text, "\"%s\":%s", fields[i], values[k]);
            if (parse_chat_with(text)) {
                chat_request_done(&parsed);
                continue;
            }
            n_refused++;
            assert_int_equal(refusal.status, 400);
            assert_string_equal(refusal.param, fields[i]);
        }
        assert_true(n_refused >= 3);
    }
}

static void numbers_have_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *field, *code, *param;
    } bad[] = {
        {"\"max_tokens\":0", "integer_below_min_value", "max_tokens"},
        {"\"max_tokens\":-2", "integer_below_min_value", "max_tokens"},
        {"\"max_tokens\":1.5", "invalid_type", "max_tokens"},
        {"\"max_tokens\":1e300", "integer_above_max_value", "max_tokens"},
        {"\"temperature\":-0.001", "decimal_below_min_value", "temperature"},
        {"\"temperature\":2.001", "decimal_above_max_value", "temperature"},
        {"\"temperature\":1e308", "decimal_above_max_value", "temperature"},
        {"\"top_p\":1.1", "decimal_above_max_value", "top_p"},
        {"\"min_p\":-1", "decimal_below_min_value", "min_p"},
        {"\"top_k\":-2", "integer_below_min_value", "top_k"},
        {"\"top_k\":2147483648", "integer_above_max_value", "top_k"},
        {"\"n\":0", "integer_below_min_value", "n"},
        {"\"n\":129", "integer_above_max_value", "n"},
        {"\"min_tokens\":-1", "integer_below_min_value", "min_tokens"},
        {"\"min_tokens\":9,\"max_tokens\":8", "integer_above_max_value", "min_tokens"},
        {"\"logprobs\":true,\"top_logprobs\":21", "integer_above_max_value", "top_logprobs"},
        {"\"logprobs\":true,\"top_logprobs\":-1", "integer_below_min_value", "top_logprobs"},
        {"\"logprobs\":5", "invalid_type", "logprobs"},
        {"\"top_logprobs\":2", "invalid_value", "top_logprobs"},
        {"\"logit_bias\":{\"1\":100.5}", "decimal_above_max_value", "logit_bias"},
        {"\"logit_bias\":{\"1\":-101}", "decimal_below_min_value", "logit_bias"},
        {"\"logit_bias\":{\"1\":\"x\"}", "invalid_type", "logit_bias"},
        {"\"logit_bias\":{\"1000\":1}", "invalid_value", "logit_bias"},
        {"\"logit_bias\":{\"-1\":1}", "invalid_value", "logit_bias"},
        {"\"logit_bias\":{\"the\":1}", "invalid_value", "logit_bias"},
        {"\"logit_bias\":{\"\":1}", "invalid_value", "logit_bias"},
        {"\"logit_bias\":[1]", "invalid_type", "logit_bias"},
        {"\"logit_bias\":[[1]]", "invalid_type", "logit_bias"},
        {"\"logit_bias\":[[1,2,3]]", "invalid_type", "logit_bias"},
        {"\"logit_bias\":[[1.5,2]]", "invalid_type", "logit_bias"},
        {"\"logit_bias\":[[1000,2]]", "invalid_value", "logit_bias"},
        {"\"logit_bias\":[[-1,2]]", "invalid_value", "logit_bias"},
        {"\"logit_bias\":[[\"\",2]]", "invalid_value", "logit_bias"},
        {"\"logit_bias\":[[1,\"x\"]]", "invalid_type", "logit_bias"},
        {"\"logit_bias\":7", "invalid_type", "logit_bias"},
        {"\"seed\":9223372036854775808", "integer_above_max_value", "seed"},
        {"\"seed\":18446744073709551615", "integer_above_max_value", "seed"},
        {"\"seed\":-9223372036854775809", "integer_below_min_value", "seed"},
        {"\"seed\":99999999999999999999999999", "integer_above_max_value", "seed"},
        {"\"top_k\":9223372036854775808", "integer_above_max_value", "top_k"},
        {"\"n_probs\":-1", "integer_below_min_value", "n_probs"},
        {"\"n\":1000000", "integer_above_max_value", "n"},
        {"\"presence_penalty\":-2.1", "decimal_below_min_value", "presence_penalty"},
        {"\"frequency_penalty\":3", "decimal_above_max_value", "frequency_penalty"},
        {"\"repeat_penalty\":0", "decimal_below_min_value", "repeat_penalty"},
        {"\"repetition_penalty\":1e-320", "decimal_below_min_value", "repetition_penalty"},
    };
    static const char *const good[] = {
        "\"max_tokens\":-1",
        "\"max_tokens\":9223372036854775807",
        "\"temperature\":-0.0",
        "\"temperature\":1e-320",
        "\"temperature\":2",
        "\"top_p\":0",
        "\"top_k\":-1",
        "\"top_k\":2147483647",
        "\"seed\":-9223372036854775808",
        "\"seed\":9223372036854775807",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(parse_chat_with(bad[i].field), bad[i].code, bad[i].param);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!parse_chat_with(good[i]))
            fail_msg("%s: %s", good[i], refusal.message);
        assert_true(parsed.generation.max_tokens >= 1);
        assert_true(parsed.generation.sampling.top_k >= 0);
        chat_request_done(&parsed);
    }
    assert_true(parse_chat_with("\"max_tokens\":5,\"max_completion_tokens\":7"));
    assert_int_equal(parsed.generation.max_tokens, 7);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"max_tokens\":1.2e1,\"top_k\":5.0"));
    assert_int_equal(parsed.generation.max_tokens, 12);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"n_predict\":3"));
    assert_int_equal(parsed.generation.max_tokens, 3);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"n_predict\":3,\"max_tokens\":4,\"top_k\":5"));
    assert_int_equal(parsed.generation.max_tokens, 4);
    assert_int_equal(parsed.generation.sampling.top_k, 5);
    chat_request_done(&parsed);
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    assert_refused(parse_chat_with("\"functions\":[{\"name\":\"f\"}]"), "unsupported_parameter",
                   "functions");
    assert_non_null(strstr(refusal.message, "use 'tools'"));
    assert_refused(parse_chat_with("\"allowed_token_ids\":[1]"), "unsupported_parameter",
                   "allowed_token_ids");
    assert_refused(parse_chat_with("\"bad_words\":[\"no\"]"), "unsupported_parameter", "bad_words");
    assert_refused(parse_chat_with("\"prompt_logprobs\":1"), "unsupported_parameter",
                   "prompt_logprobs");
    assert_refused(parse_chat_with("\"prompt_logprobs\":0"), "unsupported_parameter",
                   "prompt_logprobs");
    assert_refused(parse_chat_with("\"chat_template\":\"{{ messages }}\""), "unsupported_parameter",
                   "chat_template");
    assert_refused(parse_chat_with("\"include_stop_str_in_output\":true"), "unsupported_parameter",
                   "include_stop_str_in_output");
    assert_refused(parse_chat_with("\"response_format\":{\"type\":\"yaml\"}"), "invalid_value",
                   "response_format");
    assert_refused(parse_chat_with("\"modalities\":[\"audio\"]"), "unsupported_value",
                   "modalities");
    assert_true(
        parse_chat_with("\"tools\":[],\"logprobs\":false,\"logit_bias\":{},\"n\":1,"
                        "\"tool_choice\":\"auto\",\"response_format\":{\"type\":\"text\"},"
                        "\"modalities\":[\"text\"],\"top_logprobs\":0,"
                        "\"bad_words\":[],\"prompt_logprobs\":null,\"allowed_token_ids\":null,"
                        "\"include_stop_str_in_output\":false"));
    chat_request_done(&parsed);
}

static void template_variables_are_passed_on(void **state)
{
    (void)state;
    assert_true(
        parse_chat_with("\"reasoning_effort\":\"none\",\"chat_template_kwargs\":{\"a\":1}"));
    assert_string_equal(parsed.generation.template_kwargs,
                        "{\"a\":1,\"enable_thinking\":false,\"reasoning_effort\":\"none\"}");
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"documents\":[{\"title\":\"t\",\"text\":\"x\"}]"));
    assert_string_equal(parsed.generation.template_kwargs,
                        "{\"documents\":[{\"text\":\"x\",\"title\":\"t\"}]}");
    chat_request_done(&parsed);
    assert_refused(parse_chat_with("\"documents\":\"x\""), "invalid_type", "documents");
    assert_true(parse_chat_with("\"chat_template_kwargs\":{},\"documents\":[]"));
    assert_null(parsed.generation.template_kwargs);
    chat_request_done(&parsed);
}

static void stops_are_strings_with_limits(void **state)
{
    (void)state;
    assert_true(parse_chat_with("\"stop\":\"\\n\""));
    assert_int_equal(parsed.generation.n_stops, 1);
    assert_string_equal(parsed.generation.stops[0], "\n");
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"stop\":[\"a\",\"b\"]"));
    assert_int_equal(parsed.generation.n_stops, 2);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"stop\":[]"));
    chat_request_done(&parsed);
    assert_refused(parse_chat_with("\"stop\":\"\""), "invalid_value", "stop");
    assert_refused(parse_chat_with("\"stop\":[\"a\",\"\"]"), "invalid_value", "stop");
    assert_refused(parse_chat_with("\"stop\":\"a\\u0000b\""), "invalid_value", "stop");
    assert_refused(parse_chat_with("\"stop\":[\"a\",1]"), "invalid_type", "stop");
    char many[64 * 4 + 32] = "\"stop\":[\"a\"";
    for (int i = 1; i < 64; i++)
        memcpy(many + strlen(many), ",\"b\"", sizeof ",\"b\"");
    size_t len = strlen(many);
    memcpy(many + len, "]", 2);
    assert_true(parse_chat_with(many));
    assert_int_equal(parsed.generation.n_stops, 64);
    chat_request_done(&parsed);
    memcpy(many + len, ",\"c\"]", sizeof ",\"c\"]");
    assert_refused(parse_chat_with(many), "array_above_max_length", "stop");
    char field[2000] = "\"stop\":\"";
    memset(field + 8, 'x', 1025);
    memcpy(field + 8 + 1025, "\"", 2);
    assert_refused(parse_chat_with(field), "string_above_max_length", "stop");
}

static void what_is_not_one_json_object_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "1",
        "{} {}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":NaN}",
        "{\"a\":1e999}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\\ud800\"}",
        "\xEF\xBB\xBF",
        "\xEF\xBB\xBF\xEF\xBB\xBF{}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_refused(parse_chat(bodies[i]), "invalid_json", "");
    assert_true(parse_chat("\xEF\xBB\xBF{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"));
    chat_request_done(&parsed);

    enum { N = 200000 };
    char *body = malloc(2 * N + 1);
    assert_non_null(body);
    memset(body, '[', 2 * N);
    body[2 * N] = '\0';
    assert_refused(parse_chat(body), "invalid_json", "");
    memcpy(body, "{\"a\":[", 6);
    for (int i = 6; i < 2 * N; i += 2)
        memcpy(body + i, "1,", 2);
    assert_refused(parse_chat(body), "invalid_json", "");
    assert_non_null(strstr(refusal.message, "values"));

    /* The same characters inside a string are only text. */
    memset(body, ',', 2 * N);
    static const char open[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"\\\"";
    memcpy(body, open, sizeof open - 1);
    memcpy(body + 2 * N - 4, "\"}]}", 4);
    assert_true(parse_chat(body));
    assert_int_equal(parsed.messages.items[0].len, 2 * N - (sizeof open - 1) - 4 + 1);
    chat_request_done(&parsed);
    free(body);
}

static void choices_biases_and_logprobs_are_read(void **state)
{
    (void)state;
    assert_true(
        parse_chat_with("\"n\":3,\"seed\":7,\"logprobs\":true,\"top_logprobs\":5,\"min_tokens\":2,"
                        "\"logit_bias\":{\"5\":-100,\"999\":1.5,\"0\":false}"));
    const struct generation_request *generation = &parsed.generation;
    assert_int_equal(parsed.n_choices, 3);
    assert_true(generation->has_seed && generation->sampling.seed == 7);
    assert_true(generation->wants_logprobs && generation->n_top == 5);
    assert_int_equal(generation->min_tokens, 2);
    assert_int_equal(generation->n_biases, 3);
    static const struct token_bias expected[] = {{5, -100}, {999, 1.5F}, {0, -100}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(generation->biases[i].id, expected[i].id);
        assert_true(generation->biases[i].bias == expected[i].bias);
    }
    struct generation_request copy;
    assert_true(generation_request_copy(generation, &copy));
    chat_request_done(&parsed);
    assert_int_equal(copy.biases[1].id, 999);
    generation_request_done(&copy);
}

static void a_bias_has_other_forms(void **state)
{
    (void)state;
    assert_true(parse_chat_with("\"logit_bias\":[[5,-100],[999,1.5],[0,false]]"));
    assert_int_equal(parsed.generation.n_biases, 3);
    static const struct token_bias expected[] = {{5, -100}, {999, 1.5F}, {0, -100}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(parsed.generation.biases[i].id, expected[i].id);
        assert_true(parsed.generation.biases[i].bias == expected[i].bias);
    }
    chat_request_done(&parsed);
}

static void likelihoods_go_by_another_name_too(void **state)
{
    (void)state;
    assert_true(parse_chat_with("\"n_probs\":3"));
    assert_true(parsed.generation.wants_logprobs && parsed.generation.n_top == 3);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"n_probs\":100"));
    assert_int_equal(parsed.generation.n_top, TOKEN_REPORT_MAX_TOP);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"n_probs\":0"));
    assert_false(parsed.generation.wants_logprobs);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"n_probs\":9,\"logprobs\":true,\"top_logprobs\":2"));
    assert_int_equal(parsed.generation.n_top, 2);
    chat_request_done(&parsed);
}

/* Beside an assistant's last message these say what happens anyway. */
static void a_last_message_is_gone_on_with_only_if_it_is_the_assistants(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "\"add_generation_prompt\":false",
        "\"continue_final_message\":true",
        "\"continue_final_message\":\"content\"",
        "\"continue_final_message\":\"reasoning_content\"",
    };
    for (size_t i = 0; i < 4; i++) {
        const char *name = i == 0 ? "add_generation_prompt" : "continue_final_message";
        assert_true(parse_chat_with(ends[i]));
        assert_false(chat_request_can_end(&parsed, &refusal));
        assert_refused(false, "invalid_value", name);
        chat_request_done(&parsed);
        char body[256];
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}],%s}", ends[i]);
        assert_true(parse_chat(body));
        assert_int_equal(chat_request_can_end(&parsed, &refusal), i < 3);
        chat_request_done(&parsed);
    }
    assert_true(parse_chat_with("\"add_generation_prompt\":true,\"continue_final_message\":false"));
    assert_true(chat_request_can_end(&parsed, &refusal));
    chat_request_done(&parsed);
    assert_refused(parse_chat_with("\"continue_final_message\":1"), "invalid_type",
                   "continue_final_message");
}

static void thoughts_stay_apart(void **state)
{
    (void)state;
    static const char *const formats[] = {"none", "deepseek-legacy", "raw",
                                          "auto", "deepseek",        "parsed"};
    struct generation_defaults thinking = parse_defaults;
    thinking.think_open = "<think>";
    thinking.think_close = "</think>";
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char body[256];
        snprintf(
            body, sizeof body,
            "{\"reasoning_format\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
            formats[i]);
        assert_true(parse_chat(body)); /* a model without thoughts */
        chat_request_done(&parsed);
        bool is_good =
            chat_request_parse(CHAT_API_CHAT, body, strlen(body), &thinking, &parsed, &refusal);
        assert_int_equal(is_good, i >= 3);
        if (is_good)
            chat_request_done(&parsed);
        else
            assert_refused(false, "unsupported_value", "reasoning_format");
    }
}

static void other_model_names_pass_unless_strict(void **state)
{
    (void)state;
    struct generation_defaults strict = parse_defaults;
    strict.is_model_strict = true;
    static const struct {
        const char *model;
        bool is_known;
    } cases[] = {
        {"\"small\"", true}, {"\"file-name\"", true}, {"null", true}, {"\"gpt-4o\"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"model\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}",
                 cases[i].model);
        assert_true(parse_chat(body));
        chat_request_done(&parsed);
        bool is_good =
            chat_request_parse(CHAT_API_CHAT, body, strlen(body), &strict, &parsed, &refusal);
        assert_int_equal(is_good, cases[i].is_known);
        if (is_good) {
            chat_request_done(&parsed);
            continue;
        }
        assert_int_equal(refusal.status, 404);
        assert_string_equal(refusal.code, "model_not_found");
        assert_string_equal(refusal.param, "model");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_the_default),
        cmocka_unit_test(null_is_absent_and_unknown_is_ignored),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(a_bias_has_other_forms),
        cmocka_unit_test(likelihoods_go_by_another_name_too),
        cmocka_unit_test(a_last_message_is_gone_on_with_only_if_it_is_the_assistants),
        cmocka_unit_test(thoughts_stay_apart),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(template_variables_are_passed_on),
        cmocka_unit_test(stops_are_strings_with_limits),
        cmocka_unit_test(what_is_not_one_json_object_is_refused),
        cmocka_unit_test(choices_biases_and_logprobs_are_read),
        cmocka_unit_test(other_model_names_pass_unless_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
