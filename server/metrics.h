/* metrics.h - what the loop counts for /metrics: requests, generations, waits.
 *
 * What the engine counts is in engine.h. Owner: the daemon. Thread: loop. All functions but open
 * accept NULL for nobody counts. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/generation_meter.h"

struct buf;
struct engine_counters;
struct engine_info;
struct err;
struct metrics;
struct store_counters;

bool metrics_open(struct metrics **out, struct err *err);
void metrics_close(struct metrics **metrics);

/* A request is over. `endpoint` is of static storage, one of few: a route's path. */
void metrics_request(struct metrics *metrics, const char *endpoint, int status,
                     int64_t duration_ns);

/* ---- a generation ---- */

/* `wait_ns` since its request came. */
void metrics_first_token(struct metrics *metrics, int64_t wait_ns);
/* Some more tokens came together, `gap_ns` after the last ones. */
void metrics_more_tokens(struct metrics *metrics, int n_tokens, int64_t gap_ns);
/* Text went to its client's socket, `delay_ns` after the engine gave it away. */
void metrics_sent(struct metrics *metrics, int64_t delay_ns);
/* How its session was found ("append"), when that is known. */
void metrics_match(struct metrics *metrics, const char *match);

enum metrics_phase { METRICS_WAITING, METRICS_PROMPT, METRICS_ANSWER, METRICS_N_PHASES };
/* Its client left. */
void metrics_disconnect(struct metrics *metrics, enum metrics_phase phase);

/* It is over. */
void metrics_generation(struct metrics *metrics, enum generation_outcome outcome);
/* From its request to its first step in the engine. */
void metrics_queue_wait(struct metrics *metrics, int64_t wait_ns);

/* ---- all of it ---- */

/* What others know at the moment of asking. */
struct metrics_now {
    const struct engine_info *engine;
    const struct engine_counters *counters;
    const struct store_counters *store; /* NULL: there is none */
    int n_requests;                     /* with an unfinished reply */
    int n_connections;
    int n_generations;   /* accepted and not finished */
    int n_waiting;       /* of these, not yet in the engine */
    int n_conversations; /* remembered as text */
    bool is_draining;
    double started; /* Unix time */
};

/* Prometheus text format. */
void metrics_write(const struct metrics *metrics, const struct metrics_now *now, struct buf *out);

#endif
