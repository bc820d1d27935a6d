#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "core/text/token_trie.h"
#include "tests/core/text/real_vocab.h"
#include "tests/core/text/small_vocab.h"

/* Walks the whole tree; every token must be met once, at the end of its own text. */
static void check_trie(const struct tokenizer *tokenizer)
{
    const struct token_trie *trie = tokenizer_trie(tokenizer);
    char text[TOKEN_TRIE_MAX_DEPTH];
    int *n_met = calloc((size_t)trie->n_vocab, sizeof *n_met);
    assert_int_equal(trie->n_vocab, tokenizer_n_vocab(tokenizer));
    for (uint32_t i = 0; i < trie->n_nodes; i++) {
        const struct token_trie_node *node = &trie->nodes[i];
        text[node->depth] = (char)node->byte;
        assert_in_range(node->skip, i + 1, trie->n_nodes);
        for (uint32_t below = i + 1; below < node->skip && below < i + 50; below++)
            assert_true(trie->nodes[below].depth > node->depth);
        if (node->skip < trie->n_nodes)
            assert_true(trie->nodes[node->skip].depth <= node->depth);
        for (uint32_t t = node->first_token; t < node[1].first_token; t++) {
            size_t len;
            const char *piece = tokenizer_piece(tokenizer, trie->tokens[t], &len);
            assert_int_equal(len, node->depth + 1);
            assert_memory_equal(piece, text, len);
            n_met[trie->tokens[t]]++;
        }
    }
    for (uint32_t i = 0; i < trie->n_ends; i++) {
        assert_true(tokenizer_is_end(tokenizer, trie->ends[i]));
        n_met[trie->ends[i]]++;
    }
    for (int id = 0; id < trie->n_vocab; id++) {
        size_t len;
        tokenizer_piece(tokenizer, id, &len);
        assert_int_equal(n_met[id], len > 0 || tokenizer_is_end(tokenizer, id));
    }
    free(n_met);
}

static void every_token_is_at_the_end_of_its_text(void **state)
{
    (void)state;
    struct small_vocab vocab;
    struct err err;
    small_vocab_spm(&vocab);
    static const char *const words[] = {"a", "ab", "abc", "ab", "b", "\xE2\x96\x81z"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        small_vocab_add(&vocab, words[i], 0, 1);
    struct tokenizer *tokenizer = small_vocab_open(&vocab, &err);
    assert_non_null(tokenizer);
    check_trie(tokenizer);
    assert_int_equal(tokenizer_trie(tokenizer)->n_ends, 1);
    tokenizer_close(&tokenizer);
}

static void real_vocabularies(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-spm", "gpt-2", "gpt-neox", "falcon", "mpt"};
    real_vocab_each(names, sizeof names / sizeof names[0], check_trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_is_at_the_end_of_its_text),
        cmocka_unit_test(real_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
