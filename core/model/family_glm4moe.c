/* family_glm4moe.c - GLM-4.5 and its Air (Z.ai, arXiv 2508.06471): Llama's layer with biases on q,
 * k and v, norms on the heads of some, part of each head rotated, and experts chosen by sigmoids
 * and a bias. The norm before the feed-forward has the name of one behind attention. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) &&
           (!binder_has(binder, "attn_q_norm.weight") || bind_head_norms(binder, layer, err)) &&
           bind_norm(binder, "post_attention_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err);
}

const struct family family_glm4moe = {
    .architecture = "glm4moe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .experts_by_sigmoid = true,
    .predicts_further = true,
    .sees_pictures = true, /* GLM-4.5V */
    .needed_keys = {"expert_count", "expert_feed_forward_length", "expert_shared_count"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
