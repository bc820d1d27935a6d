/* forward_steps.h - the steps that a family's layer is made of.
 *
 * The residual stream x [n_tokens, n_embd] lies inside struct forward. A step reads it into one of
 * two inputs (norm) or adds to it (attention, feed-forward), for all tokens of the batch. */
#ifndef CORE_MODEL_FORWARD_STEPS_H
#define CORE_MODEL_FORWARD_STEPS_H

#include "core/model/model.h"

struct forward;

/* Two, because in parallel layers both norms are taken before either result is added. */
enum forward_input { FORWARD_ATTN_INPUT, FORWARD_FFN_INPUT, FORWARD_N_INPUTS };

const struct model_shape *forward_shape(const struct forward *forward);

/* input = norm(x) * w + b, with the family's norm; x itself where w is NULL. An RMS norm ignores b.
 */
void forward_norm(struct forward *forward, enum forward_input to, const float *w, const float *b);
/* x += out(attend(q, k, v)): q, k, v from the input, stored and attended over the caches. Layers
 * that have a norm for it add the norm of that. */
void forward_attention(struct forward *forward, enum forward_input from, const struct layer *layer);
/* x += out(c * convolution(b * x')): b, c and x' from the input, b * x' stored in the caches. */
void forward_convolution(struct forward *forward, enum forward_input from,
                         const struct layer *layer);
/* x += out(what the layer's state says of the input), token by token; the state changes. */
void forward_delta(struct forward *forward, enum forward_input from, const struct layer *layer);
/* x += down(act(up input)), gated where the family is; or the norm of that. */
void forward_ffn(struct forward *forward, enum forward_input from, const struct layer *layer);

/* x += what the experts of each token say, weighed. */
void forward_experts(struct forward *forward, enum forward_input from, const struct layer *layer);

/* x += norm(ffn(norm(x)) + experts(norm(x))), what each says normed before. */
void forward_ffn_and_experts(struct forward *forward, const struct layer *layer);
/* x += norm(up(gelu(gate x) * what the layer gets of the token beside the stream)). */
void forward_layer_input(struct forward *forward, const struct layer *layer);
/* x *= factor */
void forward_scale(struct forward *forward, float factor);

/* x += attention(norm(x)); x += ffn(norm(x)): what most families do. */
void forward_sequential_layer(struct forward *forward, const struct layer *layer);
/* x += attention(norm(x)) + ffn(norm(x)), with one norm. */
void forward_parallel_layer(struct forward *forward, const struct layer *layer);

#endif
