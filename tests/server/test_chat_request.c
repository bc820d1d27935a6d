#include "server/chat_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api_error.h"
#include "tests/support/check.h"

static const struct generation_defaults defaults = {
    .max_tokens = 100,
    .n_vocab = 1000,
    .model_names = {"small", "file-name"},
    .sampling = {.temperature = 0.5F, .top_p = 1, .repetition_penalty = 1, .top_k = 40},
};

static struct chat_request request;
static struct api_error error;

static bool parse(const char *body)
{
    error = (struct api_error){0};
    return chat_request_parse(body, strlen(body), &defaults, &request, &error);
}

/* A body with one user message and more fields. */
static bool parse_with(const char *fields)
{
    char body[4096];
    snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]%s%s}",
             fields[0] == '\0' ? "" : ",", fields);
    return parse(body);
}

static void assert_refused(bool is_good, const char *code, const char *param)
{
    assert_false(is_good);
    assert_int_equal(error.status, 400);
    assert_string_equal(error.code, code);
    assert_string_equal(error.param, param);
    assert_true(strlen(error.message) > 10);
}

static void what_is_not_said_is_the_default(void **state)
{
    (void)state;
    assert_true(parse_with(""));
    assert_int_equal(request.messages.n, 1);
    assert_int_equal(request.messages.items[0].role, CHAT_USER);
    assert_int_equal(request.messages.items[0].len, 2);
    assert_memory_equal(request.messages.items[0].content, "Hi", 2);
    assert_false(request.generation.is_streaming);
    assert_int_equal(request.generation.max_tokens, 100);
    assert_int_equal(request.generation.sampling.top_k, 40);
    assert_int_equal(request.generation.n_stops, 0);
    assert_string_equal(request.name.id, "");
    assert_int_equal(request.name.group, 0);
    chat_request_done(&request);
}

static void null_is_absent_and_unknown_is_ignored(void **state)
{
    (void)state;
    assert_true(parse_with(
        "\"stream\":null,\"stream_options\":null,\"max_tokens\":null,\"temperature\":null,"
        "\"top_p\":null,\"top_k\":null,\"min_p\":null,\"seed\":null,\"n\":null,\"stop\":null,"
        "\"tools\":null,\"tool_choice\":null,\"response_format\":null,\"logprobs\":null,"
        "\"logit_bias\":null,\"model\":null,\"modalities\":null,\"session_id\":null,"
        "\"frequency_penalty\":null,\"user\":\"u\",\"new_field\":{\"a\":[1,2]}"));
    chat_request_done(&request);
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
            if (parse_with(text)) {
                chat_request_done(&request);
                continue;
            }
            n_refused++;
            assert_int_equal(error.status, 400);
            assert_string_equal(error.param, fields[i]);
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
        {"\"max_tokens\":1e300", "invalid_type", "max_tokens"},
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
        assert_refused(parse_with(bad[i].field), bad[i].code, bad[i].param);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!parse_with(good[i]))
            fail_msg("%s: %s", good[i], error.message);
        assert_true(request.generation.max_tokens >= 1);
        assert_true(request.generation.sampling.top_k >= 0);
        chat_request_done(&request);
    }
    assert_true(parse_with("\"max_tokens\":5,\"max_completion_tokens\":7"));
    assert_int_equal(request.generation.max_tokens, 7);
    chat_request_done(&request);
    assert_true(parse_with("\"max_tokens\":1.2e1,\"top_k\":5.0"));
    assert_int_equal(request.generation.max_tokens, 12);
    assert_int_equal(request.generation.sampling.top_k, 5);
    chat_request_done(&request);
}

static void what_cannot_be_done_is_refused(void **state)
{
    (void)state;
    assert_refused(parse_with("\"functions\":[{\"name\":\"f\"}]"), "unsupported_parameter",
                   "functions");
    assert_refused(parse_with("\"response_format\":{\"type\":\"yaml\"}"), "invalid_value",
                   "response_format");
    assert_refused(parse_with("\"modalities\":[\"audio\"]"), "unsupported_value", "modalities");
    assert_true(parse_with("\"tools\":[],\"logprobs\":false,\"logit_bias\":{},\"n\":1,"
                           "\"tool_choice\":\"auto\",\"response_format\":{\"type\":\"text\"},"
                           "\"modalities\":[\"text\"],\"top_logprobs\":0"));
    chat_request_done(&request);
}

#define TOOL(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"

static void tools_are_those_that_may_be_used(void **state)
{
    (void)state;
    static const struct {
        const char *choice;
        enum tool_choice expected;
        size_t n;
    } cases[] = {
        {"null", TOOL_CHOICE_AUTO, 2},
        {"\"auto\"", TOOL_CHOICE_AUTO, 2},
        {"\"none\"", TOOL_CHOICE_AUTO, 0},
        {"\"required\"", TOOL_CHOICE_REQUIRED, 2},
        {"{\"type\":\"function\",\"function\":{\"name\":\"g\"}}", TOOL_CHOICE_NAMED, 1},
        {"{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[" TOOL(
             "g") "]}}",
         TOOL_CHOICE_REQUIRED, 1},
        {"{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":"
         "\"g\"}]}",
         TOOL_CHOICE_AUTO, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[1000];
        snprintf(fields, sizeof fields,
                 "\"tools\":[" TOOL("f") "," TOOL("g") "],\"tool_choice\":%s", cases[i].choice);
        if (!parse_with(fields))
            fail_msg("%s: %s", fields, error.message);
        const struct tool_request *tools = &request.generation.tools;
        assert_int_equal(tools->choice, cases[i].expected);
        assert_int_equal(tools->n, cases[i].n);
        assert_int_equal(tool_request_has(tools, "g", 1), cases[i].n > 0);
        assert_int_equal(tool_request_has(tools, "f", 1), cases[i].n > 1);
        assert_int_equal(tools->json != NULL, cases[i].n > 0);
        /* What the model reads stays the same, whatever the choice. */
        assert_true(tools->json == NULL || strstr(tools->json, "\"f\"") != NULL);
        chat_request_done(&request);
    }
}

static void wrong_tools_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *code, *param;
    } cases[] = {
        {"\"tools\":{}", "invalid_type", "tools"},
        {"\"tools\":[1]", "invalid_type", "tools[0]"},
        {"\"tools\":[{}]", "missing_required_parameter", "tools[0].type"},
        {"\"tools\":[{\"type\":\"custom\"}]", "unsupported_value", "tools[0].type"},
        {"\"tools\":[{\"type\":\"function\"}]", "missing_required_parameter", "tools[0].function"},
        {"\"tools\":[" TOOL("f") ",{\"type\":\"function\",\"function\":{}}]",
         "missing_required_parameter", "tools[1].function.name"},
        {"\"tools\":[" TOOL("a b") "]", "invalid_value", "tools[0].function.name"},
        {"\"tools\":[" TOOL("") "]", "invalid_value", "tools[0].function.name"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]",
         "invalid_type", "tools[0].function.parameters"},
        {"\"tool_choice\":\"required\"", "invalid_value", "tool_choice"},
        {"\"tool_choice\":\"sometimes\"", "invalid_value", "tool_choice"},
        {"\"tool_choice\":5", "invalid_value", "tool_choice"},
        {"\"tools\":[" TOOL(
             "f") "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}",
         "invalid_value", "tool_choice"},
        {"\"tools\":[" TOOL(
             "f") "],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[]}",
         "invalid_value", "tool_choice"},
        {"\"parallel_tool_calls\":\"yes\"", "invalid_type", "parallel_tool_calls"},
        {"\"chat_template_kwargs\":[]", "invalid_type", "chat_template_kwargs"},
        {"\"reasoning_effort\":1", "invalid_type", "reasoning_effort"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(parse_with(cases[i].fields), cases[i].code, cases[i].param);
}

static void template_variables_are_passed_on(void **state)
{
    (void)state;
    assert_true(parse_with("\"reasoning_effort\":\"none\",\"chat_template_kwargs\":{\"a\":1}"));
    assert_string_equal(request.generation.template_kwargs,
                        "{\"a\":1,\"enable_thinking\":false,\"reasoning_effort\":\"none\"}");
    chat_request_done(&request);
    assert_true(parse_with("\"chat_template_kwargs\":{}"));
    assert_null(request.generation.template_kwargs);
    chat_request_done(&request);
}

static const char *extra_of(const char *message)
{
    static char text[1000];
    char body[2000];
    snprintf(body, sizeof body, "{\"messages\":[%s]}", message);
    if (!parse(body))
        fail_msg("%s: %s", message, error.message);
    snprintf(text, sizeof text, "%s",
             request.messages.items[0].extra == NULL ? "" : request.messages.items[0].extra);
    chat_request_done(&request);
    return text;
}

/* However a client writes a call, it compares as the same. */
static void a_call_has_one_form(void **state)
{
    (void)state;
    static const char expected[] =
        "{\"tool_calls\":[{\"function\":{\"arguments\":{\"b\":1,\"a\":\"x\"},\"name\":\"f\"},"
        "\"id\":\"c1\",\"type\":\"function\"}]}";
    static const char *const forms[] = {
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
        "\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":1,\\\"a\\\":\\\"x\\\"}\"}}]}",
        "{\"tool_calls\":[{\"function\":{\"arguments\":\"{ \\\"b\\\" : 1,\\n \\\"a\\\": \\\"x\\\" "
        "}\","
        "\"name\":\"f\"},\"id\":\"c1\",\"index\":0}],\"reasoning_content\":\"hm\",\"role\":"
        "\"assistant\"}",
        "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null,\"tool_calls\":[{\"id\":\"c1\","
        "\"function\":{\"name\":\"f\",\"arguments\":{\"b\":1,\"a\":\"x\"}}}]}",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        assert_string_equal(extra_of(forms[i]), expected);
    assert_string_equal(
        extra_of("{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"5\",\"name\":\"f\"}"),
        "{\"name\":\"f\",\"tool_call_id\":\"c1\"}");
    assert_string_equal(extra_of("{\"role\":\"user\",\"content\":\"Hi\",\"tool_calls\":[]}"), "");
    assert_string_equal(extra_of("{\"role\":\"assistant\",\"tool_calls\":[]}"), "");
    assert_string_equal(
        extra_of("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":"
                 "{\"name\":\"f\",\"arguments\":\"{cut\"}}]}"),
        "{\"tool_calls\":[{\"function\":{\"arguments\":\"{cut\",\"name\":\"f\"},"
        "\"id\":\"c\",\"type\":\"function\"}]}");
}

static void stops_are_strings_with_limits(void **state)
{
    (void)state;
    assert_true(parse_with("\"stop\":\"\\n\""));
    assert_int_equal(request.generation.n_stops, 1);
    assert_string_equal(request.generation.stops[0], "\n");
    chat_request_done(&request);
    assert_true(parse_with("\"stop\":[\"a\",\"b\"]"));
    assert_int_equal(request.generation.n_stops, 2);
    chat_request_done(&request);
    assert_true(parse_with("\"stop\":[]"));
    chat_request_done(&request);
    assert_refused(parse_with("\"stop\":\"\""), "invalid_value", "stop");
    assert_refused(parse_with("\"stop\":[\"a\",\"\"]"), "invalid_value", "stop");
    assert_refused(parse_with("\"stop\":\"a\\u0000b\""), "invalid_value", "stop");
    assert_refused(parse_with("\"stop\":[\"a\",1]"), "invalid_type", "stop");
    assert_refused(parse_with("\"stop\":[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7]"),
                   "array_above_max_length", "stop");
    char field[2000] = "\"stop\":\"";
    memset(field + 8, 'x', 1025);
    memcpy(field + 8 + 1025, "\"", 2);
    assert_refused(parse_with(field), "string_above_max_length", "stop");
}

static void messages_are_read_in_all_forms(void **state)
{
    (void)state;
    assert_true(parse("{\"messages\":[{\"role\":\"developer\",\"content\":\"S\"},"
                      "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                      "{\"type\":\"input_text\",\"text\":\"b\\u0000\\u20ac\"}]},"
                      "{\"role\":\"assistant\",\"content\":null},{\"role\":\"tool\",\"tool_call_"
                      "id\":\"c\",\"content\":\"t\"},"
                      "{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\",\"content\":[]}]}"));
    assert_int_equal(request.messages.n, 6);
    assert_int_equal(request.messages.items[0].role, CHAT_SYSTEM);
    assert_int_equal(request.messages.items[1].len, 6);
    assert_memory_equal(request.messages.items[1].content, "ab\0\xe2\x82\xac", 6);
    assert_int_equal(request.messages.items[2].len, 0);
    assert_int_equal(request.messages.items[3].role, CHAT_TOOL);
    assert_memory_equal(request.messages.items[3].content, "t", 1);
    assert_int_equal(request.messages.items[5].len, 0);
    chat_request_done(&request);
}

static void wrong_messages_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *messages, *code, *param;
    } cases[] = {
        {"\"Hi\"", "invalid_type", "messages"},
        {"{}", "invalid_type", "messages"},
        {"[]", "empty_array", "messages"},
        {"[1]", "invalid_type", "messages[0]"},
        {"[{}]", "missing_required_parameter", "messages[0].role"},
        {"[{\"role\":1}]", "invalid_type", "messages[0].role"},
        {"[{\"role\":\"wizard\"}]", "invalid_value", "messages[0].role"},
        {"[{\"role\":\"user\\u0000\"}]", "invalid_value", "messages[0].role"},
        {"[{\"role\":\"user\"}]", "missing_required_parameter", "messages[0].content"},
        {"[{\"role\":\"user\",\"content\":1}]", "invalid_type", "messages[0].content"},
        {"[{\"role\":\"tool\",\"content\":\"5\"}]", "missing_required_parameter",
         "messages[0].tool_call_id"},
        {"[{\"role\":\"assistant\",\"tool_calls\":{}}]", "invalid_type", "messages[0].tool_calls"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "missing_required_parameter",
         "messages[0].tool_calls[0].function"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]",
         "missing_required_parameter", "messages[0].tool_calls[0].function.name"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":1}}]"
         "}]",
         "invalid_type", "messages[0].tool_calls[0].function.arguments"},
        {"[{\"role\":\"user\",\"content\":[1]}]", "invalid_type", "messages[0].content[0]"},
        {"[{\"role\":\"user\",\"content\":[{}]}]", "invalid_type", "messages[0].content[0]"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "invalid_type",
         "messages[0].content[0]"},
        {"[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":[{\"type\":"
         "\"image_url\",\"image_url\":{}}]}]",
         "unsupported_value", "messages[1].content[0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"messages\":%s}", cases[i].messages);
        assert_refused(parse(body), cases[i].code, cases[i].param);
    }
    assert_refused(parse("{}"), "missing_required_parameter", "messages");
    assert_refused(parse("{\"messages\":null}"), "missing_required_parameter", "messages");
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
        "{\"a\":99999999999999999999}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_refused(parse(bodies[i]), "invalid_json", "");

    enum { N = 200000 };
    char *body = malloc(2 * N + 1);
    assert_non_null(body);
    memset(body, '[', 2 * N);
    body[2 * N] = '\0';
    assert_refused(parse(body), "invalid_json", "");
    memcpy(body, "{\"a\":[", 6);
    for (int i = 6; i < 2 * N; i += 2)
        memcpy(body + i, "1,", 2);
    assert_refused(parse(body), "invalid_json", "");
    assert_non_null(strstr(error.message, "values"));

    /* The same characters inside a string are only text. */
    memset(body, ',', 2 * N);
    static const char open[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"\\\"";
    memcpy(body, open, sizeof open - 1);
    memcpy(body + 2 * N - 4, "\"}]}", 4);
    assert_true(parse(body));
    assert_int_equal(request.messages.items[0].len, 2 * N - (sizeof open - 1) - 4 + 1);
    chat_request_done(&request);
    free(body);
}

static void choices_biases_and_logprobs_are_read(void **state)
{
    (void)state;
    assert_true(
        parse_with("\"n\":3,\"seed\":7,\"logprobs\":true,\"top_logprobs\":5,\"min_tokens\":2,"
                   "\"logit_bias\":{\"5\":-100,\"999\":1.5,\"0\":false}"));
    const struct generation_request *generation = &request.generation;
    assert_int_equal(request.n_choices, 3);
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
    chat_request_done(&request);
    assert_int_equal(copy.biases[1].id, 999);
    generation_request_done(&copy);
}

static void other_model_names_pass_unless_strict(void **state)
{
    (void)state;
    struct generation_defaults strict = defaults;
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
        assert_true(parse(body));
        chat_request_done(&request);
        bool is_good = chat_request_parse(body, strlen(body), &strict, &request, &error);
        assert_int_equal(is_good, cases[i].is_known);
        if (is_good) {
            chat_request_done(&request);
            continue;
        }
        assert_int_equal(error.status, 404);
        assert_string_equal(error.code, "model_not_found");
        assert_string_equal(error.param, "model");
    }
}

static bool parse_completion(const char *body)
{
    return chat_request_parse_completion(body, strlen(body), &defaults, &request, &error);
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
        {"{\"prompt\":\"a\",\"logprobs\":6}", "integer_above_max_value", "logprobs"},
        {"{\"prompt\":\"a\",\"logprobs\":true}", "invalid_type", "logprobs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(parse_completion(cases[i].body), cases[i].code, cases[i].param);
}

static void completions_take_texts_and_tokens(void **state)
{
    (void)state;
    assert_true(parse_completion("{\"prompt\":\"Once\",\"logprobs\":false,\"best_of\":1}"));
    assert_int_equal(request.prompts.n, 1);
    assert_string_equal(buf_text(&request.prompts.items[0].text), "Once");
    assert_int_equal(request.prompts.items[0].tokens.n, 0);
    assert_false(request.generation.wants_logprobs || request.is_echoing);
    chat_request_done(&request);

    assert_true(parse_completion(
        "{\"prompt\":[\"a\",\"bc\"],\"n\":2,\"best_of\":2,\"logprobs\":0,\"suffix\":\"\"}"));
    assert_int_equal(request.prompts.n, 2);
    assert_string_equal(buf_text(&request.prompts.items[1].text), "bc");
    assert_int_equal(request.n_choices, 2);
    assert_true(request.generation.wants_logprobs && request.generation.n_top == 0);
    chat_request_done(&request);

    assert_true(parse_completion("{\"prompt\":[1,2,999],\"echo\":true}"));
    assert_int_equal(request.prompts.n, 1);
    assert_int_equal(request.prompts.items[0].tokens.n, 3);
    assert_int_equal(request.prompts.items[0].tokens.ids[2], 999);
    assert_true(request.is_echoing);
    chat_request_done(&request);

    assert_true(parse_completion("{\"prompt\":[[1],[2,3]]}"));
    assert_int_equal(request.prompts.n, 2);
    assert_int_equal(request.prompts.items[1].tokens.n, 2);
    chat_request_done(&request);
}

static void session_ids_are_visible_ascii(void **state)
{
    (void)state;
    assert_true(parse_with("\"session_id\":\"abc-1\""));
    assert_string_equal(request.name.id, "abc-1");
    chat_request_done(&request);
    assert_refused(parse_with("\"session_id\":\"a b\""), "invalid_value", "session_id");
    assert_refused(parse_with("\"session_id\":\"\""), "invalid_value", "session_id");
    assert_refused(parse_with("\"session_id\":\"a\\u0000\""), "invalid_value", "session_id");
    assert_refused(parse_with("\"session_id\":\"\\u20ac\""), "invalid_value", "session_id");
    char id[CONVERSATION_NAME_MAX + 2];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    assert_false(conversation_name_is_valid(id));
    assert_true(conversation_name_is_valid(id + 1));
}

/* What front ends put into the metadata is the chat's name; what is none is theirs alone. */
static void names_and_groups_are_found_in_the_body(void **state)
{
    (void)state;
    assert_true(parse_with("\"metadata\":{\"chat_id\":\"a b\",\"session_id\":\"s-1\"}"));
    assert_string_equal(request.name.id, "s-1");
    assert_int_equal(request.name.group, 0);
    chat_request_done(&request);
    assert_true(parse_with("\"session_id\":\"own\",\"metadata\":{\"chat_id\":\"other\"}"));
    assert_string_equal(request.name.id, "own");
    chat_request_done(&request);

    assert_true(parse_with("\"user\":\"ann\""));
    uint64_t ann = request.name.group;
    assert_string_equal(request.name.id, "");
    chat_request_done(&request);
    assert_true(parse_with("\"user\":\"bob\",\"prompt_cache_key\":\"ann\""));
    assert_int_not_equal(ann, 0);
    assert_int_equal(request.name.group, ann);
    chat_request_done(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_said_is_the_default),
        cmocka_unit_test(null_is_absent_and_unknown_is_ignored),
        cmocka_unit_test(wrong_types_are_named),
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(tools_are_those_that_may_be_used),
        cmocka_unit_test(wrong_tools_are_named),
        cmocka_unit_test(template_variables_are_passed_on),
        cmocka_unit_test(a_call_has_one_form),
        cmocka_unit_test(stops_are_strings_with_limits),
        cmocka_unit_test(messages_are_read_in_all_forms),
        cmocka_unit_test(wrong_messages_are_named),
        cmocka_unit_test(what_is_not_one_json_object_is_refused),
        cmocka_unit_test(choices_biases_and_logprobs_are_read),
        cmocka_unit_test(other_model_names_pass_unless_strict),
        cmocka_unit_test(completions_refuse_what_they_cannot_do),
        cmocka_unit_test(completions_take_texts_and_tokens),
        cmocka_unit_test(session_ids_are_visible_ascii),
        cmocka_unit_test(names_and_groups_are_found_in_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
