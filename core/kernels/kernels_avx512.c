#include "core/kernels/fine_avx512.h"

#include "core/kernels/attention_q8_vector.h"
#include "core/kernels/kernels_vector.h"

/* All tables; products know the difference, see matmul_isa.h. */
#define COMMON                                                                              \
    .rms_norm = rms_norm, .layer_norm = layer_norm, .add = add, .silu_mul = silu_mul,       \
    .gelu_mul = gelu_mul, .gelu = gelu, .clamp = clamp, .rope_neighbours = rope_neighbours, \
    .rope_split = rope_split, .kv_store = kv_store, .attention = attention_or_q8, .weigh = weigh

const struct kernels kernels_avx512 = {.isa = KERNELS_AVX512, .name = "avx512", COMMON};
const struct kernels kernels_vbmi = {.isa = KERNELS_VBMI, .name = "vbmi", COMMON};
const struct kernels kernels_amx = {.isa = KERNELS_AMX, .name = "amx", COMMON};
