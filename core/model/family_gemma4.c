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

/* The norm behind the feed-forward has another name where experts are beside it. */
static bool bind_feed_forward(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd, n_experts = binder->shape->n_experts, n_ff = layer->n_ff;
    const float **post = layer->experts == NULL ? &layer->post_ffn_norm : &layer->post_both_norm;
    if (!bind_norm(binder, "ffn_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) ||
        !bind_matrix(binder, "ffn_gate.weight", n_ff, n_embd, &layer->gate, err) ||
        !bind_matrix(binder, "ffn_up.weight", n_ff, n_embd, &layer->up, err) ||
        !bind_matrix(binder, "ffn_down.weight", n_embd, n_ff, &layer->down, err) ||
        !bind_vector(binder, "post_ffw_norm.weight", n_embd, post, err))
        return false;
    return layer->experts == NULL ||
           (bind_routed_experts(binder, layer, err) &&
            bind_vector(binder, "ffn_gate_inp.scale", n_embd, &layer->router_norm, err) &&
            bind_optional_vector(binder, "ffn_down_exps.scale", n_experts, &layer->expert_scales,
                                 err) &&
            bind_vector(binder, "pre_ffw_norm_2.weight", n_embd, &layer->expert_norm, err) &&
            bind_vector(binder, "post_ffw_norm_1.weight", n_embd, &layer->post_ffn_norm, err) &&
            bind_vector(binder, "post_ffw_norm_2.weight", n_embd, &layer->post_expert_norm, err));
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
           bind_vector(binder, "post_attention_norm.weight", n_embd, &layer->post_attn_norm, err) &&
           bind_feed_forward(binder, layer, err) && bind_layer_input(binder, layer, err) &&
           bind_optional_vector(binder, "layer_output_scale.weight", 1, &layer->out_scale, err);
}

static void run_layer(struct forward *forward, const struct layer *layer)
{
    forward_norm(forward, FORWARD_ATTN_INPUT, layer->attn_norm, NULL);
    forward_attention(forward, FORWARD_ATTN_INPUT, layer);
    if (layer->experts != NULL) {
        forward_ffn_and_experts(forward, layer);
    } else {
        forward_norm(forward, FORWARD_FFN_INPUT, layer->ffn_norm, NULL);
        forward_ffn(forward, FORWARD_FFN_INPUT, layer);
    }
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
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .has_ffn_beside_experts = true,
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
