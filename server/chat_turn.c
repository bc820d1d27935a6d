#include "server/chat_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "server/api_error.h"
#include "server/chat_reply.h"
#include "server/chat_request.h"
#include "server/conversations.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"
#include "server/random_id.h"

enum {
    MAX_TURNS = 65536, /* a turn's place in the table is the low 16 bits of its id */
    MAX_ANSWER_BYTES = 64 * 1024 * 1024,
    TICK_MS = 1000,
    LOCKED_RETRY_S = 1,
};

enum turn_state {
    TURN_AWAITS_CONVERSATION, /* whose last speaker lost its client and is about to stop */
    TURN_TOKENIZING,          /* a worker thread makes tokens of the prompt */
    TURN_AWAITS_SESSION,      /* all sessions that fit in memory are speaking */
    TURN_GENERATING,          /* the engine has it, and owes a final event */
};

struct chat_turn {
    struct chat_turn *next, *previous; /* in order of arrival */
    struct chat_turns *turns;
    uint64_t id;
    enum turn_state state;
    struct http_exchange *exchange; /* NULL: the client is gone, or has its answer */
    char request_id[65];
    struct chat_request request;
    int owner;
    char conversation_id[CHAT_REQUEST_MAX_ID + 1]; /* as the client names it; empty for none */

    struct conversation_plan plan;
    bool has_plan;
    struct token_list tokens; /* to be fed; the engine's once it generates */
    struct err tokens_err;    /* why there are none */
    int64_t n_fed;
    int32_t last_token;

    struct chat_reply reply;
    bool has_begun; /* a stream: its headers and first chunk are out */
    struct buf text;
    int64_t last_write_ns;
};

struct chat_turns {
    struct chat_turns_options options;
    struct chat_turn *first, *last;
    struct chat_turn **table; /* [max_turns] */
    int n_turns;
    uint64_t n_started;
    bool has_ended; /* some turn has: others may go on */
    struct event_timer *tick;
    void (*on_empty)(void *arg);
    void *on_empty_arg;
    char fingerprint[64];
};

/* ---- the table ---- */

static struct chat_turn *turn_new(struct chat_turns *turns)
{
    int slot = 0;
    while (slot < turns->options.max_turns && turns->table[slot] != NULL)
        slot++;
    if (slot == turns->options.max_turns)
        return NULL;
    struct chat_turn *turn = calloc(1, sizeof *turn);
    if (turn == NULL)
        return NULL;
    turn->turns = turns;
    turn->id = ++turns->n_started << 16 | (uint64_t)slot;
    turn->last_write_ns = clock_now_ns();
    token_list_init(&turn->tokens);
    buf_init(&turn->text);

    turns->table[slot] = turn;
    turns->n_turns++;
    turn->previous = turns->last;
    if (turns->last != NULL)
        turns->last->next = turn;
    else
        turns->first = turn;
    turns->last = turn;
    return turn;
}

static struct chat_turn *find(const struct chat_turns *turns, uint64_t id)
{
    uint64_t slot = id & (MAX_TURNS - 1);
    struct chat_turn *turn = slot < (uint64_t)turns->options.max_turns ? turns->table[slot] : NULL;
    return turn != NULL && turn->id == id ? turn : NULL;
}

static void turn_free(struct chat_turn *turn)
{
    struct chat_turns *turns = turn->turns;
    turns->table[turn->id & (MAX_TURNS - 1)] = NULL;
    turns->n_turns--;
    turns->has_ended = true;
    if (turn->next != NULL)
        turn->next->previous = turn->previous;
    else
        turns->last = turn->previous;
    if (turn->previous != NULL)
        turn->previous->next = turn->next;
    else
        turns->first = turn->next;

    if (turn->has_plan)
        conversations_abandon(turns->options.conversations, &turn->plan);
    chat_request_done(&turn->request);
    token_list_done(&turn->tokens);
    buf_done(&turn->text);
    free(turn);
}

/* ---- what the client hears ---- */

/* The client is gone, or will not hear more: ends the turn as soon as that is possible. May free
 * it. */
static void leave(struct chat_turn *turn)
{
    switch (turn->state) {
    case TURN_AWAITS_CONVERSATION:
    case TURN_AWAITS_SESSION:
        turn_free(turn);
        return;
    case TURN_TOKENIZING:
        if (turn->has_plan)
            conversations_leave(&turn->plan);
        return;
    case TURN_GENERATING:
        conversations_leave(&turn->plan);
        engine_cancel(turn->turns->options.engine, turn->id);
        return;
    }
}

/* Sends bytes of the stream. May free the turn, when it does not generate. */
static void write_stream(struct chat_turn *turn, struct buf *bytes)
{
    turn->last_write_ns = clock_now_ns();
    bool is_read = http_exchange_write(turn->exchange, bytes);
    buf_done(bytes);
    if (!is_read) {
        log_info("%s: the client reads too slowly, its stream is cut", turn->request_id);
        turn->exchange = NULL;
        leave(turn);
    }
}

/* The last that the client hears of this turn. */
static void answer_error(struct chat_turn *turn, const struct api_error *error)
{
    if (turn->exchange == NULL)
        return;
    if (turn->has_begun) {
        struct buf frame;
        buf_init(&frame);
        chat_reply_fail(error, &frame);
        if (http_exchange_write(turn->exchange, &frame))
            http_exchange_end(turn->exchange);
        buf_done(&frame);
    } else {
        http_exchange_reply_error(turn->exchange, error);
    }
    turn->exchange = NULL;
}

static void refuse(struct chat_turn *turn, const struct api_error *error)
{
    answer_error(turn, error);
    turn_free(turn);
}

static void refuse_err(struct chat_turn *turn, const struct err *err)
{
    struct api_error error;
    api_error_from(&error, err);
    refuse(turn, &error);
}

static void add_session_headers(struct chat_turn *turn, int64_t n_cached, int64_t n_new,
                                int64_t n_evicted)
{
    char value[128];
    snprintf(value, sizeof value, "%s; cached=%lld; new=%lld; evicted=%lld",
             conversation_match_name(turn->plan.match), (long long)n_cached, (long long)n_new,
             (long long)n_evicted);
    http_exchange_add_header(turn->exchange, "X-Sinkd-Session", value);
    if (conversation_plan_id(&turn->plan) != NULL)
        http_exchange_add_header(turn->exchange, "X-Conversation-Id",
                                 conversation_plan_id(&turn->plan));
}

/* Headers and the first chunk go out before the prompt is read: clients and proxies give up on a
 * server that is silent for long. May free the turn. */
static void begin_stream(struct chat_turn *turn)
{
    if (turn->has_begun || !turn->request.generation.is_streaming)
        return;
    /* A token sees the window's other tokens and itself; what lies further back is evicted. */
    int64_t n_evicted =
        turn->plan.keep + turn->n_fed - (engine_info(turn->turns->options.engine)->n_window - 1);
    add_session_headers(turn, turn->plan.keep, turn->n_fed, n_evicted > 0 ? n_evicted : 0);
    turn->has_begun = true;
    http_exchange_begin_stream(turn->exchange, "text/event-stream; charset=utf-8");
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_begin(&turn->reply, &chunk);
    write_stream(turn, &chunk);
}

/* ---- from the request to the engine ---- */

static void submit(struct chat_turn *turn)
{
    struct generation_request *generation = &turn->request.generation;
    struct engine_request request;
    struct err err;
    engine_request_init(&request);
    request.id = turn->id;
    request.session = turn->plan.session;
    request.keep = turn->plan.keep;
    request.max_tokens = generation->max_tokens;
    request.ignore_end = generation->ignore_end;
    request.sampling = generation->sampling;
    request.tokens = turn->tokens;
    request.stops = generation->stops;
    request.n_stops = generation->n_stops;

    if (!engine_submit(turn->turns->options.engine, &request, &err)) {
        refuse_err(turn, &err); /* tokens and stops are still the turn's */
        return;
    }
    token_list_init(&turn->tokens);
    generation->stops = NULL;
    generation->n_stops = 0;
    turn->state = TURN_GENERATING;
    begin_stream(turn);
}

static void take_session(struct chat_turn *turn)
{
    if (conversations_take_session(turn->turns->options.conversations, &turn->plan)) {
        submit(turn);
    } else {
        turn->state = TURN_AWAITS_SESSION;
        begin_stream(turn);
    }
}

/* On a worker thread. Megabytes of text take a second; the loop must not. */
static void tokenize(void *arg)
{
    struct chat_turn *turn = arg;
    const struct conversation_plan *plan = &turn->plan;
    tokenizer_encode(engine_tokenizer(turn->turns->options.engine), &plan->prompt, plan->begin,
                     plan->is_start, &turn->tokens, &turn->tokens_err);
}

static void settle(struct chat_turns *turns);

static void on_tokenized(void *arg)
{
    struct chat_turn *turn = arg;
    struct chat_turns *turns = turn->turns;
    if (turn->exchange == NULL) {
        turn_free(turn);
    } else if (turn->tokens_err.code != ERR_NONE) {
        refuse_err(turn, &turn->tokens_err);
    } else {
        turn->n_fed = (int64_t)turn->tokens.n;
        turn->last_token = turn->tokens.n > 0 ? turn->tokens.ids[turn->tokens.n - 1] : -1;
        take_session(turn);
    }
    settle(turns);
}

static void make_tokens(struct chat_turn *turn)
{
    struct err err;
    turn->state = TURN_TOKENIZING;
    if (turn->plan.replay < 0) {
        if (!event_loop_work(turn->turns->options.loop, tokenize, on_tokenized, turn, &err))
            refuse_err(turn, &err);
        return;
    }
    if (!token_list_push(&turn->tokens, turn->plan.replay, &err)) {
        refuse_err(turn, &err);
        return;
    }
    turn->n_fed = 1;
    turn->last_token = turn->plan.replay;
    take_session(turn);
}

static enum conversations_status find_conversation(struct chat_turn *turn, struct err *err)
{
    if (!turn->request.is_chat)
        return conversations_begin_raw(buf_text(&turn->request.text), turn->request.text.len,
                                       &turn->plan, err);
    struct conversation_ask ask = {
        .owner = turn->owner,
        .id = turn->conversation_id[0] == '\0' ? NULL : turn->conversation_id,
        .messages = turn->request.messages,
        .n_messages = turn->request.n_messages,
    };
    return conversations_begin(turn->turns->options.conversations, &ask, &turn->plan, err);
}

static void begin(struct chat_turn *turn)
{
    struct err err;
    struct api_error error;
    switch (find_conversation(turn, &err)) {
    case CONVERSATIONS_READY:
        turn->has_plan = true;
        chat_request_drop_text(&turn->request);
        make_tokens(turn);
        break;
    case CONVERSATIONS_LEAVING:
        turn->state = TURN_AWAITS_CONVERSATION;
        break;
    case CONVERSATIONS_BUSY:
        api_error_set(&error, 409, "conversation_locked", NULL,
                      "Another request is speaking in this conversation; wait for its end.");
        error.retry_after_s = LOCKED_RETRY_S;
        refuse(turn, &error);
        break;
    case CONVERSATIONS_FAILED:
        refuse_err(turn, &err);
        break;
    }
}

/* After turns have ended: lets those that waited for it go on, first come first served. */
static void settle(struct chat_turns *turns)
{
    if (!turns->has_ended)
        return;
    while (turns->has_ended) {
        turns->has_ended = false;
        struct chat_turn *next;
        for (struct chat_turn *turn = turns->first; turn != NULL; turn = next) {
            next = turn->next;
            if (turn->state == TURN_AWAITS_CONVERSATION)
                begin(turn);
            else if (turn->state == TURN_AWAITS_SESSION)
                take_session(turn);
        }
    }
    if (turns->n_turns == 0 && turns->on_empty != NULL)
        turns->on_empty(turns->on_empty_arg);
}

static void on_gone(void *arg)
{
    struct chat_turn *turn = arg;
    struct chat_turns *turns = turn->turns;
    turn->exchange = NULL;
    leave(turn);
    settle(turns);
}

static void name_reply(struct chat_turn *turn)
{
    char random[RANDOM_ID_SIZE];
    random_id_make(random);
    turn->reply = (struct chat_reply){
        .created = (int64_t)time(NULL),
        .model = engine_info(turn->turns->options.engine)->model_name,
        .fingerprint = turn->turns->fingerprint,
        .is_chat = turn->request.is_chat,
        .include_usage = turn->request.generation.include_usage,
    };
    snprintf(turn->reply.id, sizeof turn->reply.id, "%s-%s",
             turn->request.is_chat ? "chatcmpl" : "cmpl", random);
}

void chat_turns_start(struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                      int owner, const char *conversation_id)
{
    const struct buf *body = http_exchange_body(exchange);
    struct api_error error;
    struct chat_request request;
    bool is_good = is_chat
                       ? chat_request_parse(buf_text(body), body->len, &turns->options.defaults,
                                            &request, &error)
                       : chat_request_parse_completion(buf_text(body), body->len,
                                                       &turns->options.defaults, &request, &error);
    if (!is_good) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct chat_turn *turn = turn_new(turns);
    if (turn == NULL) {
        chat_request_done(&request);
        api_error_set(&error, 429, "server_busy", NULL,
                      "The server has as many requests as it can take; try again later.");
        http_exchange_reply_error(exchange, &error);
        return;
    }
    turn->request = request;
    turn->exchange = exchange;
    turn->owner = owner;
    snprintf(turn->request_id, sizeof turn->request_id, "%s", http_exchange_request_id(exchange));
    snprintf(turn->conversation_id, sizeof turn->conversation_id, "%s",
             conversation_id != NULL ? conversation_id : request.session_id);
    name_reply(turn);
    http_exchange_on_gone(exchange, on_gone, turn);
    begin(turn);
    settle(turns);
}

/* ---- from the engine to the client ---- */

static void on_text(struct chat_turn *turn, const struct engine_event *event)
{
    buf_append(&turn->text, event->text.data, event->text.len);
    if (turn->text.failed || turn->text.len > MAX_ANSWER_BYTES)
        engine_cancel(turn->turns->options.engine, turn->id);
    if (turn->exchange == NULL || !turn->has_begun)
        return;
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_text(&turn->reply, event->text.data, event->text.len, &chunk);
    write_stream(turn, &chunk);
}

static void send_end(struct chat_turn *turn, const struct engine_event *event)
{
    const struct engine_info *info = engine_info(turn->turns->options.engine);
    struct chat_reply_end end = {
        .finish = event->finish,
        .usage = event->usage,
        .conversation_id = conversation_plan_id(&turn->plan),
        .match = conversation_match_name(turn->plan.match),
        .n_window = info->n_window,
        .n_sinks = info->n_sinks,
    };
    struct buf bytes;
    buf_init(&bytes);
    if (turn->has_begun) {
        chat_reply_finish(&turn->reply, &end, &bytes);
        if (http_exchange_write(turn->exchange, &bytes))
            http_exchange_end(turn->exchange);
    } else {
        chat_reply_whole(&turn->reply, turn->text.data, turn->text.len, &end, &bytes);
        add_session_headers(turn, event->usage.n_cached, event->usage.n_prompt,
                            event->usage.n_evicted);
        http_exchange_reply(turn->exchange, 200, "application/json", &bytes);
    }
    buf_done(&bytes);
    turn->exchange = NULL;
}

static void log_turn(const struct chat_turn *turn, const struct engine_event *event)
{
    const struct engine_usage *usage = &event->usage;
    static const char *const ends[] = {"stop", "length", "cancelled"};
    log_info("%s: %s, %lld tokens cached, %d read in %.0f ms, %d generated at %.1f/s, %s",
             turn->request_id, conversation_match_name(turn->plan.match),
             (long long)usage->n_cached, usage->n_prompt, (double)usage->prefill_ns / 1e6,
             usage->n_generated,
             usage->decode_ns > 0 ? usage->n_generated * 1e9 / (double)usage->decode_ns : 0,
             ends[event->finish]);
}

static void on_finished(struct chat_turn *turn, const struct engine_event *event)
{
    log_turn(turn, event);
    if (turn->exchange != NULL)
        send_end(turn, event);
    struct conversation_result result = {
        .usage = &event->usage,
        .n_fed = turn->n_fed,
        .last_token = turn->last_token,
        .text = buf_text(&turn->text),
        .len = turn->text.len,
        .is_cancelled = event->finish == ENGINE_FINISH_CANCELLED,
    };
    turn->has_plan = false;
    if (turn->text.failed)
        conversations_fail(turn->turns->options.conversations, &turn->plan);
    else
        conversations_end(turn->turns->options.conversations, &turn->plan, &result);
    turn_free(turn);
}

static void on_failed(struct chat_turn *turn, const struct engine_event *event)
{
    log_info("%s: failed: %s", turn->request_id, event->err.text);
    bool is_unharmed = event->err.code != ERR_MEMORY && event->err.code != ERR_INTERNAL;
    if (!is_unharmed) {
        turn->has_plan = false;
        conversations_fail(turn->turns->options.conversations, &turn->plan);
    }
    refuse_err(turn, &event->err);
}

void chat_turns_on_event(void *turns_arg, struct engine_event *event)
{
    struct chat_turns *turns = turns_arg;
    struct chat_turn *turn = find(turns, event->request);
    if (turn != NULL && event->kind == ENGINE_EVENT_TEXT)
        on_text(turn, event);
    else if (turn != NULL && event->kind == ENGINE_EVENT_FINISHED)
        on_finished(turn, event);
    else if (turn != NULL)
        on_failed(turn, event);
    engine_event_free(event);
    settle(turns);
}

/* ---- all of them ---- */

static void on_tick(void *arg)
{
    struct chat_turns *turns = arg;
    int64_t silent_since_ns =
        clock_now_ns() - (int64_t)turns->options.ping_after_s * 1000 * 1000 * 1000;
    struct chat_turn *next;
    for (struct chat_turn *turn = turns->first; turn != NULL; turn = next) {
        next = turn->next;
        if (!turn->has_begun || turn->exchange == NULL || turn->last_write_ns > silent_since_ns)
            continue;
        struct buf ping;
        buf_init(&ping);
        chat_reply_ping(&ping);
        write_stream(turn, &ping);
    }
    settle(turns);
}

bool chat_turns_open(struct chat_turns **out, const struct chat_turns_options *options,
                     struct err *err)
{
    struct chat_turns *turns = calloc(1, sizeof *turns);
    if (turns == NULL)
        return err_no_memory(err, "the requests");
    turns->options = *options;
    if (turns->options.max_turns > MAX_TURNS)
        turns->options.max_turns = MAX_TURNS;
    snprintf(turns->fingerprint, sizeof turns->fingerprint, "fp_sinkd-%s-%s", SINKD_VERSION,
             kv_type_name(engine_info(options->engine)->kv_type));
    turns->table = calloc((size_t)turns->options.max_turns, sizeof(struct chat_turn *));
    if (turns->table == NULL) {
        err_no_memory(err, "the requests");
        goto fail;
    }
    if (!event_timer_open(&turns->tick, options->loop, on_tick, turns, err))
        goto fail;
    event_timer_start(turns->tick, TICK_MS, TICK_MS);
    *out = turns;
    return true;

fail:
    chat_turns_close(&turns);
    return false;
}

void chat_turns_close(struct chat_turns **turns)
{
    if (*turns != NULL) {
        event_timer_close(&(*turns)->tick);
        free((*turns)->table);
        free(*turns);
    }
    *turns = NULL;
}

void chat_turns_on_empty(struct chat_turns *turns, void (*fn)(void *arg), void *arg)
{
    turns->on_empty = fn;
    turns->on_empty_arg = arg;
}

void chat_turns_stop(struct chat_turns *turns)
{
    struct api_error error;
    api_error_set(&error, 503, "server_shutting_down", NULL, "The server is shutting down.");
    struct chat_turn *next;
    for (struct chat_turn *turn = turns->first; turn != NULL; turn = next) {
        next = turn->next;
        answer_error(turn, &error);
        leave(turn);
    }
    settle(turns);
}

int chat_turns_count(const struct chat_turns *turns)
{
    return turns->n_turns;
}

int chat_turns_count_waiting(const struct chat_turns *turns)
{
    int n = 0;
    for (const struct chat_turn *turn = turns->first; turn != NULL; turn = turn->next)
        n += turn->state == TURN_AWAITS_CONVERSATION || turn->state == TURN_AWAITS_SESSION;
    return n;
}
