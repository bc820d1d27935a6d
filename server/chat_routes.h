/* chat_routes.h - the endpoints that generate: /chat/completions and /completions.
 *
 * Thread: loop. */
#ifndef SERVER_CHAT_ROUTES_H
#define SERVER_CHAT_ROUTES_H

#include <stdbool.h>

struct chat_turns;
struct err;
struct routes;

bool chat_routes_add(struct routes *routes, struct chat_turns *turns, struct err *err);

#endif
