/* routes.h - method and path to handler; who may ask comes first.
 *
 * Owner: the daemon. Thread: loop. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

struct auth;
struct chat_turns;
struct conversations;
struct engine;
struct http_exchange;
struct http_server;

struct routes {
    const struct auth *auth;
    struct engine *engine;
    struct chat_turns *turns;
    struct conversations *conversations;
    struct http_server *http; /* for its counters */
    int64_t started;          /* Unix time */
    bool is_draining;         /* no new generations */
};

/* Both are http_exchange_fn; `routes` is a struct routes. */
void routes_on_head(void *routes, struct http_exchange *exchange);
void routes_on_request(void *routes, struct http_exchange *exchange);

#endif
