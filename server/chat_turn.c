#include "server/chat_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/chat_ask.h"
#include "server/chat_reply.h"
#include "server/chat_request.h"
#include "server/followers.h"
#include "server/generation.h"
#include "server/http_exchange.h"
#include "server/json_text.h"
#include "server/metrics.h"
#include "server/random_id.h"
#include "server/resumables.h"

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
    bool is_streaming;
    int ping_after_s; /* 0: as all turns */
    struct chat_reply reply;
    struct followers followers;
    struct resumable resumable;
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

static const char json_media[] = "application/json";

static void turn_free(struct chat_turn *turn)
{
    for (int i = 0; i < turn->n_choices; i++) {
        buf_done(&turn->choices[i].echo);
        buf_done(&turn->choices[i].json);
    }
    resumables_remove(&turn->resumable);
    followers_done(&turn->followers);
    buf_done(&turn->whole);
    buf_done(&turn->session);
    free(turn->choices);
    free(turn);
}

/* Nothing more is to be said to anybody: what still generates stops. */
static void turn_end(struct chat_turn *turn)
{
    turn->has_ended = true;
    resumables_remove(&turn->resumable);
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

/* A stream that is not kept from its first event on cannot be taken up. */
static bool can_be_kept(const struct chat_turn *turn)
{
    return !turn->is_streaming || turn->followers.keeps_log;
}

/* Its clients have left: one may come back. */
static void on_deserted(void *arg)
{
    struct chat_turn *turn = arg;
    if (turn->has_ended || turn->resumable.is_over)
        return;
    if (!can_be_kept(turn) || !resumable_wait(&turn->resumable))
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
        followers_add_headers(&turn->followers, start);
    if (!turn->is_streaming)
        return;
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_begin(&turn->reply, &choice->place, &chunk);
    followers_send(&turn->followers, &chunk);
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
    followers_send(&turn->followers, &chunk);
}

static void on_tick(void *arg)
{
    struct chat_turn *turn = ((struct choice *)arg)->turn;
    int after_s = turn->ping_after_s != 0 ? turn->ping_after_s : turn->turns->ping_after_s;
    followers_ping(&turn->followers, after_s);
}

static void on_progress(void *arg, int n_read, const struct engine_usage *usage)
{
    struct choice *choice = arg;
    struct buf chunk;
    buf_init(&chunk);
    chat_reply_progress(&choice->turn->reply, &choice->place, n_read, usage, &chunk);
    followers_send(&choice->turn->followers, &chunk);
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
    chat_reply_whole_begin(&turn->reply, out);
    for (int i = 0; i < turn->n_choices; i++) {
        buf_append_text(out, i == 0 ? "" : ",");
        buf_append(out, buf_text(&turn->choices[i].json), turn->choices[i].json.len);
        out->failed = out->failed || turn->choices[i].json.failed;
        buf_done(&turn->choices[i].json);
    }
    chat_reply_whole_end(&turn->usage, out);
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
        http_exchange_reply(exchange, 200, json_media, &bytes);
    }
    buf_done(&bytes);
}

/* All is said. Where the client may not have got it, it is kept for a while. */
static void end_reply(struct chat_turn *turn, struct buf *last)
{
    if (turn->is_streaming) {
        chat_reply_close(&turn->reply, &turn->usage, last);
        followers_end(&turn->followers, last);
    } else {
        write_whole(turn, &turn->whole);
        followers_show(&turn->followers, send_whole, &turn->whole);
    }
    turn->resumable.is_over = true;
    if (turn->whole.failed || !can_be_kept(turn) || !resumable_wait(&turn->resumable))
        turn_end(turn);
}

static void on_finish(void *arg, const struct generation_end *end)
{
    struct choice *choice = arg;
    struct chat_turn *turn = choice->turn;
    choice->generation = NULL;
    add_usage(turn, choice, end);
    if (choice->place.index == 0) {
        followers_note_end(&turn->followers, end);
        if (!turn->is_streaming)
            chat_reply_session(end, &turn->session);
    }
    struct buf chunk;
    buf_init(&chunk);
    if (turn->is_streaming)
        chat_reply_finish(&turn->reply, &choice->place, end, &chunk);
    else
        chat_reply_choice(&turn->reply, &choice->place, end, &choice->json);
    if (--turn->n_open == 0)
        end_reply(turn, &chunk);
    else
        followers_send(&turn->followers, &chunk);
}

static void fail(struct chat_turn *turn, const struct api_error *error)
{
    if (turn->followers.n_events == 0) {
        followers_refuse(&turn->followers, error);
    } else {
        struct buf frames;
        buf_init(&frames);
        chat_reply_fail(error, &frames);
        followers_end(&turn->followers, &frames);
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

struct order {
    struct chat_request *request;
    struct resumable_ask again;
    const char *request_id;
    const char *conversation_id; /* as the headers name it */
};

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
    snprintf(turn->reply.id, sizeof turn->reply.id, "%s-%s", request->is_chat ? "chatcmpl" : "cmpl",
             random);
}

static void make_resumable(struct chat_turn *turn, const struct order *order)
{
    struct chat_turns *turns = turn->turns;
    turn->followers = (struct followers){
        .stall_s = turns->stall_s,
        .on_deserted = on_deserted,
        .on_pressure = on_pressure,
        .arg = turn,
    };
    turn->resumable = (struct resumable){
        .name = turn->reply.id,
        .on_expired = on_expired,
        .arg = turn,
    };
    resumables_add(turns->resumables, &turn->resumable, &order->again, !turn->is_streaming);
    if (turn->resumable.all == NULL || !turn->is_streaming)
        return;
    turn->followers.name = turn->reply.id;
    turn->followers.keeps_log = true;
    turn->followers.budget = resumables_budget(turns->resumables);
}

static struct chat_turn *turn_new(struct chat_turns *turns, const struct order *order)
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
    turn->is_streaming = request->generation.is_streaming;
    turn->ping_after_s = request->generation.ping_after_s;
    turn->n_choices = turn->n_open = n_prompts * request->n_choices;
    turn->n_per_prompt = request->n_choices;
    name_reply(turn, request);
    make_resumable(turn, order);
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

static void start(struct chat_turns *turns, struct http_exchange *exchange,
                  const struct order *order)
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
    if (is_good && followers_add(&turn->followers, exchange, turn->is_streaming, -1)) {
        run(turn);
        return;
    }
    turn->is_starting = false;
    turn_end(turn);
}

/* ---- once more ---- */

static void take_up(struct chat_turn *turn, struct http_exchange *exchange, int64_t after)
{
    int64_t last = turn->followers.n_events - 1;
    resumable_take_up(&turn->resumable);
    metrics_match(turn->turns->metrics, "attach");
    if (turn->is_streaming && turn->resumable.is_over && after >= last) {
        struct buf nothing; /* ends the retries of an EventSource */
        buf_init(&nothing);
        http_exchange_reply(exchange, 204, "text/event-stream; charset=utf-8", &nothing);
        return;
    }
    followers_add(&turn->followers, exchange, turn->is_streaming, after < last ? after : last);
    if (turn->resumable.is_over) {
        struct buf nothing;
        buf_init(&nothing);
        followers_show(&turn->followers, send_whole, &turn->whole);
        followers_end(&turn->followers, &nothing);
    } else if (turn->followers.first == NULL) {
        on_deserted(turn);
    }
}

static struct chat_turn *find_stream(const struct chat_turns *turns, int owner, const char *name,
                                     size_t len)
{
    struct resumable *one = resumables_find_name(turns->resumables, owner, name, len);
    struct chat_turn *turn = one == NULL ? NULL : one->arg;
    return turn != NULL && can_be_kept(turn) ? turn : NULL;
}

static bool refuse_unknown(struct api_error *error)
{
    return api_error_set(error, 404, "not_found", NULL,
                         "There is no such stream any more: it was never one that can be taken up, "
                         "or too much time has passed.");
}

/* A stream's name and the number of the last event that the client has seen. */
static bool find_by_event(const struct chat_turns *turns, struct http_exchange *exchange, int owner,
                          struct chat_turn **out, int64_t *out_after, struct api_error *error)
{
    const char *id = http_exchange_header(exchange, "Last-Event-ID");
    size_t len;
    *out = NULL;
    *out_after = -1;
    if (id == NULL || !resumables_parse_event_id(id, &len, out_after))
        return true;
    *out = find_stream(turns, owner, id, len);
    return *out != NULL || refuse_unknown(error);
}

static bool is_taken_up(struct chat_turns *turns, struct http_exchange *exchange,
                        const struct resumable_ask *ask)
{
    struct api_error error;
    struct chat_turn *turn;
    int64_t after;
    if (!find_by_event(turns, exchange, ask->owner, &turn, &after, &error)) {
        http_exchange_reply_error(exchange, &error);
        return true;
    }
    struct resumable *again = turn != NULL ? NULL : resumables_find_again(turns->resumables, ask);
    if (again != NULL)
        turn = again->arg;
    if (turn == NULL || !can_be_kept(turn))
        return false;
    take_up(turn, exchange, after);
    return true;
}

void chat_turn_follow(struct chat_turns *turns, struct http_exchange *exchange, int owner,
                      const char *name, int64_t after)
{
    struct api_error error;
    struct chat_turn *turn = find_stream(turns, owner, name, strlen(name)), *named;
    int64_t last_seen;
    if (turn == NULL || !find_by_event(turns, exchange, owner, &named, &last_seen, &error)) {
        refuse_unknown(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    take_up(turn, exchange, last_seen > after ? last_seen : after);
}

void chat_turn_delete(struct chat_turns *turns, struct http_exchange *exchange, int owner,
                      const char *name)
{
    struct api_error error;
    struct chat_turn *turn = find_stream(turns, owner, name, strlen(name));
    refuse_unknown(&error);
    if (turn == NULL) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"id\":");
    json_text_append_string(&body, turn->reply.id);
    buf_append_text(&body, ",\"object\":\"chat.completion.deleted\",\"deleted\":true}");
    http_exchange_reply(exchange, 200, json_media, &body);
    api_error_set(&error, 410, "cancelled", NULL, "The answer was cancelled.");
    fail(turn, &error);
}

/* ---- the request ---- */

void chat_turn_start(struct chat_turns *turns, struct http_exchange *exchange, bool is_chat,
                     int owner, const char *conversation_id)
{
    const struct buf *body = http_exchange_body(exchange);
    struct chat_request request;
    struct api_error error;
    struct order order = {.request = &request, .request_id = http_exchange_request_id(exchange)};
    resumable_ask_read(exchange, owner, conversation_id, &order.again);
    if (is_taken_up(turns, exchange, &order.again))
        return;
    bool is_good =
        is_chat ? chat_request_parse(buf_text(body), body->len, &turns->defaults, &request, &error)
                : chat_request_parse_completion(buf_text(body), body->len, &turns->defaults,
                                                &request, &error);
    if (!is_good) {
        http_exchange_reply_error(exchange, &error);
        return;
    }
    if (conversation_id == NULL && request.name.id[0] != '\0')
        order.again.conversation_id = request.name.id;
    resumables_give_up(turns->resumables, owner, order.again.conversation_id);
    start(turns, exchange, &order);
    chat_request_done(&request);
}
