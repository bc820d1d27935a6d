/* session_headers.h - what became of a request's session, as headers of its reply: X-Sinkd-Session
 * and X-Conversation-Id. Thread: loop. */
#ifndef SERVER_SESSION_HEADERS_H
#define SERVER_SESSION_HEADERS_H

#include "server/generation.h"

struct http_exchange;

/* Of a stream, whose end is not known yet. */
void session_headers_add(struct http_exchange *exchange, const struct generation_start *start);
/* What they say of a whole reply. */
struct generation_start session_headers_of_end(const struct generation_end *end);

#endif
