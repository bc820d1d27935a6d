/* http_exchange_state.h - the inside of an exchange, for http_*.c alone.
 *
 * http_request.c fills in the request, http_exchange.c collects the reply and wakes the connection,
 * http_reply.c sends what is there. Thread: loop. */
#ifndef SERVER_HTTP_EXCHANGE_STATE_H
#define SERVER_HTTP_EXCHANGE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "core/base/buf.h"
#include "server/http_exchange.h"

struct MHD_Connection;
struct event_loop;
struct event_watch;
struct http_connection;
struct http_exchanges;
struct http_server_options;

enum { HTTP_EXCHANGE_MAX_HEADERS = 16 };

struct reply_header {
    const char *name;
    char *value;
};

struct note {
    struct log_field field;
    char *text; /* owned */
};

struct http_exchange {
    LIST_ENTRY(http_exchange) place; /* among all open ones */
    struct http_exchange *next_waking;
    struct http_exchanges *all;
    struct MHD_Connection *connection;
    struct http_connection *deadline;
    struct event_watch *watch;       /* only while the reply is not complete */
    const char *method, *path;       /* the connection's memory */
    const char *endpoint;            /* NULL: not known */
    api_error_write_fn *write_error; /* NULL: OpenAI's */
    char request_id[65];
    int64_t begun_ns;
    struct buf body;
    size_t n_body_bytes; /* received, the dropped ones included */

    bool has_no_body;   /* neither Content-Length nor Transfer-Encoding */
    bool is_dispatched; /* on_request was called */
    bool is_suspended;  /* libmicrohttpd leaves the connection alone */
    bool is_waking;     /* in the server's list */
    bool is_gone;       /* nobody will read more of the reply */
    bool has_reply;     /* status and headers are known */
    bool lacks_memory;  /* what was to be the reply cannot be */
    bool is_queued;     /* libmicrohttpd has the reply, or the stream's beginning */
    bool is_stream;
    bool is_ended; /* a stream: nothing will be appended */

    int status;
    struct reply_header headers[HTTP_EXCHANGE_MAX_HEADERS];
    int n_headers;
    struct note *notes; /* [n_notes] */
    size_t n_notes;
    struct buf out;   /* the reply's body, or what of a stream is not yet sent */
    size_t out_begin; /* bytes of `out` already handed on */

    void (*on_gone)(void *arg); /* NULL when nobody waits for it */
    void *on_gone_arg;
    void (*on_pressure)(void *arg, bool is_full); /* the same */
    void *on_pressure_arg;
    bool is_full;
    int64_t unsent_ns;  /* when the first event came about whose bytes wait to be sent; 0: none */
    int64_t sending_ns; /* the same of bytes that libmicrohttpd has, and the kernel may not yet */
};

/* Of one server. */
struct http_exchanges {
    struct event_loop *loop;
    const struct http_server_options *options;
    LIST_HEAD(, http_exchange) list;
    struct http_exchange *waking; /* to be resumed before the daemon's next turn */
    int n;
    size_t n_body_bytes; /* held by all of them */
    bool is_quiet;       /* connections close after their replies */
};

/* NULL without memory or when the connection is not one that the deadlines know. */
struct http_exchange *http_exchange_new(struct http_exchanges *all,
                                        struct MHD_Connection *connection);
void http_exchange_free(struct http_exchange *exchange);

/* Takes the client's X-Request-Id when it is sane, else makes one. */
void http_exchange_name(struct http_exchange *exchange);

/* Resumes the connection before the daemon's next turn, if it is suspended. */
void http_exchange_wake(struct http_exchange *exchange);
/* False without memory to see the client leave. May be called only from the access handler or the
 * content reader of this very connection. */
bool http_exchange_suspend(struct http_exchange *exchange);
/* Some of a stream has been written or read. */
void http_exchange_check_pressure(struct http_exchange *exchange);
/* Nobody will read more of the reply: calls on_gone, once. */
void http_exchange_tell_gone(struct http_exchange *exchange);

/* All that wait to be woken, at once. `arg` is a struct http_exchanges. */
void http_exchanges_resume(void *arg);

#endif
