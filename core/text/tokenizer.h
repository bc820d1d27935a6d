/* tokenizer.h - text to token ids and back, by the vocabulary in a GGUF file.
 *
 * Models: SPM ("llama": sentencepiece BPE by score, byte fallback) and byte-level BPE ("gpt2", with
 * the pre-tokenizer that tokenizer.ggml.pre names). Time is O(n log n) in the text, no recursion.
 * Owner: the engine; everyone borrows it const. Thread: any (immutable). */
#ifndef CORE_TEXT_TOKENIZER_H
#define CORE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct gguf;
struct prompt;
struct token_trie;
struct tokenizer;

/* A growable list of ids; `ids` is malloc'ed, the owner frees it with token_list_done. */
struct token_list {
    int32_t *ids;
    size_t n;
    size_t max;
};
void token_list_init(struct token_list *list);
void token_list_done(struct token_list *list);
bool token_list_push(struct token_list *list, int32_t id, struct err *err);
void token_list_drop(struct token_list *list, size_t n); /* the first n <= list->n */

/* Copies what it needs: `file` may be closed afterwards. The vocabulary is untrusted. */
bool tokenizer_open(struct tokenizer **out, const struct gguf *file, struct err *err);
void tokenizer_close(struct tokenizer **tokenizer);

/* Appends the ids of bytes begin .. of `prompt`. Special tokens are recognised only inside control
 * spans; of tokens that a vocabulary defines by hand without making them control (runs of spaces)
 * anywhere. What comes before `begin` counts as already encoded. `is_start`: the text begins a
 * conversation, so BOS and the leading space are added as the vocabulary wants them (no second BOS
 * when the text itself begins with it). Bytes that are not UTF-8 are kept: they become byte tokens.
 */
bool tokenizer_encode(const struct tokenizer *tokenizer, const struct prompt *prompt, size_t begin,
                      bool is_start, struct token_list *out, struct err *err);

/* The bytes of one token as they appear in text, perhaps a part of a UTF-8 sequence; control
 * tokens have none. Borrowed, not NUL-terminated. *out_len is 0 for control and unknown tokens. */
const char *tokenizer_piece(const struct tokenizer *tokenizer, int32_t id, size_t *out_len);
/* The token's name in the vocabulary, for control tokens too ("</s>"). */
const char *tokenizer_name(const struct tokenizer *tokenizer, int32_t id, size_t *out_len);

/* True for tokens that end a turn: EOS, EOT and the like ("<|im_end|>", "<|eot_id|>", "</s>",
 * "<end_of_turn>", "<|endoftext|>", "<|end|>" ...), as the vocabulary names them. */
bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t id);
bool tokenizer_is_control(const struct tokenizer *tokenizer, int32_t id);

/* The texts of all tokens as a tree. Borrowed. */
const struct token_trie *tokenizer_trie(const struct tokenizer *tokenizer);

int tokenizer_n_vocab(const struct tokenizer *tokenizer);
int32_t tokenizer_bos(const struct tokenizer *tokenizer); /* -1 when there is none */
int32_t tokenizer_eos(const struct tokenizer *tokenizer); /* -1 when there is none */
/* True when a text is tokenized with a space before it (SPM). */
bool tokenizer_adds_space(const struct tokenizer *tokenizer);
/* False when the file names a pre-tokenizer that is not known (BPE). The text is then cut into
 * words as GPT-2 does, which may cost quality: the caller says so. */
bool tokenizer_knows_pre(const struct tokenizer *tokenizer);

#endif
