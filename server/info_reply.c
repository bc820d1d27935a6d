#include "server/info_reply.h"

#include "core/base/buf.h"
#include "core/text/chat_template.h"
#include "server/generation_request.h"
#include "server/json_text.h"

void info_reply_model(const struct engine_info *info, const char *id, int64_t created,
                      struct buf *out)
{
    buf_append_text(out, "{\"id\":");
    json_text_append_string(out, id);
    buf_append_format(out,
                      ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"sinkd\","
                      "\"context_length\":%d,\"max_model_len\":%d",
                      (long long)created, info->n_window, info->n_window);
    buf_append_text(out, ",\"meta\":{\"architecture\":");
    json_text_append_string(out, info->architecture);
    buf_append_format(
        out,
        ",\"n_vocab\":%d,\"n_ctx\":%d,\"n_ctx_train\":%d,\"n_params\":%llu,\"size\":%zu,"
        "\"window\":%d,\"sinks\":%d,\"kv_type\":\"%s\",\"session_bytes\":%zu}}",
        info->n_vocab, info->n_window, info->n_context, (unsigned long long)info->n_parameters,
        info->file_bytes, info->n_window, info->n_sinks, kv_type_name(info->kv_type),
        info->session_bytes);
}

void info_reply_models(const struct engine_info *info, const char *id, int64_t created,
                       struct buf *out)
{
    buf_append_text(out, "{\"object\":\"list\",\"data\":[");
    info_reply_model(info, id, created, out);
    buf_append_text(out, "]}");
}

static void append_token(struct buf *out, const struct tokenizer *tokenizer, int32_t id)
{
    size_t len = 0;
    const char *name = id < 0 ? "" : tokenizer_name(tokenizer, id, &len);
    json_text_append(out, name, len);
}

static void append_caps(const struct chat_caps *caps, struct buf *out)
{
    const struct {
        const char *name;
        bool is_true;
    } all[] = {
        {"string_content", !caps->has_parts},
        {"typed_content", caps->has_parts},
        {"system_role", caps->has_system},
        {"tools", caps->has_tools},
        {"tool_calls", caps->has_calls},
        {"parallel_tool_calls", caps->has_many_calls},
        {"object_arguments", caps->has_object_arguments},
        {"preserve_reasoning", caps->keeps_thoughts},
    };
    buf_append_text(out, ",\"chat_template_caps\":{");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_append_format(out, "%s\"supports_%s\":%s", i > 0 ? "," : "", all[i].name,
                          all[i].is_true ? "true" : "false");
    buf_append_char(out, '}');
}

void info_reply_props(const struct engine_info *info, const struct tokenizer *tokenizer,
                      const struct chat_caps *caps, const struct generation_defaults *defaults,
                      int max_sessions, struct buf *out)
{
    const struct sampler_settings *sampling = &defaults->sampling;
    buf_append_format(out,
                      "{\"default_generation_settings\":{\"n_ctx\":%d,\"params\":{"
                      "\"n_predict\":%d,\"temperature\":%g,\"top_k\":%d,\"top_p\":%g,"
                      "\"min_p\":%g,\"repeat_penalty\":%g}},",
                      info->n_window, defaults->max_tokens, (double)sampling->temperature,
                      sampling->top_k, (double)sampling->top_p, (double)sampling->min_p,
                      (double)sampling->repetition_penalty);
    buf_append_format(out, "\"total_slots\":%d,\"model_alias\":", max_sessions);
    json_text_append_string(out, info->model_name);
    buf_append_text(out, ",\"model_path\":"); /* not where it lies: that is nobody's business */
    json_text_append_string(out, info->model_name);
    buf_append_text(out, ",\"chat_template\":");
    json_text_append(out, info->chat_template == NULL ? "" : info->chat_template,
                     info->chat_template_len);
    append_caps(caps, out);
    buf_append_text(out, ",\"bos_token\":");
    append_token(out, tokenizer, tokenizer_bos(tokenizer));
    buf_append_text(out, ",\"eos_token\":");
    append_token(out, tokenizer, tokenizer_eos(tokenizer));
    buf_append_format(out,
                      ",\"modalities\":{\"vision\":false,\"audio\":false},\"n_threads\":%d,"
                      "\"mode\":\"%s\",\"window\":%d,\"sinks\":%d,"
                      "\"build_info\":\"sinkd " SINKD_VERSION "\"}",
                      info->n_threads, session_mode_name(info->mode), info->n_window,
                      info->n_sinks);
}
