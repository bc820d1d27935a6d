#include "core/text/grammar_words.h"

#include <stdlib.h>

enum { MAX_INSERTION_SORT = 24 };

bool grammar_words_grow(struct grammar_words *words)
{
    uint32_t max = words->max == 0 ? 64 : words->max * 2;
    uint64_t *items = realloc(words->items, max * sizeof *items);
    if (items == NULL)
        return false;
    words->items = items;
    words->max = max;
    return true;
}

static int compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void grammar_words_sort_unique(struct grammar_words *words)
{
    uint64_t *items = words->items;
    if (words->n > MAX_INSERTION_SORT) {
        qsort(items, words->n, sizeof *items, compare_words);
    } else {
        for (uint32_t i = 1; i < words->n; i++) {
            uint64_t word = items[i];
            uint32_t j = i;
            for (; j > 0 && items[j - 1] > word; j--)
                items[j] = items[j - 1];
            items[j] = word;
        }
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < words->n; i++) {
        if (i == 0 || items[i] != items[i - 1])
            items[n++] = items[i];
    }
    words->n = n;
}

void grammar_words_done(struct grammar_words *words)
{
    free(words->items);
    *words = (struct grammar_words){0};
}
