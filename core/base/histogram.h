/* histogram.h - how often a measurement fell where: counts between fixed bounds, and the sum.
 *
 * Plain data: copied by assignment, zeroed but for its bounds when new. Thread: the owner's. */
#ifndef CORE_BASE_HISTOGRAM_H
#define CORE_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_MAX_BOUNDS = 16 };

struct histogram {
    const double *bounds; /* [n_bounds] ascending; of static storage */
    int n_bounds;
    uint64_t counts[HISTOGRAM_MAX_BOUNDS + 1]; /* [i]: value <= bounds[i]; the last: above all */
    double sum;
};

/* `bounds` holds at most HISTOGRAM_MAX_BOUNDS; more are left out. */
void histogram_init(struct histogram *histogram, const double *bounds, int n_bounds);

/* `n` measurements of the same value. */
void histogram_add(struct histogram *histogram, double value, uint64_t n);

uint64_t histogram_count(const struct histogram *histogram);

#endif
