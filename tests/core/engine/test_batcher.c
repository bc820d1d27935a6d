/* test_batcher.c - steps, counted one by one: no thread, and no clock decides. */
#include "core/engine/batcher.h"

#include <stdlib.h>

#include "core/base/thread_pool.h"
#include "core/engine/pace.h"
#include "core/engine/turn.h"
#include "core/gguf/gguf.h"
#include "core/kernels/kernels.h"
#include "core/model/model.h"
#include "core/text/tokenizer.h"
#include "tests/support/check.h"
#include "tests/support/engine_run.h"
#include "tests/support/tiny_model.h"

enum { CHUNK = 32, MAX_TURNS = 256 };

struct fixture {
    struct gguf *file;
    struct model *model;
    struct tokenizer *tokenizer;
    struct thread_pool *pool;
    struct batcher *batcher;
    int n_said[MAX_TURNS + 2]; /* tokens of each request, by its number */
    int n_over;
    int n_events, n_most; /* of those taken within a step, and the most at once */
};

static int take_events(struct fixture *fixture)
{
    int n = 0;
    for (struct engine_event *event = batcher_take_events(fixture->batcher), *next; event != NULL;
         event = next, n++) {
        next = event->next;
        if (event->kind == ENGINE_EVENT_TEXT)
            fixture->n_said[event->request] += event->n_tokens;
        else
            fixture->n_over++;
        engine_event_free(event);
    }
    return n;
}

static void on_texts(void *arg)
{
    struct fixture *fixture = arg;
    int n = take_events(fixture);
    fixture->n_events += n;
    fixture->n_most = n > fixture->n_most ? n : fixture->n_most;
}

static void open_fixture(struct fixture *fixture)
{
    struct err err = {0};
    *fixture = (struct fixture){.file = NULL};
    if (!kernels_select(NULL, &err) || !gguf_open(&fixture->file, TINY_MODEL_PATH, &err) ||
        !model_open(&fixture->model, fixture->file, &err) ||
        !tokenizer_open(&fixture->tokenizer, fixture->file, &err) ||
        !thread_pool_open(&fixture->pool, 1, &err) ||
        !model_weave(fixture->model, fixture->file, fixture->pool, &err))
        fail_msg("%s", err.text);
    const struct model_shape *shape = &fixture->model->shape;
    struct batcher_options options = {
        .residence =
            {
                .shape = {.n_layers = shape->n_layers,
                          .n_kv_heads = shape->n_kv_heads,
                          .head_dim_k = shape->head_dim_k,
                          .head_dim_v = shape->head_dim_v,
                          .type = KV_F16,
                          .n_sinks = 4,
                          .n_window = 64,
                          .n_slack = CHUNK - 1},
                .tokenizer = fixture->tokenizer,
            },
        .max_turns = MAX_TURNS,
        .prompt_budget = CHUNK,
        .on_texts = on_texts,
        .arg = fixture,
    };
    if (!batcher_open(&fixture->batcher, fixture->model, fixture->pool, &options, &err))
        fail_msg("%s", err.text);
}

static void close_fixture(struct fixture *fixture)
{
    batcher_cancel_all(fixture->batcher);
    while (!batcher_is_idle(fixture->batcher))
        batcher_step(fixture->batcher);
    for (struct engine_event *event = batcher_take_events(fixture->batcher), *next; event != NULL;
         event = next) {
        next = event->next;
        engine_event_free(event);
    }
    batcher_close(&fixture->batcher);
    thread_pool_close(&fixture->pool);
    tokenizer_close(&fixture->tokenizer);
    model_close(&fixture->model);
    gguf_close(&fixture->file);
}

static void add(struct fixture *fixture, uint64_t id, int n_prompt, int max_tokens)
{
    struct turn *turn;
    struct engine_request request = make_request(id, id, 0, n_prompt, max_tokens);
    request.owner = (int)id; /* nothing is shared */
    assert_true(turn_new(&turn, &request, NULL));
    batcher_add(fixture->batcher, turn);
}

/* One step; returns the prompt tokens that it read. */
static int step(struct fixture *fixture)
{
    struct engine_counters before, after;
    batcher_read_counters(fixture->batcher, &before);
    batcher_step(fixture->batcher);
    batcher_read_counters(fixture->batcher, &after);
    take_events(fixture);
    return (int)(after.n_prompt_tokens - before.n_prompt_tokens);
}

static uint64_t n_generated(const struct fixture *fixture)
{
    struct engine_counters counters;
    batcher_read_counters(fixture->batcher, &counters);
    return counters.n_generated_tokens;
}

/* However long a prompt is: each step brings each of the others its next token, and reads one chunk
 * at most. */
static void a_long_prompt_delays_nobody_by_more_than_a_chunk(void **state)
{
    (void)state;
    enum { N = 20, LONG = 4000 };
    struct fixture fixture;
    open_fixture(&fixture);
    for (uint64_t i = 1; i <= N; i++)
        add(&fixture, i, 5, 1000000);
    int n_read = 0;
    while (n_read < N * 5)
        n_read += step(&fixture);
    add(&fixture, N + 1, LONG, 1);
    n_read = 0;
    while (fixture.n_over == 0) {
        uint64_t before = n_generated(&fixture);
        int n = step(&fixture);
        assert_in_range(n, 0, CHUNK);
        n_read += n;
        assert_int_equal(n_generated(&fixture) - before, N + (n_read == LONG));
        assert_true(n_read <= LONG);
    }
    assert_int_equal(n_read, LONG);
    close_fixture(&fixture);
}

/* Two hundred at once: none waits for its next token while others get two. */
static void two_hundred_speak_in_step(void **state)
{
    (void)state;
    enum { N = 200, LENGTH = 12 };
    struct fixture fixture;
    open_fixture(&fixture);
    for (uint64_t i = 1; i <= N; i++)
        add(&fixture, i, 6, LENGTH);
    int n_steps = 0, n_most = 0;
    while (fixture.n_over < N) {
        uint64_t before = n_generated(&fixture);
        step(&fixture);
        int n = (int)(n_generated(&fixture) - before);
        n_most = n > n_most ? n : n_most;
        n_steps++;
    }
    for (int i = 1; i <= N; i++)
        assert_int_equal(fixture.n_said[i], LENGTH);
    assert_true(n_most <= N);
    /* All prompts in chunks, with a step in sixteen that reads nothing; then all to their ends. */
    assert_true(n_steps <= 2 * (N * 6 / PACE_MIN_TOKENS) + LENGTH);
    close_fixture(&fixture);
}

/* Whoever sends texts need not wait for all of a step to send the first. */
static void texts_come_while_others_are_chosen(void **state)
{
    (void)state;
    enum { N = 200 };
    struct fixture fixture;
    open_fixture(&fixture);
    for (uint64_t i = 1; i <= N; i++)
        add(&fixture, i, 6, 1000);
    for (int i = 0; i < 200; i++)
        step(&fixture);
    assert_true(n_generated(&fixture) > 100 * N);
    assert_int_equal(fixture.n_over, 0);
    int n_said = 0;
    for (int i = 1; i <= N; i++)
        n_said += fixture.n_said[i];
    assert_true(fixture.n_events > 100 * N * 9 / 10); /* some tokens have no text of their own */
    assert_true(fixture.n_most <= N / 4);
    assert_true(n_said >= fixture.n_events);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_prompt_delays_nobody_by_more_than_a_chunk),
        cmocka_unit_test(two_hundred_speak_in_step),
        cmocka_unit_test(texts_come_while_others_are_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
