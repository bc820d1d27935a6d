/* test_drafts.c - a session that is offered drafts says what it says without them, and is the same
 * afterwards: only sooner. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/model/forward.h"
#include "core/session/session.h"
#include "core/text/grammar.h"
#include "tests/support/check.h"
#include "tests/support/tiny_model.h"

enum { SINKS = 4, MAX_DRAFTS = 7, MAX_CHUNK = 16, MAX_TURNS = 8, MAX_LETTERS = 8 };

/* A conversation of some turns. */
struct plot {
    const char *name;
    enum session_mode mode;
    int n_window, n_slack;
    int n_turns, n_prompt, max_tokens;
    int n_letters; /* that the answers are made of: the model, left alone, never says anything
                      twice. 0: all */
    float temperature, frequency_penalty;
    const char *gbnf; /* of each answer */
    const char *stop;
    bool wants_reports, has_end; /* a token that ends the turn is likely */
    bool goes_back;              /* each third turn is taken back and another put in its place */
};

/* What came of it. */
struct story {
    struct buf text;
    int n_turns;
    struct session_outcome outcomes[MAX_TURNS];
    int n_reports, n_steps, n_drafted, n_accepted;
};

/* Words that return, so that there is something to guess. */
static void write_prompt(struct token_list *prompt, const struct plot *plot, int turn)
{
    static const char words[] = "all that is said is said again, ";
    for (int i = 0; i < plot->n_prompt; i++) {
        int32_t id = turn == 0 && i == 0 ? 1 : 3 + words[(turn * 5 + i) % (int)strlen(words)];
        assert_true(token_list_push(prompt, id, NULL));
    }
}

static void begin_turn(struct session *session, const struct plot *plot, int turn, int64_t keep,
                       uint64_t seed)
{
    struct err err = {0};
    char *stops[] = {(char *)plot->stop};
    struct token_bias biases[MAX_LETTERS + 1];
    for (int i = 0; i < plot->n_letters; i++)
        biases[i] = (struct token_bias){3 + 'a' + i, 50};
    biases[plot->n_letters] = (struct token_bias){tokenizer_eos(tiny.tokenizer), 48};
    struct session_turn said = {
        .keep = keep,
        .max_tokens = plot->max_tokens,
        .min_tokens = plot->has_end ? 3 : 0,
        .ignore_end = !plot->has_end && plot->gbnf == NULL,
        .sampling = {.temperature = plot->temperature,
                     .top_p = 1,
                     .repetition_penalty = 1,
                     .frequency_penalty = plot->frequency_penalty,
                     .seed = seed + (uint64_t)turn,
                     .biases = biases,
                     .n_biases = plot->n_letters + plot->has_end},
        .stops = stops,
        .n_stops = plot->stop != NULL ? 1 : 0,
        .wants_reports = plot->wants_reports,
        .n_top = 2,
    };
    if (plot->gbnf != NULL && !grammar_new(&said.grammar, plot->gbnf, strlen(plot->gbnf), &err))
        fail_msg("%s", err.text);
    write_prompt(&said.prompt, plot, turn);
    if (!session_begin(session, &said, &err))
        fail_msg("%s", err.text);
    grammar_free(&said.grammar);
}

/* Feeds a chunk of the prompt, or the token chosen last and n_drafts of those that are offered, and
 * chooses as far as they are right. */
static void step(struct session *session, int n_drafts, struct story *story)
{
    struct forward_token tokens[MAX_CHUNK];
    bool is_speaking = session_state(session) == SESSION_SPEAKING;
    int n_pending = session_n_pending(session);
    int n = n_pending < MAX_CHUNK ? n_pending : MAX_CHUNK;
    if (is_speaking)
        n += n_drafts < session_n_drafts(session) ? n_drafts : session_n_drafts(session);
    for (int i = 0; i < n; i++)
        tokens[i] = (struct forward_token){.id = session_pending(session, i),
                                           .cache = session_cache(session),
                                           .wants_logits = is_speaking || i == n_pending - 1};
    forward_run(tiny.forward, tokens, n);
    session_fed(session, n);
    struct token_report_list reports = {0};
    for (int row = 0; session_is_ready_to_choose(session); row++) {
        assert_true(row < (is_speaking ? n : 1));
        session_choose(session, forward_logits(tiny.forward, row), &story->text);
        assert_true(session_take_reports(session, &reports));
        for (size_t i = 0; i < reports.n; i++)
            assert_true(reports.items[i].text_end <= story->text.len);
    }
    story->n_reports += (int)reports.n;
    story->n_steps++;
    token_report_list_done(&reports);
}

static bool goes_on(const struct session *session)
{
    return session_state(session) == SESSION_READING || session_state(session) == SESSION_SPEAKING;
}

/* The whole conversation; in each step up to max_drafts, or with `varies` some of them. */
static struct story tell(const struct plot *plot, uint64_t seed, int max_drafts, bool varies)
{
    struct story story = {.n_turns = plot->n_turns};
    struct session *session = NULL;
    int n_sinks = plot->mode == SESSION_MODE_STREAMING ? SINKS : 0;
    struct kv_shape shape = tiny_model_kv_shape(n_sinks, plot->n_window, plot->n_slack);
    uint32_t random = (uint32_t)seed;
    int64_t keep = 0;
    assert_true(session_open(&session, &shape, plot->mode, tiny.tokenizer, NULL));
    session_set_drafts(session, max_drafts);
    for (int turn = 0; turn < plot->n_turns; turn++) {
        struct session_outcome *outcome = &story.outcomes[turn];
        struct token_report_list reports = {0};
        begin_turn(session, plot, turn, keep, seed);
        while (goes_on(session)) {
            random = random * 1664525 + 1013904223;
            step(session, varies ? (int)(random >> 16) % (MAX_DRAFTS + 1) : MAX_DRAFTS, &story);
        }
        session_end(session, &story.text, outcome);
        assert_true(session_take_reports(session, &reports));
        story.n_reports += (int)reports.n;
        token_report_list_done(&reports);
        story.n_drafted += outcome->n_drafted;
        story.n_accepted += outcome->n_accepted;
        bool is_taken_back = plot->goes_back && turn % 3 == 2;
        keep = is_taken_back ? keep : outcome->position;
        keep = plot->mode == SESSION_MODE_RECOMPUTE ? 0 : keep;
        assert_true(kv_cache_can_rewind(session_cache(session), keep));
    }
    session_close(&session);
    return story;
}

static void compare(const struct plot *plot, const struct story *with, const struct story *without)
{
    if (with->text.len != without->text.len ||
        memcmp(with->text.data, without->text.data, with->text.len) != 0)
        fail_msg("%s: \"%s\" with drafts, \"%s\" without", plot->name, buf_text(&with->text),
                 buf_text(&without->text));
    for (int i = 0; i < plot->n_turns; i++) {
        const struct session_outcome *a = &with->outcomes[i], *b = &without->outcomes[i];
        assert_int_equal(a->n_cached, b->n_cached);
        assert_int_equal(a->n_prompt, b->n_prompt);
        assert_int_equal(a->n_generated, b->n_generated);
        assert_int_equal(a->position, b->position);
        assert_int_equal(a->n_evicted, b->n_evicted);
        assert_int_equal(a->n_sinks, b->n_sinks);
        assert_int_equal(a->n_text_kept, b->n_text_kept);
        /* Rows that drafts have overwritten are gone: no more than were fed at once. */
        assert_true(a->rewind_limit == b->rewind_limit ||
                    a->rewind_limit <=
                        (b->rewind_limit > 0 ? b->rewind_limit : b->position) + MAX_DRAFTS);
        assert_true(a->rewind_limit >= b->rewind_limit && a->rewind_limit <= a->position);
    }
    assert_int_equal(with->n_reports, without->n_reports);
}

static const char numbers[] = "root ::= \"[\" [0-3]{1,2} (\",\" [0-3]{1,2}){3,20} \"]\"";

static const struct plot plots[] = {
    {.name = "short", .n_window = 48, .n_slack = 31, .n_turns = 1, .max_tokens = 40},
    {.name = "beyond the window", .n_window = 48, .n_slack = 31, .n_turns = 1, .max_tokens = 200},
    {.name = "beyond it, sampled",
     .n_window = 48,
     .n_slack = 31,
     .n_turns = 1,
     .max_tokens = 200,
     .temperature = 0.7f},
    {.name = "wild",
     .n_window = 48,
     .n_slack = 31,
     .n_turns = 2,
     .max_tokens = 100,
     .temperature = 3},
    {.name = "many turns",
     .n_window = 48,
     .n_slack = 31,
     .n_turns = 8,
     .max_tokens = 30,
     .temperature = 0.5f},
    {.name = "going back",
     .n_window = 64,
     .n_slack = 63,
     .n_turns = 8,
     .max_tokens = 20,
     .temperature = 0.5f,
     .goes_back = true},
    {.name = "a stop string",
     .n_window = 64,
     .n_slack = 63,
     .n_turns = 8,
     .max_tokens = 60,
     .temperature = 2,
     .stop = "a"},
    {.name = "ends",
     .n_window = 64,
     .n_slack = 63,
     .n_turns = 8,
     .max_tokens = 60,
     .temperature = 0.8f,
     .has_end = true},
    {.name = "a grammar",
     .n_window = 64,
     .n_slack = 63,
     .n_turns = 6,
     .max_tokens = 50,
     .temperature = 1,
     .gbnf = numbers},
    {.name = "reports",
     .n_window = 64,
     .n_slack = 63,
     .n_turns = 4,
     .max_tokens = 40,
     .temperature = 0.6f,
     .stop = "b",
     .wants_reports = true},
    {.name = "penalties",
     .n_window = 48,
     .n_slack = 31,
     .n_turns = 2,
     .max_tokens = 80,
     .temperature = 0.8f,
     .frequency_penalty = 0.3f},
    {.name = "little slack", .n_window = 48, .n_slack = 15, .n_turns = 3, .max_tokens = 120},
    {.name = "hardly any",
     .n_window = 48,
     .n_slack = 2,
     .n_turns = 2,
     .n_prompt = 3,
     .max_tokens = 120,
     .temperature = 0.4f},
    {.name = "none", .n_window = 48, .n_slack = 0, .n_turns = 2, .n_prompt = 1, .max_tokens = 90},
    {.name = "no sinks",
     .mode = SESSION_MODE_WINDOW,
     .n_window = 48,
     .n_slack = 31,
     .n_turns = 2,
     .max_tokens = 100},
    {.name = "dense",
     .mode = SESSION_MODE_DENSE,
     .n_window = 120,
     .n_slack = 31,
     .n_turns = 1,
     .max_tokens = 500},
    {.name = "recompute",
     .mode = SESSION_MODE_RECOMPUTE,
     .n_window = 48,
     .n_slack = 15,
     .n_turns = 1,
     .max_tokens = 40},
};

static void drafts_change_nothing_of_what_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plots / sizeof plots[0]; i++) {
        struct plot plot = plots[i];
        plot.n_prompt = plot.n_prompt == 0 ? 14 : plot.n_prompt;
        plot.n_letters = plot.gbnf != NULL ? 0 : 4;
        int n_accepted = 0, n_rejected = 0;
        for (uint64_t seed = 1; seed <= 2; seed++) {
            struct story without = tell(&plot, seed, 0, false);
            struct story with = tell(&plot, seed, MAX_DRAFTS, false);
            struct story some = tell(&plot, seed, MAX_DRAFTS, true);
            compare(&plot, &with, &without);
            compare(&plot, &some, &without);
            assert_int_equal(without.n_drafted, 0);
            /* Each draft that is right saves a step. */
            assert_int_equal(with.n_steps + with.n_accepted, without.n_steps);
            n_accepted += with.n_accepted;
            n_rejected += with.n_drafted - with.n_accepted;
            buf_done(&without.text);
            buf_done(&with.text);
            buf_done(&some.text);
        }
        print_message("%s: %d drafts accepted, %d not\n", plot.name, n_accepted, n_rejected);
        bool has_drafts = plot.mode != SESSION_MODE_RECOMPUTE && plot.n_slack > 0;
        assert_true(has_drafts ? n_accepted > 0 : n_accepted + n_rejected == 0);
    }
}

/* One that repeats itself needs few steps. */
static void a_text_that_repeats_itself_is_said_in_few_steps(void **state)
{
    (void)state;
    struct plot plot = plots[1];
    plot.n_prompt = 14;
    plot.n_letters = 2;
    struct story without = tell(&plot, 1, 0, false), with = tell(&plot, 1, MAX_DRAFTS, false);
    assert_true(with.n_accepted > plot.max_tokens / 2);
    assert_true(with.n_steps < without.n_steps / 2);
    buf_done(&without.text);
    buf_done(&with.text);
}

/* Begins a turn with a prompt of n letters 'a' and says one more; how many drafts may follow. */
static int drafts_after_a(struct session *session, const struct session *source, int64_t keep,
                          int n)
{
    struct token_bias bias = {3 + 'a', 50};
    struct session_turn turn = {
        .source = source,
        .keep = keep,
        .max_tokens = 100,
        .sampling = {.top_p = 1, .repetition_penalty = 1, .biases = &bias, .n_biases = 1},
    };
    struct story story = {.n_turns = 1};
    for (int i = 0; i < n; i++)
        assert_true(token_list_push(&turn.prompt, keep == 0 && i == 0 ? 1 : 3 + 'a', NULL));
    assert_true(session_begin(session, &turn, NULL));
    while (session_state(session) == SESSION_READING)
        step(session, 0, &story);
    int n_drafts = session_n_drafts(session);
    session_end(session, &story.text, &story.outcomes[0]);
    buf_done(&story.text);
    return n_drafts;
}

/* What is known of a text that another session has read serves its copy, too. */
static void a_copy_knows_its_first_tokens(void **state)
{
    (void)state;
    struct session *first = NULL, *copy = NULL, *fresh = NULL;
    struct session **all[] = {&first, &copy, &fresh};
    struct kv_shape shape = tiny_model_kv_shape(SINKS, 64, 31);
    for (int i = 0; i < 3; i++) {
        assert_true(session_open(all[i], &shape, SESSION_MODE_STREAMING, tiny.tokenizer, NULL));
        session_set_drafts(*all[i], MAX_DRAFTS);
    }
    assert_int_equal(drafts_after_a(first, NULL, 0, 12), MAX_DRAFTS);
    assert_int_equal(drafts_after_a(copy, first, 10, 1), MAX_DRAFTS);
    assert_int_equal(drafts_after_a(fresh, NULL, 0, 2), 0);
    for (int i = 0; i < 3; i++)
        session_close(all[i]);
}

/* A draft that is in the cache and not confirmed when a turn is cut goes. */
static void a_cut_leaves_no_draft_behind(void **state)
{
    (void)state;
    struct plot plot = plots[0];
    struct session *session = NULL;
    struct session_outcome outcome;
    struct story story = {.n_turns = 1};
    struct kv_shape shape = tiny_model_kv_shape(SINKS, 48, 31);
    plot.n_prompt = 14;
    plot.n_letters = 1;
    assert_true(session_open(&session, &shape, SESSION_MODE_STREAMING, tiny.tokenizer, NULL));
    session_set_drafts(session, MAX_DRAFTS);
    begin_turn(session, &plot, 0, 0, 1);
    while (session_n_drafts(session) < 3)
        step(session, 0, &story);
    struct forward_token tokens[4];
    for (int i = 0; i < 4; i++)
        tokens[i] = (struct forward_token){.id = session_pending(session, i),
                                           .cache = session_cache(session),
                                           .wants_logits = true};
    int64_t before = session_position(session);
    forward_run(tiny.forward, tokens, 4);
    session_fed(session, 4);
    session_choose(session, forward_logits(tiny.forward, 0), &story.text);
    assert_int_equal(session_position(session), before + 4);
    session_end(session, &story.text, &outcome);
    assert_int_equal(outcome.position,
                     before + 2); /* the chosen one, and the draft that was right */
    assert_int_equal(outcome.n_drafted, 3);
    assert_int_equal(outcome.n_accepted, 1);
    assert_int_equal(outcome.n_text_kept, story.text.len);
    buf_done(&story.text);
    session_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drafts_change_nothing_of_what_is_said),
        cmocka_unit_test(a_text_that_repeats_itself_is_said_in_few_steps),
        cmocka_unit_test(a_copy_knows_its_first_tokens),
        cmocka_unit_test(a_cut_leaves_no_draft_behind),
    };
    return cmocka_run_group_tests(tests, tiny_model_open, tiny_model_close);
}
