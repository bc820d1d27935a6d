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
    buf_init(&output->open_logprobs);
    buf_init(&output->call_id);
    buf_init(&output->name);
}

void response_output_done(struct response_output *output)
{
    buf_done(&output->frames);
    buf_done(&output->open_text);
    buf_done(&output->open_logprobs);
    buf_done(&output->call_id);
    buf_done(&output->name);
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

/* An event of the open item, up to its own fields. */
static void begin_item_event(struct response_output *output, const char *type)
{
    begin_event(output, type);
    buf_append_format(&output->frames, ",\"item_id\":\"%s\",\"output_index\":%zu", output->open_id,
                      output->items->n);
    if (output->open != RESPONSE_PART_CALL)
        buf_append_text(&output->frames, ",\"content_index\":0");
}

/* ---- the open item ---- */

/* `logprobs` may be NULL. */
static void append_logprobs(const struct buf *logprobs, struct buf *out)
{
    buf_append_text(out, ",\"logprobs\":[");
    if (logprobs != NULL)
        buf_append(out, buf_text(logprobs), logprobs->len);
    buf_append_char(out, ']');
}

static void append_part(const struct response_output *output, struct buf *out)
{
    bool is_message = output->open == RESPONSE_PART_TEXT;
    buf_append_format(out,
                      "{\"type\":\"%s\",\"text\":", is_message ? "output_text" : "reasoning_text");
    json_text_append(out, buf_text(&output->open_text), output->open_text.len);
    if (is_message) {
        buf_append_text(out, ",\"annotations\":[]");
        append_logprobs(&output->open_logprobs, out);
    }
    buf_append_char(out, '}');
}

static void append_call(const struct response_output *output, struct buf *out)
{
    buf_append_text(out, "\"call_id\":");
    json_text_append(out, buf_text(&output->call_id), output->call_id.len);
    buf_append_text(out, ",\"name\":");
    json_text_append(out, buf_text(&output->name), output->name.len);
    buf_append_text(out, ",\"arguments\":");
    json_text_append(out, buf_text(&output->open_text), output->open_text.len);
    buf_append_char(out, '}');
}

/* With its text, or while nothing is said yet. */
static void append_item(const struct response_output *output, const char *status, bool with_text,
                        struct buf *out)
{
    static const char *const types[] = {
        [RESPONSE_PART_TEXT] = "message",
        [RESPONSE_PART_REASONING] = "reasoning",
        [RESPONSE_PART_CALL] = "function_call",
    };
    buf_append_format(out, "{\"id\":\"%s\",\"type\":\"%s\",\"status\":\"%s\",", output->open_id,
                      types[output->open], status);
    if (output->open == RESPONSE_PART_CALL) {
        append_call(output, out);
        return;
    }
    buf_append_text(out, output->open == RESPONSE_PART_TEXT ? "\"role\":\"assistant\",\"content\":["
                                                            : "\"summary\":[],\"content\":[");
    if (with_text)
        append_part(output, out);
    buf_append_text(out, "]}");
}

static void item_event(struct response_output *output, const char *type, const struct buf *item)
{
    if (!output->has_events)
        return;
    begin_event(output, type);
    buf_append_format(&output->frames, ",\"output_index\":%zu,\"item\":", output->items->n);
    buf_append(&output->frames, buf_text(item), item->len);
    end_event(output);
}

static void part_event(struct response_output *output, const char *type)
{
    if (!output->has_events || output->open == RESPONSE_PART_CALL)
        return;
    begin_item_event(output, type);
    buf_append_text(&output->frames, ",\"part\":");
    append_part(output, &output->frames);
    end_event(output);
}

static const char *text_event_name(const struct response_output *output)
{
    static const char *const names[] = {
        [RESPONSE_PART_TEXT] = "output_text",
        [RESPONSE_PART_REASONING] = "reasoning_text",
        [RESPONSE_PART_CALL] = "function_call_arguments",
    };
    return names[output->open];
}

static void delta_event(struct response_output *output, const struct response_piece *piece)
{
    char type[64];
    if (!output->has_events)
        return;
    snprintf(type, sizeof type, "response.%s.delta", text_event_name(output));
    begin_item_event(output, type);
    buf_append_text(&output->frames, ",\"delta\":");
    json_text_append(&output->frames, piece->text, piece->len);
    if (output->open == RESPONSE_PART_TEXT)
        append_logprobs(piece->logprobs, &output->frames);
    end_event(output);
}

static void done_event(struct response_output *output)
{
    char type[64];
    bool is_call = output->open == RESPONSE_PART_CALL;
    if (!output->has_events)
        return;
    snprintf(type, sizeof type, "response.%s.done", text_event_name(output));
    begin_item_event(output, type);
    if (is_call) {
        buf_append_text(&output->frames, ",\"name\":");
        json_text_append(&output->frames, buf_text(&output->name), output->name.len);
    }
    buf_append_text(&output->frames, is_call ? ",\"arguments\":" : ",\"text\":");
    json_text_append(&output->frames, buf_text(&output->open_text), output->open_text.len);
    if (output->open == RESPONSE_PART_TEXT)
        append_logprobs(&output->open_logprobs, &output->frames);
    end_event(output);
}

static void open_item(struct response_output *output, enum response_part part)
{
    static const char *const prefixes[] = {
        [RESPONSE_PART_TEXT] = "msg",
        [RESPONSE_PART_REASONING] = "rs",
        [RESPONSE_PART_CALL] = "fc",
    };
    output->open = part;
    buf_clear(&output->open_text);
    buf_clear(&output->open_logprobs);
    if (output->next_id[0] != '\0')
        memcpy(output->open_id, output->next_id, sizeof output->open_id);
    else
        item_make_id(prefixes[part], output->open_id);
    output->next_id[0] = '\0';
    struct buf item;
    buf_init(&item);
    append_item(output, "in_progress", false, &item);
    item_event(output, "response.output_item.added", &item);
    buf_done(&item);
    part_event(output, "response.content_part.added");
}

static bool close_item(struct response_output *output, bool is_complete)
{
    if (output->open == RESPONSE_PART_NONE)
        return true;
    done_event(output);
    part_event(output, "response.content_part.done");
    struct buf item;
    buf_init(&item);
    append_item(output, is_complete ? "completed" : "incomplete", true, &item);
    item_event(output, "response.output_item.done", &item);
    bool has_failed = item.failed || output->open_text.failed || output->open_logprobs.failed;
    bool is_good =
        !has_failed && item_list_push(output->items, output->open_id, item.data, item.len);
    buf_done(&item);
    output->open = RESPONSE_PART_NONE;
    return is_good;
}

bool response_output_say(struct response_output *output, const struct response_piece *piece)
{
    if (output->open != piece->part) {
        if (!close_item(output, true))
            return false;
        open_item(output, piece->part);
    }
    buf_append(&output->open_text, piece->text, piece->len);
    if (piece->logprobs != NULL && piece->logprobs->len > 0) {
        if (output->open_logprobs.len > 0)
            buf_append_char(&output->open_logprobs, ',');
        buf_append(&output->open_logprobs, piece->logprobs->data, piece->logprobs->len);
    }
    delta_event(output, piece);
    return !output->open_text.failed && !output->frames.failed;
}

bool response_output_begin_call(struct response_output *output, const char *call_id,
                                const char *name, size_t name_len)
{
    if (!close_item(output, true))
        return false;
    buf_clear(&output->call_id);
    buf_clear(&output->name);
    buf_append_text(&output->call_id, call_id);
    buf_append(&output->name, name, name_len);
    open_item(output, RESPONSE_PART_CALL);
    return !output->call_id.failed && !output->name.failed;
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
