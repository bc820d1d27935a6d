#include "server/response_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/api_error.h"
#include "server/chat_reply.h"
#include "server/generation.h"
#include "server/http_exchange.h"
#include "server/item.h"
#include "server/logprobs_reply.h"
#include "server/response_output.h"
#include "server/response_record.h"
#include "server/response_replay.h"
#include "server/response_reply.h"
#include "server/response_request.h"
#include "server/routes.h"
#include "server/session_headers.h"
#include "server/sse_stream.h"
#include "server/store.h"

enum { LOCKED_RETRY_S = 1, MAX_LOG_BYTES = 64 * 1024 * 1024 };

enum turn_state {
    TURN_LOADS,     /* the store reads what the response follows */
    TURN_GENERATES, /* `generation` is set */
    TURN_COMMITS,   /* the store writes the response */
};

/* One client that waits for something. */
struct follower {
    struct follower *next;
    struct response_turn *turn;
    struct http_exchange *exchange;
    bool wants_stream;        /* events; else the whole response at its end */
    struct sse_stream stream; /* begun with the first events */
    int64_t after;            /* events up to this one are not wanted */
};

struct response_turn {
    struct response_turn *next;
    struct response_turns *all;
    enum turn_state state;
    char request_id[65];
    int owner;
    struct response_record record;
    struct store_job job;
    struct generation_request generation_request;
    struct generation *generation;
    struct response_output output;
    struct follower *followers;
    struct buf log; /* in the background: all events so far */
    bool is_background;
    bool is_kept;
    bool is_strict;
    bool is_cancelled;
};

static const char json_media[] = "application/json";

static void turn_free(struct response_turn *turn)
{
    struct response_turn **link = &turn->all->first;
    while (*link != turn)
        link = &(*link)->next;
    *link = turn->next;
    response_record_done(&turn->record);
    generation_request_done(&turn->generation_request);
    response_output_done(&turn->output);
    buf_done(&turn->log);
    free(turn);
}

/* ---- followers ---- */

static void interrupt(struct response_turn *turn);

static void remove_follower(struct follower *follower)
{
    struct follower **link = &follower->turn->followers;
    while (*link != follower)
        link = &(*link)->next;
    *link = follower->next;
    free(follower);
}

/* Its client has gone, or reads too slowly. May free the turn. */
static void lose_follower(struct follower *follower)
{
    struct response_turn *turn = follower->turn;
    remove_follower(follower);
    if (turn->followers == NULL && !turn->is_background)
        interrupt(turn);
}

static void on_gone(void *arg)
{
    lose_follower(arg);
}

static struct follower *add_follower(struct response_turn *turn, struct http_exchange *exchange,
                                     bool wants_stream, int64_t after)
{
    struct follower *follower = calloc(1, sizeof *follower);
    if (follower == NULL) {
        struct api_error error;
        api_error_set(&error, 503, "out_of_memory", NULL, "not enough memory");
        http_exchange_reply_error(exchange, &error);
        return NULL;
    }
    *follower = (struct follower){
        .next = turn->followers,
        .turn = turn,
        .exchange = exchange,
        .wants_stream = wants_stream,
        .after = after,
    };
    turn->followers = follower;
    http_exchange_on_gone(exchange, on_gone, follower);
    return follower;
}

/* Sends frames, the first of which has number `first`. False when the client reads too slowly. */
static bool send_frames(struct follower *follower, const struct buf *frames, int64_t first)
{
    if (follower->stream.exchange == NULL)
        sse_stream_begin(&follower->stream, follower->exchange);
    struct buf copy;
    buf_init(&copy);
    if (follower->after >= first)
        buf_append_text(&copy, response_replay_skip(buf_text(frames), follower->after - first));
    else
        buf_append(&copy, frames->data, frames->len);
    return sse_stream_write(&follower->stream, &copy);
}

/* Takes the events that were written since the last call to whoever follows. May free the turn. */
static void flush(struct response_turn *turn, int64_t first)
{
    struct buf frames = turn->output.frames;
    buf_init(&turn->output.frames);
    if (turn->is_background && turn->log.len + frames.len <= MAX_LOG_BYTES)
        buf_append(&turn->log, frames.data, frames.len);
    bool is_slow = false;
    struct follower *next;
    for (struct follower *follower = turn->followers; follower != NULL; follower = next) {
        next = follower->next;
        if (!follower->wants_stream || send_frames(follower, &frames, first))
            continue;
        log_info("%s: the client reads too slowly, its stream is cut", turn->record.row.id);
        remove_follower(follower);
        is_slow = true;
    }
    buf_done(&frames);
    if (is_slow && turn->followers == NULL && !turn->is_background)
        interrupt(turn);
}

/* The last that all of them hear; the turn is freed. */
static void conclude(struct response_turn *turn)
{
    int64_t first = turn->output.sequence;
    const struct response_row *row = &turn->record.row;
    if (first == 0)
        response_output_begin(&turn->output, row);
    response_output_end(&turn->output, row);
    while (turn->followers != NULL) {
        struct follower *follower = turn->followers;
        if (!follower->wants_stream)
            response_turn_show(turn, follower->exchange);
        else if (send_frames(follower, &turn->output.frames, first))
            sse_stream_end(&follower->stream);
        remove_follower(follower);
    }
    turn_free(turn);
}

/* The same for what went wrong before anything was said. */
static void refuse(struct response_turn *turn, const struct api_error *error)
{
    while (turn->followers != NULL) {
        http_exchange_reply_error(turn->followers->exchange, error);
        remove_follower(turn->followers);
    }
    turn_free(turn);
}

/* ---- the end ---- */

static void work_commit(struct store_db *db, void *arg)
{
    struct response_turn *turn = arg;
    response_record_commit(&turn->record, db, turn->all->ttl_s);
}

/* A response that should have been stored and is not is no complete one: who asked for the whole
 * of it gets an error instead. */
static void on_committed(void *arg)
{
    struct response_turn *turn = arg;
    struct response_row *row = &turn->record.row;
    const struct err *err = &turn->record.err;
    if (err->code != ERR_NONE) {
        struct api_error error;
        api_error_from(&error, err);
        log_warning("%s: the response is not stored: %s", row->id, err->text);
        row->status = RESPONSE_FAILED;
        buf_clear(&row->error);
        response_reply_write_error("server_error", err->text, &row->error);
        struct follower *next;
        for (struct follower *follower = turn->followers; follower != NULL; follower = next) {
            next = follower->next;
            if (follower->wants_stream)
                continue;
            http_exchange_reply_error(follower->exchange, &error);
            remove_follower(follower);
        }
    }
    conclude(turn);
}

/* The row says how it ended; what was said is in its output. Frees the turn now or later. */
static void finish(struct response_turn *turn)
{
    struct response_row *row = &turn->record.row;
    turn->generation = NULL;
    row->completed = (int64_t)time(NULL);
    if (!turn->is_kept && row->conversation[0] == '\0') {
        conclude(turn);
        return;
    }
    turn->state = TURN_COMMITS;
    turn->job = (struct store_job){.work = work_commit, .done = on_committed, .arg = turn};
    store_run(turn->all->store, &turn->job);
}

static void close_output(struct response_turn *turn, bool is_complete)
{
    struct response_row *row = &turn->record.row;
    int64_t first = turn->output.sequence;
    if (!response_output_close(&turn->output, is_complete)) {
        row->status = RESPONSE_FAILED;
        response_reply_write_error("server_error", "not enough memory", &row->error);
    }
    turn->state = TURN_COMMITS; /* nobody's leaving interrupts it any more */
    flush(turn, first);
}

/* Nobody wants it any more. */
static void interrupt(struct response_turn *turn)
{
    if (turn->state == TURN_LOADS)
        turn->is_cancelled = true;
    if (turn->state != TURN_GENERATES)
        return;
    struct generation *generation = turn->generation;
    turn->record.row.status = RESPONSE_CANCELLED;
    close_output(turn, false);
    finish(turn);
    generation_leave(generation);
}

/* ---- what the generation says ---- */

static void fail(struct response_turn *turn, const struct api_error *error)
{
    struct response_row *row = &turn->record.row;
    bool has_begun = turn->output.sequence > 0;
    if (!has_begun && !turn->is_background) {
        refuse(turn, error);
        return;
    }
    row->status = RESPONSE_FAILED;
    response_reply_write_error(error->status == 429 ? "rate_limit_exceeded" : "server_error",
                               error->message, &row->error);
    if (has_begun)
        close_output(turn, false);
    turn->state = TURN_COMMITS;
    finish(turn);
}

static bool check_length(const struct response_turn *turn, const struct generation_start *start,
                         struct api_error *error)
{
    long long n_input = (long long)start->n_cached + start->n_new;
    return !turn->is_strict || n_input <= turn->all->n_window ||
           api_error_set(error, 400, "context_length_exceeded", "input",
                         "The input has %lld tokens, but the model's maximum context length is "
                         "%d: it exceeds the available context size. Without 'truncation' the "
                         "oldest tokens roll out of the window.",
                         n_input, turn->all->n_window);
}

static void on_start(void *arg, const struct generation_start *start)
{
    struct response_turn *turn = arg;
    struct response_row *row = &turn->record.row;
    struct api_error error;
    if (!check_length(turn, start, &error)) {
        struct generation *generation = turn->generation;
        fail(turn, &error);
        generation_leave(generation);
        return;
    }
    for (struct follower *follower = turn->followers; follower != NULL; follower = follower->next) {
        if (follower->wants_stream)
            session_headers_add(follower->exchange, start);
    }
    int64_t first = turn->output.sequence;
    row->status = RESPONSE_IN_PROGRESS;
    response_output_begin(&turn->output, row);
    flush(turn, first);
}

static void on_delta(void *arg, const struct generation_delta *delta)
{
    struct response_turn *turn = arg;
    int64_t first = turn->output.sequence;
    static const enum response_part parts[] = {
        [ANSWER_CONTENT] = RESPONSE_PART_TEXT,
        [ANSWER_REASONING] = RESPONSE_PART_REASONING,
        [ANSWER_ARGUMENTS] = RESPONSE_PART_CALL,
    };
    struct buf logprobs;
    buf_init(&logprobs);
    logprobs_reply_tokens(turn->all->tokenizer, delta->reports, delta->n_reports, &logprobs);
    struct response_piece piece = {parts[delta->part], delta->text, delta->len, &logprobs};
    bool is_said =
        delta->part == ANSWER_CALL
            ? response_output_begin_call(&turn->output, delta->call_id, delta->text, delta->len)
            : response_output_say(&turn->output, &piece);
    if (!is_said)
        log_warning("%s: not enough memory for the answer", turn->record.row.id);
    buf_done(&logprobs);
    flush(turn, first);
}

static void on_tick(void *arg)
{
    struct response_turn *turn = arg;
    struct follower *next;
    for (struct follower *follower = turn->followers; follower != NULL; follower = next) {
        next = follower->next;
        bool is_last = next == NULL;
        if (follower->stream.exchange != NULL &&
            !sse_stream_ping(&follower->stream, turn->all->ping_after_s))
            lose_follower(follower);
        if (is_last) /* the turn may be gone */
            return;
    }
}

static void on_finish(void *arg, const struct generation_end *end)
{
    struct response_turn *turn = arg;
    struct response_row *row = &turn->record.row;
    row->status = end->finish == ENGINE_FINISH_STOP     ? RESPONSE_COMPLETED
                  : end->finish == ENGINE_FINISH_LENGTH ? RESPONSE_INCOMPLETE
                                                        : RESPONSE_CANCELLED;
    if (row->status == RESPONSE_INCOMPLETE)
        snprintf(row->incomplete_reason, sizeof row->incomplete_reason, "max_output_tokens");
    response_reply_write_usage(&end->usage, end->n_thought, &row->usage);
    chat_reply_session(end, &row->session);
    for (struct follower *follower = turn->followers; follower != NULL; follower = follower->next) {
        if (!follower->wants_stream)
            session_headers_add_end(follower->exchange, end);
    }
    close_output(turn, end->finish == ENGINE_FINISH_STOP);
    finish(turn);
}

static void on_fail(void *arg, const struct api_error *error)
{
    fail(arg, error);
}

static const struct generation_listener listener = {on_start, on_delta, on_tick, on_finish,
                                                    on_fail};

/* ---- from the request to the generation ---- */

/* Responses of one lineage share a session of the engine, one after the other. */
static void leave_busy_lineage(struct response_turn *turn)
{
    struct response_row *row = &turn->record.row;
    for (const struct response_turn *one = turn->all->first; one != NULL; one = one->next) {
        if (one != turn && one->state != TURN_LOADS &&
            strcmp(one->record.row.lineage, row->lineage) == 0)
            memcpy(row->lineage, row->id, sizeof row->lineage);
    }
}

static struct generation *make_generation(struct response_turn *turn, struct api_error *error)
{
    const struct response_row *row = &turn->record.row;
    bool is_named = turn->is_kept || row->conversation[0] != '\0';
    struct generation_ask ask = {
        .listener = &listener,
        .arg = turn,
        .request_id = turn->request_id,
        .owner = turn->owner,
        .conversation_id = is_named ? row->lineage : NULL,
        .messages = turn->record.messages,
        .request = turn->generation_request,
    };
    struct generation *generation = generation_new(turn->all->generations, &ask, error);
    turn->record.messages = ask.messages;
    turn->generation_request = ask.request;
    return generation;
}

/* In the background nobody waits for more than the promise. */
static void promise(struct response_turn *turn)
{
    struct follower *next;
    for (struct follower *follower = turn->followers; follower != NULL; follower = next) {
        next = follower->next;
        if (follower->wants_stream)
            continue;
        response_turn_show(turn, follower->exchange);
        remove_follower(follower);
    }
}

static void on_loaded(void *arg)
{
    struct response_turn *turn = arg;
    struct api_error error;
    bool is_wanted = turn->is_background || turn->followers != NULL;
    bool is_good = true;
    if (turn->record.err.code != ERR_NONE) {
        response_record_explain(&turn->record, &error);
        is_good = false;
    } else if (turn->all->routes->is_draining) {
        is_good = api_error_set(&error, 503, "server_shutting_down", NULL,
                                "The server is shutting down.");
    } else if (!is_wanted) {
        turn_free(turn);
        return;
    }
    leave_busy_lineage(turn);
    if (is_good && !turn->is_cancelled)
        turn->generation = make_generation(turn, &error);
    if (turn->is_cancelled && is_good) {
        turn->record.row.status = RESPONSE_CANCELLED;
        turn->state = TURN_COMMITS;
        finish(turn);
    } else if (turn->generation == NULL) {
        refuse(turn, &error);
    } else {
        turn->state = TURN_GENERATES;
        if (turn->is_background)
            promise(turn);
        generation_run(turn->generation);
    }
}

static void work_load(struct store_db *db, void *arg)
{
    struct response_turn *turn = arg;
    response_record_load(&turn->record, db, turn->is_background, turn->all->ttl_s);
}

static void load(struct response_turn *turn)
{
    if (turn->is_kept || response_record_needs_store(&turn->record)) {
        turn->job = (struct store_job){.work = work_load, .done = on_loaded, .arg = turn};
        store_run(turn->all->store, &turn->job);
    } else {
        work_load(NULL, turn);
        on_loaded(turn);
    }
}

/* One turn at a time may add to a conversation. */
static bool check_lock(const struct response_turns *all, const struct auth_digest *owner,
                       const struct response_request *request, struct api_error *error)
{
    if (request->conversation[0] == '\0')
        return true;
    for (const struct response_turn *one = all->first; one != NULL; one = one->next) {
        if (strcmp(one->record.row.conversation, request->conversation) != 0 ||
            strcmp(one->record.owner.hex, owner->hex) != 0)
            continue;
        api_error_set(error, 409, "conversation_locked", "conversation",
                      "Another response is being made in this conversation; wait for its end.");
        error->retry_after_s = LOCKED_RETRY_S;
        return false;
    }
    return true;
}

/* Takes the request over. */
static struct response_turn *turn_new(struct response_turns *all, struct response_request *request,
                                      const struct auth_digest *owner)
{
    struct response_turn *turn = calloc(1, sizeof *turn);
    if (turn == NULL)
        return NULL;
    turn->all = all;
    turn->is_background = request->is_background;
    turn->is_kept = request->is_kept;
    turn->is_strict = request->is_strict;
    turn->generation_request = request->generation;
    request->generation = (struct generation_request){0};
    response_record_init(&turn->record, request, owner);
    response_output_init(&turn->output,
                         turn->generation_request.is_streaming || turn->is_background,
                         &turn->record.row.output);
    buf_init(&turn->log);
    turn->next = all->first;
    all->first = turn;
    return turn;
}

void response_turn_start(struct response_turns *turns, struct http_exchange *exchange, int owner)
{
    const struct buf *body = http_exchange_body(exchange);
    struct response_request request;
    struct response_turn *turn = NULL;
    struct auth_digest digest;
    struct api_error error;
    if (!response_request_parse(buf_text(body), body->len, turns->defaults, turns->model_name,
                                &request, &error)) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    auth_read_digest(turns->auth, owner, &digest);
    if (check_lock(turns, &digest, &request, &error)) {
        turn = turn_new(turns, &request, &digest);
        api_error_set(&error, 503, "out_of_memory", NULL, "not enough memory");
    }
    response_request_done(&request);
    if (turn == NULL) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    turn->owner = owner;
    snprintf(turn->request_id, sizeof turn->request_id, "%s", http_exchange_request_id(exchange));
    if (add_follower(turn, exchange, turn->generation_request.is_streaming, -1) == NULL)
        turn_free(turn);
    else
        load(turn);
}

/* ---- others who want to know ---- */

struct response_turn *response_turn_find(const struct response_turns *turns,
                                         const struct auth_digest *owner, const char *id)
{
    struct response_turn *turn = turns->first;
    while (turn != NULL && (strcmp(turn->record.row.id, id) != 0 ||
                            strcmp(turn->record.owner.hex, owner->hex) != 0))
        turn = turn->next;
    return turn;
}

bool response_turn_is_background(const struct response_turn *turn)
{
    return turn->is_background;
}

void response_turn_show(const struct response_turn *turn, struct http_exchange *exchange)
{
    struct buf body;
    buf_init(&body);
    response_reply_write(&turn->record.row, &body);
    http_exchange_reply(exchange, 200, json_media, &body);
}

void response_turn_follow(struct response_turn *turn, struct http_exchange *exchange, int64_t after)
{
    struct follower *follower = add_follower(turn, exchange, true, after);
    if (follower != NULL && turn->log.len > 0 && !send_frames(follower, &turn->log, 0))
        remove_follower(follower);
}

void response_turn_cancel(struct response_turn *turn, struct http_exchange *exchange)
{
    if (add_follower(turn, exchange, false, -1) != NULL)
        interrupt(turn);
}
