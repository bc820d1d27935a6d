/* family_ernie4_5.c - ERNIE 4.5 (Baidu, 2025): Llama's layer. The larger ones have experts, chosen
 * with a bias, and a feed-forward for all tokens beside them. */
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

const struct family family_ernie4_5_moe = {
    .architecture = "ernie4_5-moe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .experts_sum_to_one = true,
    .needed_keys = {"expert_count", "expert_feed_forward_length", "interleave_moe_layer_step"},
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
