#include "server/chat_routes.h"

#include "server/api_error.h"
#include "server/chat_request.h"
#include "server/chat_turn.h"
#include "server/http_exchange.h"
#include "server/routes.h"

/* The client's name for its conversation: *out is NULL when there is none. Which of the headers it
 * uses depends on the client. */
static bool find_conversation_id(struct http_exchange *exchange, const char **out,
                                 struct api_error *error)
{
    static const char *const names[] = {
        "X-Conversation-Id",    "X-Session-Id", "X-OpenWebUI-Chat-Id", "ChatUI-Conversation-ID",
        "X-Litellm-Session-Id", "session-id",   "thread-id",           "x-opencode-session",
    };
    *out = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && *out == NULL; i++) {
        const char *value = http_exchange_header(exchange, names[i]);
        if (value == NULL || value[0] == '\0')
            continue;
        if (!chat_request_id_is_valid(value))
            return api_error_set(error, 400, "invalid_value", names[i],
                                 "The header %s must be 1 to %d visible ASCII characters.",
                                 names[i], CHAT_REQUEST_MAX_ID);
        *out = value;
    }
    return true;
}

static void generate(struct chat_turns *turns, const struct route_call *call, bool is_chat)
{
    const char *id;
    struct api_error error;
    if (!find_conversation_id(call->exchange, &id, &error))
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
