/* test_chat_messages.c - the messages of a request, in all their forms. */
#include "server/chat_messages.h"

#include <stdio.h>

#include "tests/support/chat_request_check.h"
#include "tests/support/check.h"

static const char *extra_of(const char *message)
{
    static char text[1000];
    char body[2000];
    snprintf(body, sizeof body, "{\"messages\":[%s]}", message);
    if (!parse_chat(body))
        fail_msg("%s: %s", message, refusal.message);
    snprintf(text, sizeof text, "%s",
             parsed.messages.items[0].extra == NULL ? "" : parsed.messages.items[0].extra);
    chat_request_done(&parsed);
    return text;
}

/* However a client writes a call, it compares as the same. */
static void a_call_has_one_form(void **state)
{
    (void)state;
    static const char expected[] =
        "{\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{\"b\":1,\"a\":\"x\"}}}]}";
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
        "{\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{cut\"}}]}");
    assert_string_equal(
        extra_of("{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\","
                 "\"arguments\":\"{\\\"b\\\":1}\"}}"),
        "{\"tool_calls\":[{\"id\":\"\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{\"b\":1}}}]}");
    assert_string_equal(extra_of("{\"role\":\"assistant\",\"function_call\":null}"), "");
    /* what clients keep of a stream whose call has no arguments */
    assert_string_equal(
        extra_of("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":"
                 "{\"name\":\"f\",\"arguments\":\" \\n\"}}]}"),
        "{\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{}}}]}");
}

static void messages_are_read_in_all_forms(void **state)
{
    (void)state;
    assert_true(
        parse_chat("{\"messages\":[{\"role\":\"developer\",\"content\":\"S\"},"
                   "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
                   "{\"type\":\"input_text\",\"text\":\"b\\u0000\\u20ac\"}]},"
                   "{\"role\":\"assistant\",\"content\":null},{\"role\":\"tool\",\"tool_call_"
                   "id\":\"c\",\"content\":\"t\"},"
                   "{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\",\"content\":[]}]}"));
    assert_int_equal(parsed.messages.n, 6);
    assert_int_equal(parsed.messages.items[0].role, CHAT_SYSTEM);
    assert_int_equal(parsed.messages.items[1].len, 6);
    assert_memory_equal(parsed.messages.items[1].content, "ab\0\xe2\x82\xac", 6);
    assert_int_equal(parsed.messages.items[2].len, 0);
    assert_int_equal(parsed.messages.items[3].role, CHAT_TOOL);
    assert_memory_equal(parsed.messages.items[3].content, "t", 1);
    assert_int_equal(parsed.messages.items[5].len, 0);
    chat_request_done(&parsed);
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
        {"[{\"role\":\"assistant\",\"function_call\":1}]", "invalid_type",
         "messages[0].function_call"},
        {"[{\"role\":\"assistant\",\"function_call\":{}}]", "missing_required_parameter",
         "messages[0].function_call.name"},
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
        assert_refused(parse_chat(body), cases[i].code, cases[i].param);
    }
    assert_refused(parse_chat("{}"), "missing_required_parameter", "messages");
    assert_refused(parse_chat("{\"messages\":null}"), "missing_required_parameter", "messages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_one_form),
        cmocka_unit_test(messages_are_read_in_all_forms),
        cmocka_unit_test(wrong_messages_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
