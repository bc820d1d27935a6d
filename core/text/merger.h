/* merger.h - joins neighbouring symbols of a word, best pair first: the core of both tokenizers.
 *
 * A priority queue over a linked list: O(n log n) in the symbols of a word. Owner: one call of
 * tokenizer_encode. Thread: the owner's. */
#ifndef CORE_TEXT_MERGER_H
#define CORE_TEXT_MERGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* Two neighbours. The rules look at their symbols or at the bytes of both together. */
struct merge_pair {
    int32_t left;
    int32_t right;
    const char *text;
    size_t len;
    uint32_t key;   /* out: smaller merges earlier; equal keys from the left. < UINT32_MAX */
    int32_t merged; /* out: the symbol that replaces both */
};
typedef bool merge_find_fn(const void *rules, struct merge_pair *pair);

struct merger {
    struct merge_node *nodes;
    uint64_t *heap; /* key << 32 | index of the left node */
    size_t n_nodes;
    size_t n_heap;
    size_t max_nodes;
};

/* A longer word is cut, so that hostile text cannot ask for gigabytes. */
enum { MERGER_MAX_SYMBOLS = 1 << 20 };

void merger_init(struct merger *merger);
void merger_done(struct merger *merger);

/* Forgets the last word and makes room for max_symbols. */
bool merger_begin(struct merger *merger, size_t max_symbols, struct err *err);
/* The next symbol of the word; it begins at byte `begin`. */
void merger_add(struct merger *merger, size_t begin, int32_t symbol);
/* `text` is the word, len bytes. */
void merger_run(struct merger *merger, const char *text, size_t len, merge_find_fn *find,
                const void *rules);

/* What is left: for (i = 0; merger_next(merger, &i, &symbol, &begin, &end);) */
bool merger_next(const struct merger *merger, size_t *i, int32_t *symbol, size_t *begin,
                 size_t *end);

#endif
