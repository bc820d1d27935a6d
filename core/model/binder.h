/* binder.h - finds a model's weights by name and compares their shapes with what is expected.
 *
 * It also remembers which tensors were asked for: a tensor that nobody asked for means that the
 * file describes another function than the one that would be computed, so it is refused.
 * Owner: model_open, for the length of it. */
#ifndef CORE_MODEL_BINDER_H
#define CORE_MODEL_BINDER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/model/model.h"

struct err;
struct gguf;
struct gguf_tensor;

struct binder {
    const struct gguf *file;
    const struct model_shape *shape;
    int layer;            /* names are "blk.LAYER.NAME"; -1: names are whole */
    bool *is_bound;       /* [n_tensors] */
    float *vectors;       /* where vectors that are not F32 are widened to; owned by the model */
    size_t n_vectors;     /* floats in `vectors` */
    size_t n_vectors_put; /* of these, in use */
    const float *ones;    /* behind them, as wide as a head: weights of a norm that has none */
};

/* Reserves what may be needed; the model takes over `vectors`. */
bool binder_init(struct binder *binder, const struct gguf *file, const struct model_shape *shape,
                 struct err *err);
void binder_done(struct binder *binder);

bool binder_has(const struct binder *binder, const char *name);
bool bind_matrix(struct binder *binder, const char *name, int n_out, int n_in, struct matrix *out,
                 struct err *err);
/* n matrices of one shape that lie behind each other; *out is the first. */
bool bind_matrices(struct binder *binder, const char *name, struct matrix shape, int n,
                   struct matrix *out, struct err *err);
/* So many rows of it, from first_row on. */
struct matrix matrix_slice(const struct matrix *whole, size_t first_row, int n_rows);
bool bind_vector(struct binder *binder, const char *name, int n, const float **out,
                 struct err *err);
/* A missing tensor is NULL; one of a wrong shape is an error. */
bool bind_optional_vector(struct binder *binder, const char *name, int n, const float **out,
                          struct err *err);

/* Of a convolution, whose channels are met token by token: layer->taps. */
bool bind_taps(struct binder *binder, const char *name, int n_channels, int n_taps,
               struct layer *layer, struct err *err);
/* q, k, v (apart or fused), their norms, out; biases where the file has them. */
bool bind_attention(struct binder *binder, struct layer *layer, struct err *err);
/* Of the router and of each expert's gate, up and down; after bind_gated_ffn. */
bool bind_expert_biases(struct binder *binder, struct layer *layer, struct err *err);
/* Router and experts of a layer that has some, without what is beside them. */
bool bind_routed_experts(struct binder *binder, struct layer *layer, struct err *err);
/* gate, up, down; "ffn_up" may hold gate and up in one. The layer's experts, where it has some. */
bool bind_gated_ffn(struct binder *binder, struct layer *layer, struct err *err);
/* up, down. */
bool bind_plain_ffn(struct binder *binder, struct layer *layer, struct err *err);

/* "NAME.weight" and, where the file has it, "NAME.bias", both [n_embd]. */
bool bind_norm(struct binder *binder, const char *name, const float **out_weight,
               const float **out_bias, struct err *err);
/* attn_q_norm, attn_k_norm: one norm for all heads of q, one for all of k. */
bool bind_head_norms(struct binder *binder, struct layer *layer, struct err *err);
/* The same for families that norm all heads together. */
bool bind_norms_of_all_heads(struct binder *binder, struct layer *layer, struct err *err);
/* post_attention_norm, post_ffw_norm. */
bool bind_post_norms(struct binder *binder, struct layer *layer, struct err *err);
/* inp_gate, proj, post_norm, of models whose layers get inputs beside the stream. */
bool bind_layer_input(struct binder *binder, struct layer *layer, struct err *err);
/* Whole layers of the usual make: attn_norm, attention, ffn_norm, and a feed-forward. */
bool bind_gated_layer(struct binder *binder, struct layer *layer, struct err *err);
/* The same with norms on the heads of q and k. */
bool bind_head_normed_layer(struct binder *binder, struct layer *layer, struct err *err);
bool bind_ungated_layer(struct binder *binder, struct layer *layer, struct err *err);

/* Whether this is a tensor of the layers that are left aside. */
bool binder_is_left_aside(const struct gguf_tensor *tensor, const struct model_shape *shape);

/* False when the file has tensors that nobody asked for and that are not left aside. */
bool binder_check_all_bound(const struct binder *binder, struct err *err);

#endif
