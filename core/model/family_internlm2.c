/* family_internlm2.c - InternLM 2 and 2.5 (arXiv 2403.17297): Llama's layer. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_internlm2 = {
    .architecture = "internlm2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
