/* test_routes.c - which requests are heard, and what the others are told: a daemon with a scripted
 * engine, over real sockets. */
#include "server/routes.h"

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

static void other_endpoints_answer(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    static const struct {
        const char *request, *start, *part;
    } cases[] = {
        {"GET /health", "HTTP/1.1 200", "{\"status\":\"ok\"}"},
        {"GET /livez", "HTTP/1.1 200", "ok"},
        {"GET /readyz", "HTTP/1.1 200", "ok"},
        {"HEAD /health", "HTTP/1.1 200", "Content-Length: 15"},
        {"GET /v1/models", "HTTP/1.1 200", "\"object\":\"list\""},
        {"GET /models/", "HTTP/1.1 200", "\"object\":\"list\""},
        {"GET /v1/models/fake", "HTTP/1.1 200", "\"id\":\"fake\""},
        {"GET /v1/models/f%61ke", "HTTP/1.1 200", "\"id\":\"fake\""},
        {"GET //v1//models//", "HTTP/1.1 200", "\"object\":\"list\""},
        {"GET /v1/models/a%2Fb/c", "HTTP/1.1 404", "'a/b/c'"},
        {"GET /metrics", "HTTP/1.1 200", "\nsinkd_generated_tokens_total 7\n"},
        {"OPTIONS /v1/chat/completions", "HTTP/1.1 204", "Access-Control-Allow-Methods"},
        {"OPTIONS *", "HTTP/1.1 204", "Allow"},
        {"GET /v1/models/other", "HTTP/1.1 404", "model_not_found"},
        {"GET /nothing", "HTTP/1.1 404", "unknown_url"},
        {"GET /..%2f..%2fetc/passwd", "HTTP/1.1 404", "unknown_url"},
        {"GET /v1/chat/completions", "HTTP/1.1 405", "Allow: POST"},
        {"HEAD /v1/chat/completions", "HTTP/1.1 405", "Allow: POST"},
        {"DELETE /health", "HTTP/1.1 405", "Allow: GET, HEAD, OPTIONS\r\n"},
        {"GET /v1", "HTTP/1.1 404", "unknown_url"},
        {"GET /healthy", "HTTP/1.1 404", "unknown_url"},
        {"GET /health/more", "HTTP/1.1 404", "unknown_url"},
        {"TRACE /health", "HTTP/1.1 405", "method_not_allowed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", cases[i].request);
        char *reply = daemon_exchange(&daemon, request);
        assert_starts(reply, cases[i].start);
        assert_has(reply, cases[i].part);
        if (strncmp(cases[i].request, "HEAD", 4) == 0)
            assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
        free(reply);
    }
    daemon_stop(&daemon);
}

static void bad_requests_are_named(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char *reply = daemon_chat(&daemon, "", "{");
    assert_error(reply, "HTTP/1.1 400", "invalid_json");
    free(reply);
    reply = daemon_chat(&daemon, "Content-Encoding: gzip\r\n", CHAT_HI);
    assert_error(reply, "HTTP/1.1 415", "unsupported_media_type");
    free(reply);
    reply = daemon_chat(&daemon, "X-Conversation-Id: a b\r\n", CHAT_HI);
    assert_error(reply, "HTTP/1.1 400", "invalid_value");
    free(reply);
    fake_engine_play(&(struct fake_script){.ending = FAKE_REFUSES});
    reply = daemon_chat(&daemon, "", CHAT_HI_STREAM);
    assert_error(reply, "HTTP/1.1 503", "server_busy");
    assert_has(reply, "Retry-After: ");
    free(reply);
    daemon_stop(&daemon);
}

static void framing_that_two_servers_read_differently_is_refused(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    static const char *const heads[] = {
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Host: localhost\r\n",
        "X-A: a\x01z\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char request[512];
        snprintf(request, sizeof request,
                 "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
                 "0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 heads[i]);
        char *reply = daemon_exchange(&daemon, request);
        assert_starts(reply, "HTTP/1.1 400");
        assert_null(strstr(reply + 1, "HTTP/1.1 ")); /* what follows is no second request */
        free(reply);
    }
    char *reply = daemon_exchange(&daemon, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_error(reply, "HTTP/1.1 403", "host_not_allowed");
    free(reply);
    reply = daemon_exchange(&daemon, "GET http://evil/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_error(reply, "HTTP/1.1 400", "invalid_http");
    free(reply);
    reply = daemon_exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                     "Origin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}");
    assert_error(reply, "HTTP/1.1 403", "origin_not_allowed");
    free(reply);
    reply =
        daemon_exchange(&daemon, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                 "Origin: http://localhost:3000\r\n\r\n");
    assert_has(reply, "Access-Control-Allow-Origin: http://localhost:3000\r\n");
    free(reply);
    daemon_stop(&daemon);
}

static void body_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--max-body=1024");
    char *reply = daemon_exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                           "Content-Length: 1025\r\nExpect: 100-continue\r\n\r\n");
    assert_error(reply, "HTTP/1.1 413", "request_too_large");
    free(reply);
    reply = daemon_exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                     "Content-Length: 99999999999999999999999\r\n\r\n");
    assert_starts(reply, "HTTP/1.1 413");
    free(reply);

    struct buf request;
    buf_init(&request);
    buf_append_text(&request, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                              "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++)
        buf_append_format(&request, "64\r\n%0100d\r\n", 0);
    buf_append_text(&request, "0\r\n\r\n");
    reply = daemon_exchange(&daemon, buf_text(&request));
    assert_error(reply, "HTTP/1.1 413", "request_too_large");
    free(reply);
    buf_done(&request);
    daemon_stop(&daemon);
}

/* More of something than anybody needs. */
static void add_many(struct buf *out, const char *each, int n)
{
    for (int i = 0; i < n; i++)
        buf_append_format(out, each, i);
}

static void what_is_too_much_is_named(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    struct buf text;
    buf_init(&text);
    buf_append_text(&text, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    add_many(&text, "X-%d: y\r\n", 100);
    buf_append_text(&text, "\r\n");
    char *reply = daemon_exchange(&daemon, buf_text(&text));
    assert_error(reply, "HTTP/1.1 431", "too_many_headers");
    free(reply);

    buf_clear(&text);
    add_many(&text, "/%04d", 1000);
    reply = daemon_get(&daemon, buf_text(&text), "");
    assert_error(reply, "HTTP/1.1 414", "uri_too_long");
    free(reply);

    buf_clear(&text);
    buf_append_text(&text, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"tools\":[");
    add_many(&text, "{\"type\":\"function\",\"function\":{\"name\":\"f%d\"}},", 2000);
    buf_truncate(&text, text.len - 1);
    buf_append_text(&text, "]}");
    reply = daemon_chat(&daemon, "", buf_text(&text));
    assert_error(reply, "HTTP/1.1 400", "array_above_max_length");
    free(reply);

    buf_clear(&text);
    buf_append_text(&text, "{\"prompt\":[");
    add_many(&text, "\"p%d\",", 129);
    buf_truncate(&text, text.len - 1);
    buf_append_text(&text, "]}");
    int fd = daemon_dial(&daemon);
    struct buf got;
    buf_init(&got);
    client_post(fd, "/v1/completions", "", buf_text(&text));
    client_read(fd, &got, NULL);
    assert_error(buf_text(&got), "HTTP/1.1 400", "array_above_max_length");
    close(fd);
    buf_done(&got);
    buf_done(&text);
    daemon_stop(&daemon);
}

static void only_a_known_key_is_served(void **state)
{
    (void)state;
    char path[] = "/tmp/sinkd-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, "# ours\nkey-number-one\n\nkey-number-two\n", 38) == 38);
    close(fd);
    char flag[64];
    snprintf(flag, sizeof flag, "--api-key-file=%s", path);
    struct fake_daemon daemon;
    daemon_start(&daemon, flag);
    static const struct {
        const char *header, *start;
    } cases[] = {
        {"", "HTTP/1.1 401"},
        {"Authorization: Bearer \r\n", "HTTP/1.1 401"},
        {"Authorization: Bearer key-number\r\n", "HTTP/1.1 401"},
        {"Authorization: Bearer # ours\r\n", "HTTP/1.1 401"},
        {"Authorization: bearer key-number-one\r\n", "HTTP/1.1 200"},
        {"X-Api-Key: key-number-two\r\n", "HTTP/1.1 200"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *reply = daemon_chat(&daemon, cases[i].header, CHAT_HI);
        assert_starts(reply, cases[i].start);
        free(reply);
    }
    unlink(path);
    daemon_stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_endpoints_answer),
        cmocka_unit_test(bad_requests_are_named),
        cmocka_unit_test(framing_that_two_servers_read_differently_is_refused),
        cmocka_unit_test(body_beyond_the_limit_is_refused),
        cmocka_unit_test(what_is_too_much_is_named),
        cmocka_unit_test(only_a_known_key_is_served),
    };
    return cmocka_run_group_tests(tests, daemon_tests_init, NULL);
}
