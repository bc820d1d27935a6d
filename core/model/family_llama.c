/* family_llama.c - Llama 2 and 3, TinyLlama, SmolLM, Mistral, and all who took their shape
 * (arXiv 2302.13971, 2307.09288); with experts Mixtral (2401.04088). */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_llama = {
    .architecture = "llama",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
