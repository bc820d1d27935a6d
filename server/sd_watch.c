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
#include "server/stateful_api.h"
#include "server/store.h"

enum { STATUS_TICK_MS = 10000, MIN_TICK_MS = 10 };

/* What must get on while it has something to do. */
enum part { PART_ENGINE, PART_SAVER, PART_STORE, N_PARTS };
static const char *const PART_NAMES[] = {"the engine", "the thread that saves sessions",
                                         "the thread of the database"};

struct sd_watch {
    const struct engine *engine;
    const struct stateful_api *stateful;
    struct event_timer *tick;
    bool has_watchdog;
    uint64_t n_moves[N_PARTS]; /* at the last tick */
    char status[160];          /* as it was sent last */
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

/* False when a part has something to do, and has not moved since the last time. */
static bool moves(struct sd_watch *watch, enum part part, bool is_busy, uint64_t n_moves)
{
    bool has_moved = n_moves != watch->n_moves[part];
    watch->n_moves[part] = n_moves;
    if (is_busy && !has_moved)
        log_warning("%s has not moved for a while", PART_NAMES[part]);
    return has_moved || !is_busy;
}

/* That this runs shows that the loop does. */
static bool is_alive(struct sd_watch *watch, const struct engine_counters *engine)
{
    struct store_counters store;
    stateful_api_read_counters(watch->stateful, &store);
    bool is_speaking = engine->n_active > 0 || engine->n_waiting > 0;
    bool engine_moves = moves(watch, PART_ENGINE, is_speaking, engine->n_steps);
    bool saver_moves = moves(watch, PART_SAVER, engine->n_disk_jobs > 0, engine->n_disk_moves);
    bool store_moves = moves(watch, PART_STORE, store.n_pending > 0, store.n_done);
    return engine_moves && saver_moves && store_moves;
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
    bool alive = is_alive(watch, &counters);
    if (alive && watch->has_watchdog)
        sd_notify_send("WATCHDOG=1");
    send_status(watch, &counters);
}

bool sd_watch_open(struct sd_watch **out, struct event_loop *loop, const struct engine *engine,
                   const struct stateful_api *stateful, struct err *err)
{
    struct sd_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return err_no_memory(err, "the watchdog");
    watch->engine = engine;
    watch->stateful = stateful;
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
