#include "server/http_reply.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "server/api_error.h"
#include "server/http_exchange_state.h"
#include "server/http_server.h"

enum { STREAM_BLOCK_BYTES = 512 }; /* HTTP/1.0 streams only; chunks take what the pool has */

/* libmicrohttpd asks for more when all that it took before is with the kernel; many connections may
 * have been asked between that taking and this sending. */
static void tell_sent(struct http_exchange *exchange)
{
    const struct http_server_options *options = exchange->all->options;
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

struct MHD_Response *http_reply_make(struct http_exchange *exchange)
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
    if (exchange->all->is_quiet)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}

struct MHD_Response *http_reply_no_memory(void)
{
    struct api_error error;
    struct buf body;
    char seconds[16];
    buf_init(&body);
    api_error_no_memory(&error);
    api_error_write(&error, &body);
    snprintf(seconds, sizeof seconds, "%d", error.retry_after_s);
    struct MHD_Response *response =
        body.failed ? NULL
                    : MHD_create_response_from_buffer(body.len, body.data, MHD_RESPMEM_MUST_COPY);
    buf_done(&body);
    if (response == NULL)
        return NULL;
    bool is_whole =
        MHD_add_response_header(response, "Content-Type", "application/json") == MHD_YES &&
        MHD_add_response_header(response, "Retry-After", seconds) == MHD_YES &&
        MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    if (is_whole)
        return response;
    MHD_destroy_response(response);
    return NULL;
}
