#include "server/chat_reply.h"

#include "server/api_error.h"
#include "server/generation.h"
#include "server/json_text.h"

static const char *finish_name(enum engine_finish finish)
{
    return finish == ENGINE_FINISH_STOP ? "stop" : "length";
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

static void append_usage(const struct engine_usage *usage, struct buf *out)
{
    long long n_prompt = (long long)usage->n_cached + usage->n_prompt;
    buf_append_format(out,
                      "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%d,"
                      "\"total_tokens\":%lld,\"prompt_tokens_details\":{\"cached_tokens\":%lld,"
                      "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
                      n_prompt, usage->n_generated, n_prompt + usage->n_generated,
                      (long long)usage->n_cached);
}

static double per_second(int n, int64_t ns)
{
    return ns > 0 ? n * 1e9 / (double)ns : 0;
}

/* Our own words about the session, and the timings that other servers report in this form. */
static void append_session(const struct generation_end *end, struct buf *out)
{
    const struct engine_usage *usage = &end->usage;
    buf_append_text(out, "\"session\":{\"id\":");
    json_text_append_string(out, end->conversation_id);
    buf_append_format(out,
                      ",\"match\":\"%s\",\"window\":%d,\"sinks\":%d,\"position\":%lld,"
                      "\"evicted_tokens\":%lld}",
                      end->match, end->n_window, end->n_sinks, (long long)usage->position,
                      (long long)usage->n_evicted);
    buf_append_format(out,
                      ",\"timings\":{\"cache_n\":%lld,\"prompt_n\":%d,\"prompt_ms\":%.3f,"
                      "\"prompt_per_second\":%.3f,\"predicted_n\":%d,\"predicted_ms\":%.3f,"
                      "\"predicted_per_second\":%.3f}",
                      (long long)usage->n_cached, usage->n_prompt, (double)usage->prefill_ns / 1e6,
                      per_second(usage->n_prompt, usage->prefill_ns), usage->n_generated,
                      (double)usage->decode_ns / 1e6,
                      per_second(usage->n_generated, usage->decode_ns));
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

void chat_reply_begin(const struct chat_reply *reply, struct buf *out)
{
    begin_chunk(reply, out);
    buf_append_text(out, reply->is_chat
                             ? ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                               "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]"
                             : ",\"choices\":[{\"index\":0,\"text\":\"\",\"logprobs\":null,"
                               "\"finish_reason\":null}]");
    end_chunk(reply, out);
}

void chat_reply_text(const struct chat_reply *reply, const char *text, size_t len, struct buf *out)
{
    begin_chunk(reply, out);
    buf_append_text(out, reply->is_chat ? ",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
                                        : ",\"choices\":[{\"index\":0,\"text\":");
    json_text_append(out, text, len);
    buf_append_text(out, reply->is_chat ? "},\"logprobs\":null,\"finish_reason\":null}]"
                                        : ",\"logprobs\":null,\"finish_reason\":null}]");
    end_chunk(reply, out);
}

void chat_reply_finish(const struct chat_reply *reply, const struct generation_end *end,
                       struct buf *out)
{
    begin_chunk(reply, out);
    buf_append_format(out,
                      ",\"choices\":[{\"index\":0,%s,\"logprobs\":null,\"finish_reason\":\"%s\"}],",
                      reply->is_chat ? "\"delta\":{}" : "\"text\":\"\"", finish_name(end->finish));
    append_session(end, out);
    end_chunk(reply, out);

    if (reply->include_usage) {
        begin_chunk(reply, out);
        buf_append_text(out, ",\"choices\":[],");
        append_usage(&end->usage, out);
        buf_append_text(out, "}\n\n");
    }
    buf_append_text(out, "data: [DONE]\n\n");
}

void chat_reply_fail(const struct api_error *error, struct buf *out)
{
    buf_append_text(out, "data: ");
    api_error_write(error, out);
    buf_append_text(out, "\n\ndata: [DONE]\n\n");
}

void chat_reply_whole(const struct chat_reply *reply, const struct generation_end *end,
                      struct buf *out)
{
    append_identity(reply, reply->is_chat ? "chat.completion" : "text_completion", out);
    buf_append_text(out, reply->is_chat ? ",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                                          "\"assistant\",\"content\":"
                                        : ",\"choices\":[{\"index\":0,\"text\":");
    json_text_append(out, end->text, end->len);
    buf_append_format(out, "%s,\"logprobs\":null,\"finish_reason\":\"%s\"}],",
                      reply->is_chat ? ",\"refusal\":null,\"annotations\":[]}" : "",
                      finish_name(end->finish));
    append_usage(&end->usage, out);
    buf_append_char(out, ',');
    append_session(end, out);
    buf_append_char(out, '}');
}
