/* http_server.h - HTTP/1.1 requests in, replies and streams out.
 *
 * Not here: what a handler does with one request (http_exchange.h). Thread: loop. */
#ifndef SERVER_HTTP_SERVER_H
#define SERVER_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/http_policy.h"
#include "server/listener.h"

struct err;
struct event_loop;
struct http_exchange;
struct http_server;

typedef void http_exchange_fn(void *arg, struct http_exchange *exchange);

struct http_server_options {
    int max_connections;   /* 0: as many as descriptors allow */
    int header_timeout_ms; /* for a whole request head; 0: the default, 20 s */
    int body_timeout_ms;   /* for a whole body; 0: the default, 60 s */
    int idle_timeout_ms; /* kept alive, or reading nothing of what is sent; 0: the default, 75 s */
    size_t max_unsent_bytes; /* of one stream, which is cut when more is written for a slow reader;
                                0: the default, 1 MiB */
    struct http_policy policy;    /* borrowed pointers */
    http_exchange_fn *on_head;    /* the head is read, the body is not: may reply at once */
    http_exchange_fn *on_request; /* the body is complete: reply now, later, or begin a stream */
    void *arg;
    /* Some of a stream is with the kernel, so long after it came about in the engine. NULL: nobody
     * asks */
    void (*on_sent)(void *done_arg, int64_t delay_ns);
    http_exchange_fn *on_done; /* the reply is sent or the client gone; NULL: nobody asks */
    void *done_arg;
};

/* Requests are handled while the loop runs. The listener is moved, on false too: *listener has none
 * any more. */
bool http_server_open(struct http_server **out, struct event_loop *loop, struct listener *listener,
                      const struct http_server_options *options, struct err *err);
/* Cuts what is still open. */
void http_server_close(struct http_server **server);

/* What holds for requests from now on; only_local_hosts stays as it is. Borrowed pointers. */
void http_server_set_policy(struct http_server *server, const struct http_policy *policy);

int http_server_port(const struct http_server *server);
/* Where it listens, for people. */
const char *http_server_name(const struct http_server *server);
/* Requests whose reply is not yet on its way to the client in full. */
int http_server_n_open(const struct http_server *server);
int http_server_n_connections(const struct http_server *server);
/* No new connections; idle ones that had a request are closed, and others when their reply is
 * sent. */
void http_server_quiesce(struct http_server *server);
/* Connections from which a request is on its way, or most likely will be in a moment. */
int http_server_n_arriving(const struct http_server *server);
/* Closes those of them from which nothing has come, too. */
void http_server_close_idle(struct http_server *server);

#endif
