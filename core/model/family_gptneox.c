/* family_gptneox.c - GPT-NeoX and Pythia (arXiv 2204.06745): biases everywhere, part of each head
 * rotated; attention and feed-forward read the same input unless the file says otherwise. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static void run_layer(struct forward *forward, const struct layer *layer)
{
    if (!forward_shape(forward)->parallel_residual) {
        forward_sequential_layer(forward, layer);
        return;
    }
    forward_norm(forward, FORWARD_ATTN_INPUT, layer->attn_norm, layer->attn_norm_b);
    forward_norm(forward, FORWARD_FFN_INPUT, layer->ffn_norm, layer->ffn_norm_b);
    forward_attention(forward, FORWARD_ATTN_INPUT, layer);
    forward_ffn(forward, FORWARD_FFN_INPUT, layer);
}

const struct family family_gptneox = {
    .architecture = "gptneox",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU,
    .bind_layer = bind_ungated_layer,
    .run_layer = run_layer,
};
