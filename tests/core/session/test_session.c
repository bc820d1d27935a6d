#include "core/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/model/forward.h"
#include "core/text/detokenizer.h"
#include "core/text/grammar.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { SINKS = 4, WINDOW = 48, SLACK = 31, MAX_CHUNK = 16 };

static struct session *open_session_in(enum session_mode mode, int n_sinks)
{
    struct session *session = NULL;
    struct err err = {0};
    struct kv_shape shape = tiny_model_kv_shape(n_sinks, WINDOW, SLACK);
    if (!session_open(&session, &shape, mode, tiny.tokenizer, &err))
        fail_msg("%s", err.text);
    return session;
}

static struct session *open_session(void)
{
    return open_session_in(SESSION_MODE_STREAMING, SINKS);
}

/* A prompt of n byte tokens; the first is BOS when it starts a conversation. */
static struct session_turn make_turn(int64_t keep, int n_prompt, int max_tokens)
{
    struct session_turn turn = {
        .keep = keep,
        .max_tokens = max_tokens,
        .ignore_end = true,
        .sampling = {.temperature = 0, .top_p = 1, .repetition_penalty = 1},
    };
    for (int i = 0; i < n_prompt; i++) {
        struct err err;
        int32_t id = keep == 0 && i == 0 ? 1 : 3 + 'a' + (int32_t)((keep + i * 7) % 26);
        assert_true(token_list_push(&turn.prompt, id, &err));
    }
    return turn;
}

static void begin(struct session *session, struct session_turn turn)
{
    struct err err = {0};
    if (!session_begin(session, &turn, &err))
        fail_msg("%s", err.text);
}

/* One step; returns false when the turn has said all. */
static bool step(struct session *session, struct buf *out)
{
    struct forward_token tokens[MAX_CHUNK];
    int n_pending = session_n_pending(session);
    int n = n_pending < MAX_CHUNK ? n_pending : MAX_CHUNK;
    for (int i = 0; i < n; i++) {
        tokens[i] = (struct forward_token){.id = session_pending(session, i),
                                           .cache = session_cache(session),
                                           .wants_logits = i == n_pending - 1};
    }
    forward_run(tiny.forward, tokens, n);
    session_fed(session, n);
    if (session_is_ready_to_choose(session))
        session_choose(session, forward_logits(tiny.forward, 0), out);
    return session_state(session) == SESSION_READING || session_state(session) == SESSION_SPEAKING;
}

static struct session_outcome finish(struct session *session, struct buf *out)
{
    struct session_outcome outcome;
    while (step(session, out))
        ;
    session_end(session, out, &outcome);
    assert_int_equal(session_state(session), SESSION_IDLE);
    return outcome;
}

static void a_turn_ends_at_its_length(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf text = {0};
    begin(session, make_turn(0, 20, 12));
    assert_int_equal(session_n_pending(session), 20);
    struct session_outcome outcome = finish(session, &text);
    assert_int_equal(outcome.n_prompt, 20);
    assert_int_equal(outcome.n_cached, 0);
    assert_int_equal(outcome.n_generated, 12);
    /* The last token was said but not fed, so its text is not in the cache. */
    assert_in_range(outcome.position, 20, 31);
    assert_true(outcome.n_text_kept < text.len);
    buf_done(&text);
    session_close(&session);
    assert_null(session);
}

static void the_same_turn_says_the_same_after_a_rewind(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf first = {0}, again = {0};
    begin(session, make_turn(0, 20, 10));
    finish(session, &first);
    begin(session, make_turn(0, 20, 10));
    struct session_outcome outcome = finish(session, &again);
    assert_int_equal(outcome.n_cached, 0);
    assert_string_equal(buf_text(&first), buf_text(&again));

    /* Beyond the window a rewind within the slack is still exact. */
    struct buf long_first = {0}, long_again = {0};
    int64_t keep = outcome.position;
    begin(session, make_turn(keep, 90, 1));
    keep = finish(session, &long_first).position;
    begin(session, make_turn(keep, 5, 10));
    outcome = finish(session, &long_first);
    assert_true(outcome.n_evicted > 0);
    begin(session, make_turn(keep, 5, 10));
    long_again = (struct buf){0};
    outcome = finish(session, &long_again);
    assert_int_equal(outcome.n_cached, keep);
    assert_string_equal(buf_text(&long_first) + (long_first.len - long_again.len),
                        buf_text(&long_again));
    buf_done(&first);
    buf_done(&again);
    buf_done(&long_first);
    buf_done(&long_again);
    session_close(&session);
}

static void a_stop_string_is_neither_said_nor_kept(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf free_text = {0}, cut_text = {0};
    begin(session, make_turn(0, 20, 12));
    int64_t free_position = finish(session, &free_text).position;
    assert_true(free_text.len >= 8);

    char stop[4] = {0};
    memcpy(stop, free_text.data + 4, 3);
    char *stops[] = {stop};
    struct session_turn turn = make_turn(0, 20, 12);
    turn.stops = stops;
    turn.n_stops = 1;
    begin(session, turn);
    struct session_outcome outcome = finish(session, &cut_text);
    char *found = strstr(free_text.data, stop);
    assert_int_equal(cut_text.len, found - free_text.data);
    assert_memory_equal(cut_text.data, free_text.data, cut_text.len);
    assert_int_equal(outcome.stop, 0);
    assert_true(outcome.n_text_kept <= cut_text.len);
    assert_true(outcome.position < free_position);
    buf_done(&free_text);
    buf_done(&cut_text);
    session_close(&session);
}

/* All reports of a turn, taken at each step and at its end, and its text. */
static void speak_with_reports(struct session_turn turn, struct token_report_list *reports,
                               struct buf *text)
{
    struct session *session = open_session();
    struct session_outcome outcome;
    turn.wants_reports = true;
    turn.n_top = 3;
    begin(session, turn);
    bool goes_on = true;
    while (goes_on) {
        goes_on = step(session, text);
        assert_true(session_take_reports(session, reports));
        for (size_t i = 0; i < reports->n; i++)
            assert_true(reports->items[i].text_end <= text->len);
    }
    session_end(session, text, &outcome);
    assert_true(session_take_reports(session, reports));
    session_close(&session);
}

static void each_token_that_is_said_is_reported_with_its_text(void **state)
{
    (void)state;
    struct token_report_list reports = {0}, cut_reports = {0};
    struct buf text = {0}, cut_text = {0}, plain_text = {0};
    speak_with_reports(make_turn(0, 20, 24), &reports, &text);
    assert_int_equal(reports.n, 24);
    size_t end = 0;
    for (size_t i = 0; i < reports.n; i++) {
        assert_int_equal(reports.items[i].text_begin, end);
        end = reports.items[i].text_end;
        /* Greedy: the chosen one is the most likely one. */
        assert_int_equal(reports.items[i].top[0].id, reports.items[i].chosen.id);
        assert_int_equal(reports.items[i].n_top, 3);
    }
    assert_int_equal(end, text.len);

    /* Asking for reports changes nothing that is said. */
    struct session *session = open_session();
    begin(session, make_turn(0, 20, 24));
    finish(session, &plain_text);
    assert_int_equal(plain_text.len, text.len);
    assert_memory_equal(plain_text.data, text.data, text.len);
    session_close(&session);

    /* What a stop string takes away is not reported. */
    char stop[4] = {0};
    memcpy(stop, text.data + 6, 3);
    char *stops[] = {stop};
    struct session_turn turn = make_turn(0, 20, 24);
    turn.stops = stops;
    turn.n_stops = 1;
    speak_with_reports(turn, &cut_reports, &cut_text);
    assert_true(cut_reports.n < reports.n);
    for (size_t i = 0; i < cut_reports.n; i++) {
        assert_int_equal(cut_reports.items[i].chosen.id, reports.items[i].chosen.id);
        assert_true(cut_reports.items[i].text_end <= cut_text.len);
    }
    assert_true(cut_text.len == 0 || cut_reports.items[cut_reports.n - 1].text_end == cut_text.len);
    token_report_list_done(&reports);
    token_report_list_done(&cut_reports);
    buf_done(&text);
    buf_done(&cut_text);
    buf_done(&plain_text);
}

static void an_end_does_not_come_before_min_tokens(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf text = {0};
    struct token_bias bias = {tokenizer_eos(tiny.tokenizer), 100};
    struct session_turn turn = make_turn(0, 20, 12);
    turn.ignore_end = false;
    turn.sampling.biases = &bias;
    turn.sampling.n_biases = 1;
    begin(session, turn);
    assert_int_equal(finish(session, &text).n_generated, 1);
    turn = make_turn(0, 20, 12);
    turn.ignore_end = false;
    turn.sampling.biases = &bias;
    turn.sampling.n_biases = 1;
    turn.min_tokens = 5;
    begin(session, turn);
    assert_int_equal(finish(session, &text).n_generated, 6);
    buf_done(&text);
    session_close(&session);
}

static void a_turn_cut_while_reading_leaves_no_trace(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf text = {0};
    begin(session, make_turn(0, 20, 5));
    struct session_outcome before = finish(session, &text), after;

    begin(session, make_turn(before.position, 40, 5));
    assert_true(step(session, &text));
    session_end(session, &text, &after);
    assert_int_equal(after.position, before.position);
    assert_int_equal(after.n_generated, 0);

    /* What cannot be restored becomes empty rather than wrong. */
    begin(session, make_turn(before.position, 200, 5));
    for (int i = 0; i < 8; i++)
        assert_true(step(session, &text));
    session_end(session, &text, &after);
    assert_int_equal(after.position, 0);
    buf_done(&text);
    session_close(&session);
}

static void refuses_what_it_cannot_begin(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct err err = {0};
    struct session_turn turn = make_turn(0, 0, 5);
    assert_false(session_begin(session, &turn, &err));
    assert_int_equal(err.code, ERR_INVALID);

    turn = make_turn(7, 3, 5);
    assert_false(session_begin(session, &turn, &err));
    assert_int_equal(turn.prompt.n, 3); /* still ours */
    assert_int_equal(session_state(session), SESSION_IDLE);
    turn.keep = 0;
    assert_true(session_begin(session, &turn, &err));

    struct session_turn second = make_turn(0, 3, 5);
    assert_false(session_begin(session, &second, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    token_list_done(&second.prompt);
    session_close(&session);
}

static void recompute_says_the_same_until_the_window_is_full(void **state)
{
    (void)state;
    struct session *streaming = open_session();
    struct session *recompute = open_session_in(SESSION_MODE_RECOMPUTE, 0);
    struct buf a = {0}, b = {0};
    begin(streaming, make_turn(0, 20, WINDOW - 20));
    finish(streaming, &a);
    begin(recompute, make_turn(0, 20, WINDOW - 20));
    struct session_outcome outcome = finish(recompute, &b);
    assert_string_equal(buf_text(&a), buf_text(&b));
    assert_int_equal(outcome.n_prompt, 20);
    assert_int_equal(outcome.position, 0);
    assert_int_equal(outcome.n_text_kept, 0);
    buf_done(&a);
    buf_done(&b);
    session_close(&streaming);
    session_close(&recompute);
}

/* The most likely token after a fresh pass over the last WINDOW tokens. */
static int32_t next_by_definition(const struct token_list *tokens)
{
    struct kv_cache *cache = NULL;
    struct kv_shape shape = tiny_model_kv_shape(0, WINDOW, 0);
    assert_true(kv_cache_open(&cache, &shape, NULL));
    for (size_t i = tokens->n - WINDOW; i < tokens->n; i++) {
        struct forward_token token = {
            .id = tokens->ids[i], .cache = cache, .wants_logits = i == tokens->n - 1};
        forward_run(tiny.forward, &token, 1);
    }
    kv_cache_close(&cache);
    const float *logits = forward_logits(tiny.forward, 0);
    int32_t best = 0;
    for (int32_t i = 1; i < tokenizer_n_vocab(tiny.tokenizer); i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

static void recompute_beyond_the_window_reads_only_its_end(void **state)
{
    (void)state;
    enum { N_PROMPT = WINDOW + 30, N_SAID = 6 };
    struct session *session = open_session_in(SESSION_MODE_RECOMPUTE, 0);
    struct buf text = {0}, expected = {0};
    begin(session, make_turn(0, N_PROMPT, N_SAID));
    finish(session, &text);
    session_close(&session);

    struct session_turn all = make_turn(0, N_PROMPT, N_SAID);
    const struct detokenizer_stops none = {0};
    struct detokenizer detokenizer;
    assert_true(detokenizer_init(&detokenizer, tiny.tokenizer, &none, NULL));
    for (int i = 0; i < N_SAID; i++) {
        int32_t id = next_by_definition(&all.prompt);
        assert_true(token_list_push(&all.prompt, id, NULL));
        detokenizer_push(&detokenizer, id, &expected);
    }
    detokenizer_flush(&detokenizer, &expected);
    detokenizer_done(&detokenizer);
    assert_true(expected.len > 0);
    assert_string_equal(buf_text(&text), buf_text(&expected));
    token_list_done(&all.prompt);
    buf_done(&text);
    buf_done(&expected);
}

static void dense_ends_when_it_is_full(void **state)
{
    (void)state;
    struct session *session = open_session_in(SESSION_MODE_DENSE, 0);
    struct buf text = {0};
    struct err err = {0};
    struct session_turn turn = make_turn(0, WINDOW + 1, 1);
    assert_false(session_begin(session, &turn, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "maximum context length"));
    token_list_done(&turn.prompt);

    begin(session, make_turn(0, 20, 1000));
    struct session_outcome outcome = finish(session, &text);
    assert_int_equal(outcome.n_generated, WINDOW - 20 + 1);
    assert_int_equal(outcome.n_evicted, 0);
    buf_done(&text);
    session_close(&session);
}

static struct session_turn make_grammar_turn(const char *gbnf, int max_tokens, float temperature)
{
    struct session_turn turn = make_turn(0, 20, max_tokens);
    struct err err = {0};
    turn.sampling.temperature = temperature;
    turn.ignore_end = false;
    if (!grammar_new(&turn.grammar, gbnf, strlen(gbnf), &err))
        fail_msg("%s", err.text);
    return turn;
}

static void a_grammar_decides_what_is_said(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct session *session = open_session();
        struct buf text = {0};
        struct session_turn turn =
            make_grammar_turn("root ::= \"<\" [x\\u00e9]{3} \">\"", 100, 1.5f);
        turn.sampling.seed = seed;
        begin(session, turn);
        grammar_free(&turn.grammar); /* the session has its share */
        while (step(session, &text))
            ;
        assert_int_equal(session_state(session), SESSION_SAID_STOP);
        struct session_outcome outcome;
        session_end(session, &text, &outcome);
        const char *at = buf_text(&text);
        assert_int_equal(*at++, '<');
        for (int i = 0; i < 3; i++) {
            assert_true(*at == 'x' || (at[0] == '\xC3' && at[1] == '\xA9'));
            at += *at == 'x' ? 1 : 2;
        }
        assert_string_equal(at, ">");
        /* It ended with the last character: that token was not fed. */
        assert_true(outcome.n_text_kept < text.len);
        buf_done(&text);
        session_close(&session);
    }
}

static void a_grammar_ends_by_length_when_it_must(void **state)
{
    (void)state;
    struct session *session = open_session();
    struct buf text = {0};
    struct session_turn turn = make_grammar_turn("root ::= [a-z]{50}", 10, 1);
    begin(session, turn);
    while (step(session, &text))
        ;
    assert_int_equal(session_state(session), SESSION_SAID_ALL);
    session_end(session, &text, &(struct session_outcome){0});
    assert_in_range(text.len, 10, 50);
    buf_done(&text);

    /* The empty text, with ends ignored: there is nothing to choose. */
    grammar_free(&turn.grammar);
    turn = make_grammar_turn("root ::= \"\"", 10, 1);
    turn.ignore_end = true;
    begin(session, turn);
    while (step(session, &text))
        ;
    assert_int_equal(session_state(session), SESSION_SAID_STOP);
    session_end(session, &text, &(struct session_outcome){0});
    assert_int_equal(text.len, 0);
    grammar_free(&turn.grammar);
    buf_done(&text);
    session_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_ends_at_its_length),
        cmocka_unit_test(the_same_turn_says_the_same_after_a_rewind),
        cmocka_unit_test(a_stop_string_is_neither_said_nor_kept),
        cmocka_unit_test(each_token_that_is_said_is_reported_with_its_text),
        cmocka_unit_test(an_end_does_not_come_before_min_tokens),
        cmocka_unit_test(a_turn_cut_while_reading_leaves_no_trace),
        cmocka_unit_test(refuses_what_it_cannot_begin),
        cmocka_unit_test(recompute_says_the_same_until_the_window_is_full),
        cmocka_unit_test(recompute_beyond_the_window_reads_only_its_end),
        cmocka_unit_test(dense_ends_when_it_is_full),
        cmocka_unit_test(a_grammar_decides_what_is_said),
        cmocka_unit_test(a_grammar_ends_by_length_when_it_must),
    };
    return cmocka_run_group_tests(tests, tiny_model_open, tiny_model_close);
}
