#include "server/http_server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "server/api_error.h"
#include "server/event_loop.h"
#include "server/http_deadlines.h"
#include "server/http_exchange_state.h"
#include "server/listener.h"

enum {
    MAX_HEADERS = 100, /* of a request */
    /* libmicrohttpd's memory per connection. It bounds a request head; half of it is touched by
     * each stream that waits. */
    CONNECTION_POOL_BYTES = 8192,
    STREAM_BLOCK_BYTES = 512,  /* HTTP/1.0 streams only; chunks take what the pool has */
    SEND_BUFFER_BYTES = 65536, /* in the kernel: text that lies there can no longer be bounded */
    SEND_TIMEOUT_MS = 60000,   /* unacknowledged data: the peer's machine is gone */
    SWEEP_MS = 500,
    SPARE_DESCRIPTORS = 64, /* for the model, logs, the loop itself */
    /* A body that turns out too large while it is received can be refused only after its end; this
     * many times the limit are read and dropped for that, then the connection is cut. */
    MAX_OVERRUN = 4,
    MAX_BODIES_BYTES = 256 * 1024 * 1024, /* of all requests that are being received */
    MAX_CLOSING_TURNS = 100,
    STATUS_CLIENT_GONE = 499, /* never sent; nginx's number */
};

struct http_server {
    struct http_server_options options;
    struct event_loop *loop;
    struct MHD_Daemon *daemon;
    struct MHD_Response *no_memory; /* made in good time */
    struct event_timer *sweep;
    struct http_deadlines deadlines;
    struct http_exchanges exchanges;
    struct listener listener;
    bool is_quiet; /* quiesced */
};
/* ---- libmicrohttpd's callbacks ---- */

/* libmicrohttpd asks for more when all that it took before is with the kernel; many connections may
 * have been asked between that taking and this sending. */
static void tell_sent(struct http_exchange *exchange)
{
    const struct http_server_options *options = &exchange->server->options;
    if (exchange->sending_ns != 0 && options->on_sent != NULL)
        options->on_sent(options->done_arg, clock_now_ns() - exchange->sending_ns);
    exchange->sending_ns = 0;
}

/* What a slow client leaves unread is its own delay. */
static void note_sending(struct http_exchange *exchange)
{
    exchange->sending_ns = exchange->is_full ? 0 : exchange->unsent_ns;
    exchange->unsent_ns = 0;
}

static ssize_t on_read(void *arg, uint64_t position, char *out, size_t max)
{
    (void)position;
    struct http_exchange *exchange = arg;
    if (exchange->is_gone)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    tell_sent(exchange);

    size_t n = exchange->out.len - exchange->out_begin;
    if (n > max)
        n = max;
    if (n > 0) {
        memcpy(out, exchange->out.data + exchange->out_begin, n);
        exchange->out_begin += n;
        note_sending(exchange);
        http_exchange_check_pressure(exchange);
        return (ssize_t)n;
    }
    if (exchange->is_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    /* Zero without suspending would make the daemon ask again for ever. */
    return http_exchange_suspend(exchange) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
}

static bool make_no_memory(struct http_server *server, struct err *err)
{
    struct api_error error;
    struct buf body;
    char seconds[16];
    buf_init(&body);
    api_error_no_memory(&error);
    api_error_write(&error, &body);
    snprintf(seconds, sizeof seconds, "%d", error.retry_after_s);
    if (!body.failed)
        server->no_memory =
            MHD_create_response_from_buffer(body.len, body.data, MHD_RESPMEM_MUST_COPY);
    buf_done(&body);
    bool is_made =
        server->no_memory != NULL &&
        MHD_add_response_header(server->no_memory, "Content-Type", "application/json") == MHD_YES &&
        MHD_add_response_header(server->no_memory, "Retry-After", seconds) == MHD_YES &&
        MHD_add_response_header(server->no_memory, "Connection", "close") == MHD_YES;
    return is_made || err_no_memory(err, "the HTTP server");
}

static struct MHD_Response *make_response(struct http_exchange *exchange)
{
    if (exchange->is_stream)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, on_read,
                                                 exchange, NULL);
    if (exchange->out.len == 0)
        return MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        exchange->out.len, exchange->out.data, MHD_RESPMEM_MUST_FREE);
    if (response != NULL)
        buf_init(&exchange->out); /* the response owns the bytes */
    return response;
}

/* NULL without memory. */
static struct MHD_Response *make_reply(struct http_exchange *exchange)
{
    if (exchange->lacks_memory)
        return NULL;
    struct MHD_Response *response = make_response(exchange);
    if (response == NULL)
        return NULL;
    for (int i = 0; i < exchange->n_headers; i++)
        MHD_add_response_header(response, exchange->headers[i].name, exchange->headers[i].value);
    MHD_add_response_header(response, "X-Request-Id", exchange->request_id);
    MHD_add_response_header(response, "Server", "sinkd/" SINKD_VERSION);
    if (exchange->server->is_quiet)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}

static enum MHD_Result queue_no_memory(const struct http_server *server,
                                       struct MHD_Connection *connection)
{
    return MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, server->no_memory);
}

static enum MHD_Result queue_reply(struct http_exchange *exchange)
{
    struct MHD_Response *response = make_reply(exchange);
    exchange->is_queued = true;
    if (response == NULL) {
        exchange->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return queue_no_memory(exchange->server, exchange->connection);
    }
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    return result;
}

struct header_list {
    struct http_header_view views[MAX_HEADERS];
    size_t n;
};

static enum MHD_Result collect_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                      size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    struct header_list *list = arg;
    if (list->n == MAX_HEADERS)
        return MHD_NO;
    list->views[list->n++] =
        (struct http_header_view){name, name_len, value == NULL ? "" : value, value_len};
    return MHD_YES;
}

static bool check_head(struct http_exchange *exchange, const char *version, struct api_error *error)
{
    struct header_list list = {.n = 0};
    int n =
        MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, collect_header, &list);
    if (n < 0 || (size_t)n != list.n || list.n == MAX_HEADERS)
        return api_error_set(error, 431, "too_many_headers", NULL,
                             "a request may have at most %d headers", MAX_HEADERS - 1);
    struct http_head head = {exchange->method, exchange->path, version, list.views, list.n};
    const struct http_policy *policy = &exchange->server->options.policy;
    if (http_policy_check(policy, &head, error))
        return true;
    /* A page that may call may also read why it was refused. */
    const char *origin = http_exchange_header(exchange, "Origin");
    if (origin != NULL && http_policy_allows_origin(policy, &head))
        http_exchange_add_header(exchange, "Access-Control-Allow-Origin", origin);
    return false;
}

/* The first call for a request: a reply queued here is sent without reading the body. */
static enum MHD_Result on_head(struct http_exchange *exchange, const char *version)
{
    struct http_server *server = exchange->server;
    http_connection_expect(exchange->deadline, server->options.body_timeout_ms, false);
    http_exchange_name(exchange);

    struct api_error error;
    exchange->has_no_body = http_exchange_header(exchange, "Content-Length") == NULL &&
                            http_exchange_header(exchange, "Transfer-Encoding") == NULL;
    if (check_head(exchange, version, &error)) {
        /* A reply before the body closes the connection; with no body there is time. */
        if (!exchange->has_no_body)
            server->options.on_head(server->options.arg, exchange);
    } else {
        http_exchange_add_header(exchange, "Connection", "close");
        http_exchange_reply_error(exchange, &error);
    }
    if (!exchange->has_reply)
        return MHD_YES;
    exchange->is_dispatched = true;
    http_connection_expect(exchange->deadline, 0, false);
    return queue_reply(exchange);
}

static void drop_body(struct http_exchange *exchange)
{
    exchange->all->n_body_bytes -= exchange->body.len;
    buf_done(&exchange->body);
}

static enum MHD_Result on_body(struct http_exchange *exchange, const char *data, size_t len)
{
    struct http_server *server = exchange->server;
    size_t max = server->options.policy.max_body_bytes;
    size_t held_before = exchange->body.len;
    exchange->n_body_bytes += len;
    if (exchange->n_body_bytes > max) {
        drop_body(exchange);
    } else if (server->exchanges.n_body_bytes + len > MAX_BODIES_BYTES) {
        drop_body(exchange);
        exchange->body.failed = true;
    } else {
        buf_append(&exchange->body, data, len);
        server->exchanges.n_body_bytes += exchange->body.len - held_before;
    }
    return exchange->n_body_bytes / MAX_OVERRUN <= max ? MHD_YES : MHD_NO;
}

static void dispatch(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    exchange->is_dispatched = true;
    http_connection_expect(exchange->deadline, 0, false);

    struct api_error error;
    if (exchange->n_body_bytes > server->options.policy.max_body_bytes) {
        api_error_set(&error, 413, "request_too_large", NULL,
                      "the request body is larger than %zu bytes",
                      server->options.policy.max_body_bytes);
        http_exchange_reply_error(exchange, &error);
    } else if (exchange->body.failed) {
        api_error_set(&error, 503, "out_of_memory", NULL, "not enough memory for the request");
        http_exchange_reply_error(exchange, &error);
    } else {
        if (exchange->has_no_body)
            server->options.on_head(server->options.arg, exchange);
        if (!exchange->has_reply)
            server->options.on_request(server->options.arg, exchange);
    }
    drop_body(exchange); /* may be large, and the reply may be long in coming */
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_size, void **request_ctx)
{
    struct http_server *server = arg;
    struct http_exchange *exchange = *request_ctx;
    if (exchange == NULL) {
        exchange = http_exchange_new(&server->exchanges, connection);
        if (exchange == NULL)
            return queue_no_memory(server, connection);
        exchange->server = server;
        *request_ctx = exchange;
        exchange->method = method;
        exchange->path = url;
        return on_head(exchange, version);
    }
    if (*upload_size > 0) {
        enum MHD_Result result = on_body(exchange, upload_data, *upload_size);
        *upload_size = 0;
        return result;
    }
    if (!exchange->is_dispatched)
        dispatch(exchange);
    if (exchange->is_gone)
        return MHD_NO;
    if (exchange->has_reply)
        return queue_reply(exchange);
    if (http_exchange_suspend(exchange))
        return MHD_YES;
    http_exchange_tell_gone(exchange); /* to who works on the reply */
    exchange->lacks_memory = true;
    return queue_reply(exchange);
}

/* Of a path, and of names and values in a query. A %00 would end the text before its end, and make
 * it another one: what has one stays as it was sent, and so is nothing that is known here. */
static size_t unescape(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request_ctx,
                         enum MHD_RequestTerminationCode code)
{
    (void)connection;
    struct http_server *server = arg;
    struct http_exchange *exchange = *request_ctx;
    if (exchange == NULL)
        return;
    http_exchange_tell_gone(exchange);
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        exchange->status = STATUS_CLIENT_GONE;
    if (server->options.on_done != NULL)
        server->options.on_done(server->options.done_arg, exchange);
    http_connection_expect(exchange->deadline, server->options.idle_timeout_ms, true);
    http_exchange_free(exchange);
    *request_ctx = NULL;
}

static void tune_socket(int fd)
{
    int on = 1, bytes = SEND_BUFFER_BYTES;
    unsigned timeout_ms = SEND_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = arg;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_ctx != NULL)
            http_deadlines_remove(&server->deadlines, *socket_ctx);
        *socket_ctx = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL)
        return;
    tune_socket(info->connect_fd);
    *socket_ctx =
        http_deadlines_add(&server->deadlines, info->connect_fd, server->options.header_timeout_ms);
}

static void on_log(void *arg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_log(void *arg, const char *format, va_list args)
{
    (void)arg;
    char line[256];
    vsnprintf(line, sizeof line, format, args);
    log_debug("http: %s", line); /* mostly what clients do wrong */
}

/* ---- the server ---- */

static void on_sweep(void *arg)
{
    struct http_server *server = arg;
    http_deadlines_sweep(&server->deadlines);
}

static void set_default(int *value, int otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static unsigned connection_limit(const struct http_server_options *options)
{
    struct rlimit files;
    unsigned limit = options->max_connections > 0 ? (unsigned)options->max_connections : 16384;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
        rlim_t room = files.rlim_cur > 2 * SPARE_DESCRIPTORS ? files.rlim_cur - SPARE_DESCRIPTORS
                                                             : files.rlim_cur / 2;
        if (room < limit)
            limit = (unsigned)room;
    }
    return limit;
}

/* A bug of libmicrohttpd's or of ours in its use. It must not return. */
static void on_panic(void *arg, const char *file, unsigned line, const char *reason)
{
    (void)arg;
    log_error("libmicrohttpd: %s (%s:%u)", reason != NULL ? reason : "panic", file, line);
    abort();
}

static bool start_daemon(struct http_server *server, struct err *err)
{
    MHD_set_panic_func(on_panic, NULL);
    struct MHD_OptionItem options[] = {
        /* The logger must come first: later options may already use it. */
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_log, NULL},
        {MHD_OPTION_LISTEN_SOCKET, server->listener.fd, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_POOL_BYTES, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connection_limit(&server->options), NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (server->options.idle_timeout_ms + 999) / 1000, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)unescape, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
                         NULL, on_access, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    return server->daemon != NULL ||
           err_set(err, ERR_IO, "cannot start the HTTP server on %s", server->listener.name);
}

bool http_server_open(struct http_server **out, struct event_loop *loop,
                      const struct http_server_options *options, struct err *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return err_no_memory(err, "the HTTP server");
    if (!listener_open(&server->listener, &options->listen, err)) {
        free(server);
        return false;
    }
    server->loop = loop;
    server->options = *options;
    server->options.policy.only_local_hosts = server->listener.is_loopback;
    set_default(&server->options.header_timeout_ms, 20000);
    set_default(&server->options.body_timeout_ms, 60000);
    set_default(&server->options.idle_timeout_ms, 75000);
    if (server->options.max_unsent_bytes == 0)
        server->options.max_unsent_bytes = 1024 * 1024;
    server->exchanges.loop = loop;
    server->exchanges.max_unsent_bytes = server->options.max_unsent_bytes;

    if (!make_no_memory(server, err) || !start_daemon(server, err) ||
        !event_timer_open(&server->sweep, loop, on_sweep, server, err) ||
        !event_loop_attach_http(loop, server->daemon, http_exchanges_resume, &server->exchanges,
                                err))
        goto fail;
    event_timer_start(server->sweep, SWEEP_MS, SWEEP_MS);
    *out = server;
    return true;

fail:
    http_server_close(&server);
    return false;
}

void http_server_quiesce(struct http_server *server)
{
    if (server->is_quiet)
        return;
    server->is_quiet = true;
    MHD_quiesce_daemon(server->daemon); /* in external polling mode the socket is ours to close */
    listener_close(&server->listener);
    http_deadlines_close_idle(&server->deadlines);
    event_loop_kick(server->loop);
}

void http_server_close(struct http_server **server_ptr)
{
    struct http_server *server = *server_ptr;
    if (server == NULL)
        return;
    if (server->daemon != NULL) {
        http_server_quiesce(server);
        struct http_exchange *it;
        LIST_FOREACH(it, &server->exchanges.list, place) {
            http_exchange_tell_gone(it);
            http_exchange_wake(it);
        }
        /* Stopping the daemon while a connection is suspended aborts the process. */
        for (int i = 0; i < MAX_CLOSING_TURNS && !LIST_EMPTY(&server->exchanges.list); i++) {
            http_exchanges_resume(&server->exchanges);
            MHD_run(server->daemon);
        }
        event_loop_detach_http(server->loop);
        MHD_stop_daemon(server->daemon);
    }
    if (server->no_memory != NULL)
        MHD_destroy_response(server->no_memory);
    event_timer_close(&server->sweep);
    http_deadlines_done(&server->deadlines);
    listener_close(&server->listener);
    free(server);
    *server_ptr = NULL;
}

int http_server_port(const struct http_server *server)
{
    return server->listener.port;
}

const char *http_server_name(const struct http_server *server)
{
    return server->listener.name;
}

void http_server_set_policy(struct http_server *server, const struct http_policy *policy)
{
    bool only_local_hosts = server->options.policy.only_local_hosts;
    server->options.policy = *policy;
    server->options.policy.only_local_hosts = only_local_hosts;
}

int http_server_n_connections(const struct http_server *server)
{
    return server->deadlines.n;
}

int http_server_n_open(const struct http_server *server)
{
    return server->exchanges.n;
}
