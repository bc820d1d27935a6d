/* scheduler.h - which tokens make the next step.
 *
 * Everyone who speaks gets one token, and its drafts; what is left of the step's budget goes to
 * prompts, in equal shares for owners and then for their turns, which rotate, so a long prompt
 * delays the others' next token by one chunk at most and a short prompt is not stuck behind a long
 * one. Pure: no threads, no I/O, no clock. */
#ifndef CORE_ENGINE_SCHEDULER_H
#define CORE_ENGINE_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

struct scheduler_turn {
    int n_pending;    /* tokens that wait to be fed, >= 1 */
    bool is_speaking; /* its pending tokens are a generated one and drafts that are to follow */
    int n_granted;    /* out: tokens to feed in this step, 0 .. n_pending */
    int share;        /* turns of one owner have the same */
};

/* Grants tokens. At most `prompt_budget` prompt tokens over all turns, and at most that many for
 * one; every speaking turn gets its tokens. `step` counts steps and drives the rotation. */
void scheduler_plan(struct scheduler_turn *turns, int n_turns, int prompt_budget, uint64_t step);

#endif
