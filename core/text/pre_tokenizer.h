/* pre_tokenizer.h - where byte-level BPE may not merge: text to words.
 *
 * Each model was trained with regular expressions that cut text into words. Here they are scanners
 * written by hand: linear time, no backtracking, no recursion. Thread: any (constants). */
#ifndef CORE_TEXT_PRE_TOKENIZER_H
#define CORE_TEXT_PRE_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

struct pre_tokenizer;

/* By the name in tokenizer.ggml.pre; NULL for a name that is not known. */
const struct pre_tokenizer *pre_tokenizer_find(const char *name, size_t len);

/* True when a word that is a token as a whole is that token, whatever the merges say. */
bool pre_tokenizer_ignores_merges(const struct pre_tokenizer *pre);
/* True when BOS is added unless the file says otherwise. */
bool pre_tokenizer_adds_bos(const struct pre_tokenizer *pre);

enum { PRE_TOKENIZER_MAX_PASSES = 6 };

/* A walk over the words of one text. */
struct pre_tokenizer_walk {
    const struct pre_tokenizer *pre;
    const char *text;
    int level; /* the pass that works now */
    struct pre_tokenizer_piece {
        size_t begin; /* not yet handed on */
        size_t end;
        size_t match_begin; /* the next match of this pass in begin .. end, once looked for */
        size_t match_end;
        bool has_match;
    } pieces[PRE_TOKENIZER_MAX_PASSES];
};

void pre_tokenizer_begin(struct pre_tokenizer_walk *walk, const struct pre_tokenizer *pre,
                         const char *text, size_t len);
/* The next word; false at the end of the text. Words follow each other without gaps. */
bool pre_tokenizer_next(struct pre_tokenizer_walk *walk, size_t *out_begin, size_t *out_end);

#endif
