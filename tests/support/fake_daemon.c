#include "tests/support/fake_daemon.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "tests/support/check.h"

int daemon_tests_init(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* ---- the daemon ---- */

static void *run(void *arg)
{
    server_run(((struct fake_daemon *)arg)->server);
    return NULL;
}

void daemon_start(struct fake_daemon *daemon, const char *flag)
{
    char *argv[] = {"sinkd", "--model",     FAKE_DAEMON_MODEL, "--port",     "0", "--drain-seconds",
                    "20",    "--log-level", "error",           (char *)flag, NULL};
    struct err err = {0};
    log_set_level(LOG_LEVEL_ERROR);
    fake_engine_play(&(struct fake_script){.pieces = {"Hello", " world"}});
    if (!options_read(&daemon->options, flag == NULL ? 9 : 10, argv, &err) ||
        !server_open(&daemon->server, &daemon->options, &err))
        fail_msg("%s", err.text);
    daemon->port = server_port(daemon->server);
    assert_int_equal(pthread_create(&daemon->thread, NULL, run, daemon), 0);
}

void daemon_join(struct fake_daemon *daemon)
{
    assert_int_equal(pthread_join(daemon->thread, NULL), 0);
    server_close(&daemon->server);
}

void daemon_stop(struct fake_daemon *daemon)
{
    kill(getpid(), SIGTERM);
    daemon_join(daemon);
}

/* ---- its clients ---- */

int daemon_dial(const struct fake_daemon *daemon)
{
    return client_dial(daemon->port);
}

static char *read_reply(int fd)
{
    struct buf got;
    buf_init(&got);
    client_read(fd, &got, NULL);
    close(fd);
    return got.data != NULL ? got.data : calloc(1, 1);
}

char *daemon_exchange(const struct fake_daemon *daemon, const char *request)
{
    int fd = daemon_dial(daemon);
    client_send(fd, request);
    return read_reply(fd);
}

char *daemon_chat(const struct fake_daemon *daemon, const char *headers, const char *body)
{
    int fd = daemon_dial(daemon);
    client_post(fd, "/v1/chat/completions", headers, body);
    return read_reply(fd);
}

char *daemon_get(const struct fake_daemon *daemon, const char *path, const char *headers)
{
    struct buf request;
    buf_init(&request);
    buf_append_format(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
                      path, headers);
    char *reply = daemon_exchange(daemon, buf_text(&request));
    buf_done(&request);
    return reply;
}

/* ---- what they get ---- */

void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("expected %s, got %s", start, text);
}

void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected %s in %s", part, text);
}

json_t *reply_body(const char *reply)
{
    const char *body = strstr(reply, "\r\n\r\n");
    json_t *root = body == NULL ? NULL : json_loads(body + 4, 0, NULL);
    if (root == NULL)
        fail_msg("no JSON body in %s", reply);
    return root;
}

void assert_error(const char *reply, const char *status, const char *code)
{
    assert_starts(reply, status);
    json_t *root = reply_body(reply);
    json_t *error = json_object_get(root, "error");
    assert_int_equal(json_object_size(error), 4);
    assert_string_equal(json_string_value(json_object_get(error, "code")), code);
    assert_non_null(json_string_value(json_object_get(error, "message")));
    assert_non_null(json_string_value(json_object_get(error, "type")));
    assert_non_null(json_object_get(error, "param"));
    json_decref(root);
}

/* ---- its engine ---- */

void wait_for_engine(bool (*is_so)(const struct fake_record *seen), const char *what)
{
    for (int i = 0; i < PATIENCE_MS; i++) {
        struct fake_record seen = fake_engine_record();
        if (is_so(&seen))
            return;
        poll(NULL, 0, 1);
    }
    fail_msg("never came true: %s", what);
}

bool one_runs(const struct fake_record *seen)
{
    return seen->n_running == 1;
}

bool none_runs(const struct fake_record *seen)
{
    return seen->n_running == 0;
}

bool one_was_cancelled(const struct fake_record *seen)
{
    return seen->n_cancelled == 1;
}
