/* response_routes.h - /v1/responses: make, get, stream again, cancel, delete; their input.
 *
 * Not here: how one is made (response_turn.h). Thread: loop. */
#ifndef SERVER_RESPONSE_ROUTES_H
#define SERVER_RESPONSE_ROUTES_H

#include <stdbool.h>

#include "server/response_turns.h"

struct err;
struct routes;
struct text_routes;

struct response_routes {
    struct response_turns turns;
    const struct text_routes *text; /* counts tokens */
};

/* `api` is borrowed. */
bool response_routes_add(struct routes *routes, struct response_routes *api, struct err *err);

#endif
