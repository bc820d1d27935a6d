/* The N-th allocation fails, for N from 1 on until none is reached: while the daemon starts, and
 * while it answers a few requests with the tiny model; each once for a moment and once for as long
 * as the start or the request lasts. What it must do: say so at its start, or answer something and
 * go on. Under ASan the same shows that nothing leaks.
 *
 * Allocations inside of libraries are not counted. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "server/options.h"
#include "server/server.h"
#include "tests/support/check.h"
#include "tests/support/client.h"
#include "tests/support/failing_memory.h"
#include "tests/support/tiny_model.h"

static struct options options;

static bool open_server(struct server **out, struct err *err)
{
    static char *argv[] = {"sinkd",       "--model", TINY_MODEL_PATH, "--port", "0",
                           "--log-level", "error",   "--threads",     "1",      "--window",
                           "64",          NULL};
    return options_read(&options, 11, argv, err) && server_open(out, &options, err);
}

/* ---- while it starts ---- */

static bool spares_children;

static void spare_child(void)
{
    if (spares_children)
        failing_memory_set(0, false);
}

/* How a start ends whose allocation n fails. */
enum start { IS_OPEN, IS_REFUSED, IS_UNHARMED };
static enum start start_once(long n, bool stays)
{
    struct server *server = NULL;
    struct err err = {0};
    failing_memory_set(n, stays);
    bool is_open = open_server(&server, &err);
    bool is_reached = failing_memory_count() >= n;
    failing_memory_set(0, false);
    if (!is_open && (err.code == ERR_NONE || strlen(err.text) < 10))
        fail_msg("allocation %ld: '%s' is no sentence", n, err.text);
    server_close(&server);
    return !is_open ? IS_REFUSED : is_reached ? IS_OPEN : IS_UNHARMED;
}

/* The child that checks the model first meets what its parent would: once it is spared. */
static void a_start_says_what_is_missing(void **state)
{
    (void)state;
    pthread_atfork(NULL, NULL, spare_child);
    for (int i = 0; i < 2; i++) {
        int n_starts[3] = {0};
        spares_children = i == 1;
        for (long n = 1; n_starts[IS_UNHARMED] < 2; n++) {
            n_starts[start_once(n, false)]++;
            n_starts[start_once(n, true)]++;
        }
        print_message("starts: %d refused, %d not\n", n_starts[IS_REFUSED], n_starts[IS_OPEN]);
        assert_true(n_starts[IS_REFUSED] > 50);
    }
}

/* ---- while it answers ---- */

static void *run(void *server)
{
    server_run(server);
    return NULL;
}

/* Sends a request, reads until the server closes; the status, 0 for none. */
static int ask(const struct server *server, const char *path, const char *body)
{
    char request[1024], reply[16384], piece[4096];
    size_t len = 0;
    int fd = client_dial(server_port(server)), status = 0;
    snprintf(request, sizeof request,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             path, strlen(body), body);
    send(fd, request, strlen(request), MSG_NOSIGNAL);
    for (ssize_t n; (n = recv(fd, piece, sizeof piece, 0)) != 0;) {
        if (n < 0 && errno == EAGAIN)
            fail_msg("no answer, and no end");
        if (n < 0)
            break;
        size_t room = sizeof reply - 1 - len;
        memcpy(reply + len, piece, (size_t)n < room ? (size_t)n : room);
        len += (size_t)n < room ? (size_t)n : room;
    }
    close(fd);
    reply[len] = '\0';
    if (sscanf(reply, "HTTP/1.1 %d", &status) == 1 && status != 200)
        assert_true(strstr(reply, "{\"error\":{\"message\":\"") != NULL ||
                    strstr(reply, "{\"type\":\"error\",\"error\":{\"type\":\"") != NULL);
    return status;
}

struct question {
    const char *path, *body;
};

/* Statuses of all times that one of its allocations failed. */
struct outcome {
    int n_good, n_bad, n_silent;
};

/* False when allocation n was not reached. In between the daemon must be as before. */
static bool ask_once(const struct server *server, const struct question *question, long n,
                     bool stays, struct outcome *outcome)
{
    failing_memory_set(n, stays);
    int status = ask(server, question->path, question->body);
    bool is_reached = failing_memory_count() >= n;
    failing_memory_set(0, false);
    if (status != 0 && status != 200 && (status < 400 || status > 599))
        fail_msg("allocation %ld: status %d", n, status);
    *(status == 200 ? &outcome->n_good : status == 0 ? &outcome->n_silent : &outcome->n_bad) += 1;
    if ((status = ask(server, question->path, question->body)) != 200)
        fail_msg("after allocation %ld: status %d", n, status);
    return is_reached;
}

static void torture(const struct server *server, const struct question *question)
{
    struct outcome outcome = {0};
    bool is_reached = true;
    for (long n = 1; is_reached; n++) {
        is_reached = ask_once(server, question, n, false, &outcome);
        is_reached = ask_once(server, question, n, true, &outcome) || is_reached;
    }
    print_message("%s: %d answered, %d refused, %d closed\n", question->path, outcome.n_good,
                  outcome.n_bad, outcome.n_silent);
    assert_true(outcome.n_good > 0 && outcome.n_bad > 0);
    assert_int_equal(outcome.n_silent, 0); /* there is a reply for that, made in good time */
}

static void a_request_may_fail_and_the_daemon_does_not(void **state)
{
    (void)state;
    static const struct question questions[] = {
        {"/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":4,\"stream\":true,"
         "\"ignore_eos\":true}"},
        {"/v1/responses", "{\"input\":\"Hi\",\"max_output_tokens\":16}"},
        {"/v1/completions", "{\"prompt\":\"Hi\",\"max_tokens\":3,\"logprobs\":2}"},
        {"/v1/messages",
         "{\"system\":\"S\",\"max_tokens\":4,\"stop_sequences\":[\"zz\"],\"stream\":true,"
         "\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],\"messages\":[{\"role\":\"user\","
         "\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":"
         "\"1\",\"name\":\"f\",\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":"
         "\"tool_result\",\"tool_use_id\":\"1\",\"content\":\"x\"}]}]}"},
        {"/tokenize", "{\"content\":\"Hello\"}"},
    };
    struct server *server = NULL;
    struct err err = {0};
    pthread_t thread;
    failing_memory_set(0, false);
    if (!open_server(&server, &err))
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&thread, NULL, run, server), 0);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        torture(server, &questions[i]);
    kill(getpid(), SIGTERM);
    pthread_join(thread, NULL);
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_says_what_is_missing),
        cmocka_unit_test(a_request_may_fail_and_the_daemon_does_not),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
