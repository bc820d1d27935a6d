#include "server/generations.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/engine/engine.h"
#include "server/api_error.h"
#include "server/event_loop.h"
#include "server/generation_state.h"
#include "server/turnover.h"

enum {
    MAX_GENERATIONS = 65536, /* a place in the table is the low 16 bits of an id */
    TICK_MS = 1000,
};

struct generations {
    struct generations_options options;
    TAILQ_HEAD(generation_list, generation) list; /* in order of arrival */
    struct generation **table;                    /* [max] */
    int n;
    uint64_t n_started;
    struct turnover turnover;
    bool has_ended;              /* some generation has: others may go on */
    bool is_walking;             /* some function goes through the list ... */
    struct generation *upcoming; /* ... and comes to this one next */
    struct event_timer *tick;
    void (*on_empty)(void *arg);
    void *on_empty_arg;
};

const struct generations_options *generations_options_of(const struct generations *all)
{
    return &all->options;
}

/* ---- the table ---- */

static struct generation *find(const struct generations *all, uint64_t id)
{
    uint64_t slot = id & (MAX_GENERATIONS - 1);
    struct generation *one = slot < (uint64_t)all->options.max ? all->table[slot] : NULL;
    return one != NULL && one->id == id ? one : NULL;
}

void generations_add(struct generations *all, struct generation *one)
{
    int slot = 0;
    while (all->table[slot] != NULL)
        slot++;
    one->all = all;
    one->id = ++all->n_started << 16 | (uint64_t)slot;
    all->table[slot] = one;
    all->n++;
    TAILQ_INSERT_TAIL(&all->list, one, place);
}

void generations_remove(struct generation *one)
{
    struct generations *all = one->all;
    if (all->upcoming == one)
        all->upcoming = TAILQ_NEXT(one, place);
    TAILQ_REMOVE(&all->list, one, place);
    all->table[one->id & (MAX_GENERATIONS - 1)] = NULL;
    all->n--;
    all->has_ended = true;
}

static struct generation *walk_next(struct generations *all)
{
    struct generation *one = all->upcoming;
    if (one != NULL)
        all->upcoming = TAILQ_NEXT(one, place);
    return one;
}

/* Goes through all, though any may be freed on the way. One walk at a time. */
static struct generation *walk_first(struct generations *all)
{
    all->upcoming = TAILQ_FIRST(&all->list);
    return walk_next(all);
}

int generations_count(const struct generations *all)
{
    return all->n;
}

int generations_count_waiting(const struct generations *all)
{
    int n = 0;
    const struct generation *one;
    TAILQ_FOREACH(one, &all->list, place)
        n += one->state == GENERATION_AWAITS_CONVERSATION;
    return n;
}

/* ---- who may come in ---- */

void generations_limit_owners(struct generations *all, int max_per_owner)
{
    all->options.max_per_owner = max_per_owner;
}

/* One of its own must end, and these are n of all. */
static bool owner_may_have_another(const struct generations *all, int owner,
                                   struct api_error *error)
{
    int n = 0;
    const struct generation *one;
    TAILQ_FOREACH(one, &all->list, place)
        n += one->prompt.owner == owner;
    if (all->options.max_per_owner == 0 || n < all->options.max_per_owner)
        return true;
    api_error_set(error, 429, "rate_limit_exceeded", NULL,
                  "This key has %d answers in the making, as many as it may; wait for one to end.",
                  n);
    error->retry_after_s =
        turnover_wait_s(&all->turnover, clock_now_ns(), n == 0 ? 1 : (double)all->n / n);
    return false;
}

/* Who comes again when all that wait now have begun finds room, and need not wait long. */
void generations_refuse(const struct generations *all, struct api_error *error)
{
    struct engine_counters counters;
    engine_read_counters(all->options.engine, &counters);
    int n_ahead = 1 + counters.n_waiting + generations_count_waiting(all);
    api_error_set(error, 503, "server_busy", NULL,
                  "The server has as many requests as it can take, %d; try again later.", all->n);
    error->retry_after_s = turnover_wait_s(&all->turnover, clock_now_ns(), n_ahead);
}

bool generations_admit(const struct generations *all, int owner, struct api_error *error)
{
    if (!owner_may_have_another(all, owner, error))
        return false;
    if (all->n < all->options.max)
        return true;
    generations_refuse(all, error);
    return false;
}

void generations_note_end(struct generations *all)
{
    turnover_note(&all->turnover, clock_now_ns());
}

/* ---- going through all of them ---- */

void generations_settle(struct generations *all)
{
    if (!all->has_ended || all->is_walking)
        return;
    all->is_walking = true;
    while (all->has_ended) {
        all->has_ended = false;
        for (struct generation *one = walk_first(all); one != NULL; one = walk_next(all)) {
            if (one->state == GENERATION_AWAITS_CONVERSATION)
                generation_begin(one);
        }
    }
    all->is_walking = false;
    if (all->n == 0 && all->on_empty != NULL)
        all->on_empty(all->on_empty_arg);
}

void generations_on_event(void *all_arg, struct engine_event *event)
{
    struct generations *all = all_arg;
    struct generation *one = find(all, event->request);
    if (one != NULL)
        generation_on_event(one, event);
    engine_event_free(event);
    generations_settle(all);
}

static void on_tick(void *arg)
{
    struct generations *all = arg;
    all->is_walking = true;
    for (struct generation *one = walk_first(all); one != NULL; one = walk_next(all))
        generation_tick(one);
    all->is_walking = false;
    generations_settle(all);
}

void generations_on_empty(struct generations *all, void (*fn)(void *arg), void *arg)
{
    all->on_empty = fn;
    all->on_empty_arg = arg;
}

void generations_stop(struct generations *all)
{
    struct api_error error;
    api_error_set(&error, 503, "server_shutting_down", NULL, "The server is shutting down.");
    all->is_walking = true;
    for (struct generation *one = walk_first(all); one != NULL; one = walk_next(all))
        generation_stop(one, &error);
    all->is_walking = false;
    generations_settle(all);
}

/* ---- open and close ---- */

bool generations_open(struct generations **out, const struct generations_options *options,
                      struct err *err)
{
    struct generations *all = calloc(1, sizeof *all);
    if (all == NULL)
        return err_no_memory(err, "the requests");
    TAILQ_INIT(&all->list);
    all->options = *options;
    if (all->options.max > MAX_GENERATIONS)
        all->options.max = MAX_GENERATIONS;
    all->table = calloc((size_t)all->options.max, sizeof(struct generation *));
    if (all->table == NULL) {
        err_no_memory(err, "the requests");
        goto fail;
    }
    if (!event_timer_open(&all->tick, options->loop, on_tick, all, err))
        goto fail;
    event_timer_start(all->tick, TICK_MS, TICK_MS);
    *out = all;
    return true;

fail:
    generations_close(&all);
    return false;
}

void generations_close(struct generations **all)
{
    if (*all != NULL) {
        event_timer_close(&(*all)->tick);
        free((*all)->table);
        free(*all);
    }
    *all = NULL;
}
