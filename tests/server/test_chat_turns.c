/* test_chat_turns.c - clients that come back for their answer, or do not: a daemon with a scripted
 * engine, over real sockets. */
#include "server/chat_turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "tests/support/check.h"
#include "tests/support/fake_daemon.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

/* Leaves in the middle of a stream: "one", then nothing until somebody lets it go on. */
static void break_off(const struct fake_daemon *daemon, const char *headers, const char *body,
                      struct buf *got)
{
    int fd = daemon_dial(daemon);
    buf_init(got);
    client_post(fd, "/v1/chat/completions", headers, body);
    client_read(fd, got, "\"content\":\"one\"");
    close(fd);
}

static void read_event_id(const struct buf *got, char *out, size_t size)
{
    const char *last = NULL;
    for (const char *at = buf_text(got); (at = strstr(at, "id: chatcmpl-")) != NULL; at++)
        last = at + strlen("id: ");
    assert_non_null(last);
    snprintf(out, size, "%.*s", (int)strcspn(last, "\n"), last);
}

static bool has_no_event_before(const char *reply)
{
    return strstr(reply, "\"role\":\"assistant\"") == NULL &&
           strstr(reply, "\"content\":\"one\"") == NULL;
}

static void a_broken_stream_is_taken_up_where_it_broke(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--resume-seconds=600");
    fake_engine_play(&(struct fake_script){.pieces = {"one", "two", "three"}, .step_ms = 200});
    struct buf got;
    char id[80], name[80], header[200], path[200];
    break_off(&daemon, "X-Conversation-Id: c\r\n", CHAT_HI_STREAM, &got);
    read_event_id(&got, id, sizeof id);
    assert_has(id, ":1"); /* the role is number 0 */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(id, ":"), id);

    snprintf(header, sizeof header, "X-Conversation-Id: c\r\nLast-Event-ID: %s\r\n", id);
    char *rest = daemon_chat(&daemon, header, CHAT_HI_STREAM);
    assert_starts(rest, "HTTP/1.1 200");
    assert_has(rest, "X-Sinkd-Session: attach; ");
    assert_has(rest, "\"content\":\"two\"");
    assert_has(rest, "data: [DONE]\n\n");
    assert_true(has_no_event_before(rest));
    free(rest);

    /* Once more, now that it is over: with a GET, from the start, from there, from its end. */
    snprintf(path, sizeof path, "/v1/chat/completions/%s", name);
    rest = daemon_get(&daemon, path, "");
    assert_has(rest, "\"role\":\"assistant\"");
    assert_has(rest, "\"content\":\"three\"");
    free(rest);
    rest = daemon_get(&daemon, path, header);
    assert_true(has_no_event_before(rest));
    assert_has(rest, "\"content\":\"two\"");
    free(rest);
    snprintf(path, sizeof path, "/v1/chat/completions/%s?starting_after=99", name);
    rest = daemon_get(&daemon, path, "");
    assert_starts(rest, "HTTP/1.1 204");
    free(rest);
    snprintf(path, sizeof path, "/v1/chat/completions/%s?starting_after=9223372036854775807", name);
    rest = daemon_get(&daemon, path, "");
    assert_error(rest, "HTTP/1.1 400", "invalid_value");
    free(rest);
    assert_int_equal(fake_engine_record().n_submitted, 1);
    assert_int_equal(fake_engine_record().n_cancelled, 0);

    rest = daemon_get(&daemon, "/v1/chat/completions/chatcmpl-nobody", "");
    assert_error(rest, "HTTP/1.1 404", "not_found");
    free(rest);
    rest = daemon_chat(&daemon, "Last-Event-ID: chatcmpl-nobody:3\r\n", CHAT_HI_STREAM);
    assert_error(rest, "HTTP/1.1 404", "not_found");
    free(rest);
    buf_done(&got);
    daemon_stop(&daemon);
}

static void a_retry_gets_the_answer_that_is_being_made(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--resume-seconds=600");
    static const struct {
        const char *first, *again, *body;
        int n_submitted;
    } cases[] = {
        {"X-Conversation-Id: a\r\n", "X-Conversation-Id: a\r\n", CHAT_HI_STREAM, 1},
        {"Idempotency-Key: k\r\n", "Idempotency-Key: k\r\n", CHAT_HI_STREAM, 1},
        {"Idempotency-Key: l\r\n", "Idempotency-Key: m\r\n", CHAT_HI_STREAM, 2},
        {"X-Conversation-Id: b\r\nX-Stainless-Retry-Count: 0\r\n",
         "X-Conversation-Id: b\r\nX-Stainless-Retry-Count: 1\r\n", CHAT_HI_STREAM, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf got;
        fake_engine_play(&(struct fake_script){.pieces = {"one", "two"}, .step_ms = 100});
        break_off(&daemon, cases[i].first, cases[i].body, &got);
        char *reply = daemon_chat(&daemon, cases[i].again, cases[i].body);
        assert_starts(reply, "HTTP/1.1 200");
        assert_has(reply, "\"role\":\"assistant\"");
        assert_has(reply, "\"content\":\"one\"");
        assert_has(reply, "\"content\":\"two\"");
        assert_int_equal(fake_engine_record().n_submitted, cases[i].n_submitted);
        wait_for_engine(none_runs, "all have ended");
        free(reply);
        buf_done(&got);
    }
    daemon_stop(&daemon);
}

/* An SDK gives up on a long whole answer after minutes, and asks again by itself. */
static void a_retry_of_a_whole_answer_waits_for_the_first(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--resume-seconds=600");
    fake_engine_play(&(struct fake_script){.pieces = {"one", " two"}, .step_ms = 100});
    int fd = daemon_dial(&daemon);
    client_post(fd, "/v1/chat/completions", "X-Stainless-Retry-Count: 0\r\n", CHAT_HI);
    wait_for_engine(one_runs, "the turn runs");
    close(fd);
    for (int i = 1; i <= 2; i++) { /* while it runs, and when it is over */
        char *reply = daemon_chat(&daemon, "X-Stainless-Retry-Count: 1\r\n", CHAT_HI);
        assert_starts(reply, "HTTP/1.1 200");
        assert_has(reply, "X-Sinkd-Session: attach; ");
        assert_has(reply, "\"content\":\"one two\"");
        assert_int_equal(fake_engine_record().n_submitted, 1);
        free(reply);
    }
    /* Who just asks the same again wants another answer. */
    char *reply = daemon_chat(&daemon, "X-Stainless-Retry-Count: 0\r\n", CHAT_HI);
    assert_has(reply, "\"content\":\"one two\"");
    assert_int_equal(fake_engine_record().n_submitted, 2);
    free(reply);
    daemon_stop(&daemon);
}

static void nobody_comes_back_and_the_turn_ends(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--resume-seconds=1");
    struct buf got;
    char id[80], path[200];
    fake_engine_play(
        &(struct fake_script){.pieces = {"one", "on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    break_off(&daemon, "X-Conversation-Id: c\r\n", CHAT_HI_STREAM, &got);
    wait_for_engine(one_was_cancelled, "the turn was cancelled");
    wait_for_engine(none_runs, "the turn has ended");
    read_event_id(&got, id, sizeof id);
    snprintf(path, sizeof path, "/v1/chat/completions/%.*s", (int)strcspn(id, ":"), id);
    char *reply = daemon_get(&daemon, path, "");
    assert_error(reply, "HTTP/1.1 404", "not_found");
    free(reply);
    buf_done(&got);
    daemon_stop(&daemon);
}

/* Its client is gone: another request in its conversation need not wait for it. */
static void another_request_ends_a_turn_that_nobody_follows(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--resume-seconds=600");
    struct buf got;
    fake_engine_play(
        &(struct fake_script){.pieces = {"one", "on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    break_off(&daemon, "X-Conversation-Id: c\r\n", CHAT_HI_STREAM, &got);
    fake_engine_play(&(struct fake_script){.pieces = {"else"}});
    char *reply = daemon_chat(&daemon, "X-Conversation-Id: c\r\n",
                              "{\"messages\":[{\"role\":\"user\",\"content\":\"Another\"}]}");
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "\"content\":\"else\"");
    assert_int_equal(fake_engine_record().n_cancelled, 1);
    free(reply);
    buf_done(&got);

    fake_engine_play(
        &(struct fake_script){.pieces = {"one", "on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    char id[80], request[300];
    break_off(&daemon, "X-Conversation-Id: d\r\n", CHAT_HI_STREAM, &got);
    read_event_id(&got, id, sizeof id);
    snprintf(request, sizeof request,
             "DELETE /v1/chat/completions/%.*s HTTP/1.1\r\nHost: localhost\r\n"
             "Connection: close\r\n\r\n",
             (int)strcspn(id, ":"), id);
    reply = daemon_exchange(&daemon, request);
    assert_has(reply, "\"deleted\":true");
    wait_for_engine(one_was_cancelled, "the turn was cancelled");
    free(reply);
    buf_done(&got);
    daemon_stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_stream_is_taken_up_where_it_broke),
        cmocka_unit_test(a_retry_gets_the_answer_that_is_being_made),
        cmocka_unit_test(a_retry_of_a_whole_answer_waits_for_the_first),
        cmocka_unit_test(nobody_comes_back_and_the_turn_ends),
        cmocka_unit_test(another_request_ends_a_turn_that_nobody_follows),
    };
    return cmocka_run_group_tests(tests, daemon_tests_init, NULL);
}
