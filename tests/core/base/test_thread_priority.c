#include "core/base/thread_priority.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/thread_pool.h"
#include "tests/support/check.h"

static int nice_now(void)
{
    return getpriority(PRIO_PROCESS, 0); /* of the calling thread, on Linux */
}

/* 0 where the kernel does not tell. */
static unsigned long long read_slice_ns(void)
{
    char line[256];
    unsigned long long slice_ns = 0;
    FILE *file = fopen("/proc/thread-self/sched", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "se.slice", 8) == 0)
            sscanf(strchr(line, ':') + 1, "%llu", &slice_ns);
    }
    if (file != NULL)
        fclose(file);
    return slice_ns;
}

static void *compute(void *out_nice)
{
    thread_priority_compute();
    *(int *)out_nice = nice_now();
    return NULL;
}

static void *answer(void *out_nice)
{
    thread_priority_answer();
    *(int *)out_nice = nice_now();
    return NULL;
}

static void *ask_for_less(void *out_nice)
{
    setpriority(PRIO_PROCESS, 0, nice_now() - 5 > -20 ? nice_now() - 5 : -20);
    *(int *)out_nice = nice_now();
    return NULL;
}

static int nice_after(void *(*fn)(void *out_nice))
{
    int nice = -100;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, &nice), 0);
    pthread_join(thread, NULL);
    return nice;
}

static void who_computes_comes_after_who_answers(void **state)
{
    (void)state;
    int before = nice_now();
    assert_int_equal(nice_after(compute), before + 5 < 19 ? before + 5 : 19);
    assert_int_equal(nice_after(answer), nice_after(ask_for_less)); /* as far as it may */
    assert_int_equal(nice_now(), before);
}

/* 0: the nice value that it had, and short pieces, where the kernel tells them. */
static int answer_without_a_privilege(void)
{
    int before = nice_now();
    if (setrlimit(RLIMIT_NICE, &(struct rlimit){0, 0}) != 0 ||
        (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
        return 1;
    thread_priority_answer();
    return nice_now() != before || read_slice_ns() >= 1000000 ? 2 : 0;
}

static void who_may_not_have_more_answers_all_the_same(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(answer_without_a_privilege());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 1)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void note_nice(void *arg, int part, int n_parts, int thread)
{
    (void)part;
    pthread_barrier_t *everyone = ((void **)arg)[0];
    int *nices = ((void **)arg)[1];
    (void)n_parts;
    pthread_barrier_wait(everyone); /* each thread takes one part */
    nices[thread] = nice_now();
}

static void workers_compute_their_caller_is_as_it_was(void **state)
{
    (void)state;
    enum { N_THREADS = 3 };
    int before = nice_now(), nices[N_THREADS] = {0};
    struct thread_pool *pool;
    pthread_barrier_t everyone;
    void *arg[] = {&everyone, nices};
    assert_true(thread_pool_open(&pool, N_THREADS, NULL));
    assert_int_equal(pthread_barrier_init(&everyone, NULL, N_THREADS), 0);
    thread_pool_run(pool, note_nice, arg, N_THREADS);
    pthread_barrier_destroy(&everyone);
    thread_pool_close(&pool);
    assert_int_equal(nices[0], before);
    for (int i = 1; i < N_THREADS; i++)
        assert_true(nices[i] > before || before == 19);
}

static void *answer_and_read_slice(void *out_slice_ns)
{
    thread_priority_answer();
    *(unsigned long long *)out_slice_ns = read_slice_ns();
    return NULL;
}

static void who_answers_is_begun_for_at_once(void **state)
{
    (void)state;
    unsigned long long slice_ns = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_and_read_slice, &slice_ns), 0);
    pthread_join(thread, NULL);
    if (slice_ns == 0)
        skip(); /* an older kernel, or one without the file */
    assert_true(slice_ns < 1000000);
}

static void *be_idle(void *out_policies)
{
    int *policies = out_policies;
    if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) != 0)
        return NULL;
    thread_priority_answer();
    policies[0] = sched_getscheduler(0);
    thread_priority_compute();
    policies[1] = sched_getscheduler(0);
    return NULL;
}

static void a_policy_that_was_chosen_stays(void **state)
{
    (void)state;
    int policies[] = {-1, -1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, be_idle, policies), 0);
    pthread_join(thread, NULL);
    if (policies[0] == -1)
        skip();
    assert_int_equal(policies[0], SCHED_IDLE);
    assert_int_equal(policies[1], SCHED_IDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_computes_comes_after_who_answers),
        cmocka_unit_test(who_may_not_have_more_answers_all_the_same),
        cmocka_unit_test(workers_compute_their_caller_is_as_it_was),
        cmocka_unit_test(who_answers_is_begun_for_at_once),
        cmocka_unit_test(a_policy_that_was_chosen_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
