#include "server/response_replay.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/json_load.h"
#include "server/response_output.h"
#include "server/sse_stream.h"
#include "server/store_responses.h"

static const char *text_of(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));
    return text == NULL ? "" : text;
}

static void append_logprobs(const json_t *part, struct buf *out)
{
    const json_t *list = json_object_get(part, "logprobs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        char *text = json_dumps(json_array_get(list, i), JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (i > 0)
            buf_append_char(out, ',');
        buf_append_text(out, text == NULL ? "null" : text);
        free(text);
    }
}

/* All that is said in an item's parts, at once. */
static bool say_parts(struct response_output *output, enum response_part part, const json_t *item)
{
    struct buf text, logprobs;
    const json_t *parts = json_object_get(item, "content");
    buf_init(&text);
    buf_init(&logprobs);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *piece = json_object_get(json_array_get(parts, i), "text");
        buf_append(&text, json_string_value(piece), json_string_length(piece));
        append_logprobs(json_array_get(parts, i), &logprobs);
    }
    struct response_piece piece = {part, buf_text(&text), text.len, &logprobs};
    bool is_good = !text.failed && !logprobs.failed && response_output_say(output, &piece);
    buf_done(&text);
    buf_done(&logprobs);
    return is_good;
}

static bool say_call(struct response_output *output, const json_t *item)
{
    const char *name = text_of(item, "name"), *arguments = text_of(item, "arguments");
    struct response_piece piece = {RESPONSE_PART_CALL, arguments, strlen(arguments), NULL};
    return response_output_begin_call(output, text_of(item, "call_id"), name, strlen(name)) &&
           response_output_say(output, &piece);
}

static bool say_item(struct response_output *output, const struct item *stored)
{
    json_t *item = json_load_text(stored->json, stored->len, JSON_ALLOW_NUL, NULL);
    const char *type = text_of(item, "type");
    bool is_complete = strcmp(text_of(item, "status"), "completed") == 0;
    bool is_good;
    snprintf(output->next_id, sizeof output->next_id, "%s", stored->id);
    if (strcmp(type, "function_call") == 0)
        is_good = say_call(output, item);
    else
        is_good = say_parts(
            output, strcmp(type, "message") == 0 ? RESPONSE_PART_TEXT : RESPONSE_PART_REASONING,
            item);
    is_good = is_good && response_output_close(output, is_complete);
    json_decref(item);
    return is_good;
}

bool response_replay_write(const struct response_row *row, int64_t after, struct buf *out)
{
    struct item_list said;
    struct response_output output;
    struct response_row first = *row;
    first.status = RESPONSE_IN_PROGRESS;
    first.completed = 0;
    first.incomplete_reason[0] = '\0';
    buf_init(&first.usage);
    buf_init(&first.error);
    item_list_init(&first.output);

    item_list_init(&said);
    response_output_init(&output, true, &said);
    response_output_begin(&output, &first);
    bool is_good = true;
    for (size_t i = 0; is_good && i < row->output.n; i++)
        is_good = say_item(&output, &row->output.items[i]);
    response_output_end(&output, row);
    is_good = is_good && !output.frames.failed;
    if (is_good)
        buf_append_text(out, sse_stream_skip(buf_text(&output.frames), after + 1));
    response_output_done(&output);
    item_list_done(&said);
    return is_good && !out->failed;
}
