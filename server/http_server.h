/* http_server.h - HTTP/1.1 requests in, replies and streams out.
 *
 * An exchange is one request with its reply. Its owner is this module: handlers borrow it until
 * they have finished the reply (http_exchange_reply, http_exchange_end) or until on_gone is called,
 * whichever is first, and must not touch it afterwards.
 *
 * A client that closes its side, half or whole, while its reply is not complete counts as gone: a
 * stream for nobody would keep the model busy. Thread: loop. */
#ifndef SERVER_HTTP_SERVER_H
#define SERVER_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "server/http_policy.h"

struct api_error;
struct buf;
struct err;
struct event_loop;
struct http_exchange;
struct http_server;

typedef void http_exchange_fn(void *arg, struct http_exchange *exchange);

struct http_server_options {
    const char *host;
    int port;              /* 0: any free one */
    int max_connections;   /* 0: as many as descriptors allow */
    int header_timeout_ms; /* for a whole request head; 0: the default, 20 s */
    int body_timeout_ms;   /* for a whole body; 0: the default, 60 s */
    int idle_timeout_ms; /* kept alive, or reading nothing of what is sent; 0: the default, 75 s */
    size_t max_unsent_bytes;      /* of one stream, for a slow reader; 0: the default, 1 MiB */
    struct http_policy policy;    /* borrowed pointers */
    http_exchange_fn *on_head;    /* the head is read, the body is not: may reply at once */
    http_exchange_fn *on_request; /* the body is complete: reply now, later, or begin a stream */
    void *arg;
};

/* Listens from here on; requests are handled while the loop runs. */
bool http_server_open(struct http_server **out, struct event_loop *loop,
                      const struct http_server_options *options, struct err *err);
/* Cuts what is still open. */
void http_server_close(struct http_server **server);

int http_server_port(const struct http_server *server);
/* Requests whose reply is not yet on its way to the client in full. */
int http_server_n_open(const struct http_server *server);
/* No new connections; idle ones are closed, and others when their reply is sent. */
void http_server_quiesce(struct http_server *server);

const char *http_exchange_method(const struct http_exchange *exchange);
const char *http_exchange_path(const struct http_exchange *exchange);
/* The value of a header, NULL when absent. */
const char *http_exchange_header(const struct http_exchange *exchange, const char *name);
/* Empty after on_request has returned. */
const struct buf *http_exchange_body(const struct http_exchange *exchange);
/* The client's own X-Request-Id when it is sane, else a random one. */
const char *http_exchange_request_id(const struct http_exchange *exchange);

/* Calls fn(arg) once if the client leaves before the reply is finished. */
void http_exchange_on_gone(struct http_exchange *exchange, void (*fn)(void *arg), void *arg);

void http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value);

/* The whole reply; takes the bytes of `body` and leaves it empty. */
void http_exchange_reply(struct http_exchange *exchange, int status, const char *content_type,
                         struct buf *body);
/* The whole reply, from an error, with Retry-After where it has one. */
void http_exchange_reply_error(struct http_exchange *exchange, const struct api_error *error);

/* A 200 whose body is written piece by piece. */
void http_exchange_begin_stream(struct http_exchange *exchange, const char *content_type);
/* Appends. False when too much lies unread: the stream is cut, and the exchange is gone for the
 * caller (on_gone is not called). */
bool http_exchange_write(struct http_exchange *exchange, const struct buf *bytes);
void http_exchange_end(struct http_exchange *exchange);

#endif
