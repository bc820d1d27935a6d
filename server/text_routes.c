#include "server/text_routes.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/engine/engine.h"
#include "core/text/prompt.h"
#include "core/text/utf8.h"
#include "server/api_error.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"
#include "server/json_text.h"
#include "server/routes.h"
#include "server/text_request.h"

static const char json_media[] = "application/json";

/* One text on its way through a worker. */
struct task {
    const struct text_routes *text;
    struct http_exchange *exchange; /* NULL: the client is gone */
    bool is_count;                  /* only how many tokens there are is wanted */
    struct text_request request;
    struct prompt prompt;
    struct token_list tokens;
    struct err err;
};

static void reply_err(struct http_exchange *exchange, const struct err *err)
{
    struct api_error error;
    api_error_from(&error, err);
    http_exchange_reply_error(exchange, &error);
}

/* ---- replies ---- */

/* A token's bytes in text; a control token's name. */
static const char *piece_of(const struct tokenizer *tokenizer, int32_t id, size_t *out_len)
{
    return tokenizer_is_control(tokenizer, id) ? tokenizer_name(tokenizer, id, out_len)
                                               : tokenizer_piece(tokenizer, id, out_len);
}

/* As a string, or where it is only a part of a character as the bytes' numbers. */
static void write_piece(const struct tokenizer *tokenizer, int32_t id, struct buf *out)
{
    size_t len;
    const char *piece = piece_of(tokenizer, id, &len);
    if (utf8_is_valid(piece, len)) {
        json_text_append(out, piece, len);
        return;
    }
    buf_append_char(out, '[');
    for (size_t i = 0; i < len; i++)
        buf_append_format(out, "%s%d", i > 0 ? "," : "", (unsigned char)piece[i]);
    buf_append_char(out, ']');
}

static void write_tokens(const struct task *task, struct buf *out)
{
    const struct tokenizer *tokenizer = engine_tokenizer(task->text->engine);
    bool is_pair = task->request.with_pieces && !task->request.is_vllm;
    buf_append_text(out, "\"tokens\":[");
    for (size_t i = 0; i < task->tokens.n; i++) {
        const char *comma = i > 0 ? "," : "";
        if (!is_pair) {
            buf_append_format(out, "%s%d", comma, task->tokens.ids[i]);
            continue;
        }
        buf_append_format(out, "%s{\"id\":%d,\"piece\":", comma, task->tokens.ids[i]);
        write_piece(tokenizer, task->tokens.ids[i], out);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void write_token_strings(const struct task *task, struct buf *out)
{
    const struct tokenizer *tokenizer = engine_tokenizer(task->text->engine);
    buf_append_text(out, ",\"token_strs\":[");
    for (size_t i = 0; i < task->tokens.n; i++) {
        size_t len;
        const char *name = tokenizer_name(tokenizer, task->tokens.ids[i], &len);
        if (i > 0)
            buf_append_char(out, ',');
        json_text_append(out, name, len);
    }
    buf_append_char(out, ']');
}

static void reply_tokens(const struct task *task)
{
    struct buf body;
    buf_init(&body);
    if (task->is_count) {
        buf_append_format(&body, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}",
                          task->tokens.n);
    } else {
        buf_append_char(&body, '{');
        if (task->request.is_vllm)
            buf_append_format(&body, "\"count\":%zu,\"max_model_len\":%d,", task->tokens.n,
                              engine_info(task->text->engine)->n_window);
        write_tokens(task, &body);
        if (task->request.is_vllm && task->request.with_pieces)
            write_token_strings(task, &body);
        buf_append_char(&body, '}');
    }
    http_exchange_reply(task->exchange, 200, json_media, &body);
}

/* ---- on a worker and back ---- */

/* On a worker thread. */
static void tokenize(void *arg)
{
    struct task *task = arg;
    tokenizer_encode(engine_tokenizer(task->text->engine), &task->prompt, 0, true, &task->tokens,
                     &task->err);
}

static void task_free(struct task *task)
{
    text_request_done(&task->request);
    prompt_done(&task->prompt);
    token_list_done(&task->tokens);
    free(task);
}

/* The vocabulary decides whether a text begins with BOS; without special tokens it is taken off
 * again, and what else marks a beginning (SPM's space) stays, as in llama.cpp. */
static void drop_bos(struct task *task)
{
    int32_t bos = tokenizer_bos(engine_tokenizer(task->text->engine));
    if (!task->request.add_special && !task->request.is_chat && task->tokens.n > 0 && bos >= 0 &&
        task->tokens.ids[0] == bos)
        token_list_drop(&task->tokens, 1);
}

static void on_tokenized(void *arg)
{
    struct task *task = arg;
    if (task->exchange != NULL && task->err.code != ERR_NONE) {
        reply_err(task->exchange, &task->err);
    } else if (task->exchange != NULL) {
        drop_bos(task);
        reply_tokens(task);
    }
    task_free(task);
}

static void on_gone(void *arg)
{
    ((struct task *)arg)->exchange = NULL;
}

/* Takes the request over. */
static void start(const struct text_routes *text, struct http_exchange *exchange,
                  struct text_request *request, bool is_count)
{
    struct err err;
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        text_request_done(request);
        err_no_memory(&err, "the text");
        reply_err(exchange, &err);
        return;
    }
    *task = (struct task){text, exchange, is_count, .request = *request};
    prompt_init(&task->prompt);
    token_list_init(&task->tokens);
    if (!text_request_render(&task->request, text->chat_template, &task->prompt, &err) ||
        !event_loop_work(text->loop, tokenize, on_tokenized, task, &err)) {
        reply_err(exchange, &err);
        task_free(task);
        return;
    }
    http_exchange_on_gone(exchange, on_gone, task);
}

void text_routes_count(const struct text_routes *text, struct http_exchange *exchange,
                       struct message_log *messages)
{
    struct text_request request = {
        .is_chat = true,
        .messages = *messages,
        .add_generation_prompt = true,
        .add_special = true,
    };
    message_log_init(messages);
    buf_init(&request.text);
    start(text, exchange, &request, true);
}

/* ---- handlers ---- */

static void post_tokenize(void *arg, const struct route_call *call)
{
    const struct buf *body = http_exchange_body(call->exchange);
    struct text_request request;
    struct api_error error;
    if (text_request_parse_tokenize(buf_text(body), body->len, &request, &error))
        start(arg, call->exchange, &request, false);
    else
        http_exchange_reply_error(call->exchange, &error);
}

static void post_input_tokens(void *arg, const struct route_call *call)
{
    const struct buf *body = http_exchange_body(call->exchange);
    struct text_request request;
    struct api_error error;
    if (text_request_parse_messages(buf_text(body), body->len, &request, &error))
        start(arg, call->exchange, &request, true);
    else
        http_exchange_reply_error(call->exchange, &error);
}

/* The space that was put before the text when it was tokenized is not its own. */
static void write_words(const struct tokenizer *tokenizer, const struct token_list *tokens,
                        struct buf *out)
{
    for (size_t i = 0; i < tokens->n; i++) {
        size_t len;
        const char *piece = piece_of(tokenizer, tokens->ids[i], &len);
        bool has_space = i == 0 && len > 0 && piece[0] == ' ' && tokenizer_adds_space(tokenizer);
        buf_append(out, piece + has_space, len - has_space);
    }
}

static void post_detokenize(void *arg, const struct route_call *call)
{
    const struct text_routes *text = arg;
    const struct tokenizer *tokenizer = engine_tokenizer(text->engine);
    const struct buf *given = http_exchange_body(call->exchange);
    struct token_list tokens;
    struct api_error error;
    if (!text_request_parse_detokenize(buf_text(given), given->len, tokenizer_n_vocab(tokenizer),
                                       &tokens, &error)) {
        http_exchange_reply_error(call->exchange, &error);
        return;
    }
    struct buf words, body;
    buf_init(&words);
    buf_init(&body);
    write_words(tokenizer, &tokens, &words);
    token_list_done(&tokens);
    buf_append_text(&body, "{\"content\":"); /* llama.cpp's name for it, then vLLM's */
    json_text_append(&body, buf_text(&words), words.len);
    buf_append_text(&body, ",\"prompt\":");
    json_text_append(&body, buf_text(&words), words.len);
    buf_append_char(&body, '}');
    body.failed = body.failed || words.failed;
    buf_done(&words);
    http_exchange_reply(call->exchange, 200, json_media, &body);
}

static void reply_prompt(const struct text_routes *text, struct http_exchange *exchange,
                         const struct text_request *request)
{
    struct prompt prompt;
    struct err err;
    prompt_init(&prompt);
    if (!text_request_render(request, text->chat_template, &prompt, &err)) {
        reply_err(exchange, &err);
    } else {
        struct buf body;
        buf_init(&body);
        buf_append_text(&body, "{\"prompt\":");
        json_text_append(&body, buf_text(&prompt.text), prompt.text.len);
        buf_append_char(&body, '}');
        http_exchange_reply(exchange, 200, json_media, &body);
    }
    prompt_done(&prompt);
}

static void post_apply_template(void *arg, const struct route_call *call)
{
    const struct buf *body = http_exchange_body(call->exchange);
    struct text_request request;
    struct api_error error;
    if (!text_request_parse_messages(buf_text(body), body->len, &request, &error)) {
        http_exchange_reply_error(call->exchange, &error);
        return;
    }
    reply_prompt(arg, call->exchange, &request);
    text_request_done(&request);
}

bool text_routes_add(struct routes *routes, struct text_routes *text, struct err *err)
{
    static const struct route table[] = {
        {"POST", "/tokenize", post_tokenize, ROUTE_KEYED},
        {"POST", "/detokenize", post_detokenize, ROUTE_KEYED},
        {"POST", "/apply-template", post_apply_template, ROUTE_KEYED},
        {"POST", "/chat/completions/input_tokens", post_input_tokens, ROUTE_KEYED},
    };
    return routes_add(routes, table, sizeof table / sizeof table[0], text, err);
}
