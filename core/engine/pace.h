/* pace.h - how many prompt tokens a step may read, so that those who speak do not stall.
 *
 * A step's time is what speaking costs plus what reading costs. Both are measured: speaking in
 * steps that read nothing (one is inserted where they do not come by themselves), reading in the
 * others. While somebody speaks a step may take PACE_STRETCH of the time that speaking alone takes;
 * so readers always get the same share of the machine, whatever the model, and nobody's next token
 * is late by more. When nobody speaks, a step reads as much as fits.
 *
 * Pure: the caller has the clock. Owner: the batcher. Thread: engine. */
#ifndef CORE_ENGINE_PACE_H
#define CORE_ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PACE_STRETCH = 5, /* halves: a step takes up to 2.5 times as long as one that reads nothing */
    PACE_MIN_TOKENS = 8, /* to be read, however long that takes: fewer would cost as much */
    PACE_MEMORY = 5,     /* the median of so many steps is what speaking costs */
    PACE_RECHECK = 16,   /* steps that read, between two that do not */
};

struct pace {
    int64_t speak_ns[PACE_MEMORY]; /* of the last steps that read nothing */
    int n_measured;                /* of these, set */
    int n_speakers;                /* in the last of them */
    int n_since;                   /* steps since then that read and spoke */
    double read_ns;                /* for one prompt token; 0: not known */
};

void pace_init(struct pace *pace);

/* The prompt tokens that a step may read beside `n_speakers` turns that speak: 0 .. max. */
int pace_budget(const struct pace *pace, int n_speakers, int max);

/* What a step took, with what was in it. */
void pace_learn(struct pace *pace, int n_speakers, int n_read, int64_t step_ns);

#endif
