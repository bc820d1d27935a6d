/* family_arcee.c - AFM (Arcee AI, 2025): Llama's layer, without gates and with a squared ReLU
 * (arXiv 2109.08668). */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_arcee = {
    .architecture = "arcee",
    .norm = FAMILY_RMS_NORM,
    .positions = FAMILY_ROPE_NEIGHBOURS,
    .ffn = FAMILY_RELU2,
    .bind_layer = bind_ungated_layer,
    .run_layer = forward_sequential_layer,
};
