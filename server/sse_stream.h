/* sse_stream.h - a reply as server-sent events, frame by frame.
 *
 * Owner: the turn that answers (embedded). Borrows the exchange. Thread: loop. */
#ifndef SERVER_SSE_STREAM_H
#define SERVER_SSE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

struct api_error;
struct buf;
struct http_exchange;

struct sse_stream {
    struct http_exchange *exchange; /* NULL: not begun, ended, or its reader is gone */
    int64_t last_write_ns;
};

/* Sends the headers; frames follow. */
void sse_stream_begin(struct sse_stream *stream, struct http_exchange *exchange);
/* Sends whole frames and empties `frames`. False when the client reads too slowly: its stream is
 * cut, and the exchange gone. */
bool sse_stream_write(struct sse_stream *stream, struct buf *frames);
/* A comment, when nothing was sent for so long: clients and proxies give up on a silent server.
 * False as above. */
bool sse_stream_ping(struct sse_stream *stream, int after_s);
/* Ends the connection: its reader is gone for the caller. */
void sse_stream_cut(struct sse_stream *stream);
void sse_stream_end(struct sse_stream *stream);

/* Of whole frames: the place behind the first n events, or the end when there are no more. Pure. */
const char *sse_stream_skip(const char *frames, int64_t n);

/* The number of an event, as a client gives it back: digits, of a number that a stream may reach.
 * Pure. */
bool sse_stream_parse_number(const char *text, int64_t *out);
/* ?starting_after=N: the last event that the client has seen. *out stays when it does not say. */
bool sse_stream_read_after(const struct http_exchange *exchange, int64_t *out,
                           struct api_error *error);

#endif
