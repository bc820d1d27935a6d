/* family_ernie4_5.c - ERNIE 4.5, the dense ones (Baidu, 2025): Llama's layer. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_ernie4_5 = {
    .architecture = "ernie4_5",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
