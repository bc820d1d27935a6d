#include "server/response_turns.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/auth.h"
#include "server/body_reader.h"
#include "server/generation_request.h"
#include "server/http_exchange.h"
#include "server/response_request.h"
#include "server/response_turn.h"
#include "server/response_turn_state.h"
#include "server/resumables.h"

enum { LOCKED_RETRY_S = 1 };

/* ---- among the others ---- */

struct response_turn *response_turns_find(const struct response_turns *turns,
                                          const struct auth_digest *owner, const char *id)
{
    struct response_turn *turn = LIST_FIRST(&turns->list);
    while (turn != NULL && (turn->state == TURN_IS_OVER || strcmp(turn->record.row.id, id) != 0 ||
                            strcmp(turn->record.owner.hex, owner->hex) != 0))
        turn = LIST_NEXT(turn, place);
    return turn;
}

bool response_turns_share_lineage(const struct response_turn *turn)
{
    const struct response_turn *one;
    LIST_FOREACH(one, &turn->all->list, place) {
        if (one != turn && one->state != TURN_LOADS && one->state != TURN_IS_OVER &&
            strcmp(one->record.row.lineage, turn->record.row.lineage) == 0)
            return true;
    }
    return false;
}

/* One turn at a time may add to a conversation. */
static bool check_lock(const struct response_turns *all, const struct auth_digest *owner,
                       const struct response_request *request, struct api_error *error)
{
    if (request->conversation[0] == '\0')
        return true;
    const struct response_turn *one;
    LIST_FOREACH(one, &all->list, place) {
        if (one->state == TURN_IS_OVER ||
            strcmp(one->record.row.conversation, request->conversation) != 0 ||
            strcmp(one->record.owner.hex, owner->hex) != 0)
            continue;
        api_error_set(error, 409, "conversation_locked", "conversation",
                      "Another response is being made in this conversation; wait for its end.");
        error->retry_after_s = LOCKED_RETRY_S;
        return false;
    }
    return true;
}

/* A retry, or a client that goes on reading. False when this is a request of its own. */
static bool is_taken_up(struct response_turns *all, struct http_exchange *exchange,
                        const struct resumable_ask *ask)
{
    const char *id = http_exchange_header(exchange, "Last-Event-ID");
    size_t len;
    int64_t after = -1;
    struct resumable *one = NULL;
    if (id != NULL && resumables_parse_event_id(id, &len, &after))
        one = resumables_find_name(all->resumables, ask->owner, id, len);
    if (one == NULL) {
        after = -1;
        one = resumables_find_again(all->resumables, ask);
    }
    if (one == NULL || !response_turn_can_return(one->arg))
        return false;
    response_turn_take_up(one->arg, exchange, after);
    return true;
}

/* ---- the request ---- */

/* A request whose body is being read. */
struct arrival {
    struct response_turns *turns;
    struct generation_defaults defaults; /* those of now: they may change meanwhile */
    bool is_good;
    struct response_request request;
    struct api_error error; /* when it is not good */
    struct response_order order;
};

static void read_request(void *arg, const struct buf *body)
{
    struct arrival *arrival = arg;
    arrival->is_good =
        response_request_parse(buf_text(body), body->len, &arrival->defaults,
                               arrival->turns->model_name, &arrival->request, &arrival->error);
}

static void start(struct arrival *arrival, struct http_exchange *exchange)
{
    struct response_turns *turns = arrival->turns;
    struct response_order *order = &arrival->order;
    const struct response_request *request = &arrival->request;
    if (is_taken_up(turns, exchange, &order->again))
        return;
    if (!arrival->is_good) {
        http_exchange_reply_error(exchange, &arrival->error);
        return;
    }
    if (request->conversation[0] != '\0')
        order->again.conversation_id = request->conversation;
    resumables_give_up(turns->resumables, order->owner, order->again.conversation_id);
    auth_read_digest(turns->auth, order->owner, &order->digest);
    if (check_lock(turns, &order->digest, request, &arrival->error))
        response_turn_start(turns, exchange, order);
    else
        http_exchange_reply_error(exchange, &arrival->error);
}

static void on_read(void *arg, struct http_exchange *exchange)
{
    struct arrival *arrival = arg;
    if (exchange != NULL)
        start(arrival, exchange);
    if (arrival->is_good)
        response_request_done(&arrival->request);
    free(arrival);
}

void response_turns_start(struct response_turns *turns, struct http_exchange *exchange, int owner)
{
    struct api_error error;
    struct arrival *arrival = malloc(sizeof *arrival);
    if (arrival == NULL) {
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return;
    }
    *arrival = (struct arrival){.turns = turns, .defaults = *turns->defaults};
    arrival->order.request = &arrival->request;
    arrival->order.owner = owner;
    resumable_ask_read(exchange, owner, NULL, &arrival->order.again);
    body_reader_read(turns->reader, exchange,
                     &(struct body_reading){read_request, on_read, arrival});
}
