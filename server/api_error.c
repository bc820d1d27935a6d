#include "server/api_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "server/json_text.h"

/* Seconds that a client should wait when nothing better is known; clients ignore more than 60. */
enum { RETRY_AFTER_S = 5 };

bool api_error_set(struct api_error *error, int status, const char *code, const char *param,
                   const char *format, ...)
{
    *error = (struct api_error){.status = status, .code = code};
    if (status == 429 || status == 503 || status == 507)
        error->retry_after_s = RETRY_AFTER_S;
    if (param != NULL)
        snprintf(error->param, sizeof error->param, "%s", param);

    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return false;
}

bool api_error_no_memory(struct api_error *error)
{
    return api_error_set(error, 503, "out_of_memory", NULL, "not enough memory");
}

void api_error_from(struct api_error *error, const struct err *err)
{
    static const struct {
        int status;
        const char *code;
    } answers[] = {
        [ERR_INVALID] = {400, "invalid_value"},
        [ERR_NOT_FOUND] = {404, "not_found"},
        [ERR_UNSUPPORTED] = {400, "unsupported_value"},
        [ERR_MEMORY] = {503, "out_of_memory"},
        [ERR_LIMIT] = {503, "server_busy"},
        [ERR_FULL] = {507, "insufficient_storage"},
        [ERR_IO] = {503, "storage_unavailable"},
        [ERR_STOPPED] = {503, "server_shutting_down"},
    };
    size_t n_answers = sizeof answers / sizeof answers[0];
    bool is_known = (size_t)err->code < n_answers && answers[err->code].status != 0;
    api_error_set(error, is_known ? answers[err->code].status : 500,
                  is_known ? answers[err->code].code : "internal_error", NULL, "%s", err->text);
}

static const char *type_of(int status)
{
    if (status == 429)
        return "rate_limit_error";
    if (status == 403)
        return "permission_error";
    return status >= 500 ? "server_error" : "invalid_request_error";
}

void api_error_write(const struct api_error *error, struct buf *out)
{
    buf_append_text(out, "{\"error\":{\"message\":");
    json_text_append_string(out, error->message);
    buf_append_format(out, ",\"type\":\"%s\",\"param\":", type_of(error->status));
    json_text_append_string(out, error->param[0] == '\0' ? NULL : error->param);
    buf_append_text(out, ",\"code\":");
    json_text_append_string(out, error->code);
    buf_append_text(out, "}}");
}
