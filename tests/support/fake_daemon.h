/* fake_daemon.h - a whole daemon in this process, with the scripted engine (fake_engine.h), and
 * clients of it over real sockets. One daemon at a time. Nothing here asserts on real durations: a
 * wait that ends is only a guard against hangs. */
#ifndef TESTS_SUPPORT_FAKE_DAEMON_H
#define TESTS_SUPPORT_FAKE_DAEMON_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "core/base/buf.h"
#include "server/options.h"
#include "server/server.h"
#include "tests/support/client.h"
#include "tests/support/fake_engine.h"

#define FAKE_DAEMON_MODEL "tests/fixtures/golden/llama-gqa-tied/model.gguf"

/* Bodies of POST /v1/chat/completions. */
#define CHAT_HI "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"
#define CHAT_HI_STREAM                                              \
    "{\"stream\":true,\"stream_options\":{\"include_usage\":true}," \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"

struct fake_daemon {
    struct options options;
    struct server *server;
    pthread_t thread;
    int port;
};

/* cmocka's group set-up. */
int daemon_tests_init(void **state);

/* Its engine says "Hello world" until another script is played. `flag` is one more option, NULL for
 * none. */
void daemon_start(struct fake_daemon *daemon, const char *flag);
/* With SIGTERM, as the daemon of everyday. */
void daemon_stop(struct fake_daemon *daemon);
/* The same, when the signal is already sent. */
void daemon_join(struct fake_daemon *daemon);

int daemon_dial(const struct fake_daemon *daemon);

/* A request and all that comes back; the caller frees. */
char *daemon_exchange(const struct fake_daemon *daemon, const char *request);
char *daemon_chat(const struct fake_daemon *daemon, const char *headers, const char *body);
char *daemon_get(const struct fake_daemon *daemon, const char *path, const char *headers);

void assert_starts(const char *text, const char *start);
void assert_has(const char *text, const char *part);
/* The JSON body of a whole reply; the caller gives the reference back. */
json_t *reply_body(const char *reply);
void assert_error(const char *reply, const char *status, const char *code);

/* Waits until it is so; `what` should have come true. */
void wait_for_engine(bool (*is_so)(const struct fake_record *seen), const char *what);
bool one_runs(const struct fake_record *seen);
bool none_runs(const struct fake_record *seen);
bool one_was_cancelled(const struct fake_record *seen);

#endif
