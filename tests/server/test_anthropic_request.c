/* test_anthropic_request.c - a body of Anthropic's API as the chat that asks for the same. */
#include "server/anthropic_request.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/chat_request_check.h"
#include "tests/support/check.h"

static bool parse(const char *body)
{
    refusal = (struct api_error){0};
    return chat_request_parse(CHAT_API_ANTHROPIC, body, strlen(body), &parse_defaults, &parsed,
                              &refusal);
}

static bool parse_with(const char *fields)
{
    char body[4096];
    snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]%s%s}",
             fields[0] == '\0' ? "" : ",", fields);
    return parse(body);
}

static bool parse_messages(const char *messages)
{
    char body[4096];
    snprintf(body, sizeof body, "{\"messages\":[%s]}", messages);
    return parse(body);
}

static bool parse_content(const char *role, const char *content)
{
    char message[2048];
    snprintf(message, sizeof message, "{\"role\":\"%s\",\"content\":%s}", role, content);
    return parse_messages(message);
}

static void assert_message(size_t i, enum chat_role role, const char *content)
{
    struct chat_message message = message_log_view(&parsed.messages, i);
    assert_int_equal(message.role, role);
    assert_int_equal(message.len, strlen(content));
    assert_memory_equal(message.content, content, message.len);
}

static void settings_have_the_same_meaning(void **state)
{
    (void)state;
    assert_true(parse_with(
        "\"model\":\"small\",\"max_tokens\":7,\"temperature\":0.25,\"top_p\":0.5,\"top_k\":3,"
        "\"stream\":true,\"stop_sequences\":[\"x\",\"yy\"],\"metadata\":{\"user_id\":\"me\"},"
        "\"service_tier\":\"auto\",\"cache_control\":{\"type\":\"ephemeral\"},\"n\":3,\"echo\":"
        "true"));
    assert_int_equal(parsed.api, CHAT_API_ANTHROPIC);
    assert_true(parsed.is_chat);
    assert_true(parsed.generation.is_streaming);
    assert_int_equal(parsed.generation.max_tokens, 7);
    assert_int_equal(parsed.generation.sampling.top_k, 3);
    assert_true(parsed.generation.sampling.temperature == 0.25F);
    assert_int_equal(parsed.generation.n_stops, 2);
    assert_string_equal(parsed.generation.stops[1], "yy");
    assert_int_not_equal(parsed.name.group, 0);
    assert_int_equal(parsed.n_choices, 1);
    assert_false(parsed.is_echoing);
    chat_request_done(&parsed);
    assert_refused(parse_with("\"stop_sequences\":\"x\""), "invalid_type", "stop_sequences");
    assert_refused(parse_with("\"max_tokens\":0"), "integer_below_min_value", "max_tokens");
    assert_refused(parse_with("\"mcp_servers\":[{\"url\":\"x\"}]"), "unsupported_parameter",
                   "mcp_servers");
    assert_true(parse_with("\"mcp_servers\":[]"));
    chat_request_done(&parsed);
}

static void system_is_the_first_message(void **state)
{
    (void)state;
    assert_true(parse_with("\"system\":\"Be kind.\""));
    assert_int_equal(parsed.messages.n, 2);
    assert_message(0, CHAT_SYSTEM, "Be kind.");
    assert_message(1, CHAT_USER, "Hi");
    chat_request_done(&parsed);
    assert_true(parse_with("\"system\":[{\"type\":\"text\",\"text\":\"A\"},{\"type\":\"text\","
                           "\"text\":\"B\",\"cache_control\":{\"type\":\"ephemeral\"}}]"));
    assert_message(0, CHAT_SYSTEM, "A\nB");
    chat_request_done(&parsed);
    assert_true(parse_with("\"system\":[]"));
    assert_int_equal(parsed.messages.n, 1);
    chat_request_done(&parsed);
    assert_refused(parse_with("\"system\":[{\"type\":\"image\"}]"), "unsupported_value",
                   "system[0]");
    assert_refused(parse_with("\"system\":5"), "invalid_type", "system");
}

/* Its checksum is another one each time, and would make each prompt a new one. */
static void the_line_for_a_bill_is_left_out(void **state)
{
    (void)state;
    static const char *const systems[] = {
        "[{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: v=1; cch=a51f0;\"},"
        "{\"type\":\"text\",\"text\":\"You help.\"}]",
        "\"x-anthropic-billing-header: v=1; cch=00000;You help.\"",
        "\"x-anthropic-billing-header: v=2\\nYou help.\"",
    };
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        char fields[512];
        snprintf(fields, sizeof fields, "\"system\":%s", systems[i]);
        assert_true(parse_with(fields));
        assert_message(0, CHAT_SYSTEM, "You help.");
        chat_request_done(&parsed);
    }
    assert_true(parse_with("\"system\":\"x-anthropic-billing-header: all\""));
    assert_int_equal(parsed.messages.n, 1);
    chat_request_done(&parsed);
}

static void blocks_become_messages(void **state)
{
    (void)state;
    assert_true(parse_messages(
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
        "\"text\":\"b\",\"cache_control\":{\"type\":\"ephemeral\"}}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
        "\"signature\":\"s\"},{\"type\":\"redacted_thinking\",\"data\":\"x\"},"
        "{\"type\":\"text\",\"text\":\"I \"},{\"type\":\"text\",\"text\":\"look.\"},"
        "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"b\":1,\"a\":\"x\"}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\","
        "\"content\":[{\"type\":\"text\",\"text\":\"1\"},{\"type\":\"text\",\"text\":\"2\"}]},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"is_error\":true},"
        "{\"type\":\"text\",\"text\":\"and?\"}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t3\","
        "\"content\":\"3\"}]}"));
    assert_int_equal(parsed.messages.n, 6);
    assert_message(0, CHAT_USER, "a\nb");
    assert_message(1, CHAT_ASSISTANT, "I look.");
    assert_message(2, CHAT_TOOL, "1\n2");
    assert_message(3, CHAT_TOOL, "");
    assert_message(4, CHAT_USER, "and?");
    assert_message(5, CHAT_TOOL, "3");
    struct chat_message said = message_log_view(&parsed.messages, 1);
    assert_string_equal(said.extra,
                        "{\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\",\"function\":{"
                        "\"name\":\"f\",\"arguments\":{\"b\":1,\"a\":\"x\"}}}]}");
    assert_int_equal(said.reasoning_len, 2);
    assert_memory_equal(said.reasoning, "hm", 2);
    assert_string_equal(message_log_view(&parsed.messages, 2).extra, "{\"tool_call_id\":\"t1\"}");
    chat_request_done(&parsed);
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *role, *content, *code, *param;
    } cases[] = {
        {"user", "[{\"type\":\"image\",\"source\":{}}]", "unsupported_value",
         "messages[0].content[0]"},
        {"user",
         "[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\"}]}]",
         "unsupported_value", "messages[0].content[0].content[0]"},
        {"user", "[{\"type\":\"document\",\"source\":{}}]", "unsupported_value",
         "messages[0].content[0]"},
        {"user", "[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\"}]", "invalid_value",
         "messages[0].content[0]"},
        {"assistant", "[{\"type\":\"tool_result\",\"tool_use_id\":\"t\"}]", "invalid_value",
         "messages[0].content[0]"},
        {"user", "[{\"type\":\"text\"}]", "missing_required_parameter",
         "messages[0].content[0].text"},
        {"user", "[{\"type\":\"tool_result\"}]", "missing_required_parameter",
         "messages[0].content[0].tool_use_id"},
        {"assistant", "[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":[]}]",
         "invalid_type", "messages[0].content[0].input"},
        {"user", "[\"x\"]", "invalid_type", "messages[0].content[0]"},
        {"user", "7", "invalid_type", "messages[0].content"},
        {"user", "null", "missing_required_parameter", "messages[0].content"},
        {"tool", "\"x\"", "invalid_value", "messages[0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(parse_content(cases[i].role, cases[i].content), cases[i].code,
                       cases[i].param);
    assert_refused(parse_messages(""), "empty_array", "messages");
    assert_refused(parse_messages("3"), "invalid_type", "messages[0]");
    assert_refused(parse("{}"), "missing_required_parameter", "messages");
}

#define TOOL "{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}}"

static void tools_are_functions(void **state)
{
    (void)state;
    static const struct {
        const char *choice;
        size_t n;
        enum tool_choice is;
        bool is_single;
    } cases[] = {
        {"{\"type\":\"auto\"}", 1, TOOL_CHOICE_AUTO, false},
        {"{\"type\":\"auto\",\"disable_parallel_tool_use\":true}", 1, TOOL_CHOICE_AUTO, true},
        {"{\"type\":\"any\"}", 1, TOOL_CHOICE_REQUIRED, false},
        {"{\"type\":\"tool\",\"name\":\"f\"}", 1, TOOL_CHOICE_NAMED, false},
        {"{\"type\":\"none\"}", 0, TOOL_CHOICE_AUTO, false},
        {"null", 1, TOOL_CHOICE_AUTO, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[512];
        snprintf(fields, sizeof fields, "\"tools\":[" TOOL "],\"tool_choice\":%s", cases[i].choice);
        assert_true(parse_with(fields));
        assert_int_equal(parsed.generation.tools.n, cases[i].n);
        assert_int_equal(parsed.generation.tools.choice, cases[i].is);
        assert_int_equal(parsed.generation.tools.is_single, cases[i].is_single);
        chat_request_done(&parsed);
    }
    assert_true(
        parse_with("\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"w\"}," TOOL "]"));
    assert_string_equal(parsed.generation.tools.json,
                        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
                        "\"d\",\"parameters\":{\"type\":\"object\"}}}]");
    chat_request_done(&parsed);
    assert_refused(parse_with("\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"w\"}]"),
                   "unsupported_value", "tools");
    assert_refused(parse_with("\"tools\":[{\"name\":\"f\"}]"), "invalid_value", "tools");
    assert_refused(parse_with("\"tools\":{}"), "invalid_type", "tools");
    assert_refused(parse_with("\"tool_choice\":\"auto\""), "invalid_value", "tool_choice");
    assert_refused(parse_with("\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"tool\"}"),
                   "invalid_value", "tool_choice");
    assert_refused(parse_with("\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"tool\",\"name\":"
                              "\"g\"}"),
                   "invalid_value", "tool_choice");
}

/* Who does not ask for thoughts does not expect any. */
static void thoughts_are_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *kwargs;
    } cases[] = {
        {"", "{\"enable_thinking\":false}"},
        {"\"thinking\":{\"type\":\"disabled\"}", "{\"enable_thinking\":false}"},
        {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}",
         "{\"enable_thinking\":true}"},
        {"\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"max\"}",
         "{\"enable_thinking\":true,\"reasoning_effort\":\"high\"}"},
        {"\"chat_template_kwargs\":{\"enable_thinking\":true}", "{\"enable_thinking\":true}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(parse_with(cases[i].fields));
        assert_string_equal(parsed.generation.template_kwargs, cases[i].kwargs);
        chat_request_done(&parsed);
    }
    assert_refused(parse_with("\"thinking\":{\"type\":\"x\"}"), "invalid_value", "thinking.type");
    assert_refused(parse_with("\"thinking\":true"), "invalid_type", "thinking");
}

static void a_schema_holds_the_answer(void **state)
{
    (void)state;
#define FORMAT "{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}"
    assert_true(parse_with("\"output_config\":{\"format\":" FORMAT "}"));
    assert_non_null(parsed.generation.grammar);
    chat_request_done(&parsed);
    assert_true(parse_with("\"output_format\":" FORMAT));
    assert_non_null(parsed.generation.grammar);
    chat_request_done(&parsed);
    assert_refused(parse_with("\"output_config\":{\"format\":{\"type\":\"xml\"}}"), "invalid_value",
                   "output_config.format");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_the_same_meaning),
        cmocka_unit_test(system_is_the_first_message),
        cmocka_unit_test(the_line_for_a_bill_is_left_out),
        cmocka_unit_test(blocks_become_messages),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(tools_are_functions),
        cmocka_unit_test(thoughts_are_asked_for),
        cmocka_unit_test(a_schema_holds_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
