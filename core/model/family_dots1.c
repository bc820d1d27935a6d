/* family_dots1.c - dots.llm1 (arXiv 2506.05767): Llama's layer with norms on the heads of q and k,
 * experts chosen by sigmoids and a bias, and a feed-forward for all tokens beside them. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_dots1 = {
    .architecture = "dots1",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .needed_keys = {"expert_count", "expert_feed_forward_length", "expert_gating_func"},
    .bind_layer = bind_head_normed_layer,
    .run_layer = forward_sequential_layer,
};
