#include "tests/core/text/grammar_check.h"

#include <jansson.h>
#include <string.h>

#include "core/text/grammar.h"
#include "server/answer_grammar.h"
#include "server/api_error.h"
#include "server/grammar_cache.h"
#include "server/output_format.h"
#include "server/tool_format.h"
#include "server/tool_request.h"

static const char SCHEMA_FORMAT[] = "{\"response_format\":{\"type\":\"json_schema\",\"json_"
                                    "schema\":{\"name\":\"n\",\"strict\":true,"
                                    "\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{}}}}}}";

static bool read_body(const char *body, struct grammar_cache *cache, struct grammar **out,
                      struct api_error *error)
{
    json_t *parsed = json_loads(body, 0, NULL);
    assert_non_null(parsed);
    *error = (struct api_error){0};
    static const struct answer_frame nothing = {0};
    bool has_frame;
    bool is_good = output_format_read(parsed, &nothing, cache, out, &has_frame, error);
    json_decref(parsed);
    return is_good;
}

static void what_says_nothing_is_no_grammar(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{}",
                                         "{\"response_format\":null}",
                                         "{\"grammar\":\"\"}",
                                         "{\"response_format\":{\"type\":\"text\"}}",
                                         "{\"structured_outputs\":{\"json_object\":false}}",
                                         "{\"structured_outputs\":{}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct grammar *grammar = NULL;
        struct api_error error;
        assert_true(read_body(bodies[i], NULL, &grammar, &error));
        assert_null(grammar);
    }
}

static void every_way_to_say_it(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"response_format\":{\"type\":\"json_object\"}}",
        "{\"response_format\":{\"type\":\"json_object\",\"schema\":{\"type\":\"object\"}}}",
        SCHEMA_FORMAT,
        "{\"response_format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}}}",
        "{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}}}",
        "{\"grammar\":\"root ::= \\\"a\\\"\"}",
        "{\"guided_grammar\":\"root ::= \\\"a\\\"\",\"response_format\":{\"type\":\"text\"}}",
        "{\"guided_regex\":\"[0-9]+\"}",
        "{\"guided_choice\":[\"yes\",\"no \\\"or\\\"\\n\"]}",
        "{\"guided_json\":{\"type\":\"integer\"}}",
        "{\"guided_json\":\"{\\\"type\\\":\\\"integer\\\"}\"}",
        "{\"json_schema\":{\"type\":\"integer\",\"multipleOf\":2}}",
        "{\"structured_outputs\":{\"json\":{\"type\":\"integer\"}}}",
        "{\"structured_outputs\":{\"json\":\"{}\",\"disable_any_whitespace\":true}}",
        "{\"structured_outputs\":{\"regex\":\"[0-9]+\",\"choice\":null}}",
        "{\"structured_outputs\":{\"choice\":[\"yes\",\"no\"]}}",
        "{\"structured_outputs\":{\"grammar\":\"root ::= \\\"a\\\"\"}}",
        "{\"structured_outputs\":{\"json_object\":true}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct grammar *grammar = NULL;
        struct api_error error;
        if (!read_body(bodies[i], NULL, &grammar, &error))
            fail_msg("%s: %s", bodies[i], error.message);
        assert_non_null(grammar);
        grammar_free(&grammar);
    }
}

static void what_is_wrong_is_a_400_that_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param, *code, *message;
    } cases[] = {
        {"{\"response_format\":1}", "response_format", "invalid_type", "an object"},
        {"{\"response_format\":{}}", "response_format", "missing_required_parameter", "type"},
        {"{\"response_format\":{\"type\":\"yaml\"}}", "response_format", "invalid_value", "yaml"},
        {"{\"response_format\":{\"type\":\"json_schema\"}}", "response_format",
         "missing_required_parameter", "schema"},
        {"{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":1}}",
         "response_format.json_schema", "invalid_type", "an object"},
        {"{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
         "\"schema\":1}}}",
         "response_format", "invalid_type", "an object"},
        {"{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
         "\"strict\":\"yes\",\"schema\":{}}}}",
         "response_format.json_schema", "invalid_type", "'strict'"},
        {"{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
         "\"strict\":true,\"schema\":{\"type\":\"integer\",\"multipleOf\":997}}}}",
         "response_format", "invalid_json_schema", "'n': 'multipleOf' is not supported"},
        {"{\"grammar\":\"x ::= 1\"}", "grammar", "invalid_value", "root"},
        {"{\"grammar\":1}", "grammar", "invalid_type", "a string"},
        {"{\"guided_regex\":\"(\"}", "guided_regex", "invalid_value", "')'"},
        {"{\"guided_choice\":[]}", "guided_choice", "invalid_type", "array"},
        {"{\"guided_choice\":[1]}", "guided_choice", "invalid_type", "strings"},
        {"{\"guided_json\":\"{\"}", "guided_json", "invalid_value", "not valid JSON"},
        {"{\"grammar\":\"root ::= \\\"a\\\"\",\"response_format\":{\"type\":\"json_object\"}}",
         "grammar", "mutually_exclusive_parameters", "both"},
        {"{\"structured_outputs\":[]}", "structured_outputs", "invalid_type", "an object"},
        {"{\"structured_outputs\":{\"regex\":\"(\"}}", "structured_outputs.regex", "invalid_value",
         "')'"},
        {"{\"structured_outputs\":{\"json_object\":1}}", "structured_outputs.json_object",
         "invalid_type", "a boolean"},
        {"{\"structured_outputs\":{\"structural_tag\":\"{}\"}}",
         "structured_outputs.structural_tag", "unsupported_parameter", "not supported"},
        {"{\"structured_outputs\":{\"regex\":\"a\",\"choice\":[\"a\"]}}",
         "structured_outputs.choice", "mutually_exclusive_parameters",
         "'structured_outputs.regex'"},
        {"{\"structured_outputs\":{\"regex\":\"a\"},\"grammar\":\"root ::= \\\"a\\\"\"}",
         "structured_outputs", "mutually_exclusive_parameters", "'grammar'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct grammar *grammar = NULL;
        struct api_error error;
        if (read_body(cases[i].body, NULL, &grammar, &error))
            fail_msg("this was accepted: %s", cases[i].body);
        assert_null(grammar);
        assert_int_equal(error.status, 400);
        assert_string_equal(error.param, cases[i].param);
        assert_string_equal(error.code, cases[i].code);
        if (strstr(error.message, cases[i].message) == NULL)
            fail_msg("'%s' does not say '%s'", error.message, cases[i].message);
    }
}

static void one_text_is_compiled_once(void **state)
{
    (void)state;
    struct grammar_cache *cache = NULL;
    struct grammar *first = NULL, *again = NULL, *other = NULL;
    struct api_error error;
    assert_true(grammar_cache_new(&cache, 1 << 20, NULL));
    const char *body = "{\"response_format\":{\"type\":\"json_object\"}}";
    assert_true(read_body(body, cache, &first, &error));
    assert_true(read_body(body, cache, &again, &error));
    assert_ptr_equal(first, again);
    assert_true(read_body("{\"guided_regex\":\"a\"}", cache, &other, &error));
    assert_ptr_not_equal(first, other);
    grammar_cache_free(&cache);
    assert_true(grammar_bytes(first) > 0); /* its owners keep it */
    grammar_free(&first);
    grammar_free(&again);
    grammar_free(&other);
}

static void check_calls(const char *format, const char *call)
{
    struct grammar *grammar = NULL;
    struct grammar_states states;
    struct api_error error;
    json_t *body = json_loads("{\"response_format\":{\"type\":\"json_object\"}}", 0, NULL);
    struct tool_request tools = {.n = 1};
    struct answer_frame frame = {0};
    bool has_frame;
    if (format != NULL)
        frame = (struct answer_frame){.tools = &tools, .calls = tool_format_find(format)};
    assert_true(output_format_read(body, &frame, NULL, &grammar, &has_frame, &error));
    assert_true(has_frame);
    assert_true(grammar_states_init(&states, grammar));
    assert_true(grammar_check_fit(&states, "{\"a\": 1}", 8) >= FIT_BEGINNING);
    assert_int_equal(grammar_check_fit(&states, call, strlen(call)) >= FIT_WHOLE, format != NULL);
    assert_int_equal(grammar_check_fit(&states, "Hello", 5), FIT_NOT);
    grammar_states_done(&states);
    grammar_free(&grammar);
    json_decref(body);
}

/* A model that has tools may call one instead of answering. */
static void a_call_is_possible_where_there_are_tools(void **state)
{
    (void)state;
    check_calls("hermes", "<tool_call>\n{\"name\": \"f\"}\n</tool_call>");
    check_calls("mistral", "[TOOL_CALLS] [{\"name\": \"f\"}]");
    check_calls("qwen3-coder", "<function=f>");
    check_calls("llama3", "{\"name\": \"f\", \"parameters\": {}}");
    check_calls(NULL, "<tool_call>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_says_nothing_is_no_grammar),
        cmocka_unit_test(every_way_to_say_it),
        cmocka_unit_test(what_is_wrong_is_a_400_that_says_why),
        cmocka_unit_test(one_text_is_compiled_once),
        cmocka_unit_test(a_call_is_possible_where_there_are_tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
