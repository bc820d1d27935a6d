#include "server/chat_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "server/access_log.h"
#include "server/api_error.h"
#include "server/chat_reply.h"
#include "server/chat_request.h"
#include "server/generation.h"
#include "server/http_exchange.h"
#include "server/random_id.h"
#include "server/sse_stream.h"

struct chat_turn {
    const struct chat_turns *turns;
    struct generation *generation;
    struct http_exchange *exchange;
    bool is_streaming;
    struct chat_reply reply;
    struct sse_stream stream; /* begun with the first chunk */
};

static const char json_media[] = "application/json";

static void add_session_headers(struct http_exchange *exchange,
                                const struct generation_start *start)
{
    char value[128];
    snprintf(value, sizeof value, "%s; cached=%lld; new=%lld; evicted=%lld", start->match,
             (long long)start->n_cached, (long long)start->n_new, (long long)start->n_evicted);
    http_exchange_add_header(exchange, "X-Sinkd-Session", value);
    if (start->conversation_id != NULL)
        http_exchange_add_header(exchange, "X-Conversation-Id", start->conversation_id);
}

/* The client is gone, or reads too slowly. */
static void abandon(struct chat_turn *turn)
{
    struct generation *generation = turn->generation;
    free(turn);
    generation_leave(generation);
}

static void after_write(struct chat_turn *turn, bool is_read)
{
    if (is_read)
        return;
    log_info("%s: the client reads too slowly, its stream is cut", turn->reply.id);
    abandon(turn);
}

static void on_gone(void *arg)
{
    abandon(arg);
}

/* ---- what the generation says ---- */

/* Headers and the first chunk go out before the prompt is read: clients and proxies give up on a
 * server that is silent for long. */
static void on_start(void *arg, const struct generation_start *start)
{
    struct chat_turn *turn = arg;
    if (!turn->is_streaming)
        return;
    add_session_headers(turn->exchange, start);
    sse_stream_begin(&turn->stream, turn->exchange);
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_begin(&turn->reply, &chunk);
    after_write(turn, sse_stream_write(&turn->stream, &chunk));
}

static void on_delta(void *arg, const struct generation_delta *delta)
{
    struct chat_turn *turn = arg;
    if (!turn->is_streaming)
        return;
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_text(&turn->reply, delta->text, delta->len, &chunk);
    after_write(turn, sse_stream_write(&turn->stream, &chunk));
}

static void on_tick(void *arg)
{
    struct chat_turn *turn = arg;
    if (turn->stream.exchange != NULL)
        after_write(turn, sse_stream_ping(&turn->stream, turn->turns->ping_after_s));
}

static void on_finish(void *arg, const struct generation_end *end)
{
    struct chat_turn *turn = arg;
    struct buf bytes;
    buf_init(&bytes);
    access_log_note_generation(turn->exchange, end);
    if (turn->is_streaming) {
        chat_reply_finish(&turn->reply, end, &bytes);
        if (sse_stream_write(&turn->stream, &bytes))
            sse_stream_end(&turn->stream);
    } else {
        struct generation_start session = {
            .conversation_id = end->conversation_id,
            .match = end->match,
            .n_cached = end->usage.n_cached,
            .n_new = end->usage.n_prompt,
            .n_evicted = end->usage.n_evicted,
        };
        add_session_headers(turn->exchange, &session);
        chat_reply_whole(&turn->reply, end, &bytes);
        http_exchange_reply(turn->exchange, 200, json_media, &bytes);
        buf_done(&bytes);
    }
    free(turn);
}

static void on_fail(void *arg, const struct api_error *error)
{
    struct chat_turn *turn = arg;
    if (turn->stream.exchange == NULL) {
        http_exchange_reply_error(turn->exchange, error);
    } else {
        struct buf frames;
        buf_init(&frames);
        chat_reply_fail(error, &frames);
        if (sse_stream_write(&turn->stream, &frames))
            sse_stream_end(&turn->stream);
    }
    free(turn);
}

static const struct generation_listener listener = {on_start, on_delta, on_tick, on_finish,
                                                    on_fail};

/* ---- from the request to the generation ---- */

static bool parse(const struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                  struct chat_request *out, struct api_error *error)
{
    const struct buf *body = http_exchange_body(exchange);
    return is_chat ? chat_request_parse(buf_text(body), body->len, &turns->defaults, out, error)
                   : chat_request_parse_completion(buf_text(body), body->len, &turns->defaults, out,
                                                   error);
}

static void name_reply(struct chat_turn *turn, const struct chat_request *request)
{
    char random[RANDOM_ID_SIZE];
    random_id_make(random);
    turn->reply = (struct chat_reply){
        .created = (int64_t)time(NULL),
        .model = turn->turns->model_name,
        .fingerprint = turn->turns->fingerprint,
        .is_chat = request->is_chat,
        .include_usage = request->generation.include_usage,
    };
    snprintf(turn->reply.id, sizeof turn->reply.id, "%s-%s", request->is_chat ? "chatcmpl" : "cmpl",
             random);
}

/* Moves the request's words into a generation. */
static struct generation *make_generation(struct chat_turn *turn, struct chat_request *request,
                                          int owner, const char *conversation_id,
                                          struct api_error *error)
{
    struct generation_ask ask = {
        .listener = &listener,
        .arg = turn,
        .request_id = http_exchange_request_id(turn->exchange),
        .owner = owner,
        .conversation_id = conversation_id != NULL          ? conversation_id
                           : request->session_id[0] != '\0' ? request->session_id
                                                            : NULL,
        .is_raw = !request->is_chat,
        .messages = request->messages,
        .prompt = request->prompt,
        .request = request->generation,
    };
    struct generation *generation = generation_new(turn->turns->generations, &ask, error);
    request->messages = ask.messages;
    request->prompt = ask.prompt;
    request->generation = ask.request;
    return generation;
}

void chat_turn_start(struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                     int owner, const char *conversation_id)
{
    struct chat_request request;
    struct api_error error;
    if (!parse(turns, exchange, is_chat, &request, &error)) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct generation *generation = NULL;
    struct chat_turn *turn = calloc(1, sizeof *turn);
    if (turn == NULL) {
        api_error_set(&error, 503, "out_of_memory", NULL, "not enough memory");
    } else {
        turn->turns = turns;
        turn->exchange = exchange;
        turn->is_streaming = request.generation.is_streaming;
        name_reply(turn, &request);
        generation = make_generation(turn, &request, owner, conversation_id, &error);
    }
    chat_request_done(&request);
    if (generation == NULL) {
        free(turn);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    turn->generation = generation;
    http_exchange_on_gone(exchange, on_gone, turn);
    generation_run(generation);
}
