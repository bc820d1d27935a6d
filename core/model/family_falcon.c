/* family_falcon.c - Falcon (arXiv 2311.16867): attention and feed-forward in parallel. The 7B has
 * one norm and one KV head; the 40B has groups of KV heads and a norm of its own for attention. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    int n_embd = binder->shape->n_embd;
    return bind_norm(binder, "attn_norm", &layer->attn_norm, &layer->attn_norm_b, err) &&
           bind_optional_vector(binder, "attn_norm_2.weight", n_embd, &layer->attn_norm_2, err) &&
           bind_optional_vector(binder, "attn_norm_2.bias", n_embd, &layer->attn_norm_2_b, err) &&
           bind_attention(binder, layer, err) && bind_plain_ffn(binder, layer, err);
}

static void run_layer(struct forward *forward, const struct layer *layer)
{
    bool has_own_norm = layer->attn_norm_2 != NULL;
    forward_norm(forward, FORWARD_FFN_INPUT, layer->attn_norm, layer->attn_norm_b);
    if (has_own_norm)
        forward_norm(forward, FORWARD_ATTN_INPUT, layer->attn_norm_2, layer->attn_norm_2_b);
    forward_attention(forward, has_own_norm ? FORWARD_ATTN_INPUT : FORWARD_FFN_INPUT, layer);
    forward_ffn(forward, FORWARD_FFN_INPUT, layer);
}

const struct family family_falcon = {
    .architecture = "falcon",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_GELU,
    .bind_layer = bind_layer,
    .run_layer = run_layer,
};
