/* test_server.c - the daemon as a whole, but for its engine: how it ends, and why it does not
 * begin. */
#include "server/server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "server/options.h"
#include "tests/support/check.h"
#include "tests/support/fake_daemon.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

static void sigterm_lets_answers_end(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(
        &(struct fake_script){.pieces = {"a", "b", "c", "d", "e", "f", "g", "z"}, .step_ms = 30});
    int fd = daemon_dial(&daemon);
    struct buf got;
    buf_init(&got);
    client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
    client_read(fd, &got, "\"content\":\"a\"");
    kill(getpid(), SIGTERM);
    client_read(fd, &got, NULL);
    assert_has(buf_text(&got), "\"content\":\"z\"");
    assert_has(buf_text(&got), "data: [DONE]\n\n");
    daemon_join(&daemon);
    buf_done(&got);
    close(fd);
}

/* A body that takes a while to read, and the signal before that is done. */
static int post_and_signal(const struct fake_daemon *daemon)
{
    enum { N_LETTERS = 4000000, READING_US = 5000 };
    struct buf request;
    buf_init(&request);
    buf_append_text(&request, "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"");
    while (request.len < N_LETTERS)
        buf_append_text(&request, "many words ");
    buf_append_text(&request, "\"}]}");
    int fd = daemon_dial(daemon);
    client_post(fd, "/v1/chat/completions", "", buf_text(&request));
    usleep(READING_US);
    kill(getpid(), SIGTERM);
    buf_done(&request);
    return fd;
}

/* There is no answer yet to wait for; then it takes longer than last bytes get. */
static void sigterm_lets_a_long_request_be_answered(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){.pieces = {"a", "z"}, .prefill_ms = 5600});
    struct buf got;
    buf_init(&got);
    int fd = post_and_signal(&daemon);
    client_read(fd, &got, NULL);
    assert_has(buf_text(&got), "\"content\":\"z\"");
    assert_has(buf_text(&got), "data: [DONE]\n\n");
    daemon_join(&daemon);
    buf_done(&got);
    close(fd);
}

/* Its answer begins when all others have been cut. */
static void a_long_request_has_no_more_time_than_others(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--drain-seconds=0");
    fake_engine_play(
        &(struct fake_script){.pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    struct buf got;
    buf_init(&got);
    int fd = post_and_signal(&daemon);
    client_read(fd, &got, NULL);
    assert_has(buf_text(&got), "server_shutting_down");
    daemon_join(&daemon);
    buf_done(&got);
    close(fd);
}

static void second_signal_cuts_them(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(
        &(struct fake_script){.pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1});
    int fd = daemon_dial(&daemon), idle = daemon_dial(&daemon);
    struct buf got;
    buf_init(&got);
    client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
    client_read(fd, &got, "\"content\":\"on\"");
    kill(getpid(), SIGTERM);
    char end;
    assert_true(recv(idle, &end, 1, 0) <= 0); /* the first was heard: idle connections are closed */
    kill(getpid(), SIGTERM);
    client_read(fd, &got, NULL);
    assert_has(buf_text(&got), "server_shutting_down");
    assert_has(buf_text(&got), "data: [DONE]\n\n");
    daemon_join(&daemon);
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
        {{"--model", FAKE_DAEMON_MODEL, "--host", "0.0.0.0"}, "--api-key-file"},
        {{"--model", FAKE_DAEMON_MODEL, "--chat-template", "none"}, "chat-template"},
        {{"--model", FAKE_DAEMON_MODEL, "--host", "no such host"}, "no such host"},
        {{"--model", FAKE_DAEMON_MODEL, "--state-dir", "/no parent/here"},
         "cannot make the state folder /no parent/here: No such file or directory"},
        {{"--model", FAKE_DAEMON_MODEL, "--state-dir", FAKE_DAEMON_MODEL},
         "cannot write in the state folder " FAKE_DAEMON_MODEL ": Not a directory"},
        {{"--model", FAKE_DAEMON_MODEL, "--listen", "tcp:x"},
         "--listen: \"tcp:x\" is not unix:PATH"},
        {{"--model", FAKE_DAEMON_MODEL, "--listen", "unix:/no parent/x"},
         "cannot listen on /no parent/x: No such file or directory"},
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigterm_lets_answers_end),
        cmocka_unit_test(sigterm_lets_a_long_request_be_answered),
        cmocka_unit_test(a_long_request_has_no_more_time_than_others),
        cmocka_unit_test(second_signal_cuts_them),
        cmocka_unit_test(server_that_cannot_start_says_why),
    };
    return cmocka_run_group_tests(tests, daemon_tests_init, NULL);
}
