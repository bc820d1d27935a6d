#include "core/text/candidates.h"

#include <math.h>
#include <stdbool.h>

enum { BLOCK = CANDIDATES_BLOCK };

static bool is_before(struct candidate a, struct candidate b)
{
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate t = *a;
    *a = *b;
    *b = t;
}

/* ---- selection ---- */

/* Moves what is before the pivot to the front; the pivot follows. Returns the pivot's place. Each
 * candidate is swapped, needed or not: a branch on it would be guessed wrong half of the time. */
static int partition(struct candidate *c, int low, int high, int pivot_at)
{
    struct candidate pivot = c[pivot_at];
    swap(&c[pivot_at], &c[high - 1]);
    int place = low;
    for (int i = low; i < high - 1; i++) {
        swap(&c[i], &c[place]);
        place += is_before(c[place], pivot);
    }
    swap(&c[place], &c[high - 1]);
    return place;
}

/* Quickselect (Hoare 1961) for the shortest run of best candidates whose size adds up to `need`.
 * The size of a candidate is its weight, or 1. */
static int select_best(struct candidate *c, int n, double need, bool by_weight)
{
    int low = 0;
    int high = n;
    uint32_t random = 0x2545F491u; /* pivots only: the answer does not depend on them */
    while (low < high) {
        random = random * 1664525u + 1013904223u;
        int pivot_at = low + (int)((uint64_t)random * (uint32_t)(high - low) >> 32);
        int place = partition(c, low, high, pivot_at);

        double above = 0.0;
        for (int i = low; i < place; i++)
            above += by_weight ? (double)c[i].weight : 1.0;
        double with_pivot = above + (by_weight ? (double)c[place].weight : 1.0);
        if (above >= need) {
            high = place;
        } else if (with_pivot >= need) {
            return place + 1;
        } else {
            need -= with_pivot;
            low = place + 1;
        }
    }
    return low;
}

void candidates_keep_count(struct candidate *c, int n, int k)
{
    select_best(c, n, k, false);
}

/* Drops candidates that together weigh no more than `spare`: each that weighs less than its share.
 */
static int drop_light(struct candidate *c, int n, double *spare)
{
    float share = (float)(*spare / n);
    double dropped = 0.0;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        struct candidate one = c[i];
        bool is_light = one.weight < share;
        c[kept] = one;
        kept += !is_light;
        dropped += is_light ? (double)one.weight : 0.0;
    }
    *spare -= dropped;
    return kept;
}

int candidates_keep_mass(struct candidate *c, int n, double need, double total)
{
    double spare = total - need;
    for (int n_before = 0; n > 0 && n != n_before;) { /* what was not used is shared again */
        n_before = n;
        n = drop_light(c, n, &spare);
    }
    return select_best(c, n, need, true);
}

/* ---- collection ---- */

/* Without a branch for each, and so eight at a time. */
static bool has_above(const float *logits, int n, float limit)
{
    int is_above = 0;
    for (int i = 0; i < n; i++)
        is_above |= logits[i] > limit;
    return is_above != 0;
}

int32_t candidates_best(const float *logits, int n)
{
    int32_t best = -1;
    float largest = -INFINITY;
    for (int begin = 0; begin < n; begin += BLOCK) {
        int end = n - begin < BLOCK ? n : begin + BLOCK;
        if (!has_above(logits + begin, end - begin, largest))
            continue;
        for (int i = begin; i < end; i++) {
            if (logits[i] > largest && logits[i] < INFINITY) {
                largest = logits[i];
                best = i;
            }
        }
    }
    return best;
}

/* Those of logits [begin, end) that are above the limit go behind the first n of c. */
static int add_above(struct candidate *c, int n, const float *logits, int begin, int end,
                     float limit)
{
    for (int i = begin; i < end; i++) {
        c[n] = (struct candidate){logits[i], i};
        n += logits[i] > limit && logits[i] < INFINITY;
    }
    return n;
}

static float smallest_weight(const struct candidate *c, int n)
{
    float smallest = INFINITY;
    for (int i = 0; i < n; i++)
        smallest = c[i].weight < smallest ? c[i].weight : smallest;
    return smallest;
}

int candidates_collect(struct candidate *c, const float *logits, int n, int k)
{
    float limit = -INFINITY; /* the worst of the k best so far: a later equal is behind it */
    int kept = 0;
    for (int begin = 0; begin < n; begin += BLOCK) {
        int end = n - begin < BLOCK ? n : begin + BLOCK;
        if (!has_above(logits + begin, end - begin, limit))
            continue;
        kept = add_above(c, kept, logits, begin, end, limit);
        if ((size_t)kept + BLOCK >= CANDIDATES_ROOM(k)) {
            candidates_keep_count(c, kept, k);
            kept = k;
            limit = smallest_weight(c, k);
        }
    }
    if (kept > k)
        candidates_keep_count(c, kept, k);
    return kept < k ? kept : k;
}
