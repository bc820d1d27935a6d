/* family_command_r.c - Command R and Aya 23 (Cohere, 2024): one layer norm without bias, read by
 * attention and feed-forward alike; the logits are multiplied by a factor. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) && bind_gated_ffn(binder, layer, err);
}

const struct family family_command_r = {
    .architecture = "command-r",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .multiplies_logits = true,
    .needed_keys = {"logit_scale"},
    .bind_layer = bind_layer,
    .run_layer = forward_parallel_layer,
};

/* Command R7B, Command A and Tiny Aya (Cohere, arXiv 2504.00698): Command R with
 * a sliding window in three of four layers, which alone rotate. */
const struct family family_cohere2 = {
    .architecture = "cohere2",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .multiplies_logits = true,
    .local_period = 4,
    .rotates_local = true,
    .needed_keys = {"logit_scale", "attention.sliding_window"},
    .bind_layer = bind_layer,
    .run_layer = forward_parallel_layer,
};
