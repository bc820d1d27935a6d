#include "core/kernels/simd_avxvnni.h"

#include "core/kernels/fine_ymm.h"

#include "core/kernels/attention_q8_vector.h"
#include "core/kernels/kernels_vector.h"

const struct kernels kernels_avxvnni = {
    .isa = KERNELS_AVXVNNI,
    .name = "avxvnni",
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .add = add,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .gelu = gelu,
    .clamp = clamp,
    .rope_neighbours = rope_neighbours,
    .rope_split = rope_split,
    .kv_store = kv_store,
    .attention = attention_or_q8,
    .weigh = weigh,
};
