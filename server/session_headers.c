#include "server/session_headers.h"

#include <stdio.h>

#include "server/generation.h"
#include "server/http_exchange.h"

void session_headers_add(struct http_exchange *exchange, const struct generation_start *start)
{
    char value[128];
    snprintf(value, sizeof value, "%s; cached=%lld; new=%lld; evicted=%lld", start->match,
             (long long)start->n_cached, (long long)start->n_new, (long long)start->n_evicted);
    http_exchange_add_header(exchange, "X-Sinkd-Session", value);
    if (start->conversation_id != NULL)
        http_exchange_add_header(exchange, "X-Conversation-Id", start->conversation_id);
}

struct generation_start session_headers_of_end(const struct generation_end *end)
{
    return (struct generation_start){
        .conversation_id = end->conversation_id,
        .match = end->match,
        .n_cached = end->usage.n_cached,
        .n_new = end->usage.n_prompt,
        .n_evicted = end->usage.n_evicted,
    };
}
