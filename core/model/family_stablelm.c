/* family_stablelm.c - StableLM 3B and StableLM 2 1.6B (arXiv 2402.17834): Llama's layer with layer
 * norms and a part of each head rotated. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_stablelm = {
    .architecture = "stablelm",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
