/* family_exaone.c - EXAONE 3 and 3.5 (arXiv 2408.03541, 2412.04862): Llama's layer, which rotates
 * halves of a head against each other. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_exaone = {
    .architecture = "exaone",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
