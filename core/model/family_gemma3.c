/* family_gemma3.c - Gemma 3, text (arXiv 2503.19786): Gemma 2 with norms on the heads of q and k in
 * place of soft caps, and a sliding window in five of six layers, which rotate by another base. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_head_normed_layer(binder, layer, err) && bind_post_norms(binder, layer, err);
}

const struct family family_gemma3 = {
    .architecture = "gemma3",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU_GATED,
    .scales_embedding = true,
    .local_period = 6,
    .local_rope_base = 10000,
    .n_layers_scaled_by_width = 62, /* the 27B */
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
