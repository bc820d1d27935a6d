/* family_chatglm.c - ChatGLM 3 and GLM-4 of 2024 (arXiv 2406.12793): Llama's layer with biases on
 * q, k and v, these in one matrix, gate and up in another, and half of each head rotated. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_chatglm = {
    .architecture = "chatglm",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
