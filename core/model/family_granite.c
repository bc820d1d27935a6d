/* family_granite.c - Granite 3 and the dense Granite 4 (IBM, 2024 and 2025): Llama's layer with
 * factors on the embedding, the scores, what each step adds to the stream, and the logits. Some
 * have experts, and beside them perhaps a feed-forward for all tokens. */
#include <stdio.h>

#include "core/gguf/gguf.h"
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

/* A Granite may know no positions, and says so by a key that is meant for something else. */
static bool bind_layer(struct binder *binder, struct layer *layer, struct err *err)
{
    bool rotates = true;
    char key[64];
    snprintf(key, sizeof key, "%s.rope.scaling.finetuned", binder->shape->architecture);
    gguf_get_bool(binder->file, key, &rotates);
    if (!rotates)
        layer->rope = MODEL_ROPE_NONE;
    return bind_gated_layer(binder, layer, err);
}

const struct family family_granite = {
    .architecture = "granite",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .needed_keys = {"logit_scale"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};

const struct family family_granitemoe = {
    .architecture = "granitemoe",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_SILU_GATED,
    .experts = FAMILY_EXPERTS_OF_CHOSEN,
    .needed_keys = {"logit_scale", "expert_count"},
    .bind_layer = bind_layer,
    .run_layer = forward_sequential_layer,
};
