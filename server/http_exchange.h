/* http_exchange.h - one request with its reply, as a handler sees it.
 *
 * Its owner is the HTTP server: handlers borrow it until they have finished the reply
 * (http_exchange_reply, http_exchange_end) or until on_gone is called, whichever is first, and must
 * not touch it afterwards.
 *
 * A client that closes its side, half or whole, while its reply is not complete counts as gone: a
 * stream for nobody would keep the model busy. Thread: loop. */
#ifndef SERVER_HTTP_EXCHANGE_H
#define SERVER_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/log.h"
#include "server/api_error.h"

struct buf;
struct http_exchange;

const char *http_exchange_method(const struct http_exchange *exchange);
const char *http_exchange_path(const struct http_exchange *exchange);
/* The value of a header, NULL when absent. */
const char *http_exchange_header(const struct http_exchange *exchange, const char *name);
/* The value of ?name=value, decoded; NULL when absent. */
const char *http_exchange_query(const struct http_exchange *exchange, const char *name);
/* Empty after on_request has returned. */
const struct buf *http_exchange_body(const struct http_exchange *exchange);
/* Moves it out. */
void http_exchange_take_body(struct http_exchange *exchange, struct buf *out);
/* The client's own X-Request-Id when it is sane, else a random one. */
const char *http_exchange_request_id(const struct http_exchange *exchange);

/* Which endpoint this is, for the counters; of static storage. "other" until it is known. */
void http_exchange_set_endpoint(struct http_exchange *exchange, const char *endpoint);
const char *http_exchange_endpoint(const struct http_exchange *exchange);

/* Something to be said about it in the log when it is over: a word, or with a NULL text a number.
 * `key` is of static storage, `text` is copied. Left out when there is no memory. */
void http_exchange_note(struct http_exchange *exchange, const char *key, const char *text,
                        int64_t number);
/* For on_done (http_server.h): 499 when the client left before the reply was complete. */
int http_exchange_status(const struct http_exchange *exchange);
int64_t http_exchange_age_ns(const struct http_exchange *exchange);
size_t http_exchange_n_notes(const struct http_exchange *exchange);
struct log_field http_exchange_note_at(const struct http_exchange *exchange, size_t i);

/* Calls fn(arg) once if the client leaves before the reply is finished. */
void http_exchange_on_gone(struct http_exchange *exchange, void (*fn)(void *arg), void *arg);

/* Calls fn(arg, true) when much of what was written to a stream lies unread, and fn(arg, false)
 * when most of that is read; not after the stream's end. fn must not write. */
void http_exchange_on_pressure(struct http_exchange *exchange, void (*fn)(void *arg, bool is_full),
                               void *arg);

void http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value);
/* Lets the page that asks, if one does, read the reply and what it is told in headers. */
void http_exchange_allow_origin(struct http_exchange *exchange);

/* The whole reply; takes the bytes of `body` and leaves it empty. Of a body that lacks memory (here
 * and in the calls below, before a byte is sent) it is the server's 503 for that. */
void http_exchange_reply(struct http_exchange *exchange, int status, const char *content_type,
                         struct buf *body);
/* From now on errors have this form; until then OpenAI's. */
void http_exchange_set_error_form(struct http_exchange *exchange, api_error_write_fn *write);
/* The whole reply, from an error, with Retry-After where it has one. */
void http_exchange_reply_error(struct http_exchange *exchange, const struct api_error *error);

/* A 200 whose body is written piece by piece. */
void http_exchange_begin_stream(struct http_exchange *exchange, const char *content_type);
/* Appends. False when too much lies unread or memory lacks: the stream is cut, and the exchange is
 * gone for the caller (on_gone is not called). */
bool http_exchange_write(struct http_exchange *exchange, const struct buf *bytes);
void http_exchange_end(struct http_exchange *exchange);
/* Breaks the connection; the exchange is gone for the caller (on_gone is not called). */
void http_exchange_cut(struct http_exchange *exchange);

#endif
