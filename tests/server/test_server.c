/* test_server.c - the whole daemon but its engine, over real sockets. */
#include "server/server.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "server/options.h"
#include "tests/support/check.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

#define MODEL_PATH "tests/fixtures/golden/llama-gqa-tied/model.gguf"

enum { PATIENCE_MS = 60000 }; /* a hang guard; nothing asserts on real durations */

/* ---- a daemon in this process ---- */

struct daemon {
    struct options options;
    struct server *server;
    pthread_t thread;
    int port;
};

static void *run(void *arg)
{
    server_run(((struct daemon *)arg)->server);
    return NULL;
}

static void start_with(struct daemon *daemon, const char *flag)
{
    char *argv[] = {"sinkd", "--model",     MODEL_PATH, "--port",     "0", "--drain-seconds",
                    "20",    "--log-level", "error",    (char *)flag, NULL};
    struct err err = {0};
    log_set_level(LOG_LEVEL_ERROR);
    fake_engine_play(&(struct fake_script){.pieces = {"Hello", " world"}});
    if (!options_read(&daemon->options, flag == NULL ? 9 : 10, argv, &err) ||
        !server_open(&daemon->server, &daemon->options, &err))
        fail_msg("%s", err.text);
    daemon->port = server_port(daemon->server);
    assert_int_equal(pthread_create(&daemon->thread, NULL, run, daemon), 0);
}

static void start(struct daemon *daemon)
{
    start_with(daemon, NULL);
}

static void stop(struct daemon *daemon)
{
    kill(getpid(), SIGTERM);
    assert_int_equal(pthread_join(daemon->thread, NULL), 0);
    server_close(&daemon->server);
}

/* ---- a client ---- */

/* With a small receive_bytes the client's kernel takes little of what the client does not read. */
static int dial_with(const struct daemon *daemon, int receive_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)daemon->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static int dial(const struct daemon *daemon)
{
    return dial_with(daemon, 0);
}

static void send_text(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server may refuse before it has read all */
        text += n;
        len -= (size_t)n;
    }
}

/* Reads until the server closes, or until `mark` has come. */
static void read_until(int fd, struct buf *got, const char *mark)
{
    char piece[4096];
    while (mark == NULL || strstr(buf_text(got), mark) == NULL) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n < 0 && errno != ECONNRESET)
            fail_msg("the server is silent; so far: %s", buf_text(got));
        if (n <= 0)
            return;
        buf_append(got, piece, (size_t)n);
    }
}

static void post(int fd, const char *path, const char *headers, const char *body)
{
    struct buf request;
    buf_init(&request);
    buf_append_format(&request,
                      "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                      "Content-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                      path, headers, strlen(body), body);
    send_text(fd, buf_text(&request));
    buf_done(&request);
}

/* Sends raw bytes, returns all that comes back; the caller frees. */
static char *exchange(const struct daemon *daemon, const char *request)
{
    struct buf got;
    buf_init(&got);
    int fd = dial(daemon);
    send_text(fd, request);
    read_until(fd, &got, NULL);
    close(fd);
    return got.data != NULL ? got.data : calloc(1, 1);
}

static char *chat(const struct daemon *daemon, const char *headers, const char *body)
{
    struct buf got;
    buf_init(&got);
    int fd = dial(daemon);
    post(fd, "/v1/chat/completions", headers, body);
    read_until(fd, &got, NULL);
    close(fd);
    return got.data != NULL ? got.data : calloc(1, 1);
}

static void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("expected %s, got %s", start, text);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected %s in %s", part, text);
}

/* The JSON body of a whole reply; the caller gives the reference back. */
static json_t *body_of(const char *reply)
{
    const char *body = strstr(reply, "\r\n\r\n");
    json_t *root = body == NULL ? NULL : json_loads(body + 4, 0, NULL);
    if (root == NULL)
        fail_msg("no JSON body in %s", reply);
    return root;
}

static void assert_error(const char *reply, const char *status, const char *code)
{
    assert_starts(reply, status);
    json_t *root = body_of(reply);
    json_t *error = json_object_get(root, "error");
    assert_int_equal(json_object_size(error), 4);
    assert_string_equal(json_string_value(json_object_get(error, "code")), code);
    assert_non_null(json_string_value(json_object_get(error, "message")));
    assert_non_null(json_string_value(json_object_get(error, "type")));
    assert_non_null(json_object_get(error, "param"));
    json_decref(root);
}

static void wait_for_record(bool (*is_so)(const struct fake_record *seen), const char *what)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        struct fake_record seen = fake_engine_record();
        if (is_so(&seen))
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("never came true: %s", what);
}

static bool one_runs(const struct fake_record *seen)
{
    return seen->n_running == 1;
}

static bool none_runs(const struct fake_record *seen)
{
    return seen->n_running == 0;
}

static bool one_was_cancelled(const struct fake_record *seen)
{
    return seen->n_cancelled == 1;
}

static const char HI[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
static const char HI_STREAM[] = "{\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                                "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";

/* ---- replies ---- */

static void whole_reply_has_all_keys(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    char *reply = chat(&daemon, "X-Request-Id: mine-1\r\nX-Conversation-Id: c1\r\n", HI);
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "X-Request-Id: mine-1\r\n");
    assert_has(reply, "X-Conversation-Id: c1\r\n");
    assert_has(reply, "X-Sinkd-Session: new; cached=0; ");
    json_t *root = body_of(reply);
    json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    json_t *message = json_object_get(choice, "message");
    assert_string_equal(json_string_value(json_object_get(message, "content")), "Hello world");
    assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "stop");
    assert_string_equal(json_string_value(json_object_get(root, "object")), "chat.completion");
    json_t *usage = json_object_get(root, "usage");
    assert_int_equal(json_integer_value(json_object_get(usage, "completion_tokens")), 2);
    json_t *session = json_object_get(root, "session");
    assert_string_equal(json_string_value(json_object_get(session, "match")), "new");
    json_decref(root);
    free(reply);
    stop(&daemon);
}

static void stream_is_role_texts_finish_usage_done(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    char *reply = chat(&daemon, "", HI_STREAM);
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "Content-Type: text/event-stream");
    assert_has(reply, "Transfer-Encoding: chunked");
    const char *const order[] = {
        "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}",
        "\"delta\":{\"content\":\"Hello\"}",
        "\"delta\":{\"content\":\" world\"}",
        "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"",
        "\"choices\":[],\"usage\":{\"prompt_tokens\":",
        "data: [DONE]\n\n",
    };
    const char *at = reply;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_has(at, order[i]);
        at = strstr(at, order[i]) + 1;
    }
    free(reply);
    stop(&daemon);
}

#define WEATHER                                                                              \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}],\"stream\":%s," \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Is it warm?\"}"

static void a_tool_call_is_streamed_and_goes_on(void **state)
{
    (void)state;
    struct daemon daemon;
    char body[1000], id[64];
    start(&daemon);
    fake_engine_play(&(struct fake_script){
        .pieces = {"Wait.\n<tool", "_call>\n{\"name\": \"weather\", ", "\"arguments\": {\"city\"",
                   ": \"Bonn\"}}\n</tool_call>"}});
    snprintf(body, sizeof body, "{" WEATHER "]}", "true");
    char *reply = chat(&daemon, "X-Conversation-Id: t\r\n", body);
    const char *const order[] = {
        "\"delta\":{\"content\":\"Wait.\"}",
        "\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_",
        "\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"\"}}]}",
        "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"city\\\"\"}}]}",
        "{\"arguments\":\": \\\"Bonn\\\"}\"}}]}",
        "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"",
        "data: [DONE]",
    };
    const char *at = reply;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        assert_has(at, order[i]);
        at = strstr(at, order[i]) + 1;
    }
    assert_null(strstr(reply, "tool_call>"));
    assert_int_equal(sscanf(strstr(reply, "call_"), "%63[a-z0-9_]", id), 1);
    assert_int_equal(strlen(id), 29);
    free(reply);

    /* Back come the call, as a client writes it, and the result. */
    fake_engine_play(&(struct fake_script){.pieces = {"Yes."}});
    snprintf(body, sizeof body,
             "{" WEATHER
             ",{\"role\":\"assistant\",\"content\":\"Wait.\",\"tool_calls\":[{\"id\":\"%s\","
             "\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{"
             "\\\"city\\\":\\\"Bonn\\\"}\"}}]},"
             "{\"role\":\"tool\",\"tool_call_id\":\"%s\",\"content\":\"20 degrees\"}]}",
             "false", id, id);
    reply = chat(&daemon, "X-Conversation-Id: t\r\n", body);
    assert_has(reply, "\"content\":\"Yes.\"");
    assert_has(reply, "\"match\":\"append\"");
    free(reply);
    struct fake_record seen = fake_engine_record();
    assert_true(seen.keep > 0);
    assert_has(seen.prompt, "20 degrees");
    assert_null(strstr(seen.prompt, "Is it warm"));
    assert_null(strstr(seen.prompt, "Bonn"));
    stop(&daemon);
}

static void a_whole_reply_has_its_calls(void **state)
{
    (void)state;
    struct daemon daemon;
    char body[1000];
    start(&daemon);
    fake_engine_play(&(struct fake_script){
        .pieces = {"<tool_call>{\"name\": \"weather\", \"arguments\": {}}</tool_call>",
                   "<tool_call>{\"name\": \"weather\", \"arguments\": {\"a\": 1}}</tool_call>"}});
    snprintf(body, sizeof body, "{" WEATHER "]}", "false");
    char *reply = chat(&daemon, "", body);
    json_t *root = body_of(reply);
    json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    json_t *message = json_object_get(choice, "message");
    json_t *calls = json_object_get(message, "tool_calls");
    assert_true(json_is_null(json_object_get(message, "content")));
    assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "tool_calls");
    assert_int_equal(json_array_size(calls), 2);
    json_t *function = json_object_get(json_array_get(calls, 1), "function");
    assert_string_equal(json_string_value(json_object_get(function, "arguments")), "{\"a\": 1}");
    json_decref(root);
    free(reply);

    /* Without tools the same words are content. */
    reply = chat(&daemon, "", HI);
    assert_has(reply, "\"content\":\"<tool_call>");
    free(reply);
    stop(&daemon);
}

/* The model gets the beginning of the call that it must make. */
static void a_named_tool_is_begun_for_the_model(void **state)
{
    (void)state;
    struct daemon daemon;
    char body[1000];
    start(&daemon);
    fake_engine_play(&(struct fake_script){.pieces = {"{\"city\": \"Bonn\"}}\n</tool_call>"}});
    snprintf(body, sizeof body, "{\"tool_choice\":\"required\"," WEATHER "]}", "false");
    char *reply = chat(&daemon, "X-Conversation-Id: n\r\n", body);
    assert_has(reply, "\"arguments\":\"{\\\"city\\\": \\\"Bonn\\\"}\"");
    assert_has(reply, "\"finish_reason\":\"tool_calls\"");
    assert_has(fake_engine_record().prompt,
               "assistant\n<tool_call>\n{\"name\": \"weather\", \"arguments\": ");
    free(reply);

    /* Asked again without the need, it is not. */
    snprintf(body, sizeof body, "{" WEATHER "]}", "false");
    fake_engine_play(&(struct fake_script){.pieces = {"No."}});
    reply = chat(&daemon, "X-Conversation-Id: n\r\n", body);
    assert_has(reply, "\"content\":\"No.\"");
    assert_null(strstr(fake_engine_record().prompt, "<tool_call>\n{\"name\": \"weather\""));
    free(reply);
    stop(&daemon);
}

static void first_bytes_come_before_the_prompt_is_read(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    fake_engine_play(&(struct fake_script){.pieces = {"late"}, .prefill_ms = PATIENCE_MS});
    int fd = dial(&daemon);
    struct buf got;
    buf_init(&got);
    post(fd, "/v1/chat/completions", "", HI_STREAM);
    read_until(fd, &got, "\"role\":\"assistant\"");
    buf_done(&got);
    close(fd);
    wait_for_record(none_runs, "the client who left in prefill has stopped it");
    stop(&daemon);
}

static void silent_stream_is_pinged(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--ping-seconds=1");
    fake_engine_play(&(struct fake_script){.pieces = {"late"}, .prefill_ms = PATIENCE_MS});
    int fd = dial(&daemon);
    struct buf got;
    buf_init(&got);
    post(fd, "/v1/chat/completions", "", HI_STREAM);
    read_until(fd, &got, ": ping\n\n");
    buf_done(&got);
    close(fd);
    wait_for_record(none_runs, "the turn has ended");
    stop(&daemon);
}

static void http_1_0_stream_ends_with_the_connection(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    char request[512];
    snprintf(request, sizeof request,
             "POST /chat/completions HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(HI_STREAM),
             HI_STREAM);
    char *reply = exchange(&daemon, request);
    assert_has(reply, " 200 ");
    assert_null(strstr(reply, "chunked"));
    assert_has(reply, "data: [DONE]\n\n");
    free(reply);
    stop(&daemon);
}

static void fields_reach_the_engine(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    free(chat(&daemon, "",
              "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"temperature\":0.5,"
              "\"top_p\":0.25,\"top_k\":7,\"min_p\":0.125,\"seed\":42,\"max_tokens\":9,"
              "\"repeat_penalty\":1.5,\"presence_penalty\":-1,\"frequency_penalty\":2}"));
    struct fake_record seen = fake_engine_record();
    assert_int_equal(seen.max_tokens, 9);
    assert_int_equal(seen.sampling.seed, 42);
    assert_int_equal(seen.sampling.top_k, 7);
    assert_true(seen.sampling.temperature == 0.5F && seen.sampling.top_p == 0.25F);
    assert_true(seen.sampling.min_p == 0.125F && seen.sampling.repetition_penalty == 1.5F);
    assert_true(seen.sampling.presence_penalty == -1 && seen.sampling.frequency_penalty == 2);

    free(chat(&daemon, "", HI));
    seen = fake_engine_record();
    assert_int_equal(seen.max_tokens, daemon.options.max_tokens);
    assert_true(seen.sampling.temperature == daemon.options.temperature);
    stop(&daemon);
}

static void completion_feeds_the_prompt_alone(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    char *reply = exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                    "Connection: close\r\nContent-Length: 17\r\n\r\n"
                                    "{\"prompt\":\"Once\"}");
    json_t *root = body_of(reply);
    assert_string_equal(json_string_value(json_object_get(root, "object")), "text_completion");
    json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    assert_string_equal(json_string_value(json_object_get(choice, "text")), "Hello world");
    json_decref(root);
    free(reply);
    struct fake_record seen = fake_engine_record();
    assert_int_equal(seen.session, 0);
    assert_has(seen.prompt, "Once");
    assert_null(strstr(seen.prompt, "user"));
    stop(&daemon);
}

static void conversation_goes_on_by_name_and_by_text(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    static const char more[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\","
        "\"content\":\"Hello world\"},{\"role\":\"user\",\"content\":\"More\"}]}";
    const char *const headers[] = {"X-Conversation-Id: c1\r\n", ""};
    for (int i = 0; i < 2; i++) {
        free(chat(&daemon, headers[i], HI));
        struct fake_record first = fake_engine_record();
        char *reply = chat(&daemon, headers[i], more);
        assert_has(reply, "X-Sinkd-Session: append; ");
        free(reply);
        struct fake_record second = fake_engine_record();
        assert_int_equal(second.session, first.session);
        assert_int_equal(second.keep, first.keep + first.n_tokens + 2);
        assert_has(second.prompt, "More");
        assert_null(strstr(second.prompt, "Hi"));
    }
    stop(&daemon);
}

static void other_endpoints_answer(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
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
        char *reply = exchange(&daemon, request);
        assert_starts(reply, cases[i].start);
        assert_has(reply, cases[i].part);
        if (strncmp(cases[i].request, "HEAD", 4) == 0)
            assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
        free(reply);
    }
    stop(&daemon);
}

/* ---- refusals ---- */

static void bad_requests_are_named(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    char *reply = chat(&daemon, "", "{");
    assert_error(reply, "HTTP/1.1 400", "invalid_json");
    free(reply);
    reply = chat(&daemon, "Content-Encoding: gzip\r\n", HI);
    assert_error(reply, "HTTP/1.1 415", "unsupported_media_type");
    free(reply);
    reply = chat(&daemon, "X-Conversation-Id: a b\r\n", HI);
    assert_error(reply, "HTTP/1.1 400", "invalid_value");
    free(reply);
    fake_engine_play(&(struct fake_script){.ending = FAKE_REFUSES});
    reply = chat(&daemon, "", HI_STREAM);
    assert_error(reply, "HTTP/1.1 503", "server_busy");
    assert_has(reply, "Retry-After: ");
    free(reply);
    stop(&daemon);
}

static void framing_that_two_servers_read_differently_is_refused(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
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
        char *reply = exchange(&daemon, request);
        assert_starts(reply, "HTTP/1.1 400");
        assert_null(strstr(reply + 1, "HTTP/1.1 ")); /* what follows is no second request */
        free(reply);
    }
    char *reply = exchange(&daemon, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_error(reply, "HTTP/1.1 403", "host_not_allowed");
    free(reply);
    reply = exchange(&daemon, "GET http://evil/health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_error(reply, "HTTP/1.1 400", "invalid_http");
    free(reply);
    reply = exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                              "Origin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}");
    assert_error(reply, "HTTP/1.1 403", "origin_not_allowed");
    free(reply);
    reply = exchange(&daemon, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                              "Origin: http://localhost:3000\r\n\r\n");
    assert_has(reply, "Access-Control-Allow-Origin: http://localhost:3000\r\n");
    free(reply);
    stop(&daemon);
}

static void body_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--max-body=1024");
    char *reply = exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                    "Content-Length: 1025\r\nExpect: 100-continue\r\n\r\n");
    assert_error(reply, "HTTP/1.1 413", "request_too_large");
    free(reply);
    reply = exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
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
    reply = exchange(&daemon, buf_text(&request));
    assert_error(reply, "HTTP/1.1 413", "request_too_large");
    free(reply);
    buf_done(&request);
    stop(&daemon);
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
    struct daemon daemon;
    start_with(&daemon, flag);
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
        char *reply = chat(&daemon, cases[i].header, HI);
        assert_starts(reply, cases[i].start);
        free(reply);
    }
    unlink(path);
    stop(&daemon);
}

static void locked_conversation_is_refused_until_it_is_free(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--resume-seconds=0");
    fake_engine_play(&(struct fake_script){
        .pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1, .linger_ms = 100});
    int fd = dial(&daemon);
    struct buf got;
    buf_init(&got);
    post(fd, "/v1/chat/completions", "X-Conversation-Id: c1\r\n", HI_STREAM);
    read_until(fd, &got, "\"content\":\"on\"");
    buf_done(&got);
    char *reply = chat(&daemon, "X-Conversation-Id: c1\r\n", HI);
    assert_error(reply, "HTTP/1.1 409", "conversation_locked");
    assert_has(reply, "Retry-After: 1\r\n");
    free(reply);

    /* Once its client has left, the next request waits for the late final event instead. */
    close(fd);
    wait_for_record(one_was_cancelled, "the client who left is noticed");
    fake_engine_play(&(struct fake_script){.pieces = {"next"}});
    reply = chat(&daemon, "X-Conversation-Id: c1\r\n", HI);
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "\"content\":\"next\"");
    free(reply);
    stop(&daemon);
}

/* ---- clients that leave, stall, or crowd ---- */

static void client_that_leaves_stops_its_turn(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    static const struct {
        const char *body, *mark; /* NULL: leaves before any byte of the reply */
        bool resets;
    } cases[] = {
        {HI_STREAM, "\"content\":\"on\"", false},
        {HI_STREAM, "\"content\":\"on\"", true},
        {HI, NULL, false},
        {HI, NULL, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_engine_play(&(struct fake_script){
            .pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1, .linger_ms = 20});
        int fd = dial(&daemon);
        struct buf got;
        buf_init(&got);
        post(fd, "/v1/chat/completions", "", cases[i].body);
        if (cases[i].mark != NULL)
            read_until(fd, &got, cases[i].mark);
        wait_for_record(one_runs, "the turn runs");
        struct linger linger = {.l_onoff = 1};
        if (cases[i].resets)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(fd);
        wait_for_record(one_was_cancelled, "the turn was cancelled");
        wait_for_record(none_runs, "the turn has ended");
        buf_done(&got);
    }
    stop(&daemon);
}

static bool one_is_parked(const struct fake_record *seen)
{
    return seen->n_parked == 1;
}

static bool none_is_parked(const struct fake_record *seen)
{
    return seen->n_parked == 0;
}

/* Its text is long enough to fill every buffer on the way. */
static struct fake_script long_answer(enum fake_ending ending)
{
    static char large[65536];
    memset(large, 'x', sizeof large - 1);
    return (struct fake_script){
        .pieces = {large, large, large, large, large, large, large, large},
        .ending = ending,
        .step_ms = 1,
    };
}

static size_t count_letters(const char *text, char letter)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == letter;
    return n;
}

static void a_slow_reader_parks_its_own_turn(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    struct fake_script script = long_answer(FAKE_ENDS);
    fake_engine_play(&script);
    char *fast = chat(&daemon, "", HI_STREAM);
    wait_for_record(none_is_parked, "nobody is parked");

    script.waits_for_park = true; /* or a busy machine has it said before anyone looks */
    fake_engine_play(&script);
    int fd = dial_with(&daemon, 4096);
    post(fd, "/v1/chat/completions", "", HI_STREAM);
    wait_for_record(one_is_parked, "the turn is parked");
    fake_engine_play(&(struct fake_script){.pieces = {"Hello", " world"}});
    char *other = chat(&daemon, "", HI_STREAM);
    assert_has(other, "\"content\":\" world\"");
    assert_has(other, "data: [DONE]\n\n");
    assert_int_equal(fake_engine_record().n_parked, 1);

    struct buf slow;
    buf_init(&slow);
    read_until(fd, &slow, NULL);
    close(fd);
    assert_has(buf_text(&slow), "data: [DONE]\n\n");
    assert_int_equal(count_letters(buf_text(&slow), 'x'), count_letters(fast, 'x'));
    assert_int_equal(fake_engine_record().n_cancelled, 0);
    buf_done(&slow);
    free(fast);
    free(other);
    stop(&daemon);
}

static void a_reader_that_reads_nothing_is_cut(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--stall-seconds=1");
    struct fake_script script = long_answer(FAKE_NEVER_ENDS);
    fake_engine_play(&script);
    int fd = dial_with(&daemon, 4096);
    post(fd, "/v1/chat/completions", "", HI_STREAM);
    wait_for_record(one_is_parked, "the turn is parked");
    wait_for_record(one_was_cancelled, "the stream that nobody reads is cut");
    wait_for_record(none_runs, "its turn has ended");
    char *reply = exchange(&daemon, "GET /health HTTP/1.0\r\n\r\n");
    assert_has(reply, " 200 ");
    free(reply);
    close(fd);
    stop(&daemon);
}

static void failure_midway_ends_the_stream_with_an_error(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    fake_engine_play(&(struct fake_script){.pieces = {"half"}, .ending = FAKE_FAILS});
    char *reply = chat(&daemon, "", HI_STREAM);
    assert_has(reply, "\"content\":\"half\"");
    assert_has(reply, "data: {\"error\":{\"message\":\"the script says so\"");
    assert_has(reply, "data: [DONE]\n\n");
    free(reply);
    reply = chat(&daemon, "", HI);
    assert_error(reply, "HTTP/1.1 500", "internal_error");
    free(reply);
    stop(&daemon);
}

static int retry_after_of(const char *reply)
{
    const char *header = strstr(reply, "\r\nRetry-After: ");
    assert_non_null(header);
    return (int)strtol(header + strlen("\r\nRetry-After: "), NULL, 10);
}

/* Who is one too many learns when there is room: by how fast answers have ended. */
static void one_too_many_is_told_when_to_come_again(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *status, *code;
    } cases[] = {
        {"--max-requests=1", "HTTP/1.1 503", "server_busy"},
        {"--max-per-key=1", "HTTP/1.1 429", "rate_limit_exceeded"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct daemon daemon;
        start_with(&daemon, cases[i].flag);
        for (int j = 0; j < 2; j++) {
            fake_engine_play(&(struct fake_script){.pieces = {"on"}, .ending = FAKE_NEVER_ENDS});
            int fd = dial(&daemon);
            post(fd, "/v1/chat/completions", "", HI_STREAM);
            wait_for_record(one_runs, "the turn runs");
            char *reply = chat(&daemon, "", HI);
            assert_error(reply, cases[i].status, cases[i].code);
            if (j == 0)
                assert_int_equal(retry_after_of(reply), 5); /* nothing has ended yet */
            else
                assert_in_range(retry_after_of(reply), 1, 4);
            free(reply);
            close(fd);
            wait_for_record(none_runs, "the turn has ended");
            fake_engine_play(&(struct fake_script){.pieces = {"Hello"}});
            for (int k = 0; k < 40; k++) {
                reply = chat(&daemon, "", HI);
                assert_starts(reply, "HTTP/1.1 200");
                free(reply);
            }
        }
        stop(&daemon);
    }
}

/* ---- clients that come back ---- */

static char *get(const struct daemon *daemon, const char *path, const char *headers)
{
    struct buf request;
    buf_init(&request);
    buf_append_format(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                      path, headers);
    char *reply = exchange(daemon, buf_text(&request));
    buf_done(&request);
    return reply;
}

/* Leaves in the middle of a stream: "one", then nothing until somebody lets it go on. */
static void break_off(const struct daemon *daemon, const char *headers, const char *body,
                      struct buf *got)
{
    int fd = dial(daemon);
    buf_init(got);
    post(fd, "/v1/chat/completions", headers, body);
    read_until(fd, got, "\"content\":\"one\"");
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
    struct daemon daemon;
    start_with(&daemon, "--resume-seconds=600");
    fake_engine_play(&(struct fake_script){.pieces = {"one", "two", "three"}, .step_ms = 200});
    struct buf got;
    char id[80], name[80], header[200], path[200];
    break_off(&daemon, "X-Conversation-Id: c\r\n", HI_STREAM, &got);
    read_event_id(&got, id, sizeof id);
    assert_has(id, ":1"); /* the role is number 0 */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(id, ":"), id);

    snprintf(header, sizeof header, "X-Conversation-Id: c\r\nLast-Event-ID: %s\r\n", id);
    char *rest = chat(&daemon, header, HI_STREAM);
    assert_starts(rest, "HTTP/1.1 200");
    assert_has(rest, "X-Sinkd-Session: attach; ");
    assert_has(rest, "\"content\":\"two\"");
    assert_has(rest, "data: [DONE]\n\n");
    assert_true(has_no_event_before(rest));
    free(rest);

    /* Once more, now that it is over: with a GET, from the start, from there, from its end. */
    snprintf(path, sizeof path, "/v1/chat/completions/%s", name);
    rest = get(&daemon, path, "");
    assert_has(rest, "\"role\":\"assistant\"");
    assert_has(rest, "\"content\":\"three\"");
    free(rest);
    rest = get(&daemon, path, header);
    assert_true(has_no_event_before(rest));
    assert_has(rest, "\"content\":\"two\"");
    free(rest);
    snprintf(path, sizeof path, "/v1/chat/completions/%s?starting_after=99", name);
    rest = get(&daemon, path, "");
    assert_starts(rest, "HTTP/1.1 204");
    free(rest);
    assert_int_equal(fake_engine_record().n_submitted, 1);
    assert_int_equal(fake_engine_record().n_cancelled, 0);

    rest = get(&daemon, "/v1/chat/completions/chatcmpl-nobody", "");
    assert_error(rest, "HTTP/1.1 404", "not_found");
    free(rest);
    rest = chat(&daemon, "Last-Event-ID: chatcmpl-nobody:3\r\n", HI_STREAM);
    assert_error(rest, "HTTP/1.1 404", "not_found");
    free(rest);
    buf_done(&got);
    stop(&daemon);
}

static void a_retry_gets_the_answer_that_is_being_made(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--resume-seconds=600");
    static const struct {
        const char *first, *again, *body;
        int n_submitted;
    } cases[] = {
        {"X-Conversation-Id: a\r\n", "X-Conversation-Id: a\r\n", HI_STREAM, 1},
        {"Idempotency-Key: k\r\n", "Idempotency-Key: k\r\n", HI_STREAM, 1},
        {"Idempotency-Key: l\r\n", "Idempotency-Key: m\r\n", HI_STREAM, 2},
        {"X-Conversation-Id: b\r\nX-Stainless-Retry-Count: 0\r\n",
         "X-Conversation-Id: b\r\nX-Stainless-Retry-Count: 1\r\n", HI_STREAM, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf got;
        fake_engine_play(&(struct fake_script){.pieces = {"one", "two"}, .step_ms = 100});
        break_off(&daemon, cases[i].first, cases[i].body, &got);
        char *reply = chat(&daemon, cases[i].again, cases[i].body);
        assert_starts(reply, "HTTP/1.1 200");
        assert_has(reply, "\"role\":\"assistant\"");
        assert_has(reply, "\"content\":\"one\"");
        assert_has(reply, "\"content\":\"two\"");
        assert_int_equal(fake_engine_record().n_submitted, cases[i].n_submitted);
        wait_for_record(none_runs, "all have ended");
        free(reply);
        buf_done(&got);
    }
    stop(&daemon);
}

/* An SDK gives up on a long whole answer after minutes, and asks again by itself. */
static void a_retry_of_a_whole_answer_waits_for_the_first(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--resume-seconds=600");
    fake_engine_play(&(struct fake_script){.pieces = {"one", " two"}, .step_ms = 100});
    int fd = dial(&daemon);
    post(fd, "/v1/chat/completions", "X-Stainless-Retry-Count: 0\r\n", HI);
    wait_for_record(one_runs, "the turn runs");
    close(fd);
    for (int i = 1; i <= 2; i++) { /* while it runs, and when it is over */
        char *reply = chat(&daemon, "X-Stainless-Retry-Count: 1\r\n", HI);
        assert_starts(reply, "HTTP/1.1 200");
        assert_has(reply, "X-Sinkd-Session: attach; ");
        assert_has(reply, "\"content\":\"one two\"");
        assert_int_equal(fake_engine_record().n_submitted, 1);
        free(reply);
    }
    /* Who just asks the same again wants another answer. */
    char *reply = chat(&daemon, "X-Stainless-Retry-Count: 0\r\n", HI);
    assert_has(reply, "\"content\":\"one two\"");
    assert_int_equal(fake_engine_record().n_submitted, 2);
    free(reply);
    stop(&daemon);
}

static void nobody_comes_back_and_the_turn_ends(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--resume-seconds=1");
    struct buf got;
    char id[80], path[200];
    fake_engine_play(
        &(struct fake_script){.pieces = {"one", "on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    break_off(&daemon, "X-Conversation-Id: c\r\n", HI_STREAM, &got);
    wait_for_record(one_was_cancelled, "the turn was cancelled");
    wait_for_record(none_runs, "the turn has ended");
    read_event_id(&got, id, sizeof id);
    snprintf(path, sizeof path, "/v1/chat/completions/%.*s", (int)strcspn(id, ":"), id);
    char *reply = get(&daemon, path, "");
    assert_error(reply, "HTTP/1.1 404", "not_found");
    free(reply);
    buf_done(&got);
    stop(&daemon);
}

/* Its client is gone: another request in its conversation need not wait for it. */
static void another_request_ends_a_turn_that_nobody_follows(void **state)
{
    (void)state;
    struct daemon daemon;
    start_with(&daemon, "--resume-seconds=600");
    struct buf got;
    fake_engine_play(
        &(struct fake_script){.pieces = {"one", "on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    break_off(&daemon, "X-Conversation-Id: c\r\n", HI_STREAM, &got);
    fake_engine_play(&(struct fake_script){.pieces = {"else"}});
    char *reply = chat(&daemon, "X-Conversation-Id: c\r\n",
                       "{\"messages\":[{\"role\":\"user\",\"content\":\"Another\"}]}");
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "\"content\":\"else\"");
    assert_int_equal(fake_engine_record().n_cancelled, 1);
    free(reply);
    buf_done(&got);

    fake_engine_play(
        &(struct fake_script){.pieces = {"one", "on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    char id[80], request[300];
    break_off(&daemon, "X-Conversation-Id: d\r\n", HI_STREAM, &got);
    read_event_id(&got, id, sizeof id);
    snprintf(request, sizeof request,
             "DELETE /v1/chat/completions/%.*s HTTP/1.1\r\nHost: localhost\r\n"
             "Connection: close\r\n\r\n",
             (int)strcspn(id, ":"), id);
    reply = exchange(&daemon, request);
    assert_has(reply, "\"deleted\":true");
    wait_for_record(one_was_cancelled, "the turn was cancelled");
    free(reply);
    buf_done(&got);
    stop(&daemon);
}

struct talk {
    const struct daemon *daemon;
    int number;
    pthread_t thread;
    char *reply;
};

static void *talk(void *arg)
{
    struct talk *talk = arg;
    char headers[64];
    snprintf(headers, sizeof headers, "X-Conversation-Id: talk-%d\r\n", talk->number);
    talk->reply = chat(talk->daemon, headers, HI_STREAM);
    return NULL;
}

static void sixty_four_at_once_all_complete(void **state)
{
    (void)state;
    enum { N = 64 };
    struct daemon daemon;
    start(&daemon);
    fake_engine_play(&(struct fake_script){.pieces = {"a", "b"}, .prefill_ms = 2, .step_ms = 2});
    struct talk talks[N];
    for (int i = 0; i < N; i++) {
        talks[i] = (struct talk){.daemon = &daemon, .number = i};
        pthread_create(&talks[i].thread, NULL, talk, &talks[i]);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(talks[i].thread, NULL);
        assert_has(talks[i].reply, "\"finish_reason\":\"stop\"");
        assert_has(talks[i].reply, "data: [DONE]\n\n");
        free(talks[i].reply);
    }
    struct fake_record seen = fake_engine_record();
    assert_int_equal(seen.n_submitted, N);
    assert_int_equal(seen.n_running, 0);
    stop(&daemon);
}

/* ---- stopping ---- */

static void sigterm_lets_answers_end(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    fake_engine_play(
        &(struct fake_script){.pieces = {"a", "b", "c", "d", "e", "f", "g", "z"}, .step_ms = 30});
    int fd = dial(&daemon);
    struct buf got;
    buf_init(&got);
    post(fd, "/v1/chat/completions", "", HI_STREAM);
    read_until(fd, &got, "\"content\":\"a\"");
    kill(getpid(), SIGTERM);
    read_until(fd, &got, NULL);
    assert_has(buf_text(&got), "\"content\":\"z\"");
    assert_has(buf_text(&got), "data: [DONE]\n\n");
    pthread_join(daemon.thread, NULL);
    server_close(&daemon.server);
    buf_done(&got);
    close(fd);
}

static void second_signal_cuts_them(void **state)
{
    (void)state;
    struct daemon daemon;
    start(&daemon);
    fake_engine_play(
        &(struct fake_script){.pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    int fd = dial(&daemon), idle = dial(&daemon);
    struct buf got;
    buf_init(&got);
    post(fd, "/v1/chat/completions", "", HI_STREAM);
    read_until(fd, &got, "\"content\":\"on\"");
    kill(getpid(), SIGTERM);
    char end;
    assert_true(recv(idle, &end, 1, 0) <= 0); /* the first was heard: idle connections are closed */
    kill(getpid(), SIGTERM);
    read_until(fd, &got, NULL);
    assert_has(buf_text(&got), "server_shutting_down");
    assert_has(buf_text(&got), "data: [DONE]\n\n");
    pthread_join(daemon.thread, NULL);
    server_close(&daemon.server);
    buf_done(&got);
    close(fd);
    close(idle);
}

static void server_that_cannot_start_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *flags[4], *part;
    } cases[] = {
        {{"--port", "0"}, "--model"},
        {{"--model", "/nowhere.gguf", "--port", "0"}, "/nowhere.gguf"},
        {{"--model", MODEL_PATH, "--host", "0.0.0.0"}, "--api-key-file"},
        {{"--model", MODEL_PATH, "--chat-template", "none"}, "chat-template"},
        {{"--model", MODEL_PATH, "--host", "no such host"}, "no such host"},
    };
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[6] = {"sinkd"};
        int argc = 1;
        for (int k = 0; k < 4 && cases[i].flags[k] != NULL; k++)
            argv[argc++] = (char *)cases[i].flags[k];
        static struct options options;
        struct server *server = NULL;
        struct err err = {0};
        assert_true(options_read(&options, argc, argv, &err));
        assert_false(server_open(&server, &options, &err));
        assert_has(err.text, cases[i].part);
    }
}

int main(void)
{
    /* Signals go to the loop thread, as in the daemon, where the loop is the main thread. */
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_reply_has_all_keys),
        cmocka_unit_test(stream_is_role_texts_finish_usage_done),
        cmocka_unit_test(a_tool_call_is_streamed_and_goes_on),
        cmocka_unit_test(a_whole_reply_has_its_calls),
        cmocka_unit_test(a_named_tool_is_begun_for_the_model),
        cmocka_unit_test(first_bytes_come_before_the_prompt_is_read),
        cmocka_unit_test(silent_stream_is_pinged),
        cmocka_unit_test(http_1_0_stream_ends_with_the_connection),
        cmocka_unit_test(fields_reach_the_engine),
        cmocka_unit_test(completion_feeds_the_prompt_alone),
        cmocka_unit_test(conversation_goes_on_by_name_and_by_text),
        cmocka_unit_test(other_endpoints_answer),
        cmocka_unit_test(bad_requests_are_named),
        cmocka_unit_test(framing_that_two_servers_read_differently_is_refused),
        cmocka_unit_test(body_beyond_the_limit_is_refused),
        cmocka_unit_test(only_a_known_key_is_served),
        cmocka_unit_test(locked_conversation_is_refused_until_it_is_free),
        cmocka_unit_test(client_that_leaves_stops_its_turn),
        cmocka_unit_test(a_slow_reader_parks_its_own_turn),
        cmocka_unit_test(a_reader_that_reads_nothing_is_cut),
        cmocka_unit_test(one_too_many_is_told_when_to_come_again),
        cmocka_unit_test(a_broken_stream_is_taken_up_where_it_broke),
        cmocka_unit_test(a_retry_gets_the_answer_that_is_being_made),
        cmocka_unit_test(a_retry_of_a_whole_answer_waits_for_the_first),
        cmocka_unit_test(nobody_comes_back_and_the_turn_ends),
        cmocka_unit_test(another_request_ends_a_turn_that_nobody_follows),
        cmocka_unit_test(failure_midway_ends_the_stream_with_an_error),
        cmocka_unit_test(sixty_four_at_once_all_complete),
        cmocka_unit_test(sigterm_lets_answers_end),
        cmocka_unit_test(second_signal_cuts_them),
        cmocka_unit_test(server_that_cannot_start_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
