/* series.h - repeated measurements of one thing. Owner: a command. Thread: main. */
#ifndef EVAL_SERIES_H
#define EVAL_SERIES_H

#include <stdbool.h>
#include <stddef.h>

struct err;

struct series {
    double *values;
    size_t n;
    size_t max;
};

bool series_init(struct series *series, size_t max, struct err *err);
void series_done(struct series *series);

/* Beyond max, values are dropped. */
void series_push(struct series *series, double value);
/* The value that a part (0 .. 1) of all do not exceed, between neighbours in proportion; NaN
 * without values. */
double series_quantile(const struct series *series, double part);
/* The same of values begin .. end - 1. */
double series_quantile_of(const struct series *series, size_t begin, size_t end, double part);

#endif
