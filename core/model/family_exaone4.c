/* family_exaone4.c - EXAONE 4 (arXiv 2507.11407): norms behind attention and feed-forward in place
 * of those before them, and on the heads of q and k; the 32B has a sliding window in three of four
 * layers, which alone rotate. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_attention(binder, layer, err) && bind_head_norms(binder, layer, err) &&
           bind_gated_ffn(binder, layer, err) && bind_post_norms(binder, layer, err);
}

const struct family family_exaone4 = {
    .architecture = "exaone4",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .local_period = 4,
    .rotates_local = true,
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
