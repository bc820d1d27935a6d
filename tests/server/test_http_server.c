#include "server/http_server.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"
#include "tests/support/check.h"
#include "tests/support/client.h"

/* A server whose handler echoes: at once, after a tick of the loop, or as a stream that grows. */
struct fixture {
    struct event_loop *loop;
    struct http_server *http;
    struct event_timer *later;
    struct event_wake *stop;
    struct http_exchange *waiting; /* answered by the timer */
    char said[64];                 /* by its body */
    int n_heads, n_requests, n_gone, n_written;
    struct reader *reader;
    pthread_t thread;
};

/* A client on the server's own thread: what it cannot read then was not sent. */
struct reader {
    int fd;
    struct buf got;
    int n_sent;   /* pieces that count as sent ... */
    int n_unread; /* ... and cannot be read */
    sem_t is_over;
};

static void on_gone(void *arg)
{
    struct fixture *fixture = arg;
    fixture->n_gone++;
    fixture->waiting = NULL;
}

static void on_head(void *arg, struct http_exchange *exchange)
{
    (void)exchange;
    ((struct fixture *)arg)->n_heads++;
}

static void reply(const struct fixture *fixture, struct http_exchange *exchange)
{
    struct buf body;
    buf_init(&body);
    buf_append_format(&body, "you said %s", fixture->said);
    http_exchange_reply(exchange, 200, "text/plain", &body);
}

static void on_request(void *arg, struct http_exchange *exchange)
{
    struct fixture *fixture = arg;
    fixture->n_requests++;
    snprintf(fixture->said, sizeof fixture->said, "%s", buf_text(http_exchange_body(exchange)));
    if (strcmp(http_exchange_path(exchange), "/now") == 0) {
        reply(fixture, exchange);
        return;
    }
    fixture->waiting = exchange;
    fixture->n_written = 0;
    http_exchange_on_gone(exchange, on_gone, fixture);
    if (strcmp(http_exchange_path(exchange), "/stream") == 0)
        http_exchange_begin_stream(exchange, "text/plain");
    if (strcmp(http_exchange_path(exchange), "/never") != 0)
        event_timer_start(fixture->later, 5, 5);
}

static bool can_read(struct reader *reader, const char *text)
{
    char piece[4096];
    struct pollfd client = {.fd = reader->fd, .events = POLLIN};
    while (strstr(buf_text(&reader->got), text) == NULL) {
        ssize_t n = poll(&client, 1, 2000) == 1 ? recv(reader->fd, piece, sizeof piece, 0) : 0;
        if (n <= 0)
            return false;
        buf_append(&reader->got, piece, (size_t)n);
    }
    return true;
}

static void on_sent(void *arg, int64_t delay_ns)
{
    const struct fixture *fixture = arg;
    struct reader *reader = fixture->reader;
    char piece[32];
    snprintf(piece, sizeof piece, "piece %d;", reader->n_sent++);
    reader->n_unread += delay_ns < 0 || !can_read(reader, piece);
}

static void on_done(void *arg, struct http_exchange *exchange)
{
    (void)exchange;
    struct reader *reader = ((struct fixture *)arg)->reader;
    if (reader != NULL)
        sem_post(&reader->is_over);
}

static void on_later(void *arg)
{
    struct fixture *fixture = arg;
    struct http_exchange *exchange = fixture->waiting;
    if (exchange == NULL)
        return;
    if (strcmp(http_exchange_path(exchange), "/later") == 0) {
        fixture->waiting = NULL;
        reply(fixture, exchange);
        return;
    }
    struct buf piece;
    buf_init(&piece);
    buf_append_format(&piece, "piece %d;", fixture->n_written++);
    event_loop_set_cause(fixture->loop, fixture->reader != NULL ? clock_now_ns() : 0);
    assert_true(http_exchange_write(exchange, &piece));
    event_loop_set_cause(fixture->loop, 0);
    buf_done(&piece);
    if (fixture->n_written == 5) {
        fixture->waiting = NULL;
        http_exchange_end(exchange);
    }
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

static void prepare(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    struct http_server_options options = {
        .header_timeout_ms = 300,
        .body_timeout_ms = 300,
        .policy = {.max_body_bytes = 1 << 20},
        .on_head = on_head,
        .on_request = on_request,
        .arg = fixture,
        .on_sent = on_sent,
        .on_done = on_done,
        .done_arg = fixture,
    };
    assert_true(event_loop_open(&fixture->loop, NULL));
    assert_true(event_timer_open(&fixture->later, fixture->loop, on_later, fixture, NULL));
    assert_true(event_wake_open(&fixture->stop, fixture->loop, on_stop, fixture, NULL));
    struct listener_options listen = {.host = "127.0.0.1", .inherited_fd = -1};
    struct listener listener;
    assert_true(listener_open(&listener, &listen, NULL));
    assert_true(http_server_open(&fixture->http, fixture->loop, &listener, &options, NULL));
}

static void launch(struct fixture *fixture)
{
    assert_int_equal(pthread_create(&fixture->thread, NULL, run, fixture), 0);
}

static void start(struct fixture *fixture)
{
    prepare(fixture);
    launch(fixture);
}

static void close_fixture(struct fixture *fixture)
{
    http_server_close(&fixture->http);
    event_timer_close(&fixture->later);
    event_wake_close(&fixture->stop);
    event_loop_close(&fixture->loop);
}

static void stop(struct fixture *fixture)
{
    event_wake_send(fixture->stop);
    pthread_join(fixture->thread, NULL);
    close_fixture(fixture);
}

static int dial(const struct fixture *fixture)
{
    return client_dial(http_server_port(fixture->http));
}

static void say(int fd, const char *text)
{
    send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void read_all(int fd, struct buf *got)
{
    char piece[4096];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buf_append(got, piece, (size_t)n);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    int fd = dial(&fixture);
    struct buf request, got;
    buf_init(&request);
    buf_init(&got);
    static const char *const paths[] = {"/now", "/later", "/stream"};
    for (int i = 0; i < 30; i++)
        buf_append_format(&request,
                          "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n%s\r\n%03d",
                          paths[i % 3], i == 29 ? "Connection: close\r\n" : "", i);
    say(fd, buf_text(&request));
    read_all(fd, &got);
    assert_int_equal(count(buf_text(&got), "HTTP/1.1 200"), 30);
    assert_int_equal(count(buf_text(&got), "piece 4;"), 10);
    const char *at = buf_text(&got);
    for (int i = 0; i < 30; i++) {
        char said[32];
        snprintf(said, sizeof said, "you said %03d", i);
        if (i % 3 != 2)
            assert_non_null(at = strstr(at, said));
    }
    assert_int_equal(fixture.n_requests, 30);
    buf_done(&request);
    buf_done(&got);
    close(fd);
    stop(&fixture);
}

/* One byte at a time keeps an idle timer happy for ever. */
static void drip(const char *start_text, const char *endless)
{
    struct fixture fixture;
    start(&fixture);
    int fd = dial(&fixture);
    say(fd, start_text);
    char byte;
    int n_bytes = 0;
    for (; n_bytes < 6000; n_bytes++) {
        if (send(fd, endless, 1, MSG_NOSIGNAL) <= 0)
            break;
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
            break;
        usleep(10000);
    }
    assert_true(n_bytes < 6000);
    assert_int_equal(fixture.n_requests, 0);
    close(fd);
    stop(&fixture);
}

static void dripping_head_is_cut(void **state)
{
    (void)state;
    drip("GET /now HTTP/1.1\r\nX: ", "x");
}

static void dripping_body_is_cut(void **state)
{
    (void)state;
    drip("POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", "x");
}

static void server_closes_with_requests_in_all_states(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "",
        "GET /no",
        "POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
        "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    struct fixture fixture;
    start(&fixture);
    int fds[5];
    for (int i = 0; i < 5; i++) {
        fds[i] = dial(&fixture);
        say(fds[i], requests[i]);
    }
    char byte;
    assert_int_equal(recv(fds[4], &byte, 1, 0), 1); /* so the others were heard too */
    stop(&fixture);
    assert_int_equal(fixture.n_gone, 1);
    for (int i = 0; i < 5; i++) {
        while (recv(fds[i], &byte, 1, 0) > 0)
            ;
        close(fds[i]);
    }
}

static void many_connections_come_and_go(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    for (int i = 0; i < 2000; i++) {
        int fd = dial(&fixture);
        if (i % 2 == 0)
            say(fd, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n");
        close(fd);
    }
    int fd = dial(&fixture);
    struct buf got;
    buf_init(&got);
    say(fd, "GET /now HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    read_all(fd, &got);
    assert_int_equal(count(buf_text(&got), "200 OK"), 1);
    buf_done(&got);
    close(fd);
    stop(&fixture);
}

static void text_counts_as_sent_when_it_can_be_read(void **state)
{
    (void)state;
    struct fixture fixture;
    struct reader reader = {.n_sent = 0};
    prepare(&fixture);
    buf_init(&reader.got);
    sem_init(&reader.is_over, 0, 0);
    reader.fd = dial(&fixture);
    fixture.reader = &reader;
    say(reader.fd, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    launch(&fixture);
    sem_wait(&reader.is_over);
    event_wake_send(fixture.stop);
    pthread_join(fixture.thread, NULL);
    assert_int_equal(reader.n_sent, 5);
    assert_int_equal(reader.n_unread, 0);
    close_fixture(&fixture);
    sem_destroy(&reader.is_over);
    buf_done(&reader.got);
    close(reader.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(dripping_head_is_cut),
        cmocka_unit_test(dripping_body_is_cut),
        cmocka_unit_test(server_closes_with_requests_in_all_states),
        cmocka_unit_test(many_connections_come_and_go),
        cmocka_unit_test(text_counts_as_sent_when_it_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
