/* test_conversation_name.c - how a request names its conversation. */
#include "server/conversation_name.h"

#include <string.h>

#include "tests/support/chat_request_check.h"
#include "tests/support/check.h"

static void session_ids_are_visible_ascii(void **state)
{
    (void)state;
    assert_true(parse_chat_with("\"session_id\":\"abc-1\""));
    assert_string_equal(parsed.name.id, "abc-1");
    chat_request_done(&parsed);
    assert_refused(parse_chat_with("\"session_id\":\"a b\""), "invalid_value", "session_id");
    assert_refused(parse_chat_with("\"session_id\":\"\""), "invalid_value", "session_id");
    assert_refused(parse_chat_with("\"session_id\":\"a\\u0000\""), "invalid_value", "session_id");
    assert_refused(parse_chat_with("\"session_id\":\"\\u20ac\""), "invalid_value", "session_id");
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
    assert_true(parse_chat_with("\"metadata\":{\"chat_id\":\"a b\",\"session_id\":\"s-1\"}"));
    assert_string_equal(parsed.name.id, "s-1");
    assert_int_equal(parsed.name.group, 0);
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"session_id\":\"own\",\"metadata\":{\"chat_id\":\"other\"}"));
    assert_string_equal(parsed.name.id, "own");
    chat_request_done(&parsed);

    assert_true(parse_chat_with("\"user\":\"ann\""));
    uint64_t ann = parsed.name.group;
    assert_string_equal(parsed.name.id, "");
    chat_request_done(&parsed);
    assert_true(parse_chat_with("\"user\":\"bob\",\"prompt_cache_key\":\"ann\""));
    assert_int_not_equal(ann, 0);
    assert_int_equal(parsed.name.group, ann);
    chat_request_done(&parsed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_ids_are_visible_ascii),
        cmocka_unit_test(names_and_groups_are_found_in_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
