/* grammar_words.h - lists of pairs of numbers, each pair one word: what a state of a grammar's
 * automaton is made of. Inside core/text/grammar_*.c only. Owner: whoever embeds one. */
#ifndef CORE_TEXT_GRAMMAR_WORDS_H
#define CORE_TEXT_GRAMMAR_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: empty. */
struct grammar_words {
    uint64_t *items; /* [n] */
    uint32_t n, max;
};

static inline uint64_t grammar_word(uint32_t high, uint32_t low)
{
    return (uint64_t)high << 32 | low;
}

static inline uint32_t grammar_word_high(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t grammar_word_low(uint64_t word)
{
    return (uint32_t)word;
}

/* False without memory, for twice as many. */
bool grammar_words_grow(struct grammar_words *words);

static inline bool grammar_words_push(struct grammar_words *words, uint64_t word)
{
    if (words->n == words->max && !grammar_words_grow(words))
        return false;
    words->items[words->n++] = word;
    return true;
}

/* In ascending order, each once. */
void grammar_words_sort_unique(struct grammar_words *words);

void grammar_words_done(struct grammar_words *words);

#endif
