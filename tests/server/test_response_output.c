/* test_response_output.c - the events of a response in their order, said and said again. */
#include "server/response_output.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "server/response_replay.h"
#include "server/store_responses.h"
#include "tests/support/check.h"

struct testing {
    struct response_row row;
    struct response_output output;
};

static void begin(struct testing *testing, bool has_events)
{
    response_row_init(&testing->row);
    snprintf(testing->row.id, sizeof testing->row.id, "resp_1");
    testing->row.status = RESPONSE_IN_PROGRESS;
    buf_append_text(&testing->row.echo, "{\"model\":\"m\"}");
    response_output_init(&testing->output, has_events, &testing->row.output);
    response_output_begin(&testing->output, &testing->row);
}

static bool say(struct testing *testing, enum response_part part, const char *text)
{
    struct buf logprobs;
    buf_init(&logprobs);
    buf_append_text(&logprobs, "{\"token\":\"t\",\"logprob\":-0.25}");
    struct response_piece piece = {part, text, strlen(text),
                                   part == RESPONSE_PART_TEXT ? &logprobs : NULL};
    bool is_good = response_output_say(&testing->output, &piece);
    buf_done(&logprobs);
    return is_good;
}

static void end(struct testing *testing, enum response_status status)
{
    testing->row.status = status;
    testing->row.completed = 9;
    response_output_end(&testing->output, &testing->row);
}

static void done(struct testing *testing)
{
    response_output_done(&testing->output);
    response_row_done(&testing->row);
}

/* Each frame is an event line, a data line whose JSON has the event's type, and its number. */
static void check_events(const char *frames, int first, const char *const *types)
{
    for (int i = 0; types[i] != NULL; i++) {
        char event[64];
        int len = 0;
        assert_int_equal(sscanf(frames, "event: %63s\ndata: %n", event, &len), 1);
        assert_string_equal(event, types[i]);
        const char *stop = strstr(frames, "\n\n");
        assert_non_null(stop);
        json_t *data = json_loadb(frames + len, (size_t)(stop - frames) - (size_t)len, 0, NULL);
        assert_non_null(data);
        assert_string_equal(json_string_value(json_object_get(data, "type")), types[i]);
        assert_int_equal(json_integer_value(json_object_get(data, "sequence_number")), first + i);
        json_decref(data);
        frames = stop + 2;
    }
    assert_string_equal(frames, "");
}

static const char *const message_events[] = {"response.created",
                                             "response.in_progress",
                                             "response.output_item.added",
                                             "response.content_part.added",
                                             "response.output_text.delta",
                                             "response.output_text.delta",
                                             "response.output_text.done",
                                             "response.content_part.done",
                                             "response.output_item.done",
                                             "response.completed",
                                             NULL};

static void a_message_is_said_piece_by_piece(void **state)
{
    (void)state;
    struct testing testing;
    begin(&testing, true);
    assert_true(say(&testing, RESPONSE_PART_TEXT, "Hel\n"));
    assert_true(say(&testing, RESPONSE_PART_TEXT, "lo"));
    assert_true(response_output_close(&testing.output, true));
    end(&testing, RESPONSE_COMPLETED);
    check_events(buf_text(&testing.output.frames), 0, message_events);

    assert_int_equal(testing.row.output.n, 1);
    json_t *item = json_loads(testing.row.output.items[0].json, 0, NULL);
    json_t *part = json_array_get(json_object_get(item, "content"), 0);
    assert_string_equal(json_string_value(json_object_get(part, "text")), "Hel\nlo");
    assert_true(json_is_array(json_object_get(part, "annotations")));
    assert_int_equal(json_array_size(json_object_get(part, "logprobs")), 2);
    assert_string_equal(json_string_value(json_object_get(item, "status")), "completed");
    assert_string_equal(json_string_value(json_object_get(item, "id")),
                        testing.row.output.items[0].id);
    json_decref(item);
    done(&testing);
}

static void nothing_said_is_an_empty_message(void **state)
{
    (void)state;
    struct testing testing;
    begin(&testing, false);
    assert_true(response_output_close(&testing.output, false));
    end(&testing, RESPONSE_INCOMPLETE);
    assert_int_equal(testing.output.frames.len, 0);
    assert_int_equal(testing.row.output.n, 1);
    assert_non_null(strstr(testing.row.output.items[0].json, "\"status\":\"incomplete\""));
    done(&testing);
}

static const char *const all_kinds[] = {"response.created",
                                        "response.in_progress",
                                        "response.output_item.added",
                                        "response.content_part.added",
                                        "response.reasoning_text.delta",
                                        "response.reasoning_text.done",
                                        "response.content_part.done",
                                        "response.output_item.done",
                                        "response.output_item.added",
                                        "response.content_part.added",
                                        "response.output_text.delta",
                                        "response.output_text.done",
                                        "response.content_part.done",
                                        "response.output_item.done",
                                        "response.output_item.added",
                                        "response.function_call_arguments.delta",
                                        "response.function_call_arguments.done",
                                        "response.output_item.done",
                                        "response.failed",
                                        NULL};

static void say_all_kinds(struct testing *testing)
{
    begin(testing, true);
    assert_true(say(testing, RESPONSE_PART_REASONING, "hm"));
    assert_true(say(testing, RESPONSE_PART_TEXT, "yes"));
    assert_true(response_output_begin_call(&testing->output, "call_1", "f", 1));
    assert_true(say(testing, RESPONSE_PART_CALL, "{\"x\":1}"));
    assert_true(response_output_close(&testing->output, true));
    end(testing, RESPONSE_FAILED);
}

static void items_follow_each_other(void **state)
{
    (void)state;
    struct testing testing;
    say_all_kinds(&testing);
    check_events(buf_text(&testing.output.frames), 0, all_kinds);
    assert_int_equal(testing.row.output.n, 3);
    assert_non_null(strstr(testing.row.output.items[2].json, "\"arguments\":\"{\\\"x\\\":1}\""));
    done(&testing);
}

static void a_stored_response_is_said_again_with_the_same_ids(void **state)
{
    (void)state;
    struct testing testing;
    struct buf again;
    say_all_kinds(&testing);
    buf_init(&again);
    assert_true(response_replay_write(&testing.row, -1, &again));
    check_events(buf_text(&again), 0, all_kinds);
    assert_string_equal(buf_text(&again), buf_text(&testing.output.frames));

    buf_clear(&again);
    assert_true(response_replay_write(&testing.row, 16, &again));
    check_events(buf_text(&again), 17, all_kinds + 17);
    buf_clear(&again);
    assert_true(response_replay_write(&testing.row, 1000, &again));
    assert_string_equal(buf_text(&again), "");
    buf_done(&again);
    done(&testing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_said_piece_by_piece),
        cmocka_unit_test(nothing_said_is_an_empty_message),
        cmocka_unit_test(items_follow_each_other),
        cmocka_unit_test(a_stored_response_is_said_again_with_the_same_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
