/* token_trie.h - the texts of all tokens as one tree of bytes, to be walked side by side with an
 * automaton.
 *
 * Tokens without text (control tokens) are not in it, and those that end a turn are a list of their
 * own. Owner: the tokenizer. Thread: any once it is built (immutable). */
#ifndef CORE_TEXT_TOKEN_TRIE_H
#define CORE_TEXT_TOKEN_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct vocab;

enum { TOKEN_TRIE_MAX_DEPTH = 1024 }; /* longer tokens, which nobody has, are left out */

/* Nodes lie in the order of a walk, each before its children. */
struct token_trie_node {
    uint32_t skip;        /* the next node that is not below this one */
    uint32_t first_token; /* tokens[first_token .. the next node's) end here */
    uint16_t depth;       /* bytes before this one's */
    uint8_t byte;
};

struct token_trie {
    struct token_trie_node *nodes; /* [n_nodes + 1], the last for its first_token */
    uint32_t n_nodes;
    int32_t *tokens;
    uint32_t n_tokens;
    uint32_t max_depth; /* bytes of the longest token */
    int32_t *ends;
    uint32_t n_ends;
    int n_vocab;
};

bool token_trie_init(struct token_trie *trie, const struct vocab *vocab, struct err *err);
void token_trie_done(struct token_trie *trie);

#endif
