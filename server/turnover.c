#include "server/turnover.h"

void turnover_note(struct turnover *turnover, int64_t now_ns)
{
    turnover->ends_ns[turnover->n++ % TURNOVER_MEMORY] = now_ns;
}

int turnover_wait_s(const struct turnover *turnover, int64_t now_ns, double n_ahead)
{
    if (turnover->n < 2)
        return TURNOVER_UNKNOWN_S;
    /* So many ends have come since the oldest one that is remembered. */
    uint64_t oldest = turnover->n > TURNOVER_MEMORY ? turnover->n - TURNOVER_MEMORY : 0;
    double n_ends = (double)(turnover->n - oldest - 1);
    double seconds = (double)(now_ns - turnover->ends_ns[oldest % TURNOVER_MEMORY]) / 1e9;
    double wait_s = n_ahead * seconds / n_ends;
    if (wait_s >= TURNOVER_MAX_S)
        return TURNOVER_MAX_S;
    int whole_s = (int)wait_s + ((double)(int)wait_s < wait_s);
    return whole_s < TURNOVER_MIN_S ? TURNOVER_MIN_S : whole_s;
}
