#include "server/sse_stream.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "server/api_error.h"
#include "server/http_exchange.h"

void sse_stream_begin(struct sse_stream *stream, struct http_exchange *exchange)
{
    stream->exchange = exchange;
    stream->last_write_ns = clock_now_ns();
    http_exchange_begin_stream(exchange, "text/event-stream; charset=utf-8");
}

bool sse_stream_write(struct sse_stream *stream, struct buf *frames)
{
    stream->last_write_ns = clock_now_ns();
    bool is_read = http_exchange_write(stream->exchange, frames);
    if (!is_read)
        stream->exchange = NULL;
    buf_done(frames);
    return is_read;
}

bool sse_stream_ping(struct sse_stream *stream, int after_s)
{
    if (clock_now_ns() - stream->last_write_ns < (int64_t)after_s * 1000 * 1000 * 1000)
        return true;
    struct buf ping;
    buf_init(&ping);
    buf_append_text(&ping, ": ping\n\n");
    return sse_stream_write(stream, &ping);
}

void sse_stream_cut(struct sse_stream *stream)
{
    http_exchange_cut(stream->exchange);
    stream->exchange = NULL;
}

void sse_stream_end(struct sse_stream *stream)
{
    http_exchange_end(stream->exchange);
    stream->exchange = NULL;
}

const char *sse_stream_skip(const char *frames, int64_t n)
{
    static const char end_of_event[] = "\n\n";
    for (int64_t i = 0; i < n; i++) {
        const char *end = strstr(frames, end_of_event);
        if (end == NULL)
            return frames + strlen(frames);
        frames = end + strlen(end_of_event);
    }
    return frames;
}

bool sse_stream_parse_number(const char *text, int64_t *out)
{
    enum { MAX_DIGITS = 15 };
    size_t n_digits = strspn(text, "0123456789");
    if (n_digits == 0 || n_digits > MAX_DIGITS || text[n_digits] != '\0')
        return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

bool sse_stream_read_after(const struct http_exchange *exchange, int64_t *out,
                           struct api_error *error)
{
    const char *text = http_exchange_query(exchange, "starting_after");
    return text == NULL || sse_stream_parse_number(text, out) ||
           api_error_set(error, 400, "invalid_value", "starting_after",
                         "'starting_after' must be the number of an event.");
}
