#include "server/response_replay.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/response_output.h"
#include "server/store_responses.h"

static const char *text_of(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));
    return text == NULL ? "" : text;
}

/* All text of an item's parts at once. */
static void join_parts(const json_t *item, struct buf *out)
{
    const json_t *parts = json_object_get(item, "content");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *text = json_object_get(json_array_get(parts, i), "text");
        buf_append(out, json_string_value(text), json_string_length(text));
    }
}

static bool say_item(struct response_output *output, const struct item *stored)
{
    json_t *item = json_loadb(stored->json, stored->len, JSON_ALLOW_NUL, NULL);
    const char *type = text_of(item, "type");
    bool is_good;
    snprintf(output->next_id, sizeof output->next_id, "%s", stored->id);
    if (strcmp(type, "function_call") == 0) {
        is_good = response_output_call(output, text_of(item, "call_id"), text_of(item, "name"),
                                       text_of(item, "arguments"));
    } else {
        bool is_message = strcmp(type, "message") == 0;
        bool is_complete = strcmp(text_of(item, "status"), "completed") == 0;
        struct buf text;
        buf_init(&text);
        join_parts(item, &text);
        is_good =
            response_output_text(output, is_message ? RESPONSE_PART_TEXT : RESPONSE_PART_REASONING,
                                 buf_text(&text), text.len) &&
            response_output_close(output, is_complete);
        buf_done(&text);
    }
    json_decref(item);
    return is_good;
}

const char *response_replay_skip(const char *frames, int64_t after)
{
    for (int64_t i = 0; i <= after; i++) {
        const char *end = strstr(frames, "\n\n");
        if (end == NULL)
            return frames + strlen(frames);
        frames = end + 2;
    }
    return frames;
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
        buf_append_text(out, response_replay_skip(buf_text(&output.frames), after));
    response_output_done(&output);
    item_list_done(&said);
    return is_good && !out->failed;
}
