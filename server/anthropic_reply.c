#include "server/anthropic_reply.h"

#include <jansson.h>

#include "server/api_error.h"
#include "server/chat_reply.h"
#include "server/generation.h"
#include "server/json_load.h"
#include "server/json_text.h"

/* Of a thought. Clients give it back with the thought, and some drop one that has none. */
static const char signature[] = "sinkd";

/* ---- parts of both forms ---- */

static const char *stop_reason(const struct generation_end *end)
{
    if (end->finish != ENGINE_FINISH_STOP)
        return "max_tokens";
    if (end->answer->n_calls > 0)
        return "tool_use";
    return end->stop != NULL ? "stop_sequence" : "end_turn";
}

static void append_stop(const struct generation_end *end, struct buf *out)
{
    const char *reason = stop_reason(end);
    buf_append_format(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", reason);
    json_text_append_string(out, reason[0] == 's' ? end->stop : NULL);
}

static void append_usage(int64_t n_prompt, int64_t n_cached, int n_generated, struct buf *out)
{
    buf_append_format(out,
                      "\"usage\":{\"input_tokens\":%lld,\"cache_creation_input_tokens\":0,"
                      "\"cache_read_input_tokens\":%lld,\"output_tokens\":%d}",
                      (long long)n_prompt, (long long)n_cached, n_generated);
}

static void append_identity(const struct chat_reply *reply, struct buf *out)
{
    buf_append_text(out, "{\"id\":");
    json_text_append_string(out, reply->id);
    buf_append_text(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    json_text_append_string(out, reply->model);
}

/* ---- a stream ---- */

/* Everything of an event up to its own fields. */
static void begin_event(const char *type, struct buf *out)
{
    buf_append_format(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void end_event(struct buf *out)
{
    buf_append_text(out, "}\n\n");
}

static void begin(const struct chat_reply *reply, struct chat_reply_choice *choice,
                  const struct generation_start *start, struct buf *out)
{
    (void)choice;
    begin_event("message_start", out);
    buf_append_text(out, ",\"message\":");
    append_identity(reply, out);
    buf_append_text(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
    append_usage(start->n_new, start->n_cached, 0, out);
    buf_append_char(out, '}');
    end_event(out);
    begin_event("ping", out);
    end_event(out);
}

static void begin_delta(const struct chat_reply_choice *choice, const char *type, const char *field,
                        struct buf *out)
{
    begin_event("content_block_delta", out);
    buf_append_format(out, ",\"index\":%d,\"delta\":{\"type\":\"%s\",\"%s\":", choice->n_blocks - 1,
                      type, field);
}

static void end_delta(struct buf *out)
{
    buf_append_char(out, '}');
    end_event(out);
}

static void close_block(struct chat_reply_choice *choice, struct buf *out)
{
    if (!choice->is_in_block)
        return;
    if (choice->block == ANSWER_REASONING) {
        begin_delta(choice, "signature_delta", "signature", out);
        json_text_append_string(out, signature);
        end_delta(out);
    }
    begin_event("content_block_stop", out);
    buf_append_format(out, ",\"index\":%d", choice->n_blocks - 1);
    end_event(out);
    choice->is_in_block = false;
}

static void open_block(struct chat_reply_choice *choice, const struct generation_delta *delta,
                       struct buf *out)
{
    close_block(choice, out);
    begin_event("content_block_start", out);
    buf_append_format(out, ",\"index\":%d,\"content_block\":{\"type\":", choice->n_blocks);
    if (delta->part == ANSWER_CALL) {
        buf_append_text(out, "\"tool_use\",\"id\":");
        json_text_append_string(out, delta->call_id);
        buf_append_text(out, ",\"name\":");
        json_text_append(out, delta->text, delta->len);
        buf_append_text(out, ",\"input\":{}}");
    } else {
        buf_append_text(out, delta->part == ANSWER_REASONING
                                 ? "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"
                                 : "\"text\",\"text\":\"\"}");
    }
    end_event(out);
    choice->n_blocks++;
    choice->is_in_block = true;
    choice->block = delta->part;
}

static void delta_event(const struct chat_reply *reply, struct chat_reply_choice *choice,
                        const struct generation_delta *delta, struct buf *out)
{
    static const struct {
        const char *type, *field;
    } kinds[] = {
        [ANSWER_CONTENT] = {"text_delta", "text"},
        [ANSWER_REASONING] = {"thinking_delta", "thinking"},
        [ANSWER_ARGUMENTS] = {"input_json_delta", "partial_json"},
    };
    (void)reply;
    if (delta->part == ANSWER_CALL) {
        open_block(choice, delta, out);
        return;
    }
    if (delta->len == 0)
        return;
    bool goes_on = delta->part == ANSWER_ARGUMENTS || choice->block == delta->part;
    if (!choice->is_in_block || !goes_on)
        open_block(choice, delta, out);
    begin_delta(choice, kinds[delta->part].type, kinds[delta->part].field, out);
    json_text_append(out, delta->text, delta->len);
    end_delta(out);
}

static void finish(const struct chat_reply *reply, struct chat_reply_choice *choice,
                   const struct generation_end *end, struct buf *out)
{
    (void)reply;
    close_block(choice, out);
    begin_event("message_delta", out);
    buf_append_text(out, ",\"delta\":{");
    append_stop(end, out);
    buf_append_text(out, "},");
    append_usage(end->usage.n_prompt, end->usage.n_cached, end->usage.n_generated, out);
    chat_reply_session(end, out);
    end_event(out);
}

static void close_stream(const struct chat_reply *reply, const struct chat_reply_usage *usage,
                         struct buf *out)
{
    (void)reply, (void)usage;
    begin_event("message_stop", out);
    end_event(out);
}

static void fail(const struct api_error *error, struct buf *out)
{
    buf_append_text(out, "event: error\ndata: ");
    anthropic_reply_error(error, out);
    buf_append_text(out, "\n\n");
}

/* ---- one object ---- */

/* Between blocks, of which the first is at `begin`. */
static void separate(size_t begin, struct buf *out)
{
    if (out->len > begin)
        buf_append_char(out, ',');
}

static void append_text(const char *type, const char *field, const struct buf *text,
                        struct buf *out)
{
    buf_append_format(out, "{\"type\":\"%s\",\"%s\":", type, field);
    json_text_append(out, buf_text(text), text->len);
}

/* What a limit of length has cut off is no JSON: a client can do nothing with it. */
static void append_input(const struct answer_call *call, struct buf *out)
{
    json_t *input =
        json_load_text(buf_text(&call->arguments), call->arguments.len, JSON_ALLOW_NUL, NULL);
    if (json_is_object(input))
        buf_append(out, buf_text(&call->arguments), call->arguments.len);
    else
        buf_append_text(out, "{}");
    json_decref(input);
}

static void append_call(const struct answer_call *call, struct buf *out)
{
    buf_append_text(out, "{\"type\":\"tool_use\",\"id\":");
    json_text_append_string(out, call->id);
    buf_append_text(out, ",\"name\":");
    json_text_append(out, buf_text(&call->name), call->name.len);
    buf_append_text(out, ",\"input\":");
    append_input(call, out);
    buf_append_char(out, '}');
}

static void append_choice(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                          const struct generation_end *end, struct buf *out)
{
    const struct answer *answer = end->answer;
    size_t begin_at = out->len;
    (void)reply, (void)choice;
    if (answer->reasoning.len > 0) {
        append_text("thinking", "thinking", &answer->reasoning, out);
        buf_append_format(out, ",\"signature\":\"%s\"}", signature);
    }
    if (answer->content.len > 0) {
        separate(begin_at, out);
        append_text("text", "text", &answer->content, out);
        buf_append_char(out, '}');
    }
    for (size_t i = 0; i < answer->n_calls; i++) {
        separate(begin_at, out);
        append_call(&answer->calls[i], out);
    }
    buf_append_text(out, "],");
    append_stop(end, out);
}

static void whole_begin(const struct chat_reply *reply, struct buf *out)
{
    append_identity(reply, out);
    buf_append_text(out, ",\"content\":[");
}

static void whole_end(const struct chat_reply_usage *usage, struct buf *out)
{
    buf_append_char(out, ',');
    append_usage(usage->n_prompt, usage->n_cached, usage->n_generated, out);
}

/* No client of this API asks for progress. */
const struct chat_form anthropic_form = {
    .begin = begin,
    .delta = delta_event,
    .finish = finish,
    .close = close_stream,
    .fail = fail,
    .choice = append_choice,
    .whole_begin = whole_begin,
    .whole_end = whole_end,
};

/* ---- errors ---- */

static const char *type_of(int status)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {
        {401, "authentication_error"}, {403, "permission_error"}, {404, "not_found_error"},
        {413, "request_too_large"},    {429, "rate_limit_error"}, {503, "overloaded_error"},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].status == status)
            return types[i].type;
    }
    return status >= 500 ? "api_error" : "invalid_request_error";
}

void anthropic_reply_error(const struct api_error *error, struct buf *out)
{
    buf_append_format(
        out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type_of(error->status));
    json_text_append_string(out, error->message);
    buf_append_text(out, "}}");
}
