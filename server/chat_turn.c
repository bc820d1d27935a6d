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
#include "server/session_headers.h"
#include "server/sse_stream.h"

/* One answer, and the listener of its generation. */
struct choice {
    struct chat_turn *turn;
    struct generation *generation; /* NULL: over */
    struct chat_reply_choice place;
    struct buf echo; /* the prompt again, when asked for */
    struct buf json; /* of a whole reply */
};

struct chat_turn {
    const struct chat_turns *turns;
    struct http_exchange *exchange;
    bool is_streaming;
    struct chat_reply reply;
    struct sse_stream stream; /* begun with the first chunk */

    struct choice *choices; /* [n_choices]: n_per_prompt to each prompt */
    int n_choices;
    int n_per_prompt;
    int n_open;
    bool has_ended;   /* nothing more is to be said */
    bool is_starting; /* its generations are being set going: it may not be freed */
    struct chat_reply_usage usage;
    struct buf session; /* the first choice's, as JSON */
};

static const char json_media[] = "application/json";

static void turn_free(struct chat_turn *turn)
{
    for (int i = 0; i < turn->n_choices; i++) {
        buf_done(&turn->choices[i].echo);
        buf_done(&turn->choices[i].json);
    }
    buf_done(&turn->session);
    free(turn->choices);
    free(turn);
}

/* Nothing more is to be said to the client: what still generates stops. */
static void turn_end(struct chat_turn *turn)
{
    turn->has_ended = true;
    for (int i = 0; i < turn->n_choices; i++) {
        struct generation *generation = turn->choices[i].generation;
        turn->choices[i].generation = NULL;
        if (generation != NULL)
            generation_leave(generation);
    }
    if (!turn->is_starting)
        turn_free(turn);
}

static void on_gone(void *arg)
{
    turn_end(arg);
}

/* False when the client reads too slowly; the turn has then ended. */
static bool send_frames(struct chat_turn *turn, struct buf *frames)
{
    if (sse_stream_write(&turn->stream, frames))
        return true;
    log_info("%s: the client reads too slowly, its stream is cut", turn->reply.id);
    turn_end(turn);
    return false;
}

/* ---- what the generations say ---- */

/* Headers and the first chunk go out before the prompt is read: clients and proxies give up on a
 * server that is silent for long. */
static void on_start(void *arg, const struct generation_start *start)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    if (!turn->is_streaming)
        return;
    if (turn->stream.exchange == NULL) {
        session_headers_add(turn->exchange, start);
        sse_stream_begin(&turn->stream, turn->exchange);
    }
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_begin(&turn->reply, &choice->place, &chunk);
    send_frames(turn, &chunk);
}

static void on_delta(void *arg, const struct generation_delta *delta)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    if (!turn->is_streaming)
        return;
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_delta(&turn->reply, &choice->place, delta, &chunk);
    send_frames(turn, &chunk);
}

static void on_tick(void *arg)
{
    struct chat_turn *turn = ((struct choice *)arg)->turn;
    if (turn->stream.exchange == NULL || sse_stream_ping(&turn->stream, turn->turns->ping_after_s))
        return;
    log_info("%s: the client reads too slowly, its stream is cut", turn->reply.id);
    turn_end(turn);
}

/* A prompt counts once, however many answers it has. */
static void add_usage(struct chat_turn *turn, const struct choice *choice,
                      const struct generation_end *end)
{
    const struct engine_usage *usage = &end->usage;
    turn->usage.n_generated += usage->n_generated;
    turn->usage.n_thought += end->n_thought;
    if (choice->place.index % turn->n_per_prompt != 0)
        return;
    turn->usage.n_cached += usage->n_cached;
    turn->usage.n_prompt += usage->n_prompt;
}

static void reply_whole(struct chat_turn *turn)
{
    struct buf bytes;
    buf_init(&bytes);
    chat_reply_whole_begin(&turn->reply, &bytes);
    for (int i = 0; i < turn->n_choices; i++) {
        buf_append_text(&bytes, i == 0 ? "" : ",");
        buf_append(&bytes, buf_text(&turn->choices[i].json), turn->choices[i].json.len);
        bytes.failed = bytes.failed || turn->choices[i].json.failed;
    }
    chat_reply_whole_end(&turn->usage, &bytes);
    buf_append(&bytes, buf_text(&turn->session), turn->session.len);
    buf_append_char(&bytes, '}');
    if (bytes.failed) {
        struct api_error error;
        api_error_no_memory(&error);
        http_exchange_reply_error(turn->exchange, &error);
    } else {
        http_exchange_reply(turn->exchange, 200, json_media, &bytes);
    }
    buf_done(&bytes);
}

static void end_reply(struct chat_turn *turn)
{
    if (turn->is_streaming) {
        struct buf frames;
        buf_init(&frames);
        chat_reply_close(&turn->reply, &turn->usage, &frames);
        if (sse_stream_write(&turn->stream, &frames))
            sse_stream_end(&turn->stream);
    } else {
        reply_whole(turn);
    }
    turn_end(turn);
}

static void note_first(struct chat_turn *turn, const struct generation_end *end)
{
    access_log_note_generation(turn->exchange, end);
    if (turn->is_streaming)
        return;
    session_headers_add_end(turn->exchange, end);
    chat_reply_session(end, &turn->session);
}

static void on_finish(void *arg, const struct generation_end *end)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    choice->generation = NULL;
    add_usage(turn, choice, end);
    if (choice->place.index == 0)
        note_first(turn, end);
    if (turn->is_streaming) {
        struct buf chunk;
        buf_init(&chunk);
        chat_reply_finish(&turn->reply, &choice->place, end, &chunk);
        if (!send_frames(turn, &chunk))
            return;
    } else {
        chat_reply_choice(&turn->reply, &choice->place, end, &choice->json);
    }
    if (--turn->n_open == 0)
        end_reply(turn);
}

static void on_fail(void *arg, const struct api_error *error)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    choice->generation = NULL;
    if (turn->stream.exchange == NULL) {
        http_exchange_reply_error(turn->exchange, error);
    } else {
        struct buf frames;
        buf_init(&frames);
        chat_reply_fail(error, &frames);
        if (sse_stream_write(&turn->stream, &frames))
            sse_stream_end(&turn->stream);
    }
    turn_end(turn);
}

static const struct generation_listener listener = {on_start, on_delta, on_tick, on_finish,
                                                    on_fail};

/* ---- from the request to the generations ---- */

struct order {
    struct chat_request *request;
    int owner;
    const char *conversation_id;
};

/* Each answer has a sampler of its own; a seed that the client gave makes all of them repeatable.
 */
static uint64_t choice_seed(const struct generation_request *generation, int index)
{
    if (index == 0)
        return generation->sampling.seed;
    return generation->has_seed ? generation->sampling.seed + (uint64_t)index : random_id_number();
}

static bool copy_prompt(const struct completion_prompt *prompt, struct generation_ask *ask)
{
    struct err err;
    buf_append(&ask->prompt, buf_text(&prompt->text), prompt->text.len);
    for (size_t i = 0; i < prompt->tokens.n; i++) {
        if (!token_list_push(&ask->tokens, prompt->tokens.ids[i], &err))
            return false;
    }
    return !ask->prompt.failed;
}

/* Each generation owns its words: the last one gets the request's, which may be megabytes. */
static bool take_words(struct chat_request *request, int index, struct generation_ask *ask)
{
    if (!generation_request_copy(&request->generation, &ask->request))
        return false;
    ask->request.sampling.seed = choice_seed(&request->generation, index);
    if (!request->is_chat)
        return copy_prompt(&request->prompts.items[index / request->n_choices], ask);
    if (index + 1 < request->n_choices)
        return message_log_copy(&ask->messages, &request->messages);
    return message_log_move(&ask->messages, &request->messages);
}

static void ask_done(struct generation_ask *ask)
{
    message_log_done(&ask->messages);
    buf_done(&ask->prompt);
    token_list_done(&ask->tokens);
    generation_request_done(&ask->request);
}

static void echo_prompt(struct choice *choice, const struct completion_prompt *prompt)
{
    const struct tokenizer *tokenizer = choice->turn->reply.tokenizer;
    buf_append(&choice->echo, buf_text(&prompt->text), prompt->text.len);
    for (size_t i = 0; i < prompt->tokens.n; i++) {
        size_t len;
        const char *piece = tokenizer_piece(tokenizer, prompt->tokens.ids[i], &len);
        buf_append(&choice->echo, piece, len);
    }
    choice->place.echo = buf_text(&choice->echo);
    choice->place.echo_len = choice->echo.len;
}

/* The first answer to a chat belongs to its conversation; others are only shown. */
static bool open_choice(struct chat_turn *turn, int index, const struct order *order,
                        struct api_error *error)
{
    struct chat_request *request = order->request;
    struct choice *choice = &turn->choices[index];
    choice->turn = turn;
    choice->place = (struct chat_reply_choice){.index = index, .echo = ""};
    if (request->is_echoing)
        echo_prompt(choice, &request->prompts.items[index / request->n_choices]);
    struct generation_ask ask = {
        .listener = &listener,
        .arg = choice,
        .request_id = http_exchange_request_id(turn->exchange),
        .owner = order->owner,
        .conversation_id = order->conversation_id != NULL ? order->conversation_id
                           : request->name.id[0] != '\0'  ? request->name.id
                                                          : NULL,
        .group = request->name.group,
        .is_ephemeral = index > 0,
        .is_raw = !request->is_chat,
    };
    if (take_words(request, index, &ask))
        choice->generation = generation_new(turn->turns->generations, &ask, error);
    else
        api_error_no_memory(error);
    ask_done(&ask);
    return choice->generation != NULL;
}

static void name_reply(struct chat_turn *turn, const struct chat_request *request)
{
    char random[RANDOM_ID_SIZE];
    random_id_make(random);
    turn->reply = (struct chat_reply){
        .created = (int64_t)time(NULL),
        .model = turn->turns->model_name,
        .fingerprint = turn->turns->fingerprint,
        .tokenizer = turn->turns->tokenizer,
        .is_chat = request->is_chat,
        .include_usage = request->generation.include_usage,
        .has_logprobs = request->generation.wants_logprobs,
    };
    snprintf(turn->reply.id, sizeof turn->reply.id, "%s-%s", request->is_chat ? "chatcmpl" : "cmpl",
             random);
}

static struct chat_turn *turn_new(const struct chat_turns *turns, struct http_exchange *exchange,
                                  const struct chat_request *request)
{
    int n_prompts = request->is_chat ? 1 : (int)request->prompts.n;
    struct chat_turn *turn = calloc(1, sizeof *turn);
    if (turn == NULL)
        return NULL;
    turn->choices = calloc((size_t)(n_prompts * request->n_choices), sizeof *turn->choices);
    if (turn->choices == NULL) {
        free(turn);
        return NULL;
    }
    turn->turns = turns;
    turn->exchange = exchange;
    turn->is_streaming = request->generation.is_streaming;
    turn->n_choices = turn->n_open = n_prompts * request->n_choices;
    turn->n_per_prompt = request->n_choices;
    name_reply(turn, request);
    return turn;
}

/* Any of them may end the turn at once. */
static void run(struct chat_turn *turn)
{
    for (int i = 0; i < turn->n_choices && !turn->has_ended; i++)
        generation_run(turn->choices[i].generation);
    turn->is_starting = false;
    if (turn->has_ended)
        turn_free(turn);
}

static void start(const struct chat_turns *turns, struct http_exchange *exchange,
                  const struct order *order)
{
    struct api_error error;
    struct chat_turn *turn = turn_new(turns, exchange, order->request);
    if (turn == NULL) {
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    turn->is_starting = true;
    for (int i = 0; i < turn->n_choices; i++) {
        if (open_choice(turn, i, order, &error))
            continue;
        turn->is_starting = false;
        turn_end(turn);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    http_exchange_on_gone(exchange, on_gone, turn);
    run(turn);
}

void chat_turn_start(struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                     int owner, const char *conversation_id)
{
    const struct buf *body = http_exchange_body(exchange);
    struct chat_request request;
    struct api_error error;
    bool is_good =
        is_chat ? chat_request_parse(buf_text(body), body->len, &turns->defaults, &request, &error)
                : chat_request_parse_completion(buf_text(body), body->len, &turns->defaults,
                                                &request, &error);
    if (!is_good) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct order order = {&request, owner, conversation_id};
    start(turns, exchange, &order);
    chat_request_done(&request);
}
