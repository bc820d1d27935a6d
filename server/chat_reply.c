#include "server/chat_reply.h"

#include "server/api_error.h"
#include "server/generation.h"
#include "server/json_text.h"
#include "server/logprobs_reply.h"

static const char *finish_name(const struct generation_end *end)
{
    if (end->finish != ENGINE_FINISH_STOP)
        return "length";
    return end->answer->n_calls > 0 ? "tool_calls" : "stop";
}

static void append_identity(const struct chat_reply *reply, const char *object, struct buf *out)
{
    buf_append_text(out, "{\"id\":");
    json_text_append_string(out, reply->id);
    buf_append_format(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":", object,
                      (long long)reply->created);
    json_text_append_string(out, reply->model);
    buf_append_text(out, ",\"system_fingerprint\":");
    json_text_append_string(out, reply->fingerprint);
}

static void append_usage(const struct chat_reply_usage *usage, struct buf *out)
{
    long long n_prompt = (long long)(usage->n_cached + usage->n_prompt);
    buf_append_format(
        out,
        "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%d,"
        "\"total_tokens\":%lld,\"prompt_tokens_details\":{\"cached_tokens\":%lld,"
        "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":%d}}",
        n_prompt, usage->n_generated, n_prompt + usage->n_generated, (long long)usage->n_cached,
        usage->n_thought);
}

static double per_second(int n, int64_t ns)
{
    return ns > 0 ? n * 1e9 / (double)ns : 0;
}

/* As other servers report them. */
static void append_timings(const struct engine_usage *usage, struct buf *out)
{
    buf_append_format(out,
                      ",\"timings\":{\"cache_n\":%lld,\"prompt_n\":%d,\"prompt_ms\":%.3f,"
                      "\"prompt_per_second\":%.3f,\"predicted_n\":%d,\"predicted_ms\":%.3f,"
                      "\"predicted_per_second\":%.3f",
                      (long long)usage->n_cached, usage->n_prompt, (double)usage->prefill_ns / 1e6,
                      per_second(usage->n_prompt, usage->prefill_ns), usage->n_generated,
                      (double)usage->decode_ns / 1e6,
                      per_second(usage->n_generated, usage->decode_ns));
    if (usage->n_drafted > 0)
        buf_append_format(out, ",\"draft_n\":%d,\"draft_n_accepted\":%d", usage->n_drafted,
                          usage->n_accepted);
    buf_append_text(out, "}");
}

/* Our own words about the session, and the timings. */
void chat_reply_session(const struct generation_end *end, struct buf *out)
{
    const struct engine_usage *usage = &end->usage;
    buf_append_text(out, ",\"session\":{\"id\":");
    json_text_append_string(out, end->conversation_id);
    buf_append_format(out,
                      ",\"match\":\"%s\",\"window\":%d,\"sinks\":%d,\"position\":%lld,"
                      "\"evicted_tokens\":%lld}",
                      end->match, end->n_window, end->n_sinks, (long long)usage->position,
                      (long long)usage->n_evicted);
    append_timings(usage, out);
}

static void begin_chunk(const struct chat_reply *reply, struct buf *out)
{
    buf_append_text(out, "data: ");
    append_identity(reply, reply->is_chat ? "chat.completion.chunk" : "text_completion", out);
}

static void end_chunk(const struct chat_reply *reply, struct buf *out)
{
    buf_append_text(out, reply->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void append_logprobs(const struct chat_reply *reply, const struct token_report *reports,
                            size_t n_reports, const struct logprobs_text *text, struct buf *out)
{
    buf_append_text(out, ",\"logprobs\":");
    if (!reply->has_logprobs)
        buf_append_text(out, "null");
    else if (reply->is_chat)
        logprobs_reply_chat(reply->tokenizer, reports, n_reports, out);
    else
        logprobs_reply_completion(reply->tokenizer, reports, n_reports, text, out);
}

static void begin(const struct chat_reply *reply, struct chat_reply_choice *choice,
                  const struct generation_start *start, struct buf *out)
{
    (void)start;
    begin_chunk(reply, out);
    buf_append_format(out, ",\"choices\":[{\"index\":%d,", choice->index);
    if (reply->is_chat) {
        buf_append_text(out, "\"delta\":{\"role\":\"assistant\",\"content\":");
        json_text_append(out, choice->echo, choice->echo_len);
        buf_append_char(out, '}');
    } else {
        buf_append_text(out, "\"text\":");
        json_text_append(out, choice->echo, choice->echo_len);
    }
    buf_append_text(out, ",\"logprobs\":null,\"finish_reason\":null}]");
    end_chunk(reply, out);
}

static void append_part(const struct generation_delta *delta, struct buf *out)
{
    switch (delta->part) {
    case ANSWER_CALL:
        buf_append_format(out, "\"tool_calls\":[{\"index\":%zu,\"id\":", delta->call);
        json_text_append_string(out, delta->call_id);
        buf_append_text(out, ",\"type\":\"function\",\"function\":{\"name\":");
        json_text_append(out, delta->text, delta->len);
        buf_append_text(out, ",\"arguments\":\"\"}}]");
        return;
    case ANSWER_ARGUMENTS:
        buf_append_format(
            out, "\"tool_calls\":[{\"index\":%zu,\"function\":{\"arguments\":", delta->call);
        json_text_append(out, delta->text, delta->len);
        buf_append_text(out, "}}]");
        return;
    case ANSWER_REASONING:
        buf_append_text(out, "\"reasoning_content\":");
        break;
    case ANSWER_CONTENT:
        buf_append_text(out, "\"content\":");
        break;
    }
    json_text_append(out, delta->text, delta->len);
}

static void delta_chunk(const struct chat_reply *reply, struct chat_reply_choice *choice,
                        const struct generation_delta *delta, struct buf *out)
{
    struct logprobs_text text = {
        .text = delta->text,
        .len = delta->len,
        .text_begin = choice->n_bytes,
        .n_before =
            choice->n_characters + logprobs_count_characters(choice->echo, choice->echo_len),
    };
    begin_chunk(reply, out);
    buf_append_format(out, ",\"choices\":[{\"index\":%d,", choice->index);
    if (reply->is_chat) {
        buf_append_text(out, "\"delta\":{");
        append_part(delta, out);
        buf_append_char(out, '}');
    } else {
        buf_append_text(out, "\"text\":");
        json_text_append(out, delta->text, delta->len);
    }
    append_logprobs(reply, delta->reports, delta->n_reports, &text, out);
    buf_append_text(out, ",\"finish_reason\":null}]");
    if (reply->has_timings)
        append_timings(delta->usage, out);
    end_chunk(reply, out);
    choice->n_bytes += delta->len;
    choice->n_characters += logprobs_count_characters(delta->text, delta->len);
}

/* Of those tokens that the session had, all are processed. */
static void progress(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                     int n_read, const struct engine_usage *usage, struct buf *out)
{
    long long n_cached = (long long)usage->n_cached;
    begin_chunk(reply, out);
    buf_append_format(out,
                      ",\"choices\":[{\"index\":%d,%s,\"logprobs\":null,\"finish_reason\":null}],"
                      "\"prompt_progress\":{\"total\":%lld,\"cache\":%lld,\"processed\":%lld,"
                      "\"time_ms\":%.0f}",
                      choice->index, reply->is_chat ? "\"delta\":{}" : "\"text\":\"\"",
                      n_cached + usage->n_prompt, n_cached, n_cached + n_read,
                      (double)usage->prefill_ns / 1e6);
    end_chunk(reply, out);
}

static void finish(const struct chat_reply *reply, struct chat_reply_choice *choice,
                   const struct generation_end *end, struct buf *out)
{
    begin_chunk(reply, out);
    buf_append_format(
        out, ",\"choices\":[{\"index\":%d,%s,\"logprobs\":null,\"finish_reason\":\"%s\"}]",
        choice->index, reply->is_chat ? "\"delta\":{}" : "\"text\":\"\"", finish_name(end));
    chat_reply_session(end, out);
    end_chunk(reply, out);
}

static void close_stream(const struct chat_reply *reply, const struct chat_reply_usage *usage,
                         struct buf *out)
{
    if (reply->include_usage) {
        begin_chunk(reply, out);
        buf_append_text(out, ",\"choices\":[],");
        append_usage(usage, out);
        buf_append_text(out, "}\n\n");
    }
    buf_append_text(out, "data: [DONE]\n\n");
}

static void fail(const struct api_error *error, struct buf *out)
{
    buf_append_text(out, "data: ");
    api_error_write(error, out);
    buf_append_text(out, "\n\ndata: [DONE]\n\n");
}

static void append_text(const struct chat_reply_choice *choice, const struct generation_end *end,
                        struct buf *out)
{
    if (choice->echo_len == 0) {
        json_text_append(out, end->text, end->len);
        return;
    }
    struct buf whole;
    buf_init(&whole);
    buf_append(&whole, choice->echo, choice->echo_len);
    buf_append(&whole, end->text, end->len);
    if (whole.failed)
        out->failed = true;
    json_text_append(out, buf_text(&whole), whole.len);
    buf_done(&whole);
}

static void append_calls(const struct answer *answer, struct buf *out)
{
    buf_append_text(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < answer->n_calls; i++) {
        const struct answer_call *call = &answer->calls[i];
        buf_append_text(out, i == 0 ? "{\"id\":" : ",{\"id\":");
        json_text_append_string(out, call->id);
        buf_append_text(out, ",\"type\":\"function\",\"function\":{\"name\":");
        json_text_append(out, buf_text(&call->name), call->name.len);
        buf_append_text(out, ",\"arguments\":");
        json_text_append(out, buf_text(&call->arguments), call->arguments.len);
        buf_append_text(out, "}}");
    }
    buf_append_char(out, ']');
}

static void append_message(const struct chat_reply_choice *choice, const struct generation_end *end,
                           struct buf *out)
{
    const struct answer *answer = end->answer;
    buf_append_text(out, "\"message\":{\"role\":\"assistant\",\"content\":");
    if (answer->n_calls > 0 && end->len == 0 && choice->echo_len == 0)
        buf_append_text(out, "null");
    else
        append_text(choice, end, out);
    if (answer->reasoning.len > 0) {
        buf_append_text(out, ",\"reasoning_content\":");
        json_text_append(out, answer->reasoning.data, answer->reasoning.len);
    }
    if (answer->n_calls > 0)
        append_calls(answer, out);
    buf_append_text(out, ",\"refusal\":null,\"annotations\":[]}");
}

static void append_choice(const struct chat_reply *reply, const struct chat_reply_choice *choice,
                          const struct generation_end *end, struct buf *out)
{
    struct logprobs_text text = {
        .text = end->text,
        .len = end->len,
        .n_before = logprobs_count_characters(choice->echo, choice->echo_len),
    };
    buf_append_format(out, "{\"index\":%d,", choice->index);
    if (reply->is_chat) {
        append_message(choice, end, out);
    } else {
        buf_append_text(out, "\"text\":");
        append_text(choice, end, out);
    }
    append_logprobs(reply, end->reports, end->n_reports, &text, out);
    buf_append_format(out, ",\"finish_reason\":\"%s\"}", finish_name(end));
}

static void whole_begin(const struct chat_reply *reply, struct buf *out)
{
    append_identity(reply, reply->is_chat ? "chat.completion" : "text_completion", out);
    buf_append_text(out, ",\"choices\":[");
}

static void whole_end(const struct chat_reply_usage *usage, struct buf *out)
{
    buf_append_text(out, "],");
    append_usage(usage, out);
}

const struct chat_form chat_reply_form = {
    .begin = begin,
    .delta = delta_chunk,
    .progress = progress,
    .finish = finish,
    .close = close_stream,
    .fail = fail,
    .choice = append_choice,
    .whole_begin = whole_begin,
    .whole_end = whole_end,
};
