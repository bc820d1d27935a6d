#include "server/chat_routes.h"

#include <string.h>

#include "server/api_error.h"
#include "server/chat_turns.h"
#include "server/conversation_name.h"
#include "server/http_exchange.h"
#include "server/routes.h"
#include "server/sse_stream.h"

void chat_routes_generate(struct chat_turns *turns, const struct route_call *call,
                          enum chat_api api)
{
    const char *id;
    struct api_error error;
    if (!conversation_name_of_headers(call->exchange, turns->conversation_headers, &id, &error))
        http_exchange_reply_error(call->exchange, &error);
    else
        chat_turns_start(turns, call->exchange, api, call->owner, id);
}

static void post_chat(void *turns, const struct route_call *call)
{
    chat_routes_generate(turns, call, CHAT_API_CHAT);
}

static void post_completion(void *turns, const struct route_call *call)
{
    chat_routes_generate(turns, call, CHAT_API_COMPLETION);
}

static bool check_method(const struct route_call *call)
{
    struct api_error error;
    if (strcmp(http_exchange_method(call->exchange), "HEAD") != 0)
        return true;
    http_exchange_add_header(call->exchange, "Allow", "GET, DELETE");
    api_error_set(&error, 405, "method_not_allowed", NULL, "A stream has no HEAD.");
    http_exchange_reply_error(call->exchange, &error);
    return false;
}

/* For EventSource, and whoever else takes a stream up with a GET: ?starting_after=N or
 * Last-Event-ID. */
static void get_stream(void *turns, const struct route_call *call)
{
    struct api_error error;
    int64_t after = -1;
    if (!check_method(call))
        return;
    if (!sse_stream_read_after(call->exchange, &after, &error))
        http_exchange_reply_error(call->exchange, &error);
    else
        chat_turns_follow(turns, call->exchange, call->owner, call->params[0], after);
}

static void delete_stream(void *turns, const struct route_call *call)
{
    chat_turns_delete(turns, call->exchange, call->owner, call->params[0]);
}

bool chat_routes_add(struct routes *routes, struct chat_turns *turns, struct err *err)
{
    static const struct route table[] = {
        {"POST", "/chat/completions", post_chat, ROUTE_GENERATES},
        {"POST", "/completions", post_completion, ROUTE_GENERATES},
        {"GET", "/chat/completions/{}", get_stream, ROUTE_KEYED},
        {"GET", "/completions/{}", get_stream, ROUTE_KEYED},
        {"DELETE", "/chat/completions/{}", delete_stream, ROUTE_KEYED},
        {"DELETE", "/completions/{}", delete_stream, ROUTE_KEYED},
    };
    return routes_add(routes, table, sizeof table / sizeof table[0], turns, err);
}
