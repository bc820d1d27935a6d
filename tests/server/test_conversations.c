#include "server/conversations.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "tests/support/check.h"

/* One token is one byte here, and the session holds what was rendered plus what was said: so each
 * test can say in text what the engine must be fed. */

static int n_forgotten;

static void forget(void *arg, uint64_t session)
{
    (void)arg;
    (void)session;
    n_forgotten++;
}

/* The last note of each session, as the engine would keep it. */
enum { MAX_NOTES = 256 };
static struct buf notes[MAX_NOTES];

static void keep_note(void *arg, uint64_t session, struct buf *note)
{
    (void)arg;
    assert_true(session < MAX_NOTES && !note->failed);
    buf_done(&notes[session]);
    notes[session] = *note;
    buf_init(note);
}

static void name_owner(void *arg, int owner, char out[CONVERSATION_OWNER_SIZE])
{
    (void)arg;
    snprintf(out, CONVERSATION_OWNER_SIZE, "owner %d", owner);
}

static int find_owner(void *arg, const char *name)
{
    int owner;
    (void)arg;
    return sscanf(name, "owner %d", &owner) == 1 && owner < 9 ? owner : -1;
}

static struct chat_template *chatml, *llama2;

static int open_templates(void **state)
{
    (void)state;
    return chat_template_open_named(&chatml, "chatml", NULL) &&
                   chat_template_open_named(&llama2, "llama2", NULL)
               ? 0
               : -1;
}

static int close_templates(void **state)
{
    (void)state;
    chat_template_close(&chatml);
    chat_template_close(&llama2);
    for (int i = 0; i < MAX_NOTES; i++)
        buf_done(&notes[i]);
    return 0;
}

static struct conversations *open_all(size_t max_log_bytes)
{
    struct conversations_options options = {
        .chat_template = chatml,
        .max_conversations = 100,
        .max_log_bytes = max_log_bytes,
        .forget = forget,
        .note = keep_note,
        .name_owner = name_owner,
        .find_owner = find_owner,
    };
    struct conversations *all = NULL;
    n_forgotten = 0;
    assert_true(conversations_open(&all, &options, NULL));
    return all;
}

struct said {
    char role; /* s, u, a; U: a user's message with an extra */
    const char *text;
};

static struct chat_message message_of(char role, const char *text)
{
    static const char EXTRA[] = "{\"name\":\"Ann\"}";
    return (struct chat_message){
        .role = role == 's'   ? CHAT_SYSTEM
                : role == 'a' ? CHAT_ASSISTANT
                              : CHAT_USER,
        .content = text,
        .len = strlen(text),
        .extra = role == 'U' ? EXTRA : NULL,
        .extra_len = role == 'U' ? strlen(EXTRA) : 0,
    };
}

static uint64_t group; /* of every ask */

static enum conversations_status begin_as(struct conversations *all, int owner, const char *id,
                                          const struct said *said, struct conversation_plan *plan)
{
    struct chat_message messages[32];
    size_t n = 0;
    for (; said[n].role != 0; n++)
        messages[n] = message_of(said[n].role, said[n].text);
    struct conversation_ask ask = {
        .owner = owner, .id = id, .group = group, .messages = messages, .n_messages = n};
    return conversations_begin(all, &ask, plan, NULL);
}

static void begin(struct conversations *all, const char *id, const struct said *said,
                  struct conversation_plan *plan)
{
    assert_int_equal(begin_as(all, 1, id, said, plan), CONVERSATIONS_READY);
    conversations_take_session(all, plan);
}

static const char *fed(const struct conversation_plan *plan)
{
    return buf_text(&plan->prompt.text) + plan->begin;
}

static int64_t n_fed(const struct conversation_plan *plan)
{
    return plan->replay >= 0 ? 1 : (int64_t)(plan->prompt.text.len - plan->begin);
}

struct ending {
    const char *text;
    size_t n_unkept; /* bytes of the text that the session lacks */
    bool is_cancelled;
    bool is_unread; /* cancelled before its first token */
    int64_t rewind_limit;
};

static void end(struct conversations *all, struct conversation_plan *plan, struct ending ending)
{
    size_t len = strlen(ending.text);
    int64_t prompt_end = plan->keep + n_fed(plan);
    struct engine_usage usage = {
        .n_cached = plan->keep,
        .n_prompt = (int)n_fed(plan),
        .position = ending.is_unread ? plan->keep : prompt_end + (int64_t)(len - ending.n_unkept),
        .rewind_limit = ending.rewind_limit,
        .n_text_kept = len - ending.n_unkept,
    };
    struct conversation_result result = {
        .usage = &usage,
        .n_fed = n_fed(plan),
        .last_token = 77,
        .answer = {.content = ending.text, .len = len},
        .raw = ending.text,
        .n_raw = len,
        .is_plain = true,
        .is_cancelled = ending.is_cancelled,
    };
    conversations_end(all, plan, &result);
}

/* One whole turn that is answered with `answer`. */
static enum conversation_match turn(struct conversations *all, const char *id,
                                    const struct said *said, const char *answer)
{
    struct conversation_plan plan;
    begin(all, id, said, &plan);
    enum conversation_match match = plan.match;
    end(all, &plan, (struct ending){.text = answer});
    return match;
}

#define SAID(...) ((const struct said[]){__VA_ARGS__, {0, NULL}})

static void new_conversation_is_fed_whole(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    struct conversation_plan plan;
    begin(all, "x", SAID({'s', "Be kind."}, {'u', "Hi"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    assert_int_equal(plan.keep, 0);
    assert_true(plan.is_start);
    assert_string_equal(conversation_plan_id(&plan), "x");
    assert_string_equal(fed(&plan), "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi"
                                    "<|im_end|>\n<|im_start|>assistant\n");
    end(all, &plan, (struct ending){.text = "Hello"});
    conversations_close(&all);
    assert_int_equal(n_forgotten, 0); /* the engine keeps the session for the next run */
}

/* The model thought, or called a tool: what the session holds is not what the client sends back. */
static void an_answer_in_other_words_is_gone_on_from(void **state)
{
    (void)state;
    for (size_t n_unkept = 0; n_unkept <= 2; n_unkept++) {
        struct conversations *all = open_all(1 << 20);
        struct conversation_plan plan;
        begin(all, "x", SAID({'u', "Hi"}), &plan);
        int64_t prompt_end = n_fed(&plan);
        struct engine_usage usage = {.position = prompt_end + 52, .n_text_kept = 52 - n_unkept};
        struct conversation_result result = {
            .usage = &usage,
            .n_fed = prompt_end,
            .last_token = 77,
            .answer = {.content = "Hello", .len = 5},
            .raw = "<think>This is how one greets somebody.</think>Hello",
            .n_raw = 52,
        };
        conversations_end(all, &plan, &result);
        begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_int_equal(plan.keep, prompt_end + 52);
        static const char after[] = "lo<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                    "<|im_start|>assistant\n";
        assert_string_equal(fed(&plan), after + 2 - n_unkept);
        end(all, &plan, (struct ending){.text = "x"});
        conversations_close(&all);
    }
}

/* What the session has read was written for other tools. */
static void other_tools_mean_reading_again(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct chat_message messages[] = {message_of('u', "Hi"), message_of('a', "Hello"),
                                      message_of('u', "More")};
    struct conversation_ask ask = {.owner = 1, .id = "x", .messages = messages, .n_messages = 3};
    ask.render.tools = "[1]";
    ask.render.tools_len = 3;
    struct conversation_plan plan;
    assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    conversations_abandon(all, &plan);
    ask.render.tools_len = 0;
    assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void next_turn_feeds_only_what_follows(void **state)
{
    (void)state;
    const char *const ids[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        struct conversations *all = open_all(1 << 20);
        turn(all, ids[i], SAID({'u', "Hi"}), "Hello");
        struct conversation_plan plan;
        /* The client trims and changes line ends. */
        begin(all, ids[i], SAID({'u', "Hi\r\n"}, {'a', " Hello "}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_false(plan.is_start);
        assert_int_equal(plan.keep, strlen("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                                           "Hello"));
        assert_string_equal(fed(&plan), "<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                        "<|im_start|>assistant\n");
        end(all, &plan, (struct ending){.text = "Yes"});
        conversations_close(&all);
    }
}

static void text_that_the_session_lacks_is_fed_again(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    struct conversation_plan plan;
    begin(all, "x", SAID({'u', "Hi"}), &plan);
    end(all, &plan, (struct ending){.text = " Hello world", .n_unkept = 6, .is_cancelled = true});
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello world"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(fed(&plan), " world<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                    "<|im_start|>assistant\n");
    conversations_abandon(all, &plan);

    /* The client may also ask to go on speaking. */
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello world"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_true(plan.is_continuation);
    assert_string_equal(fed(&plan), " world");
    end(all, &plan, (struct ending){.text = " again"});
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello world again"}, {'u', "So"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(fed(&plan),
                        "<|im_end|>\n<|im_start|>user\nSo<|im_end|>\n<|im_start|>assistant\n");
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void same_question_again_replays_one_token(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    for (int i = 0; i < 3; i++) {
        begin(all, "x", SAID({'u', "Hi"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_REWIND);
        assert_int_equal(plan.replay, 77);
        assert_int_equal(plan.keep,
                         strlen("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n") - 1);
        end(all, &plan, (struct ending){.text = "Another"});
    }
    assert_int_equal(turn(all, "x", SAID({'u', "Hi"}, {'a', "Another"}, {'u', "More"}), "Yes"),
                     CONVERSATION_APPEND);
    conversations_close(&all);
}

static void edit_goes_back_to_the_boundary_before(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}), "Two");
    struct conversation_plan plan;
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_FORK);
    assert_int_not_equal(plan.source, 0);
    assert_int_not_equal(plan.source, plan.session);
    assert_int_equal(plan.keep, strlen("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                                       "Hello"));
    assert_string_equal(fed(&plan), "<|im_end|>\n<|im_start|>user\nThree<|im_end|>\n"
                                    "<|im_start|>assistant\n");
    end(all, &plan, (struct ending){.text = "Four"});
    conversations_close(&all);
}

static void edit_beyond_reach_is_read_anew_in_place(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    struct conversation_plan plan;
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}), &plan);
    uint64_t session = plan.session;
    end(all, &plan, (struct ending){.text = "Two", .rewind_limit = 100000});
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_int_equal(plan.session, session);
    assert_int_equal(plan.keep, 0);
    assert_int_equal(plan.begin, 0);
    assert_true(plan.is_start);
    end(all, &plan, (struct ending){.text = "Four"});
    assert_int_equal(
        turn(all, "x",
             SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}),
             "Six"),
        CONVERSATION_APPEND);
    conversations_close(&all);
}

static void changed_answer_is_not_taken_for_ours(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Goodbye"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_non_null(strstr(fed(&plan), "Goodbye"));
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void side_request_leaves_the_conversation_alone(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    begin(all, "x", SAID({'u', "### Task: give this chat a title"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_EPHEMERAL);
    assert_null(conversation_plan_id(&plan));
    assert_int_equal(plan.session, 0);

    /* Even while the conversation itself is speaking. */
    struct conversation_plan main_plan, side_plan;
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &main_plan);
    assert_int_equal(main_plan.match, CONVERSATION_APPEND);
    begin(all, "x", SAID({'u', "### Task: tags"}), &side_plan);
    assert_int_equal(side_plan.match, CONVERSATION_EPHEMERAL);
    end(all, &side_plan, (struct ending){.text = "a, b"});
    end(all, &plan, (struct ending){.text = "A title"});
    end(all, &main_plan, (struct ending){.text = "Yes"});
    assert_int_equal(
        turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}, {'a', "Yes"}, {'u', "Go"}),
             "Ok"),
        CONVERSATION_APPEND);
    conversations_close(&all);
}

static void trimmed_front_goes_on(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'s', "S"}, {'u', "One"}), "Two");
    turn(all, "x", SAID({'s', "S"}, {'u', "One"}, {'a', "Two"}, {'u', "Three"}), "Four");
    struct conversation_plan plan;
    begin(all, "x", SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(fed(&plan),
                        "<|im_end|>\n<|im_start|>user\nFive<|im_end|>\n<|im_start|>assistant\n");
    end(all, &plan, (struct ending){.text = "Six"});
    conversations_close(&all);
}

/* Three turns under the system prompt S; the last question is Five, its answer Six. */
static struct conversations *three_turns(const char *id)
{
    struct conversations *all = open_all(1 << 20);
    turn(all, id, SAID({'s', "S"}, {'u', "One"}), "Two");
    turn(all, id, SAID({'s', "S"}, {'u', "One"}, {'a', "Two"}, {'u', "Three"}), "Four");
    turn(all, id,
         SAID({'s', "S"}, {'u', "One"}, {'a', "Two"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}),
         "Six");
    return all;
}

static void trimmed_front_can_ask_for_another_answer(void **state)
{
    (void)state;
    struct conversations *all = three_turns("x");
    struct conversation_plan plan;
    begin(all, "x", SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_REWIND);
    assert_int_equal(plan.replay, 77);
    conversations_abandon(all, &plan);
    begin(all, "x", SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Else"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_FORK);
    assert_string_equal(fed(&plan),
                        "<|im_end|>\n<|im_start|>user\nElse<|im_end|>\n<|im_start|>assistant\n");
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static enum conversation_match match_of(struct conversations *all, const char *id,
                                        const struct said *said)
{
    struct conversation_plan plan;
    begin(all, id, said, &plan);
    enum conversation_match match = plan.match;
    conversations_abandon(all, &plan);
    return match;
}

/* Most clients name nothing. Two answers of ours in a row are nobody else's; one might be. */
static void trimmed_front_is_found_by_its_text(void **state)
{
    (void)state;
    const struct said *two_answers =
        SAID({'s', "S"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}, {'a', "Six"}, {'u', "More"});
    const struct said *one_answer = SAID({'s', "S"}, {'u', "Five"}, {'a', "Six"}, {'u', "More"});
    struct conversations *all = three_turns(NULL);
    assert_int_equal(match_of(all, NULL, two_answers), CONVERSATION_APPEND);
    assert_int_equal(match_of(all, NULL, one_answer), CONVERSATION_NEW);
    conversations_close(&all);
    group = 7;
    all = three_turns(NULL);
    assert_int_equal(match_of(all, NULL, one_answer), CONVERSATION_APPEND);
    group = 8;
    assert_int_equal(match_of(all, NULL, two_answers), CONVERSATION_APPEND);
    assert_int_equal(match_of(all, NULL, one_answer), CONVERSATION_NEW);
    group = 0;
    conversations_close(&all);
}

/* [Hi, Hello, Hi, Hello] and then [Hi, Hello, New]: the second question was edited. */
static void what_fits_from_the_start_was_not_trimmed(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Hi"}), "Hello");
    assert_int_equal(match_of(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "New"})),
                     CONVERSATION_FORK);
    conversations_close(&all);
}

static void another_system_prompt_is_obeyed(void **state)
{
    (void)state;
    struct conversations *all = three_turns("x");
    struct conversation_plan plan;
    begin(all, "x",
          SAID({'s', "Be brief."}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}, {'a', "Six"},
               {'u', "More"}),
          &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_non_null(strstr(fed(&plan), "Be brief."));
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

/* The same was said in two; each client goes on with its own. */
static void the_same_words_go_on_in_their_own_group(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    uint64_t sessions[2];
    struct conversation_plan plan;
    for (int i = 0; i < 2; i++) {
        group = 7 + (uint64_t)i;
        begin(all, NULL, SAID({'u', "Hi"}), &plan);
        sessions[i] = plan.session;
        end(all, &plan, (struct ending){.text = "Hello"});
    }
    for (int i = 0; i < 2; i++) {
        group = 7 + (uint64_t)i;
        begin(all, NULL, SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_int_equal(plan.session, sessions[i]);
        conversations_abandon(all, &plan);
    }
    group = 0;
    conversations_close(&all);
}

static void busy_conversation_is_not_shared(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan first, second;
    const struct said *said = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    begin(all, "x", said, &first);
    assert_int_equal(begin_as(all, 1, "x", said, &second), CONVERSATIONS_BUSY);
    conversations_leave(&first);
    assert_int_equal(begin_as(all, 1, "x", said, &second), CONVERSATIONS_LEAVING);
    end(all, &first, (struct ending){.text = "Ye", .is_cancelled = true});

    /* Stopped answer dropped by the client: asked again. */
    begin(all, "x", said, &second);
    assert_int_equal(second.match, CONVERSATION_REWIND);
    conversations_abandon(all, &second);

    /* Without a name the second one is somebody else. */
    turn(all, NULL, SAID({'u', "Yo"}), "Hey");
    said = SAID({'u', "Yo"}, {'a', "Hey"}, {'u', "More"});
    begin(all, NULL, said, &first);
    begin(all, NULL, said, &second);
    assert_int_equal(first.match, CONVERSATION_APPEND);
    assert_int_equal(second.match, CONVERSATION_NEW);
    assert_string_not_equal(conversation_plan_id(&first), conversation_plan_id(&second));
    conversations_abandon(all, &first);
    conversations_abandon(all, &second);
    conversations_close(&all);
}

static void unnamed_greeting_alone_belongs_to_nobody(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, NULL, SAID({'s', "S"}, {'u', "Hi"}), "Hello");
    assert_int_equal(turn(all, NULL, SAID({'s', "S"}, {'u', "Hi"}), "Hello"), CONVERSATION_NEW);
    assert_int_equal(conversations_count(all), 2);
    conversations_close(&all);
}

static void named_and_foreign_conversations_are_not_found_by_text(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    struct conversation_plan plan;
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    turn(all, NULL, SAID({'u', "Yo"}), "Hey");
    const struct said *hi = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    const struct said *yo = SAID({'u', "Yo"}, {'a', "Hey"}, {'u', "More"});
    begin(all, NULL, hi, &plan);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_abandon(all, &plan);
    assert_int_equal(begin_as(all, 2, NULL, yo, &plan), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_abandon(all, &plan);
    assert_int_equal(begin_as(all, 2, "x", hi, &plan), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_abandon(all, &plan);
    begin(all, NULL, yo, &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void cancel_before_the_first_token_changes_nothing(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    const struct said *said = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    begin(all, "x", said, &plan);
    end(all, &plan, (struct ending){.text = "", .is_cancelled = true, .is_unread = true});
    assert_int_equal(turn(all, "x", said, "Yes"), CONVERSATION_APPEND);
    conversations_close(&all);
}

static void failed_session_is_forgotten_and_rebuilt(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    const struct said *said = SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"});
    begin(all, "x", said, &plan);
    conversations_fail(all, &plan);
    assert_int_equal(n_forgotten, 1);
    assert_int_equal(turn(all, "x", said, "Yes"), CONVERSATION_REBUILD);
    conversations_close(&all);
}

static void a_session_that_is_lost_is_read_again(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    uint64_t before = plan.session;
    conversations_lost(all, &plan);
    conversations_take_session(all, &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_int_not_equal(plan.session, before);
    assert_int_equal(plan.keep, 0);
    assert_true(plan.is_start);
    assert_string_equal(fed(&plan), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                                    "Hello<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                    "<|im_start|>assistant\n");
    end(all, &plan, (struct ending){.text = "Yes"});
    assert_int_equal(
        turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}, {'a', "Yes"}, {'u', "Go"}),
             "Ok"),
        CONVERSATION_APPEND);
    conversations_close(&all);
}

static void branches_stay_under_one_name(void **state)
{
    (void)state;
    const char *const ids[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        struct conversations *all = open_all(1 << 20);
        turn(all, ids[i], SAID({'u', "Hi"}), "Hello");
        turn(all, ids[i], SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}), "Two");
        assert_int_equal(turn(all, ids[i], SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}), "4"),
                         CONVERSATION_FORK);
        assert_int_equal(conversations_count(all), 2);
        const struct said *old =
            SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}, {'a', "Two"}, {'u', "On"});
        const struct said *new =
            SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}, {'a', "4"}, {'u', "On"});
        struct conversation_plan a, b;
        begin(all, ids[i], old, &a);
        begin(all, ids[i], new, &b); /* while the other speaks */
        assert_int_equal(a.match, CONVERSATION_APPEND);
        assert_int_equal(b.match, CONVERSATION_APPEND);
        assert_int_not_equal(a.session, b.session);
        end(all, &a, (struct ending){.text = "Yes"});
        end(all, &b, (struct ending){.text = "Yes"});

        /* One that never came to speak leaves no trace. */
        begin(all, ids[i], SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Four"}), &a);
        assert_int_equal(a.match, CONVERSATION_FORK);
        conversations_abandon(all, &a);
        assert_int_equal(conversations_count(all), 2);
        conversations_close(&all);
    }
}

static void a_pinned_system_prompt_may_change(void **state)
{
    (void)state;
    struct conversations_options options = {.chat_template = chatml,
                                            .max_conversations = 100,
                                            .max_log_bytes = 1 << 20,
                                            .pins_system = true,
                                            .forget = forget};
    const char *const ids[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        struct conversations *all = NULL;
        assert_true(conversations_open(&all, &options, NULL));
        turn(all, ids[i], SAID({'s', "It is 9:00."}, {'u', "Hi"}), "Hello");
        struct conversation_plan plan;
        begin(all, ids[i], SAID({'s', "It is 9:01."}, {'u', "Hi"}, {'a', "Hello"}, {'u', "More"}),
              &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_null(strstr(buf_text(&plan.prompt.text), "9:01"));
        end(all, &plan, (struct ending){.text = "Yes"});
        conversations_close(&all);
    }
}

static void conversations_come_back_with_their_sessions(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    struct conversation_plan plan;
    begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}), &plan);
    uint64_t named = plan.session;
    end(all, &plan, (struct ending){.text = "Hello", .n_unkept = 2});
    begin(all, NULL, SAID({'u', "Yo"}), &plan);
    uint64_t unnamed = plan.session;
    end(all, &plan, (struct ending){.text = "Hey"});
    conversations_close(&all);

    all = open_all(1 << 20);
    assert_true(conversations_restore(all, named, &notes[named]));
    assert_true(conversations_restore(all, unnamed, &notes[unnamed]));
    begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_int_equal(plan.session, named);
    assert_string_equal(fed(&plan), "lo<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                    "<|im_start|>assistant\n");
    end(all, &plan, (struct ending){.text = "Yes"});
    begin(all, NULL, SAID({'u', "Yo"}, {'a', "Hey"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_int_equal(plan.session, unnamed);
    end(all, &plan, (struct ending){.text = "Yes"});

    /* A new one gets a number of its own, and another owner sees none of it. */
    assert_int_equal(begin_as(all, 2, "x", SAID({'u', "Hi"}), &plan), CONVERSATIONS_READY);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    conversations_take_session(all, &plan);
    assert_true(plan.session > named && plan.session > unnamed);
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void a_note_that_lies_is_refused(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    struct conversation_plan plan;
    begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}), &plan);
    struct buf *note = &notes[plan.session];
    uint64_t session = plan.session;
    end(all, &plan, (struct ending){.text = "Hello"});
    conversations_close(&all);
    all = open_all(1 << 20);
    struct buf lie = {0};
    for (size_t len = 0; len < note->len; len++) { /* every truncation */
        buf_clear(&lie);
        buf_append(&lie, note->data, len);
        assert_false(conversations_restore(all, session, &lie));
    }
    for (size_t i = 0; i < note->len; i++) { /* any byte: refused, or another conversation */
        buf_clear(&lie);
        buf_append(&lie, note->data, note->len);
        lie.data[i] = (char)(lie.data[i] ^ 0x80);
        conversations_restore(all, session, &lie);
        begin(all, "x", SAID({'s', "S"}, {'U', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        conversations_abandon(all, &plan);
    }
    buf_done(&lie);
    conversations_close(&all);
}

static void what_else_a_message_carries_is_compared(void **state)
{
    (void)state;
    struct conversations *all = open_all(1 << 20);
    turn(all, "x", SAID({'U', "Hi"}), "Hello");
    assert_int_equal(turn(all, "x", SAID({'U', "Hi"}, {'a', "Hello"}, {'u', "A"}), "B"),
                     CONVERSATION_APPEND);
    assert_int_equal(
        turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "A"}, {'a', "B"}, {'u', "C"}), "D"),
        CONVERSATION_REBUILD);
    conversations_close(&all);
}

static void text_of_all_conversations_is_bounded(void **state)
{
    (void)state;
    struct conversations *all = open_all(100);
    char id[16];
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "c%d", i);
        turn(all, id, SAID({'u', "ten bytes!"}), "ten bytes.");
    }
    assert_int_equal(conversations_count(all), 5);
    conversations_close(&all);
}

static void template_that_trims_is_followed(void **state)
{
    (void)state;
    struct conversations_options options = {
        .chat_template = llama2,
        .max_conversations = 4,
        .max_log_bytes = 1000,
        .forget = forget,
    };
    struct conversations *all = NULL;
    assert_true(conversations_open(&all, &options, NULL));
    turn(all, "x", SAID({'u', "Hi"}), " Hello \n\n");
    struct conversation_plan plan;
    begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(fed(&plan), " </s><s>[INST] More [/INST]");
    end(all, &plan, (struct ending){.text = "Yes"});
    conversations_close(&all);
}

static struct conversations *open_with(const struct chat_template *template)
{
    struct conversations_options options = {
        .chat_template = template,
        .max_conversations = 4,
        .max_log_bytes = 10000,
        .forget = forget,
    };
    struct conversations *all = NULL;
    assert_true(conversations_open(&all, &options, NULL));
    return all;
}

static struct chat_template *open_jinja(const char *jinja)
{
    const struct chat_template_source source = {.jinja = jinja, .jinja_len = strlen(jinja)};
    struct chat_template *template = NULL;
    assert_true(chat_template_open_strict(&template, &source, NULL));
    return template;
}

static enum conversation_match turn_with(struct conversations *all, const char *tools, int64_t now,
                                         const struct said *said)
{
    struct chat_message messages[8];
    struct conversation_plan plan;
    size_t n = 0;
    for (; said[n].role != 0; n++)
        messages[n] = message_of(said[n].role, said[n].text);
    struct conversation_ask ask = {
        .id = "x",
        .messages = messages,
        .n_messages = n,
        .render = {.tools = tools, .tools_len = strlen(tools), .now = now},
    };
    assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
    conversations_take_session(all, &plan);
    enum conversation_match match = plan.match;
    end(all, &plan, (struct ending){.text = "Hello"});
    return match;
}

static void midnight_changes_nothing_that_was_read(void **state)
{
    (void)state;
    struct chat_template *template = open_jinja(
        "{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ m.content }}{% endfor %}");
    struct conversations *all = open_with(template);
    turn_with(all, "", 0, SAID({'u', "Hi"}));
    assert_int_equal(turn_with(all, "", 4000000000, SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "A"})),
                     CONVERSATION_APPEND);
    conversations_close(&all);
    chat_template_close(&template);
}

/* The client hears why, and nothing is remembered. */
static void messages_that_the_template_refuses(void **state)
{
    (void)state;
    struct chat_template *template =
        open_jinja("{% for m in messages %}{{ raise_exception('No x') if m.content == 'x' else "
                   "m.content }}{% endfor %}");
    struct conversations *all = open_with(template);
    const struct chat_message message = message_of('u', "x");
    struct conversation_ask ask = {.id = "x", .messages = &message, .n_messages = 1};
    struct conversation_plan plan;
    struct err err = {0};
    assert_int_equal(conversations_begin(all, &ask, &plan, &err), CONVERSATIONS_FAILED);
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "No x"));
    assert_int_equal(conversations_count(all), 0);
    conversations_close(&all);
    chat_template_close(&template);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_conversation_is_fed_whole),
        cmocka_unit_test(next_turn_feeds_only_what_follows),
        cmocka_unit_test(an_answer_in_other_words_is_gone_on_from),
        cmocka_unit_test(other_tools_mean_reading_again),
        cmocka_unit_test(text_that_the_session_lacks_is_fed_again),
        cmocka_unit_test(same_question_again_replays_one_token),
        cmocka_unit_test(edit_goes_back_to_the_boundary_before),
        cmocka_unit_test(edit_beyond_reach_is_read_anew_in_place),
        cmocka_unit_test(changed_answer_is_not_taken_for_ours),
        cmocka_unit_test(side_request_leaves_the_conversation_alone),
        cmocka_unit_test(trimmed_front_goes_on),
        cmocka_unit_test(trimmed_front_can_ask_for_another_answer),
        cmocka_unit_test(trimmed_front_is_found_by_its_text),
        cmocka_unit_test(what_fits_from_the_start_was_not_trimmed),
        cmocka_unit_test(another_system_prompt_is_obeyed),
        cmocka_unit_test(the_same_words_go_on_in_their_own_group),
        cmocka_unit_test(busy_conversation_is_not_shared),
        cmocka_unit_test(unnamed_greeting_alone_belongs_to_nobody),
        cmocka_unit_test(named_and_foreign_conversations_are_not_found_by_text),
        cmocka_unit_test(cancel_before_the_first_token_changes_nothing),
        cmocka_unit_test(failed_session_is_forgotten_and_rebuilt),
        cmocka_unit_test(a_session_that_is_lost_is_read_again),
        cmocka_unit_test(branches_stay_under_one_name),
        cmocka_unit_test(a_pinned_system_prompt_may_change),
        cmocka_unit_test(conversations_come_back_with_their_sessions),
        cmocka_unit_test(a_note_that_lies_is_refused),
        cmocka_unit_test(what_else_a_message_carries_is_compared),
        cmocka_unit_test(text_of_all_conversations_is_bounded),
        cmocka_unit_test(template_that_trims_is_followed),
        cmocka_unit_test(midnight_changes_nothing_that_was_read),
        cmocka_unit_test(messages_that_the_template_refuses),
    };
    return cmocka_run_group_tests(tests, open_templates, close_templates);
}
