/* family_seed_oss.c - Seed-OSS (ByteDance, 2025): Llama's layer with biases on q, k and v. The norm
 * before the feed-forward has the name of one behind attention. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) &&
           bind_norm(binder, "post_attention_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err);
}

const struct family family_seed_oss = {
    .architecture = "seed_oss",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
