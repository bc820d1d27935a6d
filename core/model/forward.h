/* forward.h - one step: a batch of tokens of any conversations in, logits out.
 *
 * Owns all scratch memory; a step allocates nothing. Owner: the engine. Thread: engine; the work is
 * split over the pool. */
#ifndef CORE_MODEL_FORWARD_H
#define CORE_MODEL_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

struct attention_query;
struct attention_rows;
struct err;
struct forward;
struct kv_cache;
struct model;
struct thread_pool;

/* Tokens of one cache must be neighbours in the batch, in order, and at most n_slack + 1 of them.
 */
struct forward_token {
    int32_t id;
    struct kv_cache *cache;
    bool wants_logits;
};

/* Reserves all scratch. The model and pool are borrowed until forward_close. */
bool forward_open(struct forward **out, const struct model *model, struct thread_pool *pool,
                  int max_tokens, int max_logits, struct err *err);
void forward_close(struct forward **forward);

/* Feeds the tokens: stores their keys and values, advances each cache, and computes logits
 * [n_vocab] for those that want them. n_tokens <= max_tokens, ids < n_vocab, wanted <= max_logits.
 * Result row i (in the order of the tokens that want logits) is forward_logits(forward, i). */
void forward_run(struct forward *forward, const struct forward_token *tokens, int n_tokens);

/* [n_vocab], valid until the next run; the caller may write to it. */
float *forward_logits(struct forward *forward, int i);

/* What query heads first_head .. first_head + query->n_heads - 1 of one token are about to see. */
struct forward_sight {
    int layer;
    int token; /* of the batch */
    int first_head;
    const struct attention_query *query;
    const struct attention_rows *rows; /* [n_segments] in the type of the token's cache */
    int n_segments;
    const float *sink_scores; /* as in struct layer */
};
typedef void forward_observer_fn(void *arg, const struct forward_sight *sight);

/* For programs that study attention: each run calls `observer` with all that it attends to, on
 * several threads of the pool at once. NULL, as after opening, for none. */
void forward_observe(struct forward *forward, forward_observer_fn *observer, void *arg);

#endif
