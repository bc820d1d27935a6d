#include "core/engine/drafting.h"

#include <stdbool.h>
#include <string.h>

/* What one more token is taken to cost until it is measured, as a share of a step. */
static const double GUESSED_GROWTH = 0.1;
/* What a step with drafts must promise, beside one without: guesses of both are rough. */
static const double LEAST_GAIN = 1.02;
/* Where others speak as well, how much longer their next token may take. */
static const double MAX_STRETCH = 1.25;

void drafting_init(struct drafting *drafting, int max)
{
    *drafting = (struct drafting){.max = max};
}

/* ---- what a step costs ---- */

static int64_t median(const struct drafting_size *size)
{
    int64_t sorted[DRAFTING_MEMORY];
    for (int i = 0; i < size->n; i++) {
        int at = i;
        for (; at > 0 && sorted[at - 1] > size->ns[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = size->ns[i];
    }
    return sorted[size->n / 2];
}

static bool is_old(const struct drafting *drafting, int n_tokens)
{
    return drafting->n_steps - drafting->sizes[n_tokens].step > DRAFTING_FORGET;
}

static bool is_known(const struct drafting *drafting, int n_tokens)
{
    return drafting->sizes[n_tokens].n >= DRAFTING_TRUST && !is_old(drafting, n_tokens);
}

/* In any unit: what is known of other sizes tells of those that are not known. */
static double cost(const struct drafting *drafting, int n_tokens)
{
    const struct drafting_size *sizes = drafting->sizes;
    int less = n_tokens, more = n_tokens;
    while (less > 0 && !is_known(drafting, less))
        less--;
    while (more <= drafting->max + 1 && !is_known(drafting, more))
        more++;
    bool has_more = more <= drafting->max + 1;
    if (less == 0 && !has_more)
        return 1 + GUESSED_GROWTH * (n_tokens - 1);
    if (less == 0)
        return (double)median(&sizes[more]) / (1 + GUESSED_GROWTH * (more - n_tokens));
    if (!has_more)
        return (double)median(&sizes[less]) * (1 + GUESSED_GROWTH * (n_tokens - less));
    double share = more == less ? 0 : (double)(n_tokens - less) / (more - less);
    return (double)median(&sizes[less]) * (1 - share) + (double)median(&sizes[more]) * share;
}

void drafting_learn(struct drafting *drafting, int n_tokens, int64_t step_ns)
{
    drafting->n_steps++;
    if (n_tokens > drafting->max + 1)
        return;
    struct drafting_size *size = &drafting->sizes[n_tokens];
    if (is_old(drafting, n_tokens))
        size->n = 0;
    if (size->n < DRAFTING_MEMORY)
        size->n++;
    memmove(size->ns + 1, size->ns, (DRAFTING_MEMORY - 1) * sizeof *size->ns);
    size->ns[0] = step_ns;
    size->step = drafting->n_steps;
}

/* ---- what it is worth ---- */

/* The draft that is likeliest to be confirmed, of the next ones of all. */
struct candidate {
    struct drafting_turn *turn; /* NULL: none is left */
    double chance;
};

/* `reached[i]`: how likely all drafts of turn i that are picked are right. */
static struct candidate pick(struct drafting_turn *turns, const int *n_picked,
                             const double *reached, int n_turns)
{
    struct candidate best = {NULL, 0};
    for (int i = 0; i < n_turns; i++) {
        double chance =
            n_picked[i] < turns[i].n ? reached[i] * (double)turns[i].chances[n_picked[i]] : 0;
        if (chance > best.chance)
            best = (struct candidate){&turns[i], chance};
    }
    return best;
}

static void take(struct drafting_turn *turns, const int *n_picked, int n_turns)
{
    for (int i = 0; i < n_turns; i++)
        turns[i].n_taken = n_picked[i];
}

void drafting_choose(const struct drafting *drafting, struct drafting_turn *turns, int n_turns)
{
    int n_picked[DRAFTING_MAX + 1] = {0};
    double reached[DRAFTING_MAX + 1];
    if (n_turns == 0 || n_turns > drafting->max)
        return;
    take(turns, n_picked, n_turns);
    for (int i = 0; i < n_turns; i++)
        reached[i] = 1;

    /* Likely drafts first, and where to stop is the best of all places: some sizes of a step may
     * be dear, and larger ones worth it again. */
    double alone = cost(drafting, n_turns), said = n_turns;
    double best = LEAST_GAIN * said / alone;
    struct candidate next;
    for (int n = n_turns + 1; n <= drafting->max + 1; n++) {
        next = pick(turns, n_picked, reached, n_turns);
        double time = cost(drafting, n);
        if (next.turn == NULL || (n_turns > 1 && time > MAX_STRETCH * alone))
            return;
        reached[next.turn - turns] = next.chance;
        n_picked[next.turn - turns]++;
        said += next.chance;
        if (said / time <= best)
            continue;
        best = said / time;
        take(turns, n_picked, n_turns);
    }
}
