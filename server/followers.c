#include "server/followers.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/access_log.h"
#include "server/api_error.h"
#include "server/generation.h"
#include "server/http_exchange.h"
#include "server/session_headers.h"
#include "server/sse_stream.h"

enum { MAX_LOG_BYTES = 64 * 1024 * 1024 };

struct follower {
    struct follower *next;
    struct followers *all;
    struct http_exchange *exchange;
    bool wants_stream;
    bool is_back;             /* somebody else, or the same client, has asked for it before */
    struct sse_stream stream; /* begun with the first events */
    int64_t after;            /* events up to this one are not wanted */
    int64_t full_ns;          /* when it had no more room; 0: it has */
};

/* ---- the log ---- */

static void drop_log(struct followers *all)
{
    if (all->budget != NULL)
        all->budget->used -= all->log.len;
    buf_done(&all->log);
    all->keeps_log = false;
}

static void keep(struct followers *all, const struct buf *frames)
{
    if (!all->keeps_log)
        return;
    bool has_room = all->budget == NULL ? all->log.len + frames->len <= MAX_LOG_BYTES
                                        : all->budget->used + frames->len <= all->budget->max;
    if (has_room) {
        size_t len = all->log.len;
        buf_append(&all->log, frames->data, frames->len);
        if (all->budget != NULL)
            all->budget->used += all->log.len - len;
    }
    if (!has_room || all->log.failed)
        drop_log(all);
}

void followers_done(struct followers *all)
{
    drop_log(all);
    if (all->start != NULL)
        free((char *)all->start->conversation_id);
    free(all->start);
    all->start = NULL;
}

/* ---- one by one ---- */

/* It pauses when everybody who is left waits for a slow socket. */
static void update_pressure(struct followers *all)
{
    bool is_full = all->first != NULL;
    for (const struct follower *one = all->first; one != NULL; one = one->next)
        is_full = is_full && one->full_ns != 0;
    if (is_full == all->is_full)
        return;
    all->is_full = is_full;
    if (all->on_pressure != NULL)
        all->on_pressure(all->arg, is_full);
}

static void on_pressure(void *arg, bool is_full)
{
    struct follower *one = arg;
    one->full_ns = is_full ? clock_now_ns() : 0;
    update_pressure(one->all);
}

static void remove_one(struct follower *one)
{
    struct followers *all = one->all;
    struct follower **link = &all->first;
    while (*link != one)
        link = &(*link)->next;
    *link = one->next;
    free(one);
    update_pressure(all);
}

/* Whatever it lies in may be gone after this. */
static void check_deserted(struct followers *all)
{
    if (all->first == NULL && all->on_deserted != NULL)
        all->on_deserted(all->arg);
}

static void on_gone(void *arg)
{
    struct follower *one = arg;
    struct followers *all = one->all;
    remove_one(one);
    check_deserted(all);
}

/* False when the client reads too slowly: it is a follower no more. */
static bool send_frames(struct follower *one, const struct buf *frames, int64_t first)
{
    if (one->stream.exchange == NULL)
        sse_stream_begin(&one->stream, one->exchange);
    struct buf copy;
    const char *text = sse_stream_skip(buf_text(frames), one->after - first + 1);
    buf_init(&copy);
    buf_append(&copy, text, frames->len - (size_t)(text - buf_text(frames)));
    copy.failed = copy.failed || frames->failed;
    if (sse_stream_write(&one->stream, &copy))
        return true;
    log_info("a client reads its answer too slowly, its stream is cut");
    remove_one(one);
    return false;
}

static void add_headers(const struct follower *one, const struct generation_start *start)
{
    struct generation_start now = *start;
    if (one->is_back)
        now.match = "attach";
    session_headers_add(one->exchange, &now);
}

bool followers_add(struct followers *all, struct http_exchange *exchange, bool wants_stream,
                   int64_t after)
{
    struct follower *one = calloc(1, sizeof *one);
    if (one == NULL) {
        struct api_error error;
        api_error_no_memory(&error);
        http_exchange_reply_error(exchange, &error);
        return false;
    }
    *one = (struct follower){
        .next = all->first,
        .all = all,
        .exchange = exchange,
        .wants_stream = wants_stream,
        .is_back = all->n_added++ > 0,
        .after = after,
    };
    all->first = one;
    http_exchange_on_gone(exchange, on_gone, one);
    http_exchange_on_pressure(exchange, on_pressure, one);
    update_pressure(all);
    if (all->start != NULL && (wants_stream || all->has_end))
        add_headers(one, all->start);
    if (wants_stream && all->log.len > 0)
        send_frames(one, &all->log, 0);
    return true;
}

/* ---- all of them ---- */

/* Without memory those who come later have no headers. */
static void keep_start(struct followers *all, const struct generation_start *start)
{
    const char *id = start->conversation_id;
    if (all->start != NULL || (all->start = malloc(sizeof *start)) == NULL)
        return;
    *all->start = *start;
    all->start->conversation_id = id == NULL ? NULL : strdup(id);
}

void followers_add_headers(struct followers *all, const struct generation_start *start)
{
    keep_start(all, start);
    for (struct follower *one = all->first; one != NULL; one = one->next) {
        if (one->wants_stream && one->stream.exchange == NULL)
            add_headers(one, start);
    }
}

void followers_note_end(struct followers *all, const struct generation_end *end)
{
    const struct generation_start start = session_headers_of_end(end);
    for (struct follower *one = all->first; one != NULL; one = one->next) {
        access_log_note_generation(one->exchange, end);
        if (!one->wants_stream)
            add_headers(one, &start);
    }
    if (all->start == NULL)
        return;
    all->has_end = true;
    all->start->n_cached = start.n_cached;
    all->start->n_new = start.n_new;
    all->start->n_evicted = start.n_evicted;
}

static void number(const struct followers *all, struct buf *frames)
{
    struct buf named;
    const char *rest = buf_text(frames);
    int64_t n = all->n_events;
    buf_init(&named);
    while (*rest != '\0') {
        const char *next = sse_stream_skip(rest, 1);
        buf_append_format(&named, "id: %s:%lld\n", all->name, (long long)n++);
        buf_append(&named, rest, (size_t)(next - rest));
        rest = next;
    }
    named.failed = named.failed || frames->failed;
    buf_done(frames);
    *frames = named;
}

static int64_t count_events(const char *frames)
{
    int64_t n = 0;
    for (; *frames != '\0'; n++)
        frames = sse_stream_skip(frames, 1);
    return n;
}

void followers_send(struct followers *all, struct buf *frames)
{
    bool has_lost = false, has_kept = all->keeps_log;
    int64_t first = all->n_events;
    if (all->name != NULL)
        number(all, frames);
    all->n_events += count_events(buf_text(frames));
    keep(all, frames);
    struct follower *next;
    for (struct follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->wants_stream && !send_frames(one, frames, first))
            has_lost = true;
    }
    buf_done(frames);
    if (has_lost || has_kept != all->keeps_log)
        check_deserted(all);
}

static bool is_stalled(const struct follower *one)
{
    int64_t patience_ns = (int64_t)one->all->stall_s * 1000 * 1000 * 1000;
    return one->full_ns != 0 && clock_now_ns() - one->full_ns > patience_ns;
}

void followers_ping(struct followers *all, int after_s)
{
    bool has_lost = false;
    struct follower *next;
    for (struct follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->stream.exchange == NULL)
            continue;
        if (is_stalled(one)) {
            log_info("a client has not read its answer for %d s, its stream is cut", all->stall_s);
            sse_stream_cut(&one->stream);
        } else if (one->full_ns != 0 || sse_stream_ping(&one->stream, after_s)) {
            continue;
        }
        remove_one(one);
        has_lost = true;
    }
    if (has_lost)
        check_deserted(all);
}

void followers_show(struct followers *all,
                    void (*send)(const void *what, struct http_exchange *exchange),
                    const void *what)
{
    struct follower *next;
    for (struct follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (one->wants_stream)
            continue;
        send(what, one->exchange);
        remove_one(one);
    }
}

static void send_error(const void *what, struct http_exchange *exchange)
{
    http_exchange_reply_error(exchange, what);
}

void followers_fail(struct followers *all, const struct api_error *error)
{
    followers_show(all, send_error, error);
}

void followers_end(struct followers *all, struct buf *frames)
{
    struct follower *next;
    void (*on_deserted)(void *) = all->on_deserted;
    all->on_deserted = NULL; /* it is over anyway */
    followers_send(all, frames);
    for (struct follower *one = all->first; one != NULL; one = next) {
        next = one->next;
        if (!one->wants_stream)
            continue;
        sse_stream_end(&one->stream);
        remove_one(one);
    }
    all->on_deserted = on_deserted;
}

void followers_refuse(struct followers *all, const struct api_error *error)
{
    while (all->first != NULL) {
        http_exchange_reply_error(all->first->exchange, error);
        remove_one(all->first);
    }
}
