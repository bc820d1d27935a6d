/* chat_turn.h - the answer to one chat or completion: what its generations say, as a stream of
 * chunks or as one object.
 *
 * A turn lives until its answer is complete or its clients are gone; where one of them may come
 * back (resumables.h), a while longer. Owner: itself, through the generations that it listens to.
 * Thread: loop. */
#ifndef SERVER_CHAT_TURN_H
#define SERVER_CHAT_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "server/resumables.h"

struct chat_request;
struct chat_turn;
struct chat_turns;
struct http_exchange;

/* What is asked for. */
struct chat_order {
    struct chat_request *request; /* its words are moved out of it */
    struct resumable_ask again;   /* how the client could ask once more */
    const char *request_id;
};

/* Answers the exchange, now or later. */
void chat_turn_start(struct chat_turns *turns, struct http_exchange *exchange,
                     const struct chat_order *order);

/* As its clients know it. */
const char *chat_turn_id(const struct chat_turn *turn);
bool chat_turn_can_return(const struct chat_turn *turn);

/* Where that is so: a client is back, and has seen the events up to `after` (-1: none). */
void chat_turn_take_up(struct chat_turn *turn, struct http_exchange *exchange, int64_t after);
/* Ends it; all who follow it are told. */
void chat_turn_cancel(struct chat_turn *turn);

#endif
