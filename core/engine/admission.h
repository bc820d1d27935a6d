/* admission.h - turns that wait, which of them begins next, and what it begins with.
 *
 * Owners in the order of what they have had (fairness.h), the turns of one first come, first
 * served; but a turn whose prompt begins as one that is being read right now waits for that part,
 * and then copies it. Owner: the batcher. Thread: engine. */
#ifndef CORE_ENGINE_ADMISSION_H
#define CORE_ENGINE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

struct fairness;
struct residence;
struct session_entry;
struct turn;

struct admission {
    struct turn *first; /* oldest first */
    struct turn **last;
    int n_waiting;
};

void admission_init(struct admission *admission);

/* Takes `turn` over. */
void admission_add(struct admission *admission, struct turn *turn);

/* NULL ends the list; turns go on being the admission's. */
struct turn *admission_first(const struct admission *admission);

/* Where a turn begins. */
struct admission_start {
    struct session_entry *entry;  /* its session, claimed; NULL: it cannot begin, *err says why */
    struct session_entry *source; /* whose first `keep` tokens it begins with, held until the caller
                                     lets it go; NULL: its own */
    int64_t keep;
    int n_sinks;
    int64_t n_copied; /* first tokens of the prompt that these stand for: not to be fed */
    struct err err;
};

/* Gives up the next turn that can begin now, or never will; NULL when there is none. */
struct turn *admission_take(struct admission *admission, const struct fairness *fairness,
                            struct residence *residence, struct admission_start *out);

#endif
