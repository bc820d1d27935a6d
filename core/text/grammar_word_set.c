#include "core/text/grammar_word_set.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_SLOTS = 256 };

/* Where the word is, or the empty slot where it would be. */
static uint32_t find_slot(const struct grammar_word_set *set, uint64_t word)
{
    uint32_t slot = (uint32_t)(word * 0x9E3779B97F4A7C15u >> 32) & (set->n_slots - 1);
    while (set->rounds[slot] == set->round && set->words[slot] != word)
        slot = (slot + 1) & (set->n_slots - 1);
    return slot;
}

static bool grow(struct grammar_word_set *set)
{
    struct grammar_word_set larger = {
        .n_slots = set->n_slots == 0 ? MIN_SLOTS : set->n_slots * 2, .n = set->n, .round = 1};
    larger.words = malloc(larger.n_slots * sizeof *larger.words);
    larger.rounds = calloc(larger.n_slots, sizeof *larger.rounds);
    if (larger.words == NULL || larger.rounds == NULL) {
        grammar_word_set_done(&larger);
        return false;
    }
    for (uint32_t i = 0; i < set->n_slots; i++) {
        if (set->rounds[i] != set->round)
            continue;
        uint32_t slot = find_slot(&larger, set->words[i]);
        larger.words[slot] = set->words[i];
        larger.rounds[slot] = larger.round;
    }
    grammar_word_set_done(set);
    *set = larger;
    return true;
}

bool grammar_word_set_add(struct grammar_word_set *set, uint64_t word, bool *out_is_new)
{
    if (set->n * 2 >= set->n_slots && !grow(set))
        return false;
    uint32_t slot = find_slot(set, word);
    *out_is_new = set->rounds[slot] != set->round;
    if (*out_is_new) {
        set->words[slot] = word;
        set->rounds[slot] = set->round;
        set->n++;
    }
    return true;
}

void grammar_word_set_clear(struct grammar_word_set *set)
{
    set->n = 0;
    if (++set->round != 0 || set->n_slots == 0)
        return;
    memset(set->rounds, 0, set->n_slots * sizeof *set->rounds);
    set->round = 1;
}

void grammar_word_set_done(struct grammar_word_set *set)
{
    free(set->words);
    free(set->rounds);
    *set = (struct grammar_word_set){0};
}
