/* test_anthropic_reply.c - what an answer is in Anthropic's API, whole and as a stream: a daemon
 * with a scripted engine, over real sockets. */
#include "server/anthropic_reply.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "tests/support/check.h"
#include "tests/support/fake_daemon.h"

#define FAKE_ENGINE
/* NOLINTNEXTLINE(bugprone-suspicious-include) */
#include "tests/support/fake_engine.c"

#define HI "\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define TOOL "\"tools\":[{\"name\":\"weather\",\"input_schema\":{\"type\":\"object\"}}]," HI

static char *post(const struct fake_daemon *daemon, const char *path, const char *body)
{
    struct buf got;
    int fd = daemon_dial(daemon);
    buf_init(&got);
    client_post(fd, path, "", body);
    client_read(fd, &got, NULL);
    close(fd);
    return got.data != NULL ? got.data : calloc(1, 1);
}

static char *send_message(const struct fake_daemon *daemon, const char *fields)
{
    struct buf body;
    buf_init(&body);
    buf_append_format(&body, "{%s}", fields);
    char *reply = post(daemon, "/v1/messages", buf_text(&body));
    buf_done(&body);
    return reply;
}

/* Frees the reply. */
static void assert_order(char *reply, const char *const *order, size_t n)
{
    const char *at = reply;
    for (size_t i = 0; i < n; i++) {
        assert_has(at, order[i]);
        at = strstr(at, order[i]) + 1;
    }
    free(reply);
}

#define ASSERT_ORDER(reply, order) assert_order(reply, order, sizeof(order) / sizeof(order)[0])

static void a_whole_reply_is_a_message(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char *reply = send_message(&daemon, HI);
    assert_starts(reply, "HTTP/1.1 200");
    assert_has(reply, "X-Sinkd-Session: new; cached=0; ");
    json_t *root = reply_body(reply);
    const char *id = json_string_value(json_object_get(root, "id"));
    assert_non_null(id);
    assert_int_equal(strncmp(id, "msg_", 4), 0);
    const char *text, *type, *role, *reason;
    int n_output, n_input, n_cached;
    assert_int_equal(json_unpack(root, "{s:s, s:s, s:[{s:s}], s:s, s:n, s:{s:i, s:i, s:i}}", "type",
                                 &type, "role", &role, "content", "text", &text, "stop_reason",
                                 &reason, "stop_sequence", "usage", "input_tokens", &n_input,
                                 "output_tokens", &n_output, "cache_read_input_tokens", &n_cached),
                     0);
    assert_string_equal(type, "message");
    assert_string_equal(role, "assistant");
    assert_string_equal(text, "Hello world");
    assert_string_equal(reason, "end_turn");
    assert_int_equal(n_output, 2);
    assert_int_equal(n_cached, 0);
    assert_true(n_input > 0);
    assert_non_null(json_object_get(root, "session"));
    json_decref(root);
    free(reply);
    daemon_stop(&daemon);
}

static void a_stream_is_a_message_of_blocks(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    char *reply = send_message(&daemon, "\"stream\":true," HI);
    assert_has(reply, "Content-Type: text/event-stream");
    assert_null(strstr(reply, "[DONE]"));
    const char *const order[] = {
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_",
        "\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":",
        "\"output_tokens\":0}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\" world\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"end_turn\",\"stop_sequence\":null},\"usage\":{",
        "\"output_tokens\":2}",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    };
    ASSERT_ORDER(reply, order);
    daemon_stop(&daemon);
}

static const struct fake_script calling = {
    .pieces = {"Wait.\n<tool", "_call>\n{\"name\": \"weather\", ", "\"arguments\": {\"city\"",
               ": \"Bonn\"}}\n</tool_call>"}};

static void a_call_is_a_block_and_goes_on(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(&calling);
    char *reply = send_message(&daemon, "\"stream\":true," TOOL);
    const char *const order[] = {
        "\"text\":\"Wait.\"}}\n\n",
        "\"type\":\"content_block_stop\",\"index\":0}",
        "\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"call_",
        "\"name\":\"weather\",\"input\":{}}}",
        "\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\"\"}}",
        "\"partial_json\":\": \\\"Bonn\\\"}\"}}",
        "\"type\":\"content_block_stop\",\"index\":1}",
        "\"stop_reason\":\"tool_use\"",
        "message_stop",
    };
    ASSERT_ORDER(reply, order);

    fake_engine_play(&calling);
    reply = send_message(&daemon, TOOL);
    assert_has(reply, "\"content\":[{\"type\":\"text\",\"text\":\"Wait.\"},{\"type\":\"tool_use\","
                      "\"id\":\"call_");
    assert_has(reply, "\"name\":\"weather\",\"input\":{\"city\": \"Bonn\"}}],\"stop_reason\":"
                      "\"tool_use\"");
    json_t *root = reply_body(reply);
    json_t *content = json_object_get(root, "content");
    const char *id = json_string_value(json_object_get(json_array_get(content, 1), "id"));
    free(reply);

    /* Back comes the message as it was, and the result. */
    fake_engine_play(&(struct fake_script){.pieces = {"Yes."}});
    json_t *next =
        json_pack("{s:[{s:s, s:{s:s}}], s:[{s:s, s:s}, {s:s, s:O}, {s:s, s:[{s:s, s:s, s:s}]}]}",
                  "tools", "name", "weather", "input_schema", "type", "object", "messages", "role",
                  "user", "content", "Hi", "role", "assistant", "content", content, "role", "user",
                  "content", "type", "tool_result", "tool_use_id", id, "content", "20 degrees");
    char *body = json_dumps(next, 0);
    reply = post(&daemon, "/v1/messages", body);
    assert_has(reply, "\"text\":\"Yes.\"");
    assert_has(reply, "\"match\":\"append\"");
    struct fake_record seen = fake_engine_record();
    assert_has(seen.prompt, "20 degrees");
    assert_null(strstr(seen.prompt, "Bonn"));
    free(body);
    free(reply);
    json_decref(next);
    json_decref(root);
    daemon_stop(&daemon);
}

static void thoughts_are_a_block_of_their_own(void **state)
{
    (void)state;
    static const struct fake_script thinking = {.pieces = {"hm", "m\n</think>\n\nYes."}};
    struct fake_daemon daemon;
    daemon_start(&daemon, "--chat-template-file=tests/e2e/thinking.jinja");
    fake_engine_play(&thinking);
    char *reply = send_message(&daemon, "\"stream\":true,\"thinking\":{\"type\":\"enabled\"}," HI);
    const char *const order[] = {
        "\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",",
        "\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}",
        "\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"",
        "\"type\":\"content_block_stop\",\"index\":0}",
        "\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
        "\"text\":\"Yes.\"",
        "\"type\":\"content_block_stop\",\"index\":1}",
    };
    ASSERT_ORDER(reply, order);
    fake_engine_play(&thinking);
    reply = send_message(&daemon, "\"thinking\":{\"type\":\"enabled\"}," HI);
    assert_has(reply, "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hmm\",\"signature\":\"");
    assert_has(reply, "\"},{\"type\":\"text\",\"text\":\"Yes.\"}],");
    free(reply);
    daemon_stop(&daemon);
}

static void a_stop_sequence_is_named(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){.pieces = {"One"}, .stop = "two"});
    char *reply = send_message(&daemon, "\"stop_sequences\":[\"two\"]," HI);
    assert_has(reply, "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"two\"");
    free(reply);
    daemon_stop(&daemon);
}

static void half_a_call_is_no_input(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    fake_engine_play(&(struct fake_script){
        .pieces = {"<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bo"}});
    char *reply = send_message(&daemon, TOOL);
    json_t *root = reply_body(reply);
    json_t *call = json_array_get(json_object_get(root, "content"), 0);
    assert_int_equal(json_object_size(json_object_get(call, "input")), 0);
    json_decref(root);
    free(reply);
    daemon_stop(&daemon);
}

static void assert_error_of(char *reply, const char *status, const char *type)
{
    const char *outer, *inner, *message;
    assert_starts(reply, status);
    json_t *root = reply_body(reply);
    assert_int_equal(json_unpack(root, "{s:s, s:{s:s, s:s}}", "type", &outer, "error", "type",
                                 &inner, "message", &message),
                     0);
    assert_string_equal(outer, "error");
    assert_string_equal(inner, type);
    assert_true(strlen(message) > 5);
    json_decref(root);
    free(reply);
}

static void errors_have_the_form_of_the_api(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    daemon_start(&daemon, NULL);
    assert_error_of(post(&daemon, "/v1/messages", "{"), "HTTP/1.1 400", "invalid_request_error");
    assert_error_of(post(&daemon, "/v1/messages/count_tokens", "{}"), "HTTP/1.1 400",
                    "invalid_request_error");
    fake_engine_play(&(struct fake_script){.ending = FAKE_REFUSES});
    assert_error_of(send_message(&daemon, HI), "HTTP/1.1 503", "overloaded_error");
    fake_engine_play(&(struct fake_script){.pieces = {"Hel"}, .ending = FAKE_FAILS});
    char *reply = send_message(&daemon, "\"stream\":true," HI);
    const char *const order[] = {"\"text\":\"Hel\"",
                                 "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                                 "\"api_error\",\"message\":\"the script says so\"}}\n\n"};
    ASSERT_ORDER(reply, order);
    /* Others keep theirs. */
    reply = post(&daemon, "/v1/chat/completions", "{}");
    assert_error(reply, "HTTP/1.1 400", "missing_required_parameter");
    free(reply);
    daemon_stop(&daemon);
}

static void each_status_has_a_type(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type;
    } cases[] = {
        {400, "invalid_request_error"}, {401, "authentication_error"},
        {403, "permission_error"},      {404, "not_found_error"},
        {409, "invalid_request_error"}, {413, "request_too_large"},
        {429, "rate_limit_error"},      {500, "api_error"},
        {503, "overloaded_error"},      {507, "api_error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct api_error error;
        struct buf out;
        buf_init(&out);
        api_error_set(&error, cases[i].status, "c", NULL, "No.");
        anthropic_reply_error(&error, &out);
        assert_has(buf_text(&out), cases[i].type);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_reply_is_a_message),
        cmocka_unit_test(a_stream_is_a_message_of_blocks),
        cmocka_unit_test(a_call_is_a_block_and_goes_on),
        cmocka_unit_test(thoughts_are_a_block_of_their_own),
        cmocka_unit_test(a_stop_sequence_is_named),
        cmocka_unit_test(half_a_call_is_no_input),
        cmocka_unit_test(errors_have_the_form_of_the_api),
        cmocka_unit_test(each_status_has_a_type),
    };
    return cmocka_run_group_tests(tests, daemon_tests_init, NULL);
}
