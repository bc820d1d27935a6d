#include "server/anthropic_routes.h"

#include "server/anthropic_reply.h"
#include "server/chat_routes.h"
#include "server/routes.h"
#include "server/text_routes.h"

static void post_message(void *arg, const struct route_call *call)
{
    const struct anthropic_routes *api = arg;
    chat_routes_generate(api->turns, call, CHAT_API_ANTHROPIC);
}

static void post_count(void *arg, const struct route_call *call)
{
    const struct anthropic_routes *api = arg;
    text_routes_count_anthropic(api->text, call);
}

bool anthropic_routes_add(struct routes *routes, struct anthropic_routes *api, struct err *err)
{
    static const struct route table[] = {
        {"POST", "/messages", post_message, ROUTE_GENERATES},
        {"POST", "/messages/count_tokens", post_count, ROUTE_KEYED},
    };
    if (!routes_add(routes, table, sizeof table / sizeof table[0], api, err))
        return false;
    routes_set_error_form(routes, anthropic_reply_error);
    return true;
}
