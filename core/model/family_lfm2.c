/* family_lfm2.c - LFM2 (Liquid AI, arXiv 2511.23404): most layers have a short convolution where
 * others have attention, which has norms on the heads of q and k. The mixture's experts are chosen
 * by sigmoids and a bias. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_convolution(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd;
    return bind_matrix(binder, "shortconv.in_proj.weight", 3 * n_embd, n_embd, &layer->mix, err) &&
           bind_taps(binder, "shortconv.conv.weight", n_embd, binder->shape->n_taps, layer, err) &&
           bind_matrix(binder, "shortconv.out_proj.weight", n_embd, n_embd, &layer->out, err);
}

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           (layer->is_convolution
                ? bind_convolution(binder, layer, err)
                : bind_attention(binder, layer, err) && bind_head_norms(binder, layer, err)) &&
           bind_norm(binder, "ffn_norm", &layer->ffn_norm, &layer->ffn_norm_b, err) &&
           bind_gated_ffn(binder, layer, err);
}

const struct family family_lfm2 = {
    .architecture = "lfm2",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .has_convolutions = true,
    .output_norm = "token_embd_norm",
    .needed_keys = {"shortconv.l_cache"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_lfm2moe = {
    .architecture = "lfm2moe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_AS_TOLD,
    .experts_sum_to_one = true,
    .experts_by_sigmoid = true,
    .has_convolutions = true,
    .output_norm = "token_embd_norm",
    .needed_keys = {"shortconv.l_cache", "expert_count", "expert_feed_forward_length"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
