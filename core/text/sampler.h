/* sampler.h - logits to the next token.
 *
 * Order: biases, penalties; what a grammar forbids is taken out; with temperature 0 the largest
 * logit; else temperature, top_k, top_p, min_p, then one draw from what is left. The random numbers
 * depend on the seed only, so the same settings on the same logits give the same token. Owner: the
 * session that speaks. Thread: engine. */
#ifndef CORE_TEXT_SAMPLER_H
#define CORE_TEXT_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct grammar_matcher;
struct sampler;

/* A number that is added to one token's logit; SAMPLER_BAN or less: the token is never chosen. */
struct token_bias {
    int32_t id;
    float bias;
};
#define SAMPLER_BAN (-100.0F)

struct sampler_settings {
    float temperature;        /* >= 0; 0 takes the most likely token */
    float top_p;              /* 0 .. 1; 1 for all; 0 like temperature 0 */
    float min_p;              /* 0 .. 1; 0 for all */
    int top_k;                /* 0 for all */
    float repetition_penalty; /* > 0; 1 for none: logit / p when positive, * p when negative */
    float presence_penalty;   /* -2 .. 2: subtracted once for a token already generated */
    float frequency_penalty;  /* -2 .. 2: subtracted for each time it was generated */
    uint64_t seed;
    const struct token_bias *biases; /* [n_biases], NULL for none; sampler_open copies them */
    int n_biases;
};

bool sampler_open(struct sampler **out, const struct sampler_settings *settings, int n_vocab,
                  struct err *err);
void sampler_close(struct sampler **sampler);

/* Chooses from logits [n_vocab], which it may overwrite. NaN counts as -infinity; if nothing finite
 * is left the answer is token 0. Allocates nothing. */
int32_t sampler_choose(struct sampler *sampler, float *logits);
/* The same among the tokens that the grammar allows, exactly as if the others had a logit of
 * -infinity from the start; -1 when there is none. */
int32_t sampler_choose_allowed(struct sampler *sampler, float *logits,
                               struct grammar_matcher *matcher);
/* Counts a generated token for the penalties. */
void sampler_accept(struct sampler *sampler, int32_t id);

#endif
