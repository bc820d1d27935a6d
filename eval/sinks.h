/* sinks.h - how much of its attention a model spends on the first rows. Thread: main. */
#ifndef EVAL_SINKS_H
#define EVAL_SINKS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct subject;

/* Mean shares, over heads and the queries that were watched. */
struct sinks_mass {
    int n_layers;
    int n_first;
    double *first; /* [n_layers, n_first] what rows 0 .. n_first - 1 got */
    double *head;  /* [n_layers, n_heads] what all these got, by head */
    double n_seen; /* rows that a query saw, on average */
};

/* Feeds ids[0 .. n-1] densely and watches the second half of the queries. */
bool sinks_measure(struct subject *subject, const int32_t *ids, int n, int n_first,
                   struct sinks_mass *out, struct err *err);
void sinks_mass_done(struct sinks_mass *mass);

#endif
