/* test_generations.c - many answers at once, and clients that leave, stall or crowd: a daemon with
 * a scripted engine, over real sockets. */
#include "server/generations.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "tests/support/check.h"
#include "tests/support/fake_daemon.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

static void conversation_goes_on_by_name_and_by_text(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    static const char more[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\","
        "\"content\":\"Hello world\"},{\"role\":\"user\",\"content\":\"More\"}]}";
    const char *const headers[] = {"X-Conversation-Id: c1\r\n", ""};
    for (int i = 0; i < 2; i++) {
        free(daemon_chat(&daemon, headers[i], CHAT_HI));
        struct fake_record first = fake_engine_record();
        char *reply = daemon_chat(&daemon, headers[i], more);
        assert_has(reply, "X-Sinkd-Session: append; ");
        free(reply);
        struct fake_record second = fake_engine_record();
        assert_int_equal(second.session, first.session);
        assert_int_equal(second.keep, first.keep + first.n_tokens + 2);
        assert_has(second.prompt, "More");
        assert_null(strstr(second.prompt, "Hi"));
    }
    daemon_stop(&daemon);
}

static void locked_conversation_is_refused_until_it_is_free(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--resume-seconds=0");
    fake_engine_play(&(struct fake_script){
        .pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1, .linger_ms = 100});
    int fd = daemon_dial(&daemon);
    struct buf got;
    buf_init(&got);
    client_post(fd, "/v1/chat/completions", "X-Conversation-Id: c1\r\n", CHAT_HI_STREAM);
    client_read(fd, &got, "\"content\":\"on\"");
    buf_done(&got);
    char *reply = daemon_chat(&daemon, "X-Conversation-Id: c1\r\n", CHAT_HI);
    assert_error(reply, "HTTP/1.1 409", "conversation_locked");
    assert_has(reply, "Retry-After: 1\r\n");
    free(reply);

    /* Once its client has left, the next request waits for the late final event instead. */
    close(fd);
    wait_for_engine(one_was_cancelled, "the client who left is noticed");
    fake_engine_play(&(struct fake_script){.pieces = {"next"}});
    reply = daemon_chat(&daemon, "X-Conversation-Id: c1\r\n", CHAT_HI);
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "\"content\":\"next\"");
    free(reply);
    daemon_stop(&daemon);
}

static void client_that_leaves_stops_its_turn(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    static const struct {
        const char *body, *mark; /* NULL: leaves before any byte of the reply */
        bool resets;
    } cases[] = {
        {CHAT_HI_STREAM, "\"content\":\"on\"", false},
        {CHAT_HI_STREAM, "\"content\":\"on\"", true},
        {CHAT_HI, NULL, false},
        {CHAT_HI, NULL, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_engine_play(&(struct fake_script){
            .pieces = {"on"}, .ending = FAKE_NEVER_ENDS, .step_ms = 1, .linger_ms = 20});
        int fd = daemon_dial(&daemon);
        struct buf got;
        buf_init(&got);
        client_post(fd, "/v1/chat/completions", "", cases[i].body);
        if (cases[i].mark != NULL)
            client_read(fd, &got, cases[i].mark);
        wait_for_engine(one_runs, "the turn runs");
        struct linger linger = {.l_onoff = 1};
        if (cases[i].resets)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(fd);
        wait_for_engine(one_was_cancelled, "the turn was cancelled");
        wait_for_engine(none_runs, "the turn has ended");
        buf_done(&got);
    }
    daemon_stop(&daemon);
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
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    struct fake_script script = long_answer(FAKE_ENDS);
    fake_engine_play(&script);
    char *fast = daemon_chat(&daemon, "", CHAT_HI_STREAM);
    wait_for_engine(none_is_parked, "nobody is parked");

    script.waits_for_park = true; /* or a busy machine has it said before anyone looks */
    fake_engine_play(&script);
    int fd = client_dial_with(daemon.port, 4096);
    client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
    wait_for_engine(one_is_parked, "the turn is parked");
    fake_engine_play(&(struct fake_script){.pieces = {"Hello", " world"}});
    char *other = daemon_chat(&daemon, "", CHAT_HI_STREAM);
    assert_has(other, "\"content\":\" world\"");
    assert_has(other, "data: [DONE]\n\n");
    /* Its socket may have taken more meanwhile: then it spoke until it was parked again. */
    wait_for_engine(one_is_parked, "the turn is parked still");

    struct buf slow;
    buf_init(&slow);
    client_read(fd, &slow, NULL);
    close(fd);
    assert_has(buf_text(&slow), "data: [DONE]\n\n");
    assert_int_equal(count_letters(buf_text(&slow), 'x'), count_letters(fast, 'x'));
    assert_int_equal(fake_engine_record().n_cancelled, 0);
    buf_done(&slow);
    free(fast);
    free(other);
    daemon_stop(&daemon);
}

static void a_reader_that_reads_nothing_is_cut(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--stall-seconds=1");
    struct fake_script script = long_answer(FAKE_NEVER_ENDS);
    fake_engine_play(&script);
    int fd = client_dial_with(daemon.port, 4096);
    client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
    wait_for_engine(one_is_parked, "the turn is parked");
    wait_for_engine(one_was_cancelled, "the stream that nobody reads is cut");
    wait_for_engine(none_runs, "its turn has ended");
    char *reply = daemon_exchange(&daemon, "GET /health HTTP/1.0\r\n\r\n");
    assert_has(reply, " 200 ");
    free(reply);
    close(fd);
    daemon_stop(&daemon);
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
        struct fake_daemon daemon;
        daemon_start(&daemon, cases[i].flag);
        for (int j = 0; j < 2; j++) {
            fake_engine_play(&(struct fake_script){.pieces = {"on"}, .ending = FAKE_NEVER_ENDS});
            int fd = daemon_dial(&daemon);
            client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
            wait_for_engine(one_runs, "the turn runs");
            char *reply = daemon_chat(&daemon, "", CHAT_HI);
            assert_error(reply, cases[i].status, cases[i].code);
            if (j == 0)
                assert_int_equal(retry_after_of(reply), 5); /* nothing has ended yet */
            else
                assert_in_range(retry_after_of(reply), 1, 4);
            free(reply);
            close(fd);
            wait_for_engine(none_runs, "the turn has ended");
            fake_engine_play(&(struct fake_script){.pieces = {"Hello"}});
            for (int k = 0; k < 40; k++) {
                reply = daemon_chat(&daemon, "", CHAT_HI);
                assert_starts(reply, "HTTP/1.1 200");
                free(reply);
            }
        }
        daemon_stop(&daemon);
    }
}

struct talk {
    const struct fake_daemon *daemon;
    int number;
    pthread_t thread;
    char *reply;
};

static void *talk(void *arg)
{
    struct talk *talk = arg;
    char headers[64];
    snprintf(headers, sizeof headers, "X-Conversation-Id: talk-%d\r\n", talk->number);
    talk->reply = daemon_chat(talk->daemon, headers, CHAT_HI_STREAM);
    return NULL;
}

static void sixty_four_at_once_all_complete(void **state)
{
    (void)state;
    enum { N = 64 };
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
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
    daemon_stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversation_goes_on_by_name_and_by_text),
        cmocka_unit_test(locked_conversation_is_refused_until_it_is_free),
        cmocka_unit_test(client_that_leaves_stops_its_turn),
        cmocka_unit_test(a_slow_reader_parks_its_own_turn),
        cmocka_unit_test(a_reader_that_reads_nothing_is_cut),
        cmocka_unit_test(one_too_many_is_told_when_to_come_again),
        cmocka_unit_test(sixty_four_at_once_all_complete),
    };
    return cmocka_run_group_tests(tests, daemon_tests_init, NULL);
}
