#include "server/response_followers.h"

#include <stdlib.h>

#include "core/base/log.h"
#include "server/api_error.h"
#include "server/http_exchange.h"
#include "server/response_replay.h"
#include "server/response_reply.h"
#include "server/session_headers.h"
#include "server/sse_stream.h"

enum { MAX_LOG_BYTES = 64 * 1024 * 1024 };

struct response_follower {
    struct response_follower *next;
    struct response_followers *all;
    struct http_exchange *exchange;
    bool wants_stream;
    struct sse_stream stream; /* begun with the first events */
    int64_t after;            /* events up to this one are not wanted */
};

void response_followers_done(struct response_followers *all)
{
    buf_done(&all->log);
}

static void remove_one(struct response_follower *one)
{
    struct response_follower **link = &one->all->first;
    while (*link != one)
        link = &(*link)->next;
    *link = one->next;
    free(one);
}

/* Whatever it lies in may be gone after this. */
static void check_deserted(struct response_followers *all)
{
    if (all->first == NULL)
        all->on_deserted(all->arg);
}

static void on_gone(void *arg)
{
    struct response_follower *one = arg;
    struct response_followers *all = one->all;
    remove_one(one);
    check_deserted(all);
}

/* False when the client reads too slowly: it is a follower no more. */
static bool send_frames(struct response_follower *one, const struct buf *frames, int64_t first)
{
    if (one->stream.exchange == NULL)
        sse_stream_begin(&one->stream, one->exchange);
    struct buf copy;
    buf_init(&copy);
    if (one->after >= first)
        buf_append_text(&copy, response_replay_skip(buf_text(frames), one->after - first));
    else
        buf_append(&copy, frames->data, frames->len);
    if (sse_stream_write(&one->stream, &copy))
        return true;
    log_info("a client reads its response too slowly, its stream is cut");
    remove_one(one);
    return false;
}

bool response_followers_add(struct response_followers *all, struct http_exchange *exchange,
                            bool wants_stream, int64_t after)
{
    struct response_follower *one = calloc(1, sizeof *one);
    if (one == NULL) {
        struct api_error error;
        api_error_set(&error, 503, "out_of_memory", NULL, "not enough memory");
        http_exchange_reply_error(exchange, &error);
        return false;
    }
    *one = (struct response_follower){
        .next = all->first,
        .all = all,
        .exchange = exchange,
        .wants_stream = wants_stream,
        .after = after,
    };
    all->first = one;
    http_exchange_on_gone(exchange, on_gone, one);
    if (wants_stream && all->log.len > 0)
        send_frames(one, &all->log, 0);
    return true;
}

void response_followers_add_headers(struct response_followers *all,
                                    const struct generation_start *start)
{
    for (struct response_follower *one = all->first; one != NULL; one = one->next) {
        if (one->wants_stream && one->stream.exchange == NULL)
            session_headers_add(one->exchange, start);
    }
}

void response_followers_add_end_headers(struct response_followers *all,
                                        const struct generation_end *end)
{
    for (struct response_follower *one = all->first; one != NULL; one = one->next) {
        if (!one->wants_stream)
            session_headers_add_end(one->exchange, end);
    }
}

void response_followers_send(struct response_followers *all, struct buf *frames, int64_t first)
{
    bool has_lost = false;
    if (all->keeps_log && all->log.len + frames->len <= MAX_LOG_BYTES)
        buf_append(&all->log, frames->data, frames->len);
    struct response_follower *next;
    for (struct response_follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->wants_stream && !send_frames(one, frames, first))
            has_lost = true;
    }
    buf_done(frames);
    if (has_lost)
        check_deserted(all);
}

void response_followers_ping(struct response_followers *all, int after_s)
{
    bool has_lost = false;
    struct response_follower *next;
    for (struct response_follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->stream.exchange == NULL || sse_stream_ping(&one->stream, after_s))
            continue;
        remove_one(one);
        has_lost = true;
    }
    if (has_lost)
        check_deserted(all);
}

void response_followers_show(struct response_followers *all, const struct response_row *row)
{
    struct response_follower *next;
    for (struct response_follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->wants_stream)
            continue;
        response_reply_send(row, one->exchange);
        remove_one(one);
    }
}

void response_followers_fail(struct response_followers *all, const struct api_error *error)
{
    struct response_follower *next;
    for (struct response_follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->wants_stream)
            continue;
        http_exchange_reply_error(one->exchange, error);
        remove_one(one);
    }
}

void response_followers_end(struct response_followers *all, const struct buf *frames, int64_t first)
{
    struct response_follower *next;
    for (struct response_follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (!one->wants_stream || !send_frames(one, frames, first))
            continue;
        sse_stream_end(&one->stream);
        remove_one(one);
    }
}

void response_followers_refuse(struct response_followers *all, const struct api_error *error)
{
    while (all->first != NULL) {
        http_exchange_reply_error(all->first->exchange, error);
        remove_one(all->first);
    }
}
