/* family_smollm3.c - SmolLM3 (Hugging Face, 2025): Llama's layer, of which every fourth knows no
 * positions (NoPE, arXiv 2501.18795). */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_smollm3 = {
    .architecture = "smollm3",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .unrotated_period = 4,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
