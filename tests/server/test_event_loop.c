#include "server/event_loop.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/err.h"
#include "tests/support/check.h"

enum { ENOUGH_DESCRIPTORS = 24 };

/* Descriptors that the next epoll takes along: libuv 1.45 makes up to two rings there, before its
 * first pipe. */
static int n_rings;

/* The program's own is found before libc's. */
int epoll_create1(int flags)
{
    int fd = ((__typeof__(&epoll_create1))dlsym(RTLD_NEXT, "epoll_create1"))(flags);
    for (int i = 0; fd >= 0 && i < n_rings; i++)
        dup(fd);
    return fd;
}

struct counter {
    struct event_loop *loop;
    struct event_wake *wake;
    int n;
    int stop_at;
};

static void count(void *arg)
{
    struct counter *counter = arg;
    if (++counter->n == counter->stop_at)
        event_loop_stop(counter->loop);
}

/* ---- descriptors run out ---- */

static void leave_descriptors(int n)
{
    int lowest = dup(STDERR_FILENO);
    close(lowest);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)(lowest + n);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* 0: all is there; 1: refused with a sentence. */
static int open_with(int n_descriptors)
{
    struct event_loop *loop = NULL;
    struct event_wake *wake = NULL;
    struct counter counter = {.n = 0};
    struct err err = {0};
    leave_descriptors(n_descriptors);
    bool is_open = event_loop_open(&loop, &err) &&
                   event_wake_open(&wake, loop, count, &counter, &err) &&
                   event_loop_on_signal(loop, SIGUSR1, count, &counter, &err);
    event_wake_close(&wake);
    event_loop_close(&loop);
    if (is_open)
        return 0;
    return strncmp(err.text, "cannot ", 7) == 0 && strstr(err.text, "too many open files") != NULL
               ? 1
               : 2;
}

/* In a process of its own each time: some of libuv is set up once, with the first loop. */
static int open_in_child(int n_descriptors)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(open_with(n_descriptors));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status)); /* libuv would abort */
    return WEXITSTATUS(status);
}

static void too_few_descriptors_are_refused_with_a_sentence(void **state)
{
    (void)state;
    int n = 0;
    while (n < ENOUGH_DESCRIPTORS && open_in_child(n) == 1)
        n++;
    assert_in_range(n, 1, ENOUGH_DESCRIPTORS - 1);
    for (; n < ENOUGH_DESCRIPTORS; n++)
        assert_int_equal(open_in_child(n), 0);
}

static void rings_of_a_newer_libuv_leave_room_for_its_pipe(void **state)
{
    (void)state;
    n_rings = 2;
    for (int n = 0; n < ENOUGH_DESCRIPTORS; n++)
        assert_in_range(open_in_child(n), 0, 1);
    assert_int_equal(open_in_child(ENOUGH_DESCRIPTORS), 0);
    n_rings = 0;
}

static void a_wake_up_without_a_descriptor_is_refused(void **state)
{
    (void)state;
    struct event_loop *loop;
    struct event_wake *wake = NULL;
    struct rlimit before;
    struct err err = {0};
    assert_true(event_loop_open(&loop, NULL));
    getrlimit(RLIMIT_NOFILE, &before);
    leave_descriptors(0);
    bool is_open = event_wake_open(&wake, loop, count, NULL, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_false(is_open);
    assert_null(wake);
    assert_string_equal(err.text, "cannot make a wake-up: too many open files");
    event_loop_close(&loop);
}

/* ---- what wakes it ---- */

static void *send_many(void *arg)
{
    for (int i = 0; i < 1000; i++)
        event_wake_send(((struct counter *)arg)->wake);
    return NULL;
}

static void many_sends_are_heard_at_least_once(void **state)
{
    (void)state;
    struct counter counter = {.stop_at = 1};
    pthread_t sender;
    assert_true(event_loop_open(&counter.loop, NULL));
    assert_true(event_wake_open(&counter.wake, counter.loop, count, &counter, NULL));
    assert_int_equal(pthread_create(&sender, NULL, send_many, &counter), 0);
    event_loop_run(counter.loop);
    pthread_join(sender, NULL);
    assert_in_range(counter.n, 1, 1000);

    counter.n = 0; /* and each one that comes when the loop sleeps again */
    event_wake_send(counter.wake);
    event_loop_run(counter.loop);
    assert_int_equal(counter.n, 1);
    event_wake_close(&counter.wake);
    event_loop_close(&counter.loop);
}

static void a_timer_comes_again_until_it_is_closed(void **state)
{
    (void)state;
    struct counter counter = {.stop_at = 3}, once = {.stop_at = -1};
    struct event_timer *timer, *first;
    assert_true(event_loop_open(&counter.loop, NULL));
    assert_true(event_timer_open(&timer, counter.loop, count, &counter, NULL));
    assert_true(event_timer_open(&first, counter.loop, count, &once, NULL));
    event_timer_start(first, 0, 0);
    event_timer_start(timer, 1, 1);
    event_loop_run(counter.loop);
    assert_int_equal(counter.n, 3);
    assert_int_equal(once.n, 1);
    event_timer_close(&timer);
    event_timer_close(&first);
    event_loop_close(&counter.loop);
}

static void a_peer_that_leaves_is_told_once(void **state)
{
    (void)state;
    struct counter gone = {.stop_at = 1}, ticks = {.stop_at = 3};
    struct event_watch *watch;
    struct event_timer *timer;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_true(event_loop_open(&gone.loop, NULL));
    ticks.loop = gone.loop;
    assert_true(event_watch_open(&watch, gone.loop, fds[0], count, &gone, NULL));
    assert_true(event_timer_open(&timer, gone.loop, count, &ticks, NULL));
    assert_int_equal(write(fds[1], "x", 1), 1); /* who speaks is not gone */
    event_timer_start(timer, 1, 1);
    event_loop_run(gone.loop);
    assert_int_equal(gone.n, 0);

    close(fds[1]);
    ticks.stop_at = -1;
    event_loop_run(gone.loop);
    assert_int_equal(gone.n, 1);
    ticks.stop_at = ticks.n + 3;
    event_loop_run(gone.loop);
    assert_int_equal(gone.n, 1);
    event_watch_close(&watch);
    event_timer_close(&timer);
    event_loop_close(&gone.loop);
    close(fds[0]);
}

static void a_file_cannot_be_watched(void **state)
{
    (void)state;
    struct counter counter = {.n = 0};
    struct event_watch *watch = NULL;
    struct err err = {0};
    int fd = open("/proc/self/exe", O_RDONLY);
    assert_true(fd >= 0);
    assert_true(event_loop_open(&counter.loop, NULL));
    assert_false(event_watch_open(&watch, counter.loop, fd, count, &counter, &err));
    assert_null(watch);
    assert_memory_equal(err.text, "cannot watch a connection: ", 27);
    event_loop_close(&counter.loop);
    close(fd);
}

static void signals_are_heard_each_by_its_own(void **state)
{
    (void)state;
    struct counter one = {.stop_at = 1}, other = {.stop_at = 1};
    struct err err = {0};
    assert_true(event_loop_open(&one.loop, NULL));
    other.loop = one.loop;
    assert_true(event_loop_on_signal(one.loop, SIGUSR1, count, &one, NULL));
    assert_true(event_loop_on_signal(one.loop, SIGUSR2, count, &other, NULL));
    raise(SIGUSR2);
    event_loop_run(one.loop);
    assert_int_equal(one.n, 0);
    assert_int_equal(other.n, 1);
    raise(SIGUSR1);
    event_loop_run(one.loop);
    assert_int_equal(one.n, 1);

    int n_more = 0;
    while (n_more < 100 && event_loop_on_signal(one.loop, SIGHUP, count, &one, &err))
        n_more++;
    assert_in_range(n_more, 1, 99);
    assert_non_null(strstr(err.text, "signals are watched"));
    event_loop_close(&one.loop);
}

/* ---- work ---- */

struct job {
    pthread_t thread;
    struct counter *done;
};

static void note_thread(void *arg)
{
    ((struct job *)arg)->thread = pthread_self();
}

static void note_done(void *arg)
{
    count(((struct job *)arg)->done);
}

static void work_is_done_elsewhere_and_told_here(void **state)
{
    (void)state;
    enum { N = 50 };
    struct counter counter = {.stop_at = -1};
    struct job jobs[N];
    assert_true(event_loop_open(&counter.loop, NULL));
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct job){.thread = pthread_self(), .done = &counter};
        assert_true(event_loop_work(counter.loop, note_thread, note_done, &jobs[i], NULL));
    }
    event_loop_finish_work(counter.loop);
    assert_int_equal(counter.n, N);
    for (int i = 0; i < N; i++)
        assert_false(pthread_equal(jobs[i].thread, pthread_self()));
    event_loop_close(&counter.loop);
}

static void causes_are_kept_as_told(void **state)
{
    (void)state;
    struct event_loop *loop;
    assert_true(event_loop_open(&loop, NULL));
    assert_int_equal(event_loop_cause_ns(loop), 0);
    event_loop_set_cause(loop, 12345);
    assert_int_equal(event_loop_cause_ns(loop), 12345);
    event_loop_close(&loop);
    event_loop_close(&loop); /* again is nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_few_descriptors_are_refused_with_a_sentence),
        cmocka_unit_test(rings_of_a_newer_libuv_leave_room_for_its_pipe),
        cmocka_unit_test(a_wake_up_without_a_descriptor_is_refused),
        cmocka_unit_test(many_sends_are_heard_at_least_once),
        cmocka_unit_test(a_timer_comes_again_until_it_is_closed),
        cmocka_unit_test(a_peer_that_leaves_is_told_once),
        cmocka_unit_test(a_file_cannot_be_watched),
        cmocka_unit_test(signals_are_heard_each_by_its_own),
        cmocka_unit_test(work_is_done_elsewhere_and_told_here),
        cmocka_unit_test(causes_are_kept_as_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
