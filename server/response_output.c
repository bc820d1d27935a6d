#include "server/response_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/item.h"
#include "server/json_text.h"
#include "server/response_reply.h"
#include "server/store_responses.h"

void response_output_init(struct response_output *output, bool has_events, struct item_list *items)
{
    *output = (struct response_output){.has_events = has_events, .items = items};
    buf_init(&output->frames);
    buf_init(&output->open_text);
}

void response_output_done(struct response_output *output)
{
    buf_done(&output->frames);
    buf_done(&output->open_text);
}

/* ---- frames ---- */

/* Everything of an event up to its own fields. */
static void begin_event(struct response_output *output, const char *type)
{
    buf_append_format(&output->frames, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%lld",
                      type, type, (long long)output->sequence++);
}

static void end_event(struct response_output *output)
{
    buf_append_text(&output->frames, "}\n\n");
}

static void lifecycle_event(struct response_output *output, const char *type,
                            const struct response_row *row)
{
    if (!output->has_events)
        return;
    begin_event(output, type);
    buf_append_text(&output->frames, ",\"response\":");
    response_reply_write(row, &output->frames);
    end_event(output);
}

static void append_place(struct response_output *output, bool with_part)
{
    buf_append_format(&output->frames, ",\"item_id\":\"%s\",\"output_index\":%zu", output->open_id,
                      output->items->n);
    if (with_part)
        buf_append_text(&output->frames, ",\"content_index\":0");
}

static void item_event(struct response_output *output, const char *type, size_t index,
                       const char *json, size_t len)
{
    if (!output->has_events)
        return;
    begin_event(output, type);
    buf_append_format(&output->frames, ",\"output_index\":%zu,\"item\":", index);
    buf_append(&output->frames, json, len);
    end_event(output);
}

/* ---- an item with one part of text ---- */

static bool is_message(const struct response_output *output)
{
    return output->open == RESPONSE_PART_TEXT;
}

static void append_part(const struct response_output *output, const struct buf *text,
                        struct buf *out)
{
    buf_append_format(
        out, "{\"type\":\"%s\",\"text\":", is_message(output) ? "output_text" : "reasoning_text");
    json_text_append(out, buf_text(text), text->len);
    buf_append_text(out, is_message(output) ? ",\"annotations\":[],\"logprobs\":[]}" : "}");
}

/* The item; `text` is NULL while nothing is said. */
static void append_item(const struct response_output *output, const char *status,
                        const struct buf *text, struct buf *out)
{
    buf_append_format(out, "{\"id\":\"%s\",\"type\":\"%s\",\"status\":\"%s\",%s\"content\":[",
                      output->open_id, is_message(output) ? "message" : "reasoning", status,
                      is_message(output) ? "\"role\":\"assistant\"," : "\"summary\":[],");
    if (text != NULL)
        append_part(output, text, out);
    buf_append_text(out, "]}");
}

static void part_event(struct response_output *output, const char *type, const struct buf *text)
{
    if (!output->has_events)
        return;
    begin_event(output, type);
    append_place(output, true);
    buf_append_text(&output->frames, ",\"part\":");
    append_part(output, text, &output->frames);
    end_event(output);
}

/* response.output_text.delta and .done, or the same of a reasoning. */
static void text_event(struct response_output *output, const char *verb, const char *field,
                       const char *text, size_t len)
{
    char type[64];
    if (!output->has_events)
        return;
    snprintf(type, sizeof type, "response.%s_text.%s", is_message(output) ? "output" : "reasoning",
             verb);
    begin_event(output, type);
    append_place(output, true);
    buf_append_format(&output->frames, ",\"%s\":", field);
    json_text_append(&output->frames, text, len);
    if (is_message(output))
        buf_append_text(&output->frames, ",\"logprobs\":[]");
    end_event(output);
}

static void name_item(struct response_output *output, const char *prefix)
{
    if (output->next_id[0] != '\0')
        memcpy(output->open_id, output->next_id, sizeof output->open_id);
    else
        item_make_id(prefix, output->open_id);
    output->next_id[0] = '\0';
}

static void open_item(struct response_output *output, enum response_part part)
{
    output->open = part;
    buf_clear(&output->open_text);
    name_item(output, part == RESPONSE_PART_TEXT ? "msg" : "rs");
    struct buf item;
    buf_init(&item);
    append_item(output, "in_progress", NULL, &item);
    item_event(output, "response.output_item.added", output->items->n, buf_text(&item), item.len);
    buf_done(&item);
    part_event(output, "response.content_part.added", &output->open_text);
}

static bool close_item(struct response_output *output, bool is_complete)
{
    if (output->open == RESPONSE_PART_NONE)
        return true;
    const struct buf *text = &output->open_text;
    text_event(output, "done", "text", buf_text(text), text->len);
    part_event(output, "response.content_part.done", text);
    struct buf item;
    buf_init(&item);
    append_item(output, is_complete ? "completed" : "incomplete", text, &item);
    item_event(output, "response.output_item.done", output->items->n, buf_text(&item), item.len);
    bool is_good = !text->failed && !item.failed &&
                   item_list_push(output->items, output->open_id, item.data, item.len);
    buf_done(&item);
    output->open = RESPONSE_PART_NONE;
    return is_good;
}

bool response_output_text(struct response_output *output, enum response_part part, const char *text,
                          size_t len)
{
    if (output->open != part) {
        if (!close_item(output, true))
            return false;
        open_item(output, part);
    }
    buf_append(&output->open_text, text, len);
    text_event(output, "delta", "delta", text, len);
    return !output->open_text.failed && !output->frames.failed;
}

/* ---- function calls ---- */

static void append_call(const struct response_output *output, const char *status,
                        const char *call_id, const char *name, const char *arguments,
                        struct buf *out)
{
    buf_append_format(out,
                      "{\"id\":\"%s\",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":",
                      output->open_id, status);
    json_text_append_string(out, call_id);
    buf_append_text(out, ",\"name\":");
    json_text_append_string(out, name);
    buf_append_text(out, ",\"arguments\":");
    json_text_append_string(out, arguments);
    buf_append_char(out, '}');
}

static void arguments_event(struct response_output *output, const char *type, const char *field,
                            const char *name, const char *arguments)
{
    if (!output->has_events)
        return;
    begin_event(output, type);
    append_place(output, false);
    if (name != NULL) {
        buf_append_text(&output->frames, ",\"name\":");
        json_text_append_string(&output->frames, name);
    }
    buf_append_format(&output->frames, ",\"%s\":", field);
    json_text_append_string(&output->frames, arguments);
    end_event(output);
}

bool response_output_call(struct response_output *output, const char *call_id, const char *name,
                          const char *arguments)
{
    if (!close_item(output, true))
        return false;
    struct buf item;
    buf_init(&item);
    name_item(output, "fc");
    append_call(output, "in_progress", call_id, name, "", &item);
    item_event(output, "response.output_item.added", output->items->n, buf_text(&item), item.len);
    arguments_event(output, "response.function_call_arguments.delta", "delta", NULL, arguments);
    arguments_event(output, "response.function_call_arguments.done", "arguments", name, arguments);
    buf_clear(&item);
    append_call(output, "completed", call_id, name, arguments, &item);
    item_event(output, "response.output_item.done", output->items->n, buf_text(&item), item.len);
    bool is_good =
        !item.failed && item_list_push(output->items, output->open_id, item.data, item.len);
    buf_done(&item);
    return is_good;
}

/* ---- the whole ---- */

void response_output_begin(struct response_output *output, const struct response_row *row)
{
    lifecycle_event(output, "response.created", row);
    lifecycle_event(
        output, row->status == RESPONSE_QUEUED ? "response.queued" : "response.in_progress", row);
}

bool response_output_close(struct response_output *output, bool is_complete)
{
    if (output->open == RESPONSE_PART_NONE && output->items->n == 0)
        open_item(output, RESPONSE_PART_TEXT);
    return close_item(output, is_complete);
}

void response_output_end(struct response_output *output, const struct response_row *row)
{
    const char *type = row->status == RESPONSE_COMPLETED ? "response.completed"
                       : row->status == RESPONSE_FAILED  ? "response.failed"
                                                         : "response.incomplete";
    lifecycle_event(output, type, row);
}
