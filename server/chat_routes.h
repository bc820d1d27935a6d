/* chat_routes.h - the endpoints that generate: /chat/completions and /completions.
 *
 * Thread: loop. */
#ifndef SERVER_CHAT_ROUTES_H
#define SERVER_CHAT_ROUTES_H

#include <stdbool.h>

#include "server/chat_request.h"

struct chat_turns;
struct err;
struct route_call;
struct routes;

/* Answers a request that has that form. */
void chat_routes_generate(struct chat_turns *turns, const struct route_call *call,
                          enum chat_api api);

bool chat_routes_add(struct routes *routes, struct chat_turns *turns, struct err *err);

#endif
