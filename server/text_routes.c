#include "server/text_routes.h"

#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/engine/engine.h"
#include "core/text/prompt.h"
#include "core/text/utf8.h"
#include "server/api_error.h"
#include "server/body_reader.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"
#include "server/json_text.h"
#include "server/routes.h"
#include "server/text_request.h"

static const char json_media[] = "application/json";

enum wish {
    WISH_TOKENS,
    WISH_COUNT,           /* of the tokens */
    WISH_COUNT_ANTHROPIC, /* the same, in that API's form */
    WISH_PROMPT,
    WISH_WORDS, /* of tokens */
};

/* One text on its way through workers. */
struct task {
    const struct text_routes *text;
    struct http_exchange *exchange; /* NULL: the client is gone */
    enum wish wish;
    struct text_request request;
    struct api_error error; /* why it could not be read */
    bool is_read;
    struct prompt prompt;
    struct token_list tokens;
    struct buf words;
    struct err err;
};

/* NULL, after answering, when there is no memory. */
static struct task *task_new(const struct text_routes *text, struct http_exchange *exchange,
                             enum wish wish)
{
    struct api_error error;
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return NULL;
    }
    *task = (struct task){.text = text, .exchange = exchange, .wish = wish};
    prompt_init(&task->prompt);
    token_list_init(&task->tokens);
    buf_init(&task->words);
    return task;
}

static void task_free(struct task *task)
{
    if (task->is_read && task->wish != WISH_WORDS)
        text_request_done(&task->request);
    prompt_done(&task->prompt);
    token_list_done(&task->tokens);
    buf_done(&task->words);
    free(task);
}

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

static void write_count(const struct task *task, struct buf *out)
{
    buf_append_format(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}",
                      task->tokens.n);
}

static void write_count_anthropic(const struct task *task, struct buf *out)
{
    buf_append_format(out, "{\"input_tokens\":%zu}", task->tokens.n);
}

static void write_reply_of_tokens(const struct task *task, struct buf *out)
{
    buf_append_char(out, '{');
    if (task->request.is_vllm)
        buf_append_format(out, "\"count\":%zu,\"max_model_len\":%d,", task->tokens.n,
                          engine_info(task->text->engine)->n_window);
    write_tokens(task, out);
    if (task->request.is_vllm && task->request.with_pieces)
        write_token_strings(task, out);
    buf_append_char(out, '}');
}

static void write_prompt(const struct task *task, struct buf *out)
{
    const struct buf *text = &task->prompt.text;
    buf_append_text(out, "{\"prompt\":");
    json_text_append(out, buf_text(text), text->len);
    buf_append_char(out, '}');
}

static void write_words(const struct task *task, struct buf *out)
{
    const char *words = buf_text(&task->words);
    buf_append_text(out, "{\"content\":"); /* llama.cpp's name for it, then vLLM's */
    json_text_append(out, words, task->words.len);
    buf_append_text(out, ",\"prompt\":");
    json_text_append(out, words, task->words.len);
    buf_append_char(out, '}');
    out->failed = out->failed || task->words.failed;
}

static void reply(const struct task *task)
{
    static void (*const writers[])(const struct task *, struct buf *) = {
        [WISH_TOKENS] = write_reply_of_tokens,
        [WISH_COUNT] = write_count,
        [WISH_COUNT_ANTHROPIC] = write_count_anthropic,
        [WISH_PROMPT] = write_prompt,
        [WISH_WORDS] = write_words,
    };
    struct buf body;
    buf_init(&body);
    writers[task->wish](task, &body);
    http_exchange_reply(task->exchange, 200, json_media, &body);
}

/* ---- on a worker and back ---- */

/* The vocabulary decides whether a text begins with BOS; without special tokens it is taken off
 * again, and what else marks a beginning (SPM's space) stays, as in llama.cpp. */
static void drop_bos(struct task *task)
{
    int32_t bos = tokenizer_bos(engine_tokenizer(task->text->engine));
    if (!task->request.add_special && !task->request.is_chat && task->tokens.n > 0 && bos >= 0 &&
        task->tokens.ids[0] == bos)
        token_list_drop(&task->tokens, 1);
}

/* The space that was put before the text when it was tokenized is not its own. */
static void find_words(struct task *task)
{
    const struct tokenizer *tokenizer = engine_tokenizer(task->text->engine);
    for (size_t i = 0; i < task->tokens.n; i++) {
        size_t len;
        const char *piece = piece_of(tokenizer, task->tokens.ids[i], &len);
        bool has_space = i == 0 && len > 0 && piece[0] == ' ' && tokenizer_adds_space(tokenizer);
        buf_append(&task->words, piece + has_space, len - has_space);
    }
}

/* On a worker thread. */
static void work(void *arg)
{
    struct task *task = arg;
    const struct text_routes *text = task->text;
    if (task->wish == WISH_WORDS) {
        find_words(task);
        return;
    }
    if (!text_request_render(&task->request, text->chat_template, &task->prompt, &task->err) ||
        task->wish == WISH_PROMPT)
        return;
    if (tokenizer_encode(engine_tokenizer(text->engine), &task->prompt, 0, true, &task->tokens,
                         &task->err))
        drop_bos(task);
}

static void on_worked(void *arg)
{
    struct task *task = arg;
    if (task->exchange != NULL && task->err.code != ERR_NONE)
        reply_err(task->exchange, &task->err);
    else if (task->exchange != NULL)
        reply(task);
    task_free(task);
}

static void on_gone(void *arg)
{
    ((struct task *)arg)->exchange = NULL;
}

static void start(struct task *task)
{
    struct err err;
    if (event_loop_work(task->text->loop, work, on_worked, task, &err)) {
        http_exchange_on_gone(task->exchange, on_gone, task);
        return;
    }
    reply_err(task->exchange, &err);
    task_free(task);
}

void text_routes_count(const struct text_routes *text, struct http_exchange *exchange,
                       struct message_log *messages, struct generation_request *generation)
{
    struct task *task = task_new(text, exchange, WISH_COUNT);
    if (task == NULL)
        return;
    task->request = (struct text_request){.add_generation_prompt = true, .add_special = true};
    text_request_take(&task->request, messages, generation);
    buf_init(&task->request.text);
    task->is_read = true;
    start(task);
}

/* ---- handlers ---- */

/* On any thread. */
static void read_body(void *arg, const struct buf *body)
{
    struct task *task = arg;
    const char *json = buf_text(body);
    enum chat_api api = task->wish == WISH_COUNT_ANTHROPIC ? CHAT_API_ANTHROPIC : CHAT_API_CHAT;
    if (task->wish == WISH_WORDS)
        task->is_read = text_request_parse_detokenize(
            json, body->len, tokenizer_n_vocab(engine_tokenizer(task->text->engine)), &task->tokens,
            &task->error);
    else if (task->wish == WISH_TOKENS)
        task->is_read = text_request_parse_tokenize(json, body->len, &task->request, &task->error);
    else
        task->is_read =
            text_request_parse_messages(api, json, body->len, &task->request, &task->error);
}

static void on_read(void *arg, struct http_exchange *exchange)
{
    struct task *task = arg;
    if (exchange != NULL && task->is_read) {
        start(task);
        return;
    }
    if (exchange != NULL)
        http_exchange_reply_error(exchange, &task->error);
    task_free(task);
}

static void read_for(const struct text_routes *text, const struct route_call *call, enum wish wish)
{
    struct task *task = task_new(text, call->exchange, wish);
    if (task != NULL)
        body_reader_read(text->reader, call->exchange,
                         &(struct body_reading){read_body, on_read, task});
}

static void post_tokenize(void *arg, const struct route_call *call)
{
    read_for(arg, call, WISH_TOKENS);
}

static void post_input_tokens(void *arg, const struct route_call *call)
{
    read_for(arg, call, WISH_COUNT);
}

void text_routes_count_anthropic(const struct text_routes *text, const struct route_call *call)
{
    read_for(text, call, WISH_COUNT_ANTHROPIC);
}

static void post_detokenize(void *arg, const struct route_call *call)
{
    read_for(arg, call, WISH_WORDS);
}

static void post_apply_template(void *arg, const struct route_call *call)
{
    read_for(arg, call, WISH_PROMPT);
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
