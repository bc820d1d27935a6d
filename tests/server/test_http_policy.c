#include "server/http_policy.h"

#include <stdlib.h>
#include <string.h>

#include "server/api_error.h"
#include "tests/support/check.h"

static const char *const origins[] = {"https://chat.example.org"};

static int status_of(const char *method, const char *target, const char *version,
                     const char *const *headers, bool is_local)
{
    struct http_policy policy = {
        .max_body_bytes = 1000,
        .only_local_hosts = is_local,
        .cors_origins = origins,
        .n_cors_origins = 1,
    };
    struct http_header_view views[16];
    size_t n = 0;
    for (; headers[2 * n] != NULL; n++)
        views[n] = (struct http_header_view){headers[2 * n], strlen(headers[2 * n]),
                                             headers[2 * n + 1], strlen(headers[2 * n + 1])};
    struct http_head head = {method, target, version, views, n};
    struct api_error error = {0};
    return http_policy_check(&policy, &head, &error) ? 200 : error.status;
}

#define STATUS(...)                      \
    status_of("POST", "/v1", "HTTP/1.1", \
              (const char *const[]){"Host", "localhost", __VA_ARGS__, NULL}, true)

static void framing_must_be_unambiguous(void **state)
{
    (void)state;
    assert_int_equal(STATUS("Content-Length", "1000"), 200);
    assert_int_equal(STATUS("Transfer-Encoding", "chunked"), 200);
    assert_int_equal(STATUS("transfer-encoding", "CHUNKED"), 200);
    assert_int_equal(STATUS("Content-Length", "5", "Transfer-Encoding", "chunked"), 400);
    assert_int_equal(STATUS("Transfer-Encoding", "xchunked"), 400);
    assert_int_equal(STATUS("Transfer-Encoding", "gzip, chunked"), 400);
    assert_int_equal(STATUS("Transfer-Encoding", ""), 400);
    assert_int_equal(STATUS("Content-Length", "5", "content-length", "5"), 400);
    assert_int_equal(STATUS("Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"), 400);
    assert_int_equal(STATUS("Content-Length", ""), 400);
    assert_int_equal(STATUS("Content-Length", "+5"), 400);
    assert_int_equal(STATUS("Content-Length", "-5"), 400);
    assert_int_equal(STATUS("Content-Length", "5, 5"), 400);
    assert_int_equal(STATUS("Content-Length", "0x5"), 400);
    assert_int_equal(STATUS("Content-Length", "1001"), 413);
    assert_int_equal(STATUS("Content-Length", "99999999999999999999999999999999"), 413);
    assert_int_equal(status_of("POST", "/", "HTTP/1.0",
                               (const char *const[]){"Transfer-Encoding", "chunked", NULL}, true),
                     400);
}

static void names_and_values_must_be_clean(void **state)
{
    (void)state;
    assert_int_equal(STATUS("X-Fine_1.2~", "any \t text \xc3\xa4"), 200);
    assert_int_equal(STATUS("Transfer-Encoding ", "chunked"), 400);
    assert_int_equal(STATUS("", "x"), 400);
    assert_int_equal(STATUS("X(Y)", "x"), 400);
    assert_int_equal(STATUS("X\x80", "x"), 400);
    assert_int_equal(STATUS("X", "a\x01"), 400);
    assert_int_equal(STATUS("X", "a\x7f"), 400);
    struct http_header_view nul = {"X", 1, "a\0b", 3};
    struct http_head head = {"GET", "/", "HTTP/1.0", &nul, 1};
    struct http_policy policy = {.max_body_bytes = 1};
    struct api_error error;
    assert_false(http_policy_check(&policy, &head, &error));
}

static void what_steers_may_come_once(void **state)
{
    (void)state;
    assert_int_equal(STATUS("Host", "localhost"), 400);
    assert_int_equal(STATUS("Authorization", "a", "authorization", "b"), 400);
    assert_int_equal(STATUS("X-Conversation-Id", "a", "X-Conversation-Id", "a"), 400);
    assert_int_equal(STATUS("Accept", "a", "Accept", "b"), 200);
}

static void target_must_be_a_path(void **state)
{
    (void)state;
    const char *const host[] = {"Host", "localhost", NULL};
    assert_int_equal(status_of("GET", "/x", "HTTP/1.1", host, true), 200);
    assert_int_equal(status_of("GET", "http://evil/x", "HTTP/1.1", host, true), 400);
    assert_int_equal(status_of("GET", "", "HTTP/1.1", host, true), 400);
    assert_int_equal(status_of("GET", "*", "HTTP/1.1", host, true), 400);
    assert_int_equal(status_of("OPTIONS", "*", "HTTP/1.1", host, true), 200);
}

static int host_status(const char *host, bool is_local)
{
    return status_of("GET", "/", "HTTP/1.1", (const char *const[]){"Host", host, NULL}, is_local);
}

static void local_server_answers_to_local_names(void **state)
{
    (void)state;
    static const char *const local[] = {"localhost", "localhost:8080", "LOCALHOST",
                                        "127.0.0.1", "127.0.0.1:80",   "127.1.2.3",
                                        "[::1]",     "[::1]:8080",     "chat.localhost:1"};
    static const char *const foreign[] = {"evil.example",
                                          "localhost.evil.example",
                                          "127.0.0.1.evil.org",
                                          "128.0.0.1",
                                          "[::2]",
                                          "[::1",
                                          "",
                                          ":8080",
                                          "xlocalhost",
                                          "127.evil",
                                          "127.1227.127.",
                                          "127.0.0"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        assert_int_equal(host_status(local[i], true), 200);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_int_equal(host_status(foreign[i], true), 403);
        assert_int_equal(host_status(foreign[i], false), 200);
    }
    const char *const none[] = {NULL};
    assert_int_equal(status_of("GET", "/", "HTTP/1.1", none, true), 400);
    assert_int_equal(status_of("GET", "/", "HTTP/1.0", none, true), 200);
}

static void other_names_can_be_allowed(void **state)
{
    (void)state;
    static const char *const hosts[] = {"chat.example.org", "[::2]"};
    static const char *const any[] = {"*"};
    struct http_policy policy = {.max_body_bytes = 1000,
                                 .only_local_hosts = true,
                                 .allowed_hosts = hosts,
                                 .n_allowed_hosts = 2};
    static const struct {
        const char *name;
        bool is_good;
    } cases[] = {
        {"chat.example.org", true},
        {"Chat.Example.org:443", true},
        {"[::2]:80", true},
        {"localhost", true},
        {"chat.example.org.evil", false},
        {"[::3]", false},
        {"evil.chat.example.org", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_header_view host = {"Host", 4, cases[i].name, strlen(cases[i].name)};
        struct http_head head = {"GET", "/", "HTTP/1.1", &host, 1};
        struct api_error error;
        policy.allowed_hosts = hosts;
        policy.n_allowed_hosts = 2;
        assert_int_equal(http_policy_check(&policy, &head, &error), cases[i].is_good);
        policy.allowed_hosts = any;
        policy.n_allowed_hosts = 1;
        assert_true(http_policy_check(&policy, &head, &error));
    }
}

static void only_known_origins_may_call(void **state)
{
    (void)state;
    assert_int_equal(STATUS("Origin", "http://localhost:3000"), 200);
    assert_int_equal(STATUS("Origin", "http://127.0.0.1"), 200);
    assert_int_equal(STATUS("Origin", "https://chat.example.org"), 200);
    assert_int_equal(STATUS("Origin", "https://chat.example.org.evil"), 403);
    assert_int_equal(STATUS("Origin", "https://evil.example"), 403);
    assert_int_equal(STATUS("Origin", "http://localhost.evil"), 403);
    assert_int_equal(STATUS("Origin", "null"), 403);
    const char *const own[] = {"Host", "ai.lan:8080", "Origin", "http://ai.lan:8080", NULL};
    assert_int_equal(status_of("GET", "/", "HTTP/1.1", own, false), 200);
}

/* Found by the fuzzer: the slice lies in a larger buffer, or at its very end. */
static void a_host_is_its_slice_and_no_more(void **state)
{
    (void)state;
    char *edge = malloc(9);
    memcpy(edge, "127.0.0.11", 9);
    assert_true(http_policy_is_local_host(edge, 9));
    assert_false(http_policy_is_local_host(edge, 7));
    free(edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_its_slice_and_no_more),
        cmocka_unit_test(framing_must_be_unambiguous),
        cmocka_unit_test(names_and_values_must_be_clean),
        cmocka_unit_test(what_steers_may_come_once),
        cmocka_unit_test(target_must_be_a_path),
        cmocka_unit_test(local_server_answers_to_local_names),
        cmocka_unit_test(other_names_can_be_allowed),
        cmocka_unit_test(only_known_origins_may_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
