/* generation_meter.h - the watch that runs while an answer is made; its readings go to the metrics.
 *
 * Owner: the generation. Thread: loop. */
#ifndef SERVER_GENERATION_METER_H
#define SERVER_GENERATION_METER_H

#include <stdbool.h>
#include <stdint.h>

struct engine_usage;
struct metrics;

enum generation_outcome { /* in the order of enum engine_finish */
                          GENERATION_STOPPED,
                          GENERATION_REACHED_LENGTH,
                          GENERATION_CANCELLED,
                          GENERATION_FAILED,
                          GENERATION_N_OUTCOMES,
};

struct generation_meter {
    struct metrics *metrics;
    int64_t begun_ns;
    int64_t submitted_ns; /* to the engine; 0: not yet */
    int64_t text_ns;      /* the last text; 0: none yet */
    bool is_left;         /* before the first text: its end tells whether it was still waiting */
};

/* `metrics` is borrowed; NULL: nobody counts. */
void generation_meter_begin(struct generation_meter *meter, struct metrics *metrics);
void generation_meter_submitted(struct generation_meter *meter);
/* Text has come that stands for so many tokens. */
void generation_meter_text(struct generation_meter *meter, int n_tokens);
/* Its client has left. */
void generation_meter_left(struct generation_meter *meter);
/* `usage` is NULL when the engine gave none. */
void generation_meter_end(const struct generation_meter *meter, enum generation_outcome outcome,
                          const struct engine_usage *usage);

#endif
