/* Sessions whose cache has numbers that cannot be taken back token by token. The model here leaves
 * them alone, and the test folds each fed token into them in its stead: so after each turn they
 * tell of exactly which tokens they are made. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/min_max.h"
#include "core/model/forward.h"
#include "core/session/session.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { SINKS = 4, WINDOW = 256, SLACK = 63, MAX_CHUNK = 16, MAX_TOKENS = 1024, N_PROMPT = 40 };

/* A session, and all tokens that it was fed and has not taken back. */
struct subject {
    struct session *session;
    int32_t fed[MAX_TOKENS];
};

static struct subject open_subject(void)
{
    struct subject subject = {0};
    struct err err = {0};
    struct kv_shape shape = tiny_model_kv_shape(SINKS, WINDOW, SLACK);
    shape.n_state = 2;
    if (!session_open(&subject.session, &shape, SESSION_MODE_STREAMING, tiny.tokenizer, &err))
        fail_msg("%s", err.text);
    return subject;
}

static void fold(float *numbers, int32_t token)
{
    numbers[0] = numbers[0] * 0.75F + (float)token;
    numbers[1] += 1;
}

/* The numbers are those of the tokens that the session says it has. */
static void check_numbers(const struct subject *subject)
{
    float expected[2] = {0};
    int64_t n = session_position(subject->session);
    for (int64_t i = 0; i < n; i++)
        fold(expected, subject->fed[i]);
    assert_memory_equal(kv_cache_numbers(session_cache(subject->session)), expected,
                        sizeof expected);
}

static struct session_turn make_turn(int64_t keep, int n_prompt, int max_tokens)
{
    struct session_turn turn = {
        .keep = keep,
        .max_tokens = max_tokens,
        .n_sinks = -1,
        .ignore_end = true,
        .sampling = {.temperature = 0, .top_p = 1, .repetition_penalty = 1},
    };
    for (int i = 0; i < n_prompt; i++) {
        struct err err;
        assert_true(token_list_push(&turn.prompt, 3 + 'a' + (int32_t)((keep + i * 7) % 26), &err));
    }
    return turn;
}

static void begin(struct subject *subject, struct session_turn turn)
{
    struct err err = {0};
    if (!session_begin(subject->session, &turn, &err))
        fail_msg("%s", err.text);
    check_numbers(subject);
}

/* One step; returns false when the turn has said all. */
static bool step(struct subject *subject, struct buf *out)
{
    struct session *session = subject->session;
    struct forward_token tokens[MAX_CHUNK];
    int n = min_int(session_n_pending(session), MAX_CHUNK), n_rows = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        bool wants_logits = session_wants_logits(session, i);
        tokens[i] = (struct forward_token){
            .id = session_pending(session, i), .cache = session_cache(session), wants_logits};
        subject->fed[session_position(session) + i] = tokens[i].id;
        n_rows += wants_logits;
    }
    forward_run(tiny.forward, tokens, n);
    for (int i = 0; i < n; i++)
        fold(kv_cache_numbers(session_cache(session)), tokens[i].id);
    session_fed(session, n);
    assert_int_equal(n_rows, session_is_ready_to_choose(session));
    if (session_is_ready_to_choose(session))
        session_choose(session, forward_logits(tiny.forward, 0), out);
    return session_state(session) == SESSION_READING || session_state(session) == SESSION_SPEAKING;
}

static struct session_outcome end(struct subject *subject, struct buf *out)
{
    struct session_outcome outcome;
    session_end(subject->session, out, &outcome);
    assert_int_equal(outcome.position, session_position(subject->session));
    assert_int_equal(outcome.rewind_limit, outcome.position);
    check_numbers(subject);
    return outcome;
}

static struct session_outcome finish(struct subject *subject, struct buf *out)
{
    while (step(subject, out))
        ;
    return end(subject, out);
}

static bool is_marked(const struct session_outcome *outcome, int64_t position)
{
    bool is_one = false;
    for (int i = 0; i < KV_N_MARKS; i++)
        is_one |= outcome->marks[i] == position;
    return is_one;
}

static void an_answer_can_be_made_again_and_a_question_replaced(void **state)
{
    (void)state;
    struct subject subject = open_subject();
    struct buf first = {0}, other = {0}, again = {0};
    begin(&subject, make_turn(0, N_PROMPT, 8));
    struct session_outcome one = finish(&subject, &first);
    begin(&subject, make_turn(one.position, N_PROMPT, 8));
    struct session_outcome two = finish(&subject, &other);
    assert_true(is_marked(&two, one.position));                /* where the question began */
    assert_true(is_marked(&two, one.position + N_PROMPT - 1)); /* and where it is but whole */

    struct session_turn last = make_turn(one.position, N_PROMPT, 8);
    memmove(last.prompt.ids, last.prompt.ids + N_PROMPT - 1, sizeof last.prompt.ids[0]);
    last.prompt.n = 1;
    last.keep = one.position + N_PROMPT - 1;
    begin(&subject, last);
    struct session_outcome same = finish(&subject, &again);
    assert_int_equal(same.n_cached, one.position + N_PROMPT - 1);
    assert_string_equal(buf_text(&again), buf_text(&other));

    begin(&subject, make_turn(one.position, 5, 8));
    assert_int_equal(finish(&subject, &again).n_cached, one.position);
    buf_done(&first);
    buf_done(&other);
    buf_done(&again);
    session_close(&subject.session);
}

/* Five bytes of a text from `at` on, and what completes characters at both ends. */
static void take_stop(const struct buf *text, size_t at, char stop[16])
{
    size_t end = at + 5;
    while (at > 0 && ((unsigned char)text->data[at] & 0xC0) == 0x80)
        at--;
    while (((unsigned char)text->data[end] & 0xC0) == 0x80)
        end++;
    memcpy(stop, text->data + at, end - at);
    stop[end - at] = '\0';
}

/* The stop string takes back some of the answer, to the last mark in it at the latest. */
static void a_stop_string_costs_a_part_of_the_answer_at_most(void **state)
{
    (void)state;
    enum { N_SAID = 150 };
    struct subject subject = open_subject();
    struct buf all = {0}, cut = {0};
    begin(&subject, make_turn(0, N_PROMPT, N_SAID));
    finish(&subject, &all);
    assert_true(all.len > 140);
    for (size_t at = 3; at < 140; at += 34) {
        char stop[16];
        take_stop(&all, at, stop);
        struct session_turn turn = make_turn(0, N_PROMPT, N_SAID);
        turn.stops = (char *[]){stop};
        turn.n_stops = 1;
        begin(&subject, turn);
        cut.len = 0;
        struct session_outcome outcome = finish(&subject, &cut);
        assert_true(cut.len <= at);
        assert_memory_equal(cut.data, all.data, cut.len);
        assert_true(outcome.n_text_kept <= cut.len);
        assert_in_range(outcome.position, N_PROMPT, N_PROMPT + outcome.n_generated);
        assert_true(N_PROMPT + outcome.n_generated - outcome.position < 64 + (int)sizeof stop);
    }
    buf_done(&all);
    buf_done(&cut);
    session_close(&subject.session);
}

static void a_turn_cut_while_reading_leaves_no_trace(void **state)
{
    (void)state;
    struct subject subject = open_subject();
    struct buf text = {0};
    begin(&subject, make_turn(0, N_PROMPT, 8));
    int64_t before = finish(&subject, &text).position;
    begin(&subject, make_turn(before, N_PROMPT, 8));
    assert_true(step(&subject, &text));
    assert_int_equal(end(&subject, &text).position, before);
    buf_done(&text);
    session_close(&subject.session);
}

/* Behind as many tokens as the session never evicts, which hold the system's message. */
static void another_conversation_begins_with_the_same_system_message(void **state)
{
    (void)state;
    enum { N_SYSTEM = 24 };
    struct subject first = open_subject(), second = open_subject();
    struct buf text = {0};
    struct session_turn turn = make_turn(0, N_PROMPT, 8);
    turn.n_sinks = N_SYSTEM;
    begin(&first, turn);

    struct session_turn other = make_turn(0, N_PROMPT, 8);
    other.prompt.ids[N_SYSTEM + 3]++;
    size_t n = other.prompt.n - 1;
    struct session_prefix prefix = session_common_prefix(first.session, other.prompt.ids, n);
    assert_int_equal(prefix.now, 0);
    assert_int_equal(prefix.soon, N_SYSTEM);
    other.prompt.ids[N_SYSTEM + 3]--;
    assert_int_equal(session_common_prefix(first.session, other.prompt.ids, n).soon, N_PROMPT - 1);
    other.prompt.ids[N_SYSTEM + 3]++;

    finish(&first, &text);
    prefix = session_common_prefix(first.session, other.prompt.ids, n);
    assert_int_equal(prefix.now, N_SYSTEM);
    other.source = first.session;
    other.keep = prefix.now;
    other.prompt.n -= N_SYSTEM;
    memmove(other.prompt.ids, other.prompt.ids + N_SYSTEM,
            other.prompt.n * sizeof other.prompt.ids[0]);
    memcpy(second.fed, first.fed, sizeof second.fed);
    struct err err = {0};
    if (!session_begin(second.session, &other, &err))
        fail_msg("%s", err.text);
    check_numbers(&second);
    assert_int_equal(finish(&second, &text).n_cached, N_SYSTEM);
    check_numbers(&first);
    buf_done(&text);
    session_close(&first.session);
    session_close(&second.session);
}

static void nothing_is_guessed(void **state)
{
    (void)state;
    struct subject subject = open_subject();
    struct buf text = {0};
    session_set_drafts(subject.session, 4);
    begin(&subject, make_turn(0, N_PROMPT, 60));
    while (step(&subject, &text))
        assert_int_equal(session_n_drafts(subject.session), 0);
    end(&subject, &text);
    buf_done(&text);
    session_close(&subject.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_can_be_made_again_and_a_question_replaced),
        cmocka_unit_test(a_stop_string_costs_a_part_of_the_answer_at_most),
        cmocka_unit_test(a_turn_cut_while_reading_leaves_no_trace),
        cmocka_unit_test(another_conversation_begins_with_the_same_system_message),
        cmocka_unit_test(nothing_is_guessed),
    };
    return cmocka_run_group_tests(tests, tiny_model_open, tiny_model_close);
}
