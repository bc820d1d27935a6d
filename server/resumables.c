#include "server/resumables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/base/checksum.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "server/event_loop.h"
#include "server/http_exchange.h"
#include "server/sse_stream.h"

enum { SWEEP_MS = 500, MAX_BYTES = 128 * 1024 * 1024 };

struct resumables {
    LIST_HEAD(, resumable) list;
    struct resumable *upcoming; /* where a walk goes next */
    int seconds;
    struct followers_budget budget;
    struct event_timer *sweep;
};

/* ---- going through them ---- */

/* Each may be taken out on the way. */
static struct resumable *walk_next(struct resumables *all)
{
    struct resumable *one = all->upcoming;
    if (one != NULL)
        all->upcoming = LIST_NEXT(one, place);
    return one;
}

static struct resumable *walk_first(struct resumables *all)
{
    all->upcoming = LIST_FIRST(&all->list);
    return walk_next(all);
}

static void on_sweep(void *arg)
{
    struct resumables *all = arg;
    int64_t now_ns = clock_now_ns();
    for (struct resumable *one = walk_first(all); one != NULL; one = walk_next(all)) {
        if (one->expires_ns != 0 && now_ns >= one->expires_ns)
            one->on_expired(one->arg);
    }
}

bool resumables_open(struct resumables **out, struct event_loop *loop, int seconds, struct err *err)
{
    struct resumables *all = calloc(1, sizeof *all);
    if (all == NULL)
        return err_no_memory(err, "the answers to be taken up");
    all->seconds = seconds;
    all->budget.max = MAX_BYTES;
    if (!event_timer_open(&all->sweep, loop, on_sweep, all, err)) {
        free(all);
        return false;
    }
    event_timer_start(all->sweep, SWEEP_MS, SWEEP_MS);
    *out = all;
    return true;
}

void resumables_expire(struct resumables *all)
{
    if (all == NULL)
        return;
    for (struct resumable *one = walk_first(all); one != NULL; one = walk_next(all))
        one->on_expired(one->arg);
}

void resumables_close(struct resumables **all_ptr)
{
    struct resumables *all = *all_ptr;
    if (all == NULL)
        return;
    resumables_expire(all);
    event_timer_close(&all->sweep);
    free(all);
    *all_ptr = NULL;
}

void resumables_set_seconds(struct resumables *all, int seconds)
{
    all->seconds = seconds;
}

struct followers_budget *resumables_budget(struct resumables *all)
{
    return &all->budget;
}

/* ---- one of them ---- */

static const char *sane(const char *header)
{
    return header == NULL || header[0] == '\0' || strlen(header) > RESUMABLE_MAX_KEY ? NULL
                                                                                     : header;
}

void resumable_ask_read(struct http_exchange *exchange, int owner, const char *conversation_id,
                        struct resumable_ask *out)
{
    const struct buf *body = http_exchange_body(exchange);
    const char *path = http_exchange_path(exchange);
    const char *count = http_exchange_header(exchange, "X-Stainless-Retry-Count");
    uint64_t hash = checksum_hash(CHECKSUM_HASH, path, strlen(path) + 1);
    *out = (struct resumable_ask){
        .owner = owner,
        .conversation_id = sane(conversation_id),
        .key = sane(http_exchange_header(exchange, "Idempotency-Key")),
        .has_retries = count != NULL,
        .is_retry = count != NULL && strtol(count, NULL, 10) > 0,
    };
    if (out->conversation_id != NULL)
        hash = checksum_hash(hash, conversation_id, strlen(conversation_id) + 1);
    out->hash = checksum_hash(hash, buf_text(body), body->len);
}

void resumables_add(struct resumables *all, struct resumable *one, const struct resumable_ask *ask,
                    bool is_whole)
{
    bool can_come_back = ask->conversation_id != NULL || ask->key != NULL ||
                         (is_whole && (ask->has_retries || ask->is_retry));
    if (all == NULL || all->seconds == 0 || !can_come_back)
        return;
    one->all = all;
    one->owner = ask->owner;
    one->hash = ask->hash;
    snprintf(one->conversation_id, sizeof one->conversation_id, "%s",
             ask->conversation_id == NULL ? "" : ask->conversation_id);
    snprintf(one->key, sizeof one->key, "%s", ask->key == NULL ? "" : ask->key);
    LIST_INSERT_HEAD(&all->list, one, place);
}

void resumables_remove(struct resumable *one)
{
    struct resumables *all = one->all;
    if (all == NULL)
        return;
    if (all->upcoming == one)
        all->upcoming = LIST_NEXT(one, place);
    LIST_REMOVE(one, place);
    one->all = NULL;
}

bool resumable_wait(struct resumable *one)
{
    if (one->all == NULL || one->all->seconds == 0)
        return false;
    one->expires_ns = clock_now_ns() + (int64_t)one->all->seconds * 1000 * 1000 * 1000;
    return true;
}

void resumable_take_up(struct resumable *one)
{
    if (one->is_over)
        resumable_wait(one); /* its client may break off once more */
    else
        one->expires_ns = 0;
}

/* ---- finding one ---- */

struct resumable *resumables_find_name(const struct resumables *all, int owner, const char *name,
                                       size_t len)
{
    struct resumable *one = all == NULL ? NULL : LIST_FIRST(&all->list);
    while (one != NULL &&
           (one->owner != owner || strlen(one->name) != len || strncmp(one->name, name, len) != 0))
        one = LIST_NEXT(one, place);
    return one;
}

/* People may well ask the same thing twice: only who cannot want two answers gets the first. */
static bool is_asked_again(const struct resumable *one, const struct resumable_ask *ask)
{
    if (one->owner != ask->owner || one->hash != ask->hash ||
        strcmp(one->key, ask->key == NULL ? "" : ask->key) != 0)
        return false;
    bool is_followed = one->expires_ns == 0;
    return ask->key != NULL || (ask->is_retry && !is_followed) ||
           (one->conversation_id[0] != '\0' && !one->is_over);
}

struct resumable *resumables_find_again(const struct resumables *all,
                                        const struct resumable_ask *ask)
{
    struct resumable *one = all == NULL ? NULL : LIST_FIRST(&all->list);
    while (one != NULL && !is_asked_again(one, ask))
        one = LIST_NEXT(one, place);
    return one;
}

void resumables_give_up(struct resumables *all, int owner, const char *conversation_id)
{
    if (all == NULL || conversation_id == NULL)
        return;
    for (struct resumable *one = walk_first(all); one != NULL; one = walk_next(all)) {
        if (one->owner == owner && one->expires_ns != 0 && !one->is_over &&
            strcmp(one->conversation_id, conversation_id) == 0)
            one->on_expired(one->arg);
    }
}

bool resumables_parse_event_id(const char *id, size_t *out_name_len, int64_t *out_number)
{
    const char *colon = strrchr(id, ':');
    if (colon == NULL || colon == id || !sse_stream_parse_number(colon + 1, out_number))
        return false;
    *out_name_len = (size_t)(colon - id);
    return true;
}
