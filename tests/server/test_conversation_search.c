/* test_conversation_search.c - which conversation a request goes on with. */
#include "server/conversation_search.h"

#include <string.h>

#include "tests/support/check.h"
#include "tests/support/conversation_talk.h"

static void side_request_leaves_the_conversation_alone(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "### Task: give this chat a title"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_EPHEMERAL);
    assert_null(conversation_plan_id(&plan));
    assert_int_equal(plan.session, 0);

    /* Even while the conversation itself is speaking. */
    struct conversation_plan main_plan, side_plan;
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &main_plan);
    assert_int_equal(main_plan.match, CONVERSATION_APPEND);
    talk_begin(all, "x", SAID({'u', "### Task: tags"}), &side_plan);
    assert_int_equal(side_plan.match, CONVERSATION_EPHEMERAL);
    talk_end(all, &side_plan, (struct ending){.text = "a, b"});
    talk_end(all, &plan, (struct ending){.text = "A title"});
    talk_end(all, &main_plan, (struct ending){.text = "Yes"});
    assert_int_equal(
        talk_turn(all, "x",
                  SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}, {'a', "Yes"}, {'u', "Go"}),
                  "Ok"),
        CONVERSATION_APPEND);
    conversations_close(&all);
}

static void trimmed_front_goes_on(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'s', "S"}, {'u', "One"}), "Two");
    talk_turn(all, "x", SAID({'s', "S"}, {'u', "One"}, {'a', "Two"}, {'u', "Three"}), "Four");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(talk_fed(&plan),
                        "<|im_end|>\n<|im_start|>user\nFive<|im_end|>\n<|im_start|>assistant\n");
    talk_end(all, &plan, (struct ending){.text = "Six"});
    conversations_close(&all);
}

/* Three turns under the system prompt S; the last question is Five, its answer Six. */
static struct conversations *three_turns(const char *id)
{
    struct conversations *all = talk_open();
    talk_turn(all, id, SAID({'s', "S"}, {'u', "One"}), "Two");
    talk_turn(all, id, SAID({'s', "S"}, {'u', "One"}, {'a', "Two"}, {'u', "Three"}), "Four");
    talk_turn(
        all, id,
        SAID({'s', "S"}, {'u', "One"}, {'a', "Two"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}),
        "Six");
    return all;
}

static void trimmed_front_can_ask_for_another_answer(void **state)
{
    (void)state;
    struct conversations *all = three_turns("x");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_REWIND);
    assert_int_equal(plan.replay, 77);
    conversations_abandon(all, &plan);
    talk_begin(all, "x", SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Else"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_FORK);
    assert_string_equal(talk_fed(&plan),
                        "<|im_end|>\n<|im_start|>user\nElse<|im_end|>\n<|im_start|>assistant\n");
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

/* Most clients name nothing. Two answers of ours in a row are nobody else's; one might be. */
static void trimmed_front_is_found_by_its_text(void **state)
{
    (void)state;
    const struct said *two_answers =
        SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}, {'a', "Six"}, {'u', "More"});
    const struct said *one_answer = SAID({'s', "S"}, {'u', "Five"}, {'a', "Six"}, {'u', "More"});
    struct conversations *all = three_turns(NULL);
    assert_int_equal(talk_match(all, NULL, two_answers), CONVERSATION_APPEND);
    assert_int_equal(talk_match(all, NULL, one_answer), CONVERSATION_NEW);
    conversations_close(&all);
    talk_group = 7;
    all = three_turns(NULL);
    assert_int_equal(talk_match(all, NULL, one_answer), CONVERSATION_APPEND);
    talk_group = 8;
    assert_int_equal(talk_match(all, NULL, two_answers), CONVERSATION_APPEND);
    assert_int_equal(talk_match(all, NULL, one_answer), CONVERSATION_NEW);
    talk_group = 0;
    conversations_close(&all);
}

/* [Hi, Hello, Hi, Hello] and then [Hi, Hello, New]: the second question was edited. */
static void what_fits_from_the_start_was_not_trimmed(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    talk_turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Hi"}), "Hello");
    assert_int_equal(talk_match(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "New"})),
                     CONVERSATION_FORK);
    conversations_close(&all);
}

static void another_system_prompt_is_obeyed(void **state)
{
    (void)state;
    struct conversations *all = three_turns("x");
    struct conversation_plan plan;
    talk_begin(all, "x",
               SAID({'s', "Be brief."}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}, {'a', "Six"},
                    {'u', "More"}),
               &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_non_null(strstr(talk_fed(&plan), "Be brief."));
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

/* The same was said in two; each client goes on with its own. */
static void the_same_words_go_on_in_their_own_group(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    uint64_t sessions[2];
    struct conversation_plan plan;
    for (int i = 0; i < 2; i++) {
        talk_group = 7 + (uint64_t)i;
        talk_begin(all, NULL, SAID({'u', "Hi"}), &plan);
        sessions[i] = plan.session;
        talk_end(all, &plan, (struct ending){.text = "Hello"});
    }
    for (int i = 0; i < 2; i++) {
        talk_group = 7 + (uint64_t)i;
        talk_begin(all, NULL, SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_int_equal(plan.session, sessions[i]);
        conversations_abandon(all, &plan);
    }
    talk_group = 0;
    conversations_close(&all);
}

static void unnamed_greeting_alone_belongs_to_nobody(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, NULL, SAID({'s', "S"}, {'u', "Hi"}), "Hello");
    assert_int_equal(talk_turn(all, NULL, SAID({'s', "S"}, {'u', "Hi"}), "Hello"),
                     CONVERSATION_NEW);
    assert_int_equal(conversations_count(all), 2);
    conversations_close(&all);
}

static void named_and_foreign_conversations_are_not_found_by_text(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    talk_turn(all, NULL, SAID({'u', "Yo"}), "Hey");
    const struct said *hi = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    const struct said *yo = SAID({'u', "Yo"}, {'a', "Hey"}, {'u', "More"});
    talk_begin(all, NULL, hi, &plan);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_abandon(all, &plan);
    assert_int_equal(talk_begin_as(all, 2, NULL, yo, &plan), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_abandon(all, &plan);
    assert_int_equal(talk_begin_as(all, 2, "x", hi, &plan), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_abandon(all, &plan);
    talk_begin(all, NULL, yo, &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void branches_stay_under_one_name(void **state)
{
    (void)state;
    const char *const ids[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        struct conversations *all = talk_open();
        talk_turn(all, ids[i], SAID({'u', "Hi"}), "Hello");
        talk_turn(all, ids[i], SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}), "Two");
        assert_int_equal(
            talk_turn(all, ids[i], SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}), "4"),
            CONVERSATION_FORK);
        assert_int_equal(conversations_count(all), 2);
        const struct said *old =
            SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}, {'a', "Two"}, {'u', "On"});
        const struct said *new =
            SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}, {'a', "4"}, {'u', "On"});
        struct conversation_plan a, b;
        talk_begin(all, ids[i], old, &a);
        talk_begin(all, ids[i], new, &b); /* while the other speaks */
        assert_int_equal(a.match, CONVERSATION_APPEND);
        assert_int_equal(b.match, CONVERSATION_APPEND);
        assert_int_not_equal(a.session, b.session);
        talk_end(all, &a, (struct ending){.text = "Yes"});
        talk_end(all, &b, (struct ending){.text = "Yes"});

        /* One that never came to speak leaves no trace. */
        talk_begin(all, ids[i], SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Four"}), &a);
        assert_int_equal(a.match, CONVERSATION_FORK);
        conversations_abandon(all, &a);
        assert_int_equal(conversations_count(all), 2);
        conversations_close(&all);
    }
}

static void a_pinned_system_prompt_may_change(void **state)
{
    (void)state;
    struct conversations_options options = talk_options();
    options.pins_system = true;
    const char *const ids[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        struct conversations *all = talk_open_with(&options);
        talk_turn(all, ids[i], SAID({'s', "It is 9:00."}, {'u', "Hi"}), "Hello");
        struct conversation_plan plan;
        talk_begin(all, ids[i],
                   SAID({'s', "It is 9:01."}, {'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_null(strstr(buf_text(&plan.prompt.text), "9:01"));
        talk_end(all, &plan, (struct ending){.text = "Yes"});
        conversations_close(&all);
    }
}

static void what_else_a_message_carries_is_compared(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'U', "Hi"}), "Hello");
    assert_int_equal(talk_turn(all, "x", SAID({'U', "Hi"}, {'a', "Hello"}, {'u', "A"}), "B"),
                     CONVERSATION_APPEND);
    assert_int_equal(
        talk_turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "A"}, {'a', "B"}, {'u', "C"}),
                  "D"),
        CONVERSATION_REBUILD);
    conversations_close(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(side_request_leaves_the_conversation_alone),
        cmocka_unit_test(trimmed_front_goes_on),
        cmocka_unit_test(trimmed_front_can_ask_for_another_answer),
        cmocka_unit_test(trimmed_front_is_found_by_its_text),
        cmocka_unit_test(what_fits_from_the_start_was_not_trimmed),
        cmocka_unit_test(another_system_prompt_is_obeyed),
        cmocka_unit_test(the_same_words_go_on_in_their_own_group),
        cmocka_unit_test(unnamed_greeting_alone_belongs_to_nobody),
        cmocka_unit_test(named_and_foreign_conversations_are_not_found_by_text),
        cmocka_unit_test(branches_stay_under_one_name),
        cmocka_unit_test(a_pinned_system_prompt_may_change),
        cmocka_unit_test(what_else_a_message_carries_is_compared),
    };
    return cmocka_run_group_tests(tests, talk_init, talk_done);
}
