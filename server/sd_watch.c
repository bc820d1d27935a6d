#include "server/sd_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/engine/engine.h"
#include "server/event_loop.h"
#include "server/sd_notify.h"

enum { STATUS_TICK_MS = 10000, MIN_TICK_MS = 10 };

struct sd_watch {
    const struct engine *engine;
    struct event_timer *tick;
    bool has_watchdog;
    uint64_t n_steps; /* of the engine, at the last tick */
    char status[160]; /* as it was sent last */
};

/* Time between two signs of life, 0 when systemd wants none (sd_watchdog_enabled(3)). */
static int watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != getpid()))
        return 0;
    long long ms = strtoll(usec, NULL, 10) / 1000;
    return ms <= 0 ? 0 : ms > 3600 * 1000 ? 3600 * 1000 : (int)ms;
}

/* That this runs shows that the loop does. The engine works when it has made a step since the last
 * time, and when it has nothing to do. */
static bool is_alive(struct sd_watch *watch, const struct engine_counters *counters)
{
    bool is_busy = counters->n_active > 0 || counters->n_waiting > 0;
    bool has_moved = counters->n_steps != watch->n_steps;
    watch->n_steps = counters->n_steps;
    return has_moved || !is_busy;
}

static void send_status(struct sd_watch *watch, const struct engine_counters *counters)
{
    char status[sizeof watch->status];
    snprintf(status, sizeof status, "STATUS=Serving %.64s: %d answers, %d waiting, %d sessions",
             engine_info(watch->engine)->model_name, counters->n_active, counters->n_waiting,
             counters->n_sessions);
    if (strcmp(status, watch->status) == 0)
        return;
    memcpy(watch->status, status, sizeof status);
    sd_notify_send(status);
}

static void on_tick(void *arg)
{
    struct sd_watch *watch = arg;
    struct engine_counters counters;
    engine_read_counters(watch->engine, &counters);
    if (!is_alive(watch, &counters))
        log_warning("the engine has not moved for a while");
    else if (watch->has_watchdog)
        sd_notify_send("WATCHDOG=1");
    send_status(watch, &counters);
}

bool sd_watch_open(struct sd_watch **out, struct event_loop *loop, const struct engine *engine,
                   struct err *err)
{
    struct sd_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return err_no_memory(err, "the watchdog");
    watch->engine = engine;
    if (!event_timer_open(&watch->tick, loop, on_tick, watch, err)) {
        free(watch);
        return false;
    }
    int period_ms = watchdog_ms() / 2;
    watch->has_watchdog = period_ms > 0;
    if (watch->has_watchdog || getenv("NOTIFY_SOCKET") != NULL) {
        int tick_ms = watch->has_watchdog ? period_ms : STATUS_TICK_MS;
        event_timer_start(watch->tick, 0, tick_ms < MIN_TICK_MS ? MIN_TICK_MS : tick_ms);
    }
    *out = watch;
    return true;
}

void sd_watch_close(struct sd_watch **watch)
{
    if (*watch != NULL) {
        event_timer_close(&(*watch)->tick);
        free(*watch);
    }
    *watch = NULL;
}
