/* access_log.h - one line, and one count, for each request that is over.
 *
 * "POST /v1/chat/completions status=200 ms=812 request=req_... match=append ...": never a prompt,
 * an answer, a key or a query. Owner: the daemon. Thread: loop. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include <stdint.h>

#include "core/base/log.h"

struct generation_end;
struct http_exchange;
struct metrics;

struct access_log {
    struct metrics *metrics;
    struct log_limit refusals;
};

/* The http_server's on_sent and on_done; `log` is a struct access_log. */
void access_log_on_sent(void *log, int64_t delay_ns);
void access_log_on_done(void *log, struct http_exchange *exchange);

/* Notes on an exchange how its answer was made. */
void access_log_note_generation(struct http_exchange *exchange, const struct generation_end *end);

#endif
