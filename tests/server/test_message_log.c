#include "server/message_log.h"

#include <string.h>

#include "tests/support/check.h"

static struct chat_message assistant(const char *content, const char *reasoning)
{
    return (struct chat_message){.role = CHAT_ASSISTANT,
                                 .content = content,
                                 .len = strlen(content),
                                 .reasoning = reasoning,
                                 .reasoning_len = reasoning == NULL ? 0 : strlen(reasoning)};
}

static bool is_same(const struct chat_message *a, const struct chat_message *b)
{
    struct message_log log;
    message_log_init(&log);
    assert_true(message_log_push(&log, a));
    bool is = message_log_same(&log, 0, b, message_log_hash(b));
    message_log_done(&log);
    return is;
}

/* Clients trim, change line ends, and send thoughts back or not. */
static void what_clients_change_is_not_compared(void **state)
{
    (void)state;
    struct chat_message said = assistant("One\nTwo", "Hm.");
    struct chat_message forms[] = {assistant(" One\r\nTwo\n", "Hm."), assistant("One\nTwo", NULL),
                                   assistant("One\nTwo", "Hm, what?")};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        assert_true(is_same(&said, &forms[i]));
    struct chat_message other = assistant("One Two", "Hm.");
    assert_false(is_same(&said, &other));
    other = said;
    other.extra = "{}";
    other.extra_len = 2;
    assert_false(is_same(&said, &other));
}

static void thoughts_are_kept_copied_and_counted(void **state)
{
    (void)state;
    struct message_log log, copy;
    struct chat_message said = assistant("Two", "One");
    message_log_init(&log);
    message_log_init(&copy);
    assert_true(message_log_push(&log, &said));
    assert_int_equal(log.n_bytes, 6);
    assert_true(message_log_copy(&copy, &log));
    message_log_truncate(&log, 0);
    assert_int_equal(log.n_bytes, 0);
    struct chat_message view = message_log_view(&copy, 0);
    assert_int_equal(view.reasoning_len, 3);
    assert_memory_equal(view.reasoning, "One", 3);
    message_log_done(&log);
    message_log_done(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_change_is_not_compared),
        cmocka_unit_test(thoughts_are_kept_copied_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
