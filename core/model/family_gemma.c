/* family_gemma.c - Gemma 1 (arXiv 2403.08295): Llama's layer with GELU gates and an embedding
 * scaled by sqrt(n_embd). The file's norm weights already hold the 1 that Gemma adds to them. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_gemma = {
    .architecture = "gemma",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU_GATED,
    .scales_embedding = true,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
