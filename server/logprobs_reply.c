#include "server/logprobs_reply.h"

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/text/tokenizer.h"
#include "core/text/utf8.h"
#include "server/json_text.h"

/* A control token has no text; its name says more than nothing. */
static const char *token_text(const struct tokenizer *tokenizer, int32_t id, size_t *out_len)
{
    const char *piece = tokenizer_piece(tokenizer, id, out_len);
    return *out_len > 0 ? piece : tokenizer_name(tokenizer, id, out_len);
}

/* Nine digits bring a float back; -9999 and 0 stay short. */
static void append_logprob(float logprob, struct buf *out)
{
    buf_append_format(out, "%.9g", (double)logprob);
}

static void append_token(const struct tokenizer *tokenizer, const struct token_likelihood *token,
                         struct buf *out)
{
    size_t len;
    const char *text = token_text(tokenizer, token->id, &len);
    buf_append_text(out, "{\"token\":");
    json_text_append(out, text, len);
    buf_append_text(out, ",\"logprob\":");
    append_logprob(token->logprob, out);
    buf_append_text(out, ",\"bytes\":[");
    for (size_t i = 0; i < len; i++)
        buf_append_format(out, "%s%d", i == 0 ? "" : ",", (unsigned char)text[i]);
    buf_append_char(out, ']');
}

void logprobs_reply_tokens(const struct tokenizer *tokenizer, const struct token_report *reports,
                           size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        append_token(tokenizer, &reports[i].chosen, out);
        buf_append_text(out, ",\"top_logprobs\":[");
        for (int k = 0; k < reports[i].n_top; k++) {
            if (k > 0)
                buf_append_char(out, ',');
            append_token(tokenizer, &reports[i].top[k], out);
            buf_append_char(out, '}');
        }
        buf_append_text(out, "]}");
    }
}

void logprobs_reply_chat(const struct tokenizer *tokenizer, const struct token_report *reports,
                         size_t n, struct buf *out)
{
    buf_append_text(out, "{\"content\":[");
    logprobs_reply_tokens(tokenizer, reports, n, out);
    buf_append_text(out, "],\"refusal\":null}");
}

/* A token that is no text by itself is written as OpenAI does, so that keys stay apart. */
static void append_name(const struct tokenizer *tokenizer, int32_t id, struct buf *out)
{
    size_t len;
    const char *text = token_text(tokenizer, id, &len);
    if (utf8_is_valid(text, len)) {
        json_text_append(out, text, len);
        return;
    }
    buf_append_text(out, "\"bytes:");
    for (size_t i = 0; i < len; i++)
        buf_append_format(out, "\\\\x%02x", (unsigned char)text[i]);
    buf_append_char(out, '"');
}

static void append_named(const struct tokenizer *tokenizer, const struct token_likelihood *token,
                         struct buf *out)
{
    append_name(tokenizer, token->id, out);
    buf_append_char(out, ':');
    append_logprob(token->logprob, out);
}

/* The best ones, and the chosen one even when it is not among them. */
static void append_top(const struct tokenizer *tokenizer, const struct token_report *report,
                       struct buf *out)
{
    if (report->n_top == 0) {
        buf_append_text(out, "null");
        return;
    }
    bool has_chosen = false;
    buf_append_char(out, '{');
    for (int k = 0; k < report->n_top; k++) {
        if (k > 0)
            buf_append_char(out, ',');
        append_named(tokenizer, &report->top[k], out);
        has_chosen = has_chosen || report->top[k].id == report->chosen.id;
    }
    if (!has_chosen) {
        buf_append_char(out, ',');
        append_named(tokenizer, &report->chosen, out);
    }
    buf_append_char(out, '}');
}

int64_t logprobs_count_characters(const char *text, size_t len)
{
    int64_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

static int64_t text_offset(const struct token_report *report, const struct logprobs_text *text)
{
    size_t n_bytes =
        report->text_begin > text->text_begin ? report->text_begin - text->text_begin : 0;
    if (n_bytes > text->len)
        n_bytes = text->len;
    return text->n_before + logprobs_count_characters(text->text, n_bytes);
}

void logprobs_reply_completion(const struct tokenizer *tokenizer,
                               const struct token_report *reports, size_t n,
                               const struct logprobs_text *text, struct buf *out)
{
    buf_append_text(out, "{\"tokens\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_text(out, i == 0 ? "" : ",");
        append_name(tokenizer, reports[i].chosen.id, out);
    }
    buf_append_text(out, "],\"token_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_text(out, i == 0 ? "" : ",");
        append_logprob(reports[i].chosen.logprob, out);
    }
    buf_append_text(out, "],\"top_logprobs\":[");
    for (size_t i = 0; i < n; i++) {
        buf_append_text(out, i == 0 ? "" : ",");
        append_top(tokenizer, &reports[i], out);
    }
    buf_append_text(out, "],\"text_offset\":[");
    for (size_t i = 0; i < n; i++)
        buf_append_format(out, "%s%lld", i == 0 ? "" : ",",
                          (long long)text_offset(&reports[i], text));
    buf_append_text(out, "]}");
}
