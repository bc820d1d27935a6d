/* routes.h - method and path to handler; who may ask comes first.
 *
 * Each part of the daemon brings its own table of endpoints (chat_routes.c, info_routes.c); a new
 * endpoint is a line in one of them. Owner: the daemon. Thread: loop. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/api_error.h"

struct auth;
struct err;
struct http_exchange;

enum { ROUTES_MAX_PARAMS = 4, ROUTES_MAX_GROUPS = 16, ROUTES_MAX_PATH = 2048 };

/* One request to an endpoint. Valid until the handler returns, but for the exchange. */
struct route_call {
    struct http_exchange *exchange;
    int owner; /* whose key was shown (auth.h); 0 without keys */
    const char
        *params[ROUTES_MAX_PARAMS]; /* what stands for each {} of the path, decoded; then NULLs */
};

typedef void route_fn(void *arg, const struct route_call *call);

enum route_kind {
    ROUTE_PUBLIC,    /* no key is asked for */
    ROUTE_KEYED,     /* a key is, where the daemon has keys */
    ROUTE_GENERATES, /* keyed, and refused while draining */
};

/* The first line that fits is taken. */
struct route {
    const char *method; /* GET serves HEAD too */
    const char *path;   /* without /v1, which is optional: "/things/{}/parts". {} is one segment,
                           {...} at the end is all that is left; neither is empty */
    route_fn *handle;
    enum route_kind kind;
};

struct routes {
    const struct auth *auth;
    bool is_leaving;  /* the end is announced: /readyz says so */
    bool is_draining; /* no new generations */
    struct {
        const struct route *table; /* [n] */
        size_t n;
        void *arg;
        api_error_write_fn *write_error; /* NULL: as all */
    } groups[ROUTES_MAX_GROUPS];
    int n_groups;
};

/* `table` and `arg`, which its handlers get, are borrowed. */
bool routes_add(struct routes *routes, const struct route *table, size_t n, void *arg,
                struct err *err);
/* Refusals by the endpoints of the table that was added last have another form. */
void routes_set_error_form(struct routes *routes, api_error_write_fn *write);

/* Both are http_exchange_fn; `routes` is a struct routes. */
void routes_on_head(void *routes, struct http_exchange *exchange);
void routes_on_request(void *routes, struct http_exchange *exchange);

#endif
