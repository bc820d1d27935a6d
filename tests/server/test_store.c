#include "server/store.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "tests/support/check.h"

enum { N_JOBS = 500 };

struct testing {
    struct event_loop *loop;
    struct store *store;
    int n_worked; /* the store's thread's */
    int n_done;
    bool is_worked_in_order; /* of the thread that works */
    bool is_in_order;
};

struct numbered {
    struct store_job job;
    struct testing *testing;
    int number;
    bool is_followed; /* its done puts one more in */
};

static void open_all(struct testing *testing)
{
    struct store_options options = {.db = {.path = NULL}};
    *testing = (struct testing){.is_worked_in_order = true, .is_in_order = true};
    assert_true(event_loop_open(&testing->loop, NULL));
    assert_true(store_open(&testing->store, testing->loop, &options, NULL));
}

static void close_all(struct testing *testing)
{
    store_close(&testing->store);
    assert_null(testing->store);
    event_loop_close(&testing->loop);
}

static int n_pending(const struct testing *testing)
{
    struct store_counters counters;
    store_read_counters(testing->store, &counters);
    return counters.n_pending;
}

static uint64_t n_done(const struct testing *testing)
{
    struct store_counters counters;
    store_read_counters(testing->store, &counters);
    return counters.n_done;
}

static void work(struct store_db *db, void *arg)
{
    struct numbered *one = arg;
    struct testing *testing = one->testing;
    assert_non_null(db);
    testing->is_worked_in_order = testing->is_worked_in_order && one->number == testing->n_worked;
    testing->n_worked++;
}

static void put(struct testing *testing, int number, bool is_followed);

static void done(void *arg)
{
    struct numbered *one = arg;
    struct testing *testing = one->testing;
    testing->is_in_order = testing->is_in_order && one->number == testing->n_done;
    testing->n_done++;
    if (one->is_followed)
        put(testing, one->number + 1, false);
    if (testing->n_done == N_JOBS)
        event_loop_stop(testing->loop);
    free(one);
}

static void put(struct testing *testing, int number, bool is_followed)
{
    struct numbered *one = calloc(1, sizeof *one);
    assert_non_null(one);
    *one = (struct numbered){
        .job = {.work = work, .done = done, .arg = one},
        .testing = testing,
        .number = number,
        .is_followed = is_followed,
    };
    store_run(testing->store, &one->job);
}

static void jobs_are_done_once_and_in_order(void **state)
{
    (void)state;
    struct testing testing;
    open_all(&testing);
    for (int i = 0; i < N_JOBS; i++)
        put(&testing, i, false);
    assert_int_equal(n_pending(&testing), N_JOBS);
    event_loop_run(testing.loop);
    assert_int_equal(n_pending(&testing), 0);
    assert_int_equal(n_done(&testing), N_JOBS);
    assert_true(testing.is_worked_in_order);
    assert_true(testing.is_in_order);
    assert_int_equal(testing.n_worked, N_JOBS);
    close_all(&testing);
}

static void closing_finishes_what_was_put_in_and_what_follows(void **state)
{
    (void)state;
    struct testing testing;
    open_all(&testing);
    put(&testing, 0, false);
    put(&testing, 1, true);
    close_all(&testing);
    assert_true(testing.is_worked_in_order);
    assert_true(testing.is_in_order);
    assert_int_equal(testing.n_done, 3);
}

static void a_database_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    struct store_options options = {.db = {.path = "/nonexistent/folder/sinkd.db"}};
    struct store *store = NULL;
    struct event_loop *loop;
    struct err err;
    assert_true(event_loop_open(&loop, NULL));
    assert_false(store_open(&store, loop, &options, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_null(store);
    event_loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_done_once_and_in_order),
        cmocka_unit_test(closing_finishes_what_was_put_in_and_what_follows),
        cmocka_unit_test(a_database_that_cannot_be_opened_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
