/* interner.h - lists of 64-bit words, each kept once and named by a number.
 *
 * Numbers are given in order, from 0. Owner: whoever embeds it. Thread: the owner's. */
#ifndef CORE_TEXT_INTERNER_H
#define CORE_TEXT_INTERNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interner {
    uint64_t *words;  /* of all lists */
    uint32_t *begins; /* [n + 1] */
    uint32_t *table;  /* [n_slots] a list's number + 1; 0 where empty */
    uint32_t n, max;
    uint32_t n_words, max_words;
    uint32_t n_slots; /* a power of two, or 0 */
};

void interner_init(struct interner *interner);
void interner_done(struct interner *interner);
void interner_clear(struct interner *interner);

/* The number of the list; *out_is_new (may be NULL) says whether it was added now. False without
 * memory. `words` may not point into the interner. */
bool interner_add(struct interner *interner, const uint64_t *words, uint32_t n, uint32_t *out,
                  bool *out_is_new);

/* A list's words, [*out_n]; borrowed until something is added. */
static inline const uint64_t *interner_words(const struct interner *interner, uint32_t list,
                                             uint32_t *out_n)
{
    *out_n = interner->begins[list + 1] - interner->begins[list];
    return interner->words + interner->begins[list];
}

size_t interner_bytes(const struct interner *interner);

#endif
