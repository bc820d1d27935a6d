/* test_response_turn.c - responses of a whole daemon but its engine, which fails on cue, and its
 * disk, which does too. */
#include "server/response_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "tests/support/check.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/store_files.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

/* With a database on the disk that can be told to fail. */
static void start(struct fake_daemon *daemon, struct fake_script script)
{
    char folder[80], flag[100];
    snprintf(folder, sizeof folder, "%s", store_files_make());
    *strrchr(folder, '/') = '\0';
    snprintf(flag, sizeof flag, "--state-dir=%s", folder);
    store_files_set_fault(DISK_IS_WELL);
    daemon_start(daemon, flag);
    fake_engine_play(&script);
}

static void stop(struct fake_daemon *daemon)
{
    daemon_stop(daemon);
    store_files_remove();
}

static int send_request(const struct fake_daemon *daemon, const char *method, const char *path,
                        const char *body)
{
    int fd = daemon_dial(daemon);
    client_request(fd, method, path, "", body);
    return fd;
}

static void ask(const struct fake_daemon *daemon, const char *method, const char *path,
                const char *body, struct buf *got)
{
    buf_clear(got);
    int fd = send_request(daemon, method, path, body);
    client_read(fd, got, NULL);
    close(fd);
}

/* Asks for a response with one more header. */
static int send_with(const struct fake_daemon *daemon, const char *header, const char *body)
{
    char line[200];
    int fd = daemon_dial(daemon);
    snprintf(line, sizeof line, "%s\r\n", header);
    client_post(fd, "/v1/responses", line, body);
    return fd;
}

static void ends_and_ran_once(struct buf *got)
{
    assert_has(buf_text(got), "response.created");
    assert_has(buf_text(got), "\"delta\":\"one\"");
    assert_has(buf_text(got), "\"delta\":\"two\"");
    assert_has(buf_text(got), "response.completed");
    assert_int_equal(fake_engine_record().n_submitted, 1);
    assert_int_equal(fake_engine_record().n_cancelled, 0);
}

/* While it is being made and when it is over, a retry gets the same response. */
static void a_retry_gets_the_response_that_is_being_made(void **state)
{
    (void)state;
    static const char body[] = "{\"input\":\"Hi\",\"stream\":true}";
    struct fake_daemon daemon;
    struct buf got;
    buf_init(&got);
    start(&daemon, (struct fake_script){.pieces = {"one", "two"}, .step_ms = 300});
    int fd = send_with(&daemon, "Idempotency-Key: k", body);
    client_read(fd, &got, "\"delta\":\"one\"");
    assert_has(buf_text(&got), "id: resp_");
    close(fd);
    for (int i = 0; i < 2; i++) {
        buf_clear(&got);
        fd = send_with(&daemon, "Idempotency-Key: k", body);
        client_read(fd, &got, NULL);
        close(fd);
        assert_has(buf_text(&got), "X-Sinkd-Session: attach;");
        ends_and_ran_once(&got);
    }
    /* After the third event. */
    char header[160];
    const char *id = strstr(buf_text(&got), "id: resp_");
    assert_non_null(id);
    snprintf(header, sizeof header, "Last-Event-ID: %.*s:3", (int)strcspn(id + 4, ":"), id + 4);
    buf_clear(&got);
    fd = send_with(&daemon, header, body);
    client_read(fd, &got, NULL);
    close(fd);
    assert_null(strstr(buf_text(&got), "\"sequence_number\":3,"));
    assert_has(buf_text(&got), "\"sequence_number\":4,");
    assert_has(buf_text(&got), "response.completed");
    buf_done(&got);
    stop(&daemon);
}

/* Nobody's chat is found by a response's name. */
static void a_response_is_no_chat(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got;
    char path[160];
    buf_init(&got);
    start(&daemon, (struct fake_script){.pieces = {"one"}});
    int fd = send_with(&daemon, "Idempotency-Key: k", "{\"input\":\"Hi\",\"stream\":true}");
    client_read(fd, &got, NULL);
    close(fd);
    const char *id = strstr(buf_text(&got), "id: resp_");
    assert_non_null(id);
    snprintf(path, sizeof path, "/v1/chat/completions/%.*s", (int)strcspn(id + 4, ":"), id + 4);
    ask(&daemon, "GET", path, "", &got);
    assert_has(buf_text(&got), "HTTP/1.1 404");
    buf_done(&got);
    stop(&daemon);
}

static void an_engine_that_fails_ends_the_stream_with_a_failed_response(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got;
    buf_init(&got);
    start(&daemon, (struct fake_script){.pieces = {"Hel", "lo"}, .ending = FAKE_FAILS});
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\",\"stream\":true}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 200");
    assert_has(buf_text(&got), "event: response.output_item.done");
    assert_has(buf_text(&got), "event: response.failed");
    assert_has(buf_text(&got), "\"status\":\"failed\",\"error\":{\"code\":\"server_error\"");
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\"}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 500");
    stop(&daemon);
    buf_done(&got);
}

static void an_engine_that_refuses_is_an_error_of_http(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got;
    buf_init(&got);
    start(&daemon, (struct fake_script){.ending = FAKE_REFUSES});
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\",\"stream\":true}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 503");
    assert_has(buf_text(&got), "Retry-After");
    stop(&daemon);
    buf_done(&got);
}

static void a_disk_that_is_full_at_the_end_fails_the_response_and_refuses_the_next(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got;
    buf_init(&got);
    start(&daemon, (struct fake_script){.pieces = {"Hello", " world"}, .step_ms = 300});
    int fd = send_request(&daemon, "POST", "/v1/responses", "{\"input\":\"a\",\"stream\":true}");
    client_read(fd, &got, "Hello");
    store_files_set_fault(DISK_IS_FULL);
    client_read(fd, &got, NULL);
    close(fd);
    assert_has(buf_text(&got), "\"delta\":\" world\"");
    assert_has(buf_text(&got), "event: response.failed");
    assert_has(buf_text(&got), "no room");

    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\"}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 507");
    assert_has(buf_text(&got), "Retry-After");
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\",\"store\":false}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 200");
    ask(&daemon, "GET", "/v1/conversations", "", &got);
    assert_has(buf_text(&got), "HTTP/1.1 200");

    store_files_set_fault(DISK_IS_WELL);
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\"}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 200");
    assert_has(buf_text(&got), "\"status\":\"completed\"");
    stop(&daemon);
    buf_done(&got);
}

static void a_disk_that_fails_at_the_end_is_an_error_for_who_wants_the_whole(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got;
    buf_init(&got);
    start(&daemon, (struct fake_script){.pieces = {"Hello"}});
    store_files_set_fault(DISK_FAILS_SYNCS);
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\"}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 503");
    assert_has(buf_text(&got), "storage_unavailable");
    store_files_set_fault(DISK_IS_WELL);
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"a\"}", &got);
    assert_has(buf_text(&got), "HTTP/1.1 200");
    stop(&daemon);
    buf_done(&got);
}

static void a_second_client_can_cancel_what_the_first_one_streams(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got, cancelled;
    char path[128];
    buf_init(&got);
    buf_init(&cancelled);
    start(&daemon, (struct fake_script){.pieces = {"la"}, .step_ms = 5, .ending = FAKE_NEVER_ENDS});
    int fd = send_request(&daemon, "POST", "/v1/responses", "{\"input\":\"a\",\"stream\":true}");
    client_read(fd, &got, "\"delta\":\"la\"");
    const char *id = strstr(buf_text(&got), "\"id\":\"resp_") + strlen("\"id\":\"");
    snprintf(path, sizeof path, "/v1/responses/%.*s/cancel", (int)strcspn(id, "\""), id);
    ask(&daemon, "POST", path, "", &cancelled);
    assert_has(buf_text(&cancelled), "\"status\":\"cancelled\"");
    client_read(fd, &got, NULL);
    close(fd);
    assert_has(buf_text(&got), "event: response.incomplete");
    assert_has(buf_text(&got), "\"status\":\"cancelled\"");
    stop(&daemon);
    assert_int_equal(fake_engine_record().n_cancelled, 1);
    buf_done(&got);
    buf_done(&cancelled);
}

/* The text of a JSON string that begins with `start`, somewhere in `text`. */
static void find_string(const char *text, const char *start, char out[64])
{
    const char *at = strstr(text, start);
    assert_non_null(at);
    snprintf(out, 64, "%.*s", (int)strcspn(at, "\""), at);
}

#define TOOLS "\"tools\":[{\"type\":\"function\",\"name\":\"weather\"}]"

static void a_call_is_an_item_and_its_output_goes_on_with_the_session(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got;
    char body[512], id[64], call_id[64];
    buf_init(&got);
    start(&daemon, (struct fake_script){
                       .pieces = {"Wait.\n<tool", "_call>\n{\"name\": \"weather\", ",
                                  "\"arguments\": {\"city\"", ": \"Bonn\"}}\n</tool_call>"}});
    ask(&daemon, "POST", "/v1/responses", "{\"input\":\"Warm?\",\"stream\":true," TOOLS "}", &got);
    assert_has(buf_text(&got), "\"delta\":\"Wait.\"");
    assert_has(buf_text(&got), "\"type\":\"function_call\",\"status\":\"in_progress\"");
    assert_has(buf_text(&got), "event: response.function_call_arguments.delta");
    assert_has(buf_text(&got), "event: response.function_call_arguments.done");
    assert_has(buf_text(&got), "\"arguments\":\"{\\\"city\\\": \\\"Bonn\\\"}\"");
    assert_has(buf_text(&got), "event: response.completed");
    find_string(strstr(buf_text(&got), "\"id\":\"resp_"), "resp_", id);
    find_string(strstr(buf_text(&got), "\"call_id\":\"") + strlen("\"call_id\":\""), "call_",
                call_id);

    fake_engine_play(&(struct fake_script){.pieces = {"Yes."}});
    snprintf(body, sizeof body,
             "{\"previous_response_id\":\"%s\"," TOOLS ",\"input\":[{\"type\":"
             "\"function_call_output\",\"call_id\":\"%s\",\"output\":\"20 degrees\"}]}",
             id, call_id);
    ask(&daemon, "POST", "/v1/responses", body, &got);
    assert_has(buf_text(&got), "\"text\":\"Yes.\"");
    assert_has(buf_text(&got), "\"match\":\"append\"");
    assert_non_null(strstr(fake_engine_record().prompt, "20 degrees"));
    stop(&daemon);
    buf_done(&got);
}

/* Without harm to the response that is being made. */
static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    struct buf got, text;
    char id[64], path[256];
    buf_init(&got);
    buf_init(&text);
    start(&daemon, (struct fake_script){.pieces = {"one", "two"}, .waits_for_park = true});
    int fd = send_with(&daemon, "X-Test: 1", "{\"input\":\"Hi\",\"stream\":true}");
    client_read(fd, &got, "\"delta\":\"one\"");
    find_string(strstr(buf_text(&got), "\"id\":\"resp_"), "resp_", id);
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    ask(&daemon, "DELETE", path, "", &text);
    assert_has(buf_text(&text), "HTTP/1.1 400");
    assert_has(buf_text(&text), "cancel it first");
    snprintf(path, sizeof path, "/v1/responses/%s?stream=true", id);
    ask(&daemon, "GET", path, "", &text);
    assert_has(buf_text(&text), "HTTP/1.1 400");
    assert_has(buf_text(&text), "only a response in the background can be streamed again");
    assert_int_equal(fake_engine_record().n_running, 1);
    close(fd);

    ask(&daemon, "POST", "/v1/responses/input_tokens", "{\"input\":[]}", &text);
    assert_has(buf_text(&text), "empty_array");
    ask(&daemon, "POST", "/v1/responses/input_tokens",
        "{\"input\":\"a\",\"previous_response_id\":\"resp_none\"}", &text);
    assert_has(buf_text(&text), "previous_response_not_found");

    ask(&daemon, "POST", "/v1/conversations", "{}", &text);
    find_string(strstr(buf_text(&text), "\"id\":\"conv_"), "conv_", id);
    snprintf(path, sizeof path, "/v1/conversations/%s/items?after=%0100d", id, 0);
    ask(&daemon, "GET", path, "", &text);
    assert_has(buf_text(&text), "HTTP/1.1 404");
    assert_has(buf_text(&text), "in this list");
    buf_clear(&got);
    for (int i = 0; i <= 1000; i++)
        buf_append_format(&got, "%s{\"role\":\"user\",\"content\":\"%d\"}",
                          i == 0 ? "{\"items\":[" : ",", i);
    buf_append_text(&got, "]}");
    snprintf(path, sizeof path, "/v1/conversations/%s/items", id);
    ask(&daemon, "POST", path, buf_text(&got), &text);
    assert_has(buf_text(&text), "at most 1000 items at once");
    ask(&daemon, "GET", path, "", &text);
    assert_has(buf_text(&text), "\"data\":[]");
    buf_done(&got);
    buf_done(&text);
    stop(&daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_retry_gets_the_response_that_is_being_made),
        cmocka_unit_test(a_response_is_no_chat),
        cmocka_unit_test(an_engine_that_fails_ends_the_stream_with_a_failed_response),
        cmocka_unit_test(an_engine_that_refuses_is_an_error_of_http),
        cmocka_unit_test(a_disk_that_is_full_at_the_end_fails_the_response_and_refuses_the_next),
        cmocka_unit_test(a_disk_that_fails_at_the_end_is_an_error_for_who_wants_the_whole),
        cmocka_unit_test(a_second_client_can_cancel_what_the_first_one_streams),
        cmocka_unit_test(a_call_is_an_item_and_its_output_goes_on_with_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
