/* family_qwen2.c - Qwen 1.5, 2 and 2.5 (arXiv 2407.10671): Llama's layer with biases on q, k and v,
 * which the binder finds by itself. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_qwen2 = {
    .architecture = "qwen2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
