#include "server/http_request.h"

#include <microhttpd.h>

#include "core/base/buf.h"
#include "server/api_error.h"
#include "server/http_deadlines.h"
#include "server/http_exchange_state.h"
#include "server/http_server.h"

enum {
    MAX_HEADERS = 100, /* of a request */
    /* A body that turns out too large while it is received can be refused only after its end; this
     * many times the limit are read and dropped for that, then the connection is cut. */
    MAX_OVERRUN = 4,
    MAX_BODIES_BYTES = 256 * 1024 * 1024, /* of all requests that are being received */
};

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
                             "A request may have at most %d headers.", MAX_HEADERS - 1);
    struct http_head head = {exchange->method, exchange->path, version, list.views, list.n};
    const struct http_policy *policy = &exchange->all->options->policy;
    if (http_policy_check(policy, &head, error))
        return true;
    /* A page that may call may also read why it was refused. */
    if (http_policy_allows_origin(policy, &head))
        http_exchange_allow_origin(exchange);
    return false;
}

void http_request_take_head(struct http_exchange *exchange, const char *version)
{
    const struct http_server_options *options = exchange->all->options;
    http_connection_expect(exchange->deadline, options->body_timeout_ms, false);
    http_exchange_name(exchange);

    struct api_error error;
    exchange->has_no_body = http_exchange_header(exchange, "Content-Length") == NULL &&
                            http_exchange_header(exchange, "Transfer-Encoding") == NULL;
    if (check_head(exchange, version, &error)) {
        /* A reply before the body closes the connection; with no body there is time. */
        if (!exchange->has_no_body)
            options->on_head(options->arg, exchange);
    } else {
        http_exchange_add_header(exchange, "Connection", "close");
        http_exchange_reply_error(exchange, &error);
    }
    if (!exchange->has_reply)
        return;
    exchange->is_dispatched = true;
    http_connection_expect(exchange->deadline, 0, false);
}

static void drop_body(struct http_exchange *exchange)
{
    exchange->all->n_body_bytes -= exchange->body.len;
    buf_done(&exchange->body);
}

bool http_request_take_body(struct http_exchange *exchange, const char *data, size_t len)
{
    size_t max = exchange->all->options->policy.max_body_bytes;
    size_t held_before = exchange->body.len;
    exchange->n_body_bytes += len;
    if (exchange->n_body_bytes > max) {
        drop_body(exchange);
    } else if (exchange->all->n_body_bytes + len > MAX_BODIES_BYTES) {
        drop_body(exchange);
        exchange->body.failed = true;
    } else {
        buf_append(&exchange->body, data, len);
        exchange->all->n_body_bytes += exchange->body.len - held_before;
    }
    return exchange->n_body_bytes / MAX_OVERRUN <= max;
}

void http_request_dispatch(struct http_exchange *exchange)
{
    const struct http_server_options *options = exchange->all->options;
    exchange->is_dispatched = true;
    http_connection_expect(exchange->deadline, 0, false);

    struct api_error error;
    if (exchange->n_body_bytes > options->policy.max_body_bytes) {
        api_error_set(&error, 413, "request_too_large", NULL,
                      "the request body is larger than %zu bytes", options->policy.max_body_bytes);
        http_exchange_reply_error(exchange, &error);
    } else if (exchange->body.failed) {
        api_error_set(&error, 503, "out_of_memory", NULL, "not enough memory for the request");
        http_exchange_reply_error(exchange, &error);
    } else {
        if (exchange->has_no_body)
            options->on_head(options->arg, exchange);
        if (!exchange->has_reply)
            options->on_request(options->arg, exchange);
    }
    drop_body(exchange); /* may be large, and the reply may be long in coming */
}
