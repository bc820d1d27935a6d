/* info_routes.h - the endpoints about the daemon itself: models, health, metrics, properties.
 *
 * Owner: the daemon. Thread: loop. */
#ifndef SERVER_INFO_ROUTES_H
#define SERVER_INFO_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

struct chat_template;
struct conversations;
struct engine;
struct err;
struct generations;
struct generation_defaults;
struct http_server;
struct metrics;
struct routes;
struct stateful_api;

struct info_routes {
    const struct routes *routes; /* is it draining? */
    const struct engine *engine;
    const struct chat_template *chat_template;
    const char *model_id; /* what the API calls the model */
    const struct generations *generations;
    const struct conversations *conversations;
    const struct http_server *http;
    const struct stateful_api *stateful;
    const struct metrics *metrics;
    const struct generation_defaults *defaults;
    int max_sessions; /* in memory at once */
    int64_t started;  /* Unix time */
};

/* `info` is borrowed. */
bool info_routes_add(struct routes *routes, struct info_routes *info, struct err *err);

#endif
