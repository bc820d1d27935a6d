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

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/event_loop.h"
#include "server/http_deadlines.h"
#include "server/http_exchange_state.h"
#include "server/http_reply.h"
#include "server/http_request.h"
#include "server/listener.h"

enum {
    /* libmicrohttpd's memory per connection. It bounds a request head; half of it is touched by
     * each stream that waits. */
    CONNECTION_POOL_BYTES = 8192,
    SEND_BUFFER_BYTES = 65536, /* in the kernel: text that lies there can no longer be bounded */
    SEND_TIMEOUT_MS = 60000,   /* unacknowledged data: the peer's machine is gone */
    SWEEP_MS = 500,
    SPARE_DESCRIPTORS = 64, /* for the model, logs, the loop itself */
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
};

/* ---- libmicrohttpd's callbacks ---- */

static enum MHD_Result queue_no_memory(const struct http_server *server,
                                       struct MHD_Connection *connection)
{
    return MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, server->no_memory);
}

static enum MHD_Result queue_reply(const struct http_server *server, struct http_exchange *exchange)
{
    struct MHD_Response *response = http_reply_make(exchange);
    exchange->is_queued = true;
    if (response == NULL) {
        exchange->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return queue_no_memory(server, exchange->connection);
    }
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    return result;
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
        *request_ctx = exchange;
        exchange->method = method;
        exchange->path = url;
        http_request_take_head(exchange, version);
        return exchange->has_reply ? queue_reply(server, exchange) : MHD_YES;
    }
    if (*upload_size > 0) {
        bool goes_on = http_request_take_body(exchange, upload_data, *upload_size);
        *upload_size = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    if (!exchange->is_dispatched)
        http_request_dispatch(exchange);
    if (exchange->is_gone)
        return MHD_NO;
    if (exchange->has_reply)
        return queue_reply(server, exchange);
    if (http_exchange_suspend(exchange))
        return MHD_YES;
    http_exchange_tell_gone(exchange); /* to who works on the reply */
    exchange->lacks_memory = true;
    return queue_reply(server, exchange);
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

bool http_server_open(struct http_server **out, struct event_loop *loop, struct listener *listener,
                      const struct http_server_options *options, struct err *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        listener_close(listener);
        return err_no_memory(err, "the HTTP server");
    }
    server->listener = *listener;
    listener->fd = -1;
    server->loop = loop;
    server->options = *options;
    server->options.policy.only_local_hosts = server->listener.is_loopback;
    set_default(&server->options.header_timeout_ms, 20000);
    set_default(&server->options.body_timeout_ms, 60000);
    set_default(&server->options.idle_timeout_ms, 75000);
    if (server->options.max_unsent_bytes == 0)
        server->options.max_unsent_bytes = 1024 * 1024;
    server->exchanges.loop = loop;
    server->exchanges.options = &server->options;

    server->no_memory = http_reply_no_memory();
    bool has_reply = server->no_memory != NULL || err_no_memory(err, "the HTTP server");
    if (!has_reply || !start_daemon(server, err) ||
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
    if (server->exchanges.is_quiet)
        return;
    server->exchanges.is_quiet = true;
    MHD_quiesce_daemon(server->daemon); /* in external polling mode the socket is ours to close */
    listener_close(&server->listener);
    http_deadlines_close_idle(&server->deadlines, true);
    event_loop_kick(server->loop);
}

int http_server_n_arriving(const struct http_server *server)
{
    return http_deadlines_n_arriving(&server->deadlines);
}

void http_server_close_idle(struct http_server *server)
{
    http_deadlines_close_idle(&server->deadlines, false);
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
