/* family_starcoder2.c - StarCoder 2 (arXiv 2402.19173): layer norms, GELU, biases everywhere. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_starcoder2 = {
    .architecture = "starcoder2",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU,
    .bind_layer = bind_ungated_layer,
    .run_layer = forward_sequential_layer,
};
