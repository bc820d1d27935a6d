/* conversation_routes.h - /v1/conversations: stored conversations and their items.
 *
 * Not here: which engine session continues a text (conversations.h). Thread: loop. */
#ifndef SERVER_CONVERSATION_ROUTES_H
#define SERVER_CONVERSATION_ROUTES_H

#include <stdbool.h>

struct auth;
struct body_reader;
struct err;
struct routes;
struct store;

struct conversation_routes {
    struct store *store;
    const struct auth *auth;
    struct body_reader *reader; /* NULL: bodies are read at once */
};

/* `api` is borrowed. */
bool conversation_routes_add(struct routes *routes, struct conversation_routes *api,
                             struct err *err);

#endif
