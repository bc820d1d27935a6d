/* grammar_word_set.h - which pairs were met, forgotten all at once. Inside core/text/grammar_*.c
 * only. Owner: whoever embeds one. */
#ifndef CORE_TEXT_GRAMMAR_WORD_SET_H
#define CORE_TEXT_GRAMMAR_WORD_SET_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: empty. */
struct grammar_word_set {
    uint64_t *words;  /* [n_slots] */
    uint32_t *rounds; /* [n_slots] the round in which it came here; of another one: empty */
    uint32_t n_slots; /* a power of two, or 0 */
    uint32_t n, round;
};

/* False without memory. */
bool grammar_word_set_add(struct grammar_word_set *set, uint64_t word, bool *out_is_new);
void grammar_word_set_clear(struct grammar_word_set *set);
void grammar_word_set_done(struct grammar_word_set *set);

#endif
