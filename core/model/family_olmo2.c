/* family_olmo2.c - OLMo 2 and 3 (arXiv 2501.00656, 2512.13961): norms behind attention and
 * feed-forward in place of those before them, one for all heads of q and one for k; OLMo 3 has a
 * sliding window in three of four layers, whose positions are not scaled. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_attention(binder, layer, err) && bind_norms_of_all_heads(binder, layer, err) &&
           bind_gated_ffn(binder, layer, err) && bind_post_norms(binder, layer, err);
}

const struct family family_olmo2 = {
    .architecture = "olmo2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .norms_all_heads = true,
    .local_period = 4,
    .local_is_unscaled = true,
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
