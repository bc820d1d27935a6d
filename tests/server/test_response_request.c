#include "server/response_request.h"

#include <jansson.h>
#include <string.h>

#include "server/api_error.h"
#include "tests/support/check.h"

static const struct generation_defaults defaults = {
    .max_tokens = 100,
    .sampling = {.temperature = 0.8F, .top_p = 0.95F, .repetition_penalty = 1},
};

static struct response_request request;
static struct api_error error;

static bool parse(const char *body)
{
    return response_request_parse(body, strlen(body), &defaults, "tiny", &request, &error);
}

static void parse_good(const char *body)
{
    if (!parse(body))
        fail_msg("%s: %s", body, error.message);
}

static void check_refused(const char *body, const char *param, const char *code)
{
    if (parse(body))
        fail_msg("%s was accepted", body);
    assert_string_equal(error.param, param);
    assert_string_equal(error.code, code);
}

/* A request with so many pairs, of keys and values so long. */
static struct buf with_metadata(int n, int key_len, int value_len)
{
    struct buf body;
    buf_init(&body);
    for (int i = 0; i < n; i++)
        buf_append_format(&body, "%s\"%0*d\":\"%0*d\"",
                          i == 0 ? "{\"input\":\"a\",\"metadata\":{" : ",", key_len, i, value_len,
                          0);
    buf_append_text(&body, "}}");
    return body;
}

static void metadata_has_its_limits(void **state)
{
    (void)state;
    static const struct {
        int n, key_len, value_len;
        const char *param, *code; /* NULL: accepted */
    } cases[] = {
        {16, 64, 512, NULL, NULL},
        {17, 2, 1, "metadata", "object_above_max_properties"},
        {1, 65, 1, "metadata", "string_above_max_length"},
        {1, 1, 513, "metadata.0", "string_above_max_length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf body = with_metadata(cases[i].n, cases[i].key_len, cases[i].value_len);
        if (cases[i].code == NULL) {
            parse_good(buf_text(&body));
            response_request_done(&request);
        } else {
            check_refused(buf_text(&body), cases[i].param, cases[i].code);
        }
        buf_done(&body);
    }
}

static void a_string_is_a_users_message(void **state)
{
    (void)state;
    parse_good("{\"input\":\"hi\"}");
    assert_int_equal(request.input.n, 1);
    assert_non_null(strstr(request.input.items[0].json, "\"role\":\"user\""));
    assert_true(request.is_kept);
    assert_false(request.is_background || request.is_strict);
    assert_int_equal(request.generation.max_tokens, 100);
    response_request_done(&request);
}

static void places_are_read_in_all_their_shapes(void **state)
{
    (void)state;
    parse_good("{\"conversation\":\"conv_1\"}");
    assert_string_equal(request.conversation, "conv_1");
    response_request_done(&request);
    parse_good("{\"conversation\":{\"id\":\"conv_2\"},\"input\":[]}");
    assert_string_equal(request.conversation, "conv_2");
    response_request_done(&request);
    parse_good("{\"previous_response_id\":\"resp_1\",\"conversation\":null,\"store\":false}");
    assert_string_equal(request.previous, "resp_1");
    assert_false(request.is_kept);
    response_request_done(&request);
}

static void generation_fields_have_their_own_names_here(void **state)
{
    (void)state;
    parse_good("{\"input\":\"a\",\"max_output_tokens\":7,\"temperature\":0.5,\"top_k\":3,"
               "\"stream\":true,\"text\":{\"format\":{\"type\":\"text\"}},\"tools\":[],"
               "\"reasoning\":{\"effort\":null},\"max_tokens\":3,\"truncation\":\"disabled\"}");
    assert_int_equal(request.generation.max_tokens, 7);
    assert_int_equal(request.generation.sampling.top_k, 3);
    assert_true(request.generation.is_streaming);
    assert_true(request.is_strict);
    assert_false(request.generation.wants_logprobs);
    response_request_done(&request);
    parse_good("{\"input\":\"a\",\"include\":[\"message.output_text.logprobs\"],"
               "\"top_logprobs\":2}");
    assert_true(request.generation.wants_logprobs);
    assert_int_equal(request.generation.n_top, 2);
    response_request_done(&request);
}

static void a_tool_comes_back_with_every_key_of_its_type(void **state)
{
    (void)state;
    parse_good("{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},"
               "{\"type\":\"function\",\"name\":\"g\",\"strict\":true,\"parameters\":{}}]}");
    const char *echo = buf_text(&request.echo);
    assert_non_null(strstr(echo, "{\"description\":null,\"parameters\":null,\"strict\":false,"
                                 "\"type\":\"function\",\"name\":\"f\"}"));
    assert_non_null(strstr(echo, "\"parameters\":{},\"strict\":true,"));
    response_request_done(&request);
}

static void tools_that_are_no_functions_are_left_out_beside_functions(void **state)
{
    (void)state;
    parse_good("{\"input\":\"a\",\"tools\":[{\"type\":\"web_search\"},"
               "{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"namespace\",\"tools\":[]}]}");
    assert_int_equal(request.generation.tools.n, 1);
    response_request_done(&request);
}

static void the_echo_has_every_key_that_clients_read(void **state)
{
    (void)state;
    static const char *const keys[] = {"instructions",
                                       "model",
                                       "tools",
                                       "parallel_tool_calls",
                                       "metadata",
                                       "tool_choice",
                                       "temperature",
                                       "top_p",
                                       "max_output_tokens",
                                       "truncation",
                                       "text",
                                       "reasoning",
                                       "user",
                                       "service_tier",
                                       "store",
                                       "background",
                                       "top_logprobs",
                                       "presence_penalty",
                                       "frequency_penalty"};
    parse_good("{\"input\":\"a\",\"instructions\":\"be brief\",\"metadata\":{\"k\":\"v\"},"
               "\"model\":\"gpt\"}");
    json_t *echo = json_loads(buf_text(&request.echo), 0, NULL);
    assert_non_null(echo);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (json_object_get(echo, keys[i]) == NULL)
            fail_msg("no %s", keys[i]);
    }
    assert_string_equal(json_string_value(json_object_get(echo, "model")), "tiny");
    assert_string_equal(json_string_value(json_object_get(echo, "instructions")), "be brief");
    assert_non_null(strstr(buf_text(&request.echo), "\"temperature\":0.8,"));
    assert_non_null(strstr(buf_text(&request.echo), "\"metadata\":{\"k\":\"v\"}"));
    assert_string_equal(buf_text(&request.instructions), "be brief");
    json_decref(echo);
    response_request_done(&request);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    check_refused("{}", "input", "missing_required_parameter");
    check_refused("{\"input\":[]}", "input", "empty_array");
    check_refused("{\"input\":5}", "input", "invalid_type");
    check_refused("{\"input\":[{\"role\":\"user\"}]}", "input[0].content",
                  "missing_required_parameter");
    check_refused("{\"input\":\"a\",\"conversation\":\"c\",\"previous_response_id\":\"r\"}",
                  "previous_response_id", "mutually_exclusive_parameters");
    check_refused("{\"input\":\"a\",\"previous_response_id\":\"\"}", "previous_response_id",
                  "invalid_value");
    check_refused("{\"input\":\"a\",\"conversation\":7}", "conversation", "invalid_type");
    check_refused("{\"input\":\"a\",\"max_output_tokens\":0}", "max_output_tokens",
                  "integer_below_min_value");
    check_refused("{\"input\":\"a\",\"temperature\":3}", "temperature", "decimal_above_max_value");
    check_refused("{\"input\":\"a\",\"truncation\":\"maybe\"}", "truncation", "invalid_value");
    check_refused("{\"input\":\"a\",\"background\":true,\"store\":false}", "background",
                  "invalid_value");
    check_refused("{\"input\":\"a\",\"prompt\":{\"id\":\"p\"}}", "prompt", "unsupported_parameter");
    check_refused("{\"input\":\"a\",\"tools\":[1]}", "tools[0].type", "missing_required_parameter");
    check_refused(
        "{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":1}]}",
        "tools[1].type", "invalid_type");
    check_refused("{\"input\":\"a\",\"tools\":[{\"type\":\"web_search\"}]}", "tools[0].type",
                  "unsupported_value");
    check_refused("{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"yaml\"}}}", "text.format",
                  "invalid_value");
    check_refused("{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
                  "\"strict\":true,\"schema\":{\"not\":{}}}}}",
                  "text.format", "invalid_json_schema");
    check_refused("{\"input\":\"a\",\"text\":7}", "text", "invalid_type");
    check_refused("{\"input\":\"a\",\"metadata\":[]}", "metadata", "invalid_type");
    check_refused("{\"input\":\"a\",\"instructions\":[]}", "instructions", "invalid_type");
    check_refused("[]", "", "invalid_json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_a_users_message),
        cmocka_unit_test(metadata_has_its_limits),
        cmocka_unit_test(places_are_read_in_all_their_shapes),
        cmocka_unit_test(generation_fields_have_their_own_names_here),
        cmocka_unit_test(a_tool_comes_back_with_every_key_of_its_type),
        cmocka_unit_test(tools_that_are_no_functions_are_left_out_beside_functions),
        cmocka_unit_test(the_echo_has_every_key_that_clients_read),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
