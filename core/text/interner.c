#include "core/text/interner.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 1 << 28 };

void interner_init(struct interner *interner)
{
    *interner = (struct interner){0};
}

void interner_done(struct interner *interner)
{
    free(interner->words);
    free(interner->begins);
    free(interner->table);
    interner_init(interner);
}

void interner_clear(struct interner *interner)
{
    interner->n = 0;
    interner->n_words = 0;
    if (interner->n_slots > 0)
        memset(interner->table, 0, interner->n_slots * sizeof *interner->table);
}

size_t interner_bytes(const struct interner *interner)
{
    return interner->max_words * sizeof *interner->words +
           interner->max * sizeof *interner->begins + interner->n_slots * sizeof *interner->table;
}

static uint32_t hash_of(const uint64_t *words, uint32_t n)
{
    uint64_t hash = n;
    for (uint32_t i = 0; i < n; i++) {
        hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32);
}

/* The slot where the list is, or where it would go. */
static uint32_t find_slot(const struct interner *interner, const uint64_t *words, uint32_t n)
{
    uint32_t slot = hash_of(words, n) & (interner->n_slots - 1);
    for (; interner->table[slot] != 0; slot = (slot + 1) & (interner->n_slots - 1)) {
        uint32_t n_known;
        const uint64_t *known = interner_words(interner, interner->table[slot] - 1, &n_known);
        if (n_known == n && memcmp(known, words, n * sizeof *words) == 0)
            break;
    }
    return slot;
}

static bool grow_table(struct interner *interner)
{
    uint32_t n_slots = interner->n_slots == 0 ? 64 : interner->n_slots * 2;
    uint32_t *table = calloc(n_slots, sizeof *table);
    if (table == NULL)
        return false;
    free(interner->table);
    interner->table = table;
    interner->n_slots = n_slots;
    for (uint32_t list = 0; list < interner->n; list++) {
        uint32_t n;
        const uint64_t *words = interner_words(interner, list, &n);
        interner->table[find_slot(interner, words, n)] = list + 1;
    }
    return true;
}

static bool make_room(struct interner *interner, uint32_t n)
{
    if (n > MAX_WORDS - interner->n_words)
        return false;
    if (interner->n_words + n > interner->max_words || interner->words == NULL) {
        uint32_t max = (interner->n_words + n + 64) * 2;
        uint64_t *words = realloc(interner->words, max * sizeof *words);
        if (words == NULL)
            return false;
        interner->words = words;
        interner->max_words = max;
    }
    if (interner->n + 2 > interner->max) {
        uint32_t max = (interner->n + 32) * 2;
        uint32_t *begins = realloc(interner->begins, max * sizeof *begins);
        if (begins == NULL)
            return false;
        interner->begins = begins;
        interner->max = max;
    }
    return interner->n * 2 < interner->n_slots || grow_table(interner);
}

bool interner_add(struct interner *interner, const uint64_t *words, uint32_t n, uint32_t *out,
                  bool *out_is_new)
{
    if (!make_room(interner, n))
        return false;
    uint32_t slot = find_slot(interner, words, n);
    bool is_new = interner->table[slot] == 0;
    if (out_is_new != NULL)
        *out_is_new = is_new;
    if (!is_new) {
        *out = interner->table[slot] - 1;
        return true;
    }
    if (n > 0)
        memcpy(interner->words + interner->n_words, words, n * sizeof *words);
    interner->begins[interner->n] = interner->n_words;
    interner->n_words += n;
    *out = interner->n++;
    interner->begins[interner->n] = interner->n_words;
    interner->table[slot] = *out + 1;
    return true;
}
