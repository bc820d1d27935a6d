#include "server/chat_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "server/anthropic_reply.h"
#include "server/api_error.h"
#include "server/audience.h"
#include "server/chat_ask.h"
#include "server/chat_reply.h"
#include "server/chat_request.h"
#include "server/chat_turns.h"
#include "server/generation.h"
#include "server/http_exchange.h"
#include "server/metrics.h"
#include "server/random_id.h"

/* One answer, and the listener of its generation. */
struct choice {
    struct chat_turn *turn;
    struct generation *generation; /* NULL: over */
    struct chat_reply_choice place;
    struct buf echo; /* the prompt again, when asked for */
    struct buf json; /* of a whole reply */
};

struct chat_turn {
    struct chat_turns *turns;
    int ping_after_s; /* 0: as all turns */
    const struct chat_form *form;
    struct chat_reply reply;
    struct audience audience;
    struct buf whole; /* the whole reply, of a turn that is over and kept */

    struct choice *choices; /* [n_choices]: n_per_prompt to each prompt */
    int n_choices;
    int n_per_prompt;
    int n_open;
    bool has_ended;   /* nothing more is to be said */
    bool is_starting; /* its generations are being set going: it may not be freed */
    struct chat_reply_usage usage;
    struct buf session; /* the first choice's, as JSON */
};

static void turn_free(struct chat_turn *turn)
{
    for (int i = 0; i < turn->n_choices; i++) {
        buf_done(&turn->choices[i].echo);
        buf_done(&turn->choices[i].json);
    }
    audience_done(&turn->audience);
    buf_done(&turn->whole);
    buf_done(&turn->session);
    free(turn->choices);
    free(turn);
}

/* Nothing more is to be said to anybody: what still generates stops. */
static void turn_end(struct chat_turn *turn)
{
    turn->has_ended = true;
    resumables_remove(&turn->audience.resumable);
    for (int i = 0; i < turn->n_choices; i++) {
        struct generation *generation = turn->choices[i].generation;
        turn->choices[i].generation = NULL;
        if (generation != NULL)
            generation_leave(generation);
    }
    if (!turn->is_starting)
        turn_free(turn);
}

static void on_expired(void *arg)
{
    turn_end(arg);
}

/* Its clients have left: one may come back. */
static void on_deserted(void *arg)
{
    struct chat_turn *turn = arg;
    if (turn->has_ended || turn->audience.resumable.is_over || audience_await(&turn->audience))
        return;
    turn_end(turn);
}

static void on_pressure(void *arg, bool is_full)
{
    struct chat_turn *turn = arg;
    for (int i = 0; i < turn->n_choices; i++) {
        if (turn->choices[i].generation != NULL)
            generation_park(turn->choices[i].generation, is_full);
    }
}

/* ---- what the generations say ---- */

/* Headers and the first chunk go out before the prompt is read: clients and proxies give up on a
 * server that is silent for long. */
static void on_start(void *arg, const struct generation_start *start)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    if (choice->place.index == 0)
        followers_add_headers(&turn->audience.followers, start);
    if (!turn->audience.is_streaming)
        return;
    struct buf chunk;
    buf_init(&chunk);
    turn->form->begin(&turn->reply, &choice->place, start, &chunk);
    followers_send(&turn->audience.followers, &chunk);
}

static void on_delta(void *arg, const struct generation_delta *delta)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    if (!turn->audience.is_streaming)
        return;
    struct buf chunk;
    buf_init(&chunk);
    turn->form->delta(&turn->reply, &choice->place, delta, &chunk);
    followers_send(&turn->audience.followers, &chunk);
}

static void on_tick(void *arg)
{
    struct chat_turn *turn = ((struct choice *)arg)->turn;
    int after_s = turn->ping_after_s != 0 ? turn->ping_after_s : turn->turns->ping_after_s;
    followers_ping(&turn->audience.followers, after_s);
}

static void on_progress(void *arg, int n_read, const struct engine_usage *usage)
{
    struct choice *choice = arg;
    struct buf chunk;
    buf_init(&chunk);
    choice->turn->form->progress(&choice->turn->reply, &choice->place, n_read, usage, &chunk);
    followers_send(&choice->turn->audience.followers, &chunk);
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

static void write_whole(struct chat_turn *turn, struct buf *out)
{
    turn->form->whole_begin(&turn->reply, out);
    for (int i = 0; i < turn->n_choices; i++) {
        buf_append_text(out, i == 0 ? "" : ",");
        buf_append(out, buf_text(&turn->choices[i].json), turn->choices[i].json.len);
        out->failed = out->failed || turn->choices[i].json.failed;
        buf_done(&turn->choices[i].json);
    }
    turn->form->whole_end(&turn->usage, out);
    buf_append(out, buf_text(&turn->session), turn->session.len);
    buf_append_char(out, '}');
}

static void send_whole(const void *whole, struct http_exchange *exchange)
{
    const struct buf *kept = whole;
    struct buf bytes;
    buf_init(&bytes);
    buf_append(&bytes, kept->data, kept->len);
    if (bytes.failed || kept->failed) {
        struct api_error error;
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
    } else {
        http_exchange_reply(exchange, 200, "application/json", &bytes);
    }
    buf_done(&bytes);
}

/* All is said. Where the client may not have got it, it is kept for a while. */
static void end_reply(struct chat_turn *turn, struct buf *last)
{
    if (turn->audience.is_streaming) {
        turn->form->close(&turn->reply, &turn->usage, last);
        followers_end(&turn->audience.followers, last);
    } else {
        write_whole(turn, &turn->whole);
        followers_show(&turn->audience.followers, send_whole, &turn->whole);
    }
    turn->audience.resumable.is_over = true;
    if (turn->whole.failed || !audience_await(&turn->audience))
        turn_end(turn);
}

static void on_finish(void *arg, const struct generation_end *end)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    choice->generation = NULL;
    add_usage(turn, choice, end);
    if (choice->place.index == 0) {
        followers_note_end(&turn->audience.followers, end);
        if (!turn->audience.is_streaming)
            chat_reply_session(end, &turn->session);
    }
    struct buf chunk;
    buf_init(&chunk);
    if (turn->audience.is_streaming)
        turn->form->finish(&turn->reply, &choice->place, end, &chunk);
    else
        turn->form->choice(&turn->reply, &choice->place, end, &choice->json);
    if (--turn->n_open == 0)
        end_reply(turn, &chunk);
    else
        followers_send(&turn->audience.followers, &chunk);
}

static void fail(struct chat_turn *turn, const struct api_error *error)
{
    if (turn->audience.followers.n_events == 0) {
        followers_refuse(&turn->audience.followers, error);
    } else {
        struct buf frames;
        buf_init(&frames);
        turn->form->fail(error, &frames);
        followers_end(&turn->audience.followers, &frames);
    }
    turn_end(turn);
}

static void on_fail(void *arg, const struct api_error *error)
{
    struct choice *choice = arg;
    choice->generation = NULL;
    fail(choice->turn, error);
}

static const struct generation_listener listener = {on_start,  on_delta, on_tick,
                                                    on_finish, on_fail,  on_progress};

/* ---- from the request to the generations ---- */

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

/* Only a message that is gone on with is part of the answer's. */
static void echo_message(struct choice *choice, const struct message_log *messages)
{
    struct chat_message last = message_log_view(messages, messages->n - 1);
    if (last.role != CHAT_ASSISTANT)
        return;
    buf_append(&choice->echo, last.content, last.len);
    choice->place.echo = buf_text(&choice->echo);
    choice->place.echo_len = choice->echo.len;
}

/* The first answer to a chat belongs to its conversation; others are only shown. */
static bool open_choice(struct chat_turn *turn, int index, const struct chat_order *order,
                        struct api_error *error)
{
    struct chat_request *request = order->request;
    struct choice *choice = &turn->choices[index];
    choice->turn = turn;
    choice->place = (struct chat_reply_choice){.index = index, .echo = ""};
    if (request->is_echoing && request->is_chat)
        echo_message(choice, &request->messages);
    else if (request->is_echoing)
        echo_prompt(choice, &request->prompts.items[index / request->n_choices]);
    struct generation_ask ask = {
        .listener = &listener,
        .arg = choice,
        .request_id = order->request_id,
        .owner = order->again.owner,
        .conversation_id = order->again.conversation_id,
        .group = request->name.group,
        .is_ephemeral = index > 0,
        .is_raw = !request->is_chat,
    };
    if (chat_ask_take_words(request, index, &ask))
        choice->generation = generation_new(turn->turns->generations, &ask, error);
    else
        api_error_no_memory(error);
    chat_ask_done(&ask);
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
        .has_timings = request->generation.wants_timings,
    };
    static const char *const prefixes[] = {
        [CHAT_API_CHAT] = "chatcmpl-",
        [CHAT_API_COMPLETION] = "cmpl-",
        [CHAT_API_ANTHROPIC] = "msg_",
    };
    turn->form = request->api == CHAT_API_ANTHROPIC ? &anthropic_form : &chat_reply_form;
    snprintf(turn->reply.id, sizeof turn->reply.id, "%s%s", prefixes[request->api], random);
}

static void open_audience(struct chat_turn *turn, const struct chat_order *order)
{
    struct audience_options options = {
        .resumables = turn->turns->resumables,
        .name = turn->reply.id,
        .is_streaming = order->request->generation.is_streaming,
        .stall_s = turn->turns->stall_s,
        .on_deserted = on_deserted,
        .on_pressure = on_pressure,
        .on_expired = on_expired,
        .arg = turn,
    };
    audience_init(&turn->audience, &options, &order->again);
}

static struct chat_turn *turn_new(struct chat_turns *turns, const struct chat_order *order)
{
    const struct chat_request *request = order->request;
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
    turn->ping_after_s = request->generation.ping_after_s;
    turn->n_choices = turn->n_open = n_prompts * request->n_choices;
    turn->n_per_prompt = request->n_choices;
    name_reply(turn, request);
    open_audience(turn, order);
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

void chat_turn_start(struct chat_turns *turns, struct http_exchange *exchange,
                     const struct chat_order *order)
{
    struct api_error error;
    struct chat_turn *turn = turn_new(turns, order);
    if (turn == NULL) {
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    bool is_good = true;
    turn->is_starting = true;
    for (int i = 0; i < turn->n_choices && is_good; i++)
        is_good = open_choice(turn, i, order, &error);
    if (!is_good)
        http_exchange_reply_error(exchange, &error);
    if (is_good &&
        followers_add(&turn->audience.followers, exchange, turn->audience.is_streaming, -1)) {
        run(turn);
        return;
    }
    turn->is_starting = false;
    turn_end(turn);
}

/* ---- once more ---- */

const char *chat_turn_id(const struct chat_turn *turn)
{
    return turn->reply.id;
}

bool chat_turn_can_return(const struct chat_turn *turn)
{
    return audience_can_return(&turn->audience);
}

void chat_turn_take_up(struct chat_turn *turn, struct http_exchange *exchange, int64_t after)
{
    struct audience *audience = &turn->audience;
    metrics_match(turn->turns->metrics, "attach");
    if (audience->is_streaming && audience->resumable.is_over &&
        after >= audience->followers.n_events - 1) {
        struct buf nothing; /* ends the retries of an EventSource */
        buf_init(&nothing);
        resumable_take_up(&audience->resumable);
        http_exchange_reply(exchange, 204, "text/event-stream; charset=utf-8", &nothing);
        return;
    }
    audience_take_up(audience, exchange, after, send_whole, &turn->whole);
}

void chat_turn_cancel(struct chat_turn *turn)
{
    struct api_error error;
    api_error_set(&error, 410, "cancelled", NULL, "The answer was cancelled.");
    fail(turn, &error);
}
