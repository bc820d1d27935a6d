/* family_minicpm.c - MiniCPM 1, 2 and 4 (arXiv 2404.06395, 2506.07900): Llama's layer with factors
 * on the embedding, on what each step adds to the stream, and on the logits. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_minicpm = {
    .architecture = "minicpm",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .needed_keys = {"embedding_scale", "residual_scale", "logit_scale"},
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
