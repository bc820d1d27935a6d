/* family_gemma4.c - Gemma 4 (Google, 2026): Gemma 3 with values that are normed too, scores that
 * are not scaled, and layers of two kinds: those that see all have fewer and longer heads, of which
 * few pairs are rotated, and their values may be their keys. Each layer's result has a factor. The
 * small ones (E2B, E4B) have a second embedding for each layer, and their last layers read the keys
 * and values of earlier ones. The mixture has experts beside the feed-forward of each layer. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_keys_and_values(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd;
    struct kv_heads heads = layer->heads;
    if (!layer->has_own_keys)
        return true;
    if (binder_has(binder, "attn_v.weight") &&
        !bind_matrix(binder, "attn_v.weight", heads.n * heads.dim_v, n_embd, &layer->v, err))
        return false;
    layer->v_norm = binder->ones;
    return bind_matrix(binder, "attn_k.weight", heads.n * heads.dim_k, n_embd, &layer->k, err) &&
           bind_vector(binder, "attn_k_norm.weight", heads.dim_k, &layer->k_norm, err);
}

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd;
    struct kv_heads heads = layer->heads;
    int n_q = binder->shape->n_heads * heads.dim_k, n_out = binder->shape->n_heads * heads.dim_v;
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_matrix(binder, "attn_q.weight", n_q, n_embd, &layer->q, err) &&
           bind_vector(binder, "attn_q_norm.weight", heads.dim_k, &layer->q_norm, err) &&
           bind_keys_and_values(binder, layer, err) &&
           bind_matrix(binder, "attn_output.weight", n_embd, n_out, &layer->out, err) &&
           bind_norm(binder, "ffn_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err) && bind_post_norms(binder, layer, err) &&
           bind_layer_input(binder, layer, err) &&
           bind_optional_vector(binder, "layer_output_scale.weight", 1, &layer->out_scale, err);
}

static void run_layer(struct forward *forward, const struct layer *layer)
{
    forward_sequential_layer(forward, layer);
    if (layer->input_gate.data != NULL)
        forward_layer_input(forward, layer);
    if (layer->out_scale != NULL)
        forward_scale(forward, *layer->out_scale);
}

const struct family family_gemma4 = {
    .architecture = "gemma4",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU_GATED,
    .scales_embedding = true,
    .scores_are_unscaled = true,
    .local_period = 6,
    .has_local_heads = true,
    .local_rope_base = 10000,
    .needed_keys = {"attention.sliding_window", "attention.sliding_window_pattern",
                    "attention.key_length_swa"},
    .bind_layer = bind_layer,
    .run_layer = run_layer,
};
