#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "server/api_error.h"
#include "server/event_loop.h"
#include "server/http_deadlines.h"
#include "server/http_exchange_state.h"
#include "server/http_server.h"
#include "server/random_id.h"

enum { FULL_BYTES = 64 * 1024, ROOM_BYTES = 16 * 1024 }; /* unread, of a stream */

void http_exchange_wake(struct http_exchange *exchange)
{
    if (!exchange->is_suspended || exchange->is_waking)
        return;
    struct http_exchanges *all = exchange->all;
    exchange->is_waking = true;
    exchange->next_waking = all->waking;
    all->waking = exchange;
    event_loop_kick(all->loop);
}

/* One pass for all: each daemon turn with resumed connections walks the list of suspended ones. */
void http_exchanges_resume(void *arg)
{
    struct http_exchanges *all = arg;
    struct http_exchange *exchange = all->waking;
    all->waking = NULL;
    while (exchange != NULL) {
        struct http_exchange *next = exchange->next_waking;
        exchange->is_waking = false;
        exchange->is_suspended = false;
        MHD_resume_connection(exchange->connection);
        exchange = next;
    }
}

void http_exchange_tell_gone(struct http_exchange *exchange)
{
    exchange->is_gone = true;
    void (*fn)(void *) = exchange->on_gone;
    exchange->on_gone = NULL;
    exchange->on_pressure = NULL;
    if (fn != NULL)
        fn(exchange->on_gone_arg);
}

static void on_disconnect(void *arg)
{
    struct http_exchange *exchange = arg;
    http_exchange_tell_gone(exchange);
    http_exchange_wake(exchange);
}

static bool watch_client(struct http_exchange *exchange)
{
    return exchange->watch != NULL ||
           event_watch_open(&exchange->watch, exchange->all->loop, exchange->deadline->fd,
                            on_disconnect, exchange, NULL);
}

bool http_exchange_suspend(struct http_exchange *exchange)
{
    if (!watch_client(exchange))
        return false;
    MHD_suspend_connection(exchange->connection);
    exchange->is_suspended = true;
    return true;
}

/* What was to be the reply cannot be: the server has one of its own for that. */
static void reply_no_memory(struct http_exchange *exchange)
{
    exchange->on_gone = NULL;
    exchange->on_pressure = NULL;
    exchange->has_reply = true;
    exchange->lacks_memory = true;
    http_exchange_wake(exchange);
}

static bool is_sane_id(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");
    return len > 0 && len <= 64 && id[len] == '\0';
}

void http_exchange_name(struct http_exchange *exchange)
{
    const char *given = http_exchange_header(exchange, "X-Request-Id");
    if (given == NULL)
        given = http_exchange_header(exchange, "X-Client-Request-Id");
    char random[RANDOM_ID_SIZE];
    if (given != NULL && is_sane_id(given)) {
        snprintf(exchange->request_id, sizeof exchange->request_id, "%s", given);
        return;
    }
    random_id_make(random);
    snprintf(exchange->request_id, sizeof exchange->request_id, "req_%s", random);
}

struct http_exchange *http_exchange_new(struct http_exchanges *all,
                                        struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info == NULL || info->socket_context == NULL)
        return NULL;
    struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->all = all;
    exchange->connection = connection;
    exchange->begun_ns = clock_now_ns();
    exchange->deadline = info->socket_context;
    LIST_INSERT_HEAD(&all->list, exchange, place);
    all->n++;
    return exchange;
}

void http_exchange_free(struct http_exchange *exchange)
{
    struct http_exchanges *all = exchange->all;
    event_watch_close(&exchange->watch);
    LIST_REMOVE(exchange, place);
    all->n--;

    for (int i = 0; i < exchange->n_headers; i++)
        free(exchange->headers[i].value);
    for (size_t i = 0; i < exchange->n_notes; i++)
        free(exchange->notes[i].text);
    free(exchange->notes);
    all->n_body_bytes -= exchange->body.len;
    buf_done(&exchange->body);
    buf_done(&exchange->out);
    free(exchange);
}

const char *http_exchange_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_exchange_path(const struct http_exchange *exchange)
{
    return exchange->path;
}

const char *http_exchange_header(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *http_exchange_query(const struct http_exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

const struct buf *http_exchange_body(const struct http_exchange *exchange)
{
    return &exchange->body;
}

void http_exchange_take_body(struct http_exchange *exchange, struct buf *out)
{
    *out = exchange->body;
    buf_init(&exchange->body);
    exchange->all->n_body_bytes -= out->len;
}

const char *http_exchange_request_id(const struct http_exchange *exchange)
{
    return exchange->request_id;
}

void http_exchange_set_endpoint(struct http_exchange *exchange, const char *endpoint)
{
    exchange->endpoint = endpoint;
}

const char *http_exchange_endpoint(const struct http_exchange *exchange)
{
    return exchange->endpoint != NULL ? exchange->endpoint : "other";
}

void http_exchange_note(struct http_exchange *exchange, const char *key, const char *text,
                        int64_t number)
{
    struct note *notes = reallocarray(exchange->notes, exchange->n_notes + 1, sizeof *notes);
    char *copy = text == NULL ? NULL : strdup(text);
    if (notes != NULL)
        exchange->notes = notes;
    if (notes == NULL || (text != NULL && copy == NULL)) {
        free(copy);
        return;
    }
    notes[exchange->n_notes++] =
        (struct note){.field = {.key = key, .text = copy, .number = number}, .text = copy};
}

int http_exchange_status(const struct http_exchange *exchange)
{
    return exchange->status;
}

int64_t http_exchange_age_ns(const struct http_exchange *exchange)
{
    return clock_now_ns() - exchange->begun_ns;
}

size_t http_exchange_n_notes(const struct http_exchange *exchange)
{
    return exchange->n_notes;
}

struct log_field http_exchange_note_at(const struct http_exchange *exchange, size_t i)
{
    return exchange->notes[i].field;
}

void http_exchange_on_gone(struct http_exchange *exchange, void (*fn)(void *arg), void *arg)
{
    exchange->on_gone = fn;
    exchange->on_gone_arg = arg;
}

void http_exchange_on_pressure(struct http_exchange *exchange, void (*fn)(void *arg, bool is_full),
                               void *arg)
{
    exchange->on_pressure = fn;
    exchange->on_pressure_arg = arg;
}

void http_exchange_check_pressure(struct http_exchange *exchange)
{
    size_t unread = exchange->out.len - exchange->out_begin;
    bool is_full = unread > (exchange->is_full ? ROOM_BYTES : FULL_BYTES);
    if (is_full == exchange->is_full)
        return;
    exchange->is_full = is_full;
    if (exchange->on_pressure != NULL)
        exchange->on_pressure(exchange->on_pressure_arg, is_full);
}

void http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value)
{
    if (exchange->n_headers == HTTP_EXCHANGE_MAX_HEADERS)
        return;
    char *copy = strdup(value);
    if (copy != NULL)
        exchange->headers[exchange->n_headers++] = (struct reply_header){name, copy};
}

void http_exchange_allow_origin(struct http_exchange *exchange)
{
    const char *origin = http_exchange_header(exchange, "Origin");
    if (origin == NULL)
        return;
    http_exchange_add_header(exchange, "Access-Control-Allow-Origin", origin);
    http_exchange_add_header(exchange, "Vary", "Origin");
    http_exchange_add_header(exchange, "Access-Control-Expose-Headers",
                             "X-Request-Id, X-Conversation-Id, X-Sinkd-Session, Retry-After");
}

void http_exchange_reply(struct http_exchange *exchange, int status, const char *content_type,
                         struct buf *body)
{
    if (body->failed) {
        buf_done(body);
        reply_no_memory(exchange);
        return;
    }
    exchange->on_gone = NULL;
    http_exchange_add_header(exchange, "Content-Type", content_type);
    exchange->status = status;
    exchange->has_reply = true;
    exchange->out = *body;
    buf_init(body);
    http_exchange_wake(exchange);
}

void http_exchange_set_error_form(struct http_exchange *exchange, api_error_write_fn *write)
{
    exchange->write_error = write;
}

void http_exchange_reply_error(struct http_exchange *exchange, const struct api_error *error)
{
    struct buf body;
    buf_init(&body);
    api_error_write_fn *write = exchange->write_error;
    (write != NULL ? write : api_error_write)(error, &body);
    if (error->retry_after_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%d", error->retry_after_s);
        http_exchange_add_header(exchange, "Retry-After", seconds);
    }
    http_exchange_reply(exchange, error->status, "application/json", &body);
}

void http_exchange_begin_stream(struct http_exchange *exchange, const char *content_type)
{
    http_exchange_add_header(exchange, "Content-Type", content_type);
    http_exchange_add_header(exchange, "Cache-Control", "no-cache, no-transform");
    http_exchange_add_header(exchange, "X-Accel-Buffering", "no"); /* nginx: pass on at once */
    exchange->status = 200;
    exchange->has_reply = true;
    exchange->is_stream = true;
    exchange->lacks_memory = !watch_client(exchange); /* told when it is written to */
    http_exchange_wake(exchange);
}

void http_exchange_cut(struct http_exchange *exchange)
{
    exchange->on_gone = NULL;
    exchange->on_pressure = NULL;
    exchange->is_gone = true;
    shutdown(exchange->deadline->fd, SHUT_RDWR);
    http_exchange_wake(exchange);
}

/* False without memory. */
static bool append(struct http_exchange *exchange, const struct buf *bytes)
{
    if (exchange->out_begin > exchange->out.len / 2) {
        buf_drop_front(&exchange->out, exchange->out_begin);
        exchange->out_begin = 0;
    }
    if (exchange->unsent_ns == 0)
        exchange->unsent_ns = event_loop_cause_ns(exchange->all->loop);
    buf_append(&exchange->out, bytes->data, bytes->len);
    return !bytes->failed && !exchange->out.failed && !exchange->lacks_memory;
}

bool http_exchange_write(struct http_exchange *exchange, const struct buf *bytes)
{
    if (exchange->out.len - exchange->out_begin > exchange->all->options->max_unsent_bytes) {
        http_exchange_cut(exchange);
        return false;
    }
    if (append(exchange, bytes)) {
        http_exchange_wake(exchange);
        http_exchange_check_pressure(exchange);
        return true;
    }
    if (exchange->is_queued && !exchange->lacks_memory)
        http_exchange_cut(exchange);
    else
        reply_no_memory(exchange);
    return false;
}

void http_exchange_end(struct http_exchange *exchange)
{
    exchange->on_gone = NULL;
    exchange->on_pressure = NULL;
    exchange->is_ended = true;
    http_exchange_wake(exchange);
}
