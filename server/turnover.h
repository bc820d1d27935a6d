/* turnover.h - how fast answers end, and so when there will be room for another.
 *
 * Pure: the caller has the clock. Owner: struct generations (embedded). Thread: loop. */
#ifndef SERVER_TURNOVER_H
#define SERVER_TURNOVER_H

#include <stdint.h>

enum {
    TURNOVER_MEMORY = 64,   /* the last ends that are remembered */
    TURNOVER_MIN_S = 1,     /* what a client is told, at least ... */
    TURNOVER_MAX_S = 60,    /* ... and at most: clients do not believe more */
    TURNOVER_UNKNOWN_S = 5, /* when nothing has ended yet */
};

struct turnover {
    int64_t ends_ns[TURNOVER_MEMORY]; /* a ring */
    uint64_t n;                       /* ends, ever */
};

/* An answer has ended. `now_ns` never falls. */
void turnover_note(struct turnover *turnover, int64_t now_ns);

/* Seconds until `n_ahead` more answers have ended, as fast as lately; silence counts. */
int turnover_wait_s(const struct turnover *turnover, int64_t now_ns, double n_ahead);

#endif
