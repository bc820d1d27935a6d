/* family_mpt.c - MPT with ALiBi (MosaicML, 2023): layer norms, GELU, clamped q, k, v where the file
 * says so. */
#include "core/model/binder.h"
#include "core/model/family.h"
#include "core/model/forward_steps.h"

const struct family family_mpt = {
    .architecture = "mpt",
    .norm = FAMILY_LAYER_NORM,
    .positions = FAMILY_ALIBI,
    .ffn = FAMILY_GELU,
    .bind_layer = bind_ungated_layer,
    .run_layer = forward_sequential_layer,
};
