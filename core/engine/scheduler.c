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

struct crowd {
    int n_readers; /* turns that want more */
    int n_owners;  /* of these */
};

static struct crowd count_readers(const struct scheduler_turn *turns, int n_turns)
{
    struct crowd crowd = {0};
    for (int i = 0; i < n_turns; i++) {
        if (!wants_more(&turns[i]))
            continue;
        bool is_first = true;
        for (int j = 0; j < i && is_first; j++)
            is_first = !wants_more(&turns[j]) || turns[j].share != turns[i].share;
        crowd.n_readers++;
        crowd.n_owners += is_first;
    }
    return crowd;
}

/* Readers of the same owner as turn i, itself included. */
static int count_siblings(const struct scheduler_turn *turns, int n_turns, int i)
{
    int n = 0;
    for (int j = 0; j < n_turns; j++)
        n += turns[j].share == turns[i].share && wants_more(&turns[j]);
    return n;
}

void scheduler_plan(struct scheduler_turn *turns, int n_turns, int prompt_budget, uint64_t step)
{
    for (int i = 0; i < n_turns; i++)
        turns[i].n_granted = turns[i].is_speaking ? turns[i].n_pending : 0;
    if (n_turns == 0)
        return;

    /* A turn that needs less than its share leaves the rest to the next round. Each round either
     * spends the budget or satisfies a turn, so there are at most n_turns + 1 of them. */
    int first = (int)(step % (uint64_t)n_turns);
    int left = prompt_budget;
    while (left > 0) {
        struct crowd crowd = count_readers(turns, n_turns);
        if (crowd.n_readers == 0)
            return;

        int of_round = left;
        for (int i = 0; i < n_turns && left > 0; i++) {
            int at = (first + i) % n_turns;
            if (!wants_more(&turns[at]))
                continue;
            int n_sharing = crowd.n_owners == 1
                                ? crowd.n_readers
                                : crowd.n_owners * count_siblings(turns, n_turns, at);
            int share = of_round / n_sharing > 0 ? of_round / n_sharing : 1;
            left -= grant(&turns[at], share < left ? share : left);
        }
    }
}
