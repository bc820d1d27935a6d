/* family_qwen35.c - Qwen3-Next, Qwen 3.5 and 3.6 (Qwen team, 2025, 2026): of each four layers three
 * carry a state from token to token (forward_delta.c), and the fourth has attention whose heads are
 * gated. The mixtures have a feed-forward for all tokens beside their experts, weighed for each. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_strengths(struct binder *binder, struct delta_weights *delta, struct err *err)
{
    int n = binder->shape->delta.n_heads, n_embd = binder->shape->n_embd;
    if (binder_has(binder, "ssm_ba.weight"))
        return bind_matrix(binder, "ssm_ba.weight", 2 * n, n_embd, &delta->beta, err);
    return bind_matrix(binder, "ssm_beta.weight", n, n_embd, &delta->beta, err) &&
           bind_matrix(binder, "ssm_alpha.weight", n, n_embd, &delta->alpha, err);
}

static bool bind_delta(struct binder *binder, struct layer *layer, struct err *err)
{
    const struct model_delta *shape = &binder->shape->delta;
    struct delta_weights *delta = &layer->delta;
    int n_embd = binder->shape->n_embd, n_values = shape->n_heads * shape->dim;
    int n_channels = 2 * shape->n_groups * shape->dim + n_values;
    return bind_matrix(binder, "attn_qkv.weight", n_channels, n_embd, &delta->qkv, err) &&
           bind_matrix(binder, "attn_gate.weight", n_values, n_embd, &delta->gate, err) &&
           bind_strengths(binder, delta, err) &&
           bind_taps(binder, "ssm_conv1d.weight", n_channels, shape->n_taps, layer, err) &&
           bind_vector(binder, "ssm_a", shape->n_heads, &delta->rate, err) &&
           bind_vector(binder, "ssm_dt.bias", shape->n_heads, &delta->bias, err) &&
           bind_vector(binder, "ssm_norm.weight", shape->dim, &delta->norm, err) &&
           bind_matrix(binder, "ssm_out.weight", n_embd, n_values, &layer->out, err);
}

static bool bind_gated_attention(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd, n_heads = binder->shape->n_heads;
    struct kv_heads heads = layer->heads;
    layer->is_gated = true;
    return bind_matrix(binder, "attn_q.weight", 2 * n_heads * heads.dim_k, n_embd, &layer->q,
                       err) &&
           bind_matrix(binder, "attn_k.weight", heads.n * heads.dim_k, n_embd, &layer->k, err) &&
           bind_matrix(binder, "attn_v.weight", heads.n * heads.dim_v, n_embd, &layer->v, err) &&
           bind_head_norms(binder, layer, err) &&
           bind_matrix(binder, "attn_output.weight", n_embd, n_heads * heads.dim_v, &layer->out,
                       err);
}

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           (layer->has_state ? bind_delta : bind_gated_attention)(binder, layer, err) &&
           bind_norm(binder, "post_attention_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err) &&
           (layer->experts == NULL || bind_matrix(binder, "ffn_gate_inp_shexp.weight", 1,
                                                  binder->shape->n_embd, &layer->share, err));
}

const struct family family_qwen35 = {
    .architecture = "qwen35",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .has_delta = true,
    .has_delta_groups_in_turn = true,
    .predicts_further = true,
    .sees_pictures = true,
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_qwen35moe = {
    .architecture = "qwen35moe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .has_delta = true,
    .has_delta_groups_in_turn = true,
    .predicts_further = true,
    .sees_pictures = true,
    .needed_keys = {"expert_count", "expert_shared_feed_forward_length"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_qwen3next = {
    .architecture = "qwen3next",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .has_delta = true,
    .predicts_further = true,
    .needed_keys = {"expert_count", "expert_shared_feed_forward_length"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
