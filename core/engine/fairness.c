#include "core/engine/fairness.h"

#include <stdbool.h>
#include <stdlib.h>

struct fairness_share {
    int owner;
    int n_turns;
    int64_t used;
};

void fairness_init(struct fairness *fairness)
{
    *fairness = (struct fairness){0};
}

void fairness_done(struct fairness *fairness)
{
    free(fairness->shares);
    fairness_init(fairness);
}

static bool reserve(struct fairness *fairness)
{
    if (fairness->n < fairness->max)
        return true;
    int max = fairness->max == 0 ? 8 : fairness->max * 2;
    struct fairness_share *shares = reallocarray(fairness->shares, (size_t)max, sizeof *shares);
    if (shares == NULL)
        return false;
    fairness->shares = shares;
    fairness->max = max;
    return true;
}

static int find_or_add(struct fairness *fairness, int owner)
{
    for (int i = 0; i < fairness->n; i++) {
        if (fairness->shares[i].owner == owner)
            return i;
    }
    if (!reserve(fairness))
        return fairness->n == 0 ? -1 : 0;
    fairness->shares[fairness->n] = (struct fairness_share){.owner = owner};
    return fairness->n++;
}

/* The least of those who are there; INT64_MAX when nobody is. */
static int64_t least_used(const struct fairness *fairness)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < fairness->n; i++) {
        const struct fairness_share *share = &fairness->shares[i];
        if (share->n_turns > 0 && share->used < least)
            least = share->used;
    }
    return least;
}

int fairness_join(struct fairness *fairness, int owner)
{
    int64_t least = least_used(fairness);
    int i = find_or_add(fairness, owner);
    if (i < 0)
        return i;
    struct fairness_share *share = &fairness->shares[i];
    if (share->n_turns++ == 0 && least != INT64_MAX && share->used < least)
        share->used = least;
    return i;
}

void fairness_leave(struct fairness *fairness, int share)
{
    if (share >= 0)
        fairness->shares[share].n_turns--;
}

void fairness_charge(struct fairness *fairness, int share, int64_t n)
{
    if (share >= 0)
        fairness->shares[share].used += n;
}

int64_t fairness_used(const struct fairness *fairness, int share)
{
    return share < 0 ? 0 : fairness->shares[share].used;
}
