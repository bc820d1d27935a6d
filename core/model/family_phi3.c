/* family_phi3.c - Phi-3 and Phi-4 mini (arXiv 2404.14219, 2503.01743): Llama's layer with q, k, v
 * in one matrix and gate and up in another, which the binder takes apart. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_phi3 = {
    .architecture = "phi3",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
