/* fairness.h - how much each owner has had of the model.
 *
 * Virtual token counters (Sheng et al. 2024, arXiv 2401.00588): every token that is read counts
 * one, every token that is said two, and whoever has had least comes next. An owner who comes back
 * after a silence starts no lower than those who are there: silence is not saved up. Owner: the
 * batcher. Thread: engine. */
#ifndef CORE_ENGINE_FAIRNESS_H
#define CORE_ENGINE_FAIRNESS_H

#include <stdint.h>

struct fairness {
    struct fairness_share *shares;
    int n, max;
};

enum { FAIRNESS_READ = 1, FAIRNESS_SAID = 2 };

void fairness_init(struct fairness *fairness);
void fairness_done(struct fairness *fairness);

/* One more turn of this owner is there, waiting or running. Returns the number of its share, for
 * the calls below; without memory for a share of its own it is counted with another owner's. */
int fairness_join(struct fairness *fairness, int owner);
void fairness_leave(struct fairness *fairness, int share);

void fairness_charge(struct fairness *fairness, int share, int64_t n);
int64_t fairness_used(const struct fairness *fairness, int share);

#endif
