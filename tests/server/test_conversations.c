/* test_conversations.c - turns that wait, fail or are cancelled, and how much is remembered. */
#include "server/conversations.h"

#include <stdio.h>

#include "tests/support/check.h"
#include "tests/support/conversation_talk.h"

static void busy_conversation_is_not_shared(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan first, second;
    const struct said *said = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    talk_begin(all, "x", said, &first);
    assert_int_equal(talk_begin_as(all, 1, "x", said, &second), CONVERSATIONS_BUSY);
    conversations_leave(&first);
    assert_int_equal(talk_begin_as(all, 1, "x", said, &second), CONVERSATIONS_LEAVING);
    talk_end(all, &first, (struct ending){.text = "Ye", .is_cancelled = true});

    /* Stopped answer dropped by the client: asked again. */
    talk_begin(all, "x", said, &second);
    assert_int_equal(second.match, CONVERSATION_REWIND);
    conversations_abandon(all, &second);

    /* Without a name the second one is somebody else. */
    talk_turn(all, NULL, SAID({'u', "Yo"}), "Hey");
    said = SAID({'u', "Yo"}, {'a', "Hey"}, {'u', "More"});
    talk_begin(all, NULL, said, &first);
    talk_begin(all, NULL, said, &second);
    assert_int_equal(first.match, CONVERSATION_APPEND);
    assert_int_equal(second.match, CONVERSATION_NEW);
    assert_string_not_equal(conversation_plan_id(&first), conversation_plan_id(&second));
    conversations_abandon(all, &first);
    conversations_abandon(all, &second);
    conversations_close(&all);
}

static void cancel_before_the_first_token_changes_nothing(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    const struct said *said = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    talk_begin(all, "x", said, &plan);
    talk_end(all, &plan, (struct ending){.text = "", .is_cancelled = true, .is_unread = true});
    assert_int_equal(talk_turn(all, "x", said, "Yes"), CONVERSATION_APPEND);
    conversations_close(&all);
}

static void failed_session_is_forgotten_and_rebuilt(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    const struct said *said = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    talk_begin(all, "x", said, &plan);
    conversations_fail(all, &plan);
    assert_int_equal(talk_n_forgotten, 1);
    assert_int_equal(talk_turn(all, "x", said, "Yes"), CONVERSATION_REBUILD);
    conversations_close(&all);
}

static void a_session_that_is_lost_is_read_again(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    uint64_t before = plan.session;
    conversations_lost(all, &plan);
    conversations_take_session(all, &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_int_not_equal(plan.session, before);
    assert_int_equal(plan.keep, 0);
    assert_true(plan.is_start);
    assert_string_equal(talk_fed(&plan), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                                         "Hello<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                         "<|im_start|>assistant\n");
    talk_end(all, &plan, (struct ending){.text = "Yes"});
    assert_int_equal(
        talk_turn(all, "x",
                  SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}, {'a', "Yes"}, {'u', "Go"}),
                  "Ok"),
        CONVERSATION_APPEND);
    conversations_close(&all);
}

static void text_of_all_conversations_is_bounded(void **state)
{
    (void)state;
    struct conversations_options options = talk_options();
    options.max_log_bytes = 100;
    struct conversations *all = talk_open_with(&options);
    char id[16];
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "c%d", i);
        talk_turn(all, id, SAID({'u', "ten bytes!"}), "ten bytes.");
    }
    assert_int_equal(conversations_count(all), 5);
    conversations_close(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_conversation_is_not_shared),
        cmocka_unit_test(cancel_before_the_first_token_changes_nothing),
        cmocka_unit_test(failed_session_is_forgotten_and_rebuilt),
        cmocka_unit_test(a_session_that_is_lost_is_read_again),
        cmocka_unit_test(text_of_all_conversations_is_bounded),
    };
    return cmocka_run_group_tests(tests, talk_init, talk_done);
}
