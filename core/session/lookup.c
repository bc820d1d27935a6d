#include "core/session/lookup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_TOKENS = 512, /* room for so many to begin with; powers of two, as all that follow */
    MAX_TRIED = 32,     /* places that a search looks at, the latest ones */
    MAX_MATCH = 32,     /* a longer match says no more */
    SURE_MATCH = 16,    /* as long as its guesses come true nothing better is looked for */
};

/* The weight of one more token in what is known of its length of match. */
static const float NEWS = 1.0f / 16;

/* Before anything is known; learned soon. */
static const float first_chances[LOOKUP_N_LENGTHS] = {0.15f, 0.35f, 0.65f, 0.85f};

static int length_class(int n_matched)
{
    return n_matched < 3 ? 0 : n_matched < 5 ? 1 : n_matched < 9 ? 2 : 3;
}

void lookup_init(struct lookup *lookup, int n_useful)
{
    *lookup = (struct lookup){.limit = FIRST_TOKENS};
    while (lookup->limit < LOOKUP_MAX_TOKENS && lookup->limit / 2 < (size_t)n_useful)
        lookup->limit *= 2;
    memcpy(lookup->chances, first_chances, sizeof first_chances);
}

void lookup_done(struct lookup *lookup)
{
    free(lookup->ids);
    lookup->ids = NULL;
    lookup->n = lookup->max = 0;
    lookup->n_matched = 0;
}

void lookup_clear(struct lookup *lookup)
{
    lookup_done(lookup);
    memcpy(lookup->chances, first_chances, sizeof first_chances);
}

/* ---- the index ---- */

/* Multiplicative hashing (Knuth, The Art of Computer Programming 3, 6.4). */
static uint32_t *latest_of_pair(const struct lookup *lookup, size_t last)
{
    uint64_t pair = (uint64_t)(uint32_t)lookup->ids[last - 1] << 32 | (uint32_t)lookup->ids[last];
    uint64_t hash = pair * 0x9E3779B97F4A7C15u;
    return &lookup->latest[(hash >> 40) & (lookup->max - 1)];
}

static void index_token(struct lookup *lookup, size_t i)
{
    lookup->before[i] = 0;
    if (i == 0)
        return;
    uint32_t *latest = latest_of_pair(lookup, i);
    lookup->before[i] = *latest;
    *latest = (uint32_t)i + 1;
}

static void index_all(struct lookup *lookup)
{
    memset(lookup->latest, 0, lookup->max * sizeof *lookup->latest);
    for (size_t i = 0; i < lookup->n; i++)
        index_token(lookup, i);
}

static bool grow(struct lookup *lookup)
{
    size_t max = lookup->max == 0 ? FIRST_TOKENS : 2 * lookup->max;
    int32_t *ids = max <= lookup->limit ? malloc(3 * max * sizeof *ids) : NULL;
    if (ids == NULL)
        return false;
    if (lookup->n > 0)
        memcpy(ids, lookup->ids, lookup->n * sizeof *ids);
    free(lookup->ids);
    lookup->ids = ids;
    lookup->before = (uint32_t *)(ids + max);
    lookup->latest = lookup->before + max;
    lookup->max = max;
    index_all(lookup);
    return true;
}

static void drop_older_half(struct lookup *lookup)
{
    size_t n_dropped = lookup->n / 2;
    lookup->n -= n_dropped;
    memmove(lookup->ids, lookup->ids + n_dropped, lookup->n * sizeof *lookup->ids);
    if (lookup->next < n_dropped)
        lookup->n_matched = 0;
    lookup->next -= lookup->n_matched > 0 ? n_dropped : 0;
    index_all(lookup);
}

/* False, for want of memory, only while there is no text. */
static bool append(struct lookup *lookup, int32_t id)
{
    if (lookup->n == lookup->max && !grow(lookup)) {
        if (lookup->n == 0)
            return false;
        drop_older_half(lookup);
    }
    lookup->ids[lookup->n] = id;
    index_token(lookup, lookup->n++);
    return true;
}

void lookup_read(struct lookup *lookup, const int32_t *ids, size_t n)
{
    lookup->n_matched = 0;
    for (size_t i = 0; i < n; i++)
        append(lookup, ids[i]);
}

/* ---- guesses ---- */

/* How many tokens up to `last` are the last ones of the text. */
static int count_same(const struct lookup *lookup, size_t last)
{
    int n = 0;
    while (n < MAX_MATCH && (size_t)n <= last &&
           lookup->ids[last - (size_t)n] == lookup->ids[lookup->n - 1 - (size_t)n])
        n++;
    return n;
}

/* The longest match, of those the latest; what is guessed already if it is as long. */
static void search(struct lookup *lookup)
{
    uint32_t place = lookup->before[lookup->n - 1];
    for (int i = 0; i < MAX_TRIED && place != 0; i++, place = lookup->before[place - 1]) {
        int n_same = count_same(lookup, place - 1);
        if (n_same >= LOOKUP_MIN_MATCH && n_same > lookup->n_matched) {
            lookup->n_matched = n_same;
            lookup->next = place;
        }
    }
}

static bool compare_guess(struct lookup *lookup, int32_t id)
{
    if (lookup->n_matched == 0)
        return false;
    float *chance = &lookup->chances[length_class(lookup->n_matched)];
    bool is_right = lookup->ids[lookup->next] == id;
    *chance += NEWS * ((is_right ? 1.0f : 0.0f) - *chance);
    return is_right;
}

void lookup_say(struct lookup *lookup, int32_t id)
{
    if (!compare_guess(lookup, id))
        lookup->n_matched = 0;
    if (!append(lookup, id))
        return;
    if (lookup->n_matched > 0) {
        lookup->next++;
        lookup->n_matched += lookup->n_matched < MAX_MATCH;
    }
    if (lookup->n_matched < SURE_MATCH)
        search(lookup);
}

int lookup_guess(const struct lookup *lookup, int32_t *out, int max)
{
    if (lookup->n_matched == 0)
        return 0;
    for (int i = 0; i < max; i++) {
        size_t at = lookup->next + (size_t)i; /* at the text's end it goes on as guessed */
        out[i] = at < lookup->n ? lookup->ids[at] : out[at - lookup->n];
    }
    return max;
}

float lookup_chance(const struct lookup *lookup, int i)
{
    return lookup->chances[length_class(lookup->n_matched + i)];
}
