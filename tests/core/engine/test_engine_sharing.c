/* What sessions have of each other: beginnings that are read once, copies, and their own sinks. */
#include "core/engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/engine_run.h"
#include "tests/support/tiny_model.h"

/* The same first n_same tokens whatever the session, then its own. */
static struct engine_request begin_alike(uint64_t id, uint64_t session, int n_same, int n_own)
{
    struct engine_request request = make_request(id, session, 0, n_same + n_own, 12);
    for (int i = 1; i < n_same; i++)
        request.tokens.ids[i] = 3 + 'a' + i % 7;
    request.tokens.ids[n_same] = 3 + '0' + (int32_t)session; /* differs at once */
    return request;
}

static void what_many_begin_with_is_read_once(void **state)
{
    (void)state;
    enum { N = 9, N_SAME = 90, N_OWN = 15 };
    struct engine_options options = small_window();
    options.n_window = 128;
    char *alone[N + 1];
    for (uint64_t i = 1; i <= N; i++) {
        struct engine *engine = open_engine(options);
        submit(engine, begin_alike(i, i, N_SAME, N_OWN));
        alone[i] = strdup(buf_text(&wait_final(i)->text));
        engine_close(&engine);
    }
    struct engine *engine = open_engine(options);
    for (uint64_t i = 1; i <= N; i++)
        submit(engine, begin_alike(i, i, N_SAME, N_OWN));
    for (uint64_t i = 1; i <= N; i++) {
        const struct result *result = wait_final(i);
        assert_string_equal(buf_text(&result->text), alone[i]);
        assert_int_equal(result->usage.n_cached, i == 1 ? 0 : N_SAME);
        assert_int_equal(result->usage.n_prompt, i == 1 ? N_SAME + N_OWN : N_OWN);
        free(alone[i]);
    }
    assert_int_equal(read_counters(engine).n_prompt_tokens, N_SAME + N * N_OWN);
    assert_int_equal(read_counters(engine).n_copied_tokens, (N - 1) * N_SAME);

    /* Of another owner it is read again. */
    struct engine_request other = begin_alike(N + 1, N + 1, N_SAME, N_OWN);
    other.owner = 1;
    submit(engine, other);
    assert_int_equal(wait_final(N + 1)->usage.n_cached, 0);
    engine_close(&engine);
}

static void a_history_that_is_sent_again_is_not_read_again(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    submit(engine, make_request(1, 5, 0, 40, 10));
    wait_final(1);
    submit(engine, make_request(2, 5, 0, 40, 10));
    const struct result *result = wait_final(2);
    assert_int_equal(result->usage.n_cached, 39);
    assert_int_equal(result->usage.n_prompt, 1);
    assert_string_equal(buf_text(&result->text), buf_text(&results.of[1].text));
    assert_int_equal(read_counters(engine).n_copied_tokens, 0); /* its own */
    engine_close(&engine);
}

/* As n > 1 does it: the copies are asked for before the first has read its prompt. */
static void a_prompt_is_read_once_for_several_answers(void **state)
{
    (void)state;
    enum { N_PROMPT = 150, N = 4 };
    struct engine_options options = small_window();
    options.max_batch_sessions = 2;
    struct engine *engine = open_engine(options);
    submit(engine, make_request(1, 9, 0, N_PROMPT, 20));
    int32_t last = 3 + 'a' + (9 + N_PROMPT - 1) % 26;
    for (uint64_t i = 2; i <= N; i++) {
        struct engine_request request = make_request(i, 0, N_PROMPT - 1, 1, 20);
        request.source = 9;
        request.tokens.ids[0] = last;
        submit(engine, request);
    }
    for (uint64_t i = 1; i <= N; i++) {
        const struct result *result = wait_final(i);
        if (result->is_failed)
            fail_msg("%s", result->err.text);
        assert_string_equal(buf_text(&result->text), buf_text(&results.of[1].text));
        assert_int_equal(result->usage.n_evicted, results.of[1].usage.n_evicted);
    }
    assert_int_equal(read_counters(engine).n_prompt_tokens, N_PROMPT + N - 1);
    engine_close(&engine);
}

static void a_copy_goes_on_as_the_original_does(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    submit(engine, make_request(1, 7, 0, 300, 20)); /* far beyond the window */
    int64_t position = wait_final(1)->usage.position;
    struct engine_request request = make_request(2, 8, position, 11, 25);
    request.source = 7;
    submit(engine, request);
    assert_false(wait_final(2)->is_failed);

    request = make_request(3, 8, position, 11, 25); /* the same tokens in the original */
    request.session = 7;
    submit(engine, request);
    assert_false(wait_final(3)->is_failed);
    assert_string_equal(buf_text(&results.of[2].text), buf_text(&results.of[3].text));
    assert_int_equal(results.of[2].usage.position, results.of[3].usage.position);
    engine_close(&engine);
}

static void expect_failure(struct engine *engine, struct engine_request request, enum err_code code)
{
    uint64_t id = request.id;
    submit(engine, request);
    assert_true(wait_final(id)->is_failed);
    assert_int_equal(wait_final(id)->err.code, code);
}

static void a_copy_that_is_not_exact_is_refused(void **state)
{
    (void)state;
    struct engine *engine = open_engine(small_window());
    struct engine_request request = make_request(1, 8, 5, 3, 5);
    request.source = 7;
    expect_failure(engine, request, ERR_NOT_FOUND); /* never was */

    submit(engine, make_request(2, 7, 0, 300, 20));
    int64_t position = wait_final(2)->usage.position;
    request = make_request(3, 8, 20, 3, 5); /* rolled out of its window */
    request.source = 7;
    expect_failure(engine, request, ERR_INVALID);
    request = make_request(4, 8, position + 1, 3, 5);
    request.source = 7;
    expect_failure(engine, request, ERR_INVALID);
    assert_int_equal(read_counters(engine).n_sessions, 1);

    /* The one that was to be copied is as it was, and one that exists is not overwritten. */
    submit(engine, make_request(5, 8, 0, 10, 5));
    assert_false(wait_final(5)->is_failed);
    request = make_request(6, 8, position, 3, 5);
    request.source = 7;
    expect_failure(engine, request, ERR_INVALID);
    submit(engine, make_request(7, 7, position, 5, 5));
    assert_false(wait_final(7)->is_failed);
    submit(engine, make_request(8, 8, results.of[5].usage.position, 5, 5));
    assert_false(wait_final(8)->is_failed);
    engine_close(&engine);
}

/* A session with more sinks than others is what an engine with as many for all would make of it. */
static void sinks_are_the_sessions_own(void **state)
{
    (void)state;
    struct engine_options options = small_window();
    options.n_sinks = 13;
    struct engine *engine = open_engine(options);
    submit(engine, make_request(1, 1, 0, 200, 60));
    assert_int_equal(wait_final(1)->usage.n_sinks, 13);
    char *expected = strdup(buf_text(&results.of[1].text));
    engine_close(&engine);

    engine = open_engine(small_window());
    submit(engine, make_request(2, 1, 0, 200, 60));
    assert_int_equal(wait_final(2)->usage.n_sinks, 4);
    assert_string_not_equal(buf_text(&results.of[2].text), expected);
    struct engine_request request = make_request(3, 1, 0, 200, 60);
    request.n_sinks = 13; /* the same session, from the start */
    submit(engine, request);
    const struct result *result = wait_final(3);
    assert_int_equal(result->usage.n_sinks, 13);
    assert_int_equal(result->usage.n_cached, 0); /* with other sinks nothing is shared */
    assert_string_equal(buf_text(&result->text), expected);
    free(expected);

    /* They stay when it goes on, and go along with a copy. */
    int64_t position = result->usage.position;
    request = make_request(4, 2, position, 5, 10);
    request.source = 1;
    submit(engine, request);
    assert_int_equal(wait_final(4)->usage.n_sinks, 13);
    submit(engine, make_request(5, 1, position, 5, 10));
    assert_int_equal(wait_final(5)->usage.n_sinks, 13);

    struct err err = {0};
    request = make_request(6, 3, 0, 5, 10);
    request.n_sinks = 64;
    assert_false(engine_submit(engine, &request, &err));
    assert_int_equal(err.code, ERR_INVALID);
    engine_request_done(&request);
    engine_close(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_many_begin_with_is_read_once),
        cmocka_unit_test(a_history_that_is_sent_again_is_not_read_again),
        cmocka_unit_test(a_prompt_is_read_once_for_several_answers),
        cmocka_unit_test(a_copy_goes_on_as_the_original_does),
        cmocka_unit_test(a_copy_that_is_not_exact_is_refused),
        cmocka_unit_test(sinks_are_the_sessions_own),
    };
    return cmocka_run_group_tests(tests, engine_run_init, engine_run_done);
}
