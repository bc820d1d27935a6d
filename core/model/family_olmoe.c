/* family_olmoe.c - OLMoE (arXiv 2409.02060): Llama's layer with one norm for all heads of q, one
 * for k, and experts whose weights are those of a softmax over all of them. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_gated_layer(binder, layer, err) && bind_norms_of_all_heads(binder, layer, err);
}

const struct family family_olmoe = {
    .architecture = "olmoe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_ALL,
    .norms_all_heads = true,
    .needed_keys = {"expert_count"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
