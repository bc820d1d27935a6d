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
