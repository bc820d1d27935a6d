/* response_turn.h - one response while it is being made: from the request to the row in the store
 * and the last byte.
 *
 * A turn loads what the response follows, runs a generation, and commits the response (and the
 * conversation's new items) before anybody is told that it is complete. Whoever wants to know is
 * a follower: the client that asked, those that stream a response in the background, those that
 * cancel it. Without followers left it is cancelled, unless it is in the background or one may come
 * back.
 *
 * Owner: struct response_turns. Thread: loop; its work in the store runs on the store's. */
#ifndef SERVER_RESPONSE_TURN_H
#define SERVER_RESPONSE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "server/auth.h"
#include "server/resumables.h"

struct http_exchange;
struct response_request;
struct response_turn;
struct response_turns;

/* What is asked for. */
struct response_order {
    struct response_request *request; /* what the turn needs is moved out of it */
    int owner;                        /* the API key's number, and ... */
    struct auth_digest digest;        /* ... its name in the store */
    struct resumable_ask again;       /* how the client could ask once more */
};

/* Answers the exchange, now or later. */
void response_turn_start(struct response_turns *turns, struct http_exchange *exchange,
                         const struct response_order *order);

/* Replies with the response as it is now. */
void response_turn_show(const struct response_turn *turn, struct http_exchange *exchange);
/* Streams the events after `after` (-1: all), and those to come, of one that keeps them. */
void response_turn_follow(struct response_turn *turn, struct http_exchange *exchange,
                          int64_t after);
/* In the background, or with a client that could come back (resumables.h). */
bool response_turn_keeps_events(const struct response_turn *turn);
/* Ends it; replies with the response when that is stored. */
void response_turn_cancel(struct response_turn *turn, struct http_exchange *exchange);

/* Its client is back, as audience_can_return allows, and has seen the events up to `after`. */
bool response_turn_can_return(const struct response_turn *turn);
void response_turn_take_up(struct response_turn *turn, struct http_exchange *exchange,
                           int64_t after);

#endif
