#include "server/item.h"

#include <string.h>

#include "server/api_error.h"
#include "tests/support/check.h"

/* Reads one item and compares it without its id. */
static void check_item(const char *given, const char *expected)
{
    struct item_list items;
    struct api_error error;
    item_list_init(&items);
    json_t *array = json_loads(given, 0, NULL);
    assert_non_null(array);
    if (!item_read_array(array, "items", &items, &error))
        fail_msg("%s: %s", error.param, error.message);
    assert_int_equal(items.n, 1);
    json_t *made = json_loads(items.items[0].json, 0, NULL);
    json_t *wanted = json_loads(expected, 0, NULL);
    assert_non_null(wanted);
    assert_string_equal(json_string_value(json_object_get(made, "id")), items.items[0].id);
    if (!item_is_reference(&items.items[0]))
        json_object_del(made, "id");
    if (!json_equal(made, wanted))
        fail_msg("%s became %s", given, items.items[0].json);
    json_decref(made);
    json_decref(wanted);
    json_decref(array);
    item_list_done(&items);
}

static void check_refused(const char *given, const char *param, const char *code)
{
    struct item_list items;
    struct api_error error;
    item_list_init(&items);
    json_t *array = json_loads(given, 0, NULL);
    assert_non_null(array);
    assert_false(item_read_array(array, "items", &items, &error));
    assert_string_equal(error.param, param);
    assert_string_equal(error.code, code);
    json_decref(array);
    item_list_done(&items);
}

static void messages_get_one_shape(void **state)
{
    (void)state;
    check_item("[{\"role\":\"user\",\"content\":\"hi\"}]",
               "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":[{"
               "\"type\":\"input_text\",\"text\":\"hi\"}]}");
    check_item("[{\"type\":\"message\",\"role\":\"developer\",\"content\":[{\"type\":\"text\","
               "\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}]}]",
               "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"developer\",\"content\":"
               "[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}"
               "]}");
    check_item("[{\"role\":\"assistant\",\"id\":\"msg_mine\",\"content\":\"yo\"}]",
               "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":"
               "[{\"type\":\"output_text\",\"text\":\"yo\",\"annotations\":[],\"logprobs\":[]}]}");
    check_item("[{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]",
               "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":"
               "[{\"type\":\"refusal\",\"refusal\":\"no\"}]}");
}

static void other_items_get_one_shape(void **state)
{
    (void)state;
    check_item("[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\","
               "\"extra\":1}]",
               "{\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"c\",\"name\":"
               "\"f\",\"arguments\":\"{}\"}");
    check_item("[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"42\"}]",
               "{\"type\":\"function_call_output\",\"status\":\"completed\",\"call_id\":\"c\","
               "\"output\":\"42\"}");
    check_item("[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{\"type\":"
               "\"output_text\",\"text\":\"42\"}]}]",
               "{\"type\":\"function_call_output\",\"status\":\"completed\",\"call_id\":\"c\","
               "\"output\":[{\"type\":\"input_text\",\"text\":\"42\"}]}");
    check_item(
        "[{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"x\"}]}]",
        "{\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[{\"type\":"
        "\"summary_text\",\"text\":\"x\"}],\"content\":[]}");
    check_item("[{\"id\":\"msg_1\"}]", "{\"type\":\"item_reference\",\"id\":\"msg_1\"}");
}

static void each_item_gets_an_id_of_its_own(void **state)
{
    (void)state;
    struct item_list items;
    struct api_error error;
    item_list_init(&items);
    assert_true(item_add_text("a\0b", 3, &items, &error));
    assert_true(item_add_text("a", 1, &items, &error));
    assert_int_equal(items.n, 2);
    assert_string_not_equal(items.items[0].id, items.items[1].id);
    assert_non_null(strstr(items.items[0].json, "a\\u0000b"));
    assert_int_equal(strncmp(items.items[0].id, "msg_", 4), 0);
    item_list_done(&items);
}

static void what_is_no_item_is_refused_by_its_name(void **state)
{
    (void)state;
    check_refused("[1]", "items[0]", "invalid_type");
    check_refused("[{}]", "items[0].type", "missing_required_parameter");
    check_refused("[{\"type\":5}]", "items[0]", "invalid_type");
    check_refused("[{\"type\":\"computer_call\"}]", "items[0]", "unsupported_value");
    check_refused("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"king\",\"content\":\"a\"}]",
                  "items[1].role", "invalid_value");
    check_refused("[{\"role\":\"user\"}]", "items[0].content", "missing_required_parameter");
    check_refused("[{\"role\":\"user\",\"content\":{}}]", "items[0].content", "invalid_type");
    check_refused("[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]",
                  "items[0].content[0]", "unsupported_value");
    check_refused("[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]",
                  "items[0].content[0].text", "missing_required_parameter");
    check_refused("[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":7,\"arguments\":\"\"}]",
                  "items[0].name", "invalid_type");
    check_refused("[{\"type\":\"item_reference\",\"id\":\"\"}]", "items[0]", "not_found");
    check_refused("{}", "items", "invalid_type");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_get_one_shape),
        cmocka_unit_test(other_items_get_one_shape),
        cmocka_unit_test(each_item_gets_an_id_of_its_own),
        cmocka_unit_test(what_is_no_item_is_refused_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
