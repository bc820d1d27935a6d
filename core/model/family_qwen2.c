/* family_qwen2.c - Qwen 1.5, 2 and 2.5 (arXiv 2407.10671): Llama's layer with biases on q, k and v,
 * which the binder finds by itself. Some have experts and beside them a feed-forward for all
 * tokens, of which each token takes a share. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_qwen2 = {
    .architecture = "qwen2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};

/* Of Qwen2-VL and Qwen2.5-VL, the part that reads and writes text. */
const struct family family_qwen2vl = {
    .architecture = "qwen2vl",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .sees_pictures = true,
    .bind_layer = bind_gated_layer,
    .run_layer = forward_sequential_layer,
};

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_gated_layer(binder, layer, err) &&
           bind_matrix(binder, "ffn_gate_inp_shexp.weight", 1, binder->shape->n_embd, &layer->share,
                       err);
}

const struct family family_qwen2moe = {
    .architecture = "qwen2moe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_ALL,
    .needed_keys = {"expert_count", "expert_feed_forward_length",
                    "expert_shared_feed_forward_length"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
