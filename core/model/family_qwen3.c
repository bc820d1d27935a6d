/* family_qwen3.c - Qwen 3 (arXiv 2505.09388): Llama's layer with a norm on each head of q and k
 * before its rotation. The larger ones have experts. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_qwen3 = {
    .architecture = "qwen3",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_head_normed_layer,
    .run_layer = forward_sequential_layer,
};

/* Of Qwen3-VL, the part that reads and writes text. */
const struct family family_qwen3vl = {
    .architecture = "qwen3vl",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .sees_pictures = true,
    .bind_layer = bind_head_normed_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_qwen3moe = {
    .architecture = "qwen3moe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .needed_keys = {"expert_count"},
    .bind_layer = bind_head_normed_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_qwen3vlmoe = {
    .architecture = "qwen3vlmoe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .needed_keys = {"expert_count"},
    .sees_pictures = true,
    .bind_layer = bind_head_normed_layer,
    .run_layer = forward_sequential_layer,
};
