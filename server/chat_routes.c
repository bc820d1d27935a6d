#include "server/chat_routes.h"

#include "server/api_error.h"
#include "server/chat_turn.h"
#include "server/conversation_name.h"
#include "server/http_exchange.h"
#include "server/routes.h"

static void generate(struct chat_turns *turns, const struct route_call *call, bool is_chat)
{
    const char *id;
    struct api_error error;
    if (!conversation_name_of_headers(call->exchange, turns->conversation_headers, &id, &error))
        http_exchange_reply_error(call->exchange, &error);
    else
        chat_turn_start(turns, call->exchange, is_chat, call->owner, id);
}

static void post_chat(void *turns, const struct route_call *call)
{
    generate(turns, call, true);
}

static void post_completion(void *turns, const struct route_call *call)
{
    generate(turns, call, false);
}

bool chat_routes_add(struct routes *routes, struct chat_turns *turns, struct err *err)
{
    static const struct route table[] = {
        {"POST", "/chat/completions", post_chat, ROUTE_GENERATES},
        {"POST", "/completions", post_completion, ROUTE_GENERATES},
    };
    return routes_add(routes, table, sizeof table / sizeof table[0], turns, err);
}
