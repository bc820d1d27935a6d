/* test_conversation_feed.c - what of a request is fed to the session that goes on. */
#include "server/conversation.h"

#include <stdio.h>
#include <string.h>

#include "core/base/err.h"
#include "tests/support/check.h"
#include "tests/support/conversation_talk.h"

static void new_conversation_is_fed_whole(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'s', "Be kind."}, {'u', "Hi"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_NEW);
    assert_int_equal(plan.keep, 0);
    assert_true(plan.is_start);
    assert_string_equal(conversation_plan_id(&plan), "x");
    assert_string_equal(talk_fed(&plan),
                        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi"
                        "<|im_end|>\n<|im_start|>assistant\n");
    talk_end(all, &plan, (struct ending){.text = "Hello"});
    conversations_close(&all);
    assert_int_equal(talk_n_forgotten, 0); /* the engine keeps the session for the next run */
}

static void next_turn_feeds_only_what_follows(void **state)
{
    (void)state;
    const char *const ids[] = {"x", NULL};
    for (int i = 0; i < 2; i++) {
        struct conversations *all = talk_open();
        talk_turn(all, ids[i], SAID({'u', "Hi"}), "Hello");
        struct conversation_plan plan;
        /* The client trims and changes line ends. */
        talk_begin(all, ids[i], SAID({'u', "Hi\r\n"}, {'a', " Hello "}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_false(plan.is_start);
        assert_int_equal(plan.keep, strlen("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                                           "Hello"));
        assert_string_equal(talk_fed(&plan), "<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                             "<|im_start|>assistant\n");
        talk_end(all, &plan, (struct ending){.text = "Yes"});
        conversations_close(&all);
    }
}

/* The model thought, or called a tool: what the session holds is not what the client sends back. */
static void an_answer_in_other_words_is_gone_on_from(void **state)
{
    (void)state;
    for (size_t n_unkept = 0; n_unkept <= 2; n_unkept++) {
        struct conversations *all = talk_open();
        struct conversation_plan plan;
        talk_begin(all, "x", SAID({'u', "Hi"}), &plan);
        int64_t prompt_end = talk_n_fed(&plan);
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
        talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_APPEND);
        assert_int_equal(plan.keep, prompt_end + 52);
        static const char after[] = "lo<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                    "<|im_start|>assistant\n";
        assert_string_equal(talk_fed(&plan), after + 2 - n_unkept);
        talk_end(all, &plan, (struct ending){.text = "x"});
        conversations_close(&all);
    }
}

/* With thoughts that the client does not see, or without. */
static void end_with(struct conversations *all, struct conversation_plan *plan, const char *said,
                     bool has_thoughts, size_t n_unkept)
{
    char raw[64];
    int len = snprintf(raw, sizeof raw, "%s%s", has_thoughts ? "<think>Well.</think>" : "", said);
    size_t n_raw = (size_t)len;
    int64_t n_fed = talk_n_fed(plan);
    struct engine_usage usage = {.position = plan->keep + n_fed + len - (int64_t)n_unkept,
                                 .n_text_kept = n_raw - n_unkept};
    struct conversation_result result = {.usage = &usage,
                                         .n_fed = n_fed,
                                         .last_token = 77,
                                         .answer = {.content = said, .len = strlen(said)},
                                         .raw = raw,
                                         .n_raw = n_raw,
                                         .is_plain = !has_thoughts};
    conversations_end(all, plan, &result);
}

/* Who goes back to an answer is fed the end that the session lacks of this one. */
static void an_earlier_answer_does_not_end_as_the_last_one(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "Hi"}), &plan);
    end_with(all, &plan, "Hello", true, 2);
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    assert_string_equal(talk_fed(&plan), "lo<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                         "<|im_start|>assistant\n");
    end_with(all, &plan, "Indeed", true, 1);
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Else"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_FORK);
    assert_string_equal(talk_fed(&plan), "lo<|im_end|>\n<|im_start|>user\nElse<|im_end|>\n"
                                         "<|im_start|>assistant\n");
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

/* What the session has read was written for other tools. */
static void other_tools_mean_reading_again(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct chat_message messages[] = {talk_message('u', "Hi"), talk_message('a', "Hello"),
                                      talk_message('u', "More")};
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

static void text_that_the_session_lacks_is_fed_again(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "Hi"}), &plan);
    talk_end(all, &plan,
             (struct ending){.text = " Hello world", .n_unkept = 6, .is_cancelled = true});
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello world"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(talk_fed(&plan), " world<|im_end|>\n<|im_start|>user\nMore<|im_end|>\n"
                                         "<|im_start|>assistant\n");
    conversations_abandon(all, &plan);

    /* The client may also ask to go on speaking. */
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello world"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_true(plan.is_continuation);
    assert_string_equal(talk_fed(&plan), " world");
    talk_end(all, &plan, (struct ending){.text = " again"});
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello world again"}, {'u', "So"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(talk_fed(&plan),
                        "<|im_end|>\n<|im_start|>user\nSo<|im_end|>\n<|im_start|>assistant\n");
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static void same_question_again_replays_one_token(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    for (int i = 0; i < 3; i++) {
        talk_begin(all, "x", SAID({'u', "Hi"}), &plan);
        assert_int_equal(plan.match, CONVERSATION_REWIND);
        assert_int_equal(plan.replay, 77);
        assert_int_equal(plan.keep,
                         strlen("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n") - 1);
        talk_end(all, &plan, (struct ending){.text = "Another"});
    }
    assert_int_equal(talk_turn(all, "x", SAID({'u', "Hi"}, {'a', "Another"}, {'u', "More"}), "Yes"),
                     CONVERSATION_APPEND);
    conversations_close(&all);
}

static void edit_goes_back_to_the_boundary_before(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    talk_turn(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}), "Two");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_FORK);
    assert_int_not_equal(plan.source, 0);
    assert_int_not_equal(plan.source, plan.session);
    assert_int_equal(plan.keep, strlen("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                                       "Hello"));
    assert_string_equal(talk_fed(&plan), "<|im_end|>\n<|im_start|>user\nThree<|im_end|>\n"
                                         "<|im_start|>assistant\n");
    talk_end(all, &plan, (struct ending){.text = "Four"});
    conversations_close(&all);
}

static void edit_beyond_reach_is_read_anew_in_place(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    struct conversation_plan plan;
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "One"}), &plan);
    uint64_t session = plan.session;
    talk_end(all, &plan, (struct ending){.text = "Two", .rewind_limit = 100000});
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_int_equal(plan.session, session);
    assert_int_equal(plan.keep, 0);
    assert_int_equal(plan.begin, 0);
    assert_true(plan.is_start);
    talk_end(all, &plan, (struct ending){.text = "Four"});
    assert_int_equal(
        talk_turn(all, "x",
                  SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "Three"}, {'a', "Four"}, {'u', "Five"}),
                  "Six"),
        CONVERSATION_APPEND);
    conversations_close(&all);
}

static void changed_answer_is_not_taken_for_ours(void **state)
{
    (void)state;
    struct conversations *all = talk_open();
    talk_turn(all, "x", SAID({'u', "Hi"}), "Hello");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Goodbye"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_REBUILD);
    assert_non_null(strstr(talk_fed(&plan), "Goodbye"));
    conversations_abandon(all, &plan);
    conversations_close(&all);
}

static struct conversations *open_with(const struct chat_template *template)
{
    struct conversations_options options = talk_options();
    options.chat_template = template;
    return talk_open_with(&options);
}

static void template_that_trims_is_followed(void **state)
{
    (void)state;
    struct chat_template *llama2 = NULL;
    assert_true(chat_template_open_named(&llama2, "llama2", NULL));
    struct conversations *all = open_with(llama2);
    talk_turn(all, "x", SAID({'u', "Hi"}), " Hello \n\n");
    struct conversation_plan plan;
    talk_begin(all, "x", SAID({'u', "Hi"}, {'a', "Hello"}, {'u', "More"}), &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(talk_fed(&plan), " </s><s>[INST] More [/INST]");
    talk_end(all, &plan, (struct ending){.text = "Yes"});
    conversations_close(&all);
    chat_template_close(&llama2);
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
    size_t n = talk_messages(said, messages, 8);
    struct conversation_ask ask = {
        .id = "x",
        .messages = messages,
        .n_messages = n,
        .render = {.tools = tools, .tools_len = strlen(tools), .now = now},
    };
    assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
    conversations_take_session(all, &plan);
    enum conversation_match match = plan.match;
    talk_end(all, &plan, (struct ending){.text = "Hello"});
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

/* The next turn, as the conversation plans it and as one does that knows just the last one's note:
 * that has to render again what the other knows by its hash. */
static void compare_with_restored(struct conversations *all,
                                  const struct conversations_options *options,
                                  const struct said *said, struct conversation_plan *out)
{
    talk_begin(all, "x", said, out);
    struct conversations *restored = talk_open_with(options);
    struct conversation_plan plan;
    uint64_t session = out->source != 0 ? out->source : out->session;
    assert_true(conversations_restore(restored, session, &talk_notes[session]));
    talk_begin(restored, "x", said, &plan);
    assert_int_equal(plan.match, out->match);
    assert_int_equal(plan.keep, out->keep);
    assert_int_equal(plan.replay, out->replay);
    assert_int_equal(plan.is_start, out->is_start);
    assert_string_equal(talk_fed(&plan), talk_fed(out));
    conversations_abandon(restored, &plan);
    conversations_close(&restored);
}

static void what_is_fed_does_not_depend_on_a_restart(void **state)
{
    (void)state;
    static const char *const templates[] = {
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}",
        /* Trims, and writes a mark that is not there later. */
        "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>\n<answer>{% endif %}",
        /* Counts from the end; leaves older answers out. */
        "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{% if m.role != 'assistant' or loop.index0 + 3 > messages | length "
        "%}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}<assistant>",
    };
    static const char *const answers[] = {"Hello", " Hello\n\n", "<user>", ""};
    int n_appended = 0, n_rebuilt = 0;
    for (size_t i = 0; i < sizeof templates / sizeof templates[0] * 16; i++) {
        struct chat_template *template = open_jinja(templates[i / 16]);
        const char *answer = answers[i % 4];
        bool has_thoughts = i / 4 % 2 == 1;
        size_t n_unkept = i / 8 % 2 < strlen(answer) ? i / 8 % 2 : 0;
        struct conversations_options options = talk_options();
        options.chat_template = template;
        struct conversations *all = talk_open_with(&options);
        struct conversation_plan plan;
        talk_begin(all, "x", SAID({'s', "S"}, {'u', "A"}), &plan);
        end_with(all, &plan, answer, has_thoughts, n_unkept);
        compare_with_restored(all, &options,
                              SAID({'s', "S"}, {'u', "A"}, {'a', answer}, {'u', "B"}), &plan);
        n_appended += plan.match == CONVERSATION_APPEND;
        n_rebuilt += plan.match == CONVERSATION_REBUILD;
        end_with(all, &plan, answer, !has_thoughts, n_unkept);
        const struct said *next[] = {
            SAID({'s', "S"}, {'u', "A"}, {'a', answer}, {'u', "B"}, {'a', answer}, {'u', "C"}),
            SAID({'s', "S"}, {'u', "A"}, {'a', answer}, {'u', "Z"}),
            SAID({'s', "S"}, {'u', "A"}, {'a', answer}, {'u', "B"}),
            SAID({'s', "S"}, {'u', "A"}, {'a', answer}),
        };
        for (int j = 0; j < 4; j++) {
            compare_with_restored(all, &options, next[j], &plan);
            conversations_abandon(all, &plan);
        }
        char longer[32];
        snprintf(longer, sizeof longer, "%s more", answer);
        talk_begin(all, "x", next[3], &plan); /* to be spoken on */
        end_with(all, &plan, " more", false, 0);
        compare_with_restored(all, &options,
                              SAID({'s', "S"}, {'u', "A"}, {'a', longer}, {'u', "D"}), &plan);
        conversations_abandon(all, &plan);
        conversations_close(&all);
        chat_template_close(&template);
    }
    assert_true(n_appended > 16);
    assert_true(n_rebuilt >= 16);
}

/* A result may follow nothing but a call, so that other words cannot stand in its place. The model
 * has said the call in its own way, and not the mark behind it. */
static void a_result_is_fed_behind_a_call_in_other_words(void **state)
{
    (void)state;
    static const char JINJA[] =
        "{% for m in messages %}{% if m.role == 'tool' %}"
        "{% if not loop.previtem.tool_calls %}{{ raise_exception('no call') }}{% endif %}"
        "<r>{{ m.content }}{% elif m.tool_calls %}{% set f = m.tool_calls[0].function %}"
        "<a>{{ f.name }} {{ f.arguments | tojson }}<|call|>"
        "{% else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<a>{% endif %}";
    static const char RAW[] = "<t>I should.</t>f json {\"x\":1}";
    static const char CALL[] = "{\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{"
                               "\"name\":\"f\",\"arguments\":{\"x\":1}}}]}";
    const struct chat_message call = {
        .role = CHAT_ASSISTANT, .content = "", .extra = CALL, .extra_len = strlen(CALL)};
    const struct chat_message messages[] = {
        talk_message('u', "Hi"), call, {.role = CHAT_TOOL, .content = "21", .len = 2}};
    for (int knows_end = 0; knows_end < 2; knows_end++) {
        struct chat_template *template = open_jinja(JINJA);
        struct conversations *all = open_with(template);
        struct conversation_ask ask = {.id = "x",
                                       .messages = messages,
                                       .n_messages = 1,
                                       .call_end = knows_end == 1 ? "<|call|>" : NULL,
                                       .call_close = ""};
        struct conversation_plan plan;
        assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
        conversations_take_session(all, &plan);
        struct engine_usage usage = {.position = talk_n_fed(&plan) + (int64_t)strlen(RAW),
                                     .n_text_kept = strlen(RAW)};
        struct conversation_result result = {.usage = &usage,
                                             .n_fed = talk_n_fed(&plan),
                                             .last_token = 77,
                                             .answer = call,
                                             .raw = RAW,
                                             .n_raw = strlen(RAW)};
        conversations_end(all, &plan, &result);
        ask.n_messages = 3;
        assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
        conversations_take_session(all, &plan);
        assert_int_equal(plan.match, knows_end == 1 ? CONVERSATION_APPEND : CONVERSATION_REBUILD);
        assert_string_equal(talk_fed(&plan), knows_end == 1
                                                 ? "<|call|><r>21<a>"
                                                 : "<user>Hi<a>f {\"x\": 1}<|call|><r>21<a>");
        conversations_abandon(all, &plan);
        conversations_close(&all);
        chat_template_close(&template);
    }
}

/* Several calls, each with a mark of its own behind its arguments. */
static void results_are_fed_behind_the_last_of_several_calls(void **state)
{
    (void)state;
    static const char JINJA[] =
        "{% for m in messages %}{% if m.role == 'tool' %}<r>{{ m.content }}"
        "{% elif m.tool_calls %}{% for c in m.tool_calls %}<a>{{ c.function.name }}("
        "{{ c.function.arguments if c.function.arguments is string else 'x' }})</a>{% endfor "
        "%}<end>"
        "{% else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}";
    static const char RAW[] = "<a>f(X)</a> <a>g(Y)</a>";
    static const char CALLS[] =
        "{\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":{}}},{\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"g\","
        "\"arguments\":{}}}]}";
    const struct chat_message calls = {
        .role = CHAT_ASSISTANT, .content = "", .extra = CALLS, .extra_len = strlen(CALLS)};
    const struct chat_message messages[] = {talk_message('u', "Hi"),
                                            calls,
                                            {.role = CHAT_TOOL, .content = "21", .len = 2},
                                            {.role = CHAT_TOOL, .content = "22", .len = 2}};
    struct chat_template *template = open_jinja(JINJA);
    struct conversations *all = open_with(template);
    struct conversation_ask ask = {.id = "x",
                                   .messages = messages,
                                   .n_messages = 1,
                                   .call_end = "<end>",
                                   .call_close = ")</a>"};
    struct conversation_plan plan;
    assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
    conversations_take_session(all, &plan);
    struct engine_usage usage = {.position = talk_n_fed(&plan) + (int64_t)strlen(RAW),
                                 .n_text_kept = strlen(RAW)};
    struct conversation_result result = {.usage = &usage,
                                         .n_fed = talk_n_fed(&plan),
                                         .last_token = 77,
                                         .answer = calls,
                                         .raw = RAW,
                                         .n_raw = strlen(RAW)};
    conversations_end(all, &plan, &result);
    ask.n_messages = 4;
    assert_int_equal(conversations_begin(all, &ask, &plan, NULL), CONVERSATIONS_READY);
    conversations_take_session(all, &plan);
    assert_int_equal(plan.match, CONVERSATION_APPEND);
    assert_string_equal(talk_fed(&plan), "<end><r>21<r>22");
    conversations_abandon(all, &plan);
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
    const struct chat_message message = talk_message('u', "x");
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
        cmocka_unit_test(an_earlier_answer_does_not_end_as_the_last_one),
        cmocka_unit_test(other_tools_mean_reading_again),
        cmocka_unit_test(text_that_the_session_lacks_is_fed_again),
        cmocka_unit_test(same_question_again_replays_one_token),
        cmocka_unit_test(edit_goes_back_to_the_boundary_before),
        cmocka_unit_test(edit_beyond_reach_is_read_anew_in_place),
        cmocka_unit_test(changed_answer_is_not_taken_for_ours),
        cmocka_unit_test(template_that_trims_is_followed),
        cmocka_unit_test(midnight_changes_nothing_that_was_read),
        cmocka_unit_test(what_is_fed_does_not_depend_on_a_restart),
        cmocka_unit_test(a_result_is_fed_behind_a_call_in_other_words),
        cmocka_unit_test(results_are_fed_behind_the_last_of_several_calls),
        cmocka_unit_test(messages_that_the_template_refuses),
    };
    return cmocka_run_group_tests(tests, talk_init, talk_done);
}
