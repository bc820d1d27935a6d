/* test_engine_drafts.c - the engine says the same with drafts as without, and takes some. */
#include <stdlib.h>
#include <string.h>

#include "core/engine/engine.h"
#include "tests/support/check.h"
#include "tests/support/engine_run.h"

enum { N_LETTERS = 3 };

static struct engine_options with_drafts(int n)
{
    struct engine_options options = small_window();
    options.n_drafts = n;
    return options;
}

/* One whose answer is made of a few letters, so that much of it has been said before. */
static struct engine_request make_wordy(uint64_t id, uint64_t session, int64_t keep, int max_tokens)
{
    struct engine_request request = make_request(id, session, keep, 12, max_tokens);
    request.biases = malloc(N_LETTERS * sizeof *request.biases);
    assert_non_null(request.biases);
    for (int i = 0; i < N_LETTERS; i++)
        request.biases[i] = (struct token_bias){3 + 'a' + i, 50};
    request.n_biases = N_LETTERS;
    request.sampling.temperature = id % 2 == 0 ? 0 : 0.7f;
    request.sampling.seed = id;
    return request;
}

/* Alone, in several turns far beyond the window; the texts and what came of each. */
static void a_conversation_is_the_same_with_drafts(void **state)
{
    (void)state;
    enum { N_TURNS = 8 };
    struct {
        char *text;
        struct engine_usage usage;
    } without[N_TURNS + 1];
    for (int n_drafts = 0; n_drafts <= 7; n_drafts += 7) {
        struct engine *engine = open_engine(with_drafts(n_drafts));
        int64_t position = 0;
        for (uint64_t turn = 1; turn <= N_TURNS; turn++) {
            submit(engine, make_wordy(turn, 7, position, 60));
            const struct result *result = wait_final(turn);
            assert_int_equal(result->n_tokens, 60);
            assert_int_equal(result->usage.n_generated, 60);
            position = result->usage.position;
            if (n_drafts == 0) {
                without[turn].text = strdup(buf_text(&result->text));
                without[turn].usage = result->usage;
                assert_int_equal(result->usage.n_drafted, 0);
                continue;
            }
            const struct engine_usage *a = &result->usage, *b = &without[turn].usage;
            assert_string_equal(buf_text(&result->text), without[turn].text);
            assert_int_equal(a->position, b->position);
            assert_int_equal(a->n_evicted, b->n_evicted);
            assert_int_equal(a->n_text_kept, b->n_text_kept);
            assert_in_range(a->n_accepted, 0, a->n_drafted);
        }
        struct engine_counters counters = read_counters(engine);
        assert_int_equal(counters.n_generated_tokens, N_TURNS * 60);
        assert_true(n_drafts == 0 ? counters.n_drafted_tokens == 0
                                  : counters.n_accepted_tokens > 0);
        assert_true(counters.n_accepted_tokens <= counters.n_drafted_tokens);
        engine_close(&engine);
    }
    for (int turn = 1; turn <= N_TURNS; turn++)
        free(without[turn].text);
}

/* Few enough that there is room for drafts, then more than that, coming and going. */
static void many_at_once_say_the_same_with_drafts(void **state)
{
    (void)state;
    enum { N = 24 };
    char *without[N + 1];
    for (int n_drafts = 0; n_drafts <= 15; n_drafts += 15) {
        struct engine *engine = open_engine(with_drafts(n_drafts));
        for (uint64_t i = 1; i <= N; i++) {
            submit(engine, make_wordy(i, 0, 0, 20 + (int)(i % 5) * 40));
            if (i % 4 == 0)
                wait_text(i);
        }
        for (uint64_t i = 1; i <= N; i++) {
            const struct result *result = wait_final(i);
            assert_int_equal(result->usage.n_generated, 20 + (i % 5) * 40);
            if (n_drafts == 0)
                without[i] = strdup(buf_text(&result->text));
            else
                assert_string_equal(buf_text(&result->text), without[i]);
        }
        if (n_drafts > 0)
            assert_true(read_counters(engine).n_accepted_tokens > 0);
        engine_close(&engine);
    }
    for (int i = 1; i <= N; i++)
        free(without[i]);
}

/* Cancelled and parked while drafts fly: its session goes on from the position that it reports. */
static void a_turn_that_is_cut_short_leaves_a_usable_session(void **state)
{
    (void)state;
    struct engine *engine = open_engine(with_drafts(7));
    int64_t position = 0;
    for (uint64_t turn = 1; turn <= 10; turn++) {
        submit(engine, make_wordy(turn, 5, position, 1000000));
        wait_text(turn);
        if (turn % 2 == 0) {
            assert_true(engine_park(engine, turn, true));
            assert_true(engine_park(engine, turn, false));
        }
        engine_cancel(engine, turn);
        const struct result *result = wait_final(turn);
        assert_int_equal(result->finish, ENGINE_FINISH_CANCELLED);
        assert_true(result->usage.n_text_kept <= result->text.len);
        assert_true(result->usage.rewind_limit <= result->usage.position);
        position = result->usage.position;
    }
    engine_close(&engine);
    for (uint64_t turn = 1; turn <= 10; turn++)
        assert_int_equal(results.of[turn].n_finals, 1);
}

static void refuses_more_than_a_step_can_have(void **state)
{
    (void)state;
    struct engine *engine = NULL;
    struct err err = {0};
    struct engine_options options = with_drafts(64);
    options.model_path = "none";
    assert_false(engine_open(&engine, &options, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "0 to 63"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_is_the_same_with_drafts),
        cmocka_unit_test(many_at_once_say_the_same_with_drafts),
        cmocka_unit_test(a_turn_that_is_cut_short_leaves_a_usable_session),
        cmocka_unit_test(refuses_more_than_a_step_can_have),
    };
    return cmocka_run_group_tests(tests, engine_run_init, engine_run_done);
}
