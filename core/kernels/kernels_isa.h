/* kernels_isa.h - the tables that kernels_select chooses from. Private to core/kernels. */
#ifndef CORE_KERNELS_KERNELS_ISA_H
#define CORE_KERNELS_KERNELS_ISA_H

#include "core/kernels/kernels.h"

/* Cache rows of KV_Q8 whose numbers are all smaller than this are stored as zeros: the inverse of
 * their scale is not a number. */
#define KV_Q8_LEAST 0x1p-100f

extern const struct kernels kernels_scalar;
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avxvnni;
extern const struct kernels kernels_avx512;
/* kernels_avx512, products apart: see grid_vbmi.h and panel_amx.h */
extern const struct kernels kernels_vbmi;
extern const struct kernels kernels_amx;

/* A table of the functions of these names in the file where it stands. */
#define KERNELS_TABLE(isa_, name_, attention_)                                                   \
    {                                                                                            \
        .isa = isa_, .name = name_, .rms_norm = rms_norm, .layer_norm = layer_norm, .add = add,  \
        .silu_mul = silu_mul, .sigmoid_mul = sigmoid_mul, .gelu_mul = gelu_mul, .gelu = gelu,    \
        .clamp = clamp, .rope_neighbours = rope_neighbours, .rope_split = rope_split,            \
        .kv_store = kv_store, .kv_add = kv_add, .attention = attention_, .conv_silu = conv_silu, \
        .delta_rule = delta_rule, .weigh = weigh                                                 \
    }

#endif
