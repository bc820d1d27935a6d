/* prompt.h - text to be tokenized, with a mark on what may hold control tokens.
 *
 * A template's own text may name special tokens ("<|user|>", "</s>"); what a person wrote may not,
 * whatever it says. The two are told apart by spans, not by escaping.
 * Owner: whoever embeds it. Thread: the owner's. */
#ifndef CORE_TEXT_PROMPT_H
#define CORE_TEXT_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"

struct prompt_span {
    size_t end;      /* byte offset in text just past this span; spans follow each other */
    bool is_control; /* special tokens are recognised inside */
};

struct prompt {
    struct buf text;
    struct prompt_span *spans;
    size_t n_spans;
    size_t max_spans;
    bool failed; /* an allocation failed; sticky, like text.failed */
};

void prompt_init(struct prompt *prompt);
void prompt_done(struct prompt *prompt);

void prompt_append_control(struct prompt *prompt, const char *text, size_t len);
void prompt_append_plain(struct prompt *prompt, const char *text, size_t len);

/* Drops all but the first `len` bytes. */
void prompt_truncate(struct prompt *prompt, size_t len);

/* Copies bytes begin .. end-1 of `from` with their marks. */
void prompt_append_slice(struct prompt *prompt, const struct prompt *from, size_t begin,
                         size_t end);

/* True when any append ran out of memory. */
bool prompt_failed(const struct prompt *prompt);

#endif
