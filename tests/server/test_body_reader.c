#include "server/body_reader.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"
#include "server/http_server.h"
#include "tests/support/check.h"
#include "tests/support/client.h"

enum { SHORT = 1000, LONG = 1000000 };

/* A server that counts a body's letters, a long one's when it is let. */
struct fixture {
    struct event_loop *loop;
    struct http_server *http;
    struct event_wake *stop;
    struct body_reader reader;
    pthread_t thread;
    sem_t may_read, is_over;
    size_t n_letters;
    bool was_elsewhere; /* the last body was read on another thread than the loop's */
    int n_left;         /* whose clients did not wait */
};

static void read_body(void *arg, const struct buf *body)
{
    struct fixture *fixture = arg;
    if (body->len > SHORT)
        sem_wait(&fixture->may_read);
    fixture->was_elsewhere = pthread_equal(pthread_self(), fixture->thread) == 0;
    fixture->n_letters = body->len;
}

static void on_read(void *arg, struct http_exchange *exchange)
{
    struct fixture *fixture = arg;
    assert_true(pthread_equal(pthread_self(), fixture->thread));
    if (exchange == NULL) {
        fixture->n_left++;
        sem_post(&fixture->is_over);
        return;
    }
    struct buf reply;
    buf_init(&reply);
    buf_append_format(&reply, "%zu letters", fixture->n_letters);
    http_exchange_reply(exchange, 200, "text/plain", &reply);
}

static void on_head(void *arg, struct http_exchange *exchange)
{
    (void)arg;
    (void)exchange;
}

static void on_request(void *arg, struct http_exchange *exchange)
{
    struct fixture *fixture = arg;
    body_reader_read(&fixture->reader, exchange,
                     &(struct body_reading){read_body, on_read, fixture});
}

static void on_done(void *arg, struct http_exchange *exchange)
{
    (void)exchange;
    sem_post(&((struct fixture *)arg)->is_over);
}

static void on_stop(void *arg)
{
    event_loop_stop(((struct fixture *)arg)->loop);
}

static void *run(void *arg)
{
    event_loop_run(((struct fixture *)arg)->loop);
    return NULL;
}

static void start(struct fixture *fixture)
{
    *fixture = (struct fixture){.n_left = 0};
    struct http_server_options options = {.policy = {.max_body_bytes = 1 << 24},
                                          .on_head = on_head,
                                          .on_request = on_request,
                                          .arg = fixture,
                                          .on_done = on_done,
                                          .done_arg = fixture};
    struct listener_options listen = {.host = "127.0.0.1", .inherited_fd = -1};
    struct listener listener;
    sem_init(&fixture->may_read, 0, 0);
    sem_init(&fixture->is_over, 0, 0);
    assert_true(event_loop_open(&fixture->loop, NULL));
    fixture->reader.loop = fixture->loop;
    assert_true(event_wake_open(&fixture->stop, fixture->loop, on_stop, fixture, NULL));
    assert_true(listener_open(&listener, &listen, NULL));
    assert_true(http_server_open(&fixture->http, fixture->loop, &listener, &options, NULL));
    assert_int_equal(pthread_create(&fixture->thread, NULL, run, fixture), 0);
}

static void stop(struct fixture *fixture)
{
    event_wake_send(fixture->stop);
    pthread_join(fixture->thread, NULL);
    fixture->thread = pthread_self(); /* which turns the loop to its end */
    http_server_close(&fixture->http);
    event_loop_finish_work(fixture->loop);
    event_wake_close(&fixture->stop);
    event_loop_close(&fixture->loop);
    sem_destroy(&fixture->may_read);
    sem_destroy(&fixture->is_over);
    assert_int_equal(fixture->reader.n_bytes, 0);
}

static int post(const struct fixture *fixture, size_t n_letters)
{
    int fd = client_dial(http_server_port(fixture->http));
    struct buf request;
    buf_init(&request);
    buf_append_format(
        &request,
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
        n_letters);
    size_t n = request.len + n_letters;
    while (request.len < n)
        buf_append_char(&request, 'x');
    for (size_t at = 0; at < n;) {
        ssize_t n_sent = send(fd, request.data + at, n - at, MSG_NOSIGNAL);
        assert_true(n_sent > 0);
        at += (size_t)n_sent;
    }
    buf_done(&request);
    return fd;
}

static void expect_reply(int fd, const char *text)
{
    struct buf got;
    buf_init(&got);
    client_read(fd, &got, NULL);
    assert_non_null(strstr(buf_text(&got), text));
    buf_done(&got);
    close(fd);
}

static void short_bodies_are_read_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    expect_reply(post(&fixture, SHORT), "1000 letters");
    assert_false(fixture.was_elsewhere);
    stop(&fixture);
}

static void others_are_served_while_a_long_body_is_read(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    int patient = post(&fixture, LONG);
    expect_reply(post(&fixture, SHORT), "1000 letters");
    sem_post(&fixture.may_read);
    expect_reply(patient, "1000000 letters");
    assert_true(fixture.was_elsewhere);
    stop(&fixture);
}

static void who_leaves_meanwhile_gets_no_reply(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    int fd = post(&fixture, LONG);
    expect_reply(post(&fixture, SHORT), "1000 letters"); /* the loop has had its turns */
    sem_wait(&fixture.is_over);
    close(fd);
    sem_wait(&fixture.is_over);
    sem_post(&fixture.may_read);
    sem_wait(&fixture.is_over);
    assert_int_equal(fixture.n_left, 1);
    stop(&fixture);
}

static void the_server_may_close_meanwhile(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    int fd = post(&fixture, LONG);
    expect_reply(post(&fixture, SHORT), "1000 letters");
    sem_post(&fixture.may_read);
    stop(&fixture);
    close(fd);
}

/* More than workers are given is read on the loop. */
static void many_long_bodies_are_read(void **state)
{
    (void)state;
    struct fixture fixture;
    int fds[8];
    start(&fixture);
    for (int i = 0; i < 8; i++)
        sem_post(&fixture.may_read);
    for (int i = 0; i < 8; i++)
        fds[i] = post(&fixture, 10 * LONG);
    for (int i = 0; i < 8; i++)
        expect_reply(fds[i], "10000000 letters");
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_bodies_are_read_at_once),
        cmocka_unit_test(others_are_served_while_a_long_body_is_read),
        cmocka_unit_test(who_leaves_meanwhile_gets_no_reply),
        cmocka_unit_test(the_server_may_close_meanwhile),
        cmocka_unit_test(many_long_bodies_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
