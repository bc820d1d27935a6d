/* family_bailingmoe.c - Ling (Ant, arXiv 2503.05139, 2507.17702): Llama's layer with experts and a
 * feed-forward for all tokens beside them. Those of version 2 have norms on the heads of q and k,
 * first layers without experts, and experts in groups, chosen by sigmoids. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_bailingmoe = {
    .architecture = "bailingmoe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .needed_keys = {"expert_count", "expert_feed_forward_length"},
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_bailingmoe2 = {
    .architecture = "bailingmoe2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .predicts_further = true,
    .needed_keys = {"expert_count", "expert_feed_forward_length", "expert_gating_func"},
    .bind_layer = bind_head_normed_layer,
    .run_layer = forward_sequential_layer,
};
