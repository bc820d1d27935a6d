/* vocab.h - the tokens of a model: names, bytes, kinds.
 *
 * Read from a GGUF file, which is untrusted. Owner: the tokenizer. Thread: any once it is open. */
#ifndef CORE_TEXT_VOCAB_H
#define CORE_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/text/specials.h"
#include "core/text/text_map.h"

struct err;
struct gguf;

/* As tokenizer.ggml.token_type numbers them. */
enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

/* How names say bytes, and how text becomes tokens. */
enum vocab_style {
    VOCAB_BPE,    /* a character for each byte, merges of bytes */
    VOCAB_SPM,    /* as it is but for spaces, scores */
    VOCAB_MERGED, /* the same names, merges of characters (Gemma 4) */
};

struct vocab_token {
    const char *name;
    const char *piece; /* the bytes it stands for in text */
    uint32_t name_len;
    uint32_t piece_len;
    uint32_t key;       /* SPM: smaller for a higher score */
    unsigned char kind; /* enum token_kind */
    bool is_end;        /* of a turn */
};

struct vocab {
    struct vocab_token *tokens; /* [n] */
    int n;
    bool is_spm;              /* its names; else byte-level BPE's */
    char *bytes;              /* names and pieces */
    struct text_map pieces;   /* to ids, of the tokens that text may become */
    size_t max_piece_len;     /* of those */
    bool has_inner_space;     /* one of those has a space after another character */
    int32_t byte_tokens[256]; /* SPM: "<0x00>" ..; -1 where there is none */
    struct specials specials;
    int32_t bos, eos, unknown; /* -1: none */
};

bool vocab_init(struct vocab *vocab, const struct gguf *file, enum vocab_style style,
                struct err *err);
void vocab_done(struct vocab *vocab);

/* The text of a byte-level BPE name ("Ġthe" is " the") as bytes, at most len. False when a
 * character of it stands for no byte. */
bool vocab_decode_bytes(const char *name, size_t len, char *out, size_t *out_len);
/* The same of an SPM name ("▁the"); returns how many bytes that is. */
size_t vocab_decode_spaces(const char *name, size_t len, char *out);

#endif
