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
#include "server/logprobs_reply.h"
#include "server/metrics.h"
#include "server/response_reply.h"
#include "server/response_request.h"
#include "server/response_turn_state.h"
#include "server/response_turns.h"
#include "server/routes.h"

static void turn_free(struct response_turn *turn)
{
    LIST_REMOVE(turn, place);
    audience_done(&turn->audience);
    response_record_done(&turn->record);
    generation_request_done(&turn->generation_request);
    response_output_done(&turn->output);
    free(turn);
}

/* Takes the events that were written to whoever follows. May free the turn. */
static void flush(struct response_turn *turn)
{
    followers_send(&turn->audience.followers, &turn->output.frames);
}

static void send_row(const void *row, struct http_exchange *exchange)
{
    response_reply_send(row, exchange);
}

/* The last that all of them hear; the turn is freed, now or when no client has come back for it. */
static void conclude(struct response_turn *turn)
{
    const struct response_row *row = &turn->record.row;
    if (turn->output.sequence == 0)
        response_output_begin(&turn->output, row);
    response_output_end(&turn->output, row);
    followers_show(&turn->audience.followers, send_row, row);
    followers_end(&turn->audience.followers, &turn->output.frames);
    turn->state = TURN_IS_OVER;
    turn->audience.resumable.is_over = true;
    bool is_good = row->status == RESPONSE_COMPLETED || row->status == RESPONSE_INCOMPLETE;
    if (!is_good || !audience_await(&turn->audience))
        turn_free(turn);
}

/* The same for what went wrong before anything was said. */
static void refuse(struct response_turn *turn, const struct api_error *error)
{
    followers_refuse(&turn->audience.followers, error);
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
        followers_fail(&turn->audience.followers, &error);
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
    if (!response_output_close(&turn->output, is_complete)) {
        row->status = RESPONSE_FAILED;
        response_reply_write_error("server_error", "not enough memory", &row->error);
    }
    turn->state = TURN_COMMITS; /* nobody's leaving interrupts it any more */
    flush(turn);
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

static void on_deserted(void *arg)
{
    struct response_turn *turn = arg;
    if (turn->is_background || turn->state == TURN_IS_OVER)
        return;
    if (!audience_await(&turn->audience))
        interrupt(turn);
}

static void on_expired(void *arg)
{
    struct response_turn *turn = arg;
    resumables_remove(&turn->audience.resumable);
    if (turn->state == TURN_IS_OVER)
        turn_free(turn);
    else
        interrupt(turn);
}

static void on_pressure(void *arg, bool is_full)
{
    struct response_turn *turn = arg;
    if (turn->state == TURN_GENERATES)
        generation_park(turn->generation, is_full && !turn->is_background);
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
    followers_add_headers(&turn->audience.followers, start);
    row->status = RESPONSE_IN_PROGRESS;
    response_output_begin(&turn->output, row);
    flush(turn);
}

static void on_delta(void *arg, const struct generation_delta *delta)
{
    struct response_turn *turn = arg;
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
    flush(turn);
}

static void on_tick(void *arg)
{
    struct response_turn *turn = arg;
    followers_ping(&turn->audience.followers, turn->all->ping_after_s);
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
    followers_note_end(&turn->audience.followers, end);
    close_output(turn, end->finish == ENGINE_FINISH_STOP);
    finish(turn);
}

static void on_fail(void *arg, const struct api_error *error)
{
    fail(arg, error);
}

static const struct generation_listener listener = {on_start,  on_delta, on_tick,
                                                    on_finish, on_fail,  NULL};

/* ---- from the request to the generation ---- */

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

static void on_loaded(void *arg)
{
    struct response_turn *turn = arg;
    struct api_error error;
    bool is_wanted = turn->is_background || turn->audience.followers.first != NULL ||
                     turn->audience.resumable.expires_ns != 0;
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
    if (response_turns_share_lineage(turn))
        memcpy(turn->record.row.lineage, turn->record.row.id, sizeof turn->record.row.lineage);
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
        if (turn->is_background) /* nobody waits for more than the promise */
            followers_show(&turn->audience.followers, send_row, &turn->record.row);
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

static void open_audience(struct response_turn *turn, const struct resumable_ask *again)
{
    const struct response_turns *all = turn->all;
    struct audience_options options = {
        .resumables = all->resumables,
        .name = turn->record.row.id,
        .is_streaming = turn->generation_request.is_streaming,
        .stall_s = all->stall_s,
        .on_deserted = on_deserted,
        .on_pressure = on_pressure,
        .on_expired = on_expired,
        .arg = turn,
    };
    audience_init(&turn->audience, &options, again);
    if (!turn->is_background)
        return;
    /* Kept for whoever comes, up to a limit of its own. */
    struct followers *followers = &turn->audience.followers;
    followers->name = turn->record.row.id;
    followers->keeps_log = true;
    followers->budget = NULL;
}

static struct response_turn *turn_new(struct response_turns *all,
                                      const struct response_order *order)
{
    struct response_request *request = order->request;
    struct response_turn *turn = calloc(1, sizeof *turn);
    if (turn == NULL)
        return NULL;
    turn->all = all;
    turn->owner = order->owner;
    turn->is_background = request->is_background;
    turn->is_kept = request->is_kept;
    turn->is_strict = request->is_strict;
    turn->generation_request = request->generation;
    request->generation = (struct generation_request){0};
    response_record_init(&turn->record, request, &order->digest);
    open_audience(turn, &order->again);
    response_output_init(&turn->output, turn->audience.is_streaming || turn->is_background,
                         &turn->record.row.output);
    LIST_INSERT_HEAD(&all->list, turn, place);
    return turn;
}

void response_turn_start(struct response_turns *turns, struct http_exchange *exchange,
                         const struct response_order *order)
{
    struct response_turn *turn = turn_new(turns, order);
    if (turn == NULL) {
        struct api_error error;
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    snprintf(turn->request_id, sizeof turn->request_id, "%s", http_exchange_request_id(exchange));
    if (followers_add(&turn->audience.followers, exchange, turn->audience.is_streaming, -1))
        load(turn);
    else
        turn_free(turn);
}

/* ---- others who want to know ---- */

bool response_turn_keeps_events(const struct response_turn *turn)
{
    return turn->audience.followers.keeps_log;
}

void response_turn_show(const struct response_turn *turn, struct http_exchange *exchange)
{
    response_reply_send(&turn->record.row, exchange);
}

void response_turn_follow(struct response_turn *turn, struct http_exchange *exchange, int64_t after)
{
    followers_add(&turn->audience.followers, exchange, true, after);
}

void response_turn_cancel(struct response_turn *turn, struct http_exchange *exchange)
{
    if (followers_add(&turn->audience.followers, exchange, false, -1))
        interrupt(turn);
}

bool response_turn_can_return(const struct response_turn *turn)
{
    return audience_can_return(&turn->audience);
}

void response_turn_take_up(struct response_turn *turn, struct http_exchange *exchange,
                           int64_t after)
{
    struct audience *audience = &turn->audience;
    metrics_match(turn->all->metrics, "attach");
    if (turn->is_background && !audience->is_streaming) {
        resumable_take_up(&audience->resumable);
        response_reply_send(&turn->record.row, exchange);
        return;
    }
    audience_take_up(audience, exchange, after, send_row, &turn->record.row);
}
