#include "server/item_messages.h"

#include <jansson.h>
#include <string.h>

#include "core/base/err.h"
#include "server/api_error.h"
#include "server/item.h"
#include "server/message_log.h"
#include "tests/support/check.h"

static void make(const char *given, struct message_log *out)
{
    struct item_list items;
    struct api_error error;
    struct err err;
    json_t *array = json_loads(given, 0, NULL);
    item_list_init(&items);
    message_log_init(out);
    if (!item_read_array(array, "input", &items, &error))
        fail_msg("%s", error.message);
    if (!item_messages_append(&items, out, &err))
        fail_msg("%s", err.text);
    item_list_done(&items);
    json_decref(array);
}

static void check_message(const struct message_log *log, size_t i, enum chat_role role,
                          const char *content, const char *extra)
{
    struct chat_message message = message_log_view(log, i);
    assert_int_equal(message.role, role);
    assert_int_equal(message.len, strlen(content));
    assert_memory_equal(message.content, content, message.len);
    if (extra == NULL) {
        assert_int_equal(message.extra_len, 0);
        return;
    }
    assert_int_equal(message.extra_len, strlen(extra));
    assert_memory_equal(message.extra, extra, message.extra_len);
}

static void parts_are_joined_and_roles_kept(void **state)
{
    (void)state;
    struct message_log log;
    make("[{\"role\":\"developer\",\"content\":\"be\"},"
         "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},"
         "{\"type\":\"input_text\",\"text\":\"b\"}]},"
         "{\"type\":\"reasoning\",\"summary\":[]},"
         "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
         "{\"role\":\"assistant\",\"content\":\"yes\"}]",
         &log);
    assert_int_equal(log.n, 4);
    check_message(&log, 0, CHAT_SYSTEM, "be", NULL);
    check_message(&log, 1, CHAT_USER, "ab", NULL);
    check_message(&log, 2, CHAT_ASSISTANT, "no", NULL);
    check_message(&log, 3, CHAT_ASSISTANT, "yes", NULL);
    message_log_done(&log);
}

static void calls_join_the_message_before_them(void **state)
{
    (void)state;
    struct message_log log;
    make("[{\"role\":\"user\",\"content\":\"q\"},"
         "{\"role\":\"assistant\",\"content\":\"let me see\"},"
         "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{}\"},"
         "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"},"
         "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"42\"},"
         "{\"type\":\"function_call\",\"call_id\":\"c3\",\"name\":\"h\",\"arguments\":\"{}\"}]",
         &log);
    assert_int_equal(log.n, 4);
    check_message(
        &log, 1, CHAT_ASSISTANT, "let me see",
        "{\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{}}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\","
        "\"arguments\":{}}}]}");
    check_message(&log, 2, CHAT_TOOL, "42", "{\"tool_call_id\":\"c1\"}");
    check_message(
        &log, 3, CHAT_ASSISTANT, "",
        "{\"tool_calls\":[{\"id\":\"c3\",\"type\":\"function\",\"function\":{\"name\":\"h\","
        "\"arguments\":{}}}]}");
    message_log_done(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_joined_and_roles_kept),
        cmocka_unit_test(calls_join_the_message_before_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
