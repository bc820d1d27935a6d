/* family_nemotron.c - Nemotron and Minitron (arXiv 2402.16819, 2407.14679): layer norms, part of
 * each head rotated, a squared ReLU without gates. The file's norm weights already hold the 1 that
 * is added. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_nemotron = {
    .architecture = "nemotron",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ROPE_SPLIT,
    .ffn = FAMILY_RELU2,
    .bind_layer = bind_ungated_layer,
    .run_layer = forward_sequential_layer,
};
