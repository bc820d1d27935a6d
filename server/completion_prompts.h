/* completion_prompts.h - the "prompt" of /v1/completions: a text, token ids, or a list of either.
 * Pure; fuzzed through chat_request. Thread: any. */
#ifndef SERVER_COMPLETION_PROMPTS_H
#define SERVER_COMPLETION_PROMPTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/text/tokenizer.h"

struct api_error;

enum { COMPLETION_MAX_PROMPTS = 128 };

/* Either `tokens`, or `text` when there are none; never both empty. */
struct completion_prompt {
    struct buf text;
    struct token_list tokens;
};

struct completion_prompts {
    struct completion_prompt *items; /* [n], n >= 1 */
    size_t n;
};

/* Ids must be below n_vocab. On failure *out is empty. */
bool completion_prompts_read(const json_t *body, int n_vocab, struct completion_prompts *out,
                             struct api_error *error);
void completion_prompts_done(struct completion_prompts *prompts);

#endif
