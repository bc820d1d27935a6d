/* family_gpt_oss.c - gpt-oss (OpenAI, 2025; arXiv 2508.10925): experts with biases in every layer,
 * every other layer with a sliding window, and for each head a learned score beside those of rows.
 * The norm before the feed-forward has the name of one behind attention. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) &&
           bind_vector(binder, "attn_sinks.weight", binder->shape->n_heads, &layer->sink_scores,
                       err) &&
           bind_norm(binder, "post_attention_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err) && bind_expert_biases(binder, layer, err);
}

const struct family family_gpt_oss = {
    .architecture = "gpt-oss",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_CLAMPED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .local_period = 2,
    .yarn_is_unrounded = true,
    .needed_keys = {"expert_count", "expert_feed_forward_length", "attention.sliding_window"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
