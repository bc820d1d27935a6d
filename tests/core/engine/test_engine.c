#include "core/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/engine_run.h"
#include "tests/support/tiny_model.h"

static void says_what_it_loaded(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    const struct engine_info *info = engine_info(engine);
    assert_string_equal(info->architecture, "llama");
    assert_int_equal(info->n_vocab, 512);
    assert_int_equal(info->n_context, 512);
    assert_int_equal(info->n_window, 64);
    assert_int_equal(info->n_sinks, 4);
    assert_true(info->n_slack >= 31);
    assert_true(info->session_bytes > 0);
    assert_int_equal(tokenizer_n_vocab(engine_tokenizer(engine)), 512);
    engine_close(&engine);
    assert_null(engine);
}

static void many_at_once_say_what_each_says_alone(void **state)
{
    (void)state;
    enum { N = 40 };
    struct engine *engine = open_engine(small_window());
    char *alone[N + 1];
    for (uint64_t i = 1; i <= N; i++) {
        submit(engine, make_request(i, 0, 0, 10 + (int)i * 3, 30));
        alone[i] = strdup(buf_text(&wait_final(i)->text));
    }
    for (uint64_t i = 1; i <= N; i++)
        submit(engine, make_request(N + i, 0, 0, 10 + (int)i * 3, 30));
    for (uint64_t i = 1; i <= N; i++) {
        struct result *result = wait_final(N + i);
        assert_int_equal(result->finish, ENGINE_FINISH_LENGTH);
        assert_int_equal(result->n_tokens, 30);
        assert_string_equal(buf_text(&result->text), alone[i]);
        free(alone[i]);
    }
    struct engine_counters counters;
    engine_read_counters(engine, &counters);
    assert_int_equal(counters.n_generated_tokens, 2 * N * 30);
    assert_int_equal(counters.n_active, 0);
    assert_int_equal(counters.n_sessions, 0);
    engine_close(&engine);
    for (uint64_t i = 1; i <= 2 * N; i++)
        assert_int_equal(results.of[i].n_finals, 1);
}

/* One grammar, owned by many turns on many workers, freed by the last. */
static void many_share_one_grammar(void **state)
{
    (void)state;
    enum { N = 16 };
    static const char gbnf[] = "root ::= \"[\" [0-9]{1,3} (\",\" [0-9]{1,3}){5} \"]\"";
    struct engine *engine = open_engine(small_window());
    struct grammar *grammar = NULL;
    assert_true(grammar_new(&grammar, gbnf, strlen(gbnf), NULL));
    for (uint64_t i = 1; i <= N; i++) {
        struct engine_request request = make_request(i, 0, 0, 10, 100);
        request.grammar = grammar_share(grammar);
        request.sampling.temperature = 1.5f;
        request.sampling.seed = i;
        submit(engine, request);
    }
    grammar_free(&grammar);
    for (uint64_t i = 1; i <= N; i++) {
        struct result *result = wait_final(i);
        assert_int_equal(result->finish, ENGINE_FINISH_STOP);
        int numbers[6], n_read = 0;
        assert_int_equal(sscanf(buf_text(&result->text), "[%3d,%3d,%3d,%3d,%3d,%3d]%n", &numbers[0],
                                &numbers[1], &numbers[2], &numbers[3], &numbers[4], &numbers[5],
                                &n_read),
                         6);
        assert_int_equal(n_read, result->text.len);
    }
    engine_close(&engine);
}

static void a_conversation_goes_on_far_beyond_the_window(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    int64_t position = 0;
    for (uint64_t turn = 1; turn <= 40; turn++) {
        submit(engine, make_request(turn, 7, position, 17, 20));
        const struct result *result = wait_final(turn);
        assert_false(result->is_failed);
        assert_int_equal(result->usage.n_cached, position);
        assert_int_equal(result->usage.n_prompt, 17);
        assert_true(result->usage.position > position);
        position = result->usage.position;
    }
    assert_true(position > 20 * 64);
    assert_true(wait_final(40)->usage.n_evicted >= position - 64);
    struct engine_counters counters;
    engine_read_counters(engine, &counters);
    assert_int_equal(counters.n_sessions, 1);
    engine_forget(engine, 7);
    submit(engine, make_request(41, 7, position, 17, 20));
    assert_true(wait_final(41)->is_failed);
    engine_close(&engine);
}

static void a_cancelled_turn_ends_with_one_final_event(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    submit(engine, make_request(1, 5, 0, 10, 1000000));
    wait_text(1);
    engine_cancel(engine, 1);
    engine_cancel(engine, 99);
    const struct result *result = wait_final(1);
    assert_int_equal(result->finish, ENGINE_FINISH_CANCELLED);
    assert_true(result->usage.n_text_kept <= result->text.len);

    /* The session is usable at the position it reported. */
    submit(engine, make_request(2, 5, result->usage.position, 5, 5));
    assert_false(wait_final(2)->is_failed);
    engine_close(&engine);
    assert_int_equal(results.of[1].n_finals, 1);
}

static void closing_ends_everyone(void **state)
{
    (void)state;
    struct engine_options options = small_window();
    options.max_batch_sessions = 3;
    struct engine *engine = open_engine(options);
    for (uint64_t i = 1; i <= 10; i++)
        submit(engine, make_request(i, i, 0, 10, 1000000));
    wait_text(1);
    engine_close(&engine);
    for (uint64_t i = 1; i <= 10; i++)
        assert_int_equal(results.of[i].n_finals, 1);
}

static void more_turns_than_fit_wait_and_are_served(void **state)
{
    (void)state;
    struct engine_options options = small_window();
    options.max_batch_sessions = 2;
    struct engine *engine = open_engine(options);
    for (uint64_t i = 1; i <= 12; i++)
        submit(engine, make_request(i, i, 0, 40, 8));
    for (uint64_t i = 1; i <= 12; i++)
        assert_int_equal(wait_final(i)->n_tokens, 8);
    engine_close(&engine);
}

static void refuses_what_it_cannot_serve(void **state)
{
    (void)state;
    struct engine_options options = small_window();
    options.max_requests = 1;
    struct engine *engine = open_engine(options);
    struct err err = {0};

    struct engine_request request = make_request(1, 0, 0, 0, 5);
    assert_false(engine_submit(engine, &request, &err));
    assert_int_equal(err.code, ERR_INVALID);

    request = make_request(1, 0, 0, 3, 5);
    request.tokens.ids[1] = 512;
    assert_false(engine_submit(engine, &request, &err));
    request.tokens.ids[1] = -1;
    assert_false(engine_submit(engine, &request, &err));
    request.tokens.ids[1] = 100;
    request.max_tokens = 0;
    assert_false(engine_submit(engine, &request, &err));
    request.max_tokens = 1000000;
    request.min_tokens = 1000001;
    assert_false(engine_submit(engine, &request, &err));
    assert_non_null(strstr(err.text, "min_tokens"));
    request.min_tokens = 0;
    request.n_sinks = 1000;
    assert_false(engine_submit(engine, &request, &err));
    assert_non_null(strstr(err.text, "sinks leave no room"));
    request.n_sinks = 0;
    request.n_stops = 1000; /* none of which is looked at */
    assert_false(engine_submit(engine, &request, &err));
    assert_non_null(strstr(err.text, "stop strings"));
    request.n_stops = 0;
    request.session = UINT64_MAX;
    assert_false(engine_submit(engine, &request, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
    request.session = 0;
    submit(engine, request);

    request = make_request(2, 0, 0, 3, 5);
    assert_false(engine_submit(engine, &request, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(request.tokens.n, 3); /* still ours */
    engine_request_done(&request);
    engine_close(&engine);
}

/* What it tells of its prompt before it ends frees nobody's place. */
static void a_turn_that_tells_its_progress_counts_until_its_end(void **state)
{
    (void)state;
    struct engine_options options = small_window();
    options.max_requests = 1;
    struct engine *engine = open_engine(options);
    struct engine_request request = make_request(1, 0, 0, 200, 1000000);
    request.wants_progress = true;
    submit(engine, request);
    wait_text(1);
    assert_int_equal(results.of[1].n_finals, 0);

    struct err err = {0};
    request = make_request(2, 0, 0, 3, 5);
    assert_false(engine_submit(engine, &request, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    engine_request_done(&request);
    engine_cancel(engine, 1);
    wait_final(1);
    submit(engine, make_request(2, 0, 0, 3, 5));
    wait_final(2);
    engine_close(&engine);
}

static void two_turns_of_one_session_never_interleave(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    submit(engine, make_request(1, 3, 0, 10, 1000000));
    wait_text(1);
    submit(engine, make_request(2, 3, 0, 10, 5));
    assert_true(wait_final(2)->is_failed);
    assert_int_equal(wait_final(2)->err.code, ERR_LIMIT);
    engine_cancel(engine, 1);
    wait_final(1);
    engine_close(&engine);
}

static uint64_t ends[MAX_REQUESTS];
static int n_ends;

static void note_end(uint64_t request)
{
    ends[n_ends++] = request;
}

/* One owner's long line does not keep another waiting: in places, not in time. */
static void owners_take_turns(void **state)
{
    (void)state;
    enum { N = 20 };
    struct engine_options options = small_window();
    options.max_batch_sessions = 1;
    struct engine *engine = open_engine(options);
    n_ends = 0;
    engine_run_on_finish = note_end;
    submit(engine, make_request(1, 1, 0, 40, 100000)); /* keeps the place until all are in line */
    for (uint64_t i = 2; i <= N; i++)
        submit(engine, make_request(i, i, 0, 40, 4));
    struct engine_request other = make_request(N + 1, N + 1, 0, 40, 4);
    other.owner = 1;
    submit(engine, other);
    uint64_t n_before = read_counters(engine).n_generated_tokens;
    while (read_counters(engine).n_generated_tokens < n_before + 3) /* charged to the first owner */
        usleep(100);
    engine_cancel(engine, 1);
    for (uint64_t i = 1; i <= N + 1; i++)
        wait_final(i);
    engine_run_on_finish = NULL;
    engine_close(&engine);
    assert_int_equal(ends[0], 1);
    assert_int_equal(ends[1], N + 1);
}

static int n_tokens_of(uint64_t request)
{
    pthread_mutex_lock(&results.lock);
    int n = results.of[request].n_tokens;
    pthread_mutex_unlock(&results.lock);
    return n;
}

/* With one place in the batch: a turn that is parked leaves it to others, and goes on later as if
 * it had never stopped. */
static void a_parked_turn_is_in_nobodys_way(void **state)
{
    (void)state;
    enum { LENGTH = 60, AGAIN = 3, BESIDE = 10 };
    struct engine_options options = small_window();
    options.max_batch_sessions = 1;
    struct engine *engine = open_engine(options);
    submit(engine, make_request(1, 0, 0, 40, LENGTH));
    char *alone = strdup(buf_text(&wait_final(1)->text));

    submit(engine, make_request(AGAIN, 0, 0, 40, LENGTH));
    assert_true(engine_park(engine, AGAIN, true));
    assert_true(engine_park(engine, 99, true));
    for (uint64_t i = BESIDE; i < BESIDE + 5; i++) {
        submit(engine, make_request(i, 0, 0, 40, 8));
        assert_int_equal(wait_final(i)->n_tokens, 8);
        assert_int_equal(n_tokens_of(AGAIN), 1); /* what its prompt's last step brought */
        assert_int_equal(read_counters(engine).n_parked, 1);
    }
    assert_true(engine_park(engine, AGAIN, false));
    assert_string_equal(buf_text(&wait_final(AGAIN)->text), alone);
    free(alone);
    engine_close(&engine);
    assert_int_equal(results.of[AGAIN].n_finals, 1);
}

static void a_parked_turn_can_be_cancelled(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    submit(engine, make_request(1, 5, 0, 10, 1000000));
    assert_true(engine_park(engine, 1, true));
    while (read_counters(engine).n_parked == 0)
        usleep(100);
    engine_cancel(engine, 1);
    const struct result *result = wait_final(1);
    assert_int_equal(result->finish, ENGINE_FINISH_CANCELLED);
    submit(engine, make_request(2, 5, result->usage.position, 5, 5));
    assert_false(wait_final(2)->is_failed);

    submit(engine, make_request(3, 6, 0, 10, 1000000));
    assert_true(engine_park(engine, 3, true));
    engine_close(&engine);
    assert_int_equal(results.of[3].n_finals, 1);
}

/* What others wait to copy is read on. */
static void a_prompt_is_read_though_its_turn_is_to_be_parked(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    submit(engine, make_request(1, 5, 0, 50, 20));
    assert_true(engine_park(engine, 1, true));
    submit(engine, make_request(2, 5 + 26, 0, 50, 20)); /* the same words */
    const struct result *result = wait_final(2);
    assert_false(result->is_failed);
    assert_int_equal(result->usage.n_cached, 49);
    engine_close(&engine);
}

static void expect_refusal(struct engine_options options, enum err_code code, const char *part)
{
    struct engine *engine = NULL;
    struct err err = {0};
    assert_false(engine_open(&engine, &options, NULL, NULL, &err));
    assert_null(engine);
    assert_int_equal(err.code, code);
    if (strstr(err.text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void bad_options_get_one_sentence(void **state)
{
    (void)state;
    struct engine_options options = {.model_path = TINY_MODEL_PATH, .n_sinks = -1};
    options.n_window = 4096;
    expect_refusal(options, ERR_INVALID, "--window 512");
    options.n_window = 8;
    options.n_sinks = 8;
    expect_refusal(options, ERR_INVALID, "fewer sinks");
    options.n_threads = 1000;
    expect_refusal(options, ERR_INVALID, "1 to 256");
    const struct engine_options good = {.model_path = TINY_MODEL_PATH, .n_sinks = -1};
    options = good;
    options.max_batch_sessions = 1025;
    expect_refusal(options, ERR_INVALID, "at most 1024 sessions");
    options = good;
    options.prefill_chunk = 4097;
    expect_refusal(options, ERR_INVALID, "1 to 4096");
    options = good;
    options.n_drafts = -1;
    expect_refusal(options, ERR_INVALID, "drafts of a step");
    options = good;
    options.max_requests = 65537;
    expect_refusal(options, ERR_INVALID, "1 to 65536");
    options = (struct engine_options){.model_path = "/nowhere/model.gguf"};
    expect_refusal(options, ERR_NOT_FOUND, "/nowhere/model.gguf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_loaded),
        cmocka_unit_test(many_at_once_say_what_each_says_alone),
        cmocka_unit_test(many_share_one_grammar),
        cmocka_unit_test(a_conversation_goes_on_far_beyond_the_window),
        cmocka_unit_test(a_cancelled_turn_ends_with_one_final_event),
        cmocka_unit_test(closing_ends_everyone),
        cmocka_unit_test(more_turns_than_fit_wait_and_are_served),
        cmocka_unit_test(refuses_what_it_cannot_serve),
        cmocka_unit_test(a_turn_that_tells_its_progress_counts_until_its_end),
        cmocka_unit_test(two_turns_of_one_session_never_interleave),
        cmocka_unit_test(owners_take_turns),
        cmocka_unit_test(a_parked_turn_is_in_nobodys_way),
        cmocka_unit_test(a_parked_turn_can_be_cancelled),
        cmocka_unit_test(a_prompt_is_read_though_its_turn_is_to_be_parked),
        cmocka_unit_test(bad_options_get_one_sentence),
    };
    return cmocka_run_group_tests(tests, engine_run_init, engine_run_done);
}
