#include "core/text/token_trie.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/text/vocab.h"

struct entry {
    uint64_t head; /* its first bytes as a number: decides nearly all comparisons, out of order as
                      the texts lie in memory */
    const char *text;
    uint32_t len;
    int32_t id;
};

static uint64_t head_of(const char *text, uint32_t len)
{
    uint64_t head = 0;
    for (uint32_t i = 0; i < sizeof head; i++)
        head = head << 8 | (i < len ? (unsigned char)text[i] : 0);
    return head;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    uint32_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, len);
    if (order == 0)
        order = (x->len > y->len) - (x->len < y->len);
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

static uint32_t sort_tokens(const struct vocab *vocab, struct entry *entries)
{
    uint32_t n = 0;
    for (int i = 0; i < vocab->n; i++) {
        const struct vocab_token *token = &vocab->tokens[i];
        if (token->is_end || token->piece_len == 0 || token->piece_len > TOKEN_TRIE_MAX_DEPTH)
            continue;
        entries[n++] = (struct entry){head_of(token->piece, token->piece_len), token->piece,
                                      token->piece_len, i};
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    return n;
}

/* Bytes that an entry shares with the one before. */
static uint32_t shared_len(const struct entry *entries, uint32_t i)
{
    if (i == 0)
        return 0;
    const struct entry *a = &entries[i - 1], *b = &entries[i];
    uint32_t max = a->len < b->len ? a->len : b->len;
    uint32_t len = a->head == b->head ? 8 : (uint32_t)__builtin_clzll(a->head ^ b->head) / 8;
    while (len >= 8 && len < max && a->text[len] == b->text[len])
        len++;
    return len < max ? len : max;
}

static size_t count_nodes(const struct entry *entries, uint32_t n)
{
    size_t n_nodes = 0;
    for (uint32_t i = 0; i < n; i++)
        n_nodes += entries[i].len - shared_len(entries, i);
    return n_nodes;
}

static void add_nodes(struct token_trie *trie, const struct entry *entries, uint32_t n)
{
    uint32_t open[TOKEN_TRIE_MAX_DEPTH]; /* the node at each depth of the last entry's way */
    uint32_t n_open = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *entry = &entries[i];
        uint32_t shared = shared_len(entries, i);
        while (n_open > shared)
            trie->nodes[open[--n_open]].skip = trie->n_nodes;
        while (n_open < entry->len) {
            open[n_open] = trie->n_nodes;
            trie->nodes[trie->n_nodes++] =
                (struct token_trie_node){.first_token = trie->n_tokens,
                                         .depth = (uint16_t)n_open,
                                         .byte = (unsigned char)entry->text[n_open]};
            n_open++;
        }
        trie->tokens[trie->n_tokens++] = entry->id;
        if (entry->len > trie->max_depth)
            trie->max_depth = entry->len;
    }
    while (n_open > 0)
        trie->nodes[open[--n_open]].skip = trie->n_nodes;
    trie->nodes[trie->n_nodes] = (struct token_trie_node){.first_token = trie->n_tokens};
}

static uint32_t count_ends(const struct vocab *vocab)
{
    uint32_t n = 0;
    for (int i = 0; i < vocab->n; i++)
        n += vocab->tokens[i].is_end;
    return n;
}

static void add_ends(struct token_trie *trie, const struct vocab *vocab)
{
    for (int i = 0; i < vocab->n; i++) {
        if (vocab->tokens[i].is_end)
            trie->ends[trie->n_ends++] = i;
    }
}

bool token_trie_init(struct token_trie *trie, const struct vocab *vocab, struct err *err)
{
    *trie = (struct token_trie){.n_vocab = vocab->n};
    struct entry *entries = malloc(((size_t)vocab->n + 1) * sizeof *entries);
    if (entries == NULL)
        return err_no_memory(err, "the tokens' texts");
    uint32_t n = sort_tokens(vocab, entries);
    size_t n_nodes = count_nodes(entries, n);
    if (n_nodes < UINT32_MAX) {
        trie->nodes = malloc((n_nodes + 1) * sizeof *trie->nodes);
        trie->tokens = malloc(((size_t)n + 1) * sizeof *trie->tokens);
    }
    trie->ends = malloc((count_ends(vocab) + (size_t)1) * sizeof *trie->ends);
    bool is_good = trie->nodes != NULL && trie->tokens != NULL && trie->ends != NULL;
    if (is_good) {
        add_nodes(trie, entries, n);
        add_ends(trie, vocab);
    } else {
        token_trie_done(trie);
    }
    free(entries);
    return is_good || err_no_memory(err, "the tokens' texts");
}

void token_trie_done(struct token_trie *trie)
{
    free(trie->nodes);
    free(trie->tokens);
    free(trie->ends);
    *trie = (struct token_trie){0};
}
