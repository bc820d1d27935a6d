/* test_chat_turn.c - what an answer to a chat is, whole and as a stream: a daemon with a scripted
 * engine, over real sockets. */
#include "server/chat_turn.h"

#include <jansson.h>
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

static void whole_reply_has_all_keys(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char *reply =
        daemon_chat(&daemon, "X-Request-Id: mine-1\r\nX-Conversation-Id: c1\r\n", CHAT_HI);
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "X-Request-Id: mine-1\r\n");
    assert_has(reply, "X-Conversation-Id: c1\r\n");
    assert_has(reply, "X-Sinkd-Session: new; cached=0; ");
    json_t *root = reply_body(reply);
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
    daemon_stop(&daemon);
}

static void stream_is_role_texts_finish_usage_done(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char *reply = daemon_chat(&daemon, "", CHAT_HI_STREAM);
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
    daemon_stop(&daemon);
}

#define WEATHER                                                                              \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}],\"stream\":%s," \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Is it warm?\"}"

static void a_tool_call_is_streamed_and_goes_on(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    char body[1000], id[64];
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){
        .pieces = {"Wait.\n<tool", "_call>\n{\"name\": \"weather\", ", "\"arguments\": {\"city\"",
                   ": \"Bonn\"}}\n</tool_call>"}});
    snprintf(body, sizeof body, "{" WEATHER "]}", "true");
    char *reply = daemon_chat(&daemon, "X-Conversation-Id: t\r\n", body);
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
    reply = daemon_chat(&daemon, "X-Conversation-Id: t\r\n", body);
    assert_has(reply, "\"content\":\"Yes.\"");
    assert_has(reply, "\"match\":\"append\"");
    free(reply);
    struct fake_record seen = fake_engine_record();
    assert_true(seen.keep > 0);
    assert_has(seen.prompt, "20 degrees");
    assert_null(strstr(seen.prompt, "Is it warm"));
    assert_null(strstr(seen.prompt, "Bonn"));
    daemon_stop(&daemon);
}

static void a_whole_reply_has_its_calls(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    char body[1000];
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){
        .pieces = {"<tool_call>{\"name\": \"weather\", \"arguments\": {}}</tool_call>",
                   "<tool_call>{\"name\": \"weather\", \"arguments\": {\"a\": 1}}</tool_call>"}});
    snprintf(body, sizeof body, "{" WEATHER "]}", "false");
    char *reply = daemon_chat(&daemon, "", body);
    json_t *root = reply_body(reply);
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
    reply = daemon_chat(&daemon, "", CHAT_HI);
    assert_has(reply, "\"content\":\"<tool_call>");
    free(reply);
    daemon_stop(&daemon);
}

/* The model gets the beginning of the call that it must make. */
static void a_named_tool_is_begun_for_the_model(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    char body[1000];
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){.pieces = {"{\"city\": \"Bonn\"}}\n</tool_call>"}});
    snprintf(body, sizeof body, "{\"tool_choice\":\"required\"," WEATHER "]}", "false");
    char *reply = daemon_chat(&daemon, "X-Conversation-Id: n\r\n", body);
    assert_has(reply, "\"arguments\":\"{\\\"city\\\": \\\"Bonn\\\"}\"");
    assert_has(reply, "\"finish_reason\":\"tool_calls\"");
    assert_has(fake_engine_record().prompt,
               "assistant\n<tool_call>\n{\"name\": \"weather\", \"arguments\": ");
    free(reply);

    /* Asked again without the need, it is not. */
    snprintf(body, sizeof body, "{" WEATHER "]}", "false");
    fake_engine_play(&(struct fake_script){.pieces = {"No."}});
    reply = daemon_chat(&daemon, "X-Conversation-Id: n\r\n", body);
    assert_has(reply, "\"content\":\"No.\"");
    assert_null(strstr(fake_engine_record().prompt, "<tool_call>\n{\"name\": \"weather\""));
    free(reply);
    daemon_stop(&daemon);
}

static void first_bytes_come_before_the_prompt_is_read(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){.pieces = {"late"}, .prefill_ms = PATIENCE_MS});
    int fd = daemon_dial(&daemon);
    struct buf got;
    buf_init(&got);
    client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
    client_read(fd, &got, "\"role\":\"assistant\"");
    buf_done(&got);
    close(fd);
    wait_for_engine(none_runs, "the client who left in prefill has stopped it");
    daemon_stop(&daemon);
}

static void silent_stream_is_pinged(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, "--ping-seconds=1");
    fake_engine_play(&(struct fake_script){.pieces = {"late"}, .prefill_ms = PATIENCE_MS});
    int fd = daemon_dial(&daemon);
    struct buf got;
    buf_init(&got);
    client_post(fd, "/v1/chat/completions", "", CHAT_HI_STREAM);
    client_read(fd, &got, ": ping\n\n");
    buf_done(&got);
    close(fd);
    wait_for_engine(none_runs, "the turn has ended");
    daemon_stop(&daemon);
}

static void http_1_0_stream_ends_with_the_connection(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char request[512];
    snprintf(request, sizeof request,
             "POST /chat/completions HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(CHAT_HI_STREAM), CHAT_HI_STREAM);
    char *reply = daemon_exchange(&daemon, request);
    assert_has(reply, " 200 ");
    assert_null(strstr(reply, "chunked"));
    assert_has(reply, "data: [DONE]\n\n");
    free(reply);
    daemon_stop(&daemon);
}

static void fields_reach_the_engine(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    free(daemon_chat(&daemon, "",
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

    free(daemon_chat(&daemon, "", CHAT_HI));
    seen = fake_engine_record();
    assert_int_equal(seen.max_tokens, daemon.options.max_tokens);
    assert_true(seen.sampling.temperature == daemon.options.temperature);
    daemon_stop(&daemon);
}

static void completion_feeds_the_prompt_alone(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char *reply = daemon_exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                           "Connection: close\r\nContent-Length: 17\r\n\r\n"
                                           "{\"prompt\":\"Once\"}");
    json_t *root = reply_body(reply);
    assert_string_equal(json_string_value(json_object_get(root, "object")), "text_completion");
    json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    assert_string_equal(json_string_value(json_object_get(choice, "text")), "Hello world");
    json_decref(root);
    free(reply);
    struct fake_record seen = fake_engine_record();
    assert_has(seen.prompt, "Once");
    assert_null(strstr(seen.prompt, "user"));
    daemon_stop(&daemon);
}

/* Each has a session of its own, of which the last four stay to be copied from. */
static void completions_leave_their_sessions_for_a_while(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    uint64_t last = 0;
    for (int i = 1; i <= 6; i++) {
        free(daemon_exchange(&daemon, "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                      "Connection: close\r\nContent-Length: 17\r\n\r\n"
                                      "{\"prompt\":\"Once\"}"));
        struct fake_record seen = fake_engine_record();
        assert_true(seen.session > last);
        assert_int_equal(seen.n_forgotten, i > 4 ? i - 4 : 0);
        last = seen.session;
    }
    daemon_stop(&daemon);
}

static void failure_midway_ends_the_stream_with_an_error(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){.pieces = {"half"}, .ending = FAKE_FAILS});
    char *reply = daemon_chat(&daemon, "", CHAT_HI_STREAM);
    assert_has(reply, "\"content\":\"half\"");
    assert_has(reply, "data: {\"error\":{\"message\":\"the script says so\"");
    assert_has(reply, "data: [DONE]\n\n");
    free(reply);
    reply = daemon_chat(&daemon, "", CHAT_HI);
    assert_error(reply, "HTTP/1.1 500", "internal_error");
    free(reply);
    daemon_stop(&daemon);
}

int main(void)
{
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
        cmocka_unit_test(completions_leave_their_sessions_for_a_while),
        cmocka_unit_test(failure_midway_ends_the_stream_with_an_error),
    };
    return cmocka_run_group_tests(tests, daemon_tests_init, NULL);
}
