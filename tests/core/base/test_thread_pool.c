#include "core/base/thread_pool.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "tests/support/check.h"

enum { MAX_PARTS = 1000 };

struct job {
    int runs[MAX_PARTS]; /* written without locks: each part is one thread's */
    atomic_int n_bad_threads;
    int n_threads;
};

static void count_run(void *arg, int part, int n_parts, int thread)
{
    struct job *job = arg;
    if (part < 0 || part >= n_parts || thread < 0 || thread >= job->n_threads)
        atomic_fetch_add(&job->n_bad_threads, 1);
    else
        job->runs[part]++;
}

static void run_and_check(struct thread_pool *pool, struct job *job, int n_parts)
{
    memset(job->runs, 0, sizeof job->runs);
    thread_pool_run(pool, count_run, job, n_parts);
    for (int i = 0; i < MAX_PARTS; i++)
        assert_int_equal(job->runs[i], i < n_parts ? 1 : 0);
    assert_int_equal(atomic_load(&job->n_bad_threads), 0);
}

static void each_part_runs_once_on_any_number_of_threads(void **state)
{
    (void)state;
    static const int thread_counts[] = {1, 2, 3, 8};
    for (int i = 0; i < 4; i++) {
        struct thread_pool *pool = NULL;
        struct err err;
        struct job job = {.n_threads = thread_counts[i]};
        assert_true(thread_pool_open(&pool, thread_counts[i], &err));
        assert_int_equal(thread_pool_size(pool), thread_counts[i]);
        for (int n_parts = 0; n_parts < 40; n_parts++)
            run_and_check(pool, &job, n_parts);
        run_and_check(pool, &job, MAX_PARTS);
        thread_pool_close(&pool);
        assert_null(pool);
    }
}

struct blocked_job {
    atomic_int n_done;
    atomic_bool timed_out;
};

/* The first part of all waits for all others, also those of its thread's own share. */
static void wait_for_others(void *arg, int part, int n_parts, int thread)
{
    (void)thread;
    struct blocked_job *job = arg;
    for (int i = 0; part == 0 && atomic_load(&job->n_done) < n_parts - 1; i++) {
        if (i == 10000) {
            atomic_store(&job->timed_out, true);
            return;
        }
        usleep(1000);
    }
    atomic_fetch_add(&job->n_done, 1);
}

static void who_is_done_takes_parts_of_who_is_not(void **state)
{
    (void)state;
    static const int part_counts[] = {2, 3, 40, 1000};
    for (int n_threads = 2; n_threads <= 4; n_threads++) {
        struct thread_pool *pool = NULL;
        struct err err;
        assert_true(thread_pool_open(&pool, n_threads, &err));
        for (int i = 0; i < 4; i++) {
            struct blocked_job job = {0};
            thread_pool_run(pool, wait_for_others, &job, part_counts[i]);
            assert_false(atomic_load(&job.timed_out));
            assert_int_equal(atomic_load(&job.n_done), part_counts[i]);
        }
        thread_pool_close(&pool);
    }
}

static void wakes_workers_that_went_to_sleep(void **state)
{
    (void)state;
    struct thread_pool *pool = NULL;
    struct err err;
    struct job job = {.n_threads = 4};
    assert_true(thread_pool_open(&pool, 4, &err));
    for (int i = 0; i < 20; i++) {
        usleep(i % 2 == 0 ? 3000 : 50);
        run_and_check(pool, &job, 17);
    }
    thread_pool_close(&pool);
}

static void survives_many_jobs_in_a_row(void **state)
{
    (void)state;
    struct thread_pool *pool = NULL;
    struct err err;
    struct job job = {.n_threads = 3};
    assert_true(thread_pool_open(&pool, 3, &err));
    memset(job.runs, 0, sizeof job.runs);
    for (int i = 0; i < 5000; i++)
        thread_pool_run(pool, count_run, &job, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(job.runs[i], 5000);
    thread_pool_close(&pool);
}

static void refuses_a_senseless_size(void **state)
{
    (void)state;
    struct thread_pool *pool = NULL;
    struct err err = {0};
    assert_false(thread_pool_open(&pool, 0, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(thread_pool_open(&pool, 257, &err));
    assert_null(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_runs_once_on_any_number_of_threads),
        cmocka_unit_test(who_is_done_takes_parts_of_who_is_not),
        cmocka_unit_test(wakes_workers_that_went_to_sleep),
        cmocka_unit_test(survives_many_jobs_in_a_row),
        cmocka_unit_test(refuses_a_senseless_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
