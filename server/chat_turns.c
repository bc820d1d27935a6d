#include "server/chat_turns.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/body_reader.h"
#include "server/chat_request.h"
#include "server/chat_turn.h"
#include "server/http_exchange.h"
#include "server/json_text.h"
#include "server/resumables.h"

/* ---- once more ---- */

static struct chat_turn *find_stream(const struct chat_turns *turns, int owner, const char *name,
                                     size_t len)
{
    struct resumable *one = resumables_find_name(turns->resumables, owner, name, len);
    struct chat_turn *turn = one == NULL ? NULL : one->arg;
    return turn != NULL && chat_turn_can_return(turn) ? turn : NULL;
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
    if (turn == NULL || !chat_turn_can_return(turn))
        return false;
    chat_turn_take_up(turn, exchange, after);
    return true;
}

void chat_turns_follow(struct chat_turns *turns, struct http_exchange *exchange, int owner,
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
    chat_turn_take_up(turn, exchange, last_seen > after ? last_seen : after);
}

void chat_turns_delete(struct chat_turns *turns, struct http_exchange *exchange, int owner,
                       const char *name)
{
    struct api_error error;
    struct chat_turn *turn = find_stream(turns, owner, name, strlen(name));
    if (turn == NULL) {
        refuse_unknown(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"id\":");
    json_text_append_string(&body, chat_turn_id(turn));
    buf_append_text(&body, ",\"object\":\"chat.completion.deleted\",\"deleted\":true}");
    http_exchange_reply(exchange, 200, "application/json", &body);
    chat_turn_cancel(turn);
}

/* ---- the request ---- */

/* A request whose body is being read. */
struct arrival {
    struct chat_turns *turns;
    struct generation_defaults defaults; /* those of now: they may change meanwhile */
    enum chat_api api;
    bool is_good;
    struct chat_request request;
    struct api_error error; /* when it is not good */
    struct chat_order order;
};

static void read_request(void *arg, const struct buf *body)
{
    struct arrival *arrival = arg;
    arrival->is_good = chat_request_parse(arrival->api, buf_text(body), body->len,
                                          &arrival->defaults, &arrival->request, &arrival->error);
    if (!arrival->is_good || !arrival->request.is_chat ||
        chat_request_can_end(&arrival->request, &arrival->error))
        return;
    chat_request_done(&arrival->request);
    arrival->is_good = false;
}

static void start(struct arrival *arrival, struct http_exchange *exchange)
{
    struct chat_turns *turns = arrival->turns;
    struct chat_order *order = &arrival->order;
    if (is_taken_up(turns, exchange, &order->again))
        return;
    if (!arrival->is_good) {
        http_exchange_reply_error(exchange, &arrival->error);
        return;
    }
    if (order->again.conversation_id == NULL && arrival->request.name.id[0] != '\0')
        order->again.conversation_id = arrival->request.name.id;
    resumables_give_up(turns->resumables, order->again.owner, order->again.conversation_id);
    chat_turn_start(turns, exchange, order);
}

static void on_read(void *arg, struct http_exchange *exchange)
{
    struct arrival *arrival = arg;
    if (exchange != NULL)
        start(arrival, exchange);
    if (arrival->is_good)
        chat_request_done(&arrival->request);
    free(arrival);
}

void chat_turns_start(struct chat_turns *turns, struct http_exchange *exchange, enum chat_api api,
                      int owner, const char *conversation_id)
{
    struct api_error error;
    struct arrival *arrival = malloc(sizeof *arrival);
    if (arrival == NULL) {
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    *arrival = (struct arrival){.turns = turns, .defaults = turns->defaults, .api = api};
    arrival->order.request = &arrival->request;
    arrival->order.request_id = http_exchange_request_id(exchange);
    resumable_ask_read(exchange, owner, conversation_id, &arrival->order.again);
    body_reader_read(turns->reader, exchange,
                     &(struct body_reading){read_request, on_read, arrival});
}
