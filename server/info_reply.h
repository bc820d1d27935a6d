/* info_reply.h - what the daemon says about itself: models, metrics. Pure. Thread: any. */
#ifndef SERVER_INFO_REPLY_H
#define SERVER_INFO_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/engine.h"

struct buf;

struct info_counts {
    int n_connections_open; /* requests with an unfinished reply */
    int n_turns;            /* of these, generations */
    int n_turns_waiting;    /* for a session to become free */
    int n_conversations;    /* remembered as text */
};

/* One model object, or a list with this one in it. */
void info_reply_model(const struct engine_info *info, int64_t created, struct buf *out);
void info_reply_models(const struct engine_info *info, int64_t created, struct buf *out);

/* Prometheus text format. */
void info_reply_metrics(const struct engine_counters *counters, const struct info_counts *counts,
                        struct buf *out);

#endif
