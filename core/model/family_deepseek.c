/* family_deepseek.c - DeepSeek MoE 16B (arXiv 2401.06066): Llama's layer with many small experts
 * and a feed-forward for all tokens beside them; the first layers have none. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_deepseek = {
    .architecture = "deepseek",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .needed_keys = {"expert_count", "expert_feed_forward_length"},
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};
