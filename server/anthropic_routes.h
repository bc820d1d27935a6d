/* anthropic_routes.h - the endpoints of Anthropic's Messages API: /messages and
 * /messages/count_tokens.
 *
 * A message is a chat completion in another form: the request is read as one (anthropic_request.h),
 * the answer is a chat turn's (anthropic_reply.h). Thread: loop. */
#ifndef SERVER_ANTHROPIC_ROUTES_H
#define SERVER_ANTHROPIC_ROUTES_H

#include <stdbool.h>

struct chat_turns;
struct err;
struct routes;
struct text_routes;

struct anthropic_routes {
    struct chat_turns *turns;
    const struct text_routes *text;
};

/* `api` is borrowed. */
bool anthropic_routes_add(struct routes *routes, struct anthropic_routes *api, struct err *err);

#endif
