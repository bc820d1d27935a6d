/* family_glm4.c - GLM 4 of 2025 (Z.ai, GLM-4-0414, GLM-Z1): Llama's layer with a norm after
 * attention and feed-forward too, gate and up in one matrix, and half of each head rotated. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_gated_layer(binder, layer, err) && bind_post_norms(binder, layer, err);
}

const struct family family_glm4 = {
    .architecture = "glm4",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
