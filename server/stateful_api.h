/* stateful_api.h - the part of the daemon that remembers for its clients: the state folder, the
 * store, and the endpoints over it.
 *
 * Owner: the daemon. Thread: loop. */
#ifndef SERVER_STATEFUL_API_H
#define SERVER_STATEFUL_API_H

#include <stdbool.h>

struct auth;
struct body_reader;
struct engine;
struct err;
struct event_loop;
struct generation_defaults;
struct generations;
struct metrics;
struct options;
struct routes;
struct stateful_api;
struct store_counters;
struct text_routes;

bool stateful_api_open(struct stateful_api **out, struct event_loop *loop,
                       const struct options *options, const struct auth *auth, struct err *err);
/* Finishes what was begun in the store. No request may be open. */
void stateful_api_close(struct stateful_api **api);

/* All but `routes` is borrowed for good. */
struct stateful_api_parts {
    struct body_reader *reader;
    struct generations *generations;
    const struct generation_defaults *defaults;
    const struct text_routes *text;
    const struct engine *engine;
    const char *model_name;  /* as answers give it */
    struct metrics *metrics; /* NULL: nobody counts */
    int ping_after_s;
    int stall_s;
};
/* The seconds that it pings after and waits for clients, from now on. */
void stateful_api_set_patience(struct stateful_api *api, const struct options *options);
void stateful_api_read_counters(const struct stateful_api *api, struct store_counters *out);

bool stateful_api_add_routes(struct stateful_api *api, const struct stateful_api_parts *parts,
                             struct routes *routes, struct err *err);

#endif
