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
#include <sys/queue.h>

#include "server/generation_request.h"

struct auth;
struct auth_digest;
struct generations;
struct http_exchange;
struct metrics;
struct response_turn;
struct resumables;
struct routes;
struct store;
struct tokenizer;

struct response_turns {
    struct resumables *resumables; /* NULL: nothing can be taken up */
    struct metrics *metrics;       /* NULL: nobody counts */
    struct store *store;
    const struct auth *auth;
    struct generations *generations;
    const struct routes *routes; /* is it draining? */
    const struct generation_defaults *defaults;
    const char *model_name;
    const struct tokenizer *tokenizer;
    int n_window;
    int64_t ttl_s;    /* of stored responses; 0: for ever */
    int ping_after_s; /* of silence in a stream */
    int stall_s;      /* a stream that nobody reads is cut after so long */
    LIST_HEAD(, response_turn) list;
};

/* Answers POST /v1/responses. */
void response_turn_start(struct response_turns *turns, struct http_exchange *exchange, int owner);

/* NULL when no such response is being made for this owner. */
struct response_turn *response_turn_find(const struct response_turns *turns,
                                         const struct auth_digest *owner, const char *id);
/* Replies with the response as it is now. */
void response_turn_show(const struct response_turn *turn, struct http_exchange *exchange);
/* Streams the events after `after` (-1: all), and those to come, of one that keeps them. */
void response_turn_follow(struct response_turn *turn, struct http_exchange *exchange,
                          int64_t after);
/* In the background, or with a client that could come back (resumables.h). */
bool response_turn_keeps_events(const struct response_turn *turn);
/* Ends it; replies with the response when that is stored. */
void response_turn_cancel(struct response_turn *turn, struct http_exchange *exchange);

#endif
