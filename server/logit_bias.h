/* logit_bias.h - a request's "logit_bias" as a list: OpenAI's object of token ids, or llama.cpp's
 * array of pairs, in which a text stands for each of its tokens.
 *
 * Pure. Thread: any. */
#ifndef SERVER_LOGIT_BIAS_H
#define SERVER_LOGIT_BIAS_H

#include <jansson.h>
#include <stdbool.h>

struct api_error;
struct generation_defaults;
struct token_bias;

/* *out is the caller's to free, on false too. Without a tokenizer texts bias nothing. */
bool logit_bias_read(const json_t *body, const struct generation_defaults *defaults,
                     struct token_bias **out, int *out_n, struct api_error *error);

#endif
