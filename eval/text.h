/* text.h - a long text as token ids. Owner: the command that runs. Thread: main. */
#ifndef EVAL_TEXT_H
#define EVAL_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text/tokenizer.h"

struct err;
struct subject;

struct text {
    struct token_list tokens;
    bool has_bos; /* tokens.ids[0] begins the text and is no part of it */
};

/* Reads UTF-8 text, or token ids from a JSON list where the file's name ends in ".json". Keeps at
 * most max_tokens of them; 0 for all. A text of fewer than two tokens is an error. */
bool text_init(struct text *text, const struct subject *subject, const char *path,
               int64_t max_tokens, struct err *err);
void text_done(struct text *text);

/* Tokens from .. from + n - 1 of the text repeated for ever; BOS stands only at its very start. */
void text_copy(const struct text *text, int64_t from, int n, int32_t *out);

/* Appends the ids of `len` bytes that are nobody's control tokens. */
bool text_encode(const struct subject *subject, const char *bytes, size_t len, bool is_start,
                 struct token_list *out, struct err *err);

#endif
