#include "server/drain.h"

#include <stdlib.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "server/event_loop.h"
#include "server/generations.h"
#include "server/http_server.h"
#include "server/options.h"
#include "server/routes.h"
#include "server/sd_notify.h"

enum {
    TICK_MS = 20,
    /* Who was let in just before may not have said yet, or not to its end, what for, and would be
     * cut off or refused; but a browser may open a connection and never use it. */
    ARRIVING_TIMEOUT_MS = 500,
    FLUSH_TIMEOUT_MS = 5000, /* for the last bytes of the last replies */
};

struct drain {
    struct drain_parts parts;
    struct event_timer *delay;    /* until nothing new is taken */
    struct event_timer *arriving; /* polls for the requests of those that were let in */
    struct event_timer *patience; /* with running answers */
    struct event_timer *flush;    /* polls for the last replies to be out */
    int n_arriving_ticks;
    int n_flush_ticks;
    bool has_no_patience; /* any more */
    bool is_over;         /* the loop has stopped; what is borrowed may be gone */
};

static void stop_answers(struct drain *drain)
{
    drain->has_no_patience = true;
    generations_stop(drain->parts.generations);
}

/* All answers are said; what is left are bytes on their way to slow clients, and requests that were
 * being read and begin to be answered now: those are waited for, or stopped, as all answers are. */
static void on_flush_tick(void *arg)
{
    struct drain *drain = arg;
    if (drain->has_no_patience)
        stop_answers(drain);
    if (generations_count(drain->parts.generations) > 0)
        return;
    bool is_late = ++drain->n_flush_ticks > FLUSH_TIMEOUT_MS / TICK_MS;
    if (http_server_n_open(drain->parts.http) == 0 || is_late)
        event_loop_stop(drain->parts.loop);
}

static void on_all_said(void *arg)
{
    struct drain *drain = arg;
    if (!drain->is_over)
        event_timer_start(drain->flush, 0, TICK_MS);
}

static void on_patience_end(void *arg)
{
    stop_answers(arg);
}

static void refuse_requests(struct drain *drain)
{
    const struct drain_parts *parts = &drain->parts;
    if (parts->routes->is_draining)
        return;
    parts->routes->is_draining = true;
    http_server_close_idle(parts->http);
    log_info("stopping: %d answers may take up to %d s to end",
             generations_count(parts->generations), parts->options->drain_seconds);
    event_timer_start(drain->patience, parts->options->drain_seconds * 1000, 0);
    generations_on_empty(parts->generations, on_all_said, drain);
    if (generations_count(parts->generations) == 0)
        on_all_said(drain);
}

static void on_arriving_tick(void *arg)
{
    struct drain *drain = arg;
    bool is_late = ++drain->n_arriving_ticks > ARRIVING_TIMEOUT_MS / TICK_MS;
    if (http_server_n_arriving(drain->parts.http) > 0 && !is_late)
        event_timer_start(drain->arriving, TICK_MS, 0);
    else
        refuse_requests(drain);
}

static void take_nothing_new(void *arg)
{
    struct drain *drain = arg;
    http_server_quiesce(drain->parts.http);
    on_arriving_tick(drain);
}

void drain_signal(void *arg)
{
    struct drain *drain = arg;
    const struct drain_parts *parts = &drain->parts;
    if (drain->is_over)
        return;
    if (parts->routes->is_leaving) {
        log_info("stopping at once");
        http_server_quiesce(parts->http);
        refuse_requests(drain);
        stop_answers(drain);
        return;
    }
    parts->routes->is_leaving = true;
    sd_notify_send("STOPPING=1\nSTATUS=Stopping");
    if (parts->options->drain_delay == 0) {
        take_nothing_new(drain);
        return;
    }
    log_info("stopping in %d s; until then /readyz says so", parts->options->drain_delay);
    event_timer_start(drain->delay, parts->options->drain_delay * 1000, 0);
}

bool drain_open(struct drain **out, const struct drain_parts *parts, struct err *err)
{
    struct drain *drain = calloc(1, sizeof *drain);
    if (drain == NULL)
        return err_no_memory(err, "the timers");
    drain->parts = *parts;
    if (!event_timer_open(&drain->delay, parts->loop, take_nothing_new, drain, err) ||
        !event_timer_open(&drain->arriving, parts->loop, on_arriving_tick, drain, err) ||
        !event_timer_open(&drain->patience, parts->loop, on_patience_end, drain, err) ||
        !event_timer_open(&drain->flush, parts->loop, on_flush_tick, drain, err)) {
        drain_close(&drain);
        return false;
    }
    *out = drain;
    return true;
}

void drain_end(struct drain *drain)
{
    drain->is_over = true;
    event_timer_close(&drain->delay);
    event_timer_close(&drain->arriving);
    event_timer_close(&drain->patience);
    event_timer_close(&drain->flush);
}

void drain_close(struct drain **drain)
{
    if (*drain != NULL) {
        drain_end(*drain);
        free(*drain);
    }
    *drain = NULL;
}
