/* drafting.h - how many drafts a step takes along: tokens that are guessed to be said next.
 *
 * A step of few tokens takes the time of reading the weights; some tokens more cost it little, and
 * a draft that turns out right saves a step. What steps of so many tokens take is measured; how
 * likely drafts are right is the sessions' to say. Those are taken that make the most tokens for
 * the time, and none where that is hardly more than without. Pure: the caller has the clock. Owner:
 * the batch. Thread: engine. */
#ifndef CORE_ENGINE_DRAFTING_H
#define CORE_ENGINE_DRAFTING_H

#include <stdint.h>

#include "core/session/session.h"

enum {
    DRAFTING_MAX = SESSION_MAX_DRAFTS,
    DRAFTING_MEMORY = 5,   /* the median of so many steps is what their size costs ... */
    DRAFTING_TRUST = 3,    /* ... if there were as many as this ... */
    DRAFTING_FORGET = 256, /* ... and the last one no more than so many steps ago */
};

struct drafting {
    int max; /* a step with drafts has no more than max + 1 tokens */
    uint64_t n_steps;
    struct drafting_size {
        int64_t ns[DRAFTING_MEMORY]; /* the last ones, newest first */
        int n;                       /* of these, set */
        uint64_t step;               /* the last one's number */
    } sizes[DRAFTING_MAX + 2];       /* by the tokens of a step */
};

/* One who speaks, with the drafts that could be taken. */
struct drafting_turn {
    float chances[DRAFTING_MAX]; /* [n] of each to be right if those before it are */
    int n;
    int n_taken; /* out */
};

/* At most `max` drafts in a step, 0 .. DRAFTING_MAX. */
void drafting_init(struct drafting *drafting, int max);

/* For a step in which these turns feed a token each, and nobody else does. */
void drafting_choose(const struct drafting *drafting, struct drafting_turn *turns, int n_turns);

/* What a step took in which those who speak fed so many tokens, and nobody else any. */
void drafting_learn(struct drafting *drafting, int n_tokens, int64_t step_ns);

#endif
