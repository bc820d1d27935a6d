#include "server/response_reply.h"

#include "core/base/buf.h"
#include "core/engine/engine.h"
#include "server/http_exchange.h"
#include "server/json_text.h"
#include "server/store_responses.h"

static void write_object(const char *name, const struct buf *object, struct buf *out)
{
    buf_append_format(out, ",\"%s\":", name);
    if (object->len == 0)
        buf_append_text(out, "null");
    else
        buf_append(out, object->data, object->len);
}

/* {"NAME":"VALUE"} or null. */
static void write_wrapped(const char *name, const char *key, const char *value, struct buf *out)
{
    buf_append_format(out, ",\"%s\":", name);
    if (value[0] == '\0') {
        buf_append_text(out, "null");
        return;
    }
    buf_append_format(out, "{\"%s\":", key);
    json_text_append_string(out, value);
    buf_append_char(out, '}');
}

void response_reply_write(const struct response_row *row, struct buf *out)
{
    buf_append_text(out, "{\"id\":");
    json_text_append_string(out, row->id);
    buf_append_format(out, ",\"object\":\"response\",\"created_at\":%lld,\"completed_at\":",
                      (long long)row->created);
    if (row->completed == 0)
        buf_append_text(out, "null");
    else
        buf_append_format(out, "%lld", (long long)row->completed);
    buf_append_format(out, ",\"access_programs\":null,\"status\":\"%s\"",
                      response_status_name(row->status));
    write_object("error", &row->error, out);
    write_wrapped("incomplete_details", "reason", row->incomplete_reason, out);
    buf_append_text(out, ",\"previous_response_id\":");
    json_text_append_string(out, row->previous[0] == '\0' ? NULL : row->previous);
    write_wrapped("conversation", "id", row->conversation, out);
    buf_append_text(out, ",\"output\":[");
    item_list_append(&row->output, out);
    buf_append_char(out, ']');
    write_object("usage", &row->usage, out);
    buf_append(out, buf_text(&row->session), row->session.len);
    if (row->echo.len > 2) { /* the members of the object */
        buf_append_char(out, ',');
        buf_append(out, row->echo.data + 1, row->echo.len - 1);
    } else {
        buf_append_char(out, '}');
    }
}

void response_reply_send(const struct response_row *row, struct http_exchange *exchange)
{
    struct buf body;
    buf_init(&body);
    response_reply_write(row, &body);
    http_exchange_reply(exchange, 200, "application/json", &body);
}

void response_reply_write_usage(const struct engine_usage *usage, int n_thought, struct buf *out)
{
    long long n_input = (long long)usage->n_cached + usage->n_prompt;
    buf_append_format(out,
                      "{\"input_tokens\":%lld,\"input_tokens_details\":{\"cached_tokens\":%lld,"
                      "\"cache_write_tokens\":0},\"output_tokens\":%d,\"output_tokens_details\":{"
                      "\"reasoning_tokens\":%d},\"total_tokens\":%lld}",
                      n_input, (long long)usage->n_cached, usage->n_generated, n_thought,
                      n_input + usage->n_generated);
}

void response_reply_write_error(const char *code, const char *message, struct buf *out)
{
    buf_append_text(out, "{\"code\":");
    json_text_append_string(out, code);
    buf_append_text(out, ",\"message\":");
    json_text_append_string(out, message);
    buf_append_char(out, '}');
}
