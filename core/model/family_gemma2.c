/* family_gemma2.c - Gemma 2 (arXiv 2408.00118): Gemma with a norm after attention and feed-forward
 * too, soft caps on scores and logits, and a sliding window in every other layer. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_gated_layer(binder, layer, err) && bind_post_norms(binder, layer, err);
}

const struct family family_gemma2 = {
    .architecture = "gemma2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU_GATED,
    .scales_embedding = true,
    .local_period = 2,
    .n_layers_scaled_by_width = 46, /* the 27B */
    .needed_keys = {"attn_logit_softcapping", "final_logit_softcapping",
                    "attention.sliding_window"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
