#include "server/info_reply.h"

#include "server/json_text.h"

void info_reply_model(const struct engine_info *info, int64_t created, struct buf *out)
{
    buf_append_text(out, "{\"id\":");
    json_text_append_string(out, info->model_name);
    buf_append_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"sinkd\"",
                      (long long)created);
    buf_append_text(out, ",\"meta\":{\"architecture\":");
    json_text_append_string(out, info->architecture);
    buf_append_format(out,
                      ",\"n_vocab\":%d,\"n_ctx_train\":%d,\"n_params\":%llu,\"size\":%zu,"
                      "\"window\":%d,\"sinks\":%d,\"kv_type\":\"%s\",\"session_bytes\":%zu}}",
                      info->n_vocab, info->n_context, (unsigned long long)info->n_parameters,
                      info->file_bytes, info->n_window, info->n_sinks, kv_type_name(info->kv_type),
                      info->session_bytes);
}

void info_reply_models(const struct engine_info *info, int64_t created, struct buf *out)
{
    buf_append_text(out, "{\"object\":\"list\",\"data\":[");
    info_reply_model(info, created, out);
    buf_append_text(out, "]}");
}

static void append_metric(struct buf *out, const char *name, const char *type, const char *help,
                          uint64_t value)
{
    buf_append_format(out, "# HELP sinkd_%s %s\n# TYPE sinkd_%s %s\nsinkd_%s %llu\n", name, help,
                      name, type, name, (unsigned long long)value);
}

void info_reply_metrics(const struct engine_counters *counters, const struct info_counts *counts,
                        struct buf *out)
{
    buf_append_text(out, "# HELP sinkd_build_info Version of the daemon.\n"
                         "# TYPE sinkd_build_info gauge\n"
                         "sinkd_build_info{version=\"" SINKD_VERSION "\"} 1\n");
    append_metric(out, "steps_total", "counter", "Batched forward steps.", counters->n_steps);
    append_metric(out, "prompt_tokens_total", "counter", "Prompt tokens computed.",
                  counters->n_prompt_tokens);
    append_metric(out, "cached_tokens_total", "counter", "Prompt tokens found in sessions.",
                  counters->n_cached_tokens);
    append_metric(out, "generated_tokens_total", "counter", "Tokens generated.",
                  counters->n_generated_tokens);
    append_metric(out, "evicted_tokens_total", "counter", "Tokens that left a session's window.",
                  counters->n_evicted_tokens);
    append_metric(out, "requests_active", "gauge", "Generations being computed.",
                  (uint64_t)counters->n_active);
    append_metric(out, "requests_waiting", "gauge", "Generations waiting for their first step.",
                  (uint64_t)counters->n_waiting + (uint64_t)counts->n_turns_waiting);
    append_metric(out, "turns_open", "gauge", "Generations accepted and not finished.",
                  (uint64_t)counts->n_turns);
    append_metric(out, "http_requests_open", "gauge", "HTTP requests with an unfinished reply.",
                  (uint64_t)counts->n_connections_open);
    append_metric(out, "sessions", "gauge", "Sessions held in memory.",
                  (uint64_t)counters->n_sessions);
    append_metric(out, "conversations", "gauge", "Conversations remembered as text.",
                  (uint64_t)counts->n_conversations);
    buf_append_format(out,
                      "# HELP sinkd_last_step_seconds Time of the last step.\n"
                      "# TYPE sinkd_last_step_seconds gauge\nsinkd_last_step_seconds %.6f\n",
                      (double)counters->last_step_ns / 1e9);
}
