/* tokenizer_bpe.h - BPE of bytes, or of characters where the vocabulary has SPM's names: words by
 * the pre-tokenizer, merges by rank inside them.
 *
 * Inside of tokenizer. Owner: the tokenizer. Thread: any once it is open. */
#ifndef CORE_TEXT_TOKENIZER_BPE_H
#define CORE_TEXT_TOKENIZER_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/text_map.h"

struct encode_job;
struct err;
struct gguf;
struct pre_tokenizer;
struct vocab;

/* Symbols are token ids, and above them numbers for byte strings that merges pass through although
 * the vocabulary has no such token. */
struct tokenizer_bpe {
    const struct vocab *vocab;
    const struct pre_tokenizer *pre;
    struct bpe_merge *merges; /* hash table by the pair of symbols */
    size_t mask;
    int32_t byte_symbols[256]; /* of characters: tokens for what the vocabulary has no others for */
    struct text_map extra_symbols;
    char *extra_bytes;
};

/* `vocab` stays where it is and outlives this. */
bool tokenizer_bpe_init(struct tokenizer_bpe *bpe, const struct gguf *file,
                        const struct vocab *vocab, const struct pre_tokenizer *pre,
                        struct err *err);
void tokenizer_bpe_done(struct tokenizer_bpe *bpe);

/* Appends the ids of a text without special tokens. */
bool tokenizer_bpe_encode(const struct tokenizer_bpe *bpe, const char *text, size_t len,
                          struct encode_job *job);

#endif
