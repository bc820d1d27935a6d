#include "core/engine/scheduler.h"

static int grant(struct scheduler_turn *turn, int n)
{
    int rest = turn->n_pending - turn->n_granted;
    if (n > rest)
        n = rest;
    turn->n_granted += n;
    return n;
}

static bool wants_more(const struct scheduler_turn *turn)
{
    return !turn->is_speaking && turn->n_granted < turn->n_pending;
}

void scheduler_plan(struct scheduler_turn *turns, int n_turns, int prompt_budget, uint64_t step)
{
    for (int i = 0; i < n_turns; i++)
        turns[i].n_granted = turns[i].is_speaking ? 1 : 0;
    if (n_turns == 0)
        return;

    /* A turn that needs less than its share leaves the rest to the next round. Each round either
     * spends the budget or satisfies a turn, so there are at most n_turns + 1 of them. */
    int first = (int)(step % (uint64_t)n_turns);
    int left = prompt_budget;
    while (left > 0) {
        int n_readers = 0;
        for (int i = 0; i < n_turns; i++)
            n_readers += wants_more(&turns[i]);
        if (n_readers == 0)
            return;

        int share = left / n_readers > 0 ? left / n_readers : 1;
        for (int i = 0; i < n_turns && left > 0; i++) {
            struct scheduler_turn *turn = &turns[(first + i) % n_turns];
            if (wants_more(turn))
                left -= grant(turn, share < left ? share : left);
        }
    }
}
