/* test_conversation_record.c - what a turn leaves of its words and of places to go on from, and
 * what it leaves when it was stopped or there was no memory for all of it. */
#include "server/conversation.h"

#include <stdlib.h>
#include <string.h>

#include "server/conversation_list.h"
#include "server/conversations.h"
#include "tests/support/check.h"
#include "tests/support/conversation_talk.h"
#include "tests/support/failing_memory.h"

enum { N_FED = 10, LAST_TOKEN = 77 };

/* ---- turns, in which a token is a byte ---- */

static struct conversation *new_conversation(void)
{
    struct conversation *one = calloc(1, sizeof *one);
    assert_non_null(one);
    message_log_init(&one->log);
    return one;
}

static struct conversation_plan plan_of(size_t n_base, int64_t keep, const struct said *added)
{
    struct conversation_plan plan = {.n_base = n_base, .keep = keep, .replay = -1};
    message_log_init(&plan.added);
    for (size_t i = 0; added != NULL && added[i].role != 0; i++) {
        struct chat_message message = talk_message(added[i].role, added[i].text);
        assert_true(message_log_push(&plan.added, &message));
    }
    return plan;
}

static bool record(struct conversation *one, struct conversation_plan *plan, struct ending ending)
{
    size_t len = strlen(ending.text), n_kept = len - ending.n_unkept;
    int64_t prompt_end = plan->keep + N_FED;
    struct engine_usage usage = {
        .position = ending.is_unread ? plan->keep : prompt_end + (int64_t)n_kept,
        .rewind_limit = ending.rewind_limit,
        .n_text_kept = n_kept,
    };
    struct conversation_result result = {.usage = &usage,
                                         .n_fed = N_FED,
                                         .last_token = LAST_TOKEN,
                                         .answer = {.content = ending.text, .len = len},
                                         .raw = ending.text,
                                         .n_raw = len,
                                         .is_plain = true,
                                         .is_cancelled = ending.is_cancelled};
    return conversation_record_turn(one, plan, &result);
}

static void say(struct conversation *one, size_t n_base, int64_t keep, const struct said *added,
                struct ending ending)
{
    struct conversation_plan plan = plan_of(n_base, keep, added);
    assert_true(record(one, &plan, ending));
    message_log_done(&plan.added);
}

/* ---- what they leave ---- */

static void assert_log(const struct conversation *one, const struct said *said)
{
    size_t n = 0;
    for (; said[n].role != 0; n++) {
        struct chat_message expected = talk_message(said[n].role, said[n].text);
        assert_true(n < one->log.n);
        assert_true(message_log_same(&one->log, n, &expected, message_log_hash(&expected)));
    }
    assert_int_equal(one->log.n, n);
}

static void assert_boundary(const struct conversation *one, int i, size_t n_messages,
                            int64_t position, int32_t replay)
{
    assert_true(i < one->n_boundaries);
    assert_int_equal(one->boundaries[i].n_messages, n_messages);
    assert_int_equal(one->boundaries[i].position, position);
    assert_int_equal(one->boundaries[i].replay, replay);
}

/* That of its prompt, whose last token has to be fed again, and that of its answer. */
static void a_turn_leaves_two_places(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = "Hello"});
    assert_log(one, SAID({'u', "Hi"}, {'a', "Hello"}));
    assert_int_equal(one->n_boundaries, 2);
    assert_boundary(one, 0, 1, N_FED - 1, LAST_TOKEN);
    assert_boundary(one, 1, 2, N_FED + 5, -1);
    assert_true(one->boundaries[1].is_whole && one->boundaries[1].is_plain);
    assert_int_equal(one->boundaries[1].n_tail, 0);

    say(one, 2, 15, SAID({'u', "More"}), (struct ending){.text = "Yes"});
    assert_int_equal(one->n_boundaries, 4);
    assert_boundary(one, 3, 4, 15 + N_FED + 3, -1);
    conversation_free(one);
}

static void assert_tail(const struct conversation *one, int i, const char *tail)
{
    assert_int_equal(one->boundaries[i].n_tail, strlen(tail));
    assert_memory_equal(one->boundaries[i].tail, tail, strlen(tail));
    assert_false(one->boundaries[i].is_whole);
}

/* What was said and not kept is the tail, each answer's own. */
static void words_that_the_session_lacks_are_its_tail(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = "Hello", .n_unkept = 2});
    assert_boundary(one, 1, 2, N_FED + 3, -1);
    assert_int_equal(one->boundaries[1].n_text_kept, 3);
    assert_tail(one, 1, "lo");

    say(one, 2, 13, SAID({'u', "More"}), (struct ending){.text = "Yes", .n_unkept = 1});
    assert_tail(one, 1, "lo");
    assert_tail(one, 3, "s");

    char text[BOUNDARY_MAX_TAIL + 2];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    say(one, 4, 25, SAID({'u', "Go"}), (struct ending){.text = text, .n_unkept = sizeof text - 2});
    assert_tail(one, 5, text + 1);
    say(one, 6, 36, SAID({'u', "On"}), (struct ending){.text = text, .n_unkept = sizeof text - 1});
    assert_tail(one, 7, ""); /* too long to be kept: the text is read again */
    conversation_free(one);
}

/* A later answer takes the place of words and places that it went back beyond, and those that the
 * session cannot reach any more are gone, too. */
static void places_that_are_lost_are_forgotten(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = "Hello"});
    say(one, 2, 15, SAID({'u', "More"}), (struct ending){.text = "Yes"});
    say(one, 2, 15, SAID({'u', "Else"}), (struct ending){.text = "Well"});
    assert_log(one, SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Else"}, {'a', "Well"}));
    assert_int_equal(one->n_boundaries, 4);
    assert_boundary(one, 1, 2, 15, -1);
    assert_boundary(one, 3, 4, 15 + N_FED + 4, -1);

    say(one, 4, 29, SAID({'u', "Go"}), (struct ending){.text = "Ok", .rewind_limit = 20});
    assert_int_equal(one->n_boundaries, 4);
    assert_boundary(one, 0, 3, 15 + N_FED - 1, LAST_TOKEN);
    assert_log(one, SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Else"}, {'a', "Well"}, {'u', "Go"},
                         {'a', "Ok"}));
    conversation_free(one);
}

static void the_oldest_place_makes_room(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    for (size_t i = 0; i < CONVERSATION_MAX_BOUNDARIES; i++)
        say(one, 2 * i, 11 * (int64_t)i, SAID({'u', "?"}), (struct ending){.text = "!"});
    assert_int_equal(one->n_boundaries, CONVERSATION_MAX_BOUNDARIES);
    assert_int_equal(one->log.n, 2 * CONVERSATION_MAX_BOUNDARIES);
    for (int i = 0; i < one->n_boundaries; i++)
        assert_int_equal(one->boundaries[i].n_messages, CONVERSATION_MAX_BOUNDARIES + 1 + i);
    conversation_free(one);
}

/* ---- turns that were stopped ---- */

static void a_turn_that_never_spoke_changes_no_words(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = "Hello"});
    static const struct ending endings[] = {
        {.text = "", .is_cancelled = true, .is_unread = true}, /* amid its prompt */
        {.text = "", .is_cancelled = true},                    /* before its first word */
        {.text = "", .is_unread = true},
    };
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        say(one, 2, 15, SAID({'u', "More"}), endings[i]);
        assert_log(one, SAID({'u', "Hi"}, {'a', "Hello"}));
        assert_int_equal(one->n_boundaries, 2);
    }
    conversation_free(one);
}

/* The client has seen these words, so they are part of it. */
static void a_turn_that_was_stopped_keeps_what_it_said(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}),
        (struct ending){.text = "Hel", .n_unkept = 1, .is_cancelled = true});
    assert_log(one, SAID({'u', "Hi"}, {'a', "Hel"}));
    assert_tail(one, 1, "l");
    conversation_free(one);
}

/* An answer may be empty without having been stopped. */
static void an_empty_answer_is_one(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = ""});
    assert_log(one, SAID({'u', "Hi"}, {'a', ""}));
    assert_boundary(one, 1, 2, N_FED, -1);
    conversation_free(one);
}

/* ---- answers that go on ---- */

static void what_is_spoken_on_is_one_message(void **state)
{
    (void)state;
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = "Hello"});
    struct conversation_plan plan = plan_of(2, 15, NULL); /* the answer is in the log ... */
    plan.is_continuation = true;
    assert_true(record(one, &plan, (struct ending){.text = " world", .n_unkept = 2}));
    assert_log(one, SAID({'u', "Hi"}, {'a', "Hello world"}));
    assert_boundary(one, one->n_boundaries - 1, 2, 15 + N_FED + 4, -1);
    assert_int_equal(one->boundaries[one->n_boundaries - 1].n_text_kept, strlen("Hello wor"));
    message_log_done(&plan.added);

    plan = plan_of(0, 0, SAID({'u', "Hi"}, {'a', "Good"})); /* ... or what the client began */
    plan.is_continuation = true;
    assert_true(record(one, &plan, (struct ending){.text = "bye"}));
    assert_log(one, SAID({'u', "Hi"}, {'a', "Goodbye"}));
    assert_int_equal(one->n_boundaries, 1); /* none of its prompt: that has no end of its own */
    assert_int_equal(one->boundaries[0].n_text_kept, strlen("Goodbye"));
    message_log_done(&plan.added);

    plan = plan_of(0, 0, SAID({'u', "Hi"}, {'a', " Good"}));
    plan.is_continuation = plan.is_unfaithful = true; /* the template changed its bytes */
    assert_true(record(one, &plan, (struct ending){.text = "bye"}));
    assert_log(one, SAID({'u', "Hi"}, {'a', " Goodbye"}));
    assert_int_equal(one->n_boundaries, 0);
    message_log_done(&plan.added);
    conversation_free(one);
}

/* ---- no memory ---- */

static void assert_sound(const struct conversation *one)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < one->log.n; i++)
        n_bytes += one->log.items[i].len;
    assert_int_equal(one->log.n_bytes, n_bytes);
    for (int i = 0; i < one->n_boundaries; i++) {
        const struct boundary *boundary = &one->boundaries[i];
        assert_true(boundary->n_messages <= one->log.n);
        assert_true(boundary->position <= one->last.position);
        assert_true(i == 0 || boundary->position >= one->boundaries[i - 1].position);
        assert_int_equal(boundary->n_tail, boundary->is_whole || boundary->replay >= 0 ? 0 : 2);
    }
}

/* Whichever allocation fails: no word is there twice or in part, and no place tells of words that
 * are missing. True when allocation n was reached. */
static bool record_without_memory(bool is_continuation, long n)
{
    struct conversation *one = new_conversation();
    say(one, 0, 0, SAID({'u', "Hi"}), (struct ending){.text = "Hello"});
    if (is_continuation) { /* what a restart left: no places yet */
        free(one->boundaries);
        one->boundaries = NULL;
        one->n_boundaries = 0;
    }
    struct conversation_plan plan =
        is_continuation ? plan_of(2, 15, NULL) : plan_of(2, 15, SAID({'u', "More"}, {'u', "!"}));
    plan.is_continuation = is_continuation;
    failing_memory_set(n, true);
    bool is_recorded = record(one, &plan, (struct ending){.text = " yes", .n_unkept = 2});
    bool is_reached = failing_memory_count() >= n;
    failing_memory_set(0, false);
    assert_sound(one);
    const struct said *said =
        is_continuation ? (is_recorded ? SAID({'u', "Hi"}, {'a', "Hello yes"})
                                       : SAID({'u', "Hi"}, {'a', "Hello"}))
        : is_recorded ? SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}, {'u', "!"}, {'a', " yes"})
        : one->log.n > 2 ? SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}, {'u', "!"})
                         : SAID({'u', "Hi"}, {'a', "Hello"});
    assert_log(one, said);
    assert_true(is_recorded || is_reached);
    message_log_done(&plan.added);
    conversation_free(one);
    return is_reached;
}

static void without_memory_the_log_is_true_as_far_as_it_goes(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        long n = 1;
        while (record_without_memory(i == 1, n))
            n++;
        assert_true(n > 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_leaves_two_places),
        cmocka_unit_test(words_that_the_session_lacks_are_its_tail),
        cmocka_unit_test(places_that_are_lost_are_forgotten),
        cmocka_unit_test(the_oldest_place_makes_room),
        cmocka_unit_test(a_turn_that_never_spoke_changes_no_words),
        cmocka_unit_test(a_turn_that_was_stopped_keeps_what_it_said),
        cmocka_unit_test(an_empty_answer_is_one),
        cmocka_unit_test(what_is_spoken_on_is_one_message),
        cmocka_unit_test(without_memory_the_log_is_true_as_far_as_it_goes),
    };
    return cmocka_run_group_tests(tests, talk_init, talk_done);
}
