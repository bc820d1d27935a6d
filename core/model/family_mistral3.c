/* family_mistral3.c - Ministral 3 and Devstral 2 (Mistral, 2025): Llama's layer. The file says how
 * positions are scaled, and queries with them. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_mistral3 = {
    .architecture = "mistral3",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
