/* family_phi2.c - Phi-1.5 and Phi-2 (arXiv 2309.05463): one layer norm that attention and
 * feed-forward read alike, biases everywhere, on the logits too, part of each head rotated. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_attention(binder, layer, err) && bind_plain_ffn(binder, layer, err);
}

const struct family family_phi2 = {
    .architecture = "phi2",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU,
    .bind_layer = bind_layer,
    .run_layer = forward_parallel_layer,
};
